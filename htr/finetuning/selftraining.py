"""Fine-tuning without a labelled line: pages are read with the help of language, and learnt as they were read.

As `htr.finetuning.unread`, whose paper tells why; here nothing but language says what is right.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from htr.benchmark.lines import evaluate_lines
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.finetuning.claim import claim, gathering, train_in
from htr.finetuning.lines import FEWEST, are_written, forget_lines, hold_out, written_lines
from htr.finetuning.mixing import mix, mixture_of, write_taught
from htr.finetuning.recipe import pace, recipe, recipe_of_unread
from htr.finetuning.run import without_readings
from htr.finetuning.unread import find_unread, keep_unread, read_unread
from htr.language import NONE, LanguageModel, find_models, load_languages
from htr.reader import Reader
from htr.weights import TAUGHT, load_weights

log = logging.getLogger(__name__)

ROUNDS = 3
"""How often the lines are read and learnt, each time by the same weights, but from better readings. Of a hard hand of which nothing is
known (`runs/without-hooker`, 800 of Hooker's lines), validation CER with language falls from 46.1 to 43.0, 41.0 and 40.3 %."""

# Of as many characters as before, the least that must be read: a network that leaves out what is hard reads likely text, too.
_LEAST = 0.8

# Lines whose readings before and after are told, for eyes to compare.
_SHOWN = 12


@dataclass(frozen=True)
class SelfTaught:
    """What learning from unread lines alone came to.

    Attributes:
        weights: the new file.
        parent: name and checksum of the weights that it went on from.
        kept: whether the new weights are the parent's, since what the others read in the held-out lines is no likelier text, or far
            shorter.
        found: unread lines that were found.
        learnt: of these, those that were learnt as they were read at last.
        held_out: of these, those that were not learnt, to check by.
        language: the models that helped.
        bits_before, bits_after: of a character that the network alone reads in the held-out lines, by the language models: the fewer,
            the more it reads like language.
        characters_before, characters_after: how many it reads there.
        readings: of some held-out lines: the `picture`, and what it says by the weights `before` and `after`, with language.
        sample_before, sample_after: figures of `htr.benchmark.lines.evaluate_lines` on the test lines of the embedded sample, for
            what was lost.
        minutes: of all trainings.
        config: of the last training.
        machine: that it ran on.
        date: of the day.
    """

    weights: str
    parent: dict[str, str]
    kept: bool
    found: int
    learnt: int
    held_out: int
    language: list[str]
    bits_before: float
    bits_after: float
    characters_before: int
    characters_after: int
    readings: list[dict[str, str]]
    sample_before: dict[str, Any]
    sample_after: dict[str, Any]
    minutes: float
    config: dict[str, Any]
    machine: dict[str, Any]
    date: str


def learn_unread(unread: Path, out: Path, start: str | None, overrides: Sequence[str], language: str) -> SelfTaught:
    """Teaches weights the hands of pages that nobody transcribed, or goes on where that was stopped.

    Of the lines that are found, about a seventh is held out. The others are read with the help of language, and those of which the
    reader is not least sure are learnt as they were read; what comes of it, mixed with the parent, reads them better, and is what
    they are read with the next time. What the network alone then reads in the held-out lines must be likelier text, by the
    language models, than what it read before, and not far shorter; otherwise the new weights are the parent's. Rounds before the last
    are not judged. No characters become new classes.

    Args:
        unread: a folder of pages, or lines; see `htr.finetuning.unread.find_unread`.
        out, start, overrides: as in `htr.finetuning.run.finetune`.
        language: that helps in reading; see `htr.language.load_languages`.

    Raises:
        InputError: something about the arguments or the data will not do.
    """
    if language == NONE:
        raise InputError(
            "language: without labelled lines, it is all that tells what is right; give auto, english, french or a model file"
        )
    overrides = list(overrides)
    parent = load_weights(start)
    recipe(parent, unread, out, 1, 1.0, overrides)  # a wrong word is found before anything is written
    languages = load_languages(language)
    folder = claim(None, out, parent, overrides, unread, language)
    if not are_written(folder / "unread"):
        # Weights of its own: on a GPU it takes them there, and the parent's are mixed on the CPU.
        with gathering():
            keep_unread(find_unread(unread), folder / "unread", [], Reader(load_weights(start), languages), FEWEST)
    folder = folder.resolve()  # whatever folder the command is given in the next time
    samples = written_lines(folder / "unread")
    held_out = hold_out(samples)
    checks = [sample for sample in samples if sample.id in held_out]
    log.warning(
        "%d lines without a text to read and learn from, %d held out to check by",
        len(samples) - len(checks),
        len(checks),
    )

    best, runs, learnt = Path(parent.file), [], 0
    for number in range(1, ROUNDS + 1):
        corpus = folder / f"read-{number}"
        if not are_written(corpus):
            read_unread(folder / "unread", corpus, Reader(load_weights(best), languages), held_out)
        splits = Counter(sample.split for sample in written_lines(corpus))
        if not (splits["train"] and splits["val"]):
            break  # nothing can be read there
        learnt = splits["train"]
        config = recipe_of_unread(parent, corpus, folder / f"round-{number}", learnt, overrides)
        # Lines in fonts would bring characters of which the pages tell nothing.
        runs.append(train_in(folder, replace(config, alphabet=parent.alphabet.characters)))
        taught = Path(runs[-1]["weights"])
        best = mixture_of(taught)
        mix(parent, [taught], best, pace(parent).share)
    if not runs:
        forget_lines(folder / "unread")  # other pages may be given
        raise InputError(f"{unread}: nothing could be read there; are these pages of handwriting?")
    before, after = (Reader(load_weights(file), languages) for file in (parent.file, best))
    texts = [_read_alone(reader, checks) for reader in (before, after)]
    bits = [_bits(read, languages) for read in texts]
    characters = [sum(map(len, read)) for read in texts]
    kept = bits[1] >= bits[0] or characters[1] < _LEAST * characters[0]
    facts = {
        "data": [unread.resolve().name],
        "train_lines": 0,
        "unread_lines": learnt,
        "encoder_weights": runs[0]["encoder_weights"],
        "averaged": f"{pace(parent).share:g} {TAUGHT}",
    }
    write_taught(out, parent, None if kept else best, facts)
    sample_before = evaluate_lines("sample", "test", str(parent.file), NONE)
    sample_after = sample_before if kept else evaluate_lines("sample", "test", str(best), NONE)
    shown = checks[:: max(1, len(checks) // _SHOWN)][:_SHOWN]
    return SelfTaught(
        weights=str(out), parent={"file": Path(parent.file).name, "sha256": parent.sha256}, kept=kept, found=len(samples),
        learnt=learnt, held_out=len(checks), language=[file.stem for file in find_models(language)],
        bits_before=bits[0], bits_after=bits[1], characters_before=characters[0], characters_after=characters[1],
        readings=[] if kept else _compared(shown, f"{folder.name}/unread", before, after),
        sample_before=without_readings(sample_before), sample_after=without_readings(sample_after),
        minutes=round(sum(run["minutes"] for run in runs), 1), config=runs[-1]["config"], machine=runs[-1]["machine"],
        date=date.today().isoformat(),
    )  # fmt: skip


def _read_alone(reader: Reader, samples: list[Sample]) -> list[str]:
    """What the network reads without the help of language."""
    prepared = [sample.prepared(reader.weights.header.height) for sample in samples]
    return [reading.text.strip() for reading in reader.read_prepared(prepared, greedily=True)]


def _bits(texts: list[str], languages: list[LanguageModel]) -> float:
    """How unlikely texts are by the language models, each by that which foretells it best, for each character."""
    nats = -sum(max(language.score(text + " ") for language in languages) for text in texts)
    return nats / math.log(2) / sum(len(text) + 1 for text in texts)


def _compared(samples: list[Sample], pictures: str, before: Reader, after: Reader) -> list[dict[str, str]]:
    """How lines are read before and after, and where their pictures lie."""
    prepared = [sample.prepared(before.weights.header.height) for sample in samples]  # what was learnt keeps the height
    old, new = before.read_prepared(prepared), after.read_prepared(prepared)
    return [
        {"picture": f"{pictures}/{sample.id}.png", "before": was.text.strip(), "after": now.text.strip()}
        for sample, was, now in zip(samples, old, new)
    ]
