"""How well pages go together with their plain text: `python -m htr.benchmark.transcripts iam:data/iam --count 20`."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from htr.cli import add_language, add_weights, run
from htr.errors import InputError
from htr.files import make_writable

if TYPE_CHECKING:
    from htr.corpora.sample import Sample
    from htr.reader import Reader


class _Read(NamedTuple):
    """What was read on a page.

    Attributes:
        id: name of the page.
        true: the texts of its lines.
        found: of each found line, what was read there, and its own text; None where it has none.
    """

    id: str
    true: list[str]
    found: list[tuple[str, str | None]]


def evaluate_transcripts(source: str, count: int, weights: str | None = None, language: str = "auto") -> dict[str, Any]:
    """Takes the lines' true texts away from their places, and lets fine-tuning find them again.

    Args:
        source: pages, as `htr.corpora.pages.load_pages` takes them, whose lines are found: a found line belongs to the true line with
            which its box shares most, and then half of both at least. Or `lines:PATH`, pictures of lines of which the page is
            known: those of the split test are taken, as if all had been found.
        count: how many pages.
        weights: a weights file, or the name of weights that come along; the usual ones if None.
        language: that helps in reading; see `htr.language.load_languages`.

    Returns:
        For texts with line breaks and without: the numbers of true lines (those with text), of lines whose text was the
        right one, and of those learnt with a wrong one, and what repeats it.

    Raises:
        InputError: there are no such pages, or weights.
    """
    from htr.benchmark.provenance import LAYING, code_sha256, labels_sha256, provenance
    from htr.corpora.transcript import match_lines
    from htr.reader import load

    if count < 1:
        raise InputError(f"--count {count}: give at least one page")
    reader = load(weights, language)
    of_lines = source.startswith("lines:")
    pages = list(islice((_of_lines if of_lines else _of_pages)(source, reader), count))
    if not pages:
        raise InputError(
            f"{source}: has no pages with texts; give some whose lines are transcribed; a table needs a column page"
        )
    results = {name: {"true": 0, "right": 0, "wrong": 0} for name in ("with line breaks", "without line breaks")}
    for page in pages:
        for counts, gap in zip(results.values(), ("\n", " ")):
            matches = match_lines([reading for reading, _ in page.found], gap.join(page.true))
            sure = [(match.text, own) for match, (_, own) in zip(matches, page.found) if match.sure]
            counts["true"] += len(page.true)
            counts["right"] += sum(text == own for text, own in sure)
            counts["wrong"] += sum(text != own for text, own in sure)
    return {
        "kind": "transcripts", "pages": source, "count": len(pages),
        "labels_sha256": labels_sha256((page.id, "\n".join(page.true)) for page in pages),
        "results": results, **provenance(reader, language, pages=not of_lines), "laying code": code_sha256(LAYING),
    }  # fmt: skip


def _of_pages(source: str, reader: Reader) -> Iterator[_Read]:
    from htr.benchmark.pages import box_overlaps, load_truths
    from htr.pages.images import open_image

    for truth in load_truths(source):
        true = [line for line in truth.page.page.lines if line.text]
        found: list[tuple[str, str | None]] = []
        lines = reader.read_page(open_image(truth.page.image)).lines if true else ()
        overlaps = box_overlaps([line.polygon for line in lines], [line.polygon for line in true])
        for line, shared in zip(lines, overlaps):
            found.append((line.text, true[shared.argmax()].text if shared.max() >= 0.5 else None))
        if true:
            yield _Read(truth.page.id, [line.text for line in true], found)


def _of_lines(source: str, reader: Reader) -> Iterator[_Read]:
    from htr.corpora import load_corpus

    pages: dict[tuple[str, bool], list[Sample]] = defaultdict(list)
    for sample in load_corpus(source):
        if sample.split == "test" and sample.form:
            pages[sample.form, sample.cut_out].append(sample)
    for (name, cut_out), samples in pages.items():
        texts = [sample.text for sample in samples]
        read = reader.read_lines([sample.image() for sample in samples], cut_out)
        yield _Read(name, texts, [(line.text, text) for line, text in zip(read, texts)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m htr.benchmark.transcripts", description=__doc__)
    parser.add_argument("pages", metavar="PATH", help="a folder with ALTO or PAGE XML, iam:PATH, or lines:PATH")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="pages (default: 20)")
    add_weights(parser)
    add_language(parser)
    parser.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR", help="default: reports")
    arguments = parser.parse_args()
    make_writable(arguments.out)
    from htr.benchmark.results import result_file, write_result
    from htr.corpora import pages_of

    result = evaluate_transcripts(arguments.pages, arguments.count, arguments.weights, arguments.language)
    for name, counts in result["results"].items():
        print(f"{name}: of {counts['true']} lines {counts['right']} got their text, {counts['wrong']} another one")
    file = result_file(arguments.out, ("transcripts", pages_of(arguments.pages)), result)
    write_result(file, result)
    print(f"written to {file}")


if __name__ == "__main__":
    run(main)
