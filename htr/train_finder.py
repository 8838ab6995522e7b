"""Trains the line finder's network: `python -m htr.train_finder --config configs/finder.yaml [key=value ...]`."""

from __future__ import annotations

import argparse

from htr.cli import run
from htr.messages import counted


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.train_finder", description="Trains the network that finds lines, or goes on with a run."
    )
    parser.add_argument("--config", required=True, help="YAML file with the values of the run: configs/finder.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values to use instead of the file's")
    arguments = parser.parse_args()
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.training.config import FinderConfig, load_config
    from htr.training.finder import train_finder
    from htr.training.folder import outcome

    config = load_config(arguments.config, arguments.overrides, FinderConfig)
    summary = outcome(config, lambda: train_finder(config))
    if summary is None:
        return
    print(
        f"validation: cores of writing found with an overlap (IoU) of {100 * summary['val_writing']:.1f} %, of print "
        f"{100 * summary['val_print']:.1f} %; {100 * summary['val_turns']:.1f} % seen the right way up "
        f"({counted(summary['epochs'], 'epoch')}, {summary['minutes']:.1f} minutes)\nweights: {summary['weights']}"
    )


if __name__ == "__main__":
    run(main)
