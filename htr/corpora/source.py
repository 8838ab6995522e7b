"""Labelled lines from whatever a person has: pictures of lines, pages with ALTO or PAGE XML, pages with their plain text."""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from htr.alphabet import normalise
from htr.batch import naming
from htr.corpora.folder import (
    TABLES,
    is_page,
    line_beside,
    lines_of_table,
    pictures_with_texts,
    stem,
    stem_of_row,
    table_of,
    texts_beside,
    texts_without_picture,
)
from htr.corpora.pages import PageTruth, counting, line_samples, pages_with_xml, stem_of, tell_own
from htr.corpora.sample import Doubt, Sample, as_seen, told_split
from htr.corpora.transcript import Match, as_written, match_lines
from htr.errors import InputError
from htr.files import files_below, in_run, read_text, same_file
from htr.messages import counted
from htr.pages.containers import Page, Region

log = logging.getLogger(__name__)

_WITHOUT, _LEFTWARDS = "has no text", "is written from right to left, which htr cannot learn"

# What people transcribe in, and htr does not read.
_DOCUMENTS = ".docx", ".doc", ".odt", ".rtf", ".html"

_BELOW = "is a table in a folder below, which is not read; give its folder, or move its rows to a table here"


class Source(NamedTuple):
    """What a source holds.

    Attributes:
        folder: where it lies.
        samples: lines with their texts.
        doubts: lines that were found and are set aside, and files that cannot be used.
        pages: pictures of pages with XML that tells of texts.
        leaves_train: whether something of the split train is not among the samples, but set aside, or a picture without a text.
    """

    folder: Path
    samples: list[Sample]
    doubts: list[Doubt]
    pages: tuple[Path, ...] = ()
    leaves_train: bool = False


def _documents_beside(pictures: Sequence[tuple[Path, Path | None]]) -> list[Path]:
    """Documents that have the names of pictures without a text, or are newer than it: it may have been corrected there."""
    names = ((image.with_suffix(ending), text) for image, text in pictures for ending in _DOCUMENTS)
    there = ((document, text) for name, text in names if (document := same_file(name)))
    return [document for document, text in there if text is None or document.stat().st_mtime > text.stat().st_mtime]


def load_source(path: str | Path, read_page: Callable[[Path], Page], with_unread: bool = False) -> Source:
    """Reads labelled lines of any form.

    Args:
        path: a folder with any of: `lines.tsv` or `lines.csv` (see `htr.corpora.folder.load_folder`); ALTO or PAGE XML
            (see `htr.corpora.pages.load_pages`); pictures, each with the text in a `.txt` of its name: of a line, or of a
            whole page, whose lines are then found, read, and laid beside the text. Of a picture that has several, the
            first of these counts; XML without texts is none, and what htr wrote itself comes last: nobody may have corrected it.
        read_page: finds and reads the lines of a page.
        with_unread: whether what has no text is learnt from, too, so that there is nothing to say of it.

    Raises:
        InputError: nothing usable there, or a table that cannot be read at all.
    """
    folder = Path(path)
    check_source(folder)
    table = table_of(folder)
    samples, doubts = lines_of_table(table) if table else ([], [])
    doubts += [Doubt(file.relative_to(folder).as_posix(), "", _BELOW) for file in _tables_below(folder)]
    doubts += [Doubt(sample.id, "", _WITHOUT, sample.split) for sample in samples if not sample.text]
    samples = [sample for sample in samples if sample.text]
    pages, of_xml = pages_with_xml(folder)
    doubts += of_xml
    pictures = pictures_with_texts(folder)
    pages = _not_in_table(folder, pages, samples, pictures)
    pages = counting(folder, pages, pictures)
    tell_own(folder, pages)
    transcribed = line_samples(pages)
    # A page of which no line is transcribed may have its text beside it.
    taken: dict[str | None, list[str]] = defaultdict(list)
    for name, sample in [
        *((stem_of_row(one).as_posix(), one) for one in samples),
        *((one.form, one) for one in transcribed),
    ]:
        taken[name].append(sample.text)
    samples += transcribed
    for page in pages:
        empty = sum(not line.text for line in page.page.lines)
        if empty and page.id in taken:
            doubts.append(Doubt(page.id, "", f"has {counted(empty, 'line')} without a text"))
    doubts += [Doubt(each.id, each.text, _LEFTWARDS, each.split) for each in samples if _from_right_to_left(each.text)]
    samples = [sample for sample in samples if not _from_right_to_left(sample.text)]
    without: list[Path] = []
    overruled, differing = [], []
    called = {page.stem: page.id for page in pages}
    for image, file in tqdm(pictures, desc="reading pages", leave=False, disable=None):
        # XML may name another one of a page's pictures.
        name = called.get(stem_of(image), stem(image.relative_to(folder)).as_posix())
        if name in taken:
            if _says_else(file, taken[name]):
                overruled.append(name)
            continue
        if file is None:
            if not in_run(image, folder):
                without.append(image.relative_to(folder))
            continue
        try:
            text = as_seen(read_text(file))
            differing += [other for other in texts_beside(image) if other != file and _says_else(other, [text])]
            if not normalise(text):
                doubts.append(Doubt(name, "", _WITHOUT))
            elif _from_right_to_left(text):
                doubts.append(Doubt(name, normalise(text), _LEFTWARDS))
            elif is_page(image, text):
                page_samples, page_doubts = _from_page(folder, image, text, read_page)
                samples += page_samples
                doubts += page_doubts
            else:
                samples.append(line_beside(folder, image, text))
        except InputError as error:
            doubts.append(Doubt(name, "", f"cannot be used: {str(error).removeprefix(f'{name}: ')}"))
    if overruled:
        log.warning(
            "%s: of %s, the text beside it is passed over, since a table or XML has another one of it (%s); take that away if "
            "the text beside it is the right one",
            folder, counted(len(overruled), "picture"), overruled[0],
        )  # fmt: skip
    if differing:
        log.warning(
            "%s: %s passed over, since another one counts before, which says something else (%s); take that away if this is the right "
            "one",
            folder, counted(len(differing), "text"), differing[0].name,
        )  # fmt: skip
    if without and not with_unread:
        them = "them" if len(without) > 1 else "it"
        log.warning("%s: %s without a text beside %s left out", folder, counted(len(without), "picture"), them)
    if unread := _documents_beside(pictures):
        log.warning(
            "%s: %s of the names of pictures cannot be read (%s); save each as plain text (.txt, UTF-8) of the same name",
            folder, counted(len(unread), "document"), unread[0].name,
        )  # fmt: skip
    if lone := texts_without_picture(folder):
        log.warning(
            "%s: %s left out, as no picture of the name lies beside (%s); save the pages of a PDF or TIFF of several as pictures of "
            "these names",
            folder, counted(len(lone), "text"), lone[0].name,
        )  # fmt: skip
    if not samples and all(doubt.reason == _WITHOUT for doubt in doubts):
        raise InputError(
            f"{folder}: has no picture with a text; put beside page.png a page.txt with what stands on it, export ALTO or "
            "PAGE XML there, or give lines.tsv with columns file and text; without any text, give the folder with --unread alone"
        )
    with_texts = {sample.form for sample in transcribed}
    # What is set aside goes by its path, or is the row of a table.
    left = [*(doubt.split or told_split(Path(doubt.line)) for doubt in doubts), *map(told_split, without)]
    images = tuple(page.image for page in pages if page.id in with_texts)
    doubts = [doubt for doubt in doubts if not (with_unread and doubt.reason == _WITHOUT)]
    return Source(folder, samples, doubts, images, leaves_train="train" in left)


def _not_in_table(
    folder: Path, pages: list[PageTruth], rows: list[Sample], pictures: Sequence[tuple[Path, Path | None]]
) -> list[PageTruth]:
    """The pages with XML but for those of whose picture, of those below the folder, the table has a text, which counts before."""
    # Pictures may be links into a store, where they have other names.
    stems = {stem(image.relative_to(folder)): stem_of(image) for image, _ in pictures}
    texts = {stems.get(name := stem_of_row(row), (folder / name).resolve()): row.text for row in rows}
    others, differing = [], []
    for page in pages:
        text = texts.get(page.stem)
        if text is None:
            others.append(page)
        elif normalise(" ".join(line.text for line in page.page.lines)) not in ("", text):
            differing.append(page.id)
    if differing:
        log.warning(
            "%s: of %s, XML is passed over, since the table has another text of it (%s); take its row away if the text of the XML is "
            "the right one",
            folder, counted(len(differing), "picture"), differing[0],
        )  # fmt: skip
    return others


def _says_else(file: Path | None, texts: list[str]) -> bool:
    """Whether a file has a text that is not the one of these lines."""
    try:
        written = normalise(as_seen(read_text(file))) if file else ""
    except InputError:
        return False
    return written != "" and written != normalise(" ".join(texts))


def _from_right_to_left(text: str) -> bool:
    """Whether most letters are of such a script."""
    directions = Counter(map(unicodedata.bidirectional, text))
    return directions["R"] + directions["AL"] > directions["L"]


def check_source(folder: Path) -> None:
    """Raises `InputError` where a source is no folder."""
    if folder.is_file():
        raise InputError(f"{folder}: is a file; unpack it if it is packed, and give the folder that it lies in")
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; give one with pictures of lines or pages and their texts (README, Teach it a hand)"
        )


def _tables_below(folder: Path) -> list[Path]:
    """Tables of lines that are not in the folder itself; without those that fine-tuning made."""
    return [
        file
        for file in files_below(folder)
        if file.name.lower() in TABLES and file.parent != folder and not in_run(file, folder)
    ]


def _from_page(
    folder: Path, image: Path, text: str, read_page: Callable[[Path], Page]
) -> tuple[list[Sample], list[Doubt]]:
    """The lines of a page that are surely those of its text, and the others."""
    name = image.relative_to(folder).with_suffix("").as_posix()
    with naming(name):
        page = read_page(image)
    lines = page.lines
    readings = [line.text for line in lines]
    matches = match_lines(readings, text)
    doubts = [
        Doubt(
            f"{name}-{number:02d}",
            match.text,
            f"was read as {line.text!r}, {'too unlike the text' if match.text else 'for which no row of the text is left'}",
        )
        for number, (line, match) in enumerate(zip(lines, matches))
        if not match.sure
    ]
    # Lines keep their numbers, also where one before them is set aside.
    matched = tuple(
        replace(line, text=match.text if match.sure else "", words=()) for line, match in zip(lines, matches)
    )
    told = told_split(image.relative_to(folder))
    page = replace(page, regions=(Region("text", matched),))
    truth = PageTruth(name, image, page, told or "test", told=told is not None)
    if not lines:
        doubts.append(Doubt(name, normalise(text), "shows no lines of handwriting"))
    else:
        doubts += [
            Doubt(name, line, "stands in the text and was found in no line")
            for line in _unused(matches, as_written(readings, text))
        ]
    return line_samples([truth]), doubts


def _unused(matches: list[Match], written: list[str]) -> list[str]:
    """Lines of a text that no found line took, where the text is broken into lines as the page is."""
    taken = [match.text for match in matches if match.text]
    if not set(taken) <= set(written):
        return []
    left = Counter(written) - Counter(taken)
    return [line for line in dict.fromkeys(written) if line in left]
