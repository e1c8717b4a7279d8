"""The same odd image gives the same tensor to the last bit, whichever way it comes."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.exports.format import Format
from core.exports.package import write_package
from core.exports.registry import FORMATS
from core.inference.classifier import Classifier
from core.preprocess import normalise, read_pixels
from tests.exports.conftest import Made

MODULE_OF = {"pillow": "PIL"}


def _picture(width: int, height: int) -> Image.Image:
    """Fine detail in every channel, so that any other way of reading or resizing shows."""
    noise = np.random.default_rng([width, height]).integers(0, 60, (height, width, 3))
    across, down = np.linspace(0, 190, width)[None, :], np.linspace(0, 190, height)[:, None]
    slopes = np.stack(
        [np.broadcast_to(across, (height, width)), np.broadcast_to(down, (height, width)), noise[..., 0]], 2
    )
    return Image.fromarray((slopes + noise).clip(0, 255).astype(np.uint8))


def _see_through(width: int, height: int) -> Image.Image:
    image = _picture(width, height).convert("RGBA")
    image.putalpha(Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width)).astype(np.uint8)))
    return image


def _deep(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 65536, (height, width)).astype(np.uint16)


def _turned(orientation: int) -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def odd_images(folder: Path) -> list[Path]:
    """Forty files that readers of images are known to disagree about."""
    photo, alpha, frames = _picture(70, 45), _see_through(41, 57), [_picture(30, 20), _picture(20, 30).resize((30, 20))]
    made: dict[str, Callable[[Path], None]] = {
        f"turned-{n}.jpg": lambda path, n=n: photo.save(path, quality=95, **_turned(n)) for n in range(1, 9)
    }
    made |= {
        "turned.png": lambda path: photo.save(path, **_turned(6)),
        "turned.webp": lambda path: photo.save(path, **_turned(8)),
        "turned.tif": lambda path: photo.save(path, **_turned(3)),
        "rgba.png": alpha.save,
        "rgba.webp": lambda path: alpha.save(path, lossless=True),
        "grey-alpha.png": lambda path: alpha.convert("LA").save(path),
        "palette-alpha.png": lambda path: photo.quantize(16).save(path, transparency=3),
        "grey-see-through.png": lambda path: photo.convert("L").save(path, transparency=90),
        "colour-see-through.png": lambda path: photo.save(path, transparency=photo.getpixel((5, 5))),
        "deep.png": lambda path: Image.fromarray(_deep(33, 21)).save(path),
        "deep.tif": lambda path: Image.fromarray(_deep(21, 33)).save(path),
        "deep-big-endian.tif": lambda path: Image.frombytes("I;16B", (20, 20), _deep(20, 20).tobytes()).save(path),
        "integers.tif": lambda path: Image.fromarray(_deep(20, 24).astype(np.int32)).save(path),
        "floats.tif": lambda path: Image.fromarray(_deep(24, 20).astype(np.float32) / 65535).save(path),
        "cmyk.jpg": lambda path: photo.convert("CMYK").save(path, quality=90),
        "cmyk.tif": lambda path: photo.convert("CMYK").save(path),
        "lab.tif": lambda path: Image.frombytes("LAB", (16, 16), _deep(16, 24).tobytes()).save(path),
        "palette.png": lambda path: photo.quantize(64).save(path),
        "palette.gif": lambda path: photo.quantize(200).save(path),
        "black-and-white.png": lambda path: photo.convert("1").save(path),
        "grey.png": lambda path: photo.convert("L").save(path),
        "grey.jpg": lambda path: photo.convert("L").save(path),
        "one-wide.png": lambda path: _picture(1, 300).save(path),
        "one-high.jpg": lambda path: _picture(300, 1).save(path),
        "one-pixel.png": lambda path: _picture(1, 1).save(path),
        "huge.jpg": lambda path: _picture(3000, 2003).save(path, quality=90),
        "huge-turned.jpg": lambda path: _picture(1601, 901).save(path, quality=80, **_turned(7)),
        "long.png": lambda path: _picture(2000, 40).save(path, compress_level=1),
        "animated.gif": lambda path: frames[0].save(path, save_all=True, append_images=frames[1:]),
        "animated.png": lambda path: frames[1].save(path, save_all=True, append_images=frames[:1]),
        "progressive.jpg": lambda path: photo.save(path, progressive=True, subsampling=0),
        "bitmap.bmp": photo.save,
    }
    for name, save in made.items():
        save(folder / name)
    return [folder / name for name in made]


class _Recording:
    """A network that keeps what it is given."""

    def __init__(self, num_classes: int) -> None:
        self.given: list[np.ndarray] = []
        self._num_classes = num_classes

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        self.given.append(images_NCHW)
        return np.zeros((len(images_NCHW), self._num_classes), np.float32)

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, None]:
        return self(images_NCHW), None


def _runtime_is_here(chosen: Format) -> bool:
    return all(importlib.util.find_spec(MODULE_OF.get(name, name).replace("-", "_")) for name in chosen.packages)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    found = odd_images(tmp_path_factory.mktemp("odd"))
    assert len(found) == 40
    return found


@pytest.fixture(scope="module")
def expected(made: Made, odd: list[Path]) -> np.ndarray:
    """As training and evaluation read them: float32 (40, 3, 16, 16), few of them alike."""
    spec = made.source().bundle.spec
    tensors = normalise(np.stack([read_pixels(path, spec) for path in odd]), spec)
    assert len({tensor.tobytes() for tensor in tensors}) >= 35
    return tensors


@pytest.mark.parametrize("route", ["page", "command line"])
def test_the_classifier_gives_the_network_the_same(
    made: Made, odd: list[Path], expected: np.ndarray, route: str
) -> None:
    """The page hands over the bytes of an upload, the command line a path."""
    bundle = made.source().bundle
    recording = _Recording(len(bundle.classes))
    sources = [path.read_bytes() for path in odd] if route == "page" else odd
    answers = Classifier(bundle, recording).classify(sources, [path.name for path in odd])
    assert all(answer.error is None for answer in answers)
    assert np.concatenate(recording.given).tobytes() == expected.tobytes()


@pytest.mark.parametrize("key", FORMATS)
def test_every_predict_py_gives_the_same(
    made: Made, odd: list[Path], expected: np.ndarray, key: str, tmp_path: Path
) -> None:
    if not _runtime_is_here(FORMATS[key]):
        pytest.skip(f"the runtime of {key} is not installed")
    write_package(made.source(), FORMATS[key], tmp_path)
    out = tmp_path / "tensor.npy"
    command = [sys.executable, "-I", str(tmp_path / "predict.py"), *map(str, odd), "--tensor", str(out)]
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path)
    found = np.load(io.BytesIO(out.read_bytes()))
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()
