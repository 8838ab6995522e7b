"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from htr.errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path beside the file to write to, and puts that in the file's place at the end."""
    # Another name each time: two runs may write the same file. And a short one, since that of the file may be as long as can be.
    partial = path.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file in one step; text in UTF-8."""
    with written_whole(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def make_writable(folder: Path) -> None:
    """Makes a folder that results are to go to, before the work that leads to them.

    Raises:
        InputError: it cannot be made, or not be written to.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file where a folder is needed; choose another with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another with --out") from None
