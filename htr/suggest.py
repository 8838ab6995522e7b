"""Chooses lines to transcribe next: `python -m htr.suggest PAGES --out lines`; corrected, they go to `htr.finetune`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from htr.batch import find_all_pages, find_files, read_pages
from htr.cli import add_language, add_weights, complain, run
from htr.errors import InputError
from htr.files import make_writable
from htr.messages import counted
from htr.pages.containers import Page
from htr.pages.images import PDF_DPI, grey


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m htr.suggest",
        description="Reads pages and writes the lines whose correction would teach most, as pictures with a .txt each.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE|FOLDER", help="pictures or PDF files of pages")
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
    files, _, broken = find_files(arguments.files, out)
    from htr.finetuning.unread import keys_of, parted_by_text

    given = set(map(Path, arguments.files))
    parted = {folder: parted_by_text(folder, _below(folder, files)) for folder in given if folder.is_dir()}
    wanted = given.union(*(without for without, _ in parted.values()))
    unread = {file: result for file, result in files.items() if file in wanted}
    tasks, unopened = find_all_pages(unread, out)
    broken += unopened
    if not tasks:
        if broken:
            return 2
        raise InputError(f"{arguments.files[0]}: all pictures there have a text; give pages that nobody transcribed")
    make_writable(out)
    from htr.finetuning.suggestion import Candidate, choose, keys_of_lines, write_lines
    from htr.reader import load
    from htr.weights import DEFAULT, start_of

    known = keys_of(file for _, transcribed in parted.values() for file in transcribed if file not in given)
    candidates: list[Candidate] = []
    reader = load(arguments.weights, arguments.language)
    pages = read_pages(reader, tasks, PDF_DPI, [_key_of_page, keys_of_lines])
    for task, page, keys in tqdm(pages, total=len(tasks), unit=" pages", disable=None):
        if isinstance(page, InputError):
            complain(page)
            broken.append(str(page))
        else:
            of_page, of_lines = (made.decode() for made in keys)
            if of_page not in known:
                candidates += [
                    Candidate.of(task, number, line)
                    for number, (line, key) in enumerate(zip(page.lines, of_lines.split()))
                    if key not in known
                ]
            known |= {of_page, *of_lines.split()}  # it may come again as a copy
    chosen = choose(candidates, arguments.count)
    if not chosen:
        if broken:
            return 2
        raise InputError(
            f"{arguments.files[0]}: no lines of handwriting were found that nobody has transcribed; give other pages"
        )
    gone = write_lines(chosen, out, PDF_DPI)
    for error in gone.values():
        complain(error)
    chosen = [candidate for candidate in chosen if candidate.task not in gone]
    if not chosen:
        return 2
    lines, of = counted(len(candidates), "line"), counted(len({candidate.task for candidate in chosen}), "page")
    # Weights that have learnt what was transcribed before would know lines that are held out.
    weights = start_of(reader.weights)
    start = f' --weights "{weights}"' if weights != DEFAULT else ""
    if arguments.language != "auto":
        start += f' --language "{arguments.language}"'
    # All that was transcribed is best learnt together.
    whole = next((folder for folder, (_, before) in parted.items() if before and _is_below(out, folder)), None)
    together = f"with all else in {whole}" if whole else "best in one folder with all that you have transcribed before"
    print(
        f"{len(chosen)} of {lines}, of {of}, are in {out}: correct each .txt, delete what cannot be read, then teach them,"
    )
    print(f"{together}:")
    print(f'python -m htr.finetune "{whole or out}" --out {_unused()}{start}')
    return 2 if broken or gone else 0


def _key_of_page(_: Page, picture: Image.Image) -> bytes:
    """By which a page is known again of which a copy has been transcribed."""
    from htr.finetuning.lines import key_of

    return key_of(grey(np.asarray(picture))).encode()


def _below(folder: Path, files: Iterable[Path]) -> list[Path]:
    return [file for file in files if folder in file.parents]


def _is_below(out: Path, folder: Path) -> bool:
    return out.resolve().is_relative_to(folder.resolve())


def _unused() -> Path:
    """A name for new weights in the folder runs, at which none lie and none are being made."""
    names = (Path("runs", f"my{number if number > 1 else ''}.safetensors") for number in count(1))
    return next(name for name in names if not name.exists() and not name.with_suffix(".run").exists())


if __name__ == "__main__":
    run(main)
