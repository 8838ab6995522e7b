"""Lines on drawn pages, and on forms of IAM and pages of Copiste where these are at hand."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from htr.corpora.embedded import embedded_lines, sample_page
from htr.fonts import font_path
from htr.pages import lines as lines_module
from htr.pages.containers import Line, Page, Region
from htr.pages.cores import Core, _is_speck, _to_its_ends, _trace, find_skew
from htr.pages.crop import turn as turn_page
from htr.pages.images import open_image
from htr.pages.ink import find_rules
from htr.pages.lines import STRIDE, LineFinder

TEXTS = (
    "The quick brown fox jumps",
    "over the lazy dog, then",
    "many happy people watch",
    "from the other side,",
    "yes, and so on",
)
PITCH = 90


@pytest.fixture(scope="module")
def finder() -> LineFinder:
    return LineFinder()


def paper(height: int = 1000, width: int = 900) -> np.ndarray:
    return np.full((height, width), 245, np.uint8)


def write(page: np.ndarray, texts=TEXTS, top: int = 150, left: int = 100, ink: int = 40) -> list:
    """Writes lines on a page; returns the boxes of their ink."""
    font = ImageFont.truetype(font_path("Kalam"), 52)
    boxes = []
    for line, text in enumerate(texts):
        alone = np.zeros_like(page)
        sheet = Image.fromarray(alone)
        ImageDraw.Draw(sheet).text((left, top + line * PITCH), text, fill=255, font=font, anchor="ls")
        alone = np.asarray(sheet)
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


def assert_same(page: Page, truth: list, least: float = 0.6) -> None:
    assert len(page.lines) == len(truth)
    assert min(overlap(line.box, box) for line, box in zip(page.lines, truth, strict=True)) > least


def test_lines_are_found_from_top_to_bottom(finder):
    page = paper()
    truth = write(page)
    assert_same(finder.find(page).page, truth)


def test_lines_lie_within_the_page_and_run_from_left_to_right(finder):
    page = paper(560)[:, 105:]
    write(page, top=30, left=0)
    height, width = page.shape
    lines = finder.find(page).page.lines
    assert len(lines) == len(TEXTS)
    for line in lines:
        for x, y in (*line.baseline, *line.polygon):
            assert 0 <= x <= width and 0 <= y <= height
        xs = [x for x, _ in line.baseline]
        assert xs == sorted(xs)


def test_the_baseline_runs_below_the_small_letters(finder):
    page = paper()
    write(page, ["manner remus nun car"], top=400)
    [line] = finder.find(page).page.lines
    assert all(abs(y - 400) < 6 for _, y in line.baseline)


def test_white_on_black(finder):
    page = paper()
    truth = write(page)
    assert_same(finder.find(255 - page).page, truth)


@pytest.mark.parametrize("zoom", [0.2, 0.6, 2.0, 4.0])
def test_other_resolutions(finder, zoom):
    page = paper()
    truth = write(page)
    page = cv2.resize(page, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    assert_same(finder.find(page).page, [tuple(value * zoom for value in box) for box in truth])


@pytest.mark.parametrize("size", [(2067, 2922), (2922, 2067), (2648, 3609)])  # of A4 at 250 dpi, for one
def test_a_page_that_comes_out_a_row_too_large_when_it_is_made_smaller_is_looked_at_again(finder, size):
    page = paper()
    write(page)
    page = cv2.resize(page, size)
    found = finder.find(page)
    assert len(found.page.lines) == len(TEXTS)
    assert finder.find_sideways(page, found) == ([], [])


def test_small_writing_on_a_large_sheet_is_looked_at_closer(finder, monkeypatch):
    sheet, font = Image.fromarray(paper(5000, 3600)), ImageFont.truetype(font_path("Kalam"), 26)
    for number in range(40):
        row, column = divmod(number, 4)
        words = (f"{number + 7}", "yes", "Ohio", "Margaret")[(row + column) % 4]
        ImageDraw.Draw(sheet).text((400 + 700 * column, 2000 + 46 * row), words, fill=40, font=font, anchor="ls")
    page = np.array(sheet)
    assert len(finder.find(page).outlines) >= 38
    monkeypatch.setattr(lines_module, "_SEEN_SMALL", 0.0)
    assert len(finder.find(page).outlines) < 20


def assert_at_turned_places(lines: list[Line], truth: list, turn: np.ndarray) -> None:
    assert len(lines) == len(truth)
    for line, (x0, y0, x1, y1) in zip(lines, truth, strict=True):
        x, y = turn @ ((x0 + x1) / 2, (y0 + y1) / 2, 1)
        assert abs((line.box[0] + line.box[2]) / 2 - x) < 20 and abs((line.box[1] + line.box[3]) / 2 - y) < 20


@pytest.mark.parametrize("degrees", [-5, -3, 3, 5])
def test_skewed_page(finder, degrees):
    page = paper()
    truth = write(page)
    turn = cv2.getRotationMatrix2D((450, 500), degrees, 1)
    turned = cv2.warpAffine(page, turn, (900, 1000), flags=cv2.INTER_LINEAR, borderValue=245)
    assert_at_turned_places(finder.find(turned).page.lines, truth, turn)


@pytest.mark.parametrize("degrees", [0, 5, -7, 12, -25])
def test_the_direction_of_lines_is_that_in_which_their_cells_lie_in_rows(degrees):
    cells = np.zeros((400, 400), np.float32)
    cells[100:300:12, 100:300] = 1
    cells[101:300:12, 100:300] = 1
    turn = cv2.getRotationMatrix2D((200, 200), -degrees, 1)
    skew = find_skew(cv2.warpAffine(cells, turn, (400, 400)))
    assert skew.degrees == pytest.approx(degrees, abs=1) and skew.sharpness > 3


def test_what_lies_in_no_rows_has_no_clear_direction():
    heap = np.random.default_rng(1).random((400, 400)) < 0.02
    assert find_skew(heap.astype(np.float32)).sharpness < 1.5
    assert find_skew(np.zeros((40, 30), np.float32)).sharpness == 0


@pytest.mark.parametrize(("degrees", "skew"), [(5, 0), (15, 15), (-25, -25), (45, 45), (-75, -75), (-160, 20)])
def test_the_skew_of_a_page_is_told_if_it_is_more_than_lines_are_followed_at(finder, degrees, skew):
    page = paper()
    write(page)
    page, _ = turn_page(page, degrees)
    told = finder.find(page).skew
    assert (finder.find_skew(page) if told is None else told) == pytest.approx(skew, abs=1)


def test_what_is_no_page_askew_has_no_skew(finder):
    assert finder.find_skew(paper()) == 0
    page = paper()
    write(page)
    assert finder.find_skew(np.rot90(page)) == 0  # sideways, which is looked at anyway
    page, _ = turn_page(page, 45)
    assert finder.find_skew(np.pad(page, ((0, 0), (0, 9 * len(page))), mode="edge")) == 0  # a strip


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_page_known_to_be_turned(finder, quarters):
    page = paper()
    truth = write(page)
    turned = np.rot90(page, -quarters)
    found = finder.find(turned, quarters).page
    assert found.turn == (-90 * quarters) % 360
    assert (found.width, found.height) == (turned.shape[1], turned.shape[0])
    # Turned back by hand, they lie where they were written.
    width, height = found.width, found.height
    back = {1: lambda x, y: (y, width - x), 2: lambda x, y: (width - x, height - y), 3: lambda x, y: (height - y, x)}
    lines = [
        Line(*(tuple(back[quarters](*point) for point in points) for points in (line.baseline, line.polygon)))
        for line in found.lines
    ]
    assert_same(Page(900, 1000, (Region("text", tuple(lines)),)), truth)
    assert all(line.baseline[0][0] < line.baseline[-1][0] for line in lines)


@pytest.mark.parametrize("lies", [0, 1])
@pytest.mark.parametrize("likely", [0.0, 0.5, 1.0])
def test_a_page_that_may_lie_sideways_is_looked_at_both_ways(finder, monkeypatch, lies, likely):
    page = paper()
    truth = write(page)
    see = LineFinder._see
    monkeypatch.setattr(LineFinder, "_see", lambda *args: see(*args)._replace(likely=likely, sideways=1))
    ways = {found.turn: found for found in (found.page for found in finder.find_ways(np.rot90(page, -lies)))}
    # If its lines also are clearer so, then that way alone.
    assert list(ways) == ([0] if not likely else [270] if lies and likely == 1 else [0, 270])
    if likely or not lies:
        assert len(ways[-90 * lies % 360].lines) == len(truth)


def test_a_page_askew_that_seems_to_lie_sideways_is_looked_at_both_ways(finder, monkeypatch):
    page = paper()
    write(page)
    askew, _ = turn_page(np.rot90(page, -1), 12)
    see = LineFinder._see
    monkeypatch.setattr(LineFinder, "_see", lambda *args: see(*args)._replace(likely=1.0, sideways=1))
    assert [found.quarters for found in finder.find_ways(askew)] == [0, 1]


def test_a_line_goes_on_to_where_writing_is_less_clear():
    cells = np.zeros((50, 200), np.float32)
    cells[10:13, 40:120] = 0.9  # 12 pixels high
    cells[10:13, 122:140] = 0.3
    cells[10:13, 160:180] = 0.3  # too far away
    cells[10:13, 39:40] = 0.3  # a column alone
    cells[30:33, 40:120] = cells[30:33, 124:150] = 0.9  # another line, in two pieces

    core, other = (core for core in _trace(cells, cells > 1) if core.right == 120 * STRIDE)
    found = _to_its_ends(core, cells, [core, other], 0.0)
    assert (found.left, found.right) == (40 * STRIDE, 140 * STRIDE)
    assert found.middle(found.right) == pytest.approx(11.5 * STRIDE, abs=1)
    # What lies nearer to another line is that one's.
    near = core._replace(left=130 * STRIDE, right=190 * STRIDE)
    assert _to_its_ends(core, cells, [core, near], 0.0) == core
    # Nor does a line go on into another one, whose larger letters it nears.
    above = Core(np.array([0.0, 6.5 * STRIDE]), 100 * STRIDE, 190 * STRIDE, 24.0, 0.0)
    assert _to_its_ends(core, cells, [core, above], 0.0) == core


@pytest.mark.parametrize("line", [0, 1, 18])
def test_loops_of_large_letters_are_no_line(finder, line):
    assert len(finder.find(embedded_lines("train", 19)[line].image()).outlines) == 1


@pytest.mark.parametrize(
    ("letter", "large", "row", "is_part"),
    [(8, 24, 80, True), (STRIDE, 24, 80, True), (STRIDE, 12, 90, False), (14, 24, 80, False), (8, 24, 60, False)],
)
def test_what_is_a_part_of_large_letters(letter, large, row, is_part):
    line = Core(np.array([100.0]), 50, 850, large, 0.0)
    core = Core(np.array([float(row)]), 300, 400, letter, 0.0)
    assert _is_speck(core, [line, core]) is is_part


def test_small_writing_right_below_a_large_heading_is_a_line(finder):
    sheet, font = Image.fromarray(paper(600, 1400)), font_path("Kalam")
    for text, size, top in (("Last will and testament", 70, 200), ("of Martha Brown, 1874", 20, 228)):
        ImageDraw.Draw(sheet).text((120, top), text, fill=40, font=ImageFont.truetype(font, size), anchor="ls")
    outlines = finder.find(np.array(sheet)).outlines
    assert sorted(round(outline.upright.baseline[0][1], -1) for outline in outlines) == [200, 230]
    small, large = sorted(outline.letter for outline in outlines)
    assert small < 0.45 * large


@pytest.mark.parametrize(("letter", "again"), [(5.0, True), (9.0, False)])
def test_small_letters_that_pass_for_print_are_looked_at_again_enlarged(finder, monkeypatch, letter, again):
    seen = []

    def maps(self, picture):
        seen.append(picture.shape)
        shape = tuple(-(-side // STRIDE) for side in picture.shape)
        return np.full(shape, 0.9), np.full(shape, 0.2), [1.0, 0.0, 0.0, 0.0]

    monkeypatch.setattr(LineFinder, "_maps", maps)
    core = Core(np.array([100.0]), 50, 350, letter, 1.0)
    closer = finder._seen_closer(paper(), core, 0.5)
    assert closer == (core._replace(printed=0.0) if again else core)
    # Its letters are ten pixels high on the page, and are seen of twelve then.
    assert seen == ([(72, 792)] if again else [])


def test_long_rules_are_found_and_neither_letters_nor_squares_nor_bars_are_rules():
    mask = np.zeros((600, 500), np.uint8)
    cv2.line(mask, (120, 50), (90, 550), 1, 2)  # on a page that lies askew
    cv2.line(mask, (300, 100), (297, 160), 1, 2)  # a tall letter
    cv2.rectangle(mask, (400, 0), (430, 599), 1, -1)
    rules = find_rules(mask, 10, 0.06)
    assert rules[300, 103:108].any() and not rules[:, 200:].any()
    for x in range(20, 500, 30):
        cv2.line(mask, (x, 0), (x - 36, 599), 1, 1)
    assert not find_rules(mask, 10, 0.06).any()
    assert not find_rules(mask, 0, 0).any()


def test_a_rule_parts_two_columns_that_nearly_touch(finder):
    page = paper()
    left = write(page)
    edge = max(box[2] for box in left)
    right = write(page, ("in", "of", "at", "to", "by"), left=edge + 60)
    cv2.line(page, (edge + 25, 60), (edge + 25, 940), 90, 2)
    assert_same(finder.find(page).page, [box for row in zip(left, right, strict=True) for box in row])


ROWS = (
    ("March 19", "Paid the carrier", "8"),
    ("May 3", "To wages", "16"),
    ("June 21", "By goods sold", "5"),
    ("Oct. 8", "To repairs", "2"),
    ("Nov. 14", "Rent received", "30"),
    ("Dec. 5", "To sundries", "4"),
    ("Dec. 21", "To cash", "9"),
    ("Dec. 28", "Paid for coal", "6"),
)


def account(askew: float = 0.0) -> tuple[np.ndarray, list]:
    """A ruled account of three columns, and the boxes of its entries from left to right, row by row; `askew` in degrees."""
    page = paper(1000, 1100)
    boxes = []
    for number, row in enumerate(ROWS):
        boxes += [write(page, [text], 150 + 100 * number, left)[0] for text, left in zip(row, (75, 305, 835))]
    for row in range(9):
        cv2.line(page, (50, 60 + 100 * row), (1000, 60 + 100 * row), 120, 2)
    for column in (50, 290, 800, 1000):
        cv2.line(page, (column, 40), (column, 880), 90, 3)
    lean = cv2.getRotationMatrix2D((550, 500), askew, 1)
    corners = np.array([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes], float)
    corners = corners @ lean[:, :2].T + lean[:, 2]
    page = cv2.warpAffine(page, lean, page.shape[::-1], borderValue=245)
    return page, [(*low, *high) for low, high in zip(corners.min(1), corners.max(1))]


@pytest.mark.parametrize("askew", [0, 1, -2])
def test_entries_of_an_account_are_found_without_its_rules(finder, askew):
    page, truth = account(askew)
    outlines = finder.find(page).outlines
    assert len(outlines) == len(truth)
    for box in truth:
        nearest = max((outline.line.box for outline in outlines), key=lambda other: overlap(box, other))
        assert overlap(box, nearest) > 0.5
        assert abs(nearest[0] - box[0]) < 14 and abs(nearest[2] - box[2]) < 14


def test_figures_below_each_other_are_no_line_that_runs_up(finder):
    page, _ = account()
    assert finder.find_sideways(page, finder.find(page)) == ([], [])


def test_a_rule_that_strokes_cross_parts_nothing(finder):
    page = paper()
    truth = write(page)
    cv2.line(page, (150, 60), (150, 940), 120, 2)
    assert_same(finder.find(page).page, truth)


def test_single_specks_are_no_entries(finder):
    page = paper()
    write(page)
    for y in (150, 350, 420, 600):
        cv2.circle(page, (860, y), 4, 60, -1)
    assert len(finder.find(page).page.lines) == len(TEXTS)


def test_shadow_and_uneven_light(finder):
    page = paper()
    truth = write(page)
    shade = np.linspace(0.4, 1, 900)[None] * np.linspace(1, 0.7, 1000)[:, None]
    page = (page * shade).astype(np.uint8)
    page[:, :6] = 20
    assert_same(finder.find(page).page, truth)


@pytest.mark.parametrize("pencil", [180, 210])
def test_pencil_on_a_page_with_ink(finder, pencil):
    page = paper(1150)
    truth = write(page, ink=20) + write(page, top=150 + 5 * PITCH, ink=pencil)
    assert_same(finder.find(page).page, truth)


def test_paper_on_a_dark_table(finder):
    page = paper()
    truth = write(page)
    around = cv2.copyMakeBorder(page, 300, 300, 400, 400, cv2.BORDER_CONSTANT, value=25)
    assert_same(finder.find(around).page, [(x0 + 400, y0 + 300, x1 + 400, y1 + 300) for x0, y0, x1, y1 in truth])


def test_two_columns(finder):
    page = paper(width=1500)
    left = write(page, left=60)
    right = write(page, left=820)
    assert_same(finder.find(page).page, left + right)


def test_specks_beside_lines_are_left_out(finder):
    page = paper()
    truth = write(page)
    for x, y in ((20, 300), (870, 320), (30, 800), (500, 900)):
        cv2.circle(page, (x, y), 2, 30, -1)
    assert_same(finder.find(page).page, truth)


@pytest.mark.parametrize("upright", [False, True])
def test_ruled_and_squared_paper(finder, upright):
    page = paper()
    truth = write(page)
    for row in range(68, 1000, PITCH // 2):
        cv2.line(page, (0, row), (899, row), 150, 2)
    for column in range(30, 900, PITCH // 2) if upright else ():
        cv2.line(page, (column, 0), (column, 999), 150, 2)
    assert_same(finder.find(page).page, truth, 0.5)


def test_print_is_a_region_of_its_own(finder):
    page, texts = sample_page()
    sheet = Image.fromarray(np.vstack([np.full((400, page.shape[1]), 250, np.uint8), page]))
    font = ImageFont.truetype(font_path("EB Garamond"), 34)
    for row, text in enumerate(
        ("Please copy the text below in your own hand,", "without haste, on the lines that follow.")
    ):
        ImageDraw.Draw(sheet).text((140, 250 + 50 * row), text, fill=20, font=font)
    found = finder.find(np.asarray(sheet)).page
    assert [region.kind for region in found.regions] == ["print", "text"]
    assert len(found.regions[0].lines) == 2
    assert len(found.lines) == len(texts)


def test_where_all_is_print_it_is_taken_for_writing_and_this_is_said(finder):
    page = Image.fromarray(paper())
    font = ImageFont.truetype(font_path("EB Garamond"), 40)
    for row, text in enumerate(TEXTS):
        ImageDraw.Draw(page).text((100, 150 + 70 * row), text, fill=20, font=font)
    found = finder.find(np.asarray(page)).page
    assert len(found.lines) == len(TEXTS)
    assert found.notes == ("all seems to be print, and is read as if written by hand",)
    assert not finder.find(sample_page()[0]).page.notes


@pytest.mark.parametrize("gap", [30, 60])
def test_entries_behind_printed_labels_are_writing(finder, gap):
    sheet = Image.new("L", (1100, 900), 250)
    pen = ImageDraw.Draw(sheet)
    label, hand = ImageFont.truetype(font_path("EB Garamond"), 34), ImageFont.truetype(font_path("Caveat"), 46)
    form = [("Name of the father:", "Jonathan"), ("Occupation of the deceased:", "baker"), ("Date of his marriage:", "12 May"),
            ("Number in the register:", "1274"), ("Parish in which he lived:", "Oxley")]  # fmt: skip
    entries = []
    for row, (printed, written) in enumerate(form):
        y, x = 150 + 130 * row, 80 + pen.textlength(printed, font=label) + gap
        pen.text((80, y), printed, fill=20, font=label, anchor="ls")
        pen.text((x, y), written, fill=40, font=hand, anchor="ls")
        entries.append((x, x + pen.textlength(written, font=hand), y))
    found = [
        line.box
        for region in finder.find(np.asarray(sheet)).page.regions
        if region.kind != "print"
        for line in region.lines
    ]
    missed = [
        entry for entry in entries
        if not any(box[0] < entry[0] + 30 and box[2] > entry[1] - 30 and box[1] < entry[2] < box[3] + 10 for box in found)
    ]  # fmt: skip
    assert len(missed) <= 1, missed


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (700, 500)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_empty_page(finder, shape, grey):
    assert finder.find(np.full(shape, grey, np.uint8)).page.lines == []


def test_page_of_rules_alone_is_empty(finder):
    page = paper()
    for row in (200, 300, 800):
        cv2.line(page, (80, row), (820, row), 30, 2)
    assert finder.find(page).page.lines == []


@pytest.mark.parametrize("shape", [(8, 8), (40, 40), (300, 200), (90, 2000), (2000, 30)])
def test_noise_does_not_raise(finder, shape):
    noise = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    finder.find(noise)


def test_iam_forms(shared_iam, finder):
    """All lines of every fifth form, and no other line between them."""
    truth: dict[str, list] = {}
    for row in (shared_iam / "ascii" / "lines.txt").read_text().splitlines():
        if not row.startswith("#"):
            name, *fields = row.split()
            x, y, width, height = (int(value) / 2 for value in fields[3:7])
            truth.setdefault(name.rsplit("-", 1)[0], []).append((x, y, x + width, y + height))
    for path in sorted(shared_iam.glob("forms/*.png"))[::5]:
        boxes = truth[path.stem]
        found = [line.box for line in finder.find(open_image(path)).page.lines]
        between = [box for box in found if boxes[0][1] < (box[1] + box[3]) / 2 < boxes[-1][3]]
        assert len(between) == len(boxes)
        assert all(max(overlap(box, line) for line in between) > 0.5 for box in boxes)


def test_a_heading_does_not_join_the_columns_below_it(finder):
    page = paper(1100, 1500)
    heading = write(page, ("a heading that runs across both of the columns below",), top=120, left=150)
    left, right = (write(page, top=260, left=place) for place in (100, 850))
    assert_same(finder.find(page).page, heading + left + right)
