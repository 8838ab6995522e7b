import numpy as np
import pytest

from htr.pages import finding
from htr.pages.containers import Line
from htr.pages.lines import Found, Outline


def _line(left: float, top: float, width: float) -> Line:
    box = (left, top), (left + width, top), (left + width, top + 40), (left, top + 40)
    return Line(((left, top + 30), (left + width, top + 30)), box)


@pytest.mark.parametrize(("width", "text"), [(400, True), (160, False)])
def test_a_number_alone_at_the_head_of_a_page_does_not_stand_upside_down(width, text, monkeypatch):
    """16, 1001 and 1961 read as well upside down."""
    lines = [_line(300, 50, width)] + [_line(100, top, 700) for top in (150, 250, 350)]
    found = Found([Outline(line, line, 18.0, False) for line in lines], (500, 900), 0, (500, 900))
    monkeypatch.setattr(finding, "_read_better_inverted", lambda _, some, __: [line is lines[0] for line in some])
    inverted = finding._inverted(np.full((500, 900), 250, np.uint8), found, lambda pictures: [0.5] * len(pictures))
    assert inverted == ([lines[:1]] if text else [])


def test_lines_that_cross_or_lie_side_by_side_aslant_do_not_overlap():
    slanted = [
        Line(((0, y), (800, y + 100)), ((0, y - 30), (800, y + 70), (800, y + 110), (0, y + 10))) for y in (100, 160)
    ]
    assert not finding._overlap(*slanted)
    assert not finding._overlap(slanted[0], Line(((400, 400), (400, 0)), ((370, 0), (410, 0), (410, 400), (370, 400))))
    assert finding._overlap(
        slanted[0], Line(((300, 130), (200, 120)), ((300, 150), (200, 140), (200, 100), (300, 110)))
    )
