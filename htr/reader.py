"""Reading lines and pages with trained weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from htr.decoding import greedy
from htr.lineimage import batches_of_like_width, collate, prepare
from htr.machine import use_bfloat16
from htr.pages.containers import Line, Page
from htr.pages.images import grey, open_image
from htr.pages.lines import crop_line, find_layout, looks_like_line
from htr.weights import Weights, load_weights

BATCH_PIXELS = 1_000_000
"""Pixels of prepared lines that are read at once: 15 lines of 1000 x 64."""

Picture = np.ndarray | str | Path
"""A file, or an array of shape (height, width) grey or (height, width, 3 or 4) RGB(A), uint8, 0 = black."""


def load(weights: str | Path | None = None) -> Reader:
    """Makes a reader: `htr.load().read_page("page.png").text`.

    Args:
        weights: a weights file; those that ship with the package if None.

    Raises:
        InputError: the file cannot be used; see `htr.weights.load_weights`.
    """
    return Reader(load_weights(weights))


class Reader:
    """Reads pictures of handwriting; on a GPU where there is one.

    Attributes:
        weights: what it reads with.
        device: `cpu` or `cuda`.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = weights.network.to(self.device)
        self._bfloat16 = use_bfloat16(self.device)

    def read_lines(self, images: Sequence[Picture]) -> list[Line]:
        """Reads pictures of one text line each.

        Returns:
            A line for each picture, in the same order; its box is the whole picture.

        Raises:
            InputError: a file cannot be opened; it is named.
        """
        pictures = [_open(image) for image in images]
        readings = self.read_prepared([prepare(picture, self.weights.header.height) for picture in pictures])
        return [
            Line(text, confidence, (0, 0, picture.shape[1], picture.shape[0]))
            for picture, (text, confidence) in zip(pictures, readings)
        ]

    def read_page(self, image: Picture) -> Page:
        """Finds the lines of a page and reads them.

        Raises:
            InputError: the file cannot be opened; it is named.
        """
        page = _open(image)
        boxes, section = find_layout(page)
        lines = self.read_lines([crop_line(page, box) for box in boxes])
        notes = []
        if not boxes:
            notes.append("no lines of handwriting found")
        elif section:
            notes.append(
                f"a form with printed rules: read between y = {section[0]} and {section[1]}, left out the rest"
            )
        elif looks_like_line(page, boxes):
            notes.append("looks like a single line rather than a page; read it with --line")
        return Page(
            width=page.shape[1],
            height=page.shape[0],
            lines=[replace(line, box=box) for line, box in zip(lines, boxes) if line.text],
            file=None if isinstance(image, np.ndarray) else str(image),
            notes=notes,
        )

    def read_prepared(self, lines: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Reads lines that passed `htr.lineimage.prepare`: text and confidence of each, in the same order."""
        readings: list[tuple[str, float]] = [("", 0.0)] * len(lines)
        for batch in batches_of_like_width([line.shape[1] for line in lines], self.weights.header.height, BATCH_PIXELS):
            images, columns = collate([lines[index] for index in batch], self._network.width_stride)
            images = images.to(self.device, memory_format=torch.channels_last)
            with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=self._bfloat16):
                logits, _ = self._network(images)
            for index, reading in zip(batch, greedy(logits.cpu(), columns, self.weights.alphabet)):
                readings[index] = reading
        return readings


def _open(image: Picture) -> np.ndarray:
    return grey(image) if isinstance(image, np.ndarray) else open_image(image)
