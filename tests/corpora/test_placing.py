from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from htr.corpora import load_drawer
from htr.corpora.embedded import embedded_lines
from htr.corpora.placing import place_words
from htr.reader import load
from htr.writers import WRITERS

PAGE = Path(__file__).parents[2] / "data" / "sample" / "page.png"


@pytest.fixture(scope="module")
def samples():
    return embedded_lines("train", 6)


@pytest.fixture(scope="module")
def placed(samples):
    return place_words(samples, load())


def test_every_word_stands_after_the_one_before(samples, placed):
    assert [[word.token for word in line.words] for line in placed] == [sample.text.split() for sample in samples]
    for line in placed:
        assert not line.marks_apart
        boxes = [word.box for word in line.words if word.box]
        assert len(boxes) > 0.8 * len(line.words)
        assert all(before[2] <= after[0] + 3 for before, after in pairwise(boxes))


def test_a_words_box_holds_ink_and_paper_is_between(samples, placed):
    for line in placed:
        dark = line.image() < 128
        inside = sum(
            dark[top:bottom, left:right].sum() for left, top, right, bottom in (w.box for w in line.words if w.box)
        )
        assert inside > 0.8 * dark.sum() * sum(bool(w.box) for w in line.words) / len(line.words)


def test_a_read_word_is_the_right_one(placed):
    """What stands in the box of a long word reads as that word."""
    reader = load()
    words = [(line, word) for line in placed for word in line.words if word.box and len(word.token) > 5]
    pictures = [line.image()[:, max(word.box[0] - 4, 0) : word.box[2] + 4] for line, word in words]
    read = [line.text for line in reader.read_lines(pictures)]
    assert sum(text == word.token for text, (_, word) in zip(read, words)) > 0.7 * len(words)


def test_lines_that_cannot_be_written_are_left_out(samples):
    odd = [replace(samples[0], text="Ω" + samples[0].text), replace(samples[1], text=300 * "ab")]
    assert place_words(odd, load()) == []


def test_a_folder_of_lines_gives_recombined_ones(samples, tmp_path):
    rows = ["file\ttext\tsplit"]
    for number, sample in enumerate(samples):
        cv2.imwrite(str(tmp_path / f"{number}.png"), sample.image())
        rows.append(f"{number}.png\t{sample.text}\ttrain")
    (tmp_path / "lines.tsv").write_text("\n".join(rows), encoding="utf-8")
    drawer = load_drawer(f"recombined:{tmp_path}")
    picture, text = drawer.draw(np.random.default_rng(1), 8.0)
    tokens = {token for sample in samples for token in sample.text.split()}
    assert text and set(text.split()) <= tokens
    assert picture.min() < 100


def test_a_folder_of_pages_gives_recombined_lines(tmp_path):
    (tmp_path / "train").mkdir()
    picture = Image.open(PAGE)
    page = replace(load().read_page(PAGE), file="page.png")
    picture.save(tmp_path / "train" / "page.png")
    (tmp_path / "train" / "page.xml").write_bytes(WRITERS["page"].write(page, picture))
    _, text = load_drawer(f"recombined:{tmp_path}").draw(np.random.default_rng(1), 8.0)
    assert text and set(text.split()) <= set(page.text.split())


def test_accents_that_the_recogniser_does_not_know_hide_no_word(samples):
    accented = [replace(sample, text=sample.text.replace("e", "é")) for sample in samples]
    reader = load("iam")
    assert "é" not in reader.weights.alphabet.characters
    placed = place_words(accented, reader)
    assert [" ".join(word.token for word in line.words) for line in placed] == [sample.text for sample in accented]


def test_words_of_lines_of_one_name_are_not_mistaken(samples, placed):
    again = place_words([replace(sample, id="same") for sample in samples], load())
    assert [[word.box for word in line.words] for line in again] == [
        [word.box for word in line.words] for line in placed
    ]
