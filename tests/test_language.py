import math

import cv2
import numpy as np
import pytest

from htr import language
from htr.errors import InputError
from htr.language import UNEXPECTED, load_languages, load_model, save_model, train


def chance(model, context, character):
    return model.probabilities(context)[model.characters.find(character) + 1]


@pytest.fixture
def model():
    return train([("the cat sat on the mat", 30.0)], order=4)


def test_characters_after_a_context_share_all_probability(model):
    for context in ("", "t", " th", "zzz", "e cat", "a" * 50):
        unknown = chance(model, context, "#")
        total = sum(chance(model, context, character) for character in model.characters)
        assert total + unknown == pytest.approx(1)


def test_what_was_seen_after_a_context_is_likelier(model):
    assert chance(model, " th", "e") > 0.9
    assert chance(model, " c", "a") > chance(model, " c", "e") > chance(model, " c", "#")
    # "ca" is followed by "t" only, and a context never seen falls back on its end.
    assert chance(model, "xxca", "t") == pytest.approx(chance(model, "ca", "t"))


def test_counts_by_hand():
    model = train([("ab", 1.0)] * 30 + [("a", 1.0)] * 30, order=2)
    # 30 of " ab " and 30 of " a ": 210 characters, 120 of them spaces, 60 a and 30 b; 3 known ones and the unknown. Each of
    # the three weighs 16 for what was thought before, that all four are alike.
    alone = {" ": (120 + 48 / 4) / 258, "b": (30 + 48 / 4) / 258}
    assert chance(model, "", " ") == pytest.approx(alone[" "])
    # After the 60 a come 30 spaces and 30 b: two different characters.
    assert chance(model, "a", "b") == pytest.approx((30 + 32 * alone["b"]) / 92)


def test_texts_are_normalised_and_weighed():
    model = train([("don’t", 30.0), ("dot", 90.0)], order=3)
    assert "'" in model.characters and "’" not in model.characters
    assert chance(model, "do", "t") > chance(model, "do", "n")


def test_no_n_gram_reaches_from_one_text_into_the_next():
    model = train([("ab", 300.0), ("cd", 300.0)], order=4)
    assert chance(model, "ab ", "c") == chance(model, " ", "c")
    assert chance(model, " c", "d") > 0.9


def test_of_much_text_long_n_grams_seen_once_are_left_out(monkeypatch):
    texts = [("abcd", 1.0), *[(character, 30.0) for character in "abcd"]]
    few = train(texts, order=4)
    monkeypatch.setattr("htr.language._MANY", 10)
    many = train(texts, order=4)
    assert [len(grams) for grams in few.grams[:3]] == [len(grams) for grams in many.grams[:3]]
    # " abc", "abcd" and "bcd "
    assert [len(few.grams[3]), len(many.grams[3])] == [3, 0]


def test_of_too_many_characters_the_most_frequent_are_learnt(caplog):
    texts = [(chr(0x4E00 + number), 100.0 + number) for number in range(130)]
    model = train(texts, order=2)
    # With the space, 127.
    assert set(model.characters) == {" ", *(text for text, _ in texts[4:])}
    assert "4 characters are not learnt, since a model holds 127; the texts have these least often" in caplog.text
    assert chance(model, "", "\u4e81") > chance(model, "", "\u4e00")


def test_texts_too_long_for_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr("htr.language._MOST", 10)
    with pytest.raises(InputError, match="give the more fitting part of them"):
        train([("some words", 1.0), ("and more", 1.0)])


def test_a_saved_model_is_the_same(model, tmp_path):
    save_model(tmp_path / "a.npz", model)
    loaded = load_model(tmp_path / "a.npz")
    for context in ("", "the", " sat o", "#"):
        for character in "te #":
            assert chance(loaded, context, character) == chance(model, context, character)
    save_model(tmp_path / "b.npz", loaded)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_bad_files_are_named(model, tmp_path):
    with pytest.raises(InputError, match="none.npz: no such language model; give auto, english, french or none"):
        load_languages(tmp_path / "none.npz")
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
        _arrays(order=0),
        _arrays(order=10),
        _arrays(grams1=np.array([[3]], np.uint8)),  # of two characters
        _arrays(counts1=np.array([5, 5], np.uint32)),  # for one n-gram
        _arrays(counts1=np.array([0], np.uint32)),
        _arrays(order=2, grams2=np.array([[1]], np.uint8), counts2=np.array([5], np.uint32)),
    ):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match="model.npz: not a language model, or damaged"):
            load_model(path)


def _arrays(**others):
    """What a file of one n-gram, the letter a, holds."""
    known = {"grams1": np.array([[1]], np.uint8), "counts1": np.array([5], np.uint32)}
    return {"characters": np.array("ab"), "order": 1} | known | others


def test_a_foreign_zip_file_is_no_model(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, **_arrays())
    assert load_model(path).order == 1
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + flags] |= 1  # says that it is encrypted
            place = content.find(mark, place + 1)
    path.write_bytes(content)
    with pytest.raises(InputError, match="model.npz: not a language model, or damaged"):
        load_model(path)


def test_short_memory_is_no_damage(model, tmp_path, monkeypatch):
    save_model(tmp_path / "model.npz", model)

    def short(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "load", short)
    with pytest.raises(InputError, match="model.npz: the memory is too small for this language model"):
        load_model(tmp_path / "model.npz")


def test_no_language_is_asked_for_by_name():
    with pytest.raises(InputError, match="language: None could mean all or none; give auto, none"):
        load_languages(None)


def test_the_model_that_ships_knows_english():
    [model] = load_languages("english")
    assert chance(model, " th", "e") > chance(model, " th", "w")
    assert chance(model, "Mr", ".") > 0.5
    assert chance(model, " whi", "c") > chance(model, " whi", "e")


def test_a_text_shows_its_language():
    [english], [french] = load_languages("english"), load_languages("french")
    assert [model.characters for model in load_languages("auto")] == [english.characters, french.characters]
    assert load_languages("none") == []
    for text, own, other in (
        ("which he had written to her in the evening", english, french),
        ("qu'il avait écrite pour elle dans la soirée", french, english),
    ):
        assert own.score(text) > other.score(text) + 10


def test_a_score_by_hand():
    model = train([("a", 30.0)], order=1)
    # 30 of the character and 60 spaces, two different ones: with the unknown three, alike before anything is counted.
    seen, unseen = (30 + 32 / 3) / 122, 32 / 3 / 122
    scores = model.scores(" ")
    assert scores[model.number("a")] == pytest.approx(math.log((1 - UNEXPECTED) * seen + UNEXPECTED / 100))
    assert scores[model.number("b")] == pytest.approx(math.log((1 - UNEXPECTED) * unseen + UNEXPECTED / 100))


def test_a_text_begins_after_a_space():
    model = train([("ab", 30.0)], order=3)
    scores = [model.scores(context)[model.number(character)] for context, character in ((" ", "a"), (" a", "b"))]
    assert model.score("ab") == pytest.approx(sum(scores))
    assert model.scores("")[model.number("a")] < scores[0]


def test_what_no_model_foretells_costs_no_more_than_a_bound():
    [english] = load_languages("english")
    assert english.score("§" * 40) > 40 * math.log(UNEXPECTED / 100)


def test_texts_of_ones_own_lines_are_learnt(tmp_path, command_line):
    folder = tmp_path / "letters"
    (folder / "train").mkdir(parents=True)
    cv2.imwrite(str(folder / "train" / "a.png"), np.full((40, 400), 255, np.uint8))
    (folder / "train" / "a.txt").write_text("Qwyxby " * 20)
    code, _, _ = command_line(language.main, tmp_path / "my.npz", "--data", f"lines:{folder}")
    assert code == 0
    own, [usual] = load_model(tmp_path / "my.npz"), load_languages("english")
    assert chance(own, " Qwyx", "b") > math.exp(3) * chance(usual, " Qwyx", "b")
    book = tmp_path / "book.txt"
    book.write_text("Zvux\nzvux.\n\nMq¬\njo\u200b.\n\n" * 60, encoding="utf-8")
    assert command_line(language.main, tmp_path / "book.npz", "--language", "french", "--text", book)[0] == 0
    own = load_model(tmp_path / "book.npz")
    said = "dans la maison avec les enfants"
    assert own.score(said) > usual.score(said) + 10
    # A paragraph is one text, however its lines are broken.
    assert chance(own, " Zvux", " ") > 0.9 and chance(own, "x zvux", ".") > 0.9
    # As in lines that are learnt, a mark of a broken word is the stroke that is seen, and what cannot be seen is not there.
    assert chance(own, " Mq", "-") > 0.9 and chance(own, "Mq- jo", ".") > 0.9
    book.write_bytes(b"Caf\xe9")
    (tmp_path / "blank.txt").write_text("\n \n")
    for file, wrong in (
        (book, "not a text file in UTF-8"),
        (tmp_path / "none.txt", "cannot be read"),
        (tmp_path / "blank.txt", "has no text"),
    ):
        code, _, err = command_line(language.main, tmp_path / "other.npz", "--text", file)
        assert code == 2 and f"{file.name}: {wrong}" in err
    (folder / "train").rename(folder / "test")
    code, _, err = command_line(language.main, tmp_path / "other.npz", "--data", f"lines:{folder}")
    assert code == 2 and "has no train lines" in err


def test_lines_of_a_page_are_one_text(tmp_path):
    rows = ["file,text,page,split"]
    for name, text, page in (("a", "he went", "1"), ("b", "home", "1"), ("c", "early", "2")):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((40, 400), 255, np.uint8))
        rows.append(f"{name}.png,{text},{page},train")
    (tmp_path / "lines.csv").write_text("\n".join(rows))
    assert [text for text, _ in language.texts_in(f"lines:{tmp_path}")] == ["he went home", "early"]


def test_where_nothing_can_be_written_is_said_before_long_work(command_line, tmp_path, monkeypatch):
    monkeypatch.setattr(language, "texts_of", lambda *_: pytest.fail("the texts were read"))
    (tmp_path / "file").write_text("")
    code, _, err = command_line(language.main, tmp_path / "file" / "my.npz")
    assert code == 2 and f"{tmp_path / 'file'}: " in err


def test_neither_a_text_nor_a_model_is_written_over(command_line, tmp_path):
    text, model = tmp_path / "book.txt", tmp_path / "my.npz"
    for file, wrong in (text, "must end in .npz"), (model, "is there already"):
        file.write_text("the only copy")
        code, _, err = command_line(language.main, file)
        assert code == 2 and f"{file.name}: {wrong}" in err and file.read_text() == "the only copy"
