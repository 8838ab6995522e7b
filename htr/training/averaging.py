"""Several trainings in one network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from torch.optim.swa_utils import AveragedModel

from htr.alphabet import named
from htr.corpora import label, load_corpus
from htr.errors import InputError
from htr.network import BESIDE, Recogniser
from htr.training.norms import measure_norms
from htr.training.run import take_over
from htr.weights import OF_ONE_TRAINING, Weights, data_seen, load_weights, save_weights

log = logging.getLogger(__name__)


def average(files: Sequence[str | Path], corpora: Sequence[str], out: Path) -> int:
    """Writes the average of weights, its norms measured anew.

    That weights which went on from one file read better together: Wortsman et al., Model soups (2022),
    https://arxiv.org/abs/2203.05482. For the norms, see `htr.training.norms.measure_norms`.

    Args:
        files: weights files, or names of weights that come along; of one, the norms alone change.
        corpora: see `htr.corpora.load_corpus`; up to `htr.training.norms.LINES` train lines of each are taken.
        out: the new weights file.

    Returns:
        From how many lines the norms were measured.

    Raises:
        InputError: the files are of different networks, or a corpus cannot be used or has no train lines.
    """
    loaded = [load_weights(file) for file in files]
    for other in loaded[1:]:
        _refuse_other_network(other, loaded[0])
    if not set.intersection(*(_behind(weights.sha256, weights.header.training) for weights in loaded)):
        log.warning(
            "%s: by what they tell, these weights did not go on from one file, and then their average can read nothing; score it with "
            "htr.evaluate", out,
        )  # fmt: skip
    train_lines = [[sample for sample in load_corpus(corpus) if sample.split == "train"] for corpus in corpora]
    for corpus, samples in zip(corpora, train_lines):
        if not samples:
            raise InputError(f"{corpus}: has no train lines; say in a column split, or by folders, which they are")
    header = loaded[0].header
    # What the norms have measured is not averaged, as it is measured anew.
    averaged = AveragedModel(loaded[0].network)
    for weights in loaded:
        averaged.update_parameters(weights.network)
    network = averaged.module
    lines = measure_norms(network, header.height, train_lines)
    training = {
        **{
            name: value for name, value in header.training.items() if name not in (*OF_ONE_TRAINING, "parent", "shares")
        },
        **_origins(loaded),
        "norms": {"data": [label(corpus) for corpus in corpora], "lines": lines},
    }
    save_weights(out, network, replace(header, training=training))
    return lines


def join(files: Sequence[str | Path], shares: Sequence[float] | None, out: Path) -> None:
    """Writes one recogniser of several side by side, which says the mean of what they say; see `htr.network.Recogniser`.

    Networks that learnt apart write a character in columns that differ, so that their mean reads really well only once they have
    learnt on together.

    Args:
        files: weights files, or names of weights that come along, of networks that differ in their encoders alone. The first says
            which characters are read; those that another does not know, it has to learn.
        shares: how much the logits of each count in the mean, adding up to one; None if they count alike.
        out: the new weights file.

    Raises:
        InputError: the files are of networks that differ otherwise, or the shares do not fit.
    """
    loaded = [load_weights(file) for file in files]
    shares = shares or [1 / len(loaded)] * len(loaded)
    if len(shares) != len(loaded) or min(shares) <= 0 or not abs(sum(shares) - 1) <= 1e-6:
        raise InputError(f"--shares: {shares} are not one for each of the weights, above 0, that add up to 1")
    first = loaded[0]
    for other in loaded[1:]:
        _refuse_other_network(other, first, but=("encoder", "alphabet"))
        if new := other.alphabet.missing([first.alphabet.characters]):
            log.warning("%s: %d characters are new to these weights: %s", other.file, len(new), named(new))
    encoder = BESIDE.join(weights.header.network["encoder"] for weights in loaded)
    header = replace(first.header, network={**first.header.network, "encoder": encoder})
    network = Recogniser(classes=first.alphabet.classes, **header.network)
    parts = iter(network.parts)
    for weights, share in zip(loaded, shares):
        own = Recogniser(classes=first.alphabet.classes, **weights.header.network)
        take_over(own, first.alphabet, weights)
        for part in own.parts:
            # The mean counts all alike.
            for tensor in part.head.parameters():
                tensor.data *= share * len(network.parts) / len(own.parts)
            alone = {name: tensor for name, tensor in part.state_dict().items() if not name.startswith("beside.")}
            next(parts).load_state_dict(alone, strict=False)
    save_weights(out, network, replace(header, training={**_origins(loaded), "shares": list(shares)}))


def _behind(checksum: str, training: dict[str, Any]) -> set[str]:
    """The checksums of weights and of those from which they went on, as far as these facts tell."""
    averaged = training.get("averaged")
    before = [training.get("parent"), *(averaged if isinstance(averaged, list) else [])]
    return {checksum}.union(*(_behind(one["sha256"], one.get("training", {})) for one in before if one))


def _origins(loaded: Sequence[Weights]) -> dict[str, Any]:
    """What the header of weights that come of these says of them."""
    return {
        "data": list(dict.fromkeys(name for weights in loaded for name in data_seen(weights.header.training))),
        "date": date.today().isoformat(),
        "averaged": [weights.ancestry() for weights in loaded],
    }


def _refuse_other_network(weights: Weights, first: Weights, but: Sequence[str] = ()) -> None:
    """Raises `InputError` where two networks are not alike, `but` for these values."""
    ours, theirs = ({**asdict(one.header), "training": None} for one in (weights, first))
    for values in (ours, theirs):
        values |= values.pop("network")
        for name in ("dropout", *but):  # the former is no part of reading
            values.pop(name, None)
    for name, value in ours.items():
        if value != theirs.get(name):
            remedy = "differ in their encoder alone" if but else "went on from one file and know the same characters"
            raise InputError(
                f"{weights.file}: its {name} is another than that of {first.file}; give weights that {remedy}"
            )
