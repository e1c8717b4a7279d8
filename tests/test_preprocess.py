"""The same picture gives the same array, whatever file it came in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ImageReadError
from core.preprocess import PreprocessSpec, decode, fit, normalise, open_image, read_pixels
from core.workspace import REPOSITORY

SPEC = PreprocessSpec(32, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _picture(width: int = 60, height: int = 40) -> Image.Image:
    """Red grows to the right, green downwards; blue marks the upper left corner."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels[: height // 4, : width // 4, 2] = 255
    return Image.fromarray(pixels)


def _bytes(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_a_file_and_its_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    _picture().save(path)
    assert np.array_equal(read_pixels(path, SPEC), read_pixels(path.read_bytes(), SPEC))
    assert read_pixels(path, SPEC).shape == (32, 32, 3) and read_pixels(path, SPEC).dtype == np.uint8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int) -> None:
    upright = _picture()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(np.asarray(decode(_bytes(stored, exif=exif))), np.asarray(upright))


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 255, 255))
    pixels = np.asarray(decode(_bytes(image)))
    assert pixels[0, 0].tolist() == [0, 0, 255] and pixels[1, 1].tolist() == [255, 255, 255]


def test_a_transparent_palette_colour_is_laid_over_white() -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.putpixel((0, 0), 1)
    pixels = np.asarray(decode(_bytes(image, transparency=0)))
    assert pixels[0, 0].tolist() == [200, 0, 0] and pixels[1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    pixels = np.asarray(decode(_bytes(Image.fromarray(values), kind)))
    assert np.array_equal(pixels[..., 0], np.arange(256).reshape(16, 16))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "F", "I;16"])
def test_every_mode_becomes_plain_rgb_that_resembles_the_picture(mode: str) -> None:
    grey = _picture().convert("L")
    if mode == "F":
        image = Image.fromarray(np.asarray(grey, np.float32) / 255)
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    else:
        rgb = grey.convert("RGB")
        image = rgb.quantize(256) if mode == "P" else rgb.convert("CMYK") if mode == "CMYK" else grey.convert(mode)
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    seen = decode(_bytes(image, kind))
    assert seen.mode == "RGB" and seen.size == (60, 40)
    if mode != "1":
        difference = np.abs(np.asarray(seen, int)[..., 1] - np.asarray(grey, int))
        assert np.median(difference) <= 8


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = _bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(decode(data))[0, 0].tolist() == [255, 0, 0]


def test_resize_policies_keep_what_they_promise() -> None:
    wide = Image.new("RGB", (90, 30), (255, 0, 0))
    wide.paste((0, 0, 255), (30, 0, 60, 30))  # the middle third is blue
    squashed, padded, cropped = (
        np.asarray(fit(wide, replace(SPEC, size=30, resize=policy))) for policy in ("squash", "pad", "crop")
    )
    assert squashed[15, 2].tolist() == [255, 0, 0] and squashed[15, 15].tolist() == [0, 0, 255]
    assert padded[2, 15].tolist() == [127, 127, 127] and padded[15, 2].tolist() == [255, 0, 0]
    assert (cropped == [0, 0, 255]).all()


def test_very_long_images_keep_at_least_one_pixel_under_pad() -> None:
    assert np.asarray(fit(Image.new("RGB", (2000, 2), "red"), replace(SPEC, resize="pad"))).shape == (32, 32, 3)


def test_normalise_by_hand() -> None:
    spec = replace(SPEC, mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.25))
    tensor = normalise(np.array([[[[255, 51, 0]]]], np.uint8), spec)
    assert tensor.shape == (1, 3, 1, 1) and tensor.dtype == np.float32
    assert tensor[0, :, 0, 0] == pytest.approx([1.0, 0.2, -1.0])


def test_the_hash_changes_with_every_part_and_survives_saving() -> None:
    changed = [
        replace(SPEC, size=33),
        replace(SPEC, resize="pad"),
        replace(SPEC, interpolation="bicubic"),
        replace(SPEC, mean=(0.4, 0.5, 0.5)),
        replace(SPEC, std=(0.4, 0.5, 0.5)),
        replace(SPEC, padding=(0, 0, 0)),
        replace(SPEC, decode_rules=99),
    ]
    assert len({spec.hash for spec in [SPEC, *changed]}) == len(changed) + 1
    assert PreprocessSpec.from_dict(SPEC.to_dict()) == SPEC


def test_reduced_decoding_of_a_large_jpeg_is_not_seen_in_the_result() -> None:
    large = _picture().resize((1600, 1200), Image.Resampling.BICUBIC)
    data = _bytes(large, "JPEG", quality=95)
    full = np.asarray(fit(decode(data), SPEC), int)
    assert np.abs(full - read_pixels(data, SPEC).astype(int)).max() <= 6


def test_bombs_are_refused_before_they_are_decoded() -> None:
    stream = BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, "PNG")
    with pytest.raises(ImageReadError, match="Too large to open safely"):
        open_image(stream.getvalue())


def _truncated() -> bytes:
    data = _bytes(_picture(), "JPEG")
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"hello, I am text", "Not an image"),
        (_truncated(), "cut short"),
        (_bytes(_picture())[:60], "cut short|damaged|Not an image"),
    ],
)
def test_what_is_no_image_says_why(data: bytes, told: str) -> None:
    with pytest.raises(ImageReadError, match=told):
        read_pixels(data, SPEC)


def test_no_program_is_run_that_came_as_an_image() -> None:
    with pytest.raises(ImageReadError, match="EPS is a program"):
        decode(_bytes(_picture(), "EPS"))


def test_odd_metadata_is_not_talked_about(tmp_path: Path) -> None:
    cut = tmp_path / "cut.tif"
    cut.write_bytes(_bytes(_picture(), "TIFF")[:100])  # in what is known of the image
    code = f"import core.preprocess as p; p.Image.open({str(cut)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert "UnidentifiedImageError" in done.stderr and "Truncated File Read" not in done.stderr


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="no longer there"):
        read_pixels(tmp_path / "gone.jpg", SPEC)


def test_bit_flips_never_raise_anything_else() -> None:
    generator = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        whole = bytearray(_bytes(_picture(), kind))
        for _ in range(40):
            damaged = bytearray(whole)
            for position in generator.integers(0, len(whole), 8):
                damaged[position] ^= int(generator.integers(1, 256))
            try:
                assert read_pixels(bytes(damaged), SPEC).shape == (32, 32, 3)
            except ImageReadError as error:
                assert str(error)
