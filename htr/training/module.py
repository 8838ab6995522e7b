"""How the recogniser learns: losses, learning rates, validation."""

from __future__ import annotations

import math
import time
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from htr.alphabet import BLANK, Alphabet
from htr.decoding import greedy, probabilities_of
from htr.metrics import count_edits, words
from htr.network import Recogniser
from htr.training.config import TrainConfig
from htr.training.data import Batch


class Training(L.LightningModule):
    """Trains a `Recogniser` with CTC.

    The learning rate rises linearly and falls along a cosine over the run's epochs, or over its minutes where these
    end first.
    """

    def __init__(self, network: Recogniser, alphabet: Alphabet, config: TrainConfig) -> None:
        super().__init__()
        self.network = network
        self.alphabet = alphabet
        self.config = config
        self.ctc = nn.CTCLoss(blank=BLANK, zero_infinity=True)
        self.seconds_before = 0.0
        self._started: float | None = None
        self._lines_seen = 0
        self._read: list[Tensor] = []

    # -- learning

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            # Norms and biases are vectors; decay would only push them off their scale.
            groups.setdefault(("encoder" in name.split("."), parameter.dim() > 1), []).append(parameter)
        config = self.config
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "peak": config.encoder_learning_rate if encoder else config.learning_rate,
                    "weight_decay": config.weight_decay if decays else 0.0,
                }
                for (encoder, decays), parameters in groups.items()
            ],
            lr=config.learning_rate,
        )

    def progress(self) -> float:
        """How much of the run is over, 0 to 1, by steps or by time, whichever is further."""
        done = self.global_step / max(1, self.trainer.estimated_stepping_batches)
        if self.config.minutes:
            # All processes go by the clock of the first, or their weights would part.
            done = self.trainer.strategy.broadcast(max(done, self.seconds() / (60 * self.config.minutes)))
        return min(done, 1.0)

    def seconds(self) -> float:
        """Time spent in training, that before resuming included."""
        return self.seconds_before + (time.monotonic() - self._started if self._started else 0.0)

    def on_train_start(self) -> None:
        self._started = time.monotonic()
        self._end_with_time()  # of a run that was stopped after its last step

    def on_train_end(self) -> None:
        self.seconds_before, self._started = self.seconds(), None

    def on_train_epoch_start(self) -> None:
        self._lines_seen, self._epoch_started = 0, time.monotonic()

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        factor = schedule(self.progress(), self.config.warmup)
        for group in self.optimizers().param_groups:
            group["lr"] = group["peak"] * factor

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        self._end_with_time()

    def _end_with_time(self) -> None:
        if self.config.minutes:
            self.trainer.should_stop = self.trainer.should_stop or self.progress() >= 1.0

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        logits, asides = self.network(batch.images.to(memory_format=torch.channels_last))
        loss = self._loss(logits, batch)
        total = loss + self.config.shortcut * sum(self._loss(aside, batch) for aside in asides)
        self._lines_seen += len(batch.texts)
        self.log("loss", loss.detach(), prog_bar=True, batch_size=len(batch.texts))
        self.log(
            "lines/s",
            self._lines_seen * self.trainer.world_size / (time.monotonic() - self._epoch_started),
            prog_bar=True,
            batch_size=len(batch.texts),
        )
        return total

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        columns = batch.columns.clamp(max=logits.shape[1])
        return self.ctc(logits.float().log_softmax(-1).transpose(0, 1), batch.targets, columns, batch.lengths)

    # -- validation

    def on_validation_epoch_start(self) -> None:
        self._read = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        logits, _ = self.network(batch.images.to(memory_format=torch.channels_last))
        counts = torch.zeros(4)
        for text, reading in zip(batch.texts, greedy(probabilities_of(logits, batch.columns), self.alphabet)):
            counts += torch.tensor([*count_edits(text, reading.text), *count_edits(text, reading.text, words)])
        self._read.append(counts)

    def on_validation_epoch_end(self) -> None:
        counts = torch.stack(self._read).sum(0) if self._read else torch.zeros(4)
        counts = self.trainer.strategy.reduce(counts.to(self.device), reduce_op="sum")
        character_edits, characters, word_edits, word_count = counts.tolist()
        self.log("val_cer", 100 * character_edits / max(characters, 1), prog_bar=True, rank_zero_only=False)
        self.log("val_wer", 100 * word_edits / max(word_count, 1), prog_bar=True, rank_zero_only=False)

    # -- resuming

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["seconds"] = self.seconds()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.seconds_before = checkpoint["seconds"]


def schedule(progress: float, warmup: float) -> float:
    """Share of the peak learning rate at a point of the run (0 to 1): linear rise, then half a cosine down to 0."""
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
