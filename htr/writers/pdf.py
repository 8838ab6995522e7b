"""PDF: the picture of the page, with the text lying over it, invisible but there to be selected, copied and found."""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import PurePath
from statistics import mean
from typing import Any

from PIL import Image
from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics, ttfonts
from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFName, PDFStream
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.textobject import PDFTextObject

from htr.errors import InputError
from htr.fonts import font_path
from htr.pages.containers import Page, Point, Word
from htr.writers.markup import VERSION, file_name, lean_of, legal, spine, words_of

FONT = "Noto Sans"
"""Font of the invisible text: it has the letters of all European languages."""

DPI = 150
"""Pixels per inch of a picture that does not tell."""

UNTOLD = 72
"""Pixels per inch that say nothing; nobody scans so coarsely."""

QUALITY = 85
"""Of the picture as JPEG."""

LONGEST = 65500
"""Longest side of a JPEG, in pixels."""

LARGEST = 14400
"""Longest side of a page, in points: the PDF standard's bound, which Acrobat keeps to."""

SKEW = 10
"""Words that lean by fewer degrees than this are set straight: poppler, whose search many readers of PDF use, breaks a
word into pieces where its letters climb by half a point."""

GAP = 0.45
"""Widest gap that is left between two words of a line, in heights of the words: poppler takes wider ones for those between
columns, and its text runs down each column."""

LEAST = 0.13
"""Narrowest gap between two words of a line, in the same heights: `pdftotext -raw` runs words together that stand nearer."""

FAR = 2
"""Wider gaps than this, in the same heights, are indeed between columns, and are left as they are."""

STEP = 0.4
"""Rise of a leaning line over which its words are laid at one height, in heights of the words: poppler takes words that rise
one after the other for lines of their own."""

BLOCK = 100
"""Most characters in a block of a font's table of characters: the PDF standard's bound, beyond which Ghostscript complains."""

INVISIBLE = 3

BLACK_AND_WHITE = {0, 255, (0, 0, 0), (255, 255, 255)}
"""Colours of a picture of mode L or RGB."""

ROWS_PER_STRIP = 278
"""Tag of TIFF."""

rl_config.useA85 = 0  # Text that is packed would be a quarter larger as letters.


def _cmap(*font: Any, whole: Callable[..., str] = ttfonts.makeToUnicodeCMap) -> str:
    """Which characters the codes of a font mean, in blocks of at most `BLOCK`; reportlab's own is one block."""
    return re.sub(r"\d+ beginbfchar\n(.*?)endbfchar\n", _blocks, whole(*font), flags=re.DOTALL)


def _blocks(found: re.Match[str]) -> str:
    rows = found[1].splitlines(keepends=True)
    parts = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    return "".join(f"{len(part)} beginbfchar\n{''.join(part)}endbfchar\n" for part in parts)


ttfonts.makeToUnicodeCMap = _cmap


def write(page: Page, picture: Image.Image) -> bytes:
    """One page, which viewers show upright, in the picture's physical size.

    That is from `picture.info["dpi"]` where it has that, else of `DPI` pixels an inch: up to `UNTOLD` is what cameras and programs
    write that do not know it.

    Raises:
        InputError: the picture is wider or higher than a JPEG can be.
    """
    if max(picture.size) > LONGEST:
        raise InputError(f"more than {LONGEST} pixels wide or high, too much for a PDF; cut the picture in two")
    across, down = (72 / dpi for dpi in _resolution(page, picture))
    shrunk = min(1, LARGEST / max(page.width * across, page.height * down))
    across, down = across * shrunk, down * shrunk
    file = io.BytesIO()
    size = page.width * across, page.height * down
    # Reportlab takes the size of a turned page as viewers show it.
    canvas = Canvas(file, pagesize=size[::-1] if page.turn in (90, 270) else size, pageCompression=1)
    canvas.setTitle(file_name(page))
    canvas.setCreator(f"htr {VERSION}")
    canvas.setAuthor("")
    canvas.setSubject("")
    canvas.setPageRotation(page.turn)
    # Reportlab's own way unpacks a JPEG again, and knows no group 4.
    canvas._doc.addForm("picture", _stream(picture))
    canvas.saveState()
    canvas.scale(*size)
    canvas.doForm("picture")
    canvas.restoreState()
    # From here on in pixels of the picture, with y up.
    canvas.scale(across, down)
    text = canvas.beginText()
    text.setTextRenderMode(INVISIBLE)
    for region in page.regions:
        for line in region.lines:
            words = words_of(line)
            for word, place in zip(words, _places(words)):
                _lay(text, word.text, place, page.height)
    canvas.drawText(text)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _stream(picture: Image.Image) -> PDFStream:
    """The picture as PDF holds it: black and white alone without loss, as fax machines pack it (group 4); all else as JPEG."""
    packed = io.BytesIO()
    colours = picture.getcolors(2)  # None of a picture of more
    if bilevel := colours is not None and BLACK_AND_WHITE.issuperset(colour for _, colour in colours):
        picture.convert("1").save(packed, "TIFF", compression="group4", tiffinfo={ROWS_PER_STRIP: picture.height})
        tiff = packed.getvalue()
        content = tiff[8 : int.from_bytes(tiff[4:8], sys.byteorder)]  # between header and directory lies the one strip
    else:
        picture.save(packed, "JPEG", quality=QUALITY)
        content = packed.getvalue()
    told = {
        "Type": PDFName("XObject"),
        "Subtype": PDFName("Image"),
        "Width": picture.width,
        "Height": picture.height,
        "ColorSpace": PDFName("DeviceGray" if bilevel or picture.mode == "L" else "DeviceRGB"),
        "BitsPerComponent": 1 if bilevel else 8,
        "Filter": PDFName("CCITTFaxDecode" if bilevel else "DCTDecode"),
    }
    if bilevel:
        told["DecodeParms"] = PDFDictionary(
            {"K": -1, "Columns": picture.width, "Rows": picture.height, "BlackIs1": "true"}
        )
    return PDFStream(PDFDictionary(told), content)


def _resolution(page: Page, picture: Image.Image) -> tuple[float, float]:
    resolution = picture.info.get("dpi", (DPI, DPI))
    drawn = PurePath(page.file or "").suffix.lower() == ".pdf"  # at the resolution that was asked for
    return resolution if drawn or all(UNTOLD < value <= 2400 for value in resolution) else (DPI, DPI)


def _places(words: Sequence[Word]) -> list[tuple[Point, Point, float]]:
    """Where the words of a line are laid: the spines of their polygons, longer and moved a little so that poppler sees one line."""
    places = [spine(word.polygon) for word in words]
    _close_gaps(places)
    _level(places)
    return places


def _close_gaps(places: list[tuple[Point, Point, float]]) -> None:
    """Draws words out towards each other, by as much each, where the gap between them is wide; back where it is narrow."""
    for index in range(len(places) - 1):
        (start, end, tall), (after, far, other) = places[index : index + 2]
        length = math.dist(start, end)
        if not length:
            continue
        along = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        gap = (after[0] - end[0]) * along[0] + (after[1] - end[1]) * along[1]
        height = (tall + other) / 2
        if gap <= FAR * height:
            # A word keeps at least half of its length.
            most = min(length, math.dist(after, far)) / 4
            by = max((gap - min(max(gap, LEAST * height), GAP * height)) / 2, -most)
            places[index] = start, _moved(end, along, by), tall
            places[index + 1] = _moved(after, along, -by), far, other


def _level(places: list[tuple[Point, Point, float]]) -> None:
    """Brings the words of a line that leans, and are set straight, to the same height, or in a few steps where it rises by more."""
    leans = {lean_of(start, end, SKEW) for start, end, _ in places}
    if len(leans) != 1 or (lean := leans.pop()) % 90:
        return
    down = -math.sin(math.radians(lean)), math.cos(math.radians(lean))
    middles = [sum(x * down[0] + y * down[1] for x, y in (start, end)) / 2 for start, end, _ in places]
    highest, rise = min(middles), max(middles) - min(middles)
    if not rise:
        return
    steps = math.ceil(rise / (STEP * max(mean(tall for *_, tall in places), 1)))
    for index, (middle, (start, end, tall)) in enumerate(zip(middles, places)):
        step = min(int((middle - highest) / rise * steps), steps - 1)
        by = highest + (step + 0.5) * rise / steps - middle
        places[index] = _moved(start, down, by), _moved(end, down, by), tall


def _moved(point: Point, way: Point, by: float) -> Point:
    return point[0] + way[0] * by, point[1] + way[1] * by


def _lay(text: PDFTextObject, word: str, place: tuple[Point, Point, float], height: int) -> None:
    """Puts a word in its place, given as by `spine`, as long and high as that, with a space behind it."""
    start, end, tall = place
    length, tall = max(math.dist(start, end), 1), max(tall, 1)
    angle = math.radians(lean_of(start, end, SKEW))
    cos, sin = math.cos(angle), math.sin(angle)
    font = _font()
    size = 1000 * tall / (font.face.ascent - font.face.descent)
    # The foot of the font's box is the foot of the polygon.
    below = tall / 2 + size * font.face.descent / 1000
    x = (start[0] + end[0] - length * cos) / 2 - below * sin
    y = (start[1] + end[1] - length * sin) / 2 + below * cos
    written = "".join(_writable(character) for character in legal(word))
    text.setFont(font.fontName, size)
    text.setHorizScale(100 * length / (font.stringWidth(written, size) or length))
    text.setTextTransform(cos, -sin, sin, cos, x, height - y)
    text.textOut(f"{written} ")


def _writable(character: str) -> str:
    """The character as the font file can hold it: one beyond Unicode's first plane, as emoji are, becomes U+FFFD."""
    if ord(character) > 0xFFFF:
        return "\ufffd"
    # No glyph is ever seen: one that the font lacks borrows another, so that the character is found all the same.
    glyphs = _font().face.charToGlyph
    glyphs.setdefault(ord(character), glyphs[0xFFFD])
    return character


@cache
def _font() -> TTFont:
    font = TTFont(FONT.replace(" ", ""), str(font_path(FONT)), shapable=False)
    pdfmetrics.registerFont(font)
    return font
