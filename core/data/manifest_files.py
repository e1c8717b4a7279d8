"""Tables of images and labels that people bring along: which column says what, and which images their rows name."""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.data.tables import Table, printable
from core.data.walk import IMAGE_SUFFIXES, is_text
from core.errors import InputError
from core.files import FORMULA_STARTS
from core.wording import count

NO_COLUMN = "(none)"  # chosen in place of a column that would be recognised
MAX_LABEL = 300  # characters
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_KNOWN_NAMES = {
    "path": "path file filename file_name filepath file_path image image_path img img_path image_name image_file name "
    "image_id id file_id",
    "label": "label labels class class_name classname category target label_name species breed diagnosis y",
    "split": "split set subset partition fold usage",
    "group": "group groups group_id patient patient_id subject subject_id video video_id source session",
}
_SAMPLE = 200  # rows looked at to recognise columns
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Columns:
    """Which column says what; empty where none does."""

    path: str
    label: str
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Listed:
    """The images a table names: columns path, label, split, group; and the rows that name none, with the reason."""

    files: pd.DataFrame
    refused: tuple[tuple[str, str], ...]
    ignored: dict[str, int]
    notes: tuple[str, ...]


def recognise_columns(rows: pd.DataFrame, chosen: Columns) -> Columns:
    """Which column is which: as chosen, else by name, else by what stands in it.

    Raises:
        InputError: a chosen column does not exist, or there is none of paths or of labels.
    """
    names = [str(name) for name in rows.columns]
    taken: dict[str, str] = {}
    for role in ("path", "label", "split", "group"):
        wanted = getattr(chosen, role)
        if wanted and wanted != NO_COLUMN and wanted not in names:
            raise InputError(f"The table has no column {wanted!r}.", f"It has {_quoted(names)}.")
        taken[role] = wanted
    sample = rows.head(_SAMPLE)
    if not taken["path"]:
        taken["path"] = _path_column(sample, _free(names, taken))
    for role in ("label", "split", "group"):
        if not taken[role]:
            taken[role] = _by_name(role, _free(names, taken))
    if not taken["label"]:
        taken["label"] = _likely_label(sample, _free(names, taken))
    for role, words in (("path", "the images' paths"), ("label", "their labels")):
        if taken[role] in ("", NO_COLUMN):
            raise InputError(
                f"No column of the table seems to hold {words}; it has {_quoted(names)}.",
                "Name the columns path and label, or say which ones they are.",
            )
    return Columns(**{role: "" if name == NO_COLUMN else name for role, name in taken.items()})


def list_images(table: Table, columns: Columns, images: Path) -> Listed:
    """The images named by a table, each path once, relative to the folder `images`.

    A row is refused, by its line, where its path is empty, absolute, or leads out of the folder, where it has no
    label, or where another row gives the same image another label. Rows that say the same twice count once. A file
    that does not exist is not refused here: it becomes a row with an error.
    """
    rows = table.rows
    frame = pd.DataFrame(
        {
            "path": _tidied_paths(rows[columns.path].tolist()),
            "label": _each(rows, columns.label, lambda text: unicodedata.normalize("NFC", _unquoted(text.strip()))),
            "split": _each(rows, columns.split, lambda text: SPLITS.get(text.strip().lower())),
            "group": _each(rows, columns.group, lambda text: text.strip() or None),
        }
    ).astype("str")
    reasons = [_fault(*pair) for pair in zip(frame["path"].tolist(), frame["label"].tolist(), strict=True)]
    reasons = _disagreeing(frame, reasons)
    blank = (rows == "").all(axis=1).to_numpy()  # empty lines, and those already refused
    refused = [
        (f"line {table.first_line + place}: {printable(rows[columns.path].iloc[place])}", reason)
        for place, reason in enumerate(reasons)
        if reason and not blank[place]
    ]
    good = frame[[reason is None for reason in reasons]]
    files = good.drop_duplicates("path", keep="first")
    notes, ignored = [], {}
    if len(files) < len(good):
        ignored["rows that say the same again"] = len(good) - len(files)
    if refused or table.refused:
        ignored["rows that name no usable image"] = len(refused) + len(table.refused)
    if columns.split:
        unknown = {text.strip() for text in set(rows[columns.split].tolist()) if text.strip().lower() not in SPLITS}
        unknown -= {""}
        if unknown:
            notes.append(f"Not splits, so these rows are divided like all others: {_quoted(sorted(unknown))}.")
    files, found_as = _found(files.reset_index(drop=True), images)
    notes += found_as
    return Listed(
        files.sort_values("path", ignore_index=True), (*table.refused, *refused), ignored, (*table.notes, *notes)
    )


def _free(names: list[str], taken: dict[str, str]) -> list[str]:
    return [name for name in names if name not in taken.values()]


def _by_name(role: str, names: list[str]) -> str:
    known = _KNOWN_NAMES[role].split()
    tidy = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in reversed(names)}
    return next((tidy[name] for name in known if name in tidy), "")


def _path_column(sample: pd.DataFrame, names: list[str]) -> str:
    """What looks like files wins over what is called so: `image` may be a number where `file` holds the names."""
    shares = {name: _share_of_files(sample[name]) for name in names}
    likely = [name for name in names if shares[name] > 0.5]
    return _by_name("path", likely) or (likely[0] if likely else _by_name("path", names))


def _share_of_files(values: pd.Series) -> float:
    cells = [text.strip().lower() for text in values if text.strip()]
    return sum(text.endswith(tuple(IMAGE_SUFFIXES)) for text in cells) / max(1, len(cells))


def _likely_label(sample: pd.DataFrame, names: list[str]) -> str:
    """The column of the fewest values, but more than one; only if they repeat."""
    num_values = {name: sample[name].nunique() for name in names}
    fitting = [name for name in names if 1 < num_values[name] <= max(2, len(sample) // 2)]
    return min(fitting, key=lambda name: num_values[name], default="")


def _each(rows: pd.DataFrame, column: str, tidy: Callable[[str], str | None]) -> list[str | None] | None:
    """A column tidied, each of its values once, as labels repeat a thousandfold; None where there is no column."""
    if not column:
        return None
    cells = rows[column].tolist()
    tidied = {text: tidy(text) for text in set(cells)}
    return [tidied[text] for text in cells]


def _tidied_paths(cells: Iterable[str]) -> list[str]:
    paths = [_unquoted(cell.strip()) for cell in cells]
    if any("\\" in path for path in paths) and not any("/" in path for path in paths):  # written on Windows
        paths = [path.replace("\\", "/") for path in paths]
    return [posixpath.normpath(path) if path and not _is_absolute(path) else path for path in paths]


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\", "~")) or "://" in path or bool(_DRIVE.match(path))


def _unquoted(text: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def _fault(path: str, label: str) -> str | None:
    if not path or path == ".":
        return "It names no file."
    if "\0" in path or "\0" in label:
        return "It holds a null byte."
    if not is_text(path) or not is_text(label) or "\N{REPLACEMENT CHARACTER}" in path:
        return "It is not valid text."
    if _is_absolute(path):
        return "Its path is absolute; paths are relative to the images' folder."
    if path == ".." or path.startswith("../") or "..\\" in path:
        return "Its path leads out of the images' folder."
    if len(path) > 1000 and len(os.fsencode(path)) > 4000:
        return "Its path is too long for a file's."
    if not label:
        return "It has no label."
    return f"Its label has more than {MAX_LABEL} characters." if len(label) > MAX_LABEL else None


def _disagreeing(frame: pd.DataFrame, reasons: list[str | None]) -> list[str | None]:
    """Rows of one path with different labels: nobody knows which is right, so none of them counts."""
    sound = frame[[reason is None for reason in reasons]]
    labels = sound.groupby("path")["label"].nunique()
    disputed = sound[sound["path"].isin(labels[labels > 1].index)]
    named = disputed.groupby("path")["label"].unique()
    for place, path in disputed["path"].items():
        reasons[int(str(place))] = f"Other rows give this image another label: {_quoted(sorted(named[path]))}."
    return reasons


def _found(files: pd.DataFrame, images: Path) -> tuple[pd.DataFrame, list[str]]:
    """Complete names given without their suffix, as Kaggle does; looks into the folder only where that is so."""
    bare = [not path.lower().endswith(tuple(IMAGE_SUFFIXES)) for path in files["path"].tolist()]
    if not files.size or sum(bare) < len(bare) / 2:
        return files, []
    suffixes: dict[str, str] = {}
    for folder in sorted({posixpath.dirname(path) for path in files["path"].tolist()}):
        try:
            names = os.listdir(images / folder)
        except OSError:
            continue
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES:
                suffixes.setdefault(posixpath.join(folder, stem), suffix)
    completed = [path + suffixes.get(path, "") for path in files["path"].tolist()]
    number = sum(path in suffixes for path in files["path"].tolist())
    note = [f"{count(number, 'name')} without a suffix were found with it."] if number else []
    return files.assign(path=completed).drop_duplicates("path"), note


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
