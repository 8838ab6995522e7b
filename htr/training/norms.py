"""What batch normalisation goes by in reading, measured of lines as they are read rather than as training changes them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from htr.corpora.sample import Sample
from htr.lineimage import batches_of_like_width, collate
from htr.machine import use_bfloat16

LINES = 400
"""Train lines of each corpus, at most, from which the norms are measured: large corpora do not outweigh small ones."""

# Pixels of a batch, and how much wider its widest line may be than its narrowest: the norms are measured of many lines at once.
_BATCH_PIXELS, _SPREAD = 900_000, 1.2


def measure_norms(network: nn.Module, height: int, corpora: Iterable[Sequence[Sample]]) -> int:
    """Measures the means and variances of a network's batch normalisation anew, on the CPU.

    That averages of weights need it: Izmailov et al., Averaging weights leads to wider optima and better generalization (2018),
    https://arxiv.org/abs/1803.05407. As training changes lines, it helps the weights of a single training too.

    Args:
        network: changed in place.
        height: of its lines, in pixels.
        corpora: the lines of each that may be taken; up to `LINES` are.

    Returns:
        From how many lines they were measured.

    Raises:
        InputError: a picture cannot be used.
    """
    chosen: list[Sample] = []
    for samples in corpora:
        # In their order, for the lines of a page are cut out of one picture.
        indices = random.Random(0).sample(range(len(samples)), min(LINES, len(samples)))
        chosen += [samples[index] for index in sorted(indices)]
    lines = [
        sample.prepared(height).picture
        for sample in tqdm(chosen, desc="preparing lines", unit=" lines", leave=False, disable=None)
    ]
    with torch.autocast("cpu", torch.bfloat16, enabled=use_bfloat16("cpu")):
        update_bn(_batches(lines, height), network)
    return len(lines)


def _batches(lines: Sequence[np.ndarray], height: int) -> Iterator[Tensor]:
    batches = batches_of_like_width([line.shape[1] for line in lines], height, _BATCH_PIXELS, _SPREAD)
    for batch in tqdm(batches, desc="measuring norms", unit=" batches", leave=False, disable=None):
        images, _ = collate([lines[index] for index in batch], 1)
        yield images.to(memory_format=torch.channels_last)
