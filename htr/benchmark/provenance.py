"""What a figure must have beside it, so that it can be repeated."""

from __future__ import annotations

import ast
import hashlib
import shlex
import sys
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from htr.decoding import BONUS, TEMPERATURE, WEIGHT
from htr.language import UNEXPECTED, find_models
from htr.machine import describe
from htr.messages import printable
from htr.reader import Reader
from htr.weights import sha256

VERSION = 1
"""Of the form of result files; raised when an older one can no longer be drawn."""

PACKAGE = Path(__file__).parents[1]

READING = (
    "alphabet.py",
    "decoding.py",
    "encoders.py",
    "language.py",
    "lineimage.py",
    "metrics.py",
    "network.py",
    "pages/containers.py",
    "pages/crop.py",
    "pages/images.py",
    "pages/ink.py",
    "reader.py",
)
"""Code that decides what is read in the picture of a line, and what that scores."""

FINDING = ("pages",)
"""Code that opens pages and finds their lines and the order of these."""

LAYING = ("corpora/transcript.py",)
"""Code that lays plain texts beside lines."""

LEARNING = (
    "alphabet.py",
    "decoding.py",
    "encoders.py",
    "lineimage.py",
    "metrics.py",
    "network.py",
    "training/augmentation.py",
    "training/data.py",
    "training/loop.py",
    "training/module.py",
    "training/run.py",
)
"""Code that decides what is learnt of labelled lines, and which of what was learnt is kept."""

_DRAWING = ("fonts.py", "corpora/paper.py", "corpora/synthetic.py", "corpora/wording.py")

STUDYING = (
    *LEARNING,
    *_DRAWING,
    "corpora/embedded.py",
    "corpora/iam_words.py",
    "corpora/placing.py",
    "corpora/recombined.py",
)
"""Code that decides what trainings learn which draw lines too."""

TEACHING = (
    *LEARNING,
    *_DRAWING,
    "finetuning/lines.py",
    "finetuning/mixing.py",
    "finetuning/recipe.py",
    "finetuning/run.py",
    "finetuning/selftraining.py",
    "finetuning/unread.py",
    "language.py",
)
"""Code that decides what fine-tuning learns."""


def provenance(reader: Reader, language: str, pages: bool = False) -> dict[str, Any]:
    """Weights, language, machine, date and command of a measurement.

    Args:
        reader: what was measured.
        language: that helped it, as `htr.language.find_models` takes it.
        pages: whether it read pages, of which the lines had to be found.
    """
    return {
        "version": VERSION,
        "weights": {
            "file": Path(reader.weights.file).name,
            "sha256": reader.weights.sha256,
            "network": reader.weights.header.network,
            "height": reader.weights.header.height,
            "training": reader.weights.header.training,
        },
        "language": language_facts(language),
        "code": code_sha256(READING),
        **({"finding code": code_sha256(FINDING)} if pages else {}),
        "machine": describe(reader.device),
        "date": date.today().isoformat(),
        "command": _command(),
    }


@cache
def code_sha256(modules: tuple[str, ...]) -> str:
    """By this a measurement is known to be of the code as it is: checksum of what these files and folders of the package do.

    Comments, docstrings and layout do not count.
    """
    paths = [PACKAGE / name for name in modules]
    files = [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    code = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        code.update(f"{file.name}\n{_said(tree)}\n".encode())
    return code.hexdigest()


def _said(node: Any) -> str:
    """What code says, without docstrings and in a form that is the same on every Python (that of `ast.dump` is not)."""
    if isinstance(node, list):
        return f"[{','.join(_said(part) for part in node if not _is_text(part))}]"
    if isinstance(node, ast.AST):
        # Newer Pythons know further parts, which are empty in code that does without them.
        parts = (f"{name}={_said(part)}" for name, part in ast.iter_fields(node) if part is not None and part != [])
        return f"{type(node).__name__}({','.join(parts)})"
    return repr(node)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def language_facts(language: str) -> dict[str, Any] | None:
    """By what a language helps: models and weights; None where none does."""
    models = {path.name: sha256(path) for path in find_models(language)}
    if not models:
        return None
    values = {"temperature": TEMPERATURE, "weight": WEIGHT, "bonus": BONUS, "unexpected": UNEXPECTED}
    return {"name": Path(language).name, "models": models, **values}


def labels_sha256(labels: Iterable[tuple[str, str]]) -> str:
    """By this what was measured is known again: checksum of the ids of lines or pages and their texts."""
    return hashlib.sha256("\n".join(f"{printable(name)}\t{text}" for name, text in labels).encode()).hexdigest()


def _command() -> str:
    """What was typed, in a form that can be typed again."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"python -m {spec.name.removesuffix('.__main__')}" if spec else Path(sys.argv[0]).name
    return shlex.join([*program.split(), *sys.argv[1:]])
