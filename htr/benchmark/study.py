"""A study: one training repeated with other values, other amounts of labelled lines and other seeds, side by side.

A file in `configs/studies/` says which. The result is a small JSON file that grows with every run, so that a study that was
stopped goes on, and one can be shared out over days or machines. `htr.benchmark.study_page` draws it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from htr.benchmark.lines import evaluate_lines
from htr.benchmark.provenance import VERSION
from htr.corpora import label
from htr.errors import InputError
from htr.files import write_whole
from htr.training.config import TrainConfig, checked, read_values
from htr.training.run import train

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared with what.

    Attributes:
        title: for people.
        config: values of a training run (`configs/iam.yaml` explains them) that all runs share. `epochs` are those with all
            train lines: with fewer there are as many more, so that all runs take about the same number of steps and
            validate as often.
        variants: name, and the values in which it differs.
        shares: of the train lines.
        seeds: of each variant with each share.
        score: the lines that the best weights of each run are scored on at the end: `data` and `split`.
    """

    title: str
    config: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    shares: list[float]
    seeds: list[int]
    score: dict[str, str]


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    variant: str
    share: float
    seed: int
    config: TrainConfig


def load_study(path: Path) -> tuple[Study, list[Cell]]:
    """Reads a study and checks all of its runs.

    Raises:
        InputError: no such file, or a value that does not do.
    """
    study = checked(Study, read_values(path), str(path))
    if set(study.score) != {"data", "split"} or study.score["split"] not in ("val", "test"):
        raise InputError(f"{path}: score: give data, as in a config, and split: val or test")
    for name in ("variants", "shares", "seeds"):
        if not getattr(study, name):
            raise InputError(f"{path}: {name} is empty; give one or more")
    return study, list(_cells(study, path))


def _cells(study: Study, path: Path) -> Iterator[Cell]:
    # Seeds come last: after the first of them there is a whole picture.
    for seed in study.seeds:
        for share in study.shares:
            for variant, values in study.variants.items():
                name = re.sub(r"[^\w]+", "-", f"{variant} {share:g} {seed}")
                merged = {
                    **study.config,
                    **(values or {}),
                    "share": share,
                    "seed": seed,
                    "run": f"runs/studies/{path.stem}/{name}",
                }
                config = checked(TrainConfig, merged, f"{path}, {variant}")
                times = max(1, round(1 / share)) if share else 1
                trainer = {**config.trainer, "check_val_every_n_epoch": times}
                yield Cell(variant, share, seed, replace(config, epochs=config.epochs * times, trainer=trainer))


def run_study(path: Path, folder: Path) -> Path:
    """Trains and scores what the result file does not hold yet.

    Args:
        path: the study.
        folder: where the result file lies or will lie.

    Returns:
        The result file.

    Raises:
        InputError: the study, its data or an earlier result file cannot be used.
    """
    study, cells = load_study(path)
    file = folder / f"{path.stem}.json"
    runs = {run["settings_sha256"]: run for run in load_result(file)["runs"]} if file.exists() else {}
    for number, cell in enumerate(cells, 1):
        key = settings_sha256(cell.config)
        if key in runs:
            continue
        log.warning(
            "run %d of %d: %s, %g of the train lines, seed %d",
            number, len(cells), cell.variant, cell.share, cell.seed,
        )  # fmt: skip
        runs[key] = {"variant": cell.variant, "share": cell.share, "seed": cell.seed, "settings_sha256": key} | _run(
            study, cell
        )
        _write(file, path, study, cells, runs)
    _write(file, path, study, cells, runs)
    return file


def _run(study: Study, cell: Cell) -> dict[str, Any]:
    summary = train(cell.config)
    scored = evaluate_lines(study.score["data"], study.score["split"], summary["weights"])
    return {
        "train_lines": summary["train_lines"],
        **{
            name: summary[name]
            for name in (
                "epochs",
                "best_epoch",
                "steps",
                "minutes",
                "val_cer",
                "val_wer",
                "parameters",
                "weights_sha256",
            )
        },
        "start": summary["encoder_weights"],
        "scores": scored["scores"],
        "labels_sha256": scored["labels_sha256"],
        "machine": summary["machine"],
        "date": summary["date"],
    }


def _write(file: Path, path: Path, study: Study, cells: list[Cell], runs: dict[str, dict[str, Any]]) -> None:
    """Writes the runs that belong to the study as it is now, in its order."""
    wanted = [settings_sha256(cell.config) for cell in cells]
    shown = asdict(study)
    result = {
        "kind": "study",
        "version": VERSION,
        "study": path.stem,
        **shown,
        "score": {"data": label(study.score["data"]), "split": study.score["split"]},
        "planned": len(cells),
        "date": max((runs[key]["date"] for key in wanted if key in runs), default=""),
        "command": f"python -m htr.study {path}",
        "runs": [runs[key] for key in wanted if key in runs],
    }
    write_whole(file, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def load_result(file: Path) -> dict[str, Any]:
    """Reads a result file.

    Raises:
        InputError: it is none.
    """
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        if result.get("kind") != "study" or result.get("version") != VERSION:
            raise ValueError("it is of another kind or version")
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give the result file of a study") from None
    except (ValueError, AttributeError) as error:
        raise InputError(f"{file}: not the result of a study ({error}); delete it, or give another file") from None
    return result


def settings_sha256(config: TrainConfig) -> str:
    """By this a run is known again: all values but where it lies and how lines are loaded."""
    values = {name: value for name, value in asdict(config).items() if name not in ("run", "workers")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
