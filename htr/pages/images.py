"""Opening pictures and PDF files page by page, with a clear word for every file that cannot be opened."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PLANAR_CONFIGURATION
from pypdfium2 import PdfDocument, PdfiumError, PdfPage
from pypdfium2.raw import (
    FPDF_ERR_PASSWORD,
    FPDF_ERR_SECURITY,
    FPDF_PAGEOBJ_IMAGE,
    FPDF_PAGEOBJ_TEXT,
    FPDFPage_GetAnnotCount,
)

from htr.errors import InputError, first_line

MAX_PIXELS = 178_000_000
"""Largest picture that is opened, in pixels: an A2 sheet at 600 dpi has 139 million. Pillow itself opens hardly more."""

MIN_SIDE = 8
"""Smallest width and height in which there can be writing, in pixels."""

MAX_PAGES = 10_000
"""Most pages that a file may have: damaged files claim millions."""

PDF_DPI = 200
"""Pixels per inch at which pages of a PDF are drawn if nothing else is said; fewer where such a page is a scan of fewer."""

# A scan fills so much of its page, and has so many pixels at least (A4 at 150 dpi), or it would be drawn too small to be read well.
_FILLED, _ENOUGH = 0.9, 2_200_000

_OF_JPEG = ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".jpf", ".jpx"
_OF_HEIC = ".heic", ".heif"
SUFFIXES = frozenset(
    {*_OF_JPEG, *_OF_HEIC, ".bmp", ".gif", ".pbm", ".pdf", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""What the names of files that can be opened end in; the content decides, whatever the name."""

# Of pictures whose names differ in their endings alone, those of these endings are mostly copies, the last ones the poorest.
_COPIES = *_OF_JPEG, *_OF_HEIC, ".webp", ".gif", ".pdf"

_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# How files begin that are TIFF, or its form for large ones.
_TIFF = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
# How a picture is turned upright that lies as EXIF says.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# Scanners' colour profiles may be larger than Pillow takes single ones for sound; of all together it stops at this.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
_PHOTOMETRIC, _DNG_VERSION = 262, 50706  # TIFF: 0 = white is 0; a raw photograph has the other
# Deep grey is scaled by the value that so many percent of a picture do not pass: a broken pixel or two may be far above.
_BRIGHTEST = 99.9

NEW_SUBFILE_TYPE, REDUCED_OR_MASK = 254, 0b101  # TIFF: bits of the tag that say what a picture is in the file


def open_image(source: Path | str | bytes, name: str | None = None) -> np.ndarray:
    """Opens the picture in a file of one page as grey.

    Args:
        source: path of the file, or the file's bytes.
        name: what messages call the picture; the path if not given.

    Returns:
        Array of shape (height, width), uint8, 0 = black.

    Raises:
        InputError: the file has several pages, or one of the reasons of `open_page`.
    """
    with _opened(source, name) as document:
        if (pages := _count(document)) > 1:
            raise InputError(f"has {pages} pages; save each as a file of its own")
        return grey(np.asarray(_page(document, 1, None)))


def count_pages(source: Path | str | bytes, name: str | None = None) -> int:
    """Says how many pages a file has, without decoding them; pages that cannot be opened count too.

    Args:
        source: path of the file, or the file's bytes.
        name: what messages call the file; the path if not given.

    Raises:
        InputError: no such file, not a picture or PDF, damaged, protected by a password, an animation, or of no page
            or more than `MAX_PAGES`.
    """
    with _opened(source, name) as document:
        return _count(document)


def pdf_creator(file: Path) -> str:
    """The program that made a PDF file, by its own account; empty where it does not say, or cannot be opened."""
    try:
        with _opened(file, None) as document:
            return document.get_metadata_value("Creator") if isinstance(document, PdfDocument) else ""
    except InputError:
        return ""


def open_page(
    source: Path | str | bytes, number: int = 1, dpi: float | None = None, name: str | None = None
) -> Image.Image:
    """Opens one page of a file as a viewer shows it.

    Turns it as its EXIF orientation says, lays transparency over white, and scales 16-bit grey to 8 bit. Pages of a PDF
    are drawn with their annotations and form fields.

    Args:
        source: path of the file, or the file's bytes.
        number: of the page, from 1.
        dpi: pixels per inch at which a page of a PDF is drawn; if None, `PDF_DPI`, or as many as the scan has that the page consists
            of, if these are fewer.
        name: what messages call the page; the path if not given.

    Returns:
        A picture of mode L or RGB; its `info["dpi"]` holds the pixels per inch in x and y where they are known.

    Raises:
        InputError: one of the reasons of `count_pages`, or the page is damaged, of more than `MAX_PIXELS` pixels, or of
            less than `MIN_SIDE` pixels in width or height, or is none of the file's.
    """
    with _opened(source, name) as document:
        return _page(document, number, dpi)


def grey(picture: np.ndarray) -> np.ndarray:
    """Turns an array of a picture into grey.

    Args:
        picture: shape (height, width), or (height, width, 3 or 4) RGB(A); uint8, uint16 or bool, 0 = black.

    Returns:
        Shape (height, width), uint8, transparency laid over white.

    Raises:
        InputError: the array is not of this form, or has less than `MIN_SIDE` rows or columns.
    """
    if picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    elif picture.dtype == np.uint16:
        picture = _eight_bit(picture)
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InputError(
            f"a picture of shape {picture.shape} and type {picture.dtype} cannot be read; give (height, width) or "
            "(height, width, 3 or 4) of uint8"
        )
    _check_size(picture.shape[1], picture.shape[0])
    if channels == 4:
        picture = np.asarray(_over_white(Image.fromarray(picture)))
    if picture.ndim == 2 or channels == 1:
        return picture.reshape(picture.shape[:2])
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


@contextmanager
def _opened(source: Path | str | bytes, name: str | None) -> Iterator[Image.Image | PdfDocument]:
    """Opens a file; whatever goes wrong with it becomes an `InputError` that names it."""
    if name is None:
        name = "picture" if isinstance(source, bytes) else str(source)
    try:
        with (
            warnings.catch_warnings(),
            io.BytesIO(source) if isinstance(source, bytes) else _existing(Path(source)).open("rb") as handle,
        ):
            # Pillow warns of large pictures by a bound of its own, and of damage that it can cope with.
            warnings.simplefilter("ignore")
            with _document(handle) as document:
                yield document
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: larger than {MAX_PIXELS // 1_000_000} million pixels; scale it down or cut it into pages"
        ) from None
    except UnidentifiedImageError:
        raise InputError(
            f"{name}: not a picture that can be read; give a PNG, JPEG, HEIC, TIFF, WebP or PDF file"
        ) from None
    except PermissionError:
        raise InputError(f"{name}: may not be read; check its permissions") from None
    except MemoryError:
        raise InputError(
            f"{name}: the memory is too small for this picture; scale it down, or close other programs"
        ) from None
    except Exception as error:  # decoders raise nearly everything on damaged data
        raise InputError(f"{name}: damaged or cut short ({first_line(error)}); export or copy it again") from None


def _existing(path: Path) -> Path:
    if os.path.isdir(path):
        raise InputError("is a folder; give the picture files in it")
    if not os.path.exists(path):  # these two, unlike those of Path, also where the name is longer than one can be
        raise InputError("no such file; check the path")
    if not path.is_file():  # a pipe could let us wait for ever
        raise InputError("is no file; give a picture or PDF file")
    return path


def _document(handle: BinaryIO) -> Image.Image | PdfDocument:
    start = handle.read(12)
    handle.seek(0)
    if not start:
        raise InputError("is empty; copy it again")
    if start[4:8] == b"ftyp":
        return _heic(handle)
    try:
        return Image.open(handle, formats=_FORMATS)
    except UnidentifiedImageError:
        if start[:4] in _TIFF:  # whose table of contents may lie at its end
            raise InputError(
                "a TIFF file that is damaged, cut short or of a rare kind; copy it again, or save it as PNG"
            ) from None
        handle.seek(0)
        if b"%PDF-" not in handle.read(1024):
            raise
    try:
        document = PdfDocument(handle)
    except PdfiumError as error:
        handle.seek(0)
        # For a file without pages, pdfium repeats what was wrong with the one before.
        if error.err_code in (FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY) and b"/Encrypt" in handle.read():
            if error.err_code == FPDF_ERR_PASSWORD:
                raise InputError("is protected by a password; save it without one") from None
            raise InputError("is protected in a way that cannot be opened; save it without protection") from None
        raise InputError("a PDF file that is damaged, cut short or without pages; export or copy it again") from None
    document.init_forms()
    return document


def _heic(handle: BinaryIO) -> Image.Image:
    # Imported late: it takes a while, and makes Pillow know HEIC in the whole program.
    from pi_heif import register_heif_opener

    register_heif_opener()
    try:
        return Image.open(handle, formats=("HEIF",))
    except UnidentifiedImageError:  # also where it is damaged
        raise InputError(
            "a HEIC file that is damaged or cut short, or a film or picture of another kind; copy it again, or export it as JPEG"
        ) from None


def _count(document: Image.Image | PdfDocument) -> int:
    pages = len(document) if isinstance(document, PdfDocument) else sum(1 for _ in _frames(document))
    if not pages:
        raise InputError("has no pages; export it again")
    if pages > MAX_PAGES:
        raise InputError(f"has more than {MAX_PAGES:,} pages; split it")
    return pages


def _page(document: Image.Image | PdfDocument, number: int, dpi: float | None) -> Image.Image:
    if isinstance(document, PdfDocument):
        return _draw(document, number, dpi)
    _go_to(document, number)
    width, height = document.size
    _check_size(width, height)
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError
    sideways = _orientation(document) > 4
    if _is_torn(document):
        raise InputError("keeps its colours apart, in more than 8 bits, which cannot be read; save it as PNG")
    document.load()
    turn = _TURNS.get(_orientation(document))  # TIFF and HEIC files have turned themselves by now
    picture = _plain(_in_srgb(document if turn is None else document.transpose(turn)))
    resolution = [float(value) for value in document.info.get("dpi", ())]
    if sideways:
        resolution.reverse()
    known = len(resolution) == 2 and all(math.isfinite(value) and value >= 1 for value in resolution)
    picture.info = {"dpi": tuple(resolution)} if known else {}
    return picture


def _is_torn(document: Image.Image) -> bool:
    """Whether Pillow would take two rows for one: of a TIFF that keeps its colours apart, it takes each for one of 8 bits."""
    if document.format != "TIFF" or document.tag_v2.get(PLANAR_CONFIGURATION) != 2:
        return False
    return max(document.tag_v2.get(BITSPERSAMPLE, (1,))) > 8 and any(tile[0] == "raw" for tile in document.tile)


def _orientation(document: Image.Image) -> int:
    """EXIF's number of how a picture lies; 1, upright, also where its EXIF is odd: that need not cost the page."""
    try:
        return int(document.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # decoders raise nearly everything on damaged data
        return 1


def _frames(image: Image.Image) -> Iterator[Exception | None]:
    """Goes from page to page of a picture file; yields what is wrong with one that cannot be gone to."""
    if image.format != "TIFF":
        # Only the picture that opens of a phone's JPEG or HEIC is the photograph; the others are smaller ones and depth maps.
        if image.format not in ("MPO", "HEIF") and getattr(image, "n_frames", 1) > 1:
            raise InputError("is an animation; save the page as a PNG")
        yield None
        return
    if _DNG_VERSION in image.tag_v2 and image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & REDUCED_OR_MASK:
        raise InputError("is a raw photograph; export it as JPEG")
    pages = 0
    for index in range(MAX_PAGES + 1):
        try:
            with warnings.catch_warnings():
                # Of a file that ends within its list of pages, which Pillow takes for one of fewer, it only warns.
                warnings.filterwarnings("error", "Corrupt EXIF data", UserWarning)
                image.seek(index)
        except EOFError:
            if index and not pages:  # all are marked as small copies
                image.seek(0)
                yield None
            return
        except UserWarning:
            yield InputError("damaged or cut short within its list of pages; copy it again")
            return
        except (OSError, SyntaxError, ValueError, TypeError, KeyError) as error:
            pages += 1
            yield error
            continue
        if not image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & REDUCED_OR_MASK:
            pages += 1
            yield None


def _go_to(document: Image.Image, number: int) -> None:
    for position, error in enumerate(_frames(document), 1):
        if position == number:
            if error:
                raise error
            return
    raise _no_page(number)


def _no_page(number: int) -> InputError:
    return InputError(f"has no page {number}; ask for one that it has, the first is 1")


def _draw(document: PdfDocument, number: int, dpi: float | None) -> Image.Image:
    if not 1 <= number <= len(document):
        raise _no_page(number)
    page = document[number - 1]
    try:
        if min(page.get_size()) <= 0:
            raise InputError("shows nothing, as its crop box lies outside of it; export it again")
        try:
            dpi = dpi or min(PDF_DPI, _fineness(page))
        except PdfiumError:  # of a broken part, which need not cost the page
            dpi = PDF_DPI
        width, height = (math.ceil(side * dpi / 72) for side in page.get_size())
        _check_size(width, height)
        if width * height > MAX_PIXELS:
            raise InputError(
                f"{width} x {height} pixels at {dpi:g} dpi, more than {MAX_PIXELS // 1_000_000} million; "
                "read it at a lower dpi (--dpi)"
            )
        bitmap = page.render(scale=dpi / 72)
        try:
            picture = bitmap.to_pil().convert("RGB")
        finally:
            bitmap.close()
    finally:
        page.close()
    picture.info = {"dpi": (float(dpi), float(dpi))}
    return picture


def _fineness(page: PdfPage) -> float:
    """The pixels per inch of a page that is nothing but a scan, with its text perhaps, of pixels enough; infinite for others.

    Programs that put a photograph into a PDF may make the page as many points large as it has pixels, 72 to the inch.
    """
    parts = list(page.get_objects(max_depth=1))
    scans = [part for part in parts if part.type == FPDF_PAGEOBJ_IMAGE]
    others = {part.type for part in parts} - {FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_TEXT}
    if not scans or others or FPDFPage_GetAnnotCount(page):
        return math.inf
    width, height = page.get_size()
    finest = 0.0
    filled = False
    for scan in scans:
        matrix, pixels = scan.get_matrix(), scan.get_px_size()
        sides = math.hypot(matrix.a, matrix.b), math.hypot(matrix.c, matrix.d)
        if min(sides) <= 0:
            continue
        filled = filled or sides[0] * sides[1] > _FILLED * width * height
        finest = max(finest, *(72 * count / side for count, side in zip(pixels, sides)))
    enough = width * height * (finest / 72) ** 2 >= _ENOUGH
    return finest if filled and enough else math.inf


def by_worth(endings: Iterable[str]) -> list[str]:
    """Endings of pictures of one name, that of the one to take first."""
    return sorted(endings, key=lambda ending: (ending in _COPIES and _COPIES.index(ending) + 1, ending))


def can_hold_writing(picture: np.ndarray) -> bool:
    """Whether a picture of shape (height, width) is large enough to be read."""
    return min(picture.shape) >= MIN_SIDE


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise InputError(f"only {width} x {height} pixels, too few to hold writing; scan it larger")


def _in_srgb(image: Image.Image) -> Image.Image:
    """The colours as screens show those of pictures that do not tell theirs, as what is written of them does not."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK") or image.has_transparency_data:  # which would be lost
        return image
    try:
        return ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:  # a profile that is broken or not of this kind of picture, which need not cost the page
        return image


def _plain(image: Image.Image) -> Image.Image:
    """Reduces Pillow's many modes to L and RGB."""
    if image.mode.startswith(("I", "F")):
        grey = _eight_bit(np.asarray(image))
        # Pillow does not turn deep grey over of which 0 is white.
        negative = image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
        return Image.fromarray(255 - grey if negative else grey)
    if image.has_transparency_data:
        return _over_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _eight_bit(values: np.ndarray) -> np.ndarray:
    """Scales deep grey to 8 bit: from 1 for real numbers up to 1, else from the 8, 10, 12 or 16 bit that the values need, but for
    single ones that are higher."""
    values = np.fmax(values, 0)
    some = values[:: max(1, values.shape[0] // 1000), :: max(1, values.shape[1] // 1000)]
    highest = float(np.percentile(some, _BRIGHTEST)) if some.size else 0.0
    if values.dtype.kind == "f" and highest <= 2:  # sharpened, paper may be above 1
        white = 1.0
    else:
        white = next((white for white in (255.0, 1023.0, 4095.0, 65535.0) if highest <= white), highest)
    return cv2.convertScaleAbs(values, alpha=255 / white)
