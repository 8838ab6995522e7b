from dataclasses import replace

import numpy as np
import pytest

from htr.pages.containers import Page, Region
from htr.writers import draw_overlay


def _sides(page: Page, picture) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.asarray(draw_overlay(page, picture)).astype(int)
    half = drawn.shape[1] // 2
    return drawn[:, :half], drawn[:, half:]


def test_it_is_large_enough_to_read_and_not_larger(page, blank):
    drawn = draw_overlay(page, blank(page))
    assert drawn.mode == "RGB"
    assert 2 * 2400 <= drawn.width <= 2 * 2500 and 1680 <= drawn.height <= 1800


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pages_stand_upright(degrees, page, turned, blank):
    expected = np.asarray(draw_overlay(page, blank(page))).astype(int)
    sheet = turned(page, degrees)
    drawn = np.asarray(draw_overlay(sheet, blank(sheet))).astype(int)
    assert drawn.shape == expected.shape
    assert (np.abs(drawn - expected).max(axis=2) > 60).mean() < 0.002


def test_lines_are_drawn_on_the_page_and_words_beside_it(page, blank):
    left, right = _sides(page, blank(page))
    scale, gutter = 2.4, 60
    for line in page.lines:
        x0, y0, x1, y1 = (round(scale * value) for value in line.box)
        inside = left[y0 + 6 : y1 - 6, gutter + x0 + 6 : gutter + x1 - 6]
        assert (inside.max(axis=2) - inside.min(axis=2) > 20).all()  # coloured all over
        ink = right[y0:y1, gutter + x0 + 6 : gutter + x1 - 6].min(axis=2) < 128
        assert ink.any() == bool(line.text)


def test_lines_are_numbered_as_in_the_table_without_those_of_print(page, blank):
    with_print, _ = _sides(page, blank(page))
    without, _ = _sides(replace(page, regions=page.regions[1:]), blank(page))
    below = round(2.4 * 150)  # the line of print lies above
    foot = round(2.4 * page.height)  # the legend lies below
    assert (with_print[below:foot] == without[below:foot]).all()
    first, _ = _sides(replace(page, regions=page.regions[:1]), blank(page))
    gutter, x, y = 60, round(2.4 * 300), round(2.4 * 70)  # where the base line of that begins
    assert (first[y - 20 : y - 6, gutter + x - 40 : gutter + x - 12] == 240).all()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_words_of_lines_turned_against_their_page_are_turned_too(degrees, page, turned, blank, make_line):
    def words(page: Page) -> np.ndarray:
        _, right = _sides(page, blank(page))
        side = right[:2400, 60:2460]
        return (side[..., 0] > 180) & (side[..., 2] < 60)

    region = Region("text", (make_line("two words", 200, 300, 0.2),))
    one = replace(page, width=700, height=700, regions=(region,))
    against = replace(turned(one, degrees), turn=0)
    expected = np.argwhere(np.rot90(words(one), degrees // 90))
    found = np.argwhere(words(against))
    assert len(found) == pytest.approx(len(expected), rel=0.1)
    assert np.abs([found.min(0) - expected.min(0), found.max(0) - expected.max(0)]).max() < 8


@pytest.mark.parametrize(("degrees", "slope"), [(20, -20), (-15, 15), (3, 0)])
def test_words_of_a_page_that_lies_askew_lean_as_their_lines_do(degrees, slope, page, turned, blank, make_line):
    region = Region("text", (make_line("oneveryverylongword", 200, 300, 0.2),))
    sheet = turned(replace(page, regions=(region,)), degrees)
    _, right = _sides(sheet, blank(sheet))
    rows, columns = np.nonzero((right[:1680, 60:, 0] > 180) & (right[:1680, 60:, 2] < 60))
    lean = np.degrees(np.arctan(np.polyfit(columns, rows, 1)[0]))
    assert lean == pytest.approx(slope, abs=2)


def test_doubtful_words_stand_out(page, blank, make_line):
    def reddish(confidence: float) -> bool:
        region = Region("text", (make_line("word", 300, 200, confidence),))
        _, right = _sides(replace(page, regions=(region,)), blank(page))
        word = right[490:570, 790:900]
        return bool(((word[..., 0] > 180) & (word[..., 2] < 60)).any())

    assert [reddish(value) for value in (0.2, 0.7, 0.95, 1.0)] == [True, True, False, False]


def test_awkward_pages(page, turned, blank, make_line):
    over = Region(
        "margin", (make_line("over the edge \x07 \ud800 漢", 900, 690), replace(make_line("x", -50, -30), words=()))
    )
    for awkward in (Page(50, 3000), Page(8, 8), turned(page, 5), replace(page, regions=(over,), file="\udcff.png")):
        assert draw_overlay(awkward, blank(awkward)).height < 2700  # each part of the legend in a row of its own


def test_the_legend_goes_on_in_another_row_where_it_is_too_long(page, blank):
    narrow = replace(page, width=600, height=2400, regions=(), notes=("3 lines of print found and not read",))
    drawn = np.asarray(draw_overlay(narrow, blank(narrow)))
    legend = drawn[2400:]
    assert len(legend) > len(np.asarray(draw_overlay(page, blank(page)))) - 1680  # more than one row
    inked = np.flatnonzero((legend.min(2) < 128).any(0))
    assert inked[-1] < drawn.shape[1] - 2  # nothing is cut off


def test_very_flat_pages_and_names_of_two_lines(page, blank):
    flat = Page(40_000, 8)
    assert draw_overlay(flat, blank(flat)).width > 2400
    named = replace(page, file="new\nline.png")
    assert draw_overlay(named, blank(named)).size == draw_overlay(page, blank(page)).size
