"""hOCR 1.2: XHTML that a browser shows as plain text, with places and confidences in its `title` attributes."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

from PIL import Image

from htr.pages.containers import Line, Page, Point, around
from htr.writers.markup import VERSION, file_name, legal, on_page, outline, serialise, within, words_of

STYLE = (
    "body { max-width: 50em; margin: 2em auto; padding: 0 1em; font: 1.1em/1.6 Georgia, serif; color: #222; } "
    ".ocr_par { margin: 0 0 1.6em; } .ocr_line { display: block; }"
)
"""How a browser lays the text out."""


def write(page: Page, picture: Image.Image) -> bytes:
    """A file in whole pixels of the picture, with the kind of each region as `x_kind`."""
    root = Element("html", xmlns="http://www.w3.org/1999/xhtml")
    head = SubElement(root, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "title").text = file_name(page) or "htr"
    SubElement(head, "meta", name="ocr-system", content=f"htr {VERSION}")
    SubElement(head, "meta", name="ocr-capabilities", content="ocr_page ocr_carea ocr_par ocr_line ocrx_word")
    SubElement(head, "style").text = STYLE
    # The format has no way to write a quotation mark inside a name.
    image = file_name(page).replace('"', "'")
    title = f'image "{image}"; bbox 0 0 {page.width} {page.height}; ppageno {page.number - 1}'
    sheet = _add(SubElement(root, "body"), "div", "ocr_page", "page", title)
    for number, region in enumerate(page.regions, 1):
        name = f"r{number}"
        box = _box(outline(region), page)
        area = _add(sheet, "div", "ocr_carea", name, f"{box}; x_kind {region.kind}")
        # Where paragraphs begin is not known; programs that go from these to the lines find all in one.
        paragraph = _add(area, "p", "ocr_par", f"{name}p1", box)
        for index, line in enumerate(region.lines, 1):
            _add_line(paragraph, f"{name}l{index}", line, page)
    return b"<!DOCTYPE html>\n" + serialise(root)


def _add_line(paragraph: Element, name: str, line: Line, page: Page) -> None:
    element = _add(paragraph, "span", "ocr_line", name, f"{_box(line.polygon, page)}; {_direction(line, page)}")
    for index, word in enumerate(words_of(line), 1):
        title = f"{_box(within(word, line.polygon), page)}; x_wconf {100 * word.confidence:.0f}"
        _add(element, "span", "ocrx_word", f"{name}w{index}", title).text = legal(word.text)


def _add(parent: Element, tag: str, kind: str, name: str, title: str) -> Element:
    element = SubElement(parent, tag, {"class": kind, "id": name, "title": title})
    element.text = " "  # Browsers that take XHTML for HTML do not understand `<span/>`.
    return element


def _box(points: Iterable[Point], page: Page) -> str:
    return "bbox " + " ".join(map(str, around(on_page(points, page))))


def _direction(line: Line, page: Page) -> str:
    """The baseline, as slope and height at the lower left corner of the box; for a line that lies sideways or upside
    down, where the format has no baseline, its angle instead, counter-clockwise."""
    (x_first, y_first), (x_last, y_last) = line.baseline[0], line.baseline[-1]
    if line.turn:
        return f"textangle {line.turn}"
    slope = (y_last - y_first) / (x_last - x_first or 1)
    left, _, _, bottom = around(on_page(line.polygon, page))
    heights = [y - bottom - slope * (x - left) for x, y in line.baseline]
    return f"baseline {slope:.4f} {sum(heights) / len(heights):.1f}"
