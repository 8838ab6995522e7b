"""Writing files so that a reader never sees half of one, and finding those that people have."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from htr.errors import InputError

log = logging.getLogger(__name__)

OF_RUN = ".run"
"""What the names of folders end in in which fine-tuning keeps copies of lines; they are passed over."""

BEGUN = "begun.json"
"""The file in such a folder that tells which fine-tuning it is of."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a path beside the file to write to, and puts that in the file's place at the end."""
    # Another name each time: two runs may write the same file. And a short one, since that of the file may be as long as can be.
    partial = path.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        yield partial
        with partial.open("rb+") as written:  # else a power cut may leave an empty file in its place
            os.fsync(written.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(partial)):
            error.filename = str(path)  # what the user knows; a full disk names nothing
        raise


def remove_partial(folder: Path) -> None:
    """Removes what `written_whole` left in a folder when it was killed; nothing else may be writing there."""
    for partial in folder.glob(".*.partial"):
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file in one step; text in UTF-8, with question marks for what is none in file names."""
    with written_whole(path) as partial:
        partial.write_bytes(content.encode(errors="replace") if isinstance(content, str) else content)


def make_writable(folder: Path) -> None:
    """Makes a folder that results are to go to, before the work that leads to them.

    Raises:
        InputError: it cannot be made, or not be written to.
    """
    try:
        if folder.is_file():
            raise InputError(f"{folder}: is a file where a folder is needed; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another folder") from None


def check_weights_name(out: Path) -> None:
    """Raises `InputError` where the name of a weights file that is to be written ends otherwise."""
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: must end in .safetensors; give --out my.safetensors (with make: OUT=my.safetensors)")


def new_weights_file(out: Path) -> None:
    """Makes the folder of a weights file that is to be written.

    Raises:
        InputError: its name ends otherwise, it is there already, or cannot be written.
    """
    check_weights_name(out)
    if out.exists():
        raise InputError(f"{out}: is there already; choose another --out, or remove it")
    make_writable(out.parent)


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and of those below it, linked ones too, sorted; without hidden ones and those in folders that are passed
    over (see `passed_over`). A folder that links lead to as well counts once, by its own name if it lies there, else by that of
    the first link. Folders that cannot be read are named in a log line."""
    found: list[Path] = []
    been: set[str] = set()
    tops = [str(folder)]

    def left_out(error: OSError) -> None:
        log.warning("%s: cannot be read (%s) and is left out", error.filename, error.strerror)

    for top in tops:  # which grows by the links that are found
        if os.path.realpath(top) in been:
            continue
        links: list[str] = []
        for place, folders, names in os.walk(top, onerror=left_out, followlinks=True):
            real = os.path.realpath(place)
            been.add(real)
            leads_to = {
                name: os.path.realpath(os.path.join(place, name))
                for name in folders
                if not passed_over(Path(place, name))
            }
            links += [os.path.join(place, name) for name, to in leads_to.items() if to != os.path.join(real, name)]
            folders[:] = [name for name, to in leads_to.items() if to == os.path.join(real, name) and to not in been]
            found += [Path(place, name) for name in names if not name.startswith(".")]
        tops += sorted(links)
    files = []
    for file in sorted(found):
        try:
            if file.is_file():
                files.append(file)
        except OSError as error:  # its folder may be listed, but not entered
            left_out(error)
    return files


def is_run(folder: Path) -> bool:
    """Whether a folder is one in which fine-tuning keeps copies of lines."""
    return folder.suffix == OF_RUN and os.path.isfile(folder / BEGUN)


def in_run(file: Path, source: Path) -> bool:
    """Whether a file lies in such a folder below a source."""
    return any(is_run(source / folder) for folder in file.relative_to(source).parents if folder.name)


def passed_over(folder: Path) -> bool:
    """Whether a folder is hidden, packed along by a system (`__MACOSX`, `@eaDir`), or holds small copies of the pictures beside it, as
    Transkribus' `thumbs` does."""
    if folder.name.startswith(".") or folder.name in ("__MACOSX", "@eaDir"):
        return True
    return folder.name == "thumbs" and not _stems_in(folder).isdisjoint(_stems_in(folder.parent))


def _stems_in(folder: Path) -> set[str]:
    """What the files of a folder are called but for their endings; nothing where it is not ours to list."""
    try:
        return {Path(name).stem for name in os.listdir(folder)}
    except OSError:
        return set()


def same_file(path: Path) -> Path | None:
    """The file of this name or, where there is none, the one whose name, or those of its folders, differ in nothing but capitals and
    the way in which accents are stored (Macs store them apart from their letters); None if there is neither. Its name is the
    one on disk, also where a disk takes such names for the same."""
    try:
        folder = _same_folder(path.parent)
        names = _names(folder, folder.stat().st_mtime_ns)[0]
        name = names.get(path.name) or names.get(plain(path.name))
    except (OSError, RecursionError):  # also where a name is longer than one can be, or the folder not ours to list
        name = None
    # A folder may be closed to listing.
    return folder / name if name else path if os.path.isfile(path) else None


def _same_folder(path: Path) -> Path:
    """The folder of this name or, where there is none, the one with a like name, as `same_file` finds files."""
    if path.is_dir() or path.parent == path:
        return path
    above = _same_folder(path.parent)
    return above / _names(above, above.stat().st_mtime_ns)[1].get(plain(path.name), path.name)


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, sorted; none where it is not ours to list."""
    try:
        return [folder / name for name in sorted(set(_names(folder, folder.stat().st_mtime_ns)[1].values()))]
    except OSError:
        return []


@lru_cache(maxsize=4096)  # of a table whose rows are in any order
def _names(folder: Path, changed: int) -> tuple[dict[str, str], dict[str, str]]:
    """The files and the folders of a folder as it was at a time, by their plain names and, before these, by those that they have."""
    listed = sorted(os.listdir(folder), reverse=True)
    folders = [name for name in listed if (folder / name).is_dir()]
    files = [name for name in listed if (folder / name).is_file()]  # not a link to nowhere
    return tuple({plain(name): name for name in names} | {name: name for name in names} for names in (files, folders))


def plain(name: str) -> str:
    """The same for all names that some disk, such as that of a Mac, takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def read_text(file: Path) -> str:
    """What stands in a text file in UTF-8, or in UTF-16 with its mark, as Windows writes it.

    Raises:
        InputError: it cannot be read, or is in another encoding.
    """
    try:
        content = file.read_bytes()
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if "\0" in text:  # UTF-16 without its mark
            raise UnicodeError
        return text
    except UnicodeError:
        raise InputError(
            f"{file}: not a text file in UTF-8; save it as one (in most editors: Save as, Encoding)"
        ) from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); check its name and permissions") from None
