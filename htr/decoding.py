"""From CTC scores to text."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from htr.alphabet import BLANK, Alphabet


class Sign(NamedTuple):
    """A character of a reading.

    Attributes:
        text: the character.
        confidence: probability that the network gave it, 0 to 1.
        start, end: the columns that are its own: up to halfway to the peaks of its neighbours.
    """

    text: str
    confidence: float
    start: float
    end: float


class Reading(NamedTuple):
    """What a line says.

    Attributes:
        text: may begin or end with a space.
        confidence: 0 to 1: the mean over the characters; for an empty reading the mean probability of the blank.
        signs: the characters of the text.
    """

    text: str
    confidence: float
    signs: list[Sign]


def greedy(logits: Tensor, columns: Tensor, alphabet: Alphabet) -> list[Reading]:
    """Takes the best class of each column, merges repetitions and drops blanks.

    Args:
        logits: shape (batch, columns, classes).
        columns: how many columns of each line are picture and not padding, shape (batch,).
        alphabet: the characters.

    Returns:
        A reading of each line.
    """
    probabilities, classes = logits.float().softmax(-1).max(-1)
    readings = []
    for line_probabilities, line_classes, length in zip(probabilities.tolist(), classes.tolist(), columns.tolist()):
        written: list[int] = []
        confidence: list[float] = []
        peaks: list[tuple[int, int]] = []
        previous = BLANK
        for column, (index, probability) in enumerate(zip(line_classes[:length], line_probabilities[:length])):
            if index == previous and index != BLANK:
                confidence[-1] = max(confidence[-1], probability)
                peaks[-1] = peaks[-1][0], column + 1
            elif index != BLANK:
                written.append(index)
                confidence.append(probability)
                peaks.append((column, column + 1))
            previous = index
        text = alphabet.decode(written)
        middles = [(first + last) / 2 for first, last in peaks]
        edges = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), float(min(length, len(line_classes)))]
        signs = [Sign(*sign) for sign in zip(text, confidence, edges, edges[1:])]
        certain = confidence or line_probabilities[:length]
        readings.append(Reading(text, sum(certain) / max(len(certain), 1), signs))
    return readings
