"""PAGE XML (PRImA) in the edition of 2019-07-15 for eScriptorium and OCR-D, and in that of 2013-07-15 for Transkribus."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from xml.etree.ElementTree import Element, SubElement

from PIL import Image

from htr.pages.containers import Character, Line, Page, Point, Region, Word
from htr.writers.markup import VERSION, file_name, legal, on_page, outline, serialise, within

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/"
"""Of all editions; their date comes behind it."""

KINDS = {
    "text": {"type": "paragraph"},
    "margin": {"type": "marginalia"},
    # Of the schema's types none says so, and eScriptorium asks `custom` only where there is none.
    "print": {"production": "printed"},
}
"""What the schema calls the kinds of region."""


def write(page: Page, picture: Image.Image) -> bytes:
    """A file in whole pixels of the picture. The format wants a date: it is the time of writing, in UTC."""
    return _write(page, "2019-07-15")


def write_2013(page: Page, picture: Image.Image) -> bytes:
    """The same in the edition of 2013, where a page cannot say how it is turned: only the places of the lines tell. For Transkribus
    regions and lines tell their order too."""
    return _write(page, "2013-07-15")


def _write(page: Page, edition: str) -> bytes:
    namespace = NAMESPACE + edition
    root = Element(
        "PcGts",
        {
            "xmlns": namespace,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{namespace} {namespace}/pagecontent.xsd",
        },
    )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    metadata = SubElement(root, "Metadata")
    for tag, value in (("Creator", f"htr {VERSION}"), ("Created", now), ("LastChange", now)):
        SubElement(metadata, tag).text = value
    size = {"imageWidth": str(page.width), "imageHeight": str(page.height)}
    sheet = SubElement(root, "Page", imageFilename=file_name(page), **size)
    if page.turn and edition >= "2019":
        sheet.set("orientation", _orientation(page.turn))
    if page.regions:
        order = SubElement(SubElement(sheet, "ReadingOrder"), "OrderedGroup", id="order")
        for number in range(len(page.regions)):
            SubElement(order, "RegionRefIndexed", index=str(number), regionRef=f"r{number + 1}")
    for number, region in enumerate(page.regions, 1):
        _add_region(sheet, f"r{number}", region, page)
    if edition < "2019":
        _number(sheet.findall("TextRegion"))
    return serialise(root)


def _number(elements: list[Element]) -> None:
    """Tells the order of regions, and of their lines, as Transkribus does: where that is missing, it sorts them by their places."""
    for index, element in enumerate(elements):
        rest = element.get("custom")
        element.set("custom", f"readingOrder {{index:{index};}}" + (f" {rest}" if rest else ""))
        _number(element.findall("TextLine"))


def _add_region(sheet: Element, name: str, region: Region, page: Page) -> None:
    kind = KINDS[region.kind]
    custom = f"structure {{type:{kind.get('type', region.kind)};}}"
    element = SubElement(sheet, "TextRegion", id=name, custom=custom, **kind)
    if region.lines[0].turn != page.turn:
        element.set("orientation", _orientation(region.lines[0].turn))
    SubElement(element, "Coords", points=_points(outline(region), page))
    for index, line in enumerate(region.lines, 1):
        _add_line(element, f"{name}l{index}", line, page)
    # OCR-D's programs look for the text here, not at the lines.
    if text := "\n".join(line.text for line in region.lines if line.text):
        SubElement(SubElement(element, "TextEquiv"), "Unicode").text = legal(text)


def _orientation(turn: int) -> str:
    """Degrees clockwise that set a page or a region upright, above -180 and up to 180."""
    return str(turn - 360 if turn > 180 else turn)


def _add_line(region: Element, name: str, line: Line, page: Page) -> None:
    element = SubElement(region, "TextLine", id=name)
    SubElement(element, "Coords", points=_points(line.polygon, page))
    SubElement(element, "Baseline", points=_points(line.baseline, page))
    for index, word in enumerate(line.words, 1):
        part = SubElement(element, "Word", id=f"{name}w{index}")
        place = within(word, line.polygon)
        SubElement(part, "Coords", points=_points(place, page))
        for number, character in enumerate(word.characters, 1):
            glyph = SubElement(part, "Glyph", id=f"{name}w{index}g{number}")
            SubElement(glyph, "Coords", points=_points(within(character, place), page))
            _add_text(glyph, character)
        _add_text(part, word)
    if line.text:
        _add_text(element, line)


def _add_text(element: Element, part: Line | Word | Character) -> None:
    equivalent = SubElement(element, "TextEquiv", conf=f"{part.confidence:.4f}")
    SubElement(equivalent, "Unicode").text = legal(part.text)


def _points(points: Iterable[Point], page: Page) -> str:
    return " ".join(f"{x},{y}" for x, y in on_page(points, page))
