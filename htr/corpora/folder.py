"""Labelled lines of one's own: a folder with a table, or with a text file beside each picture."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from htr.alphabet import normalise
from htr.batch import is_result
from htr.corpora.markup import seen
from htr.corpora.sample import SPLITS, Doubt, Sample, as_seen, shows, told_split
from htr.errors import InputError
from htr.files import files_below, in_run, is_run, read_text, same_file
from htr.messages import counted
from htr.pages.images import SUFFIXES, by_worth, open_image

log = logging.getLogger(__name__)

TABLES = "lines.tsv", "lines.csv"
"""What tables of lines are called."""

# Their columns that count; there may be others.
_COLUMNS = "file", "text", "page", "writer", "split", "cut_out"

# Before the ending of pictures that other programs made black and white.
_OF_PROGRAMS = ".bin", ".nrm"

# No line of handwriting holds so many characters.
_LONGEST = 200

# Pictures narrower than so many heights for each character of their text cannot be of one line: letters are wider.
_NARROWEST = 1 / 12

# Nor of one, however short its text, whose height in pixels is above this and the width below so many heights.
_TALLEST, _WIDE = 500, 2.0


def load_folder(path: str | Path) -> list[Sample]:
    """Reads labelled pictures of lines from a folder.

    Args:
        path: the folder. It holds `lines.tsv` (tabs, quotes are text) or `lines.csv` (commas, semicolons or tabs, quotes as
            spreadsheets write them) with the columns `file` (below the folder) and `text`, and if wanted `page`, `writer`,
            `split` and `cut_out` (`yes` where other lines have been cleared away, as `htr.pages.crop` does); or it holds
            pictures, in sub-folders too, with the text of each in a `.gt.txt` or `.txt` of its name.

    Returns:
        The lines; marks that stand in a text stay in it, but for what is not in the picture (`htr.corpora.sample.as_seen`).
        Without a column `split`, lines below folders named train, val and test (capitals do not count) are of that split, all others
        of test. Lines with no text are left out and counted in one log line.

    Raises:
        InputError: nothing usable there, a malformed row, a picture that is missing, or one of a whole page.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds pictures of lines and their texts")
    table = table_of(folder)
    if table:
        samples, doubts = lines_of_table(table)
        if doubts:
            more = f" (and {counted(len(doubts) - 1, 'more row')} cannot be used)" if len(doubts) > 1 else ""
            raise InputError(f"{folder / doubts[0].line}: {doubts[0].reason}{more}")
    else:
        samples = []
        for image, file in pictures_with_texts(folder):
            text = read_text(file) if file else ""
            if _several_lines(text) or (len(text) > _LONGEST and _shows_page(image, text)):
                raise InputError(
                    f"{file}: is the text of a page, not of a line; htr.finetune learns from such, or give pictures of lines"
                )
            samples.append(line_beside(folder, image, text))
    labelled = [sample for sample in samples if sample.text]
    if not labelled:
        raise InputError(
            f"{folder}: has no lines with a text; give it lines.tsv with columns file and text, or a .txt for each picture"
        )
    if len(labelled) < len(samples):
        empty = len(samples) - len(labelled)
        log.warning("%s: %d lines have no text and are left out, %d have one", folder, empty, len(labelled))
    return labelled


def table_of(folder: Path) -> Path | None:
    """The table of a folder's lines, where it has one.

    Raises:
        InputError: it has two.
    """
    tables = [table for name in TABLES if (table := same_file(folder / name))]
    if len(tables) == 2:
        raise InputError(f"{folder}: has both {tables[0].name} and {tables[1].name}; keep one of them")
    return tables[0] if tables else None


def lines_of_table(table: Path) -> tuple[list[Sample], list[Doubt]]:
    """The lines of `lines.tsv` or `lines.csv`, and the rows that cannot be used.

    Raises:
        InputError: the table as a whole cannot be read.
    """
    own = is_run(table.parent.parent)  # what fine-tuning itself has written
    tabs = table.suffix.lower() == ".tsv"
    rows = list(io.StringIO(read_text(table), newline=""))
    first = 1
    if rows and re.fullmatch(r"sep=.\s*", rows[0]):  # as Excel is told of the mark
        first, rows = 2, rows[1:]
    head = rows[0] if rows else ""
    # Spreadsheets write semicolons where a comma is for decimals.
    mark = "\t" if tabs else max(",;\t", key=head.count)
    reader = csv.reader(rows, delimiter=mark, quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL, strict=True)
    samples: list[Sample] = []
    doubts: list[Doubt] = []
    named: dict[str, tuple[Sample, Path, int]] = {}
    quoted = again = read = 0
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if not {"file", "text"} <= set(columns):
            raise InputError(f"{table}: the columns file and text must be named in the first line; name them")
        if twice := [name for name in _COLUMNS if columns.count(name) > 1]:
            raise InputError(f"{table}: the first line names the column {twice[0]} twice; take one of them out")
        read = reader.line_num
        for fields in reader:
            begins, read = read + first, reader.line_num
            if not any(map(str.strip, fields)):
                continue
            try:
                # Excel leaves fields out at the end of rows that have nothing there.
                if {"file", "text"} <= set(columns[: len(fields)]):
                    fields += [""] * (len(columns) - len(fields))
                if len(fields) != len(columns):
                    raise InputError("has more or fewer fields than there are columns; correct it")
                row = dict(zip(columns, fields))
                if "\n" in row["file"] or _swallowed(row["text"], mark):
                    raise InputError(
                        "goes on in the next row, by a quotation mark; double those that are written, or use lines.tsv"
                    )
                sample, image = _sample(row, table.parent, own)
                other, of, earlier = named.setdefault(sample.id, (sample, image, begins))
                # Pictures whose names differ in their endings alone may be copies of one, or two.
                if of != image and other.text != sample.text:
                    sample = replace(sample, id=f"{sample.id}{image.suffix}")
                    other, of, earlier = named.setdefault(sample.id, (sample, image, begins))
                if other.split != sample.split:
                    raise InputError(
                        f"names a picture that is of the split {other.split} in line {earlier}; take one of them out"
                    )
                if other.text != sample.text:
                    raise InputError(f"names a picture that has another text in line {earlier}; take one of them out")
                if other is not sample:
                    again += 1
                    continue
                samples.append(sample)
                # With a comma in it or doubled quotes, as spreadsheets put them.
                quoted += tabs and bool(re.fullmatch(r'".*(,|"").*"', row["text"]))
            except InputError as error:
                row = dict(zip(columns, fields))
                told = row.get("split", "").strip().lower() or told_split(Path(row.get("file", "").replace("\\", "/")))
                doubts.append(Doubt(f"{table.name}: line {begins}", " ".join(fields), str(error), told))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise InputError(
                f"{table}: line {read + first}: has a quotation mark that nothing closes; double those that are written, or use "
                "lines.tsv"
            ) from None
        raise InputError(f"{table}: line {reader.line_num + first - 1}: {error}; correct it") from None
    if again:
        log.warning("%s: %s left out, as copies of others", table, counted(again, "row"))
    if quoted and not own:
        log.warning(
            "%s: %s in quotes, which are taken for what is written; if a spreadsheet put them there, save it as lines.csv",
            table, counted(quoted, "text"),
        )  # fmt: skip
    return samples, doubts


def _swallowed(text: str, mark: str) -> bool:
    """Whether a row of its own lies in the text of another."""
    starts = (Path(line.partition(mark)[0].strip().strip('"')) for line in text.splitlines()[1:] if mark in line)
    return any(start.suffix.lower() in SUFFIXES for start in starts)


def _sample(row: dict[str, str], folder: Path, of_line: bool) -> tuple[Sample, Path]:
    """The line of a row, and its picture; `of_line` says that it is surely one line, however long its text is."""
    named = row["file"].strip()
    if not named:
        raise InputError("names no file; correct it, or take the line out")
    image = same_file(folder / named)
    if image is None and "\\" in named:  # as Windows writes paths
        named = named.replace("\\", "/")
        image = same_file(folder / named)
    if image is None:
        raise InputError(f"names {folder / named}, which is not there; put it there, or take the line out")
    # A line's text may be broken in its cell.
    text = row["text"]
    if not of_line and (_several_lines(text) or len(text) > _LONGEST) and _shows_page(image, text):
        raise InputError(
            f"is the text of a page, not of a line; put it into {image.stem}.txt beside the picture, for htr.finetune"
        )
    # As it is called on disk, for others find it by that name.
    name = image.relative_to(folder) if image.is_relative_to(folder) else Path(named)
    # The folders that hold a corpus say nothing of its lines.
    told = row.get("split", "").strip().lower() or (None if name.is_absolute() else told_split(name))
    split = told or "test"
    if split not in SPLITS:
        raise InputError(f"names the split {split!r}, which must be one of {', '.join(SPLITS)}; correct it")
    page = (row["page"] or None) if "page" in row else _folder_of(name)
    sample = Sample(
        without_ending(name).as_posix(), normalise(as_seen(row["text"])), split, partial(open_image, image),
        row.get("writer") or None, page, told is not None, row.get("cut_out") == "yes",
    )  # fmt: skip
    return sample, image


def pictures_with_texts(folder: Path) -> list[tuple[Path, Path | None]]:
    """All pictures of a folder and of those below it, each with the text beside it (see `text_beside`); None where there is none.

    What htr itself made of them (PDF files with their text, pictures of readings) is passed over.
    Of pictures whose names differ in their endings alone, such as a TIFF and a JPEG of one page, or `a.bin.png` beside
    `a.png`, only one counts, which has a text if any has, and the others are counted in a log line.
    """
    pictures: dict[Path, tuple[Path, Path | None]] = {}
    doubled: list[Path] = []
    images = [file for file in files_below(folder) if file.suffix.lower() in SUFFIXES and not is_result(file)]
    worth = {ending: place for place, ending in enumerate(by_worth(SUFFIXES))}
    for image in sorted(
        images, key=lambda image: (image.with_suffix("") != stem(image), worth[image.suffix.lower()], image)
    ):
        name, found = stem(image), (image, text_beside(image))
        if name not in pictures:
            pictures[name] = found
        elif found[1] and not pictures[name][1]:
            doubled.append(pictures[name][0])
            pictures[name] = found
        else:
            doubled.append(image)
    if doubled:
        log.warning(
            "%s: %s left out, since others have the same name but for the ending (%s)",
            folder, counted(len(doubled), "picture"), doubled[0].name,
        )  # fmt: skip
    return [found for _, found in sorted(pictures.items())]


def text_beside(image: Path) -> Path | None:
    """The `.gt.txt` or `.txt` of a picture's name, without or with its ending, the first that is not empty; None where there is
    none."""
    texts = [*texts_beside(image)]
    return next(filter(has_text, texts), texts[0] if texts else None)


def has_text(file: Path | None) -> bool:
    """Whether there is a text file, and anything in it."""
    try:
        return file is not None and shows(read_text(file))
    except InputError:
        return True  # not one that can be read


def texts_without_picture(folder: Path) -> list[Path]:
    """The `.txt` files below a folder that are of no picture there, such as those of a PDF's pages."""
    files = [file for file in files_below(folder) if not in_run(file, folder)]
    taken = {text for file in files if file.suffix.lower() in SUFFIXES for text in texts_beside(file)}
    return [file for file in files if file.suffix.lower() == ".txt" and file not in taken]


def texts_beside(image: Path) -> Iterator[Path]:
    """The text files of a picture's name, the first that counts first."""
    # What a person made comes before what a program may have made.
    for end in (".gt.txt", ".txt"):
        for name in _names(image):
            if (text := same_file(Path(f"{name}{end}"))) and not _of_another(text, end, image):
                yield text


def _of_another(text: Path, end: str, image: Path) -> bool:
    """Whether a text, found though capitals differ, is by its own name that of another picture: of 12a.png, not 12A.png."""
    called = text.name[: -len(end)]
    if called in (name.name for name in _names(image)):
        return False
    names = [called, *(f"{called}{mark}{suffix}" for mark in ("", *_OF_PROGRAMS) for suffix in SUFFIXES)]
    owners = (same_file(text.with_name(name)) for name in names)
    return any(owner and called in (name.name for name in _names(owner)) for owner in owners)


def _names(image: Path) -> Iterable[Path]:
    """What texts of a picture may be called but for their ending: by what other programs call it, as htr calls it, and whole."""
    return dict.fromkeys((stem(image), image.with_suffix(""), image))


def without_ending(image: Path) -> Path:
    """The path of a picture without its ending; of `MS.12`, a picture without one, the whole."""
    return image.with_suffix("") if image.suffix.lower() in SUFFIXES else image


def stem(image: Path) -> Path:
    """The path of a picture without its ending, and without what other programs put before it."""
    return without_program(without_ending(image))


def without_program(name: Path) -> Path:
    """A name, or path, that has no ending any more, without what other programs put before that: `a` of `a.bin`."""
    return name.with_suffix("") if name.suffix in _OF_PROGRAMS else name


def stem_of_row(row: Sample) -> Path:
    """`stem` of the picture of a table's row, below the table's folder."""
    return without_program(Path(row.id))


def is_page(image: Path, text: str) -> bool:
    """Whether a picture that has this text is of a page, not of one line."""
    return _several_lines(text) or _shows_page(image, text)


def _shows_page(image: Path, text: str) -> bool:
    """Whether a picture has not the shape of a line with this text."""
    try:
        (width, height), _ = seen(image)
    except InputError:
        return False  # found to be unreadable when it is opened
    return width / height < _NARROWEST * len(normalise(text)) or (height > _TALLEST and width < _WIDE * height)


def _several_lines(text: str) -> bool:
    return len([line for line in text.splitlines() if line.strip()]) > 1


def line_beside(folder: Path, image: Path, text: str) -> Sample:
    """The sample of a picture of one line below a folder; pictures in a folder of their own count as those of a page."""
    name = image.relative_to(folder)
    told = told_split(name)
    return Sample(
        name.with_suffix("").as_posix(), normalise(as_seen(text)), told or "test", partial(open_image, image),
        form=_folder_of(name), told=told is not None,
    )  # fmt: skip


def _folder_of(name: Path) -> str | None:
    """The page of a picture of one line, by its path below a folder of such."""
    return name.parent.as_posix() if name.parent.name.lower() not in ("", *SPLITS) else None
