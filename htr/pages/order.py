"""Reading order: columns one after the other, each from top to bottom; notes in the margin after their block."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from htr.pages.containers import Line, Region
from htr.pages.crop import size_of

_MARGIN = 0.45  # a column narrower than this share of its neighbour is a margin

_MOST = 0.6  # of the rows of a text, so many have a number, a date or a sum where that is no note

_ALONE = 3  # so many have a row for one above or below all rows

_ACROSS = 0.25  # a line runs across both columns if so much of it lies in each

_BESIDE = 0.5  # a line goes on the row of another if it begins no higher or lower by so much of its height

_UNDER = 0.1  # a line reaches under a note in the margin if so much of it does

_SUM = 8.0  # sums in several columns are narrower than so many small letters are high

_FOLD = 3.0  # the empty middle of a double page is wider than so many small letters are high

# Within this share of the picture's width from its middle, what parts a narrow side from a wide one is a fold all the same.
_CENTRAL = 0.1


class _Placed(NamedTuple):
    """A line with its extent once the page is level, in pixels; letter = height of the small letters."""

    line: Line
    printed: bool
    left: float
    right: float
    row: float
    letter: float


class _Block(NamedTuple):
    """Lines that are read one after the other.

    Attributes:
        lines: in reading order.
        note: whether they are a note in the margin.
        across: whether it runs across two columns, or stands with nothing beside it among lines that do: a line with the number,
            date or sum of its row, or several shorter ones.
    """

    lines: list[_Placed]
    note: bool = False
    across: bool = False


def arrange(
    lines: Sequence[Line], letters: Sequence[float], printed: Sequence[bool], size: tuple[int, int]
) -> tuple[Region, ...]:
    """Puts the lines of an upright page into regions in reading order.

    Args:
        lines: in any order.
        letters: height of the small letters of each, in pixels.
        printed: whether each is print.
        size: width and height of the picture.
    """
    if not lines:
        return ()
    turn = _levelling(lines)
    placed = []
    for line, letter, is_print in zip(lines, letters, printed):
        points = np.array(line.baseline) @ turn.T
        placed.append(_Placed(line, is_print, points[:, 0].min(), points[:, 0].max(), points[:, 1].mean(), letter))
    # Level lines are turned about a corner, and the picture's middle with them.
    fold = _find_fold(placed, float(turn[0] @ np.array(size) / 2), *size)
    sides = (
        [placed]
        if fold is None
        else [[line for line in placed if (line.left > fold) == right] for right in (False, True)]
    )
    return tuple(_regions([block for side in sides for block in _blocks(side)]))


def number_rows(lines: Sequence[Line]) -> list[int]:
    """Numbers the rows of a page from top to bottom; what stands beside each other is in one, as the entries of a register are.

    Args:
        lines: of the page, those that are turned as it is, in any order.

    Returns:
        The row of each line, from 1.
    """
    if not lines:
        return []
    turn = _levelling(lines)
    ends = [np.array([line.baseline[0], line.baseline[-1]]) @ turn.T for line in lines]
    lengths, heights = zip(*map(size_of, lines))
    rows: list[list[int]] = []
    for index in sorted(range(len(lines)), key=lambda index: ends[index][0, 0]):
        best, least = None, np.inf
        for row in rows:
            last = row[-1]
            height = heights[max(index, last, key=lengths.__getitem__)]
            down = abs(ends[index][0, 1] - np.mean([ends[other][1, 1] for other in row[-3:]]))
            if ends[index][0, 0] > ends[last][1, 0] - height / 2 and down < min(_BESIDE * height, least):
                best, least = row, down
        if best is None:
            rows.append([index])
        else:
            best.append(index)
    rows.sort(key=lambda row: float(np.mean([ends[index][:, 1].mean() for index in row])))
    return [number for _, number in sorted((index, number) for number, row in enumerate(rows, 1) for index in row)]


def _levelling(lines: Sequence[Line]) -> np.ndarray:
    """The matrix that turns lines level."""
    chords = np.array([np.subtract(line.baseline[-1], line.baseline[0]) for line in lines])
    angle = np.arctan2(*chords.sum(0)[::-1])
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _find_fold(lines: list[_Placed], centre: float, width: int, height: int) -> float | None:
    """Where a picture of two facing pages is empty from top to bottom, if it is one: each page is read by itself, however few lines
    it has, and however high they stand.
    """
    if width <= height:
        return None
    letter = float(np.median([line.letter for line in lines]))
    folds: list[tuple[float, float]] = []
    reached = np.inf
    for line in sorted(lines, key=lambda line: line.left):
        middle = (reached + line.left) / 2
        aside = abs(middle - centre)
        if line.left - reached > _FOLD * letter and aside < width / 6:
            sides = (
                [other for other in lines if other.right <= middle],
                [other for other in lines if other.left >= middle],
            )
            # A single page, photographed on a table, has its margin anywhere.
            margin = aside > _CENTRAL * width and (_is_note(*sides) or _is_note(*sides[::-1]))
            if not margin and not (_keep_rows(*sides) and _near_or_flush(*sides)):
                # One of two pages may have a margin that is wider than the fold.
                folds.append(((line.left - reached) * (1 - 6 * aside / width), middle))
        reached = line.right if reached == np.inf else max(reached, line.right)
    return max(folds)[1] if folds else None


def _blocks(lines: list[_Placed]) -> list[_Block]:
    """Blocks in reading order."""
    gutter = _find_gutter(lines)
    if gutter is None:
        return [_Block(_rows(lines))]
    blocks: list[_Block] = []
    left: list[_Placed] = []
    right: list[_Placed] = []

    def close() -> None:
        sides = [list(left), list(right)]
        left.clear()
        right.clear()
        if not all(sides):
            parts = [block for side in sides if side for block in _blocks(side)]
            # Between lines that run across both, a shorter line is no column.
            blocks.extend([parts[0]._replace(across=True)] if len(parts) == 1 else parts)
            return
        parted = [_blocks(side) for side in sides]
        notes = [_is_narrow(side, other) for side, other in zip(sides, sides[::-1])]
        # The margin comes last, on whichever side it is.
        for note, part in sorted(zip(notes, parted), key=lambda pair: pair[0]):
            blocks.extend(block._replace(note=note or block.note) for block in part)

    waiting = sorted(lines, key=lambda line: line.row)
    across = [line for line in waiting if _beyond(line, gutter) > _ACROSS]
    # What runs across both columns takes the number, date or sum of its row with it.
    columns = [line for line in waiting if line not in across]
    rows, taken = [], list(across)
    for line in across:
        beside = [other for other in columns if other not in taken and _is_beside(other, line)]
        rows.append([line, *(other for other in beside if _is_narrow([other], columns))])
        taken += rows[-1]
    for line in waiting:
        if line in across:
            # It parts what is above from what is below.
            close()
            blocks.append(_Block(_rows(rows[across.index(line)]), across=True))
        elif line not in taken:
            (left if line.left + line.right < 2 * gutter else right).append(line)
    close()
    return blocks


def _beyond(line: _Placed, x: float) -> float:
    """The share of a line that lies on the side of a column of pixels where less of it is; below 0 if it ends before."""
    return min(x - line.left, line.right - x) / (line.right - line.left)


def _width(lines: list[_Placed]) -> float:
    return max(line.right for line in lines) - min(line.left for line in lines)


def _find_gutter(lines: list[_Placed]) -> float | None:
    """The column of pixels that best parts two columns of lines, if any does."""
    best, best_score = None, 0.0
    letter = float(np.median([line.letter for line in lines]))
    edges = sorted({line.right for line in lines})
    for edge in edges:
        left = [line for line in lines if line.right <= edge]
        beyond = [line for line in lines if line.left > edge]
        if not (left and beyond):
            continue
        start = min(line.left for line in beyond)
        x = (edge + start) / 2
        top, bottom = _shared(left, beyond)
        # Only lines beside others make columns; a few lines that stop early do not.
        beside = min(sum(top <= line.row <= bottom for line in side) for side in (left, beyond))
        # Lines across both columns above and below them do not count, but two rows in pieces are no columns yet.
        across = [line for line in lines if line.left <= edge < line.right]
        crossing = sum(top <= line.row <= bottom for line in across) if beside > 2 else len(across)
        score = beside - crossing
        width = start - edge
        # A note counts as two rows beside two, where no line of the page reaches far under it, or between its rows.
        under = [line for line in across if top <= line.row <= bottom or _beyond(line, x) > _UNDER]
        if not under and (_is_note(left, beyond) or _is_note(beyond, left)):
            beside, score = 2, max(score, 1)
        # Longer lines on the left are on the rows of the others too, as long as they end before these.
        if _keep_rows([line for line in lines if line.left <= edge and line.right <= start], beyond):
            continue
        if beside >= 2 and width > 0.5 * letter and score > best_score:
            best, best_score = x, score
    return best


def _is_note(lines: list[_Placed], text: list[_Placed]) -> bool:
    """Whether lines, of which there may be one alone, are a note in the margin of the text beside them: narrow, and within its height
    not all on its rows, as a number or a date before a line would be. A page number may stand above or below.
    """
    top, bottom = _shared(lines, text)
    beside = [line for line in lines if top <= line.row <= bottom]
    return (
        len(text) > 2
        and _is_narrow(lines, text)
        and any(all(not _in_one_row(line, other) for other in text) for line in beside)
    )


def _is_narrow(lines: list[_Placed], text: list[_Placed]) -> bool:
    """Whether lines are narrow for text beside them, which may be in several columns."""
    return _width(lines) < _MARGIN * max(line.right - line.left for line in text)


def _is_beside(line: _Placed, text: _Placed) -> bool:
    """Whether a line stands in the row of another, before or behind it."""
    return (line.right <= text.left or line.left >= text.right) and _in_one_row(line, text)


def _keep_rows(left: list[_Placed], right: list[_Placed]) -> bool:
    """Whether two sides are read row by row, as one has the numbers, dates or sums of the other."""
    return _are_labels(left, right) or _are_labels(right, left)


def _near_or_flush(left: list[_Placed], right: list[_Placed]) -> bool:
    """Whether numbers or dates stand near the lines to their right, or sums end flush or near: short lines of a facing page do not,
    nor do its columns."""
    if not (_is_narrow(left, right) or _is_narrow(right, left)):
        return False
    letter = float(np.median([line.letter for line in left + right]))
    gap = min(line.left for line in right) - max(line.right for line in left)
    if gap < (12 if _are_labels(left, right) else 8) * letter:
        return True
    ends, starts = np.std([line.right for line in right]), np.std([line.left for line in right])
    return _are_labels(right, left) and bool(ends <= starts + letter / 4)


def _are_labels(lines: list[_Placed], text: list[_Placed]) -> bool:
    """Whether narrow lines beside others are the numbers, dates or sums of their rows: each is on one, and they are on most, or mostly
    on single ones. A note that happens to keep the rows of the text is on a few that follow each other. Above the first row and below
    the last, a few may stand alone: a year, a heading, a total; between them only where most rows have one: a subtotal.
    """
    # Pounds, shillings and pence are several columns, each of which is narrow, and short.
    short = max((line.right - line.left) / line.letter for line in lines) < _SUM
    if not (_is_narrow(lines, text) or (short and all(_is_narrow([line], text) for line in lines))):
        return False
    rows = sorted(text, key=lambda line: line.row)
    of_lines = [[index for index, row in enumerate(rows) if _in_one_row(line, row)] for line in lines]
    owners = [owner for owner in of_lines if owner]
    alone = [line for line, owner in zip(lines, of_lines) if not owner]
    on = sorted({owner[0] for owner in owners})
    most = len(on) >= _MOST * len(rows)
    if _ALONE * len(alone) > len(owners) or (not most and any(rows[0].row < line.row < rows[-1].row for line in alone)):
        return False
    runs = 1 + sum(later - earlier > 1 for earlier, later in pairwise(on))
    return most or len(on) < 2 * runs


def _in_one_row(line: _Placed, other: _Placed) -> bool:
    """By the letters of the longer one: those of a single figure are not surely known."""
    longer = max(line, other, key=lambda line: line.right - line.left)
    return abs(line.row - other.row) < 0.7 * longer.letter


def _shared(left: list[_Placed], right: list[_Placed]) -> tuple[float, float]:
    """The rows of pixels from and to which two sides have lines, give or take a line's height."""
    letter = float(np.median([line.letter for line in left + right]))
    top = max(min(line.row for line in side) for side in (left, right))
    bottom = min(max(line.row for line in side) for side in (left, right))
    return top - letter, bottom + letter


def _rows(lines: list[_Placed]) -> list[_Placed]:
    """From top to bottom; pieces in one row from left to right."""
    rows: list[list[_Placed]] = []
    for line in sorted(lines, key=lambda line: line.row):
        if rows:
            last = rows[-1][-1]
            apart = line.left >= last.right or line.right <= last.left
            if apart and _in_one_row(line, last):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.left)]


def _regions(blocks: list[_Block]) -> list[Region]:
    """Blocks as regions: print apart from writing, and what goes on without a break together."""
    regions: list[tuple[str, list[Line]]] = []
    after_across = False
    for block in blocks:
        for index, line in enumerate(block.lines):
            kind = "print" if line.printed else "margin" if block.note else "text"
            # Lines across two columns join each other, but no column joins another.
            goes_on = index > 0 or (block.across and after_across)
            if regions and regions[-1][0] == kind and goes_on:
                regions[-1][1].append(line.line)
            else:
                regions.append((kind, [line.line]))
        after_across = block.across
    return [Region(kind, tuple(lines)) for kind, lines in regions]
