"""What ALTO and PAGE XML tell of a page: its picture, lines and texts."""

from __future__ import annotations

import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import cv2
import numpy as np
from PIL import ExifTags, Image

from htr.alphabet import normalise
from htr.corpora.sample import BROKEN, Doubt, as_seen
from htr.errors import InputError
from htr.files import folders_in, same_file
from htr.pages.containers import Line, Page, Point, Region, around
from htr.pages.crop import Frame
from htr.pages.images import NEW_SUBFILE_TYPE, REDUCED_OR_MASK, SUFFIXES, by_worth, count_pages, open_image

log = logging.getLogger(__name__)

# Folders that XML lies in, beside those of the pictures or below them.
_OF_XML, _OF_PICTURES = (
    {"alto", "page", "xml"},
    {"images", "image", "img", "pictures", "jpg", "jpeg", "tif", "tiff", "png"},
)

# How far a line reaches from its baseline where the truth does not tell, in parts of the distance of lines.
_ABOVE, _BELOW = 0.6, 0.25

# A polygon shows the slope of its line if it is so many times as wide as it is high.
_LONG = 3

# Where ALTO names the programs that it passed through, the last one last.
_SOFTWARE = "{*}Description/{*}Processing/{*}processingSoftware/{*}softwareName"

# How Transkribus says how parts of a line are written. A word that is crossed out is `#`, as in IAM.
_STYLE, _VALUE, _PART = (
    re.compile(r"textStyle\s*\{([^}]*)\}"),
    re.compile(r"(\w+)\s*:\s*(\d+|true)\b"),
    re.compile(r"(?P<word>(?<!\S)[^\w\s]+(?!\S)|\w+(?:[^\w\s]+\w+)*)|[^\w\s]"),
)

# How Transkribus tells where a region or a line stands.
_PLACE = re.compile(r"readingOrder\s*\{\s*index\s*:\s*(\d+)")

# What htr calls print: the label of a tag in ALTO, and in PAGE XML the type that Transkribus and eScriptorium keep.
_PRINT, _PRINT_TYPE = "print", re.compile(r"structure\s*\{[^}]*\btype\s*:\s*print\b")

Points = tuple[Point, ...]

# Where a place of a picture as it is stored lies in it as it is shown, of that width and height, by EXIF's orientation.
Turn = Callable[[float, float, float, float], Point]
_TURNS: dict[int, Turn] = {
    5: lambda x, y, width, height: (y, x),
    6: lambda x, y, width, height: (width - y, x),
    7: lambda x, y, width, height: (width - y, height - x),
    8: lambda x, y, width, height: (y, height - x),
}


class Truth(NamedTuple):
    """What a file of XML tells.

    Attributes:
        image: the picture that it is of.
        page: its lines.
        doubts: transcribed lines that cannot be used.
        is_page: whether it is PAGE, not ALTO.
        by_htr: whether htr itself wrote it.
    """

    image: Path
    page: Page
    doubts: list[Doubt]
    is_page: bool
    by_htr: bool

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Of two files of a picture the one that has texts counts; of two that have, what htr did not write itself, since nobody may
        have corrected that; then PAGE, which tells more.
        """
        return any(line.text for line in self.page.lines), not self.by_htr, self.is_page


class Shape(NamedTuple):
    """A line as the truth tells it, in its own units.

    baseline: as points, as a single height, or not told.
    polygon: None if not told.
    """

    baseline: Points | float | None
    polygon: Points | None
    text: str

    def turned(self, turn: Turn, width: float, height: float) -> Shape:
        """The line on the page as it is shown, of that width and height."""
        baseline, polygon = (
            tuple(turn(x, y, width, height) for x, y in points) if isinstance(points, tuple) else None
            for points in (self.baseline, self.polygon)
        )
        return self._replace(baseline=baseline, polygon=polygon)

    def line(self, distance: float) -> Line:
        """The line with all that was not told; distance: of the lines."""
        polygon, baseline = self.polygon, self.baseline
        if polygon is None:
            (left, y0), (right, y1) = baseline[0], baseline[-1]
            length = math.hypot(right - left, y1 - y0) or 1
            up_x, up_y = (y1 - y0) / length * distance, (left - right) / length * distance
            polygon = (
                *((x + _ABOVE * up_x, y + _ABOVE * up_y) for x, y in baseline),
                *((x - _BELOW * up_x, y - _BELOW * up_y) for x, y in reversed(baseline)),
            )
        if not isinstance(baseline, tuple):
            baseline = _baseline_in(polygon, baseline)
        return Line(baseline, polygon, self.text)


def _tells_pages(file: Path) -> bool:
    """Whether a file begins like ALTO or PAGE XML."""
    with file.open("rb") as opened:
        head = opened.read(5000).replace(b"\0", b"")  # NUL: in UTF-16
    return bool(re.search(rb"<(\w+:)?(alto|PcGts)\b", head))


def read_xml(file: Path, source: Path) -> Truth | None:
    """Reads ALTO or PAGE XML that lies below a folder; None if it is XML of another kind."""
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: its encoding
        if file.stat().st_size and not _tells_pages(file):
            return None
        raise InputError(f"not well-formed XML ({error}); export it again") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}); check its permissions") from None
    kind = root.tag.rpartition("}")[2]
    if kind not in ("alto", "PcGts"):
        return None
    is_page = kind == "PcGts"
    pages = root.findall("{*}Page" if is_page else "{*}Layout/{*}Page")
    if len(pages) != 1:
        raise InputError(f"holds {len(pages)} pages; export one file for each picture")
    named = root.findtext("{*}Description/{*}sourceImageInformation/{*}fileName", "")
    image = _find_image(file, pages[0].get("imageFilename", named), source)
    if (count := count_pages(image)) > 1:
        # As they should be, each may have been saved as a picture of its own.
        of_name = _found([f"{_own_name(file)}{ending}" for ending in by_worth(SUFFIXES)], _folders_of(file, "", source))
        if of_name is None or count_pages(of_name) > 1:
            raise InputError(
                f"is of {image}, which has {count} pages; save each of them as a picture of its own, this one as "
                f"{_own_name(file)}.png"
            )
        image = of_name
    shown, orientation = seen(image)
    size = _size(pages[0], ("imageWidth", "imageHeight") if is_page else ("WIDTH", "HEIGHT"))
    if size is None:
        if root.findtext("{*}Description/{*}MeasurementUnit", "pixel") != "pixel":
            raise InputError("tells places in millimetres or inches, but not the size of the page; export it in pixels")
        size = shown
    regions = [element for element in _parts(pages[0]) if element.find("{*}TextLine") is not None]
    order = _places(pages[0], (pages[0] if is_page else root).find("{*}ReadingOrder"))
    regions.sort(key=order.__getitem__)
    tags = {tag.get("ID") for tag in root.iterfind("{*}Tags/*") if tag.get("LABEL") == _PRINT}
    regions = [region for region in regions if not _is_unread_print(region, is_page, tags)]
    doubts: list[Doubt] = []
    shapes = [
        [shape for line in _lines_of(region, order) if (shape := _shape(line, is_page, doubts))] for region in regions
    ]
    if not _alike(size, shown) and _alike(size, shown[::-1]) and (turn := _TURNS.get(orientation)):
        log.warning("%s: its places are those before the turn that EXIF tells of, and are turned too", image)
        size = size[::-1]
        shapes = [[shape.turned(turn, *size) for shape in region] for region in shapes]
    distance = _distance([shape for region in shapes for shape in region], size[1])
    page, outside = scaled_page([[shape.line(distance) for shape in region] for region in shapes], size, image, shown)
    writers = [root.findtext("{*}Metadata/{*}Creator", ""), *(name.text or "" for name in root.iterfind(_SOFTWARE))]
    # Transkribus leaves the creator's name as it is, and other editors do too, but tell when they wrote.
    written = {root.findtext(f"{{*}}Metadata/{{*}}{when}", "") for when in ("Created", "LastChange")}
    by_htr = (
        writers[-1].split()[:1] == ["htr"]
        and root.find("{*}Metadata/{*}TranskribusMetadata") is None
        and len(written) == 1
    )
    # Of a square, the size does not tell whether a turn was followed.
    doubtful = {2, 3, 4, *(_TURNS if _alike(shown, shown[::-1]) else ())}
    if not by_htr and orientation in doubtful:
        log.warning(
            "%s: is shown turned or mirrored, as its EXIF says, which some programs do not follow; if its lines do not fit, take "
            "that out of the file (exiftool -Orientation= FILE)",
            image,
        )
    return Truth(image, page, doubts + outside, is_page, by_htr)


def scaled_page(
    regions: list[list[Line]], size: tuple[float, float], image: Path, shown: tuple[int, int]
) -> tuple[Page, list[Doubt]]:
    """The page of some lines, and transcribed lines outside of it.

    Args:
        regions: the lines of each.
        size: width and height of the page to which their places belong.
        image: the picture's file.
        shown: width and height of the picture, in pixels.

    Raises:
        InputError: the page is of another shape than the picture.
    """
    width, height = shown
    if not _alike(size, shown):
        raise InputError(
            f"is of a picture of {size[0]:g} x {size[1]:g} pixels, but {image} has {width} x {height}, "
            "which is another shape; put the right picture there"
        )

    x_scale, y_scale = width / size[0], height / size[1]

    def scaled(points: Points) -> Points:
        return tuple((min(max(x * x_scale, 0), width), min(max(y * y_scale, 0), height)) for x, y in points)

    inside: list[Region] = []
    doubts: list[Doubt] = []
    for region in regions:
        lines = []
        for line in region:
            baseline, polygon = scaled(line.baseline), scaled(line.polygon)
            if cv2.contourArea(np.array(polygon, np.float32)) >= 1:
                # One that lies wholly beyond an edge has no length left.
                lines.append(
                    Line(_baseline_in(polygon, None) if len(set(baseline)) == 1 else baseline, polygon, line.text)
                )
            elif line.text:
                reason = f"a line ({line.text[:30]!r}) lies outside of {image}; put the right picture there"
                doubts.append(Doubt("", line.text, reason))
        inside.append(Region("text", tuple(lines)))
    return Page(width, height, tuple(inside), file=str(image)), doubts


def seen(image: Path) -> tuple[tuple[int, int], int]:
    """Width and height of a picture as it is shown, in pixels, and EXIF's number of how it lies in the file; 1 is upright.

    Only PNG, whose EXIF may come last, and pictures that are turned, or have a small copy before them, are decoded for that, once.

    Raises:
        InputError: one of the reasons of `open_image`.
    """
    try:
        about = image.stat()
    except OSError:  # told of when it is opened
        return _seen(image, 0, 0)
    return _seen(image, about.st_size, about.st_mtime_ns)


@cache
def _seen(image: Path, _size: int, _modified: int) -> tuple[tuple[int, int], int]:
    """`seen`, of a file of this size and time."""
    orientation = 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures by a bound of its own
            with Image.open(image) as picture:
                exif = picture.getexif()
                orientation = exif.get(ExifTags.Base.Orientation, 1)
                # Of some formats Pillow tells the size before turning, of others after it.
                if orientation <= 4 and not exif.get(NEW_SUBFILE_TYPE, 0) & REDUCED_OR_MASK:
                    return picture.size, orientation
    except Exception:
        pass  # no picture for Pillow: a PDF, or a file to be complained of
    height, width = open_image(image).shape
    return (width, height), orientation


def _alike(size: tuple[float, float], other: tuple[int, int]) -> bool:
    """Whether a width and a height are of the shape of a picture's; a pixel may be lost in rounding."""
    return abs(other[0] / size[0] * size[1] / other[1] - 1) <= max(0.01, 1 / min(other))


def rectangle(left: float, top: float, width: float, height: float) -> Points:
    """The corners of a box, clockwise."""
    return (left, top), (left + width, top), (left + width, top + height), (left, top + height)


def _baseline_in(polygon: Points, height: float | None) -> Points:
    """A straight baseline: at a given height, else along the polygon, a quarter of its height above its lower edge."""
    left, _, right, _ = around(polygon)
    if height is not None:
        return (left, height), (right, height)
    moments = cv2.moments(np.array(polygon, np.float32))
    area = abs(moments["m00"])
    # Of a short one, such as a figure, the slope is that of its letters.
    long = (right - left) ** 2 > _LONG * area and moments["mu20"] > 0
    slope = min(max(moments["mu11"] / moments["mu20"], -1), 1) if long else 0
    middle_x, middle_y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"] + area / (right - left) / 4
    return tuple((x, middle_y + slope * (x - middle_x)) for x in (left, right))


def _distance(shapes: list[Shape], page_height: float) -> float:
    """The distance of the lines of a page, from their baselines, if it is of use; with a single one a thirtieth of the page."""
    if all(shape.polygon for shape in shapes):
        return page_height / 30
    lines = [np.array(shape.baseline, np.float32) for shape in shapes if isinstance(shape.baseline, tuple)]
    distances = (
        [
            abs(cv2.pointPolygonTest(other, ((line[0] + line[-1]) / 2).tolist(), True))
            for other in lines
            if other is not line
        ]
        for line in lines[:: 1 + len(lines) // 200]  # which tell as much as all would of a long register
    )
    # What is nearer than a millimetre on A4 is the same line, drawn twice.
    apart = ([distance for distance in of_line if distance > page_height / 300] for of_line in distances)
    nearest = [min(of_line) for of_line in apart if of_line]
    return float(np.median(nearest)) if nearest else page_height / 30


def _find_image(file: Path, named: str, source: Path) -> Path:
    """The picture that XML names, or that has its name: beside it or above it, or in a folder of pictures below or
    beside its own."""
    path = named.replace("\\", "/")
    name = path.rpartition("/")[2]
    stripped = name.strip()  # spaces around it are mostly the XML's
    # It may have been saved anew since.
    stem = Path(stripped).stem if Path(stripped).suffix.lower() in SUFFIXES else stripped  # of `St. Mary` too
    stems = dict.fromkeys((stem, file.stem, _own_name(file)))
    others = [stem + ending for stem in filter(None, stems) for ending in by_worth(SUFFIXES)]
    image = _found([name, stripped, unquote(stripped), *others], _folders_of(file, path, source))
    if image is None:
        raise InputError(f"its picture {stripped or file.stem} is not there; put it beside the XML, or change the XML")
    return image


def _own_name(file: Path) -> str:
    """The name of a file of XML without its endings, of which htr gives it two."""
    return re.sub(r"\.(alto|page)$", "", file.stem, flags=re.IGNORECASE)


def _found(names: Iterable[str], folders: Sequence[Path]) -> Path | None:
    """The first file of these names that is there."""
    for name in filter(None, names):
        for folder in folders:
            if image := same_file(folder / name):
                return image
    return None


def _folders_of(file: Path, path: str, source: Path) -> list[Path]:
    """Where the picture of a file of XML may be that names it by this path."""
    name = path.rpartition("/")[2]
    folders = [file.parent]
    folders += [folder for folder in folders_in(file.parent) if folder.name.lower() in _OF_PICTURES]
    # Such as box/page/letter1/a.xml of box/letter1/a.jpg.
    folders += [
        folder.parent / file.parent.relative_to(folder)
        for folder in file.parents[1:]
        if folder.name.lower() in _OF_XML and folder.is_relative_to(source)
    ]
    if file.parent.name.lower() in _OF_XML or file.parent.name.upper().startswith("OCR-D"):
        folders.append(file.parent.parent)
        folders += [
            folder
            for folder in folders_in(file.parent.parent)
            if folder.name.lower() in _OF_PICTURES or folder.name.upper().startswith("OCR-D-IMG")
        ]
    if name != path and not Path(path).is_absolute():
        # Named from the folder of the XML, or of the whole export.
        folders.insert(0, Path(os.path.normpath(file.parent / path)).parent)
        above = [folder for folder in file.parents if folder.is_relative_to(source)]
        folders += [(folder / path).parent for folder in above if ".." not in Path(path).parts]
    return folders


def _size(page: Element, names: tuple[str, str]) -> tuple[float, float] | None:
    width, height = (float(page.get(name, 0)) for name in names)
    if (width > 0) != (height > 0) or not math.isfinite(width + height):
        raise InputError(f"tells {names[0]} {width:g} and {names[1]} {height:g}, no size of a page; correct it")
    return (width, height) if width > 0 else None


def _is_unread_print(region: Element, is_page: bool, tags: set[str | None]) -> bool:
    """Whether a region is print of which no text is told, as htr finds it and does not read it; `tags` are those of print in ALTO."""
    if is_page:
        printed = region.get("production") == "printed" or bool(_PRINT_TYPE.search(region.get("custom", "")))
    else:
        printed = not tags.isdisjoint(region.get("TAGREFS", "").split())
    told = _page_text if is_page else _alto_text
    return printed and not any(told(line).strip() for line in region.findall("{*}TextLine"))


def _parts(part: Element) -> Iterator[Element]:
    """A part of a page and all that it consists of, tables row by row."""
    yield part
    for child in sorted(part, key=lambda child: (_number(child, "row"), _number(child, "col"))):
        yield from _parts(child)


def _lines_of(region: Element, order: dict[Element, int]) -> list[Element]:
    """The lines of a region, in Transkribus' order if that is told of all, else in that of `_places`."""
    lines = sorted(region.findall("{*}TextLine"), key=order.__getitem__)
    places = [_own_place(line) for line in lines]
    return lines if None in places else [line for _, line in sorted(zip(places, lines), key=lambda each: each[0])]


def _own_place(part: Element) -> int | None:
    """Where a part stands among those beside it as Transkribus tells, who does not name them all in the `ReadingOrder`."""
    found = _PLACE.search(part.get("custom", ""))
    return int(found[1]) if found else None


def _places(page: Element, order: Element | None) -> dict[Element, int]:
    """Where in the reading order the parts of a page are; what it does not name, such as a table's cells, is where that is in which it
    lies, or at the end. If it does not name all, but each part of the page tells its own place, these count."""
    named = {name: place for place, name in enumerate(filter(None, _order(order)))}
    own = {part: _own_place(part) for part in page if part.find(".//{*}TextLine") is not None}
    if None in own.values() or all(part.get("id") in named for part in own):
        own = {}
    places = {page: len(named)}
    for part in page.iter():
        for child in part:
            places[child] = own.get(child, named.get(child.get("id") or child.get("ID"), places[part]))
    return places


def _order(group: Element | None) -> Iterator[str | None]:
    """The ids of regions as the reading order of PAGE or ALTO tells it, groups within groups included."""
    for child in sorted(group if group is not None else (), key=lambda child: _number(child, "index")):
        yield child.get("regionRef") or child.get("REF")
        yield from _order(child)


def _number(part: Element, name: str) -> int:
    """An attribute that numbers a part among those beside it; 0 where it is none."""
    number = part.get(name, "")
    return int(number) if number.isdecimal() else 0


def _shape(line: Element, is_page: bool, doubts: list[Doubt]) -> Shape | None:
    """A line of PAGE or ALTO; None, and a doubt if it is transcribed, where it cannot be used."""
    text = normalise(as_seen(_page_text(line) if is_page else _alto_text(line)))
    try:
        baseline, polygon = _page_place(line) if is_page else _alto_place(line)
        if polygon is not None and (len(polygon) < 3 or abs(cv2.moments(np.array(polygon, np.float32))["m00"]) < 1):
            polygon = None
        if isinstance(baseline, tuple) and baseline[0] == baseline[-1]:
            baseline = None
        if isinstance(baseline, tuple) and polygon is not None:
            baseline = _in_reading_direction(baseline, polygon)
        if polygon is None and not isinstance(baseline, tuple):
            name = line.get("id" if is_page else "ID")
            raise InputError(f"line {name} has neither a place nor a baseline; draw one, or take the line out")
    except InputError as error:
        reason = str(error)
    except ValueError as error:
        reason = f"holds a malformed number ({error}); export it again"
    else:
        return Shape(baseline, polygon, text)
    if text:
        doubts.append(Doubt("", text, reason))
    return None


def _in_reading_direction(baseline: Points, polygon: Points) -> Points:
    """The baseline turned round where it was drawn from right to left: most of the line then lies below it. Of a line that stands
    upside down, whose baseline runs leftwards too, it does not."""
    across, down = np.subtract(baseline[-1], baseline[0])
    if across > -abs(down):
        return baseline
    place = cv2.moments(Frame.of(baseline).measure(polygon).astype(np.float32))
    return baseline[::-1] if place["m01"] * place["m00"] > 0 else baseline


def _page_place(line: Element) -> tuple[Points | None, Points | None]:
    """Baseline and polygon of a line of PAGE."""
    places = []
    for element in (line.find("{*}Baseline"), line.find("{*}Coords")):
        text = None
        if element is not None:
            # Until 2010 each point was an element.
            points = element.findall("{*}Point")
            text = " ".join(f"{point.get('x')},{point.get('y')}" for point in points) or element.get("points")
        places.append(_points(text))
    return places[0], places[1]


def _page_text(line: Element) -> str:
    text = _unicode(line) or " ".join(filter(None, map(_page_word, line.findall("{*}Word"))))
    struck = [False] * len(text)
    for style in _STYLE.findall(line.get("custom", "")):
        values = dict(_VALUE.findall(style))
        if values.get("strikethrough") == "true" and {"offset", "length"} <= values.keys():
            start = _characters(text, int(values["offset"]))
            end = _characters(text, int(values["offset"]) + int(values["length"]))
            struck[start:end] = [True] * len(struck[start:end])

    def seen(part: re.Match[str]) -> str:
        if not all(struck[part.start() : part.end()]):
            return part[0]
        # Marks that are crossed out together with a word are no part of what is seen.
        return "#" if part["word"] else ""

    return _PART.sub(seen, text)


def _characters(text: str, units: int) -> int:
    """How many characters so many of Transkribus' are, which counts as Java does: those beyond the first 65,536 twice."""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))


def _page_word(word: Element) -> str:
    return _unicode(word) or "".join(map(_unicode, word.findall("{*}Glyph")))


def _unicode(element: Element) -> str:
    """The text of a line, word or character of PAGE; of several the first that is not blank, by their index."""
    texts = sorted(element.findall("{*}TextEquiv"), key=lambda text: _number(text, "index"))
    written = (text.findtext("{*}Unicode", "") for text in texts)
    return next(filter(str.strip, written), "")


def _alto_place(line: Element) -> tuple[Points | float | None, Points | None]:
    """Baseline, or its height alone, and polygon of a line of ALTO."""
    outline = line.find("{*}Shape/{*}Polygon")
    polygon = _points(outline.get("POINTS") if outline is not None else None)
    baseline = _points(line.get("BASELINE"), or_height=True)
    box = [line.get(name, "").strip() for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    if polygon is None and all(box):
        left, top, width, height = map(float, box)
        if not all(map(math.isfinite, (left, top, width, height))):
            raise InputError(f"{' '.join(box)[:60]!r} are no place; export it again")
        # Without an outline, eScriptorium's box is that of the baseline.
        ys = [y for _, y in baseline] if isinstance(baseline, tuple) else []
        if not ys or top < min(ys) - 1 or top + height > max(ys) + 1:
            polygon = rectangle(left, top, width, height)
    return baseline, polygon


def _alto_text(line: Element) -> str:
    parts = [(kind, part) for part in line if (kind := part.tag.rpartition("}")[2]) in ("String", "SP")]
    # Where spaces are told, there are no others.
    gap = "" if any(kind == "SP" for kind, _ in parts) else " "
    text = gap.join(" " if kind == "SP" else part.get("CONTENT", "") for kind, part in parts)
    hyphen = line.find("{*}HYP")
    if hyphen is not None:
        # Mostly told as a soft one, though it is seen.
        mark = hyphen.get("CONTENT", "").replace("\u00ad", "") or "-"
        if not text.endswith((mark, "-", *BROKEN)):
            text += mark
    return text


def _points(text: str | None, or_height: bool = False) -> Points | float | None:
    """Points written as `x,y x,y` or `x y x y`; with `or_height`, a single number is a height."""
    numbers = [float(number) for number in re.split(r"[\s,]+", text or "") if number]
    if not numbers:
        return None
    if not all(map(math.isfinite, numbers)):
        raise InputError(f"{text[:60]!r} are no points; export it again")
    if or_height and len(numbers) == 1:
        return numbers[0]
    if len(numbers) % 2:
        raise InputError(f"{text[:60]!r} is half a point short; export it again")
    return tuple(zip(numbers[::2], numbers[1::2]))
