"""Finding what is to be read on a page, with the help of a recogniser where looking alone does not tell.

Which way up it lies, which lines are of the other side of the sheet, and which run up or down the margin, shows in how
surely they are read: one way, and another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from htr.messages import counted
from htr.pages.containers import Line, Page, Region
from htr.pages.crop import crop_line
from htr.pages.ink import ink_depths
from htr.pages.lines import LineFinder

Sure = Callable[[Sequence[np.ndarray]], Sequence[float]]
"""How surely pictures of lines are read, 0 to 1; 0 where nothing is."""

# How many lines are read both ways up to tell which is right, and how much of each, in line heights.
_PROBES, _PROBE_LENGTH = 6, 4

# Lines whose ink is lighter than so much of the darkest lines' may show through from the other side, where there are so many.
_FAINT, _FEW = 0.6, 3

_SIDEWAYS = 0.6  # a line that runs up or down is read as surely as that, at least; what is none mostly is not


def find_page(picture: np.ndarray, finder: LineFinder, sure: Sure, upright: bool) -> Page:
    """Finds the lines of a page and their order.

    Args:
        picture: shape (height, width), uint8, 0 = black; also white on black, sideways or upside down.
        finder: looks for lines.
        sure: tells of pictures of lines how surely they are read.
        upright: whether it is taken for granted that the page does not stand upside down.
    """
    page = finder.find(picture)
    if not upright and _is_inverted(picture, page, sure):
        page = finder.find(picture, (2 - page.turn // 90) % 4)
    behind = _other_side(picture, page, sure)
    if behind:
        note = f"{counted(len(behind), 'line')} of the other side, whose ink shows through, left out"
        page = finder.find(picture, -page.turn // 90 % 4, behind)
        page = replace(page, notes=(*page.notes, note))
    return _with_sideways(picture, page, finder, sure, behind)


def _is_inverted(picture: np.ndarray, page: Page, sure: Sure) -> bool:
    """Whether the middle parts of the longest lines read better upside down."""
    longest = sorted(page.lines, key=lambda line: np.hypot(*np.subtract(line.baseline[-1], line.baseline[0])))
    parts = []
    for line in longest[-_PROBES:]:
        cut = crop_line(picture, line)
        middle, half = cut.shape[1] // 2, round(_PROBE_LENGTH / 2 * cut.shape[0])
        parts.append(cut[:, max(middle - half, 0) : middle + half])
    return _gains(parts, [part[::-1, ::-1] for part in parts], sure).sum() > 0


def _other_side(picture: np.ndarray, page: Page, sure: Sure) -> set[Line]:
    """The lines of the other side of the sheet, whose ink shows through: fainter than the rest, and read better mirrored."""
    depths = ink_depths(picture, [line.polygon for line in page.lines])
    bound = _FAINT * np.quantile(depths or [0.0], 0.9)
    faint = [line for line, depth in zip(page.lines, depths) if depth < bound]
    if len(faint) < _FEW:
        return set()
    cuts = [crop_line(picture, line) for line in faint]
    gains = _gains(cuts, [cut[:, ::-1] for cut in cuts], sure)
    # Of a hard hand, a line or two may seem to.
    return {line for line, gain in zip(faint, gains) if gain > 0} if gains.mean() > 0 else set()


def _with_sideways(picture: np.ndarray, page: Page, finder: LineFinder, sure: Sure, without: set[Line]) -> Page:
    """The page with the lines that run up or down beside the others, as notes in the margin, and without their pieces that were taken
    for lines; `without` are the lines that are left out already."""
    ways = finder.find_sideways(picture, page)
    lines = [line for way in ways for line in way]
    pieces = [piece for piece in page.lines if any(_overlap(piece, line) for line in lines)]
    how_sure = dict(zip(lines + pieces, sure([crop_line(picture, line) for line in lines + pieces])))
    chosen: list[Line] = []
    for line in sorted(lines, key=lambda line: -how_sure[line]):
        below = [how_sure[piece] for piece in pieces if _overlap(piece, line)]
        if how_sure[line] > max(_SIDEWAYS, float(np.mean(below or 0))) and not any(
            _overlap(line, each) for each in chosen
        ):
            chosen.append(line)
    if not chosen:
        return page
    taken = {piece for piece in pieces if any(_overlap(piece, line) for line in chosen)}
    regions = finder.find(picture, -page.turn // 90 % 4, without | taken).regions if taken else page.regions
    notes = [Region("margin", tuple(line for line in way if line in chosen)) for way in ways]
    return replace(page, regions=(*regions, *(note for note in notes if note.lines)))


def _overlap(first: Line, second: Line) -> bool:
    """Whether half of the smaller of two upright boxes around lines lies in the other."""
    boxes = np.array([first.box, second.box])
    common = np.prod(np.maximum(boxes[:, 2:].min(0) - boxes[:, :2].max(0), 0))
    return bool(common > 0.5 * np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).min())


def _gains(pictures: Sequence[np.ndarray], turned: Sequence[np.ndarray], sure: Sure) -> np.ndarray:
    """By how much more surely pictures of lines are read if they are turned so."""
    both = sure([*pictures, *turned])
    return np.subtract(both[len(pictures) :], both[: len(pictures)])
