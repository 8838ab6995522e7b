"""A table for spreadsheets."""

from __future__ import annotations

import csv
import io

from PIL import Image

from htr.messages import printable
from htr.pages.containers import Page

# By the first character, Excel knows that the rest is UTF-8.
HEADER = "\ufefffile,page number,line,kind,confidence,text\n".encode()
"""Names of the columns."""

# What spreadsheets take for the begin of a formula.
_FORMULA = "=", "+", "-", "@"


def write(page: Page, picture: Image.Image) -> bytes:
    """The header, and a row for each line of writing, in reading order; confidences are 0 to 1 with four decimals.

    Before what would be taken for a formula, such as the dash of a dialogue, stands a space.
    """
    rows = io.StringIO()
    lines = [(region.kind, line) for region in page.regions if region.kind != "print" for line in region.lines]
    csv.writer(rows, lineterminator="\n").writerows(
        (
            _guarded(printable(page.file or "")),
            page.number,
            number,
            kind,
            f"{line.confidence:.4f}",
            _guarded(line.text),
        )
        for number, (kind, line) in enumerate(lines, 1)
    )
    return HEADER + rows.getvalue().encode(errors="replace")


def _guarded(text: str) -> str:
    return " " * text.startswith(_FORMULA) + text
