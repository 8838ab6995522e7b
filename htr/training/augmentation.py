"""What changes from hand to hand and from scan to scan, on prepared lines (0 = paper, 255 = ink)."""

from __future__ import annotations

import random
from typing import Any

import albumentations as A
import cv2
import numpy as np

STRETCH = 0.2
"""Largest change of a line's width at strength 1, as a share of it."""

SHORTEST = 16
"""Width in pixels below which no line is squeezed; narrower ones cannot be distorted by a grid."""

# How lines are made coarser and fine again: by the nearest pixels they would get steps.
_SMOOTH = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR}


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


class StrokeWidth(A.ImageOnlyTransform):
    """Another pen: strokes become thicker or thinner, by fractions of a pixel too.

    Args:
        strength: scales the change: at 1 up to 1.6 pixels thicker, and up to 0.7 of the way to a pixel thinner.
        p: how often it is done.
    """

    def __init__(self, strength: float, p: float) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        return {"change": float(np.clip(self.py_random.uniform(-0.7, 1.6) * self.strength, -0.8, 2.0))}

    def apply(self, img: np.ndarray, change: float, **params: Any) -> np.ndarray:
        if change < 0:
            return cv2.addWeighted(img, 1 + change, cv2.erode(img, np.ones((2, 2))), -change, 0)
        whole = int(change)
        thick, thicker = (cv2.dilate(img, np.ones((size, size))) for size in (whole + 1, whole + 2))
        return cv2.addWeighted(thick, 1 - change + whole, thicker, change - whole, 0)


def augmentation(strength: float) -> A.Compose:
    """The training pipeline.

    Args:
        strength: scales how often and how far lines are changed; 1 is the tested setting.

    Returns:
        What `augment` takes.
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
                    A.ElasticTransform(alpha=60 * s, sigma=5),
                    A.GridDistortion(num_steps=12, distort_limit=0.25 * s),
                ],
                p=chance(0.6),
            ),
            StrokeWidth(s, p=chance(0.5)),
            A.OneOf(
                [
                    A.GaussianBlur(blur_limit=(3, 5)),
                    A.Downscale(scale_range=(0.5, 0.8), interpolation_pair=_SMOOTH),
                ],
                p=chance(0.2),
            ),
            A.RandomGamma(gamma_limit=(50, 200), p=chance(0.4)),
            # Gaps: what stands beside a letter must help to read it.
            A.CoarseDropout(
                num_holes_range=(1, 4), hole_height_range=(24, 64), hole_width_range=(4, 14), fill=0, p=chance(0.3)
            ),
            RuledLine(p=chance(0.1)),
            A.RandomBrightnessContrast(brightness_limit=(-0.05, 0.1), contrast_limit=(-0.4, 0.2), p=chance(0.3)),
            A.GaussNoise(std_range=(0.01, 0.05), p=chance(0.2)),
        ]
    )


def augment(pipeline: A.Compose, line: np.ndarray, seed: int) -> np.ndarray:
    """Changes a line, shape (height, width) uint8 in and out; the same seed changes it alike."""
    # Not set_random_seed: with it all transforms draw the same numbers, so that all of them change a line or none does.
    # And not the seed alone: what drew the line may have begun with it, and its hand would decide how it is changed.
    pipeline.set_random_state(np.random.default_rng([seed, 1]), random.Random(seed))
    return pipeline(image=line)["image"]
