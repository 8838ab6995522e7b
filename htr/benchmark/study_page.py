"""The page of a study, in Markdown with a plot: drawn from its result file alone, without measuring anything."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from htr.benchmark import plots
from htr.benchmark.blocks import Block, Heading, Plot, Table, Text, as_markdown, linked, write_plots
from htr.benchmark.results import DAMAGE, collection_of, counted_code, interval, named_machine
from htr.benchmark.study import load_result
from htr.errors import InputError
from htr.files import write_whole

# A curve falls whose last CER is less than so much of its first.
_FALLS = 0.85

# One is flat at its end whose last CER is more than so much of the one before.
_FLAT = 0.95


class Point(NamedTuple):
    """One amount of labelled lines.

    Attributes:
        lines: labelled lines of the training.
        cer: mean over the seeds, in percent.
        low, high: over the seeds.
        seeds: how many there are.
    """

    lines: int
    cer: float
    low: float
    high: float
    seeds: int


def curves(result: dict[str, Any]) -> dict[str, list[Point]]:
    """CER against labelled lines for each variant that has runs, few lines first."""
    found: dict[str, dict[int, list[float]]] = {variant: defaultdict(list) for variant in result["variants"]}
    for run in result["runs"]:
        if run["train_lines"] > 0:
            found[run["variant"]][run["train_lines"]].append(run["scores"]["CER"]["value"])
    return {
        variant: [
            Point(lines, sum(rates) / len(rates), min(rates), max(rates), len(rates))
            for lines, rates in sorted(by_lines.items())
        ]
        for variant, by_lines in found.items()
        if by_lines
    }


def lines_needed(curve: list[Point], cer: float) -> float | None:
    """How many labelled lines bring a curve down to a CER, read off between its points (lines on a logarithmic scale).

    Returns:
        The number, which is that of the first point where the curve is down there from the start; None if it never comes down.
    """
    if curve[0].cer <= cer:
        return curve[0].lines
    for before, after in pairwise(curve):
        if after.cer <= cer:
            share = (before.cer - cer) / (before.cer - after.cer)
            return math.exp(math.log(before.lines) + share * math.log(after.lines / before.lines))
    return None


def write_page(file: Path) -> Path:
    """Draws the page of a result file beside it.

    Raises:
        InputError: the file is not the result of a study.
    """
    result = load_result(file)
    try:
        blocks = list(study_blocks(result, level=1))
    except DAMAGE as error:
        raise InputError(f"{file}: damaged ({type(error).__name__}: {error}); measure it again, or delete it") from None
    write_plots(blocks, file.parent)
    page = file.with_suffix(".md")
    write_whole(page, as_markdown(blocks))
    return page


def study_blocks(result: dict[str, Any], level: int = 2) -> Iterator[Block]:
    """What a report says of a study.

    Args:
        result: as `htr.benchmark.study.load_result` gives it.
        level: of its heading.
    """
    runs, lines = result["runs"], curves(result)
    yield Heading(level, result["title"])
    yield Text(
        f"CER in percent on the {_scored(result)}, of the weights that were best on "
        f"the validation lines; {len(runs)} of {result['planned']} runs are done. `{result['command']}` measures what is missing."
    )
    if any(len(curve) > 1 for curve in lines.values()):
        yield Plot(_plot(result, lines), f"{result['title']}: CER against labelled lines", result["study"])
        yield from _by_lines(lines)
        yield from _fewer(lines, level + 1)
    elif len(lines) > 1:
        yield Plot(_ranked(result), f"{result['title']}: CER of each variant", result["study"])
    if learning := _learning(result):
        yield Plot(
            learning,
            f"{result['title']}: CER on {_validation(result)} while training, of one seed",
            f"{result['study']}-learning",
        )
    if len({counted_code(run) for run in runs}) > 1:
        yield Text(
            "**Some of the runs are of other code than the others**, with other preparation or training: measure them again."
        )
    if runs:
        # Without labelled lines, no plot has told what came of them.
        if level > 1 and lines:
            yield Text(f"{linked(result['study'] + '.md')} lists all runs.")
            return
        yield Heading(level + 1, f"All runs of {result['study']}")
        yield from _all_runs(result)
        machines = sorted(set(map(named_machine, runs)))
        common = ", ".join(f"`{name}: {_value(value)}`" for name, value in result["config"].items())
        fewer = (
            " With a share of the train lines, `epochs` are divided by it, and the lines `drawn` in each multiplied by it: all runs "
            "take about as many steps."
            if any(0 < run["share"] < 1 for run in runs)
            else ""
        )
        yield Text(f"Machines: {'; '.join(machines)}. Where `values` does not say otherwise: {common}.{fewer}")


def _by_lines(lines: dict[str, list[Point]]) -> Iterator[Block]:
    """A table of CER: a row for each number of labelled lines, a column for each variant."""
    counts = sorted({point.lines for curve in lines.values() for point in curve})
    rows = []
    for count in counts:
        found = [next((point for point in curve if point.lines == count), None) for curve in lines.values()]
        rows.append([f"{count:,}", *(_spread(point) for point in found)])
    yield Table(["labelled lines", *lines], rows)
    seeds = {point.seeds for curve in lines.values() for point in curve}
    number = f"up to {max(seeds)}" if len(seeds) > 1 else f"{max(seeds)}"
    yield Text(f"Mean of {number} seeds, and from the lowest to the highest." if max(seeds) > 1 else "One seed.")


def _spread(point: Point | None) -> str:
    if point is None:
        return ""
    return f"{point.cer:.1f}" + (f" ({point.low:.1f} to {point.high:.1f})" if point.seeds > 1 else "")


def _fewer(lines: dict[str, list[Point]], level: int) -> Iterator[Block]:
    """How many times fewer labelled lines the other variants need for what the first one that learns of more of them reaches."""
    # One that more lines do not help had too little time to learn, and no number of lines to compare.
    falling = [variant for variant, curve in lines.items() if curve[-1].cer < _FALLS * curve[0].cer]
    others = [variant for variant in lines if variant not in falling[:1]]
    if not falling or not others:
        return
    first = falling[0]
    yield Heading(level, f"How many times fewer labelled lines give the CER of `{first}`")
    yield Table(
        [f"`{first}` with", "its CER", *others],
        [
            [f"{point.lines:,} lines", f"{point.cer:.1f}", *(_times(point, lines[other]) for other in others)]
            for point in lines[first]
        ],
    )
    if len(lines[first]) > 1 and lines[first][-1].cer > _FLAT * lines[first][-2].cer:
        yield Text(
            f"The curve of `{first}` hardly falls at its end, where the schedule is too short for more lines to help: the last rows "
            "flatter the others."
        )


def _times(point: Point, curve: list[Point]) -> str:
    needed = lines_needed(curve, point.cer)
    if needed is None:
        return "not reached"
    if needed == point.lines:
        return ""  # nor was it trained with fewer
    few = "at least " if needed == curve[0].lines and curve[0].cer < point.cer else ""
    if few and needed > point.lines:
        return ""  # it was not trained with fewer
    if needed > point.lines:
        return f"needs {needed / point.lines:.1f} times as many ({needed:,.0f} lines)"
    return f"{few}{point.lines / needed:.1f} times ({needed:,.0f} lines)"


def _scored(result: dict[str, Any]) -> str:
    """The lines that tell a study's CER."""
    return f"{result['score']['split']} lines of {collection_of(result['score']['data'])}"


def _validation(result: dict[str, Any]) -> str:
    """The lines by which the best weights of a run are chosen."""
    data = result["config"].get("data", [])
    names = ", ".join(map(collection_of, [data] if isinstance(data, str) else data))
    return f"val lines of {names}" if names else "val lines"  # the variants are of other data each


def _all_runs(result: dict[str, Any]) -> Iterator[Block]:
    # Of the same lines, one figure is enough.
    chosen_by = [f"CER of {_validation(result)}"] if _validation(result) != _scored(result) else []
    rows = []
    for run in result["runs"]:
        values = result["variants"][run["variant"]]
        rows.append([
            run["variant"],
            ", ".join(f"`{name}: {_value(value)}`" for name, value in values.items()),
            f"{run['train_lines']:,}",
            str(run["seed"]),
            f"{run['minutes']:.1f}",
            f"{run['steps']:,}",
            f"{run['best_epoch']} of {run['epochs']}",
            *(f"{run['val_cer']:.2f}" for _ in chosen_by),
            interval(run["scores"]["CER"]),
            interval(run["scores"]["WER"]),
            f"`{run['weights_sha256'][:8]}`",
        ])  # fmt: skip
    yield Table(
        ["variant", "values", "lines", "seed", "minutes", "steps", "best epoch", *chosen_by, "CER", "WER", "weights"],
        rows,
    )


def _value(value: Any) -> str:
    return "null" if value is None else str(value)


def _learning(result: dict[str, Any]) -> str:
    """Validation CER against epochs, or minutes where these end the runs, for each variant's first run with the most lines.

    Nothing where no run has looked three times, of which a curve is made, or where there are more variants than one can tell apart.
    """
    along = "minutes" if result["config"].get("minutes") else "epoch"
    chosen: list[dict[str, Any]] = []
    for variant in result["variants"]:
        runs = [run for run in result["runs"] if run["variant"] == variant and len(run["curve"]) > 2]
        chosen += [max(runs, key=lambda run: run["train_lines"])] if runs else []
    if not 1 <= len(chosen) <= plots.DISTINCT:
        return ""
    plot = plots.Plot({"minutes": "minutes of training", "epoch": "epochs"}[along], f"CER, % ({_validation(result)})")
    alike = len({run["train_lines"] for run in chosen}) == 1
    for run in chosen:
        points = [[point[key] for point in run["curve"]] for key in (along, "val_cer")]
        plot.line(*points, run["variant"] + ("" if alike else f", {run['train_lines']:,} lines"))
    if along == "epoch":
        plot.axes.set_xticks(sorted({point["epoch"] for run in chosen for point in run["curve"]}))
    return plot.svg()


def _ranked(result: dict[str, Any]) -> str:
    """The variants of a study of one number of lines, best first, each with the interval of its first run."""
    first = {run["variant"]: run["scores"]["CER"] for run in reversed(result["runs"])}
    rates = {variant: first[variant] for variant in result["variants"] if variant in first}
    plot = plots.Plot(f"CER, % ({_scored(result)})", "")
    # Of too few lines, without an interval.
    bounds = [
        [rate["value"] if rate[name] is None else rate[name] for rate in rates.values()] for name in ("low", "high")
    ]
    plot.ranked(list(rates), [rate["value"] for rate in rates.values()], *bounds)
    return plot.svg()


def _plot(result: dict[str, Any], lines: dict[str, list[Point]]) -> str:
    plot = plots.Plot("labelled lines", f"CER, % ({_scored(result)})")
    for variant, curve in lines.items():
        counts, cer, low, high, _ = zip(*curve)
        plot.line(counts, cer, variant, low, high)
    plot.counted_on_a_logarithmic_scale(sorted({point.lines for curve in lines.values() for point in curve}))
    plot.axes.set_ylim(top=min(100, 1.05 * max(point.high for curve in lines.values() for point in curve)))
    return plot.svg()
