"""Weights files: safetensors with a versioned header that says all that is needed to read with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from htr.alphabet import Alphabet
from htr.errors import InputError, first_line
from htr.files import files_below, in_run, write_whole
from htr.messages import printable
from htr.network import Recogniser


class Kind(NamedTuple):
    """A kind of weights file: its name and version inside the file, and the command that writes such files."""

    name: str
    version: int
    command: str


RECOGNISER = Kind("htr-recogniser", 1, "htr.train")

MODELS = Path(str(resources.files("htr") / "models"))
"""Where the weights are that ship with the package."""

DEFAULT = "default"
"""Name of those that serve if none are asked for."""

OF_ONE_TRAINING = (
    "seed", "config", "epochs", "best_epoch", "steps", "minutes", "lines_per_second", "speed_of", "val_cer", "val_wer", "curve",
    "val_lines", "train_lines", "drawn_lines", "encoder_weights",
)  # fmt: skip
"""Facts of a training that are not true of what several came to."""


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself.

    Attributes:
        alphabet: characters in the order of the CTC classes 1, 2, ...
        height: of prepared lines, in pixels.
        network: the arguments of `Recogniser` but for the number of classes.
        training: facts about how the weights came about; for people.
    """

    alphabet: str
    height: int
    network: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """A loaded file: network in reading mode, alphabet, header, and the file's SHA-256."""

    network: Recogniser
    alphabet: Alphabet
    header: Header
    file: str
    sha256: str

    def ancestry(self) -> dict[str, Any]:
        """What the header of weights that come of these says of them; of what they are the average, names and checksums alone."""
        training = dict(self.header.training)
        if isinstance(averaged := training.get("averaged"), list):
            training["averaged"] = [{"file": entry["file"], "sha256": entry["sha256"]} for entry in averaged]
            if names := taught_from(self.header.training):
                training["taught"] = names
        return {"file": Path(self.file).name, "sha256": self.sha256, "training": training}


def data_seen(training: dict[str, Any]) -> list[str]:
    """The corpora that weights have learnt, by the facts in their header, and that those have from which they went on."""
    seen: list[str] = []
    while training:
        seen += training.get("data", [])
        training = training.get("parent", {}).get("training")
    return list(dict.fromkeys(seen))


TAUGHT = "of what was learnt, the rest of parent"
"""How the words end in which fine-tuning tells what its weights are made of; before them, the share."""


def taught_from(training: dict[str, Any]) -> list[str]:
    """Names of the folders whose labelled lines fine-tunings have taught weights, by what their header tells of their training."""
    names = list(training.get("taught", []))
    averaged = training.get("averaged")
    if isinstance(averaged, list):
        names += [name for entry in averaged for name in taught_from(entry.get("training", {}))]
    elif str(averaged).endswith(TAUGHT):
        names += training["data"] if training.get("train_lines") else []
        names += taught_from(training["parent"]["training"])
    return names


def taught_of(training: dict[str, Any], folder: Path) -> list[str]:
    """Those of `taught_from` that may be a folder, or lie in it or around it, by their names."""
    taught = dict.fromkeys(taught_from(training))
    if not taught:
        return []
    folder = folder.resolve()
    names = {part.name for part in (folder, *folder.parents)}
    files = files_below(folder) if folder.is_dir() else ()  # IAM may be one file, or a name on a model hub
    below = (file.relative_to(folder).parent for file in files if not in_run(file, folder))
    names.update(*(place.parts for place in below))
    return [name for name in taught if name in names]


def first_start(weights: Weights) -> dict[str, Any]:
    """What is told of the weights from which the first of the fine-tunings behind weights went on; of these, if there were none."""
    finetunings = _finetunings(weights.header.training)
    return finetunings[-1]["parent"] if finetunings else weights.ancestry()


def start_of(weights: Weights) -> str:
    """Where `first_start` can be found: the name of such as come along, or a file beside the weights; else the weights themselves."""
    start = first_start(weights)
    shipped, beside = (folder / Path(start["file"]).name for folder in (MODELS, Path(weights.file).parent))
    for file, word in ((shipped, shipped.stem), (beside, str(beside))):
        if file.is_file() and sha256(file) == start["sha256"]:
            return word
    return weights.file


def _finetunings(training: dict[str, Any]) -> list[dict[str, Any]]:
    """The facts of the fine-tunings behind these, the last first."""
    averaged = training.get("averaged")
    # What is averaged goes on from one file; what reads side by side does not.
    if isinstance(averaged, list) and "shares" not in training:
        return [one for entry in averaged for one in _finetunings(entry.get("training", {}))]
    if str(averaged).endswith(TAUGHT):
        return [training, *_finetunings(training["parent"]["training"])]
    return []


def save_weights(path: Path, network: Recogniser, header: Header) -> None:
    """Writes a weights file of a recogniser; see `save_network`."""
    save_network(path, RECOGNISER, network, asdict(header))


def file_of(weights: str | Path) -> Path:
    """The file of weights that are called by it, or by the name of such as ship with the package; it need not be there."""
    shipped = MODELS / f"{weights}.safetensors"
    return shipped if shipped.is_file() else Path(weights)


def load_weights(path: str | Path | None = None) -> Weights:
    """Loads a weights file onto the CPU.

    Args:
        path: the file, or the name of weights that ship with the package (`default`, `small`, `iam`); `DEFAULT` if None.

    Raises:
        InputError: no such file, not a weights file of this project, of another version, or damaged.
    """
    if path == "":
        raise InputError(
            "an empty name of weights was given; name a file, or leave it out for those that come with htr"
        )
    path = file_of(path or DEFAULT)
    if not path.is_file():
        raise InputError(
            f"{path}: no such weights file; check the path, or give default, small or iam for those that ship"
        )
    network, values = load_network(path, RECOGNISER, _recogniser)
    header = Header(**values)
    return Weights(network, Alphabet(header.alphabet), header, str(path), sha256(path))


def _recogniser(values: dict[str, Any]) -> Recogniser:
    header = Header(**values)
    if type(header.height) is not int or header.height < 16 or not isinstance(header.alphabet, str):
        raise ValueError("its height or alphabet is none")
    return Recogniser(classes=Alphabet(header.alphabet).classes, **header.network)


def save_network(path: Path, kind: Kind, network: nn.Module, header: dict[str, Any]) -> None:
    """Writes a weights file in one step: a reader never sees half of it. Matrices are kept in half precision."""
    tensors = {
        name: (tensor.half() if tensor.dim() > 1 else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    metadata = {
        "format": kind.name,
        "version": str(kind.version),
        "header": printable(json.dumps(header, ensure_ascii=False)),
    }
    write_whole(path, save(tensors, metadata))


def load_network(
    path: Path, kind: Kind, build: Callable[[dict[str, Any]], nn.Module]
) -> tuple[nn.Module, dict[str, Any]]:
    """Loads a weights file of any kind onto the CPU.

    Args:
        path: the file.
        kind: what it must be.
        build: makes the network that the header tells of.

    Returns:
        The network in reading mode, and the header.

    Raises:
        InputError: the file is of another kind or version, or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a weights file, or cut short ({first_line(error)}); copy it again") from None
    if metadata.get("format") != kind.name:
        raise InputError(f"{path}: safetensors, but of another kind; give a file that {kind.command} wrote")
    if metadata.get("version") != str(kind.version):
        raise InputError(
            f"{path}: weights of version {metadata.get('version')}, this program reads version {kind.version}; "
            "install the htr release that wrote them"
        )
    try:
        header = json.loads(metadata["header"])
        network = build(header)
        network.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        )
    except InputError as error:
        raise InputError(
            f"{path}: of a network that cannot be built here ({error}); install the timm that it was trained with"
        ) from None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: damaged weights file ({first_line(error)}); copy it again") from None
    return network.to(memory_format=torch.channels_last).eval(), header


def sha256(path: str | Path) -> str:
    """The checksum by which reports name a file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
