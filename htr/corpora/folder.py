"""Labelled lines of one's own: a folder with a table, or with a text file beside each picture."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from htr.alphabet import normalise
from htr.cli import counted
from htr.corpora.iam import SPLITS
from htr.corpora.pages import split_of
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.pages.images import SUFFIXES, open_image

log = logging.getLogger(__name__)


def load_folder(path: str | Path) -> list[Sample]:
    """Reads labelled pictures of lines from a folder.

    Args:
        path: the folder. It holds `lines.tsv` (tabs, quotes are text) or `lines.csv` (commas or semicolons, quotes as
            spreadsheets write them) with the columns `file` (below the folder) and `text`, and if wanted `page`, `writer` and
            `split`; or it holds pictures, in sub-folders too, with the text of each in a `.txt` or `.gt.txt` of its name.

    Returns:
        The lines; marks that stand in a text stay in it. Without a column `split`, lines below folders named train, val
        and test are of that split, all others of test. Lines with no text are left out and counted in one log line.

    Raises:
        InputError: nothing usable there, a malformed row, or a picture that is missing.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds pictures of lines and their texts")
    tables = [table for table in (folder / "lines.tsv", folder / "lines.csv") if table.is_file()]
    if len(tables) == 2:
        raise InputError(f"{folder}: has both lines.tsv and lines.csv; keep one of them")
    samples = _from_table(tables[0]) if tables else _from_texts(folder)
    labelled = [sample for sample in samples if sample.text]
    if not labelled:
        raise InputError(
            f"{folder}: has no lines with a text; give it lines.tsv with columns file and text, or a .txt for each picture"
        )
    if len(labelled) < len(samples):
        empty = len(samples) - len(labelled)
        log.warning("%s: %d lines have no text and are left out, %d have one", folder, empty, len(labelled))
    return labelled


def _from_table(table: Path) -> list[Sample]:
    tabs = table.suffix == ".tsv"
    samples = []
    quoted = 0
    with table.open(encoding="utf-8-sig", newline="") as file:
        try:
            head = file.readline()
            file.seek(0)
            # Spreadsheets write semicolons where a comma is for decimals.
            marks = ";" if head.count(";") > head.count(",") else ","
            rows = csv.DictReader(
                file,
                delimiter="\t" if tabs else marks,
                quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
                strict=True,
            )
            for row in rows:
                samples.append(_sample(row, table.parent))
                # With a comma in it or doubled quotes, as spreadsheets put them.
                quoted += tabs and bool(re.fullmatch(r'".*(,|"").*"', row["text"]))
        except UnicodeDecodeError:
            raise InputError(f"{table}: not a text file in UTF-8; save it as one") from None
        except (csv.Error, InputError) as error:
            raise InputError(f"{table}: line {rows.line_num}: {error}") from None
    if quoted:
        log.warning(
            "%s: %s in quotes, which are taken for what is written; if a spreadsheet put them there, save it as lines.csv",
            table, counted(quoted, "text"),
        )  # fmt: skip
    return samples


def _sample(row: dict[str, str], folder: Path) -> Sample:
    if not {"file", "text"} <= row.keys():
        raise InputError("the columns file and text must be named in the first line; name them")
    if None in row or None in row.values():
        raise InputError("has more or fewer fields than there are columns; correct it")
    image = folder / row["file"]
    split = row.get("split") or split_of(Path(row["file"]))
    if split not in SPLITS:
        raise InputError(f"split {split!r} must be one of {', '.join(SPLITS)}; correct it")
    if not image.is_file():
        raise InputError(f"{image} is not there; put it there, or take the line out")
    return Sample(
        Path(row["file"]).with_suffix("").as_posix(), normalise(row["text"]), split, partial(open_image, image),
        row.get("writer") or None, row.get("page") or None,
    )  # fmt: skip


def pictures_with_texts(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """All pictures of a folder and of those below it, each with what stands in the `.txt` or `.gt.txt` of its name; None
    where there is none.

    Raises:
        InputError: a text file is not in UTF-8.
    """
    for image in sorted(folder.rglob("*")):
        if image.suffix.lower() not in SUFFIXES:
            continue
        texts = [file for file in (image.with_suffix(".txt"), image.with_suffix(".gt.txt")) if file.is_file()]
        try:
            yield image, texts[0].read_text(encoding="utf-8-sig") if texts else None
        except UnicodeDecodeError:
            raise InputError(f"{texts[0]}: not a text file in UTF-8; save it as one") from None


def line_beside(folder: Path, image: Path, text: str) -> Sample:
    """The sample of a picture of one line below a folder; pictures in a folder of their own count as those of a page."""
    name = image.relative_to(folder)
    page = name.parent.as_posix() if name.parent.name not in ("", *SPLITS) else None
    return Sample(
        name.with_suffix("").as_posix(), normalise(text), split_of(name), partial(open_image, image), form=page
    )


def _from_texts(folder: Path) -> list[Sample]:
    return [line_beside(folder, image, text or "") for image, text in pictures_with_texts(folder)]
