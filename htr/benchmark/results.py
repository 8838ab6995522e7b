"""The result files that reports are drawn from: what they are called, and which of them go together."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any

from htr.benchmark.provenance import VERSION
from htr.corpora import label
from htr.files import write_whole
from htr.language import NONE
from htr.weights import MODELS, sha256

log = logging.getLogger(__name__)

_NUMBER = (int, float)
_RATE = {"value": _NUMBER, "low": _NUMBER, "high": _NUMBER}
_RATES = {"CER": _RATE, "WER": _RATE}
_ALL = {
    "weights": {"file": str, "sha256": str, "training": {}},
    "machine": {
        "device": str, "processor": str, "threads": int, "precision": str, "python": str, "torch": str, "timm": str, "htr": str,
    },
    "date": str,
    "command": str,
}  # fmt: skip
_LINES = {"data": str, "split": str, "labels_sha256": str}
_SIGN = {"character": str, "count": int}

# What a result can be of, and what it must hold: the types of its values, and in lists those of every entry.
_NEEDED = {
    "lines": {
        **_ALL, **_LINES, "lines": int, "scores": _RATES, "scores_with_language": {}, "scores_over_writers": {},
        "complete_aachen": bool, "language": ({}, NoneType),
        "details": {
            "writers": [{"CER": _NUMBER}], "lengths": [{"from": int, "to": int, "lines": int, "CER": _NUMBER}],
            "characters": [{**_SIGN, "wrong": int}], "confusions": [{"true": str, "read": str, "count": int}],
            "insertions": [_SIGN], "deletions": [_SIGN], "confidence": [{"confidence": _NUMBER, "without error": _NUMBER}],
            "accepted": {"share": _NUMBER, "CER": _NUMBER, "curve": [{"share": _NUMBER, "CER": _NUMBER}]},
        },
    },
    "peers": {
        **_ALL, **_LINES, "threads": int, "left_out": {},
        "readers": [{
            "name": str, "title": str, "version": str, "scores": _RATES, "lines_per_second": _NUMBER, "seconds_to_start": _NUMBER,
            "peak_megabytes": int,
        }],
    },
    "pages": {
        **_ALL, "pages": str, "split": (str, NoneType), "count": int, "counts": {"true": int}, "lines": {"boxes": {}, "polygons": {}},
        "scores": ({"CER": _RATE}, {}, NoneType), "seconds_a_page": {"finding": _NUMBER}, "language": ({}, NoneType),
    },
    "speed": {
        **_ALL, "lines": [{"batch": str, "threads": int, "lines_per_second": _NUMBER}],
        "page": {"file": str, "lines": int, "pixels": int, "seconds": _NUMBER, "steps": {}}, "first": {},
        "size": {"bytes": int, "parameters": int, "width": int, "operations": int},
    },
    "finetuning": {**_ALL, "data": str, "general": str, "start": {}, "runs": [{"lines": int, "minutes": _NUMBER}], "config": {}},
    "transcripts": {**_ALL, "pages": str, "count": int, "results": {}},
    "study": {
        "study": str, "title": str, "variants": {}, "score": {"data": str, "split": str}, "planned": int,
        "runs": [{"variant": str, "scores": _RATES, "machine": {"processor": str}}], "config": {}, "date": str, "command": str,
    },
}  # fmt: skip

Result = dict[str, Any]


@dataclass
class Results:
    """What a folder holds, newest last.

    Attributes:
        lines, peers, pages, speed, finetuning, transcripts, study: by kind, each with its file's name under `file name`.
    """

    lines: list[Result] = field(default_factory=list)
    peers: list[Result] = field(default_factory=list)
    pages: list[Result] = field(default_factory=list)
    speed: list[Result] = field(default_factory=list)
    finetuning: list[Result] = field(default_factory=list)
    transcripts: list[Result] = field(default_factory=list)
    study: list[Result] = field(default_factory=list)


def result_name(about: Sequence[str], result: Result) -> str:
    """The name of a result's file: collection, weights, processor or GPU, precision and date.

    Args:
        about: first parts of the name, such as collection and split.
        result: with what `htr.benchmark.provenance.provenance` gives.
    """
    machine = result["machine"]
    # Of "Intel(R) Xeon(R) Processor" and the like, the words that tell.
    processor = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm)\)|processor|\bcpu\b|@.*", "", machine["processor"].lower()))
    parts = [
        "-".join(about),
        result["weights"]["sha256"][:8],
        f"{'-'.join(processor)}-{machine['precision']}",
        result["date"],
    ]
    return "_".join(parts) + ".json"


def write_result(file: Path, result: Result) -> None:
    """Writes a result in one step."""
    write_whole(file, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def load_results(folder: Path) -> Results:
    """Reads all result files of a folder; those that cannot be drawn are named in a sentence each and left out."""
    results = Results()
    for file in sorted(folder.glob("*.json")):
        if file.name.endswith(".examples.json"):
            continue
        try:
            result = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            log.warning("%s: cannot be read (%s) and is left out; copy it again, or delete it", file, error)
            continue
        kind = result.get("kind") if isinstance(result, dict) else None
        if not isinstance(kind, str) or kind not in _NEEDED:
            log.warning(
                "%s: not a result of this htr, or of an earlier one, and left out; measure it again, or delete it", file
            )
        elif result.get("version") != VERSION or not _holds(result, _NEEDED[kind]):
            log.warning(
                "%s: of another version than this htr draws (%d), or damaged, and left out; measure it again, or delete it",
                file,
                VERSION,
            )
        else:
            getattr(results, kind).append({**result, "file name": file.name})
    # Of one day, those of the weights that ship come last, and so before those that they replaced.
    for kind in _NEEDED:
        getattr(results, kind).sort(
            key=lambda result: (result["date"], result.get("weights", {}).get("sha256") in _shipped())
        )
    return results


def _holds(value: Any, needed: Any) -> bool:
    """Whether a value of a result file is what it must be, as `_NEEDED` says it."""
    match needed:
        case dict():
            return isinstance(value, dict) and all(
                name in value and _holds(value[name], part) for name, part in needed.items()
            )
        case [part]:
            return isinstance(value, list) and all(_holds(entry, part) for entry in value)
        case tuple():
            return any(_holds(value, part) for part in needed)
    return isinstance(value, needed)


def collection_of(data: str) -> str:
    """A short name for a corpus: `sample`, `iam`, `letters`; of pages also which ones, as `pages_of` says."""
    kind, _, path = data.partition(":")
    return f"pages-{pages_of(path)}" if kind == "pages" else label(data).rpartition(":")[2]


def pages_of(source: str) -> str:
    """A short name for pages with their truth: `data/letters/pages` becomes `letters`."""
    path = Path(source.rpartition(":")[2]).absolute()
    return next((part for part in reversed(path.parts) if part != "pages"), "pages")


def reader_of(result: Result) -> str:
    """What a report calls the weights of a result: by name if they ship, else with their checksum too."""
    name, checksum = Path(result["weights"]["file"]).stem, result["weights"]["sha256"]
    return name if _shipped().get(checksum) == name else f"{name} {checksum[:8]}"


@cache
def _shipped() -> dict[str, str]:
    """Names of the weights that come along, by their checksum."""
    return {sha256(file): file.stem for file in MODELS.glob("*.safetensors")}


def language_of(result: Result) -> str:
    """What helped a result, as it was asked for: `auto`, `english`, `none`; a file by its name and checksum."""
    facts = result["language"]
    if not facts:
        return NONE
    name, models = facts["name"], facts["models"]
    return f"{Path(name).stem} {models[name][:8]}" if name in models else name


def newest(results: list[Result], *keys: str) -> list[Result]:
    """Of results that are alike, the newest; in the order in which they first occur.

    Args:
        keys: values that are compared; weights, processor, threads and precision are compared in any case, and of `data`, `pages` and
            `language` only their names count.
    """
    found: dict[str, Result] = {}
    for result in results:
        machine = result["machine"]
        where = [machine["processor"], machine["threads"], machine["precision"]]
        values = [reader_of(result), *where, *(_value(result, key) for key in keys)]
        found[json.dumps(values)] = result
    return list(found.values())


def _value(result: Result, key: str) -> Any:
    if key == "data":
        return collection_of(result["data"])
    if key == "language":
        return language_of(result)
    return pages_of(result["pages"]) if key == "pages" else result.get(key)


def interval(rate: dict[str, float]) -> str:
    """A rate with its interval, as tables have it."""
    return f"{rate['value']:.2f} {bounds(rate)}"


def bounds(rate: dict[str, float]) -> str:
    """The interval of a rate."""
    return f"[{rate['low']:.2f}, {rate['high']:.2f}]"
