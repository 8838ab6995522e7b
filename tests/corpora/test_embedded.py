import pickle
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from htr.corpora import embedded, wording
from htr.corpora.embedded import (
    PAGE_HEIGHT,
    PAGE_WIDTH,
    draw_line,
    embedded_lines,
    random_hand,
    sample_page,
)
from htr.errors import InputError
from htr.fonts import FAMILIES, font_path
from htr.pages.images import open_image

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
ALL_FAMILIES = [family for families in FAMILIES.values() for family in families]


def edges(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def test_lines_are_the_same_each_time_whatever_the_count():
    few, many = embedded_lines("train", 5), embedded_lines("train", 20)[:5]
    assert [(line.id, line.text, line.writer) for line in few] == [(line.id, line.text, line.writer) for line in many]
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one.image(), other.image())


def test_another_seed_gives_other_lines():
    assert not {line.text for line in embedded_lines("val", 50, seed=0)} & {
        line.text for line in embedded_lines("val", 50, seed=1)
    }


def test_ids_are_unique():
    ids = [line.id for split in FAMILIES for seed in (0, 1) for line in embedded_lines(split, 50, seed)]
    assert len(set(ids)) == len(ids)


def test_splits_share_no_text_and_no_font():
    splits = [embedded_lines(split, 3000, seed) for seed, split in enumerate(FAMILIES)]
    for number, lines in enumerate(splits):
        others = [line for other in splits[number + 1 :] for line in other]
        assert not {line.text for line in lines} & {line.text for line in others}
        assert not {line.writer for line in lines} & {line.writer for line in others}


def test_every_character_turns_up_in_training():
    lines = embedded_lines("train", 2000)
    assert set("".join(line.text for line in lines)) == set(wording.CHARACTERS)
    assert {line.writer for line in lines} == set(FAMILIES["train"])
    assert {line.split for line in lines} == {"train"}


def test_lines_have_the_promised_length_and_plain_spaces():
    for number in range(2000):
        text = wording.line(random.Random(number))
        assert wording.SHORTEST <= len(text) <= wording.LONGEST
        assert text == " ".join(text.split())


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_every_character_is_drawn_within_a_free_margin(family):
    pictures = {}
    for character in wording.CHARACTERS.strip():
        hand = random_hand(family, np.random.default_rng(7))
        picture = draw_line(character, hand, np.random.default_rng(7))
        assert picture.dtype == np.uint8 and picture.ndim == 2
        assert picture.min() < hand.paper - 60
        assert (edges(picture) == hand.paper).all()
        pictures[character] = picture.tobytes()
    # A character that the font lacks would be drawn as the same box as another that it lacks.
    assert len(set(pictures.values())) == len(pictures)


@pytest.mark.parametrize("split", FAMILIES)
def test_bending_pushes_no_ink_off_the_sheet(split, monkeypatch):
    bend = embedded._bend

    def checked(strokes, hand, rng, baseline):
        assert not edges(strokes).any()
        bent = bend(strokes, hand, rng, baseline)
        assert not edges(bent).any()
        return bent

    monkeypatch.setattr(embedded, "_bend", checked)
    for line in embedded_lines(split, 60, seed=3):
        line.image()


@pytest.mark.parametrize("split", FAMILIES)
def test_line_pictures_are_whole_and_of_a_usual_height(split):
    for line in embedded_lines(split, 40):
        picture = line.image()
        assert picture.dtype == np.uint8
        assert 40 <= picture.shape[0] <= 130
        assert picture.shape[1] > 3 * picture.shape[0]
        assert (edges(picture) == picture.max()).all()
        assert 0.02 < (picture < 150).mean() < 0.4


def test_pictures_can_be_sent_to_another_process():
    line = embedded_lines("test", 1)[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(line)).image(), line.image())


def test_a_font_that_is_not_installed_is_named():
    with pytest.raises(InputError, match="Nobody's Hand.*pip install fontpkg-"):
        font_path("Nobody's Hand")


def test_the_font_packages_may_all_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "fontpkg", None)
    with pytest.raises(InputError, match="Dancing Script.*pip install fontpkg-dancing-script"):
        embedded_lines("train", 1)


def test_a_wrong_split_is_named():
    with pytest.raises(InputError, match="dev: no such split; give one of train, val, test"):
        embedded_lines("dev", 1)


def test_the_committed_page_is_the_page_of_seed_0():
    page, lines = sample_page()
    assert page.shape == (PAGE_HEIGHT, PAGE_WIDTH) and page.dtype == np.uint8
    assert lines == (SAMPLE / "page.txt").read_text(encoding="utf-8").splitlines()
    committed = open_image(SAMPLE / "page.png")
    assert committed.shape == page.shape
    # Another release of the font library may set a few pixels otherwise.
    assert np.abs(committed.astype(int) - page).mean() < 1


def test_the_page_is_written_with_known_characters_on_free_margins():
    page, lines = sample_page(seed=1)
    assert set("".join(lines)) <= set(wording.CHARACTERS)
    assert (edges(page) > 200).all()
