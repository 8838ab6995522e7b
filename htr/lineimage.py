"""What the network sees of a line: the same in training and in reading, and made nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from htr.pages.ink import passes_for_negative

WIDTH_STEP = 64
"""Batches are padded to a multiple of this many pixels, so that few distinct shapes occur."""

MAX_WIDTH = 2560
"""Widest prepared line in pixels; a longer one is squeezed, which bounds memory."""

# Paper at both ends in pixels: room for the slant that training adds, and so in reading too.
_ROOM = 8

# Ink fainter than this share of the strongest ink is taken for paper.
_NOISE = 0.1

# A line is made level whose slope and rise, in heights of the picture, are at most these, and its rows so much sharper then.
_STEEPEST, _HIGHEST, _SHARPER = 0.3, 1.5, 1.05

STROKE = 32
"""Ink from which on a pixel belongs to a stroke, of 255."""

# Narrow writing is widened until its strokes are so far apart, in heights, but to at most so many times its width.
_APART, _WIDEST = 0.28, 2.0

# Of what is painted around a line: grey levels from white or black at most, and share of the picture at least.
_EVEN, _LEAST_PAINTED = 4, 0.02

# Of the paper within: the percentile that is paper, by how many grey levels it differs at least from what is painted, by how many at
# most from the percentile what share of it does, and what share of its usual height it has nearly everywhere.
_PAPER, _OTHER, _LIKE, _PLAIN, _FULL = 70, 24, 12, 0.6, 0.6

# Pixels that the mixed edge of what is painted is wide, and rows that are looked at.
_MIXED, _COARSE = 7, 48

# The middle of a line: the narrowest band of rows with this share of the ink. What reaches the picture's edge is of a neighbouring
# line if it lies above the middle, or below it, by so many times its height; and covers this share of the width, and that height.
# If it covers the second share, what lies in its rows is of that line too. Pictures that are at most so many times as wide as high
# hold too few letters to tell.
_MIDDLE, _HIGH, _LOW, _ALONG, _LETTERS, _FEW = 0.4, 0.9, 0.4, 0.03, 0.15, 4

# Ink above which a pixel parts one stroke from the next, of 255, and the share of the rows, those with most strokes, that count.
_PARTS, _FULLEST = 96, 0.125

# Pixels that a rule of the paper is long at least and thick at most.
_SHORTEST_RULE, _THICKEST_RULE = 40, 4

# Slopes are tried on a picture of this height in pixels, whose columns are so many of them joined.
_SLOPE_HEIGHT, _STRIP = 32, 4


class Prepared(NamedTuple):
    """A line as the network sees it.

    Attributes:
        picture: shape (height, width) with width <= `MAX_WIDTH`, uint8, 0 = paper, 255 = strongest ink; some paper at
            both ends.
        left: the column of the line's picture at which its ink was cut off.
        zoom: columns of `picture` to one of the line's picture.
    """

    picture: np.ndarray
    left: float
    zoom: float

    def source(self, x: float) -> float:
        """The column of the line's picture that is seen in column x."""
        return self.left + (x - _ROOM) / self.zoom


def prepare(grey: np.ndarray, height: int, cut_out: bool = False) -> Prepared:
    """Turns a picture of one line into what the network sees.

    Light on dark is inverted, uneven paper flattened, the contrast stretched, parts of neighbouring lines are taken away, a
    line that rises or sinks is made level, the margins are cut off and the rest is scaled to the height, width in proportion;
    but narrow writing is made wider, for the network's columns have to part its letters.

    Args:
        grey: shape (h, w), uint8, 0 = black.
        height: of the result, in pixels.
        cut_out: whether it has been cleared of other lines, as `htr.pages.crop` does: then what reaches its edge is its own.
    """
    small = _shrink(grey, 2 * height)
    ink = ink_of(small)
    if not cut_out:
        ink = _without_neighbours(ink)
    ink, left = _cut_margins(*_level(ink))
    width = round(ink.shape[1] * height / ink.shape[0])
    width = min(max(width, 4), MAX_WIDTH - 2 * _ROOM)
    shrinks = ink.shape[0] > height
    line = _widened(cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
    width = line.shape[1]
    picture = cv2.copyMakeBorder(line, 0, 0, _ROOM, _ROOM, cv2.BORDER_CONSTANT, value=0)
    shrunk = grey.shape[1] / small.shape[1]
    return Prepared(picture, left * shrunk, width / ink.shape[1] / shrunk)


def _widened(line: np.ndarray) -> np.ndarray:
    """Stretches a line of the final height whose strokes stand close together."""
    height, width = line.shape
    inked = line > _PARTS
    strokes = np.sort((inked[:, 1:] & ~inked[:, :-1]).sum(1))[-max(1, round(_FULLEST * height)) :].mean()
    wider = min(_APART * height * max(strokes, 1) / width, _WIDEST, (MAX_WIDTH - 2 * _ROOM) / width)
    return cv2.resize(line, (round(wider * width), height), interpolation=cv2.INTER_LINEAR) if wider > 1 else line


def collate(lines: Sequence[np.ndarray], width_stride: int) -> tuple[Tensor, Tensor]:
    """Lays prepared lines side by side on paper of one size.

    Args:
        lines: each of shape (height, width), uint8, 0 = paper.
        width_stride: of the network.

    Returns:
        Images of shape (batch, 1, height, padded width), float32 in 0..1, and for each line the number of the
        network's columns that it fills, shape (batch,).
    """
    widths = torch.tensor([line.shape[1] for line in lines])
    images = torch.zeros(len(lines), 1, lines[0].shape[0], padded_width(int(widths.max())))
    for image, line in zip(images, lines):
        image[0, :, : line.shape[1]] = torch.from_numpy(line)
    return images.div_(255), columns_of(widths, width_stride)


def columns_of(width: Any, width_stride: int) -> Any:
    """How many of the network's columns a line of a width fills, in pixels; or several lines, as a tensor."""
    return (width + width_stride - 1) // width_stride


def padded_width(width: int) -> int:
    """Width in pixels of the paper on which lines of up to this width are laid."""
    return -(-width // WIDTH_STEP) * WIDTH_STEP


def batches_of_like_width(widths: Sequence[int], height: int, pixels: int, spread: float = 1.0) -> list[list[int]]:
    """Puts lines together that are padded to the same width, so that no line's reading depends on its neighbours.

    Args:
        widths: of the lines, in pixels.
        height: of the lines, in pixels.
        pixels: of a batch.
        spread: the padded width may be so many times that of the narrowest line; above 1 for training, where a few lines of
            many widths would come one by one.

    Returns:
        Indices of the lines of each batch: at most so many pixels, padding included; a line too large for that is alone.
    """
    batches: list[list[int]] = []
    narrowest = 0
    for index in sorted(range(len(widths)), key=widths.__getitem__):
        padded = padded_width(widths[index])
        if padded > spread * narrowest or padded * height * (len(batches[-1]) + 1) > pixels:
            batches.append([])
            narrowest = padded
        batches[-1].append(index)
    return batches


def _shrink(grey: np.ndarray, height: int) -> np.ndarray:
    """Scales tall pictures down first: what follows costs time by the pixel."""
    if grey.shape[0] <= height:
        return grey
    width = max(1, round(grey.shape[1] * height / grey.shape[0]))
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)


def ink_of(grey: np.ndarray) -> np.ndarray:
    """Shape (h, w), uint8: how dark each pixel is against its paper, 255 = as dark as the line's dark strokes."""
    grey = _papered(grey)
    if passes_for_negative(grey):
        grey = 255 - grey
    size = max(3, grey.shape[0] // 3) | 1
    paper = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8), borderType=cv2.BORDER_REPLICATE)
    paper = _blurred(paper, size / 2)
    depth = cv2.subtract(paper, grey).astype(np.float32)
    strokes = depth[depth > 0.3 * depth.max(initial=0)]
    # An empty picture has no strokes: its grain must not be stretched to look like some.
    strongest = max(float(np.percentile(strokes, 75)), 24.0) if strokes.size else 24.0
    return (np.clip((depth / strongest - _NOISE) / (1 - _NOISE), 0, 1) * 255).astype(np.uint8)


def _papered(grey: np.ndarray) -> np.ndarray:
    """Puts paper for the white or black that programs paint around a line which they cut out along a polygon: beside it, paper would
    pass for ink, or ink for paper."""
    painted = _painted(grey, 0) | _painted(grey, 255)
    if not painted.any():
        return grey
    # Where colours meet, they are mixed, or blurred by JPEG.
    painted = cv2.dilate(painted, np.ones((_MIXED, _MIXED), np.uint8)) > 0
    if painted.all():
        return grey
    height, width = grey.shape
    levels = []
    for left in range(0, width, height):
        shown = grey[:, left : left + height][~painted[:, left : left + height]]
        if shown.size:
            levels.append((left + height / 2, np.percentile(shown, _PAPER)))
    paper = np.interp(np.arange(width), *zip(*levels))
    return np.where(painted, paper.astype(np.uint8), grey)


def _painted(grey: np.ndarray, colour: int) -> np.ndarray:
    """The mask, uint8, of pixels of a colour that reach the picture's edge, if they are many and leave a strip of other paper, not
    strokes alone; a tall picture is looked at coarsely."""
    none = np.zeros(grey.shape, np.uint8)
    step = max(1, grey.shape[0] // _COARSE)
    seen = grey[::step, ::step]
    even = (cv2.absdiff(seen, float(colour)) <= _EVEN).astype(np.uint8)
    if even.mean() < _LEAST_PAINTED:
        return none
    height = len(even)
    thick = max(3, height // 8) | 1
    brush = np.ones((thick, thick), np.uint8)
    # What is painted is thicker than strokes are, beyond the edge too.
    beyond = cv2.copyMakeBorder(even, *[thick] * 4, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(beyond, cv2.MORPH_OPEN, brush)[thick:-thick, thick:-thick]
    pieces = cv2.connectedComponents(opened)[1]
    reaching = np.unique(np.concatenate([pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()]))
    painted = np.isin(pieces, reaching[reaching > 0]).astype(np.uint8)
    painted = cv2.dilate(painted, brush) & even  # its corners
    if painted.mean() < _LEAST_PAINTED:
        return none
    # Letters on white paper stand apart, and are of many heights.
    heights = np.trim_zeros(height - painted.sum(0, dtype=int))
    if heights.size == 0 or np.percentile(heights, 10) <= _FULL * np.median(heights):
        return none
    beside = cv2.dilate(painted, np.ones((3, 3), np.uint8))
    within, near = seen[beside == 0], seen[cv2.dilate(beside, np.ones((5, 5), np.uint8)) > beside]
    if within.size == 0:
        return none
    paper = np.percentile(within, _PAPER)
    # Black beside white is ink.
    if min(paper, abs(paper - colour)) <= _OTHER:
        return none
    # Strokes on white paper are not plain; and where light makes paper white, it is nearly white beside that.
    if min((cv2.absdiff(part, float(paper)) <= _LIKE).mean() for part in (within, near)) < _PLAIN:
        return none
    return cv2.resize(painted, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)


def without_rules(ink: np.ndarray) -> np.ndarray:
    """Takes rules of the paper out of what `ink_of` gives; strokes that cross them stay whole.

    Args:
        ink: shape (h, w), uint8; a rule is thin, level within a pixel or two over the height of the picture, and longer.
    """
    strokes = (ink > STROKE).astype(np.uint8)
    # Of rules that rise or sink a little, the parts in neighbouring rows hang together.
    thick = cv2.dilate(strokes, np.ones((3, 1), np.uint8))
    long = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, max(_SHORTEST_RULE, ink.shape[0])), np.uint8))
    tall = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones((_THICKEST_RULE + 1, 1), np.uint8))
    return np.where((long > 0) & (tall == 0), 0, ink).astype(np.uint8)


def _blurred(grey: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs a picture; if widely, on a smaller one, which hardly makes a difference and takes a tenth of the time."""
    height, width = grey.shape
    factor = max(1, int(sigma / 5))
    small = cv2.resize(grey, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _without_neighbours(ink: np.ndarray) -> np.ndarray:
    """Takes away what a rectangle around a line holds of the lines above and below, where they are close or the page lay askew."""
    height, width = ink.shape
    if width <= _FEW * height:
        return ink
    strokes = (ink > STROKE).astype(np.uint8)
    count, pieces, stats, centres = cv2.connectedComponentsWithStats(strokes)
    left, top, wide, high = stats.T[:4]
    bottom = top + high
    at_top, at_bottom = top <= 1, bottom >= height - 1
    if not (at_top | at_bottom)[1:].any():
        return ink
    slope = _slope(ink)
    level = _sheared(ink, slope)
    first, last = _middle(level.sum(1, dtype=np.float64))
    # How far each piece is from the middle of the level picture, outwards.
    moved = slope * centres[:, 0] + (level.shape[0] - height if slope < 0 else 0)
    tall = last - first
    above, below = first - (bottom + moved), top + moved - last
    alien = np.zeros(count, bool)
    for reaching, distance, least in ((at_top, above, _HIGH * tall), (at_bottom, below, _LOW * tall)):
        outside = distance >= least
        outside[0] = False  # paper
        cut = outside & reaching
        covered = np.zeros(width, bool)
        for piece in np.flatnonzero(cut):
            covered[left[piece] : left[piece] + wide[piece]] = True
        if covered.sum() < max(_ALONG * width, tall):  # a comma or an apostrophe
            continue
        alien |= cut
        if covered.mean() >= _LETTERS:
            alien |= outside & (distance >= np.median(distance[cut]) - tall)
    if not alien.any():
        return ink
    # With its faint edge.
    around = cv2.dilate(alien[pieces].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.where(around & ((strokes == 0) | alien[pieces]), 0, ink).astype(np.uint8)


def _middle(rows: np.ndarray) -> tuple[int, int]:
    """The first and, beyond it, the last of the fewest rows that hold the middle's share of what rows hold."""
    sums = np.concatenate([[0], np.cumsum(rows)])
    ends = np.searchsorted(sums, sums[:-1] + _MIDDLE * sums[-1])
    first = int(np.argmin(np.where(ends < len(sums), ends - np.arange(len(rows)), len(sums))))
    return first, int(ends[first])


def _level(ink: np.ndarray) -> tuple[np.ndarray, float]:
    """Moves the columns up or down by the slope of the line, so that letters fill the height.

    Returns:
        Of the same width, and as much higher as columns were moved; and the height that the picture would have, had the line
        been level.
    """
    height, width = ink.shape
    slope = _slope(ink)
    if slope == 0:
        return ink, height
    return _sheared(ink, slope), max(height - abs(slope) * width, height / 4)


def _slope(ink: np.ndarray) -> float:
    """By how many rows the line sinks to the right in each column: the slope with which the rows of ink are sharpest; 0 if hardly.

    It is that of Baird, The skew angle of printed documents (1987): the ink's sums along the rows have the most energy.
    """
    height, width = ink.shape
    if width < 2 * height:  # a word or two: their letters tell more than their line
        return 0
    strips = width * _SLOPE_HEIGHT // (height * _STRIP)
    small = cv2.resize(ink, (strips, _SLOPE_HEIGHT), interpolation=cv2.INTER_AREA)
    step = min(_STEEPEST, _HIGHEST * height / width) / 32

    @cache
    def sharpness(steps: int) -> float:
        rows = _sheared(small, _STRIP * step * steps).sum(1, dtype=np.float64)
        return float(np.square(rows).sum())

    coarse = max(range(-32, 33, 4), key=sharpness)
    steps = max(range(coarse - 3, coarse + 4), key=sharpness)
    return 0 if sharpness(steps) < _SHARPER * sharpness(0) else step * steps


def _sheared(ink: np.ndarray, slope: float) -> np.ndarray:
    """The columns moved down by the slope, further and further from the left end on, with room for all of them."""
    height, width = ink.shape
    room = ceil(abs(slope) * width)
    shear = np.array([[1.0, 0.0, 0.0], [slope, 1.0, room if slope < 0 else 0.0]])
    return cv2.warpAffine(ink, shear, (width, height + room))


def _cut_margins(ink: np.ndarray, height: float) -> tuple[np.ndarray, int]:
    """Cuts off what stands outside the ink, leaving a small border, and at least half of this height.

    Returns:
        What is left, and its first column.
    """
    if not ink.any():
        return ink, 0

    def extent(profile: np.ndarray, share: float) -> tuple[int, int]:
        mass = np.cumsum(profile, dtype=np.float64) / profile.sum()
        return int(np.searchsorted(mass, share)), int(np.searchsorted(mass, 1 - share)) + 1

    # A few per mille of the ink may lie outside: tails of neighbouring lines and specks.
    top, bottom = extent(ink.sum(1), 0.004)
    spare = int(height) // 2 - (bottom - top)
    if spare > 0:
        top, bottom = top - spare // 2, bottom + spare - spare // 2
    left, right = extent(ink.sum(0), 0.0005)
    border = max(1, round(0.04 * (bottom - top)))
    first = max(0, left - border)
    return ink[max(0, top - border) : bottom + border, first : right + border], first
