"""A person's labelled lines on their way into fine-tuning: checked, parted into those learnt and held out, written as files."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import random
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from tqdm import tqdm

from htr.corpora.folder import lines_of_table
from htr.corpora.sample import Doubt, Sample
from htr.corpora.source import Source
from htr.decoding import columns_needed
from htr.errors import InputError
from htr.files import read_text, write_whole
from htr.lineimage import columns_of, prepare
from htr.messages import counted, printable
from htr.pages.images import can_hold_writing

log = logging.getLogger(__name__)

_TABLE = "lines.tsv"

FEWEST = 8
"""Lines below which there is nothing to learn by and check by."""

# A line whose characters are so many times as wide, or as narrow, as is usual has the text of another one.
_ODD = 3.0

# Characters as wide as which a picture may be beyond that.
_SPARE = 2

# Characters of a text that is set aside, as far as it is listed: a page's may be a whole book.
_LONGEST = 1000

# Lines that are held out: about this share, and by whole pages only where that is at most the other.
_HELD_OUT, _MOST_HELD_OUT = 0.15, 0.34

# Of the lines that are to be held out: fewer, such as the greetings on last pages, tell too little.
_ENOUGH = 2 / 3


def choose_lines(source: Source, aside: Path, height: int, width_stride: int) -> list[Sample]:
    """Parts the lines of a source that can be learnt from into those learnt and those held out.

    Lines are set aside whose picture cannot be opened, shows no writing or stands there twice (also among those of test), whose text
    does not fit into the picture's columns, or is far too long or short for its width.

    Args:
        source: the lines. If some are of the split train, also of those set aside, those of test are left alone; otherwise all are
            used but those in a folder called test, or, if all are of test, these. Those of val are held out; where none is, or all
            are, some of them (`hold_out`).
        aside: gets all lines that are set aside, those of the source included.
        height, width_stride: of the network.

    Returns:
        The lines, of the splits train and val.

    Raises:
        InputError: fewer than `FEWEST` lines are left, or none to learn from.
        OSError: `aside` cannot be written.
    """
    used = _used(source)
    samples, doubts = _fitting(used, _kept_for_tests(source, used), height, width_stride)
    doubts = [*source.doubts, *doubts]
    aside.parent.mkdir(parents=True, exist_ok=True)
    write_doubts(aside, doubts)
    if len(samples) < FEWEST:
        are = "is" if len(doubts) == 1 else "are"
        because = f"; {len(doubts)} {are} set aside ({aside}), {doubts[0].line}: {doubts[0].reason}" if doubts else ""
        raise InputError(
            f"{source.folder}: has {counted(len(samples), 'line')} to learn from and to check by, too few{because}; give at "
            f"least {FEWEST} different ones with their texts, better a page or two"
        )
    if not any(sample.split == "train" for sample in samples):
        raise InputError(
            f"{source.folder}: all lines of the split train are set aside, for reasons that {aside} tells; correct them"
        )
    if not any(sample.split == "val" for sample in samples):
        held = hold_out(samples)
        samples = [replace(sample, split="val" if sample.id in held else "train") for sample in samples]
    return samples


def key_of(picture: np.ndarray) -> str:
    """By which a picture is known again."""
    return hashlib.sha256(picture.tobytes() + str(picture.shape).encode()).hexdigest()


def write_lines(folder: Path, samples: Iterable[Sample]) -> None:
    """Writes lines as a corpus that `htr.corpora.folder.load_folder` reads, and `written_lines` too."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    table.write("file\ttext\tpage\tsplit\tcut_out\n")
    for number, sample in enumerate(samples):
        file = Path("pictures") / f"{number:05d}.png"
        page = " ".join(printable(sample.form or "").split())  # no tab can stand in a field
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / file, cv2.imencode(".png", sample.image())[1].tobytes())
        table.write(f"{file.as_posix()}\t{sample.text}\t{page}\t{sample.split}\t{'yes' * sample.cut_out}\n")
    # The table comes last: where it is, all is.
    write_whole(folder / _TABLE, table.getvalue())


def are_written(folder: Path) -> bool:
    """Whether all the lines are there that `write_lines` was to write to a folder."""
    return (folder / _TABLE).is_file()


def written_lines(folder: Path) -> list[Sample]:
    """The lines that `write_lines` wrote, also those without a text.

    Raises:
        InputError: they have been changed since, and not all can be used.
    """
    samples, doubts = lines_of_table(folder / _TABLE)
    if doubts:
        raise InputError(f"{folder / _TABLE}: {doubts[0].line}: {doubts[0].reason}; or choose another --out")
    return samples


def forget_lines(folder: Path) -> None:
    """Makes the lines in a folder count as not written."""
    (folder / _TABLE).unlink(missing_ok=True)


def write_doubts(file: Path, doubts: Iterable[Doubt]) -> None:
    """Writes which lines are set aside."""
    table = io.StringIO(newline="")
    rows = [[printable(field)[:_LONGEST] for field in doubt[:3]] for doubt in doubts]
    csv.writer(table, dialect="excel-tab").writerows([Doubt._fields[:3], *rows])
    write_whole(file, table.getvalue())


def read_doubts(file: Path) -> list[Doubt]:
    """Reads what `write_doubts` wrote; if another program changed its form, or it is gone, a log line says so and there are none."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(file), newline=""), dialect="excel-tab"))
        return [Doubt(*row) for row in rows[1:] if row]
    except (InputError, TypeError, csv.Error):
        log.warning(
            "%s: is gone, or another program has changed it; the lines that were set aside are not told again", file
        )
        return []


def hold_out(samples: list[Sample]) -> set[str]:
    """Chooses lines to check by.

    Whole pages, since lines of one page are alike; where no pages come near to that number of lines, the last lines of each;
    lines at random where pages are not known.

    Returns:
        Ids of about a seventh of the lines, at least two.
    """
    wanted = max(2, round(_HELD_OUT * len(samples)))
    forms = {sample.form for sample in samples}
    pages: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        # A line of no known page is held out alone.
        pages[_page_of(sample.form, forms) if sample.form else f"\0{sample.id}"].append(sample.id)
    rng = random.Random(0)
    order = sorted(pages)
    rng.shuffle(order)
    # Of each number of lines the pages, with their places in that order, the first one last.
    alike: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for place, page in reversed(list(enumerate(order))):
        alike[len(pages[page])].append((place, page))
    held: list[str] = []
    while alike and len(held) < wanted:
        # The page that comes nearest to what is still wanted, of like ones any.
        count = min(alike, key=lambda count: (abs(count - wanted + len(held)), alike[count][-1]))
        if len(held) + count > _MOST_HELD_OUT * len(samples):
            break
        held += pages[alike[count].pop()[1]]
        if not alike[count]:
            del alike[count]
    if len(held) >= max(2, _ENOUGH * wanted):
        return set(held)
    share = wanted / len(samples)
    parts: dict[str | None, list[Sample]] = defaultdict(list)
    for sample in samples:
        parts[sample.form and _page_of(sample.form, forms)].append(sample)  # those of no known page together
    return {name for lines in parts.values() for name in _last(lines, share)}


def _last(samples: list[Sample], share: float) -> list[str]:
    """Ids of a share of the lines of a page, at least one, and of those that are the same lines again."""
    lines: dict[str | int, list[str]] = defaultdict(list)
    several = len({sample.form for sample in samples}) > 1
    for sample in samples:
        # One that comes with its page and alone ends in the same number: page1-25, page1/025.
        number = re.search(r"\d+$", sample.id) if several else None
        lines[int(number[0]) if number else sample.id].append(sample.id)
    return [name for same in list(lines.values())[-max(1, round(share * len(lines))) :] for name in same]


def _page_of(form: str, forms: set[str | None]) -> str:
    """The page itself, where a folder has the name of one: `htr.suggest` puts lines of a page there, which may come again with it."""
    parts = form.split("/")
    return next(tail for first in reversed(range(len(parts))) if (tail := "/".join(parts[first:])) in forms)


def learn_all(samples: list[Sample]) -> list[Sample]:
    """All lines as train lines, and after them those held out as they are."""
    return [*(replace(sample, split="train") for sample in samples), *(s for s in samples if s.split == "val")]


def _used(source: Source) -> list[Sample]:
    samples = source.samples
    if source.leaves_train or any(sample.split == "train" for sample in samples):
        used = [sample for sample in samples if sample.split != "test"]
        if len(used) < len(samples):
            left = counted(len(samples) - len(used), "line")
            log.warning("%s of the split test (or of none) left alone, since others are of the split train", left)
        return used
    used = [sample for sample in samples if not (sample.told and sample.split == "test")]
    if 0 < len(used) < len(samples):
        log.warning("%s of the split test left alone", counted(len(samples) - len(used), "line"))
        samples = used
    # Where all lie in a folder that is called val, none is meant to be held out.
    chosen = any(sample.split != "val" for sample in samples)
    return [sample if chosen and sample.split == "val" else replace(sample, split="train") for sample in samples]


def _kept_for_tests(source: Source, used: list[Sample]) -> dict[str, str]:
    """Lines that are said to be of the split test, and are left alone: the keys of their pictures, and what to call them."""
    names = {sample.id for sample in used}
    kept = {}
    for sample in source.samples:
        if sample.told and sample.split == "test" and sample.id not in names:
            with suppress(InputError):  # of which no copy can be used either
                kept[key_of(sample.image())] = f"{sample.id}, which is of the split test"
    return kept


def _fitting(
    samples: list[Sample], kept: dict[str, str], height: int, width_stride: int
) -> tuple[list[Sample], list[Doubt]]:
    """The lines that can be learnt from, and the others, among them those whose pictures are `kept` for tests."""
    good: list[tuple[Sample, int]] = []
    doubts: list[Doubt] = []
    seen = dict(kept)
    for sample in tqdm(samples, desc="checking lines", unit=" lines", leave=False, disable=None):
        try:
            picture = sample.image()
        except InputError as error:
            doubts.append(Doubt(sample.id, sample.text, f"cannot be opened: {error}"))
            continue
        if not can_hold_writing(picture):
            reason = f"is only {picture.shape[1]} x {picture.shape[0]} pixels, too few to hold writing"
            doubts.append(Doubt(sample.id, sample.text, reason))
            continue
        prepared = prepare(picture, height, sample.cut_out).picture
        width = prepared.shape[1]
        key = key_of(picture)
        if not prepared.any():
            doubts.append(Doubt(sample.id, sample.text, "shows no writing"))
        elif key in seen:
            doubts.append(Doubt(sample.id, sample.text, f"is the same picture as {seen[key]}"))
        elif columns_needed(sample.text) > columns_of(width, width_stride):
            doubts.append(Doubt(sample.id, sample.text, "has a text too long for its picture"))
        else:
            good.append((sample, width))
            seen[key] = sample.id
    usual = median(width / len(sample.text) for sample, width in good) if good else 1.0
    fitting: list[Sample] = []
    for sample, width in good:
        # A figure that stands alone fills the height of its picture, which has paper at both ends.
        if len(sample.text) / _ODD < width / usual < _ODD * (len(sample.text) + _SPARE):
            fitting.append(sample)
        else:
            reason = "has a text far too long or too short for its picture's width"
            doubts.append(Doubt(sample.id, sample.text, reason))
    return fitting, doubts
