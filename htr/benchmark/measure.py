"""Measures what a report shows and its folder does not hold yet: lines, other readers on the same lines, pages, speed."""

from __future__ import annotations

import base64
import json
import logging
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from tqdm import tqdm

from htr.benchmark.details import mistake_counts, mistakes, told
from htr.benchmark.distort import DISTORTIONS
from htr.benchmark.lines import check_opens, evaluate_lines, load_lines, named_rates
from htr.benchmark.pages import Truth, compare, evaluate_pages, finder_facts, load_truths, rates
from htr.benchmark.peers import PEERS, Peer, PeerProcess, PeerReading, Unreadable, installed
from htr.benchmark.provenance import FINDING, READING, code_sha256, labels_sha256, language_facts, provenance
from htr.benchmark.results import (
    COUNTS_AS,
    Result,
    Results,
    collection_of,
    load_results,
    result_file,
    write_result,
)
from htr.benchmark.speed import first_result, measure_speed
from htr.corpora import label, pages_of
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.files import write_whole
from htr.language import AUTO
from htr.machine import describe
from htr.messages import counted
from htr.metrics import count_edits, score
from htr.pages.images import open_image
from htr.reader import Reader, load
from htr.weights import load_weights

log = logging.getLogger(__name__)

# Lines of a collection that are shown: the worst, and some drawn by lot.
_EXAMPLES = 20

# And of the commonest confusions, of characters read where none is, and of those passed over, so many.
_MISTAKES = 4

# Lines that one reader reads before the next one has its turn.
_TURN = 25

# Of speed beside other readers: the first lines, read so many times; the median counts.
_TIMED, _REPEATS = 100, 3

# What Tesseract calls languages.
_TESSERACT = {"english": "eng", "french": "fra"}

# Of speed: lines that are read, of the first collection.
_SPEED_LINES = 120


class Collection(NamedTuple):
    """Labelled lines, and the language that they are in, which Tesseract must be told; None if another."""

    data: str
    language: str | None = None


def measure(
    collections: Sequence[Collection],
    pages: Sequence[str],
    leave_out: str | None,
    weights: Sequence[str],
    page: Path,
    folder: Path,
    peers: Path,
) -> None:
    """Measures on this machine what is missing, and writes a result file for each.

    Args:
        collections: labelled lines, whose test lines are read.
        pages: pages with their truth, as `htr.corpora.pages.load_pages` takes them.
        leave_out: regular expression; lines of pages that it matches are left out.
        weights: files or names. The first are compared with other readers and timed, and read the pages.
        page: the picture of a page that is timed.
        folder: of the results.
        peers: where other readers are installed.

    Raises:
        InputError: a collection, pages or weights cannot be used.
    """
    first = weights[0]
    for names in (
        [collection_of(collection.data) for collection in collections],
        [pages_of(source) for source in pages],
    ):
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise InputError(f"{twice[0]}: two collections have this name; give their folders different ones")
    # All is opened before the first measurement, so that nothing is found missing after an hour.
    for name in weights:
        _checksum(name)
    opened = [(collection, load_lines(collection.data, "test")) for collection in collections]
    truths = [(source, load_truths(source, None, leave_out)) for source in pages]
    check_opens(sample.image for _, samples in opened for sample in samples)
    check_opens(
        partial(open_image, picture) for picture in (page, *(truth.page.image for _, some in truths for truth in some))
    )
    known = load_results(folder)
    steps: list[Any] = [
        *((_lines, (known, *entry, name, folder)) for name in weights for entry in opened),
        *((_peers, (known, *entry, first, folder, peers)) for entry in opened),
        *((_pages, (known, *entry, leave_out, first, folder, peers)) for entry in truths),
        (_speed, (known, *opened[0], page, first, folder)),
    ]
    for step, arguments in tqdm(steps, desc="measuring", unit=" results", disable=None):
        step(*arguments)


@cache
def _checksum(weights: str) -> str:
    return load_weights(weights).sha256


def _known(results: Sequence[Result], weights: str, **values: Any) -> bool:
    """Whether a result of these weights, of the code as it is, on this machine is there, with these values."""
    machine = describe("cuda" if torch.cuda.is_available() else "cpu")
    language = language_facts(AUTO)
    values |= {"language": language, "code": code_sha256(READING)}
    return any(
        result["weights"]["sha256"] == _checksum(weights)
        and all(result["machine"][name] == machine[name] for name in ("processor", "threads", "precision"))
        and all({**result, **result.get(COUNTS_AS, {})}.get(name) == value for name, value in values.items())
        for result in results
    )


def _lines(known: Results, collection: Collection, samples: list[Sample], weights: str, folder: Path) -> None:
    labels = labels_sha256((sample.id, sample.text) for sample in samples)
    if _known(known.lines, weights, split="test", labels_sha256=labels):
        return
    result = evaluate_lines(collection.data, "test", weights)
    readings = result.pop("readings")
    file = result_file(folder, [collection_of(collection.data), "test", str(len(samples))], result)
    # Before the result, which tells that all of it is there.
    examples = _examples(samples, readings, result["details"])
    write_whole(file.with_suffix(".examples.json"), json.dumps(examples, ensure_ascii=False))
    write_result(file, result)


def _examples(
    samples: Sequence[Sample], readings: Sequence[dict[str, Any]], details: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The worst lines, some drawn by lot, and one of each of the commonest mistakes, with their pictures."""
    errors = [count_edits(line["truth"], line["reading"]) for line in readings]
    worst = sorted(range(len(readings)), key=lambda index: errors[index][0] / errors[index][1], reverse=True)[
        :_EXAMPLES
    ]
    drawn = sorted(random.Random(0).sample(range(len(readings)), min(_EXAMPLES, len(readings))))

    def shown(index: int, about: str = "") -> dict[str, Any]:
        line, (edits, length) = readings[index], errors[index]
        about = about or f"{edits} of {length} characters wrong; confidence {line['confidence']:.2f}"
        return {
            "png": base64.b64encode(_png(samples[index].image())).decode(), "truth": line["truth"],
            "reading": line["reading"], "about": about,
        }  # fmt: skip

    found = [set(mistakes(line["truth"], line["reading"])) for line in readings]

    def clearest(mistake: tuple[str, str]) -> int:
        """The line with the fewest other errors."""
        return min((edits[0], index) for index, edits in enumerate(errors) if mistake in found[index])[1]

    return {
        f"The {len(worst)} worst lines": [shown(index) for index in worst],
        f"{len(drawn)} lines drawn by lot": [shown(index) for index in drawn],
        "The commonest mistakes, a line for each": [
            shown(clearest(mistake), f"{told(mistake)}, {counted(count, 'time')} in all")
            for mistake, count in mistake_counts(details, _MISTAKES).items()
        ],
    }


def _png(picture: np.ndarray) -> bytes:
    """A small file: 64 pixels high, 16 tones."""
    width = max(1, round(picture.shape[1] * 64 / picture.shape[0]))
    small = cv2.resize(picture, (width, 64), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", small // 17 * 17)[1].tobytes()


def _installed(task: str, folder: Path) -> tuple[list[Peer], dict[str, str]]:
    """The peers for a task that are there, and why others are not."""
    peers = [peer for peer in PEERS.values() if peer.task == task]
    there = [peer for peer in peers if installed(peer, folder)]
    return there, {peer.title: "not installed" for peer in peers if peer not in there}


def _with(readers: Sequence[str], results: Sequence[Result]) -> list[Result]:
    """The results for which at least these readers were tried; others of theirs may no longer be installed."""
    return [result for result in results if set(readers) <= set(result.get("tried", ()))]


def _peers(
    known: Results, collection: Collection, samples: list[Sample], weights: str, folder: Path, environments: Path
) -> None:
    """Lets all readers read the same lines, in turn."""
    peers, left_out = _installed("lines", environments)
    names = ["htr", *(peer.name for peer in peers)]
    values = {
        "split": "test",
        "labels_sha256": labels_sha256((sample.id, sample.text) for sample in samples),
        "language_told": collection.language,
    }
    if not peers or _known(_with(names, known.peers), weights, **values):
        return
    threads = torch.get_num_threads()
    reader = load(weights)
    pictures, truths = [sample.image() for sample in samples], [sample.text for sample in samples]
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        files = [Path(place) / f"{number}.png" for number in range(len(pictures))]
        for file, picture in zip(files, pictures):
            cv2.imwrite(str(file), picture)
        processes: dict[str, PeerProcess] = {}
        for peer in peers:
            language = _TESSERACT.get(collection.language, "eng")
            try:
                process = stack.enter_context(PeerProcess(peer, threads, environments, language))
                process.read(files[:2])  # the first lines of a process are slow: not timed
            except InputError as error:
                log.warning("%s", error)
                left_out[peer.title] = _why(error, "did not start")
            else:
                processes[peer.name] = process
        texts, seconds = _read_in_turns(reader, processes, pictures, files, collection, left_out)
        about = {"htr": _about_us(reader, files[0]), **_about_them(processes, left_out)}
    timed = min(len(samples), _TIMED)
    readers = [
        {
            "name": name,
            **facts,
            "scores": named_rates(score(truths, texts[name])),
            "lines_per_second": round(timed / seconds[name], 2),
        }
        for name, facts in about.items()
    ]
    result = {
        "kind": "peers",
        "data": collection.data,
        **values,
        "tried": names,
        "lines": len(samples),
        "threads": threads,
        "how": f"one line after the other, in turns of {_TURN}, warm; the first {timed} lines are read {_REPEATS} "
        "times and the median counts for the speed; opening of files not included",
        "readers": readers,
        "left_out": left_out,
        **provenance(reader, AUTO),
    }
    parts = [collection_of(collection.data), "test", str(len(samples)), "peers"]
    write_result(result_file(folder, parts, result), result)


def _read_in_turns(
    reader: Reader,
    processes: dict[str, PeerProcess],
    pictures: list[np.ndarray],
    files: list[Path],
    collection: Collection,
    left_out: dict[str, str],
) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Lets all readers read the same lines, some at a time.

    Args:
        reader: ours.
        processes: the others; those that fail are taken out of it.
        pictures, files: of the lines.
        collection: that they are of.
        left_out: why those that fail are left out is written into it.

    Returns:
        What each read, and in how many seconds it read the first lines, by name.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    reader.read_lines(pictures[:2])
    starts = range(0, len(files), _TURN)
    for start in tqdm(starts, desc=label(collection.data), unit=" turns", leave=False, disable=None):
        taken: dict[str, list[float]] = defaultdict(list)
        for repeat in range(_REPEATS if start < _TIMED else 1):
            read = {"htr": _read_by_us(reader, pictures[start : start + _TURN])}
            for name, process in list(processes.items()):
                try:
                    read[name] = process.read(files[start : start + _TURN])
                except InputError as error:
                    log.warning("%s", error)
                    left_out[PEERS[name].title] = _why(error, "stopped while it read")
                    del processes[name]
            for name, readings in read.items():
                taken[name].append(sum(reading.seconds for reading in readings))
                texts[name] += [reading.text for reading in readings] * (repeat == 0)
        if start < _TIMED:
            for name in ("htr", *processes):
                seconds[name] += statistics.median(taken[name])
    return texts, seconds


def _about_them(processes: dict[str, PeerProcess], left_out: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Versions and memory of other readers, by name; why those that fail are left out is written into `left_out`."""
    about = {}
    for name, process in processes.items():
        try:
            peak = round(process.peak_mb())
        except InputError as error:
            log.warning("%s", error)
            left_out[PEERS[name].title] = "it stopped after it had read"
        else:
            about[name] = {"version": _version(process.facts), **process.facts, "peak_megabytes": peak}
    return about


def _why(error: InputError, otherwise: str) -> str:
    return f"it {'could not read a picture' if isinstance(error, Unreadable) else otherwise}"


def _read_by_us(reader: Reader, pictures: Sequence[np.ndarray]) -> list[PeerReading]:
    """One line after the other, as the others read them."""
    readings = []
    for picture in pictures:
        began = time.perf_counter()
        text = reader.read_lines([picture])[0].text
        readings.append(PeerReading(text, time.perf_counter() - began))
    return readings


def _version(facts: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {version}" for name, version in facts["versions"].items() if name not in ("python", "pillow")
    )


def _about_us(reader: Reader, file: Path) -> dict[str, Any]:
    weights = Path(reader.weights.file)
    first = first_result(weights, "reader.read_lines([sys.argv[2]])", file)
    return {
        "title": f"htr {weights.stem}",
        "notes": "seconds to start include the reading of a line",
        "version": f"htr {describe()['htr']}",
        "seconds_to_start": first["seconds"],
        "peak_megabytes": first["peak_megabytes"],
    }


def _pages(
    known: Results,
    source: str,
    truths: list[Truth],
    leave_out: str | None,
    weights: str,
    folder: Path,
    environments: Path,
) -> None:
    peers, left_out = _installed("finding", environments)
    values = {
        "labels_sha256": labels_sha256((truth.page.id, truth.text) for truth in truths),
        "leave_out": leave_out,
        "finder": finder_facts(),
        "finding code": code_sha256(FINDING),
    }
    names = [peer.name for peer in peers]
    distorted = [result for result in known.pages if set(result.get("distortions", ())) == set(DISTORTIONS)]
    if _known(_with(names, distorted), weights, **values):
        return
    result = evaluate_pages(source, weights, None, leave_out, list(DISTORTIONS))
    result.pop("readings")
    found = []
    for peer in peers:
        try:
            found.append(_found_by(peer, truths, environments))
        except InputError as error:
            log.warning("%s", error)
            left_out[peer.title] = "it failed"
    result |= {**values, "tried": names, "peers": found, "left_out": left_out}
    write_result(result_file(folder, ["pages", pages_of(source), str(len(truths))], result), result)


def _found_by(peer: Peer, truths: Sequence[Truth], environments: Path) -> dict[str, Any]:
    """How well a peer finds the lines of pages.

    Raises:
        InputError: it does not start, or stops.
    """
    total: Counter[str] = Counter()
    seconds = 0.0
    with (
        tempfile.TemporaryDirectory() as place,
        PeerProcess(peer, torch.get_num_threads(), environments) as process,
    ):
        files = [Path(place) / f"{number}.png" for number in range(len(truths))]
        for truth, file in zip(truths, files):
            cv2.imwrite(str(file), open_image(truth.page.image))
        process.find(files[0])  # the first page of a process is slow: not timed
        progress = tqdm(files, desc=peer.title, unit=" pages", leave=False, disable=None)
        for truth, file in zip(truths, progress):
            found = process.find(file)
            polygons = [np.array(polygon, float) for polygon in found.polygons if len(polygon) > 2]
            total.update(compare(polygons, truth.polygons, truth.ignored, truth.area)[0])
            seconds += found.seconds
        facts = process.facts
    return {
        "version": _version(facts), **facts, "counts": dict(total), "lines": rates(total),
        "seconds_a_page": round(seconds / len(truths), 3),
    }  # fmt: skip


def _speed(
    known: Results, collection: Collection, samples: list[Sample], page: Path, weights: str, folder: Path
) -> None:
    finding = {"finding code": code_sha256(FINDING)}
    if any(result["page"]["file"] == page.name and _known([result], weights, **finding) for result in known.speed):
        return
    drawn = random.Random(0).sample(samples, min(_SPEED_LINES, len(samples)))
    result = measure_speed([sample.image() for sample in drawn], page, weights)
    write_result(result_file(folder, ["speed"], result), {"data": label(collection.data), **result})
