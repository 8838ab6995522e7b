"""Opening image files as grey pictures, with a clear word for every file that cannot be opened."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

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
            return _grey(ImageOps.exif_transpose(image))
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


def _grey(image: Image.Image) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float32)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return np.clip(values * (255.0 / top), 0, 255).astype(np.uint8)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("L"))
