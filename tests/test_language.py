import math

import cv2
import numpy as np
import pytest

from htr import language
from htr.errors import InputError
from htr.language import load_model, save_model, train


@pytest.fixture
def model():
    return train([("the cat sat on the mat", 30.0)], order=4)


def test_characters_after_a_context_share_all_probability(model):
    for context in ("", "t", " th", "zzz", "e cat", "a" * 50):
        unknown = math.exp(model.score(context, "#"))
        total = sum(math.exp(model.score(context, character)) for character in model.characters)
        assert total + unknown == pytest.approx(1)


def test_what_was_seen_after_a_context_is_likelier(model):
    assert model.score(" th", "e") > math.log(0.9)
    assert model.score(" c", "a") > model.score(" c", "e") > model.score(" c", "#")
    # "ca" is followed by "t" only, and a context never seen falls back on its end.
    assert model.score("xxca", "t") == pytest.approx(model.score("ca", "t"))


def test_counts_by_hand():
    model = train([("ab", 1.0)] * 30 + [("a", 1.0)] * 30, order=2)
    # 30 of " ab " and 30 of " a ": 210 characters, 120 of them spaces, 60 a and 30 b; 3 known ones and the unknown.
    alone = {" ": (120 + 3 / 4) / 213, "b": (30 + 3 / 4) / 213}
    assert model.score("", " ") == pytest.approx(math.log(alone[" "]))
    # After the 60 a come 30 spaces and 30 b: two different characters.
    assert model.score("a", "b") == pytest.approx(math.log((30 + 2 * alone["b"]) / 62))


def test_texts_are_normalised_and_weighed():
    model = train([("don’t", 30.0), ("dot", 90.0)], order=3)
    assert "'" in model.characters and "’" not in model.characters
    assert model.score("do", "t") > model.score("do", "n")


def test_no_n_gram_reaches_from_one_text_into_the_next():
    model = train([("ab", 30.0), ("cd", 30.0)], order=4)
    assert model.score("ab ", "c") == model.score(" ", "c")
    assert model.score(" c", "d") > math.log(0.9)


def test_a_saved_model_is_the_same(model, tmp_path):
    save_model(tmp_path / "a.npz", model)
    loaded = load_model(tmp_path / "a.npz")
    for context in ("", "the", " sat o", "#"):
        for character in "te #":
            assert loaded.score(context, character) == model.score(context, character)
    save_model(tmp_path / "b.npz", loaded)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_bad_files_are_named(model, tmp_path):
    with pytest.raises(InputError, match="none.npz: no such language model"):
        load_model(tmp_path / "none.npz")
    path = tmp_path / "model.npz"
    save_model(path, model)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes(99) + whole[middle + 99 :]
    for damaged in (b"", b"text", whole[:-100], whole[:100], flipped):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="model.npz: not a language model, or damaged"):
            load_model(path)
    for arrays in (
        {"x": np.zeros(3)},
        {"characters": np.array("ab")},
        {"characters": np.array("ab"), "grams1": 1, "counts1": 1},
    ):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match="model.npz: not a language model, or damaged"):
            load_model(path)


def test_the_model_that_ships_knows_english():
    model = load_model("english")
    assert model.score(" th", "e") > model.score(" th", "w")
    assert model.score("Mr", ".") > math.log(0.5)
    assert model.score(" whi", "c") > model.score(" whi", "e")


def test_texts_of_ones_own_lines_are_learnt(tmp_path, command_line):
    folder = tmp_path / "letters"
    (folder / "train").mkdir(parents=True)
    cv2.imwrite(str(folder / "train" / "a.png"), np.full((40, 400), 255, np.uint8))
    (folder / "train" / "a.txt").write_text("Qwyxby " * 20)
    code, _, _ = command_line(language.main, tmp_path / "my.npz", "--data", f"lines:{folder}")
    assert code == 0
    own, usual = load_model(tmp_path / "my.npz"), load_model("english")
    assert own.score(" Qwyx", "b") > usual.score(" Qwyx", "b") + 3
    (folder / "train").rename(folder / "test")
    code, _, err = command_line(language.main, tmp_path / "my.npz", "--data", f"lines:{folder}")
    assert code == 2 and "has no train lines" in err
