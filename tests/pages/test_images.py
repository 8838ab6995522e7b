import io
import os
import struct
import tracemalloc

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from pypdfium2 import PdfiumError
from reportlab.lib.colors import red
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from htr.errors import InputError
from htr.pages import images
from htr.pages.images import count_pages, grey, open_image, open_page

GREY = np.linspace(0, 255, 60 * 40).reshape(40, 60).astype(np.uint8)


def saved(tmp_path, image, name="picture.png", **options):
    image.save(tmp_path / name, **options)
    return open_image(tmp_path / name)


def test_grey_and_colour(tmp_path):
    assert np.array_equal(saved(tmp_path, Image.fromarray(GREY)), GREY)
    colour = Image.fromarray(np.repeat(GREY[..., None], 3, 2))
    assert np.array_equal(saved(tmp_path, colour), GREY)


def test_sixteen_bit_is_scaled(tmp_path):
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert np.array_equal(saved(tmp_path, deep), GREY)


def test_twelve_bits_in_sixteen_and_real_numbers_are_scaled(tmp_path):
    twelve = Image.fromarray((GREY.astype(np.uint16) * 16).clip(0, 4095))
    assert np.abs(saved(tmp_path, twelve).astype(int) - GREY).max() <= 1
    real = Image.fromarray(GREY.astype(np.float32) / 255)
    assert np.abs(saved(tmp_path, real, "picture.tiff").astype(int) - GREY).max() <= 1


def test_one_bit_and_palette(tmp_path):
    black_white = Image.fromarray((GREY > 127).astype(np.uint8) * 255)
    assert np.array_equal(saved(tmp_path, black_white.convert("1")), np.asarray(black_white))
    assert np.array_equal(saved(tmp_path, black_white.convert("P")), np.asarray(black_white))


def test_transparency_lies_over_white(tmp_path):
    picture = np.zeros((10, 10, 4), np.uint8)
    picture[:5, :, 3] = 255
    opened = saved(tmp_path, Image.fromarray(picture))
    assert (opened[:5] == 0).all()
    assert (opened[5:] == 255).all()


def test_a_large_colour_profile_is_no_damage(tmp_path):
    profile = np.random.default_rng(0).bytes(3_000_000)
    assert np.array_equal(saved(tmp_path, Image.fromarray(GREY), icc_profile=profile), GREY)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_broken_colour_profile_costs_no_page(tmp_path, mode):
    opened = saved(tmp_path, Image.fromarray(GREY).convert(mode), "picture.tiff", icc_profile=b"no profile" * 20)
    assert np.abs(opened.astype(int) - GREY).max() <= 2


def test_colours_are_those_of_the_profile(tmp_path):
    """As of pictures by phones and of masters in Adobe RGB, since what is written of them has no profile."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Red and blue change places.
    profile = srgb.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    Image.new("RGB", (20, 20), (250, 100, 20)).save(tmp_path / "picture.png", icc_profile=profile)
    assert open_page(tmp_path / "picture.png").getpixel((9, 9)) == pytest.approx((20, 100, 250), abs=2)
    # What is transparent is paper all the same.
    Image.new("RGB", (20, 20)).save(tmp_path / "picture.png", icc_profile=srgb, transparency=(0, 0, 0))
    assert open_page(tmp_path / "picture.png").getpixel((9, 9)) == (255, 255, 255)


def test_cmyk(tmp_path):
    opened = saved(tmp_path, Image.fromarray(GREY).convert("CMYK"), "picture.tiff")
    assert np.abs(opened.astype(int) - GREY).max() <= 2


def test_xmp_that_tells_how_a_picture_lies_is_followed(tmp_path):
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    opened = saved(tmp_path, Image.fromarray(GREY), "picture.jpg", quality=100, xmp=xmp)
    assert np.abs(opened.astype(int) - np.rot90(GREY, -1)).max() < 12


SLOPING = (np.arange(40)[:, None] * 2 + np.arange(60) * 2.5).astype(np.uint8)


@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (2, np.fliplr(SLOPING)),
        (3, np.rot90(SLOPING, 2)),
        (4, np.flipud(SLOPING)),
        (5, SLOPING.T),
        (6, np.rot90(SLOPING, -1)),  # turned a quarter to the left
        (7, np.rot90(SLOPING, 2).T),
        (8, np.rot90(SLOPING)),
    ],
)
def test_exif_orientation_is_followed(tmp_path, orientation, shown):
    exif = Image.Exif()
    exif[274] = orientation
    opened = saved(tmp_path, Image.fromarray(SLOPING), "picture.jpg", exif=exif, quality=100)
    assert opened.shape == shown.shape
    assert np.abs(opened.astype(int) - shown).max() < 12


def test_colours_are_as_light_as_they_look():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert [int(grey(np.full((9, 9, 3), colour, np.uint8))[0, 0]) for colour in colours] == [76, 150, 29]


def test_a_broken_part_of_a_pdf_page_costs_it_nothing(tmp_path, monkeypatch):
    Image.fromarray(GREY).resize((720, 480)).save(tmp_path / "scan.pdf", resolution=72)

    def fail(page):
        raise PdfiumError("broken")

    monkeypatch.setattr(images, "_fineness", fail)
    assert open_page(tmp_path / "scan.pdf").info["dpi"] == (200, 200)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_turns_with_the_picture(format):
    exif = Image.Exif()
    exif[274] = 6
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, format, exif=exif, dpi=(200, 100))
    page = open_page(file.getvalue())
    assert page.size == (40, 60)
    assert page.info["dpi"] == pytest.approx((100, 200), abs=0.1)


@pytest.mark.parametrize("tag", [256, 282, 296])
def test_odd_exif_costs_no_picture(tag):
    """Width, resolution and its unit given as text; the picture lies a quarter to the left."""
    text, number = 2, 3
    lies, odd = struct.pack("<HHIHH", 274, number, 1, 6, 0), struct.pack("<HHI4s", tag, text, 4, b"odd")
    entries = sorted([lies, odd], key=lambda entry: struct.unpack("<H", entry[:2]))
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + b"".join(entries) + bytes(4)
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "JPEG", exif=exif, quality=100)
    assert open_page(file.getvalue()).size == (40, 60)


def test_exif_that_is_none_costs_no_picture():
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "PNG", exif=b"no exif at all")
    assert np.array_equal(np.asarray(open_page(file.getvalue())), GREY)


def test_a_broken_pixel_makes_no_deep_picture_dark():
    for values, too_high in (
        (GREY.astype(np.uint16) * 16, 65535),
        (GREY.astype(np.uint16) * 4, 65535),
        ((GREY / 255).astype(np.float32), 1.02),
    ):
        values[0, 0] = too_high
        file = io.BytesIO()
        Image.fromarray(values).save(file, "TIFF")
        assert np.abs(np.asarray(open_page(file.getvalue())).astype(int) - GREY)[1:].max() <= 1


def test_paper_a_little_above_one_is_white():
    file = io.BytesIO()
    Image.fromarray((GREY / GREY.max() * 1.004).astype(np.float32)).save(file, "TIFF")
    assert np.asarray(open_page(file.getvalue())).max() == 255


def test_deep_grey_of_which_white_is_zero_is_no_negative():
    file = io.BytesIO()
    Image.fromarray(65535 - GREY.astype(np.uint16) * 257).save(file, "TIFF", tiffinfo={262: 0})
    assert np.array_equal(np.asarray(open_page(file.getvalue())), GREY)


def test_bytes_are_opened_like_files(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "picture.png")
    assert np.array_equal(open_image((tmp_path / "picture.png").read_bytes()), GREY)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        open_image(tmp_path)


def test_an_array_with_transparency_is_laid_over_white():
    picture = np.full((10, 10, 4), 100, np.uint8)
    picture[..., 3] = np.linspace(0, 255, 10)
    expected = np.rint(255 + -155.0 * picture[..., 3] / 255)
    assert np.abs(grey(picture) - expected).max() <= 1


def test_short_memory_is_no_damage(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "scan.png")

    def short(*_):
        raise MemoryError

    monkeypatch.setattr(images, "_page", short)
    with pytest.raises(InputError, match="scan.png: the memory is too small for this picture; scale it down"):
        open_image(tmp_path / "scan.png")


def test_transparency_costs_little_memory():
    picture = np.zeros((1000, 1000, 4), np.uint8)
    tracemalloc.start()  # counts what numpy takes
    grey(picture)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 1000 * 1000


def test_palette_with_transparency_and_grey_with_transparency(tmp_path):
    picture = Image.new("P", (20, 20), 1)
    picture.putpalette([0, 0, 0, 90, 90, 90])
    picture.paste(0, (0, 0, 20, 10))
    opened = saved(tmp_path, picture, transparency=0)
    assert (opened[:10] == 255).all()
    assert (opened[10:] == 90).all()
    assert (saved(tmp_path, Image.new("LA", (20, 20), (0, 0))) == 255).all()


def test_colour_stays_in_a_page(tmp_path):
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "red.tiff")
    assert open_page(tmp_path / "red.tiff").mode == "RGB"
    assert open_page(tmp_path / "red.tiff").getpixel((9, 9)) == (255, 0, 0)


def test_resolution_is_kept_where_it_is_known(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "known.png", dpi=(300, 300))
    assert open_page(tmp_path / "known.png").info["dpi"] == pytest.approx((300, 300), abs=0.01)
    Image.fromarray(GREY).save(tmp_path / "unknown.png")
    assert "dpi" not in open_page(tmp_path / "unknown.png").info
    Image.fromarray(GREY).save(tmp_path / "impossible.tif", dpi=(0.5, 0.5))
    assert "dpi" not in open_page(tmp_path / "impossible.tif").info


def test_the_first_picture_of_a_phones_jpeg_is_the_photograph(tmp_path):
    small = Image.new("L", (30, 20))
    Image.fromarray(GREY).save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[small])
    assert count_pages(tmp_path / "phone.jpg") == 1
    assert open_image(tmp_path / "phone.jpg").shape == GREY.shape


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_are_refused(tmp_path, suffix):
    frames = [Image.new("L", (30, 20), value) for value in (0, 100, 200)]
    frames[0].save(tmp_path / f"film.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="is an animation"):
        count_pages(tmp_path / f"film.{suffix}")


def heic(picture, **options):
    """As iPhones write it: in colour, the quarter turn that EXIF tells told in HEIC's own way too."""
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=95, **options)
    return file.getvalue()


def test_heic_is_opened_as_phones_write_it(tmp_path):
    for suffix in ("heic", "HEIF"):
        path = tmp_path / f"letter.{suffix}"
        path.write_bytes(heic(Image.fromarray(GREY).convert("RGB")))
        assert count_pages(path) == 1
        assert open_page(path).mode == "RGB"
        assert np.abs(open_image(path).astype(int) - GREY).max() <= 3


def test_a_heic_that_lies_sideways_is_turned_once():
    exif = Image.Exif()
    exif[274] = 6
    file = heic(Image.fromarray(GREY).convert("RGB"), exif=exif.tobytes())
    assert b"irot" in file
    assert open_page(file).size == (40, 60)
    assert np.abs(open_image(file).astype(int) - np.rot90(GREY, -1)).max() <= 3


def test_only_the_main_picture_of_a_heic_is_the_photograph():
    small, photograph = Image.new("RGB", (30, 20)), Image.fromarray(GREY).convert("RGB")
    several = pillow_heif.from_pillow(small)
    several.add_from_pillow(photograph)
    file = io.BytesIO()
    several.save(file, quality=95, primary_index=1)
    assert len(pillow_heif.open_heif(file.getvalue())) == 2
    for content in (file.getvalue(), heic(photograph.resize((600, 400)), thumbnails=[64])):
        assert count_pages(content) == 1
    assert np.abs(open_image(file.getvalue()).astype(int) - GREY).max() <= 3


def test_ten_bits_of_a_heic_are_scaled():
    deep = np.repeat(GREY[..., None], 3, axis=2).astype(np.uint16) * 257
    file = io.BytesIO()
    pillow_heif.encode("RGB;16", (60, 40), deep.tobytes(), file, quality=95)
    assert pillow_heif.open_heif(file.getvalue()).info["bit_depth"] == 10
    assert np.abs(open_image(file.getvalue()).astype(int) - GREY).max() <= 3


@pytest.mark.parametrize("length", [20, 200, -300])
def test_a_damaged_heic_is_named(length):
    file = heic(noise(0).resize((600, 400)).convert("RGB"))
    with pytest.raises(InputError, match="^letter.heic: .*damaged or cut short.*copy it again") as told:
        open_page(file[:length], name="letter.heic")
    assert "\n" not in str(told.value)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "letter.jpg").touch()
    with pytest.raises(InputError, match="letter.jpg: is empty; copy it again"):
        count_pages(tmp_path / "letter.jpg")


def tiff(pages, **options):
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], **options)
    return file.getvalue()


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 60), np.uint8))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "group4"])
def test_pages_of_a_tiff(compression):
    pages = [noise(seed).convert("1" if compression == "group4" else "L") for seed in range(3)]
    file = tiff(pages, compression=compression)
    assert count_pages(file) == 3
    for number, page in enumerate(pages, 1):
        assert np.array_equal(open_page(file, number), page.convert("L"))
    with pytest.raises(InputError, match="picture: has 3 pages"):
        open_image(file)


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("kind", ["tiff", "pdf"])
def test_a_page_that_a_file_has_not_is_no_damage(kind, number):
    file = tiff([noise(1), noise(2)]) if kind == "tiff" else pdf((72, 72), (72, 72))
    with pytest.raises(InputError, match=f"has no page {number}; ask for one that it has"):
        open_page(file, number)


def test_small_copies_of_pages_in_a_tiff_are_no_pages():
    small = noise(1).resize((15, 10))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    file = tiff([noise(0), small, noise(2)])
    assert count_pages(file) == 2
    assert np.array_equal(open_page(file, 2), noise(2))


def test_a_tiff_that_says_of_all_its_pictures_that_they_are_copies_has_a_page():
    page = noise(0)
    page.encoderinfo = {"tiffinfo": {254: 1}}
    file = tiff([page])
    assert count_pages(file) == 1
    assert np.array_equal(open_page(file), noise(0))


def test_each_page_of_a_tiff_has_its_own_orientation():
    pages = [noise(seed) for seed in range(3)]
    for page, orientation in zip(pages, (1, 6, 3)):
        page.encoderinfo = {"tiffinfo": {274: orientation}}
    file = tiff(pages)
    for number, turns in ((1, 0), (2, -1), (3, 2)):
        assert np.array_equal(open_page(file, number), np.rot90(noise(number - 1), turns))


def test_a_damaged_page_of_a_tiff_costs_no_other():
    file = bytearray(tiff([noise(seed) for seed in range(3)], compression="tiff_lzw"))
    with Image.open(io.BytesIO(file)) as image:
        image.seek(1)
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]
    file[start : start + length] = bytes(length)
    assert count_pages(bytes(file)) == 3
    with pytest.raises(InputError, match="damaged or cut short"):
        open_page(bytes(file), 2)
    for number in (1, 3):
        assert np.array_equal(open_page(bytes(file), number), noise(number - 1))


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_of_a_tiff_cut_short_the_pages_before_the_cut_are_opened(compression):
    file = tiff([noise(seed) for seed in range(4)], compression=compression)
    file = file[: len(file) * 2 // 3]
    pages = count_pages(file)
    assert pages >= 3
    assert [np.array_equal(open_page(file, number), noise(number - 1)) for number in (1, 2)] == [True, True]
    with pytest.raises(InputError, match="damaged or cut short"):
        open_page(file, pages)


def test_a_tiff_that_ends_within_its_list_of_pages_is_not_one_of_fewer():
    file = tiff([noise(seed) for seed in range(3)], compression="tiff_lzw")
    with Image.open(io.BytesIO(file)) as image:
        image.seek(2)
        starts = [image._frame_pos[number] for number in range(3)]
    cut = file[: starts[2] + 40]
    assert count_pages(cut) == 3
    assert np.array_equal(open_page(cut, 2), noise(1))
    with pytest.raises(InputError, match="damaged or cut short"):
        open_page(cut, 3)


@pytest.mark.parametrize("share", [0.02, 0.5])
@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg"])
def test_a_tiff_cut_short_is_no_other_kind_of_file(compression, share):
    file = tiff([noise(0)], compression=compression)
    with pytest.raises(InputError, match="a TIFF file that is damaged, cut short or of a rare kind; copy it again"):
        count_pages(file[: int(len(file) * share)])


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_that_a_tiff_keeps_apart_are_not_taken_for_rows(bits):
    """Each colour a third of the file; Pillow reads them rightly in 8 bits only."""
    picture = np.repeat(np.linspace(0, 2**bits - 1, 40)[:, None], 60, 1).astype(f"<u{bits // 8}")
    size, start = picture.nbytes, 8 + 2 + 10 * 12 + 4
    apart = start + 6
    places, sizes = apart, apart + 12
    tags = [
        (256, 4, 1, 60), (257, 4, 1, 40), (258, 3, 3, start), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 3, places), (277, 3, 1, 3),
        (278, 4, 1, 40), (279, 4, 3, sizes), (284, 3, 1, 2),
    ]  # fmt: skip
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    file += struct.pack("<3H", bits, bits, bits) + struct.pack(
        "<3I", *(sizes + 12 + number * size for number in range(3))
    )
    file += struct.pack("<3I", size, size, size) + 3 * picture.tobytes()
    if bits == 8:
        assert np.array_equal(np.asarray(open_page(file)), np.repeat(picture[:, :, None], 3, 2))
        return
    with pytest.raises(
        InputError, match="keeps its colours apart, in more than 8 bits, which cannot be read; save it as PNG"
    ):
        open_page(file)


def test_a_name_longer_than_names_can_be_is_no_damage(tmp_path):
    with pytest.raises(InputError, match="no such file; check the path"):
        count_pages(tmp_path / f"{'x' * 300}.png")


def test_a_raw_photograph_is_not_read_by_its_small_copy():
    page = noise(0)
    page.encoderinfo = {"tiffinfo": {254: 1, 50706: b"\x01\x04\x00\x00"}}
    with pytest.raises(InputError, match="is a raw photograph; export it as JPEG"):
        open_page(tiff([page]))


def pdf(*sizes, **options):
    """Pages whose lower left quarter is red."""
    file = io.BytesIO()
    canvas = Canvas(file, **options)
    for width, height in sizes:
        canvas.setPageSize((width, height))
        canvas.setFillColor(red)
        canvas.rect(0, 0, width / 2, height / 2, fill=1, stroke=0)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def test_pages_of_a_pdf_are_drawn_at_a_resolution():
    file = pdf((360, 144), (72, 72))
    assert count_pages(file) == 2
    first = open_page(file, 1, dpi=100)
    assert (first.size, first.mode, first.info["dpi"]) == ((500, 200), "RGB", (100, 100))
    assert (first.getpixel((10, 190)), first.getpixel((10, 10))) == ((255, 0, 0), (255, 255, 255))
    assert open_page(file, 2).size == (200, 200)
    assert open_image(pdf((72, 36))).shape == (100, 200)


def scan(tmp_path, width, height, more=lambda canvas: None):
    """A PDF with one page that is a picture of that size, and as many points large, and more."""
    Image.fromarray(np.full((height, width), 200, np.uint8)).save(tmp_path / "scan.png")
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(width, height))
    canvas.drawImage(str(tmp_path / "scan.png"), 0, 0, width, height)
    more(canvas)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def test_a_scan_in_a_pdf_is_drawn_no_larger_than_it_is(tmp_path):
    file = scan(tmp_path, 1600, 2000, lambda canvas: canvas.drawString(0, 0, "its text"))
    page = open_page(file)
    assert (page.size, page.info["dpi"]) == ((1600, 2000), (72, 72))
    assert open_page(file, dpi=144).size == (3200, 4000)
    # One of few pixels, and one beside which something is drawn, are not read the better for being drawn small.
    assert open_page(scan(tmp_path, 720, 1080)).size == (2000, 3000)
    drawn = scan(tmp_path, 1600, 2000, lambda canvas: canvas.line(0, 0, 500, 500))
    assert open_page(drawn).size == (4445, 5556)


def test_a_page_of_a_pdf_that_shows_nothing_is_named():
    file = pdf((360, 144)).replace(b"/MediaBox", b"/CropBox [ 400 400 500 500 ] /MediaBox")
    with pytest.raises(InputError, match="shows nothing, as its crop box lies outside of it; export it again"):
        open_page(file)


def test_a_turned_page_of_a_pdf_is_drawn_as_a_viewer_shows_it():
    file = pdf((360, 144)).replace(b"/Rotate 0", b"/Rotate 90")
    page = open_page(file, dpi=72)
    assert page.size == (144, 360)
    assert page.getpixel((10, 10)) == (255, 0, 0)


def test_what_was_filled_in_a_form_of_a_pdf_is_drawn():
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(360, 144))
    canvas.acroForm.textfield("Margaret", x=20, y=20, width=300, height=100, fontSize=60, borderWidth=0)
    canvas.showPage()
    canvas.save()
    assert (open_image(file.getvalue())[60:340, 60:860] < 100).mean() > 0.02


def test_a_pdf_behind_a_password_is_named_and_one_that_only_forbids_changes_is_opened():
    with pytest.raises(InputError, match="letter.pdf: is protected by a password; save it without one"):
        count_pages(pdf((72, 72), encrypt=StandardEncryption("secret")), "letter.pdf")
    by_another = pdf((72, 72), encrypt=StandardEncryption("secret")).replace(b"/Standard", b"/Borrowed")
    with pytest.raises(InputError, match="letter.pdf: is protected in a way that cannot be opened"):
        count_pages(by_another, "letter.pdf")
    assert count_pages(pdf((72, 72), encrypt=StandardEncryption("", "owner"))) == 1


def test_a_huge_page_of_a_pdf_is_refused_before_it_is_drawn():
    with pytest.raises(InputError, match="40000 x 40000 pixels at 200 dpi, more than 178 million; .* lower dpi"):
        open_page(pdf((14400, 14400)))
    assert open_page(pdf((14400, 14400)), dpi=5).size == (1000, 1000)


@pytest.mark.parametrize("pages", [b"/Kids[]/Count 0", b"/Kids[]/Count 900000", b"/Kids 7"])
def test_a_pdf_without_pages_is_named(pages):
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages" + pages + b">>"]
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"xref\n0 3\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    file += table + b"trailer<</Root 1 0 R/Size 3>>\nstartxref\n%d\n%%%%EOF" % len(file)
    with pytest.raises(InputError, match="secret"):
        count_pages(pdf((72, 72), encrypt=StandardEncryption("word")), "secret")
    with pytest.raises(InputError, match="damaged, cut short or without pages|has more than 10,000 pages"):
        count_pages(file)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "pdf"])
def test_a_file_cut_short_is_named(tmp_path, suffix, share):
    path = tmp_path / f"cut.{suffix}"
    if suffix == "pdf":
        path.write_bytes(pdf((72, 72)))
    else:
        noise(0).resize((600, 400)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=f"cut.{suffix}: .*(damaged|not a picture)"):
        open_page(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="pipe.png: is no file"):
        count_pages(tmp_path / "pipe.png")


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch, tmp_path):
    monkeypatch.setattr(images, "MAX_PIXELS", 2_000_000)
    with pytest.raises(InputError, match="larger than 2 million pixels"):
        saved(tmp_path, Image.new("1", (2000, 1001)))
    second = tiff([Image.new("1", (20, 20)), Image.new("1", (2000, 1001))])
    assert open_page(second, 1).size == (20, 20)
    with pytest.raises(InputError, match="larger than 2 million pixels"):
        open_page(second, 2)
