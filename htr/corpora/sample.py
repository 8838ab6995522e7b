"""The labelled line that every corpus hands on, and what draws such lines without end."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from htr.lineimage import Prepared, prepare

log = logging.getLogger(__name__)

BROKEN = "¬\u00ad"
"""Marks of a word that is broken at the end of a line, as Transkribus and others write them."""

SPLITS = ("train", "val", "test")
"""What lines are for: to learn from, to choose by, to score on."""

# What folders of a split are also called.
_NEARLY = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "eval": "val"}

_STROKE = re.compile(rf"(?<=\S)\s*-?[{BROKEN}]\s*$")

# Characters that are not seen, and yet change how some scripts look.
_JOINERS = "\u200c\u200d"

# Controls are not seen, but for those of Windows' own characters (cp1252) in a text that was taken for Latin-1.
_CONTROLS = dict.fromkeys((*range(9), *range(14, 28), 127)) | {
    code: bytes([code]).decode("cp1252", "ignore") for code in range(128, 160) if not chr(code).isspace()
}


@dataclass(frozen=True)
class Sample:
    """One line of handwriting and what it says.

    Attributes:
        id: name of the line, unique in its corpus.
        text: what is written, in natural form (`support, a`).
        split: `train`, `val` or `test`.
        image: opens the picture when called: shape (height, width), uint8 grey, 0 = black.
            A picklable callable, so that loader processes can open pictures.
        writer: who wrote it, where known.
        form: the page that it stands on, where known.
        told: whether a table or a folder says that it is of this split, rather than that nothing says of which it is.
        cut_out: whether the picture has been cleared of other lines, as those that are cut out of pages here are.
    """

    id: str
    text: str
    split: str
    image: Callable[[], np.ndarray]
    writer: str | None = None
    form: str | None = None
    told: bool = True
    cut_out: bool = False

    def prepared(self, height: int) -> Prepared:
        """What a network whose lines have this height, in pixels, sees of it (`htr.lineimage.prepare`)."""
        return prepare(self.image(), height, self.cut_out)


def as_seen(text: str) -> str:
    """A transcription without what is not in the picture: in place of the mark of a word that is broken at the end of a line stands
    the stroke that is there, and characters that cannot be seen are left out."""
    text = text.translate(_CONTROLS)
    text = "".join(each for each in text if unicodedata.category(each) != "Cf" or each in BROKEN + _JOINERS)
    return "\n".join(_STROKE.sub("-", line) for line in text.splitlines())


def shows(text: str) -> bool:
    """Whether anything in a text can be seen."""
    return any(unicodedata.category(each)[0] not in "CZ" for each in text)


def told_split(file: Path) -> str | None:
    """The split of a file of a corpus, which the name of a folder that it lies in tells (capitals do not count); None if none does."""
    for part in map(str.lower, file.parts[:-1]):
        if part in SPLITS:
            return part
        if part in _NEARLY:
            _say_nearly(part)
    return None


@lru_cache
def _say_nearly(part: str) -> None:
    """Once for all files: what is in such a folder counts as test lines."""
    log.warning("a folder called %s says nothing of the split; rename it to %s if that is meant", part, _NEARLY[part])


class Doubt(NamedTuple):
    """A line, or a whole file, that is not learnt from.

    Attributes:
        line: its name.
        text: what may stand there.
        reason: why not.
        split: of which it is, where that is told.
    """

    line: str
    text: str
    reason: str
    split: str | None = None


class Drawer(Protocol):
    """Makes up labelled lines, another one with each state of the generator. Picklable, for loader processes.

    Attributes:
        characters: all that may occur in the texts.
    """

    characters: str

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
        """Draws a line.

        Args:
            rng: the same state gives the same line.
            aspect: width by height that the prepared line may have, about.

        Returns:
            The picture, shape (height, width), uint8 grey, 0 = black, and its text.
        """
        ...
