"""A training run and its folder: started, resumed, and summed up.

The folder holds `config.yaml`, `learnt.sha256` (the `fingerprint` of its lines), a CSV and a TensorBoard log of each start
under `logs/`, `last.ckpt` to resume from, `model.safetensors` (the weights that were best on validation) and, at the end,
`summary.json`. What both kinds of training need stands here too: `fingerprint`, `finished`, `claim`, `make_trainer` and `fit`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import yaml
from filelock import FileLock, Timeout
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from htr.alphabet import BLANK, Alphabet, named
from htr.cli import counted, printable
from htr.corpora import label, load_corpus, load_drawer
from htr.corpora.sample import Drawer, Sample
from htr.errors import InputError, first_line
from htr.files import write_whole, written_whole
from htr.machine import describe, use_bfloat16
from htr.network import Recogniser, load_pretrained
from htr.training.config import Config, TrainConfig, checked, read_values
from htr.training.data import Lines
from htr.training.module import Training
from htr.weights import Header, Weights, load_weights, save_weights, sha256

log = logging.getLogger(__name__)

# In a run folder, the fingerprint of what it learns from.
_LEARNT = "learnt.sha256"

# Any of these shows that there was a run in a folder.
_OF_A_RUN = "last.ckpt", "summary.json", "model.safetensors", "finder.safetensors"

# What PyTorch and the system say on a CPU, and where the system has ended a process that loads lines.
_NO_MEMORY = (
    "not enough memory",
    "Cannot allocate memory",
    "is killed by signal: Killed",
    "is killed by signal: Bus error",
)

STEPS = {
    "max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "limit_train_batches", "limit_val_batches", "overfit_batches",
    "fast_dev_run", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "check_val_every_n_epoch",
    "val_check_interval",
}  # fmt: skip
"""Lightning's options that decide what is learnt; the others tell where, and what is seen of it."""


def refuse_devices(config: TrainConfig) -> None:
    """Raises `InputError` where several devices are asked for: each would do all else that a run of several trainings does."""
    for name in ("devices", "num_nodes"):
        if config.trainer.get(name, 1) not in (1, "1"):
            raise InputError(f"trainer: {name}: this trains on one device; leave it out")


def train(config: TrainConfig) -> dict[str, Any]:
    """Trains, or goes on with a run that was stopped, and returns its summary.

    Raises:
        InputError: the data or a value cannot be used, the run folder belongs to another run, there was no validation, or memory is
            short.
    """
    folder = Path(config.run)
    start = _start(config)
    samples = _chosen(config)
    learnt = fingerprint(samples, start)
    if summary := finished(folder, config, learnt):
        return summary
    with claim(folder, config, learnt) as checkpoint:
        L.seed_everything(config.seed, workers=True, verbose=False)
        drawn = [(drawer(config, name, samples), lines) for name, lines in config.drawn.items()]
        if config.alphabet:
            drawn = [(Spelt(one, config.alphabet), lines) for one, lines in drawn]
            # That no line can be written is said before training starts.
            for one, _ in drawn:
                one.draw(np.random.default_rng(config.seed), aspect=8.0)
        network, alphabet, header = _network(config, start, samples, drawn)
        lines = Lines(
            samples, alphabet, config.height, config.width_stride, config.batch_pixels, config.augmentation, config.workers,
            config.seed, drawn, config.curriculum * config.epochs,
        )  # fmt: skip
        module = Training(network, alphabet, config)
        best = BestWeights(folder / "model.safetensors", header)
        trainer = make_trainer(config, folder, best)
        fit(trainer, module, lines, checkpoint)
        refuse_unvalidated(folder, best.epoch)
        return _finish(folder, config, trainer, module, lines, best)


def _finish(
    folder: Path, config: TrainConfig, trainer: L.Trainer, module: Training, lines: Lines, best: BestWeights
) -> dict[str, Any]:
    """Writes what the run came to into the weights file and the summary."""
    machine = describe(trainer.strategy.root_device.type) | {"precision": str(trainer.precision)}
    facts = {
        "best_epoch": best.epoch,
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "minutes": round(module.seconds() / 60, 1),
        "train_lines": lines.train.distinct,
        "drawn_lines": {label(name): count for name, count in config.drawn.items()},
        "val_lines": len(lines.val),
        "val_cer": round(best.cer, 3),
        "val_wer": round(best.wer, 3),
        "curve": best.curve,
        "lines_per_second": round(best.lines_per_second, 1),
        "speed_of": f"{machine['processor']}, {counted(machine['threads'], 'thread')}, {machine['precision']}, batches of up to "
        f"{config.batch_pixels:,} pixels",
        "config": {
            name: value for name, value in asdict(config).items() if name not in ("run", "data", "drawn", "start")
        }
        | {"passes": {label(name): passes for name, passes in config.passes.items()}},
    }
    weights = folder / "model.safetensors"
    _refuse_gone(weights)
    if trainer.is_global_zero:
        loaded = load_weights(weights)
        save_weights(weights, loaded.network, replace(loaded.header, training={**loaded.header.training, **facts}))
    trainer.strategy.barrier()
    summary = {
        **facts,
        "weights": str(weights),
        "weights_sha256": sha256(weights),
        "parameters": sum(parameter.numel() for parameter in module.network.parameters()),
        "encoder_weights": best.header.training["encoder_weights"],
        "date": date.today().isoformat(),
        "machine": machine,
        "config": asdict(config),
    }
    if trainer.is_global_zero:
        write_whole(folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def fingerprint(samples: Sequence[Sample], start: Weights | None = None) -> str:
    """What shows whether a run's lines (their names and texts, not their pictures), or the weights that it goes on from, changed."""
    lines = (f"{sample.split}\t{printable(sample.id)}\t{sample.text}" for sample in samples)
    return hashlib.sha256("\n".join([start.sha256 if start else "", *lines]).encode()).hexdigest()


def finished(folder: Path, config: Config, learnt: str) -> dict[str, Any] | None:
    """The summary of a run that came to its end; None where there is none of the same settings and the same `fingerprint`.

    Raises:
        InputError: its weights are gone, or others lie in their place.
    """
    if not (folder / "summary.json").is_file() or not _same_run(folder, config, learnt):
        return None
    file = folder / "summary.json"
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
        weights, learnt_sha256 = folder / Path(summary["weights"]).name, summary["weights_sha256"]
    except (ValueError, LookupError, TypeError):
        raise InputError(f"{file}: damaged; delete it, and the same command writes it anew") from None
    _refuse_gone(weights)
    if sha256(weights) != learnt_sha256:
        raise InputError(
            f"{weights}: is not what the run came to; put that back, or keep these elsewhere and delete the folder to train again"
        )
    return {**summary, "weights": str(weights)}  # the folder may have been moved


def refuse_unvalidated(folder: Path, validated: object) -> None:
    """Raises `InputError` where a training has come to its end without any validation, so that there are no weights."""
    if not validated:
        raise InputError(
            f"{folder}: the training ended before its first validation, so there are no weights; delete this folder, and give "
            "more epochs or minutes, or other trainer options"
        )


def _refuse_gone(weights: Path) -> None:
    if not weights.is_file():
        raise InputError(
            f"{weights}: is gone, though the run came to its end; put it back, or delete the folder to train again"
        )


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
            checkpoint = _state(folder, config, learnt)
        except Timeout:
            raise InUse(f"{folder}: another process trains there; wait for it, or choose another folder") from None
        except OSError as error:
            raise InputError(
                f"{folder}: the run folder cannot be written ({error.strerror}); choose another folder"
            ) from None
        yield checkpoint


def _state(folder: Path, config: Config, learnt: str) -> Path | None:
    """The state of the run in a folder, checked; in a new one, the config is written."""
    checkpoint = folder / "last.ckpt"
    there = any((folder / name).is_file() for name in _OF_A_RUN)
    if there and not _same_run(folder, config, learnt):
        other = (
            "a run with other settings (see its config.yaml), lines or weights to start from"
            if (folder / "config.yaml").is_file()
            else "weights of which it is not known how they were trained"
        )
        raise OtherRun(f"{folder}: holds {other}; choose another folder, or delete it")
    if not checkpoint.is_file():
        write_whole(folder / "config.yaml", yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True))
        write_whole(folder / _LEARNT, f"{learnt}\n")
        return None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        sound = {"pytorch-lightning_version", "state_dict"} <= state.keys()
    except Exception:  # what is raised depends on which of its bytes are wrong
        sound = False
    if not sound:
        raise InputError(f"{checkpoint}: damaged; delete it to begin the run again")
    return checkpoint


def _same_run(folder: Path, config: Config, learnt: str) -> bool:
    """Whether the run in a folder differs in nothing that its outcome depends on."""
    try:
        # Runs of an earlier release lack it.
        if (folder / _LEARNT).is_file() and (folder / _LEARNT).read_text(encoding="utf-8").strip() != learnt:
            return False
        # Of an earlier release it may lack values, which were then as they are by default.
        there = asdict(checked(type(config), read_values(folder / "config.yaml"), str(folder)))
        here = asdict(config)
        # The order of what draws lines decides which lines are drawn.
        same_order = list(there["drawn"]) == list(here["drawn"]) if "drawn" in here else True
        for values in (there, here):
            values["trainer"] = {name: value for name, value in values["trainer"].items() if name in STEPS}
        return same_order and all(there[name] == here[name] for name in here if name not in ("run", "workers"))
    except (OSError, ValueError):
        return False


def _chosen(config: TrainConfig) -> list[Sample]:
    """The lines of the config's corpora: the share of the train lines that it asks for, each as often as it is passed."""
    corpora = [(config.passes.get(name, 1), load_corpus(name)) for name in config.data]
    passes = [(count, sample) for count, samples in corpora for sample in samples]
    if config.share < 1:
        train_lines = [entry for entry in passes if entry[1].split == "train"]
        kept = random.Random(config.seed).sample(train_lines, round(config.share * len(train_lines)))
        passes = [*kept, *(entry for entry in passes if entry[1].split == "val")]
    corpora_named, remedy = (
        ", ".join(config.data),
        "say in a column split, or by folders, which they are (data/README.md)",
    )
    if not config.drawn and not any(sample.split == "train" and sample.text for _, sample in passes):
        larger = f"give a larger share than {config.share:g}, or " if config.share < 1 else ""
        raise InputError(f"{corpora_named}: has no train lines; {larger}{remedy}")
    if not any(sample.split == "val" and sample.text for _, sample in passes):
        raise InputError(f"{corpora_named}: has no val lines, by which the best weights are chosen; {remedy}")
    return [sample for count, sample in passes for _ in range(count if sample.split == "train" else 1)]


def drawer(config: TrainConfig, name: str, samples: Sequence[Sample]) -> Drawer:
    """One of the config's drawers; lines that its share leaves out lend no words to lines that are recombined."""
    # However the folder is written: the last part is its path, of `pages:iam:FOLDER` too.
    paths = [Path(corpus.rpartition(":")[2]).resolve() for corpus in (name, *config.data)]
    labelled = name == "recombined" or (":" in name and paths[0] in paths[1:])
    lines = {sample.id for sample in samples if sample.split == "train"} if config.share < 1 and labelled else None
    return load_drawer(name, config.start, lines, config.data)


class Spelt:
    """A drawer whose lines are drawn anew until an alphabet has all of their characters."""

    # Among so many lines of any drawer are some of letters and spaces alone.
    _TRIES = 1000

    def __init__(self, drawer: Drawer, alphabet: str) -> None:
        self.drawer = drawer
        self.characters = "".join(character for character in drawer.characters if character in alphabet)
        self._alphabet = frozenset(alphabet)

    def draw(self, rng: np.random.Generator, aspect: float) -> tuple[np.ndarray, str]:
        """Draws a line; see `htr.corpora.sample.Drawer`.

        Raises:
            InputError: no line can be written with the alphabet.
        """
        for _ in range(self._TRIES):
            picture, text = self.drawer.draw(rng, aspect)
            if self._alphabet.issuperset(text):
                return picture, text
        raise InputError(
            "alphabet: no drawn line can be written with these characters; add letters, or set drawn to {}"
        )


def _start(config: TrainConfig) -> Weights | None:
    """The weights to go on from, if any; their height may be another, since letters of other sizes are soon learnt.

    Raises:
        InputError: they cannot be used, or the config asks for another network.
    """
    if not config.start:
        return None
    start = load_weights(config.start)
    for name, value in start.header.network.items():
        if name != "dropout" and getattr(config, name) != value:
            raise InputError(f"{start.file}: its {name} is {value}, not {getattr(config, name)}; set {name}={value}")
    return start


def _network(
    config: TrainConfig, start: Weights | None, samples: list[Sample], drawn: list[tuple[Drawer, int]]
) -> tuple[Recogniser, Alphabet, Header]:
    if config.alphabet:
        alphabet = Alphabet(config.alphabet)
    else:
        texts = [sample.text for sample in samples if sample.split == "train"]
        alphabet = Alphabet.of([*texts, *(drawer.characters for drawer, _ in drawn)])
        if start:
            # What the weights know keeps its place; what they do not comes after it.
            new = start.alphabet.missing([alphabet.characters])
            alphabet = Alphabet(start.alphabet.characters + new)
            if new:
                log.warning("%s: %d characters are new to these weights: %s", config.start, len(new), named(new))
    arguments = {
        name: getattr(config, name)
        for name in ("encoder", "width_stride", "lstm_layers", "lstm_units", "neck_channels", "dropout")
    }
    network = Recogniser(classes=alphabet.classes, **arguments)
    if start:
        _take_over(network, alphabet, start)
        origin = f"{Path(config.start).name} {start.sha256}"
    elif config.pretrained == "none":
        origin = "none"
    else:
        origin = load_pretrained(network.encoder, config.encoder, config.pretrained)
    header = Header(
        alphabet.characters,
        config.height,
        arguments,
        {
            "data": [label(name) for name in config.data],
            "encoder_weights": origin,
            "seed": config.seed,
            "date": date.today().isoformat(),
            **({"parent": start.ancestry()} if start else {}),
        },
    )
    return network.to(memory_format=torch.channels_last), alphabet, header


def _take_over(network: Recogniser, alphabet: Alphabet, start: Weights) -> None:
    """Fills a network with weights of another alphabet: classes of characters that both have are kept."""
    state, fresh = start.network.state_dict(), network.state_dict()
    shared = [character for character in alphabet.characters if character in start.alphabet.characters]
    places = [BLANK, *alphabet.encode("".join(shared))]
    old_places = [BLANK, *start.alphabet.encode("".join(shared))]
    for name in ("head.weight", "head.bias", "shortcut.weight", "shortcut.bias"):
        fresh[name][places] = state[name][old_places]
        state[name] = fresh[name]
    network.load_state_dict(state)


def make_trainer(config: Config, folder: Path, *keepers: Callback) -> L.Trainer:
    """Sets up Lightning for a run.

    Args:
        config: the values of the run.
        folder: of the run.
        keepers: callbacks that see the averaged weights at each validation.

    Raises:
        InputError: Lightning refuses one of the config's options for it.
    """
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.WARNING)
    device = "cuda" if torch.cuda.is_available() and config.trainer.get("accelerator") != "cpu" else "cpu"
    options = {
        "accelerator": device,
        "precision": "bf16-mixed" if use_bfloat16(device) else "32-true",
        "devices": 1,  # with more, batches and figures would be others
        "max_epochs": config.epochs,
        "plugins": [WholeStates()],
        "gradient_clip_val": config.clip or None,
        "log_every_n_steps": 50,
        **config.trainer,
    }
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [*keepers, last]
    if config.average:
        callbacks.append(Averaging(decay=config.average))
    if options.get("enable_progress_bar", True):
        callbacks.append(Progress(refresh_rate=10))
    if not options.get("accumulate_grad_batches", 1):
        raise InputError("trainer: accumulate_grad_batches: 0 batches make no step; give 1 or more")
    # Each start, also of a run that goes on, has a log of its own: logs/version_0, logs/version_1, ...
    table = CSVLogger(folder, "logs", flush_logs_every_n_steps=1)
    try:
        return L.Trainer(
            callbacks=callbacks,
            logger=[table, TensorBoardLogger(folder, "logs", table.version)],
            default_root_dir=folder,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
            **options,
        )
    except (TypeError, ValueError, AssertionError, ImportError, MisconfigurationException) as error:
        raise InputError(f"trainer: {first_line(error)}; see the options of Lightning's Trainer") from None


def fit(trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None) -> None:
    """Runs the training, from the state in `checkpoint` if there is one.

    Raises:
        InputError: the run folder can no longer be written, memory is short, or an option of Lightning's does not suit the data.
    """
    with warnings.catch_warnings():
        # Lightning's advice on loaders and logging does not help our users.
        warnings.filterwarnings("ignore", module="lightning")
        try:
            trainer.fit(module, data, ckpt_path=checkpoint)
        except SystemExit:  # what Lightning makes of Ctrl-C
            log.warning("stopped; the same command goes on from the last whole epoch")
            raise KeyboardInterrupt from None
        except (ValueError, MisconfigurationException) as error:
            if isinstance(error, MisconfigurationException) or "val_check_interval" in str(error):
                raise InputError(f"trainer: {first_line(error)}; see the options of Lightning's Trainer") from None
            raise
        except (OSError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY):
                raise InputError(
                    f"{trainer.default_root_dir}: memory is short; halve batch_pixels (or, of a finder, batch), or take fewer "
                    "workers, and give another run"
                ) from None
            # PyTorch's writer of files does not say why it failed.
            if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):
                raise
            reason = getattr(error, "strerror", None) or "the disk may be full"
            raise InputError(
                f"{trainer.default_root_dir}: the run cannot be written ({reason}); make room, and the same command goes on "
                "from the last whole epoch"
            ) from None


class WholeStates(TorchCheckpointIO):
    """Writes states so that the one before is there until the new one is whole.

    Lightning makes them where the system keeps its temporary files, and from another disk they are copied over the old ones.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with written_whole(Path(path)) as partial:
            torch.save(checkpoint, partial)


class Progress(TQDMProgressBar):
    """Lightning's bar without the number of the log."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


class Averaging(EMAWeightAveraging):
    """Exponential moving average of the weights, in place also while `BestWeights` looks at them."""

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning takes the average out here, before the figures of the validation are known."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_validation_epoch_end(trainer, pl_module)


class BestWeights(Callback):
    """Writes the weights file whenever validation CER is the lowest so far."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.cer = self.wer = float("inf")
        self.epoch = 0
        self.lines_per_second = 0.0
        self.curve: list[dict[str, float]] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: Training) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.lines_per_second = metrics.get("lines/s", 0.0)
        self.curve.append(
            {
                "epoch": trainer.current_epoch + 1,
                "minutes": round(pl_module.seconds() / 60, 2),
                "val_cer": round(metrics["val_cer"], 3),
            }
        )
        if metrics["val_cer"] < self.cer:
            self.cer, self.wer, self.epoch = metrics["val_cer"], metrics["val_wer"], trainer.current_epoch + 1
            if trainer.is_global_zero:
                facts = {"best_epoch": self.epoch, "val_cer": round(self.cer, 3), "val_wer": round(self.wer, 3)}
                header = replace(self.header, training={**self.header.training, **facts})
                save_weights(self.path, pl_module.network, header)

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("cer", "wer", "epoch", "lines_per_second", "curve")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)
        # The process may have ended after it wrote weights and before the state.
        facts = load_weights(self.path).header.training if self.path.is_file() else {}
        if facts.get("best_epoch", 0) > self.epoch:
            self.epoch, self.cer, self.wer = (facts[name] for name in ("best_epoch", "val_cer", "val_wer"))
