"""Labelled lines and a sample page, written in handwriting fonts.

They stand in where no database of real handwriting is at hand: a newcomer's first training, and the tests. The fonts
come as Python packages (`fontpkg-...`), the words from `htr.corpora.wording`. A font plays the part of a writer, and
as in real corpora no writer is in two splits.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from htr.corpora import wording
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.fonts import FAMILIES, font_path, open_font

PAGE_HEIGHT, PAGE_WIDTH = 1754, 1240
"""Size of the sample page, in pixels: A4 at 150 dpi."""

PAGE_PARAGRAPHS = (
    ("Westerby, 14 October 1958",),
    (
        "Dear Margaret,",
        "Thank you for the parcel, which came on Tuesday.",
        "The gloves fit well and the jam is nearly gone!",
        "It has rained here for nine days, so Father and I",
        'mended the old boat in the barn. "She will float,"',
        "he says; I am not quite so sure.",
    ),
    (
        "Could you visit us before the 25th? The 10.40 train",
        "stops at Oxley Bridge (ask the guard), and Joseph",
        "would fetch you with the cart. Bring warm shoes,",
        "a book or two & your violin.",
    ),
    (
        "With love from all of us,",
        "Kate",
    ),
)
"""What the sample page says: paragraphs of lines."""


@dataclass(frozen=True)
class Hand:
    """How one writer writes on one day; all that is the same from the first letter of a line to the last.

    Attributes:
        family: font family.
        size: height from the top of `h` to the foot of `g`, in pixels.
        slant: lean to the right that is added to the font's own, in pixels per pixel of height.
        slope: rise of the line, in pixels per pixel of width.
        wobble: how far letters stray from their place, in parts of `size`.
        space: width of the space between words, in parts of `size`.
        blur: standard deviation of the softening of the strokes, in pixels.
        pressure: factor on the ink that lies on the paper after softening; above 1 the strokes widen.
        ink: grey value of a full stroke, 0 = black.
        paper: grey value of the paper.
    """

    family: str
    size: int
    slant: float
    slope: float
    wobble: float
    space: float
    blur: float
    pressure: float
    ink: int
    paper: int


@dataclass(frozen=True)
class LinePicture:
    """Draws one line when called; the same picture each time.

    Attributes:
        text: what to write.
        family: font family to write it in.
        seed: numbers that seed the hand and its wobble.
    """

    text: str
    family: str
    seed: tuple[int, ...]

    def __call__(self) -> np.ndarray:
        """Returns the picture: shape (height, width), uint8 grey, 0 = black."""
        rng = np.random.default_rng(self.seed)
        return draw_line(self.text, random_hand(self.family, rng), rng)


def embedded_lines(split: str, count: int, seed: int = 0) -> list[Sample]:
    """Makes up labelled lines; line i is the same whatever the count.

    No text is in two splits, even where their seeds differ, and no font is either.

    Args:
        split: `train`, `val` or `test`.
        count: number of lines.
        seed: another seed gives other lines.

    Returns:
        The lines; their pictures are drawn only when opened.

    Raises:
        InputError: there is no such split, or a font is not installed.
    """
    if split not in FAMILIES:
        raise InputError(f"{split}: no such split; give one of {', '.join(FAMILIES)}")
    families = FAMILIES[split]
    for family in families:
        font_path(family)
    split_number = list(FAMILIES).index(split)
    samples = []
    for index in range(count):
        text = _text(split_number, index, seed)
        family = families[index % len(families)]
        picture = LinePicture(text, family, (seed, split_number, index))
        samples.append(Sample(f"synthetic-{split}-{seed}-{index:05d}", text, split, picture, writer=family))
    return samples


def sample_page(seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Writes a short letter in one font of the test split; `data/sample/page.png` is the page of seed 0.

    Args:
        seed: another seed gives another writing of the same text.

    Returns:
        The page, shape (`PAGE_HEIGHT`, `PAGE_WIDTH`), uint8 grey, 0 = black; and the text of its lines, from top to
        bottom.
    """
    rng = np.random.default_rng(seed)
    hand = Hand(
        family=FAMILIES["test"][0],
        size=50,
        slant=0.05,
        slope=0.004,
        wobble=0.012,
        space=0.3,
        blur=0.7,
        pressure=1.3,
        ink=45,
        paper=255,
    )
    page = np.full((PAGE_HEIGHT, PAGE_WIDTH), 255, np.uint8)
    lines = []
    baseline = 190
    for paragraph in PAGE_PARAGRAPHS:
        for text in paragraph:
            strokes, origin_x, origin_y = _strokes(text, hand, rng)
            picture = cv2.LUT(strokes, _tones(hand))
            left = 130 + int(rng.integers(-8, 9)) - origin_x
            top = baseline + int(rng.integers(-4, 5)) - origin_y
            area = page[top : top + picture.shape[0], left : left + picture.shape[1]]
            np.minimum(area, picture, out=area)
            lines.append(text)
            baseline += 100
        baseline += 45
    # Light falls from the upper left, as on a page under a desk lamp.
    shade = np.add.outer(np.linspace(0, 10, PAGE_HEIGHT), np.linspace(0, 8, PAGE_WIDTH))
    tone = (250 - shade) / 255
    return np.rint(page * tone).astype(np.uint8), lines


def random_hand(family: str, rng: np.random.Generator) -> Hand:
    """Draws the hand for a line. The bounds are narrow: training adds variation of its own."""
    return Hand(
        family,
        size=int(rng.integers(50, 73)),
        slant=rng.uniform(-0.12, 0.18),
        slope=rng.uniform(-0.006, 0.006),
        wobble=rng.uniform(0.0, 0.025),
        space=rng.uniform(0.25, 0.5),
        blur=rng.uniform(0.4, 0.9),
        pressure=rng.uniform(1.0, 1.6),
        ink=int(rng.integers(10, 91)),
        paper=int(rng.integers(238, 256)),
    )


def draw_line(text: str, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """Draws one line, cut tight around its ink with a narrow margin.

    Args:
        text: what to write.
        hand: how to write it.
        rng: draws the wobble and the margins.

    Returns:
        Picture of shape (height, width), uint8 grey, 0 = black; the height is near `hand.size`.
    """
    strokes, _, _ = _strokes(text, hand, rng)
    left, right, top, bottom = rng.integers(3, 9, size=4).tolist()
    strokes = cv2.copyMakeBorder(strokes, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    return cv2.LUT(strokes, _tones(hand))


def _text(split_number: int, index: int, seed: int) -> str:
    # A text belongs to the one split that its checksum names: that keeps the splits apart for every seed and count.
    rng = random.Random(f"{seed} {split_number} {index}")
    while True:
        text = wording.line(rng)
        if zlib.crc32(text.encode()) % len(FAMILIES) == split_number:
            return text


@cache
def _font(family: str, size: int) -> ImageFont.FreeTypeFont:
    """The font, scaled so that the top of `h` is `size` pixels above the foot of `g`."""
    reference = open_font(font_path(family), 200)
    _, top, _, bottom = reference.getbbox("hg")
    return reference.font_variant(size=size * 200 / (bottom - top))


def _strokes(text: str, hand: Hand, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
    """Writes one line.

    Returns:
        Ink on the paper cut to the inked box, shape (height, width), uint8, 255 = a full stroke; and where the base
        line begins, before wobble and slope, as x and y in pixels from the upper left of that box.
    """
    font = _font(hand.family, hand.size)
    reach = 2 * hand.size  # Swashes reach far out of a letter's own width and height.
    words = text.split(" ")
    starts, x = [], float(reach)
    for word in words:
        starts.append(x)
        x += font.getlength(word) + hand.size * hand.space * rng.uniform(0.8, 1.25)
    sheet = Image.new("L", (int(x) + reach, 2 * reach), 0)
    pen = ImageDraw.Draw(sheet)
    for word, start in zip(words, starts, strict=True):
        pen.text((start, reach), word, fill=255, font=font, anchor="ls")
    left, top, right, bottom = sheet.getbbox()
    spare = hand.size // 2
    left, top = left - spare, top - spare
    strokes = np.asarray(sheet)[top : bottom + spare, left : right + spare]
    strokes = _bend(strokes, hand, rng, baseline=reach - top)
    strokes = cv2.GaussianBlur(strokes, (0, 0), hand.blur)
    box_left, box_top, width, height = cv2.boundingRect(strokes)
    strokes = strokes[box_top : box_top + height, box_left : box_left + width]
    return strokes, reach - left - box_left, reach - top - box_top


def _bend(strokes: np.ndarray, hand: Hand, rng: np.random.Generator, baseline: int) -> np.ndarray:
    """Leans and lifts the line, and moves its letters a little out of their places.

    The movement changes smoothly along the line, so that joined letters stay joined.

    Args:
        strokes: ink, shape (height, width), uint8; blank for `hand.size / 2` pixels on each side.
        hand: slant, slope and wobble.
        rng: draws the wobble.
        baseline: row of the base line in pixels.

    Returns:
        Ink of the same shape.
    """
    height, width = strokes.shape
    knots = rng.standard_normal((2, 2 + width // (hand.size // 2)), dtype=np.float32) * hand.wobble * hand.size
    shift_x, shift_y = cv2.resize(knots, (width, 2), interpolation=cv2.INTER_CUBIC)
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)
    source_x = (x + shift_x)[None, :] + np.float32(hand.slant) * (y - baseline)[:, None]
    source_y = (shift_y + np.float32(hand.slope) * (x - np.float32(width / 2)))[None, :] + y[:, None]
    return cv2.remap(strokes, source_x, source_y, cv2.INTER_LINEAR)


def _tones(hand: Hand) -> np.ndarray:
    """Table from ink to grey value, shape (256,), uint8."""
    cover = np.minimum(np.arange(256) / 255 * hand.pressure, 1)
    return np.rint(hand.paper - (hand.paper - hand.ink) * cover).astype(np.uint8)
