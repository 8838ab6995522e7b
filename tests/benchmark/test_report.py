import json
import re
import shutil
from pathlib import Path

import pytest

from htr.benchmark import __main__ as benchmark
from htr.benchmark.blocks import Heading, Line, Lines, Plot, Table, Text, as_html, as_markdown
from htr.benchmark.details import details
from htr.benchmark.lines import named_rates
from htr.benchmark.provenance import VERSION
from htr.benchmark.report import draw_report
from htr.benchmark.results import free_name, load_results
from htr.errors import InputError
from htr.metrics import score
from htr.weights import MODELS, sha256

REPORTS = Path(__file__).parents[2] / "reports"

MACHINE = {
    "device": "cpu", "processor": "P", "threads": 2, "precision": "bf16", "python": "3.11", "torch": "2", "timm": "1", "htr": "0",
}  # fmt: skip
ABOUT = {
    "version": VERSION, "language": None, "machine": MACHINE, "date": "2026-01-02", "command": "python -m htr.benchmark",
    "weights": {
        "file": "default.safetensors", "sha256": sha256(MODELS / "default.safetensors"), "network": {"encoder": "resnet18"},
        "training": {"seed": 1},
    },
}  # fmt: skip
TRUTHS = ["the first line", "the second line", "a third"] * 5
READINGS = ["the first line", "the sacond lime", "a third."] * 5


def lines_result(data="lines:here/letters", **changes):
    writers = ["Ann", "Ben", "Eve"] * 5
    scores = score(TRUTHS, READINGS)
    listed = [
        {"truth": truth, "reading": reading, "confidence": 0.5 + 0.01 * number, "writer": writer}
        for number, (truth, reading, writer) in enumerate(zip(TRUTHS, READINGS, writers))
    ]
    return {
        "kind": "lines", "data": data, "split": "test", "lines": len(TRUTHS), "characters": 180, "labels_sha256": "1" * 64,
        "complete_aachen": False, "scores": named_rates(scores), "scores_with_language": {},
        "scores_over_writers": named_rates(score(TRUTHS, READINGS, writers)), "details": details(listed), **ABOUT, **changes,
    }  # fmt: skip


def peers_result():
    rates = named_rates(score(TRUTHS, READINGS))
    about = {"version": "5.3", "scores": rates, "seconds_to_start": 1.0, "peak_megabytes": 100}
    return {
        "kind": "peers", "data": "lines:here/letters", "split": "test", "threads": 2, "left_out": {"Other": "not installed"},
        "labels_sha256": "1" * 64, "lines": 15, "how": "one line after the other",
        "readers": [
            {"name": "htr", "title": "htr default", "lines_per_second": 20.0, **about},
            {"name": "tesseract", "title": "Tesseract", "lines_per_second": 5.0, **about},
        ],
        **ABOUT,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, result in (("letters", lines_result()), ("peers", peers_result())):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    return tmp_path


def test_every_figure_of_the_tables_is_that_of_the_result_file(folder):
    draw_report(folder)
    page = (folder / "report.md").read_text()
    cer = score(TRUTHS, READINGS).cer
    assert f"{cer.value:.2f} [{cer.low:.2f}, {cer.high:.2f}]" in page
    assert (
        "| Tesseract | 5.0 |" in page and "| Tesseract | 5.3 | 1.0 | 100 |" in page and "Other (not installed)" in page
    )
    assert "`e` read as `a`: 5" in page
    assert "3 writers" in page and "Ann" not in page
    assert "**Ours are not comparable**" in page and "HTR-VT" in page


def test_plots_of_writers_go_with_their_results(folder):
    (folder / "letters.json").rename(folder / "old.json")
    draw_report(folder)
    assert (folder / "plots" / "writers-old.svg").is_file()
    (folder / "old.json").rename(folder / "new.json")
    draw_report(folder)
    assert {plot.name for plot in (folder / "plots").glob("writers-*")} == {"writers-new.svg"}


def test_the_page_stands_alone(folder):
    draw_report(folder)
    page = (folder / "report.html").read_text()
    sources, links = (re.findall(f'{name}="([^"]+)"', page) for name in ("src", "href"))
    assert sources and all(source.startswith("data:") for source in sources)
    assert "<link" not in page and "@import" not in page
    assert links and all(link.startswith("#") or (folder / link).is_file() for link in links)
    assert all('alt="' in picture for picture in re.findall("<img[^>]*>", page))


def test_another_machines_result_is_merged_by_dropping_it_there(folder):
    machine = {**MACHINE, "device": "gpu", "processor": "Fast card"}
    (folder / "gpu.json").write_text(json.dumps(lines_result(machine=machine)))
    draw_report(folder)
    assert "htr default on Fast card" in (folder / "report.md").read_text()


def test_results_of_several_processors_stand_beside_each_other(folder):
    for name, changes in (("other", {"processor": "Q"}), ("alone", {"threads": 1})):
        (folder / f"{name}.json").write_text(json.dumps(lines_result(machine={**MACHINE, **changes})))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    names = "htr default on P, 1 thread, bf16", "htr default on P, 2 threads, bf16", "htr default on Q, 2 threads, bf16"
    assert all(f"| {name} |" in page and f"### letters test, {name}" in page for name in names)


def test_what_was_taught_on_another_processor_names_it_alone(folder):
    counts = {"with line breaks": {"true": 182, "right": 179, "wrong": 1}}
    result = {"kind": "transcripts", "pages": "iam:there/iam", "count": 20, "results": counts, **ABOUT}
    (folder / "transcripts.json").write_text(json.dumps({**result, "machine": {**MACHINE, "processor": "Q"}}))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "(20 pages of iam, htr default on Q, 2 threads, bf16)" in page and "htr default on P" not in page


def test_other_lines_of_the_same_name_are_told_apart(folder):
    (folder / "more.json").write_text(json.dumps(lines_result(lines=2915, labels_sha256="2" * 64)))
    draw_report(folder)
    overview = (folder / "report.md").read_text().partition("## Speed and size")[0]
    assert "| letters test (15 lines) | 15 |" in overview and "| letters test (2,915 lines) | 2,915 |" in overview


def test_other_readers_on_other_machines_stand_beside_each_other(folder):
    machine = {**MACHINE, "processor": "Q"}
    (folder / "q.json").write_text(json.dumps({**peers_result(), "machine": machine}))
    draw_report(folder)
    overview = (folder / "report.md").read_text().partition("## Speed and size")[0]
    assert "Tesseract on P, 2 threads, bf16 |" in overview and "Tesseract on Q, 2 threads, bf16 |" in overview


def test_a_reader_that_one_result_has_is_not_called_left_out(folder):
    more = peers_result() | {
        "data": "lines:here/notes",
        "date": "2026-11-01",
        "left_out": {"Tesseract": "not installed"},
    }
    (folder / "more.json").write_text(json.dumps(more))
    draw_report(folder)
    assert "Left out: Other (not installed)." in (folder / "report.md").read_text()


def test_other_readers_are_not_set_beside_other_lines(folder):
    (folder / "peers.json").write_text(json.dumps({**peers_result(), "labels_sha256": "2" * 64}))
    draw_report(folder)
    overview = (folder / "report.md").read_text().partition("## Speed and size")[0]
    assert "htr default" in overview and "Tesseract" not in overview


def test_other_weights_of_the_same_name_are_told_apart(folder):
    for number in (1, 2):
        weights = {**ABOUT["weights"], "file": "model.safetensors", "sha256": str(number) * 64}
        (folder / f"{number}.json").write_text(json.dumps(lines_result(weights=weights)))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "htr model 11111111" in page and "htr model 22222222" in page


def test_earlier_weights_of_a_shipped_name_are_told_apart(folder):
    weights = {**ABOUT["weights"], "sha256": "5" * 64}
    (folder / "earlier.json").write_text(json.dumps(lines_result(weights=weights)))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "| htr default |" in page and "| htr default 55555555 |" in page


def test_of_the_same_weights_and_lines_the_newest_counts(folder):
    older = lines_result(date="2025-01-01")
    older["scores"]["CER"]["value"] = 77.77
    (folder / "older.json").write_text(json.dumps(older))
    draw_report(folder)
    assert "77.77" not in (folder / "report.md").read_text()


def test_results_of_other_language_models_stand_beside_the_usual_ones(folder):
    helped = named_rates(score(TRUTHS, TRUTHS))
    for name, models in (
        ("auto", {"english.npz": "1" * 64}), ("french", {"french.npz": "2" * 64}), ("mine.npz", {"mine.npz": "3" * 64}),
    ):  # fmt: skip
        language = {"name": name, "models": models, "weight": 0.5, "bonus": 0.1, "unexpected": 5.0}
        result = lines_result(language=language, scores_with_language=helped)
        (folder / f"letters-{name}.json").write_text(json.dumps(result))
    draw_report(folder)
    header = next(
        row for row in (folder / "report.md").read_text().splitlines() if row.startswith("| lines | how many | htr")
    )
    columns = "htr default", "htr default, with language", "htr default, with language french"
    assert header.split(" | ")[2:6] == [*columns, "htr default, with language mine 33333333"]


def test_of_results_of_one_day_the_last_counts(tmp_path):
    first = tmp_path / "letters-test-15_11111111_p-2t-bf16_2026-01-01.json"
    commands = [f"command {number}" for number in range(1, 12)]
    for command in commands:
        result = lines_result(command=command)
        assert free_name(first, result) == free_name(first, result)
        free_name(first, result).write_text(json.dumps(result))
        assert free_name(first, result).exists()  # measured again, it takes the place of the former
    assert [result["command"] for result in load_results(tmp_path).lines] == commands
    assert not free_name(first, lines_result(command=commands[0], code="of other code")).exists()


def test_lines_found_on_distorted_pages_are_told(folder):
    rates = {shape: {iou: {"F1": 97.0} for iou in ("0.5", "0.75")} for shape in ("boxes", "polygons")}
    result = {
        "kind": "pages", "pages": "here/letters/pages", "split": None, "leave_out": None, "count": 2, "counts": {"true": 9},
        "lines": rates, "scores": {}, "seconds_a_page": {"finding": 1.0, "reading": 2.0}, "labels_sha256": "1" * 64,
        "distortions": {"darkened": {"F1": 95.55, "lost": 1.45}}, **ABOUT,
    }  # fmt: skip
    (folder / "pages.json").write_text(json.dumps(result))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert (
        "| pages | letters, htr default |" in page
        and "| as they are | 97.0 |" in page
        and "| darkened | 95.5 |" in page
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not the result of a measurement ("),
        ("[1]", "not the result of a measurement"),
        ('{"kind": "other"}', "not a result of this htr"),
        ('{"kind": []}', "not a result of this htr"),
        ('{"kind": "lines", "version": 0}', "of another version"),
        ('{"kind": "lines", "version": 1}', "of another version"),
    ],
)
def test_wrong_and_old_files_are_named_and_left_out(folder, command_line, caplog, content, complaint):
    (folder / "bad.json").write_text(content)
    code, _, err = command_line(benchmark.main, "--draw", "--out", folder)
    assert code == 2 and "report.html: written, without 1 file" in err and (folder / "report.html").is_file()
    assert [complaint in message for message in caplog.messages if "bad.json" in message] == [True]


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": []}, {"date": 5}, {"scores": {}}, {"machine": {}}, {"scores": {"CER": {"value": "5"}}},
        {"details": {**lines_result()["details"], "confusions": [{"true": "a"}]}}, {"language": "english"},
    ],
)  # fmt: skip
def test_damaged_values_are_named_and_left_out(folder, caplog, changes):
    (folder / "bad.json").write_text(json.dumps(lines_result(**changes)))
    with pytest.raises(InputError, match="written, without 1 file"):
        draw_report(folder)
    assert ["damaged" in message for message in caplog.messages if "bad.json" in message] == [True]


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("iam-test-788_*", ["details", "accepted", "confidence"], None), ("iam-test-788_*", ["scores_with_language"], {}),
        ("iam-test-788_*", ["scores_over_writers"], {"CER": 5}), ("*-peers_*", ["readers", 0, "scores"], {"CER": {}}),
        ("*-peers_*", ["readers", 1, "lines_per_second"], None), ("pages-*", ["lines", "boxes"], {}),
        ("pages-*", ["scores"], {"CER": 5}), ("speed_*", ["page", "seconds"], None), ("speed_*", ["first"], {"a line": {}}),
        ("finetuning-*", ["runs", 0, "tuned"], None), ("transcripts-*", ["results"], {"with line breaks": 5}),
        ("transfer-iam", ["runs", 0, "train_lines"], None), ("recipe", ["runs", 1, "variant"], "other"),
    ],
)  # fmt: skip
def test_damage_deep_in_a_result_is_named_and_all_else_drawn(folder, caplog, kind, place, value):
    files = [file for file in sorted(REPORTS.glob(f"{kind}.json")) if not file.name.endswith(".examples.json")]
    result = json.loads(files[0].read_text())
    part = result
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    (folder / "bad.json").write_text(json.dumps(result))
    with pytest.raises(InputError, match="report.html: written, without 1 file"):
        draw_report(folder)
    assert ["damaged" in message for message in caplog.messages if "bad.json" in message] == [True]
    assert "htr default" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    "content",
    [
        '{"The worst lines": [{',
        "[]",
        '{"a": [{"png": "", "truth": null, "reading": "", "about": ""}]}',
        '{"The worst lines": [{"png": 5}]}',
        '{"a": [5]}',
    ],
)
def test_damaged_pictures_of_lines_are_named_and_left_out(folder, caplog, content):
    (folder / "letters.examples.json").write_text(content)
    draw_report(folder)
    assert [message.partition(": ")[0] for message in caplog.messages] == [str(folder / "letters.examples.json")]


def test_nothing_to_draw_is_said(tmp_path, command_line):
    code, _, err = command_line(benchmark.main, "--draw", "--out", tmp_path)
    assert code == 2 and "holds no results" in err and err.count("\n") == 1


def test_lines_are_shown_only_of_the_collections_asked_for(folder, command_line, caplog):
    shown = {"png": "iVBORw0KGgo=", "truth": "secret", "reading": "sacret", "about": "1 of 6"}
    (folder / "letters.examples.json").write_text(json.dumps({"The worst": [shown]}))
    assert command_line(benchmark.main, "--draw", "--examples", "sample", "--out", folder)[0] == 0
    assert "sacret" not in (folder / "report.html").read_text()
    assert caplog.messages[-1] == f"{folder}: holds no lines of sample, and shows none"
    draw_report(folder)
    assert len(caplog.messages) == 1
    page = (folder / "report.html").read_text()
    assert "s<del>e</del>cret<br>s<ins>a</ins>cret" in page


def test_the_report_that_comes_along_is_drawn_from_the_results_that_come_along(tmp_path):
    for file in REPORTS.glob("*.json"):
        shutil.copy(file, tmp_path)
    draw_report(tmp_path)
    assert (tmp_path / "report.md").read_text() == (REPORTS / "report.md").read_text()


def test_fine_tuning_and_transcripts_are_told_of(folder):
    def scores(cer):
        return {"CER": {"value": cer, "low": cer - 1, "high": cer + 1}}

    def read(test, general, accents):
        greedily = {"test": scores(test), "general": scores(general)}
        greedily["new characters"] = {"characters": "éà", "count": 52, "read": accents}
        return greedily | {"test with language": scores(test - 5), "general with language": scores(general - 2)}

    result = {
        "kind": "finetuning", "data": "lines:here/letters", "general": "iam:there/iam", "config": {},
        "start": read(60.5, 5.5, 0),
        "runs": [{
            "lines": 100, "minutes": 9.5, "minutes in all": 11.5, "tuned": read(36.5, 6.5, 40), "ImageNet": read(80.5, 90.5, 9),
        }, {"lines": 500, "minutes": 20.5, "tuned": read(31.5, 7.5, 47)}],
        **ABOUT,
    }  # fmt: skip
    (folder / "finetuning.json").write_text(json.dumps(result))
    of_unread = {"found": 900, "lines": 810, "language": {"models": {"mine.npz": "01"}}}
    runs = [
        {"lines": 100, "minutes": 12.5, "tuned": read(30.5, 7.5, 45), "unread": {**of_unread, "learnt": True}},
        {"lines": 500, "minutes": 13.5, "tuned": read(29.5, 7.5, 46), "unread": {**of_unread, "learnt": False}},
    ]
    (folder / "unread.json").write_text(json.dumps(result | {"runs": runs}))
    alone = {"lines": 0, "minutes": 14.5, "tuned": read(40.5, 6.5, 2), "unread": {**of_unread, "learnt": True}}
    (folder / "alone.json").write_text(
        json.dumps(result | {"runs": [alone], "learning code": "02", "date": "2026-01-01"})
    )
    counts = {"with line breaks": {"true": 182, "right": 179, "wrong": 1}}
    (folder / "transcripts.json").write_text(
        json.dumps({"kind": "transcripts", "pages": "iam:there/iam", "count": 20, "results": counts, **ABOUT})
    )
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "### letters, from htr default, which never saw it" in page
    rows = [
        row.split(" | ") for row in page.partition("| learnt from lines |")[2].partition("\n\n")[0].splitlines()[2:]
    ]
    # Few lines first, whether they were labelled or not, each greedily and with language: letters, iam, and letters from ImageNet.
    assert [row[:2] for row in rows] == [
        ["| nothing", ""], ["| 900 unread²", "14.5"], ["| 100", "9.5 (11.5)"], ["| 100 and 900 unread", "12.5"], ["| 500", "20.5"],
        ["| 500 (and 900 unread, left out)", "13.5"],
    ]  # fmt: skip
    assert rows[0][2:] == [
        "60.50 [59.50, 61.50]",
        "55.50 [54.50, 56.50]",
        "5.50 [4.50, 6.50]",
        "3.50 [2.50, 4.50]",
        "",
        " |",
    ]
    assert rows[2][2:] == [
        "36.50 [35.50, 37.50]", "31.50 [30.50, 32.50]", "6.50 [5.50, 7.50]", "4.50 [3.50, 5.50]",
        "80.50 [79.50, 81.50]", "75.50 [74.50, 76.50] |",
    ]  # fmt: skip
    assert rows[4][2] == "31.50 [30.50, 32.50]" and rows[4][6:] == ["", " |"]
    assert (
        "Of 52 characters of letters's test lines that the weights could not write before (é à), so many are read, with "
        "language: 2 after 900 unread lines; 40 after 100 lines (9 from ImageNet); 45 after 100 and 900 unread lines; "
        "47 after 500 lines; 46 after 500 (and 900 unread, left out) lines." in page
    )
    assert "language models that know none of these texts (mine.npz)" in page
    assert "The code that learns in fine-tuning differs" not in page
    # A hand that the weights never saw is also what to expect of one's own.
    assert "| letters test |  |  | no line of this collection (`default`) | 55.50 [54.50, 56.50]¹ | 2 |" in page
    assert (
        "(20 pages of iam, htr default): with line breaks, 179 of 182 lines got their text and 1 another one." in page
    )
    # Or, if they read it better, other weights that never saw it, with the interval over its writers.
    for cer, expected in (
        (56.5, "(`default`) | 55.50 [54.50, 56.50]¹"),
        (54.5, "(`mine 55555555`) | 54.50 [1.00, 99.00]"),
    ):
        named = {"file": "mine.safetensors", "sha256": "5" * 64, "training": {}}
        language = {"name": "auto", "models": {"english.npz": "1" * 64}}
        helped = {name: {**rates, "value": cer} for name, rates in lines_result()["scores"].items()}
        over_writers = {name: {**rates, "low": 1.0, "high": 99.0} for name, rates in helped.items()}
        other = lines_result(
            weights=named,
            language=language,
            scores_with_language=helped,
            scores_with_language_over_writers=over_writers,
        )
        (folder / "other.json").write_text(json.dumps(other))
        draw_report(folder)
        short = (folder / "report.md").read_text().partition("## Who reads")[0]
        assert f"| no line of this collection {expected} | 2 |" in short


def test_fine_tunings_with_other_numbers_of_lines_are_drawn_together(folder):
    def measured(name, date, code, **cer_by_lines):
        def read(cer):
            rates = {
                "test": {"value": cer, "low": 0.0, "high": 100.0},
                "general": {"value": 1.0, "low": 0.0, "high": 2.0},
            }
            return {
                f"{lines}{helped}": {"CER": rate} for lines, rate in rates.items() for helped in ("", " with language")
            }

        runs = [
            {"lines": int(lines[1:]), "minutes": 1, "tuned": read(cer), "ImageNet": read(99.0)}
            for lines, cer in cer_by_lines.items()
        ]
        about = {
            **ABOUT,
            "kind": "finetuning",
            "data": "lines:letters",
            "general": "sample",
            "date": date,
            "code": code,
        }
        (folder / f"{name}.json").write_text(json.dumps({**about, "start": read(60.0), "runs": runs}))

    measured("first", "2026-01-01", "now", _100=41.0, _20=51.0)
    measured("again", "2026-01-02", "now", _100=40.0)
    measured("more", "2026-01-03", "now", _1000=30.0)
    draw_report(folder)
    rows = re.findall(r"^\| ([\d,]+) \| 1 \| ([\d.]+) ", (folder / "report.md").read_text(), re.MULTILINE)
    assert rows == [("20", "51.00"), ("100", "40.00"), ("1,000", "30.00")]
    assert "²" not in (folder / "report.md").read_text()
    # What other code measured is marked, until it is measured anew.
    measured("changed", "2026-01-04", "changed", _500=33.0, _100=39.0)
    draw_report(folder)
    page = (folder / "report.md").read_text()
    rows = re.findall(r"^\| ([\d,²]+) \| 1 \| ([\d.]+) ", page, re.MULTILINE)
    assert rows == [("20²", "51.00"), ("100", "39.00"), ("500", "33.00"), ("1,000²", "30.00")]
    assert "² By an earlier state of the code" in page


def test_how_the_weights_learnt_is_drawn_where_they_tell_it(folder):
    draw_report(folder)
    assert "How the weights learnt" not in (folder / "report.md").read_text()
    training = {"seed": 1, "curve": [{"epoch": epoch, "minutes": epoch, "val_cer": 50 / epoch} for epoch in (1, 2)]}
    result = lines_result(weights={"file": "mine.safetensors", "sha256": "5" * 64, "training": training})
    (folder / "letters.json").write_text(json.dumps(result))
    draw_report(folder)
    assert (
        "![CER on the validation lines while training: htr mine 55555555](plots/training.svg)"
        in (folder / "report.md").read_text()
    )


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"norms": {"data": ["lines:letters"], "lines": 500}}, "norms measured of 500 lines"),
        ({"shares": [0.7, 0.3]}, "side by side, with shares of 0.7 and 0.3"),
    ],
)
def test_of_which_weights_others_are_the_average_is_told(folder, facts, told):
    training = {
        "seed": 1,
        "averaged": [{"file": "a", "sha256": "a" * 64}, {"file": "b", "sha256": "b" * 64}],
        **facts,
    }
    result = lines_result(weights={**ABOUT["weights"], "training": training})
    (folder / "letters.json").write_text(json.dumps(result))
    (folder / "peers.json").unlink()
    draw_report(folder)
    assert f"`aaaaaaaa` and `bbbbbbbb`, {told}" in (folder / "report.md").read_text()


def test_what_the_weights_started_from_is_told_where_it_is_another_reader(folder):
    for encoder, told in (
        ("resnet18", "letters."),
        ("ppocrv6_small", "letters, its encoder before from the data of PP-OCRv6."),
        ("resnet18+ppocrv6_small", "letters, its encoder before from the data of PP-OCRv6."),
    ):
        taught = {
            **ABOUT["weights"],
            "network": {"encoder": encoder},
            "training": {"data": ["lines:elsewhere/letters"]},
        }
        (folder / "letters.json").write_text(json.dumps(lines_result(weights=taught)))
        draw_report(folder)
        assert f"`default` has learnt from train lines of {told}" in (folder / "report.md").read_text()


def test_texts_cannot_break_the_page():
    blocks = [
        Heading(1, "a < b"), Text('`<i>` and [x](y.json) & "z"'), Table(["a|b"], [["<b>"]]), Plot("<svg/>", 'say "so"', "p"),
        Lines("<s>", [Line(b"", "<u>", "a & b", "c")]),
    ]  # fmt: skip
    page = as_html(blocks)
    assert "<code>&lt;i&gt;</code>" in page and '<a href="y.json">x</a>' in page
    assert not any(f"<{tag}>" in page for tag in "bus") and 'alt="say &quot;so&quot;"' in page
    assert "a\\|b" in as_markdown(blocks)


def test_what_to_expect_comes_first_of_the_usual_weights_as_users_read_with_them(folder):
    helped = named_rates(score(TRUTHS, TRUTHS))
    over_writers = {**helped, "CER": {"value": 0.4, "low": 0.1, "high": 9.9}}
    language = {"name": "auto", "models": {"english.npz": "1" * 64}}
    training = {"seed": 1, "data": ["lines:else/letters"]}
    result = lines_result(
        language=language, scores_with_language={**helped, "CER": {"value": 0.4, "low": 0.3, "high": 0.5}},
        scores_with_language_over_writers=over_writers, weights={**ABOUT["weights"], "training": training},
    )  # fmt: skip
    (folder / "letters.json").write_text(json.dumps(result))
    other = {"file": "mine.safetensors", "sha256": "5" * 64, "training": {}}
    (folder / "mine.json").write_text(json.dumps(lines_result(data="lines:notes", weights=other)))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    short = page.partition("## In short")[2].partition("## Who reads")[0]
    # The interval of other writers, where it is known.
    assert "| letters test |  | 15 | other lines of this collection | 0.40 [0.10, 9.90] | 250 |" in short
    assert "notes" not in short


def test_validation_lines_are_left_out_where_there_are_test_lines(folder):
    for number, (data, split) in enumerate([("lines:letters", "val"), ("lines:notes", "val")]):
        (folder / f"{number}.json").write_text(json.dumps(lines_result(data=data, split=split)))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "| notes val |" in page and "letters val" not in page
    assert "chosen on validation lines" in page


def test_of_weights_that_come_along_the_usual_ones_alone_tell_what_they_take_for_what(folder):
    small = {"file": "small.safetensors", "sha256": sha256(MODELS / "small.safetensors"), "training": {}}
    other = {"file": "mine.safetensors", "sha256": "5" * 64, "training": {}}
    for name, weights in (("small", small), ("mine", other)):
        (folder / f"{name}.json").write_text(json.dumps(lines_result(weights=weights)))
    (folder / "notes.json").write_text(json.dumps(lines_result(data="lines:notes", weights=small)))
    draw_report(folder)
    headings = re.findall("^### (.* test, htr .*)$", (folder / "report.md").read_text(), re.MULTILINE)
    assert headings == ["letters test, htr default", "notes test, htr small", "letters test, htr mine 55555555"]


def test_how_much_can_be_taken_without_checking_is_told_of_enough_lines(folder):
    def result(lines, shares_of_errors):
        curve = [{"share": 100 * (number + 1) / 50, "CER": rate} for number, rate in enumerate(shares_of_errors)]
        told = lines_result(lines=lines, data=f"lines:of{lines}")
        # Told exactly of one per cent, beside the curve, whose points are lines apart.
        told["details"]["accepted"] |= {"curve": curve, "share": 20.4 if lines == 1000 else 0.0, "confidence": 0.9}
        return told

    # 1 % of the errors in the first fifth of the lines, 3 % in the next two, then 30.
    rates = [1.0] * 10 + [3.0] * 20 + [30.0] * 20
    for lines in (1000, 100):
        (folder / f"{lines}.json").write_text(json.dumps(result(lines, rates)))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "| of1000 test | 20 | 20 | 60 |" in page
    # A fifth of a hundred lines is too few to tell.
    assert "| of100 test | none | none | 60 |" in page


def test_of_few_lines_nothing_is_told_of_what_can_be_taken_without_checking(folder):
    draw_report(folder)
    assert "| letters test | none | none | none |" in (folder / "report.md").read_text()


def test_where_readers_are_compared_each_has_its_own_row_and_curve(folder):
    other = {**ABOUT["weights"], "file": "mine.safetensors", "sha256": "5" * 64}
    (folder / "mine letters.json").write_text(json.dumps(lines_result(weights=other)))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "| letters test, default | none |" in page and "| letters test, mine 55555555 | none |" in page
    picture = (folder / "plots" / "confidence.svg").read_text()
    assert "letters test, default" in picture and "letters test, mine 55555555" in picture
    assert "[mine letters.json](mine%20letters.json)" in page


def test_what_confidence_is_worth_is_told_of_known_hands_and_of_others(folder):
    def groups(*rates):
        listed = [{"confidence": sure, "lines": 1, "characters": count, "CER": cer} for sure, count, cer in rates]
        return {**lines_result()["details"], "confidence": listed}

    taught = {**ABOUT["weights"], "training": {"data": ["lines:elsewhere/letters"]}}
    known = lines_result(weights=taught, details=groups((99.0, 30, 0.0), (85.0, 100, 10.0), (80.5, 300, 20.0)))
    drawn = lines_result("sample", details=groups((85.0, 100, 99.0)))
    other = lines_result("lines:here/notes", details=groups((85.0, 10, 30.0), (80.0, 10, 40.0)))
    for name, result in (("letters", known), ("drawn", drawn), ("other", other)):
        (folder / f"{name}.json").write_text(json.dumps(result))
    draw_report(folder)
    page = (folder / "report.md").read_text()
    # (100 * 10 + 300 * 20) / 400 in the fourth band
    assert "| hands like those that the reader has learnt from | 0.0 |  |  | 17.5 |  |  |  |\n" in page
    assert "| hands unlike them |  |  |  | 30.0 | 40.0 |  |  |\n" in page


def test_which_results_are_of_other_code_is_told(folder):
    (folder / "letters.json").write_text(json.dumps(lines_result(code="a" * 64)))
    (folder / "val.json").write_text(json.dumps(lines_result(split="val", code="b" * 64)))
    (folder / "peers.json").write_text(json.dumps({**peers_result(), "code": "a" * 64}))
    draw_report(folder)
    told = "differs between results (`bbbbbbbb`: validation lines; `aaaaaaaa`: lines, peers)"
    other = "differs between results (`aaaaaaaa`: lines, peers; `bbbbbbbb`: validation lines)"
    page = (folder / "report.md").read_text()
    assert told in page or other in page
    # Later code that was shown to give the same counts, and the report says how that was shown.
    same = {"counts as": {"code": "b" * 64, "because": "all readings are the same; all scores too"}}
    (folder / "letters.json").write_text(json.dumps(lines_result(code="a" * 64, **same)))
    (folder / "peers.json").unlink()
    draw_report(folder)
    page = (folder / "report.md").read_text()
    assert "differs between results" not in page
    assert "code `aaaaaaaa`, counted as `bbbbbbbb`; reasons 1, 2)" in page
    assert "| 1 | all readings are the same |\n| 2 | all scores too |\n" in page


@pytest.mark.parametrize("mark", ["", "¹"])
def test_an_interval_stands_below_its_figure_with_the_mark_of_its_note(mark):
    page = as_html([Table(["lines", "CER"], [["letters", f"2.00 [1.00, 3.00]{mark}"]])])
    assert f">2.00<small>[1.00, 3.00]{mark}</small></td>" in page


def test_of_the_complete_database_our_figures_stand_among_the_published_ones(folder):
    helped = named_rates(score(TRUTHS, TRUTHS))
    language = {"name": "auto", "models": {"english.npz": "1" * 64}}
    complete = {"data": "iam:there/iam", "complete_aachen": True, "language": language, "scores_with_language": helped}
    (folder / "iam.json").write_text(json.dumps(lines_result(**complete)))
    draw_report(folder)
    published = (folder / "report.md").read_text().partition("## Published figures")[2].partition("\n## ")[0]
    assert "Ours, marked below, were measured on it too." in published and "not comparable" not in published
    scores = score(TRUTHS, READINGS)
    rows = [row.split(" | ")[:5] for row in published.splitlines() if "measured here**" in row]
    assert rows == [
        ["| **htr default, measured here**", "", f"{scores.cer.value:.2f}", f"{scores.wer.value:.2f}", "Aachen"],
        ["| **htr default, with language, measured here**", "", "0.00", "0.00", "Aachen"],
    ]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_memory_of_a_gpu_is_told_where_it_was_measured_on_one(folder, device):
    result = json.loads(next(REPORTS.glob("speed_*.json")).read_text())
    result["machine"] |= {"device": device, "processor": "Some card"}
    for values, megabytes in zip(result["first"].values(), (1234, 5678)):
        values["peak_gpu_megabytes"] = megabytes
    (folder / "speed.json").write_text(json.dumps(result))
    draw_report(folder)
    speed = (folder / "report.md").read_text().partition("## Speed and size")[2].partition("\n## ")[0]
    rows = re.findall("^\\| ((?:of a fresh process|a line|a page) .*) \\|$", speed, re.MULTILINE)
    assert [row.split(" | ")[3:] for row in rows] == (
        [["of the GPU, MB"], ["1,234"], ["5,678"]] if device == "cuda" else [[], [], []]
    )
