"""Compares trainings: `python -m htr.study configs/studies/transfer-iam.yaml`, or draws what was measured: `--draw`."""

from __future__ import annotations

import argparse
from pathlib import Path

from htr.cli import run
from htr.errors import InputError
from htr.files import make_writable


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.study",
        description="Runs a study, or goes on with it, and draws its page. What the result file holds is not run again.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="studies, such as those in configs/studies/"
    )
    parser.add_argument(
        "--draw", action="store_true", help="only draw: the files are results, such as those in reports/"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results and their pages go (default: reports)")
    arguments = parser.parse_args()
    if arguments.draw and arguments.out:
        parser.error("--out goes with studies to run; the page of a result goes beside it")
    folder = arguments.out or Path("reports")
    if not arguments.draw:
        make_writable(folder)
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.benchmark.plots import require_plots
    from htr.benchmark.study import load_study, run_study
    from htr.benchmark.study_page import write_page

    require_plots()
    for file in arguments.files:
        if not arguments.draw:
            load_study(file)  # all of them are good before the first one runs
        elif file.suffix in (".yaml", ".yml"):
            raise InputError(
                f"{file}: is a study; give its result, such as reports/{file.stem}.json, or leave out --draw to run it"
            )
    if len({file.stem for file in arguments.files}) < len(arguments.files) and not arguments.draw:
        raise InputError("two of the studies have the same name, by which their results are told apart; rename one")
    failed = []
    for file in arguments.files:
        result = file
        if not arguments.draw:
            result = folder / f"{file.stem}.json"
            try:
                run_study(file, folder)
            except InputError as error:  # that of one study must not keep what else was measured from being drawn
                failed.append(str(error))
        if arguments.draw or result.is_file():
            print(f"written to {write_page(result)}")
    if failed:
        raise InputError("; ".join(failed))


if __name__ == "__main__":
    run(main)
