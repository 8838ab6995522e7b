"""The page of a study, in Markdown with a plot: drawn from its result file alone, without measuring anything."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from htr.benchmark.study import load_result
from htr.errors import InputError
from htr.files import write_whole

# Of Okabe and Ito, to be told apart by the colour-blind too; and marks for those who see none.
_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MARKS = "osD^vPX"


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
    lines = curves(result)
    page = file.with_suffix(".md")
    if _has_curves(lines):
        write_whole(file.with_suffix(".svg"), _plot(result, lines))
    write_whole(page, "\n".join(_page(result, lines, file)) + "\n")
    return page


def _has_curves(lines: dict[str, list[Point]]) -> bool:
    return any(len(curve) > 1 for curve in lines.values())


def _page(result: dict[str, Any], lines: dict[str, list[Point]], file: Path) -> Iterator[str]:
    data, split = result["score"]["data"], result["score"]["split"]
    runs = result["runs"]
    yield f"# {result['title']}"
    yield ""
    yield (
        f"CER in percent on the {split} lines of `{data}`, of the weights that were best on the validation lines; "
        f"{len(runs)} of {result['planned']} runs are done. Drawn from [`{file.name}`]({file.name}); `{result['command']}` "
        "measures it, or what is missing."
    )
    if _has_curves(lines):
        yield from ["", f"![CER against labelled lines]({file.with_suffix('.svg').name})", ""]
        yield from _by_lines(lines)
        yield from _fewer(lines)
    if runs:
        yield from ["", "## All runs", ""]
        yield from _all_runs(result)
        machines = sorted({f"{run['machine']['processor']}, {run['machine']['precision']}" for run in runs})
        yield from ["", f"Machines: {'; '.join(machines)}. Common to all runs:", "", "```yaml"]
        yield from (f"{name}: {_value(value)}" for name, value in result["config"].items())
        yield "```"


def _by_lines(lines: dict[str, list[Point]]) -> Iterator[str]:
    """A table of CER: a row for each number of labelled lines, a column for each variant."""
    counts = sorted({point.lines for curve in lines.values() for point in curve})
    yield f"| labelled lines | {' | '.join(lines)} |"
    yield "|---" * (len(lines) + 1) + "|"
    for count in counts:
        found = [next((point for point in curve if point.lines == count), None) for curve in lines.values()]
        yield f"| {count:,} | {' | '.join(_spread(point) for point in found)} |"
    yield ""
    seeds = max(point.seeds for curve in lines.values() for point in curve)
    yield f"Mean of up to {seeds} seeds, and from the lowest to the highest." if seeds > 1 else "One seed."


def _spread(point: Point | None) -> str:
    if point is None:
        return ""
    return f"{point.cer:.1f}" + (f" ({point.low:.1f} to {point.high:.1f})" if point.seeds > 1 else "")


def _fewer(lines: dict[str, list[Point]]) -> Iterator[str]:
    """How many times fewer labelled lines the other variants need for what the first one reaches."""
    first, *others = lines
    if not others:
        return
    yield from ["", f"## How many times fewer labelled lines give the CER of `{first}`", ""]
    yield f"| `{first}` with | its CER | {' | '.join(others)} |"
    yield "|---" * (len(others) + 2) + "|"
    for point in lines[first]:
        cells = [_times(point, lines[other]) for other in others]
        yield f"| {point.lines:,} lines | {point.cer:.1f} | {' | '.join(cells)} |"


def _times(point: Point, curve: list[Point]) -> str:
    needed = lines_needed(curve, point.cer)
    if needed is None:
        return "not reached"
    few = "at least " if needed == curve[0].lines and curve[0].cer < point.cer else ""
    return f"{few}{point.lines / needed:.1f} times ({needed:,.0f} lines)"


def _all_runs(result: dict[str, Any]) -> Iterator[str]:
    yield "| variant | values | lines | seed | minutes | steps | best epoch | val CER | CER | WER | weights |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for run in result["runs"]:
        values = result["variants"][run["variant"]] or {}
        yield "| " + " | ".join([
            run["variant"],
            ", ".join(f"`{name}: {_value(value)}`" for name, value in values.items()),
            f"{run['train_lines']:,}",
            str(run["seed"]),
            f"{run['minutes']:.1f}",
            f"{run['steps']:,}",
            f"{run['best_epoch']} of {run['epochs']}",
            f"{run['val_cer']:.2f}",
            _interval(run["scores"]["CER"]),
            _interval(run["scores"]["WER"]),
            f"`{run['weights_sha256'][:8]}`",
        ]) + " |"  # fmt: skip


def _interval(rate: dict[str, float]) -> str:
    return f"{rate['value']:.2f} [{rate['low']:.2f}, {rate['high']:.2f}]"


def _value(value: Any) -> str:
    return "null" if value is None else str(value)


def _plot(result: dict[str, Any], lines: dict[str, list[Point]]) -> str:
    """An SVG picture of the curves."""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InputError("the plot needs matplotlib; install it with `pip install 'htr[report]'`") from None

    with matplotlib.rc_context(
        {"svg.hashsalt": "htr", "font.size": 11, "svg.fonttype": "none", "font.family": "sans-serif"}
    ):
        figure = Figure((7.5, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for (variant, curve), colour, mark in zip(lines.items(), _COLOURS, _MARKS):
            x, y = [point.lines for point in curve], [point.cer for point in curve]
            spread = [[p.cer - p.low for p in curve], [p.high - p.cer for p in curve]]
            axes.errorbar(x, y, spread, color=colour, marker=mark, capsize=3, label=variant)
        counts = sorted({point.lines for curve in lines.values() for point in curve})
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.set_ylim(0, min(100, 1.05 * max(point.high for curve in lines.values() for point in curve)))
        axes.set_xlabel("labelled lines")
        axes.set_ylabel(f"CER, % ({result['score']['split']} lines of {result['score']['data']})")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        picture = io.StringIO()
        FigureCanvasSVG(figure).print_svg(picture, metadata={"Date": None})
    return picture.getvalue()
