import csv
import json
from functools import partial

import pytest

from htr import evaluate
from htr.corpora.iam import load_iam
from htr.metrics import score
from htr.weights import load_weights


@pytest.fixture
def run(command_line):
    return partial(command_line, evaluate.main)


def test_table_and_json_agree_with_the_readings(run, iam_folder, tmp_path):
    code, out, _ = run("--data", f"iam:{iam_folder}", "--out", tmp_path / "result.json")
    assert code == 0
    result = json.loads((tmp_path / "result.json").read_text())
    with (tmp_path / "result.tsv").open() as file:
        readings = list(csv.DictReader(file, dialect="excel-tab"))
    assert result["lines"] == len(readings) == 12
    truths = {sample.id: sample.text for sample in load_iam(iam_folder) if sample.split == "test"}
    assert {entry["id"]: entry["truth"] for entry in readings} == truths
    again = score([entry["truth"] for entry in readings], [entry["reading"] for entry in readings])
    assert result["scores"]["CER"]["value"] == pytest.approx(again.cer.value)
    assert f"{again.cer.value:.2f} %" in out
    assert result["weights"]["sha256"] == load_weights().sha256
    assert result["machine"]["torch"]
    assert result["speed"]["lines_per_second"] > 0


def test_bad_input_exits_with_2(run, tmp_path):
    for words, complaint in [
        (["--data", "nonsense"], "nonsense: no such corpus"),
        (["--data", f"iam:{tmp_path}"], "has no ascii/lines.txt"),
        (["--data", f"iam:{tmp_path}/nowhere"], "no such folder"),
        (["--data", "sample", "--out", tmp_path / "x.tsv"], "must end in .json"),
        (["--data", "sample", "--out", "/proc/nowhere/x.json"], "/proc/nowhere: cannot be written to"),
    ]:
        code, _, err = run(*words)
        assert code == 2
        assert complaint in err
