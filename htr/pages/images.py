"""Opening image files as grey pictures, with a clear word for every file that cannot be opened."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from htr.errors import InputError

MAX_PIXELS = 178_000_000
"""Largest picture that is opened, in pixels: an A2 sheet at 600 dpi has 139 million. Pillow itself opens hardly more."""

MIN_SIDE = 8
"""Smallest width and height in which there can be writing, in pixels."""


def open_image(source: Path | str | bytes, name: str | None = None) -> np.ndarray:
    """Opens a picture as grey.

    Turns it as its EXIF orientation says, lays transparency over white, and scales 16-bit grey to 8 bit.

    Args:
        source: path of the file, or the file's bytes.
        name: what messages call the picture; the path if not given.

    Returns:
        Array of shape (height, width), uint8, 0 = black.

    Raises:
        InputError: no such file, not a picture, damaged, of several pages, of more than `MAX_PIXELS` pixels, or of
            less than `MIN_SIDE` pixels in width or height.
    """
    if isinstance(source, bytes):
        name = name or "picture"
        handle: io.BytesIO | Path = io.BytesIO(source)
    else:
        handle = Path(source)
        name = name or str(source)
        if handle.is_dir():
            raise InputError(f"{name}: is a folder; give the picture files in it")
        if not handle.exists():
            raise InputError(f"{name}: no such file; check the path")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures by a bound of its own: ours is checked just below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(handle)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Image.DecompressionBombError
            if (pages := getattr(image, "n_frames", 1)) > 1:
                raise InputError(f"has {pages} pages; save each as a file of its own")
            image.load()
            return grey(np.asarray(_plain(ImageOps.exif_transpose(image))))
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: larger than {MAX_PIXELS // 1_000_000} million pixels; scale it down or cut it into pages"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{name}: not a picture that can be read; give a PNG, JPEG, TIFF or WebP file") from None
    except PermissionError:
        raise InputError(f"{name}: may not be read; check its permissions") from None
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as error:
        # Pillow's decoders raise all of these on damaged data.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{name}: damaged or cut short ({reason}); export or copy it again") from None


def grey(picture: np.ndarray) -> np.ndarray:
    """Turns an array of a picture into grey.

    Args:
        picture: shape (height, width), or (height, width, 3 or 4) RGB(A); uint8, uint16 or bool, 0 = black.

    Returns:
        Shape (height, width), uint8, transparency laid over white.

    Raises:
        InputError: the array is not of this form, or has less than `MIN_SIDE` rows or columns.
    """
    if picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    elif picture.dtype == np.uint16:
        picture = _eight_bit(picture)
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InputError(
            f"a picture of shape {picture.shape} and type {picture.dtype} cannot be read; give (height, width) or "
            "(height, width, 3 or 4) of uint8"
        )
    if min(picture.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"only {picture.shape[1]} x {picture.shape[0]} pixels, too few to hold writing; scan it larger"
        )
    if channels == 4:
        alpha = picture[..., 3:].astype(np.float32) / 255
        picture = np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if picture.ndim == 2 or channels == 1:
        return picture.reshape(picture.shape[:2])
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _plain(image: Image.Image) -> Image.Image:
    """Reduces Pillow's many modes to grey of 8 or 16 bit, RGB and RGBA."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bit(np.asarray(image)))
    if image.mode in ("L", "RGB", "RGBA"):
        return image.convert("RGBA") if "transparency" in image.info else image
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bit(values: np.ndarray) -> np.ndarray:
    """Scales deep grey to 8 bit: from 1 for real numbers up to 1, else from the 8, 12 or 16 bit that the values need."""
    highest = float(values.max(initial=0))
    if values.dtype.kind == "f" and highest <= 1:
        white = 1.0
    else:
        white = next((white for white in (255.0, 4095.0, 65535.0) if highest <= white), highest)
    return np.clip(np.rint(values.astype(np.float32) * (255 / white)), 0, 255).astype(np.uint8)
