"""Where fonts come from: installed packages (`fontpkg-...`), or a folder of font files."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import ImageFont

from htr.errors import InputError
from htr.files import files_below

FAMILIES = {
    "train": ("Dancing Script", "Delius", "Great Vibes", "Indie Flower", "Kalam", "Yellowtail", "Zeyada"),
    "val": ("Shadows Into Light",),
    "test": ("Caveat", "Satisfy"),
}
"""The fonts of each split of the embedded lines, by family name; those of test draw the sample page too."""

HANDWRITING = (*FAMILIES["train"], "Oleo Script", "Pacifico")
"""The handwriting fonts that come as packages with htr, by family name."""

SUFFIXES = ".ttf", ".otf", ".woff", ".woff2"
"""What the names of font files end in."""

KEPT_APART = (*FAMILIES["test"], *FAMILIES["val"])
"""Recognisers are not trained on these."""

# Files of other weights than regular and bold have them in the family's name.
_KEPT_APART = re.compile(
    rf"({'|'.join(KEPT_APART)})( (Thin|(Extra|Ultra|Semi|Demi) ?(Light|Bold)|Light|Medium|Black|Heavy))?"
)


def font_path(family: str) -> Path:
    """Finds the file of a font among the installed packages, in its light weight where it has one.

    Raises:
        InputError: the font is not installed.
    """
    package = "fontpkg-" + family.lower().replace(" ", "-")
    try:
        import fontpkg

        return fontpkg.path(family, weight="light", nearest=True)
    except (ImportError, LookupError):
        raise InputError(f"{family}: this font is not installed; install it with `pip install {package}`") from None


def handwriting_fonts(folder: Path | None = None) -> list[Path]:
    """Finds handwriting fonts to train on.

    Args:
        folder: with font files (of `SUFFIXES`), also in folders below it; without it, the installed packages serve.

    Returns:
        The font files, sorted, but for those of `KEPT_APART`.

    Raises:
        InputError: there is no such folder, it holds no font, one of its fonts cannot be opened, or a package is
            missing.
    """
    if folder is None:
        return sorted(font_path(family) for family in HANDWRITING)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with fonts ({', '.join(SUFFIXES)})")
    files = [file for file in files_below(folder) if file.suffix.lower() in SUFFIXES]
    files = [file for file in files if _KEPT_APART.fullmatch(open_font(file, 10).getname()[0] or "") is None]
    if not files:
        raise InputError(
            f"{folder}: no fonts ({', '.join(SUFFIXES)}) in this folder to train on; put some handwriting fonts into it, others than "
            f"{', '.join(KEPT_APART)}, which are kept for tests"
        )
    return files


def open_font(file: Path, size: float) -> ImageFont.FreeTypeFont:
    """Opens a font file at a size in pixels per em.

    Raises:
        InputError: the file cannot be opened, or is no font.
    """
    try:
        # The basic layout is in every build of Pillow, so that the pictures are the same everywhere.
        return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise InputError(f"{file}: not a font that can be opened ({error}); remove or replace this file") from None
