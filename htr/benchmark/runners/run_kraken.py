"""kraken finds the lines of pages."""

from __future__ import annotations

from importlib import resources
from typing import Any

import torch
from kraken.configs import SegmentationInferenceConfig
from kraken.tasks import SegmentationTaskModel
from PIL import Image, ImageOps
from serve import Runner, model, serve, versions


def load(threads: int, language: str) -> Runner:
    torch.set_num_threads(threads)
    finder = SegmentationTaskModel.load_model()  # the model in the wheel
    config = SegmentationInferenceConfig(accelerator="cpu", device=1, num_threads=threads)

    def find(picture: Image.Image) -> list[dict[str, Any]]:
        lines = finder.predict(picture, config).lines
        return [line.boundary for line in lines]

    facts = {
        "versions": versions("kraken", "torch", "scikit-image", "shapely", "numpy"),
        "models": [model(resources.files("kraken") / "blla.mlmodel")],
        "notes": "its default segmentation, left to right",
    }
    return Runner(_open, find, facts)


def _open(file: str) -> Image.Image:
    """Opens a page, turned as its EXIF orientation says, as htr does."""
    with Image.open(file) as picture:
        return ImageOps.exif_transpose(picture).convert("RGB")


if __name__ == "__main__":
    serve(load)
