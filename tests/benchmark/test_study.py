import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from htr import study
from htr.benchmark import study as benchmark
from htr.benchmark.blocks import as_markdown
from htr.benchmark.provenance import VERSION
from htr.benchmark.study import load_study, run_study, settings_sha256
from htr.benchmark.study_page import Point, curves, lines_needed, study_blocks, write_page
from htr.corpora import load_corpus
from htr.errors import InputError
from htr.finetuning.lines import write_lines
from htr.training.folder import InUse
from htr.training.run import train

CONFIGS = Path(__file__).parents[2] / "configs"

MACHINE = {"processor": "P", "threads": 1, "precision": "bf16"}

TINY = {
    "encoder": "lcnet_035", "pretrained": "none", "height": 32, "lstm_layers": 1, "lstm_units": 16, "neck_channels": 16,
    "batch_pixels": 100_000, "workers": 0, "epochs": 2, "trainer": {"enable_progress_bar": False},
}  # fmt: skip


@pytest.fixture
def study_file(tmp_path, iam_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_study(tmp_path / "tiny.yaml", iam_folder)


def write_study(file, folder, **changes):
    values = {
        "title": "Two rates",
        "score": {"data": f"iam:{folder}", "split": "test"},
        "shares": [1.0, 0.5],
        "seeds": [1],
        "variants": {"slow": {}, "fast": {"learning_rate": 1e-2}},
        "config": {**TINY, "data": [f"iam:{folder}"]},
        **changes,
    }
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def test_a_study_runs_every_cell_and_goes_on_where_it_stopped(study_file, iam_folder, tmp_path):
    result = json.loads(run_study(study_file, tmp_path).read_text())
    assert [(run["variant"], run["train_lines"], run["seed"]) for run in result["runs"]] == [
        ("slow", 24, 1), ("fast", 24, 1), ("slow", 12, 1), ("fast", 12, 1),
    ]  # fmt: skip
    assert [run["epochs"] for run in result["runs"]] == [2, 2, 4, 4]  # half of the lines, twice as often
    assert str(iam_folder) not in json.dumps(result["score"])
    # Under another name it is the same run.
    renamed = {"slow": {}, "quick": {"learning_rate": 1e-2}}
    result = json.loads(run_study(write_study(study_file, iam_folder, variants=renamed), tmp_path).read_text())
    assert [run["variant"] for run in result["runs"]] == ["slow", "quick", "slow", "quick"]
    # Without its run folder, what the result file holds is not run again; what the study asks for in addition is.
    kept = {run["weights_sha256"] for run in result["runs"]}
    result["runs"][1]["minutes"] = 99.0
    (tmp_path / "tiny.json").write_text(json.dumps(result))
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    write_study(study_file, iam_folder, shares=[1.0], seeds=[1, 2])
    # Nor is it dropped where the study no longer asks for it.
    with pytest.raises(
        InputError, match=r"tiny\.json: holds 2 runs that .*tiny\.yaml no longer asks for; move it away"
    ):
        run_study(study_file, tmp_path)
    assert json.loads((tmp_path / "tiny.json").read_text()) == result
    (tmp_path / "tiny.json").write_text(json.dumps({**result, "runs": result["runs"][:2]}))
    again = json.loads(run_study(study_file, tmp_path).read_text())
    assert [(run["variant"], run["seed"]) for run in again["runs"]] == [
        ("slow", 1),
        ("fast", 1),
        ("slow", 2),
        ("fast", 2),
    ]
    assert again["runs"][1]["minutes"] == 99.0
    assert {run["weights_sha256"] for run in again["runs"][:2]} <= kept
    assert len(list((tmp_path / "runs" / "studies" / "tiny").glob("*/summary.json"))) == 2


def test_runs_are_done_anew_where_the_lines_that_they_learnt_have_changed(study_file, iam_folder, tmp_path):
    write_lines(tmp_path / "letters", load_corpus(f"iam:{iam_folder}"))
    data = f"lines:{tmp_path / 'letters'}"
    write_study(study_file, iam_folder, variants={"one": {}}, shares=[1.0], config={**TINY, "data": [data]})
    [run] = json.loads(run_study(study_file, tmp_path).read_text())["runs"]
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    assert json.loads(run_study(study_file, tmp_path).read_text())["runs"] == [run]
    table = tmp_path / "letters" / "lines.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace(".png\t", ".png\té"), encoding="utf-8")
    assert json.loads(run_study(study_file, tmp_path).read_text())["runs"] != [run]


def test_a_run_that_another_process_is_at_is_left_to_it(study_file, tmp_path, caplog):
    held = tmp_path / "runs" / "studies" / "tiny" / "slow-1-1"
    with FileLock(held / "lock"):
        with pytest.raises(InUse, match="slow-1-1: another process trains there"):
            train(load_study(study_file)[1][0].config)
        file = run_study(study_file, tmp_path)
    assert [run["settings_sha256"] for run in json.loads(file.read_text())["runs"]] == [
        settings_sha256(cell.config, load_study(study_file)[0].score) for cell in load_study(study_file)[1][1:]
    ]
    assert "left to other processes: 1 of 4 runs" in caplog.text
    # What the other process adds meanwhile is not lost.
    assert len(json.loads(run_study(study_file, tmp_path).read_text())["runs"]) == 4


def test_a_folder_with_another_run_is_named_once_all_else_is_measured(study_file, tmp_path):
    run_study(study_file, tmp_path).unlink()
    other = Path("runs/studies/tiny/slow-1-1")
    (other / "learnt.sha256").write_text("of other lines")
    with pytest.raises(InputError, match=rf"not measured, since their folders hold .*: {other}; delete these"):
        run_study(study_file, tmp_path)
    assert len(json.loads((tmp_path / "tiny.json").read_text())["runs"]) == 3


def test_runs_of_other_code_do_not_pass_for_runs_of_this(study_file, tmp_path, monkeypatch):
    file = run_study(study_file, tmp_path)
    before = file.read_text()
    monkeypatch.setattr(benchmark, "code_sha256", lambda modules: "changed")
    # All of one code, and nothing missing: it stays as it is.
    assert run_study(study_file, tmp_path) == file and file.read_text() == before
    result = json.loads(before)
    before = json.dumps({**result, "runs": result["runs"][1:]})
    file.write_text(before)
    with pytest.raises(InputError, match="their folders hold runs with other settings, code, lines"):
        run_study(study_file, tmp_path)
    assert json.loads(file.read_text())["runs"] == json.loads(before)["runs"]
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    result["runs"][0]["labels_sha256"] = "of other lines"  # a run that was scored on these no longer counts either
    file.write_text(json.dumps(result))
    assert {run["code"] for run in json.loads(run_study(study_file, tmp_path).read_text())["runs"]} == {"changed"}


def test_the_page_is_drawn_from_the_result_alone(tmp_path, command_line):
    file = tmp_path / "study.json"
    file.write_text(
        json.dumps(result_of({"nothing": {100: [80, 90], 1000: [40]}, "synthetic": {100: [40], 1000: [20]}}))
    )
    code, out, _ = command_line(study.main, "--draw", file)
    assert code == 0 and "study.md" in out
    page = (tmp_path / "study.md").read_text()
    assert "| 100 | 85.0 (80.0 to 90.0) | 40.0 |" in page
    # Synthetic has 40 % with 100 lines, for which nothing needs 1,000.
    assert "| 1,000 lines | 40.0 | 10.0 times (100 lines) |" in page
    # Whether fewer would do, nobody has tried.
    assert "| 100 lines | 85.0 |  |" in page
    picture = (tmp_path / "plots" / "s.svg").read_text()
    assert picture.startswith("<?xml") and "labelled lines" in picture and "synthetic" in picture


def test_values_are_not_called_those_of_all_runs_where_variants_and_shares_change_them(tmp_path):
    result = result_of({"nothing": {100: [80], 1000: [40]}, "high": {1000: [20]}})
    result["config"], result["variants"]["high"] = {"epochs": 2, "height": 32}, {"height": 64}
    file = tmp_path / "study.json"
    for share in (0.1, 1.0):
        result["runs"][0]["share"] = share
        file.write_text(json.dumps(result))
        page = write_page(file).read_text()
        assert "Where `values` does not say otherwise: `epochs: 2`, `height: 32`." in page
        assert ("`epochs` are divided by it" in page) == (share < 1)


def test_the_page_of_a_result_goes_beside_it(tmp_path, command_line):
    code, _, err = command_line(study.main, "--draw", tmp_path / "study.json", "--out", tmp_path / "else")
    assert code == 2 and "--out goes with studies to run" in err


def test_drawing_makes_no_folder(tmp_path, command_line):
    code, _, err = command_line(study.main, "--draw", tmp_path / "reprots" / "study.json")
    assert (code, "reprots/study.json: " in err) == (2, True)
    assert not (tmp_path / "reprots").exists()


def test_starts_are_compared_with_one_that_learns_of_more_lines(tmp_path):
    """What nothing comes to is the same with all lines: it had no time to learn, and no number of lines is compared with."""
    flat = {"nothing": {100: [58], 1000: [57]}}
    for others, compared in (
        ({"synthetic": {100: [40], 1000: [20]}}, "`synthetic`"),
        ({"synthetic": {100: [40]}}, None),
    ):
        (tmp_path / "study.json").write_text(json.dumps(result_of({**flat, **others})))
        write_page(tmp_path / "study.json")
        page = (tmp_path / "study.md").read_text()
        assert (f"give the CER of {compared}" in page) == ("How many times fewer" in page) == (compared is not None)


def result_of(variants):
    rate = {"low": 0, "high": 0}
    runs = [
        {
            "variant": variant, "share": 1, "seed": seed, "train_lines": lines, "minutes": 1.0, "steps": 10, "epochs": 1,
            "best_epoch": 1, "val_cer": 1.0, "curve": [], "weights_sha256": "5" * 64,
            "machine": {"processor": "P", "threads": 2, "precision": "fp32"},
            "scores": {"CER": {"value": value, **rate}, "WER": {"value": value, **rate}},
        }
        for variant, by_lines in variants.items()
        for lines, values in by_lines.items()
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return {
        "kind": "study", "version": VERSION, "study": "s", "title": "S", "shares": [1], "seeds": [1], "planned": len(runs),
        "variants": {name: {} for name in variants}, "score": {"data": "iam:iam", "split": "test"},
        "config": {"height": 32}, "command": "c", "runs": runs,
    }  # fmt: skip


def test_how_fast_the_variants_learn_is_drawn(tmp_path):
    result = result_of({"nothing": {10: [80], 100: [70]}, "synthetic": {50: [40]}})
    for run in result["runs"]:
        run["curve"] = [{"epoch": 1 + look, "minutes": look, "val_cer": 90 - 10 * look} for look in range(3)]
    (tmp_path / "study.json").write_text(json.dumps(result))
    write_page(tmp_path / "study.json")
    picture = (tmp_path / "plots" / "s-learning.svg").read_text()
    assert "epochs" in picture and "nothing, 100 lines" in picture and "nothing, 10 lines" not in picture
    # Where minutes end the runs, these are what they have in common; and so may be the number of lines.
    result |= {"config": {"minutes": 6}, "runs": [run for run in result["runs"] if run["train_lines"] == 100]}
    (tmp_path / "study.json").write_text(json.dumps(result))
    write_page(tmp_path / "study.json")
    picture = (tmp_path / "plots" / "s-learning.svg").read_text()
    assert "minutes of training" in picture and "100 lines" not in picture
    # Two looks make no curve.
    (tmp_path / "plots" / "s-learning.svg").unlink()
    for run in result["runs"]:
        run["curve"] = run["curve"][:2]
    (tmp_path / "study.json").write_text(json.dumps(result))
    assert "s-learning" not in write_page(tmp_path / "study.json").read_text()


def test_variants_with_one_number_of_lines_are_ranked(tmp_path):
    result = result_of({"plain": {10: [6]}, "best": {10: [5]}, "worst": {10: [7]}})
    for run in result["runs"]:
        run["scores"]["CER"] |= {"low": 4, "high": 8}
    (tmp_path / "study.json").write_text(json.dumps(result))
    write_page(tmp_path / "study.json")
    picture = (tmp_path / "plots" / "s.svg").read_text()
    assert "CER, % (test lines of iam)" in picture
    # From top to bottom.
    assert picture.index(">best<") < picture.index(">plain<") < picture.index(">worst<")


def test_lines_needed_are_read_off_on_a_logarithmic_scale():
    curve = [Point(10, 90, 90, 90, 1), Point(1000, 50, 50, 50, 1)]
    assert lines_needed(curve, 70) == pytest.approx(100)
    assert lines_needed(curve, 50) == pytest.approx(1000)
    assert lines_needed(curve, 95) == 10
    assert lines_needed(curve, 40) is None


def test_curves_average_over_seeds():
    assert curves(result_of({"a": {10: [1, 3]}, "b": {}})) == {"a": [Point(10, 2, 1, 3, 2)]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seeds": []}, "seeds is empty"),
        ({"variant": {}}, "no key variant; did you mean variants"),
        ({"variants": {"a": {"learning_rat": 1}}}, "a: there is no key learning_rat"),
        ({"shares": [2]}, "shares: 2 is no share"),
        ({"shares": ["a"]}, "shares: 'a' is no share"),
        ({"variants": {"a": 5}}, "a has no keys and values"),
        ({"variants": {"a b": {}, "a+b": {}}}, "two runs would have the same folder"),
        ({"config": {**TINY, "data": ["sample"], "minutes": 1}}, "minutes: end by epochs"),
        ({"score": {"data": "sample", "split": "train"}}, "split: val or test"),
        ({"score": {"data": ["sample"], "split": "test"}}, "give data, one corpus"),
        ({"variants": {"a tenth": {"share": 0.1}}}, "a tenth: share: is not for the config; see shares and seeds"),
        ({"config": {**TINY, "data": ["sample"], "seed": 2}}, "slow: seed: is not for the config"),
        (
            {"variants": {"a": {"trainer": {"check_val_every_n_epoch": 4}}}},
            "check_val_every_n_epoch: follows from shares",
        ),
        ({"variants": {"a": {"trainer": {"limit_train_batches": 4}}}}, "limit_train_batches: follows from shares"),
        ({"variants": {"a": {"trainer": [{"accelerator": "cpu"}]}}}, "a: trainer: .* is not {key: value}"),
        ({"variants": {"a": {"epochs": "ten"}}}, "a: epochs: 'ten' is not a whole number"),
        ({"variants": {"a": {"trainer": {"max_epochs": 4}}}}, "max_epochs: training ends by epochs"),
        ({"seeds": [1, 1]}, "give each share and seed once"),
        ({"config": {**TINY, "data": ["sample"], "trainer": {"devices": 2}}}, "devices: this trains on one device"),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(study_file, iam_folder, changes, complaint):
    with pytest.raises(InputError, match=complaint):
        load_study(write_study(study_file, iam_folder, **changes))


def test_a_variant_that_cannot_be_used_is_named_once_all_else_is_measured(study_file, iam_folder, tmp_path):
    variants = {"slip": {"encoder": "resnet81"}, "good": {}}
    write_study(study_file, iam_folder, variants=variants, shares=[1.0], seeds=[1, 2])
    (tmp_path / "out put").mkdir()
    with pytest.raises(InputError, match=r"tiny\.yaml: not measured: slip: encoder: resnet81 .*") as told:
        run_study(Path(study_file.name), tmp_path / "out put")
    assert str(told.value).count("slip") == 1
    result = json.loads((tmp_path / "out put" / "tiny.json").read_text())
    assert [(run["variant"], run["seed"]) for run in result["runs"]] == [("good", 1), ("good", 2)]
    assert result["command"] == f"python -m htr.study tiny.yaml --out '{tmp_path / 'out put'}'"


def test_a_slip_in_one_study_does_not_keep_others_from_being_run(study_file, iam_folder, tmp_path, command_line):
    one = {"shares": [1.0], "seeds": [1]}
    slips = write_study(tmp_path / "slips.yaml", iam_folder, variants={"slip": {"encoder": "resnet81"}}, **one)
    partly = write_study(
        tmp_path / "partly.yaml", iam_folder, variants={"slip": {"encoder": "resnet82"}, "good": {}}, **one
    )
    good = write_study(study_file, iam_folder, variants={"good": {}}, **one)
    code, out, err = command_line(study.main, slips, partly, good, "--out", tmp_path)
    assert code == 2
    assert "slips.yaml: not measured: slip: encoder: resnet81" in err and "partly.yaml: not measured: slip:" in err
    assert [line for line in out.splitlines() if line.startswith("written to")] == [
        f"written to {tmp_path / name}" for name in ("partly.md", "tiny.md")
    ]
    # Of no run, there is nothing to tell.
    assert not (tmp_path / "slips.json").exists()


def test_studies_whose_pages_would_have_one_name_are_refused(study_file, iam_folder, tmp_path, command_line):
    (tmp_path / "more").mkdir()
    other = write_study(tmp_path / "more" / study_file.name, iam_folder)
    code, _, err = command_line(study.main, study_file, other, "--out", tmp_path)
    assert code == 2 and "two of the studies have the same name" in err
    with pytest.raises(InputError, match="would take the place of the benchmark's report"):
        load_study(study_file.rename(tmp_path / "report.yaml"))
    code, _, err = command_line(study.main, "--draw", other)
    assert code == 2 and "is a study; give its result, such as reports/tiny.json" in err


def test_names_are_shown_in_plots_as_they_are(tmp_path):
    result = result_of({"_none": {100: [80], 1000: [40]}, "a$b_{$c": {100: [40], 1000: [20]}})
    (tmp_path / "my odd.json").write_text(json.dumps({**result, "study": "my odd"}))
    page = write_page(tmp_path / "my odd.json").read_text()
    assert "](plots/my%20odd.svg)" in page
    picture = (tmp_path / "plots" / "my odd.svg").read_text()
    assert "_none" in picture and "a$b_{$c" in picture


def test_a_run_starts_from_the_run_of_its_own_seed(study_file, iam_folder):
    variants = {"from another study": {"start": "runs/other-{seed}/model.safetensors"}}
    _, cells = load_study(write_study(study_file, iam_folder, variants=variants, seeds=[1, 2], shares=[1.0]))
    assert [cell.config.start for cell in cells] == [f"runs/other-{seed}/model.safetensors" for seed in (1, 2)]


def test_runs_that_differ_in_the_steps_that_they_take_are_not_the_same(study_file):
    _, [cell, *_] = load_study(study_file)
    rarer = replace(cell.config, trainer={**cell.config.trainer, "accumulate_grad_batches": 8})
    finer = replace(cell.config, trainer={**cell.config.trainer, "precision": "32-true"})
    quieter = replace(cell.config, trainer={**cell.config.trainer, "log_every_n_steps": 1})
    keys = [settings_sha256(config, {}) for config in (cell.config, rarer, finer, quieter)]
    assert keys[0] == keys[3] and len({*keys}) == 3


def test_what_is_no_result_of_a_study_is_named(tmp_path):
    about = f'"kind": "study", "version": {json.dumps(VERSION)}'
    others = ('{"a": 1}', f"{{{about}}}", f'{{{about}, "runs": null}}', f'{{{about}, "runs": [5]}}')
    for text, what in (("{", "measurement"), ("[1]", "measurement"), *((other, "study") for other in others)):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(InputError, match=rf"other\.json: not the result of a {what}"):
            write_page(tmp_path / "other.json")
    (tmp_path / "other.json").write_text(f'{{{about}, "runs": [{{}}]}}')
    with pytest.raises(InputError, match=r"other\.json: damaged"):
        write_page(tmp_path / "other.json")


@pytest.mark.parametrize("file", sorted((CONFIGS / "studies").glob("*.yaml")), ids=lambda file: file.name)
def test_shipped_studies_are_valid(file):
    assert load_study(file)[1]


def test_a_curve_that_is_flat_at_its_end_is_said_to_flatter_the_others():
    def page(*rates):
        runs = [
            {
                "variant": variant, "train_lines": lines, "seed": 1, "minutes": 1.0, "steps": 1, "best_epoch": 1, "epochs": 1,
                "val_cer": 1.0, "weights_sha256": "1" * 64, "curve": [], "machine": MACHINE,
                "scores": {name: {"value": cer, "low": cer, "high": cer} for name in ("CER", "WER")},
            }
            for variant in ("ImageNet", "more")
            for lines, cer in zip((10, 100, 1000), rates)
        ]  # fmt: skip
        result = {
            "study": "tiny", "title": "Tiny", "score": {"data": "iam:iam", "split": "test"}, "planned": 6, "command": "c",
            "variants": {"ImageNet": {}, "more": {}}, "config": {}, "runs": runs,
        }  # fmt: skip
        return as_markdown(list(study_blocks(result)))

    assert "The curve of `ImageNet` hardly falls at its end" in page(50.0, 30.0, 29.5)
    assert "hardly falls" not in page(50.0, 30.0, 20.0)


@pytest.mark.parametrize(
    ("data", "split", "column"),
    [
        (["sample"], "test", "CER of val lines of sample"),
        ("iam:there/iam", "val", None),
        (None, "test", "CER of val lines"),
    ],
)
def test_by_which_lines_the_best_weights_were_chosen_is_told_once(tmp_path, data, split, column):
    result = result_of({"nothing": {10: [80]}})
    result |= {"score": {"data": "iam:iam", "split": split}, "config": {"data": data} if data else {}}
    (tmp_path / "study.json").write_text(json.dumps(result))
    write_page(tmp_path / "study.json")
    header = next(row for row in (tmp_path / "study.md").read_text().splitlines() if row.startswith("| variant |"))
    assert header.split(" | ")[6:9] == ["best epoch", *([column] if column else []), "CER", "WER"][:3]
