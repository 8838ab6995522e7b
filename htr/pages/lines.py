"""Finding the lines of a page: the segmenter marks their cores, here they become baselines and polygons.

Each core is followed by a smooth curve. The ink is then looked at in a strip along that curve, where ruling lies level,
and every piece of it goes to the line on whose core it lies or to which it is nearest. All lengths are multiples of
the height of the small letters, which the core tells, so the same code serves any resolution and any size of writing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch

from htr.pages.containers import Line, Page, Point, turned, within
from htr.pages.cores import PRINTED, Core, Skew, find_cores, find_skew, typical
from htr.pages.crop import Frame, size_of, straighten, turn
from htr.pages.ink import find_paper, has_upright_ink, ink_mask, is_negative, shrink, without_rules
from htr.pages.order import arrange
from htr.pages.segmenter import ALIGNMENT, STRIDE, Segmenter, load_segmenter

SEEN_PIXELS = 1_000_000
"""What the segmenter sees of a page: A4 at 100 dpi."""

_CLOSER_PIXELS = 4_000_000  # what it sees at most of a page whose lines are many or small

_UNLIKELY = 0.1  # a page that lies sideways no more likely than so does not
_LIKELY, _CLEARER = 0.99, 4.0  # one that does so likely does, if its lines have so many times the energy then
_SEEN_SMALL = 9.0  # pixels of small letters below which a page that was made smaller is looked at closer
_CLOSER = 14.0  # pixels that they have then
_SMALL = 6.0  # pixels of small letters below which a picture is enlarged
_ENLARGED = 12.0  # pixels to which they are enlarged
_MAX_ENLARGEMENT = 4.0

_LEVEL = 7  # degrees by which lines may be turned and are followed well
_CLEAR, _TOLD = 1.8, 1.5  # sharpness of the lines' direction where they are marked well, and where it can be told
_TURNS = range(0, 180, 20)  # degrees by which a page is turned where they have none: one is near to theirs
_STRIP = 8  # a picture so many times as long as it is high is none of a page askew

_AROUND = 3.0  # letter heights around a line that are looked at again with it
_SHORT = 2.0  # a line shorter than this many heights of a line may be a piece of one that runs up
_INKED = 0.55  # and inked along so much of its length: figures below each other are less so
_MIN_SIDEWAYS = 8.0  # a line that runs up is as long, in letter heights, at least
_CHUNK = 12.0  # letter heights between two corners of a polygon
_REACH = 1.5  # chunks to either side in which a corner looks for the highest and the lowest ink
_TRIM_ABOVE, _TRIM_BELOW = 0.005, 0.015  # share of the ink that may stand out of the polygon
_HIGHEST, _LOWEST = 2.8, 1.3  # letter heights from the baseline that a polygon reaches at most: few loops go beyond
_PAD = 0.2  # letter heights of paper in the polygon before and after the ink
_ABOVE, _BELOW = 3.2, 2.4  # letter heights from the baseline in which a line's ink is looked for


class Outline(NamedTuple):
    """A line that was found.

    line: where it lies on the picture; without text.
    upright: the same on the upright picture in which it was looked for.
    letter: height of the small letters there.
    printed: whether it is print.
    """

    line: Line
    upright: Line
    letter: float
    printed: bool


@dataclass(frozen=True)
class Found:
    """What was found on a picture.

    outlines: of the lines, in no order.
    shape: of the picture, height and width.
    quarters: counter-clockwise, by which it was turned upright.
    upright_shape: of the upright picture in which they were looked for, which may be enlarged.
    notes: what a person should know.
    skew: degrees clockwise by which the lines are turned, if by so much that they are not found well; else 0; None if they do not
        tell.
    """

    outlines: Sequence[Outline]
    shape: tuple[int, ...]
    quarters: int
    upright_shape: tuple[int, ...]
    notes: tuple[str, ...] = ()
    skew: int | None = 0

    def without(self, lines: Collection[Line]) -> Found:
        """The same but for these lines."""
        return replace(self, outlines=[outline for outline in self.outlines if outline.line not in lines])

    @property
    def written(self) -> list[Line]:
        """The lines of handwriting, in no order."""
        return [outline.line for outline in self.outlines if not outline.printed]

    @cached_property
    def height(self) -> float:
        """The median height of the lines, in pixels, with what reaches above and below the small letters."""
        return float(np.median([size_of(outline.line)[1] for outline in self.outlines]))

    @property
    def length(self) -> float:
        """The median length of the lines of handwriting, in pixels; 0 if there are none."""
        return float(np.median([line.chord for line in self.written] or [0.0]))

    @property
    def page(self) -> Page:
        """The page with its regions and lines in reading order."""
        places = {outline.upright: outline.line for outline in self.outlines}
        lines = [outline.upright for outline in self.outlines]
        letters = [outline.letter for outline in self.outlines]
        printed = [outline.printed for outline in self.outlines]
        regions = tuple(
            replace(region, lines=tuple(places[line] for line in region.lines))
            for region in arrange(lines, letters, printed, self.upright_shape[::-1])
        )
        height, width = self.shape
        return Page(width, height, regions, turn=-90 * self.quarters % 360, notes=self.notes)


class LineFinder:
    """Finds lines with the weights that ship with the package."""

    def __init__(self, segmenter: Segmenter | None = None) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._segmenter = (segmenter or load_segmenter()).to(self._device)

    def find(self, picture: np.ndarray, quarters: int = 0) -> Found:
        """Finds the lines of a page.

        Args:
            picture: shape (height, width), uint8, 0 = black; also white on black.
            quarters: by how many quarters clockwise the page lies turned.

        Returns:
            The lines. Where all seems to be print, it is taken for writing, which the notes say.
        """
        return self._found(picture, quarters, self._look(np.rot90(picture, quarters)))

    def find_ways(self, picture: np.ndarray) -> list[Found]:
        """Finds the lines of a page as it lies, or sideways where it plainly does, or both ways where it may.

        Then only a reader can tell which is right, as of tables and words below each other, and always whether it is upside down.
        """
        seen = self._see(picture, SEEN_PIXELS)
        if seen.likely <= _UNLIKELY:
            return [self._found(picture, 0, self._closer(picture, seen))]
        turned = np.rot90(picture, seen.sideways)
        seen_turned = self._see(turned, SEEN_PIXELS)
        sideways = self._found(picture, seen.sideways, self._closer(turned, seen_turned))
        # A page seen the wrong way is full of small pieces, and takes long. One askew may seem to lie sideways.
        plainly = seen.likely > _LIKELY and seen_turned.skew.gain > _CLEARER * seen.skew.gain
        if plainly and seen_turned.skew.sharpness > _CLEAR and not _steep(seen_turned.skew):
            return [sideways]
        return [self._found(picture, 0, self._closer(picture, seen)), sideways]

    def find_skew(self, picture: np.ndarray) -> int:
        """Finds the direction of lines that do not tell it, as they lie so far askew that they are marked in pieces, or not at all.

        Args:
            picture: as given to `find`.

        Returns:
            Degrees clockwise by which they are turned, from -90 to 90, if they have a direction, and are not level as the page lies
            or sideways; else 0. Which way up they lie is not told.
        """
        height, width = picture.shape
        if max(height, width) > _STRIP * min(height, width):
            return 0
        small, _ = _smaller(picture, SEEN_PIXELS)
        skews = []
        for degrees in _TURNS:
            writing, print_, _ = self._maps(_smaller(turn(small, degrees)[0], SEEN_PIXELS)[0])
            skew = find_skew(np.maximum(writing, print_))
            skews.append(skew._replace(degrees=(skew.degrees - degrees + 90) % 180 - 90))
        told = [skew for skew in skews if skew.sharpness > _TOLD]
        degrees = _steep(max(told, key=lambda skew: skew.gain)) if told else 0
        # Of a register, columns may be clearer than rows; and `find_ways` looks sideways anyway.
        return degrees if abs(degrees) < 90 - _LEVEL else 0

    def _found(self, picture: np.ndarray, quarters: int, seen: _Seen) -> Found:
        """The lines of what was seen of a page, turned by so many quarters."""
        upright = np.ascontiguousarray(np.rot90(picture, quarters))
        factor = _enlargement(seen, upright.size)
        if factor > 1:
            upright = cv2.resize(upright, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            seen = self._look(upright)
        seen = seen._replace(cores=[self._seen_closer(upright, core, seen.zoom) for core in seen.cores])
        found = _outline(upright, seen, quarters, factor, picture.shape)
        if not found.outlines or not all(outline.printed for outline in found.outlines):
            return found
        # Some hands are as neat as print, and who gives a page wants its text.
        written = [outline._replace(printed=False) for outline in found.outlines]
        return replace(found, outlines=written, notes=("all seems to be print, and is read as if written by hand",))

    def find_sideways(self, picture: np.ndarray, found: Found) -> tuple[list[Line], list[Line]]:
        """Finds lines that run up or down beside those of a page, as notes in the margin do.

        Args:
            picture: as given to `find`.
            found: what that found.

        Returns:
            Lines that run up, and lines that run down, in reading order. Most are in both: only a reader can tell which is right.
        """
        if not found.outlines:
            return [], []
        lines = [outline.line for outline in found.outlines]
        rest = _Rest.of(picture, found, [line for line in lines if size_of(line)[0] > _SHORT * found.height])
        if not has_upright_ink(np.rot90(rest.ink, found.quarters % 2), found.height * rest.zoom):
            return [], []
        up, down = (
            [line for line in self._find_turned(rest, found, quarters, _MIN_SIDEWAYS) if rest.inked(line) > _INKED]
            for quarters in (3, 1)
        )
        return up, down

    def find_inverted(self, picture: np.ndarray, found: Found, among: Collection[Line]) -> list[Line]:
        """Finds lines, looking at a page upside down.

        Args:
            picture: as given to `find`.
            found: what that found.
            among: those of its lines, at least one, that may stand upside down; the others are not looked at.

        Returns:
            Lines in reading order, whether they stand upside down or not: only a reader can tell.
        """
        rest = _Rest.of(picture, found, [each.line for each in found.outlines if each.line not in among])
        return self._find_turned(rest, found, 2, 0.0)

    def _find_turned(self, rest: _Rest, found: Found, quarters: int, shortest: float) -> list[Line]:
        """Lines, longer than so many letter heights, in what is left of a page, turned by so many quarters more than the page was."""
        quarters = (quarters + found.quarters) % 4
        turned = np.ascontiguousarray(np.rot90(rest.cleared, quarters))
        seen = _outline(turned, self._look(turned), quarters, rest.zoom, found.shape)
        kept = [each for each in seen.outlines if not each.printed and each.upright.chord > shortest * each.letter]
        return replace(seen, outlines=kept).page.lines

    def _seen_closer(self, picture: np.ndarray, core: Core, zoom: float) -> Core:
        """The core, of which it is looked again whether it is print if its letters were seen too small to tell.

        Args:
            picture: the upright one.
            core: of a line on it.
            zoom: with which it was seen.
        """
        if core.printed <= PRINTED or core.letter >= _SMALL:
            return core
        x = np.linspace(core.left, core.right, max(2, round((core.right - core.left) / core.letter)))
        points, letter = np.stack([x, core.middle(x)], 1) / zoom, core.letter / zoom
        corner = np.maximum(points.min(0) - _AROUND * letter, 0).astype(int)
        right, bottom = np.ceil(points.max(0) + _AROUND * letter).astype(int)
        part = picture[corner[1] : bottom, corner[0] : right]
        factor = min(_ENLARGED / letter, (SEEN_PIXELS / part.size) ** 0.5)
        part = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        writing, print_, _ = self._maps(part)
        on_core = np.zeros(writing.shape, np.uint8)
        cells = np.round((points - corner) * factor / STRIDE).astype(np.int32)
        cv2.polylines(on_core, [cells], False, 1, round(_ENLARGED / STRIDE))
        seen = (on_core > 0) & (np.maximum(writing, print_) > 0.5)
        return core._replace(printed=float((print_ > writing)[seen].mean())) if seen.any() else core

    def _maps(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
        """How likely each cell of a picture is writing, and print, and how likely the picture is turned by each number of quarters."""
        height, width = picture.shape
        padded = cv2.copyMakeBorder(picture, 0, -height % ALIGNMENT, 0, -width % ALIGNMENT, cv2.BORDER_REPLICATE)
        pages = torch.from_numpy(padded)[None, None].to(self._device).float() / 255
        with torch.inference_mode():
            maps, turns = self._segmenter(pages.to(memory_format=torch.channels_last))
        writing, print_ = maps[0, :, : -(-height // STRIDE), : -(-width // STRIDE)].sigmoid().cpu().numpy()
        return writing, print_, turns[0].softmax(0).tolist()

    def _look(self, picture: np.ndarray) -> _Seen:
        """Runs the segmenter on a picture, and once more, closer, if the letters were seen small."""
        return self._closer(picture, self._see(picture, SEEN_PIXELS))

    def _closer(self, picture: np.ndarray, seen: _Seen) -> _Seen:
        """What was seen of a picture, or what is seen closer, if the letters were seen small, as of registers and small notes."""
        letter, _ = typical(seen.cores)
        if seen.zoom == 1 or not 0 < letter < _SEEN_SMALL:
            return seen
        closer = self._see(picture, min(_CLOSER_PIXELS, round(SEEN_PIXELS * (_CLOSER / letter) ** 2)))
        skew = max(seen.skew, closer.skew, key=lambda skew: skew.sharpness)
        return closer._replace(sideways=seen.sideways, likely=seen.likely, skew=skew)

    def _see(self, picture: np.ndarray, pixels: int) -> _Seen:
        """Runs the segmenter on a picture, made smaller, to so many pixels, if it has more."""
        small, zoom = _smaller(picture, pixels)
        writing, print_, (_, left, _, right) = self._maps(small)
        probable = np.maximum(writing, print_)
        negative = is_negative(small, cv2.resize(probable, small.shape[::-1]) > 0.5)
        cores, rules = find_cores(probable, print_ > writing, ink_mask(small, negative, faint=True))
        return _Seen(cores, rules, 1 if left > right else 3, left + right, zoom, negative, find_skew(probable))


class _Seen(NamedTuple):
    """What the segmenter says of a picture.

    rules: mask of those that part columns, in its pixels.
    sideways, likely: quarters by which it lies sideways, if it does, and how likely that is.
    zoom: its size relative to the picture.
    """

    cores: list[Core]
    rules: np.ndarray
    sideways: int
    likely: float
    zoom: float
    negative: bool
    skew: Skew


@dataclass(frozen=True)
class _Rest:
    """A page but for some of its lines.

    small: the page, made smaller.
    zoom: its size relative to the page.
    taken: where those lines stand on it, a mask of its shape.
    negative: whether what stands there is white on black.
    """

    small: np.ndarray
    zoom: float
    taken: np.ndarray
    negative: bool

    @classmethod
    def of(cls, picture: np.ndarray, found: Found, lines: Collection[Line]) -> _Rest:
        """The page, of which this was found, without these lines."""
        small, zoom = shrink(picture)
        taken = np.zeros_like(small)
        for line in lines:
            cv2.fillPoly(taken, [np.round(np.multiply(line.polygon, zoom)).astype(np.int32)], 1)
        around = np.ones((max(1, round(found.height * zoom / 4)),) * 2, np.uint8)
        where = cv2.dilate(taken, around) > 0
        return cls(small, zoom, where, is_negative(small, where))

    @cached_property
    def ink(self) -> np.ndarray:
        """Mask of the ink that is left."""
        return np.where(self.taken, 0, ink_mask(self.small, self.negative))

    def inked(self, line: Line) -> float:
        """How long the pieces of ink of a line are, in relation to them and the gaps between them, 0 to 1."""
        _, height = size_of(line)
        frame = Frame.of(np.array(line.baseline) * self.zoom)
        half = max(1, round(height * self.zoom / 2))
        strip = straighten(self.ink, frame, 0, frame.knots[-1, 0], half, half // 4, 0, nearest=True)
        inked = np.flatnonzero(strip.picture.any(0))
        gaps = np.diff(inked) - 1
        gaps = gaps[gaps > 0]
        piece, gap = len(inked) / (len(gaps) + 1), gaps.mean() if len(gaps) else 0.0
        return float(piece / max(piece + gap, 1))

    @cached_property
    def cleared(self) -> np.ndarray:
        """The page with paper where the lines stand."""
        return np.where(self.taken, find_paper(self.small, self.negative), self.small)


def moved_line(line: Line, move: Callable[[tuple[Point, ...]], Iterable[Point]], shape: tuple[int, ...]) -> Line:
    """A line that is not read yet, on another picture of this shape (height, width), to which points are moved so."""
    return replace(line, baseline=within(move(line.baseline), shape), polygon=within(move(line.polygon), shape))


def _smaller(picture: np.ndarray, pixels: int) -> tuple[np.ndarray, float]:
    """A picture, made smaller, to so many pixels, if it has more; and its size relative to what it was."""
    zoom = min(1.0, (pixels / picture.size) ** 0.5)
    size = max(1, round(picture.shape[1] * zoom)), max(1, round(picture.shape[0] * zoom))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA), zoom


def _steep(skew: Skew) -> int:
    """The degrees, 0 where lines are followed well."""
    return skew.degrees if abs(skew.degrees) > _LEVEL else 0


def _enlargement(seen: _Seen, pixels: int) -> float:
    """By how much a picture is enlarged, so that lines of few pixels can be told apart."""
    letter, _ = typical(seen.cores)
    if not 0 < letter < _SMALL * seen.zoom:
        return 1.0
    return max(1.0, min(_MAX_ENLARGEMENT, _ENLARGED * seen.zoom / letter, (SEEN_PIXELS / pixels) ** 0.5))


def _outline(upright: np.ndarray, seen: _Seen, quarters: int, factor: float, shape: tuple[int, ...]) -> Found:
    """Baselines and polygons around the ink of each core.

    Args:
        upright: the picture, turned by so many quarters counter-clockwise and enlarged by a factor.
        seen: what the segmenter says of it.
        shape: of the picture as it lies.
    """

    def back(points: tuple[Point, ...]) -> list[Point]:
        return turned([(x / factor, y / factor) for x, y in points], 90 * quarters, shape)

    small, zoom = shrink(upright)
    mask = ink_mask(small, seen.negative)
    ratio = zoom / seen.zoom
    rules = cv2.dilate(seen.rules, np.ones((9, 3), np.uint8))  # with their soft edges, and where rows are ruled as well
    mask[cv2.resize(rules, mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0] = 0
    frames = []
    owners = np.zeros(mask.shape, np.int16)
    for number, core in enumerate(seen.cores, 1):
        x = np.linspace(core.left, core.right, max(2, round((core.right - core.left) / (2 * core.letter)) + 1))
        middle = core.middle(x)
        edges = np.concatenate(
            [np.stack([x, middle - core.letter / 2], 1), np.stack([x, middle + core.letter / 2], 1)[::-1]]
        )
        cv2.fillPoly(owners, [np.round(edges * ratio).astype(np.int32)], number)
        frames.append(Frame.of(np.stack([x, middle + core.letter / 2], 1) * ratio))
    outlines = []
    faint = None
    for number, (core, frame) in enumerate(zip(seen.cores, frames), 1):
        points = _outline_one(mask, owners, number, frame, core.letter * ratio)
        if points is None:
            # Pencil on a page with ink, for one.
            faint = ink_mask(small, seen.negative, faint=True) if faint is None else faint
            points = _outline_one(faint, owners, number, frame, core.letter * ratio)
        if points is None:
            continue
        line = Line(*(within([(x / zoom, y / zoom) for x, y in each], upright.shape) for each in points))
        outlines.append(Outline(moved_line(line, back, shape), line, core.letter / seen.zoom, core.printed > PRINTED))
    clear = seen.skew.sharpness > _CLEAR and seen.likely < _UNLIKELY
    return Found(outlines, shape, quarters, upright.shape, skew=_steep(seen.skew) if clear else None)


def _outline_one(
    mask: np.ndarray, owners: np.ndarray, number: int, frame: Frame, letter: float
) -> tuple[list[Point], list[Point]] | None:
    """Baseline and polygon of one line, in pixels of the mask; None if it has no ink."""
    length = frame.knots[-1, 0]
    reach = 3 * letter
    above, below = round(_ABOVE * letter), round(_BELOW * letter)
    strip = straighten(mask, frame, -reach, length + reach, above, below, 0, nearest=True)
    owner = straighten(owners, frame, -reach, length + reach, above, below, 0, nearest=True).picture
    own = _own_ink(without_rules(strip.picture, letter), owner, number, letter)
    rows, columns = np.nonzero(own)
    if len(rows) < 0.3 * letter:
        return None
    left, right = columns.min() - _PAD * letter, columns.max() + 1 + _PAD * letter
    knots = np.linspace(left, right, max(2, round((right - left) / (_CHUNK * letter)) + 1))
    tops, bottoms = _edges(rows - above, columns, knots, letter)
    baseline = [strip.place(x, above) for x in knots]
    polygon = [strip.place(x, above + y) for x, y in zip(knots, tops)]
    polygon += [strip.place(x, above + y) for x, y in zip(knots[::-1], bottoms[::-1])]
    return baseline, polygon


def _edges(rows: np.ndarray, columns: np.ndarray, knots: np.ndarray, letter: float) -> tuple[np.ndarray, np.ndarray]:
    """How far the ink reaches above and below the baseline around each knot."""
    tops, bottoms = [], []
    half = (knots[1] - knots[0]) * _REACH if len(knots) > 1 else np.inf
    for knot in knots:
        near = rows[np.abs(columns - knot) <= half]
        highest, lowest = np.quantile(near, [_TRIM_ABOVE, 1 - _TRIM_BELOW]) if len(near) else (0, 0)
        tops.append(-np.clip(-highest, letter, _HIGHEST * letter))
        bottoms.append(np.clip(lowest + 1, 0.2 * letter, _LOWEST * letter))
    return np.array(tops), np.array(bottoms)


def _own_ink(strip: np.ndarray, owner: np.ndarray, number: int, letter: float) -> np.ndarray:
    """The ink that belongs to a line, shape and type of the strip."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(strip)
    on_own = np.bincount(pieces[owner == number], minlength=count)
    others = (owner > 0) & (owner != number)
    on_others = np.bincount(pieces[others], minlength=count)
    to_own = cv2.distanceTransform((owner != number).astype(np.uint8), cv2.DIST_L2, 3)
    if others.any():
        to_others = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, 3)
    else:
        to_others = np.full(strip.shape, np.inf, np.float32)
    inked = strip > 0
    # Dots, accents and commas lie on no core and go to the nearest, if it is near.
    size = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    mean_own = np.bincount(pieces[inked], to_own[inked], count) / size
    mean_others = np.bincount(pieces[inked], to_others[inked], count) / size
    loose = (on_own == 0) & (on_others == 0) & (mean_own < mean_others) & (mean_own < 1.3 * letter)
    whole = (on_own > 0) & (on_others <= 0.25 * on_own)
    shared = (on_own > 0) & (on_others > 0.25 * on_own) & (on_own > 0.25 * on_others)
    keep = (loose | whole)[pieces] | (shared[pieces] & (to_own < to_others))
    return (keep & inked).astype(np.uint8)
