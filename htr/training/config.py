"""Every value of a training run, checked before anything starts."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from htr.corpora import folder_of
from htr.errors import InputError, first_line


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What all training runs have. The files in `configs/` say what each value means and in which unit."""

    run: str
    data: list[str]
    seed: int = 1
    encoder: str = "tf_efficientnet_lite0"
    pretrained: str = "imagenet"
    epochs: int
    learning_rate: float
    encoder_learning_rate: float = 5e-4
    warmup: float
    weight_decay: float = 1e-2
    clip: float = 1.0
    average: float
    workers: int = 1
    trainer: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.data or not all(isinstance(name, str) for name in self.data):
            raise InputError(f"data: {self.data} names no corpora; give one or more, such as [sample]")
        places = [(name.partition(":")[0], folder_of(name)) for name in self.data]
        if twice := [name for name, place in zip(self.data, places) if places.count(place) > 1]:
            raise InputError(f"data: names {twice[0]} twice; passes tell how often an epoch passes a corpus")
        self._check_bounds({
            "seed": (0, 2**32 - 1), "epochs": (1, 1_000_000), "learning_rate": (0, 1), "encoder_learning_rate": (0, 1),
            "warmup": (0, 0.9), "weight_decay": (0, 10), "clip": (0, 1e6), "average": (0, 0.999999),
            "workers": (0, 256),
        })  # fmt: skip

    def _check_bounds(self, bounds: dict[str, tuple[float, float]]) -> None:
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name}: {value} is out of range; give a value from {low} to {high}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """A training run of a recogniser."""

    share: float = 1.0
    passes: dict[str, int] = field(default_factory=dict)
    drawn: dict[str, int] = field(default_factory=dict)
    curriculum: float = 0.0
    alphabet: str | None = None

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
    warmup: float = 0.05
    shortcut: float = 0.1
    average: float = 0.998
    augmentation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_bounds({
            "share": (0, 1), "curriculum": (0, 1), "height": (32, 256), "lstm_layers": (1, 8), "lstm_units": (1, 4096),
            "neck_channels": (1, 4096), "dropout": (0, 0.95), "batch_pixels": (1024, 10**10), "shortcut": (0, 10),
            "augmentation": (0, 3),
        })  # fmt: skip
        if not all(isinstance(name, str) and type(lines) is int and lines > 0 for name, lines in self.drawn.items()):
            raise InputError(f"drawn: {self.drawn} does not say how many lines an epoch has; give {{synthetic: 5000}}")
        for name, passes in self.passes.items():
            if name not in self.data:
                raise InputError(
                    f"passes: {name} is not among data ({', '.join(self.data)}); write it as it stands there"
                )
            if type(passes) is not int or passes < 1:
                raise InputError(f"passes: {name}: {passes!r} is no number of passes; give 1 or more")
        if self.height % 16:
            raise InputError(f"height: {self.height} is not a multiple of 16; give 48, 64, 96 or the like")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InputError(f"minutes: {self.minutes} is no time to train in; give a number above 0, or null")


@dataclass(frozen=True, kw_only=True)
class FinderConfig(RunConfig):
    """A training run of the line finder's network."""

    channels: int = 48
    epochs: int = 20
    epoch_steps: int = 250
    batch: int = 4
    side: int = 448
    turned: float = 0.3
    learning_rate: float = 2e-3
    warmup: float = 0.1
    average: float = 0.995

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_bounds({
            "channels": (1, 1024), "epoch_steps": (4, 1_000_000), "batch": (1, 4096), "side": (64, 4096),
            "turned": (0, 0.9),
        })  # fmt: skip
        if self.side % 32:
            raise InputError(f"side: {self.side} is not a multiple of 32; give 320, 448, 512 or the like")


Config = TypeVar("Config", bound=RunConfig)
Values = TypeVar("Values")


def load_config(path: str | Path, overrides: list[str], kind: type[Config] = TrainConfig) -> Config:
    """Reads a YAML file and lays `key=value` words over it (`trainer.devices=2` for Lightning's own options).

    Args:
        path: the file.
        overrides: the words.
        kind: the class whose values they are.

    Raises:
        InputError: no such file, not YAML, a key that does not exist (named, with the nearest one), a value of the
            wrong kind.
    """
    return checked(kind, overridden(read_values(Path(path)), overrides, kind), str(path))


def overridden(values: dict[str, Any], overrides: list[str], kind: type[Config] = TrainConfig) -> dict[str, Any]:
    """Lays `key=value` words over the values of a config, as `load_config` does.

    Raises:
        InputError: a word is not of this form, or its value of the wrong kind.
    """
    values = dict(values)
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"{word}: not of the form key=value")
        # Text stays as it was typed: YAML would read the alphabet 0123 as a number and lines:scans #2 as lines:scans.
        kinds = _kinds(kind, key)
        as_typed = text not in ("null", "") and (str in kinds or (list in kinds and not text.lstrip().startswith("[")))
        value = text if as_typed else _parsed(text)
        if key.startswith("trainer."):
            options = values.get("trainer") or {}
            if isinstance(options, dict):  # `checked` refuses all else
                values["trainer"] = {**options, key.removeprefix("trainer."): value}
        else:
            values[key] = _as_type(key, value, kinds) if kinds else value
    return values


def read_values(path: Path) -> dict[str, Any]:
    """Reads the keys and values of a YAML file.

    Raises:
        InputError: no such file, or not of this form.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such config; see the files in configs/")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    # The latter two: no UTF-8, or what looks like a date and is none; brackets without end.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a YAML file ({first_line(error)}); see the files in configs/") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no keys and values; see the files in configs/")
    return values


def checked(kind: type[Values], values: dict[str, Any], origin: str) -> Values:
    """Makes an object of a dataclass from keys and values that a person wrote.

    Args:
        kind: the dataclass.
        values: changed in place to the types that it asks for.
        origin: where they stand, for messages.

    Raises:
        InputError: a key that does not exist (named, with the nearest one) or is missing, a value of the wrong kind or out of range.
    """
    types = get_type_hints(kind)
    for key, value in values.items():
        if key not in types:
            near = difflib.get_close_matches(str(key), types, 1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(types)}"
            raise InputError(f"{origin}: there is no key {key}; {hint}")
        try:
            values[key] = _as_type(key, value, _kinds(kind, key))
        except InputError as error:
            raise InputError(f"{origin}: {error}") from None
    for fld in dataclasses.fields(kind):
        if fld.name not in values and fld.default is dataclasses.MISSING and fld.default_factory is dataclasses.MISSING:
            raise InputError(f"{origin}: has no value for {fld.name}; give {fld.name}=…")
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _kinds(kind: type[Config], key: str) -> tuple[type, ...]:
    """The types that the value of a key may have; none for a key that does not exist."""
    types = get_type_hints(kind)
    if key not in types:
        return ()
    origin = get_origin(types[key])
    return get_args(types[key]) if origin in (Union, UnionType) else (origin or types[key],)


def _as_type(key: str, value: Any, kinds: tuple[type, ...]) -> Any:
    if float in kinds and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except (ValueError, OverflowError):
            pass
    # A number may stand for text (run=7), but nothing else may stand for something else.
    if str in kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if list in kinds and isinstance(value, str):
        return [value]  # data=sample
    check_kind(key, value, kinds)
    return value


_KINDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list",
    dict: "{key: value}", type(None): "null",
}  # fmt: skip


def check_kind(key: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Raises `InputError` where a value is of none of these kinds; a bool is no number."""
    if isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds):
        return
    names = " or ".join(_KINDS[kind] for kind in kinds)
    if value is None:
        raise InputError(f"{key}: has no value; give {names}")
    if isinstance(value, date):
        raise InputError(f"{key}: {value} is taken for a date and not for {names}; put it in quotes")
    raise InputError(f"{key}: {value!r} is not {names}")
