"""Lets recognisers read side by side: `python -m htr.join FILE FILE... --out my.safetensors`."""

from __future__ import annotations

import argparse
from pathlib import Path

from htr.cli import run
from htr.files import new_weights_file


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.join",
        description="Writes one recogniser of several with other encoders, which says the mean of what they say. It reads better "
        "than each of them, above all once it has learnt on (start=...).",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="weights that differ in their encoder; those that come along have names",
    )
    parser.add_argument(
        "--shares", nargs="+", type=float, metavar="S", help="how much each counts, adding up to 1 (default: all alike)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new weights file (.safetensors)")
    arguments = parser.parse_args()
    if len(arguments.files) < 2:
        parser.error(f"{arguments.files[0]}: is one recogniser alone; give two or more")
    new_weights_file(arguments.out)
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.training.averaging import join

    join(arguments.files, arguments.shares, arguments.out)
    print(f"{arguments.out}: {len(arguments.files)} recognisers side by side")


if __name__ == "__main__":
    run(main)
