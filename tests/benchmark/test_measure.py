import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from standin import StandIn, line, write_page

from htr.benchmark import __main__ as benchmark
from htr.benchmark import measure, pages, peers, provenance, speed
from htr.benchmark.details import details
from htr.benchmark.pages import load_truths
from htr.benchmark.results import Results, load_results
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.network import Recogniser
from htr.pages.containers import Region
from htr.reader import load
from htr.weights import Header, save_weights

SAMPLE_PAGE = Path(__file__).parents[2] / "data" / "sample" / "page.png"

ECHO = """
import json, sys
print(json.dumps({"facts": {"versions": {"echo": "1"}, "models": [], "notes": "reads nothing"}}), flush=True)
for request in map(json.loads, sys.stdin):
    print(json.dumps({"peak_mb": 5} if "peak" in request else {"result": "echo", "seconds": 0.5}), flush=True)
"""


@pytest.fixture
def echo(tmp_path, monkeypatch):
    """A peer that reads every line as echo, in half a second."""
    peer = peers.Peer("echo", "Echo 1", "lines", (), (), "none", "nowhere")
    runners = tmp_path / "runners"
    runners.mkdir()
    (runners / "run_echo.py").write_text(ECHO)
    monkeypatch.setattr(peers, "RUNNERS", runners)
    monkeypatch.setattr(peers, "_python", lambda peer, folder: Path(sys.executable))
    monkeypatch.setattr(measure, "PEERS", {"echo": peer})
    environment = tmp_path / "peers" / "echo"
    environment.mkdir(parents=True)
    (environment / "installed").write_text(peers._listing(peer))


def test_a_report_is_measured_once_and_drawn(echo, tmp_path, iam_folder, command_line, monkeypatch):
    monkeypatch.setattr(speed, "REPEATS", 1)
    out = tmp_path / "reports"
    words = ["--english", f"iam:{iam_folder}", "--page", SAMPLE_PAGE, "--peers", tmp_path / "peers", "--out", out]
    code, printed, _ = command_line(benchmark.main, *words)
    assert code == 0 and "report.html" in printed
    files = {file.name: file for file in out.glob("*.json")}
    kinds = sorted(json.loads(file.read_text()).get("kind", "examples") for file in files.values())
    assert kinds == ["examples", "lines", "peers", "speed"]
    page = (out / "report.md").read_text()
    assert "htr default, with language" in page
    assert "| Echo 1 | 2.0 |" in page  # lines a second
    shown = (out / "report.html").read_text().split("<details>")[1:]
    assert [part.count("<figure>") for part in shown[:2]] == [12, 12]  # as worst and by lot
    assert "The commonest mistakes" in shown[2] and re.search(r"<code>.</code> \w[^<]*<", shown[2])
    times = {name: file.stat().st_mtime_ns for name, file in files.items()}
    code, _, _ = command_line(benchmark.main, *words)
    assert code == 0 and {file.name: file.stat().st_mtime_ns for file in out.glob("*.json")} == times
    # What other code measured no longer counts.
    monkeypatch.setattr(measure, "code_sha256", lambda modules: "0" * 64)
    assert not measure._known(load_results(out).lines, "default")
    # Unless that was shown to give the same.
    (lines,) = load_results(out).lines
    same = {"counts as": {"code": "0" * 64, "because": "it reads the same"}}
    assert measure._known([lines | same], "default", split="test")
    assert not measure._known([lines | same], "default", split="val")


def test_comments_do_not_make_code_another(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    (tmp_path / "pages").mkdir()

    def checksum(text):
        (tmp_path / "pages" / "some.py").write_text(text)
        provenance.code_sha256.cache_clear()
        return provenance.code_sha256(("pages",))

    code = 'def f(x):\n    """Halves."""\n    return x / 2\n'
    alike = ['def f(x):\n    """By two."""\n    # Why.\n    return (x / 2)\n', "def f(x):\n\n    return x / 2\n"]
    assert {checksum(code), *map(checksum, alike)} == {checksum(code)}
    assert checksum(code.replace("2", "3")) != checksum(code)
    provenance.code_sha256.cache_clear()


def test_a_collection_without_test_lines_is_refused(tmp_path, command_line):
    folder = tmp_path / "letters"
    (folder / "train").mkdir(parents=True)
    SAMPLE = SAMPLE_PAGE.read_bytes()
    (folder / "train" / "a.png").write_bytes(SAMPLE)
    (folder / "train" / "a.txt").write_text("a")
    code, _, err = command_line(benchmark.main, "--english", f"lines:{folder}", "--out", tmp_path / "reports")
    assert code == 2 and "has no test lines" in err and err.strip().count("\n") == 0


def test_two_collections_of_one_name_and_size_keep_their_results(tmp_path, monkeypatch):
    """Measured by two commands on one day."""
    machine = {"processor": "AMD EPYC", "threads": 2, "precision": "fp32"}
    for text in ("one", "two"):
        result = {"machine": machine, "weights": {"sha256": "5" * 64}, "date": "2026-12-01", "labels_sha256": text}
        result |= {
            "kind": "lines",
            "version": provenance.VERSION,
            "command": "it",
            "language": None,
            "data": "lines:letters",
        }
        result["weights"] |= {"file": "a", "training": {}}
        result["machine"] |= {"device": "cpu"}
        result |= {"split": "test", "lines": 0, "readings": [], "details": {}}
        monkeypatch.setattr(measure, "evaluate_lines", lambda *_, result=result: dict(result))
        monkeypatch.setattr(measure, "_examples", lambda *_: {})
        measure._lines(Results(), measure.Collection("lines:letters", None), [], "default", tmp_path)
    assert [result["labels_sha256"] for result in load_results(tmp_path).lines] == ["one", "two"]


def test_without_matplotlib_nothing_is_measured_or_drawn(tmp_path, command_line, monkeypatch):
    (tmp_path / "report.md").write_text("a report")
    monkeypatch.setattr("htr.benchmark.plots.find_spec", lambda name: None)
    for words in ([], ["--draw"]):
        code, _, err = command_line(benchmark.main, *words, "--out", tmp_path)
        assert code == 2 and "error: plots need matplotlib; install it with" in err
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]


def test_what_was_measured_beside_more_readers_than_are_installed_counts():
    results = [{"kind": "pages", "tried": ["kraken", "another"]}, {"kind": "pages"}]
    assert measure._with(["kraken"], results) == results[:1]
    assert measure._with([], results) == results
    assert measure._with(["a third"], results) == []


def test_the_commonest_mistakes_are_shown_on_their_clearest_lines():
    class Picture:
        def image(self):
            return np.full((64, 200), 255, np.uint8)

    lines = [("a cat sat", "e cet set"), ("a bat", "e bat"), ("dog", "doog"), ("ox", "x")]
    readings = [{"truth": truth, "reading": reading, "confidence": 0.5, "writer": None} for truth, reading in lines]
    shown = measure._examples([Picture()] * len(lines), readings, details(readings))
    told = {line["about"]: line["truth"] for line in shown["The commonest mistakes, a line for each"]}
    assert told == {
        "`a` read as `e`, 4 times in all": "a bat", "`o` read where none is, 1 time in all": "dog",
        "`o` passed over, 1 time in all": "ox",
    }  # fmt: skip


def test_two_collections_of_one_name_are_refused_before_anything_is_measured(tmp_path):
    lines = [measure.Collection(f"lines:{tmp_path / name / 'letters'}", "english") for name in "ab"]
    pages = [str(tmp_path / name / "letters") for name in "ab"]
    for collections, sources in ((lines, []), ([], pages)):
        with pytest.raises(InputError, match="letters: two collections have this name"):
            measure.measure(collections, sources, None, ["default"], tmp_path, tmp_path, tmp_path)


def test_a_finder_that_fails_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(
        measure, "evaluate_pages", lambda *arguments: {"readings": [], "kind": "pages", "command": "it"}
    )
    monkeypatch.setattr("htr.benchmark.results.result_name", lambda about, result: "pages.json")
    peer = peers.Peer("echo", "Echo 1", "finding", (), (), "none", "nowhere")
    monkeypatch.setattr(measure, "PEERS", {"echo": peer})
    monkeypatch.setattr(measure, "installed", lambda peer, folder: True)

    def fail(*arguments):
        raise InputError("it stopped")

    monkeypatch.setattr(measure, "_found_by", fail)
    measure._pages(load_results(tmp_path), "here/pages", [], None, "default", tmp_path, tmp_path)
    assert json.loads((tmp_path / "pages.json").read_text())["left_out"] == {"Echo 1": "it failed"}
    # What another command measures on the same day, and what it names alike, is another result.
    monkeypatch.setattr(
        measure, "evaluate_pages", lambda *arguments: {"readings": [], "kind": "pages", "command": "more"}
    )
    measure._pages(load_results(tmp_path), "here/pages", [], "a word", "default", tmp_path, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pages-2.json", "pages.json"]


def test_pages_are_measured_beside_a_finder_once(tmp_path, monkeypatch, echo):
    (tmp_path / "letters").mkdir()
    boxes = [(100, 100, 500, 140), (100, 200, 500, 240)]
    write_page(tmp_path / "letters", "page", list(zip(["one", "two"], boxes)))
    # The other finds the first of two lines.
    corners = [[100, 100], [500, 100], [500, 140], [100, 140]]
    answer = {"result": [corners], "seconds": 0.5}
    (tmp_path / "runners" / "run_echo.py").write_text(
        ECHO.replace('{"result": "echo", "seconds": 0.5}', json.dumps(answer))
    )
    monkeypatch.setattr(measure, "PEERS", {"echo": replace(measure.PEERS["echo"], task="finding")})
    (tmp_path / "peers" / "echo" / "installed").write_text(peers._listing(measure.PEERS["echo"]))
    both = Region("text", tuple(line(*told) for told in zip(["one", "two"], *zip(*boxes))))
    monkeypatch.setattr(pages, "load", lambda weights, language: StandIn(both))
    monkeypatch.setattr(measure, "_checksum", lambda weights: StandIn.weights.sha256)
    source, out = str(tmp_path / "letters"), tmp_path / "reports"
    out.mkdir()
    for _ in range(2):
        truths = load_truths(source, None, None)
        measure._pages(load_results(out), source, truths, None, "standin", out, tmp_path / "peers")
    [file] = out.glob("*.json")
    result = json.loads(file.read_text())
    assert result["lines"]["polygons"]["0.5"]["F1"] == 100
    [other] = result["peers"]
    assert other["lines"]["polygons"]["0.5"] == pytest.approx({"F1": 100 * 2 / 3, "precision": 100, "recall": 50})
    assert other["seconds_a_page"] == 0.5


def test_of_the_repeated_timings_of_other_readers_the_median_counts(echo, tmp_path, monkeypatch):
    # Each of the first lines is read three times, slower at first and faster at last.
    (tmp_path / "runners" / "run_echo.py").write_text(
        ECHO.replace("for request", "seconds = [9.0] * 2 + [1.0] * 5 + [0.5] * 5 + [0.1] * 5\nfor request").replace(
            '"seconds": 0.5', '"seconds": seconds.pop(0)'
        )
    )
    monkeypatch.setattr(measure, "load", lambda weights: StandIn(reading="echo"))
    monkeypatch.setattr(measure, "first_result", lambda *_: {"seconds": 1.0, "peak_megabytes": 1})
    samples = [Sample(name, "echo", "test", lambda: np.full((20, 90), 255, np.uint8)) for name in "abcde"]
    out = tmp_path / "reports"
    out.mkdir()
    collection = measure.Collection("lines:here/letters")
    measure._peers(load_results(out), collection, samples, "standin", out, tmp_path / "peers")
    [file] = out.glob("*.json")
    [echo] = [reader for reader in json.loads(file.read_text())["readers"] if reader["name"] == "echo"]
    assert echo["lines_per_second"] == 2.0


def test_operations_of_networks_side_by_side_are_those_of_all(tmp_path):
    def operations(encoder):
        network = {"encoder": encoder, "width_stride": 8, "lstm_layers": 1, "lstm_units": 8, "neck_channels": 8}
        save_weights(tmp_path / "model.safetensors", Recogniser(classes=3, **network), Header("ab", 32, network))
        return speed._operations(load(tmp_path / "model.safetensors", "none"), 160)

    alone = [operations(encoder) for encoder in ("lcnet_035", "mobilenetv3_small_050")]
    assert operations("lcnet_035+mobilenetv3_small_050") == sum(alone)
