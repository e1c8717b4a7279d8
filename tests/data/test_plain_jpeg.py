"""Plain JPEG files decoded without Pillow: to the same pixels, and none that Pillow would refuse."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from core.data.plain_jpeg import read_plain
from core.errors import ImageReadError
from core.preprocess import decode, open_image
from tests.data.test_quality import picture


def jpeg_of(image: Image.Image, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def decoded(data: bytes, at_least: int = 160) -> np.ndarray | None:
    """Its pixels, after a look at what else is said of the image."""
    plain = read_plain(data, at_least)
    if plain is None:
        return None
    opened = open_image(data)
    assert (plain.width, plain.height, plain.mode, "JPEG") == (*opened.size, opened.mode, opened.format)
    return plain.pixels_HWC


def by_pillow(data: bytes, at_least: int = 160) -> np.ndarray | None:
    try:
        return np.asarray(decode(data, at_least))
    except ImageReadError:
        return None


@pytest.mark.parametrize("size", [(1, 1), (17, 13), (400, 1), (319, 321), (500, 375), (1999, 1501)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_pixels_are_those_of_pillow(size: tuple[int, int], subsampling: str) -> None:
    image = picture(1, size)
    for kind, quality, restarts in ((image, 30, 0), (image, 90, 3), (image.convert("L"), 85, 0)):
        coloured = {"subsampling": subsampling} if kind.mode == "RGB" else {}
        data = jpeg_of(kind, quality=quality, restart_marker_blocks=restarts, **coloured)
        for at_least in (40, 160):
            pixels = decoded(data, at_least)
            assert pixels is not None and np.array_equal(pixels, by_pillow(data, at_least))


def test_all_others_are_left_to_pillow() -> None:
    image = picture(1)
    lying = Image.Exif()
    lying[0x0112] = 6
    others = [jpeg_of(image, progressive=True), jpeg_of(image.convert("CMYK")), jpeg_of(image, exif=lying.tobytes())]
    others.append(jpeg_of(image, xmp=b'<x:xmpmeta tiff:Orientation="6"/>'))
    for kind, options in (("PNG", {}), ("MPO", {"save_all": True, "append_images": [image]})):
        stream = BytesIO()
        image.save(stream, kind, **options)
        others.append(stream.getvalue())
    for data in others:
        assert decoded(data) is None and by_pillow(data) is not None


@pytest.mark.parametrize("length", range(24))
def test_a_start_alone_is_no_image(length: int) -> None:
    data = jpeg_of(picture(1))
    frame = data.index(b"\xff\xc0")
    assert read_plain(data[:length], 160) is None and read_plain(data[: frame + length], 160) is None


def test_what_comes_after_the_image_and_a_preview_within_it_are_no_matter() -> None:
    about = Image.Exif()
    about[0x010E] = "\xff\xd9\xff\x10"
    data = jpeg_of(picture(1), exif=about.tobytes()) + b"\xff\xd8 more"
    assert np.array_equal(decoded(data), by_pillow(data))


def test_no_damaged_file_passes_that_pillow_refuses() -> None:
    random = np.random.default_rng(0)
    data = jpeg_of(picture(2), quality=85)
    for length in range(700, len(data), len(data) // 50):
        assert decoded(data[:length]) is None
    passed = refused = 0
    for place in random.integers(data.index(b"\xff\xda") + 12, len(data), 1500):
        wrong = bytearray(data)
        wrong[place] ^= 1 << int(random.integers(8))
        pixels, expected = decoded(bytes(wrong)), by_pillow(bytes(wrong))
        assert pixels is None or np.array_equal(pixels, expected)
        passed, refused = passed + (pixels is not None), refused + (expected is None)
    assert passed > 1000 and refused > 5  # both kinds were among them
