import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
from PIL import Image

from htr.corpora import load_corpus
from htr.corpora.embedded import embedded_lines
from htr.corpora.folder import lines_of_table
from htr.corpora.source import load_source
from htr.errors import InputError
from htr.finetuning import unread
from htr.finetuning.lines import key_of, write_lines
from htr.finetuning.report import of_unread
from htr.finetuning.unread import find_unread, keep_unread, read_unread
from htr.reader import load
from htr.writers.pagexml import write

PAGE = Path(__file__).parents[2] / "data" / "sample" / "page.png"


def write_line(file, sample):
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), sample.image())


def test_lines_of_pages_without_a_text_are_found(tmp_path, caplog, capsys):
    source = tmp_path / "letters"
    samples = embedded_lines("train", 5)
    # What is labelled elsewhere, what is labelled here, what another run made, and what cannot be opened.
    for name, sample in zip(("line", "empty", "labelled", "known", "my.run/lines/pictures/00000"), samples):
        write_line(source / f"{name}.png", sample)
    (source / "my.run" / "begun.json").touch()
    (source / "known.txt").write_text(samples[3].text)
    (source / "empty.txt").write_text("\n")
    (source / "broken.png").write_bytes(b"no picture")
    (source / "cut.png").write_bytes(PAGE.read_bytes()[:50_000])
    shutil.copy(PAGE, source / "page.png")
    count = keep_unread(find_unread(source), tmp_path / "unread", [samples[2]], load("small", "none"))
    found, doubts = lines_of_table(tmp_path / "unread" / "lines.tsv")
    assert (count, doubts, {sample.text for sample in found}) == (15, [], {""})
    pages = [sample.form for sample in found]
    assert sorted(pages) == ["empty", "line", *13 * ["page"]]
    assert {sample.form for sample in found if sample.cut_out} == {"page"}
    assert (found[pages.index("line")].image() == samples[0].image()).all()
    assert "1 picture with a text passed over" in caplog.text
    assert capsys.readouterr().err.count("broken.png: not a picture that can be read") == 1
    assert "letters: 1 file that cannot be read left out" in caplog.text
    assert caplog.text.count("cut.png: damaged or cut short") == caplog.text.count("cut.png") == 1


def test_pages_whose_xml_has_a_text_are_passed_over_unless_htr_read_it(tmp_path):
    page = load("small", "none").find_page(cv2.imread(str(PAGE), cv2.IMREAD_GRAYSCALE))
    texts = {"known": "a text", "empty": "", "read": "a taxt"}
    for number, (name, text) in enumerate(texts.items()):
        # Each a little darker, for of copies one counts.
        Image.open(PAGE).point(lambda grey, darker=number: grey - darker).save(tmp_path / f"{name}.png")
        region = replace(page.regions[0], lines=tuple(replace(line, text=text) for line in page.regions[0].lines))
        (tmp_path / "page").mkdir(exist_ok=True)
        picture = Image.open(PAGE)
        content = write(replace(page, file=f"{name}.png", regions=(region,)), picture)
        if name != "read":
            content = content.replace(b"<Creator>htr", b"<Creator>eScriptorium")
        (tmp_path / "page" / f"{name}.xml").write_bytes(content)
    shutil.copy(PAGE, tmp_path / "known.jpg")  # another picture of the page, before it in the alphabet
    keep_unread(find_unread(tmp_path), tmp_path / "unread.run", [], load("small", "none"))
    assert {sample.form for sample in lines_of_table(tmp_path / "unread.run" / "lines.tsv")[0]} == {"empty", "read"}


def test_copies_of_unread_pictures_count_once(tmp_path):
    for number, sample in enumerate(embedded_lines("train", 3)):
        for name in (f"{number}.png", f"{number} (1).png"):
            write_line(tmp_path / "letters" / name, sample)
    assert keep_unread(find_unread(tmp_path / "letters"), tmp_path / "unread", [], load("small", "none")) == 3


def test_a_copy_of_a_labelled_page_is_not_unread(tmp_path):
    """Its lines, cut out as its XML says, would not be known again."""
    shutil.copy(PAGE, tmp_path / "labelled.png")
    (tmp_path / "letters").mkdir()
    shutil.copy(PAGE, tmp_path / "letters" / "copy.png")
    with pytest.raises(InputError, match="has no lines without a text"):
        keep_unread(
            find_unread(tmp_path / "letters"),
            tmp_path / "unread",
            [],
            load("small", "none"),
            pages=[tmp_path / "labelled.png"],
        )


def test_of_a_table_the_rows_without_a_text_and_pictures_beside_them_are_unread(tmp_path, caplog, monkeypatch):
    rows = ["file\ttext"]
    samples = embedded_lines("train", 6)
    for number, sample in enumerate(samples):
        write_line(tmp_path / "letters" / f"{number}.png", sample)
        if number < 5:
            rows.append(f"{number}.png\t{'known' if number < 2 else ''}")
    (tmp_path / "letters" / "lines.tsv").write_text("\n".join([*rows, "gone.png\t"]))
    reader = load("small", "none")
    assert keep_unread(find_unread(tmp_path / "letters"), tmp_path / "unread", [], reader) == 4
    assert "gone.png, which is not there" in caplog.text
    found = {key_of(sample.image()) for sample in lines_of_table(tmp_path / "unread" / "lines.tsv")[0]}
    assert found == {key_of(sample.image()) for sample in samples[2:]}
    monkeypatch.setattr(unread, "MOST", 3)
    assert keep_unread(find_unread(tmp_path / "letters"), tmp_path / "unread", [], reader) == 3


def test_a_picture_that_a_table_names_as_other_programs_do_is_one_with_its_page(tmp_path):
    sample, other = embedded_lines("train", 2)
    for name in ("a.png", "a.bin.png"):
        write_line(tmp_path / name, sample)
    write_line(tmp_path / "b.png", other)
    (tmp_path / "lines.tsv").write_text("file\ttext\na.bin.png\tone\n")
    assert [task.result.name for task in find_unread(tmp_path).pages] == ["b"]
    (tmp_path / "a.gt.txt").write_text("one")
    assert [row.id for row in load_source(tmp_path, lambda _: None).samples] == ["a.bin"]


def test_small_copies_of_pages_are_not_unread(tmp_path):
    for name, sample in zip(
        ("1.tif", "2.tif", "thumbs/1.jpg", "thumbs/2.jpg", "@eaDir/1.tif/SMALL.jpg"), embedded_lines("train", 5)
    ):
        write_line(tmp_path / name, sample)
    assert sorted(task.result.name for task in find_unread(tmp_path).pages) == ["1", "2"]
    write_line(tmp_path / "photographs" / "thumbs" / "3.jpg", embedded_lines("train", 6)[-1])
    assert sorted(task.result.as_posix() for task in find_unread(tmp_path).pages) == ["1", "2", "photographs/thumbs/3"]


def test_of_a_folder_that_is_learnt_labelled_and_unread_nothing_is_said_to_be_left_out(tmp_path, caplog):
    for name, sample in zip(("a", "b", "c", "d"), embedded_lines("train", 4)):
        write_line(tmp_path / f"{name}.png", sample)
    (tmp_path / "a.txt").write_text("some words")
    (tmp_path / "lines.tsv").write_text("file\ttext\nc.png\tmore words\nd.png\t\n")
    unread = find_unread(tmp_path, labelled=True)
    assert ([task.result.name for task in unread.pages], [sample.id for sample in unread.lines]) == (["b"], ["d"])
    source = load_source(tmp_path, lambda _: None, with_unread=True)
    assert (sorted(sample.id for sample in source.samples), source.doubts) == (["a", "c"], [])
    assert caplog.text == ""


def test_where_all_is_transcribed_there_is_nothing_unread(tmp_path):
    write_line(tmp_path / "known.png", embedded_lines("train", 1)[0])
    (tmp_path / "known.gt.txt").write_text("text")
    with pytest.raises(InputError, match="has no lines without a text, too few to learn from; give --unread"):
        find_unread(tmp_path)


def test_what_is_read_surest_is_learnt(tmp_path):
    samples = embedded_lines("train", 21)
    write_lines(tmp_path / "unread", [replace(sample, text="", cut_out=True) for sample in samples])
    # One line has no text, though it is the surest; of 20 others, the two least sure come third and tenth.
    confidences = [0.5, 0.6, 0.1, *(0.7 for _ in range(6)), 0.2, *(0.8 for _ in range(10)), 1.0]
    texts = [*(f"text {number}" for number in range(20)), ""]
    read = iter([SimpleNamespace(text=text, confidence=confidence) for text, confidence in zip(texts, confidences)])
    reader = SimpleNamespace(read_lines=lambda pictures, cut_out: [next(read) for _ in pictures if cut_out])
    read_unread(tmp_path / "unread", tmp_path / "read", reader)
    learnt = load_corpus(f"lines:{tmp_path / 'read'}")
    assert [sample.text for sample in learnt] == [text for index, text in enumerate(texts[:20]) if index not in (2, 9)]
    assert {(sample.split, sample.cut_out) for sample in learnt} == {("train", True)}
    assert (learnt[2].image() == samples[3].image()).all()


def test_where_nothing_can_be_read_the_corpus_is_empty(tmp_path):
    write_lines(tmp_path / "unread", [replace(sample, text="") for sample in embedded_lines("train", 3)])
    nothing = SimpleNamespace(text="", confidence=1.0)
    reader = SimpleNamespace(read_lines=lambda pictures, _: [nothing for _ in pictures])
    read_unread(tmp_path / "unread", tmp_path / "read", reader)
    assert lines_of_table(tmp_path / "read" / "lines.tsv") == ([], [])


@pytest.mark.parametrize(
    ("kept", "facts", "said"),
    [
        (
            False,
            {"found": 990, "lines": 890, "learnt": True, "without": 20.04, "with": 15.0},
            "890 of 990 unread lines were read and learnt as they were read: of the characters of the held-out lines, 15.0 % are "
            "wrong with them, 20.0 % without.",
        ),
        (
            False,
            {"found": 10, "lines": 9, "learnt": False, "without": 20.0, "with": 21.0},
            "9 of 10 unread lines were read and tried, and left out in the end: of the characters of the held-out lines, 21.0 % are "
            "wrong with them, 20.0 % without.",
        ),
        (False, {"found": 10, "lines": 0, "learnt": False}, "Nothing could be read in 10 unread lines."),
        (
            True,
            {"found": 1, "lines": 0, "learnt": False},
            "1 unread line stayed unread, since what was learnt of the others did not help.",
        ),
        (False, None, ""),
    ],
)
def test_what_came_of_them_is_told(kept, facts, said):
    assert of_unread(SimpleNamespace(kept=kept, unread=facts)) == said
