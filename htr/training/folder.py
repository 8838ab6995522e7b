"""The folder of a training run, of a recogniser or of the finder of lines: claimed, checked, recognised again.

It holds `config.yaml`, `learnt.sha256` (the `fingerprint` of what is learnt from), a CSV and a TensorBoard log of each start under
`logs/`, `last.ckpt` to resume from, the weights that were best on validation (`model.safetensors`, or `finder.safetensors`) and, at
the end, `summary.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_only

from htr.corpora import label
from htr.corpora.sample import Sample
from htr.errors import InputError, first_line
from htr.files import remove_partial, write_whole
from htr.messages import printable
from htr.training.config import Config, TrainConfig, checked, read_values
from htr.weights import Weights, sha256

# In a run folder, the fingerprint of what it learns from.
_LEARNT = "learnt.sha256"

# Any of these shows that there was a run in a folder.
_OF_A_RUN = "last.ckpt", "summary.json", "model.safetensors", "finder.safetensors"

STEPS = {
    "devices",
    "num_nodes",
    "precision",
    "accumulate_grad_batches",
    "limit_train_batches",
    "check_val_every_n_epoch",
}
"""Lightning's options that decide what is learnt; the others tell where, and what is seen of it."""


class InUse(InputError):
    """Another process trains in the run folder."""


class OtherRun(InputError):
    """The run folder holds another run."""


@contextmanager
def claim(folder: Path, config: Config, learnt: str) -> Iterator[Path | None]:
    """Makes the run folder and writes the config there, or checks that the run there is this one; keeps other processes out.

    Args:
        folder: of the run.
        config: of the run.
        learnt: its `fingerprint`.

    Yields:
        The state to go on from; None where the run begins.

    Raises:
        InUse: another process trains there.
        OtherRun: the folder holds another run.
        InputError: its state is damaged, or it cannot be written.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Those that Lightning starts for further GPUs belong to the first, which holds the lock.
            if rank_zero_only.rank == 0:
                held.enter_context(FileLock(folder / "lock", timeout=0))
                remove_partial(folder)
            checkpoint = _state(folder, config, learnt)
        except Timeout:
            raise InUse(f"{folder}: another process trains there; wait for it, or choose another folder") from None
        except OSError as error:
            raise InputError(
                f"{folder}: the run folder cannot be written ({error.strerror}); choose another folder"
            ) from None
        yield checkpoint


def finished(folder: Path, config: Config, learnt: str) -> dict[str, Any] | None:
    """The summary of a run that came to its end; None where there is none of the same settings and the same `fingerprint`.

    Raises:
        InputError: its weights are gone, or others lie in their place.
    """
    if not (folder / "summary.json").is_file() or _difference(folder, config, learnt):
        return None
    file = folder / "summary.json"
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
        weights, learnt_sha256 = folder / Path(summary["weights"]).name, summary["weights_sha256"]
    except (ValueError, LookupError, TypeError):
        raise InputError(f"{file}: damaged; delete it, and the same command writes it anew") from None
    refuse_gone(weights)
    if sha256(weights) != learnt_sha256:
        raise InputError(
            f"{weights}: is not what the run came to; put that back, or keep these elsewhere and delete the folder to train again"
        )
    return {**summary, "weights": str(weights)}  # the folder may have been moved


def outcome(config: Config, train: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """The summary of a run that a command line trains; says so where it had come to its end before. None in further processes."""
    ended = (Path(config.run) / "summary.json").is_file()
    summary = train()
    if rank_zero_only.rank:
        return None
    if ended:
        print(f"{config.run}: this run came to its end on {summary['date']}; to train anew, give another run=")
    return summary


def fingerprint(samples: Sequence[Sample], start: Weights | None = None) -> str:
    """What shows whether a run's lines (their names and texts, not their pictures), or the weights that it goes on from, changed."""
    lines = (f"{sample.split}\t{printable(sample.id)}\t{sample.text}" for sample in samples)
    return hashlib.sha256("\n".join([start.sha256 if start else "", *lines]).encode()).hexdigest()


def refuse_gone(weights: Path) -> None:
    if not weights.is_file():
        raise InputError(
            f"{weights}: is gone, though the run came to its end; put it back, or delete the folder to train again"
        )


def _state(folder: Path, config: Config, learnt: str) -> Path | None:
    """The state of the run in a folder, checked; in a new one, the config is written."""
    checkpoint = folder / "last.ckpt"
    there = any((folder / name).is_file() for name in _OF_A_RUN)
    if there and (difference := _difference(folder, config, learnt)):
        raise OtherRun(f"{folder}: holds {difference}; choose another folder with run=, or delete it")
    if not checkpoint.is_file():
        if (folder / "config.yaml").is_file() and not (folder / _LEARNT).is_file():
            raise InputError(
                f"{folder / 'config.yaml'}: is of no run, and would be written over; choose another folder with run=, or call it "
                "otherwise"
            )
        if rank_zero_only.rank:
            return None
        write_whole(folder / _LEARNT, f"{learnt}\n")
        write_whole(folder / "config.yaml", yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True))
        return None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        sound = {"pytorch-lightning_version", "state_dict"} <= state.keys()
    except Exception:  # what is raised depends on which of its bytes are wrong
        sound = False
    if not sound:
        raise InputError(f"{checkpoint}: damaged; delete it to begin the run again")
    return checkpoint


def _difference(folder: Path, config: Config, learnt: str) -> str:
    """How the run in a folder differs in what its outcome depends on; empty if it is the same."""
    file = folder / "config.yaml"
    if not file.is_file():
        return "weights of which it is not known how they were trained"
    try:
        # Of an earlier release it may lack values, which were then as they are by default.
        there = _deciding(checked(type(config), read_values(file), str(file)))
        known = (folder / _LEARNT).read_text(encoding="utf-8").strip() if (folder / _LEARNT).is_file() else learnt
    except (OSError, ValueError) as error:
        return f"a run that cannot be told from this one ({first_line(error)})"
    for name, value in _deciding(config).items():
        if value != there[name]:
            return f"a run with other settings ({name}: {there[name]}, not {value})"
    return "" if known == learnt else "a run with other lines, or weights to start from"


def _deciding(config: Config) -> dict[str, Any]:
    """The values of a config on which the outcome depends, without the folders of this machine: they may have been moved."""
    values = {name: value for name, value in asdict(config).items() if name not in ("run", "workers")}
    values["trainer"] = {name: value for name, value in config.trainer.items() if name in STEPS}
    values["data"] = [*map(label, config.data)]
    if isinstance(config, TrainConfig):
        values["passes"] = {label(name): passes for name, passes in config.passes.items()}
        # The order of what draws lines decides which lines are drawn.
        values["drawn"] = [(label(name), lines) for name, lines in config.drawn.items()]
        del values["start"]  # the weights count, not their name, and are part of what is learnt
    return values
