"""Plain text."""

from __future__ import annotations

from PIL import Image

from htr.pages.containers import Page


def write(page: Page, picture: Image.Image) -> bytes:
    """A line of text for each line of writing, an empty one between regions; nothing at all for a page without text."""
    return f"{page.text}\n".encode(errors="replace") if page.text else b""
