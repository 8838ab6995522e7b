"""Cutting a line out of a page, straightened along its baseline: the same for reading, for training and for scoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from htr.pages.containers import Line, Page, Point
from htr.pages.ink import find_paper, ink_mask, is_negative, passes_for_negative

# Lines of fewer pixels in height are enlarged, to so many.
_SMALL, _ENLARGED, _MAX_ENLARGEMENT = 18, 48, 4

# Columns that OpenCV's remapping takes at once, at most.
_REMAPPED = 30_000

LONGEST_SIDE = 32_766
"""Pixels of a picture's side, at most: OpenCV turns no longer ones."""


class Strip(NamedTuple):
    """A straightened piece of a page along a baseline.

    Attributes:
        picture: shape (height, width), in the page's polarity; the other attributes are in its pixels.
        start: the page's point at the strip's left end, on the baseline's chord.
        along: unit vector on the page in the direction of reading.
        rises: how far the baseline lies below its chord, in pixels, for each column.
        above: rows above the baseline.
        zoom, corner: by how much the page was enlarged, and the place on it where what was enlarged begins.
    """

    picture: np.ndarray
    start: np.ndarray
    along: np.ndarray
    rises: np.ndarray
    above: int
    zoom: float = 1.0
    corner: Point = (0.0, 0.0)

    def place(self, x: float, y: float) -> Point:
        """Where a point of the strip lies on the page."""
        column = int(np.clip(round(x), 0, len(self.rises) - 1))
        down = y - self.above + self.rises[column]
        return (
            float(self.start[0] + x * self.along[0] - down * self.along[1]) / self.zoom + self.corner[0],
            float(self.start[1] + x * self.along[1] + down * self.along[0]) / self.zoom + self.corner[1],
        )


class Frame(NamedTuple):
    """A line's own coordinates: along the chord of its baseline, and down from the baseline; in pixels."""

    start: np.ndarray
    along: np.ndarray
    knots: np.ndarray  # distance along the chord of each point of the baseline, and how far it lies below the chord

    @classmethod
    def of(cls, baseline: Sequence[Point]) -> Frame:
        points = np.asarray(baseline, float)
        chord = points[-1] - points[0]
        length = np.hypot(*chord)
        along = chord / length if length > 0 else np.array([1.0, 0.0])
        knots = (points - points[0]) @ np.array([along, [-along[1], along[0]]]).T
        return cls(points[0], along, knots[np.argsort(knots[:, 0], kind="stable")])

    def below_chord(self, distance: np.ndarray) -> np.ndarray:
        """How far the baseline lies below its chord; beyond its ends it goes on level."""
        return np.interp(distance, self.knots[:, 0], self.knots[:, 1])

    def measure(self, points: Sequence[Point]) -> np.ndarray:
        """Distance along the chord and below the baseline of points of the page, shape (points, 2)."""
        offsets = np.asarray(points, float) - self.start
        inside = offsets @ np.array([self.along, [-self.along[1], self.along[0]]]).T
        inside[:, 1] -= self.below_chord(inside[:, 0])
        return inside


def size_of(line: Line) -> tuple[float, float]:
    """Length and height of a line along its baseline, in pixels."""
    length, height = np.ptp(Frame.of(line.baseline).measure(line.polygon), 0).tolist()
    return length, height


def straighten(
    page: np.ndarray, frame: Frame, left: float, right: float, above: int, below: int, fill: int, nearest: bool = False
) -> Strip:
    """Cuts the strip between two distances along the baseline, so many rows above and below it.

    Args:
        page: shape (height, width).
        fill: value of what lies outside of the page.
        nearest: whether pixels are picked, as masks need it, rather than mixed.
    """
    left, columns = round(left), max(1, round(right) - round(left))
    distance = left + np.arange(columns)
    rises = frame.below_chord(distance)
    start = frame.start + left * frame.along
    if frame.along[1] == 0:
        # A level baseline on whole rows: nothing is blurred by sampling between pixels.
        start = np.round(start)
        rises = np.round(rises) if np.ptp(rises) < 1 else rises
    down = np.arange(-above, below)[:, None] + rises[None, :]
    across = np.arange(columns)[None, :]
    x = (start[0] + across * frame.along[0] - down * frame.along[1]).astype(np.float32)
    y = (start[1] + across * frame.along[1] + down * frame.along[0]).astype(np.float32)
    kind = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    pieces = [slice(first, first + _REMAPPED) for first in range(0, columns, _REMAPPED)]
    picture = np.hstack([_remap(page, x[:, piece], y[:, piece], kind, fill) for piece in pieces])
    return Strip(picture, start, frame.along, rises, above)


def turn(picture: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turns a picture clockwise, on paper of its middle grey that is large enough for all of it.

    Returns:
        The picture; and the matrix that moves its points with it, shape (2, 3).
    """
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    corners = moved(matrix, np.array([[0, 0], [width, 0], [width, height], [0, height]]))
    matrix[:, 2] -= corners.min(0)
    size = np.ceil(np.ptp(corners, axis=0) - 1e-6).astype(int).tolist()
    of_pixels = matrix.copy()  # OpenCV counts from pixels' centres
    of_pixels[:, 2] += moved(matrix, np.array([[0.5, 0.5]]))[0] - 0.5 - matrix[:, 2]
    return cv2.warpAffine(picture, of_pixels, size, borderValue=int(np.median(picture))), matrix


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points, shape (points, 2), moved by a matrix of shape (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def _remap(page: np.ndarray, x: np.ndarray, y: np.ndarray, kind: int, fill: int) -> np.ndarray:
    """The page at these places; only the part around them is given to OpenCV, which bounds the size of pictures."""
    x0, y0 = max(int(x.min()) - 1, 0), max(int(y.min()) - 1, 0)
    part = page[y0 : int(y.max()) + 3, x0 : int(x.max()) + 3]
    if part.size == 0:
        return np.full(x.shape, fill, page.dtype)
    return cv2.remap(part, x - x0, y - y0, kind, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)


def cut_strip(page: np.ndarray, line: Line) -> Strip:
    """Cuts a line out of a page, closely, as the lines of IAM are cut, and clears it of the ink of other lines.

    Args:
        page: shape (height, width), uint8, 0 = black; also white on black.
        line: where it lies; its baseline and polygon.

    Returns:
        The strip; its picture has the height of the polygon, enlarged if that is below 18 pixels, and a margin of 3 %, uint8, in the
        page's polarity.
    """
    _, height = size_of(line)
    if height >= _SMALL:
        return _cut(page, line)
    # Ink and paper of few pixels are told apart better once they are enlarged.
    zoom = min(_ENLARGED / max(height, 4.0), _MAX_ENLARGEMENT)
    points = np.array(line.polygon + line.baseline)
    left, top = np.clip(np.floor(points.min(0) - 2 * _SMALL), 0, np.array(page.shape[::-1]) - 1).astype(int).tolist()
    right, bottom = np.maximum(np.ceil(points.max(0) + 2 * _SMALL).astype(int), [left + 1, top + 1]).tolist()
    part = cv2.resize(page[top:bottom, left:right], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    moved = [tuple(((x - left) * zoom, (y - top) * zoom) for x, y in each) for each in (line.baseline, line.polygon)]
    return _cut(part, Line(*moved))._replace(zoom=zoom, corner=(float(left), float(top)))


def _cut(page: np.ndarray, line: Line) -> Strip:
    frame = Frame.of(line.baseline)
    inside = frame.measure(line.polygon)
    (left, top), (right, bottom) = inside.min(0), inside.max(0)
    height = max(bottom - top, 4.0)
    margin = max(1, round(0.03 * height))
    # Half of a line more, above and below: a descender that reaches there shows whose it is.
    reach = round(0.5 * height)
    above, below = max(round(-top) + margin + reach, 1), max(round(bottom) + margin + reach, 1)
    paper = int(np.percentile(page[:: max(1, page.shape[0] // 200), :: max(1, page.shape[1] // 200)], 50))
    strip = straighten(page, frame, left - margin, right + margin, above, below, paper)
    window = strip.picture
    corners = inside - [round(left - margin), -above]
    own_area = np.zeros(window.shape, np.uint8)
    cv2.fillPoly(own_area, [np.round(corners).astype(np.int32)], 1)

    negative = is_negative(window)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(ink_mask(window, negative))
    # Ink of another line lies outside of the polygon for the greater part, and does not reach its middle.
    within = np.bincount(pieces[own_area > 0], minlength=count)
    own = within >= 0.5 * stats[:, cv2.CC_STAT_AREA]
    first, last = above + round(top), above + round(bottom)
    middle = slice(round(first + 0.35 * (last - first)), round(first + 0.65 * (last - first)) + 1)
    own[pieces[middle]] = True
    # Soft edges go with their ink: those of other lines are cleared, those of this one stay.
    foreign = cv2.dilate((~own[pieces]).astype(np.uint8), np.ones((5, 5), np.uint8))
    kept = cv2.dilate((own[pieces] & (pieces > 0)).astype(np.uint8), np.ones((3, 3), np.uint8))
    blank = find_paper(window, negative)
    cleared = np.where((foreign > 0) & (kept == 0), blank, window)
    rows = slice(max(first - margin, 0), last + margin)
    if passes_for_negative(cleared[rows]) != negative:
        # In part in shadow: without it, lit paper does not pass for ink.
        cleared = (
            255 - cv2.divide(255 - cleared, 255 - blank, scale=255)
            if negative
            else cv2.divide(cleared, blank, scale=255)
        )
    return strip._replace(picture=cleared[rows], above=above - rows.start)


def crop_line(page: np.ndarray, line: Line) -> np.ndarray:
    """The picture of `cut_strip`."""
    return cut_strip(page, line).picture


def looks_like_line(picture: np.ndarray, page: Page) -> bool:
    """Says whether a picture is probably one line of writing, cut out, and not a page.

    Args:
        picture: shape (height, width).
        page: what was found there.
    """
    height, width = picture.shape
    if not page.lines:
        return width > 2 * height
    # Notes that are turned against the page do not count.
    lines = [line for line in page.lines if line.turn == page.turn] or page.lines
    boxes = [line.box for line in lines]
    if page.turn in (90, 270):  # the lines run from top to bottom of the picture
        thickest, side = max(box[2] - box[0] for box in boxes), width
    else:
        thickest, side = max(box[3] - box[1] for box in boxes), height
    return thickest > (0.25 if len(page.lines) == 1 else 0.65) * side
