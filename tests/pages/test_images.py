import numpy as np
import pytest
from PIL import Image

from htr.errors import InputError
from htr.pages.images import open_image

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


def test_cmyk(tmp_path):
    opened = saved(tmp_path, Image.fromarray(GREY).convert("CMYK"), "picture.tiff")
    assert np.abs(opened.astype(int) - GREY).max() <= 2


def test_exif_orientation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned a quarter to the left
    opened = saved(tmp_path, Image.fromarray(GREY), "picture.jpg", exif=exif, quality=100)
    assert np.abs(opened.astype(int) - np.rot90(GREY, -1)).max() < 12


def test_bytes_are_opened_like_files(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "picture.png")
    assert np.array_equal(open_image((tmp_path / "picture.png").read_bytes()), GREY)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        open_image(tmp_path)
