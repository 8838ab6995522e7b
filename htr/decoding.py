"""From CTC scores to text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax
from torch import Tensor

from htr.alphabet import BLANK, Alphabet
from htr.errors import InputError
from htr.language import LanguageModel

WEIGHT, BONUS = 0.7, 1.4
"""Of the language in `beam_search`; chosen on the validation lines of IAM and the other collections."""

TEMPERATURE = 1.3
"""By which scores are divided before they are taken for probabilities: networks are surer than they should be. Guo et al., "On
Calibration of Modern Neural Networks" (2017), https://arxiv.org/abs/1706.04599. Chosen on validation lines of five collections: what
characters are said to be right greedily and what share of them is right differed by 0.8 points on average (with 1.0: 2.4), and with
language there were 9.06 % character errors (9.38), with weights of then; with 4900af81, on every second line, 5.14 % (5.37; with 1.6,
5.17)."""


class Width(NamedTuple):
    """What a search keeps, and what it drops.

    Attributes:
        least: classes less likely than this in a column are dropped,
        classes: all but the likeliest few (more are there only where the network does not know its way),
        texts: all but so many texts,
        behind: and those whose logarithm is so far below that of the best.
    """

    least: float
    classes: int
    texts: int
    behind: float


# Of hands that are hard to read, the right text is often far down the list; to tell a language, less will do.
_WIDE, _NARROW = Width(3e-3, 16, 100, 8.0), Width(1e-2, 8, 24, 6.0)

# Share of the lines of one text that are taken to be in another language than most; chosen on validation lines in hands that the
# weights had not learnt.
_OTHER = 0.001


class Sign(NamedTuple):
    """A character of a reading.

    Attributes:
        text: the character.
        confidence: probability that the network gave it (see `TEMPERATURE`), 0 to 1.
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


class Peak(NamedTuple):
    """The columns `start` to `end` - 1 in which CTC writes one character, and its highest probability there."""

    start: int
    end: int
    confidence: float


def probabilities_of(logits: Tensor, columns: Tensor) -> list[np.ndarray]:
    """How likely each class is in each column of some lines.

    Args:
        logits: shape (batch, columns, classes).
        columns: how many columns of each line are picture and not padding, shape (batch,).

    Returns:
        Of each line without its padding, shape (columns, classes).
    """
    probabilities = (logits.detach().float() / TEMPERATURE).softmax(-1).cpu().numpy()
    return [line[:length] for line, length in zip(probabilities, columns.tolist())]


def greedy(lines: Sequence[np.ndarray], alphabet: Alphabet) -> list[Reading]:
    """Takes the best class of each column, merges repetitions and drops blanks.

    Args:
        lines: what `probabilities_of` gives.
        alphabet: the characters.

    Returns:
        A reading of each line.
    """
    readings = []
    for probabilities in lines:
        classes = probabilities.argmax(1)
        peaks = _peaks(classes, probabilities)
        text = alphabet.decode(classes[peak.start] for peak in peaks)
        readings.append(_reading(text, peaks, probabilities))
    return readings


def beam_search(
    lines: Sequence[np.ndarray],
    alphabet: Alphabet,
    languages: Sequence[LanguageModel],
    weight: float = WEIGHT,
    bonus: float = BONUS,
) -> list[Reading]:
    """Finds the texts that are most likely to the network and the model of a language together.

    CTC prefix beam search: Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
    Recurrent DNNs" (2014), https://arxiv.org/abs/1408.2873, with a model of characters in place of one of words. Own code,
    as no library that takes such a model installs on all Pythons and systems that htr runs on.

    Args:
        lines: what `probabilities_of` gives, of lines that belong together, so that most of them are in one language.
        alphabet: the characters.
        languages: one at least; a narrow search in each of several tells in which of them a line is (see `choose_languages`).
        weight: of the language's log probability of a character, beside the network's.
        bonus: added to it, since without one it favours short texts.

    Returns:
        A reading of each line; the confidences are the network's alone.
    """

    def search(line: np.ndarray, language: LanguageModel, width: Width) -> tuple[str, float]:
        return _search(line, alphabet, language, weight, bonus, width)

    chosen = [languages[0]] * len(lines)
    if len(languages) > 1:
        scores = [[search(line, language, _NARROW)[1] for language in languages] for line in lines]
        chosen = [languages[index] for index in choose_languages(scores)]
    readings = []
    for line, language in zip(lines, chosen):
        text, _ = search(line, language, _WIDE)
        readings.append(_reading(text, align(line, alphabet.encode(text)), line))
    return readings


def choose_languages(scores: Sequence[Sequence[float]]) -> list[int]:
    """Chooses a language for each of some lines that belong together, most of which are in one and the same.

    In which one, the others tell: in a hand that is hard to read, single lines often look more like another language. A line that
    is clearly in another is left in it.

    Args:
        scores: of each line in each of two or more languages, in nats, as the search compares texts.

    Returns:
        The index of a language for each line.
    """
    if not scores:
        return []
    of_lines = np.array(scores)
    languages = of_lines.shape[1]
    # Rows: the main language; columns: that of a line.
    shares = np.full((languages, languages), _OTHER / (languages - 1))
    np.fill_diagonal(shares, 1 - _OTHER)
    of_each = logsumexp(of_lines[:, None] + np.log(shares), axis=2)
    of_others = of_each.sum(0) - of_each
    return (of_lines + np.log(softmax(of_others, axis=1) @ shares)).argmax(1).tolist()


def align(probabilities: np.ndarray, classes: list[int]) -> list[Peak]:
    """Finds where in a line the characters of a known text stand: the most likely CTC path that writes it (Viterbi).

    Args:
        probabilities: of the classes in each column, shape (columns, classes).
        classes: of the text's characters.

    Returns:
        A peak of each character, in order; they do not overlap.

    Raises:
        InputError: the line has too few columns for the text.
    """
    needed = columns_needed(classes)
    if len(probabilities) < needed:
        raise InputError(
            f"a text of {len(classes)} characters needs {needed} columns and the picture has {len(probabilities)}; "
            "check that the text belongs to the picture"
        )
    # The path goes through the states blank, first character, blank, second character, ..., blank.
    states = np.full(2 * len(classes) + 1, BLANK)
    states[1::2] = classes
    # A blank may be left out between two different characters.
    may_skip = np.zeros(len(states), bool)
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    scores = np.log(np.maximum(probabilities[:, states], np.finfo(np.float32).tiny))
    best = np.full(len(states), -np.inf)
    best[0] = 0.0
    steps = np.zeros(scores.shape, np.int8)
    reached = np.full((3, len(states)), -np.inf)
    for column, score in enumerate(scores):
        reached[0] = best
        reached[1, 1:] = best[:-1]
        reached[2, 2:] = np.where(may_skip[2:], best[:-2], -np.inf)
        steps[column] = reached.argmax(0)
        best = reached.max(0) + score
    # `best[0] = 0` before the first column lets a path begin in the first blank or the first character.
    state = len(states) - min(len(states), 2) + int(best[-2:].argmax())
    path = np.zeros(len(scores), int)
    for column in range(len(scores) - 1, -1, -1):
        path[column] = state
        state -= int(steps[column, state])
    # States differ where characters do, so runs of a state are the characters, also of a doubled one.
    peaks = []
    for index, character in enumerate(classes):
        start, end = np.searchsorted(path, [2 * index + 1, 2 * index + 2])
        peaks.append(Peak(int(start), int(end), float(probabilities[start:end, character].max())))
    return peaks


def columns_needed(text: Sequence[object]) -> int:
    """Columns that CTC needs to write a text: one for each character, and a blank between two that are alike."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def _peaks(classes: np.ndarray, probabilities: np.ndarray) -> list[Peak]:
    """The runs of a CTC path that are not blank."""
    edges = [0, *(np.flatnonzero(np.diff(classes)) + 1).tolist(), len(classes)]
    return [
        Peak(start, end, float(probabilities[start:end, classes[start]].max()))
        for start, end in pairwise(edges)
        if start < end and classes[start] != BLANK
    ]


def _reading(text: str, peaks: list[Peak], probabilities: np.ndarray) -> Reading:
    middles = [(peak.start + peak.end) / 2 for peak in peaks]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), float(len(probabilities))]
    signs = [Sign(character, peak.confidence, *edge) for character, peak, edge in zip(text, peaks, pairwise(edges))]
    certain = [peak.confidence for peak in peaks] or probabilities[:, BLANK].tolist()
    return Reading(text, sum(certain) / max(len(certain), 1), signs)


def _search(
    probabilities: np.ndarray, alphabet: Alphabet, language: LanguageModel, weight: float, bonus: float, width: Width
) -> tuple[str, float]:
    """The best text, and its score in nats: that of the network, and what the language adds to it."""
    texts, common = {"": _Paths(1.0, 0.0, 0.0)}, 0.0
    for column in probabilities:
        likely = np.argsort(column)[-width.classes :]
        likely = likely[column[likely] >= min(width.least, column.max())]
        characters = [(alphabet.characters[index - 1], float(column[index])) for index in likely if index != BLANK]
        numbers = {character: language.number(character) for character, _ in characters}
        blank = float(column[BLANK])
        if not characters:
            common += math.log(blank)
            for paths in texts.values():
                paths.blank, paths.character = paths.blank + paths.character, 0.0
            continue
        grown: dict[str, _Paths] = {}
        floor = _best_unchanged(texts, blank, dict(characters)) - width.behind
        for text, paths in texts.items():
            both = paths.blank + paths.character
            # A longer text that is less likely than this, however well the language foretells it, would be dropped.
            needed = math.exp(min(floor - paths.language - bonus, 1.0))
            if text not in grown:
                grown[text] = _Paths(0.0, 0.0, paths.language)
            grown[text].blank += both * blank
            foretold = None
            for character, probability in characters:
                arriving = both * probability
                if text.endswith(character):
                    # The same character again is the same text, unless a blank stood between.
                    grown[text].character += paths.character * probability
                    arriving = paths.blank * probability
                if arriving < needed:
                    continue
                longer = text + character
                if longer not in grown:
                    if foretold is None:
                        foretold = language.scores(" " + text)
                    score = foretold.item(numbers[character])
                    grown[longer] = _Paths(0.0, 0.0, paths.language + weight * score + bonus)
                grown[longer].character += arriving
        texts = _best(grown, width)
        # Probabilities of long lines would vanish: what all texts have in common is taken out.
        first = next(iter(texts.values()))
        total = first.blank + first.character
        common += math.log(total)
        for paths in texts.values():
            paths.blank /= total
            paths.character /= total
    text, paths = next(iter(texts.items()))
    return text, common + math.log(paths.blank + paths.character) + paths.language


@dataclass(slots=True)
class _Paths:
    """All CTC paths that write a text: probability of those that end with a blank, of those that end with the text's last
    character, and what the language adds to the logarithm of both."""

    blank: float
    character: float
    language: float


def _best_unchanged(texts: dict[str, _Paths], blank: float, characters: dict[str, float]) -> float:
    """The highest logarithm of the probability of those texts that a column leaves as they are."""
    scores = [-math.inf]
    for text, paths in texts.items():
        stays = (paths.blank + paths.character) * blank + paths.character * characters.get(text[-1:], 0.0)
        if stays > 0:
            scores.append(math.log(stays) + paths.language)
    return max(scores)


def _best(texts: dict[str, _Paths], width: Width) -> dict[str, _Paths]:
    """The texts to go on with, best first."""
    scores = {
        text: math.log(paths.blank + paths.character) + paths.language
        for text, paths in texts.items()
        if paths.blank + paths.character > 0
    }
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)[: width.texts]
    return {text: texts[text] for text in ranked if scores[text] >= scores[ranked[0]] - width.behind}
