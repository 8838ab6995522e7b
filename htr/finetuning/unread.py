"""Lines that nobody transcribed: found, and read with weights that know something of their hand, so that these are learnt from too.

Self-training, as Kišš et al., "AT-ST: Self-Training Adaptation Strategy for OCR in Domains with Limited Transcriptions" (2021),
https://arxiv.org/abs/2104.13037: what is read with the help of language is nearer to the truth than what the network reads alone.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from htr.batch import Task, find_all_pages, find_files, naming
from htr.corpora.folder import (
    has_text,
    lines_of_table,
    pictures_with_texts,
    stem,
    stem_of_row,
    table_of,
    without_program,
)
from htr.corpora.pages import pages_with_xml, stem_of
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.files import in_run
from htr.finetuning.lines import forget_lines, key_of, write_lines, written_lines
from htr.messages import counted
from htr.pages.containers import Line
from htr.pages.crop import crop_line, looks_like_line
from htr.pages.images import can_hold_writing, grey, open_image, open_page
from htr.reader import Reader

log = logging.getLogger(__name__)

MOST = 1000
"""Lines that are taken at most, of pages in random order; more would take long."""

# The lines of which the reader is least sure are left out: there may be drawings, print and other hands among them.
_UNSURE = 0.1

# Lines that are opened and read at once.
_CHUNK = 100


class Unread(NamedTuple):
    """What a folder holds that nobody transcribed.

    Attributes:
        source: the folder.
        lines: rows of its table without a text, in random order.
        pages: pictures and PDF pages without one, in random order.
    """

    source: Path
    lines: list[Sample]
    pages: list[Task]


def find_unread(source: Path, labelled: bool = False) -> Unread:
    """Looks for pictures and PDF files of pages, or of single lines, that have no text, below a folder too.

    Those with a text in a file of their name, in XML or in a table (see `htr.corpora.source.load_source`) are passed over.

    Args:
        source: the folder.
        labelled: whether these are learnt from, too, so that there is nothing to say of them.

    Raises:
        InputError: there is none.
    """
    table = table_of(source)
    named, doubts = lines_of_table(table) if table else ([], [])
    if doubts:
        log.warning("%s: %s left out (%s)", table, counted(len(doubts), "row"), doubts[0].reason)
    lines = [sample for sample in named if not sample.text]
    random.Random(0).shuffle(lines)
    rows = {stem_of_row(sample) for sample in named}
    pages = [task for task in _pages(source, labelled) if without_program(task.result) not in rows]
    if not lines and not pages:
        raise _too_few(source, 0)
    return Unread(source, lines, pages)


def keep_unread(
    unread: Unread,
    folder: Path,
    known: Sequence[Sample],
    reader: Reader,
    fewest: int = 1,
    but: Collection[str] = (),
    pages: Iterable[Path] = (),
) -> int:
    """Finds the lines of unread pages and writes them as a corpus without texts.

    Args:
        unread: what `find_unread` gives.
        folder: gets `lines.tsv` and pictures.
        known: labelled lines; pictures that are also among these are passed over.
        reader: finds the lines of pages.
        fewest: lines that are needed.
        but: names of pages, as they are called below the source, that are passed over.
        pages: pictures of labelled pages, of which copies are passed over.

    Returns:
        How many lines were written, `MOST` at most.

    Raises:
        InputError: there are fewer; no table is left then.
        OSError: the folder cannot be written.
    """
    # Where XML tells of lines, they are cut out otherwise than those that are found on a copy of their page.
    labelled = keys_of(pages) | {key_of(picture) for sample in known if (picture := _opened(sample)) is not None}
    write_lines(folder, islice(_distinct(_lines_of(unread, reader, labelled, but), labelled), MOST))
    count = len(written_lines(folder))
    if count < fewest:
        forget_lines(folder)
        raise _too_few(unread.source, count)
    return count


def _too_few(source: Path, count: int) -> InputError:
    has = counted(count, "line") if count else "no lines"
    return InputError(
        f"{source}: has {has} without a text, too few to learn from; give --unread pages of handwriting that nobody transcribed, "
        "the more the better"
    )


def read_unread(folder: Path, out: Path, reader: Reader, held_out: Collection[str] = ()) -> None:
    """Reads the lines that `keep_unread` wrote, and writes those of which the reader is not least sure as a corpus of what it read.

    Args:
        folder: with the lines.
        out: gets `lines.tsv` and pictures.
        reader: the better it knows the hand, the better.
        held_out: ids of lines that are not to be learnt; they are written as the split val, however sure.
    """
    samples = written_lines(folder)
    pages: dict[tuple[str | None, bool], list[Sample]] = {}
    for sample in samples:
        pages.setdefault((sample.form, sample.cut_out), []).append(sample)
    # Page by page, for the lines of one tell together in which language they are.
    chunks = [page[first : first + _CHUNK] for page in pages.values() for first in range(0, len(page), _CHUNK)]
    lines: list[tuple[Sample, Line]] = []
    for chunk in tqdm(chunks, desc="reading unread lines", leave=False, disable=None):
        read = zip(chunk, reader.read_lines([sample.image() for sample in chunk], chunk[0].cut_out))
        lines += [(sample, line) for sample, line in read if line.text]
    learnt = [index for index, (sample, _) in enumerate(lines) if sample.id not in held_out]
    unsure = set(sorted(learnt, key=lambda index: lines[index][1].confidence)[: round(_UNSURE * len(learnt))])
    write_lines(
        out,
        [
            replace(sample, text=line.text, split="val" if sample.id in held_out else "train")
            for index, (sample, line) in enumerate(lines)
            if index not in unsure
        ],
    )


def _distinct(samples: Iterable[Sample], known: Collection[str]) -> Iterator[Sample]:
    """The lines whose pictures are not known; of copies the first."""
    seen = set(known)
    for sample in samples:
        if (key := key_of(sample.image())) not in seen:
            seen.add(key)
            yield sample


def _lines_of(unread: Unread, reader: Reader, labelled: set[str], but: Collection[str]) -> Iterator[Sample]:
    """Lines without a text; those that a table names come first."""
    yield from (sample for sample in unread.lines if _opened(sample) is not None)
    tasks = [task for task in unread.pages if task.result.as_posix() not in but]
    for task in tqdm(tasks, desc="finding unread lines", unit=" pages", leave=False, disable=None):
        try:
            page = open_page(task.file, task.number, name=task.name)
            with naming(task.name):
                pictures, cut_out = _pictures(grey(np.asarray(page)), reader, labelled)
        except InputError as error:
            log.warning("%s, and is left out", error)
            continue
        name = task.result.as_posix()
        for number, picture in enumerate(pictures):
            image = partial(np.asarray, picture)
            yield Sample(f"{name}-{number:02d}", "", "train", image, form=name, cut_out=cut_out)


def keys_of(files: Iterable[Path]) -> set[str]:
    """By which pictures with a text are known again; those that cannot be opened are left out."""
    keys = set()
    for file in files:
        if file.suffix.lower() != ".pdf":
            with suppress(InputError):
                keys.add(key_of(open_image(file)))
    return keys


def _opened(sample: Sample) -> np.ndarray | None:
    try:
        return sample.image()
    except InputError as error:
        log.warning("%s, and is left out", error)
        return None


def _pages(source: Path, labelled: bool) -> list[Task]:
    """The pages below a folder that have no text, in random order."""
    try:
        files, _, _ = find_files([str(source)], None)
    except InputError:  # there are none
        return []
    without, _ = parted_by_text(source, files, labelled)
    tasks, broken = find_all_pages({file: files[file] for file in without}, None)
    if broken:
        log.warning("%s: %s that cannot be read left out", source, counted(len(broken), "file"))
    random.Random(0).shuffle(tasks)
    return tasks


def parted_by_text(folder: Path, files: Iterable[Path], labelled: bool = False) -> tuple[list[Path], list[Path]]:
    """Those pictures below a folder that have no text, and those that have one: in a file of their name, in XML not written by htr, or
    in the folder's table.

    Those that a fine-tuning has made, and of several that differ in their endings alone all but one, are in neither.
    Of those with a text a log line says how many, unless they are learnt from, too (`labelled`).
    """
    texts = dict(pictures_with_texts(folder))
    xml = {page.stem for page in pages_with_xml(folder)[0] if not page.by_htr and page.has_texts}
    table = table_of(folder)
    rows = {stem_of_row(sample) for sample in lines_of_table(table)[0] if sample.text} if table else set()
    names = {file: file.relative_to(folder) for file in files if file in texts}
    found = [file for file in names if not in_run(file, folder)]
    unread: list[Path] = []
    transcribed: list[Path] = []
    for file in found:
        known = stem(names[file]) in rows or stem_of(file) in xml
        (transcribed if known or has_text(texts[file]) else unread).append(file)
    if transcribed and not labelled:
        log.warning("%s: %s with a text passed over", folder, counted(len(transcribed), "picture"))
    return unread, transcribed


def _pictures(picture: np.ndarray, reader: Reader, labelled: set[str]) -> tuple[list[np.ndarray], bool]:
    """The lines of a page, and that they are cut out; or the whole picture of a line, which is not."""
    if key_of(picture) in labelled:
        return [], False
    page = reader.find_page(picture)
    if looks_like_line(picture, page):
        return [picture], False
    return [crop for line in page.lines if can_hold_writing(crop := crop_line(picture, line))], True
