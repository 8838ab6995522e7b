"""The cores of lines: what the segmenter marks of a page, followed by smooth curves, put together and parted.

All lengths are multiples of the height of the small letters, which the core tells.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from htr.pages.ink import find_rules, without_rules
from htr.pages.segmenter import STRIDE

PRINTED = 0.6
"""A core is print if more than this share of it seems to be."""

_WRITTEN = 0.2  # and writing if less than this share does

_STEEPEST = 30  # degrees to which it can be told by how much the lines of a page are turned

_FAINT = 0.2  # how likely there is writing, at least, where a line goes on
_MIN_CELLS = 6  # a core of fewer cells is a speck
# A core shorter than so many letter heights is a speck, unless it is one of so many, of so many letter heights at most, that stand
# below each other, and its ink is so many high.
_MIN_LENGTH, _ENTRIES, _ENTRY, _TALL = 0.8, 4, 4.0, 0.5
# What is no larger than so much of a line's letters, and so many of these above or below their middle at most, is a part of them.
_TINY, _ASCENDS, _DESCENDS = 0.45, 1.5, 1.0
_LONG = 12.0  # a core longer than so many letter heights tells its slope
_WORD, _WORDS = 3.0, 8  # where none is as long, so many that are longer than so many letter heights do
_MAX_GAP = 3.0  # widest space, in letter heights, across which two pieces of a core are one line
_MAX_WIDE_GAP = 11.0  # the same where a line above or below runs on


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


class Skew(NamedTuple):
    """The direction of the lines of a page.

    degrees: by which they are turned clockwise.
    sharpness: of that angle: its energy in relation to that of the other angles' middle one; 0 where there is no line.
    gain: by how much its energy is larger.
    """

    degrees: int
    sharpness: float
    gain: float


def find_skew(probable: np.ndarray) -> Skew:
    """The direction of the lines of a page.

    Along that angle, the sums of the cells have the most energy: Baird, The skew angle of printed documents (1987).

    Args:
        probable: how likely there is writing, or print, in each cell.
    """
    rows, columns = np.nonzero(probable > 0.5)
    energies = {}
    for degrees in range(-_STEEPEST, _STEEPEST + 1):
        angle = np.radians(degrees)
        along = np.round(rows * np.cos(angle) - columns * np.sin(angle)).astype(int)
        energies[degrees] = float(np.square(np.bincount(along + probable.shape[1])).sum())
    best, middle = max(energies, key=energies.__getitem__), float(np.median([*energies.values()]))
    return Skew(best, energies[best] / max(middle, 1.0), energies[best] - middle)


def find_cores(probable: np.ndarray, printed: np.ndarray, ink: np.ndarray) -> tuple[list[Core], np.ndarray]:
    """Finds the cores of the lines of a page.

    Args:
        probable: how likely there is writing, or print, in each cell.
        printed: which cells are print rather than writing, of the same shape.
        ink: mask of the picture, of which a cell is `STRIDE` pixels wide and high, 1 = ink, also what is faint.

    Returns:
        The cores, and a mask of the rules that part columns, of the shape and type of `ink`.
    """
    pieces = _trace(probable, printed)
    letter, slope = typical(pieces)
    rules = find_rules(ink, letter, slope)
    ink = without_rules(ink, letter)
    if rules.any():
        probable = _parted(probable, rules, pieces, ink)
        pieces = _trace(probable, printed)
    cores = _join(pieces, rules)
    _, slope = typical(cores)
    cores = [_steadied(_to_its_ends(core, probable, cores, slope), slope) for core in cores]
    return cores + _short_entries(probable, printed, cores, ink), rules


def typical(cores: list[Core]) -> tuple[float, float]:
    """The height of the small letters of a page, and the slope of its lines; 0 where there are none."""
    letters = [core.letter for core in cores]
    slopes = [_chord(core) for core in cores if _is_long(core)]
    if not slopes:
        # Of a register's entries, none is long, but there are many.
        slopes = [_chord(core) for core in cores if core.right - core.left > _WORD * core.letter]
        slopes = slopes if len(slopes) >= _WORDS else []
    return float(np.median(letters or [0.0])), float(np.median(slopes or [0.0]))


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
    if printed.mean() <= PRINTED:
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


def _parted(probable: np.ndarray, rules: np.ndarray, cores: list[Core], ink: np.ndarray) -> np.ndarray:
    """The map without the cells in which a rule parts two columns, unless strokes cross the rules, as of writing across a margin.

    Args:
        probable: how likely there is writing, or print, in each cell.
        rules: pixels of which 1 are, of the picture.
        cores: on it.
        ink: mask of the picture without its rules.
    """
    parted = probable.copy()
    kept = crossed = 0
    for core in cores:
        columns = np.arange(max(0, int(core.left + core.letter)), min(int(core.right - core.letter), ink.shape[1]))
        around = np.arange(-round(core.letter), round(core.letter) + 1)
        rows = (np.round(core.middle(columns)).astype(int)[:, None] + around).clip(0, len(ink) - 1)
        ruled = rules[rows, columns[:, None]].any(1)
        for start, end in np.flatnonzero(np.diff(ruled, prepend=False, append=False)).reshape(-1, 2):
            first, last = columns[start], columns[end - 1]
            sides = slice(first - 2, first), slice(last + 1, last + 3)
            before, behind = (ink[rows[start], side].any(1) for side in sides)
            if (before & behind).any():
                crossed += 1
            else:
                kept += 1
                parted[rows[start] // STRIDE, (first + last) // 2 // STRIDE] = 0
    return parted if kept >= crossed else probable


def _steadied(core: Core, slope: float) -> Core:
    """The core with less of its own slope, and more of the page's, the shorter it is: the shape of a word says little of it."""
    own = min(1.0, (core.right - core.left) / (_LONG * core.letter)) ** 2
    more = (1 - own) * (slope - _chord(core))
    middle = (core.left + core.right) / 2
    return core._replace(curve=np.polyadd(core.curve, [100 * more, -middle * more]))


def _short_entries(probable: np.ndarray, printed: np.ndarray, cores: list[Core], ink: np.ndarray) -> list[Core]:
    """Figures and single letters that stand below each other, as in a register, and in rows with other writing: of what stands alone,
    as little may be a speck.

    Args:
        probable: how likely there is writing, or print, in each cell.
        printed: which cells are print.
        cores: of the lines that were found.
        ink: mask of the picture without its rules.
    """
    if not cores:
        return []
    letter, slope = typical(cores)
    found = []
    for rows, columns in _components(probable > 0.5):
        left, right = columns.min() * STRIDE, (columns.max() + 1) * STRIDE
        row = (rows.mean() + 0.5) * STRIDE
        core = Core(np.array([row]), float(left), float(right), letter, float(printed[rows, columns].mean()))
        inked = ink[max(0, int(row - letter)) : int(row + letter), int(left) : int(right)].any(1)
        if np.count_nonzero(inked) > _TALL * letter and not any(_meet(core, other) for other in cores):
            found.append(core)
    lefts, rights = (np.array([getattr(core, side) for core in [*cores, *found]]) for side in ("left", "right"))
    short = rights - lefts < _ENTRY * letter
    entries = []
    for core in found:
        over = (lefts < core.right + letter) & (rights > core.left - letter)
        if np.count_nonzero(over & short) < _ENTRIES:
            continue
        beside = [other for other, above in zip(cores, over) if not above]
        middle = (core.left + core.right) / 2
        if any(abs(_onward(other, middle, slope) - core.level(middle)) < 0.7 * letter for other in beside):
            entries.append(core)
    return entries


def _join(cores: list[Core], rules: np.ndarray) -> list[Core]:
    """Joins pieces of one line, and drops specks; what parts columns is in `rules`, pixels of which 1 are."""
    # What is near comes first: a line above tells more of a wide space once it is whole itself.
    for wide in (False, True, True):
        cores = _join_across(cores, wide, rules)
    return [core for core in cores if not _is_speck(core, cores)]


def _join_across(cores: list[Core], wide: bool, rules: np.ndarray) -> list[Core]:
    """Joins pieces of one line across spaces between words, or across wide ones too."""
    joined: list[Core] = []
    _, slope = typical(cores)
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
            if rules[max(int(row - letter / 2), 0) : max(int(row + letter / 2), 0) + 1, columns].any():
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
    if not long or written.printed >= _WRITTEN or max(first.printed, second.printed) <= PRINTED:
        return False
    return _merge(first, second).printed > PRINTED


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
        if within and tiny and core.printed < PRINTED and -_ASCENDS < below < _DESCENDS:
            return True
    return False


def _onward(core: Core, x: float, slope: float) -> float:
    """The row of the middle at a column, going straight on beyond the ends of the core."""
    end = min(max(x, core.left), core.right)
    return core.level(x) + (x - end) * (_chord(core) if _is_long(core) else slope)


def _is_long(core: Core) -> bool:
    """Whether a core is long enough to tell its slope: single words are not."""
    return core.right - core.left > _LONG * core.letter


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
