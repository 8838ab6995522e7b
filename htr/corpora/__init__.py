"""Where labelled lines come from."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from htr.corpora.embedded import embedded_lines
from htr.corpora.folder import load_folder, table_of
from htr.corpora.iam import holds_iam, load_iam
from htr.corpora.iam_words import WordLine, iam_words, tells_words
from htr.corpora.pages import line_samples, load_pages, pages_with_xml
from htr.corpora.sample import Drawer, Sample
from htr.corpora.wording import Texts
from htr.errors import InputError
from htr.fonts import handwriting_fonts

# What stands before the folder in the name of a corpus.
_KINDS = re.compile("^(pages:)?((iam|lines|recombined|synthetic):)?")

SAMPLE_LINES = {"train": 4000, "val": 200, "test": 200}
"""How many lines of each split the embedded sample has."""


def load_corpus(name: str) -> list[Sample]:
    """Loads labelled lines of all splits.

    Args:
        name: `sample` for the embedded one, or one of `iam:PATH` for IAM's lines (see `htr.corpora.iam.load_iam`),
            `lines:PATH` for pictures of lines with their texts (see `htr.corpora.folder.load_folder`), and `pages:PATH` or
            `pages:iam:PATH` for the lines of whole pages with ALTO or PAGE XML, or of IAM's forms, cut out as reading
            cuts them (see `htr.corpora.pages.load_pages`).

    Raises:
        InputError: there is no such corpus, or it cannot be used.
    """
    kind, _, path = name.partition(":")
    if kind == "sample" and not path:
        return [line for split, count in SAMPLE_LINES.items() for line in embedded_lines(split, count)]
    if kind == "iam" and path:
        return load_iam(path)
    if kind == "lines" and path:
        return load_folder(path)
    if kind == "pages" and path:
        return line_samples(load_pages(path))
    raise InputError(
        f"{name}: no such corpus; give sample, iam:PATH with the folder of the IAM database, lines:PATH with pictures of "
        "lines, or pages:PATH with pictures of pages and their ALTO or PAGE XML"
    )


def load_drawer(
    name: str, weights: str | None = None, lines: Collection[tuple[Path, str]] | None = None, data: Sequence[str] = ()
) -> Drawer:
    """Makes ready what draws lines for training without end.

    Args:
        name: `synthetic` for lines in the handwriting fonts that are installed, `synthetic:FOLDER` for the fonts of a
            folder, `recombined` for lines put together from the words of the train lines of `data`, writer by writer,
            `recombined:FOLDER` for those of the IAM database, of labelled lines or of pages with ALTO or PAGE XML in a folder.
        weights: tell where words are where the corpus does not; the usual ones if None.
        lines: the train lines of which words are taken, by their corpus (`folder_of`) and `id`; all if None.
        data: corpora, as `load_corpus` takes them.

    Raises:
        InputError: there is none of that name, or it cannot be used.
    """
    kind, _, path = name.partition(":")
    if kind == "synthetic":
        # Imported here, since its own command line (`python -m htr.corpora.synthetic`) would import it twice.
        from htr.corpora.synthetic import SyntheticLines

        return SyntheticLines(handwriting_fonts(Path(path) if path else None), Texts())
    if kind == "recombined":
        from htr.corpora.recombined import RecombinedLines

        corpora = [_corpus_in(Path(path))] if path else data
        words = [line for corpus in corpora for line in _placed_words(corpus, weights, lines)]
        if not words:
            raise InputError(
                f"{name}: {', '.join(corpora)}: no train line in which a word is found; say which lines are to train on "
                "(data/README.md), or do without recombined ones (drawn={})"
            )
        return RecombinedLines(words)
    raise InputError(
        f"{name}: nothing of this name draws lines; give synthetic, synthetic:FOLDER with fonts, recombined, or "
        "recombined:FOLDER with the folder of the IAM database, or of labelled lines or pages"
    )


def _corpus_in(folder: Path) -> str:
    if holds_iam(folder):
        return f"iam:{folder}"
    # A table is of lines, whatever pages they were cut out of lie there too.
    if folder.is_dir() and table_of(folder) is None and line_samples(pages_with_xml(folder)[0]):
        return f"pages:{folder}"
    return f"lines:{folder}"


def _placed_words(corpus: str, weights: str | None, lines: Collection[tuple[Path, str]] | None) -> list[WordLine]:
    """The train lines of a corpus with the places of their words, which its own tables or else a recogniser tells."""
    kind, _, folder = corpus.partition(":")
    place = folder_of(corpus)
    if kind == "iam" and tells_words(folder):
        found = [line for line in iam_words(folder) if lines is None or (place, line.id) in lines]
    else:
        from htr.corpora.placing import place_words
        from htr.reader import load

        samples = [
            # Where IAM comes without its writers, each line is a hand of its own; of other lines, those of a page are of one.
            replace(sample, writer=sample.writer or sample.form or sample.id) if kind == "iam" else sample
            for sample in load_corpus(corpus)
            if sample.split == "train" and (lines is None or (place, sample.id) in lines)
        ]
        found = place_words(samples, load(weights, "none")) if samples else []
    # Writers of two corpora may have one name.
    return [replace(line, writer=f"{corpus} {line.writer}") for line in found]


def folder_of(corpus: str) -> Path:
    """Where a corpus lies, the same however that is written; of `pages:iam:PATH` too."""
    return Path(_KINDS.sub("", corpus)).resolve()


def label(corpus: str) -> str:
    """The name of a corpus without the folders of this machine; `pages:data/letters/pages` becomes `pages:letters`."""
    kind, _, path = corpus.partition(":")
    return f"{kind}:{pages_of(path) if kind == 'pages' else Path(os.path.abspath(path)).name}" if path else kind


def pages_of(source: str) -> str:
    """A short name for pages with their truth: `data/letters/pages` becomes `letters`."""
    path = Path(os.path.abspath(source.rpartition(":")[2]))
    return next((part for part in reversed(path.parts[1:]) if part != "pages"), "pages")
