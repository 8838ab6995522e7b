import numpy as np
import pytest

from htr.pages import finding
from htr.pages.containers import Line
from htr.pages.lines import Found, Outline


def _line(left: float, top: float, width: float) -> Line:
    box = (left, top), (left + width, top), (left + width, top + 40), (left, top + 40)
    return Line(((left, top + 30), (left + width, top + 30)), box)


@pytest.mark.parametrize(
    ("widths", "better", "expected"),
    [
        ((400, 700, 700, 700), [0], 1),
        ((160, 700, 700, 700), [0], 0),  # 16, 1001 and 1961 read as well upside down
        ((700, 160, 700, 700), [1], 0),
        ((400, 160, 500, 700), [0, 2], 3),  # what lies between may stand upside down too
        ((400, 500, 600, 700), [0, 1, 2, 3], 0),
    ],
)
def test_lines_stand_upside_down_from_the_edge_to_the_last_that_reads_so_if_they_are_no_numbers(
    widths, better, expected
):
    lines = [_line(100, 100 * number, width) for number, width in enumerate(widths, 1)]
    found = Found([Outline(line, line, 18.0, False) for line in reversed(lines)], (600, 900), 0, (600, 900))

    def cut(line: Line) -> np.ndarray:
        # White on the right, and so on the left upside down, where a line reads better so.
        picture = np.zeros((40, 400), np.uint8)
        picture[:, 200:] = 255 * (lines.index(line) in better)
        return picture

    inverted = finding._inverted(found, cut, lambda pictures: [0.5 + 0.2 * (each[0, 0] > 0) for each in pictures])
    assert inverted == ([lines[:expected]] if expected else [])


def _sure(pictures: list[np.ndarray]) -> list[float]:
    """As sure as the grey of their first column."""
    return [float(picture[0, 0]) / 100 for picture in pictures]


def _picture(straight: int, inverted: int) -> np.ndarray:
    picture = np.full((40, 400), straight, np.uint8)
    picture[:, 200:] = inverted
    return picture


def test_half_a_line_at_the_edge_and_specks_do_not_turn_a_page():
    cut_off, whole, speck = _line(0, 0, 900), _line(0, 100, 800), _line(0, 200, 60)
    pictures = {cut_off: _picture(30, 90), whole: _picture(90, 80), speck: _picture(0, 60)}
    for lines, inverted in [([cut_off, whole, speck], False), ([cut_off], True), ([speck], True)]:
        found = Found([Outline(line, line, 18.0, False) for line in lines], (600, 900), 0, (600, 900))
        assert finding._is_inverted(found, pictures.get, _sure) == inverted


@pytest.mark.parametrize(("as_it_lies", "sideways", "best"), [(80, 60, 0), (60, 80, 1), (0, 0, 0)])
def test_of_two_ways_to_look_at_a_page_the_one_that_reads_more_surely_counts(as_it_lies, sideways, best):
    lines = [_line(100, 100, 700), _line(100, 200, 700)]
    ways = [Found([Outline(line, line, 18.0, False)], (600, 900), 0, (600, 900)) for line in lines]
    # That way, it may still be upside down.
    pictures = dict(zip(lines, (_picture(as_it_lies, 0), _picture(0, sideways))))
    assert finding._best_read(ways, pictures.get, _sure) is ways[best]
    nothing = Found([], (600, 900), 1, (900, 600))
    assert finding._best_read([nothing, ways[0]], pictures.get, _sure) is (ways[0] if as_it_lies else nothing)
    assert finding._best_read([nothing], pictures.get, _sure) is nothing


def test_lines_that_cross_or_lie_side_by_side_aslant_do_not_overlap():
    slanted = [
        Line(((0, y), (800, y + 100)), ((0, y - 30), (800, y + 70), (800, y + 110), (0, y + 10))) for y in (100, 160)
    ]
    assert not finding._overlap(*slanted)
    assert not finding._overlap(slanted[0], Line(((400, 400), (400, 0)), ((370, 0), (410, 0), (410, 400), (370, 400))))
    assert finding._overlap(
        slanted[0], Line(((300, 130), (200, 120)), ((300, 150), (200, 140), (200, 100), (300, 110)))
    )


def test_a_line_that_two_ways_of_looking_find_stands_once():
    upright, turned = _line(100, 100, 700), _line(100, 300, 700)
    found = Found([Outline(upright, upright, 18.0, False)], (600, 900), 0, (600, 900))
    same = Line(turned.baseline, turned.polygon)
    page = finding._with_turned(found, [[turned], [same]], lambda line: _picture(90, 90), _sure)
    assert [region.lines for region in page.regions] == [(upright,), (turned,)]


class _Finder:
    """Finds one line as the page lies, and nothing upside down."""

    line = _line(100, 100, 700)

    def find_ways(self, picture):
        return (Found([Outline(self.line, self.line, 18.0, False)], (600, 900), 0, (600, 900)),)

    def find(self, picture, quarters):
        return Found([], (600, 900), quarters, (600, 900))

    def find_sideways(self, picture, found):
        return [], []


@pytest.mark.parametrize("told", [20, None])
@pytest.mark.parametrize("longer", [True, False])
def test_a_page_that_seems_askew_is_turned_only_if_its_lines_are_longer_then(longer, told):
    short, long = _line(100, 100, 300), _line(100, 100, 700)
    looked = []

    class Finder(_Finder):
        def find_ways(self, picture):
            line = long if longer == bool(looked) else short
            looked.append(picture.shape)
            return (Found([Outline(line, line, 18.0, False)], picture.shape, 0, picture.shape, skew=told),)

        def find_skew(self, picture):
            assert told is None
            return 20

    page = finding.find_page(np.full((600, 900), 255, np.uint8), Finder(), _sure, upright=True)
    assert len(looked) == 2 and looked[1][1] > 900  # with room for its corners
    (line,) = page.lines
    assert (page.width, page.height) == (900, 600)
    assert (line.baseline == long.baseline) == (not longer)


def test_a_page_on_which_nothing_is_found_upside_down_is_not_turned(monkeypatch):
    monkeypatch.setattr(finding, "_is_inverted", lambda *_: True)
    page = finding.find_page(np.full((600, 900), 255, np.uint8), _Finder(), _sure, upright=False)
    assert page.lines == [_Finder.line] and page.turn == 0
