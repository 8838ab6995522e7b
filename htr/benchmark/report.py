"""Draws the report from result files alone: what it says, in which order. Nothing is measured here."""

from __future__ import annotations

import base64
import csv
import json
import logging
import statistics
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from htr.benchmark import plots
from htr.benchmark.blocks import Block, Heading, Line, Lines, Plot, Table, Text, write_report
from htr.benchmark.details import FEWEST_ACCEPTED, sign, told
from htr.benchmark.results import (
    Result,
    Results,
    bounds,
    collection_of,
    interval,
    language_of,
    load_results,
    newest,
    pages_of,
    reader_of,
)
from htr.benchmark.study_page import study_blocks
from htr.cli import counted
from htr.errors import InputError
from htr.language import AUTO, NONE
from htr.weights import DEFAULT

log = logging.getLogger(__name__)

_OTHERS_KNOW = (
    " The others have not, as far as their authors say; but PP-OCRv6 does not tell all of its training data, and may know IAM, "
    "which is public."
)

# Of a collection's characters and confusions, as many as one takes in at a glance.
_SHOWN = 12


def draw_report(folder: Path, examples: Sequence[str] | None = None) -> list[Path]:
    """Draws the report of a folder of results into it.

    Args:
        folder: with result files; another machine's may lie among them.
        examples: collections whose lines are shown as pictures, where there are any; of all if None.

    Returns:
        The pages: HTML and Markdown.

    Raises:
        InputError: nothing that can be drawn lies there.
    """
    results = load_results(folder)
    if not (results.lines or results.pages):
        raise InputError(f"{folder}: holds no results of lines or pages; measure some with python -m htr.benchmark")
    return write_report(list(_report(results, folder, examples)), folder)


def _report(results: Results, folder: Path, examples: Sequence[str] | None) -> Iterator[Block]:
    lines = newest(results.lines, "data", "split", "language")
    lines.sort(key=lambda result: reader_of(result) != DEFAULT)
    peers = newest(results.peers, "data", "split")
    pages = newest(results.pages, "pages", "split", "leave_out", "language")
    speeds = newest(results.speed)
    taught, transcripts = newest(results.finetuning, "data"), newest(results.transcripts, "pages")
    yield Heading(1, "How well and how fast htr reads")
    shown = [*lines, *peers, *pages, *speeds, *taught, *transcripts]
    _name_machines(shown)
    dates = sorted(result["date"] for result in [*shown, *results.study])
    yield Text(
        f"Measured from {dates[0]} to {dates[-1]}. Every figure but the published ones stands in a result file; they are named at the "
        "end, with the commands that repeat them. Error rates are in percent, in brackets the 95 % interval (bootstrap over "
        "lines, of pages over pages). CER counts wrong characters, WER wrong words; `htr/metrics.py` says exactly what counts."
    )
    if lines:
        yield from _overview(lines, peers)
        yield from _accuracy(lines, folder, examples)
    yield from _pages(pages, results.pages)
    yield from _speed(speeds, peers)
    yield from _own_hand(taught, transcripts)
    yield from _published(lines)
    yield from _training(lines)
    for result in {result["study"]: result for result in results.study}.values():
        yield from study_blocks(result)
    yield from _origin(results, shown)


def _name_machines(results: list[Result]) -> None:
    """Gives each result what tells it from those of other machines: of several their names, of one only that of a GPU."""
    several = len({_machine(result) for result in results}) > 1
    for result in results:
        named = several or result["machine"]["device"] != "cpu"
        result["where"] = f" on {_machine(result)}" if named else ""


def _machine(result: Result) -> str:
    machine = result["machine"]
    return f"{machine['processor']}, {counted(machine['threads'], 'thread')}, {machine['precision']}"


def _overview(lines: list[Result], peers: list[Result]) -> Iterator[Block]:
    """All readers on all collections."""
    yield Heading(2, "Who reads what how well")
    # A collection may have changed since others read it.
    measured = {result["labels_sha256"] for result in lines}
    peers = [result for result in peers if result["labels_sha256"] in measured]
    for rate, meaning in (("CER", "wrong characters"), ("WER", "wrong words")):
        columns: dict[str, dict[str, str]] = {}
        for result in lines:
            row = _name(result)
            reader = _reader(result)
            columns.setdefault(reader, {})[row] = interval(result["scores"][rate])
            if result["language"]:
                helped = f"{reader}, with {_language(result)}"
                columns.setdefault(helped, {})[row] = interval(result["scores_with_language"][rate])
        for result in peers:
            for reader in result["readers"]:
                if reader["name"] != "htr":
                    columns.setdefault(reader["title"], {})[_name(result)] = interval(reader["scores"][rate])
        rows = list(dict.fromkeys(_name(result) for result in lines))
        counts = {_name(result): result["lines"] for result in lines}
        yield Text(f"{rate}, {meaning}, in percent:")
        yield Table(
            ["lines", "how many", *columns],
            [[row, f"{counts[row]:,}", *(column.get(row, "") for column in columns.values())] for row in rows],
        )
    yield Text(
        "With language: models of English and French, of which each line shows which it follows, know how words go on. This is "
        "how htr reads unless told `--language none`; it helps with prose and harms names and numbers a little. "
        "Other readers got the same line pictures, and their texts passed the same normalisation; those that are not installed "
        "(`make peers`) are left out."
    )
    if known := [text for reader in dict.fromkeys(map(reader_of, lines)) if (text := _learnt(reader, lines))]:
        yield Text("**What the readers know:** " + " ".join(known) + _OTHERS_KNOW * bool(peers))


def _learnt(reader: str, lines: list[Result]) -> str:
    """On which of the collections a reader of ours was trained."""
    own = [result for result in lines if reader_of(result) == reader]
    seen = [name for name in dict.fromkeys(collection_of(result["data"]) for result in own) if _has_seen(own[0], name)]
    return f"`{reader}` has learnt from train lines of {', '.join(seen)}." if seen else ""


def _accuracy(lines: list[Result], folder: Path, examples: Sequence[str] | None) -> Iterator[Block]:
    yield Heading(2, "Where it fails")
    # Validation lines would say the same once more.
    tested = {collection_of(result["data"]) for result in lines if result["split"] == "test"}
    lines = [result for result in lines if result["split"] == "test" or collection_of(result["data"]) not in tested]
    yield Text("Of the readings as users get them: with the language models, where any helped.")
    yield from _without_writers(lines)
    yield from _together(lines)
    for result in lines:
        other = "" if language_of(result) in (AUTO, NONE) else f", with {_language(result)}"
        yield Heading(3, f"{_name(result)}, {_reader(result)}{other}")
        yield from _collection(result)
        if examples is None or collection_of(result["data"]) in examples:
            yield from _examples(folder / result["file name"].replace(".json", ".examples.json"))


def _without_writers(lines: list[Result]) -> Iterator[Block]:
    """Why some collections have no intervals over writers."""
    known = {_name(result): len(result["details"]["writers"]) for result in lines if not result["scores_over_writers"]}
    if known:
        why = (
            f"{name} ({counted(count, 'writer') if count else 'which does not say who wrote'})"
            for name, count in known.items()
        )
        yield Text(f"There are no intervals over writers of {', '.join(why)}.")


def _together(lines: list[Result]) -> Iterator[Block]:
    """What is best seen of all collections in one picture."""
    usual = [result for result in lines if reader_of(result) == DEFAULT] or lines
    usual = {_name(result): result for result in usual}.values()  # one machine's tells as much as another's
    plot = plots.Plot("characters of the line", "CER, %")
    for result in usual:
        steps = [step for step in result["details"]["lengths"] if step["lines"] >= 5]
        if steps:
            middles = [(step["from"] + step["to"]) / 2 for step in steps]
            plot.line(middles, [step["CER"] for step in steps], _name(result))
    yield Plot(plot.svg(), "CER against the length of the line, for each collection", "length")
    plot = plots.Plot("share of the text that is accepted, surest lines first, %", "CER of what is accepted, %")
    for result in usual:
        curve = result["details"]["accepted"]["curve"]
        plot.line([point["share"] for point in curve], [point["CER"] for point in curve], _name(result))
    plot.axes.axhline(1, color="#777777", linestyle=":")
    yield Plot(plot.svg(), "CER of the surest lines against their share of the text, for each collection", "accepted")
    plot = plots.Plot("mean confidence, %", "lines without any error, %")
    for result in usual:
        groups = result["details"]["confidence"]
        plot.line(
            [group["confidence"] for group in groups], [group["without error"] for group in groups], _name(result)
        )
    lowest = min((group["confidence"] for result in usual for group in result["details"]["confidence"]), default=0)
    plot.axes.plot([lowest, 100], [lowest, 100], color="#777777", linestyle=":")
    yield Plot(plot.svg(), "Share of lines without error against the confidence, for each collection", "confidence")
    yield Text(
        "The confidence of a line is the mean over its characters of what the network thinks of them, without the language models: it "
        "puts lines in an order, and is not the chance that a line is right, which would follow the dotted line."
    )


def _collection(result: Result) -> Iterator[Block]:
    details = result["details"]
    over_writers, helped = result["scores_over_writers"], result["scores_with_language"]
    header = ["rate", "greedily, percent [over lines]"]
    header += ["[over writers]"] if over_writers else []
    header += ["with language [over lines]"] if helped else []
    helped_over_writers = result.get("scores_with_language_over_writers")
    header += ["[over writers]"] if helped_over_writers else []
    yield Table(
        header,
        [
            [
                name,
                interval(rate),
                *([bounds(over_writers[name])] if over_writers else []),
                *([interval(helped[name])] if helped else []),
                *([bounds(helped_over_writers[name])] if helped_over_writers else []),
            ]
            for name, rate in result["scores"].items()
        ],
    )
    accepted = details["accepted"]
    if accepted["share"]:
        yield Text(
            f"{accepted['share']:.0f} % of the text can be taken unseen at {accepted['CER']:g} % character errors: the lines whose "
            f"confidence is at least {accepted['confidence']:.4f} (chosen on these very lines; of others, check some first)."
        )
    else:
        yield Text(
            f"No {FEWEST_ACCEPTED} lines or more are so sure that they can be taken unseen at {accepted['CER']:g} % character errors."
        )
    writers = [writer["CER"] for writer in details["writers"]]
    if len(writers) > 2:
        yield Text(
            f"{len(writers)} writers: the best read has {writers[0]:.1f} %, the middle one {statistics.median(writers):.1f} %, the "
            f"worst read {writers[-1]:.1f} % character errors."
        )
        plot = plots.Plot(f"{len(writers)} writers, best read first", "CER, %")
        plot.bars(writers)
        yield Plot(plot.svg(), f"CER of each writer of {_name(result)}", f"writers-{Path(result['file name']).stem}")
    often = [entry for entry in details["characters"] if entry["count"] >= 10]
    worst = sorted(often, key=lambda entry: -entry["wrong"] / entry["count"])
    columns = {
        "most often wrong": [
            f"{sign(entry['character'])} {100 * entry['wrong'] / entry['count']:.0f} % of {entry['count']:,}"
            for entry in worst
            if entry["wrong"]
        ],
        "taken for another": [
            f"{told((entry['true'], entry['read']))}: {entry['count']:,}" for entry in details["confusions"]
        ],
        "read where none is": [f"{sign(entry['character'])}: {entry['count']:,}" for entry in details["insertions"]],
        "passed over": [f"{sign(entry['character'])}: {entry['count']:,}" for entry in details["deletions"]],
    }
    rows = list(zip_longest(*(entries[:_SHOWN] for entries in columns.values()), fillvalue=""))
    if rows:
        yield Table(list(columns), rows)


def _examples(file: Path) -> Iterator[Block]:
    if not file.is_file():
        return
    try:
        shown = [
            Lines(
                name,
                [Line(base64.b64decode(line["png"]), line["truth"], line["reading"], line["about"]) for line in lines],
            )
            for name, lines in json.loads(file.read_text(encoding="utf-8")).items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning(
            "%s: no lines with their pictures (%s), and left out; measure them again, or delete it", file, error
        )
        return
    yield from shown


def _pages(shown: list[Result], measured: list[Result]) -> Iterator[Block]:
    """Of all that were measured, those that are shown."""
    if not shown:
        return
    yield Heading(2, "Whole pages")
    rows, told = [], []
    for result in shown:
        name, scores, seconds = pages_of(result["pages"]), result["scores"], result["seconds_a_page"]
        helped = f", with {_language(result)}" if result["language"] else ", without language"
        only = f" {result['split']}" if result["split"] else ""
        rows.append(
            [
                f"{name}{only}, {_reader(result)}{helped}",
                f"{result['count']} pages, {result['counts']['true']} lines",
                *_found(result["lines"]),
                interval(scores["CER"]) if scores else "",
                f"{scores['CER minus CER of the true lines']:+.2f}" if scores else "",
                f"{seconds['finding']:.2f}",
                "",
                f"{sum(seconds.values()):.2f}",
            ]
        )
        # What others find does not depend on our weights: an earlier result of the same pages and machine tells it too.
        alike = [other for other in measured if other.get("peers") and _same_pages(other, result)]
        finding = alike[-1]["seconds_a_page"]["finding"] if alike else 0.0
        for peer in alike[-1]["peers"] if alike and alike[-1] not in told else []:
            rows.append(
                [
                    f"{name}{only}, {peer['title']}",
                    "the same",
                    *_found(peer["lines"]),
                    "",
                    "",
                    f"{peer['seconds_a_page']:.2f}",
                    f"{peer['seconds_a_page'] / finding:.1f}" if finding else "",
                    "",
                ]
            )
        told += alike[-1:]
    yield Table(
        [
            "pages", "how many", "lines found: F1 of boxes, IoU 0.5", "IoU 0.75", "F1 of polygons, IoU 0.5", "IoU 0.75",
            "CER of the page", "cost", "s to find lines", "times htr's", "s in all",
        ],
        rows,
    )  # fmt: skip
    yield Text(
        "The cost is the page's CER minus that of its true lines, in points: what finding and ordering the lines adds to the errors. "
        "`htr/benchmark/pages.py` says how found and true lines are compared. Other finders read nothing; their time is also "
        "given as a multiple of htr's in the same run."
    )
    yield from _left_out(shown)
    # Other weights and languages find the same.
    columns = {pages_of(result["pages"]): result for result in shown if result.get("distortions")}
    if columns:
        names = dict.fromkeys(name for result in columns.values() for name in result["distortions"])
        yield Text("Lines found on the same pages as careless hands and cameras take them, F1 of polygons, IoU 0.5:")
        yield Table(
            ["pages", *columns],
            [["as they are", *(_found(result["lines"])[2] for result in columns.values())]]
            + [[name, *(_f1(result["distortions"].get(name)) for result in columns.values())] for name in names],
        )
    for result in shown:
        learnt = sum(page["split"] == "train" for page in result.get("per_page", []))
        if learnt:
            yield Text(
                f"Of the pages of {pages_of(result['pages'])}, {learnt} are of the train split: weights that have learnt from it know "
                "their lines, so that their CER is flattering, and so may be what is found."
            )


def _left_out(results: list[Result]) -> Iterator[Block]:
    """Which other readers or finders are missing from some results, and why."""
    why = {f"{name} ({reason})" for result in results for name, reason in result.get("left_out", {}).items()}
    if why:
        yield Text("Left out: " + "; ".join(sorted(why)) + ".")


def _same_pages(one: Result, other: Result) -> bool:
    return all(one.get(key) == other.get(key) for key in ("labels_sha256", "split", "leave_out", "machine"))


def _f1(distorted: dict[str, float] | None) -> str:
    return f"{distorted['F1']:.1f}" if distorted else ""


def _found(lines: dict[str, Any]) -> list[str]:
    return [
        f"{lines[shape][threshold]['F1']:.1f}"
        for shape, threshold in (("boxes", "0.5"), ("boxes", "0.75"), ("polygons", "0.5"), ("polygons", "0.75"))
    ]


def _speed(speeds: list[Result], peers: list[Result]) -> Iterator[Block]:
    if not speeds and not peers:
        return
    yield Heading(2, "Speed and size")
    for result in speeds:
        machine = result["machine"]
        size, first = result["size"], result["first"]
        yield Heading(3, f"htr {reader_of(result)} on {machine['processor']}, {machine['precision']}")
        batches = list(dict.fromkeys(row["batch"] for row in result["lines"]))
        threads = list(dict.fromkeys(row["threads"] for row in result["lines"]))
        rate = {(row["threads"], row["batch"]): row["lines_per_second"] for row in result["lines"]}
        yield Table(
            ["batches of", *(f"lines/s, {counted(count, 'thread')}" for count in threads)],
            [[batch, *(f"{rate[count, batch]:.1f}" for count in threads)] for batch in batches],
        )
        page = result["page"]
        # Each step is timed by itself, so that together they may take a little longer than the whole.
        whole = max(page["seconds"], sum(page["steps"].values()))
        steps = {**page["steps"], "the rest": whole - sum(page["steps"].values())}
        alone = "".join(
            f", {values['seconds']:.2f} s with {counted(values['threads'], 'thread')}"
            for values in page.get("with", [])
        )
        yield Text(
            "Lines are read without language models here; with them the page below. "
            "The lines were prepared beforehand. "
            f"A page of {page['lines']} lines ({page['pixels'] / 1e6:.1f} million pixels) takes {page['seconds']:.2f} s{alone}. "
            "Shares of the steps: "
            + ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in steps.items())
            + "."
        )
        yield Table(
            ["of a fresh process", "seconds to the first result", "peak memory, MB"],
            [[name, f"{values['seconds']:.1f}", f"{values['peak_megabytes']:,}"] for name, values in first.items()],
        )
        trained = result["weights"]["training"]
        learning = (
            f" Training read {trained['lines_per_second']:.0f} lines/s ({trained['speed_of']})."
            if "speed_of" in trained
            else ""
        )
        yield Text(
            f"{size['parameters'] / 1e6:.1f} million parameters, {size['bytes'] / 1e6:.1f} MB; {size['operations'] / 1e9:.1f} billion "
            f"operations for a line {size['width']} pixels wide.{learning}"
        )
    for result in peers:
        ours = next(reader for reader in result["readers"] if reader["name"] == "htr")
        yield Heading(
            3,
            f"Beside other readers: {_name(result)}, {result['machine']['processor']}, {counted(result['threads'], 'thread')}",
        )
        yield Table(
            ["reader", "version", "CER", "in any case", "lines/s", "time of htr's", "s to start", "peak memory, MB"],
            [
                [
                    reader["title"], reader["version"],
                    *(f"{reader['scores'][name]['value']:.1f}" for name in ("CER", "CER, any case")),
                    f"{reader['lines_per_second']:.1f}",
                    f"{ours['lines_per_second'] / reader['lines_per_second']:.1f} times", f"{reader['seconds_to_start']:.1f}",
                    f"{reader['peak_megabytes']:,}",
                ]
                for reader in result["readers"]
            ],
        )  # fmt: skip
        notes = [f"{reader['title']}: {reader['notes']}" for reader in result["readers"] if reader.get("notes")]
        if notes:
            yield Text(". ".join(notes) + ".")
        yield from _left_out([result])


def _own_hand(taught: list[Result], transcripts: list[Result]) -> Iterator[Block]:
    if not (taught or transcripts):
        return
    yield Heading(2, "Taught one's own hand")
    for result in taught:
        name, general = collection_of(result["data"]), collection_of(result["general"])
        seen = "has seen training lines of" if _has_seen(result, name) else "never saw"
        start = result["start"]
        yield Text(
            f"`{reader_of(result)}`, which {seen} {name}, fine-tuned with few of its lines "
            "(a part of them held out at first), and the same network trained from ImageNet on the same lines for as many minutes; "
            f"CER on {name}'s test lines, and on those of {general}, for what was lost:"
        )
        for helped in ("", " with language"):
            test, lost = f"test{helped}", f"general{helped}"
            if test not in start:  # of an earlier release
                continue
            heads = f"{name}, fine-tuned", f"{name}, from ImageNet", f"{general}, fine-tuned"
            yield Table(
                ["labelled lines", "minutes of training", "in all", *(head + helped for head in heads)],
                [
                    ["none", "", "", interval(start[test]["CER"]), "", interval(start[lost]["CER"])],
                    *(
                        [
                            f"{run['lines']:,}", f"{run['minutes']:g}", f"{run.get('minutes in all', '')}",
                            interval(run["tuned"][test]["CER"]), interval(run["ImageNet"][test]["CER"]),
                            interval(run["tuned"][lost]["CER"]),
                        ]
                        for run in result["runs"]
                    ),
                ],
            )  # fmt: skip
        yield Text(
            "With language, mind that the models that come along have read the train lines' texts of some collections."
        )
    for result in transcripts:
        found = "; ".join(
            f"{name}, {counts['right']} of {counts['true']} lines got their text and {counts['wrong']} another one"
            for name, counts in result["results"].items()
        )
        yield Text(
            f"Pages and their plain text ({result['count']} pages of {pages_of(result['pages'])}, {_reader(result)}): {found}."
        )


def _has_seen(result: Result, collection: str) -> bool:
    """Whether the weights of a result were trained on lines of a collection."""
    data = result["weights"]["training"].get("data", [])
    return collection in [collection_of(name) for name in ([data] if isinstance(data, str) else data)]


def _published(lines: list[Result]) -> Iterator[Block]:
    yield Heading(2, "Published figures")
    ours = [result for result in lines if result["data"].startswith("iam:") and result["split"] == "test"]
    complete = [result for result in ours if result["complete_aachen"]]
    text = (
        "Of lines of IAM, as the sources give them; none of these systems was measured here. The complete Aachen test set has 2,915 "
        "lines. "
    )
    if complete:
        text += "Ours, marked below, were measured on it too."
    else:
        part = (
            f"the {ours[0]['lines']:,} lines of IAM measured here are only a part of that"
            if ours
            else "no line of IAM is"
        )
        text += (
            f"**Ours are not comparable** with those on it: {part}"
            + ("" if ours else " measured here")
            + ". With the full IAM at hand (`make report IAM=folder`) the comparable figure stands here."
        )
    yield Text(text)
    with (Path(__file__).parent / "published.csv").open(encoding="utf-8", newline="") as file:
        rows = [list(row.values()) for row in csv.DictReader(file)]
    for result in complete:
        cer, wer = (result["scores"][name]["value"] for name in ("CER", "WER"))
        rows.append(
            [
                f"**{_reader(result)}, measured here**",
                "",
                f"{cer:.2f}",
                f"{wer:.2f}",
                "Aachen",
                "see its model card",
                "",
                "",
            ]
        )
    yield Table(["system", "year", "CER", "WER", "test set", "further data", "parameters", "source"], rows)


def _training(lines: list[Result]) -> Iterator[Block]:
    """How the weights came about, of those that tell it."""
    told = {f"htr {reader_of(result)}": result["weights"]["training"] for result in lines}
    curves = {reader: training["curve"] for reader, training in told.items() if training.get("curve")}
    if curves:
        plot = plots.Plot("minutes of training", "CER, % (validation lines)")
        for reader, curve in curves.items():
            plot.line([point["minutes"] for point in curve], [point["val_cer"] for point in curve], reader)
        yield Heading(2, "How the weights learnt")
        yield Plot(plot.svg(), f"CER on the validation lines while training: {', '.join(curves)}", "training")
        yield Text(
            "Each curve is of the last stage of the training, before any averaging of weights, and on the validation lines of the "
            "collections that were learnt: so one curve does not compare with another."
        )


def _origin(results: Results, shown: list[Result]) -> Iterator[Block]:
    yield Heading(2, "Where the figures come from")
    measured = [
        *results.lines, *results.peers, *results.pages, *results.speed, *results.finetuning, *results.transcripts
    ]  # fmt: skip
    # One command may have written many files.
    rows: dict[tuple[str, ...], list[str]] = {}
    for result in measured:
        key = (f"`{result['command']}`", _machine(result), _versions(result))
        rows.setdefault(key, []).append(f"[{result['file name']}]({result['file name']})")
    yield Table(
        ["command", "result files", "machine", "versions"],
        [[key[0], ", ".join(files), *key[1:]] for key, files in rows.items()],
    )
    if len({result.get("code") for result in shown}) > 1:
        yield Text(
            "The code that reads and scores differs between these results, so they do not compare exactly; the command beside a file "
            "measures it anew."
        )
    weights = {result["weights"]["sha256"]: result["weights"] for result in measured}
    yield Table(
        ["weights", "SHA-256", "seed"],
        [[entry["file"], f"`{sha}`", str(entry["training"].get("seed", ""))] for sha, entry in weights.items()],
    )
    yield Text(
        "The weights files themselves, and the result files under `weights`, say on which data, with which config and seed they were "
        "trained." + " Studies have the config of each run above, and beside it what follows:" * bool(results.study)
    )
    if results.study:
        yield Table(
            ["study", "command", "machine", "versions"],
            [
                [
                    f"[{result['file name']}]({result['file name']})",
                    f"`{result['command']}`",
                    "; ".join(sorted({_machine(run) for run in result["runs"]})),
                    "; ".join(sorted({_versions(run) for run in result["runs"]})),
                ]
                for result in {result["study"]: result for result in results.study}.values()
            ],
        )


def _versions(result: Result) -> str:
    machine = result["machine"]
    return (
        f"Python {machine['python']}, torch {machine['torch']}, timm {machine['timm']}, htr {machine['htr']}, code "
        f"`{result.get('code', 'unknown')[:8]}`"
    )


def _name(result: Result) -> str:
    return f"{collection_of(result['data'])} {result['split']}"


def _reader(result: Result) -> str:
    return f"htr {reader_of(result)}{result['where']}"


def _language(result: Result) -> str:
    """What helped, after `with`; the models that help unless told otherwise need no name."""
    name = language_of(result)
    return "language" if name == AUTO else f"language {name}"
