import pickle
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import ImageFont

from htr.alphabet import normalise
from htr.corpora import synthetic
from htr.corpora.synthetic import CROSSED_OUT, Face, SyntheticLines
from htr.corpora.wording import ACCENTED, ALPHABET, Texts
from htr.errors import InputError
from htr.fonts import HANDWRITING, font_path, handwriting_fonts
from htr.lineimage import prepare


class Spoken:
    """A source that always has the same words."""

    def __init__(self, *words: str) -> None:
        self.words = list(words)

    def passage(self, rng: np.random.Generator) -> list[str]:
        return self.words


@pytest.fixture(scope="module")
def lines() -> SyntheticLines:
    return SyntheticLines(handwriting_fonts(), Texts())


def test_the_same_seed_gives_the_same_line_also_in_another_process(lines):
    elsewhere = pickle.loads(pickle.dumps(lines))
    for seed in range(10):
        picture, text = lines.draw(np.random.default_rng(seed), 10)
        again, text_again = elsewhere.draw(np.random.default_rng(seed), 10)
        assert text == text_again
        np.testing.assert_array_equal(picture, again)


def test_lines_go_on_without_repeating(lines):
    rng = np.random.default_rng(0)
    assert len({lines.draw(rng, 10)[1] for _ in range(30)}) == 30


@pytest.mark.parametrize("height", [48, 64])
def test_prepared_lines_are_as_wide_as_asked_for_but_for_being_widened(lines, height, monkeypatch):
    monkeypatch.setattr("htr.lineimage._widened", lambda line: line)
    rng = np.random.default_rng(1)
    shares = []
    for aspect in [1.0, 1.5, *rng.uniform(1, 35, 80)]:
        picture, text = lines.draw(rng, aspect)
        assert picture.dtype == np.uint8 and 48 <= picture.shape[0] <= 100
        assert text
        width = prepare(picture, height).picture.shape[1]
        assert width <= 1.2 * aspect * height + 16
        shares.append(width / (aspect * height))
    assert 0.75 < np.median(shares) < 1


def test_pictures_hold_writing(lines):
    rng = np.random.default_rng(2)
    for _ in range(40):
        picture, _ = lines.draw(rng, 8)
        assert np.ptp(picture) > 25


def test_texts_are_normalised_and_of_known_characters():
    rng = np.random.default_rng(0)
    for french in (0.0, 0.5, 1.0):
        for _ in range(100):
            words = Texts(french).passage(rng)
            assert " ".join(words) == normalise(" ".join(words))
            assert set("".join(words)) <= set(ALPHABET) - {CROSSED_OUT}


def test_every_character_turns_up_often_enough():
    rng = np.random.default_rng(0)
    counts = Counter("".join("".join(Texts(0.4).passage(rng)) for _ in range(1000)))
    assert all(counts[character] > 15 for character in set(ALPHABET) - {CROSSED_OUT, " "})


def test_the_share_of_french_is_kept():
    rng = np.random.default_rng(0)
    english = "".join("".join(Texts(0.0).passage(rng)) for _ in range(200))
    french = "".join("".join(Texts(1.0).passage(rng)) for _ in range(200))
    assert sum(map(english.count, ACCENTED)) < 0.001 * len(english)
    assert sum(map(french.count, ACCENTED)) > 0.03 * len(french)


def test_a_word_with_letters_that_a_font_lacks_is_left_out(monkeypatch):
    has = Face.glyph
    monkeypatch.setattr(Face, "glyph", lambda self, c: None if c == "z" else has(self, c))
    _, text = SyntheticLines([font_path("Kalam")], Spoken("maze", "so", "lazy")).draw(np.random.default_rng(0), 6)
    assert set(text.split()) == {"so"}


def test_a_character_without_a_glyph_is_known_as_lacking():
    face = Face(font_path("Kalam"))
    assert face.has("abcé")
    assert not face.has("字") and not face.has("\uffff")


def test_crossed_out_words_are_marked(monkeypatch):
    lines = SyntheticLines([font_path("Kalam")], Spoken("some", "words", "12"), crossed_out=1.0)
    _, text = lines.draw(np.random.default_rng(0), 12)
    assert set(text.split()) <= {CROSSED_OUT, "12"} and CROSSED_OUT in text


def test_capitals_are_never_of_a_font_so_thin_that_the_pen_wipes_them_out(monkeypatch):
    """A line may take its capitals from another font, but not from one with strokes a third as thick."""
    body, thin = handwriting_fonts()[:2]
    lines = SyntheticLines([body, thin], Spoken("A", "An"))
    strokes = {path: Face(path).stroke for path in (body, thin)}
    monkeypatch.setattr("htr.corpora.synthetic._face", lambda path: SimpleNamespace(
        path=path, stroke=strokes[body] * (1 / 3 if path == thin else 1), has=lambda text: True
    ))  # fmt: skip
    pairs = [lines._faces(["An"], np.random.default_rng(seed)) for seed in range(200)]
    mixed = [(face.path, other.path) for face, other in pairs if face.path != other.path]
    assert mixed and set(mixed) == {(thin, body)}


def test_one_letter_is_never_drawn_twice_alike():
    lines = SyntheticLines([font_path("Kalam")], Spoken(*"oooooo"))
    line = prepare(lines.draw(np.random.default_rng(3), 6)[0], 64).picture
    _, _, boxes, _ = cv2.connectedComponentsWithStats((line > 100).astype(np.uint8))
    letters = [
        cv2.resize(line[y : y + height, x : x + width], (32, 32)) > 100
        for x, y, width, height, area in boxes[1:]
        if area > 60
    ]
    assert len(letters) >= 4
    for one, other in pairwise(letters):
        assert (one & other).sum() < 0.95 * (one | other).sum()


def test_all_font_packages_are_found():
    assert len(handwriting_fonts()) == len(HANDWRITING)


def test_a_folder_of_fonts_is_searched(tmp_path):
    (tmp_path / "more").mkdir()
    font = font_path("Kalam").read_bytes()
    (tmp_path / "a.ttf").write_bytes(font)
    (tmp_path / "more" / "b.TTF").write_bytes(font)
    (tmp_path / "c.woff2").write_bytes(font)  # the content decides
    (tmp_path / "licence.txt").write_text("free")
    assert [path.name for path in handwriting_fonts(tmp_path)] == ["a.ttf", "c.woff2", "b.TTF"]


@pytest.mark.parametrize(
    ("family", "taken"),
    [("Caveat", False), ("Caveat SemiBold", False), ("Caveat Medium", False), ("Caveat Brush", True), (None, True)],
)
def test_fonts_of_the_test_lines_are_not_trained_on_in_any_weight(tmp_path, monkeypatch, family, taken):
    (tmp_path / "a.ttf").write_bytes(font_path("Kalam").read_bytes())
    (tmp_path / "b.ttf").write_bytes(font_path("Kalam").read_bytes())
    names = {"a.ttf": ("Kalam", "Regular"), "b.ttf": (family, "Regular")}
    monkeypatch.setattr(ImageFont.FreeTypeFont, "getname", lambda font: names[Path(font.path).name])
    assert [path.name for path in handwriting_fonts(tmp_path)] == ["a.ttf", "b.ttf"][: 1 + taken]


def test_what_a_mac_packs_along_is_no_font(tmp_path):
    (tmp_path / "a.ttf").write_bytes(font_path("Kalam").read_bytes())
    (tmp_path / "._a.ttf").write_bytes(b"of the system")
    assert [path.name for path in handwriting_fonts(tmp_path)] == ["a.ttf"]


def test_a_broken_font_is_named(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(InputError, match="broken.ttf: not a font"):
        handwriting_fonts(tmp_path)


def test_a_folder_without_fonts_is_named(tmp_path):
    with pytest.raises(InputError, match="no fonts"):
        handwriting_fonts(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        handwriting_fonts(tmp_path / "nowhere")


def test_the_sheet_is_drawn(tmp_path, monkeypatch):
    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr(sys, "argv", ["synthetic", "--out", str(sheet), "--seed", "3"])
    synthetic.main()
    assert cv2.imread(str(sheet), cv2.IMREAD_GRAYSCALE).std() > 10
    with pytest.raises(InputError, match="sheet.png: is there already"):
        synthetic.main()


def test_a_sheet_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["synthetic", "--out", str(tmp_path / "none" / "sheet.png")])
    with pytest.raises(InputError, match="sheet.png: this picture cannot be written"):
        synthetic.main()


@pytest.mark.parametrize("aspect", [0.05, 0.3, 0.5])
def test_where_no_word_has_room_one_is_squeezed(aspect):
    picture, text = SyntheticLines(handwriting_fonts(), Texts()).draw(np.random.default_rng(0), aspect)
    assert text
    assert picture.size
