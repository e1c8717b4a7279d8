"""Recognises how a folder of images says which class each image is of, before anything is stored."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from core.data.walk import IMAGE_SUFFIXES, Found, find_images, is_text
from core.errors import InputError
from core.wording import count

__all__ = ["IMAGE_SUFFIXES", "Layout", "Recognised", "recognise", "resolve_root"]

Layout = Literal["class folders", "split folders", "flat names"]

LAYOUTS = "One folder a class, train/ val/ test/ folders with one folder a class in each, or names like cat.1.jpg."
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_FLAT_NAME = re.compile(r"(?P<label>.*\S)\s*[._-]\d+")
_MOST_NAMED = 5


@dataclass(frozen=True)
class Recognised:
    """A folder of images as it will be indexed.

    Attributes:
        root: the folder, absolute and without links.
        files: one row a file: path (relative, POSIX, sorted), label, split (missing where the layout has none).
        ignored: what was left out, by suffix or by reason -> how many.
        notes: sentences on anything the user would want to know before going on.
    """

    root: Path
    layout: Layout
    files: pd.DataFrame
    ignored: dict[str, int]
    notes: tuple[str, ...]

    @property
    def num_images(self) -> int:
        return len(self.files)

    @property
    def classes(self) -> list[str]:
        return sorted(self.files["label"].unique())

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class, in order of `classes`."""
        return {label: int(number) for label, number in self.files["label"].value_counts().sort_index().items()}

    @property
    def sentence(self) -> str:
        """`2 classes, 2,002 images, flat names (label.N.jpg)`."""
        detail = {"flat names": " (label.N.jpg)", "class folders": "", "split folders": ""}[self.layout]
        if self.layout == "split folders":
            present = set(self.files["split"])
            detail = f" ({', '.join(name for name in ('train', 'val', 'test') if name in present)})"
        num_classes = count(self.files["label"].nunique(), "class", "classes")
        return f"{num_classes}, {count(self.num_images, 'image')}, {self.layout}{detail}"


def resolve_root(path: str | Path) -> Path:
    """The folder a user means, absolute and without links.

    Raises:
        InputError: there is no such folder, it is none, or it may not be read.
    """
    text = str(path)
    if not text.strip() or "\0" in text or not is_text(text):
        raise InputError(f"{text!a} is not the path of a folder.", "Give a path such as /home/you/photos.")
    text = os.path.expanduser(text if os.path.lexists(text) else text.strip())
    root = Path(os.path.realpath(text))
    try:
        is_folder = root.is_dir() if root.exists() else None
        if is_folder:
            os.scandir(root).close()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(
                f"There is no permission to read {root}.", "Allow it (chmod -R u+rX), or choose another folder."
            ) from error
        raise InputError(f"{root} cannot be read: {error.strerror}.", "Check the path.") from error
    if is_folder is None:
        nearest = next(parent for parent in root.parents if parent.exists())
        raise InputError(f"There is no folder {root}.", f"Check the path: it exists as far as {nearest}.")
    if not is_folder:
        unpack = "Unpack it first and g" if root.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z") else "G"
        raise InputError(f"{root} is a file.", f"{unpack}ive the folder that holds the images.")
    return root


def recognise(root: Path) -> Recognised:
    """Find the images below `root` and what each is labelled; reads names only, never a file's content.

    A class is the first folder below the root (below the split's folder); folders inside it are no matter. Names of
    split folders are those of `_SPLITS`, in any capitals.

    Raises:
        InputError: the folder cannot be read or cannot be a dataset, with what to change.
    """
    root = resolve_root(root)
    try:
        found = find_images(root)
    except OSError as error:
        raise InputError(f"{root} cannot be read: {error.strerror}.", "Check the folder's permissions.") from error
    if not found.images:
        raise InputError(f"{root} holds no images{_but(found)}.", f"Images end in {', '.join(sorted(IMAGE_SUFFIXES))}.")
    layout = _layout(found)
    labelled, unlabelled = [], []
    for path in found.images:
        split, label = _split_and_label(path, layout)
        (labelled.append((path, label, split)) if label else unlabelled.append(path))
    if len(labelled) < len(unlabelled):
        raise InputError(
            f"Nothing says which class the images in {root} are of, such as {unlabelled[0]!r}.",
            f"Arrange them in one of these ways. {LAYOUTS}",
        )
    if unlabelled:
        found.ignored["images without a class"] += len(unlabelled)
        found.notes.append(
            f"{count(len(unlabelled), 'image')} left out: neither folder nor name gives a class: {_named(unlabelled)}."
        )
    files = pd.DataFrame(labelled, columns=["path", "label", "split"]).astype("str")
    notes = (*found.notes, *_remarks(files, layout, found))
    recognised = Recognised(root, layout, files, dict(found.ignored), notes)
    _require_two_classes(recognised)
    return recognised


def _layout(found: Found) -> Layout:
    tops = Counter(path.partition("/")[0] if "/" in path else "" for path in found.images)
    num_loose = tops.pop("", 0)
    splits = {_SPLITS[name.lower()] for name in tops if name.lower() in _SPLITS}
    if "train" in splits and (len(splits) > 1 or len(tops) == 1):
        return "split folders"
    if len(splits) > 1 and len(splits) == len(tops):
        raise InputError(
            f"There are folders {_named(sorted(tops))} but none called train.",
            "Add the training images in a folder named train, or give a folder whose folders are the classes.",
        )
    # One folder beside many named images is a side folder, not the only class.
    return "class folders" if len(tops) > 1 or num_loose < sum(tops.values()) else "flat names"


def _split_and_label(path: str, layout: Layout) -> tuple[str | None, str | None]:
    """The split and label a path gives; no label where it gives none."""
    split = None
    if layout == "split folders":
        top, _, path = path.partition("/")
        split = _SPLITS.get(top.lower())
        if split is None or not path:
            return None, None
    folder, slash, _ = path.partition("/")
    if slash and layout != "flat names":
        label: str | None = folder
    elif not slash and layout != "class folders":
        match = _FLAT_NAME.fullmatch(path.rpartition(".")[0])
        label = match["label"] if match else None
    else:
        label = None
    # macOS writes accents as two characters; without this one class could become two.
    return split, unicodedata.normalize("NFC", label) if label else None


def _remarks(files: pd.DataFrame, layout: Layout, found: Found) -> list[str]:
    remarks = []
    classes = files["label"].unique().tolist()
    if layout == "class folders":
        empty = sorted({unicodedata.normalize("NFC", name) for name in found.folders} - set(classes))
        if empty:
            remarks.append(f"Folders without images: {_named(empty)}.")
    alike = [name for name, times in Counter(label.casefold() for label in classes).items() if times > 1]
    if alike:
        same = sorted(label for label in classes if label.casefold() in alike)
        remarks.append(f"Classes that differ in capitals only are kept apart: {_named(same)}.")
    return remarks


def _require_two_classes(recognised: Recognised) -> None:
    if len(recognised.classes) > 1:
        return
    only = recognised.classes[0]
    fix = "A classifier needs images of at least two classes."
    inner = recognised.root / only
    if recognised.layout == "class folders" and sum(1 for place in inner.glob("*/")) > 1:
        fix += f" If the classes are the folders inside it, give {inner}."
    else:
        fix += f" {LAYOUTS}"
    raise InputError(" ".join([f"{recognised.root} holds one class only, {only!r}.", *recognised.notes]), fix)


def _but(found: Found) -> str:
    """`, only 3 .txt and 1 .csv`, and what could not be entered."""
    rest = [f"{number:,} {what}" for what, number in found.ignored.most_common(_MOST_NAMED)]
    return ", only " + " and ".join(rest) if rest else ""


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(repr(name) for name in names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
