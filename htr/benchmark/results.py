"""The result files that reports are drawn from: what they are called, and which of them go together."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from htr.benchmark.provenance import VERSION
from htr.corpora import label
from htr.files import write_whole

log = logging.getLogger(__name__)

KINDS = "lines", "peers", "pages", "speed", "study"
"""What a result can be of."""

Result = dict[str, Any]


@dataclass
class Results:
    """What a folder holds, newest last.

    Attributes:
        lines, peers, pages, speed, study: by kind, each with its file's name under `file name`.
    """

    lines: list[Result] = field(default_factory=list)
    peers: list[Result] = field(default_factory=list)
    pages: list[Result] = field(default_factory=list)
    speed: list[Result] = field(default_factory=list)
    study: list[Result] = field(default_factory=list)


def write_result(folder: Path, about: list[str], result: Result) -> Path:
    """Writes a result under a name that says what it is of: collection, weights, processor or GPU, precision and date.

    Args:
        folder: where to.
        about: first parts of the name, such as collection and split.
        result: with what `htr.benchmark.provenance.provenance` gives.
    """
    machine = result["machine"]
    parts = [
        "-".join(about),
        result["weights"]["sha256"][:8],
        f"{machine['device']}-{machine['precision']}",
        result["date"],
    ]
    file = folder / ("_".join(parts) + ".json")
    write_whole(file, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return file


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
        if kind not in KINDS:
            log.warning("%s: not a result of htr and left out; take it out of the folder", file)
        elif result.get("version") != VERSION:
            log.warning(
                "%s: of version %s, which this htr (version %d) does not draw, and left out; measure it again",
                file, result.get("version"), VERSION,
            )  # fmt: skip
        else:
            getattr(results, kind).append({**result, "file name": file.name})
    for kind in KINDS:
        getattr(results, kind).sort(key=lambda result: result.get("date", ""))
    return results


def collection_of(data: str) -> str:
    """A short name for a corpus: `sample`, `iam`, `hooker`, `pages`..."""
    return label(data).rpartition(":")[2]


def newest(results: list[Result], *keys: str) -> list[Result]:
    """Of results that are alike in some values, the newest; in the order in which they first occur.

    Args:
        keys: values that are compared; `weights` and `device` stand for the weights' file name and the machine's device.
    """
    found: dict[tuple[Any, ...], Result] = {}
    for result in results:
        found[tuple(_value(result, key) for key in keys)] = result
    return list(found.values())


def _value(result: Result, key: str) -> Any:
    if key == "weights":
        return result["weights"]["file"]
    if key == "device":
        return result["machine"]["device"]
    return result.get(key)
