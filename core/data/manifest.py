"""The manifest: one Parquet table a dataset, one row a file, errors included."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.data.checks import CHECKS
from core.errors import DarkroomError, InputError
from core.files import write_bytes

MANIFEST = "manifest.parquet"

# Missing text (a split not given, what is not known of an unreadable file) is pandas' NaN: ask with isna().
COLUMNS: dict[str, str] = {
    "path": "str",  # relative to the dataset's root, POSIX
    "label": "str",
    "split": "str",  # train, val, test, or missing where the source does not say
    "width": "int32",  # pixels, upright (EXIF orientation applied); 0 where the file is unreadable
    "height": "int32",
    "mode": "str",  # as stored: RGB, L, P, RGBA, CMYK, I;16, ...
    "format": "str",  # what the bytes are, whatever the name says: JPEG, PNG, ...
    "num_bytes": "int64",
    "mtime_ns": "int64",
    "content_hash": "str",  # 16 hexadecimal digits of BLAKE2b over the file's bytes
    "error": "str",  # why the file could not be read, else missing
    "group": "str",  # what must stay on one side of a split, as the source says, else missing
    "excluded": "bool",  # taken out by a user
    "source_label": "str",  # what the source says; differs from `label` where a user corrected it
    "perceptual_hash": "str",  # 64 hexadecimal digits; missing where there is no structure to compare
    "brightness": "float32",  # mean, 0..1, as the eye weighs colours
    "contrast": "float32",  # standard deviation of brightness, 0..1
    "darkest": "float32",  # the 1st and the 99th percentile of brightness, 0..1
    "brightest": "float32",
    "sharpness": "float32",  # 0..1, whatever the contrast; photographs in focus lie about 0.15; NaN where flat
    "entropy": "float32",  # of brightness, 0..1
    "colourfulness": "float32",  # 0 is grey, above 0.2 is vivid
    "mean_r": "float32",  # mean and standard deviation of each channel, 0..1
    "mean_g": "float32",
    "mean_b": "float32",
    "std_r": "float32",
    "std_g": "float32",
    "std_b": "float32",
    "measured_by": "int32",  # version of the measures above, `core.data.checks.MEASURES_VERSION`; -1 not known
    "duplicate_group": "int32",  # files of the same bytes have the same number; -1 where there is no other
    "near_group": "int32",  # images that look the same, those of the same bytes included; -1 where there is no other
    **{f"{check.name}_score": "float32" for check in CHECKS},  # 1 is fine, 0 the worst; NaN where it does not apply
    **{f"is_{check.name}": "bool" for check in CHECKS},
}
_IDENTITY = ["path", "label", "split", "content_hash", "error"]
_REQUIRED = [*_IDENTITY, "width", "height", "num_bytes", "mtime_ns"]
_WHERE_MISSING = {"bool": False, "int32": -1, "float32": np.nan, "str": None}


def write_manifest(folder: Path, frame: pd.DataFrame) -> None:
    """Store the table in `folder` in one step; an earlier one stays whole until the new one is complete."""
    write_bytes(folder / MANIFEST, frame.to_parquet(index=False, compression="zstd"))


def read_manifest(folder: Path) -> pd.DataFrame:
    """The table stored in `folder`, in order of `path`.

    Raises:
        DarkroomError: there is none, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DarkroomError(f"{folder.name} has no manifest ({path} is missing).", "Index the folder of images again.")
    try:
        frame = pd.read_parquet(path)
        frame = with_all_columns(frame)
        return frame.astype({name: kind for name, kind in COLUMNS.items() if frame[name].dtype != kind})
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise DarkroomError(f"The manifest {path} is damaged ({error}).", "Index the folder again.") from error


def read_columns(folder: Path, names: list[str]) -> pd.DataFrame:
    """Some columns of the table stored in `folder`, as they are there.

    Raises:
        DarkroomError: the table is missing or damaged, or lacks one of them.
    """
    path = folder / MANIFEST
    try:  # not by pandas, whose reader loads pyarrow's datasets first
        with pq.ParquetFile(path) as stored:
            return stored.read(names).select(names).to_pandas()
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise DarkroomError(f"The manifest {path} cannot be read ({error}).", "Index the folder again.") from error


def with_all_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """What manifests of earlier versions of Darkroom lack is filled in as not known."""
    missing = {name: kind for name, kind in COLUMNS.items() if name not in frame and name not in _REQUIRED}
    if missing:
        blank = {name: pd.Series(_WHERE_MISSING[kind], frame.index, dtype=kind) for name, kind in missing.items()}
        frame = pd.concat([frame, pd.DataFrame(blank, frame.index)], axis=1)
        frame["source_label"] = frame["source_label"].fillna(frame["label"])
    return frame


def content_keys(hashes: list[str]) -> np.ndarray:
    """Content hashes, 16 hexadecimal digits each, as uint64 (N,)."""
    return np.array([int(text, 16) for text in hashes], np.uint64)


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of files that can be read and were not excluded."""
    good = frame["error"].isna()
    return frame[good & ~frame["excluded"] if "excluded" in frame else good]


def fingerprint(frame: pd.DataFrame) -> str:
    """16 hexadecimal digits that change when any file, label, split, content or error does; row order is no matter."""
    columns = [frame[name].fillna("").tolist() for name in _IDENTITY]
    digest = hashlib.blake2b(digest_size=8)
    for row in sorted(zip(*columns, strict=True)):
        digest.update("\0".join(row).encode() + b"\0\0")
    return digest.hexdigest()


def require_two_classes(labels: pd.Series) -> None:
    """Refuse images that can all be read but are of one class.

    Raises:
        InputError: naming the class.
    """
    classes = labels.unique().tolist()
    if len(classes) == 1:
        raise InputError(
            f"Only images of one class, {classes[0]!r}, can be read.",
            "A classifier needs at least two: check the files of the others.",
        )
