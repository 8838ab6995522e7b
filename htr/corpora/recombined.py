"""Endless new lines in real ink: the words of one writer, set anew.

A labelled line teaches more when its words come back in another order and company. Words are cut out of their lines, and
follow each other as parts of speech do in these lines; they stand on a new baseline, as far apart as the writer sets
them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.stats import theilslopes
from tqdm import tqdm

from htr.corpora.iam import natural_text
from htr.corpora.iam_words import Box, WordLine
from htr.errors import InputError
from htr.lineimage import STROKE, ink_of, without_rules

LINE_HEIGHT = 80
"""Height in pixels from the writer's ascenders to his descenders."""

# Lower cased letters by which a writer's size and baseline are told: without descenders, and without ascenders too.
_FEET = frozenset("abcdehiklmnorstuvwx")
_SMALL = frozenset("acemnorsuvwx")

# Paper that a prepared line gets at its ends, in parts of its height, when that is 64 pixels.
_ENDS = 0.25

# Lines of a writer are taken to be in one pen where their strokes differ in width by less than this share.
_SAME_PEN = 0.1

# Tokens that occur as often are told apart in the order of words; the others go by their part of speech.
_FREQUENT = 30

# Least share of the asked width that is filled, if the writer has words for it.
_FULL = 0.75


@dataclass(frozen=True)
class _Word:
    token: str
    kind: int
    stroke: float  # how wide the pen's strokes are in its line, in no unit
    ink: np.ndarray  # uint8, 255 = a full stroke, cut tight
    zoom: float  # to be set with
    slope: float  # of the line from which it comes
    baseline: float  # row of `ink` at which that line's baseline passes, in the middle of the word
    rows: np.ndarray  # sums of the rows of ink, level and zoomed
    above: int  # the first of these, below the baseline; negative


class _Hand(NamedTuple):
    """What one writer wrote."""

    words: list[_Word]
    widths: np.ndarray  # of the words, in pixels
    kinds: np.ndarray  # of the words
    of_kind: np.ndarray  # how many words are of this one's kind
    strokes: np.ndarray  # of the words
    spaces: np.ndarray  # widths between words, sorted
    joins: np.ndarray  # widths between a word and its marks, sorted
    above: float  # from the baseline to the top of his lines
    below: float
    marks_apart: bool  # see `WordLine`


class _Place(NamedTuple):
    """Where a word stands in its line, in pixels."""

    left: float
    baseline: float  # of the word, below that of the line's start
    slope: float  # by which its ink is tilted
    zoom: float


class _Setting(NamedTuple):
    """Words set in a line."""

    words: list[_Word]
    places: list[_Place]
    text: str
    top: int  # of the line's picture, below the baseline of its start; negative
    bottom: int
    width: float
    aspect: float  # width in heights, as a prepared line has it


class RecombinedLines:
    """Sets lines of words that writers wrote; words of two writers are never in one line.

    Picklable, so that loader processes can draw; it holds the ink of all words: about 7 kB a word, 600 MB for a complete IAM.

    Args:
        lines: with their words' places, such as `htr.corpora.iam_words.iam_words` gives.

    Attributes:
        characters: all that may occur in the texts.

    Raises:
        InputError: there are no lines, a picture cannot be opened, or no word can be cut out.
    """

    def __init__(self, lines: Sequence[WordLine]) -> None:
        if not lines:
            raise InputError("there are no lines to take words from; give some")
        kinds = _kinds(lines)
        # How often a kind of word follows another; row -1 is the start of a line.
        count = max(kinds.values()) + 1
        self._follows = np.zeros((count + 1, count))
        for line in lines:
            numbers = [kinds[word.token, word.tag] for word in line.words]
            np.add.at(self._follows, ([-1, *numbers[:-1]], numbers), 1)
        # A rest of chance for every word, since a writer may have none of a kind that should follow; marks follow only
        # what they were seen after.
        usual = self._follows.sum(0) / self._follows.sum()
        words = {kind for (token, _), kind in kinds.items() if _is_word(token)}
        usual[[kind for kind in range(count) if kind not in words]] = 0
        self._follows += 0.01 * usual * (1 + self._follows.sum(1, keepdims=True))
        by_writer: dict[str, list[WordLine]] = defaultdict(list)
        for line in lines:
            by_writer[line.writer].append(line)
        progress = tqdm(by_writer.values(), desc="cutting out words", unit=" writers", leave=False, disable=None)
        hands = [_hand(of_writer, kinds) for of_writer in progress]
        self._hands = [hand for hand in hands if hand and self._follows[-1, hand.kinds].any()]
        if not self._hands:
            raise InputError("no word can be cut out of these lines; give lines with words whose places are known")
        tokens = {word.token for hand in self._hands for word in hand.words}
        self.characters = "".join(sorted({" ", *"".join(tokens)}))
        # A writer of many words comes more often, but does not crowd the others out.
        shares = np.sqrt([len(hand.words) for hand in self._hands])
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
        """Sets one line.

        Args:
            rng: decides all; the same state gives the same line.
            aspect: about the width that the line has at most once it is prepared (`htr.lineimage.prepare`), before narrow
                writing is made wider, in parts of the height. Where the writer has words for it, at least three quarters of
                it are filled; a word that alone is wider is set if he has none that is narrower.

        Returns:
            The line, shape (height, width), uint8 grey, 0 = black, white paper; and its text in natural form.
        """
        hand = self._hands[rng.choice(len(self._hands), p=self._shares)]
        pen = _Pen(hand, rng)
        room = aspect - _ENDS
        # Words in the pen of one that may begin a line; and none twice, since the same ink would look copied.
        starts = self._follows[-1, hand.kinds] / hand.of_kind
        stroke = rng.choice(hand.strokes, p=starts / starts.sum())
        free = np.abs(hand.strokes / stroke - 1) < _SAME_PEN
        words: list[int] = []
        line = pen.set(words)
        fits = True
        while fits:
            last = hand.kinds[words[-1]] if words else -1
            chances = self._follows[last, hand.kinds] / hand.of_kind * free
            fits = False
            while chances.any() and not fits:
                word = int(rng.choice(len(chances), p=chances / chances.sum()))
                longer = pen.set([*words, word])
                fits = longer.aspect <= room
                if not fits and line.aspect > _FULL * room:
                    break
                # A narrower one may fit.
                share = (room - line.aspect) / (longer.aspect - line.aspect)
                chances *= hand.widths < min(share, 1) * hand.widths[word]
            if fits or not words:
                words.append(word)
                line = longer
                free[word] = False
        return 255 - _ink(line), line.text


class _Pen:
    """Sets words of a hand in one line; whatever the number of words, each stands where it stood."""

    def __init__(self, hand: _Hand, rng: np.random.Generator) -> None:
        self.hand = hand
        # The baseline swings, in pixels; it does not rise or fall, since `htr.lineimage.prepare` makes lines level.
        self.seed = int(rng.integers(2**63))
        self.swing = rng.uniform(0, 0.05) * LINE_HEIGHT
        self.wave = rng.uniform(0.5, 1.5) / (4 * LINE_HEIGHT)
        self.phase = rng.uniform(0, 2 * np.pi)

    def set(self, indices: list[int]) -> _Setting:
        hand = self.hand
        words = [hand.words[index] for index in indices]
        text, joined = _natural([word.token for word in words], hand.marks_apart)
        if not words:
            return _Setting(words, [], text, 0, 0, 0.0, 0.0)
        places, firsts = [], []
        right = 0.0
        for word, joins, chance in zip(words, joined, np.random.default_rng(self.seed).random((len(words), 2))):
            gaps = hand.joins if joins else hand.spaces
            left = right + (gaps[int(chance[0] * len(gaps))] if places else 0)
            zoom = (0.96 + 0.08 * chance[1]) * word.zoom
            right = left + zoom * word.ink.shape[1]
            middle = (left + right) / 2
            angle = self.wave * middle + self.phase
            baseline = self.swing * np.sin(angle)
            slope = self.swing * self.wave * np.cos(angle)
            places.append(_Place(left, baseline, slope - word.slope, zoom))
            firsts.append(round(baseline) + word.above)
        first = min(firsts)
        rows = np.zeros(max(top + len(word.rows) for top, word in zip(firsts, words)) - first)
        for top, word in zip(firsts, words):
            rows[top - first : top - first + len(word.rows)] += word.rows
        top = min(first, round(-hand.above))
        bottom = max(first + len(rows), round(hand.below))
        # As `htr.lineimage.prepare` cuts a line: rows with few per mille of the ink go, but at most half of the height.
        mass = np.cumsum(rows) / rows.sum()
        height = max(np.searchsorted(mass, 0.996) + 1 - np.searchsorted(mass, 0.004), (bottom - top) / 2)
        return _Setting(words, places, text, top, bottom, right, (right / height + 0.08) / 1.08)


def _kinds(lines: Sequence[WordLine]) -> dict[tuple[str, str], int]:
    """Numbers of the kinds of words, by token and tag: frequent ones are a kind of their own, the others go by their tag and
    whether they begin with a capital."""
    counts = Counter((word.token, word.tag) for line in lines for word in line.words)
    names: dict[object, int] = {}
    kinds = {}
    for (token, tag), count in counts.items():
        name = (token, tag) if count >= _FREQUENT else (tag, token[:1].isupper())
        kinds[token, tag] = names.setdefault(name, len(names))
    return kinds


def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token)


def _natural(tokens: list[str], marks_apart: bool) -> tuple[str, list[bool]]:
    """The text of tokens, and which of them join the one before without a space."""
    if not marks_apart:
        return " ".join(tokens), len(tokens) * [False]
    text = natural_text(" ".join(tokens))
    joined, end = [], 0
    for token in tokens:
        joined.append(end > 0 and text[end] != " ")
        end += len(token) + (text[end] == " ")
    return text, joined


def _ink(line: _Setting) -> np.ndarray:
    """Shape (height, width), uint8, 255 = a full stroke, with a little paper around."""
    margin = LINE_HEIGHT // 10
    sheet = np.zeros((line.bottom - line.top + 2 * margin, int(np.ceil(line.width)) + 2 * margin), np.uint8)
    for word, place in zip(line.words, line.places):
        y = margin - line.top + place.baseline - place.zoom * word.baseline
        piece, x0, y0 = _turned(word.ink, place.zoom, place.slope, margin + place.left, y)
        # Only the margin of tilted words reaches out of the sheet.
        piece = piece[max(-y0, 0) :, max(-x0, 0) :]
        area = sheet[max(y0, 0) :, max(x0, 0) :][: piece.shape[0], : piece.shape[1]]
        np.maximum(area, piece[: area.shape[0], : area.shape[1]], out=area)
    return sheet


def _turned(ink: np.ndarray, zoom: float, slope: float, x: float, y: float) -> tuple[np.ndarray, int, int]:
    """Zooms ink and tilts it about its middle column.

    Args:
        x, y: where its upper left corner would lie without the tilt.

    Returns:
        The ink, and the column and row of its upper left corner.
    """
    height, width = ink.shape
    reach = abs(slope) * zoom * width / 2
    left, top = math.floor(x), math.floor(y - reach)
    size = math.ceil(x + zoom * width) + 1 - left, math.ceil(y + zoom * height + reach) + 1 - top
    turn = np.array([[zoom, 0, x - left], [slope * zoom, zoom, y - top - slope * zoom * width / 2]])
    return cv2.warpAffine(ink, turn, size), left, top


def _hand(lines: list[WordLine], kinds: dict[tuple[str, str], int]) -> _Hand | None:
    """Cuts out what one writer wrote; None where his baselines cannot be told."""
    found = [(line, _baseline(line)) for line in lines]
    based = [(line, *baseline) for line, baseline in found if baseline]
    if not based:
        return None
    # The same writer may have written larger on another day: all is brought to one size of small letters ...
    small = {line.form: [] for line, _, _ in based}
    for line, _, _ in based:
        small[line.form] += [
            (word.box[3] - word.box[1]) / line.zoom for word in line.words if word.box and _SMALL.issuperset(word.token)
        ]
    usual = np.median([height for heights in small.values() for height in heights] or [1.0])
    zooms = {form: usual / np.median(heights) if len(heights) > 2 else 1.0 for form, heights in small.items()}
    # ... and then so that most of his ascenders and descenders have room in the line.
    reaches = []
    for line, slope, start in based:
        for left, top, right, bottom in (word.box for word in line.words if word.box):
            baseline = start + slope * (left + right) / 2
            reaches.append(np.array([baseline - top, bottom - baseline]) * zooms[line.form] / line.zoom)
    above, below = np.maximum(np.percentile(reaches, 90, axis=0), 0)
    scale = LINE_HEIGHT / (above + below)
    words: list[_Word] = []
    gaps: dict[bool, list[float]] = {False: [], True: []}
    for line, slope, start in based:
        zoom = scale * zooms[line.form] / line.zoom
        words += _cut_out(line, slope, start, zoom, kinds)
        _, joined = _natural([word.token for word in line.words], line.marks_apart)
        for before, word, joins in zip(line.words, line.words[1:], joined[1:]):
            if before.box and word.box:
                gaps[joins].append((word.box[0] - before.box[2]) * zoom)
    if not any(_is_word(word.token) for word in words):
        return None
    numbers = np.array([word.kind for word in words])
    return _Hand(
        words, np.array([word.zoom * word.ink.shape[1] for word in words]), numbers, np.bincount(numbers)[numbers],
        np.array([word.stroke for word in words]),
        _usual(gaps[False], 0.25 * LINE_HEIGHT), _usual(gaps[True], 0.08 * LINE_HEIGHT), scale * above, scale * below,
        lines[0].marks_apart,
    )  # fmt: skip


def _usual(gaps: list[float], default: float) -> np.ndarray:
    """Gaps without the rare ones, whose words were placed wrongly or overlap."""
    gaps = sorted(gaps) or [default]
    rare = len(gaps) // 10
    return np.array(gaps[rare : len(gaps) - rare])


def _baseline(line: WordLine) -> tuple[float, float] | None:
    """Slope of a line and the row at which its baseline starts, from words without descenders; None where they are few."""
    feet = [word.box for word in line.words if word.box and _FEET.issuperset(word.token.lower())]
    if len(feet) < 2:
        return None
    x, y = np.array([((left + right) / 2, bottom) for left, _, right, bottom in feet]).T
    # Of few words, one that stands high would tilt the line.
    slope = float(np.clip(theilslopes(y, x).slope, -0.1, 0.1)) if len(feet) > 3 else 0.0
    return slope, float(np.median(y - slope * x))


def _cut_out(
    line: WordLine, slope: float, start: float, zoom: float, kinds: dict[tuple[str, str], int]
) -> Iterator[_Word]:
    """Cuts the words out of a line."""
    ink = without_rules(ink_of(line.image()))  # they would hang all words together
    # A stroke has an area that grows with its width, and edges that do not.
    edges = cv2.absdiff(ink[:, 1:], ink[:, :-1]).sum() + cv2.absdiff(ink[1:], ink[:-1]).sum()
    stroke = zoom * ink.sum() / max(edges, 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((ink > STROKE).astype(np.uint8))
    for word in line.words:
        if word.box and (piece := _own_ink(ink, labels, stats[:, cv2.CC_STAT_AREA], word.box)) is not None:
            left, top, right, _ = word.box
            baseline = start + slope * (left + right) / 2 - top
            level, _, above = _turned(piece, zoom, -slope, 0, -zoom * baseline)
            rows = level.sum(1, dtype=np.float64)
            yield _Word(word.token, kinds[word.token, word.tag], stroke, piece, zoom, slope, baseline, rows, above)


def _own_ink(ink: np.ndarray, labels: np.ndarray, areas: np.ndarray, box: Box) -> np.ndarray | None:
    """The ink in a word's box without that of its neighbours; None where they hang together."""
    left, top, right, bottom = box
    inside = labels[top:bottom, left:right]
    counts = np.bincount(inside.ravel(), minlength=len(areas))
    counts[0] = 0
    own = counts >= 0.5 * areas
    own[0] = False
    large = counts > 0.2 * counts.sum()
    if not own.any() or (large & (counts < 0.85 * areas)).any():
        return None
    mask = cv2.dilate(own[inside].astype(np.uint8), np.ones((3, 3), np.uint8))
    return ink[top:bottom, left:right] * mask
