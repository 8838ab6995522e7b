import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from htr.corpora import load_drawer
from htr.corpora.iam import aachen_split, load_iam
from htr.corpora.iam_words import iam_words, tells_words
from htr.corpora.recombined import RecombinedLines
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.lineimage import prepare
from htr.training.config import TrainConfig
from htr.training.run import drawer

# Two writers of the train split, and what a writer of each other split wrote; the words of each are like no other's.
TEXTS = {
    "train": (["the tram is", "the hut , an", "sauna tram , the hut"], ["our last road", "no meal ; our", "road meal ; no last"]),
    "val": (["hidden books"],),
    "test": (["secret notes"],),
}  # fmt: skip
WIDTHS = {
    token: round(12 * 1.25**index)
    for index, token in enumerate(
        [",", ";", "is", "an", "no", "our", "the", "hut", "last", "tram", "road", "meal", "sauna", "hidden", "books",
         "secret", "notes"]
    )
}  # fmt: skip
SPACE, JOIN, HEIGHT = 40, 14, 44


@pytest.fixture
def folder(tmp_path):
    """IAM's layout with words.tsv; each word is drawn as an empty box of a width of its own."""
    rows, table, writers = ["# a comment"], ["line\tword\tx0\ty0\tx1\ty1"], []
    for split, hands in TEXTS.items():
        forms = [form for form, of in aachen_split().items() if of == split]
        for form, texts in zip(forms, hands):
            writers.append(f"{form} {form} 1 all 3 3 9 9")
            target = tmp_path / "lines" / form[:3] / form
            target.mkdir(parents=True)
            for number, text in enumerate(texts):
                picture = np.full((80, 1200), 255, np.uint8)
                x = 10
                for index, token in enumerate(text.split()):
                    x += 0 if index == 0 else 4 + (JOIN if token in (",", ";") else SPACE)
                    right = x + WIDTHS[token]
                    # Thicker than a rule of the paper.
                    cv2.rectangle(picture, (x + 1, 21), (right - 2, 14 + HEIGHT), 0, 5)
                    place = x - 2, 18, right + 2, 18 + HEIGHT
                    name = f"{form}-{number:02d}"
                    table.append("\t".join(map(str, (name, f"{index:02d}", *place))))
                    size = f"{100 + place[0]} {200 + place[1]} {place[2] - place[0]} {place[3] - place[1]}"
                    rows.append(f"{name}-{index:02d} ok 150 {size} {'NN' if token.isalpha() else token} {token}")
                    x = right
                cv2.imwrite(str(target / f"{name}.png"), picture)
    (tmp_path / "ascii").mkdir()
    (tmp_path / "ascii" / "words.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "ascii" / "forms.txt").write_text("\n".join(writers) + "\n")
    (tmp_path / "words.tsv").write_text("\ufeff" + "\n".join(table) + "\n")
    return tmp_path


@pytest.fixture
def official(folder):
    """The same with pictures of the single words in place of those of lines."""
    for line in (folder / "words.tsv").read_text().splitlines()[1:]:
        name, word, *box = line.split("\t")
        left, top, right, bottom = map(int, box)
        form = name.rpartition("-")[0]
        target = folder / "words" / name[:3] / form
        target.mkdir(parents=True, exist_ok=True)
        picture = cv2.imread(str(folder / "lines" / name[:3] / form / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        # On paper of its own, as IAM's are.
        word_picture = np.minimum(picture[top:bottom, left:right], 220)
        cv2.imwrite(str(target / f"{name}-{word}.png"), word_picture)
    (folder / "words.tsv").unlink()
    return folder


def drawn(lines, count=30, aspect=20.0):
    rng = np.random.default_rng(5)
    return [lines.draw(rng, aspect) for _ in range(count)]


def boxes(picture):
    """The words that stand apart in a line: their first and last columns, and the height of most."""
    ink = picture < 128
    columns = np.flatnonzero(np.diff(ink.any(0).astype(int), prepend=0, append=0)).reshape(-1, 2)
    return columns, np.median([np.ptp(np.flatnonzero(ink[:, left:right].any(1))) + 1 for left, right in columns])


def tokens(text):
    return text.replace(",", " ,").replace(";", " ;").split()


@pytest.mark.parametrize("layout", ["folder", "official"])
def test_text_is_what_the_ink_says(layout, request):
    texts = set()
    for picture, text in drawn(RecombinedLines(iam_words(request.getfixturevalue(layout)))):
        places, height = boxes(picture)
        assert len(places) == len(tokens(text))
        for (left, right), token in zip(places, tokens(text)):
            assert (right - left) * HEIGHT / height == pytest.approx(WIDTHS[token] + 4, rel=0.1)
        texts.add(text)
    originals = {text.replace(" ,", ",").replace(" ;", ";") for hand in TEXTS["train"] for text in hand}
    assert len(texts - originals) > 5


def test_marks_join_their_words_and_words_stand_apart(folder):
    joins, spaces = [], []
    for picture, text in drawn(RecombinedLines(iam_words(folder))):
        assert " ," not in text and " ;" not in text
        places, height = boxes(picture)
        for (_, right), (left, _), token in zip(places, places[1:], tokens(text)[1:]):
            (joins if token in (",", ";") else spaces).append((left - right) / height)
    assert np.median(joins) == pytest.approx(JOIN / HEIGHT, rel=0.3)
    assert np.median(spaces) == pytest.approx(SPACE / HEIGHT, rel=0.3)


def test_marks_that_are_written_apart_stay_apart(folder):
    """French sets some so."""
    lines = [replace(line, marks_apart=False) for line in iam_words(folder)]
    texts = [text for _, text in drawn(RecombinedLines(lines))]
    assert any(" ," in text for text in texts)
    assert not any(token[0] != "," and "," in token for text in texts for token in text.split())


def test_writers_are_not_mixed_and_only_train_words_are_used(folder):
    first, second = ({token for text in hand for token in text.split()} for hand in TEXTS["train"])
    seen = [set(tokens(text)) for _, text in drawn(RecombinedLines(iam_words(folder)))]
    assert all(words <= first or words <= second for words in seen)
    assert any(words <= first for words in seen) and any(words <= second for words in seen)


def test_lines_outside_the_share_lend_no_words(folder):
    lines = iam_words(folder)
    # Another corpus has lines of the same names, all of which are chosen.
    data = [f"iam:{folder}", "iam:elsewhere"]
    chosen = [(data[0], Sample(line.id, "", "train", line.image)) for line in lines[:2]]
    chosen += [(data[1], Sample(line.id, "", "train", line.image)) for line in lines]
    config = TrainConfig(run="run", data=data, share=0.5)
    some, all_of_them = (
        {token for _, text in drawn(drawer(each, f"recombined:{folder}", chosen)) for token in tokens(text)}
        for each in (config, replace(config, share=1.0))
    )
    allowed = {word.token for line in lines[:2] for word in line.words}
    assert some <= allowed
    assert not all_of_them <= allowed


def test_same_state_gives_the_same_line_in_any_process(folder):
    lines = RecombinedLines(iam_words(folder))
    copy = pickle.loads(pickle.dumps(lines))
    for (picture, text), (other, other_text) in zip(drawn(lines, 5), drawn(copy, 5)):
        assert text == other_text
        assert np.array_equal(picture, other)
    assert len({text for _, text in drawn(lines)}) > 5


def test_ink_of_neighbours_is_left_out(folder):
    first = iam_words(folder)[0]
    file = folder / "lines" / first.form[:3] / first.form / f"{first.form}-00.png"
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    left, top, right, _ = first.words[1].box
    # The tail of a letter of the line above hangs into the box of `tram`, through a gap in its upper side.
    middle = (left + right) // 2
    picture[top : top + 6, middle - 6 : middle + 7] = 255
    cv2.line(picture, (middle, 0), (middle, top + 14), 0, 3)
    cv2.imwrite(str(file), picture)
    found = 0
    for picture, text in drawn(RecombinedLines([first]), 5):
        for (left, right), token in zip(boxes(picture)[0], tokens(text)):
            if token == "tram":
                # Its upper side is open, its lower one not: one stroke, no tail.
                found += 1
                strokes = np.diff((picture[:, (left + right) // 2] < 128).astype(int))
                assert (strokes == 1).sum() == 1
    assert found


def test_real_words_fill_the_width(shared_iam, monkeypatch):
    monkeypatch.setattr("htr.lineimage._widened", lambda line: line)
    real = iam_words(shared_iam)
    assert {aachen_split()[line.form] for line in real} == {"train"}
    assert len(real) > 3000
    lines = RecombinedLines(real[:40])
    rng = np.random.default_rng(1)
    for aspect in (4, 10, 20, 35):
        widths = []
        for _ in range(10):
            picture, text = lines.draw(rng, aspect)
            assert text and picture.dtype == np.uint8
            widths.append(prepare(picture, 64).picture.shape[1] / 64)
        assert max(widths) < 1.12 * aspect
        assert np.median(widths) > 0.75 * aspect


def test_without_a_folder_words_are_those_of_the_data(folder):
    of_data = load_drawer("recombined", data=[f"iam:{folder}"])
    for one, other in zip(drawn(of_data), drawn(load_drawer(f"recombined:{folder}"))):
        assert np.array_equal(one[0], other[0]) and one[1] == other[1]
    with pytest.raises(InputError, match="no train line in which a word is found"):
        load_drawer("recombined")


def test_writers_of_two_corpora_are_not_one_though_they_have_one_name(folder):
    data = f"iam:{folder}"
    once, twice = (load_drawer("recombined", data=corpora) for corpora in ([data], [data, f"{data}/."]))
    assert len(twice._hands) == 2 * len(once._hands)


def test_where_iam_does_not_tell_where_its_words_are_a_recogniser_does(iam_folder, monkeypatch):
    asked = []
    monkeypatch.setattr("htr.corpora.placing.place_words", lambda samples, reader: asked.extend(samples) or [])
    with pytest.raises(InputError, match="no train line in which a word is found"):
        load_drawer("recombined", data=[f"iam:{iam_folder}"])
    train = [sample for sample in load_iam(iam_folder) if sample.split == "train"]
    assert [sample.id for sample in asked] == [sample.id for sample in train]


def test_where_iam_comes_without_its_writers_each_line_is_a_hand_of_its_own(tmp_path, monkeypatch):
    """As from the hub: of the words of many writers no line is set."""
    asked = []
    monkeypatch.setattr("htr.corpora.load_iam", lambda path: [Sample(name, "text", "train", None) for name in "12"])
    monkeypatch.setattr("htr.corpora.placing.place_words", lambda samples, reader: asked.extend(samples) or [])
    with pytest.raises(InputError, match="no train line in which a word is found"):
        load_drawer("recombined", data=[f"iam:{tmp_path}"])
    assert [sample.writer for sample in asked] == ["1", "2"]


def test_what_is_missing_is_said(folder):
    assert tells_words(folder)
    (folder / "words.tsv").unlink()
    assert not tells_words(folder)
    (folder / "words").mkdir()
    assert not tells_words(folder)
    (folder / "words" / "x99" / "x99-000").mkdir(parents=True)
    (folder / "words" / "x99" / "x99-000" / "x99-000-00-00.png").touch()
    assert tells_words(folder)
    with pytest.raises(InputError, match=r"has the picture of no train word; unpack IAM's words\.tgz"):
        iam_words(folder)
    (folder / "ascii" / "words.txt").unlink()
    assert not tells_words(folder)
    with pytest.raises(InputError, match="no lines to take words from"):
        RecombinedLines([])


def test_without_forms_txt_each_form_counts_as_a_writer(folder, caplog):
    (folder / "ascii" / "forms.txt").write_text(
        "\n".join(f"{line.form} 000 1 all 3 3 9 9" for line in iam_words(folder)) + "\n"
    )
    assert {line.writer for line in iam_words(folder)} == {"000"}
    (folder / "ascii" / "forms.txt").unlink()
    lines = iam_words(folder)
    assert [line.writer for line in lines] == [line.form for line in lines]
    assert len({line.writer for line in lines}) == 2
    assert "forms.txt: missing, so writers are not known" in caplog.text


def test_how_much_larger_than_its_form_a_line_is_shown_is_told_by_its_words(folder):
    assert {line.zoom for line in iam_words(folder)} == {1.0}
    table = folder / "ascii" / "words.txt"
    head, *words = table.read_text().splitlines()
    rows = []
    for name, sure, grey, *places, tag, token in map(str.split, words):
        rows.append(" ".join([name, sure, grey, *(str(int(place) // 2) for place in places), tag, token]))
    table.write_text("\n".join([head, *rows]) + "\n")
    assert [line.zoom for line in iam_words(folder)] == pytest.approx(6 * [2], rel=0.03)


def test_words_of_their_own_paper_are_put_together_on_white(official):
    for line in iam_words(official):
        picture = line.image()
        # Ink as much lighter as the paper has become.
        assert set(np.unique(picture)) == {35, 255}
        left, top, right, bottom = line.words[-1].box
        assert picture.shape[1] == right and (picture[top:bottom, left:right] == 35).any()


@pytest.mark.parametrize("row", ["a01-000u-00-00 ok 154 408", "nonsense", "a01-000u-00-00 ok 154 a b c d NN word"])
def test_malformed_row_is_named(folder, row):
    table = folder / "ascii" / "words.txt"
    table.write_text(f"# head\n{row}\n" + table.read_text())
    with pytest.raises(InputError, match=r"words\.txt: line 2 is malformed"):
        iam_words(folder)


@pytest.mark.parametrize("top", ["eighteen", "", "-18", "1800"])
def test_malformed_place_is_named(folder, top):
    table = folder / "words.tsv"
    table.write_text(table.read_text().replace("\t18\t", f"\t{top}\t", 1))
    with pytest.raises(InputError, match=r"words\.tsv: line 2 is malformed"):
        iam_words(folder)


def test_unsure_words_are_not_used(folder):
    table = folder / "ascii" / "words.txt"
    table.write_text(
        "\n".join(
            row.replace(" ok ", " er ") if row.endswith(" tram") else row for row in table.read_text().splitlines()
        )
    )
    assert not any("tram" in text for _, text in drawn(RecombinedLines(iam_words(folder))))
