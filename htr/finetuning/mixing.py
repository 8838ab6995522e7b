"""What was learnt and what was known, in one network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from htr.files import write_whole
from htr.weights import OF_ONE_TRAINING, Weights, load_weights, save_weights

# What new classes look for is weaker in the mixture, so their weights and bias are raised, the more the less was learnt. With 500
# lines of Copiste and a former `iam`, validation CER there (every second line) falls from 15.4 to 14.7 %, with 100 from 20.6 to
# 19.8 %; that on IAM stays as it is.
_STRONGER, _LIKELIER = 0.7, 3.0


def mix(parent: Weights, tuned: Sequence[Path], out: Path, share: float) -> None:
    """Writes weights that lie between the parent's and those fine-tuned from them: what was known is read nearly as before.

    So do Wortsman et al., Robust fine-tuning of zero-shot models (2022). That the average of several trainings from one parent reads
    better than each of them: Wortsman et al., Model soups (2022).

    Args:
        parent: where fine-tuning began.
        tuned: where it ended, once or more, of which the average is taken; all have one alphabet, which begins with the parent's.
        out: the new weights file.
        share: of the way that is gone, 0 to 1; classes that are new are as fine-tuned, but raised the more, the less of it is gone.
    """
    weights = load_weights(tuned[0])
    before, after = parent.network.state_dict(), weights.network.state_dict()
    others = [load_weights(file).network.state_dict() for file in tuned[1:]]
    for name, value in after.items():
        known = before[name]
        if value.is_floating_point():
            for number, other in enumerate(others, 2):
                value.lerp_(other[name], 1 / number)
            if value.shape == known.shape:
                value.lerp_(known, 1 - share)
            else:
                # A row for each class, the new ones last.
                rows, new = value[: len(known)], value[len(known) :]
                rows.lerp_(known, 1 - share)
                new.mul_(1 + _STRONGER * (1 - share))
                if new.dim() == 1:
                    new.add_(_LIKELIER * (1 - share))
    save_weights(out, weights.network, weights.header)


def mixture_of(tuned: Path) -> Path:
    """Where the mixture of a training's weights with the parent's lies."""
    return tuned.with_name("mixed.safetensors")


def write_taught(out: Path, parent: Weights, taught: Path | None, learnt_from: dict[str, Any]) -> None:
    """Writes what fine-tuning came to, with its ancestry.

    Args:
        out: the new weights file.
        parent: where fine-tuning began.
        taught: a mixture, or None where the parent's weights are to stay as they are.
        learnt_from: facts of what the mixture has learnt from.
    """
    if not taught:
        # As they are: a date and a parent of their own would tell of one more teaching.
        write_whole(out, Path(parent.file).read_bytes())
        return
    best = load_weights(taught)
    # How well the single trainings did is told of, but not true of their mixture.
    facts = {name: value for name, value in best.header.training.items() if name not in OF_ONE_TRAINING}
    training = {**facts, **learnt_from, "date": date.today().isoformat(), "parent": parent.ancestry()}
    save_weights(out, best.network, replace(best.header, training=training))
