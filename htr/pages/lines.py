"""Finding the lines of handwriting on a page, without anything learned.

The page is reduced to a mask of ink, freed of skew and of ruling. Lines are the ridges of the ink blurred along the
lines, at the scale at which ridges stand out most; each piece of ink then goes to its ridge. All lengths below are
multiples of that scale, so the same code serves any resolution and any size of writing. Columns are not told apart.

Sources of the ideas: skew by the sharpest projection profile (Postl 1986; Baird 1987); lines as blobs of anisotropic
Gaussian second derivatives (Bukhari, Shafait and Breuel 2009); choice of the scale by the normalised
derivative (Lindeberg 1998).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a rectangle in pixels; right and bottom lie just outside of it."""

_WORK_PIXELS = 2_200_000  # A4 at 150 dpi: finer pictures only cost time
_MIN_CONTRAST = 20  # grey levels of 255 by which ink is darker than its paper, at least
_MIN_LETTER = 6  # rows of the work picture that the tallest letter of a word has, at least
_SKEWS = np.tan(np.radians(np.arange(-5, 5.01, 0.1)))  # slopes that are tried
_SCALES = 4 * 2 ** np.arange(0, 4.01, 0.25)  # pixels of the work picture; the distance of lines is about 4.4 scales


class _Ink(NamedTuple):
    """The ink of a page, level: the text runs along the rows of the mask.

    mask: (rows, columns), uint8, 1 = ink.
    zoom: pixels of the mask to one pixel of the page.
    slope: rows that the text went down, on the page, per column to the right.
    shift: rows by which the mask was moved, so that none of the page is lost.
    """

    mask: np.ndarray
    zoom: float
    slope: float
    shift: float

    def page_rows(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Rows on the page (in pixels of the mask) for rows and columns of the mask."""
        return rows - self.shift + self.slope * columns


class Layout(NamedTuple):
    """What was found on a page.

    lines: the boxes of the lines of handwriting, from top to bottom.
    section: top and bottom, in pixels, of the section of a form that was searched; None if the page is no form.
    """

    lines: list[Box]
    section: tuple[int, int] | None


def find_layout(page: np.ndarray) -> Layout:
    """Finds the lines of handwriting on a page.

    Of a form only the section of the handwriting is searched. A form is a page with 2 to 4 long printed rules across
    it, as in the IAM database: the writing is in the tallest section between them, and what is printed above and signed
    below is left out. Paper ruled for writing is no form.

    Args:
        page: shape (height, width), uint8, 0 = black; also white on black.
    """
    ink = _level(*_ink_mask(page))
    rules = _find_rules(ink.mask)
    mask = _erase_rules(ink.mask, rules)
    section = _choose_section(mask, rules)
    height, width = page.shape
    if section:
        mask[: section[0]] = 0
        mask[section[1] :] = 0
        rows = ink.page_rows(np.array(section), np.full(2, mask.shape[1] / 2)) / ink.zoom
        top, bottom = np.clip(np.round(rows).astype(int), 0, height)
        section = int(top), int(bottom)
    scale = _choose_scale(mask)
    mask = _erase_dirt(mask, scale)
    lines = _join_along(_label_ridges(mask, scale), scale)
    boxes = [
        (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        for x0, y0, x1, y1 in (
            tuple(round(v / ink.zoom) for v in box) for box in _measure(_share_ink(mask, lines, scale), ink, scale)
        )
    ]
    return Layout(boxes, section)


def looks_like_line(image: np.ndarray, boxes: list[Box]) -> bool:
    """Says whether a picture is probably one line of writing, cut out, and not a page.

    Args:
        image: shape (height, width).
        boxes: the lines that `find_layout` found there.
    """
    height, width = image.shape
    if not boxes:
        return width > 2 * height
    tallest = max(bottom - top for _, top, _, bottom in boxes)
    return tallest > (0.25 if len(boxes) == 1 else 0.65) * height


def crop_line(page: np.ndarray, box: Box) -> np.ndarray:
    """Cuts a line out of a page, closely, as the lines of IAM are cut, and clears it of ink of other lines.

    Args:
        page: shape (height, width), uint8, 0 = black; also white on black.
        box: the line, as from `find_layout`.

    Returns:
        Shape (height, width) of the box and a margin of 3 % of its height, uint8, in the page's polarity.
    """
    x0, y0, x1, y1 = box
    margin = max(1, round(0.03 * (y1 - y0)))
    left, right = max(x0 - margin, 0), min(x1 + margin, page.shape[1])
    top, bottom = max(2 * y0 - y1, 0), min(2 * y1 - y0, page.shape[0])
    window = page[top:bottom, left:right]
    inside = slice(max(y0 - margin, 0) - top, min(y1 + margin, page.shape[0]) - top)
    middle = slice(y0 - top + int(0.35 * (y1 - y0)), y0 - top + int(0.65 * (y1 - y0)) + 1)

    mask, _ = _ink_mask(window)
    mask = cv2.resize(mask, window.shape[::-1], interpolation=cv2.INTER_NEAREST)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    # Ink of another line lies outside of the box for the greater part, and does not reach its middle.
    own = np.bincount(pieces[inside].ravel(), minlength=len(stats)) >= 0.5 * stats[:, cv2.CC_STAT_AREA]
    own[pieces[middle]] = True
    # Soft edges go with their ink: those of other lines are cleared, those of this one stay.
    foreign = cv2.dilate((~own[pieces]).astype(np.uint8), np.ones((5, 5), np.uint8))
    kept = cv2.dilate((own[pieces] & (pieces > 0)).astype(np.uint8), np.ones((3, 3), np.uint8))
    paper = 255 - _paper(255 - window) if _is_negative(window) else _paper(window)
    return np.where((foreign > 0) & (kept == 0), paper, window)[inside]


def _is_negative(grey: np.ndarray) -> bool:
    """Whether the writing is white on black."""
    return bool(np.median(grey) < 128)


def _paper(grey: np.ndarray) -> np.ndarray:
    """The paper without the ink, with its shadows; shape and type of the picture."""
    # Closing takes away what is thinner than its window. At the edge, thin shadows are made wide first.
    window = max(15, max(grey.shape) // 50) | 1
    paper = cv2.copyMakeBorder(grey, window, window, window, window, cv2.BORDER_REPLICATE)
    paper = cv2.blur(cv2.morphologyEx(paper, cv2.MORPH_CLOSE, np.ones((window, window), np.uint8)), (window, window))
    return paper[window:-window, window:-window]


def _ink_mask(page: np.ndarray) -> tuple[np.ndarray, float]:
    """Tells ink from paper.

    Returns:
        The mask, uint8, 1 = ink, and its size relative to the page.
    """
    zoom = min(1.0, (_WORK_PIXELS / page.size) ** 0.5)
    size = (max(1, round(page.shape[1] * zoom)), max(1, round(page.shape[0] * zoom)))
    grey = cv2.resize(page, size, interpolation=cv2.INTER_AREA)
    if _is_negative(grey):
        grey = 255 - grey
    darkness = 255 - cv2.divide(grey, _paper(grey), scale=255)
    threshold, _ = cv2.threshold(darkness, 0, 255, cv2.THRESH_OTSU)
    return (darkness > max(threshold, _MIN_CONTRAST)).astype(np.uint8), zoom


def _level(mask: np.ndarray, zoom: float) -> _Ink:
    """Shears a mask until its text runs along the rows."""
    height, width = mask.shape
    slope = _find_slope(mask)
    shift = max(0.0, slope * width)
    matrix = np.array([[1, 0, 0], [-slope, 1, shift]])
    size = (width, height + int(np.ceil(abs(slope) * width)))
    return _Ink(cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST), zoom, slope, shift)


def _find_slope(mask: np.ndarray) -> float:
    """Finds the slope along which the ink falls into the fewest rows."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return 0.0
    step = len(rows) // 50_000 + 1
    rows, columns = rows[::step], columns[::step]
    margin = int(np.abs(_SKEWS).max() * mask.shape[1]) + 1
    sharpness = np.array(
        [(np.bincount((rows - slope * columns).astype(int) + margin).astype(float) ** 2).sum() for slope in _SKEWS]
    )
    level = sharpness[len(_SKEWS) // 2]
    best = int(sharpness.argmax())
    return float(_SKEWS[best]) if sharpness[best] > 1.05 * level else 0.0


class _Rule(NamedTuple):
    """A straight line across the page: from column `left` to `right`, in row `row + slope * column`."""

    left: int
    right: int
    row: float
    slope: float
    solid: float  # share of its length that is ink


def _find_rules(mask: np.ndarray) -> list[_Rule]:
    """Finds printed rules, solid or dotted, that run at least a quarter of the width of a page, from top to bottom."""
    width = mask.shape[1]
    gap, run, join = max(width // 200, 2), max(width // 40, 8), max(width // 15, 8)
    # Seen in all of the ink, lines of print pass for rules.
    thin = _thin(mask)
    # A rule that is not quite level comes down in steps: thickened, its pieces meet.
    thick = cv2.morphologyEx(cv2.dilate(thin, np.ones((3, 1), np.uint8)), cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    joined = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((5, join), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    rules = []
    for label in 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_WIDTH] >= width / 4):
        left, top, length, height = stats[label, :4]
        window = slice(top, top + height), slice(left, left + length)
        rows, columns = np.nonzero(thin[window] & (labels[window] == label))
        row, slope = _fit_rule(rows + top, columns + left)
        across = np.arange(left, left + length)
        centre = np.round(row + slope * across).astype(int)
        ink = [mask[np.clip(centre + step, 0, len(mask) - 1), across] for step in (-6, -5, -1, 0, 1, 5, 6)]
        solid = float(np.mean(ink[2] | ink[3] | ink[4]))
        beside = float(np.mean(ink[:2] + ink[5:]))
        if solid - beside > 0.4:
            rules.append(_Rule(int(left), int(left + length), row, slope, solid))
    return sorted(rules, key=lambda rule: rule.row)


def _thin(mask: np.ndarray) -> np.ndarray:
    """The ink of less than 7 rows."""
    return mask & ~cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((7, 1), np.uint8))


def _fit_rule(rows: np.ndarray, columns: np.ndarray) -> tuple[float, float]:
    """Finds the row and the slope of the straight line through most of the points."""
    best = (-1.0, 0.0, 0.0)
    for slope in np.linspace(-0.012, 0.012, 13):
        level = rows - slope * columns
        start = int(level.min())
        counts = np.convolve(np.bincount((level - start).astype(int)), np.ones(3), "same")
        if counts.max() > best[0]:
            best = (counts.max(), start + counts.argmax() + 0.5, slope)
    return float(best[1]), float(best[2])


def _erase_rules(mask: np.ndarray, rules: list[_Rule]) -> np.ndarray:
    """Takes rules away, and leaves the strokes that cross them."""
    lines = np.zeros_like(mask)
    for rule in rules:
        ends = [(x, round(rule.row + rule.slope * x)) for x in (rule.left, rule.right)]
        cv2.line(lines, *ends, color=1, thickness=5)
    return mask & ~(lines & _thin(mask))


def _choose_section(mask: np.ndarray, rules: list[_Rule]) -> tuple[int, int] | None:
    """Chooses the tallest section with writing between the rules of a form; None if this is no form."""
    height, width = mask.shape
    # Print and flat writing pass for dotted rules now and then, but never for solid ones.
    wide = [rule for rule in rules if rule.right - rule.left > 0.45 * width]
    edges = [round(rule.row + rule.slope * width / 2) for rule in wide if rule.solid > 0.8]
    if not 2 <= len(edges) <= 4:
        return None
    sections = [
        (top, bottom)
        for top, bottom in zip([0, *edges], [*edges, height], strict=True)
        if mask[top:bottom].sum() > 0.05 * mask.sum()
    ]
    top, bottom = max(sections, key=lambda section: section[1] - section[0], default=(0, 0))
    gaps = np.diff(edges)
    # Ruled paper of which few rules were found whole, or a cut-out of it.
    ruling = sum(rule.solid > 0.65 and top < rule.row < bottom for rule in wide) > 3
    evenly = len(gaps) > 1 and gaps.max() < 1.5 * gaps.min()
    if ruling or evenly or bottom - top < max(height / 3, width / 4):
        return None
    return top + 3, bottom - 3


def _choose_scale(mask: np.ndarray) -> float:
    """Finds the scale, in pixels, at which lines stand out most from what is between them."""
    # Strokes and dots of large letters stand out too, at scales that are far smaller than the letters.
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    pieces = stats[1:][stats[1:, cv2.CC_STAT_HEIGHT].argsort()]
    share = pieces[:, cv2.CC_STAT_AREA].cumsum()
    letter = pieces[np.searchsorted(share, share[-1] / 2), cv2.CC_STAT_HEIGHT] if len(pieces) else 0
    scales = _SCALES[(0.2 * letter <= _SCALES) | (_SCALES[-1] == _SCALES)]
    # The normalised derivative, with a little more for coarse scales: of two good ones the coarse bridges words better.
    energies = [float((_ridge_filter(mask, scale) ** 2).mean() * scale**0.5) for scale in scales]
    return float(scales[int(np.argmax(energies))])


def _erase_dirt(mask: np.ndarray, scale: float) -> np.ndarray:
    """Takes away what is no writing: upright rules and edges of paper, and specks.

    Specks are lone groups of ink that are narrower than a letter or hold nothing as tall as a letter.
    """
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    tall, wide = stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH]
    upright = (tall > 8 * scale) & (wide < 0.1 * tall)
    mask = mask * ~upright[pieces]
    near = cv2.dilate(mask, np.ones((int(2 * scale), int(4 * scale)), np.uint8))
    count, groups = cv2.connectedComponents(near)
    rows, columns = np.nonzero(mask)
    group = groups[rows, columns]
    left, right, tallest = np.full(count, mask.shape[1]), np.zeros(count, int), np.zeros(count, int)
    np.minimum.at(left, group, columns)
    np.maximum.at(right, group, columns)
    np.maximum.at(tallest, group, tall[pieces[rows, columns]])
    keep = (right - left >= scale) & (tallest >= max(0.8 * scale, _MIN_LETTER))
    return mask * keep[groups]


def _ridge_filter(mask: np.ndarray, scale: float) -> np.ndarray:
    """Filters the ink with the second derivative, down the rows, of a Gaussian 6 times as wide as high.

    Returns:
        The answer, positive within lines; float32, smaller than the mask at coarse scales.
    """
    # A coarse scale needs no fine picture: filter where the scale is 4 pixels.
    zoom = min(1.0, 4 / scale)
    size = (max(1, round(mask.shape[1] * zoom)), max(1, round(mask.shape[0] * zoom)))
    small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sigma = scale * zoom
    reach = int(4 * sigma) + 1
    offsets = np.arange(-reach, reach + 1)
    gauss = np.exp(-0.5 * (offsets / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    second = gauss * (1 - (offsets / sigma) ** 2)
    second -= second.mean()  # cut off at its ends, it would answer to even grey
    wide = cv2.getGaussianKernel(2 * int(18 * sigma) + 1, 6 * sigma)
    return cv2.sepFilter2D(small, cv2.CV_32F, wide, second, borderType=cv2.BORDER_CONSTANT)


def _label_ridges(mask: np.ndarray, scale: float) -> np.ndarray:
    """Numbers the ridges of the ink that are not faint; shape of the mask, int32, 0 = none."""
    ridges = cv2.resize(_ridge_filter(mask, scale), mask.shape[::-1])
    floor = max(0.15 * float(np.percentile(ridges, 99)), 1e-4)
    return cv2.connectedComponents((ridges > floor).astype(np.uint8))[1]


def _join_along(labels: np.ndarray, scale: float) -> np.ndarray:
    """Joins the ridges that continue one another from left to right, the nearest first."""
    ends = []
    for label, window in enumerate(ndimage.find_objects(labels), 1):
        rows, columns = np.nonzero(labels[window] == label)
        rows, columns = rows + window[0].start, columns + window[1].start
        left, right, reach = columns.min(), columns.max(), 6 * scale
        ends.append((left, right, rows[columns <= left + reach].mean(), rows[columns >= right - reach].mean()))
    links = []
    for first, (left, right, _, row) in enumerate(ends, 1):
        for second, (next_left, next_right, next_row, _) in enumerate(ends, 1):
            overlap = min(8 * scale, (right - left) / 2, (next_right - next_left) / 2)
            if left < next_left and next_left > right - overlap and abs(next_row - row) < 1.5 * scale:
                links.append((next_left - right, first, second))
    parent = np.arange(len(ends) + 1)
    has_next, has_previous = set(), set()
    for _, first, second in sorted(links):
        if first not in has_next and second not in has_previous:
            has_next.add(first)
            has_previous.add(second)
            parent[parent == parent[second]] = parent[first]
    return parent[labels]


def _share_ink(mask: np.ndarray, lines: np.ndarray, scale: float) -> np.ndarray:
    """Gives each piece of ink to a line: that whose ridge it lies on most, else the nearest.

    A piece that lies on several ridges is cut half-way between them.

    Returns:
        The line of each pixel of ink; shape of the mask, int32, 0 = none.
    """
    count = int(lines.max()) + 1
    if count == 1:
        return np.zeros(mask.shape, np.int32)
    outside = (lines == 0).astype(np.uint8)
    distance, zone = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    line_of_zone = np.zeros(zone.max() + 1, np.int64)
    line_of_zone[zone[lines > 0]] = lines[lines > 0]
    nearest = line_of_zone[zone]
    pieces, piece = cv2.connectedComponents(mask)
    ink = mask > 0
    pairs, pair = np.unique(piece[ink].astype(np.int64) * count + nearest[ink], return_inverse=True)
    on_ridge = np.bincount(pair, distance[ink] == 0)
    # Off the ridges, pixels count only between lines that have none of the piece on their ridge.
    order = np.lexsort((np.bincount(pair), on_ridge, pairs // count))
    pairs, on_ridge = pairs[order], on_ridge[order]
    best = np.flatnonzero(np.diff(pairs // count, append=pieces))
    owner, shared = np.zeros(pieces, np.int64), np.zeros(pieces, bool)
    owner[pairs[best] // count] = pairs[best] % count
    second = (pairs[best - 1] // count == pairs[best] // count) & (best > 0)
    shared[pairs[best] // count] = second & (on_ridge[best - 1] > 0.35 * on_ridge[best])
    far = ndimage.mean(distance, piece, np.arange(pieces)) > 2.2 * scale
    owner[far] = 0
    labels = np.where(shared[piece], nearest, owner[piece])
    labels[~ink] = 0
    return labels.astype(np.int32)


def _measure(labels: np.ndarray, ink: _Ink, scale: float) -> list[tuple[float, float, float, float]]:
    """Boxes around the lines, in pixels of the mask before it was made level, from top to bottom."""
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    page_rows = ink.page_rows(rows, columns)
    boxes = []
    for line in np.unique(owner):
        mine = owner == line
        x, y = columns[mine], page_rows[mine]
        if np.ptp(x) > 1.5 * scale and np.ptp(rows[mine]) > scale:
            boxes.append((rows[mine].mean(), (x.min(), y.min(), x.max() + 1, y.max() + 1)))
    return [box for _, box in sorted(boxes)]
