"""The folder of a fine-tuning, and how it is known again when the same command is given once more."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from htr.batch import is_result
from htr.corpora.source import check_source
from htr.errors import InputError
from htr.files import BEGUN, OF_RUN, check_weights_name, files_below, in_run, make_writable, write_whole
from htr.finetuning.lines import are_written, forget_lines
from htr.language import AUTO, find_models
from htr.pages.images import SUFFIXES
from htr.training.config import TrainConfig
from htr.training.folder import OtherRun
from htr.training.loop import TOLD
from htr.training.run import train
from htr.weights import Weights, first_start, sha256, start_of, taught_of

log = logging.getLogger(__name__)

# Bytes at the beginning and the end of a file by which it is known again.
_ENDS = 65536

# Files that a source is made of.
_READ = {*SUFFIXES, ".xml", ".txt", ".tsv", ".csv"}


# By device and number of the folder: runs of this process, held until it ends, for their trainings all learn from what lies there.
_HELD: dict[tuple[int, int], FileLock] = {}

# Seconds in which processes that load lines notice that the one they did it for was killed.
_WAIT = 10.0


def claim(
    source: Path | None,
    out: Path,
    parent: Weights,
    overrides: list[str],
    unread: Path | None = None,
    language: str = AUTO,
) -> Path:
    """The run's folder, made or found to be of the same run.

    Args:
        source: labelled lines, if there are any.
        out: the new weights file.
        parent: weights to go on from.
        overrides: `key=value` words.
        unread: a folder of pages that nobody transcribed.
        language: that helps in reading.

    Raises:
        InputError: a path cannot be used, `out` is there already, or its folder holds another run, or is another process's.
    """
    check_weights_name(out)
    if out.exists() and out.samefile(parent.file):
        raise InputError(f"{out}: these are the weights to go on from, which stay as they are; choose another --out")
    if source:
        check_source(source)
    if unread and not unread.is_dir():
        raise InputError(f"{unread}: is no folder; give --unread one with pages that nobody transcribed")
    folder = out.with_suffix(OF_RUN)
    mark = folder / BEGUN
    begun = {"source": _fingerprint(source) if source else None, "parent": parent.sha256, "overrides": overrides}
    if unread:
        begun["unread"] = _fingerprint(unread)
    if language != AUTO:
        begun["language"] = [sha256(file) for file in find_models(language)]
    if mark.is_file():
        _hold(folder)
    try:
        earlier = json.loads(mark.read_text(encoding="utf-8")) if mark.is_file() else None
    except ValueError:
        raise InputError(f"{mark}: damaged or cut short; delete {folder}, or choose another --out") from None
    # Before its lines are there, the run has nothing that other lines would harm.
    if earlier and are_written(folder / ("lines" if earlier["source"] else "unread")):
        if earlier != begun:
            raise InputError(
                f"{folder}: holds a run with other lines, unread pages, language, weights or values (texts and XML that came "
                f"to SOURCE count, too); choose another --out, or delete {_all_of(folder)}"
            )
        return folder
    if out.exists():
        raise InputError(f"{out}: is there already; choose another --out, or delete it")
    if out.with_suffix(".md").exists():
        raise InputError(
            f"{out.with_suffix('.md')}: is there already, where the report goes; choose another --out, or move it away"
        )
    if not earlier and folder.is_dir() and (lines := [*filter(are_written, folder.iterdir())]):
        raise InputError(
            f"{lines[0]}: holds lines of which nothing says where they are from; choose another --out, or move them away"
        )
    make_writable(folder)
    _hold(folder)
    if earlier:
        for corpus in filter(are_written, folder.iterdir()):  # of a run that came to nothing, perhaps of other pages
            forget_lines(corpus)
    write_whole(mark, json.dumps(begun, indent=1, ensure_ascii=False) + "\n")
    return folder


@contextmanager
def gathering() -> Iterator[None]:
    """While lines are gathered: says of Ctrl-C that they are gathered anew the next time."""
    try:
        yield
    except KeyboardInterrupt:
        log.warning("stopped before there were lines to learn; the same command begins again")
        raise KeyboardInterrupt(TOLD) from None


def train_in(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """One of the trainings of the run in a folder, as `htr.training.run.train` does it.

    Raises:
        InputError: what was begun there is another one.
    """
    try:
        return train(config)
    except OtherRun:
        raise InputError(
            f"{folder}: was begun with other values, perhaps by an earlier version of htr, or its lines were changed since; choose "
            f"another --out, or delete {_all_of(folder)}"
        ) from None


def _all_of(folder: Path) -> str:
    """What there is of the run in a folder, as messages name it."""
    files = (folder.with_suffix(ending) for ending in (".safetensors", ".md"))
    return " and ".join(["this folder", *(str(file) for file in files if file.exists())])


def tell_taught(source: Path, parent: Weights) -> list[str]:
    """Says so where weights may know lines of a source; returns the names of the folders from which they do."""
    names = taught_of(parent.header.training, source)
    if names:
        start, first = start_of(parent), first_start(parent)
        if start == parent.file:
            start = f"the weights from which {parent.file} came ({first['file']}, {first['sha256'][:12]}…)"
        log.warning(
            "%s: has learnt from %s, and may know lines that are held out, so that these are read too well before; to learn all "
            "together, go on from %s (--weights)",
            parent.file, ", ".join(names), start,
        )  # fmt: skip
    return names


def _hold(folder: Path) -> None:
    """Keeps other processes out of a run's folder."""
    about = folder.stat()
    if (about.st_dev, about.st_ino) in _HELD:
        return
    lock = FileLock(folder / "lock", timeout=_WAIT)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{folder}: another fine-tuning is at work there; wait for it, or choose another --out"
        ) from None
    _HELD[about.st_dev, about.st_ino] = lock


def _fingerprint(source: Path) -> str:
    """What shows whether a source changed; runs, PDF files with their text and pictures of readings may lie in it."""
    root = source.resolve()
    files = {file.relative_to(root): file for file in files_below(root) if file.suffix.lower() in _READ}
    rows = [f"{name} {_mark(file)}" for name, file in files.items() if not (in_run(file, root) or is_result(file))]
    return hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()


def _mark(file: Path) -> str:
    """Size and checksum of the beginning and the end of a file, which may be large; of one that cannot be read the size alone."""
    size = file.stat().st_size
    try:
        with file.open("rb") as content:
            ends = content.read(_ENDS)
            content.seek(max(size - _ENDS, 0))
            ends += content.read(_ENDS)
    except OSError:  # told of when it is read
        ends = b""
    return f"{size} {hashlib.sha256(ends).hexdigest()}"
