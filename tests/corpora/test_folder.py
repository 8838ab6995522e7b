import shutil
import unicodedata

import cv2
import numpy as np
import pytest

from htr.corpora import load_corpus
from htr.corpora import sample as samples
from htr.corpora.folder import lines_of_table, texts_without_picture
from htr.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """A folder with the pictures a.png and val/b.png."""
    (tmp_path / "val").mkdir()
    for name, value in [("a.png", 50), ("val/b.png", 200)]:
        cv2.imwrite(str(tmp_path / name), np.full((20, 100), value, np.uint8))
    return tmp_path


def rows(folder):
    return [(line.id, line.text, line.split, line.writer, line.form) for line in load_corpus(f"lines:{folder}")]


def test_table_with_tabs(folder):
    (folder / "lines.tsv").write_text(
        'file\ttext\tpage\tsplit\na.png\t"un >mot< d’ici\tp1\ttrain\nval/b.png\tdeux\t\ttest\n', encoding="utf-8"
    )
    assert rows(folder) == [("a", "\"un >mot< d'ici", "train", None, "p1"), ("val/b", "deux", "test", None, None)]
    assert load_corpus(f"lines:{folder}")[1].image()[0, 0] == 200


def test_table_with_commas_and_without_splits(folder):
    (folder / "lines.csv").write_text('\ufefffile,text,writer\na.png,"one, two",kate\nval/b.png,three,\n', "utf-8")
    assert rows(folder) == [("a", "one, two", "test", "kate", None), ("val/b", "three", "val", None, None)]


def test_pictures_in_folders_of_a_table_without_pages_are_of_these(folder):
    (folder / "page1").mkdir()
    shutil.copy(folder / "a.png", folder / "page1" / "01.png")
    table = ["file,text", "page1/01.png,one", "val/b.png,two", "a.png,three"]
    (folder / "lines.csv").write_text("\n".join(table))
    assert [form for *_, form in rows(folder)] == ["page1", None, None]
    (folder / "lines.csv").write_text(
        "\n".join(f"{row},{'' if number else 'page'}" for number, row in enumerate(table))
    )
    assert [form for *_, form in rows(folder)] == [None, None, None]


def test_table_with_semicolons(folder):
    (folder / "lines.csv").write_text('file;text;writer\na.png;"un, deux; trois";A\n')
    assert rows(folder) == [("a", "un, deux; trois", "test", "A", None)]


def test_a_row_that_stands_there_twice_counts_once(folder, caplog):
    (folder / "lines.csv").write_text("file,text\na.png,one\nval/b.png,two\na.png,one\na.png, one\n")
    assert [line for line, *_ in rows(folder)] == ["a", "val/b"]
    assert "lines.csv: 2 rows left out, as copies of others" in caplog.text


def test_a_picture_that_a_table_names_in_two_formats_counts_once(folder, caplog):
    cv2.imwrite(str(folder / "a.jpg"), np.full((20, 100), 50, np.uint8))
    (folder / "lines.csv").write_text("file,text\na.png,one\na.jpg,one\nval/b.png,two\n")
    assert [line for line, *_ in rows(folder)] == ["a", "val/b"]
    assert "lines.csv: 1 row left out, as copies of others" in caplog.text
    (folder / "lines.csv").write_text("file,text,split\na.png,one,train\na.jpg,one,test\n")
    with pytest.raises(InputError, match="line 3: names a picture that is of the split train in line 2"):
        rows(folder)


def test_quotes_of_a_spreadsheet_among_tabs_are_warned_of(folder, caplog):
    (folder / "lines.tsv").write_text('file\ttext\na.png\t"Dear Margaret,"\nval/b.png\t"so"\n')
    assert rows(folder)[0][1] == '"Dear Margaret,"'
    assert "lines.tsv: 1 text in quotes, which are taken for what is written" in caplog.text


def test_text_files_beside_pictures(folder, caplog):
    (folder / "a.gt.txt").write_text("one\n")
    (folder / "val" / "b.txt").write_text("two\n")
    assert rows(folder) == [("a", "one", "test", None, None), ("val/b", "two", "val", None, None)]
    (folder / "a.gt.txt").unlink()
    assert [row[0] for row in rows(folder)] == ["val/b"]
    assert "1 lines have no text and are left out, 1 have one" in caplog.text


def test_a_text_of_a_page_in_a_table_is_no_line(folder):
    for text in f'"{"and so on " * 10}\n{"and so on " * 10}"', "and so on " * 21:
        (folder / "lines.csv").write_text(f"file,text\nval/b.png,one\na.png,{text}\n")
        with pytest.raises(
            InputError, match=r"lines\.csv: line [34]: is the text of a page, not of a line; put it into a\.txt"
        ):
            rows(folder)


def test_a_text_of_a_page_is_no_line(folder):
    (folder / "a.txt").write_text("two\nlines\n")
    with pytest.raises(
        InputError, match=r"a\.txt: is the text of a page, not of a line; htr\.finetune learns from such"
    ):
        load_corpus(f"lines:{folder}")


def test_fields_that_excel_leaves_out_at_the_end_of_rows_are_empty(folder):
    (folder / "lines.csv").write_text("file;text;page;split\na.png;one;p1;train\nb.png;two\n")
    cv2.imwrite(str(folder / "b.png"), np.full((40, 200), 255, np.uint8))
    one, two = load_corpus(f"lines:{folder}")
    assert (one.split, two.text, two.split, two.form) == ("train", "two", "test", None)


@pytest.mark.parametrize(
    ("name", "table", "complaint"),
    [
        ("lines.tsv", "file\tname\na.png\tx\n", "lines.tsv: the columns file and text must be named"),
        ("lines.tsv", "file\ttext\na.png\tone\nb.png\ttwo\n", "line 3: names .*b.png, which is not there"),
        ("lines.tsv", "file\ttext\na.png\n", "line 2: has more or fewer fields"),
        ("lines.tsv", "file\ttext\na.png\tone\ttwo\n", "line 2: has more or fewer fields"),
        ("lines.csv", "file;split;text\na.png;val\n", "line 2: has more or fewer fields"),
        (
            "lines.csv",
            "file,text,split\na.png,x,train\n./a.png,x,test\n",
            "line 3: names a picture that is of the split train",
        ),
        (
            "lines.tsv",
            "file\ttext\na.png\tone\na.png\ttwo\n",
            "line 3: names a picture that has another text in line 2",
        ),
        ("lines.tsv", "file\ttext\n\tone\n", "line 2: names no file; correct it"),
        (
            "lines.tsv",
            "file\ttext\tsplit\na.png\tone\tdev\n",
            "line 2: names the split 'dev', which must be one of train, val, test",
        ),
        ("lines.tsv", "file\ttext\n", "has no lines with a text"),
        (
            "lines.csv",
            "sep=;\nfile;text\na.png;one\nb.png;two\n",
            "lines.csv: line 4: names .*b.png, which is not there",
        ),
        ("lines.csv", 'file,text\na.png,"one\n', "lines.csv: line 2: has a quotation mark that nothing closes"),
        ("lines.csv", 'sep=;\nfile;text\na.png;"one\n', "lines.csv: line 3: has a quotation mark that nothing closes"),
        (
            "lines.csv",
            'file,text\na.png,one\na.png,"one\na.png,one\na.png,one\n',
            "lines.csv: line 3: has a quotation mark that nothing closes; double those that are written",
        ),
        ("lines.csv", 'file,text\na.png,"o"ne\n', "lines.csv: line 2: .* correct it"),
        ("lines.csv", "file,text,text\na.png,one,two\n", "lines.csv: the first line names the column text twice"),
        (
            "lines.csv",
            "file,File ,text\na.png,val/b.png,one\n",
            "lines.csv: the first line names the column file twice",
        ),
    ],
)
def test_bad_tables_are_named(folder, name, table, complaint):
    (folder / name).write_text(table)
    with pytest.raises(InputError, match=complaint):
        rows(folder)


def test_pictures_whose_names_differ_after_the_last_dot_are_not_one(folder):
    cv2.imwrite(str(folder / "a.jpg"), np.full((40, 200), 255, np.uint8))
    for number in (1, 2):
        (folder / f"MS.{number}").write_bytes((folder / "a.png").read_bytes())
    table = "file\ttext\na.png\tone\na.jpg\ttwo\nMS.1\tthree\nMS.2\tfour\na.jpg\ttwo\n"
    (folder / "lines.tsv").write_text(table)
    assert [row[:2] for row in rows(folder)] == [("a", "one"), ("a.jpg", "two"), ("MS.1", "three"), ("MS.2", "four")]
    (folder / "lines.tsv").write_text(table + "a.jpg\tfive\n")
    with pytest.raises(InputError, match="line 7: names a picture that has another text in line 3"):
        rows(folder)


def test_columns_that_do_not_count_may_have_one_name(folder):
    (folder / "lines.csv").write_text("file;text;;note;;note\na.png;one;;1;;2\n")
    assert rows(folder) == [("a", "one", "test", None, None)]


def test_bad_folders_are_named(folder):
    with pytest.raises(InputError, match="no such folder"):
        rows(folder / "nowhere")
    with pytest.raises(InputError, match="has no lines with a text"):
        rows(folder)
    for content in (b"\xff\xfe\x00", "in UTF-16 without its mark".encode("utf-16-le")):
        (folder / "a.txt").write_bytes(content)
        with pytest.raises(InputError, match=r"a.txt: not a text file in UTF-8"):
            rows(folder)
    (folder / "lines.tsv").write_bytes(b"file\ttext\na.png\t\xe9\n")
    with pytest.raises(InputError, match=r"lines.tsv: not a text file in UTF-8"):
        rows(folder)
    (folder / "lines.csv").touch()
    with pytest.raises(InputError, match="both"):
        rows(folder)


def test_tables_as_spreadsheets_and_windows_write_them(folder):
    (folder / "lines.csv").write_bytes("sep=;\r\nFile; Text;Split\r\nval\\b.png;été;Train\r\n;;\r\n".encode("utf-16"))
    assert [row[1:3] for row in rows(folder)] == [("été", "train")]
    (folder / "lines.csv").write_text("file\ttext\na.png\tone, two\n")
    assert rows(folder) == [("a", "one, two", "test", None, None)]


def test_what_a_person_made_comes_before_what_a_program_may_have_made(folder):
    (folder / "a.gt.txt").write_text("the truth\n")
    (folder / "a.txt").write_text("teh trvth\n")
    assert rows(folder)[0][:2] == ("a", "the truth")


def test_an_empty_text_hides_no_other(folder):
    (folder / "a.gt.txt").write_text("\n")
    (folder / "a.txt").write_text("the text\n")
    assert rows(folder)[0][:2] == ("a", "the text")


def test_texts_are_found_as_reading_names_them(folder):
    """Of a.bin.png it writes a.bin.txt."""
    (folder / "a.png").rename(folder / "a.bin.png")
    (folder / "a.bin.txt").write_text("corrected\n")
    assert rows(folder)[0][:2] == ("a.bin", "corrected")
    assert not texts_without_picture(folder)


def test_a_row_that_a_quotation_mark_takes_into_another_is_told(folder):
    (folder / "lines.csv").write_text('file,text\na.png,"She will float\nval/b.png,he says; not so sure."\n')
    samples, doubts = lines_of_table(folder / "lines.csv")
    assert not samples
    assert [doubt.reason for doubt in doubts] == [
        "goes on in the next row, by a quotation mark; double those that are written, or use lines.tsv"
    ]
    (folder / "lines.csv").write_text('file,text\na.png,"of a page,\nin two rows"\nval/b.png,one\n')
    assert [sample.text for sample in lines_of_table(folder / "lines.csv")[0]] == ["of a page, in two rows", "one"]


def test_a_picture_in_two_formats_counts_once(folder, caplog):
    picture = cv2.imread(str(folder / "a.png"))
    for name in ("a.tif", "a.bin.png"):
        cv2.imwrite(str(folder / name), picture)
    cv2.imwrite(str(folder / "c.bin.png"), picture)
    (folder / "a.txt").write_text("one\n")
    (folder / "c.gt.txt").write_text("two\n")
    assert [row[:2] for row in rows(folder)] == [("a", "one"), ("c.bin", "two")]
    assert "2 pictures left out, since others have the same name but for the ending" in caplog.text


def test_texts_that_keep_the_whole_name_of_their_picture_are_found(folder, caplog):
    """As reading writes them for pictures whose names differ in their endings alone."""
    picture = cv2.imread(str(folder / "a.png"))
    for name in ("letter.jpg", "letter.tif"):
        cv2.imwrite(str(folder / name), picture)
    (folder / "letter.tif.txt").write_text("corrected\n")
    assert [row[:2] for row in rows(folder)] == [("letter", "corrected")]
    assert "1 picture left out, since others have the same name but for the ending (letter.jpg)" in caplog.text
    (folder / "letter.gt.txt").write_text("the truth\n")
    assert [row[:2] for row in rows(folder)] == [("letter", "the truth")]


def test_names_that_a_mac_or_windows_writes_in_another_way(folder):
    picture = cv2.imencode(".png", np.full((20, 100), 9, np.uint8))[1].tobytes()
    (folder / unicodedata.normalize("NFD", "Müller.PNG")).write_bytes(picture)
    (folder / "müller.TXT").write_text("one\n")
    assert [row[1] for row in rows(folder)] == ["one"]
    (folder / "LINES.csv").write_text("file,text\nMüller.png,two\n", encoding="utf-8")
    assert [row[1] for row in rows(folder)] == ["two"]
    below = folder / unicodedata.normalize("NFD", "Zoë") / "Scans"
    below.mkdir(parents=True)
    for name in ("1.PNG", "2.PNG"):
        (below / name).write_bytes(picture)
    (folder / "LINES.csv").write_text("file,text\nZoë/scans/1.png,three\nZoë\\SCANS\\2.png,four\n", encoding="utf-8")
    assert [row[1] for row in rows(folder)] == ["three", "four"]


def test_of_names_that_differ_in_capitals_each_has_its_own_text(folder):
    picture = np.full((40, 400), 255, np.uint8)
    cv2.imwrite(str(folder / "12A.png"), picture)
    if (folder / "12a.png").exists():
        pytest.skip("this disk takes both names for one")
    (folder / "12a.txt").write_text("of the other leaf")
    assert [sample.id for sample in load_corpus(f"lines:{folder}")] == ["12A"]
    cv2.imwrite(str(folder / "12a.png"), picture)
    assert [sample.id for sample in load_corpus(f"lines:{folder}")] == ["12a"]
    for picture_name, text in (("12a.png", "12a.png.txt"), ("12a.bin.png", "12a.txt")):
        for name in ("12a.png", "12a.txt"):
            (folder / name).unlink(missing_ok=True)
        cv2.imwrite(str(folder / picture_name), picture)
        (folder / text).write_text("of the other leaf")
        assert [sample.id for sample in load_corpus(f"lines:{folder}")] == [picture_name.removesuffix(".png")]
        (folder / text).unlink()


@pytest.mark.parametrize("names", [("Page1.jpg", "Page1.tif", "page1.txt"), ("page1.jpg", "page1.tif", "page1.TXT")])
def test_a_picture_in_two_formats_has_the_text_whose_capitals_differ(folder, names):
    for name in names[:2]:
        cv2.imwrite(str(folder / name), np.full((40, 400), 255, np.uint8))
    (folder / names[2]).write_text("a text")
    assert [sample.text for sample in load_corpus(f"lines:{folder}")] == ["a text"]


def test_what_systems_hide_or_pack_along_is_passed_over(folder):
    (folder / "a.txt").write_text("one\n")
    for name in ("__MACOSX/._a", ".cache/a"):
        (folder / name).parent.mkdir()
        for ending in (".png", ".txt", ".xml"):
            (folder / f"{name}{ending}").write_bytes(b"\x00\x05\x16\x07\xff")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert rows(folder) == [("a", "one", "test", None, None)]


def test_folders_in_which_a_corpus_lies_tell_no_split(folder, tmp_path):
    elsewhere = tmp_path / "train" / "scans" / "z.png"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes((folder / "a.png").read_bytes())
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "lines.csv").write_text(f"file;text\n{elsewhere};two\n")
    assert [row[1:3] for row in rows(tmp_path / "letters")] == [("two", "test")]


def test_the_split_is_told_by_the_folder_also_in_paths_of_windows(folder):
    (folder / "lines.csv").write_text("file;text\nval\\b.png;two\n")
    assert rows(folder) == [("val/b", "two", "val", None, None)]


def test_capitals_of_the_folders_of_splits_do_not_count_and_other_names_of_them_are_said(folder, caplog):
    if (folder / "VAL").exists():
        pytest.skip("this disk takes VAL and val for one")
    samples._say_nearly.cache_clear()
    for name in ("Train", "VAL", "Validation"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "c.png").write_bytes((folder / "a.png").read_bytes())
        (folder / name / "c.txt").write_text("three\n")
    assert [row[:3] + row[4:] for row in rows(folder)] == [
        ("Train/c", "three", "train", None), ("VAL/c", "three", "val", None), ("Validation/c", "three", "test", "Validation"),
    ]  # fmt: skip
    assert "a folder called validation says nothing of the split; rename it to val if that is meant" in caplog.text


def test_a_line_is_called_as_its_picture_is_on_disk(folder):
    (folder / "lines.csv").write_text("file,text\nA.PNG,one\n./val/b.png,two\n")
    assert [row[:2] for row in rows(folder)] == [("a", "one"), ("val/b", "two")]


def test_a_text_of_a_page_without_line_breaks_is_no_line(folder):
    (folder / "a.txt").write_text("and so on " * 21)
    with pytest.raises(InputError, match=r"a\.txt: is the text of a page, not of a line"):
        load_corpus(f"lines:{folder}")
    # A very long strip may be of one line.
    cv2.imwrite(str(folder / "a.png"), np.full((20, 2000), 255, np.uint8))
    assert len(rows(folder)) == 1


def test_a_text_where_the_file_should_be_is_named(folder):
    (folder / "lines.csv").write_text(f"text,file\na.png,{'all that stands in this line ' * 10}\n")
    with pytest.raises(InputError, match="lines.csv: line 2: names .*, which is not there"):
        rows(folder)


def test_pages_of_one_name_in_two_folders_are_two(folder):
    for box in ("box1", "box2"):
        (folder / box / "p").mkdir(parents=True)
        (folder / box / "p" / "1.png").write_bytes((folder / "a.png").read_bytes())
        (folder / box / "p" / "1.txt").write_text("one\n")
    assert [(name, form) for name, *_, form in rows(folder)] == [("box1/p/1", "box1/p"), ("box2/p/1", "box2/p")]


@pytest.mark.parametrize("links", [["b"], ["b", "Z", "val/a"]])
def test_lines_that_a_link_leads_to_as_well_count_once(folder, links):
    (folder / "a").mkdir()
    for ending in ("png", "txt"):
        (folder / f"a.{ending}").touch()
        (folder / f"a.{ending}").rename(folder / "a" / f"1.{ending}")
    (folder / "a" / "1.txt").write_text("one\n")
    for link in links:
        (folder / link).symlink_to(folder / "a", target_is_directory=True)
    assert rows(folder) == [("a/1", "one", "test", None, "a")]


def test_of_links_to_one_folder_elsewhere_the_first_counts(folder):
    lines = folder / "val"
    (lines / "b.txt").write_text("two\n")
    (folder / "letters").mkdir()
    for link in ("val", "train"):
        (folder / "letters" / link).symlink_to(lines, target_is_directory=True)
    assert [row[:3] for row in rows(folder / "letters")] == [("train/b", "two", "train")]
    # As do those below it.
    (folder / "letters" / "all").symlink_to(folder, target_is_directory=True)
    assert [row[:3] for row in rows(folder / "letters")] == [("all/val/b", "two", "val")]
