"""The manifest: one Parquet table a dataset, one row a file, errors included."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

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
}
_IDENTITY = ["path", "label", "split", "content_hash", "error"]


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
        return frame.astype({name: kind for name, kind in COLUMNS.items() if frame[name].dtype != kind})
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise DarkroomError(f"The manifest {path} is damaged ({error}).", "Index the folder again.") from error


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of files that can be read."""
    return frame[frame["error"].isna()]


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
