"""A picture of what was found and read, so that a person sees at a glance what went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from statistics import median

from PIL import Image, ImageDraw, ImageFont

from htr.fonts import font_path
from htr.messages import counted
from htr.pages.containers import Line, Page, Point, Word, turned
from htr.writers.markup import file_name, lean_of, legal, outline, spine, words_of

Colour = tuple[int, int, int]

SIDE = 2400
"""Longest side of the page in the drawing, in pixels."""

KINDS: dict[str, Colour] = {"text": (20, 100, 200), "margin": (150, 50, 180), "print": (70, 130, 50)}
"""Colour of each kind of region."""

BASELINE: Colour = (0, 150, 150)

INK: Colour = (20, 20, 20)

DOUBTS: tuple[tuple[float, Colour], ...] = ((0.5, (205, 0, 0)), (0.8, (225, 120, 0)), (1.1, INK))
"""Colour of words whose confidence is below the number."""

GUTTER = 60
"""Width of the strip on the left of each page for numbers, in pixels."""

ROW = 36
"""Height of a row of the legend below the pages, in pixels."""

SMALLEST, LARGEST = 13, 34
"""Size of the letters, in pixels."""

SKEW = 5
"""Lines that lean by fewer degrees than this have level letters, which are sharper."""


def draw_overlay(page: Page, picture: Image.Image) -> Image.Image:
    """Draws the page with its lines, and beside it what was read, each word in its place. Both stand upright.

    Left: regions and lines in the colour of their kind, base lines in turquoise, lines of writing numbered in reading order,
    as in the table of `csv`. Right: the text; doubtful words in orange, very doubtful ones in red.

    Args:
        page: what was read; lines that were not read are drawn too.
        picture: the page as it is shown, mode L or RGB, of `page.width` x `page.height` pixels.

    Returns:
        A picture in RGB: the two sides, each page on them scaled to `SIDE` pixels on its longer side, and below them what the
        colours mean.
    """
    scale = SIDE / max(picture.size)
    size = tuple(max(round(side * scale), 1) for side in picture.size)
    upright = picture.resize(size, Image.Resampling.LANCZOS).convert("RGB").rotate(-page.turn, expand=True)
    width, height = upright.size
    left = Image.new("RGB", (GUTTER + width, height), "white")
    right = left.copy()
    left.paste(upright, (GUTTER, 0))
    pen, text_pen = ImageDraw.Draw(left, "RGBA"), ImageDraw.Draw(right)
    shape = (page.height, page.width) if page.turn in (0, 180) else (page.width, page.height)  # of the upright page

    def placed(points: Iterable[Point]) -> list[Point]:
        return [(GUTTER + x * scale, y * scale) for x, y in turned(points, page.turn, shape)]

    number = 0
    for region in page.regions:
        colour = KINDS[region.kind]
        edge = placed(outline(region))
        pen.polygon(edge, outline=colour, width=3)
        text_pen.polygon(edge, outline=colour)
        for index, line in enumerate(region.lines):
            number += region.kind != "print"
            # Neighbours differ in strength, so that lines cut in two and lines run together are seen.
            pen.polygon(placed(line.polygon), fill=(*colour, 40 if index % 2 else 75), outline=colour)
            base = placed(line.baseline)
            quarters = (line.turn - page.turn) // 90 % 4
            pen.line(base, fill=BASELINE, width=2)
            if region.kind != "print":
                for hand in (pen, text_pen):
                    _label(hand, base[0], str(number), colour, quarters)
            _write(right, line, [(word, placed(word.polygon)) for word in words_of(line)])
    rows = _legend(page, 2 * left.width)
    sheet = Image.new("RGB", (2 * left.width, height + ROW * len(rows)), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width, 0))
    legend_pen = ImageDraw.Draw(sheet)
    for row, parts in enumerate(rows):
        for x, text, colour in parts:
            legend_pen.text((x, height + ROW * row + ROW // 2), text, fill=colour, font=_font(24), anchor="lm")
    return sheet


def _label(pen: ImageDraw.ImageDraw, start: Point, number: str, colour: Colour, quarters: int) -> None:
    """Sets the number of a line, which is turned by quarters counter-clockwise, before its start."""
    (across, down), anchor = (((-8, 0), "rb"), ((0, 8), "rt"), ((8, 0), "lt"), ((0, -8), "lb"))[quarters]
    place, font = (start[0] + across, start[1] + down), _font(20)
    left, top, right, bottom = pen.textbbox(place, number, font=font, anchor=anchor)
    pen.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=colour)
    pen.text(place, number, fill="white", font=font, anchor=anchor)


def _write(sheet: Image.Image, line: Line, words: list[tuple[Word, list[Point]]]) -> None:
    """Writes the words of a line where they stand and in its direction, in letters that fit its height and length."""
    spines = [spine(polygon) for _, polygon in words]
    if not spines:
        return
    start, end = spines[0][0], spines[-1][1]
    length = math.dist(start, end)
    angle = lean_of(start, end, SKEW)
    across, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    fitting = LARGEST * length / max(1, _font(LARGEST).getlength(legal(line.text)))
    font = _font(round(max(SMALLEST, min(LARGEST, fitting, 0.65 * median(tall for _, _, tall in spines)))))
    free = -math.inf
    for (word, _), ((x, y), *_) in zip(words, spines):
        text = legal(word.text)
        length = font.getlength(text)
        begin = x * across + y * down
        ahead = max(free - begin, 0)
        tile = Image.new("L", (max(1, math.ceil(length)), round(2 * font.size)))
        ImageDraw.Draw(tile).text((0, tile.height / 2), text, fill=255, font=font, anchor="lm")
        tile = tile.rotate(-angle, Image.Resampling.BICUBIC, expand=True)
        middle = x + (ahead + length / 2) * across, y + (ahead + length / 2) * down
        sheet.paste(_doubt(word), (round(middle[0] - tile.width / 2), round(middle[1] - tile.height / 2)), tile)
        free = begin + ahead + length + font.getlength(" ")


def _doubt(word: Word) -> Colour:
    return next(colour for bound, colour in DOUBTS if word.confidence < bound)


def _legend(page: Page, width: int) -> list[list[tuple[float, str, Colour]]]:
    """Which page this is, what the colours mean, and the notes of the page, in rows of this width; each with its left edge."""
    count = sum(len(region.lines) for region in page.regions)
    parts = [
        (f"{' '.join(file_name(page).split())}, page {page.number}: {counted(count, 'line')}", INK),
        *KINDS.items(),
        ("base line", BASELINE),
    ]
    parts += [(f"confidence below {bound}", colour) for bound, colour in DOUBTS[:-1]]
    parts += [(legal(note), INK) for note in page.notes]
    rows: list[list[tuple[float, str, Colour]]] = [[]]
    x, font = float(GUTTER), _font(24)
    for text, colour in parts:
        length = font.getlength(text)
        if rows[-1] and x + length > width:
            rows.append([])
            x = float(GUTTER)
        rows[-1].append((x, text, colour))
        x += length + 36
    return rows


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path("Noto Sans"), size)
