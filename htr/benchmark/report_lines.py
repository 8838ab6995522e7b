"""What a report says of lines: who reads them how well, and where that fails."""

from __future__ import annotations

import base64
import json
import logging
import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

from htr.benchmark import plots
from htr.benchmark.blocks import Block, Heading, Line, Lines, Plot, Table, Text, as_html
from htr.benchmark.details import FEWEST_ACCEPTED, sign, told
from htr.benchmark.results import (
    DAMAGE,
    Result,
    bounds,
    collection_of,
    comes_along,
    exchanged_models,
    from_another_reader,
    has_seen,
    interval,
    language_of,
    learnt_pages,
    named_language,
    named_reader,
    reader_of,
    what_was_learnt,
)
from htr.corpora import pages_of
from htr.language import AUTO, NONE
from htr.messages import counted
from htr.metrics import FEWEST
from htr.weights import DEFAULT

log = logging.getLogger(__name__)

_OTHERS_KNOW = (
    " Of the others, Tesseract was trained on print. Those that have learnt handwriting do not tell all of their training data, and "
    "may know IAM, which is public."
)

# Lines of a length, below which their CER says nothing.
_FEWEST_OF_A_LENGTH = 10

# CER in percent of text that is taken without checking.
_PUT_UP_WITH = 1, 2, 5

# What a line's confidence lacks of being sure, in percent, and CER: where their axes have marks.
_DOUBTS = 0.5, 1, 2, 5, 10, 20, 50

# Bounds of bands of confidence, in percent.
_BANDS = 100, 98, 95, 90, 80, 70, 60, 0

# Of a collection's characters and confusions, as many as one takes in at a glance.
_SHOWN = 12


_ABOUT = {
    "iam": "English, copied by many hands of today",
    "copiste": "French, copied by many hands of today",
    "hooker": "English letters of the 19th century, one hand",
    "testaments": "French wills of 1914 to 1918, many hands",
    "peraire": "French, 20th century, one hand",
    "sample": "English, drawn in fonts: not handwriting",
}
"""What the collections are whose results come along."""

_IN_MODELS = {"copiste", "hooker", "testaments", "peraire"}
"""Of which collections the language models that come along have read the texts of train lines."""


def in_short(lines: list[Result], pages: list[Result], taught: list[Result]) -> Iterator[Block]:
    """What to expect, of the usual weights as users read with them; and of weights that never saw a hand.

    Args:
        lines, pages, taught: results of lines, pages and fine-tunings, each with its `name` or `where`.
    """
    usual = [result for result in tested(lines) if reader_of(result) == DEFAULT]
    rows = []
    for result in {result["name"]: result for result in usual}.values():
        known = "other lines of this collection" if has_seen(result, collection_of(result["data"])) else ""
        if known and from_another_reader(result):
            known += ", perhaps these too"
        rows.append(_expected(result["name"], result["data"], result["lines"], known, *_over_writers(result)))
    starts: dict[str, Result] = {}
    for result in taught:
        name = collection_of(result["data"])
        if not has_seen(result, name):
            starts[name] = max(starts.get(name, result), result, key=lambda start: start["date"])
    for name, result in starts.items():
        alone = _best_unseeing(result, lines)
        known = f"no line of this collection (`{reader_of(alone or result)}`)"
        if not alone and (others := exchanged_models(result)):
            known += f", with another language model ({', '.join(others)})"
        elif name in _IN_MODELS:
            known += "; the language models have read the texts of its train lines"
        rate, mark = _over_writers(alone) if alone else (result["start"]["test with language"]["CER"], "¹")
        # The same lines have as many characters.
        count = next(
            (line["lines"] for line in tested(lines) if line["scores"]["CER"]["total"] == rate.get("total")), None
        )
        rows.append(_expected(f"{name} test", result["data"], count, known, rate, mark))
    if not rows:
        return
    yield Heading(2, "In short")
    yield Text(
        f"As htr reads unless told otherwise, with language models, and with `{DEFAULT}` where no other weights are named:"
    )
    yield Table(["lines", "what they are", "how many", "what the reader knows", "CER", "one wrong character in"], rows)
    yield Text(
        f"The interval tells where the figure would lie with other writers or pages; ¹: fewer than {FEWEST} of them are known, "
        "so that it tells where it would lie with other lines of the same ones, which is too narrow."
    )
    for page in pages:
        if reader_of(page) == DEFAULT and page["scores"] and not page["split"]:
            scores, seconds = page["scores"], sum(page["seconds_a_page"].values())
            yield Text(
                f"Whole pages: {page['lines']['boxes']['0.5']['F1']:.1f} % of the lines of {counted(page['count'], 'page')} of "
                f"{pages_of(page['pages'])}{learnt_pages(page)} are found (F1 of boxes), and read with "
                f"{scores['CER']['value']:.1f} % CER, {scores['CER minus CER of the true lines']:+.2f} points for finding and "
                f"ordering them; {seconds:.1f} s a page."
            )


def measured_alone(taught: Result, lines: list[Result]) -> Result | None:
    """What the weights that a fine-tuning starts from make of the same test lines, with language, where they were measured by
    themselves."""
    alone = [result for result in _with_language(taught, lines) if reader_of(result) == reader_of(taught)]
    return alone[-1] if alone else None


def _best_unseeing(taught: Result, lines: list[Result]) -> Result | None:
    """Of results of weights that never saw a collection the best, unless what a fine-tuning starts from is better and was not measured
    by itself, by newer code and language models."""
    if same := measured_alone(taught, lines):
        return same

    def rate(result: Result) -> float:
        return result["scores_with_language"]["CER"]["value"]

    others = [result for result in _with_language(taught, lines) if not has_seen(result, collection_of(taught["data"]))]
    best = min(others, key=rate, default=None)
    return best if best and rate(best) < taught["start"]["test with language"]["CER"]["value"] else None


def _with_language(taught: Result, lines: list[Result]) -> list[Result]:
    """Results, with language, of the collection that a fine-tuning is of."""
    name = collection_of(taught["data"])
    return [result for result in tested(lines) if result["language"] and collection_of(result["data"]) == name]


def _over_writers(result: Result) -> tuple[dict[str, float], str]:
    """The CER as users read, with the interval over writers or pages, or, where these are not known, over lines and with a mark."""
    scores = "scores_with_language" if result["language"] else "scores"
    over_writers = result.get(f"{scores}_over_writers")
    return {**result[scores]["CER"], **(over_writers["CER"] if over_writers else {})}, "" if over_writers else "¹"


def _expected(name: str, data: str, count: int | None, known: str, rate: dict[str, float], mark: str) -> list[str]:
    wrong = f"{100 / rate['value']:.0f}" if rate["value"] else ""
    return [
        name,
        _ABOUT.get(collection_of(data), ""),
        f"{count:,}" if count else "",
        known,
        interval(rate) + mark,
        wrong,
    ]


def overview(lines: list[Result], peers: list[Result]) -> Iterator[Block]:
    """What all readers make of all collections.

    Args:
        lines: results of lines, each with its `name` and `where`.
        peers: results of other readers, likewise.
    """
    yield Heading(2, "Who reads what how well")
    chosen_on = any(result["split"] == "val" for result in lines)
    lines = tested(lines)
    # A collection may have changed since others read it.
    measured = {result["labels_sha256"] for result in lines}
    peers = [result for result in peers if result["labels_sha256"] in measured or not lines]
    counts = {result["name"]: result["lines"] for result in [*lines, *peers]}
    places = _places(lines, peers)
    # The machine hardly matters here, and makes columns wide.
    once = all(len(of_reader) == 1 for of_reader in places.values())
    for rate, meaning in (("CER", "wrong characters"), ("WER", "wrong words")):
        columns: dict[str, dict[str, str]] = {}
        for result in lines:
            row, reader = result["name"], f"htr {reader_of(result)}{'' if once else result['where']}"
            columns.setdefault(reader, {})[row] = interval(result["scores"][rate])
            if result["language"]:
                helped = f"{reader}, with {named_language(result)}"
                columns.setdefault(helped, {})[row] = interval(result["scores_with_language"][rate])
        for result in peers:
            for reader in result["readers"]:
                if reader["name"] != "htr":
                    column = columns.setdefault(f"{reader['title']}{'' if once else result['where']}", {})
                    column[result["name"]] = interval(reader["scores"][rate])
        yield Text(f"{rate}, {meaning}, in percent:")
        yield Table(
            ["lines", "how many", *columns],
            [
                [row, f"{count:,}", *(column.get(row, "") for column in columns.values())]
                for row, count in counts.items()
            ],
        )
    if once:
        readers: dict[str, list[str]] = {}
        for reader, (where, *_) in places.items():
            readers.setdefault(where, []).append(reader)
        if told := [f"{', '.join(there)}{where}" for where, there in readers.items() if where]:
            yield Text(f"Read by {'; '.join(told)}.")
    yield from _in_any_case(peers)
    yield Text(
        "With language: models of English and French, of which the lines show which they follow, know how words go on. This is "
        "how htr reads unless told `--language none`; it helps with prose and harms names and numbers a little. The models that come "
        "along have read the texts of the train lines of Copiste, Hooker, Testaments and Peraire, and formulas in them come again in "
        "test lines. "
        "Other readers got the same line pictures, and their texts passed the same normalisation; those that are not installed "
        "(`make peers`) are left out."
    )
    if chosen_on:
        yield Text(
            "Weights and language models were chosen on validation lines (val), which are read the better for it: they are left out "
            "where there are test lines."
        )
    if not peers:
        yield Text(
            "No other reader has read these lines: none is installed, or they were read before the lines changed."
        )
    if known := [text for reader in dict.fromkeys(map(reader_of, lines)) if (text := _learnt(reader, lines))]:
        yield Text("**What the readers know:** " + " ".join(known) + _OTHERS_KNOW * bool(peers))


def _places(lines: list[Result], peers: list[Result]) -> dict[str, dict[str, None]]:
    """Where each reader has read, as `where` of the results tells."""
    read = [(f"htr {reader_of(result)}", result["where"]) for result in lines]
    read += [
        (reader["title"], result["where"])
        for result in peers
        for reader in result["readers"]
        if reader["name"] != "htr"
    ]
    places: dict[str, dict[str, None]] = {}
    for reader, where in read:
        places.setdefault(reader, {})[where] = None
    return places


def tested(lines: list[Result]) -> list[Result]:
    """Without validation lines of collections that have test lines: they would say the same once more, and flatter."""
    have_some = {collection_of(result["data"]) for result in lines if result["split"] == "test"}
    return [result for result in lines if result["split"] == "test" or collection_of(result["data"]) not in have_some]


def _in_any_case(peers: list[Result]) -> Iterator[Block]:
    """How readers compare that do not tell capitals and small letters apart."""
    columns: dict[str, dict[str, str]] = {}
    for result in peers:
        for reader in result["readers"]:
            rate = interval(reader["scores"]["CER, any case"])
            columns.setdefault(f"{reader['title']}{result['where']}", {})[result["name"]] = rate
    if columns:
        rows = dict.fromkeys(row for column in columns.values() for row in column)
        yield Text("CER where capitals count as small letters, for readers that write one kind alone:")
        yield Table(["lines", *columns], [[row, *(column.get(row, "") for column in columns.values())] for row in rows])


def _learnt(reader: str, lines: list[Result]) -> str:
    """On which of the collections a reader of ours was trained."""
    own = [result for result in lines if reader_of(result) == reader]
    seen = [name for name in dict.fromkeys(collection_of(result["data"]) for result in own) if has_seen(own[0], name)]
    return what_was_learnt(own[0], seen) if seen else ""


def accuracy(lines: list[Result], folder: Path, examples: Sequence[str] | None) -> Iterator[Block]:
    """Where readings are wrong, collection by collection.

    Args:
        lines: results of lines, each with its `name` and `where`.
        folder: where the pictures of lines lie.
        examples: collections whose lines are shown; all if None.
    """
    yield Heading(2, "Where it fails")
    every = lines = tested(lines)
    usual = {result["name"] for result in lines if reader_of(result) == DEFAULT}
    others = [
        result for result in lines if comes_along(result) and reader_of(result) != DEFAULT and result["name"] in usual
    ]
    lines = [result for result in lines if result not in others]
    yield Text(
        "Of the readings as users get them: with the language models, where any helped."
        + (
            f" The result files of `{'` and `'.join(dict.fromkeys(map(reader_of, others)))}` tell what these take for what."
            if others
            else ""
        )
    )
    yield from _without_writers(lines)
    yield from _together(lines)
    yield from _by_confidence(every)
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
            f"Fewer than {FEWEST} writers or pages are known, so there are no intervals over them, of {', '.join(names)}."
        )


def _together(lines: list[Result]) -> Iterator[Block]:
    """What is best seen of all collections in one picture."""
    # One machine's tells as much as another's.
    shown = {(result["name"], reader_of(result)): result for result in lines}
    alone = len({reader for _, reader in shown}) == 1
    usual = {name if alone else f"{name}, {reader}": result for (name, reader), result in shown.items()}
    plot, said = plots.Plot("characters of the line", "CER, %"), []
    for name, result in usual.items():
        steps = result["details"]["lengths"]
        # A gap where there are too few lines.
        rates = [step["CER"] if step["lines"] >= _FEWEST_OF_A_LENGTH else math.nan for step in steps]
        plot.line([(step["from"] + step["to"]) / 2 for step in steps], rates, name)
        of_lengths = (
            f"{step['from']} to {step['to']} characters {rate:.1f}"
            for step, rate in zip(steps, rates)
            if not math.isnan(rate)
        )
        said.append(f"{name}: {', '.join(of_lengths)}")
    yield Plot(plot.svg(), f"CER in percent against the length of the line. {'. '.join(said)}.", "length")
    yield Text(
        "How much of the text, surest lines first, can be taken without checking, in percent, by the CER that one puts up with "
        f"(chosen on these very lines; not told of fewer than {FEWEST_ACCEPTED} lines):"
    )
    yield Table(
        ["lines", *(f"at most {most} %" for most in _PUT_UP_WITH)],
        [[name, *(_accepted(result, most) for most in _PUT_UP_WITH)] for name, result in usual.items()],
    )
    plot, said = plots.Plot("mean confidence of lines, %", "CER, %"), []
    for name, result in usual.items():
        groups = result["details"]["confidence"]
        # Zero has no place on a logarithmic scale.
        rates = [group["CER"] or math.nan for group in groups]
        plot.line([100 - group["confidence"] for group in groups], rates, name)
        said.append(f"{name}: {_said(groups)}")
    plot.axes.plot(_DOUBTS, _DOUBTS, color="#777777", linestyle=":", label="100 % minus confidence")
    plot.axes.set(xscale="log", yscale="log")
    plot.axes.set_xticks(_DOUBTS, [f"{100 - doubt:g}" for doubt in _DOUBTS])
    plot.axes.set_yticks(_DOUBTS, [f"{doubt:g}" for doubt in _DOUBTS])
    plot.axes.minorticks_off()
    plot.axes.invert_xaxis()
    yield Plot(plot.svg(), f"CER in percent against the mean confidence of lines. {'. '.join(said)}.", "confidence")
    yield Text(
        "Each mark is a tenth of a collection's lines, the surest on the right; marks without any error are left out. The confidence "
        "of a line is the mean over its characters of what the network thinks of them, without the language models. On the dotted "
        "line, as much is wrong as the confidence lacks of 100 %; marks below it are of lines with fewer errors, as language models "
        "mend some. Both axes are stretched towards few errors."
    )


def _by_confidence(lines: list[Result]) -> Iterator[Block]:
    """What confidence is worth of hands that readers know, and of others; drawn lines are no hands."""
    bands = list(pairwise(_BANDS))
    rows = []
    for kind, known in (
        ("hands like those that the reader has learnt from", True),
        ("hands unlike them", False),
    ):
        groups = [
            group
            for result in lines
            if comes_along(result)
            and (name := collection_of(result["data"])) != "sample"
            and has_seen(result, name) == known
            for group in result["details"]["confidence"]
        ]
        rates = []
        for high, low in bands:
            inside = [group for group in groups if low < group["confidence"] <= high]
            characters = sum(group["characters"] for group in inside)
            wrong = sum(group["CER"] * group["characters"] for group in inside)
            rates.append(f"{wrong / characters:.1f}" if characters else "")
        if any(rates):
            rows.append([kind, *rates])
    if rows:
        yield Text(
            "How many characters in a hundred are wrong, by the mean confidence of their line (tenths of a collection's lines, of all "
            "weights that come along; drawn lines left out; a line that is read as empty is as sure as the network is of that):"
        )
        yield Table(["lines", *(f"{high} to {low} %" for high, low in bands)], rows)


def _accepted(result: Result, most: float) -> str:
    """The share of the text that is read with so many percent errors at most."""
    accepted = result["details"]["accepted"]
    if most == accepted["CER"]:
        return f"{accepted['share']:.0f}" if accepted["share"] else "none"
    curve = accepted["curve"]
    # Its points are alike in lines.
    lines = [-(-(index + 1) * result["lines"] // len(curve)) for index in range(len(curve))]
    shares = [point["share"] for point, count in zip(curve, lines) if point["CER"] <= most and count >= FEWEST_ACCEPTED]
    return f"{max(shares):.0f}" if shares else "none"


def _said(points: Sequence[dict[str, float]]) -> str:
    """The curve of confidences in words: for those who do not see it, five of its points."""
    picked = sorted({round(step * (len(points) - 1) / 4) for step in range(5)}) if points else []
    return ", ".join(f"{points[index]['confidence']:.0f} % {points[index]['CER']:.1f}" for index in picked)


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
