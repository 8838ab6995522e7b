"""Character and word error rates, and how sure they are.

Stated once, for every figure of this project:

- Both sides pass `htr.alphabet.normalise`; case and punctuation count.
- CER is the number of character edits (insertions, deletions, substitutions, spaces included) over all lines, divided
  by the number of true characters over all lines: a micro average, not a mean of per-line rates.
- WER is the same over words, which are split at white space. WER with punctuation apart splits punctuation marks from
  the words first, as some published systems do; it is lower.
- Intervals are 95 % percentile bootstrap over lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import editdistance
import numpy as np

from htr.alphabet import normalise

_WORD_OR_MARK = re.compile(r"\w+(?:['-]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Splits at white space."""
    return text.split()


def words_and_marks(text: str) -> list[str]:
    """Splits at white space and takes punctuation off the words; `don't` and `week-end` stay whole."""
    return _WORD_OR_MARK.findall(text)


@dataclass(frozen=True)
class Rate:
    """An error rate in percent, with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float
    edits: int
    total: int

    def __str__(self) -> str:
        return f"{self.value:.2f} % [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Scores:
    """Rates over a set of lines; see the module's text for what each means."""

    lines: int
    cer: Rate
    wer: Rate
    wer_marks_apart: Rate


def score(truths: Sequence[str], readings: Sequence[str], resamples: int = 1000, seed: int = 0) -> Scores:
    """Compares readings with what is written.

    Args:
        truths, readings: texts of the same lines in the same order.
        resamples: bootstrap samples of the intervals.
        seed: of the bootstrap.

    Raises:
        ValueError: the two differ in number.
    """
    pairs = [(normalise(truth), normalise(reading)) for truth, reading in zip(truths, readings, strict=True)]
    picks = np.random.default_rng(seed).integers(0, len(pairs), (resamples, len(pairs))) if pairs else None

    def rate(split) -> Rate:
        edits = np.array([editdistance.eval(split(truth), split(reading)) for truth, reading in pairs], dtype=np.int64)
        totals = np.array([len(split(truth)) for truth, _ in pairs], dtype=np.int64)
        if not totals.sum():
            return Rate(float("nan"), float("nan"), float("nan"), int(edits.sum()), 0)
        drawn = 100 * edits[picks].sum(1) / np.maximum(totals[picks].sum(1), 1)
        low, high = np.percentile(drawn, [2.5, 97.5])
        return Rate(100 * edits.sum() / totals.sum(), float(low), float(high), int(edits.sum()), int(totals.sum()))

    return Scores(len(pairs), rate(list), rate(words), rate(words_and_marks))
