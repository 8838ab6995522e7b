"""Reads pages or lines: `python -m htr.recognize FILE... [--line] [--format text|jsonl] [--out DIR] [--weights W]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from htr.cli import complain, printable, run
from htr.errors import InputError
from htr.files import make_writable, write_whole
from htr.pages.containers import Page

if TYPE_CHECKING:
    import numpy as np

    from htr.reader import Reader

# Lines that are opened before they are read together.
_CHUNK = 64


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m htr.recognize", description="Reads handwriting.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="pictures of pages (or of lines, with --line)")
    parser.add_argument("--line", action="store_true", help="each FILE is one text line, not a page")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text", help="what to write (default: text)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write one file for each FILE there, not to the screen")
    parser.add_argument("--weights", metavar="W", help="weights file (default: the weights that come with htr)")
    arguments = parser.parse_args()
    targets = _targets(arguments.out, arguments.files, arguments.format) if arguments.out else {}
    from htr.reader import load

    reader = load(arguments.weights)
    progress = tqdm(total=len(arguments.files), unit=" files", disable=None if len(arguments.files) > 1 else True)
    broken = written = 0
    for file, result in _read(reader, arguments.files, arguments.line):
        progress.update()
        with tqdm.external_write_mode(file=sys.stderr):
            if isinstance(result, InputError):
                broken += 1
                complain(result)
                continue
            for note in result.notes:
                print(f"{printable(file)}: {note}", file=sys.stderr)
        text = _as_json(result) if arguments.format == "jsonl" else result.text
        if targets:
            try:
                write_whole(targets[file], text + "\n" if text else "")
            except OSError as error:
                raise InputError(f"{targets[file]}: cannot be written ({error.strerror}); make room there") from None
        elif text:
            with tqdm.external_write_mode(file=sys.stdout):
                # Pages of plain text are set apart, so that one sees where the next begins.
                separator = "\n" if written and arguments.format == "text" and not arguments.line else ""
                print(separator + text, flush=True)
                written += 1
    progress.close()
    if broken and len(arguments.files) > 1:
        print(f"{broken} of {len(arguments.files)} files could not be read", file=sys.stderr)
    return 2 if broken else 0


def _read(reader: Reader, files: list[str], line: bool) -> Iterator[tuple[str, Page | InputError]]:
    if line:
        for start in range(0, len(files), _CHUNK):
            yield from _read_lines(reader, files[start : start + _CHUNK])
        return
    for file in files:
        try:
            yield file, reader.read_page(file)
        except InputError as error:
            yield file, error


def _read_lines(reader: Reader, files: list[str]) -> Iterator[tuple[str, Page | InputError]]:
    from htr.pages.images import open_image
    from htr.pages.lines import find_layout, looks_like_line

    opened: dict[str, np.ndarray | InputError] = {}
    for file in dict.fromkeys(files):
        try:
            opened[file] = open_image(file)
        except InputError as error:
            opened[file] = error
    pictures = {file: picture for file, picture in opened.items() if not isinstance(picture, InputError)}
    lines = dict(zip(pictures, reader.read_lines(list(pictures.values()))))
    for file in files:
        if file not in lines:
            yield file, opened[file]
            continue
        notes = []
        if not looks_like_line(pictures[file], find_layout(pictures[file]).lines):
            notes.append("looks like a page rather than a single line; read it without --line")
        elif not lines[file].text:
            notes.append("nothing could be read in this line")
        height, width = pictures[file].shape
        yield file, Page(width, height, [lines[file]] if lines[file].text else [], file, notes)


def _as_json(page: Page) -> str:
    lines = [{**asdict(line), "confidence": round(line.confidence, 4), "box": list(line.box)} for line in page.lines]
    content = {"file": page.file and printable(page.file), "width": page.width, "height": page.height, "lines": lines}
    return json.dumps(content, ensure_ascii=False)


def _targets(folder: Path, files: list[str], format: str) -> dict[str, Path]:
    """Says where the text of each file goes; no file that is there, and none of two of a name, is written over."""
    suffix = ".txt" if format == "text" else ".jsonl"
    targets: dict[str, Path] = {}
    sources: dict[Path, str] = {}
    for file in files:
        target = targets[file] = folder / printable(Path(file).stem + suffix)
        if sources.setdefault(target, file) != file:
            raise InputError(f"{file} and {sources[target]} would both be written to {target}; use two folders")
        if target.exists():
            raise InputError(f"{target}: is there already; remove it or choose another folder")
    make_writable(folder)
    return targets


if __name__ == "__main__":
    run(main)
