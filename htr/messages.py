"""Words of messages, and names in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

NAMED = 5
"""How many of many things are named."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def counted(count: int, noun: str) -> str:
    """`1 page`, `2 pages`."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def of_some(pages: Sequence[str]) -> str:
    """` of one.png, two.png and 3 other pages`; nothing where no page is known."""
    more = f" and {counted(len(pages) - NAMED, 'other page')}" if len(pages) > NAMED else ""
    return f" of {', '.join(pages[:NAMED])}{more}" if pages else ""


def printable(name: str) -> str:
    """A file name that any output takes: bytes that are no UTF-8 become question marks."""
    return name.encode(errors="replace").decode()


def on_one_line(text: str) -> str:
    """A text with what rules a screen (ends of lines, colours) spelt out: names of files may hold such characters."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
