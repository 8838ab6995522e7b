"""What a figure must have beside it, so that it can be repeated."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

from htr.machine import describe
from htr.reader import Reader


def provenance(reader: Reader) -> dict[str, Any]:
    """Weights, machine, date and command of a measurement."""
    return {
        "weights": {
            "file": Path(reader.weights.file).name,
            "sha256": reader.weights.sha256,
            "network": reader.weights.header.network,
            "height": reader.weights.header.height,
            "training": reader.weights.header.training,
        },
        "machine": describe(reader.device),
        "date": date.today().isoformat(),
        "command": " ".join(["python -m htr.evaluate", *sys.argv[1:]]),
    }
