"""What the command lines share."""

from __future__ import annotations

import argparse
import ctypes
import errno
import io
import logging
import os
import re
import sys
from collections.abc import Callable

from htr.errors import InputError, first_line, gpu_failed, gpu_full, memory_short, without_gpu
from htr.messages import on_one_line, printable

FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What a disk says that takes no more."""

# What may stand before a path, and a path below the home folder; `minutes=~` is none, but YAML's null.
_HOME = re.compile(r"((?:[\w.-]+=(?!~$))?(?:[a-z]+:)*)(~(?:/.*)?)")

# The last ones of a folder or a drive that has gone meanwhile.
_UNUSABLE = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOENT, errno.EIO, errno.ENODEV})


def run(main: Callable[[], int | None]) -> None:
    """Runs a command line: an `InputError`, a full disk, a place that is not ours, short memory or a GPU that does not work becomes
    one line on stderr and exit code 2, Ctrl-C exit code 130, output that nobody reads any more 141; a `~` that the shell left stands
    for the home folder, and `-scan.jpg` is a file if it is there."""
    sys.argv[1:] = [
        f"./{word}" if word[:1] == "-" and os.path.exists(word) else from_home(word) for word in sys.argv[1:]
    ]
    keep_memory()
    keep_kernels()
    screen = logging.StreamHandler(sys.stderr)
    screen.addFilter(_said_once())
    logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=[screen])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every screen shows every character
    try:
        sys.exit(main() or 0)
    except InputError as error:
        complain(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has left (`| head`), and what is still to do may be left undone: as of programs that end by SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        told = _not_ours(error)
        if told is None:
            raise
        complain(InputError(told))
        sys.exit(2)


def _not_ours(error: Exception) -> str | None:
    """What to say of an error that is of the machine, not of the program; None of others."""
    if gpu_failed(error) or gpu_full(error):
        return without_gpu(error)
    if memory_short(error):
        return f"the memory is too small ({first_line(error)}); close other programs, or give less at a time"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"{error.filename or 'a file'}: cannot be written ({error.strerror}); make room, or make it writable, and try again"
    if isinstance(error, OSError) and error.errno in _UNUSABLE:
        return f"{error.filename or 'a file'}: cannot be used ({error.strerror}); check its name and permissions, and that it is there"
    return None


def add_language(parser: argparse.ArgumentParser, what: str = "language model that helps") -> None:
    """Adds `--language`; `what` says what it is for, where it is not for all that is read."""
    parser.add_argument(
        "--language",
        default="auto",
        metavar="L",
        help=f"{what}: auto (default: English or French, as the lines show), english, french, a file of htr.language, or none",
    )


def add_weights(parser: argparse.ArgumentParser, what: str = "weights") -> None:
    """Adds `--weights`; `what` says what they are for, where they do not read alone."""
    parser.add_argument(
        "--weights",
        metavar="W",
        help=f"{what}: a file, or default, small or iam, which come with htr (default: default)",
    )


def _said_once() -> Callable[[logging.LogRecord], bool]:
    """A filter that lets each message through the first time only: one corpus or weights file may serve many runs."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message in said:
            return False
        said.add(message)
        return True

    return is_new


def complain(error: InputError) -> None:
    """Says on stderr what is wrong."""
    print(printable(f"error: {on_one_line(str(error))}"), file=sys.stderr)


def from_home(word: str) -> str:
    """A word of a command line with the home folder for the `~` of a path in it, unless that is there as typed: within quotes, and
    in `--out=~/texts`, `run=~/iam` and `lines:~/letters`, shells leave it alone."""
    found = _HOME.fullmatch(word)
    return word if not found or os.path.exists(found[2]) else found[1] + os.path.expanduser(found[2])


def keep_memory() -> None:
    """Tells glibc to keep freed memory for the next batch instead of handing it back.

    Large tensors are otherwise mapped and unmapped at every layer, which costs a fifth of the time on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
    mallopt(m_mmap_max, 0)
    mallopt(m_trim_threshold, 2**31 - 1)
    mallopt(m_top_pad, 2**28)


def keep_kernels() -> None:
    """Tells PyTorch's CPU library to keep the kernels that it makes for each shape of a batch.

    It keeps a thousand otherwise, fewer than lines of all widths ask for, and making them anew costs a seventh of the time.
    Comes before PyTorch first computes.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "30000")
