"""Many pages in one run, with a stand-in for the reader that says how wide each page is."""

import errno
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from htr import recognize
from htr.cli import from_home
from htr.pages.containers import Character, Line, Page, Region, Word


def takes_bytes(folder):
    try:
        (folder / "\udcff").touch()
    except OSError:
        return False
    (folder / "\udcff").unlink()
    return True


class StandIn:
    """Reads a page as its width in pixels; fails, or takes a Ctrl-C, at pages that are 66 or 99 pixels wide."""

    def __init__(self):
        self.read = []

    def read_page(self, picture):
        width = picture.shape[1]
        if width == 66:
            raise RuntimeError("out of memory")
        if width == 99:
            raise KeyboardInterrupt
        self.read.append(width)
        return replace(self.find_page(picture), regions=(Region("text", (line_of(picture, f"{width}"),)),))

    def read_lines(self, pictures):
        if any(picture.shape[1] == 66 for picture in pictures):
            raise RuntimeError("out of memory")
        self.read += [picture.shape[1] for picture in pictures]
        return [line_of(picture, f"{picture.shape[1]}") for picture in pictures]

    def find_page(self, picture, upright=False):
        height, width = picture.shape[:2]
        return Page(width, height, (Region("text", (line_of(picture, ""),)),), notes=("looks odd",))


def line_of(picture, text):
    height, width = picture.shape[:2]
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    words = (Word(text, 0.9, corners, tuple(Character(letter, 0.9, corners) for letter in text)),) if text else ()
    return Line(((0, height - 1), (width, height - 1)), corners, text, 0.9, words)


@pytest.fixture
def reader(monkeypatch):
    reader = StandIn()
    # Without PyTorch, which the rest of such a run does not need.
    monkeypatch.setitem(sys.modules, "htr.reader", SimpleNamespace(load=lambda weights, language: reader))
    return reader


@pytest.fixture
def read(command_line, reader):
    return partial(command_line, recognize.main)


@pytest.fixture
def scans(tmp_path):
    (tmp_path / "scans").mkdir()
    return tmp_path / "scans"


def page(width, height=40, mode="L"):
    return Image.new(mode, (width, height), "white")


def tiff(*widths, damaged=None):
    """A TIFF of pages of these widths; the page of that number is damaged."""
    file = io.BytesIO()
    first, *others = map(page, widths)
    first.save(file, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")
    content = bytearray(file.getvalue())
    if damaged:
        with Image.open(file) as image:
            image.seek(damaged - 1)
            start, length = image.tag_v2[273][0], image.tag_v2[279][0]
        content[start : start + length] = bytes(length)
    return bytes(content)


def pdf(*widths, encrypt=None):
    file = io.BytesIO()
    canvas = Canvas(file, encrypt=encrypt)
    for width in widths:
        canvas.setPageSize((width, 72))
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def files_below(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_hostile_files_in_a_folder_are_all_named_and_the_others_read(read, tmp_path, scans):
    def saved(image, format, cut=None, **options):
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()[:cut]

    def png_chunk(content):
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8))
    palette = Image.new("P", (34, 40), 1)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR" + struct.pack(">IIBBBBB", 90_000, 90_000, 8, 0, 0, 0, 0))
    # Macs take no names that are no text.
    bytes_named, good_named = (b"bytes \xff.png", b"good \xfe.png") if takes_bytes(scans) else ("bytes.png", "good.png")
    bad = {
        "cut png.png": saved(noise, "PNG", 3000),
        "cut jpg.jpg": saved(noise, "JPEG", 1500),
        "cut tif.tif": saved(noise, "TIFF", 3000),
        "cut webp.webp": saved(noise, "WEBP", 1000),
        "cut pdf.pdf": pdf(72, 72)[:400],
        "no pages.pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\n"
        b"trailer<</Root 1 0 R>>",
        "encrypted.pdf": pdf(72, encrypt=StandardEncryption("secret")),
        "huge page.pdf": pdf(14_400_000),
        "tiny page.pdf": pdf(1),
        "bomb.png": bomb + png_chunk(b"IDAT" + zlib.compress(bytes(1000))),
        "text.png": b"not a picture",
        "text pdf.pdf": b"not a PDF",
        "empty.jpg": b"",
        "zeros.tiff": bytes(5000),
        "one row.png": saved(page(900, 1), "PNG"),
        "one pixel.png": saved(page(1, 1), "PNG"),
        "animation.gif": saved(noise, "GIF", save_all=True, append_images=[noise.rotate(90)]),
        "crash.png": saved(page(66), "PNG"),
        "script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\nshowpage\n",
        bytes_named: b"no picture either",
    }
    good = {
        "black.png": saved(Image.new("L", (31, 40)), "PNG"),
        "white.png": saved(page(32), "PNG"),
        "deep.png": saved(Image.fromarray(np.zeros((40, 33), np.uint16)), "PNG"),
        "palette.png": saved(palette, "PNG", transparency=0),
        "cmyk.jpg": saved(page(35, mode="CMYK"), "JPEG"),
        "really a png.jpg": saved(page(36), "PNG"),
        "really a pdf.png": pdf(72),
        "UPPER.JPEG": saved(page(37), "JPEG"),
        "bits.tif": saved(page(38, mode="1"), "TIFF", compression="group4"),
        good_named: saved(page(39), "PNG"),
    }
    for name, content in {**bad, **good}.items():
        Path(os.fsdecode(os.path.join(os.fsencode(scans), os.fsencode(name)))).write_bytes(content)
    (scans / "dangling.png").symlink_to(scans / "nothing")
    os.mkfifo(scans / "pipe.png")
    (scans / "folder.png").mkdir()
    (scans / "folder.png" / "inside.png").write_bytes(saved(page(40), "PNG"))
    (scans / "notes.txt").write_text("not to be read")
    (scans / "._cut.png").write_bytes(b"what a Mac leaves behind")

    code, out, err = read(scans, "--out", tmp_path / "texts")
    assert (code, out) == (2, "")
    summary = err[err.index("pages: ") :]
    assert summary.startswith("pages: 11 read, 22 broken; other files passed over: 1 (1 .txt)\n")
    broken = [os.fsencode(name).decode(errors="replace").replace("\ufffd", "?") for name in bad]
    for name in [*broken, "dangling.png", "pipe.png"]:
        assert summary.count(f"/scans/{name}: ") == 1
        assert err.count(f"error: {scans}/{name}: ") == 1
    written = {file.read_text() for file in (tmp_path / "texts").rglob("*.txt")}
    assert written == {f"{width}\n" for width in [*range(31, 41), 200]}
    assert (tmp_path / "texts" / "folder.png" / "inside.txt").read_text() == "40\n"


def test_a_folder_is_read_in_the_order_of_numbers_and_mirrored(read, reader, tmp_path, scans, caplog):
    (scans / "box 2").mkdir()
    (scans / ".hidden").mkdir()
    for name, width in {"page10.png": 20, "Page2.png": 12, "box 2/page1.png": 11, ".hidden/page1.png": 13}.items():
        page(width).save(scans / name)
    (scans / "about.txt").write_text("")
    (scans / "._page10.png").write_text("")  # which a Mac leaves beside pictures
    (scans / "a.\x1b[31m").write_text("")
    (scans / "link").symlink_to(scans)
    page(30).save(tmp_path / "first.png")
    code, _, err = read(tmp_path / "first.png", scans, "--out", tmp_path / "texts")
    assert code == 0
    assert reader.read == [30, 11, 12, 20]
    assert files_below(tmp_path / "texts") == ["Page2.txt", "box 2/page1.txt", "first.txt", "page10.txt"]
    assert "pages: 4 read; other files passed over: 2 (1 .\\x1b[31m, 1 .txt)" in err
    assert f"{scans}: 1 link to folders not followed (link)" in caplog.text


def test_copies_of_lines_that_fine_tuning_keeps_are_not_read(read, reader, scans):
    (scans / "my.run" / "lines" / "pictures").mkdir(parents=True)
    page(13).save(scans / "my.run" / "lines" / "pictures" / "00000.png")
    (scans / "my.run" / "begun.json").write_text("{}")
    page(20).save(scans / "page.png")
    assert read(scans)[0] == 0
    assert reader.read == [20]
    # `scans/*` names it too.
    assert read(scans / "my.run", scans / "page.png")[0] == 0
    assert reader.read == [20, 20]
    # A folder that happens to be called so is none.
    (scans / "my.run" / "begun.json").unlink()
    assert read(scans)[0] == 0
    assert reader.read == [20, 20, 13, 20]


def test_small_writing_in_a_pdf_may_be_drawn_larger(read, reader, scans, monkeypatch):
    note = "the lines are 9 pixels high, too few to read them well; scan the page larger"
    found = reader.find_page
    monkeypatch.setattr(reader, "read_page", lambda picture: replace(found(picture), notes=(note,)))
    for name in ("page.pdf", "page.png"):
        page(20).save(scans / name)
    _, _, err = read(scans / "page.pdf", scans / "page.png")
    assert err.count("too few to read them well; give a higher --dpi, or scan the page larger") == 1
    assert err.count("too few to read them well; scan the page larger") == 1


def test_an_empty_name_of_a_folder_is_not_the_current_one(read, scans):
    page(20).save(scans / "page.png")
    code, _, err = read(scans / "page.png", "--out", "")
    assert code == 2
    assert "--out: an empty name was given; name a folder" in err


def test_a_gpu_that_cannot_be_used_ends_it_with_a_word(read, reader, scans, monkeypatch):
    def fail(picture):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nSearch for more")

    monkeypatch.setattr(reader, "read_page", fail)
    for width in (20, 21):
        page(width).save(scans / f"{width}.png")
    code, _, err = read(scans)
    assert code == 2
    assert (
        err.count(
            "the GPU cannot be used (CUDA error: no kernel image is available for execution on the device); to do without"
        )
        == 1
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            "the GPU cannot be used (CUDA out of memory. Tried to",
        ),
        (MemoryError(), "the memory is too small for it; scale it down, or close other programs"),
        (
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
            "the memory is too small for it",
        ),
        (ValueError("one\ntwo"), "could not be read (ValueError: one); please report it with this page"),
    ],
)
def test_a_page_for_which_there_is_no_room_is_named_and_the_next_is_read(read, reader, scans, monkeypatch, error, said):
    usual = reader.read_page

    def fail(picture):
        if picture.shape[1] == 20:
            raise error
        return usual(picture)

    monkeypatch.setattr(reader, "read_page", fail)
    for width in (20, 21):
        page(width).save(scans / f"{width}.png")
    code, _, err = read(scans)
    assert (code, reader.read) == (2, [21])
    assert f"20.png: {said}" in err


def test_results_below_the_folder_that_is_read_are_not_read(read, scans):
    page(20).save(scans / "page.png")
    results = scans / "results"
    assert read(scans, "--format", "pdf", "--out", results)[0] == 0
    code, _, err = read(scans, "--format", "pdf", "--out", results, "--resume")
    assert code == 0
    assert files_below(results) == ["page.pdf"]
    code, _, err = read(scans, "--out", scans)
    assert code == 2
    assert "is the folder that is read" in err
    # Nor are pictures there passed over in silence.
    page(21).save(results / "SECOND.PNG")
    code, _, err = read(scans, "--out", results, "--resume")
    assert code == 2 and f"{results}: has pictures that are to be read; choose another folder" in err


def test_a_folder_without_pictures_is_an_error(read, scans):
    (scans / "notes.txt").write_text("")
    code, _, err = read(scans)
    assert code == 2
    assert "scans: holds no pictures or PDF files" in err
    (scans / "more").mkdir()
    code, _, err = read(scans, scans / "more")
    assert (code, err.count("scans: holds no"), err.count("more: holds no")) == (2, 1, 1)


def test_pictures_that_an_earlier_reading_left_there_are_no_pages(read, reader, tmp_path, scans):
    page(20).save(scans / "a.png")
    page(20).save(scans / "a.overlay.jpg")
    assert read(scans / "a.png", "--out", scans / "searchable", "--format", "pdf")[0] == 0
    (scans / "b.pdf").write_bytes(pdf(30))
    reader.read.clear()
    code, _, err = read(scans, "--out", tmp_path / "texts")
    assert (code, len(reader.read)) == (0, 2)
    assert "other files passed over: 2 (2 made by htr)" in err
    assert files_below(tmp_path / "texts") == ["a.txt", "b.txt"]
    # A pattern names them too.
    assert read(scans / "a.png", scans / "a.overlay.jpg", "--out", tmp_path / "again")[0] == 0
    assert files_below(tmp_path / "again") == ["a.txt"]
    code, _, err = read(scans / "a.overlay.jpg")
    assert (code, "a.overlay.jpg: is what htr made of a reading; give the page itself" in err) == (2, True)
    code, _, err = read(scans / "searchable", "--out", tmp_path / "none")
    assert (code, "searchable: holds no pictures or PDF files but those that htr made" in err) == (2, True)


@pytest.mark.parametrize(
    "suffix", [".bmp", ".gif", ".jfif", ".jpe", ".j2k", ".jp2", ".pbm", ".pgm", ".ppm", ".pnm", ".JPG"]
)
def test_pictures_of_rare_endings_are_found_in_folders(read, tmp_path, scans, suffix):
    page(200).save(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        kinds = {".bmp": "BMP", ".gif": "GIF", ".j2k": "JPEG2000", ".jp2": "JPEG2000", ".p": "PPM"}
        kind = kinds.get(suffix, kinds.get(suffix[:2], "JPEG"))
        picture.save(scans / f"page{suffix}", kind)
    assert read(scans, "--out", tmp_path / "texts")[0] == 0
    assert (tmp_path / "texts" / "page.txt").read_text() == "200\n"


def test_photographs_of_iphones_are_found_in_folders(read, tmp_path, scans):
    pillow_heif.from_pillow(page(200, mode="RGB")).save(scans / "letter.heic")
    pillow_heif.from_pillow(page(201, mode="RGB")).save(scans / "IMG_0001.HEIC")
    assert read(scans, "--out", tmp_path / "texts")[0] == 0
    assert files_below(tmp_path / "texts") == ["IMG_0001.txt", "letter.txt"]
    assert (tmp_path / "texts" / "letter.txt").read_text() == "200\n"


def test_a_home_folder_that_the_shell_left_as_typed_is_found(read, tmp_path, scans, monkeypatch):
    monkeypatch.setenv("HOME", str(scans))
    monkeypatch.chdir(tmp_path)
    page(20).save(scans / "page.png")
    assert read("~/page.png", "--out", "~/texts")[0] == 0
    assert (scans / "texts" / "page.txt").read_text() == "20\n"
    assert not (tmp_path / "~").exists()
    # What is there under that name comes first.
    (tmp_path / "~").mkdir()
    page(21).save(tmp_path / "~" / "page.png")
    assert read("~/page.png", "--out", "texts")[0] == 0
    assert (tmp_path / "texts" / "page.txt").read_text() == "21\n"
    code, _, err = read("~/none.png")
    assert code == 2 and f"{scans / 'none.png'}: no such file; check the path" in err


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("~", "/home/ann"), ("~/a", "/home/ann/a"), ("--out=~/a", "--out=/home/ann/a"), ("run=~/a", "run=/home/ann/a"),
        ("lines:~/a", "lines:/home/ann/a"), ("data=pages:iam:~/a", "data=pages:iam:/home/ann/a"),
        ("a~/b", "a~/b"), ("/~/a", "/~/a"), ("page~1.png", "page~1.png"), ("minutes=~", "minutes=~"),
        ("~$letter.doc", "~$letter.doc"), ("", ""),
    ],
)  # fmt: skip
def test_in_all_commands_a_home_folder_may_be_left_as_typed(word, meant, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.chdir(tmp_path)
    assert from_home(word) == meant


def test_a_folder_without_pictures_costs_no_other(read, tmp_path, scans):
    page(20).save(scans / "page.png")
    (tmp_path / "empty").mkdir()
    code, _, err = read(tmp_path / "empty", scans, "--out", tmp_path / "texts")
    assert code == 2 and f"error: {tmp_path / 'empty'}: holds no pictures or PDF files" in err
    assert files_below(tmp_path / "texts") == ["page.txt"]


def test_a_result_that_cannot_be_written_costs_no_other(read, tmp_path, scans):
    for name in ("a", "b"):
        (scans / name).mkdir()
        page(20).save(scans / name / "page.png")
    out = tmp_path / "texts"
    out.mkdir()
    (out / "a").write_text("a file where a folder is needed")
    code, _, err = read(scans, "--out", out)
    assert code == 2 and "pages: 1 read, 1 broken" in err
    assert err.count(f"{out / 'a' / 'page.txt'}: cannot be written") == 2  # when it happens and in the summary
    assert "mend that, or choose another --out" in err
    assert files_below(out) == ["a", "b/page.txt"]


def test_a_result_that_appears_while_pages_are_read_is_kept_and_said(read, reader, tmp_path, scans, monkeypatch):
    page(20).save(scans / "page.png")
    found = reader.find_page

    def meanwhile(picture, **_):
        (tmp_path / "page.txt").write_text("of another run")
        return found(picture)

    monkeypatch.setattr(reader, "find_page", meanwhile)
    code, _, err = read(scans / "page.png", "--out", tmp_path)
    assert code == 2 and "page.txt: was written meanwhile" in err
    assert (tmp_path / "page.txt").read_text() == "of another run"


def test_a_page_is_no_result_of_itself(read, scans):
    content = pdf(30)
    (scans / "letter.pdf").write_bytes(content)
    for words in ((), ("--resume",)):
        code, _, err = read(scans / "letter.pdf", "--format", "pdf", "--out", scans, *words)
        assert code == 2 and "letter.pdf: is to be read, and the result would go there too" in err
    assert (scans / "letter.pdf").read_bytes() == content


@pytest.mark.parametrize("form", ["text", "pdf", "page2013"])
def test_all_files_of_a_folder_named_go_on_beside_their_results(read, reader, scans, form):
    for number, width in enumerate((20, 21, 99), 1):
        page(width).save(scans / f"{number}.png")
    (scans / "notes.xml").write_text("<notes/>")
    out = scans / "page" if form == "page2013" else scans

    def named():
        return sorted(scans.iterdir())

    options = "--format", form, "--overlay", "--out", out
    assert read(*named(), *options)[0] == 130
    written = files_below(scans)
    page(22).save(scans / "3.png")
    assert read(*named(), *options)[0] == 2  # what is there is not written over
    reader.read.clear()
    code, _, err = read(*named(), *options, "--resume")
    # The notes are no picture where results go elsewhere.
    assert (code, reader.read) == (0 if out == scans else 2, [22]), err
    assert len(files_below(scans)) == len(written) + 2


def test_a_wrong_name_beside_the_results_is_said(read, reader, scans, tmp_path):
    page(20).save(scans / "a.png")
    page(21).save(scans / "scan001", "PNG")
    for words, complaint in [
        ([scans / "b"], "b: no such file"),
        ([scans / "b", scans / "a.png"], "b: no such file"),
        ([scans, tmp_path], "is the folder that is read"),
    ]:
        code, _, err = read(*words, "--out", scans)
        assert code == 2 and complaint in err
    reader.read.clear()
    assert read(scans / "scan001", "--out", scans, "--resume")[0] == 0 and reader.read == [21]


def test_files_may_stand_behind_options_and_begin_with_a_dash(read, reader, tmp_path, scans, monkeypatch):
    monkeypatch.chdir(scans)
    for name, width in (("a.png", 20), ("-1.png", 21), ("-hands.png", 22)):
        page(width).save(scans / name)
    code, _, err = read("-hands.png", "--out", tmp_path / "texts", "a.png", "-1.png")
    assert (code, reader.read) == (0, [22, 20, 21]), err


def test_a_page_that_is_given_twice_is_read_once(read, reader, tmp_path, scans, monkeypatch):
    page(20).save(scans / "page.png")
    monkeypatch.chdir(tmp_path)
    assert read("scans/page.png", scans, scans / "page.png", "--out", tmp_path / "texts")[0] == 0
    assert reader.read == [20]


def test_a_name_that_is_all_dots_is_a_name(read, tmp_path, scans):
    page(20).save(scans / "..png", "PNG")
    assert read(scans / "..png", "--out", tmp_path / "texts")[0] == 0
    assert len(files_below(tmp_path / "texts")) == 1


def test_an_empty_name_is_not_the_current_folder(read):
    code, _, err = read("")
    assert (code, "an empty name was given" in err) == (2, True)


def test_results_of_files_that_differ_in_their_endings_keep_the_whole_name(read, reader, tmp_path, scans, caplog):
    for name, width in {"letter.tif": 20, "letter.webp": 21, "two.tif": 22, "alone.png": 23}.items():
        page(width).save(scans / name)
    (scans / "two.pdf").write_bytes(pdf(72, 36))
    # Their plain names would meet what others' whole names make, and the number of a page.
    page(24).save(scans / "letter.tif.png")
    page(25).save(scans / "scan-0002.png")
    (scans / "scan.tiff").write_bytes(tiff(26, 27))
    command = scans, "--out", tmp_path / "texts"
    code, _, err = read(*command)
    assert code == 0, err
    assert "7 files nearly named as others (such as" in caplog.text
    texts = {
        "alone.txt": 23, "letter.tif.png.txt": 24, "letter.tif.txt": 20, "letter.webp.txt": 21, "scan-0002.png.txt": 25,
        "scan.tiff-0001.txt": 26, "scan.tiff-0002.txt": 27, "two.pdf-0001.txt": 200, "two.pdf-0002.txt": 100, "two.tif.txt": 22,
    }  # fmt: skip
    assert files_below(tmp_path / "texts") == sorted(texts)
    assert all((tmp_path / "texts" / name).read_text() == f"{width}\n" for name, width in texts.items())
    (tmp_path / "texts" / "letter.webp.txt").unlink()
    reader.read.clear()
    assert read(*command, "--resume")[0] == 0
    assert reader.read == [21]
    assert files_below(tmp_path / "texts") == sorted(texts)


def test_results_whose_names_some_disks_take_for_one_keep_the_whole_name(read, tmp_path, scans):
    names = {"Scan1.jpg": 20, "scan1.png": 21, "caf\u00e9.png": 22, "cafe\u0301.tif": 23}
    for name, width in names.items():
        page(width).save(scans / name)
    assert read(scans, "--out", tmp_path / "texts")[0] == 0
    assert files_below(tmp_path / "texts") == sorted(f"{name}.txt" for name in names)


def test_a_broken_file_that_was_mended_changes_the_name_of_no_other_result(read, reader, tmp_path, scans):
    page(20).save(scans / "letter.tif")
    (scans / "letter.webp").write_bytes(b"RIFF")
    command = scans, "--out", tmp_path / "texts", "--resume"
    assert read(*command)[0] == 2
    page(21).save(scans / "letter.webp")
    assert read(*command)[0] == 0
    assert reader.read == [20, 21]
    assert files_below(tmp_path / "texts") == ["letter.tif.txt", "letter.webp.txt"]


def test_files_of_one_name_from_two_folders_are_refused_before_reading(read, reader, tmp_path, scans, caplog):
    for name in ("a", "b"):
        (scans / name).mkdir()
        page(20).save(scans / name / "page.png")
    code, _, err = read(scans / "a", scans / "b", "--out", tmp_path / "texts")
    assert (code, reader.read) == (2, [])
    assert "would both be written to" in err and "; give the folder above both, rename one, or use two folders" in err
    # On the screen, names do not matter.
    assert read(scans / "a", scans / "b")[0] == 0
    assert "nearly named as others" not in caplog.text
    assert read(scans, "--out", tmp_path / "texts")[0] == 0
    assert files_below(tmp_path / "texts") == ["a/page.txt", "b/page.txt"]


def test_of_a_document_each_page_gets_a_file(read, tmp_path):
    (tmp_path / "letter.pdf").write_bytes(pdf(72, 144, 36))
    code, _, _ = read(tmp_path / "letter.pdf", "--dpi", 100, "--format", "json", "--out", tmp_path / "out")
    assert code == 0
    assert files_below(tmp_path / "out") == ["letter-0001.json", "letter-0002.json", "letter-0003.json"]
    pages = [json.loads((tmp_path / "out" / f"letter-000{number}.json").read_text()) for number in (1, 2, 3)]
    assert [(page["number"], page["width"], page["height"]) for page in pages] == [
        (1, 100, 100),
        (2, 200, 100),
        (3, 50, 100),
    ]
    assert pages[0]["file"] == str(tmp_path / "letter.pdf")


def test_a_damaged_page_costs_no_other(read, tmp_path):
    (tmp_path / "scan.tiff").write_bytes(tiff(20, 21, 22, damaged=2))
    code, out, err = read(tmp_path / "scan.tiff")
    page1, page3 = (f"==> {tmp_path}/scan.tiff, page {number} <==" for number in (1, 3))
    assert (code, out) == (2, f"{page1}\n20\n\n{page3}\n22\n")
    assert "scan.tiff, page 2: damaged or cut short" in err
    assert "scan.tiff, page 3: looks odd" in err
    assert "pages: 2 read, 1 broken" in err


def test_a_stopped_run_goes_on(read, reader, tmp_path, scans):
    for number, width in enumerate([20, 21, 66, 99, 23], 1):
        page(width).save(scans / f"{number}.png")
    command = scans, "--out", tmp_path / "texts"
    code, _, err = read(*command)
    assert code == 130
    assert "the same command with --resume goes on" in err
    assert files_below(tmp_path / "texts") == ["1.txt", "2.txt"]
    page(22).save(scans / "4.png")
    code, _, err = read(*command)
    assert code == 2
    assert "1.txt: is there already" in err
    assert (tmp_path / "texts" / "1.txt").read_text() == "20\n"
    (tmp_path / "texts" / ".4f1c.partial").write_text("left by a power cut")
    reader.read.clear()
    code, _, err = read(*command, "--resume")
    assert code == 2
    assert reader.read == [22, 23]
    assert "pages: 2 read, 2 there before, 1 broken\n" in err
    page(24).save(scans / "3.png")
    reader.read.clear()
    code, _, err = read(*command, "--resume")
    assert (code, reader.read) == (0, [24])
    names = [name for name in files_below(tmp_path / "texts") if not name.startswith(".")]
    assert names == [f"{number}.txt" for number in range(1, 6)]
    # A page that is passed over is told of, also a single one: the result may be of another page of that name.
    code, _, err = read(scans / "3.png", "--out", tmp_path / "texts", "--resume")
    assert (code, err) == (0, "pages: 0 read, 1 there before\n")


def test_a_link_that_leads_to_itself_costs_no_other(read, reader, tmp_path, scans):
    page(20).save(scans / "1.png")
    (scans / "2.png").symlink_to(scans / "2.png")
    code, _, err = read(scans / "1.png", scans / "2.png", "--out", tmp_path / "texts")
    assert (code, reader.read) == (2, [20]), err
    assert "2.png: " in err and "pages: 1 read, 1 broken" in err


def test_what_is_there_is_kept_when_another_result_is_wanted(read, tmp_path):
    page(200, 200).save(tmp_path / "page.png")
    (tmp_path / "page.txt").write_text("corrected by hand")
    code, _, _ = read(tmp_path / "page.png", "--out", tmp_path, "--overlay", "--resume")
    assert code == 0
    assert (tmp_path / "page.txt").read_text() == "corrected by hand"
    with Image.open(tmp_path / "page.overlay.jpg") as overlay:
        assert overlay.format == "JPEG"


def test_a_file_where_the_folder_of_results_should_be_is_named_and_kept(read, tmp_path, scans):
    out = tmp_path / "out"
    out.write_text("precious")
    page(11).save(scans / "page.png")
    code, _, err = read(scans, "--out", out)
    assert (code, err.strip()) == (2, f"error: {out}: is a file where a folder is needed; choose another folder")
    assert out.read_text() == "precious"


def test_a_name_that_leaves_no_room_for_a_suffix_is_said_before_reading(read, reader, tmp_path, scans):
    page(11).save(scans / f"{'a' * 249}.png")
    code, _, err = read(scans, "--out", tmp_path / "texts")
    assert (code, "too long" in err, reader.read) == (0, False, [11]), err
    code, _, err = read(scans, "--out", tmp_path / "xml", "--format", "alto")
    assert (code, "this name is too long for a file; give the page a shorter one" in err, reader.read) == (
        2,
        True,
        [11],
    )


def test_a_name_too_long_for_its_result_is_named_and_the_others_are_read(read, reader, tmp_path, scans):
    long = f"{'ü' * 123}.png"
    page(11).save(scans / long)
    page(12).save(scans / "b.png")
    out = tmp_path / "out"
    code, _, err = read(scans, "--out", out, "--format", "hocr")
    assert (code, reader.read) == (2, [12])
    assert [file.name for file in out.iterdir()] == ["b.hocr.html"]
    assert err.count(f"{long}: with what results add, this name is too long") == 2  # at once and at the end
    assert "1 read, 1 broken" in err


def test_of_a_name_too_long_it_is_said_by_how_much(read, tmp_path, scans):
    page(11).save(scans / f"{'é' * 125}.png")
    code, _, err = read(scans / f"{'é' * 125}.png", "--out", tmp_path / "out", "--format", "hocr")
    # 250 bytes, and 10 more with .hocr.html.
    assert (code, "by 5 bytes (letters such as é are two bytes or more)" in err) == (2, True), err


def test_a_result_that_is_a_link_to_nowhere_stays(read, tmp_path, scans):
    page(20).save(scans / "page.png")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "page.txt").symlink_to(tmp_path / "annex")
    code, _, err = read(scans, "--out", tmp_path / "texts")
    assert (code, "page.txt: is there already" in err) == (2, True)
    assert read(scans, "--out", tmp_path / "texts", "--resume")[0] == 0
    assert (tmp_path / "texts" / "page.txt").is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="such names are not possible there")
def test_names_that_would_rule_the_screen_are_spelt_out(read, tmp_path, scans):
    page(20).save(scans / "a\x1b[2J.png")
    page(20).save(scans / "b.png")
    (scans / "c\nerror: d.png").write_bytes(b"no picture")
    code, out, err = read(scans)
    assert code == 2 and "\x1b" not in out + err
    assert f"==> {scans}/a\\x1b[2J.png <==\n" in out
    assert err.count("c\\nerror: d.png: ") == 2 and "\nerror: d.png" not in err


def test_what_is_printed_is_utf_8_on_any_screen(scans):
    words = "import sys; from htr.recognize import _show; _show('œuvre é'.encode())"
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"}
    )
    assert done.stdout.decode() == "œuvre é", done.stderr


def test_an_output_that_cannot_be_written_is_told_with_what_was_read(scans, read, reader, monkeypatch):
    class Full:
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    for number in (20, 21):
        page(number).save(scans / f"{number}.png")
    monkeypatch.setattr("sys.stdout", Full())
    code, _, err = read(scans)
    assert code == 2
    assert "pages: 0 read, 2 left" in err
    assert err.endswith("error: the output cannot be written (No space left on device); make room, or give --out DIR\n")


def test_a_full_disk_is_said_in_one_sentence(read, reader, monkeypatch, tmp_path, scans):
    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    page(20).save(scans / "page.png")
    page(21).save(scans / "second.png")
    code, _, err = read(scans, "--out", tmp_path / "texts")
    assert code == 2
    assert (
        "page.txt: cannot be written (No space left on device); make room there, or make it writable, and go on with --resume"
        in err
    )
    assert "pages: 0 read, 2 left\nerror: " in err
    assert files_below(tmp_path / "texts") == []
    assert reader.read == [20]  # what cannot be written need not be read


def test_formats_that_need_files_say_so(read, reader, tmp_path):
    (tmp_path / "two.tiff").write_bytes(tiff(20, 21))
    page(22).save(tmp_path / "one.png")
    for words in (
        ["--format", "pdf"],
        ["--overlay"],
        ["--resume"],
        ["--format", "alto"],
        ["--format", "page"],
        ["--format", "page2013"],
        ["--format", "hocr"],
    ):
        code, out, err = read(tmp_path / "two.tiff", *words)
        assert (code, out) == (2, "")
        assert "give --out DIR" in err
    assert reader.read == []
    code, out, _ = read(tmp_path / "one.png", "--format", "page")
    assert code == 0
    assert "<PcGts" in out
    _, out, _ = read(tmp_path / "two.tiff", "--format", "jsonl")
    assert [json.loads(line)["width"] for line in out.splitlines()] == [20, 21]
    _, out, _ = read(tmp_path / "two.tiff", "--format", "csv")
    assert [row.split(",")[1] for row in out.splitlines()] == ["page number", "1", "2"]  # one table


@pytest.mark.parametrize("dpi", [0, -5, 100_000])
def test_an_absurd_resolution_is_refused(read, tmp_path, dpi):
    code, _, err = read(tmp_path / "any.pdf", "--dpi", dpi)
    assert code == 2
    assert f"--dpi {dpi}: must be from" in err


def test_lines_from_a_folder(read, reader, tmp_path, scans):
    for number in range(1, 13):
        page(100 + number, 12).save(scans / f"line{number}.png")
    (scans / "line3.png").write_bytes(b"")
    code, out, err = read("--line", scans)
    assert (code, out) == (2, "".join(f"{100 + number}\n" for number in range(1, 13) if number != 3))
    assert "lines: 11 read, 1 broken" in err
    code, _, _ = read("--line", scans / "line1.png", "--format", "alto", "--out", tmp_path / "out")
    assert code == 0
    assert files_below(tmp_path / "out") == ["line1.alto.xml"]


def test_lines_of_a_document_are_read_page_by_page(read, reader, scans, monkeypatch):
    (scans / "lines.tif").write_bytes(tiff(101, 102, 103))
    assert read("--line", scans / "lines.tif")[1] == "101\n102\n103\n"
    (scans / "lines.pdf").write_bytes(pdf(360, 720))
    reader.read.clear()
    assert read("--line", "--dpi", 144, scans / "lines.pdf")[0] == 0
    assert reader.read == [720, 1440]


def test_a_line_without_a_text_keeps_its_row(read, reader, scans, monkeypatch):
    for number in range(1, 4):
        page(100 + number, 12).save(scans / f"line{number}.png")
    monkeypatch.setattr(
        reader, "read_lines", lambda pictures: [line_of(p, f"{p.shape[1]}" * (p.shape[1] != 102)) for p in pictures]
    )
    code, out, err = read("--line", scans)
    assert (code, out) == (0, "101\n\n103\n")
    assert "line2.png: nothing could be read in this line" in err
    # Of many pictures, a part at a time is read, of several lines if these are not far too large.
    calls, read_lines = [], reader.read_lines
    monkeypatch.setattr(reader, "read_lines", lambda pictures: calls.append(len(pictures)) or read_lines(pictures))
    monkeypatch.setattr("htr.batch._CHUNK_PIXELS", 1)
    monkeypatch.setattr("htr.batch._CHUNK_LINES", 2)
    assert read("--line", scans)[1] == "101\n\n103\n"
    monkeypatch.setattr("htr.batch._MOST_PIXELS", 1)
    assert read("--line", scans)[1] == "101\n\n103\n"
    for name, count in {"_CHUNK_PIXELS": 10**9, "_MOST_PIXELS": 10**9, "_MOST_LINES": 2}.items():
        monkeypatch.setattr(f"htr.batch.{name}", count)
    assert read("--line", scans)[1] == "101\n\n103\n"
    assert calls == [2, 1, 1, 1, 1, 2, 1]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell the memory in use")
def test_memory_does_not_grow_with_the_number_of_pages(read, reader, scans, monkeypatch):
    def in_use(picture):
        memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        if len(memory) % 3 == 0:
            raise RuntimeError("broken pages are not kept either")
        return Page(picture.shape[1], picture.shape[0])

    memory = []
    reader.read_page = in_use
    first, *others = [Image.new("RGB", (1000, 1000))] * 20
    first.save(scans / "many.tiff", save_all=True, append_images=others, compression="tiff_lzw")
    for number in range(40):
        first.save(scans / f"{number}.png")
    assert read(scans)[0] == 2
    assert len(memory) == 60
    assert memory[-1] - memory[10] < 30_000_000  # ten of the pages


def test_a_line_that_fails_is_named_and_the_others_are_read(read, reader, scans, tmp_path):
    for width in (50, 66, 70):
        page(width).save(scans / f"{width}.png")
    code, _, err = read(scans, "--line", "--out", tmp_path / "out")
    assert code == 2
    assert "66.png" in err and "out of memory" in err
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["50.txt", "70.txt"]
