import csv
import io
import json
import re
from dataclasses import replace

import pytest

from htr.pages.containers import Page, Region
from htr.writers import WRITERS


def test_every_format_has_its_own_suffix():
    """By which --resume and other programs find its files."""
    assert {name: writer.suffix for name, writer in WRITERS.items()} == {
        "text": ".txt", "csv": ".csv", "json": ".json", "jsonl": ".jsonl", "alto": ".alto.xml", "page": ".page.xml",
        "page2013": ".xml", "hocr": ".hocr.html", "pdf": ".pdf",
    }  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_takes_an_empty_page_and_a_file_name_of_any_bytes(name, page, blank, make_line):
    write = WRITERS[name].write
    odd = replace(page, file="a/<&>'\"\udcff\n.png")
    assert write(odd, blank(odd))
    empty = Page(200, 100)
    written = write(empty, blank(empty))
    assert written == b"" if name == "text" else written


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_page_gives_the_same_bytes(name, page, blank):
    first, second = (WRITERS[name].write(page, blank(page)) for _ in range(2))
    # Some hold the time of writing, PDF also a checksum of it.
    dates = b"<(Created|LastChange)>[^<]*"
    times = {"page": dates, "page2013": dates, "pdf": rb"(?s)D:\d{14}|/ID\s*\[.*?\]"}
    if name in times:
        first, second = (re.sub(times[name], b"", written) for written in (first, second))
    assert first == second


def test_text_leaves_out_print_and_separates_regions(page, blank):
    assert WRITERS["text"].write(page, blank(page)) == b"Dear Margaret,\nthank you both\n\nanswered\n"


def test_csv_has_a_row_for_each_line_of_writing(page, blank, make_line):
    said = make_line('"Well, then", he said', 300, 200, 0.87654)
    asked = make_line("- Who is there? = + @", 300, 260)
    page = replace(page, file="é/a,b.png", regions=(page.regions[0], Region("text", (said, asked)), page.regions[2]))
    written = WRITERS["csv"].write(page, blank(page))
    assert written.startswith(b"\xef\xbb\xbf")  # by which Excel knows that it is UTF-8
    assert list(csv.reader(io.StringIO(written.decode("utf-8-sig")))) == [
        ["file", "page number", "line", "region", "row", "kind", "confidence", "text"],
        ["é/a,b.png", "3", "1", "1", "1", "text", "0.8765", '"Well, then", he said'],
        ["é/a,b.png", "3", "2", "1", "2", "text", "0.9000", " - Who is there? = + @"],  # no formula
        ["é/a,b.png", "3", "3", "2", "1", "margin", "0.9000", "answered"],
    ]
    named = WRITERS["csv"].write(replace(page, file="-001.jpg"), blank(page)).decode("utf-8-sig")
    assert {row[0] for row in csv.reader(io.StringIO(named))} == {"file", " -001.jpg"}


@pytest.mark.parametrize("mark", "=+-@")
def test_no_text_is_a_formula_in_csv(mark, page, blank, make_line):
    page = replace(page, regions=(Region("text", (make_line(f"{mark}1", 300, 200),)),))
    *_, row = csv.reader(io.StringIO(WRITERS["csv"].write(page, blank(page)).decode("utf-8-sig")))
    assert row[-1] == f" {mark}1"


def test_in_csv_a_line_that_is_turned_against_the_page_is_of_no_row(page, blank, turned, make_line):
    up = turned(replace(page, regions=(Region("margin", (make_line("up", 300, 200),)),)), 90)
    page = replace(page, regions=(page.regions[1], *up.regions))
    rows = list(csv.reader(io.StringIO(WRITERS["csv"].write(page, blank(page)).decode("utf-8-sig"))))
    assert [row[4] for row in rows] == ["row", "1", "2", "3", ""]


def test_json_tells_how_a_page_lies(page, blank, turned):
    page = turned(page, 90)
    assert json.loads(WRITERS["json"].write(page, blank(page)))["turn"] == 90


def test_json_tells_all_that_is_known(page, blank):
    record = json.loads(WRITERS["json"].write(page, blank(page)))
    assert {key: record[key] for key in ("file", "number", "width", "height", "turn", "notes")} == {
        "file": "letters/box 1/page.png",
        "number": 3,
        "width": 1000,
        "height": 700,
        "turn": 0,
        "notes": ["a note"],
    }
    assert [region["kind"] for region in record["regions"]] == ["print", "text", "margin"]
    line = record["regions"][1]["lines"][0]
    assert (line["text"], line["confidence"], line["box"]) == ("Dear Margaret,", 0.9, [300, 200, 580, 240])
    assert line["baseline"] == [[300, 230], [580, 230]]
    word = line["words"][1]
    assert (word["text"], word["box"]) == ("Margaret,", [400, 200, 580, 240])
    assert "".join(character["text"] for character in word["characters"]) == "Margaret,"
    assert word["characters"][1]["polygon"] == [[420, 200], [440, 200], [440, 240], [420, 240]]


def test_json_rounds_and_keeps_what_looks_like_numbers_in_texts(page, blank, make_line):
    line = replace(make_line("[ 1, 2 ]\n", 10.123, 20), confidence=0.123456)
    page = replace(page, regions=(replace(page.regions[1], lines=(line,)),))
    (read,) = json.loads(WRITERS["json"].write(page, blank(page)))["regions"][0]["lines"]
    assert (read["text"], read["confidence"], read["polygon"][0]) == ("[ 1, 2 ]\n", 0.1235, [10.1, 20.0])


def test_json_lines_hold_the_same_in_one_line(page, blank):
    written = WRITERS["jsonl"].write(page, blank(page))
    assert written.count(b"\n") == 1 and written.endswith(b"\n")
    indented = WRITERS["json"].write(page, blank(page))
    assert json.loads(written) == json.loads(indented)
    assert indented.endswith(b"}\n") and b"[[300.0, 230.0], [580.0, 230.0]]" in indented
