import cv2
import numpy as np
import pytest

from htr.corpora.embedded import embedded_lines
from htr.lineimage import MAX_WIDTH, WIDTH_STEP, collate, ink_of, prepare, without_rules


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    return embedded_lines("test", 1)[0].image()


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two lines of about the same width, once they are of the same."""
    assert a.shape[1] == pytest.approx(b.shape[1], rel=0.06)
    return float(np.corrcoef(a.ravel(), cv2.resize(b, a.shape[::-1]).ravel())[0, 1])


def test_ink_is_high_and_paper_is_zero(line):
    prepared = prepare(line, 64).picture
    assert prepared.shape[0] == 64
    assert prepared.dtype == np.uint8
    assert prepared.max() == 255
    assert np.median(prepared) == 0


def test_light_ink_on_dark_paper_gives_the_same(line):
    assert np.array_equal(prepare(255 - line, 64).picture, prepare(line, 64).picture)


def test_faint_ink_under_a_shadow_gives_nearly_the_same(line):
    shade = np.linspace(1.0, 0.6, line.shape[1])
    faint = ((0.5 * line + 127) * shade).astype(np.uint8)
    assert likeness(prepare(faint, 64).picture, prepare(line, 64).picture) > 0.95


def test_margins_do_not_matter(line):
    wide = np.pad(line, ((20, 10), (50, 80)), constant_values=int(line.max()))
    assert likeness(prepare(wide, 64).picture, prepare(line, 64).picture) > 0.9


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("shape", ["polygon", "frame", "above"])
@pytest.mark.parametrize("quality", [None, 60])
def test_what_is_painted_around_a_line_does_not_matter(line, colour, shape, quality):
    """Programs that cut lines out along polygons paint the rest of the rectangle white or black."""
    pencil = (90 + 0.3 * line).astype(np.uint8)  # on paper that is neither
    wide = np.pad(pencil, ((20, 20), (20, 20)), mode="edge")
    height, width = wide.shape
    painted = np.full_like(wide, 255)
    corners = {
        "polygon": [(0, 12), (width // 3, 4), (width, 14), (width, height - 4), (width // 2, height - 12), (0, height - 6)],
        "frame": [(12, 12), (width - 12, 12), (width - 12, height - 12), (12, height - 12)],
        "above": [(0, 15), (width, 15), (width, height), (0, height)],
    }  # fmt: skip
    cv2.fillPoly(painted, [np.array(corners[shape])], 0)
    cut = np.where(painted > 0, colour, wide).astype(np.uint8)
    if quality:
        cut = cv2.imdecode(cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)
    assert likeness(prepare(cut, 64).picture, prepare(wide, 64).picture) > 0.9


@pytest.mark.parametrize("light", ["from the right", "from above", "from a lamp"])
def test_writing_on_overexposed_paper_stays(line, light):
    """Where paper is as white as what programs paint, there are strokes on it."""
    height, width = line.shape
    down, across = np.mgrid[:height, :width]
    brighter = {
        "from the right": across / width * 80 - 40,
        "from above": 100 * np.exp(-((down / height / 0.3) ** 2)) - 20,
        "from a lamp": 100 * np.exp(-(((across / width - 0.5) / 0.1) ** 2)) - 20,
    }[light]
    lit = np.clip(line + brighter, 0, 255).astype(np.uint8)
    assert (lit >= 252).mean() > 0.2
    assert likeness(prepare(lit, 64).picture, prepare(line, 64).picture) > 0.95


@pytest.mark.parametrize("zoom", [0.5, 1, 2])
@pytest.mark.parametrize("blur", [0.4, 1.5])
def test_heavy_strokes_on_white_paper_stay(line, zoom, blur):
    """The white around them is not taken for painted around paper."""
    heavy = np.where(cv2.erode(line, np.ones((5, 5))) < 128, 0, 255).astype(np.uint8)
    heavy = cv2.resize(heavy, None, fx=zoom, fy=zoom)
    heavy = cv2.GaussianBlur(heavy, (0, 0), blur * zoom)
    assert heavy.max() == 255
    assert likeness(prepare(heavy, 64).picture, prepare(255 - heavy, 64).picture) > 0.99
    assert likeness(prepare(heavy, 64).picture, prepare(np.minimum(heavy, 245), 64).picture) > 0.95


def test_strokes_that_reach_the_edge_of_a_black_and_white_picture_are_ink(line):
    """Neither they nor the white around them are taken for painted."""
    black = np.where(line < 128, 0, 255).astype(np.uint8)
    black[:, 100:106] = 0  # a stem from edge to edge
    black[:8, 200:400] = 0  # and the foot of a heavy letter of the line above
    assert (ink_of(black)[black == 0] > 200).mean() > 0.9
    assert np.array_equal(prepare(black, 64).picture, prepare(255 - black, 64).picture)


@pytest.mark.parametrize(("slope", "more"), [(0, 24), (0, 34), (0.02, 24), (0.02, 34), (-0.03, 24)])
def test_parts_of_neighbouring_lines_do_not_matter(line, slope, more):
    """Rectangles around lines of close writing hold them, and more of them where a page was scanned askew."""
    other = cv2.resize(embedded_lines("test", 2)[1].image(), line.shape[::-1])
    above, below = other.copy(), other.copy()
    above[-6:] = below[:6] = np.median(line)  # they do not touch the line
    alone = np.full_like(line, np.median(line))

    def cut(*lines: np.ndarray) -> np.ndarray:
        page = np.vstack(lines)
        room = round(abs(slope) * page.shape[1])
        moved = np.float32([[1, 0, 0], [slope, 1, room if slope < 0 else 0]])
        page = cv2.warpAffine(page, moved, (page.shape[1], len(page) + room), borderValue=float(np.median(line)))
        return page[len(line) - more : len(page) - len(line) + more]

    crowded, clear = prepare(cut(above, line, below), 64).picture, prepare(cut(alone, line, alone), 64).picture
    assert likeness(crowded, clear) > 0.9
    if (slope, more) == (0, 24):
        # Where other lines have been cleared away before, what reaches the edge is the line's own.
        kept = prepare(cut(above, line, below), 64, cut_out=True).picture
        assert likeness(kept, clear) < likeness(crowded, clear)


def test_marks_that_reach_the_edge_stay(line):
    """In a tight rectangle they do, and are no neighbouring line."""
    rows = np.flatnonzero(ink_of(line).any(1))
    tight = line[rows[0] : rows[-1] + 1].copy()
    tight[:10, 300:304] = tight[:10, 310:314] = 0  # quotes
    tight[-10:, 600:605] = 0  # a comma
    wide = np.pad(tight, ((4, 4), (0, 0)), constant_values=int(np.median(tight)))
    assert likeness(prepare(tight, 64).picture, prepare(wide, 64).picture) > 0.97


@pytest.mark.parametrize("slope", [-0.08, 0.03, 0.1])
def test_lines_that_rise_or_sink_are_made_level(line, slope):
    room = round(abs(slope) * line.shape[1])
    shear = np.array([[1.0, 0.0, 0.0], [slope, 1.0, room if slope < 0 else 0.0]])
    sloping = 255 - cv2.warpAffine(255 - line, shear, (line.shape[1], line.shape[0] + room))
    assert likeness(prepare(sloping, 64).picture, prepare(line, 64).picture) > 0.6


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (60, 300)])
def test_pictures_without_writing_stay_empty(shape, grey):
    prepared = prepare(np.full(shape, grey, np.uint8), 64).picture
    assert prepared.shape[0] == 64
    assert not prepared.any()


def test_paper_grain_is_not_stretched_to_ink():
    grain = np.random.default_rng(0).normal(240, 2, (80, 600)).clip(0, 255).astype(np.uint8)
    assert prepare(grain, 64).picture.mean() < 40


def test_very_long_lines_are_bounded():
    stripes = np.full((20, 20_000), 255, np.uint8)
    stripes[5:15, ::40] = 0
    assert prepare(stripes, 64).picture.shape == (64, MAX_WIDTH)


def test_narrow_writing_is_widened_and_wide_writing_is_left():
    """Strokes 8 and 24 pixels apart at height 64: the first are set 0.28 heights apart, as far as twice their width goes."""

    def strokes(apart: int) -> np.ndarray:
        picture = np.full((64, 60 * apart), 255, np.uint8)
        picture[3:61, apart // 2 :: apart] = 0
        return picture

    narrow, wide = prepare(strokes(8), 64), prepare(strokes(24), 64)
    heights = 64 / (58 + 4)  # what is left of the margins
    assert narrow.picture.shape[1] / 60 == pytest.approx(2 * 8 * heights, rel=0.05)
    assert wide.picture.shape[1] / 60 == pytest.approx(24 * heights, rel=0.05)
    # Places are still told in the picture's columns.
    for prepared, apart in (narrow, 8), (wide, 24):
        inked = np.flatnonzero(prepared.picture.max(0) > 128)
        assert prepared.source(inked[0]) == pytest.approx(apart // 2, abs=1)
        assert prepared.source(inked[-1]) == pytest.approx(60 * apart - apart // 2, abs=1.5)


def test_the_same_writing_set_narrower_comes_out_as_wide(line):
    narrow = cv2.resize(line, (round(0.7 * line.shape[1]), line.shape[0]), interpolation=cv2.INTER_AREA)
    narrower = cv2.resize(line, (round(0.55 * line.shape[1]), line.shape[0]), interpolation=cv2.INTER_AREA)
    assert prepare(narrower, 64).picture.shape[1] == pytest.approx(prepare(narrow, 64).picture.shape[1], rel=0.15)


def test_collate_pads_with_paper_and_counts_columns():
    lines = [np.full((32, 100), 255, np.uint8), np.full((32, 61), 255, np.uint8)]
    images, columns = collate(lines, 8)
    assert images.shape == (2, 1, 32, -(-100 // WIDTH_STEP) * WIDTH_STEP)
    assert columns.tolist() == [13, 8]
    assert images[1, 0, :, :61].min() == 1
    assert images[1, 0, :, 61:].max() == 0


def test_rules_are_taken_out_and_strokes_that_cross_them_stay():
    written = np.zeros((80, 700), np.uint8)
    for x in range(40, 660, 30):
        cv2.line(written, (x, 15), (x + 10, 65), 255, 4)
    rule = np.zeros_like(written)
    cv2.line(rule, (0, 55), (699, 59), 200, 2)
    cleaned = without_rules(np.maximum(written, rule))
    assert cleaned[written > 0].mean() > 250
    assert (cleaned[written == 0] > 0).sum() < 0.1 * (rule[written == 0] > 0).sum()
    assert np.array_equal(without_rules(written), written)


@pytest.mark.parametrize("width", [800, 1500])
@pytest.mark.parametrize("seed", range(5))
def test_a_single_figure_in_a_wide_field_is_no_white_writing(width, seed):
    """Its ink is less than a hundredth of the picture, which the grain of paper outweighs."""
    rng = np.random.default_rng(seed)
    picture = np.full((70, width), 225, np.uint8)
    cv2.line(picture, (width // 2, 18), (width // 2 - 4, 52), 60, 3, cv2.LINE_AA)
    # Grain whose light end is longer than its dark one.
    noisy = picture + rng.gamma(16, 0.6, picture.shape)
    grey = noisy.clip(0, 255).astype(np.uint8)
    ink = ink_of(grey)
    assert ink[18:52, width // 2 - 6 : width // 2 + 6].max() > 200
    assert (np.delete(ink, slice(width // 2 - 12, width // 2 + 12), 1) > 100).mean() < 0.001


def test_pencil_on_paper_with_light_specks_is_no_white_writing():
    rng = np.random.default_rng(0)
    picture = np.full((64, 1200), 205, np.uint8)
    for x in range(40, 1160, 22):
        cv2.line(picture, (x, 20), (x + 8, 44), 188, 3)
    noisy = picture + rng.normal(0, 2, picture.shape)
    noisy.reshape(-1)[rng.choice(noisy.size, 60, replace=False)] += 45
    ink = ink_of(noisy.clip(0, 255).astype(np.uint8))
    strokes = cv2.erode((picture == 188).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert np.median(ink[strokes]) > 150 and np.median(ink[picture == 205]) < 60
