import numpy as np
import pytest

from htr.corpora.paper import between_neighbours, on_paper


def strokes() -> np.ndarray:
    ink = np.zeros((60, 300), np.uint8)
    ink[20:40, 20:280:12] = 255
    ink[20:40, 21:281:12] = 255
    return ink


@pytest.mark.parametrize("shape", [(48, 40), (60, 300), (100, 3500)])
def test_every_paper_keeps_the_shape(shape):
    for seed in range(60):
        picture = on_paper(np.zeros(shape, np.uint8), np.random.default_rng(seed))
        assert picture.shape == shape and picture.dtype == np.uint8


def test_ink_is_darker_than_its_paper_on_every_kind_of_paper():
    ink = strokes()
    for seed in range(200):
        picture = on_paper(ink, np.random.default_rng(seed)).astype(float)
        assert picture[ink == 0].mean() - picture[ink == 255].mean() > 12


def test_some_papers_are_flat_white_and_some_are_not():
    blank = np.zeros((60, 300), np.uint8)
    pictures = [on_paper(blank, np.random.default_rng(seed)) for seed in range(200)]
    white = sum((picture == 255).all() for picture in pictures)
    assert 40 < white < 120


def test_the_same_seed_gives_the_same_picture_and_leaves_the_ink():
    ink = strokes()
    before = ink.copy()
    for seed in range(20):
        one, other = (on_paper(ink, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(ink, before)


@pytest.mark.parametrize("size", [(10, 30), (60, 300), (200, 5000)])
def test_neighbours_reach_in_at_the_edges_only(size):
    blank, other = np.zeros((60, 300), np.uint8), np.full(size, 200, np.uint8)
    for seed in range(20):
        out = between_neighbours(blank, other, np.random.default_rng(seed))
        assert out.shape == blank.shape
        assert out.any() and not out[15:45].any()
    assert not blank.any()
