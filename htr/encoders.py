"""Encoders that timm has not, made known to it: the one of a recogniser that has read print and handwriting.

`ppocrv6_small` is the small recogniser of PP-OCRv6 (PaddleOCR, Apache-2.0) without its last layer: the CNN LCNetV4
(stem of HGNetV2, blocks as in Wang et al., RepViT: Revisiting Mobile CNN From ViT Perspective, 2024) and the mixing of
columns that follows it (Du et al., SVTR: Scene Text Recognition with a Single Visual Model, 2022). Its convolutions
come with their norms folded in.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from timm.models import PretrainedCfg, build_model_with_cfg, register_model
from torch import Tensor, nn

from htr.errors import InputError, first_line

PPOCR = "ppocrv6"
"""What `pretrained` is called where an encoder starts from the weights of PP-OCRv6."""

NAME = "ppocrv6_small"
"""What timm calls the encoder that has these."""

_FILE = Path("models/PP-OCRv6_rec_small.onnx")  # in the package rapidocr


class Stem(nn.Module):
    """Shrinks height and width to a quarter."""

    def __init__(self, channels: int, middle: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, middle, 3, 2, 1)
        self.left = nn.Conv2d(middle, middle // 2, 2)
        self.right = nn.Conv2d(middle // 2, middle, 2)
        self.join = nn.Conv2d(2 * middle, middle, 3, 2, 1)
        self.last = nn.Conv2d(middle, out, 1)

    def forward(self, images: Tensor) -> Tensor:
        first = F.pad(self.first(images).relu(), (0, 1, 0, 1))
        branch = self.right(F.pad(self.left(first).relu(), (0, 1, 0, 1))).relu()
        joined = torch.cat([F.max_pool2d(first, 2, 1), branch], dim=1)
        return self.last(self.join(joined).relu()).relu()


class SqueezeExcite(nn.Module):
    """Weighs channels by their means over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        means = features.mean((2, 3), keepdim=True)
        return features * F.hardsigmoid(self.expand(self.reduce(means).relu()))


class Block(nn.Module):
    """Mixes neighbours, then channels."""

    def __init__(self, channels: int, squeeze: bool) -> None:
        super().__init__()
        self.neighbours = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)
        self.squeeze = SqueezeExcite(channels) if squeeze else nn.Identity()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.reduce = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.squeeze(self.neighbours(features))
        return features + self.reduce(F.gelu(self.expand(features)))


class Shrink(nn.Module):
    """Halves the height and doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.neighbours = nn.Conv2d(channels, channels, 3, (2, 1), 1, groups=channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.mix = nn.Conv2d(2 * channels, 2 * channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.mix(F.gelu(self.expand(self.neighbours(features))))


class ConvNorm(nn.Sequential):
    """Convolution along the width, norm and SiLU."""

    def __init__(self, channels: int, out: int, width: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, out, (1, width), padding=(0, width // 2), groups=groups, bias=False),
            nn.BatchNorm2d(out),
            nn.SiLU(),
        )


_HEADS = 8  # of attention


class Attention(nn.Module):
    """One block of a transformer over columns, shape (batch, columns, channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 2 * channels)
        self.reduce = nn.Linear(2 * channels, channels)

    def forward(self, columns: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm1(columns)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        columns = columns + self.project(seen)
        return columns + self.reduce(F.silu(self.expand(self.norm2(columns))))


class ColumnMixer(nn.Module):
    """Pools the height and every second column, then mixes columns near and far."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.past = ConvNorm(channels, out)
        self.reduce = ConvNorm(channels, out)
        self.near = ConvNorm(out, out, width=7, groups=out)
        self.far = nn.Sequential(Attention(out), Attention(out), nn.LayerNorm(out, eps=1e-6))

    def forward(self, features: Tensor) -> Tensor:
        rows = features.shape[2]
        features = F.avg_pool2d(features.mean(2, keepdim=True), (1, 2))
        reduced = self.reduce(features)
        near = reduced + self.near(reduced)
        far = self.far(near.squeeze(2).transpose(1, 2)).transpose(1, 2).unsqueeze(2)
        # As many rows as of other encoders, which the recogniser pools.
        return (far + self.past(features)).expand(-1, -1, rows, -1)


class TextEncoder(nn.Module):
    """Line images of shape (batch, channels, height, width) to features of shape (batch, 120, height / 16, width / 8), whose rows are
    alike."""

    def __init__(self, in_chans: int = 1, **_: Any) -> None:
        super().__init__()
        self.stem = Stem(in_chans, 48, 96)
        self.stages = nn.Sequential(
            nn.Sequential(*_blocks(96, 3)),
            nn.Sequential(Shrink(96), *_blocks(192, 6)),
            nn.Sequential(Shrink(192), *_blocks(384, 2)),
        )
        self.mixer = ColumnMixer(384, 120)
        self.feature_info = [
            {"num_chs": 96, "reduction": 4, "module": "stages.0"},
            {"num_chs": 192, "reduction": 8, "module": "stages.1"},
            {"num_chs": 120, "reduction": 16, "module": "mixer"},
        ]

    def forward(self, images: Tensor) -> Tensor:
        return self.mixer(self.stages(self.stem(images)))


def _blocks(channels: int, count: int) -> list[Block]:
    """Every second one weighs its channels, but for the odd one of the first stage."""
    return [Block(channels, squeeze=index % 2 == 0 and index + 1 < count) for index in range(count)]


@register_model
def ppocrv6_small(pretrained: bool = False, **options: Any) -> nn.Module:
    """The encoder of PP-OCRv6's small recogniser, for `timm.create_model`."""
    return build_model_with_cfg(
        TextEncoder,
        NAME,
        pretrained,
        pretrained_cfg=PretrainedCfg(),  # from no hub
        feature_cfg={"out_indices": (0, 1, 2), "flatten_sequential": True},
        **{key: value for key, value in options.items() if key in ("in_chans", "features_only", "out_indices")},
    )


def load_ppocr(encoder: nn.Module, name: str) -> str:
    """Fills an encoder of `htr.network.build_encoder` with the weights of PP-OCRv6's small recogniser, from the package rapidocr.

    Args:
        encoder: changed in place; it takes lines of one channel, 0 = paper and 1 = ink.
        name: its timm name.

    Returns:
        Where the weights came from, for the record.

    Raises:
        InputError: a package is missing, or its file or the encoder is another network.
    """
    if name != NAME:
        raise InputError(f"pretrained: {PPOCR} has no weights of {name}; set encoder to {NAME}")
    package = importlib.util.find_spec("rapidocr")
    if package is None or package.origin is None or importlib.util.find_spec("onnx") is None:
        raise InputError(
            f"pretrained: {PPOCR} needs the weights in the package rapidocr, and the package onnx to open them; "
            "pip install onnx, then pip install --no-deps rapidocr==3.10.0, or set pretrained to none"
        )
    file = Path(package.origin).parent / _FILE
    wanted = {key: tensor for key, tensor in encoder.state_dict().items() if not key.endswith("num_batches_tracked")}
    try:
        # Its last layer, which has a class for each of its many characters, is left out.
        weight, bias, *others = _tensors(file)[: len(wanted)]
        # It learnt from three channels, -1 = ink and 1 = paper.
        colours = weight.sum(1, keepdim=True)
        found = [-2 * colours, bias + colours.sum((1, 2, 3)), *others]
        if [tensor.shape for tensor in found] != [tensor.shape for tensor in wanted.values()]:
            raise ValueError("it holds another network")
    except Exception as error:  # onnx raises whatever its parser raises
        raise InputError(
            f"{file}: cannot be used ({first_line(error)}); pip install --no-deps --force-reinstall rapidocr==3.10.0"
        ) from None
    encoder.load_state_dict(dict(zip(wanted, found)), strict=False)
    return file.name


def _tensors(file: Path) -> list[Tensor]:
    """Weights of a network in ONNX in the order in which a line passes them, shaped as PyTorch has them."""
    import onnx

    graph = onnx.load(file).graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    tensors = []
    for node in graph.node:
        if node.op_type not in ("Conv", "Add", "Mul", "MatMul", "BatchNormalization"):
            continue
        for constant in (constants[name] for name in node.input if name in constants):
            if node.op_type == "MatMul":
                constant = constant.T
            elif node.op_type != "Conv":
                constant = constant.reshape(-1)
            if constant.size > 1:  # others are numbers in formulas
                tensors.append(torch.tensor(constant))
    return tensors
