"""JSON with all that is known of a page, down to the characters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from PIL import Image

from htr.messages import printable
from htr.pages.containers import Character, Line, Page, Point, Word


def write(page: Page, picture: Image.Image) -> bytes:
    """One indented object; places are in pixels with one decimal, confidences 0 to 1 with four."""
    text = json.dumps(_page(page), ensure_ascii=False, indent=2)
    # Lists of numbers stay on one line. Strings are safe: a line break in them is written as \n.
    text = re.sub(r"\[\n[-\d.,\s\[\]]+\]", lambda numbers: re.sub(r"\s+", "", numbers[0]).replace(",", ", "), text)
    return f"{text}\n".encode(errors="replace")


def write_line(page: Page, picture: Image.Image) -> bytes:
    """The same object in one line, for JSON Lines."""
    return (json.dumps(_page(page), ensure_ascii=False) + "\n").encode(errors="replace")


def _page(page: Page) -> dict:
    return {
        "file": printable(page.file) if page.file is not None else None,
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "turn": page.turn,
        "notes": list(page.notes),
        "regions": [
            {"kind": region.kind, "box": list(region.box), "lines": [_line(line) for line in region.lines]}
            for region in page.regions
        ],
    }


def _line(line: Line) -> dict:
    return {
        **_read(line),
        "baseline": _points(line.baseline),
        "words": [
            {**_read(word), "characters": [_read(character) for character in word.characters]} for word in line.words
        ],
    }


def _read(part: Line | Word | Character) -> dict:
    place = {"polygon": _points(part.polygon)}
    if not isinstance(part, Character):
        place["box"] = list(part.box)
    return {"text": part.text, "confidence": round(part.confidence, 4), **place}


def _points(points: Iterable[Point]) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in points]
