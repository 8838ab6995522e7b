"""Where labelled lines come from."""

from __future__ import annotations

from htr.corpora.iam import load_iam
from htr.corpora.sample import Sample
from htr.corpora.synthetic import synthetic_lines
from htr.errors import InputError

SAMPLE_LINES = {"train": 4000, "val": 200, "test": 200}
"""How many lines of each split the embedded sample has."""


def load_corpus(name: str) -> list[Sample]:
    """Loads labelled lines of all splits.

    Args:
        name: `sample` for the embedded one, `iam:PATH` for IAM (see `htr.corpora.iam.load_iam`).

    Raises:
        InputError: there is no such corpus, or it cannot be used.
    """
    kind, _, path = name.partition(":")
    if kind == "sample" and not path:
        return [line for split, count in SAMPLE_LINES.items() for line in synthetic_lines(split, count)]
    if kind == "iam" and path:
        return load_iam(path)
    raise InputError(f"{name}: no such corpus; give sample, or iam:PATH with the folder of the IAM database")
