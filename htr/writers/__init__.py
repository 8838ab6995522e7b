"""Writing a page in the formats that people and archives use: one small module each.

`page` is what was read, `picture` the page as it is shown, of `page.width` x `page.height` pixels, mode L or RGB; only
the PDF needs it. All markup and text is UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from htr.pages.containers import Page
from htr.writers import alto, csv, hocr, json, pagexml, pdf, text
from htr.writers.overlay import draw_overlay

__all__ = ["WRITERS", "Writer", "draw_overlay"]


@dataclass(frozen=True)
class Writer:
    """One format.

    Attributes:
        suffix: how the names of its files end, such as `.txt`.
        write: makes the bytes of a file from a page and its picture.
        header: what each file begins with; where several pages go to the screen, it comes once.
    """

    suffix: str
    write: Callable[[Page, Image.Image], bytes]
    header: bytes = b""


WRITERS = {
    "text": Writer(".txt", text.write),
    "csv": Writer(".csv", csv.write, csv.HEADER),
    "json": Writer(".json", json.write),
    "jsonl": Writer(".jsonl", json.write_line),
    "alto": Writer(".alto.xml", alto.write),
    "page": Writer(".page.xml", pagexml.write),
    # Transkribus knows a picture's file by this name alone.
    "page2013": Writer(".xml", pagexml.write_2013),
    # Browsers show a local file as what its last suffix says.
    "hocr": Writer(".hocr.html", hocr.write),
    "pdf": Writer(".pdf", pdf.write),
}
"""The writer of each format, by the name that `--format` takes."""
