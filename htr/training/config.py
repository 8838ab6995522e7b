"""Every value of a training run, checked before anything starts."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from htr.errors import InputError


@dataclass(frozen=True)
class TrainConfig:
    """A training run. The files in `configs/` say what each value means and in which unit."""

    run: str
    data: str
    seed: int = 1
    alphabet: str | None = None

    encoder: str = "tf_efficientnet_lite0"
    pretrained: str = "imagenet"
    start: str | None = None
    height: int = 64
    width_stride: int = 8
    lstm_layers: int = 2
    lstm_units: int = 256
    neck_channels: int = 256
    dropout: float = 0.2

    epochs: int = 20
    minutes: float | None = None
    batch_pixels: int = 700_000
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 5e-4
    warmup: float = 0.05
    weight_decay: float = 1e-2
    shortcut: float = 0.1
    clip: float = 1.0
    average: float = 0.998
    augmentation: float = 1.0
    workers: int = 1
    trainer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**32 - 1), ("height", 16, 256), ("lstm_layers", 1, 8), ("lstm_units", 1, 4096), ("neck_channels", 1, 4096),
            ("dropout", 0, 0.95), ("epochs", 1, 1_000_000), ("batch_pixels", 1024, 10**10), ("learning_rate", 0, 1),
            ("encoder_learning_rate", 0, 1), ("warmup", 0, 0.9), ("weight_decay", 0, 10), ("shortcut", 0, 10),
            ("clip", 0, 1e6), ("average", 0, 0.999999), ("augmentation", 0, 3), ("workers", 0, 256),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name}: {value} is out of range; give a value from {low} to {high}")
        if self.height % 16:
            raise InputError(f"height: {self.height} is not a multiple of 16; give 48, 64, 96 or the like")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InputError(f"minutes: {self.minutes} is no time to train in; give a number above 0, or null")


def load_config(path: str | Path, overrides: list[str]) -> TrainConfig:
    """Reads a YAML file and lays `key=value` words over it (`trainer.devices=2` for Lightning's own options).

    Raises:
        InputError: no such file, not YAML, a key that does not exist (named, with the nearest one), a value of the
            wrong kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such config; see the files in configs/")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file ({str(error).splitlines()[0]}); see the files in configs/") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no keys and values; see the files in configs/")
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"{word}: not of the form key=value")
        # Text stays as it was typed: YAML would read the alphabet 0123 as a number and abc #d as abc.
        value = text if str in _kinds(key) and text not in ("null", "") else _parsed(text)
        if key.startswith("trainer."):
            values["trainer"] = {**(values.get("trainer") or {}), key.removeprefix("trainer."): value}
        else:
            values[key] = value
    return _checked(values, str(path))


def _checked(values: dict[str, Any], origin: str) -> TrainConfig:
    types = get_type_hints(TrainConfig)
    for key, value in values.items():
        if key not in types:
            near = difflib.get_close_matches(str(key), types, 1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(types)}"
            raise InputError(f"{origin}: there is no key {key}; {hint}")
        values[key] = _as_type(key, value)
    for fld in dataclasses.fields(TrainConfig):
        if fld.name not in values and fld.default is dataclasses.MISSING and fld.default_factory is dataclasses.MISSING:
            raise InputError(f"{origin}: has no value for {fld.name}; give {fld.name}=…")
    return TrainConfig(**values)


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _kinds(key: str) -> tuple[type, ...]:
    """The types that the value of a key may have; none for a key that does not exist."""
    kind = get_type_hints(TrainConfig).get(key)
    if kind is None:
        return ()
    return get_args(kind) if get_origin(kind) is not dict and get_args(kind) else (get_origin(kind) or kind,)


def _as_type(key: str, value: Any) -> Any:
    kinds = _kinds(key)
    if float in kinds and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except ValueError:
            pass
    # A number may stand for text (run=7), but nothing else may stand for something else.
    if str in kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
        raise InputError(f"{key}: {value!r} is not {names}")
    return value
