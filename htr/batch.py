"""Many pages, one after another: which files, which pages, where the results go, and reading them one by one."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import clear_frames
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from htr.cli import complain
from htr.errors import InputError, first_line, gpu_failed, gpu_full, memory_short, without_gpu
from htr.files import files_below, is_run, passed_over, plain
from htr.messages import counted, on_one_line, printable
from htr.pages.containers import Line, Page, Region
from htr.pages.images import SUFFIXES, count_pages, grey, open_page, pdf_creator

if TYPE_CHECKING:
    from htr.reader import Reader

log = logging.getLogger(__name__)

OVERLAY = ".overlay.jpg"
"""What the names of pictures end in that show pages beside their reading; in folders they are passed over."""

_MADE = frozenset({".txt", ".csv", ".json", ".jsonl", ".xml", ".html"})  # what names of readings end in, but for PDF

_OWN = "made by htr"  # what files passed over are called that have the endings of pictures all the same

# Pictures of lines are opened until they have so many pixels and are as many as tell a language together, or have far more pixels or
# are far more, and are then read together.
_CHUNK_PIXELS, _CHUNK_LINES, _MOST_PIXELS, _MOST_LINES = 8_000_000, 24, 64_000_000, 100


@dataclass(frozen=True)
class Task:
    """One page to read.

    Attributes:
        file: where it is.
        number: which page of the file, from 1.
        name: what messages call it: the file, with the number if there are several pages.
        result: where the result goes below the folder of results, without a suffix.
    """

    file: Path
    number: int
    name: str
    result: Path


Maker = Callable[[Page, Image.Image], bytes]
"""Makes the bytes of a file from a page and its picture."""

Result = tuple[Task, Page | InputError, list[bytes]]
"""What was read on a page, or why it could not be read; and what each maker made of it."""


def find_files(given: Sequence[str], out: Path | None) -> tuple[dict[Path, Path], Counter[str], list[str]]:
    """Lists the files to read: those given, and the pictures and PDF files in the folders given and those below.

    In folders, files come in the order of their names, page2 before page10. What is hidden there, the folder of results, and those
    of fine-tunings are not looked at; links to folders are not followed, as a log line says. What htr made of readings is passed over,
    also where it is named among others and lies in the folder of results, for `letters/*` names it too; so is that folder itself.

    Args:
        given: files and folders.
        out: the folder of results, if any.

    Returns:
        The path of each result below `out`, without a suffix, by the file; how many other files are in the folders, by
        what their names end in, those that htr made apart; and what is wrong with folders that hold no such file or cannot be
        listed, each of which is said at once.

    Raises:
        InputError: a name is empty, a folder is the folder of results, or there is no file in any folder.
    """
    results: dict[Path, Path] = {}
    others: Counter[str] = Counter()
    broken: list[InputError] = []
    been: set[str] = set()
    copies: Path | None = None

    def unlisted(error: OSError) -> None:
        broken.append(InputError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions"))

    def add(file: Path, result: Path) -> None:
        if (absolute := os.path.abspath(file)) not in been:
            been.add(absolute)
            results[file] = result

    if "" in given:
        raise InputError("an empty name was given; name a picture, a PDF file or a folder")
    for path in map(Path, given):
        if not os.path.isdir(path):
            # What `letters/*` names too.
            made = len(given) > 1 and out and _same(path.parent, out) and os.path.isfile(path) and _may_be_made(path)
            if made or path.name.endswith(OVERLAY):
                others[path.suffix.lower() if path.suffix.lower() in _MADE else _OWN] += 1
            else:
                add(path, Path(path.stem if path.stem.strip(".") else path.name))  # of `...png` it is `..`
            continue
        if len(given) > 1 and is_run(path):
            copies = path
            continue
        wrong = len(broken)
        found, passed, links = _listed(path, out, unlisted)
        if out and _same(path, out):
            if found or len(given) == 1:
                raise InputError(
                    f"{out}: is the folder that is read; choose another one for the results with --out, or name the pictures in it"
                )
            continue
        others += passed
        if not found and wrong == len(broken):
            none = "pictures or PDF files but those that htr made" if passed[_OWN] else "pictures or PDF files"
            broken.append(InputError(f"{path}: holds no {none}; give the folder that they are in"))
        if links:
            log.warning(
                "%s: %s to folders not followed (%s); put pictures there that are meant",
                path,
                counted(len(links), "link"),
                min(links),
            )
        for file in sorted(found, key=_natural):
            add(file, file.relative_to(path).with_name(file.stem))
    if not results:
        if broken:
            for error in broken[:-1]:
                complain(error)
            raise broken[-1]
        if copies:
            raise InputError(f"{copies}: is a folder of a fine-tuning, which holds copies; give the pages themselves")
        raise InputError(f"{given[0]}: is what htr made of a reading; give the page itself")
    for error in broken:
        complain(error)
    return results, others, [str(error) for error in broken]


def _listed(
    path: Path, out: Path | None, unlisted: Callable[[OSError], None]
) -> tuple[list[Path], Counter[str], list[str]]:
    """The pictures and PDF files of a folder and of those below it; how many other files there are, by kind; and the names of links to
    folders, which are not followed.

    Raises:
        InputError: the folder of results is among them, and holds pictures.
    """
    found: list[Path] = []
    others: Counter[str] = Counter()
    links: list[str] = []
    for folder, folders, names in os.walk(path, onerror=unlisted):
        of_results = [name for name in folders if out and _same(Path(folder, name), out)]
        if of_results and _has_pictures(out):
            raise InputError(
                f"{out}: has pictures that are to be read; choose another folder for the results with --out, outside of {path}"
            )
        folders[:] = [
            name
            for name in folders
            if not passed_over(Path(folder, name)) and not is_run(Path(folder, name)) and name not in of_results
        ]
        links += [name for name in folders if os.path.islink(Path(folder, name))]
        for name in names:
            file = Path(folder, name)
            if name[0] == ".":
                continue
            if file.suffix.lower() not in SUFFIXES:
                others[file.suffix.lower() or name] += 1
            elif is_result(file):
                others[_OWN] += 1
            else:
                found.append(file)
    return found, others, links


def _has_pictures(out: Path) -> bool:
    """Whether a folder for results holds pictures that are none."""
    return any(file.suffix.lower() in SUFFIXES and not is_result(file) for file in files_below(out))


def find_all_pages(files: dict[Path, Path], out: Path | None) -> tuple[list[Task], list[str]]:
    """Lists the pages of all files that `find_files` lists; says at once, and returns, which cannot be opened and why.

    The results of several pages get a number behind the file's name; those of files that would else share a name keep the file's
    whole name: of `letter.tif` and `letter.webp`, `letter.tif.txt` and `letter.webp.txt`.

    Raises:
        InputError: results of two pages would go to the same place below `out`, the folder of results, if any; both are named.
    """
    counts: dict[Path, int] = {}
    broken = []
    for file in files:
        try:
            counts[file] = count_pages(file)
        except InputError as error:
            broken.append(str(error))
            complain(error)
    # What is no picture, such as a text beside one, has no result whose name it could share.
    named = {file: result for file, result in files.items() if file in counts or file.suffix.lower() in SUFFIXES}
    results = _told_apart(named, counts)
    tasks = [task for file, pages in counts.items() for task in _pages_of(file, pages, results[file])]
    if out:
        _refuse_same_results(tasks, out)
        if copies := [file for file in counts if results[file] != named[file]]:
            log.warning(
                "%s nearly named as others (such as %s), so their results keep the whole names; if they are copies, give one of each",
                counted(len(copies), "file"), copies[0],
            )  # fmt: skip
    return tasks, broken


def _told_apart(files: dict[Path, Path], counts: dict[Path, int]) -> dict[Path, Path]:
    """Where the results of each file go, those that would meet under the file's whole name."""
    results = dict(files)
    while True:
        owners: dict[str, set[Path]] = defaultdict(set)
        for file, result in results.items():
            # The name itself counts for files of several pages and broken ones too: mended, those of one page rename no result.
            for name in (result, *(task.result for task in _pages_of(file, counts.get(file, 1), result))):
                owners[plain(str(name))].add(file)
        meeting = {file for of_name in owners.values() if len(of_name) > 1 for file in of_name}
        whole = {file: result for file in meeting if (result := files[file].with_name(file.name)) != results[file]}
        if not whole:
            return results
        results |= whole  # which may meet others


def _pages_of(file: Path, pages: int, result: Path) -> list[Task]:
    name = on_one_line(str(file))
    if pages == 1:
        return [Task(file, 1, name, result)]
    return [
        Task(file, number, f"{name}, page {number}", Path(f"{result}-{number:04d}")) for number in range(1, pages + 1)
    ]


def _refuse_same_results(tasks: Sequence[Task], out: Path) -> None:
    owners: dict[Path, Task] = {}
    for task in tasks:
        if (other := owners.setdefault(task.result, task)) is not task:
            raise InputError(
                f"the results of {task.name} and {other.name} would both be written to {out / task.result}...; give the folder above "
                "both, rename one, or use two folders"
            )


def read_pages(reader: Reader, tasks: Sequence[Task], dpi: int | None, makers: Sequence[Maker]) -> Iterator[Result]:
    """Reads page by page; `dpi` is that of pages of PDF files, as `open_page` takes it."""
    for task in tasks:
        yield _read_page(reader, task, dpi, makers)


def read_lines(reader: Reader, tasks: Sequence[Task], dpi: int | None, makers: Sequence[Maker]) -> Iterator[Result]:
    """Reads pictures of one line each, many at once; `dpi` is that of pages of PDF files, as `open_page` takes it."""
    chunk: list[tuple[Task, Image.Image | InputError, np.ndarray | None]] = []
    pixels = 0
    for task in tasks:
        picture: Image.Image | InputError
        lightness = None
        try:
            picture = open_page(task.file, task.number, dpi, task.name)
            with naming(task.name):
                lightness = grey(np.asarray(picture))
            pixels += lightness.size
        except InputError as error:
            picture = error
        chunk.append((task, picture, lightness))
        enough = pixels > _CHUNK_PIXELS and len(chunk) >= _CHUNK_LINES
        if enough or pixels > _MOST_PIXELS or len(chunk) >= _MOST_LINES or task is tasks[-1]:
            yield from _read_chunk(reader, chunk, makers)
            chunk, pixels = [], 0


def _read_page(reader: Reader, task: Task, dpi: int | None, makers: Sequence[Maker]) -> Result:
    try:
        picture = open_page(task.file, task.number, dpi, task.name)
        with naming(task.name):
            page = reader.read_page(np.asarray(picture))
            if task.file.suffix.lower() == ".pdf":  # which may hold more than was drawn of it
                larger = "give a higher --dpi, or scan the page larger"
                page = replace(page, notes=tuple(note.replace("scan the page larger", larger) for note in page.notes))
            return _result(task, page, picture, makers)
    except InputError as error:
        return task, error, []


def _read_chunk(
    reader: Reader, chunk: Sequence[tuple[Task, Image.Image | InputError, np.ndarray | None]], makers: Sequence[Maker]
) -> Iterator[Result]:
    pictures = [lightness for _, _, lightness in chunk if lightness is not None]
    try:
        lines = reader.read_lines(pictures)
    except Exception:  # of one of them, which is found below
        lines = [None] * len(pictures)
    read = zip(pictures, lines)
    for task, picture, _ in chunk:
        if isinstance(picture, InputError):
            yield task, picture, []
            continue
        try:
            with naming(task.name):
                grey_picture, line = next(read)
                page = _page_of_line(reader, grey_picture, line or reader.read_lines([grey_picture])[0])
                result = _result(task, page, picture, makers)
        except InputError as error:
            result = task, error, []
        yield result


def _page_of_line(reader: Reader, picture: np.ndarray, line: Line) -> Page:
    from htr.pages.crop import looks_like_line

    notes = []
    height, width = picture.shape
    found = reader.find_page(picture, upright=True)
    # A short word, no wider than twice its height and not as narrow as a page, may be found in two pieces or not at all.
    word = 0.75 * height < width <= 2 * height and len(found.lines) <= 2
    if not word and not looks_like_line(picture, found):
        notes.append("looks like a page rather than a single line; read it without --line")
    elif not line.text:
        notes.append("nothing could be read in this line")
    return Page(width, height, (Region("text", (line,)),), notes=tuple(notes))


def _result(task: Task, page: Page, picture: Image.Image, makers: Sequence[Maker]) -> Result:
    page = replace(page, file=printable(str(task.file)), number=task.number)
    return task, page, [make(page, picture) for make in makers]


class naming:
    """Makes an `InputError` that names the page of whatever goes wrong with it, but for the GPU: one page must not stop a thousand.

    A class, since the frames of a generator that raises would keep the page's picture until garbage is collected.
    """

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(error, Exception) or gpu_failed(error):
            return
        # The error keeps the frames in which it arose: they would hold the page's arrays while the next one is read.
        clear_frames(trace)
        if isinstance(error, InputError):
            raise InputError(f"{self.name}: {error}") from None
        if gpu_full(error):  # which may have room for the next
            raise InputError(f"{self.name}: {without_gpu(error)}") from None
        if memory_short(error):
            raise InputError(
                f"{self.name}: the memory is too small for it; scale it down, or close other programs"
            ) from None
        raise InputError(
            f"{self.name}: could not be read ({type(error).__name__}: {first_line(error)}); please report it with this page"
        ) from error


def _natural(path: Path) -> tuple[list[list[str | int]], Path]:
    """Sorts numbers in names by their value."""
    parts = [
        [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part.casefold())]
        for part in path.parts
    ]
    return parts, path


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _may_be_made(file: Path) -> bool:
    """Whether a file in the folder of results has the name of one, or is a PDF with its text."""
    return file.suffix.lower() in _MADE or is_result(file)


def is_result(file: Path) -> bool:
    """Whether htr wrote this file, as a picture of a reading or a PDF with its text."""
    return file.name.endswith(OVERLAY) or (file.suffix.lower() == ".pdf" and pdf_creator(file).startswith("htr "))
