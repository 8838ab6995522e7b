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
from htr.corpora import label, pages_of
from htr.encoders import NAME as PPOCR_ENCODER
from htr.errors import InputError
from htr.files import read_text, write_whole
from htr.language import AUTO, NONE, find_models
from htr.messages import counted
from htr.network import BESIDE
from htr.weights import MODELS, data_seen, sha256

log = logging.getLogger(__name__)

_ALL = {
    "weights": {"file": str, "sha256": str, "training": dict},
    "machine": {"device": str, "processor": str, "threads": int, "precision": str},
    "date": str,
    "command": str,
    "language": (dict, NoneType),
}
_LINES = {"data": str, "split": str, "labels_sha256": str, "lines": int}

# What a result can be of, and the types of what is asked of it before it is drawn: drawing finds whether the rest is there.
_NEEDED = {
    "lines": {**_ALL, **_LINES},
    "peers": {**_ALL, **_LINES},
    "pages": {**_ALL, "pages": str, "split": (str, NoneType), "count": int},
    "speed": {**_ALL, "page": {"file": str}},
    "finetuning": {**_ALL, "data": str, "general": str, "runs": list},
    "transcripts": {**_ALL, "pages": str, "count": int},
    "study": {"study": str, "title": str, "date": str, "command": str, "runs": list},
}

DAMAGE = ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError
"""What drawing a damaged result may end in."""

# Bytes of the name of a collection that go into that of a file, which is to have 255 at most.
_LONGEST = 80

KINDS = tuple(_NEEDED)
"""What a result can be of."""

COUNTS_AS = "counts as"
"""What a result, or a run of a study, is given by hand where code has changed and was shown to give the same: checksums of the later
code, by name, and `because`, how that was shown, reasons apart by semicolons. Its own checksums stay."""

Result = dict[str, Any]


@dataclass
class Results:
    """What a folder holds, newest last.

    Attributes:
        lines, peers, pages, speed, finetuning, transcripts, study: by kind, each with its file's name under `file name`.
        left_out: files that cannot be drawn.
    """

    lines: list[Result] = field(default_factory=list)
    peers: list[Result] = field(default_factory=list)
    pages: list[Result] = field(default_factory=list)
    speed: list[Result] = field(default_factory=list)
    finetuning: list[Result] = field(default_factory=list)
    transcripts: list[Result] = field(default_factory=list)
    study: list[Result] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def result_name(about: Sequence[str], result: Result) -> str:
    """The name of a result's file: collection, weights, processor or GPU, threads, precision and date.

    Args:
        about: first parts of the name, such as collection, split and number of lines.
        result: with what `htr.benchmark.provenance.provenance` gives.
    """
    machine = result["machine"]
    # Of "Intel(R) Xeon(R) Processor" and the like, the words that tell.
    processor = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm)\)|processor|\bcpu\b|@.*", "", machine["processor"].lower()))
    parts = [
        "-".join(part.encode(errors="replace")[:_LONGEST].decode(errors="ignore") for part in about),
        result["weights"]["sha256"][:8],
        f"{'-'.join(processor)}-{machine['threads']}t-{machine['precision']}",
        result["date"],
    ]
    return "_".join(parts) + ".json"


def result_file(folder: Path, about: Sequence[str], result: Result) -> Path:
    """Where a result goes: `result_name`, or a name like it where that holds the result of another command, code, or other texts."""
    return free_name(folder / result_name(about, result), result)


def free_name(file: Path, result: Result) -> Path:
    """The file, or another of a name like it where that holds a result that this one does not replace."""
    names = [file, *(file.with_stem(f"{file.stem}-{number}") for number in range(2, 1000))]
    return next(name for name in names if not name.exists() or _source_of(name) == _source(result))


def _in_turn(file: Path) -> tuple[str, int]:
    """Sorts names of `free_name`: the first has no number."""
    made = re.fullmatch(r"(.*_\d{4}-\d\d-\d\d)(?:-(\d+))?", file.stem)
    return (made[1], int(made[2] or 1)) if made else (file.stem, 1)


def _source_of(file: Path) -> tuple | None:
    try:
        return _source(read_result(file))
    except InputError:  # no result
        return None


def _source(result: Result) -> tuple:
    """What a result comes from: one that comes from the same replaces it."""
    return tuple(
        result.get(name)
        for name in ("command", "code", "finding code", "learning code", "laying code", "labels_sha256")
    )


def write_result(file: Path, result: Result) -> None:
    """Writes a result in one step."""
    write_whole(file, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def read_result(file: Path) -> Result:
    """Reads a result file, of whatever kind.

    Raises:
        InputError: it is none.
    """
    text = read_text(file)
    try:
        result = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not the result of a measurement ({error}); copy it again, or delete it") from None
    if not isinstance(result, dict):
        raise InputError(f"{file}: not the result of a measurement; delete it")
    return result


def load_results(folder: Path) -> Results:
    """Reads all result files of a folder; those that cannot be drawn are named in a sentence each and left out."""
    results = Results()
    for file in sorted(folder.glob("*.json"), key=_in_turn):
        if file.name.endswith(".examples.json"):
            continue
        try:
            result = read_result(file)
        except InputError as error:
            leave_out(results, file, str(error))
            continue
        kind = result.get("kind")
        if kind == "texts":
            log.warning("%s: scores plain texts, which the report does not show", file)
        elif not isinstance(kind, str) or kind not in _NEEDED:
            leave_out(
                results,
                file,
                f"{file}: not a result of this htr, or of an earlier one, and left out; measure it again, or delete it",
            )
        elif result.get("version") != VERSION or not _holds(result, _NEEDED[kind]):
            leave_out(
                results,
                file,
                f"{file}: of another version than this htr draws ({VERSION}), or damaged, and left out; measure it again, or "
                "delete it",
            )
        else:
            getattr(results, kind).append({**result, "file name": file.name})
    # Of one day, those of the weights that ship come last, and so before those that they replaced.
    for kind in _NEEDED:
        getattr(results, kind).sort(
            key=lambda result: (result["date"], result.get("weights", {}).get("sha256") in _shipped())
        )
    return results


def leave_out(results: Results, file: Path, sentence: str) -> None:
    """Says, in a sentence that names it, why a result file is not drawn."""
    log.warning("%s", sentence)
    results.left_out.append(file)


def _holds(value: Any, needed: Any) -> bool:
    """Whether a value of a result file is what it must be, as `_NEEDED` says it."""
    if isinstance(needed, dict):
        return isinstance(value, dict) and all(
            name in value and _holds(value[name], part) for name, part in needed.items()
        )
    return isinstance(value, needed)


def collection_of(data: str) -> str:
    """A short name for a corpus: `sample`, `iam`, `letters`; of pages also which ones, as `pages_of` says."""
    kind, _, path = data.partition(":")
    return f"pages-{pages_of(path)}" if kind == "pages" else label(data).rpartition(":")[2]


def reader_of(result: Result) -> str:
    """What a report calls the weights of a result: by name if they ship, else with their checksum too."""
    name, checksum = Path(result["weights"]["file"]).stem, result["weights"]["sha256"]
    return name if _shipped().get(checksum) == name else f"{name} {checksum[:8]}"


def comes_along(result: Result) -> bool:
    """Whether the weights of a result ship with the package."""
    return reader_of(result) in _shipped().values()


def exchanged_models(result: Result) -> list[str]:
    """The language models behind a result that have the names of such as come along, and are others."""
    models = (result["language"] or {}).get("models", {})
    return [
        f"{Path(name).stem} {checksum[:8]}"
        for name, checksum in models.items()
        if _shipped_models().get(name, checksum) != checksum
    ]


@cache
def _shipped_models() -> dict[str, str]:
    return {file.name: sha256(file) for file in find_models(AUTO)}


@cache
def _shipped() -> dict[str, str]:
    """Names of the weights that come along, by their checksum."""
    return {sha256(file): file.stem for file in MODELS.glob("*.safetensors")}


def learnt_pages(result: Result) -> str:
    """How many of the pages of a result are such as weights have learnt lines of, in brackets; nothing where there are none."""
    learnt = sum(page["split"] == "train" for page in result.get("per_page", []))
    return f" ({'all' if learnt == result['count'] else learnt} of the train split)" if learnt else ""


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
        keys: values that are compared; weights, processor, threads and precision are compared in any case, and of `data`, `general`,
            `pages` and `language` only their names count.
    """
    return list({_values(result, *keys): result for result in results}.values())


def newest_runs(results: list[Result]) -> list[Result]:
    """Of fine-tunings that are alike, the newest, with the runs of the others: each number of labelled lines may be measured by a
    command of its own. In the order of these numbers; of a number that was measured twice, the newest. What measured a run stands
    in it as `measured by`, as `measured_by` gives it."""
    found: dict[str, Result] = {}
    for result in results:
        # Those with unread lines, and those with these alone, are measured by commands of their own, from other starts.
        kind = [("unread" in run, run["lines"] == 0) for run in result["runs"][:1]]
        values = _values(result, "data", "general") + str(kind)
        earlier = found.get(values, {"runs": []})["runs"]
        by_lines = {run["lines"]: run for run in earlier}
        by_lines |= {run["lines"]: {**run, "measured by": measured_by(result)} for run in result["runs"]}
        found[values] = {**result, "runs": [run for _, run in sorted(by_lines.items())]}
    return list(found.values())


def measured_by(result: Result) -> list[Any]:
    """What must be the same in fine-tunings that compare exactly."""
    return [*(counted_code(result, name) for name in ("code", "learning code")), result.get("language")]


def counted_code(result: Result, name: str = "code") -> str | None:
    """The checksum of the code by which a result, or a run of a study, counts as made: its own, or that of later code which was shown
    to give the same; see `COUNTS_AS`."""
    return result.get(COUNTS_AS, {}).get(name, result.get(name))


def _values(result: Result, *keys: str) -> str:
    """What must be the same in results that are alike; see `newest`."""
    machine = result["machine"]
    where = [machine["processor"], machine["threads"], machine["precision"]]
    return json.dumps([reader_of(result), *where, *(_value(result, key) for key in keys)])


def _value(result: Result, key: str) -> Any:
    if key in ("data", "general"):
        return collection_of(result[key])
    if key == "language":
        return language_of(result)
    return pages_of(result["pages"]) if key == "pages" else result.get(key)


def interval(rate: dict[str, float]) -> str:
    """A rate with its interval, as tables have it."""
    return f"{rate['value']:.2f} {bounds(rate)}"


def bounds(rate: dict[str, float]) -> str:
    """The interval of a rate."""
    return "(too few for an interval)" if rate["low"] is None else f"[{rate['low']:.2f}, {rate['high']:.2f}]"


def named_reader(result: Result) -> str:
    """What a report calls the reader of a result: its weights, and the machine where there are several."""
    return f"htr {reader_of(result)}{result['where']}"


def named_language(result: Result) -> str:
    """What helped, after `with`; the models that help unless told otherwise need no name."""
    name = language_of(result)
    return "language" if name == AUTO else f"language {name}"


def has_seen(result: Result, collection: str) -> bool:
    """Whether the weights of a result were trained on lines of a collection."""
    return collection in map(collection_of, data_seen(result["weights"]["training"]))


def what_was_learnt(result: Result, collections: Sequence[str]) -> str:
    """A sentence of what the weights of a result have learnt from."""
    before = ", its encoder before from the data of PP-OCRv6" * from_another_reader(result)
    return f"`{reader_of(result)}` has learnt from train lines of {', '.join(collections)}{before}."


def from_another_reader(result: Result) -> bool:
    """Whether the weights of a result started from PP-OCRv6, which does not tell all that it has learnt from."""
    return PPOCR_ENCODER in result["weights"]["network"]["encoder"].split(BESIDE)


def named_machine(result: Result) -> str:
    """Processor, threads and precision."""
    machine = result["machine"]
    return f"{machine['processor']}, {counted(machine['threads'], 'thread')}, {machine['precision']}"
