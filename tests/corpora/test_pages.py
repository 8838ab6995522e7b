"""Truth of pages: known answers from ALTO and PAGE as several programs write them."""

import pickle
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from standin import make_iam

from htr.corpora import load_corpus
from htr.corpora.pages import load_pages, pages_with_xml
from htr.errors import InputError
from htr.lineimage import prepare
from htr.pages.containers import around
from htr.pages.crop import crop_line
from htr.pages.images import open_image

ESCRIPTORIUM = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">
  <Description><MeasurementUnit>pixel</MeasurementUnit>
    <sourceImageInformation><fileName>scan.png</fileName></sourceImageInformation></Description>
  <Layout><Page WIDTH="400" HEIGHT="300" PHYSICAL_IMG_NR="0" ID="eSc_dummypage_">
    <PrintSpace HPOS="0" VPOS="0" WIDTH="400" HEIGHT="300">
      <TextBlock ID="b1"><TextLine ID="l1" BASELINE="20 50 200 54 380 50" HPOS="18" VPOS="20" WIDTH="364" HEIGHT="45">
        <Shape><Polygon POINTS="18 20 382 20 382 60 200 65 18 60"/></Shape>
        <String CONTENT="L’été  à Paris" HPOS="18"></String></TextLine>
        <TextLine ID="l2" BASELINE="20 110 380 114" HPOS="20" VPOS="110" WIDTH="360" HEIGHT="4">
        <String CONTENT=""></String></TextLine></TextBlock>
    </PrintSpace></Page></Layout>
</alto>"""

ALTO_2 = """<alto xmlns="http://www.loc.gov/standards/alto/ns-v2#"><Layout><Page WIDTH="400" HEIGHT="300"><PrintSpace>
  <ComposedBlock><TextBlock><TextLine BASELINE="50.5" HPOS="10" VPOS="20" WIDTH="300" HEIGHT="40">
    <String CONTENT="two"/><SP/><String CONTENT="wor"/><HYP CONTENT="-"/></TextLine>
    <TextLine HPOS="10" VPOS="100" WIDTH="300" HEIGHT="40"><String CONTENT="more"/></TextLine>
  </TextBlock></ComposedBlock></PrintSpace></Page></Layout></alto>"""

# Of its second line.
BOX = 'HPOS="10" VPOS="100" WIDTH="300" HEIGHT="40"'

NAMED = "<Description><sourceImageInformation><fileName>{}</fileName></sourceImageInformation></Description>"

PAGE = """<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2013-07-15">
  <Page imageFilename="C:\\scans\\scan.png" imageWidth="800" imageHeight="600">
    <ReadingOrder><OrderedGroup id="o"><RegionRefIndexed index="1" regionRef="r1"/>
      <RegionRefIndexed index="0" regionRef="r2"/></OrderedGroup></ReadingOrder>
    <TextRegion id="r1"><Coords points="0,0 1,1 2,2"/>
      <TextLine id="l1"><Coords points="20,300 420,320 420,360 20,340"/>
        <TextEquiv index="1"><Unicode>wrong</Unicode></TextEquiv><TextEquiv index="0"><Unicode>last</Unicode></TextEquiv>
      </TextLine></TextRegion>
    <TextRegion id="r2"><Coords points="0,0 1,1 2,2"/>
      <TextLine id="l2"><Coords points="20,20 420,20 420,60 20,60"/><Baseline points="20,50 420,50"/>
        <Word><TextEquiv><Unicode>first</Unicode></TextEquiv></Word><Word><TextEquiv><Unicode>words</Unicode></TextEquiv></Word>
      </TextLine>
      <TextLine id="l3"><Baseline points="20,150 420,150"/></TextLine></TextRegion>
  </Page></PcGts>"""


@pytest.fixture
def folder(tmp_path):
    """A folder with the picture scan.png of 400 x 300 pixels."""
    cv2.imwrite(str(tmp_path / "scan.png"), np.full((300, 400), 255, np.uint8))
    return tmp_path


def test_alto_of_escriptorium(folder):
    (folder / "scan.xml").write_text(ESCRIPTORIUM, encoding="utf-8")
    (truth,) = load_pages(str(folder))
    assert (truth.id, truth.split, truth.writer, truth.image) == ("scan", "test", None, folder / "scan.png")
    first, second = truth.page.lines
    assert first.text == "L'été à Paris"
    assert first.baseline == ((20, 50), (200, 54), (380, 50))
    assert first.polygon == ((18, 20), (382, 20), (382, 60), (200, 65), (18, 60))
    # The second has neither text nor outline: its polygon is as high as the lines' distance suggests.
    assert second.text == ""
    left, top, right, bottom = second.box
    assert (left, right) == pytest.approx((20, 380), abs=2)
    assert 60 < top < 90 and 120 < bottom < 140


def test_alto_2_without_outlines(folder):
    (folder / "scan.xml").write_text(ALTO_2)
    first, second = load_pages(str(folder))[0].page.lines
    assert (first.text, second.text) == ("two wor-", "more")
    assert first.baseline == ((10, 50.5), (310, 50.5))
    assert first.box == (10, 20, 310, 60)
    assert np.array(second.baseline) == pytest.approx(np.array([(10, 130), (310, 130)]))


@pytest.mark.parametrize("version", ["2013-07-15", "2017-07-15", "2019-07-15"])
def test_page_xml_of_a_larger_picture(folder, version):
    (folder / "page").mkdir()
    (folder / "page" / "scan.xml").write_text(PAGE.replace("2013-07-15", version))
    (truth,) = load_pages(str(folder))
    assert (truth.page.width, truth.page.height) == (400, 300)
    assert [line.text for line in truth.page.lines] == ["first words", "", "last"]
    first, second, last = truth.page.lines
    assert first.baseline == ((10, 25), (210, 25))
    assert first.polygon == ((10, 10), (210, 10), (210, 30), (10, 30))
    assert second.box[1] < 75 < second.box[3]
    # A sheared box of 20 pixels, from (10, 150) to (210, 160): the baseline runs along, a quarter above its lower edge.
    assert np.array(last.baseline) == pytest.approx(np.array([(10, 165), (210, 175)]), abs=0.5)


@pytest.mark.parametrize("size", ['imageWidth="inf" imageHeight="600"', 'imageWidth="800"', 'imageHeight="nan"'])
def test_a_page_whose_size_is_none_is_named(folder, size):
    (folder / "scan.xml").write_text(PAGE.replace('imageWidth="800" imageHeight="600"', size))
    with pytest.raises(InputError, match=r"scan.xml: .*tells imageWidth .* no size of a page; correct it"):
        load_pages(str(folder))


def test_page_xml_is_taken_where_both_are(folder):
    for name, text in [("page", PAGE), ("alto", ALTO_2)]:
        (folder / name).mkdir()
        (folder / name / "scan.xml").write_text(text)
    (folder / "mets.xml").write_text("<mets/>")
    (truth,) = load_pages(str(folder))
    assert truth.page.lines[0].text == "first words"


def test_folders_name_the_split(folder):
    for split in ("train", "val"):
        shutil.copytree(folder, folder.parent / "all" / split / "book")
        (folder.parent / "all" / split / "book" / "scan.xml").write_text(ALTO_2)
    assert [(truth.id, truth.split) for truth in load_pages(str(folder.parent / "all"))] == [
        ("train/book/scan", "train"),
        ("val/book/scan", "val"),
    ]


def test_lines_are_cut_as_reading_cuts_them(folder):
    picture = np.full((300, 400), 230, np.uint8)
    cv2.putText(picture, "Paris", (30, 48), cv2.FONT_HERSHEY_SIMPLEX, 1, 20, 3)
    cv2.imwrite(str(folder / "scan.png"), picture)
    (folder / "scan.xml").write_text(ESCRIPTORIUM, encoding="utf-8")
    (sample,) = load_corpus(f"pages:{folder}")
    assert (sample.id, sample.form, sample.text, sample.split) == ("scan-00", "scan", "L'été à Paris", "test")
    line = load_pages(str(folder))[0].page.lines[0]
    expected = crop_line(open_image(folder / "scan.png"), line)
    assert expected.min() < 60
    assert np.array_equal(pickle.loads(pickle.dumps(sample)).image(), expected)
    assert np.array_equal(sample.prepared(64).picture, prepare(expected, 64, cut_out=True).picture)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (ALTO_2[:200], "not well-formed XML"),
        (ALTO_2.replace('HEIGHT="300"', 'HEIGHT="800"'), "is of a picture of 400 x 800 pixels, but .* has 400 x 300"),
        (ALTO_2.replace('WIDTH="400"', 'WIDTH="440"'), "is of a picture of 440 x 300 pixels, but .* has 400 x 300"),
        (ALTO_2.replace('WIDTH="400"', 'WIDTH="412"'), "is of a picture of 412 x 300 pixels, but .* has 400 x 300"),
        (
            ESCRIPTORIUM.replace(">pixel<", ">mm10<").replace('<Page WIDTH="400" HEIGHT="300"', "<Page"),
            "tells places in millimetres or inches, but not the size of the page; export it in pixels",
        ),
        (ALTO_2.replace('WIDTH="400"', 'WIDTH="broad"'), "malformed number"),
        (ALTO_2.replace('BASELINE="50.5"', 'BASELINE="1 2 3"'), "half a point short"),
        (ALTO_2.replace('BASELINE="50.5"', 'BASELINE="nan"'), "are no points"),
        (ALTO_2.replace('VPOS="100"', ""), "line None has neither a place nor a baseline"),
        *(
            (ALTO_2.replace(BOX, box), "line None has neither a place nor a baseline; draw one")
            for box in (re.sub('"[^"]*"', '""', BOX), BOX.replace("10", ""), BOX.replace("300", " "))
        ),
        (ALTO_2.replace('VPOS="100"', 'VPOS="inf"'), "'10 inf 300 40' are no place; export it again"),
        (ALTO_2.replace('VPOS="100"', 'VPOS="100 5"'), "malformed number"),
        (ALTO_2.replace('VPOS="100"', 'VPOS="1000"'), "lies outside of"),
        (ALTO_2.replace('<Page WIDTH="400" HEIGHT="300">', "<Page/><Page>"), "holds 2 pages"),
        (PAGE.replace("800", "0"), "tells imageWidth 0 and imageHeight 600, no size of a page"),
    ],
)
def test_broken_xml_is_named(folder, text, complaint):
    (folder / "scan.xml").write_text(text)
    with pytest.raises(InputError, match=f"^{folder}/scan.xml: .*{complaint}") as error:
        load_pages(str(folder))
    assert "\n" not in str(error.value)


def test_missing_things_are_named(folder):
    with pytest.raises(InputError, match="has no ALTO or PAGE XML"):
        load_pages(str(folder))
    with pytest.raises(InputError, match="no such folder"):
        load_pages(str(folder / "nowhere"))
    (folder / "other.xml").write_text(ALTO_2)
    with pytest.raises(InputError, match=r"other.xml: its picture other is not there"):
        load_pages(str(folder))
    (folder / "other.xml").write_text(ESCRIPTORIUM, encoding="utf-8")
    (folder / "scan.xml").write_text(ESCRIPTORIUM, encoding="utf-8")
    with pytest.raises(InputError, match=r"scan.xml: .*other.xml is of the same picture"):
        load_pages(str(folder))


def test_forms_of_iam_at_any_size(tmp_path):
    make_iam(tmp_path, {"train": 1, "test": 1}, lines=2)
    table = (tmp_path / "ascii" / "lines.txt").read_text().splitlines()
    form = table[-1].split("-0")[0]
    (tmp_path / "forms").mkdir()
    cv2.imwrite(str(tmp_path / "forms" / f"{form}.png"), np.full((1771, 1240), 255, np.uint8))
    (truth,) = load_pages(f"iam:{tmp_path}")
    assert (truth.id, truth.split, truth.writer) == (form, "test", f"test-{form}")
    lines = load_corpus(f"iam:{tmp_path}")
    assert [line.text for line in truth.page.lines] == [line.text for line in lines if line.form == form]
    # make_iam puts each box at 10, 20, with a size of 30 x 40, on the form of 2479 x 3542 pixels.
    assert np.array(truth.page.lines[0].polygon) == pytest.approx(
        np.array([(5, 10), (20, 10), (20, 30), (5, 30)]), abs=0.01
    )
    whole = "\n".join(table)
    for width in ("0", "²"):
        (tmp_path / "ascii" / "lines.txt").write_text(whole.replace("10 20 30 40", f"10 20 {width} 40"))
        with pytest.raises(InputError, match=r"lines.txt: line \d+ is malformed"):
            load_pages(f"iam:{tmp_path}")
    (tmp_path / "ascii" / "lines.txt").write_text(whole)
    cv2.imwrite(str(tmp_path / "forms" / f"{form}.png"), np.full((900, 1240), 255, np.uint8))
    with pytest.raises(InputError, match=r"lines.txt: is of a picture of 2479 x 3542 pixels, but .* has 1240 x 900"):
        load_pages(f"iam:{tmp_path}")


def test_boxes_lie_on_the_ink_of_the_forms(shared_iam):
    truths = load_pages(f"iam:{shared_iam}")[:4]
    for truth in truths:
        ink = open_image(truth.image) < 128
        inside = np.zeros(ink.shape, np.uint8)
        for line in truth.page.lines:
            cv2.fillPoly(inside, [np.array(line.polygon, np.int32)], 1)
        top, bottom = truth.page.lines[0].box[1], truth.page.lines[-1].box[3]
        assert ink[top:bottom][inside[top:bottom] > 0].sum() > 0.9 * ink[top:bottom].sum()


def test_pictures_may_lie_in_a_folder_beside_the_xml(tmp_path):
    for images, named in (("images", "scan.png"), ("OCR-D-IMG", "OCR-D-IMG/scan.png")):
        folder = tmp_path / images
        for name in (images, "page"):
            (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / images / "scan.png"), np.full((300, 400), 255, np.uint8))
        (folder / "page" / "0001.xml").write_text(PAGE.replace("C:\\scans\\scan.png", named))
        assert [truth.image for truth in load_pages(str(folder))] == [folder / images / "scan.png"]


@pytest.mark.parametrize("places", [("page/letter/a.xml", "letter/a.png"), ("letter/a.xml", "letter/Images/a.png")])
def test_xml_of_folders_within_folders_finds_its_pictures(tmp_path, places):
    xml, picture = (tmp_path / place for place in places)
    for file in (xml, picture):
        file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(picture), np.full((300, 400), 255, np.uint8))
    xml.write_text(PAGE.replace("C:\\scans\\scan.png", "a.png"))
    assert [truth.image for truth in load_pages(str(tmp_path))] == [picture]


def test_page_xml_of_2010_and_empty_indexes(folder):
    text = PAGE.replace('points="20,300 420,320 420,360 20,340"/>', '><Point x="20" y="300"/><Point x="420" y="320"/>'
        '<Point x="420" y="360"/><Point x="20" y="340"/></Coords>').replace('index="0"', 'index=""')  # fmt: skip
    (folder / "scan.xml").write_text(text)
    last = load_pages(str(folder))[0].page.lines[-1]
    assert last.text == "last" and last.polygon == ((10, 150), (210, 160), (210, 180), (10, 170))


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_places_are_those_on_a_turned_picture_as_it_is_shown(tmp_path, ending):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("L", (300, 400), 255).save(tmp_path / f"scan.{ending}", exif=exif)
    xml = ALTO_2.replace("<Layout>", f"{NAMED.format(f'scan.{ending}')}<Layout>")
    (tmp_path / "scan.xml").write_text(xml)
    (truth,) = load_pages(str(tmp_path))
    assert (truth.page.width, truth.page.height) == open_image(truth.image).shape[::-1] == (400, 300)


@pytest.mark.parametrize(
    ("orientation", "ending"), [(5, "jpg"), (6, "jpg"), (7, "jpg"), (8, "jpg"), (6, "tif"), (8, "webp"), (6, "png")]
)
def test_places_of_a_program_that_does_not_follow_exif_are_turned_with_the_picture(tmp_path, orientation, ending):
    """A line of ink on the stored picture is where the line lies on the shown one."""
    # Across the stored page, and so along the shown one.
    stored = np.full((300, 400), 255, np.uint8)
    stored[50:250, 40:60] = 0
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(stored).save(tmp_path / f"scan.{ending}", exif=exif)
    line = '<TextLine ID="a" HPOS="40" VPOS="50" WIDTH="20" HEIGHT="200"><String CONTENT="one"/></TextLine>'
    (tmp_path / "scan.xml").write_text(
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Layout><Page WIDTH="400" HEIGHT="300"><PrintSpace>'
        f"<TextBlock>{line}</TextBlock></PrintSpace></Page></Layout></alto>"
    )
    (truth,) = load_pages(str(tmp_path))
    shown = open_image(truth.image)
    assert (truth.page.height, truth.page.width) == shown.shape == (400, 300)
    left, top, right, bottom = map(round, around(truth.page.lines[0].polygon))
    assert (right - left, bottom - top) == (200, 20)
    assert shown[top:bottom, left:right].mean() < 20 and shown.mean() > 200
    # Nobody told of a baseline: it lies along the line.
    (x0, y0), (x1, y1) = truth.page.lines[0].baseline
    assert abs(x1 - x0) > 150 and abs(y1 - y0) < 2
    height, width = crop_line(shown, truth.page.lines[0]).shape
    assert width > 4 * height


def test_xml_of_a_page_of_several_is_of_the_picture_that_it_was_saved_as(tmp_path):
    pages = [Image.new("L", (400, 300), 255) for _ in range(2)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    (tmp_path / "scan-0002.page.xml").write_text(PAGE.replace("C:\\scans\\scan.png", "scan.tif"))
    with pytest.raises(InputError, match=r"has 2 pages; save each of them .*, this one as scan-0002\.png"):
        load_pages(str(tmp_path))
    pages[1].save(tmp_path / "scan-0002.png")
    assert [truth.image.name for truth in load_pages(str(tmp_path))] == ["scan-0002.png"]
    (tmp_path / "scan.tif").unlink()
    assert [truth.image.name for truth in load_pages(str(tmp_path))] == ["scan-0002.png"]


def test_a_picture_that_a_camera_turned_upside_down_is_told_of(folder, caplog):
    picture = folder / "scan.jpg"
    Image.open(folder / "scan.png").save(picture)
    (folder / "scan.xml").write_text(ESCRIPTORIUM.replace("scan.png", "scan.jpg"), encoding="utf-8")
    pages_with_xml(folder)
    assert "mirrored" not in caplog.text
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.open(picture).save(picture, exif=exif)
    pages_with_xml(folder)
    assert f"{picture}: is shown turned or mirrored" in caplog.text


@pytest.mark.parametrize(
    ("xml", "named", "picture"),
    [
        ("gt/a.xml", "../scans/a.png", "scans/a.png"),
        ("corrected/a.xml", "../a.png", "a.png"),
        ("a.page.xml", "a.tif", "a.jpg"),  # saved anew since
        ("a.xml", "my%20page.png", "my page.png"),
        ("1.xml", "letter no. 5", "letter no. 5.jpg"),
    ],
)
def test_pictures_are_found_from_the_xml_and_under_another_ending(tmp_path, xml, named, picture):
    for name in (xml, picture):
        (tmp_path / name).parent.mkdir(exist_ok=True)
    cv2.imwrite(str(tmp_path / picture), np.full((300, 400), 255, np.uint8))
    (tmp_path / xml).write_text(PAGE.replace("C:\\scans\\scan.png", named))
    assert [truth.image for truth in load_pages(str(tmp_path))] == [tmp_path / picture]


def test_of_a_scan_and_its_copies_the_scan_is_taken(folder):
    (folder / "scan.xml").write_text(PAGE.replace("C:\\scans\\scan.png", "scan"))
    cv2.imwrite(str(folder / "scan.jpg"), np.full((60, 80), 255, np.uint8))
    Image.new("L", (400, 300)).save(folder / "scan.pdf", save_all=True, append_images=[Image.new("L", (400, 300))])
    assert [truth.image.name for truth in load_pages(str(folder))] == ["scan.png"]


def test_the_folder_of_the_xml_tells_the_split_where_it_is_given_alone(tmp_path):
    for split in ("train", "test"):
        for name in ("page", "."):
            (tmp_path / name / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / split / "scan.png"), np.full((300, 400), 255, np.uint8))
        (tmp_path / "page" / split / "scan.xml").write_text(PAGE)
    pages = load_pages(str(tmp_path / "page"))
    assert [(truth.id, truth.split) for truth in pages] == [("test/scan", "test"), ("train/scan", "train")]


def test_the_folder_of_the_xml_tells_the_split_where_the_pictures_lie_together(tmp_path):
    (tmp_path / "images").mkdir()
    for split in ("train", "test"):
        cv2.imwrite(str(tmp_path / "images" / f"{split}-1.png"), np.full((300, 400), 255, np.uint8))
        (tmp_path / split).mkdir()
        xml = PAGE.replace("C:\\scans\\scan.png", f"../images/{split}-1.png")
        (tmp_path / split / f"{split}-1.xml").write_text(xml)
    pages = load_pages(str(tmp_path))
    assert [(truth.id, truth.split) for truth in pages] == [("images/test-1", "test"), ("images/train-1", "train")]


def test_the_folder_of_the_xml_may_be_given(folder):
    (folder / "page").mkdir()
    (folder / "page" / "scan.xml").write_text(PAGE)
    (truth,) = load_pages(str(folder / "page"))
    assert (truth.id, truth.split, truth.image) == ("scan", "test", folder / "scan.png")


def test_xml_that_has_texts_is_taken_before_page_xml_that_has_none(folder):
    for name, text in [("page", re.sub("<TextEquiv.*?</TextEquiv>", "", PAGE)), ("alto", ALTO_2)]:
        (folder / name).mkdir()
        (folder / name / "scan.xml").write_text(text)
    (truth,) = load_pages(str(folder))
    assert [line.text for line in truth.page.lines] == ["two wor-", "more"]


def test_what_htr_did_not_write_itself_counts(folder):
    by_htr = PAGE.replace("  <Page ", "  <Metadata><Creator>htr 0.1</Creator></Metadata><Page ", 1)
    for name, text in [("page", by_htr), ("alto", ALTO_2)]:
        (folder / name).mkdir()
        (folder / name / "scan.xml").write_text(text)
    (truth,) = load_pages(str(folder))
    assert [line.text for line in truth.page.lines] == ["two wor-", "more"] and not truth.by_htr
    # An editor that leaves the creator's name tells at least when it wrote.
    when = "<Created>2026-01-02T03:04:05</Created><LastChange>{}T03:04:05</LastChange></Metadata>"
    shutil.rmtree(folder / "alto")
    for day, of_htr in ("2026-01-02", True), ("2026-01-03", False):
        (folder / "page" / "scan.xml").write_text(by_htr.replace("</Metadata>", when.format(day)))
        assert [truth.by_htr for truth in load_pages(str(folder))] == [of_htr]


def test_pages_with_no_xml_but_that_of_htr_are_told_of(folder, caplog):
    by_htr = PAGE.replace("  <Page ", "  <Metadata><Creator>htr 0.1</Creator></Metadata><Page ", 1)
    (folder / "scan.xml").write_text(by_htr)
    assert len(load_pages(str(folder))) == 1
    assert (
        "1 page with XML that htr wrote, whose texts are taken for true though maybe nobody has corrected"
        in caplog.text
    )


def test_xml_of_two_pictures_of_a_page_counts_once(folder):
    for name, text in [("page", PAGE), ("alto", ALTO_2.replace("<Layout>", NAMED.format("scan.jpg") + "<Layout>"))]:
        (folder / name).mkdir()
        (folder / name / "scan.xml").write_text(text)
    cv2.imwrite(str(folder / "scan.jpg"), np.full((300, 400), 255, np.uint8))
    (truth,) = load_pages(str(folder))
    assert truth.image.name == "scan.png" and truth.page.lines[0].text == "first words"


def test_lines_of_xml_that_does_not_count_are_no_doubts(folder):
    (folder / "alto").mkdir()
    (folder / "alto" / "scan.xml").write_text(ALTO_2.replace('HPOS="10" VPOS="100"', 'VPOS="100"'))
    assert [doubt.text for doubt in pages_with_xml(folder)[1]] == ["more"]
    (folder / "scan.xml").write_text(PAGE)
    assert pages_with_xml(folder)[1] == []


def test_a_name_longer_than_names_can_be_is_that_of_no_picture(folder):
    (folder / "scan.xml").write_text(PAGE.replace("scan.png", f"{300 * 'x'}.png"))
    (truth,) = load_pages(str(folder))
    assert truth.image == folder / "scan.png"


@pytest.mark.parametrize(("content", "hyphen"), [("&#173;", "-"), ("", "-"), ("=", "=")])
def test_a_hyphen_that_alto_tells_as_a_soft_one_is_seen(folder, content, hyphen):
    (folder / "scan.xml").write_text(ALTO_2.replace('<HYP CONTENT="-"/>', f'<HYP CONTENT="{content}"/>'))
    assert load_pages(str(folder))[0].page.lines[0].text == f"two wor{hyphen}"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ('<String CONTENT="wor-"/><HYP CONTENT="-"/>', "two wor-"),
        ('<String CONTENT="wor="/><HYP CONTENT="="/>', "two wor="),
        ('<String CONTENT="Haupt\u00ac"/>', "two Haupt-"),
        ('<String CONTENT="Haupt\u00ac"/><HYP CONTENT="\u00ac"/>', "two Haupt-"),
        ('<String CONTENT="words"/><String CONTENT=","/><SP/><String CONTENT="too"/>', "two words, too"),
    ],
)
def test_hyphens_and_spaces_of_alto_are_those_that_are_seen(folder, words, text):
    old = '<String CONTENT="wor"/><HYP CONTENT="-"/>'
    assert old in ALTO_2
    for alto in (ALTO_2, ALTO_2.replace(' xmlns="http://www.loc.gov/standards/alto/ns-v2#"', "")):
        (folder / "scan.xml").write_text(alto.replace(old, words), encoding="utf-8")
        assert load_pages(str(folder))[0].page.lines[0].text == text


def test_words_that_transkribus_says_are_crossed_out_become_the_mark_for_such(folder):
    style = (
        "readingOrder {index:0;} textStyle {offset:4; length:7;strikethrough:true;} textStyle {offset:0; length:3;bold:true;} "
        "textStyle {offset:-1; length:5;strikethrough:true;}"
    )
    line = PAGE.replace('<TextLine id="l1">', f'<TextLine id="l1" custom="{style}">')
    (folder / "scan.xml").write_text(line.replace(">last<", ">one two six, seven\u00ac<"), encoding="utf-8")
    assert load_pages(str(folder))[0].page.lines[-1].text == "one # #, seven-"
    # Of "(two six," the brackets and the comma are crossed out with the words.
    text = line.replace(">last<", ">one (two six, seven<").replace("length:7", "length:9")
    (folder / "scan.xml").write_text(text, encoding="utf-8")
    assert load_pages(str(folder))[0].page.lines[-1].text == "one # # seven"


def test_what_is_crossed_out_behind_a_rare_character_is_counted_as_transkribus_does(folder):
    style = "textStyle {offset:3; length:3;strikethrough:true;}"  # as Java counts: the first character is two
    line = PAGE.replace('<TextLine id="l1">', f'<TextLine id="l1" custom="{style}">')
    (folder / "scan.xml").write_text(line.replace(">last<", ">\U0001d54f one two<"), encoding="utf-8")
    assert load_pages(str(folder))[0].page.lines[-1].text == "\U0001d54f # two"


def test_baselines_drawn_twice_are_lines_all_the_same(folder):
    rows = (
        f'<TextLine id="l{y}-{i}"><Baseline points="20,{y} 380,{y}"/><TextEquiv><Unicode>line {y}</Unicode></TextEquiv></TextLine>'
        for y in (100, 160)
        for i in range(2)
    )
    (folder / "scan.xml").write_text(
        re.sub("(?s)<TextRegion.*</TextRegion>", f'<TextRegion id="r">{"".join(rows)}</TextRegion>', PAGE)
    )
    boxes = [line.box for line in load_pages(str(folder))[0].page.lines]  # on a picture of half the size
    assert [(top < y < bottom, 15 < bottom - top < 60) for (_, top, _, bottom), y in zip(boxes, (50, 50, 80, 80))] == [
        (True, True)
    ] * 4


@pytest.mark.parametrize("with_text", ["OCR-D-GT-A", "OCR-D-GT-B"])
def test_of_several_page_files_of_a_picture_the_one_with_texts_counts(folder, with_text):
    for name in ("OCR-D-GT-A", "OCR-D-GT-B"):
        (folder / name).mkdir()
        text = PAGE if name == with_text else re.sub("<TextEquiv.*?</TextEquiv>", "", PAGE)
        (folder / name / "scan.xml").write_text(text)
    # Those without any are not each other's doubles.
    (folder / "OCR-D-CROP").mkdir()
    (folder / "OCR-D-CROP" / "scan.xml").write_text(re.sub("<TextEquiv.*?</TextEquiv>", "", PAGE))
    (truth,) = load_pages(str(folder))
    assert [line.text for line in truth.page.lines if line.text] == ["first words", "last"]


@pytest.mark.parametrize("content", [PAGE.encode("utf-16"), b""])
def test_xml_in_another_encoding_than_it_says_and_empty_files_are_named(folder, content):
    (folder / "scan.xml").write_bytes(
        content.replace(
            "<PcGts".encode("utf-16-le"), '<?xml version="1.0" encoding="UTF-8"?><PcGts'.encode("utf-16-le")
        )
    )
    with pytest.raises(InputError, match=r"scan.xml: not well-formed XML"):
        load_pages(str(folder))


def test_a_picture_of_many_pages_is_named_before_its_files_are_called_double(folder):
    sheets = [Image.new("L", (400, 300), 255) for _ in range(2)]
    sheets[0].save(folder / "many.tif", save_all=True, append_images=sheets[1:])
    (folder / "scan.png").unlink()
    for number in (1, 2):
        (folder / f"many-{number}.xml").write_text(ESCRIPTORIUM.replace("scan.png", "many.tif"), encoding="utf-8")
    with pytest.raises(InputError, match=r"many-1.xml: is of .*many.tif, which has 2 pages"):
        load_pages(str(folder))


def test_the_current_folder_may_be_that_of_the_xml(folder, monkeypatch):
    (folder / "page").mkdir()
    (folder / "page" / "scan.xml").write_text(PAGE)
    monkeypatch.chdir(folder / "page")
    (truth,) = load_pages(".")
    assert (truth.id, truth.image.name) == ("scan", "scan.png")


def test_of_a_large_picture_no_warning_is_given(folder, recwarn):
    Image.new("1", (12_000, 9_000), 1).save(folder / "scan.png")
    (folder / "scan.xml").write_text(ESCRIPTORIUM, encoding="utf-8")
    assert load_pages(str(folder))[0].page.width == 12_000
    assert not recwarn.list


def test_a_small_copy_before_the_scan_is_not_its_size(folder):
    (folder / "scan.png").unlink()
    small, scan = Image.new("L", (200, 150), 255), Image.new("L", (1000, 750), 255)
    scan.encoderinfo = {"tiffinfo": {254: 0}}
    small.save(folder / "scan.tif", tiffinfo={254: 1}, save_all=True, append_images=[scan])
    (folder / "scan.xml").write_text(ESCRIPTORIUM.replace("scan.png", "scan.tif"), encoding="utf-8")
    assert load_pages(str(folder))[0].page.width == 1000


def test_a_picture_whose_name_begins_with_a_space_is_found(folder):
    (folder / "scan.png").rename(folder / " scan.png")
    (folder / " scan.xml").write_text(PAGE.replace("scan.png", " scan.png"))
    assert load_pages(str(folder))[0].image.name == " scan.png"
    (folder / " scan.png").rename(folder / "scan.png")
    assert load_pages(str(folder))[0].image.name == "scan.png"


def test_an_empty_box_is_made_from_the_baseline_and_stops_nothing_else(folder):
    empty = re.sub('"[^"]*"', '""', BOX)
    (folder / "scan.xml").write_text(ALTO_2.replace(BOX, f'{empty} BASELINE="10 130 310 130"'))
    first, second = load_pages(str(folder))[0].page.lines
    assert second.baseline == ((10, 130), (310, 130)) and second.box[1] < 130 < second.box[3]
    (folder / "scan.xml").write_text(ALTO_2.replace(BOX, empty))
    (truth,), (doubt,) = pages_with_xml(folder)
    assert truth.page.lines == [first]
    assert (doubt.line, doubt.text) == ("scan.xml", "more")


def test_places_in_millimetres_are_scaled_by_the_size_of_the_page(folder):
    (folder / "scan.xml").write_text(ESCRIPTORIUM.replace(">pixel<", ">mm10<"), encoding="utf-8")
    assert load_pages(str(folder))[0].page.lines[0].baseline == ((20, 50), (200, 54), (380, 50))


@pytest.mark.parametrize("points", ["20,20 420,20", "20,20 220,20 420,20", "20,20 420,60 20,20"])
def test_a_polygon_without_an_inside_is_made_anew_from_the_baseline(folder, points):
    (folder / "scan.xml").write_text(PAGE.replace("20,20 420,20 420,60 20,60", points))
    first = load_pages(str(folder))[0].page.lines[0]
    assert first.text == "first words" and first.baseline == ((10, 25), (210, 25))
    # Half of the 100 units between the lines, less and more: 0.6 and 0.25 of them above and below.
    assert np.array(first.polygon) == pytest.approx(np.array([(10, 0), (210, 0), (210, 37.5), (10, 37.5)]), abs=0.01)


@pytest.mark.parametrize("points", ["20,50 20,50", "20,50", "20,50 420,50 20,50", "900,50 950,50"])
def test_a_baseline_without_a_length_is_made_anew_from_the_polygon(folder, points):
    (folder / "scan.xml").write_text(PAGE.replace("20,50 420,50", points))
    first = load_pages(str(folder))[0].page.lines[0]
    # A quarter of the height of 20 pixels above the lower edge.
    assert np.array(first.baseline) == pytest.approx(np.array([(10, 25), (210, 25)]), abs=0.01)


def test_a_baseline_drawn_from_right_to_left_is_turned_round_but_not_that_of_a_line_upside_down(folder):
    drawn = PAGE.replace("20,50 420,50", "420,50 20,50")
    (folder / "scan.xml").write_text(drawn)
    assert load_pages(str(folder))[0].page.lines[0].baseline == ((10, 25), (210, 25))
    # Of one that stands upside down, the small letters hang below the baseline.
    (folder / "scan.xml").write_text(drawn.replace("20,20 420,20 420,60 20,60", "20,40 420,40 420,80 20,80"))
    assert load_pages(str(folder))[0].page.lines[0].baseline == ((210, 25), (10, 25))


def test_a_line_with_neither_an_inside_nor_a_length_is_set_aside(folder):
    text = PAGE.replace("20,20 420,20 420,60 20,60", "20,20 420,20").replace("20,50 420,50", "20,50 20,50")
    (folder / "scan.xml").write_text(text)
    (truth,), (doubt,) = pages_with_xml(folder)
    assert [line.text for line in truth.page.lines] == ["", "last"]
    assert doubt.text == "first words" and "line l2 has neither a place nor a baseline" in doubt.reason


def test_regions_that_the_reading_order_leaves_out_come_last(folder):
    (folder / "scan.xml").write_text(PAGE.replace('<RegionRefIndexed index="1" regionRef="r1"/>', ""))
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first words", "", "last"]


def test_cells_of_a_table_stand_where_the_reading_order_has_the_table(folder):
    table = '<TableRegion id="r3"><TableCell id="c1"><TextLine id="l4"><Baseline points="20,450 420,450"/><TextEquiv><Unicode>cell'
    table += "</Unicode></TextEquiv></TextLine></TableCell></TableRegion></Page>"
    order = '<RegionRefIndexed index="2" regionRef="r1"/><RegionRefIndexed index="1" regionRef="r3"/><OrderedGroupIndexed index="3"/>'
    text = PAGE.replace("</Page>", table).replace('<RegionRefIndexed index="1" regionRef="r1"/>', order)
    (folder / "scan.xml").write_text(text)
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first words", "", "cell", "last"]


def test_cells_of_a_table_are_read_row_by_row(folder):
    cells = "".join(
        f'<TableCell id="c{place}" row="{row}" col="{column}"><TextLine id="t{place}"><Baseline points="20,{place} 90,{place}"/>'
        f"<TextEquiv><Unicode>row {row} column {column}</Unicode></TextEquiv></TextLine></TableCell>"
        for row, column, place in [(10, 0, 520), (2, 0, 480), (2, 1, 482), (10, 1, 522)]
    )
    (folder / "scan.xml").write_text(PAGE.replace("</Page>", f'<TableRegion id="r3">{cells}</TableRegion></Page>'))
    texts = [line.text for line in load_pages(str(folder))[0].page.lines]
    assert texts[3:] == ["row 2 column 0", "row 2 column 1", "row 10 column 0", "row 10 column 1"]


def test_the_order_that_transkribus_tells_of_parts_counts_where_the_reading_order_lacks_some(folder):
    own = PAGE.replace('<RegionRefIndexed index="1" regionRef="r1"/>', "")
    for part, place in {"r1": 0, "r2": 1, "l2": 1, "l3": 0}.items():
        own = own.replace(f'id="{part}"', f'id="{part}" custom="readingOrder {{index:{place};}}"')
    (folder / "scan.xml").write_text(own)
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["last", "", "first words"]


def test_print_that_nobody_has_transcribed_is_no_true_line(folder):
    printed = PAGE.replace('id="r1"', 'id="r1" production="printed"')
    (folder / "scan.xml").write_text(printed)
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first words", "", "last"]
    (folder / "scan.xml").write_text(re.sub("<Unicode>(wrong|last)</Unicode>", "<Unicode/>", printed))
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first words", ""]
    # As eScriptorium and Transkribus give it back.
    (folder / "scan.xml").write_text(
        re.sub("<Unicode>(wrong|last)</Unicode>", "<Unicode/>", PAGE).replace(
            'id="r1"', 'id="r1" custom="readingOrder {index:0;} structure {type:print;}"'
        )
    )
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first words", ""]
    tags = '<Tags><OtherTag ID="BT7" LABEL="text"/><OtherTag ID="BT12" LABEL="print"/></Tags><Layout>'
    block = ESCRIPTORIUM.replace('<TextBlock ID="b1"', '<TextBlock ID="b1" TAGREFS="BT12"').replace("<Layout>", tags)
    (folder / "scan.xml").write_text(block, encoding="utf-8")
    assert len(load_pages(str(folder))[0].page.lines) == 2
    (folder / "scan.xml").write_text(re.sub('CONTENT="L.*? Paris"', 'CONTENT=""', block), encoding="utf-8")
    with pytest.raises(InputError, match="has no ALTO or PAGE XML with lines"):
        load_pages(str(folder))


def test_the_reading_order_of_alto_counts(folder):
    blocks = ESCRIPTORIUM.replace("</TextBlock>", """</TextBlock><TextBlock ID="b2"><TextLine ID="l3" BASELINE="20 200 380 200"
        HPOS="20" VPOS="170" WIDTH="360" HEIGHT="40"><String CONTENT="first"/></TextLine></TextBlock>""")  # fmt: skip
    order = "".join(f'<ElementRef ID="{block}r" REF="{block}"/>' for block in ("b2", "b1"))
    order = f'<ReadingOrder><OrderedGroup ID="o">{order}</OrderedGroup></ReadingOrder>'
    (folder / "scan.xml").write_text(blocks.replace("<Layout>", f"{order}<Layout>"), encoding="utf-8")
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first", "L'été à Paris", ""]
    lines = "".join(f'<ElementRef ID="{line}r" REF="{line}"/>' for line in ("l2", "l1"))
    order = order.replace('<ElementRef ID="b1r" REF="b1"/>', f'<OrderedGroup REF="b1">{lines}</OrderedGroup>')
    (folder / "scan.xml").write_text(blocks.replace("<Layout>", f"{order}<Layout>"), encoding="utf-8")
    assert [line.text for line in load_pages(str(folder))[0].page.lines] == ["first", "", "L'été à Paris"]


@pytest.mark.parametrize(
    "points",
    [
        "226,190 252,190 224,330 196,330",  # a figure that leans
        "0,2 4,4 4,2 2,6 6,6 0,6",  # one that crosses itself
    ],
)
def test_a_short_line_without_a_baseline_is_level(folder, points):
    (folder / "scan.xml").write_text(PAGE.replace("20,300 420,320 420,360 20,340", points))
    (_, y0), (_, y1) = load_pages(str(folder))[0].page.lines[-1].baseline
    assert y0 == y1


def test_a_text_may_stand_in_another_place_than_the_first(folder):
    odd = PAGE.replace('<TextEquiv index="0">', '<TextEquiv index="first">').replace("wrong", "second")
    (folder / "scan.xml").write_text(odd)
    assert load_pages(str(folder))[0].page.lines[-1].text == "last"
    empty = '<TextEquiv index="0"><Unicode>last</Unicode>'
    (folder / "scan.xml").write_text(PAGE.replace(empty, '<TextEquiv index="0"><Unicode/>').replace("wrong", "right"))
    assert load_pages(str(folder))[0].page.lines[-1].text == "right"
    blank = '<TextEquiv index="0"><Unicode> </Unicode>'
    (folder / "scan.xml").write_text(PAGE.replace(empty, blank).replace("wrong", "right"))
    assert load_pages(str(folder))[0].page.lines[-1].text == "right"
    glyphs = "".join(f"<Glyph><TextEquiv><Unicode>{letter}</Unicode></TextEquiv></Glyph>" for letter in "first")
    (folder / "scan.xml").write_text(PAGE.replace("<TextEquiv><Unicode>first</Unicode></TextEquiv>", glyphs))
    assert load_pages(str(folder))[0].page.lines[0].text == "first words"


def test_a_thin_picture_may_lose_a_pixel_in_rounding(tmp_path):
    cv2.imwrite(str(tmp_path / "scan.png"), np.full((30, 200), 255, np.uint8))
    (tmp_path / "scan.xml").write_text(ALTO_2.replace('WIDTH="400" HEIGHT="300"', 'WIDTH="1003" HEIGHT="148"'))
    assert load_pages(str(tmp_path))[0].page.width == 200


def test_of_a_square_picture_a_turn_that_may_not_have_been_followed_is_told(tmp_path, caplog):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("L", (300, 300), 255).save(tmp_path / "scan.jpg", exif=exif)
    xml = ALTO_2.replace("<Layout>", f"{NAMED.format('scan.jpg')}<Layout>")
    (tmp_path / "scan.xml").write_text(xml.replace('WIDTH="400" HEIGHT="300"', 'WIDTH="300" HEIGHT="300"'))
    load_pages(str(tmp_path))
    assert "scan.jpg: is shown turned or mirrored" in caplog.text


def test_pages_whose_texts_lie_beside_what_htr_wrote_are_not_read_here(folder):
    by_htr = PAGE.replace("  <Page ", "  <Metadata><Creator>htr 0.1</Creator></Metadata><Page ", 1)
    (folder / "scan.xml").write_text(by_htr)
    (folder / "scan.txt").write_text("\u200b\ufeff\n")  # nothing that can be seen
    assert len(load_pages(str(folder))) == 1
    (folder / "scan.txt").write_text("two words\nmore")
    with pytest.raises(InputError, match="no XML but what htr wrote of pages that have a text beside them"):
        load_pages(str(folder))


def test_xml_that_is_nested_too_deeply_is_named(folder):
    groups = "<OrderedGroup>" * 3000 + "</OrderedGroup>" * 3000
    (folder / "scan.xml").write_text(re.sub("(<Page [^>]*>)", rf"\1<ReadingOrder>{groups}</ReadingOrder>", PAGE))
    with pytest.raises(InputError, match=r"scan\.xml: is nested too deeply"):
        load_pages(str(folder))
