"""Pages made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image

from htr.pages.containers import Character, Line, Page, Point, Region, Word


def rectangle(left: float, top: float, width: float, height: float) -> tuple[Point, ...]:
    return (left, top), (left + width, top), (left + width, top + height), (left, top + height)


def line_of(text: str, left: float, top: float, confidence: float = 0.9, gap: float = 20) -> Line:
    """A line of letters 20 pixels wide and 40 high, the baseline 10 above the foot, with so many pixels between words."""
    words, x = [], left
    for word in text.split(" "):
        letters = [Character(letter, confidence, rectangle(x + 20 * i, top, 20, 40)) for i, letter in enumerate(word)]
        words.append(Word(word, confidence, rectangle(x, top, 20 * len(word), 40), tuple(letters)))
        x += 20 * len(word) + gap
    width = x - gap - left
    baseline = (left, top + 30), (left + width, top + 30)
    return Line(baseline, rectangle(left, top, width, 40), text, confidence, tuple(words))


@pytest.fixture
def make_line() -> Callable[..., Line]:
    return line_of


@pytest.fixture
def page() -> Page:
    """Writing, a note in the margin, print that was not read, and a line in which nothing could be read."""
    unread = replace(line_of("x", 300, 460), text="", words=(), confidence=0.0)
    return Page(
        width=1000,
        height=700,
        regions=(
            Region("print", (replace(line_of("Form", 300, 40), text="", words=(), confidence=0.0),)),
            Region("text", (line_of("Dear Margaret,", 300, 200), line_of("thank you both", 310, 330, 0.4), unread)),
            Region("margin", (line_of("answered", 20, 210),)),
        ),
        file="letters/box 1/page.png",
        number=3,
        notes=("a note",),
    )


@pytest.fixture
def blank() -> Callable[[Page], Image.Image]:
    """Makes the picture of a page on which nothing is to be seen."""
    return lambda page: Image.new("L", (page.width, page.height), 240)


@pytest.fixture
def turned() -> Callable[[Page, float], Page]:
    """Turns what lies on a page counter-clockwise by some degrees, as if the scanner had got it so."""

    def turn(page: Page, degrees: float) -> Page:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        upright = degrees % 180 != 90
        width, height = (page.width, page.height) if upright else (page.height, page.width)

        def moved(part):
            points = {"polygon": tuple(map(at, part.polygon))}
            if isinstance(part, Line):
                points |= {"baseline": tuple(map(at, part.baseline)), "words": tuple(map(moved, part.words))}
            if isinstance(part, Word):
                points["characters"] = tuple(map(moved, part.characters))
            return replace(part, **points)

        def at(point: Point) -> Point:
            x, y = point[0] - page.width / 2, point[1] - page.height / 2
            return width / 2 + x * cos + y * sin, height / 2 - x * sin + y * cos

        regions = tuple(Region(region.kind, tuple(map(moved, region.lines))) for region in page.regions)
        quarter = int(degrees) if degrees % 90 == 0 else 0
        return replace(page, width=width, height=height, regions=regions, turn=quarter)

    return turn
