"""Writes a dataset as corrected somewhere else: folders of images or one CSV; the originals are only read.

`python -m core.data.cleaned FOLDER` does so as a background job.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from core import jobs
from core.config import SplitConfig
from core.data.manifest import usable
from core.data.splits import assign_splits, membership
from core.data.stored import Dataset, open_dataset
from core.errors import DarkroomError, InputError
from core.files import read_json, slug, write_csv, write_failure, write_json
from core.jobs import StatusWriter
from core.wording import count
from core.workspace import Workspace

Arrange = Literal["class", "split"]
Files = Literal["copy", "hardlink"]
Progress = Callable[[int, int], None]
REQUEST, TABLE = "request.json", "labels.csv"
_MAX_NAME_BYTES = 200
_UNSAFE = re.compile(r'[\x00-\x1f<>:"|?*\\%]')  # what some file system refuses, and what marks what was replaced


class ExportStopped(DarkroomError):
    """Asked to stop; nothing was written."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        num_images: images in it.
        missing: files that were indexed and are gone, or can no longer be read; left out.
    """

    target: Path
    num_images: int
    missing: tuple[str, ...] = ()

    def sentence(self) -> str:
        gone = f" {count(len(self.missing), 'file')} gone since indexing, left out." if self.missing else ""
        return f"{count(self.num_images, 'image')} written to {self.target}.{gone}"


def export_csv(ws: Workspace, dataset_id: str, target: str | Path, split: SplitConfig | None = None) -> Exported:
    """Write path, label, split and group of every usable image as corrected to the CSV file `target`.

    Paths are relative to the dataset's folder.

    Args:
        split: how to divide; if None, `split` is what the source says.

    Raises:
        InputError: `target` is there already, or lies where it may not; see `export_folders`.
    """
    dataset = open_dataset(ws, dataset_id)
    path = _checked_target(ws, dataset, target)
    if path.exists():
        raise InputError(f"{path} is there already.", "Choose another name.")
    table = _table(dataset.manifest(), split)
    write_csv(path, table)
    return Exported(path, len(table))


def export_folders(
    ws: Workspace,
    dataset_id: str,
    target: str | Path,
    arrange: Arrange = "class",
    files: Files = "copy",
    split: SplitConfig | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Exported:
    """Write every usable image, as corrected, below the folder `target`, with `labels.csv` beside them.

    Written aside and renamed at the end: `target` is never half there.

    Args:
        target: does not exist yet, or is empty.
        arrange: a folder a class, or train, val and test with a folder a class in each.
        files: `hardlink` takes no space; such a file is the original, so who changes it in place changes both.
        split: how to divide for `split`; by default as a run would without further settings.

    Raises:
        InputError: `target` is not empty, or lies in the images' own folder or in Darkroom's.
        ExportStopped: `should_stop` said so.
        DarkroomError: the disk does not allow it.
    """
    dataset = open_dataset(ws, dataset_id)
    target = check_export(ws, dataset, target)
    table = _table(dataset.manifest(), (split or SplitConfig()) if arrange == "split" else split)
    if arrange == "split":
        table = table[table["split"].notna()]
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        aside.mkdir(parents=True)
        missing = _place_files(dataset.root, aside, table, arrange, files, on_progress, should_stop)
        write_csv(aside / TABLE, table[~table["path"].isin(missing)].rename(columns={"written": "path", "path": "was"}))
        os.replace(aside, target)
    except OSError as error:
        raise write_failure(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Exported(target, len(table) - len(missing), tuple(missing))


def check_export(ws: Workspace, dataset: Dataset, target: str | Path) -> Path:
    """The folder to write to, resolved; raises `InputError` where it may not be written."""
    path = _checked_target(ws, dataset, target)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is not empty.", "Choose a folder that does not exist yet or is empty.")
    return path


def start_export(
    ws: Workspace,
    dataset_id: str,
    target: str | Path,
    arrange: Arrange = "class",
    files: Files = "copy",
    split: SplitConfig | None = None,
) -> Path:
    """Start `export_folders` in the background; gives the job's folder (see `core.jobs`).

    Raises:
        InputError: at once, where it may not be written there.
    """
    dataset = open_dataset(ws, dataset_id)
    path = check_export(ws, dataset, target)
    folder = ws.exports / f"{slug(dataset.id)}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    asked = {"dataset": dataset.id, "target": str(path), "arrange": arrange, "files": files}
    write_json(folder / REQUEST, asked | {"split": split.model_dump() if split else None})
    jobs.prepare(folder, "Starting to write the copy.")
    jobs.launch(folder, "core.data.cleaned", str(folder))
    return folder


def exports_of(ws: Workspace, dataset_id: str) -> list[tuple[Path, dict[str, Any]]]:
    """Jobs that write or wrote copies of a dataset, newest first, with what was asked for."""
    asked = [(folder, read_json(folder / REQUEST)) for folder in ws.exports.iterdir() if folder.is_dir()]
    found = [(folder, request) for folder, request in asked if request and request["dataset"] == dataset_id]
    return sorted(found, key=lambda one: jobs.read_status(one[0]).created, reverse=True)


def forget_export(folder: Path) -> None:
    """Remove an ended job from the list; what it wrote stays."""
    if jobs.read_status(folder).ended:
        shutil.rmtree(folder, ignore_errors=True)


def _checked_target(ws: Workspace, dataset: Dataset, target: str | Path) -> Path:
    text = str(target).strip()
    if not text or "\0" in text:
        raise InputError("No place to write to was given.", "Give the path of a folder that does not exist yet.")
    path = Path(os.path.realpath(os.path.expanduser(text)))
    for place, whose in ((dataset.root, "the images' own folder"), (ws.root, "Darkroom's own folder")):
        if path.is_relative_to(os.path.realpath(place)):
            raise InputError(f"{path} lies in {whose}, {place}, which stays as it is.", "Choose a place elsewhere.")
    return path


def _table(manifest: pd.DataFrame, split: SplitConfig | None) -> pd.DataFrame:
    if split is None:
        return usable(manifest)[["path", "label", "split", "group"]].reset_index(drop=True)
    return membership(assign_splits(manifest, split), split)


def _place_files(
    root: Path,
    aside: Path,
    table: pd.DataFrame,
    arrange: Arrange,
    files: Files,
    on_progress: Progress | None,
    should_stop: Callable[[], bool] | None,
) -> list[str]:
    """Copy or link every file; adds the column `written` to `table` and gives the paths that are gone."""
    report, stopping = on_progress or (lambda done, total: None), should_stop or (lambda: False)
    missing, written = [], list(_new_names(table, arrange))
    for number, (path, name) in enumerate(zip(table["path"].tolist(), written, strict=True), 1):
        if stopping():
            raise ExportStopped("Writing the copy was stopped; nothing of it was kept.")
        to = aside / name
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy_or_link(root / path, to, files)
        except FileNotFoundError:
            missing.append(path)
        report(number, len(table))
    table.insert(0, "written", written)
    return missing


def _copy_or_link(source: Path, to: Path, files: Files) -> None:
    if files == "copy":
        shutil.copy2(source, to)
        return
    try:
        os.link(os.path.realpath(source, strict=True), to)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise DarkroomError(
                f"{source} cannot be linked to {to.parent} ({error.strerror}).", "Choose copies instead of hard links."
            ) from error
        raise


def _new_names(table: pd.DataFrame, arrange: Arrange) -> Iterator[str]:
    """Where each image goes: `class/file` or `split/class/file`, no two the same in any letter case."""
    taken: set[str] = set()
    folders: dict[str, str] = {}
    for path, label, split in table[["path", "label", "split"]].itertuples(index=False):
        if label not in folders:
            folders[label] = _free(_safe_folder(label), set(map(str.casefold, folders.values())))
        folder = f"{split}/{folders[label]}" if arrange == "split" else folders[label]
        stem, suffix = os.path.splitext(path.rpartition("/")[2])
        name = _free(f"{folder}/{_shortened(stem)}", taken, suffix)
        taken.add(name.casefold())
        yield name


def _free(name: str, taken: set[str], suffix: str = "") -> str:
    """The name, or the first of name-2, name-3, ... that is not taken."""
    number, free = 1, name + suffix
    while free.casefold() in taken:
        number += 1
        free = f"{name}-{number}{suffix}"
    return free


def _safe_folder(label: str) -> str:
    """A folder name for a class, the class itself where that can be; nested classes stay nested."""
    parts = [part for part in label.split("/") if part] or [label]
    return "/".join(_safe_part(part) for part in parts)


def _safe_part(part: str) -> str:
    safe = _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", part)
    if safe.startswith((".", " ")) or safe.endswith((".", " ")):  # hidden, or meaning the folder above
        safe = "".join(f"%{ord(sign):02X}" if sign in ". " else sign for sign in safe)
    return _shortened(safe)


def _shortened(text: str) -> str:
    return text.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")


def main(folder: Path) -> int:
    """Do what the request in `folder` asks, with the job's status beside it; gives the exit status."""

    def work(status: StatusWriter) -> str:
        asked = read_json(folder / REQUEST)
        status.update(phase="writing", message="Writing the images.")
        exported = export_folders(
            Workspace.default(),
            asked["dataset"],
            asked["target"],
            asked["arrange"],
            asked["files"],
            SplitConfig(**asked["split"]) if asked["split"] else None,
            on_progress=status.progress,
            should_stop=lambda: status.stop_requested,
        )
        return exported.sentence()

    return jobs.carry_out(folder, work, (ExportStopped,), "Writing")


ARRANGEMENTS, KINDS_OF_FILES = get_args(Arrange), get_args(Files)

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
