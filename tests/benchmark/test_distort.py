"""Distorted pages: the points must stay on what they marked."""

import numpy as np
import pytest

from htr.benchmark.distort import DISTORTIONS, distort, turn

# Dots of 9 x 9 pixels on a page of 300 x 400.
DOTS = np.array([[40, 50], [250, 40], [150, 200], [60, 350], [260, 370]], float)


@pytest.fixture
def page():
    picture = np.full((400, 300), 240, np.uint8)
    for x, y in DOTS.astype(int):
        picture[y - 4 : y + 5, x - 4 : x + 5] = 0
    return picture


@pytest.mark.parametrize("name", DISTORTIONS)
def test_points_move_with_the_picture(page, name):
    picture, points = DISTORTIONS[name](page, DOTS + 0.5)
    assert len(points) == len(DOTS)
    for x, y in points:
        around = picture[round(y) - 12 : round(y) + 12, round(x) - 12 : round(x) + 12]
        rows, columns = np.nonzero(around < 20)
        assert len(rows) > 20
        # Centre of the dot, in pixels from the point.
        assert rows.mean() + 0.5 == pytest.approx(y - round(y) + 12, abs=0.6)
        assert columns.mean() + 0.5 == pytest.approx(x - round(x) + 12, abs=0.6)


def test_quarter_turns_lose_nothing(page):
    for quarters, degrees in [(1, 90), (2, 180), (3, 270)]:
        picture, points = turn(page, np.array([[0.0, 0.0], [300.0, 400.0]]), degrees)
        assert np.array_equal(picture, np.rot90(page, -quarters))
        # The corners of the page stay corners.
        assert np.sort(points, 0) == pytest.approx(np.array([[0, 0], picture.shape[::-1]]), abs=1e-6)


def test_clockwise(page):
    _, points = turn(page, np.array([[0.0, 0.0]]), 90)
    assert points[0] == pytest.approx([400, 0])


def test_darkness_falls_to_the_lower_right(page):
    picture, _ = DISTORTIONS["darkened"](page, DOTS)
    assert picture[0, 0] == 240
    assert picture[-1, -1] == pytest.approx(0.35 * 240, abs=1)


def test_photographs_repeat_and_differ(page):
    ways = [distortion(page, DOTS)[0] for name, distortion in DISTORTIONS.items() if "photographed" in name]
    again = [distortion(page, DOTS)[0] for name, distortion in DISTORTIONS.items() if "photographed" in name]
    assert all(np.array_equal(first, second) for first, second in zip(ways, again))
    assert not np.array_equal(ways[0], ways[1])


@pytest.mark.parametrize("name", DISTORTIONS)
def test_polygons_stay_within_the_picture_and_long_sides_bend(page, name):
    whole = np.array([[0, 0], [300, 0], [300, 400], [0, 400]], float)
    picture, (small, large) = distort(DISTORTIONS[name], page, [whole / 4 + 100, whole])
    assert len(large) == 2 * 15 + 2 * 20
    assert len(small) == 2 * 4 + 2 * 5
    assert (large > -1e-6).all()
    assert (large < np.array(picture.shape[::-1]) + 1e-6).all()
