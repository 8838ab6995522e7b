"""Pages whose lines and texts are known: ALTO and PAGE XML beside pictures of pages, and the forms of IAM."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from htr.corpora.folder import has_text, pictures_with_texts, stem, without_ending
from htr.corpora.iam import aachen_split, malformed, natural_text, table_rows, writers_of_forms, xml_texts
from htr.corpora.markup import Shape, Truth, read_xml, rectangle, scaled_page, seen
from htr.corpora.sample import Doubt, Sample, told_split
from htr.errors import InputError
from htr.files import files_below, in_run
from htr.messages import counted
from htr.pages.containers import Line, Page
from htr.pages.crop import crop_line
from htr.pages.images import open_image

FORM_SIZE = 2479, 3542
"""Width and height, in pixels, of the scanned forms to which the boxes of IAM's `lines.txt` belong."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageTruth:
    """A picture of a page and what stands on it.

    Attributes:
        id: name of the page, unique in its corpus.
        image: the picture's file.
        page: the true regions and lines in reading order, in pixels of the picture; the text of a line that is not
            transcribed is empty.
        split: `train`, `val` or `test`.
        writer: who wrote the page, where known.
        by_htr: whether htr itself wrote the XML that tells all this.
        told: whether a folder says that it is of this split; see `Sample`.
    """

    id: str
    image: Path
    page: Page
    split: str
    writer: str | None = None
    by_htr: bool = False
    told: bool = True

    @property
    def has_texts(self) -> bool:
        """Whether any of its lines is transcribed."""
        return any(line.text for line in self.page.lines)

    @property
    def stem(self) -> Path:
        """The picture's path as `htr.corpora.folder.stem` has it, the same however it is written: others of the page have it, too."""
        return stem_of(self.image)


def stem_of(image: Path) -> Path:
    """The path of a picture as `PageTruth.stem` has it."""
    return stem(image.resolve())


def load_pages(source: str) -> list[PageTruth]:
    """Reads pages with their truth.

    Args:
        source: a folder, or `iam:PATH` for the forms of IAM.

            In a folder, ALTO (2 to 4) and PAGE XML lies beside the pictures or in `alto` and `page` folders below them, as
            eScriptorium and Transkribus export it; of a picture that has both, PAGE XML is taken, unless it alone has no
            texts or was written by htr itself; what htr wrote does not count where a text lies beside the picture. The picture
            is the one that the XML names, else the one with the XML's name. Pages below folders named train, val and test
            (capitals do not count) are of that split, all others of test.

            Of IAM, `PATH/forms` holds the pictures, at any size; forms outside the Aachen split are left out.

    Returns:
        Pages with at least one line, sorted by id. A missing polygon is made from the line's box or from its baseline and
        the distance of the lines, a missing baseline from the polygon. Sizes in the XML that have the picture's
        proportions are scaled to it.

    Raises:
        InputError: nothing usable there, broken XML, a missing picture, or one of other proportions.
    """
    if not source:
        raise InputError(
            "an empty name was given; name a folder that holds pictures of pages and their ALTO or PAGE XML"
        )
    kind, _, path = source.partition(":")
    pages = _load_forms(Path(path)) if kind == "iam" and path else _load_folder(Path(source))
    return sorted(pages, key=lambda truth: truth.id)


def line_samples(pages: list[PageTruth]) -> list[Sample]:
    """The transcribed lines of pages, cut out as reading cuts them."""
    return [
        Sample(
            f"{truth.id}-{number:02d}",
            line.text,
            truth.split,
            partial(_cut, truth.image, line),
            truth.writer,
            truth.id,
            truth.told,
            cut_out=True,
        )
        for truth in pages
        for number, line in enumerate(truth.page.lines)
        if line.text
    ]


# A page's lines are cut one after the other: the page is opened once.
_open_last = lru_cache(maxsize=1)(open_image)


def _cut(image: Path, line: Line) -> np.ndarray:
    return crop_line(_open_last(image), line)


def _load_forms(folder: Path) -> list[PageTruth]:
    table = folder / "ascii" / "lines.txt"
    if not table.is_file():
        raise InputError(f"{folder}: has no ascii/lines.txt; give the folder that holds IAM's ascii and forms folders")
    pictures = {file.stem: file for file in (folder / "forms").glob("*.png")}
    writers, splits = writers_of_forms(folder), aachen_split()
    texts = {form: xml_texts(folder / "xml" / f"{form}.xml") for form in pictures}
    forms: dict[str, list[Line]] = {}
    for number, row in table_rows(table):
        fields = row.split(" ", 8)
        form = fields[0].rpartition("-")[0]
        # Width and height are not zero.
        if len(fields) != 9 or not re.fullmatch(r"(\d+ ){2}0*[1-9]\d* 0*[1-9]\d*", " ".join(fields[4:8]), re.ASCII):
            raise malformed(table, number, row)
        if form in pictures and form in splits:
            text = texts[form].get(fields[0]) or natural_text(fields[8].replace("|", " "))
            shape = Shape(None, rectangle(*map(int, fields[4:8])), text)
            forms.setdefault(form, []).append(shape.line(0))
    if not forms:
        raise InputError(f"{folder}: no form of lines.txt has its picture under forms/; unpack the forms there")
    pages = []
    for form, lines in forms.items():
        try:
            page, outside = scaled_page([lines], FORM_SIZE, pictures[form], seen(pictures[form])[0])
        except InputError as error:
            raise InputError(f"{table}: {error}") from None
        if outside:
            raise InputError(f"{table}: {outside[0].reason}")
        pages.append(PageTruth(form, pictures[form], page, splits[form], writers.get(form)))
    return pages


def _load_folder(folder: Path) -> list[PageTruth]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds pictures of pages and their ALTO or PAGE XML")
    pages, doubts = pages_with_xml(folder)
    if doubts:
        more = f" ({counted(len(doubts) - 1, 'more such line')} or files)" if len(doubts) > 1 else ""
        raise InputError(f"{folder / doubts[0].line}: {doubts[0].reason}{more}")
    if not pages:
        raise InputError(
            f"{folder}: has no ALTO or PAGE XML with lines; export the pages there (htr.evaluate --pages takes texts beside them, too)"
        )
    if any(page.by_htr for page in pages):
        pages = counting(folder, pages, pictures_with_texts(folder))
        if not pages:
            raise InputError(
                f"{folder}: has no XML but what htr wrote of pages that have a text beside them; htr.evaluate --pages and "
                "htr.finetune take such texts, or take them away where the XML is the right one"
            )
    tell_own(folder, pages)
    return pages


def counting(folder: Path, pages: Sequence[PageTruth], pictures: Sequence[tuple[Path, Path | None]]) -> list[PageTruth]:
    """The pages of a folder with XML but for those whose XML htr wrote, and that have a text beside the picture: nobody may have
    corrected the XML.

    Args:
        folder: where they lie.
        pages: what `pages_with_xml` finds there.
        pictures: what `pictures_with_texts` finds there.
    """
    # XML may name another one of a page's pictures than the one that has the text.
    texts = {stem_of(image): file for image, file in pictures if file}
    kept = [page for page in pages if not (page.by_htr and has_text(texts.get(page.stem)))]
    if len(kept) < len(pages):
        passed = counted(len(pages) - len(kept), "page")
        log.warning("%s: %s with a text, beside which the XML that htr wrote does not count", folder, passed)
    return kept


def tell_own(folder: Path, pages: list[PageTruth]) -> None:
    """Says in a log line of how many pages htr itself wrote the texts."""
    if own := sum(page.by_htr and page.has_texts for page in pages):
        log.warning(
            "%s: %s with XML that htr wrote, whose texts are taken for true though maybe nobody has corrected them",
            folder, counted(own, "page"),
        )  # fmt: skip


def pages_with_xml(folder: Path) -> tuple[list[PageTruth], list[Doubt]]:
    """The pages of a folder that have ALTO or PAGE XML with lines, as `load_pages` reads them, and what cannot be used: whole
    files (broken, without their picture, or with one of other proportions) and transcribed lines. There may be none of both.
    """
    folder = Path(os.path.abspath(folder))  # `.` does not tell what it is called
    # By the picture, of which others may differ in their endings alone.
    found: dict[Path, list[tuple[Truth, Path]]] = {}
    doubts: list[Doubt] = []
    empty = 0
    files = [file for file in files_below(folder) if file.suffix.lower() == ".xml" and not in_run(file, folder)]
    for file in tqdm(files, desc="opening XML and pictures", leave=False, disable=None):
        name = file.relative_to(folder).as_posix()
        try:
            truth = read_xml(file, folder)
        except InputError as error:
            doubts.append(Doubt(name, "", str(error)))
            continue
        except ValueError as error:
            doubts.append(Doubt(name, "", f"holds a malformed number ({error}); export it again"))
            continue
        except RecursionError:
            doubts.append(Doubt(name, "", "is nested too deeply; export it again"))
            continue
        if truth is None:
            continue
        found.setdefault(stem(truth.image), []).append((truth, file))
    pages = []
    for truths in found.values():
        highest = max(truth.rank for truth, _ in truths)
        (truth, file), *others = [each for each in truths if each[0].rank == highest]
        for _, other in others:
            doubts.append(
                Doubt(other.relative_to(folder).as_posix(), "", f"{file} is of the same picture; keep one of them")
            )
        image = truth.image
        doubts += [doubt._replace(line=file.relative_to(folder).as_posix()) for doubt in truth.doubts]
        # The folder of the XML alone may have been given, with the pictures above it.
        of_xml = file.relative_to(folder).with_name(image.name)
        name = image.relative_to(folder) if image.is_relative_to(folder) else of_xml
        if truth.page.lines:
            known = without_ending(name).as_posix()
            told = told_split(name) or told_split(file.relative_to(folder))
            page = PageTruth(known, image, truth.page, told or "test", by_htr=truth.by_htr, told=told is not None)
            pages.append(page)
        else:
            empty += 1
    if empty:
        log.warning("%s: %d pages have no lines in their XML and are left out, %d have some", folder, empty, len(pages))
    return pages, doubts
