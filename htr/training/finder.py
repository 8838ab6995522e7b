"""Training of the network that finds lines, on pages put together from single lines.

The weights are those of the last validation, not of the best.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, Timer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from htr.corpora import label, load_corpus
from htr.corpora.composed import Composer, hand_of
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.files import write_whole
from htr.machine import describe
from htr.network import load_pretrained, said_by_timm
from htr.pages.segmenter import SEGMENTER, Segmenter, SegmenterHeader, save_segmenter
from htr.training.config import FinderConfig
from htr.training.folder import claim, fingerprint, finished, refuse_gone
from htr.training.loop import check_options, fit, make_trainer
from htr.weights import load_network, sha256

VALIDATION_PIECES = 64


def train_finder(config: FinderConfig) -> dict[str, Any]:
    """Trains, or goes on with a run that was stopped, and returns its summary.

    Raises:
        InputError: the data or a value cannot be used, the run folder belongs to another run, or there was no validation.
    """
    check_options(config)
    folder = Path(config.run)
    samples = [sample for name in config.data for sample in load_corpus(name)]
    learnt = fingerprint([sample for sample in samples if sample.split == "train"])
    if summary := finished(folder, config, learnt):
        return summary
    with claim(folder, config, learnt) as checkpoint:
        L.seed_everything(config.seed, workers=True, verbose=False)
        weights = folder / "finder.safetensors"
        # The state of a run that goes on has its encoder, wherever that came from.
        loaded = _loaded(weights) if checkpoint and weights.is_file() else None
        network, origin = _network(config, loaded)
        lines, held_out = split(samples, config.seed)
        facts = {
            "data": [label(name) for name in config.data],
            "train_lines": len(lines),
            "val_lines": len(held_out),
            "encoder_weights": origin,
            "date": date.today().isoformat(),
            "config": {name: value for name, value in asdict(config).items() if name not in ("run", "data")},
        }
        timer = Timer()
        keeper = KeepWeights(weights, SegmenterHeader(config.encoder, config.channels, facts), timer)
        trainer = make_trainer(config, folder, keeper, timer)
        pages = ComposedPages(lines, held_out, config)
        fit(trainer, FinderTraining(network, config), pages, checkpoint, f"batch={max(1, config.batch // 2)}")
        refuse_gone(weights)
        trainer.strategy.barrier()
        summary = {
            **facts,
            **keeper.facts,
            "weights": str(weights),
            "weights_sha256": sha256(weights),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "machine": describe(trainer.strategy.root_device.type) | {"precision": str(trainer.precision)},
            "config": asdict(config),
        }
        if trainer.is_global_zero:
            write_whole(folder / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        return summary


def split(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Parts the train lines of corpora into those to learn from and those of 5 % of the hands, for validation.

    Raises:
        InputError: there are no train lines, or they are all of one hand.
    """
    lines = [sample for sample in samples if sample.split == "train"]
    hands = sorted({hand_of(sample) for sample in lines})
    if len(hands) < 2:
        raise InputError(
            f"data: has {len(lines)} train lines of {len(hands)} pages or writers, and at least two of these are "
            "needed; lines of one's own are for training if below a folder named train, or if lines.tsv says so"
        )
    random.Random(seed).shuffle(hands)
    held_out = set(hands[: max(1, len(hands) // 20)])
    return (
        [sample for sample in lines if hand_of(sample) not in held_out],
        [sample for sample in lines if hand_of(sample) in held_out],
    )


def _network(config: FinderConfig, loaded: str | None) -> tuple[Segmenter, str]:
    """The network to start from, and where its encoder's weights come from: `loaded`, if it needs none any more."""
    try:
        network = Segmenter(config.encoder, config.channels)
        strides = network.encoder.feature_info.reduction()
        if strides != [4, 8, 16, 32]:
            raise RuntimeError(f"its strides are {strides}")
    except Exception as error:  # timm raises whatever its hundreds of models raise
        raise InputError(
            f"encoder: {config.encoder} cannot be used{said_by_timm(error)}; choose a timm CNN with features "
            "at 1/2, 1/4, 1/8, 1/16 and 1/32, such as tf_efficientnet_lite0 or resnet18"
        ) from None
    origin = loaded or "none"
    if config.pretrained != "none":
        origin = loaded or load_pretrained(network.encoder, config.encoder, config.pretrained)
        _freeze_stem(network.encoder)
    return network.to(memory_format=torch.channels_last), origin


def _loaded(weights: Path) -> str:
    """Where the encoder's weights of an earlier state came from."""
    _, header = load_network(weights, SEGMENTER, lambda values: Segmenter(values["encoder"], values["channels"]))
    return header["training"]["encoder_weights"]


def _freeze_stem(encoder: nn.Module) -> None:
    """Keeps the layers before the first features as they are: they only see edges, and are the slowest to train."""
    first = encoder.feature_info.module_name()[0].replace(".", "_")
    for name, parameter in encoder.named_parameters():
        if name.replace(".", "_").startswith(first + "_"):
            return
        parameter.requires_grad_(False)


class Pieces(Dataset):
    """Composed pieces as tensors, some of them turned by quarters.

    Item i is the picture, shape (1, side, side), 0 = black, 1 = white; its cores as they lay before it was turned, shape
    (2, side / 4, side / 4), 0..1; and the quarters by which it is turned clockwise. It is the same each time.

    Args:
        composer: makes the pieces.
        seed: another seed gives other pieces.
        turned: share of pieces that are turned.
    """

    def __init__(self, composer: Composer, seed: int, turned: float) -> None:
        # OpenCV's thread pool hangs in forked loader processes.
        cv2.setNumThreads(0)
        self.composer = composer
        self.seed = seed
        self.turned = turned

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        rng = np.random.default_rng((self.seed, index))
        piece = self.composer(int(rng.integers(2**62)))
        quarters = int(rng.integers(1, 4)) if rng.random() < self.turned else 0
        picture = np.ascontiguousarray(np.rot90(piece.picture, -quarters))
        return torch.from_numpy(picture)[None].float() / 255, torch.from_numpy(piece.cores).float() / 255, quarters


class Numbers(Sampler):
    """The numbers of an epoch's pieces: none comes twice in a run, whether it was resumed or not.

    Args:
        count: of pieces in an epoch, for each process.
        rank, ranks: this process and how many there are; they take turns.
    """

    def __init__(self, count: int, rank: int = 0, ranks: int = 1) -> None:
        self.count, self.rank, self.ranks = count, rank, ranks
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.count * self.ranks + self.rank
        return iter(range(first, first + self.count * self.ranks, self.ranks))


class ComposedPages(L.LightningDataModule):
    """Pieces to learn from, new ones in each epoch, and pieces for validation, always the same."""

    def __init__(self, lines: Sequence[Sample], held_out: Sequence[Sample], config: FinderConfig) -> None:
        super().__init__()
        self.config = config
        self.train = Pieces(Composer(lines, config.side), config.seed, config.turned)
        self.val = Pieces(Composer(held_out, config.side), config.seed + 1, config.turned)
        self._numbers = Numbers(config.epoch_steps * config.batch)

    def state_dict(self) -> dict[str, int]:
        return {"next_epoch": self.trainer.current_epoch + 1}

    def load_state_dict(self, state: dict[str, int]) -> None:
        # Lightning begins to load a resumed run's first epoch before it tells the sampler which one that is.
        self._numbers.set_epoch(state["next_epoch"])

    def train_dataloader(self) -> DataLoader:
        config = self.config
        self._numbers.rank, self._numbers.ranks = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(
            self.train,
            batch_size=config.batch,
            sampler=self._numbers,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        )

    def val_dataloader(self) -> DataLoader:
        numbers = range(self.trainer.global_rank, VALIDATION_PIECES, self.trainer.world_size)
        return DataLoader(self.val, batch_size=2 * self.config.batch, sampler=numbers)


class FinderTraining(L.LightningModule):
    """Trains a `Segmenter`: cross entropy and Dice loss of the cores, cross entropy of the turns."""

    def __init__(self, network: Segmenter, config: FinderConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.config
        encoder = list(self.network.encoder.parameters())
        decoder = [parameter for name, parameter in self.network.named_parameters() if not name.startswith("encoder.")]
        rates = [config.encoder_learning_rate, config.learning_rate]
        optimizer = torch.optim.AdamW(
            [{"params": encoder, "lr": rates[0]}, {"params": decoder, "lr": rates[1]}], weight_decay=config.weight_decay
        )
        steps = self.trainer.estimated_stepping_batches
        # Lightning may be asked to go on without end, or for so few steps that OneCycleLR divides by zero.
        steps = max(4, int(steps) if math.isfinite(steps) else config.epochs * config.epoch_steps)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, steps, pct_start=max(config.warmup, 2 / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> Tensor:
        logits, turns, cores = self._upright(batch)
        core_loss, turn_loss = _core_loss(logits, cores), F.cross_entropy(turns, batch[2])
        self.log_dict({"cores": core_loss.detach(), "turns": turn_loss.detach()}, prog_bar=True)
        return core_loss + 0.1 * turn_loss

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], index: int) -> None:
        logits, turns, cores = self._upright(batch)
        self.log("val_cores", _core_loss(logits, cores), batch_size=len(cores), sync_dist=True)
        self.log("val_turns", (turns.argmax(1) == batch[2]).float().mean(), batch_size=len(turns), sync_dist=True)
        for kind, name in enumerate(("writing", "print")):
            truth, found = cores[:, kind] > 0.5, logits[:, kind] > 0
            both, either = (truth & found).sum(), (truth | found).sum().clamp(min=1)
            # Weighted by the cells, the mean over batches is the IoU of all cells.
            self.log(f"val_{name}", both / either, batch_size=int(either), prog_bar=True, sync_dist=True)

    def _upright(self, batch: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the cores and of the turns, and true cores; cores of upright pieces only, as lines are found on these."""
        pictures, cores, quarters = batch
        logits, turns = self.network(pictures.to(memory_format=torch.channels_last))
        upright = quarters == 0
        return logits[upright].float(), turns.float(), cores[upright]


def _core_loss(logits: Tensor, cores: Tensor) -> Tensor:
    """Cross entropy and half the Dice loss; 0 for a batch of no pieces."""
    if not len(cores):
        return logits.sum()
    probable = logits.sigmoid()
    overlap = 2 * (probable * cores).sum((0, 2, 3)) + 1
    dice = 1 - overlap / (probable.sum((0, 2, 3)) + cores.sum((0, 2, 3)) + 1)
    return F.binary_cross_entropy_with_logits(logits, cores) + 0.5 * dice.mean()


class KeepWeights(Callback):
    """Writes the weights file at each validation; as the learning rate falls to nothing, the last is the best."""

    def __init__(self, path: Path, header: SegmenterHeader, timer: Timer) -> None:
        self.path = path
        self.header = header
        self.timer = timer
        self.facts: dict[str, Any] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: FinderTraining) -> None:
        self.facts = {
            "epochs": trainer.current_epoch + 1,
            "steps": trainer.global_step,
            "minutes": round(self.timer.time_elapsed() / 60, 1),
            **{
                name: round(float(value), 4)
                for name, value in trainer.callback_metrics.items()
                if name.startswith("val_")
            },
        }
        if trainer.is_global_zero:
            header = replace(self.header, training={**self.header.training, **self.facts})
            save_segmenter(self.path, pl_module.network, header)

    def state_dict(self) -> dict[str, Any]:
        return self.facts

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.facts = state_dict
