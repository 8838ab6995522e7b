"""Measures and draws the report: `python -m htr.benchmark --english sample`, or draws it only: `--draw`."""

from __future__ import annotations

import argparse
from pathlib import Path

from htr.cli import run
from htr.files import make_writable

SAMPLE_PAGE = Path("data/sample/page.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.benchmark",
        description="Measures what the folder of results does not hold yet, and draws the report from it. Collections are given as to "
        "htr.evaluate (sample, iam:PATH, lines:PATH, pages:PATH), by the language they are in.",
    )
    parser.add_argument("--english", nargs="+", default=[], metavar="DATA", help="lines in English")
    parser.add_argument("--french", nargs="+", default=[], metavar="DATA", help="lines in French")
    parser.add_argument("--other", nargs="+", default=[], metavar="DATA", help="lines in other languages")
    parser.add_argument(
        "--pages", nargs="+", default=[], metavar="PATH", help="pages with their truth: a folder, or iam:PATH"
    )
    parser.add_argument("--leave-out", metavar="RE", help="leave out lines of pages whose text this matches")
    parser.add_argument(
        "--weights",
        nargs="+",
        default=["default"],
        metavar="W",
        help="the first are compared with other readers and timed",
    )
    parser.add_argument("--page", type=Path, default=SAMPLE_PAGE, metavar="FILE", help="the page that is timed")
    parser.add_argument(
        "--peers", type=Path, default=Path(".peers"), metavar="DIR", help="where make peers puts other readers"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), metavar="DIR", help="results and report (default: reports)"
    )
    parser.add_argument("--draw", action="store_true", help="draw what was measured, and measure nothing")
    parser.add_argument(
        "--examples",
        nargs="*",
        metavar="NAME",
        help="show lines as pictures of these collections only, such as sample (default: all)",
    )
    arguments = parser.parse_args()
    make_writable(arguments.out)
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.benchmark.plots import require_plots
    from htr.benchmark.report import draw_report

    require_plots()
    if not arguments.draw:
        from htr.benchmark.measure import Collection, measure

        collections = [
            Collection(data, language)
            for language, names in (
                ("english", arguments.english),
                ("french", arguments.french),
                (None, arguments.other),
            )
            for data in names
        ] or [Collection("sample", "english")]
        measure(
            collections,
            arguments.pages,
            arguments.leave_out,
            arguments.weights,
            arguments.page,
            arguments.out,
            arguments.peers,
        )
    for page in draw_report(arguments.out, arguments.examples):
        print(f"written to {page}")


if __name__ == "__main__":
    run(main)
