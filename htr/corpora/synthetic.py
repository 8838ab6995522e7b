"""Endless synthetic lines: text written in handwriting fonts as a hand would write it, on paper.

What a network learns from them before it sees real lines is what letters may look like; so no two lines are in the same
hand. A hand is a font whose proportions, slant, spacing, pen and letter shapes are changed for one line, and change along
it. `python -m htr.corpora.synthetic --out sheet.png` draws a sheet of them to look at.
"""

from __future__ import annotations

import argparse
import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from htr.cli import run
from htr.corpora.paper import between_neighbours, on_paper
from htr.corpora.wording import ALPHABET, Texts
from htr.errors import InputError
from htr.fonts import font_path, handwriting_fonts, open_font

CROSSED_OUT = "#"
"""What stands in a text for a word that is crossed out, as in IAM."""

SHORTEST, TALLEST = 48, 100
"""Bounds on the height of a picture, in pixels."""

# Letters are set at one size, from the top of `h` to the foot of `g`, on a sheet; the rest is done by one warp of it.
_SIZE = 64
_ABOVE, _BELOW = 104, 72  # rows of the sheet above and below the baseline
_FINEST = 0.7  # of a line's strokes, of which capitals and digits in another font are made
_REACH = 48  # columns before the first letter and after the last: swashes reach out


@dataclass(frozen=True)
class Hand:
    """How one line is written; lengths in parts of the size of the letters, from the top of `h` to the foot of `g`.

    Attributes:
        size: of the letters, in pixels.
        width: stretch of the letters.
        ascender, descender: stretch of what stands above and below the small letters.
        slant: lean to the right that is added to the font's own, in pixels per pixel of height.
        slope: fall of the line, in pixels per pixel of width.
        spacing: added between letters.
        space: width of the space between words.
        unrest: how much place, size and slant of letters change along the line.
        shape: how far the outline of each letter is bent, alike in all of its occurrences.
        wobble: how far it is bent in each occurrence anew.
        pen: width of a stroke.
        pressure: how much that width changes along the line.
    """

    size: float
    width: float
    ascender: float
    descender: float
    slant: float
    slope: float
    spacing: float
    space: float
    unrest: float
    shape: float
    wobble: float
    pen: float
    pressure: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Hand:
        """Draws a hand."""

        def between(low: float, high: float) -> float:
            return float(np.exp(rng.uniform(np.log(low), np.log(high))))

        return cls(
            size=rng.uniform(32, 72),
            width=between(0.7, 1.8),
            ascender=between(0.6, 1.3),
            descender=between(0.6, 1.4),
            slant=rng.normal(0.05, 0.18),
            slope=rng.normal(0, 0.006),
            spacing=max(-0.05, rng.normal(0.01, 0.04)),
            space=between(0.25, 0.9),
            unrest=between(0.3, 1.5),
            shape=rng.uniform(0.0, 0.03),
            wobble=rng.uniform(0.005, 0.022),
            pen=between(0.035, 0.12),
            pressure=rng.uniform(0.02, 0.16),
        )


class Glyph(NamedTuple):
    """A letter set at `_SIZE`: its ink, the place of the ink from the pen's place on the baseline, and the pen's way on."""

    ink: np.ndarray
    left: int
    top: int
    advance: float


class Face:
    """The letters of a font, at `_SIZE`.

    Raises:
        InputError: the font cannot be opened, or lacks small letters.
    """

    def __init__(self, file: Path) -> None:
        font = open_font(file, 200)
        box = font.getbbox("hg")
        self.font: ImageFont.FreeTypeFont = font.font_variant(size=200 * _SIZE / max(1, box[3] - box[1]))
        # What is drawn for a character that the font lacks.
        self._lacking = {self._drawn(character) for character in ("\uffff", "\U0010fffd", "\u0378")}
        self._glyphs: dict[str, Glyph | None] = {}
        if not self.has(string.ascii_lowercase):
            raise InputError(f"{file}: this font lacks small Latin letters; remove it from the fonts")

    def glyph(self, character: str) -> Glyph | None:
        """The letter, or None where the font lacks it."""
        if character not in self._glyphs:
            self._glyphs[character] = self._glyph(character)
        return self._glyphs[character]

    def has(self, text: str) -> bool:
        """Whether the font has all letters of a text."""
        return all(self.glyph(character) for character in text)

    @cached_property
    def joined(self) -> bool:
        """Whether neighbouring letters touch."""
        return self._pieces("nenune") <= 2

    @cached_property
    def x_height(self) -> float:
        """Height of the small letters, in pixels."""
        return -self.font.getbbox("xz", anchor="ls")[1]

    @cached_property
    def stroke(self) -> float:
        """Mean width of the strokes, in pixels."""
        _, ink = self._set("nbdeoat")
        # Across a stroke, the distance from its edge is a quarter of its width on average.
        distance = cv2.distanceTransform((ink > 127).astype(np.uint8), cv2.DIST_L2, 5)
        return max(1.0, 4 * float(distance[distance > 0].mean()) - 1) if distance.any() else 1.0

    def _glyph(self, character: str) -> Glyph | None:
        mask = self._drawn(character)
        if mask in self._lacking or (character.islower() and mask == self._drawn(character.upper())):
            return None
        (left, top), ink = self._set(character)
        return Glyph(ink, left, top, self.font.getlength(character)) if ink.any() else None

    def _drawn(self, text: str) -> tuple[tuple[int, int], bytes]:
        mask = self.font.getmask(text)
        return mask.size, bytes(mask)

    def _set(self, text: str) -> tuple[tuple[int, int], np.ndarray]:
        left, top, right, bottom = (round(edge) for edge in self.font.getbbox(text, anchor="ls"))
        sheet = Image.new("L", (max(1, right - left + 2), max(1, bottom - top + 2)), 0)
        ImageDraw.Draw(sheet).text((1 - left, 1 - top), text, fill=255, font=self.font, anchor="ls")
        return (left - 1, top - 1), np.asarray(sheet)

    def _pieces(self, text: str) -> int:
        _, ink = self._set(text)
        return cv2.connectedComponents((ink > 60).astype(np.uint8))[0] - 1


class SyntheticLines:
    """Draws lines without end.

    The object is small and can be sent to other processes, which open fonts and texts for themselves.

    Args:
        fonts: font files, see `htr.fonts.handwriting_fonts`.
        texts: what is written.
        crossed_out: share of words that are crossed out; `CROSSED_OUT` stands for them in the text.

    Raises:
        InputError: a font cannot be used.
    """

    characters = ALPHABET
    """All that may occur in the texts."""

    def __init__(self, fonts: Sequence[Path], texts: Texts, crossed_out: float = 0.003) -> None:
        self.fonts = list(fonts)
        # Opened here once, so that a bad one is found before anything starts.
        for file in self.fonts:
            _face(file)
        self.texts = texts
        self.crossed_out = crossed_out

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
        """Draws the next line.

        Args:
            rng: the same state gives the same line.
            aspect: the line, prepared to height h by `htr.lineimage.prepare`, is at most about so many times h wide, and
                mostly at least three quarters of that, before narrow writing is made wider; below 1, where no word has room,
                words are squeezed.

        Returns:
            The picture, shape (height, width), uint8 grey, 0 = black, 48 to 100 pixels high; and its text.

        Raises:
            InputError: a font or a package is missing or cannot be used.
        """
        passage = self.texts.passage(rng)
        hand = Hand.random(rng)
        setting = _Setting(*self._faces(passage, rng), hand, rng)
        target = aspect * rng.uniform(0.85, 1)
        self._write(passage, setting, target, rng)
        tries = 1
        while not setting.words or (setting.aspect() < 0.8 * target and tries < 3):
            self._write(self.texts.passage(rng), setting, target, rng)
            tries += 1
        ink = _warp(setting.sheet(), setting, rng)
        ink = _pen(ink, setting.face, hand, rng)
        ink = _framed(ink, aspect, rng)
        if rng.random() < 0.3:
            ink = between_neighbours(ink, ink, rng)
        return on_paper(ink, rng), " ".join(setting.words)

    def _faces(self, passage: list[str], rng: np.random.Generator) -> tuple[Face, Face]:
        """A font for the line and one for its capitals and digits, mostly the same."""
        text = "".join(passage)
        # Some fonts lack accents: a few others are tried before words are left out.
        for _ in range(6):
            face = _face(self.fonts[rng.integers(len(self.fonts))])
            if face.has(text):
                break
        other = _face(self.fonts[rng.integers(len(self.fonts))]) if rng.random() < 0.15 else face
        # Much thinner strokes than the line's would be wiped out where its pen is made finer.
        return face, other if other.stroke > _FINEST * face.stroke else face

    def _write(self, passage: list[str], setting: _Setting, target: float, rng: np.random.Generator) -> None:
        """Sets words of a passage until the line is full."""
        words = [word for word in passage if setting.has(word)]
        for word in words:
            if setting.aspect(word) <= target:
                setting.add(word, word.isalpha() and rng.random() < self.crossed_out)
            elif setting.words and setting.aspect() > 0.8 * target:
                return
            # else a shorter word may still have its place
        if words and not setting.words:
            setting.add(min(words, key=setting.aspect), False)  # will be squeezed


class _Setting:
    """The letters of a line at their places, before they are bent."""

    def __init__(self, face: Face, other: Face, hand: Hand, rng: np.random.Generator) -> None:
        self.face, self.other, self.hand, self.rng = face, other, hand, rng
        self.words: list[str] = []
        self.letters: list[str] = []
        self.places: list[tuple[Glyph, float]] = []
        self.marks: list[np.ndarray] = []  # strokes over and under words
        self.x = 0.0
        self.top, self.bottom = -face.x_height, 0.0
        # Joined letters must keep their distance to stay joined; in some hands they part now and then.
        self.spacing = 0.0 if face.joined else hand.spacing * _SIZE
        self.jitter = rng.uniform(0, 0.02) * _SIZE * (0.3 if face.joined else 1)
        self.parting = rng.uniform(0, 0.1) if rng.random() < 0.5 else 0.0
        self.space = (hand.space / hand.width**0.5 + max(0.0, hand.spacing)) * _SIZE

    def _glyph(self, character: str) -> Glyph | None:
        return (self.other if character.isupper() or character.isdigit() else self.face).glyph(character)

    def has(self, word: str) -> bool:
        return all(self._glyph(character) for character in word)

    def aspect(self, word: str = "") -> float:
        """About how many times wider than high the line is, with one more word."""
        top, bottom, width = self.top, self.bottom, self.x
        if word and self.words:
            width += self.space
        for character in word:
            glyph = self._glyph(character)
            width += glyph.advance + self.spacing
            top, bottom = min(top, glyph.top), max(bottom, glyph.top + glyph.ink.shape[0])
        hand, x_height = self.hand, self.face.x_height
        height = x_height + hand.ascender * max(0, -top - x_height) + hand.descender * bottom
        border = 0.1 * height
        return (width * hand.width + border) / (max(height, 0.6 * _SIZE) + border) + 0.25

    def add(self, word: str, crossed_out: bool) -> None:
        """Sets a word."""
        rng = self.rng
        if self.words:
            self.x += self.space * rng.uniform(0.7, 1.3)
        start = self.x
        moves = rng.normal(0, self.jitter, len(word)).tolist()
        parts = (rng.random(len(word)) < self.parting).tolist()
        for character, move, part in zip(word, moves, parts):
            glyph = self._glyph(character)
            self.places.append((glyph, self.x + move))
            self.letters.append(character)
            self.x += glyph.advance + self.spacing + (0.08 * _SIZE if part else 0)
            self.top = min(self.top, glyph.top)
            self.bottom = max(self.bottom, glyph.top + glyph.ink.shape[0])
        self.words.append(CROSSED_OUT if crossed_out else word)
        if crossed_out:
            self.marks.extend(_crossing(start, self.x, self.face.x_height, rng))
        elif rng.random() < 0.01:
            y = rng.uniform(0.1, 0.3) * _SIZE
            self.marks.append(np.array([[start, y], [self.x, y + rng.normal(0, 3)]]))

    def sheet(self) -> np.ndarray:
        """Ink, shape (`_ABOVE` + `_BELOW`, width), uint8, 255 = a full stroke."""
        sheet = np.zeros((_ABOVE + _BELOW, int(self.x) + 2 * _REACH), np.uint8)
        for glyph, x in self.places:
            left, top = round(x) + glyph.left + _REACH, glyph.top + _ABOVE
            x0, y0 = max(left, 0), max(top, 0)
            area = sheet[y0 : max(y0, top + glyph.ink.shape[0]), x0 : max(x0, left + glyph.ink.shape[1])]
            ink = glyph.ink[y0 - top :, x0 - left :][: area.shape[0], : area.shape[1]]
            np.maximum(area, ink, out=area)
        for stroke in self.marks:
            points = [np.round((stroke + np.array([_REACH, _ABOVE])) * 16).astype(np.int32)]
            cv2.polylines(sheet, points, False, 255, max(1, round(self.face.stroke)), cv2.LINE_AA, 4)
        return sheet


def _crossing(start: float, end: float, x_height: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Strokes that cross a word out: a line or two, or a scrawl."""
    if rng.random() < 0.6:
        levels = -x_height * rng.uniform(0.2, 0.8, int(rng.integers(1, 4)))
        return [np.array([[start, y], [end, y + rng.normal(0, 0.15 * x_height)]]) for y in levels]
    turns = max(4, int((end - start) / (0.35 * x_height)))
    x = np.linspace(start, end, turns) + rng.normal(0, 3, turns)
    y = -x_height * np.where(np.arange(turns) % 2, rng.uniform(0.8, 1.2, turns), rng.uniform(-0.2, 0.2, turns))
    return [np.stack([x, y], 1)]


def _warp(sheet: np.ndarray, setting: _Setting, rng: np.random.Generator) -> np.ndarray:
    """Bends a sheet of letters to the hand.

    Returns:
        Ink, shape (height, width), uint8; letters of the hand's size.
    """
    hand = setting.hand
    scale = hand.size / _SIZE
    if scale < 0.7:  # sampling further apart would break thin strokes
        sheet = cv2.blur(sheet, (2, 2))
    height = round(sheet.shape[0] * scale * 1.2)
    width = round(sheet.shape[1] * scale * hand.width)
    base = height * _ABOVE / (_ABOVE + _BELOW)
    unrest = hand.unrest

    def along(every: float, amount: float) -> np.ndarray:
        """A number for each column that changes smoothly over so many sizes of a letter."""
        knots = rng.standard_normal((1, 3 + int(width / (every * hand.size))), dtype=np.float32) * amount
        return cv2.resize(knots, (width, 1), interpolation=cv2.INTER_CUBIC)[0]

    # Letters grow wider and narrower: where on the sheet each column comes from.
    pace = np.cumsum(np.exp(along(0.6, 0.1 * unrest)))
    from_x = pace * (sheet.shape[1] / pace[-1])
    letters_x = np.array([x for _, x in setting.places], np.float32) + _REACH
    letters_y = rng.standard_normal(len(letters_x)) * setting.jitter * 1.2
    slope = hand.slope * (np.arange(width) - width / 2)
    fall = slope + scale * np.interp(from_x, letters_x, letters_y) + along(5, 0.03 * unrest * hand.size)
    fall = (fall + along(0.8, 0.008 * unrest * hand.size)).astype(np.float32)
    tall = scale * np.exp(along(0.8, 0.04 * unrest) + along(4, 0.05 * unrest))
    slant = hand.slant + along(0.7, 0.05 * unrest)

    # From here on for each pixel: its height over the baseline on the sheet, then its place there.
    y = (np.arange(height, dtype=np.float32)[:, None] - np.float32(base) - fall) / tall
    over, under = np.minimum(y + setting.face.x_height, 0), np.maximum(y, 0)
    bend_x, bend_y = _bends(sheet, from_x, height, setting, rng)
    source_x = from_x.astype(np.float32) + slant * y + bend_x
    y += (1 / hand.ascender - 1) * over
    y += (1 / hand.descender - 1) * under
    y += bend_y
    y += _ABOVE
    return cv2.remap(sheet, source_x, y, cv2.INTER_LINEAR)


def _bends(
    sheet: np.ndarray, from_x: np.ndarray, height: int, setting: _Setting, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How far each pixel is moved to change the shape of letters: some in each hand, some each time; in pixels of the sheet."""
    rows, across = 11, 4
    column = 10
    columns = sheet.shape[1] // column + 2
    letters_x = np.array([x for _, x in setting.places]) + _REACH
    # Of each column of the grid, the letter that it lies in and how far from its left.
    middles = np.arange(columns) * column
    index = np.clip(np.searchsorted(letters_x, middles, side="right") - 1, 0, None)
    part = np.clip(((middles - letters_x[index]) / column).astype(int), 0, across - 1)
    kinds, kind_of = np.unique(np.array(setting.letters), return_inverse=True)
    own = rng.standard_normal((len(kinds), across, rows, 2), dtype=np.float32) * setting.hand.shape
    grid = own[kind_of[index], part] + rng.standard_normal((columns, rows, 2), dtype=np.float32) * setting.hand.wobble
    grid = np.ascontiguousarray(grid.transpose(2, 1, 0)) * _SIZE
    places = np.tile((from_x / column).astype(np.float32), (rows, 1))
    rows_of = np.repeat(np.arange(rows, dtype=np.float32)[:, None], len(from_x), 1)
    bends = [cv2.remap(knots, places, rows_of, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for knots in grid]
    return tuple(cv2.resize(bend, (len(from_x), height), interpolation=cv2.INTER_LINEAR) for bend in bends)


def _pen(ink: np.ndarray, face: Face, hand: Hand, rng: np.random.Generator) -> np.ndarray:
    """Makes strokes as wide as the hand's pen, which presses here more and there less."""
    natural = face.stroke * hand.size / _SIZE
    widest = 0.28 * face.x_height / _SIZE * min(1.0, hand.width)  # small letters must not fill up
    wanted = max(1.3, min(hand.pen, widest) * hand.size)
    wider = (wanted - natural) / 2
    if wider > 1:
        size = 2 * int(wider) + 1
        ink = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        wider -= int(wider)
    wider = max(wider, -0.25 * natural)
    blur = 0.7 + 0.5 * abs(wider)
    soft = cv2.GaussianBlur(ink, (0, 0), blur).astype(np.float32)
    # Where blurred ink is cut off, the edge lies further out or in.
    height, width = ink.shape
    knots = rng.standard_normal((4, 2 + int(width / (0.4 * hand.size))), dtype=np.float32) * hand.pressure
    cut = cv2.resize(knots, (width, height), interpolation=cv2.INTER_LINEAR)
    cut += 0.5 - 0.35 * wider / blur
    np.clip(cut, 0.15, 0.6, out=cut)
    # What the middle of a blurred stroke still has of full ink; dots, which are blurred on all sides, have less.
    cut *= math.erf(natural / (8**0.5 * blur)) ** 1.6
    sharp = rng.uniform(1.5, 4)
    cut -= 0.5 / sharp
    np.maximum(cut, 0.06, out=cut)  # blank paper stays blank
    soft -= 255 * cut
    soft *= sharp
    out = np.clip(soft, 0, 255).astype(np.uint8)
    return out if out.max() > 60 else ink  # a lone dot may get lost


def _framed(ink: np.ndarray, aspect: float, rng: np.random.Generator) -> np.ndarray:
    """Cuts the line out with some margin, and squeezes it where it came out wider than asked for."""
    x, y, width, height = cv2.boundingRect((ink > 60).astype(np.uint8))
    ink = ink[y : y + height, x : x + width]
    left, right = rng.uniform(0, 0.3, 2) * height
    top, bottom = rng.uniform(0.0, 0.2, 2) * height
    ink = cv2.copyMakeBorder(ink, int(top), int(bottom), int(left), int(right), cv2.BORDER_CONSTANT, value=0)
    # Preparing cuts off rows that hold a few per mille of the ink, but at least half of the height stays.
    rows = np.cumsum(ink.sum(1, dtype=np.int64))
    extent = np.searchsorted(rows, 0.996 * rows[-1]) - np.searchsorted(rows, 0.004 * rows[-1]) + 1
    extent = 1.08 * max(extent, ink.shape[0] / 2)
    widest = max(1.0, (aspect - 0.25) * extent)
    high = float(np.clip(ink.shape[0], SHORTEST, TALLEST))
    zoom = high / ink.shape[0]
    wide = max(8, round(min(ink.shape[1], widest) * zoom))
    if (round(high), wide) == ink.shape:
        return ink
    return cv2.resize(ink, (wide, round(high)), interpolation=cv2.INTER_AREA if zoom <= 1 else cv2.INTER_LINEAR)


@lru_cache(256)
def _face(file: Path) -> Face:
    return Face(file)


def main() -> None:
    """The command line: draws a sheet of lines with their texts."""
    parser = argparse.ArgumentParser(
        prog="python -m htr.corpora.synthetic", description="Draws synthetic lines to look at."
    )
    parser.add_argument("--out", type=Path, required=True, help="picture to write (.png)")
    parser.add_argument("--fonts", type=Path, help="folder with handwriting fonts (default: the installed packages)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other lines (default: 0)")
    args = parser.parse_args()
    if args.seed < 0:
        raise InputError(f"--seed: {args.seed} is below 0; give 0 or more")
    if args.out.exists():
        raise InputError(f"{args.out}: is there already; choose another --out, or remove it")
    lines = SyntheticLines(handwriting_fonts(args.fonts), Texts())
    sheet = _sheet(lines, args.seed)
    try:
        sheet.save(args.out)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{args.out}: this picture cannot be written ({error}); give a .png in a folder that exists"
        ) from None


def _sheet(lines: SyntheticLines, seed: int) -> Image.Image:
    """Forty lines with their texts over them, in two columns."""
    rng = np.random.default_rng(seed)
    sheet = Image.new("L", (2000, 20 * 110), 128)
    pen = ImageDraw.Draw(sheet)
    font = open_font(font_path("Noto Sans"), 18)
    for number in range(40):
        picture, text = lines.draw(rng, rng.uniform(2, 14))
        picture = Image.fromarray(picture)
        picture.thumbnail((980, 80))
        left, top = 10 + number // 20 * 1000, number % 20 * 110
        sheet.paste(picture, (left, top + 24))
        pen.text((left, top), text, fill=255, font=font)
    return sheet


if __name__ == "__main__":
    run(main)
