"""Measuring how fast lines and pages are read, and what that takes: time to the first result, memory, file size, operations.

Everything is measured warm unless said otherwise, and repeated; the median counts. Opening of files is not part of the time
of lines, but of pages and of the time to the first result.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from htr.benchmark.provenance import provenance
from htr.decoding import probabilities_of
from htr.errors import InputError
from htr.language import AUTO
from htr.lineimage import Prepared, batches_of_like_width, collate, prepare
from htr.pages.crop import crop_line
from htr.pages.images import open_image
from htr.reader import BATCH_PIXELS, Reader, load

REPEATS = 3
"""How often each time is taken."""

# Pixels of the batches that are tried.
_BATCHES = 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000

# Run in a process of its own: what a user waits for, and the memory that it takes.
_FIRST = """
import json, resource, sys, time
from pathlib import Path
began = time.perf_counter()
import htr
reader = htr.load(sys.argv[1])
{read}
seconds = time.perf_counter() - began
status = Path("/proc/self/status")
if status.exists():  # getrusage would count what the process that started this one held
    used = int(next(row for row in status.read_text().splitlines() if row.startswith("VmHWM:")).split()[1]) * 1024
else:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
gpu = 0
if reader.device != "cpu":
    import torch
    gpu = torch.cuda.max_memory_allocated()
print(json.dumps({{"seconds": seconds, "bytes": used, "gpu bytes": gpu}}))
"""


def measure_speed(pictures: list[np.ndarray], page: Path, weights: str | None = None) -> dict[str, Any]:
    """Measures the speed of reading on this machine.

    Args:
        pictures: lines, each of shape (height, width), uint8 grey; a hundred or more give steady figures.
        page: a picture of a page.
        weights: a weights file or the name of one; those that ship with the package if None.

    Returns:
        Lines per second with 1, 2 and all threads, alone and in batches; seconds a page and the share of each step; seconds to
        the first result and peak memory of a fresh process; size, parameters and operations; what is needed to repeat it.

    Raises:
        InputError: weights or page cannot be used.
    """
    reader = load(weights)
    prepared = [prepare(picture, reader.weights.header.height) for picture in pictures]
    threads = torch.get_num_threads()
    lines = []
    counts = sorted({1, min(2, threads), threads}) if reader.device == "cpu" else [threads]
    for count in counts:
        with _threads(count):
            rows = [{"batch": "one line", **_lines(reader, prepared[: max(1, len(prepared) // 4)], 1)}]
            rows += [{"batch": f"{pixels:,} pixels", **_lines(reader, prepared, pixels)} for pixels in _BATCHES]
        lines += [{"threads": count, **row} for row in rows]
    file = Path(reader.weights.file)
    with tempfile.TemporaryDirectory() as place:
        line = Path(place) / "line.png"
        cv2.imwrite(str(line), pictures[0])
        first = {
            "a line": first_result(file, "reader.read_lines([sys.argv[2]])", line),
            "a page": first_result(file, "reader.read_page(sys.argv[2])", page),
        }
    width = round(float(np.median([line.picture.shape[1] for line in prepared])))
    return {
        "kind": "speed",
        "lines": lines,
        "count": len(prepared),
        "page": {**_page(reader, page), "with": _pages_with(reader, page, counts[:-1])},
        "first": first,
        "size": {
            "bytes": file.stat().st_size,
            "parameters": sum(parameter.numel() for parameter in reader.weights.network.parameters()),
            "width": width,
            "operations": _operations(reader, width),
        },
        "repeats": REPEATS,
        **provenance(reader, AUTO, pages=True),
    }


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _median(action: Callable[[], Any]) -> float:
    """Seconds that something takes, warm."""
    action()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _lines(reader: Reader, lines: list[Prepared], pixels: int) -> dict[str, float]:
    seconds = _median(lambda: reader.read_prepared(lines, greedily=True, batch_pixels=pixels))
    return {"lines_per_second": round(len(lines) / seconds, 2)}


def _page(reader: Reader, file: Path) -> dict[str, Any]:
    """Seconds of the steps in which a page is read, each by itself."""
    picture = open_image(file)
    page = reader.find_page(picture)
    if not page.lines:
        raise InputError(f"{file}: no line is found there; give a page with handwriting")
    height, stride = reader.weights.header.height, reader.weights.header.network["width_stride"]

    def cut() -> list[Prepared]:
        return [prepare(crop_line(picture, line), height, cut_out=True) for line in page.lines]

    prepared = cut()
    batches = [
        collate([prepared[index].picture for index in batch], stride)
        for batch in batches_of_like_width([line.picture.shape[1] for line in prepared], height, BATCH_PIXELS)
    ]
    steps = {
        "opening the picture": _median(lambda: open_image(file)),
        "finding lines": _median(lambda: reader.find_page(picture)),
        "cutting lines out": _median(cut),
        "network": _median(lambda: [reader.logits(images) for images, _ in batches]),
    }
    scored = [(reader.logits(images), columns) for images, columns in batches]
    steps["decoding"] = _median(lambda: reader.decode([line for each in scored for line in probabilities_of(*each)]))
    whole = _median(lambda: reader.read_page(file))
    return {
        "file": file.name,
        "lines": len(page.lines),
        "pixels": picture.size,
        "seconds": round(whole, 3),
        "steps": {name: round(seconds, 4) for name, seconds in steps.items()},
    }


def _pages_with(reader: Reader, file: Path, counts: list[int]) -> list[dict[str, Any]]:
    """Seconds a page with other numbers of threads."""
    found = []
    for count in counts:
        with _threads(count):
            found.append({"threads": count, "seconds": round(_median(lambda: reader.read_page(file)), 3)})
    return found


def first_result(weights: Path, read: str, file: Path) -> dict[str, float]:
    """Seconds until a fresh process has read something, and the memory that it took at most.

    Args:
        weights: the file.
        read: the Python expression that reads, of `reader` and the file `sys.argv[2]`.
        file: what is read.
    """
    results = []
    for _ in range(REPEATS):
        command = [sys.executable, "-c", _FIRST.format(read=read), str(weights), str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise InputError(
                f"{weights}: a fresh process could not read with it ({done.stderr.strip()[-200:]}); install htr"
            )
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "seconds": round(statistics.median(result["seconds"] for result in results), 2),
        "peak_megabytes": round(statistics.median(result["bytes"] for result in results) / 1e6),
        "peak_gpu_megabytes": round(statistics.median(result["gpu bytes"] for result in results) / 1e6),
    }


def _operations(reader: Reader, width: int) -> int:
    """Multiplications and additions of the network for a line of this width in pixels; those of the BiLSTM are added by hand,
    since the counter passes it over."""
    network, header = reader.weights.network, reader.weights.header
    images = torch.zeros(1, 1, header.height, width, device=reader.device)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        logits, _ = network(images)
    lstms = [parameter for part in network.parts for parameter in part.lstm.named_parameters()]
    weights = sum(parameter.numel() for name, parameter in lstms if name.startswith("weight"))
    return int(counter.get_total_flops() + 2 * weights * logits.shape[1])
