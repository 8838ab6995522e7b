"""Teaches the recogniser a hand of your own: `python -m htr.finetune SOURCE --out my.safetensors`.

Without SOURCE, from pages alone that nobody transcribed: `python -m htr.finetune --unread FOLDER --out my.safetensors`.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from htr.cli import add_language, add_weights, run

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.finetune",
        description="Goes on training with your own lines. Killed and started again, it goes on where it was.",
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a folder: pictures of lines or of pages with a .txt each, or lines.tsv, or pages with ALTO or PAGE XML; may be left out "
        "with --unread",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new weights: my.safetensors")
    add_weights(parser, "to go on from")
    parser.add_argument(
        "--unread",
        metavar="FOLDER",
        help="pages that nobody transcribed, to learn from, too or alone",
    )
    add_language(parser, "language model that helps in reading such pages, and those with a plain text")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values to use instead of the recipe's")
    arguments = parser.parse_intermixed_args()  # values may come after --out
    source = arguments.source
    # Where there is no source, the first word took its place.
    if arguments.unread and source and "=" in source and not os.path.exists(source):
        arguments.overrides.insert(0, source)
        source = None
    if "" in (source, arguments.unread) or not (source or arguments.unread):
        parser.error("give SOURCE, or --unread FOLDER, or both")
    unread = Path(arguments.unread) if arguments.unread else None
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.training.loop import TOLD

    try:
        _finetune(source, unread, arguments)
    except KeyboardInterrupt as stop:
        if TOLD not in stop.args:
            log.warning("stopped; the same command goes on")
        raise


def _finetune(source: str | None, unread: Path | None, arguments: argparse.Namespace) -> None:
    from htr.files import write_whole
    from htr.finetuning.report import language_harms, of_unread, report, report_alone, verdict, verdict_alone
    from htr.finetuning.run import finetune
    from htr.finetuning.selftraining import learn_unread
    from htr.language import AUTO, NONE

    language = arguments.language
    if source:
        given = arguments.weights, arguments.overrides, unread, arguments.language
        outcome = finetune(Path(source), arguments.out, *given)
        text = report(outcome)
        print("\n".join(filter(None, [verdict(outcome), of_unread(outcome)])))
        if language_harms(outcome):
            print(f"The language models ({', '.join(outcome.language)}) do harm on these lines.")
            language = NONE
    else:
        alone = learn_unread(unread, arguments.out, arguments.weights, arguments.overrides, arguments.language)
        text = report_alone(alone)
        print(verdict_alone(alone))
    page = arguments.out.with_suffix(".md")
    if not page.exists():  # else of this run, which was at its end before, and somebody may have made notes there
        write_whole(page, text)
    print(f"weights: {arguments.out}\nreport: {page}")
    # Whoever typed `make finetune` may have no other Python with htr than make's.
    for_make, for_python = ("", "") if language == AUTO else (f' LANGUAGE="{language}"', f' --language "{language}"')
    print(
        f'read with them: make recognize PAGE=page.png WEIGHTS="{arguments.out}"{for_make}\n'
        f'or, without make: python -m htr.recognize page.png --weights "{arguments.out}"{for_python}'
    )


if __name__ == "__main__":
    run(main)
