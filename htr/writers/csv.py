"""A table for spreadsheets."""

from __future__ import annotations

import csv
import io

from PIL import Image

from htr.messages import printable
from htr.pages.containers import Page
from htr.pages.order import number_rows

# By the first character, Excel knows that the rest is UTF-8.
HEADER = "\ufefffile,page number,line,region,row,kind,confidence,text\n".encode()
"""Names of the columns."""

# What spreadsheets take for the begin of a formula.
_FORMULA = "=", "+", "-", "@"


def write(page: Page, picture: Image.Image) -> bytes:
    """The header, and a row for each line of writing, in reading order; confidences are 0 to 1 with four decimals.

    Lines that stand beside each other are of one row, as the entries of a register; those that are turned against the page have none.
    Before what would be taken for a formula, such as the dash of a dialogue, stands a space.
    """
    rows = io.StringIO()
    regions = [region for region in page.regions if region.kind != "print"]
    lines = [(number, region.kind, line) for number, region in enumerate(regions, 1) for line in region.lines]
    level = [line for *_, line in lines if line.turn == page.turn]
    row_of = dict(zip(level, number_rows(level)))
    csv.writer(rows, lineterminator="\n").writerows(
        (
            _guarded(printable(page.file or "")),
            page.number,
            number,
            region,
            row_of.get(line, ""),
            kind,
            f"{line.confidence:.4f}",
            _guarded(line.text),
        )
        for number, (region, kind, line) in enumerate(lines, 1)
    )
    return HEADER + rows.getvalue().encode(errors="replace")


def _guarded(text: str) -> str:
    return " " * text.startswith(_FORMULA) + text
