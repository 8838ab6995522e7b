"""What fine-tuning brings with few lines: `python -m htr.benchmark.finetuning lines:data/hooker --weights iam --lines 20 100`."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from htr.cli import add_weights, run
from htr.corpora.sample import Sample
from htr.files import make_writable

# Where the fine-tuned weights and those from ImageNet are made; goes on from there when stopped.
_RUNS = Path("runs/finetuning")


def evaluate_finetuning(
    data: str,
    counts: list[int],
    weights: str | None,
    general: str,
    unread: str | None = None,
    imagenet: bool = True,
) -> Iterator[dict[str, Any]]:
    """Fine-tunes weights on so many train lines of a corpus, and trains as long from ImageNet on the same lines.

    The lines are those of whole pages, in random order, of which the last is cut short: what a user labels who goes from page
    to page. A part of them is held out at first, as fine-tuning does it. All weights are scored on the test lines.

    Args:
        data: a corpus with train and test lines.
        counts: of labelled lines, one fine-tuning for each; 0 with `unread` alone.
        weights: to start from: a file, or the name of weights that come along; the usual ones if None. They must not have
            learnt from the corpus.
        general: a corpus whose test lines tell what was lost.
        unread: language models by whose help the other train lines are read, which are then given, too, without their texts (the
            models must not have read these); nothing is trained from ImageNet then.
        imagenet: train from ImageNet at all.

    Yields:
        After each count, of it and of the start: CER and WER with intervals on the test lines of both corpora, greedily and with
        language, how many characters of the test lines that the start cannot write are read (with language), minutes of training,
        minutes from start to end (the checks included) where it was not stopped, and what repeats it.

    Raises:
        InputError: a corpus lacks such lines, or the weights cannot be used.
    """
    import timm

    from htr.benchmark.lines import evaluate_lines
    from htr.benchmark.provenance import TEACHING, code_sha256, labels_sha256, language_facts, provenance
    from htr.benchmark.results import collection_of
    from htr.corpora import load_corpus
    from htr.errors import InputError
    from htr.finetuning.lines import are_written, write_lines
    from htr.finetuning.run import ALL_LINES, finetune
    from htr.finetuning.selftraining import learn_unread
    from htr.language import AUTO
    from htr.network import BESIDE
    from htr.reader import load
    from htr.training.config import TrainConfig
    from htr.training.run import train
    from htr.weights import sha256

    if min(counts) < 0:
        raise InputError(f"--lines {min(counts)}: give how many lines are labelled, or 0")
    if not (unread or all(counts)):
        raise InputError(
            "--lines 0: without labelled lines, there is nothing to learn from but unread ones; give --unread, too"
        )
    reader = load(weights)
    samples = [sample for sample in load_corpus(data) if sample.split == "train" and sample.text]
    if len(samples) < max(counts):
        raise InputError(f"{data}: has {len(samples)} train lines, not {max(counts)}; ask for fewer with --lines")

    def scored(file: str, **corpora: str) -> dict[str, Any]:
        figures = {name: evaluate_lines(corpus, "test", file) for name, corpus in corpora.items()}
        return {
            "weights_sha256": sha256(file),
            "new characters": new_characters(figures["test"]["details"], reader.weights.alphabet.characters),
            **{name: result["scores"] for name, result in figures.items()},
            **{f"{name} with language": result["scores_with_language"] for name, result in figures.items()},
        }

    code = code_sha256(TEACHING)
    start = scored(reader.weights.file, test=data, general=general)
    for count in counts:
        chosen = labelled(samples, count)
        texts = labels_sha256((sample.id, sample.text) for sample in chosen or samples)
        name = f"{collection_of(data)}-{count}-{reader.weights.sha256[:8]}-{texts[:8]}-{code[:8]}"
        folder = _RUNS / (f"{name}-unread" if unread else name)
        pages, tuned = folder / "unread" if unread else None, folder / "tuned.safetensors"
        if not are_written(folder / "lines"):
            if pages:
                write_lines(pages, [replace(sample, text="") for sample in samples if sample not in chosen])
            write_lines(folder / "lines", chosen)
        resumed, began = (folder / "tuned.run").is_dir(), time.monotonic()
        if count:
            outcome = finetune(folder / "lines", tuned, reader.weights.file, [], pages, unread or AUTO)
            beside = {
                **outcome.lines, "held out before": outcome.before["scores"], "held out after": outcome.after["scores"],
                **({"unread": outcome.unread} if unread else {}),
            }  # fmt: skip
        else:
            outcome = learn_unread(pages, tuned, reader.weights.file, [], unread)
            facts = {"found": outcome.found, "lines": outcome.learnt, "learnt": not outcome.kept}
            beside = {"unread": facts, "bits before": outcome.bits_before, "bits after": outcome.bits_after}
        whole = round((time.monotonic() - began) / 60, 1)
        if unread:
            beside["unread"] = {**beside["unread"], "language": language_facts(unread)}
        elif imagenet:
            corpus = folder / "tuned.run" / ("lines" if outcome.kept else ALL_LINES)
            config = {
                **outcome.config, "run": str(folder / "imagenet"), "data": [f"lines:{corpus}"], "start": None,
                "pretrained": "imagenet", "alphabet": None, "minutes": outcome.minutes, "epochs": 100_000, "learning_rate": 1e-3,
                "encoder_learning_rate": 5e-4, "trainer": {"check_val_every_n_epoch": 1},  # time may bring the end after any epoch
            }  # fmt: skip
            if not all(timm.models.is_model_pretrained(name) for name in config["encoder"].split(BESIDE)):
                config["encoder"] = TrainConfig.encoder
            beside["ImageNet"] = scored(train(TrainConfig(**config))["weights"], test=data)
        run = {
            "lines": count, **beside, "minutes": outcome.minutes, **({} if resumed else {"minutes in all": whole}),
            "kept": outcome.kept,
            "config": {name: value for name, value in outcome.config.items() if name not in ("run", "data", "start", "alphabet")},
            "tuned": scored(outcome.weights, test=data, general=general),
            "labels_sha256": texts,
        }  # fmt: skip
        yield {
            "kind": "finetuning", "data": data, "general": general, "start": start, "runs": [run],
            **provenance(reader, AUTO), "learning code": code,
        }  # fmt: skip


def new_characters(details: dict[str, Any], known: str) -> dict[str, Any]:
    """How many of the characters that the start cannot write are read; of details that `htr.benchmark.details` gives."""
    rows = [row for row in details["characters"] if row["character"] not in known]
    return {
        "characters": "".join(row["character"] for row in rows),
        "count": sum(row["count"] for row in rows),
        "read": sum(row["count"] - row["wrong"] for row in rows),
    }


def labelled(samples: list[Sample], count: int) -> list[Sample]:
    """The lines of whole pages in random order, until there are enough."""
    pages: dict[str | None, list[Sample]] = {}
    for sample in samples:
        pages.setdefault(sample.form, []).append(sample)
    order = sorted(pages, key=str)
    random.Random(0).shuffle(order)
    return [sample for page in order for sample in pages[page]][:count]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m htr.benchmark.finetuning", description=__doc__)
    parser.add_argument("data", metavar="CORPUS", help="lines to learn and to test by, such as lines:data/hooker")
    parser.add_argument(
        "--lines", type=int, nargs="+", default=[100], metavar="N", help="how many are labelled (default: 100)"
    )
    add_weights(parser, "weights to start from")
    parser.add_argument(
        "--general", default="sample", metavar="CORPUS", help="lines that tell what was lost (default: sample)"
    )
    parser.add_argument(
        "--unread",
        metavar="L",
        help="give the other train lines, too, without texts; L: language model that never read them",
    )
    parser.add_argument(
        "--no-imagenet",
        dest="imagenet",
        action="store_false",
        help="train nothing from ImageNet beside it, which takes as long again",
    )
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="default: reports")
    arguments = parser.parse_args()
    make_writable(arguments.out)
    from htr.benchmark.results import collection_of, interval, result_file, write_result

    given = arguments.data, arguments.lines, arguments.weights, arguments.general, arguments.unread, arguments.imagenet
    for result in evaluate_finetuning(*given):
        (row,) = result["runs"]
        for lines, name in (("test", "CER"), ("test with language", "CER with language")):
            untaught = f", from ImageNet {interval(row['ImageNet'][lines]['CER'])} %" if "ImageNet" in row else ""
            print(
                f"{name} with {row['lines']} lines: {interval(result['start'][lines]['CER'])} % before, "
                f"{interval(row['tuned'][lines]['CER'])} % after {row['minutes']:g} minutes{untaught}"
            )
        parts = (
            "finetuning",
            collection_of(arguments.data),
            str(row["lines"]),
            *(["unread"] if arguments.unread else []),
        )
        file = result_file(arguments.out, parts, result)
        write_result(file, result)
        print(f"written to {file}")


if __name__ == "__main__":
    run(main)
