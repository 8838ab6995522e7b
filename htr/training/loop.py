"""The training loop: Lightning's, with averaged weights, states that are written whole, and errors in one sentence."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, NoReturn

import cv2
import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from htr.errors import InputError, first_line, memory_short
from htr.files import written_whole
from htr.machine import use_bfloat16
from htr.training.config import Config, check_kind

log = logging.getLogger(__name__)

# Those of Lightning's options that suit: by the others, training would not be what the config says, its weights would be lost or
# chosen by a part of the validation lines, or Lightning would ask for an object.
_OPTIONS: dict[str, tuple[type, ...]] = {
    "accelerator": (str,),
    "devices": (int, str, list),
    "num_nodes": (int,),
    "strategy": (str,),
    "precision": (int, str),
    "accumulate_grad_batches": (int,),
    "limit_train_batches": (int, float),
    "check_val_every_n_epoch": (int,),
    "log_every_n_steps": (int,),
    "enable_progress_bar": (bool,),
    "deterministic": (bool, str),
    "benchmark": (bool,),
}

_PRECISIONS = frozenset({"32", "32-true", "bf16", "bf16-mixed", "16", "16-mixed"})


def make_trainer(config: Config, folder: Path, *keepers: Callback) -> L.Trainer:
    """Sets up Lightning for a run.

    Args:
        config: the values of the run, which have passed `check_options`.
        folder: of the run.
        keepers: callbacks that see the averaged weights at each validation.

    Raises:
        InputError: Lightning refuses one of the config's options for it.
    """
    for name in ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.signal_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
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
    if device == "cuda" and options.get("deterministic") is True:
        raise InputError("trainer: deterministic: not all of a training can be so on a GPU; choose warn")
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [*keepers, last]
    if config.average:
        callbacks.append(Averaging(config.average, fresh=not getattr(config, "start", None)))
    if options.get("enable_progress_bar", True):
        callbacks.append(Progress(refresh_rate=10))
    # Each start, also of a run that goes on, has a log of its own: logs/version_0, logs/version_1, ...
    table = CSVLogger(folder, "logs", flush_logs_every_n_steps=1)
    try:
        with warnings.catch_warnings():
            # That of a Mac, on which CTC was never tried.
            warnings.filterwarnings("ignore", "GPU available but not used")
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


def check_options(config: Config) -> None:
    """Raises `InputError` where an option is none of Lightning's that suit, or would leave the end of the training without a look."""
    options = config.trainer
    for name, value in options.items():
        if name in ("max_epochs", "max_steps", "max_time"):
            limits = "epochs or minutes; give one of these" if hasattr(config, "minutes") else "epochs; give these"
            raise InputError(f"trainer: {name}: training ends by {limits}")
        if name not in _OPTIONS:
            raise InputError(f"trainer: {name}: is not to be given; the options are {', '.join(_OPTIONS)}")
        check_kind(f"trainer: {name}", value, _OPTIONS[name])
        if name != "devices" and not isinstance(value, (bool, str)) and value <= 0:
            raise InputError(f"trainer: {name}: {value} is too few; give more, or leave it out")
    every = options.get("check_val_every_n_epoch", 1)
    if config.epochs % every:
        raise InputError(
            f"trainer: check_val_every_n_epoch: {config.epochs} epochs are no multiple of {every}, so the last would not be looked "
            "at; change one of both"
        )
    if getattr(config, "minutes", None) and every != 1:
        raise InputError(
            "trainer: check_val_every_n_epoch: with minutes, the end may come in any epoch, and would not be looked at; leave one of "
            "both out"
        )
    if options.get("deterministic", False) not in (False, True, "warn"):
        raise InputError(f"trainer: deterministic: {options['deterministic']} is none of true, false and warn")
    precision = options.get("precision")
    if precision is not None and str(precision) not in _PRECISIONS:
        raise InputError(
            f"trainer: precision: {precision} does not do, as weights and their average are kept in 32 bits; choose one of "
            f"{', '.join(sorted(_PRECISIONS))}"
        )
    strategy = str(options.get("strategy", ""))
    if any(word in strategy for word in ("spawn", "fork", "notebook")):
        raise InputError(
            f"trainer: strategy: of {strategy}, the best weights do not come back to this program; choose ddp"
        )


def fit(
    trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None, smaller: str
) -> None:
    """Runs the training, from the state in `checkpoint` if there is one; `smaller` is a value that halves its batches.

    Raises:
        InputError: the run folder can no longer be written, memory is short, or an option of Lightning's does not suit the data.
    """
    with warnings.catch_warnings():
        # Lightning's advice on loaders and logging does not help our users.
        warnings.filterwarnings("ignore", module="lightning")
        try:
            trainer.fit(module, data, ckpt_path=checkpoint)
        except SystemExit:  # what Lightning makes of Ctrl-C, and of the signal to end
            say_stopped()
        except MisconfigurationException as error:
            raise InputError(f"trainer: {first_line(error)}; see the options of Lightning's Trainer") from None
        except (OSError, EOFError, RuntimeError, MemoryError, cv2.error) as error:
            if trainer.received_sigterm:  # which the processes that load lines may have followed first
                say_stopped()
            if isinstance(error, torch.OutOfMemoryError) or memory_short(error):
                raise InputError(
                    f"{trainer.default_root_dir}: memory is short; give {smaller} or fewer workers, and another run= (to "
                    "htr.finetune, another --out)"
                ) from None
            if not isinstance(error, OSError):
                raise
            reason = error.strerror or "the disk may be full"
            raise InputError(
                f"{trainer.default_root_dir}: the run cannot be written ({reason}); make room, and the same command goes on "
                "from the last whole epoch"
            ) from None


TOLD = "told"
"""What a `KeyboardInterrupt` says of which the user knows what it means for the run."""


def say_stopped() -> NoReturn:
    log.warning("stopped; the same command goes on from the last whole epoch")
    raise KeyboardInterrupt(TOLD) from None


class WholeStates(TorchCheckpointIO):
    """Writes states so that the one before is there until the new one is whole.

    Lightning makes them where the system keeps its temporary files, and from another disk they are copied over the old ones.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        # Given a path, PyTorch would not say why it cannot write.
        with written_whole(Path(path)) as partial, partial.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise


class Progress(TQDMProgressBar):
    """Lightning's bar without the number of the log."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


class Averaging(WeightAveraging):
    """Exponential moving average of the weights, in place also while `BestWeights` looks at them.

    Args:
        decay: at each step.
        fresh: whether the weights have not learnt to read yet: at first the average is of fewer steps then (a decay of (1 + steps) /
            (10 + steps), as of TensorFlow's moving average), lest the untrained weights count in a short run.
    """

    def __init__(self, decay: float, fresh: bool) -> None:
        self._decay, self._fresh, self._now = decay, fresh, decay
        super().__init__(avg_fn=lambda average, current, _: self._now * average + (1 - self._now) * current)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *batch: Any) -> None:
        steps = trainer.global_step
        self._now = min(self._decay, (1 + steps) / (10 + steps)) if self._fresh else self._decay
        super().on_train_batch_end(trainer, pl_module, *batch)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        # The module comes to the GPU later, and each step would bring its weights back.
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning takes the average out here, before the figures of the validation are known."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_validation_epoch_end(trainer, pl_module)
