"""What the command lines share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from htr.errors import InputError


def run(main: Callable[[], int | None]) -> None:
    """Runs a command line: an `InputError` becomes one line on stderr and exit code 2, Ctrl-C exit code 130."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        sys.exit(main() or 0)
    except InputError as error:
        sys.exit(_complain(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has left (`| head`): nothing to complain of.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _complain(error: InputError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2
