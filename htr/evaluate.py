"""Scores a reader: `python -m htr.evaluate --data iam:PATH --split test [--weights W] [--out FILE]`."""

from __future__ import annotations

import argparse
import csv
import io
import json
from pathlib import Path
from typing import Any

from htr.cli import run
from htr.errors import InputError
from htr.files import make_writable, write_whole


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m htr.evaluate", description="Scores a reader on labelled lines.")
    parser.add_argument("--data", required=True, help="sample, or iam:PATH")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test", help="default: test")
    parser.add_argument("--weights", metavar="W", help="weights file (default: the weights that come with htr)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes (default: in runs/)")
    arguments = parser.parse_args()
    out = arguments.out
    if out and out.suffix != ".json":
        raise InputError(f"{out}: must end in .json; the readings go to a .tsv of the same name")
    from htr.benchmark.lines import evaluate_lines

    folder = out.parent if out else Path("runs")
    make_writable(folder)
    result = evaluate_lines(arguments.data, arguments.split, arguments.weights)
    print(table(result))
    readings = result.pop("readings")
    if out is None:
        name = "evaluation", arguments.data.partition(":")[0], arguments.split, result["labels_sha256"][:8]
        out = folder / ("-".join([*name, result["weights"]["sha256"][:8]]) + ".json")
    write_whole(out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    rows = io.StringIO(newline="")
    table_writer = csv.DictWriter(rows, readings[0], dialect="excel-tab")
    table_writer.writeheader()
    table_writer.writerows(readings)
    write_whole(out.with_suffix(".tsv"), rows.getvalue())
    print(f"written to {out}; truth and reading of each line to {out.with_suffix('.tsv')}")


def table(result: dict[str, Any]) -> str:
    """The figures of an evaluation as a few aligned lines."""
    speed, weights, machine = result["speed"], result["weights"], result["machine"]
    trained = weights["training"]
    rows = [
        ("data", f"{result['data']}, {result['split']}: {result['lines']} lines, {result['characters']} characters"),
        ("weights", f"{weights['file']} ({weights['sha256'][:12]}…)"),
        *[
            (name, f"{rate['value']:6.2f} %   95 % interval {rate['low']:.2f} to {rate['high']:.2f}")
            for name, rate in result["scores"].items()
        ],
        ("reading", f"{speed['lines_per_second']:.1f} lines/s ({speed['batch']})"),
        ("machine", f"{machine['processor']}, {machine['threads']} threads, {machine['precision']}"),
    ]
    if "lines_per_second" in trained:
        rows.append(("training", f"{trained['lines_per_second']} lines/s ({trained['speed_of']})"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


if __name__ == "__main__":
    run(main)
