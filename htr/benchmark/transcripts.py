"""How well pages go together with their plain text: `python -m htr.benchmark.transcripts iam:data/iam --count 20`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from htr.cli import run
from htr.errors import InputError
from htr.files import make_writable


def evaluate_transcripts(source: str, count: int, weights: str | None = None) -> dict[str, Any]:
    """Takes the lines' true texts away from their places, and lets fine-tuning find them again.

    A found line belongs to the true line with which its box shares most, and then half of both at least.

    Args:
        source: pages, as `htr.corpora.pages.load_pages` takes them.
        count: how many of them.
        weights: a weights file, or the name of weights that come along; the usual ones if None.

    Returns:
        For texts with line breaks and without: the numbers of true lines (those with text), of lines whose text was the
        right one, and of those learnt with a wrong one, and what repeats it.
    """
    from htr.benchmark.pages import load_truths
    from htr.benchmark.provenance import labels_sha256, provenance
    from htr.corpora.transcript import match_lines
    from htr.language import AUTO
    from htr.pages.containers import around
    from htr.pages.images import open_image
    from htr.reader import load

    reader = load(weights)
    truths = [truth for truth in load_truths(source) if truth.text][:count]
    if not truths:
        raise InputError(f"{source}: has no pages with texts; give some whose lines are transcribed")
    results = {name: {"true": 0, "right": 0, "wrong": 0} for name in ("with line breaks", "without line breaks")}
    for truth in truths:
        true = [line for line in truth.page.page.lines if line.text]
        found = reader.read_page(open_image(truth.page.image)).lines
        owners = [max(true, key=lambda line: _shared(around(one.polygon), around(line.polygon))) for one in found]
        owners = [
            owner if _shared(around(one.polygon), around(owner.polygon)) >= 0.5 else None
            for one, owner in zip(found, owners)
        ]
        for counts, gap in zip(results.values(), ("\n", " ")):
            matches = match_lines([line.text for line in found], gap.join(line.text for line in true))
            counts["true"] += len(true)
            sure = [(match.text, owner and owner.text) for match, owner in zip(matches, owners) if match.sure]
            counts["right"] += sum(text == own for text, own in sure)
            counts["wrong"] += sum(text != own for text, own in sure)
    return {
        "kind": "transcripts", "pages": source, "count": len(truths),
        "labels_sha256": labels_sha256((truth.page.id, truth.text) for truth in truths),
        "results": results, **provenance(reader, AUTO, pages=True),
    }  # fmt: skip


def _shared(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> float:
    """IoU of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    sizes = [(right - left) * (bottom - top) for left, top, right, bottom in (first, second)]
    return shared / (sum(sizes) - shared)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m htr.benchmark.transcripts", description=__doc__)
    parser.add_argument("pages", metavar="PATH", help="a folder with ALTO or PAGE XML, or iam:PATH")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="pages (default: 20)")
    parser.add_argument(
        "--weights", metavar="W", help="weights: a file, small or iam (default: those that come with htr)"
    )
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="default: reports")
    arguments = parser.parse_args()
    make_writable(arguments.out)
    from htr.benchmark.results import pages_of, result_name, write_result

    result = evaluate_transcripts(arguments.pages, arguments.count, arguments.weights)
    for name, counts in result["results"].items():
        print(f"{name}: of {counts['true']} lines {counts['right']} got their text, {counts['wrong']} another one")
    file = arguments.out / result_name(("transcripts", pages_of(arguments.pages)), result)
    write_result(file, result)
    print(f"written to {file}")


if __name__ == "__main__":
    run(main)
