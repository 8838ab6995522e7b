"""The network that sees where on a page there is writing: pretrained timm encoder, and a light decoder.

It marks the core of each line, the band between the baseline and the top of the small letters: there lines stand apart
even where the descenders of one touch the next. It also tells writing from print, and which way up a page lies. That
pages are labelled pixel by pixel and vectorised after follows dhSegment (Ares Oliveira, Seguin and Kaplan 2018) and
ARU-Net (Grüning et al. 2019).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from htr.errors import InputError
from htr.network import spare_depthwise
from htr.weights import MODELS, Kind, load_network, save_network

STRIDE = 4
"""Pixels of the picture to one cell of the maps."""

SEGMENTER = Kind("htr-finder", 1, "htr.train_finder")

DEFAULT = MODELS / "finder.safetensors"
"""The weights that ship with the package."""

ALIGNMENT = 32
"""The picture's sides must be multiples of this many pixels."""


class Segmenter(nn.Module):
    """Pages in, maps of cells out.

    Args:
        encoder: name of a timm CNN with features at 1/4 to 1/32.
        channels: features of the decoder.
    """

    def __init__(self, encoder: str, channels: int = 48) -> None:
        super().__init__()
        self.encoder = timm.create_model(encoder, features_only=True, in_chans=1, out_indices=(1, 2, 3, 4))
        widths = self.encoder.feature_info.channels()
        self.inlets = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.blocks = nn.ModuleList(_Block(channels) for _ in widths)
        self.maps = nn.Conv2d(channels, 2, 1)
        # Four turns and how much each place has to say of them.
        self.turns = nn.Conv2d(widths[-1], 5, 1)
        spare_depthwise(self)

    def forward(self, pages: Tensor) -> tuple[Tensor, Tensor]:
        """Marks writing.

        Args:
            pages: shape (batch, 1, height, width), 0 = black, 1 = white; sides divisible by `ALIGNMENT`.

        Returns:
            Logits of the core of lines of writing and of print, shape (batch, 2, height / 4, width / 4); and logits of
            the page lying turned by 0, 90, 180 and 270 degrees clockwise, shape (batch, 4).
        """
        features = self.encoder(pages * 2 - 1)
        votes = self.turns(features[-1]).flatten(2)
        turns = (votes[:, :4] * votes[:, 4:].softmax(-1)).sum(-1)
        upper = None
        for feature, inlet, block in zip(features[::-1], self.inlets[::-1], self.blocks[::-1]):
            merged = inlet(feature)
            if upper is not None:
                merged = merged + F.interpolate(upper, scale_factor=2.0, mode="bilinear")
            upper = block(merged)
        return self.maps(upper), turns


@dataclass(frozen=True)
class SegmenterHeader:
    """What a weights file of a segmenter says of itself.

    Attributes:
        encoder, channels: the arguments of `Segmenter`.
        training: facts about how the weights came about; for people.
    """

    encoder: str
    channels: int
    training: dict[str, Any] = field(default_factory=dict)


def save_segmenter(path: Path, network: Segmenter, header: SegmenterHeader) -> None:
    """Writes a weights file of a segmenter; see `htr.weights.save_network`."""
    save_network(path, SEGMENTER, network, asdict(header))


def load_segmenter(path: str | Path | None = None) -> Segmenter:
    """Loads a segmenter onto the CPU, in eval mode.

    Args:
        path: the weights file; that which ships with the package if None.

    Raises:
        InputError: no such file, not a weights file of a segmenter, of another version, or damaged.
    """
    path = Path(path or DEFAULT)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file of the line finder; check the path, or install htr again")
    return load_network(path, SEGMENTER, _segmenter)[0]


def _segmenter(values: dict[str, Any]) -> Segmenter:
    header = SegmenterHeader(**values)
    return Segmenter(header.encoder, header.channels)


class _Block(nn.Module):
    """Looks around: two depthwise-separable convolutions with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(layer for _ in range(2) for layer in self._separable(channels)))

    @staticmethod
    def _separable(channels: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
        ]

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)
