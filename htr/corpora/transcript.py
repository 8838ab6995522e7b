"""The plain text of a page laid beside the lines that were found on it, by minimal edit cost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

from htr.alphabet import normalise

MOST_EDITS = 0.6
"""Edits by characters from which on a line and its text are doubtful: texts that have nothing in common differ in three
quarters of their characters or more."""

# The line breaks of the text are kept unless they cost so many times the edits, and surely those of the page up to so many times.
_BETTER, _AS_GOOD = 1.2, 1.05

# How much better the text of a line must fit than any other line's.
_CLEARLY = 0.1

# Where a line may end, about the place that the alignment of the whole text gives, in characters; and how much is compared.
_REACH, _COMPARED = 25, 20

# Of the words at the ends of a line, which tell whether it was parted rightly.
_MOST_END_EDITS = 0.67

# A line of a hand that is hard to read, to which its own text and those around it fell in their order though that was not asked for:
# edits from which on it is doubtful all the same, how many times as long as the other its text or its reading may be (those of lines
# that were found as one are twice), and lines of a page below which order tells little.
_MOST_IN_ORDER, _AS_LONG, _FEWEST = 0.75, 1.5, 4

# Words that nobody wrote on a line are looked for, up to so many, at either end; what share of their characters they alone cost as
# edits; and below how many edits the others are read well.
_WORDS_MORE, _ALL_OF_IT, _READ_WELL = 3, 0.9, 0.3

# What editors write where a line ends, and how they number lines; what share of the lines has such at least; and what share of it, in
# characters, is to be spared as edits if nobody wrote it.
_BREAKS = "/", "|", "//", "||"
_NUMBERS = (
    re.compile(r"^[(\[]?(?P<number>\d{1,3})[)\].:]{0,2}(?:\s+(?=\S)|$)"),
    re.compile(r"(?:(?<=\S)\s+|^)[(\[]?(?P<number>\d{1,3})[)\]]?$"),
)
_MOSTLY, _SPARED = 0.7, 0.5

# Punctuation read apart from the first or the last word.
_MARKS_APART = re.compile(r"^([^\w\s]+)\s+|\s+([^\w\s]+)$")


class Match(NamedTuple):
    """The text of a found line.

    Attributes:
        text: empty if none was left for it.
        edits: between it and what was read, by characters of the longer of both; 1 where there is no text.
        sure: whether it can be learnt from.
    """

    text: str
    edits: float
    sure: bool


def match_lines(readings: Sequence[str], text: str) -> list[Match]:
    """Parts the text of a page among the lines that were found there.

    The text may be broken into lines as the page is, in the page's order or in another one, or flow on. Of hands that are read badly,
    lines whose texts come in the page's order are sure with more edits than others.

    Args:
        readings: of the found lines, in reading order, with errors.
        text: what stands on the page. Marks that an editor gave the ends of lines (`/` or `|`), and numbers of lines, are taken out.

    Returns:
        A match for each line.
    """
    readings = [normalise(reading) for reading in readings]
    lines = as_written(readings, text)
    if not lines or not readings:
        return [Match("", 1.0, False)] * len(readings)
    flowing = _parted(readings, " ".join(lines))
    rows = _assigned(readings, lines)
    broken = ["" if row is None else lines[row] for row in rows]
    # Parted anew, a text gives to each line what fits it best, also to a line that is not in the text.
    cost, other_cost = _cost(readings, broken), _cost(readings, flowing)
    best = broken if cost <= _BETTER * other_cost else flowing
    of_page = cost <= _AS_GOOD * other_cost
    matches = [_match(reading, text) for reading, text in zip(readings, best)]
    return [
        match._replace(
            sure=(match.sure and _clear(index, readings, best))
            or (of_page and _in_order(rows, index, len(lines)) and _may_be(readings[index], match))
        )
        for index, match in enumerate(matches)
    ]


def as_written(readings: Sequence[str], text: str) -> list[str]:
    """The lines of a text without what stands in the edition alone: numbers of lines, and marks for their ends, which the readings of
    these lines show nothing of."""
    lines = [line for line in map(normalise, text.splitlines()) if line]
    for editor in (
        *(partial(_with_marks, mark, len(readings)) for mark in _BREAKS),
        *(partial(_with_numbers, kind) for kind in _NUMBERS),
    ):
        rows = editor(lines) if readings and lines else []
        if not rows:
            continue
        places = _assigned(readings, [bare for _, bare in rows])
        found = [(reading, rows[place]) for reading, place in zip(readings, places) if place is not None]
        added = sum(len(row) - len(bare) for _, (row, bare) in found)
        spared = sum(
            Levenshtein.distance(reading, row) - Levenshtein.distance(reading, bare) for reading, (row, bare) in found
        )
        if spared > _SPARED * added:
            lines = [bare for _, bare in rows if bare]
    return lines


def _with_marks(mark: str, count: int, lines: list[str]) -> list[tuple[str, str]]:
    """The lines of a text whose ends an editor may have marked, with the mark and without; none where he has not.

    `count`: of found lines.
    """
    if 2 * len(lines) < count:  # it flows on
        parts = re.split(rf"(?<!\S){re.escape(mark)}(?!\S)", " ".join(lines))
        lines = [f"{part.strip()} {mark}".strip() for part in parts]
        marked = len(lines) - 1
        fewest = _MOSTLY * (count - 1)
    else:
        marked = sum(line.split()[-1] == mark for line in lines)
        fewest = _MOSTLY * (len(lines) - 1)
    if marked < max(_FEWEST - 1, fewest):
        return []
    return [(line, line.removesuffix(mark).strip() if line.split()[-1] == mark else line) for line in lines]


def _with_numbers(number: re.Pattern[str], lines: list[str]) -> list[tuple[str, str]]:
    """The same of lines that he may have counted, each or some, such as every fifth."""
    found = [number.search(line) for line in lines]
    counted = {row: int(match["number"]) for row, match in enumerate(found) if match}
    if not counted:
        return []
    ((first, fitting),) = Counter(value - row for row, value in counted.items()).most_common(1)
    if fitting < max(_FEWEST - 1, _MOSTLY * len(counted)):
        return []
    return [
        (line, normalise(number.sub("", line)) if counted.get(row) == row + first else line)
        for row, line in enumerate(lines)
    ]


def _cost(readings: Sequence[str], texts: Sequence[str]) -> int:
    return sum(Levenshtein.distance(reading, text) for reading, text in zip(readings, texts))


def _share(first: str, second: str) -> float:
    return Levenshtein.normalized_distance(first, second) if first or second else 1.0


def _match(reading: str, text: str) -> Match:
    edits = _share(reading, text) if text else 1.0
    return Match(text, edits, edits < MOST_EDITS and _ends_fit(reading, text))


def _ends_fit(reading: str, text: str) -> bool:
    """Whether first and last words go together; those of a line that was parted wrongly do not."""
    read, true = (_MARKS_APART.sub(r"\1\2", line).split() for line in (reading, text))
    return bool(read and true) and all(_share(read[end], true[end]) <= _MOST_END_EDITS for end in (0, -1))


def _clear(index: int, readings: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether a line's text fits it clearly better than those of other lines do."""
    own = _share(readings[index], texts[index])
    return all(
        _share(readings[index], other) > own + _CLEARLY
        for number, other in enumerate(texts)
        if number != index and other != texts[index] and other
    )


def _assigned(readings: Sequence[str], lines: Sequence[str]) -> list[int | None]:
    """Which of the lines of a text, in any order, each reading is of."""
    costs = np.array([[Levenshtein.distance(reading, line) for line in lines] for reading in readings])
    rows: list[int | None] = [None] * len(readings)
    for reading, line in zip(*linear_sum_assignment(costs)):
        rows[reading] = int(line)
    return rows


def _in_order(rows: Sequence[int | None], index: int, count: int) -> bool:
    """Whether a reading's line of text stands between those of its neighbours; `count`: lines of the text."""
    around = [-1, *rows, count][index : index + 3 : 2]
    row = rows[index]
    return len(rows) >= _FEWEST and row is not None and around == [row - 1, row + 1]


def _may_be(reading: str, match: Match) -> bool:
    """Whether nothing in a line speaks against a text that stands in its place."""
    shorter, longer = sorted((len(reading), len(match.text)))
    return match.edits < _MOST_IN_ORDER and longer <= _AS_LONG * shorter and not _has_more(reading, match.text)


def _has_more(reading: str, text: str) -> bool:
    """Whether a text has words before or after those of a line that is read well, such as a number that an editor gave it."""
    words, edits = text.split(), Levenshtein.distance(reading, text)
    for count in range(1, min(_WORDS_MORE, len(words) - 1) + 1):
        for rest in (" ".join(words[count:]), " ".join(words[:-count])):
            # Of a word that was read, however wrongly, the reading would keep the letters.
            spared = edits - Levenshtein.distance(reading, rest)
            if spared >= _ALL_OF_IT * (len(text) - len(rest)) and _share(reading, rest) < _READ_WELL:
                return True
    return False


def _parted(readings: Sequence[str], text: str) -> list[str]:
    """The text in pieces that follow the lines, parted at spaces, behind hyphens, and within words where a line ends in one."""
    read = " ".join(readings)
    steps = Levenshtein.opcodes(read, text)
    # For each place in what was read, the one in the text.
    places = np.zeros(len(read) + 1, int)
    for step in steps:
        count = step.src_end - step.src_start
        places[step.src_start : step.src_end + 1] = np.linspace(step.dest_start, step.dest_end, count + 1).round()
    texts, start, end = [], 0, -1
    for reading, following in zip(readings, [*readings[1:], None]):
        end += len(reading) + 1
        if following is None:
            texts.append(text[start:].strip())
            break
        place = int(places[min(end, len(read))])
        near = range(max(start, place - _REACH), min(place + _REACH, len(text)) + 1)
        # A word that is broken at the end of a line mostly is not in the text. Old hands break with two strokes.
        broken = reading.endswith(("-", "="))
        splits = [
            at
            for at in near
            # At its end, where the lines that follow are not in the text.
            if at == len(text)
            or text[at] == " "
            or (at > start and (text[at - 1] == "-" or (broken and text[at - 1 : at + 1].isalpha())))
        ]
        if not splits:
            texts.append("")
            continue
        split = min(splits, key=lambda at: _misfit(reading, following, *_halves(text, start, at)))
        texts.append(_halves(text, start, split)[0])
        start = split + (text[split : split + 1] == " ")
    return texts


def _halves(text: str, start: int, split: int) -> tuple[str, str]:
    """What stands before a place where the text is parted, with a hyphen if that is within a word that has none there, and what
    after it."""
    hyphen = "" if text[split : split + 1] in ("", " ") or text[split - 1] == "-" else "-"
    return text[start:split].strip() + hyphen, text[split:].strip()


def _misfit(before: str, after: str, left: str, right: str) -> int:
    """Edits about a place where the text could be parted."""
    return Levenshtein.distance(before[-_COMPARED:], left[-_COMPARED:]) + Levenshtein.distance(
        after[:_COMPARED], right[:_COMPARED]
    )
