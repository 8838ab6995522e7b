"""The values that fine-tuning learns with, by the number of lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from htr.encoders import NAME as PPOCR_ENCODER
from htr.errors import InputError
from htr.network import BESIDE
from htr.training.config import TrainConfig, checked, overridden
from htr.training.loop import check_options
from htr.training.run import refuse_devices
from htr.weights import Weights

# How many lines, repeated ones too, a training sees at most that learns from unread lines, beside labelled ones or alone, and the
# share of labelled ones among them.
_SEEN, _SEEN_ALONE, _LABELLED = 4000, 3000, 0.25


class Pace(NamedTuple):
    """How fast the encoder learns, for how long, and how far the weights go.

    Attributes:
        encoder_learning_rate: at its highest.
        lines: labelled ones that a training sees, each of them in every epoch, unless that makes very few epochs.
        epochs: at most; of few lines, held-out ones are read no better after more.
        share: of the way from the parent's weights to those that were learnt.
    """

    encoder_learning_rate: float
    lines: int
    epochs: int
    share: float


# With 100 lines of Hooker's hand and a former `iam`, validation CER there falls from 63.2 to 46.8 % all the way with the average
# of two trainings, to 47.9 % with 0.7 and to 50.3 % with 0.6 of it, while that on IAM rises from 5.2 to 9.9, 7.2 and 6.4 %.
_PACE = Pace(1e-3, 1750, 60, 0.65)

# An encoder that has learnt to read needs less. With 100 lines of Hooker and `runs/default-without-hooker/3`, validation CER there
# falls from 50.5 to 36.1 % all the way, to 36.2 % with 0.9, 36.8 % with 0.8 and 37.6 % with 0.7 of it, with language from 43.4 to
# 27.5, 27.6, 27.6 and 28.1 %, while that on IAM (every fourth) rises from 3.8 to 6.1, 5.6, 5.2 and 4.9 %: means of three averages
# of two trainings each.
_PACE_OF_READER = Pace(2e-4, 1050, 30, 0.8)


def pace(parent: Weights) -> Pace:
    """The pace of weights that go on from these."""
    return _PACE_OF_READER if PPOCR_ENCODER in parent.header.network["encoder"].split(BESIDE) else _PACE


class Read(NamedTuple):
    """Unread lines as they were read.

    Attributes:
        corpus: of them.
        lines: how many.
        start: weights that go on with them.
    """

    corpus: str
    lines: int
    start: Path


def recipe(
    parent: Weights, corpus: Path, run: Path, lines: int, share: float, overrides: list[str], read: Read | None = None
) -> TrainConfig:
    """The values to learn so many labelled lines with.

    Args:
        parent: weights to go on from.
        corpus: folder of the labelled lines.
        run: folder of the training.
        lines: of the corpus that are to learn from.
        share: of these that are learnt.
        overrides: `key=value` words to lay over the values.
        read: unread lines that are learnt too.

    Raises:
        InputError: a word is wrong, or is of what the lines and the parent decide.
    """
    go = pace(parent)
    lines = max(1, round(share * lines))
    labelled = f"lines:{corpus}"
    given = {
        "run": str(run),
        "data": [labelled],
        "passes": {},
        "share": share,
        "start": str(Path(parent.file).resolve()),
        "alphabet": None,
        "height": parent.header.height,
        **parent.header.network,
    }
    if read:
        passes = max(1, round(_LABELLED / (1 - _LABELLED) * read.lines / lines))
        given |= {"data": [labelled, read.corpus], "passes": {labelled: passes}, "start": str(read.start)}
    for key in _keys(overrides):
        if key in given:
            raise InputError(f"{key}: the lines and the weights to go on from decide this; leave it out")
    values = {
        **given,
        "drawn": {"synthetic": max(1, lines // 4)},
        "epochs": max(8, min(go.epochs, round(go.lines / lines))),
        "batch_pixels": round(350_000 * (parent.header.height / 64) ** 2),  # half a dozen lines
        "learning_rate": 1.5e-3,
        "encoder_learning_rate": go.encoder_learning_rate,
        "average": 0.99,
    }
    config = checked(TrainConfig, overridden(values, overrides), "fine-tuning")
    refuse_devices(config)
    if "check_val_every_n_epoch" in config.trainer:
        raise InputError(
            "trainer.check_val_every_n_epoch: when the lines held out are read is decided here; leave it out"
        )
    if read:
        if "epochs" not in _keys(overrides):
            config = replace(config, epochs=min(config.epochs, max(2, round(_SEEN / (passes * lines + read.lines)))))
        return replace(config, trainer={**config.trainer, "check_val_every_n_epoch": 1})
    # About a dozen looks at the held-out lines, the last of them at the end.
    every = 1 if config.minutes else max(1, config.epochs // 12)
    if "epochs" in _keys(overrides):
        every = max(step for step in range(1, every + 1) if config.epochs % step == 0)
    looks = {**config.trainer, "check_val_every_n_epoch": every}
    config = replace(config, epochs=every * round(config.epochs / every), trainer=looks)
    check_options(config)
    return config


def recipe_of_unread(parent: Weights, corpus: Path, run: Path, lines: int, overrides: list[str]) -> TrainConfig:
    """The same for so many lines that were read, none of them labelled: as nothing tells which epoch is best, they end with the last.

    Where `minutes` bring the end after any epoch, it is the one whose readings of the corpus' val lines changed least.
    """
    config = recipe(parent, corpus, run, lines, 1.0, overrides)
    if "epochs" not in _keys(overrides):
        config = replace(config, epochs=min(config.epochs, max(2, round(_SEEN_ALONE / lines))))
    every = 1 if config.minutes else config.epochs
    return replace(config, trainer={**config.trainer, "check_val_every_n_epoch": every})


def _keys(overrides: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in overrides]
