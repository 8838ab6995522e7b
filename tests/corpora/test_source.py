import os
import random
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from standin import StandIn, line, write_page

from htr.corpora import load_corpus
from htr.corpora.folder import pictures_with_texts
from htr.corpora.sample import as_seen
from htr.corpora.source import load_source
from htr.errors import InputError
from htr.pages.containers import Region
from htr.writers import WRITERS

TEXTS = ["thank you for the parcel", "which came on tuesday", "the gloves fit well and", "the jam is nearly gone"]


def misread(text):
    rng = random.Random(text)
    return "".join(rng.choice("aeinrst") if c != " " and rng.random() < 0.12 else c for c in text)


@pytest.fixture
def page(tmp_path):
    """A page, and a reader that finds its lines and reads them with errors."""
    places = [(20, 30 + 80 * number, 560, 70 + 80 * number) for number in range(4)]
    write_page(tmp_path, "page", list(zip(TEXTS, places)))
    (tmp_path / "page.xml").unlink()
    lines = tuple(line(misread(text), *place) for text, place in zip(TEXTS, places))
    reader = StandIn(Region("text", lines))
    return tmp_path, lambda image: reader.read_page(cv2.imread(str(image), cv2.IMREAD_GRAYSCALE))


def rows(source):
    return [(sample.id, sample.text, sample.form) for sample in source.samples]


@pytest.mark.parametrize("text", ["\n".join(TEXTS), " ".join(TEXTS)])
def test_a_page_and_its_plain_text_become_lines(page, text):
    folder, read_page = page
    (folder / "page.txt").write_text(text)
    source = load_source(folder, read_page)
    assert rows(source) == [(f"page-{number:02d}", text, "page") for number, text in enumerate(TEXTS)]
    assert source.doubts == []
    assert all(sample.image().mean() < 200 for sample in source.samples)


def test_a_table_counts_before_xml_also_where_pictures_are_links(page, tmp_path):
    folder, read_page = page
    (tmp_path / "store").mkdir()
    places = [(20, 30 + 80 * number, 560, 70 + 80 * number) for number in range(4)]
    write_page(folder, "page", list(zip(TEXTS, places)))
    (folder / "page.png").rename(tmp_path / "store" / "ab12.png")
    (folder / "letters").mkdir()
    (folder / "letters" / "page.png").symlink_to(tmp_path / "store" / "ab12.png")
    (folder / "page.xml").rename(folder / "letters" / "page.xml")
    (folder / "letters" / "lines.tsv").write_text("file\ttext\npage.png\tone line\n")
    assert rows(load_source(folder / "letters", read_page)) == [("page", "one line", None)]


def test_what_is_not_seen_in_the_picture_is_not_learnt(page):
    folder, read_page = page
    (folder / "page.txt").write_text(
        "\n".join([TEXTS[0] + "\u00ac", TEXTS[1] + "\u00ad \r", "\u200b" + TEXTS[2], TEXTS[3] + "-\u00ac"])
    )
    assert (
        as_seen("cafe\u0301\u00ac") == "cafe\u0301-"
        and as_seen("wor\u200b \u00ac\u200e\n\nd\u00ac e") == "wor-\n\nd\u00ac e"
        and as_seen("a wor\u00ac\rd\u00ac\u2028e") == "a wor-\nd-\ne"
        and as_seen("d\x92abord\x01\tet\x81") == "d’abord\tet"
    )
    expected = [TEXTS[0] + "-", TEXTS[1] + "-", TEXTS[2], TEXTS[3] + "-"]
    assert [sample.text for sample in load_source(folder, read_page).samples] == expected


def test_scripts_from_right_to_left_are_set_aside_before_pages_are_read(page):
    folder, _ = page
    (folder / "page.txt").write_text("שלום לכולם\n1914 - Paris\nשלום\n")
    cv2.imwrite(str(folder / "line.png"), np.full((60, 700), 128, np.uint8))
    (folder / "lines.tsv").write_text("file\ttext\nline.png\tשלום לכולם\n")
    source = load_source(folder, None)
    assert source.samples == []
    assert [(doubt.line, doubt.reason[:33]) for doubt in source.doubts] == [
        ("line", "is written from right to left, wh"),
        ("page", "is written from right to left, wh"),
    ]


def test_two_texts_of_a_picture_that_differ_are_told_of(tmp_path, caplog):
    for name, texts in {"a": ("one", "two"), "b": ("three", "three "), "c": ("four", "")}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((60, 700), 128, np.uint8))
        (tmp_path / f"{name}.gt.txt").write_text(texts[0])
        (tmp_path / f"{name}.txt").write_text(texts[1])
    assert [row[1] for row in rows(load_source(tmp_path, None))] == ["one", "three", "four"]
    assert "1 text passed over, since another one counts before, which says something else (a.txt)" in caplog.text


def test_texts_of_no_picture_are_told_of(page, caplog):
    folder, read_page = page
    (folder / "page.png.txt").write_text("\n".join(TEXTS))
    for name in ("my.run", "box.run"):
        (folder / name / "lines").mkdir(parents=True)
    (folder / "my.run" / "begun.json").touch()  # the other is a person's own
    for name in ("letters-0001.txt", "letters-0002.gt.txt", "my.run/lines/notes.txt", "box.run/lines/notes.txt"):
        (folder / name).write_text("one\ntwo\n")
    assert [row[1] for row in rows(load_source(folder, read_page))] == TEXTS
    assert "3 texts left out, as no picture of the name lies beside (notes.txt); save the pages" in caplog.text


def test_a_line_that_is_not_in_the_text_is_set_aside_and_the_others_keep_their_numbers(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join([TEXTS[0], *TEXTS[2:]]))
    source = load_source(folder, read_page)
    assert [row[:2] for row in rows(source)] == [("page-00", TEXTS[0]), ("page-02", TEXTS[2]), ("page-03", TEXTS[3])]
    assert [doubt.line for doubt in source.doubts] == ["page-01"]


def test_a_page_without_lines_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((500, 300), 255, np.uint8))
    (tmp_path / "empty.txt").write_text("one line\nanother line\n")
    source = load_source(tmp_path, lambda image: StandIn().read_page(np.zeros((5, 5))))
    assert source.samples == []
    assert "shows no lines of handwriting" in source.doubts[0].reason


@pytest.mark.parametrize("text", ["blank", "Kate", "12"])
@pytest.mark.parametrize("size", [(1754, 1240), (1240, 1754)])
def test_a_page_with_a_word_or_none_is_no_line(tmp_path, text, size):
    cv2.imwrite(str(tmp_path / "last.png"), np.full(size, 255, np.uint8))
    (tmp_path / "last.txt").write_text(text)
    nothing = StandIn(Region("text", ()))
    source = load_source(tmp_path, lambda image: nothing.read_page(cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)))
    assert (source.samples, [doubt.text for doubt in source.doubts]) == ([], [text])


def test_pictures_of_lines_and_pages_may_lie_together(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    (folder / "letter").mkdir()
    cv2.imwrite(str(folder / "letter" / "1.png"), np.full((60, 700), 128, np.uint8))
    (folder / "letter" / "1.txt").write_text("a single line of writing here\n")
    assert rows(load_source(folder, read_page))[0] == ("letter/1", "a single line of writing here", "letter")
    assert len(load_source(folder, read_page).samples) == 5


def test_a_page_may_have_xml(tmp_path):
    write_page(tmp_path, "page", [(TEXTS[0], (20, 30, 560, 70))])
    write_page(tmp_path, "untold", [("", (20, 30, 560, 70))])
    source = load_source(tmp_path, None)
    assert rows(source) == [("page-00", TEXTS[0], "page")]
    assert source.pages == (tmp_path / "page.png",)


def test_all_kinds_may_lie_together_and_none_is_passed_over(page, caplog):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    write_page(folder, "second", [("read from its xml", (20, 30, 560, 70))])
    (folder / "second.txt").write_text("not this text of the second page\nnor this\n")
    (folder / "mets.xml").write_text('<mets xmlns="http://www.loc.gov/METS/"/>')
    for name in "ab":
        cv2.imwrite(str(folder / f"{name}.png"), np.full((60, 700), 128, np.uint8))
    (folder / "lines.csv").write_text("file;text\na.png;some words\n")
    (folder / "a.txt").write_text("not these words")
    (folder / "b.txt").write_text("a line beside the table")
    write_page(folder, "third", [("in both", (20, 30, 560, 70)), ("alike", (20, 90, 560, 130))])
    (folder / "third.txt").write_text("in both\nalike\n")
    source = load_source(folder, read_page)
    texts = ["some words", "read from its xml", "in both", "alike", "a line beside the table", *TEXTS]
    assert [sample.text for sample in source.samples] == texts
    assert (
        "of 2 pictures, the text beside it is passed over, since a table or XML has another one of it (a)"
        in caplog.text
    )


def test_a_picture_in_the_table_is_not_learnt_from_its_xml_too(tmp_path, caplog):
    for name, text in (("a", "misread"), ("b", "some words"), ("c", "only in xml")):
        write_page(tmp_path, name, [(text, (20, 30, 560, 70))])
    (tmp_path / "lines.csv").write_text("file,text\na.png,true words\nb.png,some words\n")
    source = load_source(tmp_path, None)
    assert [sample.text for sample in source.samples] == ["true words", "some words", "only in xml"]
    assert "of 1 picture, XML is passed over, since the table has another text of it (a)" in caplog.text


def test_a_table_of_lines(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 700), 128, np.uint8))
    (tmp_path / "lines.tsv").write_text("file\ttext\tpage\na.png\tsome words\tp1\n")
    assert rows(load_source(tmp_path, None)) == [("a", "some words", "p1")]


@pytest.mark.parametrize("name", ["", "not-there"])
def test_nothing_usable_is_said(tmp_path, name):
    with pytest.raises(InputError, match=r"put beside page\.png a page\.txt|no such folder"):
        load_source(tmp_path / name, None)


def test_texts_in_which_nothing_stands_are_listed(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    for name, text in (("blank", " \n"), ("hyphen", "\u00ad")):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((60, 700), 128, np.uint8))
        (folder / f"{name}.txt").write_text(text)
    cv2.imwrite(str(folder / "unread.png"), np.full((60, 700), 128, np.uint8))
    source = load_source(folder, read_page)
    assert [(doubt.line, doubt.reason) for doubt in source.doubts] == [
        ("blank", "has no text"),
        ("hyphen", "has no text"),
    ]
    assert len(source.samples) == 4


def test_a_damaged_picture_among_others_does_not_stop_them(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "broken.txt").write_text("a line")
    source = load_source(folder, read_page)
    assert source.samples[0].id == "broken"
    with pytest.raises(InputError, match=r"broken\.png"):
        source.samples[0].image()


def test_a_page_in_a_table_is_told_of_and_its_text_beside_it_counts(page):
    folder, read_page = page
    text = "\n".join(TEXTS)
    (folder / "lines.csv").write_text(f'file,text\npage.png,"{text}"\n')
    with pytest.raises(InputError, match="line 2: is the text of a page, not of a line; put it into page.txt"):
        load_corpus(f"lines:{folder}")
    (folder / "page.txt").write_text(text)
    source = load_source(folder, read_page)
    assert [sample.text for sample in source.samples] == TEXTS
    assert [doubt.line for doubt in source.doubts] == ["lines.csv: line 2"]


def test_a_page_for_which_the_memory_is_too_small_does_not_stop_the_others(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    shutil.copy(folder / "page.png", folder / "large.png")
    shutil.copy(folder / "page.txt", folder / "large.txt")

    def short(image):
        if image.stem == "large":
            raise MemoryError
        return read_page(image)

    source = load_source(folder, short)
    assert [sample.form for sample in source.samples] == 4 * ["page"]
    (doubt,) = source.doubts
    assert (doubt.line, doubt.reason[:52]) == ("large", "cannot be used: the memory is too small for it; scal")


def test_pages_in_folders_of_splits_are_of_these(page):
    folder, read_page = page
    (folder / "train").mkdir()
    (folder / "page.png").rename(folder / "train" / "page.png")
    (folder / "train" / "page.txt").write_text("\n".join(TEXTS))
    assert {sample.split for sample in load_source(folder, read_page).samples} == {"train"}


def test_what_cannot_be_used_is_set_aside_and_stops_nothing_else(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    picture = np.full((60, 700), 128, np.uint8)
    for name in ("a", "b", "c"):
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    (folder / "a.txt").write_bytes("une ligne écrite".encode("cp1252"))
    (folder / "b.txt").write_text("a line that is good")
    (folder / "torn.xml").write_text('<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Layout>')
    (folder / "other.xml").write_text("<TEI>&nbsp;</TEI>")
    write_page(folder, "lost", [(TEXTS[0], (20, 30, 560, 70))])
    (folder / "lost.png").unlink()
    (folder / "lines.csv").write_text("file,text,split\nc.png,from the table,\nnot-there.png,lost,\nb.png,b,dev\n")

    def read(image):
        if image.name != "page.png":
            raise InputError(f"{image}: has 2 pages")
        return read_page(image)

    cv2.imwrite(str(folder / "many.png"), picture)
    (folder / "many.txt").write_text("one line\nanother line\n")
    source = load_source(folder, read)
    assert [sample.text for sample in source.samples] == ["from the table", "a line that is good", *TEXTS]
    reasons = {doubt.line: doubt.reason for doubt in source.doubts}
    assert list(reasons) == ["lines.csv: line 3", "lines.csv: line 4", "lost.xml", "torn.xml", "a", "many"]
    for name, reason in (
        ("lines.csv: line 3", "which is not there"), ("lines.csv: line 4", "must be one of"), ("lost.xml", "its picture"),
        ("torn.xml", "not well-formed"), ("a", "not a text file in UTF-8"), ("many", "has 2 pages"),
    ):  # fmt: skip
        assert reason in reasons[name]


def test_lines_of_xml_that_cannot_be_used_or_have_no_text_are_told(tmp_path):
    place = (20, 30, 560, 70)
    write_page(tmp_path, "page", [("good", place), ("without a place", place), ("", place), ("beside the page", place)])
    file = tmp_path / "page.xml"
    lines = file.read_text().split("<TextLine")
    lines[2] = re.sub(r'(HPOS|BASELINE)="[^"]*"', "", lines[2])
    lines[4] = lines[4].replace('HPOS="20"', 'HPOS="9000"')
    file.write_text("<TextLine".join(lines))
    source = load_source(tmp_path, None)
    assert [sample.text for sample in source.samples] == ["good"]
    assert [(doubt.line, doubt.text) for doubt in source.doubts] == [
        ("page.xml", "without a place"), ("page.xml", "beside the page"), ("page", ""),
    ]  # fmt: skip
    assert "has 1 line without a text" in source.doubts[2].reason


def test_a_page_whose_xml_has_no_texts_is_laid_beside_its_plain_text(page):
    folder, read_page = page
    write_page(folder, "page", [("", (20, 30, 560, 70))])
    (folder / "page.txt").write_text("\n".join(TEXTS))
    assert [sample.text for sample in load_source(folder, read_page).samples] == TEXTS


@pytest.mark.parametrize("name", ["page", "page2013", "alto"])
def test_a_text_comes_before_xml_that_htr_itself_wrote(page, name, caplog):
    folder, read_page = page
    picture = Image.open(folder / "page.png")
    read = read_page(folder / "page.png")
    wrong = Region("text", tuple(replace(line, text="as it was misread") for line in read.lines))
    xml = folder / f"page{WRITERS[name].suffix}"
    xml.write_bytes(WRITERS[name].write(replace(read, regions=(wrong,), file="page.png"), picture))
    for _ in range(2):
        assert {sample.text for sample in load_source(folder, read_page).samples} == {"as it was misread"}
        (folder / "page.txt").write_text("\n")  # says nothing
    assert "1 page with XML that htr wrote, whose texts are taken for true though maybe nobody has" in caplog.text
    (folder / "page.txt").write_text("\n".join(TEXTS))
    assert [sample.text for sample in load_source(folder, read_page).samples] == TEXTS
    assert "1 page with a text, beside which the XML that htr wrote does not count" in caplog.text
    # Another program has had it in hand since; Transkribus leaves the name.
    xml.write_bytes(
        xml.read_bytes().replace(b"<Creator>htr", b"<Creator>eScriptorium").replace(b"Name>htr<", b"Name>kraken<")
        if name != "page2013"
        else xml.read_bytes().replace(b"</Metadata>", b'<TranskribusMetadata docId="1"/></Metadata>')
    )
    assert {sample.text for sample in load_source(folder, read_page).samples} == {"as it was misread"}


def test_a_page_is_learnt_once_whose_xml_names_what_another_program_made_of_it(page):
    folder, read_page = page
    picture = Image.open(folder / "page.png")
    content = WRITERS["page"].write(replace(read_page(folder / "page.png"), file="page.bin.png"), picture)
    picture.save(folder / "page.bin.png")
    (folder / "page.xml").write_bytes(content.replace(b"<Creator>htr", b"<Creator>kraken"))
    (folder / "page.txt").write_text("\n".join(TEXTS))
    assert [name for name, _, _ in rows(load_source(folder, read_page))] == [f"page.bin-{n:02d}" for n in range(4)]


def test_what_htr_made_of_a_picture_does_not_take_its_place(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS))
    picture = Image.open(folder / "page.png")
    (folder / "page.pdf").write_bytes(
        WRITERS["pdf"].write(replace(read_page(folder / "page.png"), file="page.png"), picture)
    )
    picture.convert("RGB").save(folder / "page.overlay.jpg")
    assert pictures_with_texts(folder) == [(folder / "page.png", folder / "page.txt")]


def test_text_that_no_line_took_is_told(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join([*TEXTS, "with love from all of us"]))
    source = load_source(folder, read_page)
    assert [sample.text for sample in source.samples] == TEXTS
    assert [(doubt.line, doubt.text) for doubt in source.doubts] == [("page", "with love from all of us")]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "lines.csv").touch()
    with pytest.raises(InputError, match="is a file; unpack it if it is packed, and give the folder"):
        load_source(tmp_path / "lines.csv", None)


def test_a_table_in_a_folder_below_is_named(tmp_path):
    for name in ("letters", "my.run/lines"):
        (tmp_path / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name / "a.png"), np.full((60, 700), 128, np.uint8))
        (tmp_path / name / "lines.csv").write_text("file,text\na.png,some words\n")
    (tmp_path / "my.run" / "begun.json").touch()
    source = load_source(tmp_path, None)
    assert [(doubt.line, doubt.reason[:31]) for doubt in source.doubts] == [
        ("letters/lines.csv", "is a table in a folder below, w")
    ]


def test_a_found_line_for_which_the_text_has_no_row_is_told_so(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join(TEXTS[:3]))
    doubts = load_source(folder, read_page).doubts
    assert [(doubt.line, doubt.text) for doubt in doubts] == [("page-03", "")]
    assert doubts[0].reason == f"was read as {misread(TEXTS[3])!r}, for which no row of the text is left"


def test_a_row_of_a_table_without_a_text_is_told(tmp_path):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((60, 700), 128, np.uint8))
    (tmp_path / "lines.tsv").write_text("file\ttext\na.png\t \nb.png\tsome words\n")
    source = load_source(tmp_path, None)
    assert rows(source) == [("b", "some words", None)]
    assert [doubt[:3] for doubt in source.doubts] == [("a", "", "has no text")]


def test_pictures_without_a_text_are_counted_but_not_those_of_a_run(tmp_path, caplog):
    for name in ("a", "b", "letters/c", "my.run/lines/00000"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((60, 700), 128, np.uint8))
    (tmp_path / "my.run" / "begun.json").touch()
    (tmp_path / "a.txt").write_text("some words")
    assert rows(load_source(tmp_path, None)) == [("a", "some words", None)]
    assert "2 pictures without a text beside them left out" in caplog.text
    assert "cannot be read" not in caplog.text
    (tmp_path / "b.docx").touch()
    load_source(tmp_path, None)
    assert "1 document of the names of pictures cannot be read (b.docx); save each as plain text" in caplog.text
    # One that has been worked on since its picture had a text counts too, one that the text was saved from does not.
    caplog.clear()
    (tmp_path / "b.docx").unlink()
    (tmp_path / "a.docx").touch()
    os.utime(tmp_path / "a.docx", (1e9, 1e9))
    load_source(tmp_path, None)
    assert "cannot be read" not in caplog.text
    os.utime(tmp_path / "a.txt", (9e8, 9e8))
    load_source(tmp_path, None)
    assert "1 document of the names of pictures cannot be read (a.docx)" in caplog.text


def test_of_a_line_that_stands_twice_in_a_text_and_is_found_once_the_other_is_told(page):
    folder, read_page = page
    (folder / "page.txt").write_text("\n".join([*TEXTS, TEXTS[1]]))
    source = load_source(folder, read_page)
    assert [sample.text for sample in source.samples] == TEXTS
    assert [(doubt.line, doubt.text) for doubt in source.doubts] == [("page", TEXTS[1])]
    # Also where an edition has counted the lines.
    (folder / "page.txt").write_text("\n".join(f"{row} {text}" for row, text in enumerate([*TEXTS, TEXTS[1]], 1)))
    source = load_source(folder, read_page)
    assert [sample.text for sample in source.samples] == TEXTS
    assert [(doubt.line, doubt.text) for doubt in source.doubts] == [("page", TEXTS[1])]
