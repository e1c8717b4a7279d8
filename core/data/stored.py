"""A registered dataset: its description on disk, and how to find it by id or name."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import pandas as pd

from core.data.manifest import MANIFEST, fingerprint, read_manifest, usable
from core.data.sources import Layout, Recognised
from core.errors import DarkroomError, InputError
from core.files import read_json, slug, write_failure, write_json
from core.workspace import Workspace

DESCRIPTION = "dataset.json"
_SAYS_LITTLE = frozenset({"train", "training", "images", "data", "dataset"})
_MAX_NAME = 80


@dataclass(frozen=True)
class Dataset:
    """A folder of images that was indexed.

    Attributes:
        root: where the images are.
        folder: where the manifest is.
        created: when it was first stored, seconds since the epoch.
        num_images: images that can be read. Unreadable ones are counted by `num_errors` alone.
        num_classes: classes among the images that can be read.
        ignored: what was left out, by suffix or by reason -> how many.
        notes: sentences on what the user would want to know of how the folder was read.
        fingerprint: changes when the manifest does.
        seconds: how long indexing took last time.
        images_per_s: files a second, last time.
    """

    id: str
    name: str
    root: Path
    folder: Path
    layout: Layout
    created: float
    num_images: int
    num_classes: int
    num_errors: int
    ignored: dict[str, int]
    notes: tuple[str, ...]
    fingerprint: str
    seconds: float
    images_per_s: float

    def manifest(self) -> pd.DataFrame:
        """All rows, unreadable files included; raises `DarkroomError` where the file is missing or damaged."""
        return read_manifest(self.folder)


def dataset_id(root: Path) -> str:
    """A readable id that is always the same for the same folder, whatever way leads to it."""
    resolved = os.path.realpath(root)
    return f"{slug(folder_name(Path(resolved)))}-{hashlib.blake2b(os.fsencode(resolved), digest_size=3).hexdigest()}"


def folder_name(root: Path) -> str:
    """What to call the dataset in a folder: `dogs-vs-cats` for `dogs-vs-cats/train`, else the folder's own name."""
    root = Path(os.path.realpath(root))
    return (root.parent.name if root.name.lower() in _SAYS_LITTLE else root.name) or root.name or "root"


def describe(
    folder: Path, identity: str, name: str, recognised: Recognised, frame: pd.DataFrame, seconds: float
) -> Dataset:
    """Write the description of the manifest `frame`, stored in `folder`, beside it."""
    good = usable(frame)
    dataset = Dataset(
        id=identity,
        name=name,
        root=recognised.root,
        folder=folder,
        layout=recognised.layout,
        created=time.time(),
        num_images=len(good),
        num_classes=good["label"].nunique(),
        num_errors=len(frame) - len(good),
        ignored=recognised.ignored,
        notes=recognised.notes,
        fingerprint=fingerprint(frame),
        seconds=round(seconds, 3),
        images_per_s=round(len(frame) / max(seconds, 1e-9), 1),
    )
    _write(dataset)
    return dataset


def read_dataset(folder: Path) -> Dataset | None:
    """The dataset described in `folder`, or None where none is.

    Raises:
        DarkroomError: the description is damaged.
    """
    raw = read_json(folder / DESCRIPTION)
    if raw is None:
        return None
    try:
        known = {field.name: raw[field.name] for field in fields(Dataset) if field.name != "folder"}
        # The built-in images lie beside their description, so their root is kept relative and moves along with it.
        return Dataset(**known | {"root": folder / raw["root"], "notes": tuple(raw["notes"]), "folder": folder})
    except (KeyError, TypeError) as error:
        raise DarkroomError(
            f"{folder / DESCRIPTION} is damaged ({error!r}).", f"Delete {folder} and index the images again."
        ) from error


def list_datasets(ws: Workspace) -> list[Dataset]:
    """All registered datasets whose description is sound, by name; see `damaged_datasets` for the others."""
    datasets = [dataset for dataset in map(_sound, _folders(ws)) if dataset]
    return sorted(datasets, key=lambda dataset: (dataset.name.casefold(), dataset.id))


def damaged_datasets(ws: Workspace) -> list[str]:
    """What is wrong with each dataset that cannot be listed, and what to do."""
    problems = []
    for folder in _folders(ws):
        try:
            read_dataset(folder)
        except DarkroomError as error:
            problems.append(str(error))
    return problems


def _folders(ws: Workspace) -> list[Path]:
    return sorted(place for place in ws.datasets.iterdir() if place.is_dir() and not place.name.startswith("."))


def _sound(folder: Path) -> Dataset | None:
    try:
        return read_dataset(folder)
    except DarkroomError:
        return None


def open_dataset(ws: Workspace, id_or_name: str) -> Dataset:
    """The dataset of that id, or else of that name.

    Raises:
        InputError: there is none, or several of that name.
    """
    damaged = next((folder for folder in _folders(ws) if folder.name == id_or_name and not _sound(folder)), None)
    if damaged:
        read_dataset(damaged)  # raises, saying what is wrong
    datasets = list_datasets(ws)
    found = [one for one in datasets if one.id == id_or_name] or [one for one in datasets if one.name == id_or_name]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"Several datasets are called {id_or_name!r}.", f"Use an id: {_ids(found)}.")
    known = f"There are {_ids(datasets)}." if datasets else "There are none yet."
    raise InputError(f"There is no dataset {id_or_name!r}.", f"{known} Index a folder with: python -m core index PATH")


def checked_name(name: str | None) -> str | None:
    """A name given to a dataset, in one line; None stays None. Raises `InputError` where it is empty or too long."""
    if name is None:
        return None
    name = " ".join(name.split())
    if not 0 < len(name) <= _MAX_NAME:
        raise InputError(f"A dataset's name has 1 to {_MAX_NAME} characters; this one has {len(name)}.", "Change it.")
    return name


def publish(ws: Workspace, built: Path, name: str | None = None) -> Dataset:
    """Move the finished dataset in `built` (a folder in the workspace) to where datasets live.

    One that was there is replaced file by file, each in one step, and keeps its name unless there is a new one.

    Raises:
        DarkroomError: `built` holds no dataset, or the disk does not allow it.
    """
    dataset = read_dataset(built)
    if dataset is None:
        raise DarkroomError(f"{built} holds no finished dataset.", "Look at the folder of images again.")
    target = ws.dataset(dataset.id)
    before = read_dataset(target)
    dataset = replace(
        dataset,
        name=name or (before.name if before else dataset.name),
        created=before.created if before else dataset.created,
    )
    _write(dataset)
    try:
        _move(built, target)
    except OSError as error:
        raise write_failure(target, error) from error
    published = read_dataset(target)
    assert published is not None
    return published


def _move(built: Path, target: Path) -> None:
    try:
        os.rename(built, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        os.replace(built / MANIFEST, target / MANIFEST)
        os.replace(built / DESCRIPTION, target / DESCRIPTION)
        shutil.rmtree(built)


def _write(dataset: Dataset) -> None:
    root, beside = dataset.root, Path(os.path.realpath(dataset.folder))
    raw = {key: value for key, value in asdict(dataset).items() if key != "folder"}
    raw["root"] = str(root.relative_to(beside) if root.is_relative_to(beside) else root)
    write_json(dataset.folder / DESCRIPTION, raw)


def _ids(datasets: list[Dataset]) -> str:
    return ", ".join(f"{dataset.id} ({dataset.name})" for dataset in datasets)
