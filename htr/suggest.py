"""Chooses lines to transcribe next: `python -m htr.suggest PAGES --out lines`; corrected, they go to `htr.finetune`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from htr.batch import Task, find_all_pages, find_files, read_pages
from htr.cli import add_language, add_weights, complain, run
from htr.errors import InputError
from htr.files import make_writable
from htr.messages import counted
from htr.pages.containers import Page
from htr.pages.images import grey

if TYPE_CHECKING:
    from htr.finetuning.suggestion import Candidate
    from htr.reader import Reader


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m htr.suggest",
        description="Reads pages and writes the lines whose correction would teach most, as pictures with a .txt each.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE|FOLDER",
        help="pictures or PDF files of pages; of a folder, those without a text",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the lines go")
    parser.add_argument("--count", type=int, default=50, metavar="N", help="how many lines (default: 50)")
    add_weights(parser, "weights to teach")
    add_language(parser)
    arguments = parser.parse_intermixed_args()
    out: Path = arguments.out
    if arguments.count < 1:
        raise InputError(f"--count: {arguments.count} is no number of lines; give 1 or more")
    if out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise InputError(f"{out}: is not empty, and may hold texts that were corrected; choose another --out")
    given = _look(arguments.files, out)
    if not given.tasks:
        if given.broken:
            return 2
        raise InputError(f"{arguments.files[0]}: all pictures there have a text; give pages that nobody transcribed")
    from htr.finetuning.suggestion import choose, write_lines
    from htr.reader import load

    reader = load(arguments.weights, arguments.language)
    make_writable(out)
    candidates, unread = _candidates(reader, given)
    chosen = choose(candidates, arguments.count)
    if not chosen:
        if given.broken or unread:
            return 2
        raise InputError(
            f"{arguments.files[0]}: no lines of handwriting were found that nobody has transcribed; give other pages"
        )
    gone = write_lines(chosen, out)
    for error in gone.values():
        complain(error)
    chosen = [candidate for candidate in chosen if candidate.task not in gone]
    if not chosen:
        return 2
    lines, pages = counted(len(candidates), "line"), counted(len({candidate.task for candidate in chosen}), "page")
    print(
        f"{len(chosen)} of {lines}, of {pages}, are in {out}: correct each .txt, delete what cannot be read, then teach them,"
    )
    print(_how_to_teach(out, given.whole, reader, arguments.language))
    return 2 if given.broken or unread or gone else 0


class _Given(NamedTuple):
    """What was given.

    Attributes:
        tasks: the pages to read.
        transcribed: pictures with a text, of which nothing is suggested.
        whole: the folder, if any, in which such lie and the new lines will.
        broken: what cannot be read, and why.
    """

    tasks: list[Task]
    transcribed: list[Path]
    whole: Path | None
    broken: list[str]


def _look(names: Sequence[str], out: Path) -> _Given:
    """Looks for pages that nobody transcribed; a picture that is named is wanted in any case."""
    files, _, broken = find_files(names, out)
    from htr.finetuning.unread import parted_by_text

    given = list(dict.fromkeys(map(Path, names)))
    parted = {folder: parted_by_text(folder, _below(folder, files)) for folder in given if folder.is_dir()}
    wanted = {*given, *(file for without, _ in parted.values() for file in without)}
    tasks, unopened = find_all_pages({file: result for file, result in files.items() if file in wanted}, out)
    transcribed = [file for _, with_text in parted.values() for file in with_text if file not in given]
    whole = next((folder for folder, (_, with_text) in parted.items() if with_text and _is_in(out, folder)), None)
    if whole and _would_be_lost(out, whole, parted[whole][1]):
        raise InputError(
            f"{out}: lines there would not be learnt, as of {whole} only what is marked train is; choose an --out in a folder called "
            "train there"
        )
    return _Given(tasks, transcribed, whole, broken + unopened)


def _would_be_lost(out: Path, whole: Path, transcribed: Sequence[Path]) -> bool:
    """Whether fine-tuning would leave alone what lies in a folder, as it is for tests, or not marked train as other lines are.

    Args:
        out: the folder.
        whole: the folder around it from which is learnt.
        transcribed: pictures there that have a text.
    """
    from htr.corpora.folder import lines_of_table, table_of
    from htr.corpora.sample import told_split

    split = told_split(out.resolve().relative_to(whole.resolve()) / "line")
    table = table_of(whole)
    splits = [sample.split for sample in lines_of_table(table)[0]] if table else []
    splits += [told_split(file.relative_to(whole)) for file in transcribed]
    return split == "test" or (split is None and "train" in splits)


def _candidates(reader: Reader, given: _Given) -> tuple[list[Candidate], list[str]]:
    """The lines of the pages, none twice, and why some pages cannot be read, which is said at once."""
    from htr.finetuning.suggestion import Candidate, keys_of_lines
    from htr.finetuning.unread import keys_of

    known = keys_of(given.transcribed)
    candidates: list[Candidate] = []
    unread = []
    pages = read_pages(reader, given.tasks, None, [_key_of_page, keys_of_lines])
    for task, page, keys in tqdm(pages, total=len(given.tasks), unit=" pages", disable=None):
        if isinstance(page, InputError):
            complain(page)
            unread.append(str(page))
            continue
        of_page, of_lines = (made.decode() for made in keys)
        if of_page not in known:
            candidates += [
                Candidate.of(task, number, line)
                for number, (line, key) in enumerate(zip(page.lines, of_lines.split()))
                if key not in known
            ]
        known |= {of_page, *of_lines.split()}  # it may come again as a copy
    return candidates, unread


def _how_to_teach(out: Path, whole: Path | None, reader: Reader, language: str) -> str:
    """With which command; `whole` is the folder of all that was transcribed, if `out` lies there."""
    from htr.weights import DEFAULT, start_of, taught_from, taught_of

    # Weights that have learnt what was transcribed before would know lines that are held out.
    weights = start_of(reader.weights)
    start = f' --weights "{weights}"' if weights != DEFAULT else ""
    if language != "auto":
        start += f' --language "{language}"'
    together = f"with all else in {whole}" if whole else "best in one folder with all that you have transcribed before"
    if whole and weights != reader.weights.file:
        training = reader.weights.header.training
        known = taught_of(training, whole)
        if elsewhere := [name for name in dict.fromkeys(taught_from(training)) if name not in known]:
            together += f", and with what these weights have learnt from {', '.join(elsewhere)}; copy it there"
    return f'{together}:\npython -m htr.finetune "{whole or out}" --out {_unused()}{start}'


def _key_of_page(_: Page, picture: Image.Image) -> bytes:
    """By which a page is known again of which a copy has been transcribed."""
    from htr.finetuning.lines import key_of

    return key_of(grey(np.asarray(picture))).encode()


def _below(folder: Path, files: Iterable[Path]) -> list[Path]:
    return [file for file in files if folder in file.parents]


def _is_in(out: Path, folder: Path) -> bool:
    return out.resolve().is_relative_to(folder.resolve())


def _unused() -> Path:
    """A name for new weights in the folder runs, at which none lie and none are being made."""
    names = (Path("runs", f"my{number if number > 1 else ''}.safetensors") for number in count(1))
    return next(name for name in names if not name.exists() and not name.with_suffix(".run").exists())


if __name__ == "__main__":
    run(main)
