"""Telling ink from paper."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from htr.pages.containers import Point

WORK_PIXELS = 2_200_000
"""A4 at 150 dpi: finer pictures only cost time."""

_GRAIN = 3  # within so many standard deviations, grain of paper and nothing else is seen

_RULE = 8  # heights of small letters that a rule between columns is long, at least

# More rules than so many, nearer to each other than so many heights of small letters, are squares.
_SQUARED, _SQUARE = 8, 4.5

# Straight strokes that are longer than so many heights of small letters, along or across a line, are no writing: no bar or stem is.
_ALONG, _ACROSS = 4.0, 4.5

_MIN_CONTRAST = 20  # grey levels of 255 by which ink is darker than its paper, at least


def ink_mask(grey: np.ndarray, negative: bool, faint: bool = False) -> np.ndarray:
    """Tells ink from paper.

    Args:
        grey: shape (height, width), uint8, 0 = black.
        negative: whether the writing is white on black.
        faint: take for ink what is a little darker than paper, however dark the rest of the ink is.

    Returns:
        The mask, of the picture's shape, uint8, 1 = ink; no finer than `WORK_PIXELS`.
    """
    small, zoom = shrink(grey)
    darkness = _darkness(small, negative)
    threshold = 0.0 if faint else cv2.threshold(darkness, 0, 255, cv2.THRESH_OTSU)[0]
    mask = (darkness > max(threshold, _MIN_CONTRAST)).astype(np.uint8)
    return mask if zoom == 1 else cv2.resize(mask, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)


def ink_depths(grey: np.ndarray, polygons: Sequence[Sequence[Point]]) -> list[float]:
    """How dark the ink in each polygon is, its darkest tenth left aside: 0, as paper or without ink, to 255.

    Args:
        grey: shape (height, width), uint8; also white on black.
        polygons: of lines, in its pixels.
    """
    small, zoom = shrink(grey)
    last = np.subtract(small.shape[::-1], 1)
    areas = [np.clip(np.round(np.multiply(polygon, zoom)), 0, last).astype(np.int32) for polygon in polygons]
    written = np.zeros_like(small)
    for area in areas:
        cv2.fillPoly(written, [area], 1)
    darkness = _darkness(small, is_negative(small, written > 0))
    depths = []
    for area in areas:
        left, top, width, height = cv2.boundingRect(area)
        part = darkness[top : top + height, left : left + width]
        inside = cv2.fillPoly(np.zeros_like(part), [area - [left, top]], 1)
        inked = part[(inside > 0) & (part > _MIN_CONTRAST)]
        depths.append(float(np.percentile(inked, 90)) if len(inked) else 0.0)
    return depths


def shrink(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """Brings a grey picture to a size that costs little time, which it also returns, relative to what it was."""
    zoom = min(1.0, (WORK_PIXELS / grey.size) ** 0.5)
    size = max(1, int(grey.shape[1] * zoom)), max(1, int(grey.shape[0] * zoom))  # rounded up, it might be shrunk twice
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA), zoom


def _darkness(grey: np.ndarray, negative: bool) -> np.ndarray:
    """How much darker than its paper each pixel is, 0 to 255."""
    if negative:
        grey = 255 - grey
    return 255 - cv2.divide(grey, _find_light(grey), scale=255)


def is_negative(grey: np.ndarray, where: np.ndarray | None = None) -> bool:
    """Whether the writing is white on black: whether the dark or the light end is farther from what is around it.

    Args:
        grey: shape (height, width), uint8.
        where: mask of the pixels that count, of the same shape; all if None.
    """
    seen = _thinned(grey)
    # Against its surroundings: where half lies in shadow, the lit paper would be the light end.
    side = min(seen.shape) // 2 if min(seen.shape) < 300 else max(seen.shape) // 25
    around = cv2.blur(seen.astype(np.float32), (max(15, side) | 1,) * 2, borderType=cv2.BORDER_REPLICATE)
    depths = seen - around
    return _lighter(depths if where is None else depths[_thinned(where)])


def passes_for_negative(grey: np.ndarray) -> bool:
    """Whether a line, looked at as a whole, seems to be white on black, as `htr.lineimage.ink_of` then takes it."""
    return _lighter(grey)


def _thinned(picture: np.ndarray) -> np.ndarray:
    return picture[:: max(1, picture.shape[0] // 500), :: max(1, picture.shape[1] // 500)]


def _lighter(values: np.ndarray) -> bool:
    # Paper covers most of a line, so the middle is nearer to the paper's end of the range than to the ink's.
    if not values.size:
        return False
    dark, middle, light = np.percentile(values, [1, 50, 99])
    grain = 1.5 * np.median(np.abs(values - middle))  # its standard deviation, where it is as Gauss has it
    if max(middle - dark, light - middle) <= _GRAIN * grain:  # a single figure in a wide field is less than a hundredth
        dark, light = np.percentile(values, [0.05, 99.95])
    return bool(middle - dark < light - middle)


def find_paper(grey: np.ndarray, negative: bool) -> np.ndarray:
    """The paper without the ink, with its shadows.

    Args:
        grey: shape (height, width), uint8, 0 = black.
        negative: whether the writing is white on black.

    Returns:
        Shape and type of the picture, in its polarity.
    """
    return 255 - _find_light(255 - grey) if negative else _find_light(grey)


def _find_light(grey: np.ndarray) -> np.ndarray:
    """What is lighter than the dark strokes on it."""
    # Closing takes away what is thinner than its window. At the edge, thin shadows are made wide first.
    window = max(15, max(grey.shape) // 50) | 1
    paper = cv2.copyMakeBorder(grey, window, window, window, window, cv2.BORDER_REPLICATE)
    paper = cv2.blur(cv2.morphologyEx(paper, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8)), (window, window))
    return paper[window:-window, window:-window]


def has_upright_ink(mask: np.ndarray, height: float) -> bool:
    """Whether some ink stands in a high column, as a line would that runs up or down.

    Args:
        mask: of ink, shape (height, width), uint8, 1 = ink.
        height: of the page's lines, in pixels, with what reaches above and below the small letters.
    """
    joined = cv2.dilate(mask, np.ones((max(1, round(height)), max(1, round(height / 4))), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    widths, heights = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    return bool(((widths > 0.6 * height) & (heights > np.maximum(4 * height, widths))).any())


def find_rules(mask: np.ndarray, letter: float, slope: float) -> np.ndarray:
    """Finds the long rules between the columns of a register or an account book.

    Args:
        mask: of ink, shape (height, width), uint8, 1 = ink; also of what is faint.
        letter: height of the small letters, in pixels.
        slope: by how much the lines of writing go down, for each pixel to the right.

    Returns:
        Mask of the same shape and type. On squared paper, whose rules part nothing, there are none.
    """
    height, width = mask.shape
    long = round(_RULE * letter) | 1  # OpenCV moves what even windows open
    none = np.zeros_like(mask)
    if not letter or long > height or abs(slope) > 0.5:
        return none
    lean = np.array([[1, slope, max(0.0, -slope * height)], [0, 1, 0]])
    size = width + int(abs(slope) * height), height
    upright = cv2.dilate(cv2.warpAffine(mask, lean, size, flags=cv2.INTER_NEAREST), np.ones((1, 3), np.uint8))
    runs = cv2.morphologyEx(upright, cv2.MORPH_OPEN, np.ones((long, 1), np.uint8))
    rules = runs & ~cv2.morphologyEx(upright, cv2.MORPH_OPEN, np.ones((1, max(7, round(letter)) | 1), np.uint8))
    places = np.flatnonzero(np.diff(rules.sum(0) > long / 2, prepend=False, append=False))[::2]
    if len(places) > _SQUARED and np.median(np.diff(places)) < _SQUARE * letter:
        return none
    return cv2.warpAffine(rules, lean, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)


def without_rules(mask: np.ndarray, letter: float) -> np.ndarray:
    """Takes ruling, squares and underlining away.

    Args:
        mask: of ink, shape (height, width), uint8, 1 = ink; its lines are about level.
        letter: height of the small letters, in pixels.

    Returns:
        Mask of the same shape and type.
    """
    thin = max(3, round(0.35 * letter)) + 2
    rules = np.zeros_like(mask)
    for length, across in ((_ALONG, False), (_ACROSS, True)):
        size = max(8, round(length * letter))
        # A rule that is not quite level goes down in steps; across the line, so do stems.
        wide = mask if across else cv2.dilate(mask, np.ones((3, 1), np.uint8))
        runs = cv2.morphologyEx(wide, cv2.MORPH_OPEN, np.ones((size, 1) if across else (1, size), np.uint8))
        rules |= runs & ~cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((1, thin) if across else (thin, 1), np.uint8))
    return mask & ~cv2.dilate(rules, np.ones((3, 3), np.uint8))  # with the corners of their steps
