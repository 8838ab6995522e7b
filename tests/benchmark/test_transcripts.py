"""Plain texts beside pages whose lines are known: which lines got their own text."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from standin import StandIn, line, write_page

from htr.benchmark import transcripts
from htr.pages.containers import Region

TEXTS = ["my dear friend", "the boat is mended", "come before winter"]
PLACES = [(50, top, 500, top + 40) for top in (60, 160, 260)]


@pytest.fixture
def measure(tmp_path, monkeypatch, command_line):
    """Lays the texts beside what was read at some places, and gives what the command says and the counts it writes."""
    monkeypatch.setattr("htr.benchmark.provenance.provenance", lambda *_, **__: {
        "weights": {"sha256": "5" * 64}, "machine": {"processor": "AMD EPYC", "threads": 2, "precision": "bf16"},
        "date": "2026-01-01", "command": "python -m htr.benchmark.transcripts",
    })  # fmt: skip
    (tmp_path / "letters").mkdir()
    write_page(tmp_path / "letters", "page", list(zip(TEXTS, PLACES)))

    def run(*read):
        reader = StandIn(Region("text", tuple(line(text, *place) for text, place in read)))
        monkeypatch.setattr("htr.reader.load", lambda *_: reader)
        code, out, err = command_line(transcripts.main, tmp_path / "letters", "--out", tmp_path / "out")
        assert code == 0, err
        (file,) = (tmp_path / "out").iterdir()
        return out, json.loads(file.read_text())["results"]

    return run


def test_so_few_pages_are_refused(command_line, tmp_path):
    code, _, err = command_line(transcripts.main, tmp_path, "--count", "-1", "--out", tmp_path)
    assert code == 2
    assert "error: --count -1: give at least one page" in err


def test_lines_read_with_errors_get_their_text(measure):
    read = ["my dcar friond", "the boat is mendcd", "corne before winter"]
    out, counts = measure(*zip(read, PLACES))
    assert set(counts) == {"with line breaks", "without line breaks"}
    assert counts["with line breaks"] == {"true": 3, "right": 3, "wrong": 0}
    assert "with line breaks: of 3 lines 3 got their text, 0 another one" in out


def test_a_text_that_goes_to_another_place_counts_as_wrong(measure):
    # What stands in the first place is read in the second, and the reverse.
    _, counts = measure((TEXTS[0], PLACES[1]), (TEXTS[1], PLACES[0]), (TEXTS[2], PLACES[2]))
    assert counts["with line breaks"] == {"true": 3, "right": 1, "wrong": 2}


def test_a_text_that_goes_where_no_line_is_counts_as_wrong(measure):
    _, counts = measure((TEXTS[0], PLACES[0]), (TEXTS[1], (50, 340, 500, 380)), (TEXTS[2], PLACES[2]))
    assert counts["with line breaks"] == {"true": 3, "right": 2, "wrong": 1}


def test_pictures_of_lines_are_laid_beside_the_text_of_their_page(measure, tmp_path, monkeypatch, command_line):
    folder = tmp_path / "lines"
    folder.mkdir()
    rows = ["file\ttext\tpage\tsplit"]
    for number, text in enumerate([*TEXTS, "of another split"]):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 400), 200, np.uint8))
        rows.append(f"{number}.png\t{text}\tp1\t{'test' if number < 3 else 'train'}")
    (folder / "lines.tsv").write_text("\n".join(rows))
    read = ["my dcar friond", "nothing alike", "corne before winter"]
    reader = SimpleNamespace(read_lines=lambda pictures, _: [line(text, *PLACES[0]) for text in read[: len(pictures)]])
    monkeypatch.setattr("htr.reader.load", lambda *_: reader)
    code, out, err = command_line(transcripts.main, f"lines:{folder}", "--out", tmp_path / "out")
    assert code == 0, err
    assert "with line breaks: of 3 lines 2 got their text, 0 another one" in out


def test_pages_without_texts_are_refused(tmp_path, command_line):
    write_page(tmp_path, "page", [("", PLACES[0])])
    code, _, err = command_line(transcripts.main, tmp_path, "--out", tmp_path / "out")
    assert code == 2
    assert "has no pages with texts; give some whose lines are transcribed" in err
