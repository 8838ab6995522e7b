"""Lines of which the words' places are known, and IAM's words, of which its tables tell them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from htr.alphabet import normalise
from htr.corpora.iam import aachen_split, malformed, table_rows, writers_of_forms
from htr.errors import InputError
from htr.pages.images import open_image

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""


@dataclass(frozen=True)
class PlacedWord:
    """A token of a line: a word, or a mark on its own.

    Attributes:
        token: what is written.
        tag: its part of speech, as the database names it.
        box: left, top, right and bottom of its ink in the line's picture, in pixels; None where it is not surely known.
    """

    token: str
    tag: str
    box: Box | None


@dataclass(frozen=True)
class WordLine:
    """A line of which the words' places are known.

    Attributes:
        id: name of the line, as `htr.corpora.sample.Sample` has it.
        form: the page that it stands on.
        writer: who wrote it; the form where that is not known.
        image: opens the picture when called: shape (height, width), uint8 grey, 0 = black.
        zoom: pixels of the picture to one of the form at 300 dpi.
        words: all of its tokens in order.
        marks_apart: whether punctuation marks are tokens of their own, as in IAM; else they belong to their words.
    """

    id: str
    form: str
    writer: str
    image: Callable[[], np.ndarray]
    zoom: float
    words: list[PlacedWord]
    marks_apart: bool = True


def tells_words(folder: str | Path) -> bool:
    """Whether a folder of IAM has the tables that `iam_words` reads, and the words' ink."""
    folder = Path(folder)
    places = (folder / "words.tsv").is_file() or any((folder / "words").glob("*/*/*.png"))
    return places and (folder / "ascii" / "words.txt").is_file()


def iam_words(folder: str | Path) -> list[WordLine]:
    """Reads the words of IAM's train lines with their places.

    Args:
        folder: holds `ascii/words.txt`, `ascii/forms.txt`, and where the words' ink is: the official pictures of words
            (`words/a01/a01-000u/a01-000u-00-00.png`), or a table `words.tsv` with the columns line, word, x0, y0, x1 and
            y1 that places words in the pictures of lines (`lines/`).

    Returns:
        The lines, all of the Aachen split's train forms, that have a word with a place. Words whose segmentation is not
        `ok`, and words without a picture, have none.

    Raises:
        InputError: no word's place or picture is there, or a row is malformed. Without `forms.txt`, which is missed with a
            warning, each form counts as a writer.
    """
    folder = Path(folder)
    table = folder / "ascii" / "words.txt"
    lines: dict[str, list[tuple[str, PlacedWord]]] = {}
    splits = aachen_split()
    for number, row in table_rows(table):
        fields = row.split(" ", 8)
        name = re.fullmatch(r"(([a-z]\d\d-\d{3}[a-z]?)-\d+)-\d+", fields[0])
        if len(fields) != 9 or not name or not all(re.fullmatch(r"-?\d+", field) for field in fields[3:7]):
            raise malformed(table, number, row)
        if splits.get(name[2]) == "train":
            left, top, width, height = (int(field) for field in fields[3:7])
            sure = fields[1] == "ok" and width > 0 and height > 0
            box = (left, top, left + width, top + height) if sure else None
            lines.setdefault(name[1], []).append((name[0], PlacedWord(normalise(fields[8]), fields[7], box)))
    writers = writers_of_forms(folder)
    boxes = _boxes_in_lines(folder / "words.tsv") if (folder / "words.tsv").is_file() else None
    found = []
    for line, words in lines.items():
        form = line.rpartition("-")[0]
        pictures = _words_alone(folder, words) if boxes is None else _words_in_line(folder, line, words, boxes)
        if pictures:
            found.append(WordLine(line, form, writers.get(form, form), *pictures))
    if not found:
        raise InputError(f"{folder}: has the picture of no train word; unpack IAM's words.tgz in {folder / 'words'}")
    return found


_Pictures = tuple[Callable[[], np.ndarray], float, list[PlacedWord]]


def _words_in_line(
    folder: Path, line: str, words: list[tuple[str, PlacedWord]], boxes: dict[str, Box]
) -> _Pictures | None:
    image = folder / "lines" / line[:3] / line.rpartition("-")[0] / f"{line}.png"
    placed = [replace(word, box=word.box and boxes.get(name)) for name, word in words]
    zooms = [_width(new.box) / _width(word.box) for new, (_, word) in zip(placed, words) if new.box]
    if not zooms or not image.is_file():
        return None
    return partial(open_image, image), float(np.median(zooms)), placed


def _width(box: Box) -> int:
    return box[2] - box[0]


def _boxes_in_lines(table: Path) -> dict[str, Box]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        try:
            boxes = {}
            for row in rows:
                left, top, right, bottom = (int(row[side]) for side in ("x0", "y0", "x1", "y1"))
                if not (0 <= left < right and 0 <= top < bottom):
                    raise ValueError
                boxes[f"{row['line']}-{row['word']}"] = left, top, right, bottom
            return boxes
        except (KeyError, TypeError, ValueError, csv.Error):
            raise InputError(
                f"{table}: line {rows.line_num} is malformed; it needs line, word, x0, y0, x1 and y1, with x0 < x1 and y0 < y1"
            ) from None


def _words_alone(folder: Path, words: list[tuple[str, PlacedWord]]) -> _Pictures | None:
    """Pictures of single words, put together as they stand on the form."""
    files = [folder / "words" / name[:3] / name.rsplit("-", 2)[0] / f"{name}.png" for name, _ in words]
    words = [replace(word, box=word.box if file.is_file() else None) for file, (_, word) in zip(files, words)]
    boxes = [word.box for word in words if word.box]
    if not boxes:
        return None
    x, y = min(box[0] for box in boxes), min(box[1] for box in boxes)
    boxes = [word.box and (word.box[0] - x, word.box[1] - y, word.box[2] - x, word.box[3] - y) for word in words]
    pieces = [(file, box) for file, box in zip(files, boxes) if box]
    return partial(_put_together, pieces), 1.0, [replace(word, box=box) for word, box in zip(words, boxes)]


def _put_together(pieces: list[tuple[Path, Box]]) -> np.ndarray:
    sheet = np.full((max(box[3] for _, box in pieces), max(box[2] for _, box in pieces)), 255, np.uint8)
    for file, (left, top, right, bottom) in pieces:
        # The database has a few empty files; such a word stays white.
        word = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) if file.stat().st_size else None
        if word is not None:
            # Each has its own paper, which would show as a step against the white around it.
            word = cv2.add(cv2.resize(word, (right - left, bottom - top)), 255 - np.percentile(word, 90))
            np.minimum(sheet[top:bottom, left:right], word, out=sheet[top:bottom, left:right])
    return sheet
