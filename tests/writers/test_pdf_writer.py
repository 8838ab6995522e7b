import gc
import re
import shutil
import subprocess
import tracemalloc
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageFilter
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from htr.errors import InputError
from htr.pages.containers import Page, Region
from htr.writers import WRITERS

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "page.png"

PIXEL = 72 / 150
"""Points in a pixel at the resolution that is taken where the picture tells none."""

LEVELLED = 8
"""Pixels by which the words of a line that leans a little may be moved to stand at one height: a fifth of theirs."""


def _open(page: Page, picture: Image.Image) -> pypdfium2.PdfPage:
    (sheet,) = pypdfium2.PdfDocument(WRITERS["pdf"].write(page, picture))
    return sheet


def _text(page: Page, picture: Image.Image) -> str:
    return _open(page, picture).get_textpage().get_text_bounded()


def _pdftotext(page: Page, picture: Image.Image, folder: Path, *options: str) -> str:
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not installed (Debian package poppler-utils)")
    (folder / "page.pdf").write_bytes(WRITERS["pdf"].write(page, picture))
    command = ["pdftotext", *options, folder / "page.pdf", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _boxes(texts: pypdfium2.PdfTextPage, word: str) -> list[tuple[float, float, float, float]]:
    """Of each letter of a word: left, foot, right and top, in points."""
    first, count = texts.search(word).get_next()
    return [texts.get_charbox(first + index, loose=True) for index in range(count)]


def _words(page: Page):
    return [word for line in page.lines for word in line.words]


def _middle(points) -> tuple[float, float]:
    return tuple(sum(values) / len(values) for values in zip(*points))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 5, -5, 30])
def test_words_lie_where_they_are_written(degrees, page, turned, blank):
    page = turned(page, degrees)
    texts = _open(page, blank(page)).get_textpage()
    for word in _words(page):
        boxes = _boxes(texts, word.text)
        assert len(boxes) == len(word.text)
        corners = [
            (x / PIXEL, page.height - y / PIXEL)
            for left, low, right, high in boxes
            for x, y in ((left, low), (right, high))
        ]
        left, right = min(x for x, _ in corners), max(x for x, _ in corners)
        low, high = min(y for _, y in corners), max(y for _, y in corners)
        (x, y), (x_written, y_written) = _middle([(left, low), (right, high)]), _middle(word.polygon)
        assert x == pytest.approx(x_written, abs=4)
        assert y == pytest.approx(y_written, abs=4 + LEVELLED * (abs(degrees) == 5))
        if degrees % 90 == 0:
            assert (left, low, right, high) == pytest.approx(word.box, abs=4)


@pytest.mark.parametrize("colour", ["ivory", "white"])
def test_a_picture_is_not_unpacked_nor_kept_in_memory(colour):
    picture = Image.new("RGB", (4000, 3000), colour)  # 36 MB
    page = Page(*picture.size, (), "blank.png")
    WRITERS["pdf"].write(page, picture)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(3):
            WRITERS["pdf"].write(page, picture)
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < 1_000_000 and most < 10_000_000


@pytest.mark.parametrize("grey", [250, 255])
def test_of_a_large_picture_no_warning_is_given(grey, recwarn, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    picture = Image.new("L", (120, 100), grey)
    assert WRITERS["pdf"].write(Page(*picture.size, (), "blank.png"), picture)
    assert not recwarn.list


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 5])
def test_pdftotext_finds_the_words(degrees, page, turned, blank, tmp_path):
    sheet = turned(page, degrees)
    found = _pdftotext(sheet, blank(sheet), tmp_path, "-bbox")
    number = r'"([\d.]+)"'
    pattern = rf"<word xMin={number} yMin={number} xMax={number} yMax={number}>(.*)</word>"
    places = {text: [float(value) / PIXEL for value in box] for *box, text in re.findall(pattern, found)}
    # Viewers show a turned page upright: there the words lie as before it was turned.
    for word in _words(page if degrees % 90 == 0 else sheet):
        left, top, right, bottom = places[word.text]
        x, y = _middle(word.polygon)
        assert (left + right) / 2 == pytest.approx(x, abs=4)
        assert (top + bottom) / 2 == pytest.approx(y, abs=4 + LEVELLED * (degrees == 5))
        assert right - left == pytest.approx(20 * len(word.text), abs=4)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 2])
def test_pdftotext_has_words_that_stand_far_apart_in_order(degrees, make_line, turned, blank, tmp_path):
    texts = ["we had a fine day", "at the old mill and", "we saw no one there"]
    lines = [make_line(text, 60, 80 + 100 * index, gap=40) for index, text in enumerate(texts)]
    page = turned(Page(900, 500, (Region("text", tuple(lines)),)), degrees)
    assert _pdftotext(page, blank(page), tmp_path).split() == " ".join(texts).split()


@pytest.mark.parametrize("degrees", [-2, 2])
def test_pdftotext_parts_few_words_of_leaning_lines(degrees, make_line, turned, blank, tmp_path):
    texts = [
        "we had a fine day at the mill and saw no one but the two boys",
        "who were there until the evening when all of us came home at",
        "last and had our tea in the garden where the roses are in bloom",
    ]
    lines = [make_line(text, 60, 80 + 70 * index) for index, text in enumerate(texts)]
    page = turned(Page(1400, 500, (Region("text", tuple(lines)),)), degrees)
    found = _pdftotext(page, blank(page), tmp_path).split()
    assert sorted(found) == sorted(" ".join(texts).split())
    kept = set(pairwise(found))
    parted = [pair for text in texts for pair in pairwise(text.split()) if pair not in kept]
    assert len(parted) <= 2


def test_words_that_nearly_touch_stay_apart(make_line, blank, tmp_path):
    page = Page(900, 200, (Region("text", (make_line("et les deux", 60, 80, gap=1),)),))
    assert _pdftotext(page, blank(page), tmp_path, "-raw").split() == ["et", "les", "deux"]


def test_tables_of_characters_have_no_more_in_a_block_than_the_standard_allows(page, blank):
    written = WRITERS["pdf"].write(page, blank(page))
    streams = re.findall(rb"FlateDecode.*?stream\r?\n(.*?)endstream", written, re.DOTALL)
    unpacked = [zlib.decompressobj().decompress(stream) for stream in streams]
    (table,) = [stream for stream in unpacked if b"beginbfchar" in stream]
    counts = [int(count) for count in re.findall(rb"(\d+) beginbfchar", table)]
    assert max(counts) <= 100 and sum(counts) == len(re.findall(rb"^<\w\w> <\w{4}>$", table, re.MULTILINE))


@pytest.mark.parametrize(("gap", "added"), [(10, 0), (40, 22), (76, 58), (84, 0)])
def test_marked_words_reach_into_wide_gaps_but_not_from_column_to_column(gap, added, make_line, blank):
    page = Page(900, 200, (Region("text", (make_line("eggs 12 pence", 60, 80, gap=gap),)),))
    texts = _open(page, blank(page)).get_textpage()
    for word, reached in zip(_words(page), (added / 2, added, added / 2)):
        boxes = _boxes(texts, word.text)
        assert (boxes[-1][2] - boxes[0][0]) / PIXEL == pytest.approx(20 * len(word.text) + reached, abs=2)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, 5])
def test_copied_text_has_words_and_lines_in_order(degrees, page, turned, blank):
    page = turned(page, degrees)
    text = _text(replace(page, regions=page.regions[1:2]), blank(page))
    assert [line.split() for line in text.splitlines()] == [["Dear", "Margaret,"], ["thank", "you", "both"]]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_picture_is_seen_upright_and_the_text_is_not(degrees, page, turned):
    upright = Image.new("L", (page.width, page.height), 200)
    upright.paste(20, (0, 0, page.width // 2, page.height // 4))  # dark in the upper left
    sheet = turned(page, degrees)
    seen = _open(sheet, upright.rotate(degrees, expand=True)).render(scale=1 / PIXEL).to_pil().convert("L")
    assert seen.size == pytest.approx(upright.size, abs=1)
    assert max(abs(a - b) for a, b in zip(seen.resize((10, 8)).tobytes(), upright.resize((10, 8)).tobytes())) < 12


@pytest.mark.parametrize(
    ("dpi", "inches"),
    [
        ((300, 300), 2),
        ((200, 100), 3),
        ((75, 75), 8),
        ((72, 72), 4),
        ((0, 0), 4),
        ((1, 1), 4),
        ((65535, 65535), 4),
        (None, 4),
    ],
)
def test_the_page_has_its_physical_size(dpi, inches, blank):
    page = Page(600, 300)
    picture = blank(page)
    if dpi:
        picture.info["dpi"] = dpi
    width, height = _open(page, picture).get_size()
    assert width == pytest.approx(72 * inches)
    assert height == pytest.approx(72 * {2: 1, 3: 3, 4: 2, 8: 4}[inches])


def test_a_page_of_a_pdf_keeps_its_size_at_any_resolution(blank):
    page = Page(600, 300, file="letters.PDF")
    picture = blank(page)
    picture.info["dpi"] = (50, 50)
    assert _open(page, picture).get_size() == pytest.approx((72 * 12, 72 * 6))


@pytest.mark.parametrize(
    "text", ["“Œuvre”—€5…", "Łódź", "Ωμέγα", "naïve", "żółć", "漢字", "Привет", "ſtraſſe", "a&<b>"]
)
def test_any_letters_are_found(text, page, blank, make_line):
    page = replace(page, regions=(Region("text", (make_line(f"before {text} after", 100, 100),)),))
    assert _text(page, blank(page)).split() == ["before", text, "after"]


def test_control_characters_and_emoji_do_no_harm(page, blank, make_line):
    page = replace(page, regions=(Region("text", (make_line("one \x00\x07\ud800 😀 \u0301 two", 100, 100),)),))
    words = _text(page, blank(page)).split()
    assert (words[0], words[-1]) == ("one", "two")


def test_a_line_without_words_is_found_in_its_place(page, blank, make_line):
    line = replace(make_line("no places known", 100, 100), words=())
    page = replace(page, regions=(Region("text", (line,)),))
    texts = _open(page, blank(page)).get_textpage()
    left, _, _, high = texts.get_charbox(texts.search("no").get_next()[0], loose=True)
    assert (left / PIXEL, page.height - high / PIXEL) == pytest.approx((100, 100), abs=4)


def test_the_title_is_the_file_name(page, blank):
    document = pypdfium2.PdfDocument(WRITERS["pdf"].write(page, blank(page)))
    assert document.get_metadata_dict()["Title"] == "page.png"


def test_colour_stays(blank):
    page = Page(60, 40)
    seen = _open(page, Image.new("RGB", (60, 40), (200, 40, 40))).render(scale=1).to_pil()
    red, green, blue = seen.convert("RGB").getpixel((10, 10))
    assert red > 180 and green < 70 and blue < 70


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_scan_of_black_and_white_stays_as_it_is_and_small(mode):
    scan = Image.open(SAMPLE).convert("L").point(lambda value: 255 * (value > 140)).crop((0, 0, 1237, 1700))
    scan.info["dpi"] = (144, 144)
    page = Page(*scan.size, file="scan.tif")
    whole = WRITERS["pdf"].write(page, scan.convert(mode))
    (picture,) = next(iter(pypdfium2.PdfDocument(whole))).get_objects([FPDF_PAGEOBJ_IMAGE])
    assert picture.get_bitmap().to_pil().convert("L").tobytes() == scan.tobytes()
    assert len(whole) * 10 < len(WRITERS["pdf"].write(page, scan.filter(ImageFilter.BLUR)))


def test_a_picture_that_is_too_long_is_refused(blank):
    page = Page(66000, 8, file="roll.png")
    with pytest.raises(InputError, match="^more than 65500 pixels wide or high"):
        WRITERS["pdf"].write(page, blank(page))


def test_a_very_long_picture_gives_the_largest_page_that_pdf_allows(blank):
    scroll = Page(40_000, 200)
    picture = blank(scroll)
    picture.info["dpi"] = (100, 100)
    assert _open(scroll, picture).get_size() == pytest.approx((14_400, 72))
