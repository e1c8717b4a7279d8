"""The dataset that is always there: scikit-learn's 1,797 handwritten digits, written out as small PNG files."""

from __future__ import annotations

import gzip
import importlib.util
import shutil
from pathlib import Path

import numpy as np
from filelock import FileLock

from core.data.index import index_into
from core.data.stored import Dataset, publish, read_dataset
from core.errors import DarkroomError
from core.files import writing
from core.workspace import Workspace

DIGITS = "digits"


def ensure_builtin(ws: Workspace) -> Dataset:
    """The dataset `digits`, written out on first use: 10 classes of 8 x 8 grey PNGs, UCI's optical digits test set.

    Safe to call from several processes at once; costs next to nothing when it is there.
    """
    folder = ws.dataset(DIGITS)
    dataset = _whole(folder)
    if dataset:
        return dataset
    with FileLock(ws.datasets / f".{DIGITS}.lock"):
        dataset = _whole(folder)
        if dataset:  # another process was faster
            return dataset
        aside = ws.datasets / f".{DIGITS}.building"
        shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
        with writing(aside):
            _write_images(aside / "images")
        index_into(aside, aside / "images", identity=DIGITS, name="Digits", ws=ws)
        shutil.rmtree(folder, ignore_errors=True)  # its images were deleted: make all of it anew
        return publish(ws, aside)


def _whole(folder: Path) -> Dataset | None:
    dataset = read_dataset(folder)
    return dataset if dataset and dataset.root.is_dir() else None


def _write_images(folder: Path) -> None:
    """`<class>/<number>.png`; pixel values 0..16 of the source are spread over 0..255."""
    from PIL import Image  # once on a machine; whoever indexes photos loads this module and need not wait for it

    table = _read_table()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    pixels = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    for number, (image, label) in enumerate(zip(pixels, table[:, 64].astype(int), strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{number:04d}.png")


def _read_table() -> np.ndarray:
    """1,797 rows of 64 pixel values 0..16 and the digit, from scikit-learn's files.

    The file is read directly, as importing scikit-learn takes two seconds and 60 MB of the server for it.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DarkroomError("scikit-learn is not installed.", "Run: pip install -r requirements.txt")
    source = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(source, "rt") as stream:
        return np.loadtxt(stream, delimiter=",")
