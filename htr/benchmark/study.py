"""A study: one training repeated with other values, other amounts of labelled lines and other seeds, side by side.

A file in `configs/studies/` says which. The result is a small JSON file that is written after every run, so that a study that
was stopped goes on. Several processes may be at one study: each takes a run that no other is at. `htr.benchmark.study_page`
draws the result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from htr.benchmark.lines import evaluate_lines, load_lines
from htr.benchmark.provenance import STUDYING, VERSION, code_sha256, labels_sha256
from htr.benchmark.results import counted_code, read_result, write_result
from htr.corpora import label, load_corpus
from htr.errors import InputError
from htr.files import make_writable, write_whole
from htr.language import NONE
from htr.messages import counted
from htr.training.config import TrainConfig, checked, read_values
from htr.training.folder import STEPS, InUse, OtherRun, fingerprint
from htr.training.loop import check_options
from htr.training.run import refuse_devices, train
from htr.weights import file_of, sha256

log = logging.getLogger(__name__)

# Lightning's options that would give one share more steps than another.
_OF_SHARE = frozenset({"check_val_every_n_epoch", "limit_train_batches"})


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared with what.

    Attributes:
        title: for people.
        config: values of a training run (`configs/iam.yaml` explains them) that all runs share. `epochs` are those with all
            train lines: with fewer there are as many more, and as many fewer lines `drawn` in each, so that all runs take
            about the same number of steps and validate about as often.
        variants: name, and the values in which it differs; `{seed}` in its `start` stands for the run's own seed.
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
    if path.stem == "report":
        raise InputError(
            f"{path}: its page would take the place of the benchmark's report; give the study another name"
        )
    values = read_values(path)
    if isinstance(values.get("variants"), dict):
        values["variants"] = {str(name): changes or {} for name, changes in values["variants"].items()}
    study = checked(Study, values, str(path))
    score = study.score
    if set(score) != {"data", "split"} or not isinstance(score["data"], str) or score["split"] not in ("val", "test"):
        raise InputError(f"{path}: score: give data, one corpus such as sample, and split: val or test")
    for name in ("variants", "shares", "seeds"):
        if not getattr(study, name):
            raise InputError(f"{path}: {name} is empty; give one or more")
    for variant, changes in study.variants.items():
        if not isinstance(changes, dict):
            raise InputError(f"{path}: variants: {variant} has no keys and values; give those in which it differs")
    for share in study.shares:
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise InputError(f"{path}: shares: {share!r} is no share of the train lines; give a number from 0 to 1")
    cells = list(_cells(study, path))
    if len({cell.config.run for cell in cells}) < len(cells):
        raise InputError(
            f"{path}: two runs would have the same folder; give each share and seed once, and the variants names that differ in "
            "their letters"
        )
    return study, cells


def _cells(study: Study, path: Path) -> Iterator[Cell]:
    # Seeds come last: after the first of them there is a whole picture.
    for seed in study.seeds:
        for share in study.shares:
            for variant, changes in study.variants.items():
                name = re.sub(r"[^\w]+", "-", f"{variant} {share:g} {seed}")
                given = {**study.config, **changes}
                if settled := sorted({"share", "seed", "run"} & given.keys()):
                    raise InputError(
                        f"{path}, {variant}: {settled[0]}: is not for the config; see shares and seeds of the study"
                    )
                values = {"share": share, "seed": seed, "run": f"runs/studies/{path.stem}/{name}"}
                if isinstance(given.get("start"), str):
                    values["start"] = given["start"].replace("{seed}", str(seed))
                config = checked(TrainConfig, {**given, **values}, f"{path}, {variant}")
                if of_share := sorted(_OF_SHARE & config.trainer.keys()):
                    raise InputError(f"{path}, {variant}: trainer.{of_share[0]}: follows from shares; leave it out")
                refuse_devices(config)
                if config.minutes and 0 < share < 1:
                    raise InputError(
                        f"{path}: minutes: end by epochs, as runs with fewer lines have more and shorter ones"
                    )
                config = _with_share(config)
                try:
                    check_options(config)
                except InputError as error:
                    raise InputError(f"{path}, {variant}: {error}") from None
                yield Cell(variant, share, seed, config)


def _with_share(config: TrainConfig) -> TrainConfig:
    """The run with as many steps as it has with all train lines."""
    if not config.share:
        return config
    rarely = max(1, round(1 / config.share))
    return replace(
        config,
        # The last epoch is validated too.
        epochs=rarely * max(1, round(config.epochs / config.share / rarely)),
        trainer={**config.trainer, "check_val_every_n_epoch": rarely},
        drawn={name: max(1, round(config.share * count)) for name, count in config.drawn.items()},
    )


def run_study(path: Path, folder: Path) -> Path:
    """Trains and scores what the result file does not hold yet.

    Args:
        path: the study.
        folder: where the result file lies or will lie.

    Returns:
        The result file; it is not there as long as no run is done.

    Raises:
        InputError: the study, its data or an earlier result file cannot be used; or, once all else is measured, folders of some
            runs hold other ones, or a variant cannot be used.
    """
    study, cells = load_study(path)
    # A mistyped one is found before the first run, not after it.
    scored = load_lines(study.score["data"], study.score["split"])
    file = folder / f"{path.stem}.json"
    dropped = _runs(file).keys() - {settings_sha256(cell.config, study.score) for cell in cells}
    if dropped:
        raise InputError(
            f"{file}: holds {counted(len(dropped), 'run')} that {path} no longer asks for; move it away to keep them, or delete it"
        )
    labels = labels_sha256((sample.id, sample.text) for sample in scored)
    lines = {data: _learnt(data) for data in {tuple(cell.config.data) for cell in cells}}
    if _complete_by_other_code(file, study, cells, labels, lines):
        log.warning("%s: holds all runs, by other code than this; to have them done anew, delete it", file)
        return file
    elsewhere, others, broken = 0, [], []
    for number, cell in enumerate(cells, 1):
        key = settings_sha256(cell.config, study.score)
        runs = _runs(file)
        if (
            key in runs
            and counted_code(runs[key]) == code_sha256(STUDYING)
            and _still_true(cell.config, runs[key], labels, lines)
        ):
            continue
        log.warning(
            "run %d of %d: %s, %g of the train lines, seed %d",
            number, len(cells), cell.variant, cell.share, cell.seed,
        )  # fmt: skip
        try:
            done = {"settings_sha256": key, **_run(study, cell), "lines_sha256": lines[tuple(cell.config.data)]}
        except InUse:
            log.warning("run %d is left to another process", number)
            elsewhere += 1
            continue
        except OtherRun:
            others.append(cell.config.run)
            continue
        except InputError as error:  # that of one variant must not keep hours of others from being used
            broken.append(f"{cell.variant}: {error}")
            log.warning("run %d cannot be done: %s", number, error)
            continue
        _add(file, path, study, cells, {key: done})
    if file.is_file():
        _add(file, path, study, cells, {})
    if elsewhere:
        log.warning(
            "left to other processes: %d of %d runs; should these fail, start the study again", elsewhere, len(cells)
        )
    if others:
        raise InputError(
            f"{path}: not measured, since their folders hold runs with other settings, code, lines or weights to start from: "
            f"{', '.join(others)}; delete these, and start the study again"
        )
    if broken:
        raise InputError(f"{path}: not measured: {'; '.join(dict.fromkeys(broken))}")
    return file


def _run(study: Study, cell: Cell) -> dict[str, Any]:
    _refuse_other_code(Path(cell.config.run))
    summary = train(cell.config)
    scored = evaluate_lines(study.score["data"], study.score["split"], summary["weights"], NONE)
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
                "curve",
                "parameters",
                "weights_sha256",
            )
        },
        "start": summary["encoder_weights"],
        "scores": scored["scores"],
        "labels_sha256": scored["labels_sha256"],
        "code": code_sha256(STUDYING),
        "machine": summary["machine"],
        "date": summary["date"],
    }


def _refuse_other_code(run: Path) -> None:
    """Marks a new run's folder with the code that it learns by; one of other code must not pass for it."""
    mark, code = run / "code.sha256", code_sha256(STUDYING)
    if not (run / "config.yaml").is_file():
        make_writable(run)
        write_whole(mark, code)
    elif not mark.is_file() or mark.read_text(encoding="utf-8") != code:
        raise OtherRun


def _learnt(data: Iterable[str]) -> str:
    """The checksum of the lines of some corpora that trainings learn and choose by, with their texts."""
    return fingerprint([sample for corpus in data for sample in load_corpus(corpus) if sample.split != "test"])


def _still_true(config: TrainConfig, run: dict[str, Any], labels: str, lines: dict[tuple[str, ...], str]) -> bool:
    """Whether a run was scored on the lines of this checksum, learnt those of these, as far as that is known, and began with the
    weights that its start stands for now, as far as these are there."""
    learnt = lines[tuple(config.data)]
    file = file_of(config.start) if config.start else Path()
    return (
        run.get("labels_sha256") == labels
        and run.get("lines_sha256", learnt) == learnt
        and (not file.is_file() or sha256(file) in run["start"])
    )


def _complete_by_other_code(
    file: Path, study: Study, cells: list[Cell], labels: str, lines: dict[tuple[str, ...], str]
) -> bool:
    """Whether a result needs nothing but that its code, one and the same, were this one."""
    runs = _runs(file)
    done = [(cell, runs.get(settings_sha256(cell.config, study.score))) for cell in cells]
    if not all(run and _still_true(cell.config, run, labels, lines) for cell, run in done):
        return False
    codes = {counted_code(run) for _, run in done if run}
    return len(codes) == 1 and codes != {code_sha256(STUDYING)}


def _runs(file: Path) -> dict[str, dict[str, Any]]:
    return {run.get("settings_sha256"): run for run in load_result(file)["runs"]} if file.exists() else {}


def _add(file: Path, path: Path, study: Study, cells: list[Cell], new: dict[str, dict[str, Any]]) -> None:
    """Adds runs to what the file holds by now, as far as they belong to the study as it is, in its order and under its names."""
    with FileLock(Path(cells[0].config.run).parent / "lock"):
        runs = _runs(file) | new
        keys = [(cell, settings_sha256(cell.config, study.score)) for cell in cells]
        done = [
            {**runs[key], "variant": cell.variant, "share": cell.share, "seed": cell.seed}
            for cell, key in keys
            if key in runs
        ]
        elsewhere = [] if file.parent == Path("reports") else ["--out", str(file.parent)]
        result = {
            "kind": "study",
            "version": VERSION,
            "study": path.stem,
            **asdict(study),
            "score": {"data": label(study.score["data"]), "split": study.score["split"]},
            "planned": len(cells),
            "date": max((run["date"] for run in done), default=""),
            "command": shlex.join(["python", "-m", "htr.study", str(path), *elsewhere]),
            "runs": done,
        }
        write_result(file, result)


def load_result(file: Path) -> dict[str, Any]:
    """Reads a result file.

    Raises:
        InputError: it is none.
    """
    result = read_result(file)
    runs = result.get("runs")
    damaged = not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs)
    if damaged or result.get("kind") != "study" or result.get("version") != VERSION:
        raise InputError(
            f"{file}: not the result of a study, of another version, or damaged; give another file, or move this one away"
        )
    return result


def settings_sha256(config: TrainConfig, score: dict[str, str]) -> str:
    """By this a run is known again: what it is scored on, and all values that its outcome depends on."""
    values = {name: value for name, value in asdict(config).items() if name not in ("run", "workers", "trainer")}
    # How often there is a validation follows from the share of the lines.
    if steps := {name: config.trainer[name] for name in (STEPS - {"check_val_every_n_epoch"}) & set(config.trainer)}:
        values["trainer"] = steps
    return hashlib.sha256(json.dumps([values, score], sort_keys=True).encode()).hexdigest()
