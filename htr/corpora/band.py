"""Where in a line's picture its core runs: the band between the baseline and the top of the small letters."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike


class Band(NamedTuple):
    """The core of a line: between rows `top + slope * x` and `bottom + slope * x`; the latter is the baseline."""

    top: float
    bottom: float
    slope: float


def find_band(ink: np.ndarray) -> Band | None:
    """Finds the core of a line from how much ink its rows hold, in windows along it.

    Args:
        ink: shape (height, width), float, 0 = paper, 1 = ink.

    Returns:
        The core, in pixels; None where there is hardly any ink.
    """
    height, width = ink.shape
    windows = max(1, round(width / (1.5 * height)))
    middles, thicknesses, centres, weights = [], [], [], []
    for left, right in pairwise(np.linspace(0, width, windows + 1).astype(int)):
        profile = ink[:, left:right].sum(1)
        weight = profile.sum()
        if weight < 0.02 * height * (right - left):
            continue
        profile = cv2.GaussianBlur(profile.reshape(-1, 1).astype(np.float32), (0, 0), height / 30)
        # The row with most ink around it lies in the core, as ascenders and descenders are few.
        middle = int(cv2.GaussianBlur(profile, (0, 0), height / 9).argmax())
        profile = profile.ravel()
        full = max(3, height // 12)  # as many rows are surely in the core
        high = profile >= 0.5 * np.partition(profile, -full)[-full]
        top, bottom = middle, middle
        while top > 0 and (high[top - 1] or top > middle - 2):
            top -= 1
        while bottom < height - 1 and (high[bottom + 1] or bottom < middle + 2):
            bottom += 1
        middles.append((top + bottom + 1) / 2)
        thicknesses.append(bottom + 1 - top)
        centres.append((left + right) / 2)
        weights.append(weight)
    if not weights:
        return None
    thickness = _weighted_median(thicknesses, weights)
    slope = 0.0
    if len(weights) > 2:
        pairs = [
            ((middles[j] - middles[i]) / (centres[j] - centres[i]), weights[i] * weights[j])
            for i, j in combinations(range(len(weights)), 2)
        ]
        slope = float(np.clip(_weighted_median(*zip(*pairs)), -0.1, 0.1))
    middle = _weighted_median(np.array(middles) - slope * np.array(centres), weights)
    return Band(middle - thickness / 2, middle + thickness / 2, slope)


def _weighted_median(values: ArrayLike, weights: ArrayLike) -> float:
    return float(np.quantile(values, 0.5, weights=weights, method="inverted_cdf"))
