"""Fine-tuning without a labelled line: pages are read with the help of language, and learnt as they were read.

As `htr.finetuning.unread`, whose paper tells why; here nothing but language says what is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from htr.benchmark.lines import evaluate_lines
from htr.corpora.folder import lines_of_table
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.finetuning.claim import claim
from htr.finetuning.lines import FEWEST, hold_out
from htr.finetuning.mixing import LEARNT, mix, write_taught
from htr.finetuning.recipe import recipe, recipe_of_unread
from htr.finetuning.run import figures_alone
from htr.finetuning.unread import keep_unread, read_unread
from htr.language import AUTO, NONE, Languages, load_languages
from htr.lineimage import prepare
from htr.reader import Reader
from htr.training.run import train
from htr.weights import load_weights

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
        kept: whether the new weights are the parent's, since what others read in the held-out lines is no likelier text.
        found: unread lines that were found.
        learnt: of these, those that were learnt as they were read.
        held_out: of these, those that were not learnt, to check by.
        pages: how many the lines are of.
        bits_before, bits_after: of a character that the network alone reads in the held-out lines, by the language models: the fewer,
            the more it reads like language.
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
    pages: int
    bits_before: float
    bits_after: float
    readings: list[dict[str, str]]
    sample_before: dict[str, Any]
    sample_after: dict[str, Any]
    minutes: float
    config: dict[str, Any]
    machine: dict[str, Any]
    date: str


def learn_unread(
    unread: Path, out: Path, start: str | None = None, overrides: list[str] | None = None, language: str = AUTO
) -> SelfTaught:
    """Teaches weights the hands of pages that nobody transcribed, or goes on where that was stopped.

    Of the lines that are found, about a seventh is held out. The others are read with the help of language, and those of which the
    reader is not least sure are learnt as they were read; what comes of it, mixed with the parent, reads them better, and is what
    they are read with the next time. What the network alone then reads in the held-out lines must be likelier text, by the
    language models, than what it read before; otherwise the new weights are the parent's.

    Args:
        unread: a folder of pages, or lines; see `htr.finetuning.unread.keep_unread`.
        out, start, overrides: as in `htr.finetuning.run.finetune`.
        language: that helps in reading; see `htr.language.load_languages`.

    Raises:
        InputError: something about the arguments or the data will not do.
    """
    if language == NONE:
        raise InputError(
            "language: without labelled lines, it is all that tells what is right; give auto, english, french or a model file"
        )
    overrides = overrides or []
    parent = load_weights(start)
    recipe(parent, unread, out, 1, 1.0, overrides)  # a wrong word is found before anything is written
    languages = load_languages(language)
    folder = claim(None, out, parent, overrides, unread, language)
    lines = folder / "unread"
    if not (lines / "lines.tsv").is_file():
        # Weights of its own: on a GPU it takes them there, and the parent's are mixed on the CPU.
        keep_unread(unread, lines, [], Reader(load_weights(start), languages))
    folder, lines = folder.resolve(), lines.resolve()  # whatever folder the command is given in the next time
    samples, _ = lines_of_table(lines / "lines.tsv")
    if len(samples) < FEWEST:
        raise InputError(
            f"{unread}: has {len(samples)} lines that could be found, too few to learn from; give pages with at least {FEWEST}, "
            "better hundreds"
        )
    held = hold_out(samples)
    checks = [sample for sample in samples if sample.id in held]

    best, runs, learnt = Path(parent.file), [], 0
    for number in range(1, ROUNDS + 1):
        corpus = folder / f"read-{number}"
        if not (corpus / "lines.tsv").is_file():
            read_unread(lines, corpus, Reader(load_weights(best), languages), held)
        read, _ = lines_of_table(corpus / "lines.tsv")
        learnt = sum(sample.split == "train" for sample in read)
        if not 0 < learnt < len(read):
            break  # nothing can be read there
        config = recipe_of_unread(parent, corpus, folder / f"round-{number}", learnt, overrides)
        runs.append(train(config))
        best = Path(runs[-1]["weights"]).with_name("mixed.safetensors")
        mix(parent, [Path(runs[-1]["weights"])], best)
    if not runs:
        raise InputError(f"{unread}: nothing could be read there; are these pages of handwriting?")
    before, after = (Reader(load_weights(file), languages) for file in (parent.file, best))
    texts_before, texts_after = (_read_alone(reader, checks) for reader in (before, after))
    bits_before, bits_after = (_bits(texts, languages) for texts in (texts_before, texts_after))
    shrunk = sum(map(len, texts_after)) < _LEAST * sum(map(len, texts_before))
    kept = shrunk or bits_after >= bits_before
    facts = {
        "data": [unread.resolve().name],
        "train_lines": 0,
        "unread_lines": learnt,
        "encoder_weights": runs[0]["encoder_weights"],
        "averaged": f"{LEARNT:g} of what was learnt, the rest of parent",
    }
    write_taught(out, parent, None if kept else best, facts)
    sample_before, sample_after = (
        evaluate_lines("sample", "test", str(file), NONE) for file in (parent.file, parent.file if kept else best)
    )
    shown = checks[:: max(1, len(checks) // _SHOWN)][:_SHOWN]
    return SelfTaught(
        weights=str(out), parent={"file": Path(parent.file).name, "sha256": parent.sha256}, kept=kept, found=len(samples),
        learnt=learnt, held_out=len(checks), pages=len({sample.form for sample in samples if sample.form}),
        bits_before=bits_before, bits_after=bits_after, readings=_compared(shown, f"{folder.name}/unread", before, after),
        sample_before=figures_alone(sample_before), sample_after=figures_alone(sample_after),
        minutes=round(sum(run["minutes"] for run in runs), 1), config=runs[-1]["config"], machine=runs[-1]["machine"],
        date=date.today().isoformat(),
    )  # fmt: skip


def _read_alone(reader: Reader, samples: list[Sample]) -> list[str]:
    """What the network reads without the help of language."""
    prepared = [prepare(sample.image(), reader.weights.header.height) for sample in samples]
    return [reading.text.strip() for reading in reader.read_prepared(prepared, greedily=True)]


def _bits(texts: list[str], languages: Languages) -> float:
    """How unlikely texts are by the language models, for each character."""
    bits, characters = 0.0, 0
    for text in texts:
        written = languages.start
        for character in text + " ":
            chance, written = languages.add(written, character)
            bits -= chance / math.log(2)
            characters += 1
    return bits / characters


def _compared(samples: list[Sample], pictures: str, before: Reader, after: Reader) -> list[dict[str, str]]:
    """How lines are read before and after, and where their pictures lie."""
    images = [sample.image() for sample in samples]
    read = zip(samples, before.read_lines(images), after.read_lines(images))
    return [
        {"picture": f"{pictures}/{sample.id}.png", "before": old.text, "after": new.text} for sample, old, new in read
    ]
