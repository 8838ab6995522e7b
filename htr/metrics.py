"""Character and word error rates, and how sure they are.

Stated once, for every figure of this project:

- Both sides pass `htr.alphabet.normalise`; case and punctuation count.
- CER is the number of character edits (insertions, deletions, substitutions, spaces included) over all lines, divided
  by the number of true characters over all lines: a micro average, not a mean of per-line rates.
- WER is the same over words, which are split at white space. WER with punctuation apart splits punctuation marks from
  the words first, as some published systems do; it is mostly lower.
- In any case means that both sides are in lower case first; punctuation still counts.
- Intervals are 95 % percentile bootstrap over lines; or over writers, which is wider and says what another set of hands
  might give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import editdistance
import numpy as np
from rapidfuzz.distance import Levenshtein

from htr.alphabet import normalise

# Letters, with accents that are characters of their own, such as those of stressed Cyrillic.
_LETTERS = r"[\w\u0300-\u036f\u0483-\u0487]+"
_WORD_OR_MARK = re.compile(rf"{_LETTERS}(?:['-]{_LETTERS})*|[^\w\s]")


def words(text: str) -> list[str]:
    """Splits at white space."""
    return text.split()


def words_and_marks(text: str) -> list[str]:
    """Splits at white space and takes punctuation off the words; `don't` and `week-end` stay whole."""
    return _WORD_OR_MARK.findall(text)


def count_edits(truth: str, reading: str, split: Callable[[str], list[str]] = list) -> tuple[int, int]:
    """Edits between two texts, and the length of the true one.

    Args:
        truth, reading: the texts; both are normalised.
        split: what is counted: `list` for characters, `words` or `words_and_marks` for words.
    """
    pieces = split(normalise(truth))
    return editdistance.eval(pieces, split(normalise(reading))), len(pieces)


class Edit(NamedTuple):
    """A stretch of a text and what was read in its place; the two are alike where it was read well.

    Attributes:
        true: empty where something was read that does not stand there.
        read: empty where what stands there was not read.
    """

    true: str
    read: str


def align(truth: str, reading: str) -> list[Edit]:
    """Lays a reading beside the truth with the fewest edits: the normalised texts in pieces, from left to right."""
    truth, reading = normalise(truth), normalise(reading)
    return [
        Edit(truth[step.src_start : step.src_end], reading[step.dest_start : step.dest_end])
        for step in Levenshtein.opcodes(truth, reading)
    ]


RESAMPLES, SEED = 1000, 0
"""Of the bootstrap that gives the intervals."""

FEWEST = 10
"""Lines, pages or writers below which an interval over them says nothing: of one, it would have no width."""


@dataclass(frozen=True)
class Rate:
    """An error rate in percent, with the bounds of its 95 % interval; these are None where it is of fewer than `FEWEST` lines, or
    writers."""

    value: float
    low: float | None
    high: float | None
    edits: int
    total: int


@dataclass(frozen=True)
class Scores:
    """Rates over a set of lines; see the module's text for what each means."""

    lines: int
    cer: Rate
    wer: Rate
    wer_marks_apart: Rate
    cer_any_case: Rate
    wer_any_case: Rate


def score(
    truths: Sequence[str],
    readings: Sequence[str],
    writers: Sequence[Hashable] | None = None,
) -> Scores:
    """Compares readings with what is written.

    Args:
        truths, readings: texts of the same lines in the same order.
        writers: of the lines, for intervals over writers; over lines if None.

    Raises:
        ValueError: they differ in number.
    """
    pairs = list(zip(truths, readings, strict=True))
    drawn_of = range(len(pairs)) if writers is None else writers
    units = {writer: number for number, writer in enumerate(dict.fromkeys(drawn_of))}
    unit = [units[writer] for _, writer in zip(pairs, drawn_of, strict=True)]

    def rate(split: Callable[[str], list[str]]) -> Rate:
        counts = np.zeros((len(units), 2), np.int64)
        for number, (truth, reading) in zip(unit, pairs):
            counts[number] += count_edits(truth, reading, split)
        edits, totals = counts.T
        total = int(totals.sum())
        low = high = None
        if total and len(units) >= FEWEST:
            rng = np.random.default_rng(SEED)
            # One by one: of a hundred thousand lines, all together would fill the memory.
            picks = (rng.integers(0, len(units), len(units)) for _ in range(RESAMPLES))
            drawn_edits, drawn_totals = np.array([counts[pick].sum(0) for pick in picks]).T
            drawn = 100 * drawn_edits / np.maximum(drawn_totals, 1)
            low, high = map(float, np.percentile(drawn, [2.5, 97.5]))
        value = float(100 * edits.sum() / total) if total else float("nan")
        return Rate(value, low, high, int(edits.sum()), total)

    return Scores(
        len(pairs), rate(list), rate(words), rate(words_and_marks),
        rate(lambda text: list(text.lower())), rate(lambda text: words(text.lower())),
    )  # fmt: skip
