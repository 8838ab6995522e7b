"""Scores a reader: `python -m htr.evaluate --data iam:PATH --split test`, or on whole pages `--pages PATH`."""

from __future__ import annotations

import argparse
import csv
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from htr.cli import add_language, add_weights, run
from htr.errors import InputError
from htr.files import make_writable, write_whole
from htr.messages import counted

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m htr.evaluate", description="Scores a reader on labelled lines or pages."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", help="lines: sample, iam:PATH, lines:PATH or pages:PATH")
    what.add_argument(
        "--pages",
        metavar="PATH",
        help="pages: a folder with ALTO or PAGE XML, or with a plain text beside each picture (page1.txt of page1.jpg), or iam:PATH",
    )
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: test of lines, all of pages")
    parser.add_argument("--leave-out", metavar="RE", help="with --pages: leave out lines whose text this matches")
    parser.add_argument(
        "--distort", action="store_true", help="with --pages: find lines on turned, dark, warped pages too"
    )
    add_weights(parser)
    add_language(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes (default: in runs/)")
    arguments = parser.parse_args()
    if arguments.data is not None and (arguments.leave_out or arguments.distort):
        parser.error("--leave-out and --distort go with --pages")
    out = arguments.out
    if out and out.suffix != ".json":
        raise InputError(f"{out}: must end in .json; the readings go to a .tsv of the same name")
    for file in (out, out.with_suffix(".tsv")) if out else ():
        if file.exists():
            raise InputError(f"{file}: is there already; choose another --out, or remove it")
    folder = out.parent if out else Path("runs")
    make_writable(folder)
    result, shown, about = _of_lines(arguments) if arguments.data is not None else _of_pages(arguments)
    # Loaded late, so that --help and mistyped arguments answer at once.
    from htr.benchmark.results import language_of, result_file, write_result

    if arguments.language != "auto":
        about.append(f"language-{language_of(result).replace(' ', '-')}")
    print(shown)  # first, for there may be no room for the files
    readings = result.pop("readings")
    out = out or result_file(folder, about, result)
    write_result(out, result)
    rows = io.StringIO(newline="")
    table_writer = csv.DictWriter(rows, readings[0], dialect="excel-tab")
    table_writer.writeheader()
    table_writer.writerows(readings)
    write_whole(out.with_suffix(".tsv"), rows.getvalue())
    print(f"written to {out}; truth and readings to {out.with_suffix('.tsv')}")


def _of_lines(arguments: argparse.Namespace) -> tuple[dict[str, Any], str, list[str]]:
    """The result of lines, its table, and the parts of its name."""
    from htr.benchmark.lines import evaluate_lines
    from htr.benchmark.results import collection_of
    from htr.corpora import load_corpus

    data, split = arguments.data, arguments.split or "test"
    result = evaluate_lines(data, split, arguments.weights, arguments.language)
    _tell_taught(data, result, lambda: [sample.split for sample in load_corpus(data)])
    return result, table(result), [collection_of(data), split, str(result["lines"])]


def _of_pages(arguments: argparse.Namespace) -> tuple[dict[str, Any], str, list[str]]:
    """The same of pages, whose truth is XML, or, where there is none, a plain text beside each."""
    from htr.benchmark.distort import DISTORTIONS
    from htr.benchmark.pages import evaluate_pages, evaluate_texts, load_texts
    from htr.corpora import load_corpus, pages_of
    from htr.corpora.sample import told_split
    from htr.files import files_below

    source, split = arguments.pages, arguments.split
    values = arguments.weights, split
    about = ["pages", pages_of(source), *([split] if split else [])]
    if texts := load_texts(Path(source), split) if source and not source.startswith("iam:") else []:
        if arguments.leave_out or arguments.distort:
            raise InputError(
                f"{source}: has plain texts alone, and --leave-out and --distort (which make gives) need ALTO or PAGE XML; "
                f'python -m htr.evaluate --pages "{source}" scores the texts'
            )
        result = evaluate_texts(source, texts, *values, arguments.language)
        # Of other splits there may be XML.
        _tell_taught(
            source, result, lambda: [told_split(each.relative_to(source)) for each in files_below(Path(source))]
        )
        return result, texts_table(result), [*about, str(result["count"])]
    distortions = list(DISTORTIONS) if arguments.distort else []
    result = evaluate_pages(source, *values, arguments.leave_out, distortions, arguments.language)
    corpus = source if source.startswith("iam:") else f"pages:{source}"
    _tell_taught(corpus, result, lambda: [sample.split for sample in load_corpus(corpus)])
    return result, pages_table(result), [*about, str(result["count"])]


def _tell_taught(corpus: str, result: dict[str, Any], splits: Callable[[], Sequence[str | None]]) -> None:
    """Says so where fine-tuning has taught the weights lines of this folder, of which `splits` tells the splits.

    It learns no test lines where others are train lines, by their folders or in a table.
    """
    from htr.corpora import folder_of
    from htr.files import is_run
    from htr.weights import taught_from, taught_of

    weights = result["weights"]
    folder = folder_of(corpus)
    # Copies in the folder of a fine-tuning may be scored, too, all of which it learns in the end.
    in_a_run = taught_from(weights["training"]) and any(map(is_run, (folder, *folder.parents)))
    if corpus == "sample" or not (in_a_run or taught_of(weights["training"], folder)):
        return
    parted = result["split"] == "test" and not corpus.startswith("iam:")
    if not parted or "train" not in splits():
        log.warning(
            "%s: has learnt from a folder, and %s may be it, in it or around it: what it has learnt it reads better than other "
            "pages; score it on such that it has not learnt",
            weights["file"], folder,
        )  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """The figures of an evaluation of lines as a few aligned lines."""
    speed, trained = result["speed"], result["weights"]["training"]
    about = f"{counted(result['lines'], 'line')}, {result['characters']} characters"
    rows = [
        ("data", f"{result['data']}, {result['split']}: {about}"),
        _weights_row(result),
        *[(name, _percent(rate)) for name, rate in result["scores"].items()],
        *[(f"{name}, with language", _percent(rate)) for name, rate in result["scores_with_language"].items()],
        ("reading", f"{_speeds(speed)} lines/s ({speed['batch']})"),
        _machine_row(result),
    ]
    if "lines_per_second" in trained:
        rows.append(("training", f"{trained['lines_per_second']} lines/s ({trained['speed_of']})"))
    return _aligned(rows)


def pages_table(result: dict[str, Any]) -> str:
    """The figures of an evaluation of pages as a few aligned lines."""
    lines, counts, seconds, scores = result["lines"], result["counts"], result["seconds_a_page"], dict(result["scores"])
    cost = scores.pop("CER minus CER of the true lines", None)
    about = f"{counted(result['count'], 'page')}, {counted(counts['true'], 'line')}, {result['characters']} characters"
    rows = [("pages", f"{result['pages']}, {result['split'] or 'all splits'}: {about}"), _weights_row(result)]
    rows.append(("language", result["language"]["name"] if result["language"] else "none"))
    for shape in ("polygons", "boxes"):
        for threshold, values in lines[shape].items():
            figures = f"F1 {values['F1']:6.2f} %   precision {values['precision']:.2f}   recall {values['recall']:.2f}"
            rows.append((f"{shape}, IoU {threshold}", figures))
    rows.append(("true lines", "   ".join(f"{name} {lines[name]:.2f} %" for name in ("missed", "parted", "merged"))))
    rows.append(("found lines", f"{counts['found']}, and {counts['outside']} outside of the transcribed area"))
    rows += [(name, _percent(rate)) for name, rate in scores.items()]
    if cost is not None:
        rows.append(("cost of line finding", f"{cost:+.2f} points (CER minus CER of the true lines)"))
    rows.append(("seconds a page", "   ".join(f"{name} {value:.2f}" for name, value in seconds.items())))
    rows.append(_machine_row(result))
    for name, values in result["distortions"].items():
        rows.append((name, f"F1 {values['F1']:6.2f} %   lost {values['lost']:+.2f} points (polygons, IoU 0.5)"))
    return _aligned(rows)


def texts_table(result: dict[str, Any]) -> str:
    """The figures of an evaluation of pages with plain texts as a few aligned lines."""
    about = f"{counted(result['count'], 'page')}, {result['characters']} characters (of plain texts, which do not tell of lines)"
    return _aligned(
        [
            ("pages", f"{result['pages']}, {result['split'] or 'all splits'}: {about}"),
            _weights_row(result),
            ("language", result["language"]["name"] if result["language"] else "none"),
            *[(name, _percent(rate)) for name, rate in result["scores"].items()],
            _machine_row(result),
        ]
    )


def _speeds(speed: dict[str, Any]) -> str:
    helped = speed.get("lines_per_second_with_language")
    return f"{speed['lines_per_second']:.1f}" + (f", with language {helped:.1f}" if helped else "")


def _percent(rate: dict[str, Any]) -> str:
    known = rate["low"] is not None
    bounds = f"95 % interval {rate['low']:.2f} to {rate['high']:.2f}" if known else "(too few for an interval)"
    return f"{rate['value']:6.2f} %   {bounds}"


def _weights_row(result: dict[str, Any]) -> tuple[str, str]:
    return "weights", f"{result['weights']['file']} ({result['weights']['sha256'][:12]}…)"


def _machine_row(result: dict[str, Any]) -> tuple[str, str]:
    from htr.benchmark.results import named_machine

    return "machine", named_machine(result)


def _aligned(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


if __name__ == "__main__":
    run(main)
