"""Where labelled lines come from."""

from __future__ import annotations

from htr.corpora.folder import load_folder
from htr.corpora.iam import load_iam
from htr.corpora.pages import line_samples, load_pages
from htr.corpora.sample import Sample
from htr.corpora.synthetic import synthetic_lines
from htr.errors import InputError

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
        return [line for split, count in SAMPLE_LINES.items() for line in synthetic_lines(split, count)]
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
