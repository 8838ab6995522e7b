"""Pages as they come from careless scanning and from cameras: what a reader of pages must bear.

Each distortion takes a picture, shape (height, width), uint8 grey, 0 = black, and points on it, shape (n, 2), x and y in
pixels, and gives both back with the points moved exactly as the picture was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from htr.pages import crop

Distortion = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

# Grey of the table on which a photographed page lies.
_TABLE = 50


def turn(picture: np.ndarray, points: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turns clockwise, on paper of the page's middle grey that is large enough for all of it."""
    picture, matrix = crop.turn(picture, degrees)
    return picture, crop.moved(matrix, points)


def darken(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lets the light fall off from the upper left corner, where it stays, to the lower right, where 35 % are left."""
    height, width = picture.shape
    away = (np.linspace(0, 1, height)[:, None] + np.linspace(0, 1, width)) / 2
    return np.rint(picture * (1 - 0.65 * away)).astype(np.uint8), points


def photograph(picture: np.ndarray, points: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Warps as a photograph taken at an angle, of a page that does not lie flat on a dark table.

    The page curls: it bulges in the middle and rises beside the spine, as in a book, each by 1 to 2 % of its height. Then
    each corner moves by up to 4 % of the sides.
    """
    height, width = picture.shape
    rng = np.random.default_rng(seed)
    wave, spine = rng.uniform(0.01, 0.02, 2) * rng.choice([-1, 1], 2) * height

    def rise(x: np.ndarray) -> np.ndarray:
        across = x / width
        return wave * np.sin(np.pi * across) + spine * np.exp(-8 * np.clip(across, 0, None))

    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    # The table shows on all sides, and no corner of the curled page leaves the picture.
    inner = 0.08 + 0.84 * corners + rng.uniform(-0.04, 0.04, (4, 2))
    lens = cv2.getPerspectiveTransform(
        (corners * (width, height)).astype(np.float32), (inner * (width, height)).astype(np.float32)
    )
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    source = cv2.perspectiveTransform(np.stack([columns, rows], -1), np.linalg.inv(lens))
    map_x, map_y = source[..., 0], source[..., 1] - rise(source[..., 0])
    warped = cv2.remap(
        picture,
        (map_x - 0.5).astype(np.float32),
        (map_y - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderValue=_TABLE,
    )
    curled = np.stack([points[:, 0], points[:, 1] + rise(points[:, 0])], -1)
    return warped, cv2.perspectiveTransform(curled[None].astype(np.float64), lens)[0]


DISTORTIONS: dict[str, Distortion] = {
    **{
        f"turned by {degrees} degrees": partial(turn, degrees=degrees)
        for degrees in (-5, -3, 3, 5, -15, 15, -30, 45, 90, 180, 270)
    },
    "darkened": darken,
    **{f"photographed, way {seed}": partial(photograph, seed=seed) for seed in (1, 2, 3)},
}
"""What reports and `python -m htr.evaluate --pages PATH --distort` try, by name."""


def distort(
    distortion: Distortion, picture: np.ndarray, polygons: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Distorts a picture with polygons on it; their long sides may come out curved."""
    dense = [_dense(polygon) for polygon in polygons]
    picture, points = distortion(picture, np.concatenate(dense))
    return picture, np.split(points, np.cumsum([len(polygon) for polygon in dense])[:-1])


def _dense(polygon: np.ndarray) -> np.ndarray:
    """The polygon with a point at least every 20 pixels of its sides."""
    ends = np.roll(polygon, -1, 0)
    counts = np.ceil(np.hypot(*(ends - polygon).T) / 20).astype(int).clip(1)
    return np.concatenate(
        [np.linspace(start, end, count, endpoint=False) for start, end, count in zip(polygon, ends, counts)]
    )
