"""A training run of a recogniser: started, resumed, and summed up in its folder (see `htr.training.folder`)."""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from htr.alphabet import BLANK, Alphabet, named
from htr.corpora import folder_of, label, load_corpus, load_drawer
from htr.corpora.sample import Drawer, Sample
from htr.errors import InputError
from htr.files import write_whole
from htr.machine import describe
from htr.messages import counted
from htr.network import BESIDE, Recogniser, build_encoder, load_all_pretrained
from htr.training.config import TrainConfig
from htr.training.data import Lines
from htr.training.folder import claim, fingerprint, finished, refuse_gone
from htr.training.loop import check_options, fit, make_trainer, say_stopped
from htr.training.module import Training
from htr.training.norms import measure_norms
from htr.weights import Header, Weights, load_weights, save_weights, sha256

log = logging.getLogger(__name__)


def refuse_devices(config: TrainConfig) -> None:
    """Raises `InputError` where several devices are asked for: each would do all else that a run of several trainings does."""
    for name in ("devices", "num_nodes"):
        if config.trainer.get(name, 1) not in (1, "1"):
            raise InputError(
                f"trainer: {name}: this trains on one device; leave it out (the second GPU is taken with CUDA_VISIBLE_DEVICES=1 "
                "before the command)"
            )


def train(config: TrainConfig, settle: bool = False) -> dict[str, Any]:
    """Trains, or goes on with a run that was stopped, and returns its summary.

    Args:
        config: the values of the run.
        settle: whether the norms of the best weights are measured anew in the end (see `htr.training.norms.measure_norms`), and kept
            so where they read the validation lines better; with several processes, a log line says how to do that.

    Raises:
        InputError: the data or a value cannot be used, the run folder belongs to another run, or memory is short.
    """
    check_options(config)
    folder = Path(config.run)
    start = _start(config)
    chosen = _chosen(config)
    samples = [sample for _, sample in chosen]
    learnt = fingerprint([sample for sample in samples if sample.split != "test"], start)
    if summary := finished(folder, config, learnt):
        return summary
    with claim(folder, config, learnt) as checkpoint:
        if not (checkpoint or start):  # said before lines are drawn, which may take minutes
            encoders = [build_encoder(name, config.width_stride) for name in config.encoder.split(BESIDE)]
            try:
                load_all_pretrained(encoders, config.encoder, config.pretrained)
            except InputError as error:
                if len(encoders) == 1 or BESIDE in config.pretrained:
                    raise
                raise InputError(f"{error}, or give one for each of {config.encoder}, joined by {BESIDE}") from None
        L.seed_everything(config.seed, workers=True, verbose=False)
        drawn = [(drawer(config, name, chosen), lines) for name, lines in config.drawn.items()]
        if config.alphabet:
            drawn = [(Spelt(one, config.alphabet), lines) for one, lines in drawn]
            # That no line can be written is said before training starts.
            for one, _ in drawn:
                one.draw(np.random.default_rng(config.seed), aspect=8.0)
        weights = folder / "model.safetensors"
        # The state of a run that goes on has its encoder, wherever that came from.
        loaded = load_weights(weights).header.training["encoder_weights"] if checkpoint and weights.is_file() else None
        network, alphabet, header = _network(config, start, samples, drawn, loaded)
        lines = Lines(
            samples, alphabet, config.height, config.width_stride, config.batch_pixels, config.augmentation, config.workers,
            config.seed, drawn, config.curriculum * config.epochs,
        )  # fmt: skip
        module = Training(network, alphabet, config)
        best = BestWeights(weights, header)
        trainer = make_trainer(config, folder, best)
        fit(trainer, module, lines, checkpoint, f"batch_pixels={config.batch_pixels // 2}")
        learnt_lines: dict[str, dict[int, Sample]] = {}  # each once, however often it is passed
        for name, sample in chosen:
            if sample.split == "train":
                learnt_lines.setdefault(name, {})[id(sample)] = sample
        if settle and learnt_lines and trainer.world_size == 1:
            try:
                learnt_samples = {name: list(found.values()) for name, found in learnt_lines.items()}
                _settle(config, learnt_samples, trainer, lines, best)
            # The first is what Lightning makes of Ctrl-C, and of the signal to end.
            except (SystemExit, KeyboardInterrupt):
                say_stopped()
        elif settle and learnt_lines and trainer.is_global_zero:
            log.warning(
                "norms were not measured anew, as there were several processes; python -m htr.average %s --data %s --out FILE does so",
                weights, " ".join(learnt_lines),
            )  # fmt: skip
        return _finish(folder, config, trainer, module, lines, best)


def _settle(
    config: TrainConfig, corpora: dict[str, list[Sample]], trainer: L.Trainer, lines: Lines, best: BestWeights
) -> None:
    """Measures the norms of the best weights anew, and keeps them so where they read the validation lines better."""
    weights = load_weights(best.path)
    measured = measure_norms(weights.network, config.height, corpora.values())
    device = trainer.strategy.root_device
    judge = L.Trainer(
        accelerator=device.type, devices=1 if device.index is None else [device.index], precision=trainer.precision, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = Training(weights.network, weights.alphabet, config)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        (metrics,) = judge.validate(module, lines.val_dataloader(), verbose=False)
    if metrics["val_cer"] >= best.cer:
        return
    best.cer, best.wer = metrics["val_cer"], metrics["val_wer"]
    best.norms = {"data": [label(name) for name in corpora], "lines": measured}
    facts = {"val_cer": round(best.cer, 3), "val_wer": round(best.wer, 3), "norms": best.norms}
    save_weights(best.path, weights.network, replace(weights.header, training={**weights.header.training, **facts}))


def _finish(
    folder: Path, config: TrainConfig, trainer: L.Trainer, module: Training, lines: Lines, best: BestWeights
) -> dict[str, Any]:
    """Writes what the run came to into the weights file and the summary."""
    machine = describe(trainer.strategy.root_device.type) | {"precision": str(trainer.precision)}
    if trainer.world_size > 1:
        machine["processes"] = trainer.world_size
    several = f"{trainer.world_size} x " * (trainer.world_size > 1)
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
        **({"norms": best.norms} if best.norms else {}),
        "curve": best.curve,
        "lines_per_second": round(best.lines_per_second, 1),
        "speed_of": f"{several}{machine['processor']}, {counted(machine['threads'], 'thread')}, {machine['precision']}, batches of up "
        f"to {config.batch_pixels:,} pixels",
        "config": {
            name: value for name, value in asdict(config).items() if name not in ("run", "data", "drawn", "start")
        }
        | {"passes": {label(name): passes for name, passes in config.passes.items()}},
    }
    weights = folder / "model.safetensors"
    refuse_gone(weights)
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


def _chosen(config: TrainConfig) -> list[tuple[str, Sample]]:
    """The lines of the config's corpora, with the corpus: the share that it asks for of the train ones, each as often as passed."""
    passes = [(name, sample) for name in config.data for sample in load_corpus(name)]
    if config.share < 1:
        train_lines = [entry for entry in passes if entry[1].split == "train"]
        kept = random.Random(config.seed).sample(range(len(train_lines)), round(config.share * len(train_lines)))
        # In order: a page of which lines are cut is opened once.
        passes = [
            *(train_lines[index] for index in sorted(kept)),
            *(entry for entry in passes if entry[1].split == "val"),
        ]
    corpora_named, remedy = (
        ", ".join(config.data),
        "say in a column split, or by folders, which they are (data/README.md)",
    )
    if not config.drawn and not any(sample.split == "train" and sample.text for _, sample in passes):
        larger = f"give a larger share than {config.share:g}, or " if config.share < 1 else ""
        raise InputError(f"{corpora_named}: has no train lines; {larger}{remedy}")
    if not any(sample.split == "val" and sample.text for _, sample in passes):
        raise InputError(f"{corpora_named}: has no val lines, by which the best weights are chosen; {remedy}")
    return [
        (name, sample)
        for name, sample in passes
        for _ in range(config.passes.get(name, 1) if sample.split == "train" else 1)
    ]


def drawer(config: TrainConfig, name: str, chosen: Sequence[tuple[str, Sample]]) -> Drawer:
    """One of the config's drawers; lines that its share leaves out lend no words to lines that are recombined."""
    folders = {corpus: folder_of(corpus) for corpus in config.data}
    lines = None
    if config.share < 1 and (name == "recombined" or (":" in name and folder_of(name) in folders.values())):
        # Lines of two corpora may have one name.
        lines = {(folders[corpus], sample.id) for corpus, sample in chosen if sample.split == "train"}
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
    config: TrainConfig,
    start: Weights | None,
    samples: list[Sample],
    drawn: list[tuple[Drawer, int]],
    loaded: str | None,
) -> tuple[Recogniser, Alphabet, Header]:
    """The network to begin with; `loaded` is where its encoder's weights came from, if it needs none any more."""
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
        take_over(network, alphabet, start)
        origin = f"{Path(config.start).name} {start.sha256}"
    elif loaded:
        origin = loaded
    else:
        origin = load_all_pretrained([part.encoder for part in network.parts], config.encoder, config.pretrained)
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


def take_over(network: Recogniser, alphabet: Alphabet, start: Weights) -> None:
    """Fills a network with weights of another alphabet: classes of characters that both have are kept."""
    state, fresh = start.network.state_dict(), network.state_dict()
    shared = [character for character in alphabet.characters if character in start.alphabet.characters]
    places = [BLANK, *alphabet.encode("".join(shared))]
    old_places = [BLANK, *start.alphabet.encode("".join(shared))]
    for name in state:
        if name.split(".")[-2] in ("head", "shortcut"):  # those of networks beside it too
            fresh[name][places] = state[name][old_places]
            state[name] = fresh[name]
    network.load_state_dict(state)


class BestWeights(Callback):
    """Writes the weights file whenever validation CER is the lowest so far."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.cer = self.wer = float("inf")
        self.epoch = 0
        self.lines_per_second = 0.0
        self.norms: dict[str, Any] = {}  # of what they were measured anew, if they were
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
        if self.epoch and not self.path.is_file():
            raise InputError(
                f"{self.path}: is gone, though the run goes on from it; put it back, or delete the folder to train again"
            )
        # The process may have ended after it wrote weights and before the state.
        facts = load_weights(self.path).header.training if self.path.is_file() else {}
        if facts.get("best_epoch", 0) > self.epoch:
            self.epoch, self.cer, self.wer = (facts[name] for name in ("best_epoch", "val_cer", "val_wer"))
