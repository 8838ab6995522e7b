"""A reader that finds what it is told, pages with their truth for it, and a database like IAM."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from htr.alphabet import Alphabet
from htr.corpora.embedded import embedded_lines
from htr.corpora.iam import aachen_split
from htr.pages.containers import Box, Line, Page, Region


def make_iam(folder: Path, forms: dict[str, int], lines: int) -> None:
    """Writes a database in IAM's official layout, drawn in handwriting fonts."""
    rows, writers = ["# a comment"], ["# a comment"]
    (folder / "ascii").mkdir(parents=True)
    for split, count in forms.items():
        names = [form for form, of in aachen_split().items() if of == split][:count]
        drawn = iter(embedded_lines(split, count * lines))
        for form in names:
            writers.append(f"{form} {split}-{form} 2 all 12 12 80 80")
            target = folder / "lines" / form[:3] / form
            target.mkdir(parents=True)
            for number in range(lines):
                sample = next(drawn)
                text = sample.text.replace("#", "No").replace(",", " ,").replace(" ", "|")
                rows.append(f"{form}-{number:02d} ok 150 9 10 20 30 40 {text}")
                cv2.imwrite(str(target / f"{form}-{number:02d}.png"), sample.image())
    (folder / "ascii" / "lines.txt").write_text("\n".join(rows) + "\n")
    (folder / "ascii" / "forms.txt").write_text("\n".join(writers) + "\n")


def line(text: str, *box: float) -> Line:
    """A line with an upright polygon: left, top, right and bottom."""
    left, top, right, bottom = box
    corners = (left, top), (right, top), (right, bottom), (left, bottom)
    return Line(((left, bottom - 5), (right, bottom - 5)), corners, text)


def write_page(folder: Path, name: str, lines: list[tuple[str, Box]]) -> None:
    """Writes a picture of 600 x 400 pixels, upright strokes for each line, and its ALTO."""
    picture = np.full((400, 600), 255, np.uint8)
    rows = []
    for text, (left, top, right, bottom) in lines:
        for stroke in range(left, right, 12):
            picture[top:bottom, stroke : min(stroke + 5, right)] = 60
        place = f'HPOS="{left}" VPOS="{top}" WIDTH="{right - left}" HEIGHT="{bottom - top}"'
        rows.append(
            f'<TextLine {place} BASELINE="{left} {bottom - 5} {right} {bottom - 5}"><String CONTENT="{text}"/></TextLine>'
        )
    cv2.imwrite(str(folder / f"{name}.png"), picture)
    (folder / f"{name}.xml").write_text(
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Layout><Page WIDTH="600" HEIGHT="400"><PrintSpace>'
        f"<TextBlock>{''.join(rows)}</TextBlock></PrintSpace></Page></Layout></alto>",
        encoding="utf-8",
    )  # fmt: skip


class StandIn:
    """Stands in for `htr.reader.Reader`: on upright pages of 600 x 400 it finds the given regions, elsewhere nothing.

    Args:
        regions: what it finds and reads.
        reading: how it reads every picture of a line.
    """

    device = "cpu"
    weights = SimpleNamespace(
        file="standin.safetensors", sha256="5" * 64, alphabet=Alphabet("abcdefghijklmnopqrstuvwxyz "),
        header=SimpleNamespace(network={}, height=64, training={}),
    )  # fmt: skip

    def __init__(self, *regions: Region, reading: str = "") -> None:
        self.regions, self.reading = regions, reading

    def read_page(self, picture: np.ndarray) -> Page:
        height, width = picture.shape
        return Page(width, height, self.regions if (width, height) == (600, 400) else ())

    find_page = read_page

    def read_lines(self, pictures: list[np.ndarray], cut_out: bool = False) -> list[Line]:
        return [line(self.reading, 0, 0, picture.shape[1], picture.shape[0]) for picture in pictures]
