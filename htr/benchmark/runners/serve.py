"""What the runners of peers share. They run in the peers' own environments, so nothing of htr is imported here.

A runner is given one argument, the JSON object {"threads": 1, "language": "eng"}. It says {"facts": {...}} once it has
loaded, and then answers each line of its stdin with one on its stdout, all of them JSON objects:

- {"file": path} with {"result": ..., "seconds": 0.1}, the seconds without the opening of the file;
- {"peak": true} with {"peak_mb": 100.0};
- what fails with {"error": why}.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple


class Runner(NamedTuple):
    """A peer that has loaded.

    open: makes a picture of a file's path.
    work: makes of that what the peer is asked for: the text of a line, or the polygons of a page's lines, lists of x and y in
        pixels.
    facts: what a figure must say of the peer: `versions`, `models`, `notes`.
    """

    open: Callable[[str], Any]
    work: Callable[[Any], Any]
    facts: dict[str, Any]


def serve(load: Callable[[int, str], Runner]) -> None:
    """Loads a peer with its number of threads and its language, and answers until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # so that what libraries print, compiled ones too, is no answer

    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        runner = load(**json.loads(sys.argv[1]))
    except Exception as error:
        return say(error=_in_one_line(error))
    say(facts=runner.facts)
    for request in map(json.loads, sys.stdin):
        if "peak" in request:
            say(peak_mb=_peak_mb())
            continue
        try:
            picture = runner.open(request["file"])
            if picture is None:  # OpenCV's way of saying so
                raise ValueError("not a picture")
            began = time.perf_counter()
            result = runner.work(picture)
            say(result=result, seconds=time.perf_counter() - began)
        except Exception as error:
            say(error=_in_one_line(error))


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of some packages."""
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}


def model(file: str | Path) -> dict[str, str]:
    """Name and checksum of a model's file."""
    return {"file": Path(file).name, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}


def _in_one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process that started this one held
        kilobytes = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM:")).split()[1]
        return int(kilobytes) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
