"""Which lines of unread pages to transcribe next: those by which a recogniser would learn most."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from htr.batch import Task
from htr.errors import InputError
from htr.files import write_whole
from htr.finetuning.lines import key_of
from htr.pages.containers import Line, Page
from htr.pages.crop import crop_line
from htr.pages.images import grey, open_page

# Doubt about a character counts so much less each time that the character is in a line already chosen.
_WORN = 0.8


class Candidate(NamedTuple):
    """A line that could be transcribed.

    Attributes:
        task: its page.
        number: of the line on the page, from 0.
        line: as it was read, without its words: of thousands of pages, they would fill the memory.
        doubts: its characters, each with 1 - its confidence.
    """

    task: Task
    number: int
    line: Line
    doubts: list[tuple[str, float]]

    @classmethod
    def of(cls, task: Task, number: int, line: Line) -> Candidate:
        """Of a line as it was read, with its words."""
        doubts = [(character.text, 1 - character.confidence) for word in line.words for character in word.characters]
        return cls(task, number, replace(line, words=()), doubts)


def choose(candidates: Iterable[Candidate], count: int) -> list[Candidate]:
    """Chooses lines one by one, each time the one that adds most.

    A line is worth the doubt about its characters, summed up; what is doubted in lines already chosen counts less and less, so that
    the lines differ.

    Args:
        candidates: to choose from.
        count: how many are wanted at most.
    """
    lines = list(candidates)
    characters = dict.fromkeys(character for line in lines for character, _ in line.doubts)
    places = {character: place for place, character in enumerate(characters)}
    # Of each line and character, as there may be hundreds of thousands of lines.
    doubts = np.zeros((len(lines), len(places)), np.float32)
    for line, row in zip(lines, doubts):
        for character, doubt in line.doubts:
            row[places[character]] += doubt
    worth = np.ones(len(places), np.float32)
    chosen: list[int] = []
    for _ in range(min(count, len(lines))):
        values = doubts @ worth
        values[chosen] = -1
        chosen.append(int(values.argmax()))
        for character, _ in lines[chosen[-1]].doubts:
            worth[places[character]] *= _WORN
    return [lines[index] for index in chosen]


def keys_of_lines(page: Page, picture: Image.Image) -> bytes:
    """By which the pictures that `write_lines` makes of a page's lines are known again (`htr.finetuning.lines.key_of`), in words."""
    page_picture = grey(np.asarray(picture))
    return " ".join(key_of(crop_line(page_picture, line)) for line in page.lines).encode()


def write_lines(chosen: Sequence[Candidate], folder: Path) -> dict[Task, InputError]:
    """Writes each line as a picture in a folder of its page, with what was read in a `.txt` of its name, to be corrected.

    Args:
        chosen: the lines.
        folder: where the pages' folders go.

    Returns:
        Pages that can no longer be opened, whose lines are left out, and why.

    Raises:
        InputError: the folder cannot be written; nothing is left there then.
    """
    # Put in place at the end: killed on the way, the same command finds the folder as empty as before.
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as partial:
            gone = _write(chosen, Path(partial))
            for page in sorted(Path(partial).iterdir()):
                page.rename(folder / page.name)
            return gone
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror}); make room, or choose another --out"
        ) from None


def _write(chosen: Sequence[Candidate], folder: Path) -> dict[Task, InputError]:
    by_page: dict[Task, list[Candidate]] = defaultdict(list)
    for candidate in chosen:
        by_page[candidate.task].append(candidate)
    gone: dict[Task, InputError] = {}
    for task, candidates in by_page.items():
        try:
            picture = grey(np.asarray(open_page(task.file, task.number, name=task.name)))
        except InputError as error:  # as it could be when it was read
            gone[task] = error
            continue
        for candidate in candidates:
            file = folder / task.result / f"{candidate.number:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, cv2.imencode(".png", crop_line(picture, candidate.line))[1].tobytes())
            write_whole(file.with_suffix(".txt"), candidate.line.text + "\n")
    return gone
