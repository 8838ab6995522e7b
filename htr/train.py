"""Trains a recogniser: `python -m htr.train --config configs/iam.yaml [key=value ...]`."""

from __future__ import annotations

import argparse

from htr.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.train", description="Trains a recogniser, or goes on with a run."
    )
    parser.add_argument(
        "--config", required=True, help="YAML file with the values of the run, such as configs/iam.yaml"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values to use instead of the file's")
    arguments = parser.parse_args()
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.training.config import load_config
    from htr.training.folder import outcome
    from htr.training.run import train

    config = load_config(arguments.config, arguments.overrides)
    summary = outcome(config, lambda: train(config, settle=True))
    if summary is None:
        return
    print(
        f"validation: CER {summary['val_cer']:.2f} %, WER {summary['val_wer']:.2f} % on {summary['val_lines']} lines "
        f"(epoch {summary['best_epoch']} of {summary['epochs']}, {summary['minutes']:.1f} minutes, "
        f"{summary['lines_per_second']:.1f} lines/s)\nweights: {summary['weights']}"
    )


if __name__ == "__main__":
    run(main)
