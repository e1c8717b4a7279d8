"""Collections: datasets that begin with nothing and grow class by class from a webcam or from uploads.

A collection lies in the dataset's own folder: `images/<class>/<batch>-<number>.<suffix>`, and `collection.json` with
its name. It becomes a dataset when it is indexed, as any folder does, and is indexed again after more was captured.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from filelock import FileLock

from core.data.intake import Source
from core.data.pending import look_at_source
from core.data.sources import Reading
from core.data.stored import IMAGES, checked_name, read_described
from core.data.walk import IMAGE_SUFFIXES, is_text
from core.errors import DarkroomError, ImageReadError, InputError
from core.files import read_json, slug, write_bytes, write_json
from core.preprocess import decode, open_image
from core.workspace import Workspace

Store = Callable[[str, str, list[tuple[str, bytes]]], None]  # class, id of the capture, (name, bytes) of each image

_NOTE = "collection.json"
_MAX_CLASS = 60  # characters
_MAX_IMAGE_BYTES = 50 * 10**6
_BATCH = re.compile(r"(\d{6})-\d{4}\.\w+")
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}
_MORE_SUFFIXES = {"TIFF": ".tif", "HEIF": ".heic", "AVIF": ".avif"}


@dataclass(frozen=True)
class Collection:
    """What has been collected so far.

    Attributes:
        counts: images of each class, in the order the classes were added.
        is_indexed: whether there is a dataset of it already, of this or an earlier state.
    """

    id: str
    name: str
    folder: Path
    counts: dict[str, int]
    is_indexed: bool

    @property
    def num_images(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Added:
    """How many images were stored, as which batch of their class, and which were not: (name, reason)."""

    num_images: int
    batch: int
    refused: list[tuple[str, str]] = field(default_factory=list)


def start_collection(ws: Workspace, name: str) -> Collection:
    """An empty collection of that name.

    Raises:
        InputError: the name is empty or too long, or a collection has it already.
    """
    name = checked_name(name) or ""
    if any(one.name.casefold() == name.casefold() for one in list_collections(ws)):
        raise InputError(f"There is a collection called {name!r} already.", "Choose it in the list, or another name.")
    folder = ws.dataset(f"{slug(name)}-{secrets.token_hex(3)}")
    (folder / IMAGES).mkdir(parents=True)
    write_json(folder / _NOTE, {"name": name, "created": time.time(), "classes": []})
    return open_collection(ws, folder.name)


def list_collections(ws: Workspace) -> list[Collection]:
    """All collections, the newest first."""
    folders = [place.parent for place in ws.datasets.glob(f"[!.]*/{_NOTE}")]
    known = [(read_json(folder / _NOTE) or {}, folder) for folder in folders]
    known.sort(key=lambda one: one[0].get("created", 0.0), reverse=True)
    return [open_collection(ws, folder.name) for _, folder in known]


def open_collection(ws: Workspace, identity: str) -> Collection:
    """A collection as it stands now; raises `InputError` where there is none of that id."""
    folder = ws.dataset(identity)
    note = read_json(folder / _NOTE)
    if not note:
        raise InputError(f"There is no collection {identity!r}.", "Start one by giving it a name.")
    counts = {label: len(_images(folder, label)) for label in note["classes"]}
    try:
        is_indexed = read_described(folder) is not None
    except DarkroomError:
        is_indexed = False
    return Collection(identity, note["name"], folder, counts, is_indexed)


def add_class(ws: Workspace, identity: str, label: str) -> str:
    """Make room for images of a class; gives its name as it is kept. A class that is there already stays as it is.

    Raises:
        InputError: the name cannot be a folder's.
    """
    label = _checked_label(label)
    folder = open_collection(ws, identity).folder
    with _lock(folder):
        note = read_json(folder / _NOTE) or {}
        if label not in note["classes"]:
            (folder / IMAGES / label).mkdir(parents=True, exist_ok=True)
            write_json(folder / _NOTE, note | {"classes": [*note["classes"], label]})
    return label


def add_images(
    ws: Workspace, identity: str, label: str, images: Sequence[tuple[str, bytes]], batch: int | None = None
) -> Added:
    """Store images as one batch of a class: (name to say in a refusal, bytes). What is no whole image is refused.

    Args:
        batch: the batch of an earlier call that these belong to; a new one by default.

    Raises:
        InputError: there is no such class.
        DarkroomError: the disk is full; images before that are stored.
    """
    folder = _class_folder(ws, identity, label)
    num_images, refused = 0, []
    with _lock(folder.parent.parent):
        there = _images(folder.parent.parent, label)
        batch = batch or _last_batch(there) + 1
        start = sum(_batch(image) == batch for image in there) + 1
        for name, data in images:
            try:
                suffix = _suffix(data)
            except ImageReadError as error:
                refused.append((name, error.message))
                continue
            write_bytes(folder / f"{batch:06d}-{start + num_images:04d}{suffix}", data, durable=False)
            num_images += 1
    return Added(num_images, batch, refused)


def delete_last(ws: Workspace, identity: str, label: str) -> int:
    """Delete the images of a class that came together last; gives how many."""
    folder = _class_folder(ws, identity, label)
    with _lock(folder.parent.parent):
        images = _images(folder.parent.parent, label)
        last = [image for image in images if _batch(image) == _last_batch(images)]
        for image in last:
            image.unlink()
    return len(last)


def delete_class(ws: Workspace, identity: str, label: str) -> None:
    """Delete a class with all its images."""
    folder = _class_folder(ws, identity, label)
    home = folder.parent.parent
    with _lock(home):
        note = read_json(home / _NOTE) or {}
        write_json(home / _NOTE, note | {"classes": [one for one in note["classes"] if one != label]})
        shutil.rmtree(folder)


def latest(ws: Workspace, identity: str, label: str, number: int, side: int = 160) -> list[bytes]:
    """Small copies, JPEG, of the images of a class that were stored last, the newest first."""
    copies = []
    for file in _images(_class_folder(ws, identity, label).parent.parent, label)[::-1][:number]:
        with contextlib.suppress(ImageReadError):  # deleted by another tab in between
            image = decode(file, at_least=2 * side)
            image.thumbnail((side, side))
            stream = BytesIO()
            image.save(stream, "JPEG", quality=80)
            copies.append(stream.getvalue())
    return copies


def index_collection(ws: Workspace, identity: str) -> str:
    """Start indexing in the background, as `pending.look_at` does; only what is new is read. Gives the id of the look.

    Raises:
        InputError: there are not yet images of two classes.
    """
    collection = open_collection(ws, identity)
    if sum(number > 0 for number in collection.counts.values()) < 2:
        raise InputError("A classifier needs images of at least two classes.", "Add a class, then images of it.")
    images = collection.folder / IMAGES
    return look_at_source(ws, Source(str(images), images, identity, collection.name), Reading("class folders"))


def _class_folder(ws: Workspace, identity: str, label: str) -> Path:
    collection = open_collection(ws, identity)
    if label not in collection.counts:
        raise InputError(f"{collection.name} has no class {label!r}.", "Add the class first.")
    return collection.folder / IMAGES / label


def _images(folder: Path, label: str) -> list[Path]:
    """In the order they were stored."""
    place = folder / IMAGES / label
    return sorted(file for file in place.glob("*") if file.suffix in IMAGE_SUFFIXES and not file.name.startswith("."))


def _batch(image: Path) -> int:
    match = _BATCH.fullmatch(image.name)
    return int(match[1]) if match else 0


def _last_batch(images: list[Path]) -> int:
    return max(map(_batch, images), default=0)


def _lock(folder: Path) -> FileLock:
    """Two tabs may store at once."""
    return FileLock(folder / ".collection.lock")


def _suffix(data: bytes) -> str:
    """The ending of a whole image's file, by what the bytes are. Raises `ImageReadError` where they are none."""
    if len(data) > _MAX_IMAGE_BYTES:
        raise ImageReadError(f"It is larger than {_MAX_IMAGE_BYTES // 10**6} MB.")
    image = open_image(data)
    suffix = (_SUFFIXES | _MORE_SUFFIXES).get(image.format or "")
    if suffix is None:
        raise ImageReadError(f"Images of the format {image.format} are not taken.")
    decode(image, at_least=1)
    return suffix


def _checked_label(label: str) -> str:
    label = unicodedata.normalize("NFC", " ".join(label.split()))
    if not 0 < len(label) <= _MAX_CLASS or not is_text(label) or len(label.encode()) > 240:
        raise InputError(f"A class's name has 1 to {_MAX_CLASS} characters; this one has {len(label)}.", "Change it.")
    if label.startswith(".") or label == "__MACOSX" or any(mark in label for mark in '/\\\0:*?"<>|'):
        raise InputError(
            f"{label!r} cannot be the name of a class here.",
            'It becomes a folder: leave out a dot in front and / \\ : * ? " < > |',
        )
    return label
