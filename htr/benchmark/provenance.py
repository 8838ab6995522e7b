"""What a figure must have beside it, so that it can be repeated."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

from htr.decoding import BONUS, WEIGHT
from htr.language import find_model
from htr.machine import describe
from htr.reader import Reader
from htr.weights import sha256


def provenance(reader: Reader, language: str | None) -> dict[str, Any]:
    """Weights, language model, machine, date and command of a measurement.

    Args:
        reader: what was measured.
        language: name or file of its language model, if any.
    """
    model = find_model(language) if language else None
    return {
        "weights": {
            "file": Path(reader.weights.file).name,
            "sha256": reader.weights.sha256,
            "network": reader.weights.header.network,
            "height": reader.weights.header.height,
            "training": reader.weights.header.training,
        },
        "language": {"file": model.name, "sha256": sha256(model), "weight": WEIGHT, "bonus": BONUS} if model else None,
        "machine": describe(reader.device),
        "date": date.today().isoformat(),
        "command": " ".join(["python -m htr.evaluate", *sys.argv[1:]]),
    }
