"""What the markup formats share: names, legal text, whole places on the page, and the words of a line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import PurePath
from xml.etree import ElementTree

import cv2
import numpy as np

from htr.messages import printable
from htr.pages.containers import Character, Line, Page, Point, Region, Word

VERSION = version("htr")
"""Of this package, as files name it."""

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """A text that XML may hold: control characters and half surrogates become U+FFFD, one for one."""
    return _ILLEGAL.sub("\ufffd", text)


def file_name(page: Page) -> str:
    """The name of the page's file without its folders; empty if the page is from no file."""
    return legal(printable(PurePath(page.file).name)) if page.file is not None else ""


def on_page(points: Iterable[Point], page: Page) -> list[tuple[int, int]]:
    """Points rounded to whole pixels, those outside of the page moved to its outermost pixels: kraken takes no others."""
    return [(min(max(round(x), 0), page.width - 1), min(max(round(y), 0), page.height - 1)) for x, y in points]


def outline(region: Region) -> list[Point]:
    """The polygon around the lines of a region: their convex hull, so that columns on a skewed page stay apart."""
    points = np.array([point for line in region.lines for point in line.polygon], np.float32)
    return [(float(x), float(y)) for x, y in cv2.convexHull(points)[:, 0]]


def within(part: Word | Character, whole: tuple[Point, ...]) -> tuple[Point, ...]:
    """The polygon of a word as far as it lies within that of its line, or of a character within what is so left of its word: PAGE XML
    wants no part to reach beyond its parent.

    Sutherland and Hodgman, "Reentrant polygon clipping" (1974), https://doi.org/10.1145/360767.360802: the polygon of the whole is cut
    along each side of the part's, which is convex and runs clockwise. All of the part's where nothing is left.
    """
    if part.polygon == whole:
        return whole
    points, sides = list(whole), _widened(part.polygon)
    for start, end in zip(sides, (*sides[1:], sides[0])):
        # How far each point lies inside of this side, in some unit.
        depths = [
            (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])
            for x, y in points
        ]  # fmt: skip
        kept: list[Point] = []
        for index, (point, depth) in enumerate(zip(points, depths)):
            before, depth_before = points[index - 1], depths[index - 1]
            if (depth < 0) != (depth_before < 0):
                share = depth_before / (depth_before - depth)
                kept.append(tuple(one + share * (other - one) for one, other in zip(before, point)))
            if depth >= 0:
                kept.append(point)
        points = kept
    return tuple(points) if len(points) > 2 else part.polygon


def _widened(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """The corners of a part, a pixel apart where it has no width, as a letter past the ink of its word has none."""
    (x, y), other, _, (x_below, y_below) = corners
    height = math.dist((x, y), (x_below, y_below))
    if math.dist((x, y), other) >= 1 or not height:
        return corners
    along = (y_below - y) / height, (x - x_below) / height
    return (x, y), (x + along[0], y + along[1]), (x_below + along[0], y_below + along[1]), (x_below, y_below)


def words_of(line: Line) -> tuple[Word, ...]:
    """The words of a line; a text whose words have no place is one word that fills the line along its baseline."""
    if line.words or not line.text:
        return line.words
    (left, top), (right, bottom) = line.baseline[0], line.baseline[-1]
    angle = math.atan2(bottom - top, right - left)
    along, down = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    xs, ys = np.array(line.polygon) @ along, np.array(line.polygon) @ down
    corners = (xs.min(), ys.min()), (xs.max(), ys.min()), (xs.max(), ys.max()), (xs.min(), ys.max())
    return (Word(line.text, line.confidence, tuple(tuple(x * along + y * down) for x, y in corners)),)


def spine(polygon: Sequence[Point]) -> tuple[Point, Point, float]:
    """The middle of a word's left edge, the middle of its right edge, as it is read, and its height.

    Args:
        polygon: of the word: its upper edge from left to right, then its lower edge from right to left.
    """
    half = len(polygon) // 2
    edges = (polygon[0], polygon[-1]), (polygon[half - 1], polygon[half])
    start, end = (((x1 + x2) / 2, (y1 + y2) / 2) for (x1, y1), (x2, y2) in edges)
    return start, end, sum(math.dist(*edge) for edge in edges) / 2


def lean_of(start: Point, end: Point, least: float) -> float:
    """Degrees clockwise by which what runs between two points is turned: whole quarters if it leans by less than the least."""
    angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    quarter = 90 * round(angle / 90)
    return quarter if abs(angle - quarter) < least else angle


def serialise(root: ElementTree.Element) -> bytes:
    """The bytes of an XML file, in UTF-8, without an XML declaration."""
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"
