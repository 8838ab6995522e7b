"""Pages put together from single lines, with their truth: what the finding of lines learns from.

Real lines (their ink, without their paper) and lines drawn in fonts are set out on drawn paper: columns, registers and
accounts, notes in the margin, print above or beside the writing, pen and pencil, rules and squares, drawings, staves,
stains, shadows, ink that shows through, a dark table around the page; then bent and turned as a photograph would.
Everything is seeded. The fonts of print come with the extra `finder` (`pip install 'htr[finder]'`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from htr.corpora import wording
from htr.corpora.band import Band, find_band
from htr.corpora.sample import Sample
from htr.fonts import FAMILIES, font_path, open_font
from htr.lineimage import ink_of

PRINT = ("EB Garamond", "Crimson Text", "Arimo", "IBM Plex Mono", "Roboto", "Lora", "Libre Baskerville")
"""Fonts of printed text, by family name."""

# Rows of the line pictures that are kept: finer ones only cost time.
_LINE_HEIGHT = 72


Inked = tuple[np.ndarray, Band]
"""The ink of a line, shape (height, width), uint8, 0 = paper, and its core."""

Hand = Callable[[], Inked | None]
"""Draws a line of one hand, another each time; None where it finds none that can be used."""


@dataclass(frozen=True)
class Composed:
    """A piece of a page and its truth.

    Attributes:
        picture: shape (side, side), uint8 grey, 0 = black.
        cores: shape (2, side / 4, side / 4), uint8, 255 where the core of a line is: of writing, of print.
    """

    picture: np.ndarray
    cores: np.ndarray


class Composer:
    """Makes pieces of pages.

    Args:
        samples: real or drawn lines; those of one hand (see `hand_of`) are set together.
        side: of the pieces, in pixels; divisible by 4.

    Raises:
        InputError: a picture cannot be opened, or a font of print is not installed.
    """

    def __init__(self, samples: Sequence[Sample], side: int) -> None:
        self.side = side
        for family in PRINT:
            font_path(family)
        # All at once: damaged files are found before training starts, and loader processes share the memory.
        hands: dict[str, list[Inked | None]] = {}
        for sample in tqdm(samples, desc="cutting out lines", unit=" lines", leave=False, disable=None):
            hands.setdefault(hand_of(sample), []).append(_cut_out(sample))
        self._hands = list(hands.values())

    def __call__(self, seed: int) -> Composed:
        """The piece of this number; the same each time."""
        return _Sheet(self.side, self._hands, np.random.default_rng(seed)).compose()


def hand_of(sample: Sample) -> str:
    """What stands for one hand: the form, else the writer, else the line itself."""
    return sample.form or sample.writer or sample.id


def _cut_out(sample: Sample) -> Inked | None:
    """A line's ink and core; None where that is too low to be told."""
    picture = sample.image()
    zoom = min(1.0, _LINE_HEIGHT / picture.shape[0])
    size = max(1, round(picture.shape[1] * zoom)), max(1, round(picture.shape[0] * zoom))
    ink = ink_of(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    band = find_band(ink.astype(np.float32) / 255)
    return (ink, band) if band and band.bottom - band.top > 4 else None


class _Sheet:
    """A piece of a page in the making; all lengths are pixels."""

    def __init__(self, side: int, hands: list[list[Inked | None]], rng: np.random.Generator) -> None:
        self.rng = rng
        self.side = side
        self.hands = hands
        # Larger than the piece, so that turning leaves no empty corners.
        self.size = int(side * 1.3) // 4 * 4
        self.ink = np.zeros((self.size, self.size), np.float32)
        self.cores = np.zeros((2, self.size, self.size), np.uint8)
        # Height of the small letters: most often as of pages seen at 1 million pixels, now and then of a close-up.
        self.letter = float(np.exp(rng.uniform(np.log(4.5), np.log(20)))) if self.chance(0.9) else rng.uniform(18, 32)
        # How dark the darkest ink is, now and then pencil, and how dark what is set just now is beside it.
        self.depth = rng.uniform(0.35, 0.95) if self.chance(0.75) else np.exp(rng.uniform(np.log(0.1), np.log(0.35)))
        self.pressure = 1.0

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def compose(self) -> Composed:
        rng = self.rng
        left, top, right, bottom = self._paper_box()
        behind = None
        if self.chance(0.12):
            self._fill(left, top, right, bottom)
            behind = self.ink[:, ::-1]
            self.ink, self.cores = np.zeros_like(self.ink), np.zeros_like(self.cores)
        if self.chance(0.95):
            self._fill(left, top, right, bottom)
        clutter = self._clutter(left, top, right, bottom, behind)
        tone = self._paper(left, top, right, bottom)
        maps = [self.ink, *self.cores, clutter, tone]
        ink, writing, print_, clutter, tone = self._photograph(maps)
        picture = tone * (1 - np.clip(ink * self.depth, 0, 1)) * (1 - np.clip(clutter, 0, 1))
        if self.chance(0.6):
            picture = picture * self._light()
        if self.chance(0.5):
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.1))
        picture = picture * 255 + rng.normal(0, rng.uniform(0, 7), picture.shape).astype(np.float32)
        picture = np.clip(picture, 0, 255).astype(np.uint8)
        if self.chance(0.05):
            picture = 255 - picture
        if self.chance(0.3):
            _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
            picture = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
        small = self.side // 4, self.side // 4
        cores = np.stack([cv2.resize(core, small, interpolation=cv2.INTER_AREA) for core in (writing, print_)])
        return Composed(picture, np.clip(cores, 0, 255).astype(np.uint8))

    def _paper_box(self) -> tuple[int, int, int, int]:
        """The edges of the paper; mostly it is larger than the sheet."""
        low, high = int(0.12 * self.size), int(0.35 * self.size)
        edges = [int(self.rng.integers(low, high)) if self.chance(0.13) else 0 for _ in range(4)]
        return edges[0], edges[1], self.size - edges[2], self.size - edges[3]

    def _fill(self, left: int, top: int, right: int, bottom: int) -> None:
        """Sets columns, and a note in the margin now and then, on the paper."""
        rng = self.rng
        letter = self.letter
        inset = [int(rng.uniform(0.5, 6) * letter) for _ in range(4)]
        left, top, right, bottom = left + inset[0], top + inset[1], right - inset[2], bottom - inset[3]
        edges = [(left, right)]
        width = right - left
        if self.chance(0.2) and width > 20 * letter:
            head = top + int(rng.uniform(0, 0.3) * (bottom - top)) if self.chance(0.3) else top
            self._column(left, top, right, head)
            self._table(left, head, right, bottom)
            return
        if self.chance(0.25) and width > 24 * letter:
            middle, gutter = left + width * rng.uniform(0.35, 0.65), letter * rng.uniform(1.5, 5)
            edges = [(left, int(middle - gutter / 2)), (int(middle + gutter / 2), right)]
        elif self.chance(0.15) and width > 30 * letter:
            note, gutter = width * rng.uniform(0.15, 0.25), letter * rng.uniform(1.5, 5)
            edges = [(left, int(left + note)), (int(left + note + gutter), right)]
            if self.chance(0.5):
                edges = [(left, int(right - note - gutter)), (int(right - note), right)]
        for start, end in edges:
            self._column(start, top, end, bottom)

    def _column(self, left: int, top: int, right: int, bottom: int) -> None:
        rng = self.rng
        y = float(top)
        slope = rng.normal(0, 0.006)
        while y < bottom:
            printed = self.chance(0.2)
            letter = self.letter * (rng.uniform(0.6, 1.1) if printed else rng.uniform(0.85, 1.15))
            pitch = letter * (rng.uniform(1.9, 3.2) if printed else np.exp(rng.uniform(np.log(1.9), np.log(5))))
            hand = self._print() if printed else self._hand()
            self.pressure = self._light_hand()
            spread = letter * rng.uniform(0.5, 5) if self.chance(0.15) else 0.0
            y += pitch * rng.uniform(0.8, 1.3)
            for _ in range(int(rng.integers(1, 8 if printed else 30))):
                if y > bottom:
                    break
                indent = rng.uniform(0, 0.4) * (right - left) if self.chance(0.15) else rng.uniform(0, 1.5) * letter
                end = right if self.chance(0.8) else left + rng.uniform(0.15, 1) * (right - left)
                wander = rng.normal(0, 0.06) * pitch
                own_slope = slope + rng.normal(0, 0.002 if printed else 0.006)
                self._line(hand, left + indent, end, y + wander, own_slope, letter, spread, int(printed))
                y += pitch * (1 if self.chance(0.92) else rng.uniform(1.3, 3))
            if self.chance(0.15):
                row = int(y - pitch * 0.4)
                if row < bottom:
                    cv2.line(self.ink, (left, row), (right, row), rng.uniform(0.4, 1), int(rng.integers(1, 4)))
            if self.chance(0.3):
                y += pitch * rng.uniform(0.5, 4)

    def _table(self, left: int, top: int, right: int, bottom: int) -> None:
        """Sets the rows of a register or of accounts: numbers or dates, entries, and sums, each in its column."""
        rng, letter = self.rng, self.letter
        self.pressure = self._light_hand()
        entries = 1 if self.chance(0.6) else int(rng.integers(2, 5))
        numbers = int(rng.integers(0, 3)), int(rng.integers(0, 5))
        kinds = [False] * numbers[0] + [True] * entries + [False] * numbers[1]
        shares = np.where(kinds, rng.uniform(12, 40, len(kinds)), rng.uniform(2.5, 8, len(kinds)))
        edges = left + np.cumsum([0, *shares]) / shares.sum() * (right - left)
        pitch = letter * np.exp(rng.uniform(np.log(1.9), np.log(4.5)))
        slope = rng.normal(0, 0.006)
        if self.chance(0.75):
            self._part_columns(edges, top, bottom, slope)
        y = top + pitch
        if self.chance(0.4):
            head = self._in_font(PRINT[rng.integers(len(PRINT))], labels=True)
            for start, end in pairwise(edges):
                self._cell(head, start, end, y, slope, letter * 0.7, 0.5, 1)
            self._stroke(left, right, y + 0.5 * letter, slope, 0.7)
            y += pitch
        hand, figures = self._hand(), self._figures()
        flush = rng.random()  # of the figures, from left to right
        full, ruled, leaders = rng.uniform(0.4, 1), self.chance(0.3), self.chance(0.2)
        while y < bottom:
            for start, end, entry in zip(edges, edges[1:], kinds):
                if not self.chance(full if start > edges[0] else 0.7):
                    continue
                level = y + slope * (start - left) + rng.normal(0, 0.05) * pitch
                if entry:
                    inset = letter * rng.uniform(0.3, 1.2)
                    until = end - inset if self.chance(0.5) else start + rng.uniform(0.3, 1) * (end - start)
                    stop = self._line(hand, start + inset, min(until, end - inset), level, slope, letter, 0.0, 0)
                    for x in np.arange(stop + 1.5 * letter, end - letter, letter * 1.2) if leaders else ():
                        dot = int(x), int(level + slope * (x - start))
                        cv2.circle(self.ink, dot, max(1, round(letter / 12)), 0.8, -1)
                else:
                    self._cell(figures, start, end, level, slope, letter, flush, 0)
                    if self.chance(0.04):  # what is above is added up
                        self._stroke(start, end, level + 0.6 * letter, 0.0, 0.8)
            if ruled:
                self._stroke(left, right, y + 0.3 * letter, slope, 0.4)
            y += pitch

    def _part_columns(self, edges: np.ndarray, top: int, bottom: int, slope: float) -> None:
        """Draws rules between columns, which lean as the rows slope."""
        rng = self.rng
        dark, thick, double = rng.uniform(0.2, 1), int(rng.integers(1, 3)), self.chance(0.2)
        for edge in edges[(0 if self.chance(0.5) else 1) : (None if self.chance(0.5) else -1)]:
            for x in (edge, edge + 3 * thick) if double else (edge,):
                cv2.line(self.ink, (int(x), top), (int(x - slope * (bottom - top)), bottom), dark, thick)

    def _stroke(self, left: float, right: float, y: float, slope: float, dark: float) -> None:
        """Draws a thin rule from left to right."""
        cv2.line(self.ink, (int(left), int(y)), (int(right), int(y + slope * (right - left))), dark)

    def _cell(
        self, hand: Hand, left: float, right: float, y: float, slope: float, letter: float, flush: float, kind: int
    ) -> None:
        """Sets what a hand draws into a cell of a table: at its left (0) to its right end (1)."""
        drawn = hand()
        if drawn is None:
            return
        ink, band = _level(*drawn, letter, slope)
        room = right - left - 0.6 * letter
        ink = _cut(ink, room)
        if ink is None:
            return
        share = np.clip(flush + self.rng.normal(0, 0.08), 0, 1)
        x = left + 0.3 * letter + share * (room - ink.shape[1])
        self._paste(ink, x, y - band.bottom)
        self._mark(kind, (x, y), (x + ink.shape[1], y + slope * ink.shape[1]), letter)

    def _figures(self) -> Hand:
        """Numbers, dates and sums in a handwriting font."""
        words = random.Random(int(self.rng.integers(2**31)))
        family = self._family()
        forms = words.choices(_FIGURES, k=2)
        return lambda: _typeset(family, words.choice(forms)(words))

    def _family(self) -> str:
        """A handwriting font."""
        names = FAMILIES["train"]
        return names[self.rng.integers(len(names))]

    def _light_hand(self) -> float:
        """How dark a hand is beside the darkest: now and then less."""
        return self.rng.uniform(0.25, 1) if self.chance(0.2) else 1.0

    def _hand(self) -> Hand:
        """A hand of the samples, or of a font."""
        rng = self.rng
        if self.chance(0.25):
            return self._in_font(self._family())
        lines = self.hands[rng.integers(len(self.hands))]

        def draw() -> Inked | None:
            tries = (lines[rng.integers(len(lines))] for _ in range(5))
            return next((line for line in tries if line), None)

        return draw

    def _print(self) -> Hand:
        return self._in_font(PRINT[self.rng.integers(len(PRINT))], self.chance(0.25))

    def _in_font(self, family: str, labels: bool = False) -> Hand:
        """Lines in a font, or labels as forms have them."""
        words = random.Random(int(self.rng.integers(2**31)))
        capitals = self.chance(0.05)

        def draw() -> Inked | None:
            text = wording.line(words)
            if labels:
                text = " ".join(text.split()[: words.randint(1, 2)]).capitalize() + words.choice((":", "", "."))
            return _typeset(family, text.upper() if capitals else text)

        return draw

    def _line(
        self, hand: Hand, left: float, right: float, y: float, slope: float, letter: float, spread: float, kind: int
    ) -> float:
        """Sets words, with so much more space between them, from left to right until the line is full or long enough.

        Returns:
            The column where they end.
        """
        rng = self.rng
        x = reached = left
        until = right if self.chance(0.85) else left + rng.uniform(0.1, 0.9) * (right - left)
        space = letter * rng.uniform(0.6, 2)
        while x < until - letter:
            drawn = hand()
            if drawn is None:
                break
            ink, band = _level(*drawn, letter, slope)
            ink = _cut(ink, right - x)
            if ink is None:
                break
            base = y + slope * (x - left)
            end = x
            for number, (start, stop) in enumerate(_pieces(ink, 0.6 * letter if spread else np.inf)):
                shift = number * spread
                if x + shift + stop > right:
                    break
                self._paste(ink[:, start:stop], x + shift + start, base - band.bottom + slope * shift)
                end = x + shift + stop
            if end == x:
                break
            self._mark(kind, (x, base), (end, base + slope * (end - x)), letter)
            if x > left:  # words of one line belong together
                self._mark(kind, (x - space - 1, base), (x + 1, base), letter)
            reached, x = end, end + space
            if self.chance(0.35):
                break
        return reached

    def _mark(self, kind: int, start: tuple[float, float], end: tuple[float, float], letter: float) -> None:
        """Marks the core above a piece of a baseline."""
        (x0, y0), (x1, y1) = start, end
        corners = np.array([[x0, y0 - letter], [x1, y1 - letter], [x1, y1], [x0, y0]])
        cv2.fillPoly(self.cores[kind], [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)

    def _paste(self, ink: np.ndarray, x: float, y: float) -> None:
        left, top = round(x), round(y)
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + ink.shape[1], self.size), min(top + ink.shape[0], self.size)
        if x0 < x1 and y0 < y1:
            area = self.ink[y0:y1, x0:x1]
            dark = ink[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32) / 255
            np.maximum(area, dark * self.pressure, out=area)

    def _clutter(self, left: int, top: int, right: int, bottom: int, behind: np.ndarray | None) -> np.ndarray:
        """What is no writing: rules, squares, margins, ink that shows through, blots, scrawls, staves and drawings; darkness 0 to 1.

        `behind` is the ink of the other side, if that is not much like this one.
        """
        rng, letter = self.rng, self.letter
        clutter = np.zeros_like(self.ink)
        if self.chance(0.4):
            step = letter * rng.uniform(1.5, 5)
            dark, thick = rng.uniform(0.05, 0.6), int(rng.integers(1, 3))
            dotted = self.chance(0.2)
            for y in np.arange(top + step * rng.random(), bottom, step):
                cv2.line(clutter, (left, int(y)), (right, int(y)), dark, thick)
            if self.chance(0.3):
                for x in np.arange(left + step * rng.random(), right, step):
                    cv2.line(clutter, (int(x), top), (int(x), bottom), dark, thick)
            if dotted:
                clutter[:, :: int(rng.integers(2, 5))] = 0
        for _ in range(int(rng.integers(0, 3)) if self.chance(0.3) else 0):  # margins
            x = int(rng.integers(left, right))
            foot = x + int(rng.normal(0, 4)), bottom
            cv2.line(clutter, (x, top), foot, rng.uniform(0.2, 0.9), int(rng.integers(1, 4)))
        if behind is None and self.chance(0.15):
            behind = np.roll(self.ink[:, ::-1], int(rng.integers(-30, 30)), 0)
        if behind is not None:
            behind = cv2.GaussianBlur(behind, (0, 0), rng.uniform(0.8, 2))
            clutter = np.maximum(clutter, behind * self.depth * rng.uniform(0.12, 0.6))
        for _ in range(int(rng.integers(1, 4)) if self.chance(0.25) else 0):  # blots and stains
            centre = rng.integers(0, self.size, 2).tolist()
            axes = rng.uniform(1, 10, 2) * letter
            blot = np.zeros_like(clutter)
            cv2.ellipse(blot, centre, axes.astype(int).tolist(), rng.uniform(0, 180), 0, 360, rng.uniform(0.1, 0.6), -1)
            clutter = np.maximum(clutter, cv2.GaussianBlur(blot, (0, 0), rng.uniform(1, 8)))
        for _ in range(int(rng.integers(1, 4)) if self.chance(0.2) else 0):  # scrawls, frames and strokes of the pen
            start = rng.uniform(0, self.size, 2)
            points = start + np.cumsum(rng.normal(0, 3 * letter, (int(rng.integers(2, 9)), 2)), 0)
            if self.chance(0.5):
                extent = rng.uniform(2, 30, 2) * letter
                points = cv2.boxPoints((points[0].tolist(), extent.tolist(), float(rng.normal(0, 3))))
            corners = [np.round(points).astype(np.int32)]
            cv2.polylines(clutter, corners, self.chance(0.5), rng.uniform(0.3, 0.9), int(rng.integers(1, 4)))
        if self.chance(0.2):
            for draw in (self._staves, self._drawing, self._drawing):
                centre = rng.integers(0, self.size, 2)
                x0, y0 = np.maximum(centre - int(8 * letter), 0)
                x1, y1 = centre + int(8 * letter)
                if self.cores[:, y0:y1, x0:x1].max(initial=0) == 0:  # beside the writing, not across it
                    draw(clutter, centre)
        return clutter

    def _staves(self, clutter: np.ndarray, centre: np.ndarray) -> None:
        """Draws a stave with notes."""
        rng = self.rng
        step, dark = self.letter * rng.uniform(0.4, 1.2), rng.uniform(0.3, 0.9)
        left, right = centre[0] - int(rng.uniform(8, 30) * step), centre[0] + int(rng.uniform(8, 30) * step)
        for number in range(5):
            row = int(centre[1] + number * step)
            cv2.line(clutter, (left, row), (right, row), dark, 1)
        for x in np.arange(left + step, right, step * rng.uniform(1.5, 4)):
            y = centre[1] + rng.uniform(-0.5, 4.5) * step
            axes = max(1, int(0.6 * step)), max(1, int(0.45 * step))
            cv2.ellipse(clutter, (int(x), int(y)), axes, -20, 0, 360, dark, -1 if self.chance(0.7) else 1)
            stem = 3.5 * step * rng.choice((-1, 1))
            cv2.line(clutter, (int(x - axes[0]), int(y)), (int(x - axes[0]), int(y + stem)), dark, 1)

    def _drawing(self, clutter: np.ndarray, centre: np.ndarray) -> None:
        """Draws an outline, with hatching now and then, or a flourish."""
        rng = self.rng
        radius, dark, thick = self.letter * rng.uniform(2, 8), rng.uniform(0.3, 0.9), int(rng.integers(1, 3))
        turn = np.linspace(0, 2 * np.pi, 80)
        if self.chance(0.4):
            turn = turn * rng.uniform(1, 4)
            points = np.stack([np.cos(turn) + turn * rng.uniform(0, 0.4), np.sin(turn) * rng.uniform(0.2, 0.6)], 1)
            points *= np.exp(-turn * rng.uniform(0, 0.1))[:, None]
        else:
            waves = sum(rng.normal(0, 0.25) * np.cos(number * turn + rng.uniform(0, 6)) for number in range(2, 6))
            points = np.stack([np.cos(turn), np.sin(turn) * rng.uniform(0.5, 1.5)], 1) * (1 + waves)[:, None]
        corners = np.round(centre + radius * points).astype(np.int32)
        cv2.polylines(clutter, [corners], False, dark, thick)
        if self.chance(0.5):
            for start in rng.permutation(len(corners))[:30]:
                tip = corners[start] + radius * rng.uniform(0.1, 0.4) * np.array([0.7, -0.7])
                cv2.line(clutter, corners[start].tolist(), np.round(tip).astype(int).tolist(), dark * 0.8, 1)

    def _paper(self, left: int, top: int, right: int, bottom: int) -> np.ndarray:
        """Brightness of the paper, and of the table around it."""
        rng = self.rng
        paper = np.full_like(self.ink, rng.uniform(0.55, 1.0))
        paper += self._texture() * rng.uniform(0, 0.06)
        if (left, top, right, bottom) != (0, 0, self.size, self.size):
            table = np.full_like(paper, rng.uniform(0.0, 0.9)) + self._texture() * rng.uniform(0, 0.2)
            inside = np.zeros_like(paper)
            inside[top:bottom, left:right] = 1
            shadow = cv2.GaussianBlur(inside, (0, 0), rng.uniform(0.5, 6))
            paper = paper * inside + table * (1 - 0.5 * shadow) * (1 - inside)
        return np.clip(paper, 0, 1)

    def _texture(self) -> np.ndarray:
        """Noise of several sizes of grain, about -1 to 1."""
        out = np.zeros_like(self.ink)
        for cells in (4, 20, 100, 400):
            grain = self.rng.normal(0, 0.4, (cells, cells)).astype(np.float32)
            out += cv2.resize(grain, out.shape[::-1], interpolation=cv2.INTER_LINEAR) * self.rng.random()
        return out

    def _light(self) -> np.ndarray:
        """Uneven light on the piece: a slope, and the edge of a shadow."""
        rng = self.rng
        x, y = np.meshgrid(*[np.linspace(-1, 1, self.side, dtype=np.float32)] * 2)
        angle = rng.uniform(0, 2 * np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        light = 1 - rng.uniform(0, 0.5) * (along + 1) / 2
        if self.chance(0.3):
            edge = 1 / (1 + np.exp(-(along - rng.uniform(-0.7, 0.7)) * rng.uniform(3, 40)))
            light = light * (1 - rng.uniform(0.1, 0.5) * edge)
        return light * rng.uniform(0.6, 1.05)

    def _photograph(self, maps: list[np.ndarray]) -> list[np.ndarray]:
        """Turns, tilts and bends all maps alike, and cuts the piece out of the middle."""
        rng, side = self.rng, self.side
        reach = side / 2
        corners = np.array([[-reach, -reach], [reach, -reach], [reach, reach], [-reach, reach]])
        angle = np.radians(np.clip(rng.normal(0, 3), -8, 8))
        turned = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        if self.chance(0.4):
            turned = turned + rng.uniform(-0.05, 0.05, (4, 2)) * side
        middle = self.size / 2 + rng.uniform(-0.06, 0.06, 2) * side
        source = (turned + middle).astype(np.float32)
        matrix = cv2.getPerspectiveTransform((corners + reach).astype(np.float32), source)
        x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
        grid = cv2.perspectiveTransform(np.stack([x, y], -1).reshape(1, -1, 2), matrix).reshape(side, side, 2)
        if self.chance(0.35):
            waves = np.sin(grid[..., 0] / self.size * rng.uniform(2, 7) + rng.uniform(0, 6))
            grid[..., 1] += waves * rng.uniform(0, 0.025) * side
        return [
            cv2.remap(plane, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            for plane in maps
        ]


_FIGURES: tuple[Callable[[random.Random], str], ...] = (
    lambda words: str(words.randint(1, 31)),
    lambda words: str(words.randint(1, 9999)),
    lambda words: f"{words.randint(1, 999)},{words.randint(0, 999):03}",
    lambda words: f"{words.randint(1, 99)} {words.randint(0, 19)} {words.randint(0, 11)}",
    lambda words: f"{words.randint(1, 999)}.{words.randint(0, 99):02}",
    lambda words: f"{words.randint(1, 19)}/{words.randint(1, 11)}",
    lambda words: f"{words.randint(1, 31)}.{words.randint(1, 12)}.{words.randint(1750, 1960)}",
    lambda words: words.choice(("-", '"', "do", "id.", "-", str(words.randint(0, 20)))),
)
"""Numbers, sums, dates and what stands for the same as above, as in accounts and registers."""


@lru_cache(64)
def _font(family: str) -> ImageFont.FreeTypeFont:
    return open_font(font_path(family), 60)


def _typeset(family: str, text: str) -> Inked | None:
    """A line in a font, which itself tells the core."""
    font = _font(family)
    _, top, _, base = font.getbbox("xnmu", anchor="ls")
    reach = 90
    sheet = Image.new("L", (int(font.getlength(text)) + 2 * reach, 2 * reach), 0)
    ImageDraw.Draw(sheet).text((reach, reach + 20), text, fill=255, font=font, anchor="ls")
    box = sheet.getbbox()
    if box is None:
        return None
    ink = np.asarray(sheet)[:, box[0] : box[2]]
    return ink, Band(reach + 20 + top, reach + 20 + min(base, 0), 0.0)


def _level(ink: np.ndarray, band: Band, letter: float, slope: float) -> Inked:
    """Scales a line to the height of its small letters, and shears it so that its baseline goes down by `slope`."""
    height, width = ink.shape
    scale = letter / (band.bottom - band.top)
    shear = slope - band.slope
    size = max(1, round(width * scale)), max(1, round(height * scale + abs(shear) * width * scale))
    drop = max(0.0, -shear * width * scale)
    matrix = np.array([[scale, 0, 0], [shear * scale, scale, drop]])
    if scale < 0.6:  # shrinking by sampling would break thin strokes
        ink = cv2.GaussianBlur(ink, (0, 0), 0.35 / scale)
    out = cv2.warpAffine(ink, matrix, size, flags=cv2.INTER_LINEAR)
    return out, Band(band.top * scale + drop, band.bottom * scale + drop, slope)


def _pieces(ink: np.ndarray, gap: float) -> list[tuple[int, int]]:
    """First and last column of the pieces of a line between which there is a space."""
    inked = np.flatnonzero(ink.max(0) > 60)
    if not len(inked):
        return []
    ends = np.flatnonzero(np.diff(inked) > gap)
    return list(zip([inked[0], *inked[ends + 1]], [*(inked[ends] + 1), inked[-1] + 1]))


def _cut(ink: np.ndarray, room: float) -> np.ndarray | None:
    """Cuts a line between two words so that it fits; None where no word fits."""
    if ink.shape[1] <= room:
        return ink
    gap = max(3, ink.shape[0] // 6)
    empty = cv2.blur((ink.max(0) < 60).astype(np.float32).reshape(1, -1), (gap, 1)).ravel() > 0.99
    places = np.flatnonzero(empty[: int(max(room, 0))])
    return ink[:, : places[-1]] if len(places) and places[-1] > gap * 2 else None
