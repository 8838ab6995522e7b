"""What a report says of lines: who reads them how well, and where that fails."""

from __future__ import annotations

import base64
import json
import logging
import statistics
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from htr.benchmark import plots
from htr.benchmark.blocks import Block, Heading, Line, Lines, Plot, Table, Text, as_html
from htr.benchmark.details import FEWEST_ACCEPTED, FEWEST_WRITERS, sign, told
from htr.benchmark.results import (
    DAMAGE,
    Result,
    bounds,
    collection_of,
    has_seen,
    interval,
    language_of,
    named_language,
    named_reader,
    reader_of,
)
from htr.language import AUTO, NONE
from htr.weights import DEFAULT

log = logging.getLogger(__name__)

_OTHERS_KNOW = (
    " Of the others, Tesseract was trained on print. PP-OCRv6 and EasyHTR do not tell all of their training data, and may know IAM, "
    "which is public."
)

# Of a collection's characters and confusions, as many as one takes in at a glance.
_SHOWN = 12


def overview(lines: list[Result], peers: list[Result]) -> Iterator[Block]:
    """What all readers make of all collections.

    Args:
        lines: results of lines, each with its `name` and `where`.
        peers: results of other readers, likewise.
    """
    yield Heading(2, "Who reads what how well")
    # A collection may have changed since others read it.
    measured = {result["labels_sha256"] for result in lines}
    peers = [result for result in peers if result["labels_sha256"] in measured]
    for rate, meaning in (("CER", "wrong characters"), ("WER", "wrong words")):
        columns: dict[str, dict[str, str]] = {}
        for result in lines:
            row, reader = result["name"], named_reader(result)
            columns.setdefault(reader, {})[row] = interval(result["scores"][rate])
            if result["language"]:
                helped = f"{reader}, with {named_language(result)}"
                columns.setdefault(helped, {})[row] = interval(result["scores_with_language"][rate])
        for result in peers:
            for reader in result["readers"]:
                if reader["name"] != "htr":
                    column = columns.setdefault(f"{reader['title']}{result['where']}", {})
                    column[result["name"]] = interval(reader["scores"][rate])
        counts = {result["name"]: result["lines"] for result in lines}
        yield Text(f"{rate}, {meaning}, in percent:")
        yield Table(
            ["lines", "how many", *columns],
            [
                [row, f"{count:,}", *(column.get(row, "") for column in columns.values())]
                for row, count in counts.items()
            ],
        )
    yield Text(
        "With language: models of English and French, of which each line shows which it follows, know how words go on. This is "
        "how htr reads unless told `--language none`; it helps with prose and harms names and numbers a little. The models that come "
        "along have read the texts of the train lines of Copiste, Hooker, Testaments and Peraire, and formulas in them come again in "
        "test lines. "
        "Other readers got the same line pictures, and their texts passed the same normalisation; those that are not installed "
        "(`make peers`) are left out."
    )
    if any(result["split"] == "val" for result in lines):
        yield Text(
            "Weights and language models were chosen on validation lines (val), which are read the better for it: what counts are "
            "test lines."
        )
    if not peers:
        yield Text(
            "No other reader has read these lines: none is installed, or they were read before the lines changed."
        )
    if known := [text for reader in dict.fromkeys(map(reader_of, lines)) if (text := _learnt(reader, lines))]:
        yield Text("**What the readers know:** " + " ".join(known) + _OTHERS_KNOW * bool(peers))


def _learnt(reader: str, lines: list[Result]) -> str:
    """On which of the collections a reader of ours was trained."""
    own = [result for result in lines if reader_of(result) == reader]
    seen = [name for name in dict.fromkeys(collection_of(result["data"]) for result in own) if has_seen(own[0], name)]
    return f"`{reader}` has learnt from train lines of {', '.join(seen)}." if seen else ""


def accuracy(lines: list[Result], folder: Path, examples: Sequence[str] | None) -> Iterator[Block]:
    """Where readings are wrong, collection by collection.

    Args:
        lines: results of lines, each with its `name` and `where`.
        folder: where the pictures of lines lie.
        examples: collections whose lines are shown; all if None.
    """
    yield Heading(2, "Where it fails")
    # Validation lines would say the same once more.
    tested = {collection_of(result["data"]) for result in lines if result["split"] == "test"}
    lines = [result for result in lines if result["split"] == "test" or collection_of(result["data"]) not in tested]
    yield Text("Of the readings as users get them: with the language models, where any helped.")
    yield from _without_writers(lines)
    yield from _together(lines)
    for result in lines:
        other = "" if language_of(result) in (AUTO, NONE) else f", with {named_language(result)}"
        yield Heading(3, f"{result['name']}, {named_reader(result)}{other}")
        yield from _collection(result)
        if examples is None or collection_of(result["data"]) in examples:
            yield from _examples(folder / result["file name"].replace(".json", ".examples.json"))


def _without_writers(lines: list[Result]) -> Iterator[Block]:
    """Why some collections have no intervals over writers."""
    names = dict.fromkeys(result["name"] for result in lines if not result["scores_over_writers"])
    if names:
        yield Text(
            f"Fewer than {FEWEST_WRITERS} writers or pages are known, so there are no intervals over them, of {', '.join(names)}."
        )


def _together(lines: list[Result]) -> Iterator[Block]:
    """What is best seen of all collections in one picture."""
    usual = [result for result in lines if reader_of(result) == DEFAULT] or lines
    usual = {result["name"]: result for result in usual}.values()  # one machine's tells as much as another's
    plot, said = plots.Plot("characters of the line", "CER, %"), []
    for result in usual:
        steps = [step for step in result["details"]["lengths"] if step["lines"] >= 5]
        if steps:
            middles = [(step["from"] + step["to"]) / 2 for step in steps]
            plot.line(middles, [step["CER"] for step in steps], result["name"])
            of_lengths = (f"{step['from']} to {step['to']} characters {step['CER']:.1f}" for step in steps)
            said.append(f"{result['name']}: {', '.join(of_lengths)}")
    yield Plot(plot.svg(), f"CER in percent against the length of the line. {'. '.join(said)}.", "length")
    plot, said = (
        plots.Plot("share of the text that is accepted, surest lines first, %", "CER of what is accepted, %"),
        [],
    )
    for result in usual:
        curve = result["details"]["accepted"]["curve"]
        plot.line([point["share"] for point in curve], [point["CER"] for point in curve], result["name"])
        said.append(f"{result['name']}: {_said(curve, 'share', 'CER')}")
    plot.axes.axhline(1, color="#777777", linestyle=":")
    yield Plot(
        plot.svg(), f"Share of the text, surest lines first, and CER of it, in percent. {'. '.join(said)}.", "accepted"
    )
    plot, said = plots.Plot("mean confidence, %", "lines without any error, %"), []
    for result in usual:
        groups = result["details"]["confidence"]
        plot.line(
            [group["confidence"] for group in groups], [group["without error"] for group in groups], result["name"]
        )
        said.append(f"{result['name']}: {_said(groups, 'confidence', 'without error')}")
    lowest = min((group["confidence"] for result in usual for group in result["details"]["confidence"]), default=0)
    plot.axes.plot([lowest, 100], [lowest, 100], color="#777777", linestyle=":")
    yield Plot(
        plot.svg(), f"Mean confidence, and share of lines without error, in percent. {'. '.join(said)}.", "confidence"
    )
    yield Text(
        "The confidence of a line is the mean over its characters of what the network thinks of them, without the language models: it "
        "puts lines in an order, and is not the chance that a line is right, which would follow the dotted line."
    )


def _said(points: Sequence[dict[str, float]], x: str, y: str) -> str:
    """A curve in words: for those who do not see it, five of its points."""
    picked = sorted({round(step * (len(points) - 1) / 4) for step in range(5)}) if points else []
    return ", ".join(f"{points[index][x]:.0f} % {points[index][y]:.1f}" for index in picked)


def _collection(result: Result) -> Iterator[Block]:
    details = result["details"]
    over_writers, helped = result["scores_over_writers"], result["scores_with_language"]
    header = ["rate", "greedily, percent [over lines]"]
    header += ["[over writers or pages]"] if over_writers else []
    header += ["with language [over lines]"] if helped else []
    helped_over_writers = result.get("scores_with_language_over_writers")
    header += ["[over writers or pages]"] if helped_over_writers else []
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
        yield Plot(plot.svg(), f"CER of each writer of {result['name']}", f"writers-{Path(result['file name']).stem}")
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
        as_html(shown)  # so that damage shows here
    except (OSError, *DAMAGE) as error:
        log.warning(
            "%s: no lines with their pictures (%s), and left out; measure them again, or delete it", file, error
        )
        return
    yield from shown
