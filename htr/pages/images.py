"""Opening image files as grey pictures, with a clear word for every file that cannot be opened."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from htr.errors import InputError

MAX_PIXELS = 200_000_000
"""Largest picture that is opened, in pixels: an A2 sheet at 600 dpi has 139 million."""


def open_image(source: Path | str | bytes, name: str | None = None) -> np.ndarray:
    """Opens a picture as grey.

    Turns it as its EXIF orientation says, lays transparency over white, and scales 16-bit grey to 8 bit.

    Args:
        source: path of the file, or the file's bytes.
        name: what messages call the picture; the path if not given.

    Returns:
        Array of shape (height, width), uint8, 0 = black.

    Raises:
        InputError: no such file, not a picture, damaged, or of more than `MAX_PIXELS` pixels.
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
            # Pillow warns of, or refuses, large pictures by a bound of its own: ours is checked just below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(handle)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Image.DecompressionBombError
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
    except (OSError, SyntaxError, ValueError, EOFError) as error:
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
        InputError: the array is not of this form, or has no pixels.
    """
    if picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    elif picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or channels not in (1, 3, 4) or not picture.size:
        raise InputError(
            f"a picture of shape {picture.shape} and type {picture.dtype} cannot be read; give (height, width) or "
            "(height, width, 3 or 4) of uint8"
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
        values = np.asarray(image, dtype=np.float32)
        # Deep scans come in several modes; those that keep to 8 bit are not to be darkened.
        values = values / 257 if values.max(initial=0) > 255 else values
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.mode in ("L", "RGB", "RGBA"):
        return image.convert("RGBA") if "transparency" in image.info else image
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")
