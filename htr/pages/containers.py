"""What every step of reading hands on: a page, its regions, their lines, words and characters.

All places are in pixels of the picture as it is shown (turned as its EXIF orientation says), x to the right and y down,
also on a page that lies sideways or upside down. There, a baseline still runs from the first letter to the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

Point = tuple[float, float]
"""x and y in pixels."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a rectangle in pixels; right and bottom lie just outside of it."""


@dataclass(frozen=True)
class Character:
    """One character that was read.

    Attributes:
        text: the character; never a space.
        confidence: how sure the reading is, 0 to 1.
        polygon: its four corners, from the upper left one clockwise as the line is read.
    """

    text: str
    confidence: float
    polygon: tuple[Point, ...]


@dataclass(frozen=True)
class Word:
    """What stands between two spaces.

    Attributes:
        text: what it says; never empty, no spaces.
        confidence: how sure the reading is, 0 to 1: the mean over its characters.
        polygon: its corners, from the upper left one clockwise as the line is read.
        characters: of the word, as many as the text has.
    """

    text: str
    confidence: float
    polygon: tuple[Point, ...]
    characters: tuple[Character, ...] = ()

    @property
    def box(self) -> Box:
        """The upright rectangle around the polygon."""
        return around(self.polygon)


@dataclass(frozen=True)
class Line:
    """One line of writing.

    Attributes:
        baseline: two points or more on which the letters stand, in the direction of reading.
        polygon: three corners or more, around the ink of the line.
        text: what it says; empty before it is read and where nothing could be read.
        confidence: how sure the reading is, 0 to 1: the mean over its characters; of an empty one, how sure it is that nothing stands
            there.
        words: of the text, in order.
    """

    baseline: tuple[Point, ...]
    polygon: tuple[Point, ...]
    text: str = ""
    confidence: float = 0.0
    words: tuple[Word, ...] = ()

    @property
    def box(self) -> Box:
        """The upright rectangle around the polygon."""
        return around(self.polygon)

    @property
    def chord(self) -> float:
        """Pixels from the first point of the baseline to the last."""
        return math.dist(self.baseline[0], self.baseline[-1])

    @property
    def turn(self) -> int:
        """Degrees clockwise by which the picture must be turned for the line to stand upright: 0, 90, 180 or 270."""
        (x_first, y_first), (x_last, y_last) = self.baseline[0], self.baseline[-1]
        return round(math.degrees(math.atan2(y_first - y_last, x_last - x_first)) / 90) * 90 % 360


@dataclass(frozen=True)
class Region:
    """Lines that belong together: a column, a note in the margin, a piece of print.

    Attributes:
        kind: `text` for writing, `margin` for a note in the margin, which may run up or down or stand upside down, `print` for
            printed text, which is found but not read.
        lines: in reading order, at least one.
    """

    kind: str
    lines: tuple[Line, ...]

    @property
    def box(self) -> Box:
        """The upright rectangle around the lines."""
        return around(point for line in self.lines for point in line.polygon)


@dataclass(frozen=True)
class Page:
    """One picture of a page.

    Attributes:
        width, height: of the picture, in pixels.
        regions: in reading order.
        file: where the picture came from, if from a file.
        number: which page of the file this is, from 1.
        turn: degrees clockwise by which the picture must be turned for the writing to stand upright: 0, 90, 180 or 270.
        notes: what a person should know of the reading, such as parts that were left out.
    """

    width: int
    height: int
    regions: tuple[Region, ...] = ()
    file: str | None = None
    number: int = 1
    turn: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def lines(self) -> list[Line]:
        """The lines of handwriting in reading order; not those of print."""
        return [line for region in self.regions if region.kind != "print" for line in region.lines]

    @property
    def text(self) -> str:
        """The text of all lines of handwriting, one below the other, with an empty line between regions."""
        blocks = ["\n".join(line.text for line in region.lines if line.text) for region in self.regions]
        return "\n\n".join(block for block in blocks if block)


def within(points: Iterable[Point], shape: tuple[int, ...]) -> tuple[Point, ...]:
    """The points, those outside of a picture of this shape (height, width) moved to its edge."""
    height, width = shape
    return tuple((min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))) for x, y in points)


def turned(points: Iterable[Point], degrees: int, shape: tuple[int, ...]) -> list[Point]:
    """Where points of a picture lie once it is turned clockwise by 0, 90, 180 or 270 degrees, and has this shape (height, width)."""
    height, width = shape[:2]
    turn = {
        0: lambda x, y: (x, y),
        90: lambda x, y: (width - y, x),
        180: lambda x, y: (width - x, height - y),
        270: lambda x, y: (y, height - x),
    }[degrees]
    return [turn(x, y) for x, y in points]


def around(points: Iterable[Point]) -> Box:
    """The smallest upright rectangle, of whole pixels, that holds the points."""
    xs, ys = zip(*points)
    return math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))
