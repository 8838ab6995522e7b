"""What paper, scanner and camera make of the ink of a line."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

CLEAN, BINARY = 0.35, 0.1
"""Shares of lines on paper that was flattened to white, and of black-and-white scans; the others show their paper."""


def on_paper(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts the ink of a line on paper and takes a picture of it.

    Args:
        ink: shape (height, width), uint8, 255 = a full stroke.
        rng: draws the kind of paper and picture, and all that is on it.

    Returns:
        Shape (height, width), uint8 grey, 0 = black.
    """
    kind = rng.random()
    if kind < CLEAN:
        picture = _clean(ink, rng)
    elif kind < CLEAN + BINARY:
        picture = _binary(ink, rng)
    else:
        picture = _page(ink, rng)
    if rng.random() < 0.25:
        picture = _coarser(picture, rng)
    if rng.random() < 0.3:
        code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))])[1]
        picture = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    return picture


def between_neighbours(ink: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lets the tails of other writing reach into a line from above, from below or both.

    Args:
        ink: of the line, shape (height, width), uint8, 255 = a full stroke.
        other: ink of any size; its foot turns up at the upper edge, its head at the lower edge.
        rng: draws how far it reaches, and where.

    Returns:
        Ink of the same shape.
    """
    height, width = ink.shape
    out = ink.copy()
    edges = int(rng.integers(1, 4))
    for edge in (1, 2):
        if not edges & edge:
            continue
        reach = min(max(1, int(rng.uniform(0.05, 0.22) * height)), other.shape[0])
        strip = other[-reach:] if edge == 1 else other[:reach]
        start = int(rng.integers(0, other.shape[1]))
        strip = np.take(strip, np.arange(start, start + width), axis=1, mode="wrap")
        area = out[:reach] if edge == 1 else out[height - reach :]
        np.maximum(area, strip, out=area)
    return out


def _clean(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A good scan whose paper was made white."""
    darkness = _strength(ink.shape, rng) if rng.random() < 0.5 else rng.uniform(0.5, 1)
    shade = _scaled(ink, 1 / 255) * darkness
    if rng.random() < 0.3:
        shade *= 1 - rng.uniform(0.1, 0.5) * np.abs(_grain(ink.shape, 0, rng))
    paper = 255 if rng.random() < 0.7 else rng.uniform(225, 255)
    picture = _soft(paper - shade * (paper - rng.uniform(0, 30)), rng)
    if rng.random() < 0.5:  # few shades of grey
        step = 255 / 15
        picture = np.rint(picture / step) * step
    return _grey(picture)


def _binary(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A black-and-white scan: ragged edges, gaps in faint strokes, specks."""
    shade = _scaled(ink) + rng.uniform(5, 40) * _grain(ink.shape, int(rng.integers(0, 2)), rng)
    picture = np.where(shade > rng.uniform(70, 170), np.uint8(0), np.uint8(255))
    if rng.random() < 0.6:  # made smaller after it was made black and white
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.8))
    return picture


def _page(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A scan or photograph that shows its paper."""
    height, width = ink.shape
    tone = 255 * rng.uniform(0.45, 1) ** 0.5
    paper = np.full(ink.shape, tone, np.float32)
    if rng.random() < 0.7:  # uneven light
        paper += _slow(ink.shape, 4.0, rng) * tone * rng.uniform(0.01, 0.09)
    if rng.random() < 0.75:  # fibres and grain
        paper += _grain(ink.shape, int(rng.integers(0, 3)), rng) * rng.uniform(1, 7)
    if rng.random() < 0.2:  # stains
        stain = np.clip(_slow(ink.shape, 0.7, rng) - rng.uniform(0.3, 1), 0, 0.7)
        paper *= 1 - rng.uniform(0.1, 0.4) * stain
    marks = np.zeros_like(ink)
    if rng.random() < 0.35:
        _rules(marks, rng)
    if rng.random() < 0.15:
        _specks(marks, rng)
    if marks.any():
        paper *= 1 - _scaled(cv2.GaussianBlur(marks, (0, 0), 0.6), 1 / 255)
    if rng.random() < 0.2:  # writing on the other side of the sheet
        back = np.roll(ink[:, ::-1], (int(rng.integers(-height, height)), int(rng.integers(width))), (0, 1))
        back = cv2.blur(back, (int(rng.integers(3, 8)),) * 2)
        paper *= 1 - rng.uniform(0.05, 0.25) / 255 * back
    # From a pencil on grey paper to black ink.
    darkness = rng.uniform(0.3, 0.95) * (_strength(ink.shape, rng) if rng.random() < 0.7 else 1)
    shade = _scaled(ink, 1 / 255) * darkness
    if rng.random() < 0.35:  # a pencil, or a dry pen, leaves out what lies deep in the paper
        shade *= np.clip(1 - rng.uniform(0.1, 0.6) * (_grain(ink.shape, int(rng.integers(0, 2)), rng) + 0.3), 0, 1)
    picture = _soft(paper * (1 - shade), rng)
    if rng.random() < 0.5:  # noise of the sensor
        picture += _grain(ink.shape, 0, rng) * rng.uniform(1, 8)
    return _grey(picture)


def _strength(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """How much ink flows, which changes along the line; 0.4 to 1."""
    return np.clip(rng.uniform(0.7, 1.1) + rng.uniform(0.03, 0.2) * _slow(shape, 0.8, rng), 0.4, 1)


def _soft(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus: little in most pictures."""
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.3)) if rng.random() < 0.6 else picture


def _coarser(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture of too few pixels, brought to the usual size."""
    height, width = picture.shape
    share = rng.uniform(0.4, 0.9)
    small = cv2.resize(picture, (max(1, int(width * share)), int(height * share)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _rules(marks: np.ndarray, rng: np.random.Generator) -> None:
    """Draws the rules or squares of the paper, a little askew."""
    height, width = marks.shape
    tone, thick = int(rng.uniform(20, 150)), 1 if rng.random() < 0.7 else 2
    rise = rng.normal(0, 0.006) * width
    squared = rng.random() < 0.35
    step = height * (rng.uniform(0.2, 0.5) if squared else rng.uniform(0.5, 1.3))
    for y in np.arange(rng.random() * step, height, step):
        _segment(marks, (0, y), (width, y + rise), tone, thick)
    if squared:
        for x in np.arange(rng.random() * step, width, step):
            _segment(marks, (x, 0), (x - rise * height / width, height), tone, thick)
    elif rng.random() < 0.15:
        x = rng.random() * 0.15 * width
        _segment(marks, (x, 0), (x, height), tone, thick)
    if rng.random() < 0.2:  # dotted
        marks[:, :: int(rng.integers(2, 5))] = 0


def _segment(marks: np.ndarray, start: tuple[float, float], end: tuple[float, float], tone: int, thick: int) -> None:
    ends = [tuple(round(16 * value) for value in point) for point in (start, end)]
    cv2.line(marks, *ends, tone, thick, cv2.LINE_AA, 4)


def _specks(marks: np.ndarray, rng: np.random.Generator) -> None:
    height, width = marks.shape
    for _ in range(int(rng.integers(1, 8))):
        centre = int(rng.integers(width)), int(rng.integers(height))
        axes = rng.exponential(0.02 * height, 2).astype(int).tolist()
        cv2.ellipse(marks, centre, axes, rng.uniform(0, 180), 0, 360, int(rng.integers(40, 230)), -1, cv2.LINE_AA)


def _scaled(picture: np.ndarray, factor: float = 1.0) -> np.ndarray:
    return np.multiply(picture, np.float32(factor), dtype=np.float32)


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture, 0, 255).astype(np.uint8)


def _slow(shape: tuple[int, int], length: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation below 1 that changes over `length` times the height."""
    height, width = shape
    across = max(2, round(2 / length))
    knots = rng.standard_normal((across, 2 + int(width / (height * length))), dtype=np.float32)
    return cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)


def _grain(shape: tuple[int, int], kind: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1: fine (0), coarse (1) or along fibres (2)."""
    tile = _tile(kind)
    top = int(rng.integers(tile.shape[0]))
    left = int(rng.integers(tile.shape[1]))
    rows = np.arange(top, top + shape[0]) % tile.shape[0]
    columns = np.arange(left, left + shape[1]) % tile.shape[1]
    return tile[rows[:, None], columns]


@cache
def _tile(kind: int) -> np.ndarray:
    # One large piece made once: drawing new noise for each line would cost more than all the rest.
    noise = np.random.default_rng(kind).standard_normal((256, 2048), dtype=np.float32)
    width, height = ((0.5, 0.5), (1.5, 1.5), (4.0, 0.8))[kind]
    tile = cv2.GaussianBlur(noise, (0, 0), sigmaX=width, sigmaY=height)
    return tile / tile.std()
