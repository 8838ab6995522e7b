"""ALTO 4.4, the XML of libraries (Library of Congress); eScriptorium and the DFG viewer read it."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

from PIL import Image

from htr.pages.containers import Line, Page, Point, Word, around
from htr.writers.markup import VERSION, file_name, legal, on_page, outline, serialise, within, words_of

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"


def write(page: Page, picture: Image.Image) -> bytes:
    """A file in pixels of the picture.

    The kind of a region is an `OtherTag` that its block refers to; blocks that do not stand upright tell their `ROTATION`.
    """
    root = Element(
        "alto",
        {
            "xmlns": NAMESPACE,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{NAMESPACE} http://www.loc.gov/standards/alto/v4/alto-4-4.xsd",
            "SCHEMAVERSION": "4.4",
        },
    )
    description = SubElement(root, "Description")
    SubElement(description, "MeasurementUnit").text = "pixel"
    if page.file is not None:
        SubElement(SubElement(description, "sourceImageInformation"), "fileName").text = file_name(page)
    software = SubElement(SubElement(description, "Processing", ID="htr"), "processingSoftware")
    SubElement(software, "softwareName").text = "htr"
    SubElement(software, "softwareVersion").text = VERSION
    tags = SubElement(root, "Tags")
    for kind in sorted({region.kind for region in page.regions}):
        SubElement(tags, "OtherTag", ID=f"kind_{kind}", LABEL=kind, DESCRIPTION=f"block type {kind}")
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    sheet = SubElement(SubElement(root, "Layout"), "Page", size, ID="page", PHYSICAL_IMG_NR=str(page.number))
    space = SubElement(sheet, "PrintSpace", size, HPOS="0", VPOS="0")
    for number, region in enumerate(page.regions, 1):
        block = _placed(space, "TextBlock", f"r{number}", outline(region), page)
        block.set("TAGREFS", f"kind_{region.kind}")
        if turn := region.lines[0].turn:
            block.set("ROTATION", str(turn))
        for index, line in enumerate(region.lines, 1):
            _add_line(block, f"r{number}l{index}", line, page)
    return serialise(root)


def _add_line(block: Element, name: str, line: Line, page: Page) -> None:
    element = _placed(block, "TextLine", name, line.polygon, page)
    element.set("BASELINE", _numbers(line.baseline, page))
    # The schema wants at least one string in each line.
    words = words_of(line) or (Word("", line.confidence, line.polygon),)
    for index, word in enumerate(words, 1):
        if index > 1:
            SubElement(element, "SP")
        place = within(word, line.polygon)
        string = _placed(element, "String", f"{name}w{index}", place, page)
        string.attrib |= {"CONTENT": legal(word.text), "WC": f"{word.confidence:.4f}"}
        for number, character in enumerate(word.characters, 1):
            glyph = _placed(string, "Glyph", f"{name}w{index}g{number}", within(character, place), page)
            glyph.attrib |= {"CONTENT": legal(character.text), "GC": f"{character.confidence:.4f}"}


def _placed(parent: Element, tag: str, name: str, polygon: Iterable[Point], page: Page) -> Element:
    """An element with its box and its polygon."""
    polygon = list(polygon)
    left, top, right, bottom = around(on_page(polygon, page))
    box = {"HPOS": str(left), "VPOS": str(top), "WIDTH": str(right - left), "HEIGHT": str(bottom - top)}
    element = SubElement(parent, tag, {"ID": name, **box})
    SubElement(SubElement(element, "Shape"), "Polygon", POINTS=_numbers(polygon, page))
    return element


def _numbers(points: Iterable[Point], page: Page) -> str:
    return " ".join(f"{x} {y}" for x, y in on_page(points, page))
