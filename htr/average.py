"""Averages trainings that went on from the same weights: `python -m htr.average FILE... --data CORPUS... --out my.safetensors`."""

from __future__ import annotations

import argparse
from pathlib import Path

from htr.cli import run
from htr.files import new_weights_file
from htr.messages import counted


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.average",
        description="Writes the average of weights, which mostly reads better than each of them, and measures its norms anew.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="weights that went on from one file; of a single one, the norms change"
    )
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="CORPUS", help="what they have learnt, as in the config's data"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new weights file (.safetensors)")
    arguments = parser.parse_args()
    out: Path = arguments.out
    new_weights_file(out)
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.training.averaging import average

    lines = average(arguments.files, arguments.data, out)
    print(f"{out}: norms measured of {counted(lines, 'line')}")


if __name__ == "__main__":
    run(main)
