"""Finding the lines of a page: the segmenter marks their cores, here they become baselines and polygons.

Each core is followed by a smooth curve. The ink is then looked at in a strip along that curve, where ruling lies level,
and every piece of it goes to the line on whose core it lies or to which it is nearest. All lengths are multiples of
the height of the small letters, which the core tells, so the same code serves any resolution and any size of writing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch

from htr.pages.containers import Line, Page, Point, turned, within
from htr.pages.crop import Frame, size_of, straighten
from htr.pages.ink import find_paper, find_rules, has_upright_ink, ink_mask, is_negative, shrink
from htr.pages.order import arrange
from htr.pages.segmenter import ALIGNMENT, STRIDE, Segmenter, load_segmenter

SEEN_PIXELS = 1_000_000
"""What the segmenter sees of a page: A4 at 100 dpi."""

_CLOSER_PIXELS = 4_000_000  # what it sees at most of a page whose lines are many or small

_UNLIKELY = 0.1  # a page that lies sideways no more likely than so does not
_SEEN_SMALL = 9.0  # pixels of small letters below which a page that was made smaller is looked at closer
_CLOSER = 14.0  # pixels that they have then
_SMALL = 6.0  # pixels of small letters below which a picture is enlarged
_ENLARGED = 12.0  # pixels to which they are enlarged
_MAX_ENLARGEMENT = 4.0

_AROUND = 3.0  # letter heights around a line that are looked at again with it
_FAINT = 0.2  # how likely there is writing, at least, where a line goes on
_MIN_CELLS = 6  # a core of fewer cells is a speck
_MIN_LENGTH = 0.8  # a core shorter than this many letter heights is a speck
_PRINTED, _WRITTEN = 0.6, 0.2  # shares of a core that seem to be print above which it is, and below which it is writing
# What is no larger than so much of a line's letters, and so many of these above or below their middle at most, is a part of them.
_TINY, _ASCENDS, _DESCENDS = 0.45, 1.5, 1.0
_MAX_GAP = 3.0  # widest space, in letter heights, across which two pieces of a core are one line
_MAX_WIDE_GAP = 11.0  # the same where a line above or below runs on
_SHORT = 2.0  # a line shorter than this many heights of a line may be a piece of one that runs up
_MIN_SIDEWAYS = 8.0  # a line that runs up is as long, in letter heights, at least
_CHUNK = 12.0  # letter heights between two corners of a polygon
_REACH = 1.5  # chunks to either side in which a corner looks for the highest and the lowest ink
_TRIM_ABOVE, _TRIM_BELOW = 0.005, 0.015  # share of the ink that may stand out of the polygon
_HIGHEST, _LOWEST = 2.8, 1.3  # letter heights from the baseline that a polygon reaches at most: few loops go beyond
_PAD = 0.2  # letter heights of paper in the polygon before and after the ink
_ABOVE, _BELOW = 3.2, 2.4  # letter heights from the baseline in which a line's ink is looked for


class Core(NamedTuple):
    """The core of a line on the upright picture that the segmenter saw, in its pixels.

    curve: coefficients of the middle's row, a polynomial of the column divided by 100 (highest power first).
    left, right: columns.
    letter: height of the small letters.
    printed: share of it that is print.
    """

    curve: np.ndarray
    left: float
    right: float
    letter: float
    printed: float

    def middle(self, x: np.ndarray | float) -> np.ndarray:
        # numpy's own takes ten times as long for one column, and tables ask for very many.
        row = 0.0 * x
        for coefficient in self.curve:
            row = row * (x / 100) + coefficient
        return row

    def level(self, x: float) -> float:
        """The row of the middle at a column, or at the end that is nearer to it."""
        return float(self.middle(min(max(x, self.left), self.right)))


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
    """

    outlines: Sequence[Outline]
    shape: tuple[int, ...]
    quarters: int
    upright_shape: tuple[int, ...]
    notes: tuple[str, ...] = ()

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
        """Finds the lines of a page as it lies and, where it may lie sideways, as if it did.

        Only a reader can tell which is right, as of tables and words below each other, and whether it is upside down.
        """
        seen = self._look(picture)
        ways = [self._found(picture, 0, seen)]
        if seen.likely > _UNLIKELY:
            ways.append(self.find(picture, seen.sideways))
        return ways

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
        up, down = (self._find_turned(rest, found, quarters, _MIN_SIDEWAYS) for quarters in (3, 1))
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
        if core.printed <= _PRINTED or core.letter >= _SMALL:
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
        """Runs the segmenter on a picture, and once more, closer, if the letters were seen small, as of registers and small notes."""
        seen = self._see(picture, SEEN_PIXELS)
        letter, _ = _typical(seen.cores)
        if seen.zoom == 1 or not 0 < letter < _SEEN_SMALL:
            return seen
        closer = self._see(picture, min(_CLOSER_PIXELS, round(SEEN_PIXELS * (_CLOSER / letter) ** 2)))
        return closer._replace(sideways=seen.sideways, likely=seen.likely)

    def _see(self, picture: np.ndarray, pixels: int) -> _Seen:
        """Runs the segmenter on a picture, made smaller, to so many pixels, if it has more."""
        zoom = min(1.0, (pixels / picture.size) ** 0.5)
        size = max(1, round(picture.shape[1] * zoom)), max(1, round(picture.shape[0] * zoom))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        writing, print_, (_, left, _, right) = self._maps(small)
        probable = np.maximum(writing, print_)
        negative = is_negative(small, cv2.resize(probable, size) > 0.5)
        pieces = _trace(probable, print_ > writing)
        cores = _join(pieces, find_rules(ink_mask(small, negative, faint=True)[0], *_typical(pieces)))
        slope = _typical(cores)[1]
        cores = [_to_its_ends(core, probable, cores, slope) for core in cores]
        return _Seen(cores, 1 if left > right else 3, left + right, zoom, negative)


class _Seen(NamedTuple):
    """What the segmenter says of a picture.

    sideways, likely: quarters by which it lies sideways, if it does, and how likely that is.
    zoom: its size relative to the picture.
    """

    cores: list[Core]
    sideways: int
    likely: float
    zoom: float
    negative: bool


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

    @property
    def ink(self) -> np.ndarray:
        """Mask of the ink that is left."""
        mask, zoom = ink_mask(self.small, self.negative)
        if zoom != 1:  # rounded, the page may have come out larger than what is not made smaller once more
            mask = cv2.resize(mask, self.small.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return np.where(self.taken, 0, mask)

    @cached_property
    def cleared(self) -> np.ndarray:
        """The page with paper where the lines stand."""
        return np.where(self.taken, find_paper(self.small, self.negative), self.small)


def _enlargement(seen: _Seen, pixels: int) -> float:
    """By how much a picture is enlarged, so that lines of few pixels can be told apart."""
    letter, _ = _typical(seen.cores)
    if not 0 < letter < _SMALL * seen.zoom:
        return 1.0
    return max(1.0, min(_MAX_ENLARGEMENT, _ENLARGED * seen.zoom / letter, (SEEN_PIXELS / pixels) ** 0.5))


def _trace(probable: np.ndarray, printed: np.ndarray) -> list[Core]:
    """Follows each core of the map of cells, in pixels of the picture."""
    cores = []
    for cells in _components(probable > 0.5):
        cores += _split(cells, probable, printed, 0.5)
    return cores


def _components(mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of the cells of each component."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    rows, columns = np.nonzero(labels)
    order = np.argsort(labels[rows, columns], kind="stable")
    ends = np.cumsum(np.bincount(labels[rows, columns], minlength=count)[1:])[:-1]
    return list(zip(np.split(rows[order], ends), np.split(columns[order], ends))) if count > 1 else []


def _split(
    cells: tuple[np.ndarray, np.ndarray], probable: np.ndarray, printed: np.ndarray, threshold: float
) -> list[Core]:
    """One core, or several where the cells of two lines meet: there a higher threshold parts them."""
    rows, columns = cells
    if len(rows) < _MIN_CELLS:
        return []
    left = columns.min()
    lowest = np.full(np.ptp(columns) + 1, -1)
    highest = np.full(len(lowest), len(probable))
    np.maximum.at(lowest, columns - left, rows)
    np.minimum.at(highest, columns - left, rows)
    filled = np.bincount(columns - left)
    # A column of one line is one run of cells.
    several = np.mean(filled < (lowest - highest + 1) - 1)
    thickness = np.median(filled)
    if threshold < 0.95 and (several > 0.1 or np.mean(filled > 1.7 * thickness) > 0.15):
        part = np.zeros(probable.shape, bool)
        part[rows, columns] = probable[rows, columns] > threshold + 0.1
        parts = _components(part)
        if sum(len(part[0]) for part in parts) > 0.3 * len(rows):
            return [core for part in parts for core in _split(part, probable, printed, threshold + 0.1)]
    if cut := _end_of_print(columns, printed[rows, columns], thickness):
        sides = columns < cut, columns >= cut
        return [core for side in sides for core in _split((rows[side], columns[side]), probable, printed, threshold)]
    centres = (lowest + highest + 1) / 2 * STRIDE
    x = (left + np.arange(len(lowest)) + 0.5) * STRIDE
    weights = np.where(filled > 0, probable.shape[0] / 1e3 + filled, 0)
    letter = float(np.average(filled, weights=filled) * STRIDE)
    length = len(lowest) * STRIDE
    degree = 0 if length < 3 * letter else 1 if length < 10 * letter else 2 if length < 22 * letter else 3
    curve = np.polyfit(x / 100, np.where(filled > 0, centres, 0), degree, w=weights)
    return [Core(curve, left * STRIDE, left * STRIDE + length, letter, float(printed[rows, columns].mean()))]


def _end_of_print(columns: np.ndarray, printed: np.ndarray, letter: float) -> int | None:
    """The column of cells that parts a printed label from an entry written behind or before it, where both would pass for print,
    which is not read.

    Args:
        columns: of the cells of a core.
        printed: how likely each is print.
        letter: height of the small letters, in cells.
    """
    if printed.mean() <= _PRINTED:
        return None
    order = np.argsort(columns, kind="stable")
    total = np.cumsum(printed[order])
    counts = np.arange(1, len(order))
    before, after = total[:-1] / counts, (total[-1] - total[:-1]) / (len(order) - counts)
    # As Otsu's threshold parts dark from light.
    best = int((counts * (len(order) - counts) * (before - after) ** 2).argmax())
    cut = columns[order[best + 1]]
    length = columns.max() + 1 - cut if after[best] < before[best] else cut - columns.min()
    parted = columns.min() < cut and min(before[best], after[best]) < _WRITTEN and length > _MIN_LENGTH * letter
    return int(cut) if parted else None


def _typical(cores: list[Core]) -> tuple[float, float]:
    """The height of the small letters of a page, and the slope of its lines; 0 where there are none."""
    letters = [core.letter for core in cores]
    return float(np.median(letters or [0.0])), float(
        np.median([_chord(core) for core in cores if _is_long(core)] or [0.0])
    )


def _join(cores: list[Core], rules: np.ndarray) -> list[Core]:
    """Joins pieces of one line, and drops specks; what parts columns is in `rules`, pixels of which 1 are."""
    # What is near comes first: a line above tells more of a wide space once it is whole itself.
    for wide in (False, True, True):
        cores = _join_across(cores, wide, rules)
    return [core for core in cores if not _is_speck(core, cores)]


def _join_across(cores: list[Core], wide: bool, rules: np.ndarray) -> list[Core]:
    """Joins pieces of one line across spaces between words, or across wide ones too."""
    joined: list[Core] = []
    _, slope = _typical(cores)
    for core in sorted(cores, key=lambda core: core.left):
        best, best_gap = None, np.inf
        for index, other in enumerate(joined):
            letter = max(core.letter, other.letter)
            gap = core.left - other.right
            if (
                not -letter < gap < min(_MAX_WIDE_GAP * letter, best_gap)
                or min(core.letter, other.letter) < 0.45 * letter
            ):
                continue
            # Pieces that nearly touch may begin with a quote or end with a comma; lines are farther apart than this.
            apart = (1.2 if gap < 1.5 * letter else 0.9) * letter
            middle = core.left - gap / 2
            row = _onward(core, middle, slope)
            if abs(row - _onward(other, middle, slope)) > apart or _would_hide(core, other):
                continue
            columns = slice(max(0, int(other.right - letter / 2)), max(0, int(core.left + letter / 2)))
            if rules[max(int(row), 0) : int(row) + 1, columns].any():
                continue
            if gap < _MAX_GAP * letter or (wide and _run_on(cores, other, core)):
                best, best_gap = index, gap
        if best is None:
            joined.append(core)
        else:
            joined[best] = _merge(joined[best], core)
    return joined


def _to_its_ends(core: Core, probable: np.ndarray, cores: list[Core], slope: float) -> Core:
    """The core with what goes on at its ends where it is less clear that there is writing, as of figures far apart.

    Args:
        core: of a line.
        probable: how likely there is writing, or print, in each cell.
        cores: of all lines.
        slope: of most of them.
    """
    for step in (-STRIDE, STRIDE):
        start = end = last = core.right if step > 0 else core.left
        while abs(end - last) <= core.letter and 0 <= (x := end + step / 2) < probable.shape[1] * STRIDE:
            end += step
            row = _onward(core, x, slope)
            top, bottom = (max(0, int((row + side * core.letter / 2) / STRIDE)) for side in (-1, 1))
            if probable[top : bottom + 1, int(x / STRIDE)].max(initial=0) > _FAINT:
                last = end
        # A column or two more is nothing to bend the line for.
        if abs(last - start) > core.letter:
            x = np.array([min(start, last), max(start, last)])
            rows = [_onward(core, each, slope) for each in x]
            more = Core(np.polyfit(x / 100, rows, 1), *x, core.letter, core.printed)
            if not any(_meet(more, other) for other in cores if other is not core):
                core = _merge(*sorted((core, more), key=lambda each: each.left))
    return core


def _meet(first: Core, second: Core) -> bool:
    """Whether two cores come within the height of the larger letters of each other."""
    letter = max(first.letter, second.letter)
    left, right = max(first.left, second.left), min(first.right, second.right)
    if left > right + letter:
        return False
    return any(abs(first.level(x) - second.level(x)) < letter for x in (left, (left + right) / 2, right))


def _would_hide(first: Core, second: Core) -> bool:
    """Whether two pieces together would pass for print, which is not read, though one is writing: an entry behind a printed label."""
    written = min(first, second, key=lambda core: core.printed)
    long = written.right - written.left > _MIN_LENGTH * written.letter
    if not long or written.printed >= _WRITTEN or max(first.printed, second.printed) <= _PRINTED:
        return False
    return _merge(first, second).printed > _PRINTED


def _run_on(cores: list[Core], first: Core, second: Core) -> bool:
    """Whether lines right above or below run on where there is a space between two pieces: then it is no gutter, unless more of them
    have a space there as well, as columns do below a heading."""
    middle = (first.right + second.left) / 2
    row = (float(first.middle(first.right)) + float(second.middle(second.left))) / 2
    across: list[float] = []
    before: list[float] = []
    beyond: list[float] = []
    for core in cores:
        level = core.level(middle)
        if core.letter < abs(level - row) < 10 * first.letter:
            if core.left < first.right and core.right > second.left:
                across.append(level)
            else:
                (before if core.right <= middle else beyond).append(level)
    spaces: list[float] = []
    for level in before:
        beside, counted = (
            any(abs(level - other) < first.letter for other in levels) for levels in (beyond, [*across, *spaces])
        )
        if beside and not counted:
            spaces.append(level)
    return len(across) > len(spaces)


def _is_speck(core: Core, cores: list[Core]) -> bool:
    """Whether a core is too short for a line, or lies where a descender of the line above or a loop of far larger letters would."""
    length = core.right - core.left
    if length < _MIN_LENGTH * core.letter:
        return True
    middle = (core.left + core.right) / 2
    for other in cores:
        if not other.left < middle < other.right:
            continue
        below = (float(core.middle(middle)) - float(other.middle(middle))) / other.letter
        if length < 3 * core.letter and other.right - other.left > 3 * length and abs(below) < 1.7:
            return True
        within = other.left - other.letter < core.left and core.right < other.right + other.letter
        # Of a core that is a cell high, the letters may be twice as large.
        tiny = max(core.letter, 2 * STRIDE) < _TINY * other.letter
        if within and tiny and core.printed < _PRINTED and -_ASCENDS < below < _DESCENDS:
            return True
    return False


def _onward(core: Core, x: float, slope: float) -> float:
    """The row of the middle at a column, going straight on beyond the ends of the core."""
    end = min(max(x, core.left), core.right)
    return core.level(x) + (x - end) * (_chord(core) if _is_long(core) else slope)


def _is_long(core: Core) -> bool:
    """Whether a core is long enough to tell its slope: single words are not."""
    return core.right - core.left > 12 * core.letter


def _chord(core: Core) -> float:
    """The slope from end to end: the ends of a curve are its least certain part."""
    return float(core.middle(core.right) - core.middle(core.left)) / (core.right - core.left)


def _merge(first: Core, second: Core) -> Core:
    lengths = first.right - first.left, second.right - second.left
    letter = float(np.average([first.letter, second.letter], weights=lengths))
    x = [np.linspace(core.left, core.right, 12) for core in (first, second)]
    y = np.concatenate([first.middle(x[0]), second.middle(x[1])])
    weights = np.repeat(np.sqrt(lengths), 12)
    length = second.right - first.left
    degree = 1 if length < 10 * letter else 2 if length < 22 * letter else 3
    return Core(
        np.polyfit(np.concatenate(x) / 100, y, degree, w=weights),
        min(first.left, second.left),
        max(first.right, second.right),
        letter,
        float(np.average([first.printed, second.printed], weights=lengths)),
    )


def _outline(upright: np.ndarray, seen: _Seen, quarters: int, factor: float, shape: tuple[int, ...]) -> Found:
    """Baselines and polygons around the ink of each core.

    Args:
        upright: the picture, turned by so many quarters counter-clockwise and enlarged by a factor.
        seen: what the segmenter says of it.
        shape: of the picture as it lies.
    """
    mask, zoom = ink_mask(upright, seen.negative)
    ratio = zoom / seen.zoom
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
            faint = ink_mask(upright, seen.negative, faint=True)[0] if faint is None else faint
            points = _outline_one(faint, owners, number, frame, core.letter * ratio)
        if points is None:
            continue
        line = Line(*(within([(x / zoom, y / zoom) for x, y in each], upright.shape) for each in points))
        placed = _put_back(line, quarters, factor, shape)
        outlines.append(Outline(placed, line, core.letter / seen.zoom, core.printed > _PRINTED))
    return Found(outlines, shape, quarters, upright.shape)


def _outline_one(
    mask: np.ndarray, owners: np.ndarray, number: int, frame: Frame, letter: float
) -> tuple[list[Point], list[Point]] | None:
    """Baseline and polygon of one line, in pixels of the mask; None if it has no ink."""
    length = frame.knots[-1, 0]
    reach = 3 * letter
    above, below = round(_ABOVE * letter), round(_BELOW * letter)
    strip = straighten(mask, frame, -reach, length + reach, above, below, 0, nearest=True)
    owner = straighten(owners, frame, -reach, length + reach, above, below, 0, nearest=True).picture
    own = _own_ink(_without_rules(strip.picture, letter), owner, number, letter)
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


def _without_rules(strip: np.ndarray, letter: float) -> np.ndarray:
    """Takes ruling, squares and underlining away from the ink of a straightened strip."""
    thin = max(3, round(0.35 * letter))
    rules = np.zeros_like(strip)
    for length, across in ((4, False), (4.5, True)):
        size = max(8, round(length * letter))
        runs = cv2.morphologyEx(strip, cv2.MORPH_OPEN, np.ones((size, 1) if across else (1, size), np.uint8))
        rules |= runs & ~cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((1, thin) if across else (thin, 1), np.uint8))
    return strip & ~rules


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


def _put_back(line: Line, quarters: int, factor: float, shape: tuple[int, ...]) -> Line:
    """Moves a line from the upright picture, enlarged by a factor, to the picture as it lies, of this shape."""

    def move(points: tuple[Point, ...]) -> tuple[Point, ...]:
        upright = [(x / factor, y / factor) for x, y in points]
        return within(turned(upright, 90 * quarters, shape), shape)

    return replace(line, baseline=move(line.baseline), polygon=move(line.polygon))
