"""About 300 files and archives made to do harm: nothing crashes, nothing is written outside, each is accounted for."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.data.archives import Limits, unpack
from core.data.datasets import Dataset, index_path
from core.data.intake import read_refused
from core.errors import InputError
from core.files import csv_bytes
from core.workspace import Workspace

SENTINEL = "must stay as it is"


@pytest.fixture(autouse=True)
def outside(tmp_path: Path) -> Iterator[Path]:
    """Files around the workspace that no import may touch, and nothing may be added to."""
    outside = tmp_path / "outside"
    for name in ("secret.txt", "cat/1.png", "etc/passwd"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(SENTINEL)
    yield outside
    assert sorted(place.name for place in tmp_path.iterdir()) == ["given", "home", "outside"]
    tree = {str(file.relative_to(outside)): file.read_text() for file in outside.rglob("*") if file.is_file()}
    assert tree == dict.fromkeys(("secret.txt", "cat/1.png", "etc/passwd"), SENTINEL)


@pytest.fixture
def given(tmp_path: Path, workspace: Workspace) -> Path:
    (tmp_path / "given").mkdir()
    workspace.root.mkdir()
    return tmp_path / "given"


def image_bytes(format: str = "PNG", seed: int = 0, size: tuple[int, int] = (24, 18)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()


def good_images(root: Path) -> list[str]:
    """Two sound images each of two classes, so that there is a dataset whatever else is wrong."""
    names = [f"{label}/good{number}.png" for label in ("cat", "dog") for number in range(2)]
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(image_bytes(seed=seed))
    return names


def accounted(dataset: Dataset) -> tuple[set[str], dict[str, str], dict[str, str]]:
    """Paths that are fine, path -> error of those that are not, and name -> reason of what was refused."""
    manifest = dataset.manifest()
    bad = manifest[manifest["error"].notna()]
    fine = set(manifest.loc[manifest["error"].isna(), "path"])
    return fine, dict(zip(bad["path"], bad["error"], strict=True)), dict(read_refused(dataset.folder)[0])


def test_damaged_images_are_rows_with_an_error(workspace: Workspace, given: Path) -> None:
    """For eight formats: cut at every tenth of their length, and bits flipped; what decoders raise never gets out."""
    good = good_images(given)
    cut, flipped = [], []
    random = np.random.default_rng(7)
    for format in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF"):
        data = Path(__file__).with_name("photo.heic").read_bytes() if format == "HEIF" else image_bytes(format)
        suffix = {"JPEG": "jpg", "HEIF": "heic"}.get(format, format.lower())
        for tenth in range(10):
            name = f"cat/cut-{format}-{tenth}.{suffix}"
            cut.append(name)
            (given / name).write_bytes(data[: len(data) * tenth // 10])
        for number in range(12):
            name = f"dog/flipped-{format}-{number}.{suffix}"
            flipped.append(name)
            changed = bytearray(data)
            for place in random.integers(0, len(data), 1 + number):
                changed[place] ^= 1 << random.integers(0, 8)
            (given / name).write_bytes(changed)
    fine, errors, _ = accounted(index_path(workspace, given))
    assert fine | set(errors) == {*good, *cut, *flipped} and len(fine) + len(errors) == 4 + 80 + 96
    assert set(good) <= fine
    # A BMP, GIF or TIFF may hold all of its pixels before its last tenth; an empty or headless one never does.
    assert {name for name in cut if int(name.rpartition("-")[2].partition(".")[0]) < 5} <= set(errors)
    assert {name for name in cut if "JPEG" in name or "PNG" in name or "HEIF" in name} <= set(errors)
    assert all(len(error) > 10 for error in errors.values())


def test_bombs_lies_and_odd_files_are_rows_with_an_error(workspace: Workspace, given: Path, outside: Path) -> None:
    good = good_images(given)
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
    text = _png_chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 10**8))
    odd = {
        "bomb.png": huge + _png_chunk(b"IEND", b""),
        "textbomb.png": image_bytes()[:33] + text + image_bytes()[33:],
        "bomb.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0\0\0\0\xff\xff\xff,",
        "bomb.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0),
        "program.jpg": b"\x7fELF" + bytes(range(256)),
        "page.png": b"<html><script>alert(1)</script></html>",
        "vector.jpg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "archive.jpg": _zip({"cat/1.png": image_bytes()}),
        "script.gif": b"GIF89a/*\0*/=1;alert(1)//",
        "nulls.jpg": b"\0" * 5000,
        "ones.webp": b"\xff" * 5000,
        "empty.tiff": b"",
        "loop.tif": b"II*\0\x08\0\0\0" + b"\0\0" + struct.pack("<I", 8),  # a page list that leads to itself
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file",
    }
    for name, data in odd.items():
        (given / "cat" / name).write_bytes(data)
    (given / "cat" / "really-png.jpg").write_bytes(image_bytes())
    (given / "cat" / "=1+1.jpg").write_bytes(image_bytes(seed=9))
    os.symlink(outside / "secret.txt", given / "cat" / "link.png")
    os.symlink("self.png", given / "cat" / "self.png")
    os.symlink(given / "nowhere", given / "cat" / "broken.png")
    os.mkfifo(given / "dog" / "pipe.png")
    (given / "dog" / "folder.png").mkdir()
    (given / "dog" / "folder.png" / "inside.png").write_bytes(image_bytes(seed=3))
    with open(given / "dog" / "sparse.tif", "wb") as stream:
        stream.truncate(2**40)  # a terabyte that takes no place
    dataset = index_path(workspace, given)
    fine, errors, _ = accounted(dataset)
    sound = {*good, "cat/really-png.jpg", "cat/=1+1.jpg", "dog/folder.png/inside.png"}
    wrong = {f"cat/{name}" for name in (*odd, "link.png", "self.png", "broken.png")} | {"dog/sparse.tif"}
    assert fine == sound | ({"cat/textbomb.png"} & fine) and set(errors) == wrong - fine
    assert "Too large" in errors["cat/bomb.png"] and "Too large" in errors["dog/sparse.tif"]
    assert dataset.ignored == {"pipes, sockets and devices": 1}


ESCAPES = ["../outside/cat/1.png", "../../outside/secret.png", "cat/../../../outside/cat/1.png", "/tmp/escaped.png"]
ESCAPES += [
    "C:\\windows\\1.png",
    "..\\..\\outside\\1.png",
    "\\\\host\\share\\1.png",
    "cat/./../../x.png",
    "~/../../1.png",
]


def test_archives_cannot_leave_their_folder(workspace: Workspace, given: Path, outside: Path) -> None:
    sound = {name: image_bytes(seed=n) for n, name in enumerate(["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"])}
    encrypted = zipfile.ZipInfo("cat/locked.png")
    links = {"cat/link.png": "/etc/passwd", "dog/up.png": "../../outside/secret.txt", "cat/inner": str(outside)}
    with zipfile.ZipFile(given / "slip.zip", "w") as archive:
        for name, data in sound.items():
            archive.writestr(name, data)
        for name in ESCAPES:
            archive.writestr(name, image_bytes())
        for name, goal in links.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, goal)
        archive.writestr("cat/inner/through.png", image_bytes(seed=5))  # through the link, if it were one
        archive.writestr("cat/" + "x" * 300 + ".png", image_bytes(seed=6))
        archive.writestr("cat/1.png/deeper.png", image_bytes(seed=7))
        archive.writestr("nested.zip", _zip({"cat/9.png": b""}))
        archive.writestr(encrypted, image_bytes(seed=8))
    _set_flag(given / "slip.zip", "cat/locked.png", 0x1)
    dataset = index_path(workspace, given / "slip.zip")
    fine, errors, refused = accounted(dataset)
    assert fine == {*sound, "cat/inner/through.png"} and not errors
    assert dataset.root.is_relative_to(workspace.root)
    expected = {*ESCAPES, *links, "cat/" + "x" * 300 + ".png", "cat/1.png/deeper.png", "cat/locked.png"}
    assert {name[:290] for name in refused} == {name[:290] for name in expected}
    assert "encrypted" in refused["cat/locked.png"] and "link" in refused["cat/link.png"]
    assert dataset.ignored == {".zip": 1}

    with tarfile.open(given / "slip.tar.gz", "w:gz") as tar:
        for name, data in {**sound, **{name: image_bytes() for name in ESCAPES}}.items():
            _add(tar, name, data)
        for kind, name in zip(
            (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.SYMTYPE),
            ("cat/sym.png", "cat/hard.png", "cat/device.png", "cat/pipe.png", "cat/inner"),
            strict=True,
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(outside / "cat" / "1.png" if "inner" not in name else outside)
            tar.addfile(info)
        _add(tar, "cat/inner/secret.png", image_bytes(seed=5))
        _add(tar, "cat/1.png", image_bytes(seed=6))  # a second one of that name
        _add(tar, "cat/nul\0l.png", image_bytes(seed=6))
    fine, errors, refused = accounted(index_path(workspace, given / "slip.tar.gz"))
    assert fine == {*sound, "cat/inner/secret.png", "cat/1 (2).png"} and not errors
    assert set(refused) >= {*ESCAPES, "cat/sym.png", "cat/hard.png", "cat/device.png", "cat/pipe.png", "cat/inner"}


def test_bombs_are_refused_before_they_fill_the_disk(workspace: Workspace, given: Path) -> None:
    small = Limits(num_files=50, num_bytes=10**6, member_bytes=10**5, ratio=10, ratio_from=10**5)
    flat = b"BM" + b"\0" * 90_000
    archives = {
        "ratio.zip": (_zip({f"{n}.bmp": flat for n in range(9)}), "decompression bomb"),
        "many.zip": (_zip({f"{n}.png": b"x" for n in range(60)}), "more than 50 files"),
        "total.zip": (_zip({f"{n}.png": os.urandom(99_000) for n in range(12)}), "more than 1 MB"),
        "ratio.tar.gz": (_tar({f"{n}.bmp": flat for n in range(9)}, "gz"), "decompression bomb"),
        "hidden.tar.xz": (_tar({"cat.1.png": b"x", "zeros.bin": b"\0" * 10**7}, "xz"), "decompression bomb"),
        "many.tar": (_tar({f"{n}.txt": b"x" for n in range(60)}, ""), "more than 50 files"),
        "empty.zip": (_zip({}), "holds no images"),
        "noise.zip": (b"PK\x03\x04" + os.urandom(500), "no sound archive"),
        "text.tar": (b"I am no archive " * 100, "no sound archive"),
        "cut.zip": (_zip({"cat/1.png": image_bytes()})[:-30], "no sound archive"),
        "zero.tgz": (b"", "no"),
    }
    for name, (data, reason) in archives.items():
        (given / name).write_bytes(data)
        target = workspace.root / name
        with pytest.raises(InputError, match=reason):
            unpack(given / name, target, small)
        assert sum(file.stat().st_size for file in target.rglob("*") if file.is_file()) <= 1.1 * small.num_bytes
    (given / "big.zip").write_bytes(_zip({"cat.1.png": os.urandom(200_000), "cat.2.png": image_bytes()}))
    done = unpack(given / "big.zip", workspace.root / "big", small)
    assert done.refused == [("cat.1.png", "It is larger than 100 kB.")] and done.num_files == 1
    with pytest.raises(InputError):
        index_path(workspace, given / "ratio.zip")


def test_of_damaged_archives_the_rest_is_taken_and_the_damage_named(workspace: Workspace, given: Path) -> None:
    files = {f"{label}/{n}.png": image_bytes(seed=n) for n in range(20) for label in ("cat", "dog")}
    data = bytearray(_zip(files, zipfile.ZIP_STORED))
    place = data.index(files["cat/3.png"]) + 60
    data[place : place + 4] = b"\0\0\0\0"
    (given / "bad.zip").write_bytes(data)
    fine, errors, refused = accounted(index_path(workspace, given / "bad.zip"))
    assert fine == set(files) - {"cat/3.png"} and not errors and "CRC" in refused["cat/3.png"]
    for kind in ("", "gz", "bz2", "xz"):
        whole = _tar(files, kind)
        archive = given / (f"cut.tar.{kind}" if kind else "cut.tar")
        archive.write_bytes(whole[: len(whole) * 7 // 10])
        try:
            fine, errors, refused = accounted(index_path(workspace, archive))
        except InputError as error:  # bzip2 gives nothing back before its first block is whole
            assert kind == "bz2" and "no sound archive" in str(error)
            continue
        assert fine < set(files) and len(fine) >= 10 and not errors, kind
        assert "the rest of the archive" in refused or len(refused) == 1


def test_two_names_that_a_disk_may_hold_for_the_same_are_both_kept(workspace: Workspace, given: Path) -> None:
    names = ["cat/caf\u00e9.png", "cat/cafe\u0301.png", "cat/A.png", "cat/a.png", "dog/1.png", "dog/1.png"]
    with zipfile.ZipFile(given / "twice.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for seed, name in enumerate(names):
            archive.writestr(name, image_bytes(seed=seed))
    fine, errors, refused = accounted(index_path(workspace, given / "twice.zip"))
    assert len(fine) == len(names) and not errors and not refused


ROWS = [
    ("cat/good0.png", "cat", None),
    ("./cat//good1.png", "cat", None),
    ("dog/good0.png", "dog", None),
    ("dog/good1.png", "=1+1", None),
    ("dog/good1.png", "=1+1", None),  # says the same again
    ("missing.png", "dog", None),
    ("/etc/passwd", "cat", "absolute"),
    ("../outside/cat/1.png", "cat", "leads out"),
    ("cat/../../outside/secret.txt", "cat", "leads out"),
    ("C:/windows/1.png", "cat", "absolute"),
    ("http://example.org/1.png", "cat", "absolute"),
    ("~root/1.png", "cat", "absolute"),
    ("a\0b.png", "cat", "null byte"),
    ("cat/nolabel.png", "", "no label"),
    ("", "cat", "names no file"),
    ("cat/two.png", "cat", "another label"),
    ("cat/two.png", "dog", "another label"),
    ("cat/long.png", "x" * 1000, "more than 300"),
    ("y" * 5000 + ".png", "cat", "too long"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_row_of_a_hostile_table_is_taken_or_refused_by_name(
    workspace: Workspace, given: Path, encoding: str
) -> None:
    good_images(given)
    lines = ["path,label", *(f'"{path}","{label}"' for path, label, _ in ROWS), "caf\u00e9.png,cat", "only one cell"]
    (given / "labels.csv").write_bytes("\r\n".join(lines).encode(encoding))
    dataset = index_path(workspace, given / "labels.csv")
    fine, errors, refused = accounted(dataset)
    assert fine == {"cat/good0.png", "cat/good1.png", "dog/good0.png", "dog/good1.png"}
    assert set(errors) == {"missing.png", "caf\u00e9.png"}
    assert dataset.ignored["rows that say the same again"] == 1
    for line, (path, _, reason) in enumerate(ROWS, 2):
        named = [(name, why) for name, why in refused.items() if name.startswith(f"line {line}:")]
        assert bool(named) == bool(reason), (path, named)
        assert not reason or reason in named[0][1]
    assert f"line {len(ROWS) + 3}: only one cell" in refused
    labels = dataset.manifest().set_index("path")["label"]
    assert labels["dog/good1.png"] == "=1+1"


def test_formulas_stay_text_in_spreadsheets_and_come_back_as_they_were(workspace: Workspace, given: Path) -> None:
    labels = ["=1+1", "+cmd|'/c calc'!A0", "-2", "@SUM(A1)", "plain"]
    frame = pd.DataFrame({"path": [f"{n}.png" for n in range(5)], "label": labels, "width": [-1, 2, 3, 4, 5]})
    for number in range(5):
        (given / f"{number}.png").write_bytes(image_bytes(seed=number))
    (given / "labels.csv").write_bytes(csv_bytes(frame))
    safe = pd.read_csv(given / "labels.csv")
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for cell in safe["label"])
    assert safe["width"].tolist() == frame["width"].tolist()
    manifest = index_path(workspace, given / "labels.csv").manifest()
    assert manifest["label"].tolist() == labels


def test_mixed_encodings_in_one_file(workspace: Workspace, given: Path) -> None:
    lines = [b"path;label", "cat/good0.png;caf\u00e9".encode(), "cat/good1.png;caf\u00e9".encode("cp1252")]
    good_images(given)
    (given / "labels.csv").write_bytes(b"\n".join([*lines, b"dog/good0.png;dog\x81"]))
    dataset = index_path(workspace, given / "labels.csv")
    assert dataset.manifest()["label"].tolist()[:2] == ["caf\u00e9", "caf\u00e9"]
    assert any("Windows-1252" in note for note in dataset.notes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        b"path,label\n",
        b"\0" * 4000,
        os.urandom(4000),
        b'path,label\n"never closed' + b"x" * 200_000,
        b"path\n" * 5,
        b",,,,\n,,,,\n",
        b"\xff\xfe",
        b"\xff\xfep\0a\0t\0h",
        b"PAR1" + b"\0" * 100,
    ],
)
def test_what_is_no_table_is_refused(workspace: Workspace, given: Path, content: bytes) -> None:
    good_images(given)
    for name in ("labels.csv", "labels.tsv", "labels.parquet"):
        (given / name).write_bytes(content)
        with pytest.raises(InputError):
            index_path(workspace, given / name)


def test_ten_thousand_classes(workspace: Workspace, given: Path) -> None:
    data = image_bytes()
    (given / "one.png").write_bytes(data)
    rows = ["one.png,class 0"]
    for number in range(1, 10_000):
        os.link(given / "one.png", given / f"{number}.png")
        rows.append(f"{number}.png,class {number}")
    (given / "labels.csv").write_text("\n".join(["path,label", *rows]))
    dataset = index_path(workspace, given / "labels.csv")
    assert (dataset.num_classes, dataset.num_images, dataset.num_errors) == (10_000, 10_000, 0)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _tar(files: dict[str, bytes], compression: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            _add(archive, name, data)
    return stream.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _set_flag(archive: Path, name: str, flag: int) -> None:
    """Claim encryption, as Python cannot encrypt: in the entry's own header and in the table of contents."""
    data = bytearray(archive.read_bytes())
    for signature, offset, name_at in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        place = 0
        while (place := data.find(signature, place)) >= 0:
            if data[place + name_at :].startswith(name.encode()):
                data[place + offset] |= flag
            place += 4
    archive.write_bytes(data)
