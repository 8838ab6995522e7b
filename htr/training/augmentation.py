"""What changes from hand to hand and from scan to scan, on prepared lines (0 = paper, 255 = ink)."""

from __future__ import annotations

from typing import Any

import albumentations as A
import cv2
import numpy as np

STRETCH = 0.2
"""Largest change of a line's width at strength 1, as a share of it."""


SHORTEST = 4
"""Width in pixels below which no line is squeezed."""


def stretch(line: np.ndarray, width: int) -> np.ndarray:
    """Makes writing wider or narrower; apart from the pipeline, since batches are made of lines of like width."""
    return cv2.resize(line, (width, line.shape[0]), interpolation=cv2.INTER_LINEAR)


class RuledLine(A.ImageOnlyTransform):
    """A straight, faint rule of the paper across the line."""

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height = params["shape"][0]
        y = self.py_random.uniform(0.05, 0.95) * height
        return {
            "ends": (round(y), round(y + self.py_random.uniform(-0.05, 0.05) * height)),
            "thickness": self.py_random.choice((1, 1, 2)),
            "tone": self.py_random.randint(60, 200),
        }

    def apply(self, img: np.ndarray, ends: tuple[int, int], thickness: int, tone: int, **params: Any) -> np.ndarray:
        rule = np.zeros_like(img)
        cv2.line(rule, (0, ends[0]), (img.shape[1], ends[1]), tone, thickness, cv2.LINE_AA)
        return np.maximum(img, rule)


def augmentation(strength: float) -> A.Compose:
    """The training pipeline.

    Args:
        strength: scales how often and how far lines are changed; 1 is the tested setting.

    Returns:
        A callable, `augmentation(strength)(image=line)["image"]`: shape (height, width) uint8 in and out; height
        and width stay. Its `set_random_seed` makes the next call repeatable.
    """
    s = strength

    def chance(p: float) -> float:
        return min(1.0, p * s)

    return A.Compose(
        [
            # Slant, slope and size in one resampling; what leaves the picture at top and bottom is crop jitter.
            A.Affine(
                scale={"x": (1, 1), "y": (1 - 0.22 * s, 1 + 0.06 * s)},
                translate_percent={"x": (0, 0), "y": (-0.06 * s, 0.06 * s)},
                shear={"x": (-25 * s, 25 * s), "y": (-0.5 * s, 0.5 * s)},
                rotate=(-0.5 * s, 0.5 * s),
                p=chance(0.8),
            ),
            A.OneOf(
                [
                    A.ElasticTransform(alpha=25 * s, sigma=5),
                    A.GridDistortion(num_steps=12, distort_limit=0.25 * s),
                ],
                p=chance(0.5),
            ),
            A.OneOf(
                [
                    A.Morphological(scale=(2, 2), operation="dilation"),
                    A.Morphological(scale=(2, 2), operation="erosion"),
                ],
                p=chance(0.3),
            ),
            A.OneOf([A.GaussianBlur(blur_limit=(3, 5)), A.Downscale(scale_range=(0.5, 0.8))], p=chance(0.2)),
            A.RandomGamma(gamma_limit=(50, 200), p=chance(0.4)),
            RuledLine(p=chance(0.1)),
            A.RandomBrightnessContrast(brightness_limit=(-0.05, 0.1), contrast_limit=(-0.4, 0.2), p=chance(0.3)),
            A.GaussNoise(std_range=(0.01, 0.05), p=chance(0.2)),
        ]
    )
