"""Draws the report from result files alone: what it says, in which order. Nothing is measured here."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from htr.benchmark import plots
from htr.benchmark.blocks import Block, Heading, Plot, Table, Text, as_html, linked, write_report
from htr.benchmark.report_lines import accuracy, in_short, overview, tested
from htr.benchmark.report_speed import own_hand, speed, whole_pages
from htr.benchmark.results import (
    COUNTS_AS,
    DAMAGE,
    KINDS,
    Result,
    Results,
    collection_of,
    comes_along,
    counted_code,
    leave_out,
    load_results,
    named_language,
    named_machine,
    named_reader,
    newest,
    newest_runs,
    reader_of,
)
from htr.benchmark.study_page import study_blocks
from htr.errors import InputError
from htr.messages import counted
from htr.weights import DEFAULT

log = logging.getLogger(__name__)

# In which order weights and studies that come along are shown: each study goes on from the one before.
_READERS = DEFAULT, "small", "iam"
_STUDIES = "pretraining", "transfer-iam", "transfer-hooker", "recipe"


def draw_report(folder: Path, examples: Sequence[str] | None = None) -> list[Path]:
    """Draws the report of a folder of results into it.

    Args:
        folder: with result files; another machine's may lie among them.
        examples: collections whose lines are shown as pictures, where there are any; of all if None.

    Returns:
        The pages: HTML and Markdown.

    Raises:
        InputError: nothing that can be drawn lies there, or not all; in that case all else has been drawn.
    """
    results = _undamaged(load_results(folder), folder)
    if not (results.lines or results.pages):
        raise InputError(f"{folder}: holds no results of lines or pages; measure some with python -m htr.benchmark")
    collections = {collection_of(result["data"]) for result in results.lines}
    if missing := sorted({*(examples or ())} - collections):
        log.warning("%s: holds no lines of %s, and shows none", folder, ", ".join(missing))
    pages = write_report(list(_report(results, folder, examples)), folder)
    if results.left_out:
        raise InputError(
            f"{pages[0]}: written, without {counted(len(results.left_out), 'file')} in {folder} that cannot be drawn; measure these "
            "again, or delete them"
        )
    return pages


def _undamaged(results: Results, folder: Path) -> Results:
    """Those of the results that can be drawn; each is tried alone."""
    sound = Results(left_out=results.left_out)
    for kind in KINDS:
        for result in getattr(results, kind):
            try:
                as_html(list(_report(Results(**{kind: [result]}), folder, [])))
            except DAMAGE as error:
                file = folder / result["file name"]
                leave_out(
                    sound,
                    file,
                    f"{file}: damaged ({type(error).__name__}: {error}), and left out; measure it again, or delete it",
                )
            else:
                getattr(sound, kind).append(result)
    return sound


def _report(results: Results, folder: Path, examples: Sequence[str] | None) -> Iterator[Block]:
    lines = newest(results.lines, "data", "split", "lines", "language")
    lines.sort(key=lambda result: _place(_READERS, reader_of(result)))
    peers = newest(results.peers, "data", "split", "lines")
    pages = newest(results.pages, "pages", "split", "leave_out", "language")
    pages.sort(key=lambda result: _place(_READERS, reader_of(result)))
    speeds = newest(results.speed)
    taught, transcripts = newest_runs(results.finetuning), newest(results.transcripts, "pages")
    yield Heading(1, "How well and how fast htr reads")
    read, trained = [*lines, *peers, *pages, *speeds], [*taught, *transcripts]
    shown = [*read, *trained]
    # Fine-tunings of another machine do not make every reading name its own.
    _name_machines(read)
    _name_machines(trained, read)
    _name_lines([*lines, *peers])
    dates = sorted(filter(None, (result["date"] for result in [*shown, *results.study])))
    yield Text(
        f"Measured from {dates[0]} to {dates[-1]}. Every figure but the published ones stands in a result file; they are named at "
        "the end, with the commands that repeat them. Error rates are in percent, in brackets the 95 % interval (bootstrap over "
        "lines where nothing else is said, of pages over pages). CER is the share of wrong characters, WER of wrong words; "
        "punctuation apart, marks count as words of their own. Greedily: as the network alone reads, without language models. "
        "`htr/metrics.py` says exactly what counts."
    )
    yield from in_short(lines, pages, taught)
    if lines or peers:
        yield from overview(lines, peers)
    yield from whole_pages(pages, results.pages)
    yield from own_hand(taught, transcripts, lines)
    yield from speed(speeds, tested(lines), peers)
    if lines:
        yield from accuracy(lines, folder, examples)
    yield from _published(lines)
    yield from _training(lines)
    studies = {result["study"]: result for result in results.study}
    for name in sorted(studies, key=lambda name: _place(_STUDIES, name)):
        yield from study_blocks(studies[name])
    yield from _origin(results, shown)


def _place(known: Sequence[str], name: str) -> int:
    """Where a name stands among those whose order is known; behind them if it is none of them."""
    return known.index(name) if name in known else len(known)


def _name_machines(results: list[Result], beside: Sequence[Result] = ()) -> None:
    """Gives each result what tells it from those of other machines, others beside them too: of several their names, of one only
    that of a GPU."""
    several = len({named_machine(result) for result in [*results, *beside]}) > 1
    for result in results:
        named = several or result["machine"]["device"] != "cpu"
        result["where"] = f" on {named_machine(result)}" if named else ""


def _name_lines(results: list[Result]) -> None:
    """Gives each result what its lines are called: collection and split, and how many where there are others of that name."""
    counts: dict[str, set[int]] = {}
    for result in results:
        result["name"] = f"{collection_of(result['data'])} {result['split']}"
        counts.setdefault(result["name"], set()).add(result["lines"])
    for result in results:
        if len(counts[result["name"]]) > 1:
            result["name"] += f" ({result['lines']:,} lines)"


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
        rows = [list(row.values()) for row in sorted(csv.DictReader(file), key=lambda row: float(row["CER"] or "inf"))]
    for result in complete:
        readings = [("", result["scores"])]
        if result["language"]:
            readings.append((f", with {named_language(result)}", result["scores_with_language"]))
        for helped, scores in readings:
            rates = (f"{scores[name]['value']:.2f}" for name in ("CER", "WER"))
            rows.append(
                [
                    f"**{named_reader(result)}{helped}, measured here**",
                    "",
                    *rates,
                    "Aachen",
                    "see its model card",
                    "",
                    "",
                ]
            )
    yield Table(["system", "year", "CER", "WER", "test set", "further data", "parameters", "source"], rows)


def _training(lines: list[Result]) -> Iterator[Block]:
    """How the weights came about, of those that tell it."""
    # Those that come along have cards, and were made in several goes.
    told = {f"htr {reader_of(result)}": result["weights"]["training"] for result in lines if not comes_along(result)}
    curves = {reader: training["curve"] for reader, training in told.items() if training.get("curve")}
    if curves:
        plot = plots.Plot("minutes of training", "CER, % (validation lines)")
        for reader, curve in curves.items():
            plot.line([point["minutes"] for point in curve], [point["val_cer"] for point in curve], reader)
        yield Heading(2, "How the weights learnt")
        yield Plot(plot.svg(), f"CER on the validation lines while training: {', '.join(curves)}", "training")
        yield Text(
            f"Of {', '.join(curves)}: the last stage of the training, before any averaging of weights, on the validation lines of the "
            "collections that were learnt"
            + (", so one curve does not compare with another." if len(curves) > 1 else ".")
        )


def _origin(results: Results, shown: list[Result]) -> Iterator[Block]:
    yield Heading(2, "Where the figures come from")
    measured = [
        *results.lines, *results.peers, *results.pages, *results.speed, *results.finetuning, *results.transcripts
    ]  # fmt: skip
    studies = {result["study"]: result for result in results.study}.values()
    every = [*measured, *(run for result in studies for run in result["runs"])]
    versions = {_versions(result) for result in every}
    if alike := len(versions) == 1:
        yield Text(f"All were measured with {next(iter(versions))}.")
    reasons: dict[str, int] = {}
    # One command may have written many files.
    rows: dict[tuple[str, str], list[str]] = {}
    for result in measured:
        key = (f"`{result['command']}`", _made_by(result, reasons, not alike))
        rows.setdefault(key, []).append(linked(result["file name"]))
    for (command, made_by), files in rows.items():
        yield Text(f"{command} ({made_by}) gave {', '.join(files)}.")
    weights = {result["weights"]["sha256"]: result["weights"] for result in measured}
    yield Table(
        ["weights", "SHA-256", "seed", "made of"],
        [
            [entry["file"], f"`{sha}`", str(entry["training"].get("seed", "")), _made_of(entry["training"])]
            for sha, entry in weights.items()
        ],
    )
    yield Text(
        "The weights files themselves, and the result files under `weights`, say on which data, with which config and seed they were "
        "trained; those of a fine-tuning and averages, of what."
        + " Studies have the config of each run on their pages, and beside it what follows:"
        * bool(studies)
    )
    if studies:
        yield Table(
            ["study", "command", "machine and code"],
            [
                [
                    linked(result["file name"]),
                    f"`{result['command']}`",
                    "; ".join(sorted({_made_by(run, reasons, not alike) for run in result["runs"]})),
                ]
                for result in studies
            ],
        )
    if reasons:
        yield Text("Why what was measured by earlier code counts as of later code, and was not measured anew:")
        yield Table(["", "reason"], [[str(number), reason] for reason, number in reasons.items()])
    yield from _other_code(shown)


# The checksums of code that results tell, and what that code does.
_CODES = {
    "code": "reads lines and scores",
    "finding code": "finds lines",
    "learning code": "learns in fine-tuning",
    "laying code": "lays texts beside lines",
}


def _other_code(shown: list[Result]) -> Iterator[Block]:
    """Which results do not compare exactly, as code has changed between them."""
    for key, does in _CODES.items():
        kinds: dict[str, dict[str, None]] = {}
        for result in shown:
            if code := counted_code(result, key):
                kind = "validation lines" if result.get("split") == "val" else result["kind"]
                kinds.setdefault(code, {})[kind] = None
        if len(kinds) > 1:
            told = "; ".join(f"`{code[:8]}`: {', '.join(of)}" for code, of in kinds.items())
            yield Text(
                f"The code that {does} differs between results ({told}), so they do not compare exactly; delete a file, and its "
                "command measures it anew."
            )


def _made_of(training: dict[str, Any]) -> str:
    """Of what weights are the average: of a fine-tuning in its own words, else by the checksums of files."""
    averaged = training.get("averaged", "")
    if isinstance(averaged, str):
        return averaged
    files = " and ".join(f"`{entry['sha256'][:8]}`" for entry in averaged)
    if "shares" in training:
        return f"{files}, side by side, with shares of {' and '.join(f'{share:.2g}' for share in training['shares'])}"
    return f"{files}, norms measured of {counted(training['norms']['lines'], 'line')}"


def _versions(result: Result) -> str:
    machine = result["machine"]
    return f"Python {machine['python']}, torch {machine['torch']}, timm {machine['timm']}, htr {machine['htr']}"


def _made_by(result: Result, reasons: dict[str, int], with_versions: bool) -> str:
    """Machine and code of a result, or of a run of a study.

    Args:
        reasons: the numbers of the reasons for which results count as of later code; those of this one are added.
        with_versions: whether those of packages are told.
    """
    later = result.get(COUNTS_AS, {})
    parts = [named_machine(result)]
    if with_versions:
        parts.append(_versions(result))
    parts.append(", ".join(
        f"{name} `{result.get(name, 'unknown')[:8]}`" + (f", counted as `{later[name][:8]}`" if name in later else "")
        for name in _CODES
        if name == "code" or name in result
    ))  # fmt: skip
    if later:
        numbers = sorted(reasons.setdefault(reason, len(reasons) + 1) for reason in later["because"].split("; "))
        parts.append(f"reason{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}")
    return "; ".join(parts)
