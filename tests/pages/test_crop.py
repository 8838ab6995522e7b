"""Cutting lines out of drawn pages."""

import cv2
import numpy as np
import pytest

from htr.lineimage import prepare
from htr.pages.containers import Line, Page, Region
from htr.pages.crop import crop_line, cut_strip, looks_like_line


def written(text: str = "hello     hello") -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A page of one line, and the box of its ink; the baseline is at row 150."""
    page = np.full((300, 900), 245, np.uint8)
    cv2.putText(page, text, (100, 150), cv2.FONT_HERSHEY_SCRIPT_COMPLEX, 1.3, 40, 2, cv2.LINE_AA)
    x, y, width, height = cv2.boundingRect((page < 150).astype(np.uint8))
    return page, (x, y, x + width, y + height)


def boxed(box, baseline: float) -> Line:
    x0, y0, x1, y1 = box
    return Line(((x0, baseline), (x1, baseline)), ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two pictures of about the same size, wherever they fit best."""
    around = cv2.copyMakeBorder(first.astype(np.float32), 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=245)
    return float(cv2.matchTemplate(around, second.astype(np.float32), cv2.TM_CCOEFF_NORMED).max())


def moved(line: Line, matrix: np.ndarray) -> Line:
    """The line with its points put through a matrix of shape (2, 3)."""

    def move(points):
        return tuple(map(tuple, np.array(points) @ matrix[:, :2].T + matrix[:, 2]))

    return Line(move(line.baseline), move(line.polygon))


@pytest.mark.parametrize("polarity", [0, 255])
def test_crop_is_close_and_clear_of_other_lines(polarity):
    page, box = written()
    own = page.copy()
    middle = (box[0] + box[2]) // 2
    cv2.line(page, (middle, box[1] - 60), (middle, box[1] + 5), 40, 3)  # a descender of the line above
    crop = crop_line(page ^ polarity, boxed(box, 150)) ^ polarity
    assert crop.shape == (box[3] - box[1] + 2, box[2] - box[0] + 2)
    expected = own[box[1] - 1 : box[3] + 1, box[0] - 1 : box[2] + 1]
    assert np.abs(crop.astype(int) - expected).max() < 40


@pytest.mark.parametrize("polarity", [0, 255])
def test_a_line_half_in_shadow_is_seen_as_it_is_written(polarity):
    page, (x0, y0, x1, y1) = written()
    line = boxed((x0 - 5, y0 - 5, x1 + 5, y1 + 5), 150)
    shade = np.ones(page.shape)
    shade[:, : (x0 + x1) // 2 + 40] = 0.5  # the lit paper is now as far from the middle as the ink is
    shaded = np.uint8(page * cv2.blur(shade, (21, 21)))
    seen = [prepare(crop_line(picture ^ np.uint8(polarity), line), 64).picture for picture in (page, shaded)]
    assert likeness(*seen) > 0.9


@pytest.mark.parametrize("degrees", [-90, -5, 3, 90, 180])
def test_a_turned_line_is_cut_out_level(degrees):
    page, box = written()
    line = boxed(box, 150)
    straight = crop_line(page, line)
    matrix = cv2.getRotationMatrix2D((450, 150), degrees, 1)
    matrix[:, 2] += 300
    turned = cv2.warpAffine(page, matrix, (1500, 1200), flags=cv2.INTER_CUBIC, borderValue=245)
    crop = crop_line(turned, moved(line, matrix))
    assert crop.shape == straight.shape
    assert likeness(crop, straight) > 0.9


def test_a_curved_line_is_cut_out_straight():
    page, box = written()
    columns = np.arange(900, dtype=np.float32)
    sag = (25 * np.sin(columns / 900 * np.pi)).astype(np.float32)
    rows = np.arange(300, dtype=np.float32)[:, None]
    curved = cv2.remap(page, np.tile(columns, (300, 1)), rows - sag, cv2.INTER_LINEAR, borderValue=245)
    x = np.linspace(box[0], box[2], 30)
    drop = 25 * np.sin(x / 900 * np.pi)
    base = tuple(zip(x, 150 + drop))
    outline = (*zip(x, box[1] + drop), *zip(x[::-1], (box[3] + drop)[::-1]))
    crop, straight = crop_line(curved, Line(base, outline)), crop_line(page, boxed(box, 150))
    assert abs(crop.shape[0] - straight.shape[0]) <= 2
    assert likeness(crop, straight) > 0.9


def test_places_in_the_crop_are_known_on_the_page():
    page, box = written()
    matrix = cv2.getRotationMatrix2D((450, 150), 7, 1)
    line = moved(boxed(box, 150), matrix)
    strip = cut_strip(page, line)
    corner = strip.place(1, strip.above)
    assert corner == pytest.approx(line.baseline[0], abs=1)
    end = strip.place(1 + box[2] - box[0], strip.above)
    assert end == pytest.approx(line.baseline[-1], abs=1)


@pytest.mark.parametrize("zoom", [0.1, 0.3])
def test_a_line_of_few_pixels_is_enlarged_and_its_places_are_known_on_the_page(zoom):
    page, box = written()
    small = cv2.resize(page, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    line = boxed([value * zoom for value in box], 150 * zoom)
    strip = cut_strip(small, line)
    assert strip.picture.shape[0] > 2 * (box[3] - box[1]) * zoom
    if zoom == 0.3:
        assert likeness(cv2.resize(crop_line(page, boxed(box, 150)), strip.picture.shape[::-1]), strip.picture) > 0.9
    left, right = strip.place(0, strip.above), strip.place(strip.picture.shape[1], strip.above)
    assert (left, right) == (pytest.approx(line.baseline[0], abs=1), pytest.approx(line.baseline[1], abs=1))


def test_a_line_over_the_edge_of_the_page():
    page, box = written()
    part = page[: box[3] - 5, box[0] + 30 :]
    line = boxed((-30, box[1], box[2] - box[0] - 30, box[3]), 150)
    assert crop_line(part, line).shape == (box[3] - box[1] + 2, box[2] - box[0] + 2)
    assert crop_line(page, boxed((2000, 2000, 2100, 2040), 2030)).size


@pytest.mark.parametrize("shape", [(1, 7), (40, 40), (300, 200), (90, 2000), (2000, 30)])
def test_noise_does_not_raise(shape):
    noise = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert crop_line(noise, boxed((0, 0, shape[1], shape[0]), shape[0] * 0.7)).size


def test_line_or_page():
    def tall(height: float, count: int = 1) -> list[Line]:
        return [boxed((0, 100 * n, 500, 100 * n + height), 100 * n + height) for n in range(count)]

    def is_line(height: int, lines: list[Line], turn: int = 0) -> bool:
        regions = (Region("text", tuple(lines)),)
        return looks_like_line(np.zeros((height, 500)), Page(500, height, regions, turn=turn))

    assert is_line(100, tall(70))
    assert not is_line(700, tall(80))
    assert not is_line(300, tall(90, 3))
    assert is_line(100, [])
    assert not is_line(700, [])
    # Of a page that lies on its side, lines are as high in the picture as they are long.
    sideways = [boxed((100 * n, 20, 100 * n + 40, 680), 680) for n in range(4)]
    assert not is_line(700, sideways, turn=90)
    assert is_line(700, [boxed((100, 20, 450, 680), 680)], turn=270)


def test_a_line_longer_than_opencv_takes_at_once_is_cut_out_whole():
    page = np.full((60, 40_000), 245, np.uint8)
    page[20:40, 50:39_950:20] = 30
    strip = crop_line(page, boxed((50, 20, 39_950, 40), 40))
    assert strip.shape[1] >= 39_900
    assert ((strip < 100).any(0)).sum() == len(range(50, 39_950, 20))
