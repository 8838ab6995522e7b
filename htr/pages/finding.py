"""Finding what is to be read on a page, with the help of a recogniser where looking alone does not tell.

Which way up it lies, which lines are of the other side of the sheet, and which run up or down the margin or stand upside
down above or below the others, shows in how surely they are read: one way, and another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import chain

import cv2
import numpy as np

from htr.messages import counted
from htr.pages.containers import Line, Page, Point, Region
from htr.pages.crop import LONGEST_SIDE, crop_line, moved, size_of, turn
from htr.pages.ink import ink_depths
from htr.pages.lines import Found, LineFinder, moved_line

Sure = Callable[[Sequence[np.ndarray]], Sequence[float]]
"""How surely pictures of lines are read, 0 to 1; 0 where nothing is."""

Cut = Callable[[Line], np.ndarray]
"""The picture of a line of the page, cut out."""

# How many lines are read both ways up to tell which is right, and how much of each, in line heights.
_PROBES, _PROBE_LENGTH = 6, 4

# Lines whose ink is lighter than so much of the darkest lines' may show through from the other side, where there are so many.
_FAINT, _FEW = 0.6, 3

_TURNED = 0.6  # a line that is turned against the page is read as surely as that, at least; what is none mostly is not

# So many lines at either end of a page, and so many line heights of each, show whether some stand upside down there: what is read
# less surely than so, and more surely upside down by so much.
_OUTERMOST, _OUTERMOST_LENGTH, _DOUBTFUL, _GAIN = 2, 8, 0.9, 0.05

_LONGEST_NUMBER = 6  # line heights that the number of a page is long, at most

_GRID = 600  # pixels in which it is fine enough to see whether lines overlap


def find_page(picture: np.ndarray, finder: LineFinder, sure: Sure, upright: bool) -> Page:
    """Finds the lines of a page and their order.

    Args:
        picture: shape (height, width), uint8, 0 = black; also white on black, sideways or upside down.
        finder: looks for lines.
        sure: tells of pictures of lines how surely they are read.
        upright: whether it is taken for granted that nothing stands upside down.
    """
    cut = cache(partial(crop_line, picture))
    found = _best_read(finder.find_ways(picture), cut, sure)
    skew = finder.find_skew(picture) if found.skew is None else found.skew
    if skew and np.hypot(*picture.shape) < LONGEST_SIDE:
        level, matrix = turn(picture, -skew)
        cut_level = cache(partial(crop_line, level))
        found_level = _best_read(finder.find_ways(level), cut_level, sure)
        if found_level.length > found.length:
            page = _completed(level, found_level, finder, cut_level, sure, upright)
            return _as_it_lay(picture, page, matrix, skew)
    return _completed(picture, found, finder, cut, sure, upright)


def _completed(picture: np.ndarray, found: Found, finder: LineFinder, cut: Cut, sure: Sure, upright: bool) -> Page:
    """The page the right way up, without what shows through, and with the lines that are turned against it."""
    if not upright and _is_inverted(found, cut, sure):
        inverted = finder.find(picture, (2 + found.quarters) % 4)
        found = inverted if inverted.written else found  # specks have no right way up
    behind = _other_side(picture, found.written, cut, sure)
    if behind:
        note = f"{counted(len(behind), 'line')} of the other side, whose ink shows through, left out"
        found = replace(found.without(behind), notes=(*found.notes, note))
    ways = list(finder.find_sideways(picture, found))
    if not upright:
        for some in _inverted(found, cut, sure):
            lines = finder.find_inverted(picture, found, some)
            ways.append([line for line in lines if any(_overlap(line, each) for each in some)])
    return _with_turned(found, ways, cut, sure)


def _is_inverted(found: Found, cut: Cut, sure: Sure) -> bool:
    """Whether the longest lines read better upside down, each counting by its length."""
    longest, parts = _probes(found, cut)
    return bool(np.dot(_gains(parts, sure, _upside_down), [line.chord for line in longest]) > 0)


def _best_read(ways: Sequence[Found], cut: Cut, sure: Sure) -> Found:
    """The way of looking at a page whose lines are read most surely, be it upside down."""

    def how_sure(found: Found) -> float:
        _, parts = _probes(found, cut)
        either = np.maximum(sure(parts), sure([_upside_down(part) for part in parts]))
        return float(either.mean()) if len(parts) else 0.0

    return max(ways, key=how_sure) if len(ways) > 1 else ways[0]


def _as_it_lay(picture: np.ndarray, page: Page, matrix: np.ndarray, skew: int) -> Page:
    """The page of this picture, found on that which this matrix moves it to, turned back by so many degrees."""
    back = cv2.invertAffineTransform(matrix)

    def move(points: tuple[Point, ...]) -> list[Point]:
        return moved(back, np.array(points)).tolist()

    regions = tuple(
        replace(region, lines=tuple(moved_line(line, move, picture.shape) for line in region.lines))
        for region in page.regions
    )
    height, width = picture.shape
    return replace(page, width=width, height=height, regions=regions, turn=round((page.turn - skew) / 90) * 90 % 360)


def _probes(found: Found, cut: Cut) -> tuple[list[Line], list[np.ndarray]]:
    """The longest lines, and pictures of their middle parts; lines that the picture's edge cuts off only where there are no others."""
    sideways = found.quarters % 2
    whole = [
        line for line in found.written if line.box[1 - sideways] > 0 and line.box[3 - sideways] < found.shape[sideways]
    ]
    longest = sorted(whole or found.written, key=lambda line: line.chord)[-_PROBES:]
    return longest, [_middle(cut(line), _PROBE_LENGTH) for line in longest]


def _middle(picture: np.ndarray, length: int) -> np.ndarray:
    """The middle of a line's picture, as many line heights long."""
    middle, half = picture.shape[1] // 2, round(length / 2 * picture.shape[0])
    return picture[:, max(middle - half, 0) : middle + half]


def _other_side(picture: np.ndarray, lines: Sequence[Line], cut: Cut, sure: Sure) -> set[Line]:
    """The lines of the other side of the sheet, whose ink shows through: fainter than the rest, and read better mirrored."""
    depths = ink_depths(picture, [line.polygon for line in lines])
    bound = _FAINT * np.quantile(depths or [0.0], 0.9)
    faint = [line for line, depth in zip(lines, depths) if depth < bound]
    if len(faint) < _FEW:
        return set()
    gains = _gains([cut(line) for line in faint], sure, np.fliplr)
    # Of a hard hand, a line or two may seem to.
    return {line for line, gain in zip(faint, gains) if gain > 0} if gains.mean() > 0 else set()


def _inverted(found: Found, cut: Cut, sure: Sure) -> list[list[Line]]:
    """The first lines of a page and its last ones, down to the innermost of them that reads better upside down: who had filled a page
    turned it, and wrote on above the first line."""
    outlines = [outline for outline in found.outlines if not outline.printed]
    baselines = [np.array(outline.upright.baseline) for outline in outlines]
    right, down = np.sum([points[-1] - points[0] for points in baselines], axis=0) if baselines else (0, 0)
    rows = [float(points.mean(0) @ (-down, right)) for points in baselines]
    lines = [outlines[index].line for index in np.argsort(rows)]
    ends = []
    for inwards in (lines, lines[::-1]):
        better: list[bool] = []
        while any(more := _read_better_inverted(inwards[len(better) :][:_OUTERMOST], cut, sure)):
            better += more
        inverted = [line for line, each in zip(inwards, better) if each]
        # The number of a page may read as well upside down: 1000, 16, 1961.
        if any(length > _LONGEST_NUMBER * height for length, height in map(size_of, inverted)):
            ends.append(inwards[: inwards.index(inverted[-1]) + 1])
    # Where all of them read so, nothing tells them from a page that is hard to read.
    return [end for end in ends if len(end) < len(lines)]


def _read_better_inverted(lines: Sequence[Line], cut: Cut, sure: Sure) -> list[bool]:
    """Of each line, whether it is read in doubt, and more surely upside down."""
    parts = [_middle(cut(line), _OUTERMOST_LENGTH) for line in lines]
    return [gain > _GAIN for gain in _gains(parts, sure, _upside_down, _DOUBTFUL)]


def _with_turned(found: Found, ways: Sequence[Sequence[Line]], cut: Cut, sure: Sure) -> Page:
    """The page with the lines that are turned against it and read so surely that they are no mistake, each way in a region of its own,
    and without what was taken for lines in their place."""
    # Two ways of looking may find the very same line.
    ways = [[line for line in way if line not in chain(*ways[:number])] for number, way in enumerate(ways)]
    lines = [*chain(*ways)]
    beneath = {line: [piece for piece in found.written if _overlap(piece, line)] for line in lines}
    pieces = list(dict.fromkeys(chain(*beneath.values())))
    how_sure = dict(zip(lines + pieces, sure([cut(line) for line in lines + pieces])))
    chosen: list[Line] = []
    for line in sorted(lines, key=lambda line: -how_sure[line]):
        below = [how_sure[piece] for piece in beneath[line]]
        if how_sure[line] > max(_TURNED, float(np.mean(below or 0))) and not any(
            _overlap(line, each) for each in chosen
        ):
            chosen.append(line)
    page = found.without(set(chain(*(beneath[line] for line in chosen)))).page
    notes = [Region("margin", tuple(line for line in way if line in chosen)) for way in ways]
    return replace(page, regions=(*page.regions, *(note for note in notes if note.lines)))


def _overlap(first: Line, second: Line) -> bool:
    """Whether half of the smaller of two lines lies in the other."""
    boxes = np.array([first.box, second.box])
    if (boxes[:, 2:].min(0) <= boxes[:, :2].max(0)).any():
        return False
    polygons = [np.array(line.polygon) for line in (first, second)]
    corner = np.min([polygon.min(0) for polygon in polygons], axis=0)
    size = np.max([polygon.max(0) for polygon in polygons], axis=0) - corner
    zoom = min(1.0, _GRID / size.max())
    shape = np.ceil(size * zoom).astype(int)[::-1] + 1
    areas = [
        cv2.fillPoly(np.zeros(shape, np.uint8), [np.round((polygon - corner) * zoom).astype(np.int32)], 1)
        for polygon in polygons
    ]
    return bool((areas[0] & areas[1]).sum() > 0.5 * min(area.sum() for area in areas))


def _gains(
    pictures: Sequence[np.ndarray], sure: Sure, turn: Callable[[np.ndarray], np.ndarray], doubtful: float = np.inf
) -> np.ndarray:
    """By how much more surely pictures of lines are read if they are turned so; 0 where one is read too surely to be in doubt."""
    gains = np.zeros(len(pictures))
    straight = np.array(sure(pictures))
    some = np.flatnonzero(straight < doubtful)
    gains[some] = sure([turn(pictures[index]) for index in some]) - straight[some]
    return gains


def _upside_down(picture: np.ndarray) -> np.ndarray:
    return picture[::-1, ::-1]
