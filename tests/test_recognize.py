import html
import json
import re
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import editdistance
import numpy as np
import pytest
from PIL import Image

import htr
from htr import recognize
from htr.corpora.embedded import embedded_lines, sample_page
from htr.corpora.iam import load_iam
from htr.decoding import Reading, beam_search
from htr.errors import InputError
from htr.lineimage import prepare
from htr.metrics import score
from htr.pages.containers import Line, Page, Region
from htr.pages.crop import moved, turn

SAMPLE = Path(__file__).parents[1] / "data" / "sample"


@pytest.fixture
def read(command_line):
    return partial(command_line, recognize.main)


@pytest.fixture
def line_file(tmp_path):
    cv2.imwrite(str(tmp_path / "line.png"), embedded_lines("val", 1)[0].image())
    return tmp_path / "line.png"


@pytest.fixture(scope="module")
def reader():
    return htr.load()


def test_page_as_text(read):
    code, out, _ = read(SAMPLE / "page.png")
    assert code == 0
    # As README shows it, but for a character or two, for processors differ.
    shown = re.search("<pre>(.*?)</pre>", SAMPLE.parents[1].joinpath("README.md").read_text(), re.DOTALL)[1]
    rows = html.unescape(shown).splitlines()
    assert len(out.splitlines()) == len(rows)
    assert editdistance.eval("\n".join(rows), out.strip()) <= 2


@pytest.mark.parametrize(("weights", "bound"), [(None, 1.0), ("small", 2.0), ("iam", 3.0)])
def test_shipped_weights_read_the_sample_page_well(weights, bound):
    truth = (SAMPLE / "page.txt").read_text().splitlines()
    page = htr.load(weights).read_page(SAMPLE / "page.png")
    assert score(truth, [line.text for line in page.lines]).cer.value < bound


def test_what_is_neither_file_nor_array_is_named(reader):
    with pytest.raises(
        InputError, match=r"Image: a picture of this type cannot be read; give the path of a file, or numpy\.asarray"
    ):
        reader.read_page(Image.new("L", (100, 100)))


def test_page_as_jsonl(read):
    code, out, _ = read("--format", "jsonl", SAMPLE / "page.png")
    assert code == 0
    page = json.loads(out)
    assert (page["file"], page["width"], page["height"]) == (str(SAMPLE / "page.png"), 1240, 1754)
    lines = [line for region in page["regions"] for line in region["lines"]]
    tops = [line["box"][1] for line in lines]
    assert tops == sorted(tops)
    for line in lines:
        x0, y0, x1, y1 = line["box"]
        assert 0 <= x0 < x1 <= 1240
        assert 0 <= y0 < y1 <= 1754
        assert 0 <= line["confidence"] <= 1
        assert line["text"]


def test_line(read, line_file):
    code, out, err = read("--line", line_file, "--format", "jsonl")
    height, width = embedded_lines("val", 1)[0].image().shape
    page = json.loads(out)
    assert code == 0
    assert [line["box"] for region in page["regions"] for line in region["lines"]] == [[0, 0, width, height]]
    assert "looks like" not in err


def test_a_page_read_as_a_line_and_a_line_read_as_a_page_are_said(read, line_file):
    _, _, err = read("--line", SAMPLE / "page.png")
    assert "page.png: looks like a page rather than a single line; read it without --line" in err
    _, _, err = read(line_file)
    assert "line.png: looks like a single line rather than a page; read it with --line" in err


def test_a_short_word_of_which_two_pieces_are_found_is_a_line(read, tmp_path, monkeypatch):
    picture = embedded_lines("val", 1)[0].image()
    height = len(picture)
    cv2.imwrite(str(tmp_path / "word.png"), picture[:, : 3 * height // 2])
    pieces = [Line(((0, y), (60, y)), ((0, y - 20), (60, y - 20), (60, y), (0, y)), "") for y in (20, height)]
    found = Page(3 * height // 2, height, (Region("text", tuple(pieces)),))
    monkeypatch.setattr("htr.reader.Reader.find_page", lambda *_, **_how: found)
    code, out, err = read("--line", tmp_path / "word.png")
    assert (code, bool(out.strip())) == (0, True) and "looks like" not in err
    # Two lines far from each other on a page are no word.
    page = np.full((400, 280), 255, np.uint8)
    page[:height, :280] = picture[:, :280]
    cv2.imwrite(str(tmp_path / "page.png"), page)
    assert "page.png: looks like a page rather than a single line" in read("--line", tmp_path / "page.png")[2]


def test_lines_keep_the_order_of_the_files(read, tmp_path):
    samples = embedded_lines("val", 5)
    for index, sample in enumerate(samples):
        cv2.imwrite(str(tmp_path / f"{index}.png"), sample.image())
    files = [tmp_path / f"{index}.png" for index in (3, 0, 4, 1, 2)]
    _, together, _ = read("--line", *files)
    alone = [read("--line", file)[1] for file in files]
    assert together == "".join(alone)


def test_out_writes_one_file_each(read, tmp_path, line_file):
    shutil.copy(line_file, tmp_path / "second.png")
    code, out, _ = read("--line", line_file, tmp_path / "second.png", "--out", tmp_path / "texts")
    assert (code, out) == (0, "")
    assert sorted(file.name for file in (tmp_path / "texts").iterdir()) == ["line.txt", "second.txt"]
    assert (tmp_path / "texts" / "line.txt").read_text() == (tmp_path / "texts" / "second.txt").read_text()


@pytest.mark.parametrize("grey", [0, 255])
def test_empty_page_says_so_and_is_no_error(read, tmp_path, grey):
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((1000, 700), grey, np.uint8))
    code, out, err = read(tmp_path / "empty.png")
    assert (code, out) == (0, "")
    assert "empty.png: no lines of handwriting found" in err
    code, out, _ = read(tmp_path / "empty.png", "--format", "jsonl")
    assert json.loads(out)["regions"] == []


def header_of_a_huge_png() -> bytes:
    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    header = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + zlib.compress(b"0"))


@pytest.mark.parametrize("mode", [[], ["--line"]])
@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.png", None, "no such file"),
        ("text.png", b"only text", "not a picture"),
        ("cut.png", (SAMPLE / "page.png").read_bytes()[:5000], "damaged or cut short"),
        ("huge.png", header_of_a_huge_png(), "larger than 178 million pixels"),
        ("zero.png", b"", "is empty"),
    ],
    ids=["missing", "text", "cut", "huge", "zero"],
)
def test_bad_files_are_named_and_the_others_are_read(read, tmp_path, line_file, mode, name, content, complaint):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = read(*mode, tmp_path / name, line_file)
    assert code == 2
    assert f"{name}: {complaint}" in err
    assert "s: 1 read, 1 broken\n" in err
    assert out.splitlines()[:-1] == ([] if mode else [f"==> {line_file} <=="])


@pytest.mark.parametrize("mode", [[], ["--line"]])
@pytest.mark.parametrize("shape", [(1, 1), (1, 900)])
def test_one_pixel_is_no_writing(read, tmp_path, shape, mode):
    cv2.imwrite(str(tmp_path / "dot.png"), np.zeros(shape, np.uint8))
    code, _, err = read(*mode, tmp_path / "dot.png")
    assert code == 2
    assert f"dot.png: only {shape[1]} x {shape[0]} pixels, too few to hold writing" in err


def test_bad_weights_are_named(read, tmp_path, line_file):
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    code, _, err = read("--weights", tmp_path / "w.safetensors", line_file)
    assert code == 2
    assert "w.safetensors: not a weights file" in err


def test_language_models_help_with_prose(reader, shared_iam):
    samples = [sample for sample in load_iam(shared_iam) if sample.split == "val"]
    samples = samples[::8]  # of all pages: the first two are full of names
    truths, pictures = [sample.text for sample in samples], [sample.image() for sample in samples]
    helped = reader.read_lines(pictures)
    plain = htr.load(language="none").read_lines(pictures)
    rates = [score(truths, [line.text for line in lines]).wer.value for lines in (helped, plain)]
    assert rates[0] < 0.8 * rates[1]


@pytest.mark.parametrize("language", ["english", "none"])
def test_the_language_from_the_command_line(read, language):
    code, out, _ = read("--language", language, SAMPLE / "page.png")
    assert code == 0
    page = htr.load(language=language).read_page(SAMPLE / "page.png")
    assert out.split() == page.text.split()


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_page_is_read_however_it_lies_and_its_words_lie_on_its_ink(reader, quarters):
    picture, truth = sample_page()
    turned = np.ascontiguousarray(np.rot90(picture, -quarters))
    page = reader.read_page(turned)
    assert page.turn == -90 * quarters % 360
    assert any("lies turned" in note for note in page.notes) == bool(quarters)
    assert score(truth, [line.text for line in page.lines]).cer.value < 3
    inside = np.zeros(turned.shape[:2], np.uint8)
    for line in page.lines:
        for word in line.words:
            cv2.fillPoly(inside, [np.int32(word.polygon)], 1)
    ink = (turned if turned.ndim == 2 else turned.min(2)) < 150
    assert ink[inside > 0].sum() > 0.9 * ink.sum() and inside.mean() < 0.5


@pytest.mark.parametrize("mirrored", [True, False])
def test_ink_of_the_other_side_is_left_out_and_faint_writing_is_not(reader, mirrored):
    picture, _ = sample_page()
    height = picture.shape[0] // 2
    upper = picture[: height - 10].copy()
    faint = cv2.GaussianBlur(255 - picture[:height], (0, 0), 1.5) * 0.35
    sheet = np.full_like(picture, 250)
    sheet[: len(upper)] = upper
    sheet[height : 2 * height] = 250 - (faint[:, ::-1] if mirrored else faint)
    page = reader.read_page(sheet)
    half = len([line for line in page.lines if line.box[1] < height])
    told = any("of the other side, whose ink shows through, left out" in note for note in page.notes)
    assert (told, len(page.lines) > half) == (mirrored, not mirrored), page.text


@pytest.mark.parametrize("quarters", [0, 1])
def test_notes_that_run_up_and_down_the_margins_are_read_after_the_text(reader, quarters):
    picture, truth = sample_page()
    height, width = picture.shape
    sheet = np.full((height, width + 300), 250, np.uint8)
    sheet[:, 150 : 150 + width] = picture
    notes = [sample for sample in embedded_lines("val", 8) if len(sample.text) > 20][:2]
    for sample, left, quarter in zip(notes, (40, 50 + 100 + width), (1, 3), strict=True):
        strip = np.rot90(cv2.resize(sample.image(), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA), quarter)
        sheet[200 : 200 + strip.shape[0], left : left + strip.shape[1]] = strip
    page = reader.read_page(np.ascontiguousarray(np.rot90(sheet, -quarters)))
    *text, up, down = page.lines
    assert score(truth, [line.text for line in text]).cer.value < 3
    assert score([note.text for note in notes], [up.text, down.text]).cer.value < 15
    assert [(line.turn - page.turn) % 360 for line in page.lines] == [0] * len(truth) + [90, 270]
    assert [region.kind for region in page.regions][-2:] == ["margin", "margin"]


@pytest.mark.parametrize(("above", "quarters", "skew"), [(True, 0, 6), (True, 1, 0), (False, 0, 0)])
def test_lines_upside_down_above_or_below_the_text_are_read_after_it(reader, above, quarters, skew):
    picture, truth = sample_page()
    room = 350
    sheet = np.pad(picture, ((room, 0) if above else (0, room), (0, 0)), constant_values=250)
    notes = [sample for sample in embedded_lines("val", 8) if len(sample.text) > 20][:3]
    top = 30 if above else len(picture) + 10
    for sample in reversed(notes):
        strip = cv2.resize(sample.image(), None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)[::-1, ::-1]
        left = sheet.shape[1] - strip.shape[1] - 100
        sheet[top : top + len(strip), left : left + strip.shape[1]] = strip
        top += 110
    sheet = np.pad(sheet, 100, constant_values=250)
    turn = cv2.getRotationMatrix2D((sheet.shape[1] / 2, sheet.shape[0] / 2), skew, 1)
    sheet = np.rot90(cv2.warpAffine(sheet, turn, sheet.shape[::-1], borderValue=250), -quarters)
    page = reader.read_page(np.ascontiguousarray(sheet))
    assert [(line.turn - page.turn) % 360 for line in page.lines] == [0] * len(truth) + [180] * 3
    assert score(truth, [line.text for line in page.lines[:-3]]).cer.value < 3
    assert score([note.text for note in notes], [line.text for line in page.lines[-3:]]).cer.value < 15
    assert [region.kind for region in page.regions][-1] == "margin"


@pytest.mark.parametrize(("degrees", "quarters"), [(15, 0), (-20, 0), (18, 1), (-35, 1), (43, 0)])
def test_a_page_that_lies_far_askew_is_read_as_if_it_were_level(reader, degrees, quarters):
    picture, truth = sample_page()
    straight = reader.read_page(picture)
    askew, matrix = turn(np.ascontiguousarray(np.rot90(picture, -quarters)), degrees)
    page = reader.read_page(askew)
    assert score(truth, [line.text for line in page.lines]).cer.value < 3
    assert (page.width, page.height, page.turn) == (*askew.shape[::-1], -90 * quarters % 360)
    assert {line.turn for line in page.lines} == {page.turn}
    assert [region.kind for region in page.regions] == [region.kind for region in straight.regions]
    for line, level in zip(page.lines, straight.lines, strict=True):
        # Where its baseline begins and ends on the page as it lies.
        x, y = np.array(level.baseline)[[0, -1]].T
        points = np.stack([len(picture) - y, x] if quarters else [x, y], 1)
        assert np.abs(np.array(line.baseline)[[0, -1]] - moved(matrix, points)).max() < 30


def test_print_is_kept_unread_and_told_of(reader, monkeypatch):
    picture, truth = sample_page()
    found = reader.find_page(picture)
    first, *rest = found.lines
    regions = Region("print", (first,)), Region("text", tuple(rest))
    monkeypatch.setattr(reader, "find_page", lambda _: replace(found, regions=regions))
    page = reader.read_page(picture)
    assert page.regions[0] == regions[0] and "a line of print found, not read" in page.notes
    assert score(truth[1:], [line.text for line in page.lines]).cer.value < 3


def test_of_a_page_without_lines_it_is_not_said_how_it_lies(reader, monkeypatch):
    monkeypatch.setattr(reader, "find_page", lambda _: Page(80, 60, (), turn=90))
    assert reader.read_page(np.full((60, 80), 250, np.uint8)).notes == ("no lines of handwriting found",)


def test_lines_of_a_page_tell_their_language_together(reader, monkeypatch):
    together: list[int] = []

    def counted(lines, *arguments):
        together.append(len(lines))
        return beam_search(lines, *arguments)

    monkeypatch.setattr("htr.reader.beam_search", counted)
    samples = embedded_lines("val", 4)
    lines = [prepare(sample.image(), reader.weights.header.height) for sample in samples]
    # The network sees them one by one.
    texts = [reading.text for reading in reader.read_prepared(lines, batch_pixels=1)]
    assert together == [4]
    assert score([sample.text for sample in samples], texts).cer.value < 10
    by_page = reader.read_prepared(lines, pages=["a", "b", "a", "a"])
    assert together == [4, 3, 1]
    assert [reading.text for reading in by_page] == texts  # in the order of the lines


def test_a_page_that_reads_as_empty_upside_down_is_not_turned(reader, monkeypatch):
    """Where nothing is read, the confidence is that of nothing being there, and may be high."""
    page, _ = sample_page()
    turned: list[int] = []

    def readings(prepared, greedily):
        turned.append(len(prepared))
        half = len(prepared) // 2
        return [Reading("a", 0.84, [])] * half + [Reading("", 0.94, [])] * half

    monkeypatch.setattr(reader, "read_prepared", readings)
    assert reader.find_page(page).turn == 0
    assert turned


def test_lines_of_which_nothing_could_be_read_are_told_of(reader, monkeypatch):
    page, truth = sample_page()
    monkeypatch.setattr(reader, "read_prepared", lambda prepared, **_: [Reading("", 0.9, []) for _ in prepared])
    read = reader.read_page(page)
    assert (read.text.strip(), f"nothing could be read in {len(truth)} lines" in read.notes) == ("", True), read.notes


def test_writing_too_small_to_be_read_well_is_told_of(reader):
    page, _ = sample_page()
    small = cv2.resize(page, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    notes = [" ".join(reader.read_page(picture).notes) for picture in (page, small)]
    assert ["too few to read them well; scan the page larger" in each for each in notes] == [False, True], notes


def test_how_sure_the_reading_was_is_told(read, tmp_path, monkeypatch):
    pages = {
        "sure.png": [("ab", 0.97), ("abcdef", 0.93)],
        "unsure.png": [("ab", 0.9), ("abcdef", 0.5), ("", 0.99)],
        "empty.png": [],
    }

    def readings(_reader, tasks, _dpi, makers):
        for task in tasks:
            lines = tuple(Line(((0, 9), (9, 9)), ((0, 0), (9, 0), (9, 9)), *line) for line in pages[task.file.name])
            yield task, Page(9, 9, (Region("text", lines),) * bool(lines)), [b"" for _ in makers]

    monkeypatch.setattr(recognize, "read_pages", readings)
    for name in pages:
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
    told = {names: read(*(tmp_path / name for name in names))[2] for names in ((n,) for n in pages)}
    # (2 * 0.97 + 6 * 0.93) / 8, and (2 * 0.9 + 6 * 0.5) / 8
    assert told["sure.png",] == "mean confidence 94 %\n"
    assert told["unsure.png",].startswith(
        "mean confidence 60 %, so much will be wrong; to teach htr this hand, correct"
    )
    assert told["empty.png",] == ""
    _, _, err = read(*(tmp_path / name for name in pages))
    assert f"mean confidence 77 %; 1 of 2 below 80 %: {tmp_path / 'unsure.png'} (60 %); to teach htr" in err
    # A page number on a page that is else empty counts as much as one character.
    pages["number.png"] = [("1", 0.1)]
    cv2.imwrite(str(tmp_path / "number.png"), np.zeros((9, 9), np.uint8))
    _, _, err = read(*(tmp_path / name for name in pages))
    worst = f"{tmp_path / 'unsure.png'} (60 %), {tmp_path / 'number.png'} (10 %)"
    assert f"mean confidence 73 %; 2 of 3 below 80 %: {worst}; to teach htr" in err
    # Of seven unsure ones the five worst, these first.
    pages.update({f"{percent}.png": [("a", percent / 100)] for percent in (70, 30, 50, 20, 60, 40, 79)})
    for name in pages:
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9), np.uint8))
    _, _, err = read(*(tmp_path / name for name in pages if name[0].isdigit()))
    worst = ", ".join(f"{tmp_path / f'{percent}.png'} ({percent} %)" for percent in (20, 30, 40, 50, 60))
    assert f"mean confidence 50 %; 7 of 7 below 80 %: {worst}, ...; to teach htr" in err


def test_an_unknown_language_model_is_named(read, line_file):
    code, _, err = read("--language", "elvish", line_file)
    assert code == 2
    assert "elvish: no such language model; give auto, english" in err


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_hands_on_what_it_is_given(monkeypatch):
    def command(*words):
        done = subprocess.run(["make", "-n", *words], cwd=SAMPLE.parents[1], capture_output=True, text=True, check=True)
        return done.stdout[done.stdout.rindex("python -m htr.") :].replace("\\\n", "").split()[2:]

    monkeypatch.setenv("LANGUAGE", "en_GB:en")  # in which programs speak
    for name in ("MAKEFLAGS", "MAKELEVEL"):  # of `make test`, which runs this
        monkeypatch.delenv(name, raising=False)
    assert command("recognize") == ["htr.recognize", '"data/sample/page.png"']
    given = command("recognize", "PAGE=a.png", "OUT=texts", "FORMAT=alto", "LANGUAGE=french", "ARGS=--resume --overlay")
    assert given[:6] == ["htr.recognize", '"a.png"', "--language", '"french"', "--format", '"alto"']
    assert given[6:] == ["--out", '"texts"', "--resume", "--overlay"]
    for name in ("DATA", "OUT", "PAGE", "ARGS"):
        monkeypatch.setenv(name, "of another program")
    given = command("finetune", "LANGUAGE=none")
    assert given == ["htr.finetune", '"data/sample"', "--out", '"runs/my.safetensors"', "--language", '"none"']


def test_same_from_python(reader, line_file):
    picture = cv2.imread(str(line_file), cv2.IMREAD_GRAYSCALE)
    colour = np.repeat(picture[..., None], 3, axis=2)
    from_file, from_grey, from_colour = reader.read_lines([line_file, picture, colour])
    assert from_file == from_grey == from_colour
    page, truth = sample_page()
    assert len(reader.read_page(page).text.splitlines()) == len(truth)
    with pytest.raises(htr.InputError, match="cannot be read"):
        reader.read_lines([np.zeros((10, 10), np.float64)])
    assert reader.read_lines([]) == []
    for one in (line_file, str(line_file), picture):
        with pytest.raises(InputError, match=r"takes a list of pictures; for one, give \[picture\]"):
            reader.read_lines(one)
