"""A registered dataset: its description on disk, and how to find it by id or name."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import nullcontext
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from core.data import ledger
from core.data.manifest import MANIFEST, fingerprint, read_columns, read_manifest, usable
from core.data.sources import Layout, Recognised, stem
from core.data.walk import path_digest
from core.errors import DarkroomError, InputError
from core.files import read_json, slug, write_failure, write_json
from core.workspace import Workspace

DESCRIPTION = "dataset.json"
IMAGES = "images"  # where in a dataset's folder its images lie that Darkroom itself has written
REFUSED = "refused.json"  # what could not be taken in, by name, with the reason; not there where nothing was
_REPLACED = ".images.replaced"
_SAYS_LITTLE = frozenset(
    {"train", "training", "images", "data", "dataset", "labels", "metadata", "manifest", "annotations", "index"}
)
_MAX_NAME = 80


@dataclass(frozen=True)
class Dataset:
    """A folder of images that was indexed, as its user has corrected it so far.

    What is counted and `manifest()` are of one moment: edits made later show in a `Dataset` that is read later.

    Attributes:
        root: where the images are.
        folder: where the manifest is.
        created: when it was first stored, seconds since the epoch.
        num_images: images that can be read and were not excluded. Unreadable ones are counted by `num_errors` alone.
        num_classes: classes among these images.
        ignored: what was left out, by suffix or by reason -> how many.
        notes: sentences on what the user would want to know of how the folder was read.
        fingerprint: the version; changes when the manifest does, by indexing or by correcting, and comes back when
            that is undone.
        seconds: how long indexing took last time.
        images_per_s: files a second, last time.
        indexed_fingerprint: the version without any correction.
        num_excluded: images that can be read and were excluded.
        num_edits: corrections in force, however many images each is of.
        ledger_size: bytes of the list of corrections these figures are of.
        source: what was given to be indexed, where it is not the folder `root`: an archive, a table, a set's name.
        reading: how it was read; see `core.data.sources.Reading`.
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
    indexed_fingerprint: str = ""
    num_excluded: int = 0
    num_edits: int = 0
    ledger_size: int = 0
    source: str = ""
    reading: dict[str, Any] | None = None

    def manifest(self) -> pd.DataFrame:
        """All rows, as corrected, unreadable and excluded files included.

        Raises:
            DarkroomError: the manifest or the list of corrections is missing or damaged.
        """
        return self.corrected(self.indexed())

    def indexed(self) -> pd.DataFrame:
        """All rows as indexed, without any correction; raises as `manifest` does."""
        return read_manifest(self.folder)

    def corrected(self, indexed: pd.DataFrame) -> pd.DataFrame:
        """`manifest()` from `indexed()`, for who keeps that; columns that are the same are shared, not copied."""
        return ledger.apply_corrections(indexed, self.corrections())

    def corrections(self) -> pd.DataFrame:
        """What was corrected, one row a file; see `ledger.corrections`."""
        return ledger.corrections(ledger.read_ledger(self.folder, self.ledger_size))


def dataset_id(root: Path) -> str:
    """A readable id that is always the same for the same folder, whatever way leads to it."""
    return f"{slug(folder_name(root))}-{path_digest(root)}"


def folder_name(root: Path) -> str:
    """What to call the dataset in a folder: `dogs-vs-cats` for `dogs-vs-cats/train`, else the folder's own name.

    Likewise `birds` for `birds.zip`, and for the table `birds/labels.csv`.
    """
    root = Path(os.path.realpath(root))
    name = stem(root)
    return (root.parent.name if name.lower() in _SAYS_LITTLE else name) or name or "root"


def describe(
    folder: Path, identity: str, name: str, recognised: Recognised, frame: pd.DataFrame, seconds: float
) -> Dataset:
    """Write the description of the manifest `frame`, stored in `folder`, beside it."""
    good, version = usable(frame), fingerprint(frame)
    dataset = Dataset(
        id=identity,
        name=name,
        root=recognised.root,
        folder=folder,
        layout=recognised.layout,
        created=time.time(),
        num_images=len(good),
        num_classes=good["label"].nunique(),
        num_errors=int(frame["error"].notna().sum()),
        ignored=recognised.ignored,
        notes=recognised.notes,
        fingerprint=version,
        seconds=round(seconds, 3),
        images_per_s=round(len(frame) / max(seconds, 1e-9), 1),
        indexed_fingerprint=version,
        source=recognised.source,
        reading=recognised.reading.to_dict(),
    )
    _write(dataset)
    return dataset


def read_dataset(folder: Path) -> Dataset | None:
    """The dataset described in `folder`, or None where none is.

    Raises:
        DarkroomError: the description is damaged.
    """
    dataset = read_described(folder)
    if dataset is None or dataset.ledger_size == ledger.ledger_size(folder):
        return dataset
    # Indexed anew, or a process died between writing an edit down and counting again.
    with ledger.lock(folder):
        dataset = read_described(folder)
        return dataset and recount(dataset)


def recount(dataset: Dataset) -> Dataset:
    """The dataset with its version and figures as its list of corrections is now, also on disk.

    Call with the ledger's lock held.
    """
    now = ledger.read_ledger(dataset.folder)
    if now.size == dataset.ledger_size:
        return dataset
    indexed = identity_rows(dataset.folder)
    rows = ledger.apply_corrections(indexed, ledger.corrections(now))
    good = usable(rows)
    dataset = replace(
        dataset,
        num_images=len(good),
        num_classes=good["label"].nunique(),
        num_excluded=int((rows["excluded"] & rows["error"].isna()).sum()),
        fingerprint=ledger.corrected_fingerprint(dataset.indexed_fingerprint, ledger.changed_rows(indexed, rows)),
        num_edits=len(now.done),
        ledger_size=now.size,
    )
    _write(dataset)
    return dataset


def identity_rows(folder: Path) -> pd.DataFrame:
    """What corrections are about, of all rows as indexed: path, label, content_hash, error, excluded (False)."""
    rows = read_columns(folder, ["path", "label", "content_hash", "error"])
    return rows.astype("str").assign(excluded=False)


def read_described(folder: Path) -> Dataset | None:
    """What the description in `folder` says, even where it is not of all corrections yet; see `read_dataset`."""
    raw = read_json(folder / DESCRIPTION)
    if raw is None:
        return None
    try:
        wanted = [field for field in fields(Dataset) if field.name != "folder"]
        known = {one.name: raw[one.name] for one in wanted if one.name in raw or one.default is MISSING}
        known.setdefault("indexed_fingerprint", raw["fingerprint"])
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

    One that was there is replaced file by file, each in one step, and keeps its name unless there is a new one. Its
    corrections stay and apply again, as far as files still have the content they were made for.

    Raises:
        DarkroomError: `built` holds no dataset, or the disk does not allow it.
    """
    dataset = read_dataset(built)
    if dataset is None:
        raise DarkroomError(f"{built} holds no finished dataset.", "Look at the folder of images again.")
    target = ws.dataset(dataset.id)
    with ledger.lock(target) if target.exists() else nullcontext():  # a correction under way would put the old back
        before = read_described(target)
        dataset = replace(
            dataset,
            name=name or (before.name if before else dataset.name),
            created=before.created if before else dataset.created,
        )
        _write(dataset, target)
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
        if (built / IMAGES).is_dir():  # unpacked or downloaded: they belong to the manifest beside them
            shutil.rmtree(target / _REPLACED, ignore_errors=True)
            if (target / IMAGES).exists():
                os.rename(target / IMAGES, target / _REPLACED)
            os.rename(built / IMAGES, target / IMAGES)
        (target / REFUSED).unlink(missing_ok=True)
        last = [MANIFEST, DESCRIPTION]
        for name in (
            sorted(place.name for place in built.iterdir() if place.is_file() and place.name not in last) + last
        ):
            os.replace(built / name, target / name)
        shutil.rmtree(target / _REPLACED, ignore_errors=True)
        shutil.rmtree(built)


def _write(dataset: Dataset, target: Path | None = None) -> None:
    """Args: `target`: where the folder will be moved to; images there belong to it as well as those in it now."""
    root, raw = dataset.root, {key: value for key, value in asdict(dataset).items() if key != "folder"}
    homes = [Path(os.path.realpath(place)) for place in (dataset.folder, target) if place]
    home = next((place for place in homes if root.is_relative_to(place)), None)
    raw["root"] = str(root.relative_to(home) if home else root)
    write_json(dataset.folder / DESCRIPTION, raw)


def _ids(datasets: list[Dataset]) -> str:
    return ", ".join(f"{dataset.id} ({dataset.name})" for dataset in datasets)
