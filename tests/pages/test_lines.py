"""Lines on drawn pages, and on forms of IAM where these are at hand."""

import cv2
import numpy as np
import pytest

from htr.pages.images import open_image
from htr.pages.lines import Box, crop_line, find_layout, looks_like_line

TEXTS = (
    "The quick brown fox jumps",
    "over the lazy dog, then",
    "many happy people watch",
    "from the other side,",
    "yes.",
)
PITCH = 90


def lines_of(page: np.ndarray) -> list[Box]:
    return find_layout(page).lines


def is_line(image: np.ndarray) -> bool:
    return looks_like_line(image, lines_of(image))


def paper(height: int = 1000, width: int = 900) -> np.ndarray:
    return np.full((height, width), 245, np.uint8)


def write(page: np.ndarray, texts=TEXTS, top: int = 150, left: int = 100, ink: int = 40) -> list:
    """Writes lines on a page; returns the boxes of their ink."""
    boxes = []
    for line, text in enumerate(texts):
        alone = np.zeros_like(page)
        place = (left, top + line * PITCH)
        cv2.putText(alone, text, place, cv2.FONT_HERSHEY_SCRIPT_COMPLEX, 1.3, 255, 2, cv2.LINE_AA)
        page[:] = np.minimum(page, 255 - (alone * ((255 - ink) / 255)).astype(np.uint8))
        x, y, width, height = cv2.boundingRect((alone > 100).astype(np.uint8))
        boxes.append((x, y, x + width, y + height))
    return boxes


def overlap(first, second) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0) * max(height, 0)
    sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return common / (sum(sizes) - common)


def assert_same(found: list, truth: list, least: float = 0.8) -> None:
    assert len(found) == len(truth)
    assert min(overlap(*pair) for pair in zip(found, truth, strict=True)) > least


def test_lines_are_found_from_top_to_bottom():
    page = paper()
    truth = write(page)
    assert_same(lines_of(page), truth)


def test_boxes_are_plain_integers_within_the_page():
    page = paper(500)[:, 105:]
    write(page, top=30, left=0)
    height, width = page.shape
    for box in lines_of(page):
        assert all(type(value) is int for value in box)
        assert 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height


def test_white_on_black():
    page = paper()
    truth = write(page)
    assert_same(lines_of(255 - page), truth)


@pytest.mark.parametrize("zoom", [0.5, 2.0, 4.0])
def test_other_resolutions(zoom):
    page = paper()
    truth = write(page)
    page = cv2.resize(page, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    assert_same(lines_of(page), [tuple(value * zoom for value in box) for box in truth])


@pytest.mark.parametrize("degrees", [-3.0, 1.5, 3.0])
def test_skewed_page(degrees):
    page = paper()
    truth = write(page)
    turn = cv2.getRotationMatrix2D((450, 500), degrees, 1)
    found = lines_of(cv2.warpAffine(page, turn, (900, 1000), flags=cv2.INTER_LINEAR, borderValue=245))
    assert len(found) == len(truth)
    for box, (x0, y0, x1, y1) in zip(found, truth, strict=True):
        x, y = turn @ ((x0 + x1) / 2, (y0 + y1) / 2, 1)
        assert abs((box[0] + box[2]) / 2 - x) < 15 and abs((box[1] + box[3]) / 2 - y) < 15


def test_shadow_and_uneven_light():
    page = paper()
    truth = write(page)
    shade = np.linspace(0.4, 1, 900)[None] * np.linspace(1, 0.7, 1000)[:, None]
    page = (page * shade).astype(np.uint8)
    page[:, :6] = 20
    assert_same(lines_of(page), truth)


def test_words_far_apart_are_one_line():
    page = paper()
    left, right = write(page, ["Monday"], left=40)[0], write(page, ["noon"], left=750)[0]
    truth = (left[0], min(left[1], right[1]), right[2], max(left[3], right[3]))
    assert_same(lines_of(page), [truth])


def test_specks_beside_lines_are_left_out():
    page = paper()
    truth = write(page)
    for x, y in ((20, 300), (870, 320), (30, 800), (500, 900)):
        cv2.circle(page, (x, y), 2, 30, -1)
    assert_same(lines_of(page), truth)


def test_ruled_paper():
    page = paper()
    truth = write(page)
    for row in range(68, 1000, PITCH):
        cv2.line(page, (40, row), (860, row), 120, 2)
    assert find_layout(page).section is None
    assert_same(lines_of(page), truth, 0.7)


def test_cut_out_of_ruled_paper():
    page = paper(300)
    truth = write(page, TEXTS[:3], top=70)
    for row in (78, 168, 258):
        cv2.line(page, (0, row), (899, row), 120, 2)
    assert find_layout(page).section is None
    assert_same(lines_of(page), truth, 0.7)


def test_of_a_form_only_the_section_of_the_writing():
    page = paper(1300)
    for row in (100, 220, 1100):
        cv2.line(page, (80, row), (820, row), 30, 2)
    for text, row in (("Sentence Database", 60), ("a printed text that is to be copied", 150), ("Name:", 1150)):
        cv2.putText(page, text, (90, row), cv2.FONT_HERSHEY_COMPLEX, 0.9, 30, 2, cv2.LINE_AA)
    truth = write(page, top=320)
    top, bottom = find_layout(page).section
    assert 220 <= top < 235 and 1085 < bottom <= 1100
    assert_same(lines_of(page), truth)


def test_page_without_rules_has_no_section():
    page = paper()
    write(page)
    assert find_layout(page).section is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (700, 500)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_empty_page(shape, grey):
    page = np.full(shape, grey, np.uint8)
    assert lines_of(page) == []
    assert find_layout(page).section is None
    is_line(page)


def test_page_of_specks_is_empty():
    random = np.random.default_rng(0)
    page = paper()
    page[random.random(page.shape) < 0.0005] = 0
    assert lines_of(cv2.erode(page, np.ones((2, 2), np.uint8))) == []


def test_page_of_rules_alone_is_empty():
    page = paper()
    for row in (200, 300, 800):
        cv2.line(page, (80, row), (820, row), 30, 2)
    assert lines_of(page) == []


@pytest.mark.parametrize("shape", [(1, 7), (40, 40), (300, 200), (90, 2000), (2000, 30)])
def test_noise_does_not_raise(shape):
    noise = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    is_line(noise)
    crop_line(noise, (0, 0, shape[1], shape[0]))


def test_line_or_page():
    page = paper()
    boxes = write(page)
    for box in boxes:
        assert is_line(crop_line(page, box))
    assert not is_line(page)
    assert not is_line(page[boxes[0][1] : boxes[2][3]])
    assert not is_line(page[boxes[0][1] : boxes[2][3], :300])
    word = paper(90, 200)
    write(word, ["word"], top=55, left=20)
    assert is_line(word)


def test_crop_is_close_and_clear_of_other_lines():
    page = paper()
    box = write(page, ["hello     hello"])[0]
    own = page.copy()
    middle = (box[0] + box[2]) // 2
    cv2.line(page, (middle, box[1] - 60), (middle, box[1] + 5), 40, 3)  # a descender of the line above
    for polarity in (0, 255):
        crop = crop_line(page ^ polarity, box) ^ polarity
        assert crop.shape == (box[3] - box[1] + 2, box[2] - box[0] + 2)
        expected = own[box[1] - 1 : box[3] + 1, box[0] - 1 : box[2] + 1]
        assert np.abs(crop.astype(int) - expected).max() < 40


def test_iam_forms(shared_iam):
    forms = sorted(shared_iam.glob("forms/*.png"))
    truth: dict[str, list] = {}
    for row in (shared_iam / "ascii" / "lines.txt").read_text().splitlines():
        if not row.startswith("#"):
            name, *fields = row.split()
            x, y, width, height = (int(value) / 2 for value in fields[3:7])
            truth.setdefault(name.rsplit("-", 1)[0], []).append((x, y, x + width, y + height))
    for path in forms:
        page = open_image(path)
        layout = find_layout(page)
        assert_same(layout.lines, truth[path.stem], 0.5)
        assert layout.section is not None
        assert not looks_like_line(page, layout.lines)
