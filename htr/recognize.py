"""Reads pages or lines: `python -m htr.recognize FILE|FOLDER... [--line] [--format F] [--out DIR [--overlay] [--resume]]`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from htr.batch import OVERLAY, Task, find_all_pages, find_files, read_lines, read_pages
from htr.cli import FULL, add_language, add_weights, complain, run
from htr.errors import InputError
from htr.files import make_writable, write_whole
from htr.messages import counted, on_one_line, printable
from htr.pages.containers import Page
from htr.pages.images import PDF_DPI
from htr.writers import WRITERS, draw_overlay

# Bytes that file systems allow for a name.
_LONGEST_NAME = 255

# Kinds of files passed over, and pages read with little confidence, that are named.
_KINDS = _UNSURE = 5

# Mean confidence, in percent, below which about one character in six or more is wrong.
_LITTLE = 80


def main() -> int:
    arguments = _arguments()
    out: Path | None = arguments.out
    writer = WRITERS[arguments.format]
    makers = {writer.suffix: writer.write}
    if arguments.overlay:
        makers[OVERLAY] = _overlay
    files, others, broken = find_files(arguments.files, out)
    tasks, unopened = find_all_pages(files, out)
    broken += unopened
    total = len(tasks) + len(broken)
    if not out and len(tasks) > 1 and arguments.format in ("alto", "page", "page2013", "hocr"):
        raise InputError(f"--format {arguments.format}: each of several pages needs a file of its own; give --out DIR")
    missing: set[Path] = set()
    if out:
        tasks, missing, unnamed = _unwritten(tasks, out, makers, arguments.resume)
        broken += unnamed
    there = total - len(tasks) - len(broken)
    results: Iterable = ()
    if tasks:
        from htr.reader import load

        read = read_lines if arguments.line else read_pages
        results = read(load(arguments.weights, arguments.language), tasks, arguments.dpi, list(makers.values()))
    unit = "lines" if arguments.line else "pages"
    # As `head` names several files.
    titled = arguments.format == "text" and not arguments.line and total > 1
    printed, done = False, 0
    ended: InputError | None = None
    confidences: dict[str, tuple[float, int]] = {}
    progress = tqdm(total=total, initial=total - len(tasks), unit=f" {unit}", disable=None if total > 1 else True)
    try:
        for task, page, contents in results:
            progress.update()
            with tqdm.external_write_mode(file=sys.stderr):
                if isinstance(page, InputError):
                    broken.append(str(page))
                    complain(page)
                    continue
                for note in page.notes:
                    print(printable(f"{task.name}: {note}"), file=sys.stderr)
            if page.text:
                confidences[task.name] = _confidence(page)
            if out:
                if failure := _keep(zip(_targets(task, out, makers), contents), missing):
                    broken.append(str(failure))
                    complain(failure)
                    continue
            # A line in which nothing could be read keeps its row; pictures that cannot be opened are named and have none.
            elif content := contents[0] or b"\n" * arguments.line:
                with tqdm.external_write_mode(file=sys.stdout):
                    title = printable(f"{chr(10) * printed}==> {task.name} <==\n") if titled else ""
                    _show(title.encode() + content.removeprefix(writer.header if printed else b""))
                printed = True
            done += 1
    except InputError as error:
        ended = error  # once it is told what was read
    except KeyboardInterrupt:
        if out:
            print(
                "\nstopped; what is written stays, and the same command with --resume goes on (with make: ARGS=--resume)",
                file=sys.stderr,
            )
        raise
    finally:
        progress.close()
    if confidences:
        print(printable(_told(confidences)), file=sys.stderr)
    if total > 1 or others or there:
        left = total - there - len(broken) - done if ended else 0
        more = ("there before", there), ("broken", len(broken)), ("left", left)
        counts = [f"{done} read", *(f"{count} {what}" for what, count in more if count)]
        summary = f"{unit}: {', '.join(counts)}{_passed_over(others)}"
        print(printable("\n  ".join([summary, *map(on_one_line, broken)])), file=sys.stderr)
    if ended:
        raise ended
    return 2 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m htr.recognize", description="Reads handwriting.")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE|FOLDER",
        help="pictures or PDF files of pages (or of lines, with --line); of a FOLDER, those in it and in the folders "
        "below it, page2 before page10",
    )
    parser.add_argument("--line", action="store_true", help="each picture is one text line, not a page")
    parser.add_argument("--format", choices=tuple(WRITERS), default="text", help="what to write (default: text)")
    parser.add_argument(
        "--out",
        type=_folder,
        metavar="DIR",
        help="write a file for each page there, in the folders that a FOLDER has",
    )
    parser.add_argument(
        "--overlay", action="store_true", help="write each page with all that was found drawn on it too"
    )
    parser.add_argument("--resume", action="store_true", help="go on: pass over pages whose results are in DIR")
    parser.add_argument(
        "--dpi",
        type=int,
        metavar="N",
        help=f"pixels per inch of PDF pages (default: {PDF_DPI}, or those of coarser scans)",
    )
    add_weights(parser)
    add_language(parser)
    arguments = parser.parse_intermixed_args()
    if not arguments.out:
        for option in ("overlay", "resume"):
            if getattr(arguments, option):
                raise InputError(f"--{option}: needs a folder of results; give --out DIR (with make: OUT=DIR)")
        if arguments.format == "pdf":
            raise InputError("--format pdf: cannot be shown on the screen; give --out DIR (with make: OUT=DIR)")
    if arguments.dpi is not None and not 20 <= arguments.dpi <= 2400:
        raise InputError(f"--dpi {arguments.dpi}: must be from 20 to 2400")
    return arguments


def _folder(word: str) -> Path:
    if not word:  # of a variable that is not set; as a path, it is the current folder
        raise argparse.ArgumentTypeError("an empty name was given; name a folder")
    return Path(word)


def _unwritten(
    tasks: list[Task], out: Path, suffixes: Iterable[str], resume: bool
) -> tuple[list[Task], set[Path], list[str]]:
    """The pages of which results are still to be written, and these; no file that is there is written over.

    Third, what is wrong with pages whose results no file can be called by, each of which is said at once.
    """
    given = {os.path.realpath(task.file) for task in tasks}
    unwritten = []
    missing: set[Path] = set()
    unnamed = []
    for task in tasks:
        targets = _targets(task, out, suffixes)
        if (over := max(len(os.fsencode(target.name)) for target in targets) - _LONGEST_NAME) > 0:
            error = InputError(
                f"{task.name}: with what results add, this name is too long for a file; give the page a shorter one, by "
                f"{counted(over, 'byte')} (letters such as é are two bytes or more)"
            )
            unnamed.append(str(error))
            complain(error)
            continue
        there = [target for target in targets if os.path.lexists(target)]  # links to nowhere too
        if read := [target for target in there if os.path.realpath(target) in given]:
            raise InputError(
                f"{read[0]}: is to be read, and the result would go there too; choose another folder with --out"
            )
        if there and not resume:
            raise InputError(
                f"{there[0]}: is there already; choose another folder or remove it, or, if it is of this page, go on with --resume"
            )
        if len(there) < len(targets):
            unwritten.append(task)
            missing.update(set(targets).difference(there))
    make_writable(out)
    return unwritten, missing, unnamed


def _confidence(page: Page) -> tuple[float, int]:
    """The mean over the characters of a page that was read, in percent, and how many these are."""
    lines = [line for line in page.lines if line.text]
    count = sum(len(line.text) for line in lines)
    return 100 * sum(line.confidence * len(line.text) for line in lines) / count, count


def _told(confidences: dict[str, tuple[float, int]]) -> str:
    """How sure the reading of some pages was, and what helps against doubt."""
    # By characters: a page of a number alone must not count as much as a full one.
    count = sum(characters for _, characters in confidences.values())
    mean = f"mean confidence {sum(value * characters for value, characters in confidences.values()) / count:.0f} %"
    little = [(name, *found) for name, found in confidences.items() if found[0] < _LITTLE]
    if not little:
        return mean
    taught = "to teach htr this hand, correct a page or two (README, Teach it a hand)"
    if len(confidences) == 1:
        return f"{mean}, so much will be wrong; {taught}"
    # Those first of which most is likely to be wrong.
    little.sort(key=lambda each: (each[1] - 100) * each[2])
    named = ", ".join(f"{name} ({value:.0f} %)" for name, value, _ in little[:_UNSURE])
    more = ", ..." if len(little) > _UNSURE else ""
    return f"{mean}; {len(little)} of {len(confidences)} below {_LITTLE} %: {named}{more}; {taught}"


def _passed_over(others: Counter[str]) -> str:
    """How many files of other kinds there were; nothing where there were none."""
    if not others:
        return ""
    commonest = sorted(others.items(), key=lambda item: (-item[1], item[0]))[:_KINDS]
    kinds = ", ".join(f"{count} {on_one_line(kind)}" for kind, count in commonest)
    return f"; other files passed over: {others.total()} ({kinds}{', ...' if len(others) > _KINDS else ''})"


def _show(content: bytes) -> None:
    """Prints UTF-8, whatever the screen's encoding is: in another, XML would be broken."""
    if sys.stdout is None:
        raise InputError("there is no screen to write to; give --out DIR")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # who reads along has seen enough
        raise
    except OSError as error:
        raise InputError(f"the output cannot be written ({error.strerror}); make room, or give --out DIR") from None


def _targets(task: Task, out: Path, suffixes: Iterable[str]) -> list[Path]:
    return [out / f"{task.result}{suffix}" for suffix in suffixes]


def _keep(results: Iterable[tuple[Path, bytes]], missing: set[Path]) -> InputError | None:
    """Writes those results of a page that are not there; says why one cannot be written, if so."""
    failures = [_write(target, content) for target, content in results if target in missing]
    return next(filter(None, failures), None)


def _write(target: Path, content: bytes) -> InputError | None:
    """Writes a result that was not there before.

    Returns:
        Why it cannot be written, if so.

    Raises:
        InputError: nothing else can be written either.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            return InputError(
                f"{target}: was written meanwhile, by another run or for a page whose name this disk takes for the same; "
                "rename one or use two folders"
            )
        write_whole(target, content)
    except OSError as error:
        if error.errno in FULL:
            raise InputError(
                f"{target}: cannot be written ({error.strerror}); make room there, or make it writable, and go on with --resume"
            ) from None
        return InputError(f"{target}: cannot be written ({error.strerror}); mend that, or choose another --out")
    return None


def _overlay(page: Page, picture: Image.Image) -> bytes:
    jpeg = io.BytesIO()
    draw_overlay(page, picture).save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()


if __name__ == "__main__":
    run(main)
