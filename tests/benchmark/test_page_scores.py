"""Scoring of pages: lines that are found rightly and wrongly in ways whose figures are known by hand."""

import numpy as np
import pytest
from standin import StandIn, line, write_page

from htr.benchmark import pages
from htr.benchmark.pages import compare, evaluate_pages, rates
from htr.errors import InputError
from htr.pages.containers import Page, Region


def rectangle(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


TRUE = [rectangle(100, top, 500, top + 40) for top in (100, 160, 220)]
AREA = rectangle(80, 80, 520, 280)
NONE = np.zeros(3, bool)


def counted(found, ignored=NONE):
    counts, partners = compare(found, TRUE, ignored, AREA)
    return counts, rates(counts), partners


def f1(figures):
    return [figures[shape][threshold]["F1"] for shape in ("polygons", "boxes") for threshold in ("0.5", "0.75")]


def test_perfect():
    counts, figures, partners = counted(TRUE)
    assert f1(figures) == [100] * 4
    assert counts["found"] == counts["true"] == 3
    assert figures["missed"] == figures["parted"] == figures["merged"] == 0
    assert partners == {0: 0, 1: 1, 2: 2}


def test_nothing_found():
    _, figures, partners = counted([])
    assert f1(figures) == [0] * 4
    assert figures["missed"] == 100
    assert partners == {}


def test_one_missing_and_one_too_many():
    counts, figures, partners = counted([TRUE[0], TRUE[1], rectangle(100, 262, 300, 278)])
    assert figures["polygons"]["0.5"] == pytest.approx({"F1": 200 / 3, "precision": 200 / 3, "recall": 200 / 3})
    assert counts["missed"] == 1
    assert partners == {0: 0, 1: 1, 2: None}


def test_two_merged():
    counts, figures, _ = counted([rectangle(100, 100, 500, 200), TRUE[2]])
    # The merged one has an IoU of 0.4 with each.
    assert figures["polygons"]["0.5"] == pytest.approx({"F1": 40, "precision": 50, "recall": 100 / 3})
    assert (counts["merged"], counts["missed"], counts["parted"]) == (2, 0, 0)


def test_one_split():
    counts, figures, _ = counted([rectangle(100, 100, 310, 140), rectangle(330, 100, 500, 140), *TRUE[1:]])
    # The longer part, 210 of 400 columns, still has an IoU of 0.52.
    assert f1(figures) == pytest.approx([600 / 7, 400 / 7, 600 / 7, 400 / 7])
    assert (counts["parted"], counts["missed"], counts["merged"]) == (1, 0, 0)


@pytest.mark.parametrize(("shift", "right"), [(5, [3, 3]), (8, [3, 0]), (12, [3, 0]), (15, [0, 0])])
def test_shifted_lines_have_a_known_iou(shift, right):
    # Of 40 rows, a shift of 5 leaves an IoU of 35 / 45 = 0.78, 8 one of 0.67, 12 one of 0.54, 15 one of 0.45.
    counts, _, _ = counted([polygon + np.array([0, shift]) for polygon in TRUE])
    for shape in ("polygons", "boxes"):
        assert [counts[f"right {shape} {threshold}"] for threshold in (0.5, 0.75)] == right


def test_polygons_are_not_their_boxes():
    counts, _, _ = counted([polygon[:3] for polygon in TRUE])
    # Half of a rectangle is a triangle, which has the rectangle for its box.
    assert counts["right polygons 0.75"] == 0
    assert counts["right boxes 0.75"] == 3


def test_every_line_pairs_once():
    counts, figures, _ = counted([TRUE[0], TRUE[0], TRUE[1], TRUE[2]])
    assert counts["right polygons 0.5"] == 3
    assert figures["polygons"]["0.5"]["precision"] == 75


def test_outside_and_left_out_are_not_held_against_the_finder():
    ignored = np.array([True, False, False])
    counts, figures, partners = counted([rectangle(100, 10, 500, 50), rectangle(90, 95, 505, 150), *TRUE[1:]], ignored)
    assert (counts["true"], counts["found"], counts["outside"]) == (2, 2, 1)
    assert f1(figures) == [100] * 4
    assert partners == {2: 1, 3: 2}


@pytest.fixture
def folder(tmp_path):
    """Two pages: one with an id line, one with a line that is not transcribed."""
    boxes = [(100, top, 500, top + 40) for top in (100, 160, 220)]
    write_page(tmp_path, "first", [("id 17", boxes[0]), ("one two", boxes[1]), ("three", boxes[2])])
    write_page(tmp_path, "second", [("four", boxes[0]), ("five", boxes[1]), ("", boxes[2])])
    return tmp_path


def test_whole_evaluation(folder, monkeypatch):
    found = [
        Region("print", (line("", 100, 162, 500, 198),)),
        Region("text", tuple(line(text, 100, top, 500, top + 40) for text, top in [("four", 100), ("onetwo", 160), ("three", 220)])),
        Region("text", (line("far away", 100, 340, 500, 380),)),
    ]  # fmt: skip
    monkeypatch.setattr(pages, "load", lambda weights, language: StandIn(*found, reading="five"))
    result = evaluate_pages(str(folder), leave_out=r"^id \d+$", distortions=["darkened", "turned by 90 degrees"])
    assert result["counts"]["true"] == 5
    assert result["counts"]["found"] == 5
    assert result["counts"]["outside"] == 2
    assert result["lines"]["polygons"]["0.75"]["F1"] == 100
    readings = {row["id"]: row for row in result["readings"]}
    # The id line and the line without text are found, but what is read there counts for nothing.
    assert (readings["first"]["truth"], readings["first"]["reading"]) == ("one two three", "onetwo three")
    assert (readings["second"]["truth"], readings["second"]["reading"]) == ("four five", "four onetwo")
    first, second = result["per_page"]
    assert (first["edits"], first["characters"]) == (1, 13)
    assert (second["edits"], second["characters"]) == (6, 9)
    assert result["scores"]["CER"]["value"] == pytest.approx(100 * 7 / 22)
    assert result["scores"]["CER of the true lines"]["edits"] == first["edits of the true lines"] + 3
    assert result["scores"]["CER minus CER of the true lines"] == pytest.approx(
        result["scores"]["CER"]["value"] - result["scores"]["CER of the true lines"]["value"]
    )
    assert result["distortions"] == {
        "darkened": {"F1": 100, "lost": 0},
        "turned by 90 degrees": {"F1": 0, "lost": 100},
    }
    assert set(result["seconds_a_page"]) == {"opening", "finding", "reading"}
    assert result["weights"]["sha256"] == "5" * 64


def test_a_line_that_is_found_and_read_as_nothing_is_found(folder, monkeypatch):
    lines = [line("", 100, top, 500, top + 40) for top in (100, 160, 220)]
    reader = StandIn(Region("text", tuple(lines)))
    monkeypatch.setattr(reader, "read_page", lambda picture: Page(*picture.shape[::-1], ()))
    monkeypatch.setattr(pages, "load", lambda weights, language: reader)
    result = evaluate_pages(str(folder), distortions=["darkened"])
    assert (result["counts"]["true"], result["counts"]["missed"]) == (6, 0)
    assert result["distortions"]["darkened"] == {"F1": 100, "lost": 0}
    assert {row["reading"] for row in result["readings"]} == {""} and result["scores"]["CER"]["value"] == 100


def test_pages_without_text_have_no_error_rates(folder, monkeypatch):
    (folder / "first.xml").unlink()
    text = (folder / "second.xml").read_text()
    (folder / "second.xml").write_text(text.replace("four", "").replace("five", ""))
    monkeypatch.setattr(pages, "load", lambda weights, language: StandIn())
    result = evaluate_pages(str(folder))
    assert result["scores"] == {}
    assert result["lines"]["missed"] == 100


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"leave_out": "("}, "not a regular expression"),
        ({"leave_out": "^"}, "has no lines to be found"),
        ({"split": "train"}, "has no lines to be found"),
    ],
)
def test_bad_options(folder, monkeypatch, options, complaint):
    monkeypatch.setattr(pages, "load", lambda weights, language: StandIn())
    with pytest.raises(InputError, match=complaint):
        evaluate_pages(str(folder), **options)


def test_lines_without_length_and_too_small_to_read(folder, monkeypatch):
    text = (folder / "first.xml").read_text()
    narrow = '<TextLine HPOS="560" VPOS="20" WIDTH="4" HEIGHT="40"><String CONTENT="a"/></TextLine>'
    beyond = '<TextLine HPOS="590" VPOS="300" WIDTH="40" HEIGHT="40" BASELINE="605 335 630 335"><String CONTENT="b"/></TextLine>'
    (folder / "first.xml").write_text(text.replace("</TextBlock>", narrow + beyond + "</TextBlock>"))
    reader = StandIn(reading="five")
    reader.read_lines = lambda pictures, cut_out: [
        line("five", 0, 0, 9, 9) for picture in pictures if min(picture.shape) >= 8 or 1 / 0
    ]
    monkeypatch.setattr(pages, "load", lambda weights, language: reader)
    result = evaluate_pages(str(folder))
    assert result["per_page"][0]["characters"] == len("id 17 one two three a b")
