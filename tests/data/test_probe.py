"""Reading one file: what a sound one is, and every way in which a file can be no image."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.probe import MAX_BYTES, probe
from core.workspace import REPOSITORY

NOISE = np.random.default_rng(0).integers(0, 256, (120, 200, 3)).astype(np.uint8)
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tiff": "TIFF"}


def one_pixel_deep_png(path: Path, width: int, height: int) -> Path:
    """A whole PNG of one bit a pixel, written without ever holding its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(1), bytes(1 + -(-width // 8))
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(("suffix", "kind"), FORMATS.items())
def test_facts_of_a_sound_file(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(NOISE).save(path)
    facts = probe(str(path))
    assert (facts.width, facts.height, facts.format, facts.error) == (200, 120, kind, None)
    assert facts.num_bytes == path.stat().st_size
    assert facts.mtime_ns == path.stat().st_mtime_ns
    assert facts.content_hash == hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
def test_mode_is_that_of_the_file(tmp_path: Path, mode: str) -> None:
    deep = NOISE[..., 0].astype(np.uint16) * 257
    image = Image.fromarray(deep) if mode == "I;16" else Image.fromarray(NOISE).convert(mode)
    path = tmp_path / f"x.{'tiff' if mode == 'CMYK' else 'png'}"
    image.save(path)
    facts = probe(str(path))
    assert (facts.mode, facts.width, facts.error) == (mode, 200, None)


def test_size_is_that_of_the_upright_image(tmp_path: Path) -> None:
    path, exif = tmp_path / "phone.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(NOISE).save(path, exif=exif)
    facts = probe(str(path))
    assert (facts.width, facts.height) == (120, 200)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_files_are_found(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(NOISE).save(path)
    os.truncate(path, int(path.stat().st_size * share))
    facts = probe(str(path))
    assert facts.error
    assert (facts.width, facts.height, facts.mode, facts.format) == (0, 0, None, None)
    assert facts.content_hash


def test_a_progressive_jpeg_cut_short_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(NOISE).resize((900, 700)).save(path, progressive=True)
    assert probe(str(path)).error is None
    os.truncate(path, path.stat().st_size - 2000)
    assert "cut short" in str(probe(str(path)).error)


def test_a_png_named_jpg_is_an_image(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "x.jpg", "PNG")
    assert probe(str(tmp_path / "x.jpg"))[2:4] == ("RGB", "PNG")


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", "The file is empty."), (b"<html>not found</html>", "Not an image"), (b"\xff\xd8\xff\xe0junk", "")],
)
def test_what_is_no_image(tmp_path: Path, content: bytes, error: str) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    facts = probe(str(tmp_path / "x.jpg"))
    assert facts.error and error in facts.error
    assert facts.num_bytes == len(content)


def test_files_that_cannot_be_opened(tmp_path: Path, run_unprivileged: Callable[..., str]) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert probe(str(tmp_path / "none.jpg")).error == "The file is no longer there."
    assert "could not be read" in str(probe(str(tmp_path / "loop.jpg")).error)
    answer = run_unprivileged("print(core.data.probe.probe(str(root / 'x.jpg')).error)", {"x.jpg": 0o000}, {})
    assert answer.strip() == "No permission to read the file."


def test_a_huge_file_is_not_read_into_memory(tmp_path: Path) -> None:
    with open(tmp_path / "x.tif", "wb") as stream:
        stream.truncate(MAX_BYTES + 1)  # a hole: takes no disk
    assert "Too large to open safely: 1.1 GB" in str(probe(str(tmp_path / "x.tif")).error)


def test_a_bomb_is_a_row_with_an_error_and_takes_no_memory(tmp_path: Path) -> None:
    bomb = one_pixel_deep_png(tmp_path / "bomb.png", 30_000, 30_000)
    program = (
        "import re, sys; from core.data.probe import probe; print(probe(sys.argv[1]).error);"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(bomb)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    error, peak_kB = done.stdout.splitlines()
    assert "Too large to open safely" in error
    assert int(peak_kB) < 150_000


def test_too_little_memory_is_said_so(tmp_path: Path) -> None:
    large = one_pixel_deep_png(tmp_path / "large.png", 13_000, 13_000)
    program = (
        "import resource, sys; from core.data.probe import probe;"
        "resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20,) * 2); print(probe(sys.argv[1]).error)"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each thread sets address space aside
    done = subprocess.run(
        [sys.executable, "-c", program, str(large)], cwd=REPOSITORY, capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "There is not enough memory to decode it.", done.stderr


def test_reading_processes_load_next_to_nothing() -> None:
    program = "import sys, core.data.probe; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "cv2" in loaded and not loaded & {"PIL", "pandas", "pyarrow", "torch", "streamlit"}


def test_reading_processes_pass_on_nothing_libraries_say(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.jpg"
    Image.fromarray(NOISE).save(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes([0xFE]) * 40  # no codes; what follows is grey
    path.write_bytes(data)
    assert probe(str(path)).error is None
    assert "Corrupt JPEG data" in capfd.readouterr().err  # without the name of a file
    command = [sys.executable, "-m", "core.data.probe", str(tmp_path), ""]
    done = subprocess.run(
        command, input='["wrong.jpg"]\n', cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "" and len(json.loads(done.stdout)) == 1
