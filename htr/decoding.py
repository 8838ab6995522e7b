"""From CTC scores to text."""

from __future__ import annotations

from torch import Tensor

from htr.alphabet import BLANK, Alphabet


def greedy(logits: Tensor, columns: Tensor, alphabet: Alphabet) -> list[tuple[str, float]]:
    """Takes the best class of each column, merges repetitions and drops blanks.

    Args:
        logits: shape (batch, columns, classes).
        columns: how many columns of each line are picture and not padding, shape (batch,).
        alphabet: the characters.

    Returns:
        For each line its text and a confidence between 0 and 1: the mean, over its characters, of the probability
        that the network gave them; for an empty reading the mean probability of the blank.
    """
    probabilities, classes = logits.float().softmax(-1).max(-1)
    readings = []
    for line_probabilities, line_classes, length in zip(probabilities.tolist(), classes.tolist(), columns.tolist()):
        written: list[int] = []
        confidence: list[float] = []
        previous = BLANK
        for index, probability in zip(line_classes[:length], line_probabilities[:length]):
            if index == previous and index != BLANK:
                confidence[-1] = max(confidence[-1], probability)
            elif index != BLANK:
                written.append(index)
                confidence.append(probability)
            previous = index
        if not written:
            confidence = line_probabilities[:length]
        readings.append((alphabet.decode(written), sum(confidence) / max(len(confidence), 1)))
    return readings
