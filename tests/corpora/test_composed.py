import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from htr.corpora import composed
from htr.corpora.band import find_band
from htr.corpora.composed import Composer, hand_of
from htr.corpora.embedded import embedded_lines
from htr.corpora.sample import Sample
from htr.errors import InputError
from htr.fonts import font_path

SIDE = 256
TEXT = "the quick brown fox jumps over a lazy dog now and then"


@pytest.fixture(scope="module")
def composer():
    return Composer(embedded_lines("train", 14), SIDE)


def ink_in(font: ImageFont.FreeTypeFont, text: str, baseline: int, height: int) -> np.ndarray:
    sheet = Image.new("L", (int(font.getlength(text)) + 40, height), 0)
    ImageDraw.Draw(sheet).text((20, baseline), text, fill=255, font=font, anchor="ls")
    return np.asarray(sheet, np.float32) / 255


def test_a_seed_gives_the_same_piece_each_time(composer):
    again = Composer(embedded_lines("train", 14), SIDE)
    again(7)
    assert np.array_equal(composer(3).picture, again(3).picture)
    assert np.array_equal(composer(3).cores, again(3).cores)
    assert not np.array_equal(composer(3).picture, composer(4).picture)


def test_pieces_and_cores_have_their_shapes(composer):
    piece = composer(0)
    assert (piece.picture.shape, piece.picture.dtype) == ((SIDE, SIDE), np.uint8)
    assert (piece.cores.shape, piece.cores.dtype) == ((2, SIDE // 4, SIDE // 4), np.uint8)


def test_cores_lie_where_the_ink_is(composer):
    """Moved up or down by a few pixels they would cover less of it."""
    covered = {shift: [] for shift in (-6, 0, 6)}
    outside = []
    for seed in range(24):
        piece = composer(seed)
        grey = piece.picture.astype(np.float32)
        # What differs from the paper around it, whatever its brightness.
        strokes = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 12))
        core = cv2.resize(piece.cores.max(0), (SIDE, SIDE)) > 127
        if core.any():
            outside.append(strokes[~core].mean())
            for shift, means in covered.items():
                means.append(strokes[np.roll(core, shift, 0)].mean())
    assert len(outside) > 10
    assert np.mean(covered[0]) > 1.5 * np.mean(outside)
    assert np.mean(covered[0]) > 1.1 * max(np.mean(covered[-6]), np.mean(covered[6]))


def test_print_and_writing_have_maps_of_their_own(composer):
    pieces = [composer(seed) for seed in range(16)]
    writing, print_ = (sum((piece.cores[kind] > 127).sum() for piece in pieces) for kind in (0, 1))
    both = sum((piece.cores.min(0) > 127).sum() for piece in pieces)
    assert 0 < print_ < writing
    assert both < 0.2 * print_


def test_entries_and_sums_of_accounts_are_lines_of_their_own(composer, monkeypatch):
    def cores_of(seeds: range) -> list[int]:
        maps = ((composer(seed).cores.max(0) > 127).astype(np.uint8) for seed in seeds)
        return [width for cores in maps for width in cv2.connectedComponentsWithStats(cores)[2][1:, cv2.CC_STAT_WIDTH]]

    in_columns = cores_of(range(30))
    monkeypatch.setattr(composed._Sheet, "_fill", lambda sheet, *edges: sheet._table(*edges))
    in_cells = cores_of(range(30))
    assert len(in_cells) > 1.2 * len(in_columns)
    assert np.quantile(in_cells, 0.8) < 0.8 * np.quantile(in_columns, 0.8)


def test_a_hand_is_a_form_else_a_writer_else_a_line():
    assert [hand_of(Sample("id", "a", "train", np.array, *known)) for known in (("w", "f"), ("w",), ())] == [
        "f",
        "w",
        "id",
    ]


def test_lines_without_ink_do_no_harm():
    blank = Sample("blank", "a", "train", lambda: np.full((60, 400), 255, np.uint8))
    composer = Composer([blank], 64)
    assert all(composer(seed).picture.shape == (64, 64) for seed in range(8))


def test_a_font_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(composed, "PRINT", ("No Such Face",))
    with pytest.raises(InputError, match="No Such Face: .*pip install fontpkg-no-such-face"):
        Composer(embedded_lines("train", 1), SIDE)


@pytest.mark.parametrize("family", ["Arimo", "Lora"])
def test_the_core_of_a_drawn_line_is_found(family):
    font = ImageFont.truetype(font_path(family), 50)
    band = find_band(ink_in(font, TEXT, baseline=50, height=72))
    letter = -font.getbbox("x", anchor="ls")[1]
    assert band.slope == pytest.approx(0, abs=0.002)
    assert band.bottom == pytest.approx(50, abs=2)
    assert band.top == pytest.approx(50 - letter, abs=2)


@pytest.mark.parametrize("slope", [0.02, -0.02])
def test_the_slope_of_a_line_is_found(slope):
    ink = ink_in(ImageFont.truetype(font_path("Arimo"), 50), TEXT, baseline=50, height=72)
    size = ink.shape[1], 72 + int(0.02 * ink.shape[1])
    drop = max(0, -slope * ink.shape[1])
    band = find_band(cv2.warpAffine(ink, np.array([[1, 0, 0], [slope, 1, drop]]), size))
    assert band.slope == pytest.approx(slope, abs=0.004)


def test_paper_without_ink_has_no_core():
    assert find_band(np.zeros((60, 400), np.float32)) is None
