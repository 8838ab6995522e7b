import csv
import errno
import io
import json
import os
import shutil
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from PIL import Image
from standin import StandIn, line, write_page

from htr import evaluate
from htr.benchmark import pages
from htr.benchmark.details import details
from htr.benchmark.results import collection_of, result_file, write_result
from htr.corpora import pages_of
from htr.corpora.embedded import embedded_lines
from htr.corpora.iam import load_iam
from htr.language import find_models
from htr.metrics import score
from htr.pages.containers import Region
from htr.pages.images import open_image
from htr.weights import MODELS, load_weights, save_weights, sha256


@pytest.fixture
def run(command_line):
    return partial(command_line, evaluate.main)


@pytest.mark.parametrize("name", ["lines.json", "lines.tsv"])
def test_what_is_there_is_not_written_over(run, iam_folder, tmp_path, name):
    (tmp_path / name).write_text("labels made by hand")
    code, _, err = run("--data", f"iam:{iam_folder}", "--out", tmp_path / "lines.json")
    assert code == 2 and f"{tmp_path / name}: is there already" in err
    assert (tmp_path / name).read_text() == "labels made by hand"


def test_table_and_json_agree_with_the_readings_without_and_with_language_models(run, iam_folder, tmp_path):
    code, out, _ = run("--data", f"iam:{iam_folder}", "--out", tmp_path / "result.json")
    assert code == 0
    result = json.loads((tmp_path / "result.json").read_text())
    with (tmp_path / "result.tsv").open() as file:
        readings = list(csv.DictReader(file, dialect="excel-tab"))
    for scores, column in ("scores", "greedily"), ("scores_with_language", "reading"):
        again = score([entry["truth"] for entry in readings], [entry[column] for entry in readings])
        assert result[scores]["CER"]["value"] == pytest.approx(again.cer.value)
        assert f"{again.cer.value:.2f} %" in out
    assert result["lines"] == len(readings) == 12
    truths = {sample.id: sample.text for sample in load_iam(iam_folder) if sample.split == "test"}
    assert {entry["id"]: entry["truth"] for entry in readings} == truths
    assert result["weights"]["sha256"] == load_weights().sha256
    assert result["machine"]["torch"] and result["speed"]["lines_per_second"] > 0
    listed = [{**entry, "confidence": float(entry["confidence"])} for entry in readings]
    assert result["details"] == details(listed)
    assert result["language"]["models"] == {file.name: sha256(file) for file in find_models("auto")}
    code, out, _ = run("--data", f"iam:{iam_folder}", "--language", "none", "--out", tmp_path / "plain.json")
    plain = json.loads((tmp_path / "plain.json").read_text())
    assert plain["language"] is None and plain["scores_with_language"] == {} and "with language" not in out
    assert plain["scores"] == result["scores"]


def test_of_ten_writers_the_interval_is_over_them(run, tmp_path):
    rows = ["file\ttext\twriter"]
    for number, sample in enumerate(embedded_lines("test", 20)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), sample.image())
        rows.append(f"{number}.png\t{sample.text}\tw{number // 2}")
    (tmp_path / "lines.tsv").write_text("\n".join(rows), encoding="utf-8")
    words = ["--weights", "small", "--language", "none", "--out", tmp_path / "result.json"]
    assert run("--data", f"lines:{tmp_path}", *words)[0] == 0
    with (tmp_path / "result.tsv").open() as file:
        read = list(csv.DictReader(file, dialect="excel-tab"))
    texts = [[row[column] for row in read] for column in ("truth", "greedily")]
    again = score(*texts, [f"w{int(row['id']) // 2}" for row in read])
    told = json.loads((tmp_path / "result.json").read_text())["scores_over_writers"]["CER"]
    assert (told["low"], told["high"]) == pytest.approx((again.cer.low, again.cer.high))


def test_lines_and_pages_of_the_split_that_was_asked_for_are_read(run, iam_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--data", f"iam:{iam_folder}", "--split", "val", "--language", "none")[0] == 0
    for split in ("val", "test"):
        (tmp_path / "letters" / split).mkdir(parents=True)
        write_page(tmp_path / "letters" / split, f"of-{split}", [("one", (100, 100, 500, 140))])
    monkeypatch.setattr(pages, "load", lambda weights, language: StandIn())
    assert run("--pages", "letters", "--split", "val")[0] == 0
    files = sorted((tmp_path / "runs").glob("*.json"))
    assert [file.name.partition("_")[0] for file in files] == [
        f"{iam_folder.name}-val-12-language-none",
        "pages-letters-val-1",
    ]
    lines, of_pages = (json.loads(file.read_text()) for file in files)
    with files[0].with_suffix(".tsv").open() as file:
        read = {row["id"] for row in csv.DictReader(file, dialect="excel-tab")}
    assert lines["split"] == "val"
    assert read == {sample.id for sample in load_iam(iam_folder) if sample.split == "val"}
    assert of_pages["split"] == "val"
    assert [page["id"] for page in of_pages["per_page"]] == ["val/of-val"]


def test_results_of_two_language_models_get_two_names(run, iam_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, other = MODELS / "english.npz", tmp_path / "english.npz"
    np.savez_compressed(other, **np.load(MODELS / "french.npz"))
    for language in ("none", "english", model, other):
        code, _, _ = run("--data", f"iam:{iam_folder}", "--language", language)
        assert code == 0
    names = {file.name.partition("_")[0].partition("test-12-")[2] for file in (tmp_path / "runs").glob("*.json")}
    assert names == {
        "language-none", "language-english", f"language-english-{sha256(model)[:8]}",
        f"language-english-{sha256(other)[:8]}",
    }  # fmt: skip


def test_results_of_two_commands_get_two_names(run, iam_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / iam_folder.name).symlink_to(iam_folder)  # of the same name
    for folder in (iam_folder, tmp_path / "elsewhere" / iam_folder.name, iam_folder):
        assert run("--data", f"iam:{folder}", "--language", "none")[0] == 0
    first, second = sorted((tmp_path / "runs").glob("*.json"), key=lambda file: len(file.name))
    assert second.stem == f"{first.stem}-2"


def test_table_and_json_of_pages(run, tmp_path, monkeypatch):
    boxes = [(100, 100, 500, 140), (100, 160, 500, 200), (100, 220, 500, 260), (100, 280, 500, 320)]
    write_page(tmp_path, "page", list(zip(["id 1", "one", "two", "three"], boxes)))
    found = Region("text", (line("one", *boxes[1]), line("twa", *boxes[2])))
    asked = []
    monkeypatch.setattr(pages, "load", lambda *words: asked.append(words) or StandIn(found))
    words = ["--pages", tmp_path, "--leave-out", "^id", "--distort", "--out", tmp_path / "result.json"]
    code, out, _ = run(*words, "--weights", "small", "--language", "none")
    assert code == 0 and asked == [("small", "none")]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["lines"]["polygons"]["0.5"] == pytest.approx({"F1": 80, "precision": 100, "recall": 200 / 3})
    assert "polygons, IoU 0.5" in out and "F1  80.00 %" in out
    assert "missed 33.33 %" in out
    # Of "one two three" the reading lacks 6 characters and has one wrong.
    assert f"{100 * 7 / 13:.2f} %" in out
    assert result["distortions"]["darkened"]["lost"] == 0
    assert result["distortions"]["turned by 90 degrees"]["lost"] == pytest.approx(80)
    assert result["per_page"][0]["id"] == "page"
    with (tmp_path / "result.tsv").open() as file:
        (row,) = csv.DictReader(file, dialect="excel-tab")
    assert (row["truth"], row["reading"]) == ("one two three", "one twa")


def test_pages_with_plain_texts_are_scored_too(run, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    boxes = [(100, 100, 500, 140), (100, 160, 500, 200)]
    for split in ("train", "test"):
        (tmp_path / "scribe" / split).mkdir(parents=True)
        write_page(tmp_path / "scribe" / split, "page", list(zip(["one", "two"], boxes)))
        (tmp_path / "scribe" / split / "page.xml").unlink()
        (tmp_path / "scribe" / split / "page.txt").write_text("\ufeffone\r\n\r\n  two\r\n", encoding="utf-8")
    found = Region("text", tuple(line(*told) for told in zip(["one", "twa"], *zip(*boxes))))
    reader = StandIn(found)
    reader.read_page = lambda image: StandIn.read_page(reader, open_image(image))
    asked = []
    monkeypatch.setattr(pages, "load", lambda *words: asked.append(words) or reader)
    code, out, _ = run("--pages", "scribe", "--split", "test", "--weights", "small", "--language", "french")
    assert asked == [("small", "french")]
    # Of "one two" one character of seven is wrong, and one word of two.
    assert code == 0 and f"{100 / 7:.2f} %" in out and "50.00 %" in out
    [file] = (tmp_path / "runs").glob("pages-scribe-test-1*.json")
    assert json.loads(file.read_text())["characters"] == 7
    with file.with_suffix(".tsv").open() as rows:
        assert [row["id"] for row in csv.DictReader(rows, dialect="excel-tab")] == ["test/page"]
    code, _, err = run("--pages", "scribe", "--distort")
    assert (code, 'python -m htr.evaluate --pages "scribe" scores the texts' in err) == (2, True)
    # XML of another kind is none, and a picture without a text is told of.
    (tmp_path / "scribe" / "mets.xml").write_text("<mets/>")
    shutil.copy(tmp_path / "scribe" / "test" / "page.png", tmp_path / "scribe" / "untranscribed.png")
    assert run("--pages", "scribe", "--out", "two.json")[0] == 0
    assert json.loads((tmp_path / "two.json").read_text())["count"] == 2
    assert "scribe: 1 picture without a text left out" in caplog.text
    # With XML of pages, that counts, whatever else lies there.
    del reader.read_page
    Image.new("L", (600, 400), 255).save(
        tmp_path / "scribe" / "several.tif", save_all=True, append_images=[Image.new("L", (600, 400), 255)]
    )
    (tmp_path / "scribe" / "several.txt").write_text("one\ntwo")
    write_page(tmp_path / "scribe", "other", [("three", boxes[0])])
    code, out, _ = run("--pages", "scribe", "--out", "xml.json")
    assert code == 0 and "polygons" in out
    assert "scribe: 3 pages with a plain text alone left out, since others have XML" in caplog.text


def test_a_corrected_text_comes_before_what_htr_wrote_of_the_page(run, tmp_path, monkeypatch, caplog):
    """Else it would be scored by its own errors."""
    boxes = [(100, 100, 500, 140), (100, 160, 500, 200)]
    write_page(tmp_path, "page", list(zip(["one", "twa"], boxes)))
    by = "<processingSoftware><softwareName>htr</softwareName></processingSoftware>"
    by = f"<Description><Processing>{by}</Processing></Description>"
    by_htr = (tmp_path / "page.xml").read_text().replace("<Layout>", f"{by}<Layout>")
    (tmp_path / "page.xml").write_text(by_htr)
    reader = StandIn(Region("text", tuple(line(*told) for told in zip(["one", "twa"], *zip(*boxes)))))
    reader.read_page = lambda image: StandIn.read_page(reader, open_image(image))
    monkeypatch.setattr(pages, "load", lambda weights, language: reader)
    (tmp_path / "page.txt").write_text("one\ntwo\n")
    assert run("--pages", tmp_path, "--out", tmp_path / "scores.json")[0] == 0
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["CER"]["value"] == pytest.approx(100 / 7)
    assert "ALTO or PAGE XML is passed over, which htr wrote" in caplog.text
    # Beside XML of others, which counts, it is told of, and its encoding harms nothing.
    (tmp_path / "train").mkdir()
    write_page(tmp_path / "train", "page", [("three", boxes[0])])
    assert run("--pages", tmp_path, "--split", "test", "--out", tmp_path / "test.json")[0] == 0
    result = json.loads((tmp_path / "test.json").read_text())
    assert (result["count"], result["scores"]["CER"]["value"]) == (1, pytest.approx(100 / 7))
    assert "without a text left out" not in caplog.text
    (tmp_path / "page.txt").write_bytes("one été\n".encode("latin-1"))
    del reader.read_page
    assert run("--pages", tmp_path, "--out", tmp_path / "xml.json")[0] == 0
    result = json.loads((tmp_path / "xml.json").read_text())
    assert [page["id"] for page in result["per_page"]] == ["train/page"]
    assert "1 page with a plain text alone left out, since others have XML" in caplog.text


def test_numbers_that_an_edition_gives_the_lines_do_not_count_in_scores(run, tmp_path, monkeypatch, caplog):
    rows = [
        "we went down to the sea",
        "and saw the ships come in",
        "then back to the town",
        "and home by the last train",
    ]
    boxes = [(100, top, 500, top + 40) for top in (40, 120, 200, 280)]
    write_page(tmp_path, "page", list(zip(rows, boxes)))
    (tmp_path / "page.xml").unlink()
    (tmp_path / "page.txt").write_text("\n".join(f"{number} {row}" for number, row in enumerate(rows, 1)))
    reader = StandIn(Region("text", tuple(line(*told) for told in zip(rows, *zip(*boxes)))))
    reader.read_page = lambda image: StandIn.read_page(reader, open_image(image))
    monkeypatch.setattr(pages, "load", lambda weights, language: reader)
    code, out, _ = run("--pages", tmp_path, "--out", tmp_path / "scores.json")
    assert code == 0
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["CER"]["value"] == 0
    assert "of the texts of 1 page, what an edition adds (numbers, marks) counts as not written" in caplog.text
    # An interval over one page would have no width.
    assert "0.00 %   (too few for an interval)" in out and "95 % interval" not in out


def test_pictures_of_lines_are_no_pages_with_texts(run, letters):
    for picture in letters.rglob("*.png"):
        picture.with_suffix(".txt").write_text("some words")
    code, _, err = run("--pages", letters)
    assert (code, "is of a line by its text, not of a page; give --data lines:" in err) == (2, True), err


def test_weights_that_were_taught_a_folder_of_this_name_are_told_of(run, iam_folder, tmp_path, caplog):
    weights = load_weights("iam")
    taught = {"data": ["letters"], "train_lines": 12, "averaged": "0.65 of what was learnt, the rest of parent"}
    header = replace(weights.header, training={**taught, "parent": weights.ancestry()})
    save_weights(tmp_path / "my.safetensors", weights.network, header)
    shutil.copytree(iam_folder, tmp_path / "letters")
    for below in ("letters/train", "my.run/lines"):
        shutil.copytree(iam_folder, tmp_path / below)
    (tmp_path / "my.run" / "begun.json").touch()
    places = [tmp_path / "letters", tmp_path / "letters/train", tmp_path / "my.run/lines", iam_folder]
    for number, (folder, name) in enumerate(
        [*((place, tmp_path / "my.safetensors") for place in places), (places[0], "iam")]
    ):
        words = ["--data", f"iam:{folder}", "--weights", name, "--language", "none"]
        assert run(*words, "--out", tmp_path / f"{number}.json")[0] == 0
    told = [record.getMessage() for record in caplog.records if "has learnt from a folder" in record.getMessage()]
    assert [f"my.safetensors: has learnt from a folder, and {place} may be it" in message for place, message in zip(places, told)] == [
        True, True, True,
    ]  # fmt: skip


def test_test_lines_beside_train_lines_were_not_taught(run, tmp_path, caplog):
    weights = load_weights("iam")
    taught = {"data": ["letters"], "train_lines": 12, "averaged": "0.65 of what was learnt, the rest of parent"}
    save_weights(
        tmp_path / "my.safetensors",
        weights.network,
        replace(weights.header, training={**taught, "parent": weights.ancestry()}),
    )
    (sample,) = embedded_lines("test", 1)
    for name in ("train", "test"):
        (tmp_path / "letters" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "letters" / name / "line.png"), sample.image())
        (tmp_path / "letters" / name / "line.gt.txt").write_text(sample.text)
    words = ["--data", f"lines:{tmp_path / 'letters'}", "--weights", tmp_path / "my.safetensors", "--language", "none"]
    assert run(*words, "--out", tmp_path / "1.json")[0] == 0
    assert "has learnt from a folder" not in caplog.text
    (tmp_path / "letters" / "train").rename(tmp_path / "letters" / "more")
    assert run(*words, "--out", tmp_path / "2.json")[0] == 0
    assert "has learnt from a folder" in caplog.text


def test_lines_and_pages_exclude_each_other(run, tmp_path):
    for words, complaint in [
        ([], "one of the arguments --data --pages is required"),
        (["--data", "sample", "--pages", tmp_path], "not allowed with"),
        (["--data", "sample", "--distort"], "--leave-out and --distort go with --pages"),
    ]:
        code, _, err = run(*words)
        assert code == 2
        assert complaint in err


def test_bad_input_exits_with_2(run, tmp_path):
    for words, complaint in [
        (["--data", "nonsense"], "nonsense: no such corpus"),
        (["--data", f"iam:{tmp_path}"], "has no ascii/lines.txt"),
        (["--data", f"iam:{tmp_path}/nowhere"], "no such folder"),
        (["--data", f"lines:{tmp_path}"], "has no lines with a text"),
        (["--pages", tmp_path], "has no ALTO or PAGE XML"),
        (["--pages", f"iam:{tmp_path}"], "has no ascii/lines.txt"),
        (["--data", "sample", "--out", tmp_path / "x.tsv"], "must end in .json"),
        (["--data", ""], "no such corpus"),
        (["--pages", ""], "an empty name was given; name a folder"),
        (["--data", "sample", "--weights", ""], "an empty name of weights was given"),
        (["--data", "sample", "--out", "/proc/nowhere/x.json"], "/proc/nowhere: cannot be written to"),
    ]:
        code, _, err = run(*words)
        assert code == 2
        assert complaint in err


def test_a_picture_that_is_cut_short_is_found_before_anything_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr("htr.reader.Reader.read_page", lambda reader, picture: pytest.fail("read"))
    monkeypatch.setattr("htr.reader.Reader.read_prepared", lambda reader, lines, **_: pytest.fail("read"))
    for name in ("first", "second", "third"):
        write_page(tmp_path, name, [("one", (100, 100, 500, 140)), ("two", (100, 160, 500, 200))])
        (tmp_path / f"{name}.xml").unlink()
        if name != "first":
            (tmp_path / f"{name}.png").write_bytes((tmp_path / f"{name}.png").read_bytes()[:-400])
    for words, text in (["--pages", tmp_path], "one\ntwo"), (["--data", f"lines:{tmp_path}"], "one"):
        for name in ("first", "second", "third"):
            (tmp_path / f"{name}.txt").write_text(text)
        code, _, err = run(*words, "--weights", "small", "--out", tmp_path / "result.json")
        assert code == 2
        assert "second.png: damaged or cut short" in err and "; 1 other picture cannot be opened either" in err


def test_a_page_with_xml_that_is_cut_short_is_found_before_anything_is_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr("htr.reader.Reader.read_page", lambda reader, picture: pytest.fail("read"))
    monkeypatch.setattr("htr.reader.Reader.read_prepared", lambda reader, lines, **_: pytest.fail("read"))
    for name in ("first", "second"):
        write_page(tmp_path, name, [("one", (100, 100, 500, 140)), ("two", (100, 160, 500, 200))])
    (tmp_path / "second.png").write_bytes((tmp_path / "second.png").read_bytes()[:-400])
    for words in ["--pages", tmp_path], ["--data", f"pages:{tmp_path}", "--split", "train"]:
        code, _, err = run(*words, "--weights", "small", "--out", tmp_path / "result.json")
        assert code == 2 and "second.png: damaged or cut short" in err
        assert "cannot be opened either" not in err  # its two lines are of one picture


def test_pages_too_long_to_be_distorted_are_named_before_anything_is_read(run, tmp_path, monkeypatch):
    write_page(tmp_path, "long", [("one", (100, 100, 500, 140))])
    Image.new("L", (600, 32_764), 255).save(tmp_path / "long.png")
    alto = (tmp_path / "long.xml").read_text()
    (tmp_path / "long.xml").write_text(alto.replace('WIDTH="600" HEIGHT="400"', 'WIDTH="600" HEIGHT="32764"'))
    monkeypatch.setattr(pages, "load", lambda weights, language: pytest.fail("read"))
    code, _, err = run("--pages", tmp_path, "--distort", "--out", tmp_path / "result.json")
    assert code == 2 and "long.png: 600 x 32764 pixels are too many to distort it (from corner to corner 32,770," in err


def test_names_of_results_are_no_longer_than_disks_take(tmp_path):
    """Also of folders in the root, such as /pages of a container."""
    about = {"machine": {"processor": "AMD EPYC", "threads": 2, "precision": "fp32"}, "weights": {"sha256": "5" * 64}}
    result = {**about, "date": "2026-12-01"}
    for source, start in (("/pages", "pages-pages-5_"), ("/data/pages", "pages-data-5_")):
        file = result_file(tmp_path, ["pages", pages_of(source), "5"], result)
        assert file.parent == tmp_path and file.name.startswith(start)
    write_result(result_file(tmp_path, [collection_of(f"lines:{120 * 'я'}"), "test"], result), result)


def test_figures_are_shown_though_there_is_no_room_for_their_files(run, iam_folder, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    code, out, err = run("--data", f"iam:{iam_folder}", "--language", "none", "--out", tmp_path / "result.json")
    assert code == 2
    assert "CER" in out
    assert (
        f"error: {tmp_path / 'result.json'}: cannot be written (No space left on device); make room, or make it writable, and try "
        "again" in err
    )


def test_short_memory_is_said_in_one_sentence(run, iam_folder, tmp_path, monkeypatch):
    def short(*_, **__):
        raise MemoryError("Unable to allocate 9 GiB")

    monkeypatch.setattr("htr.corpora.iam.open_image", short)
    code, _, err = run("--data", f"iam:{iam_folder}", "--out", tmp_path / "result.json")
    assert code == 2
    assert err.splitlines()[-1] == (
        "error: the memory is too small (Unable to allocate 9 GiB); close other programs, or give less at a time"
    )


def test_lines_whose_names_are_no_utf_8_are_scored(run, tmp_path):
    folder = tmp_path / "lines"
    folder.mkdir()
    try:
        (folder / "\udce9t\udce9.txt").write_text("one line")
    except OSError:
        pytest.skip("this file system takes no such name")
    (folder / "\udce9t\udce9.png").write_bytes(cv2.imencode(".png", np.full((60, 400), 200, np.uint8))[1].tobytes())
    code, _, _ = run("--data", f"lines:{folder}", "--out", tmp_path / "result.json")
    assert code == 0
    with (tmp_path / "result.tsv").open(encoding="utf-8") as file:
        assert [row["id"] for row in csv.DictReader(file, dialect="excel-tab")] == ["?t?"]


def test_a_screen_that_cannot_show_a_character_costs_no_result(run, iam_folder, tmp_path, monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(evaluate, "table", lambda result: "Łódź")
    code, _, _ = run("--data", f"iam:{iam_folder}", "--out", tmp_path / "result.json")
    assert code == 0 and (tmp_path / "result.tsv").is_file()
    screen.flush()
    assert screen.buffer.getvalue().startswith(rb"\u0141\xf3d\u017a")


def test_a_folder_whose_name_is_no_utf_8_is_scored(run, tmp_path):
    folder = tmp_path / "M\udcfcller"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    (folder / "a.txt").write_text("one line")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 400), 200, np.uint8))
    (tmp_path / "a.png").rename(folder / "a.png")
    code, _, _ = run("--data", f"lines:{folder}", "--out", tmp_path / "result.json")
    assert code == 0
    assert json.loads((tmp_path / "result.json").read_text())["data"].endswith("M?ller")


@pytest.mark.parametrize("name", [300 * "x", "locked/within"])
def test_names_too_long_and_places_not_ours_are_named(run, iam_folder, tmp_path, name):
    (tmp_path / "locked").mkdir(mode=0o000)
    if name.startswith("locked") and os.access(tmp_path / "locked", os.X_OK):
        pytest.skip("every folder is ours, as root's are")
    for words in (["--out", f"{tmp_path / name}.json"], ["--weights", tmp_path / name]):
        code, _, err = run("--data", f"iam:{iam_folder}", *words)
        assert code == 2 and err.startswith("error: ") and "check its name and permissions" in err
