"""Where things live on disk; the only module that builds paths inside the workspace."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from core.errors import InputError
from core.files import writing

REPOSITORY = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class Workspace(NamedTuple):
    """The folder that holds everything Darkroom makes: `DARKROOM_HOME`, or `workspace/` beside `app.py`."""

    root: Path

    @classmethod
    def default(cls) -> Workspace:
        """The workspace named by the environment, created where it is missing."""
        return cls(Path(os.environ.get("DARKROOM_HOME") or REPOSITORY / "workspace").expanduser().resolve())

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use this workspace, wherever it is started."""
        return {"DARKROOM_HOME": str(self.root)}

    @property
    def datasets(self) -> Path:
        return self._made("datasets")

    @property
    def pending(self) -> Path:
        """Datasets that were looked at but not accepted yet; a sibling of `datasets`, so accepting is one rename."""
        return self._made("cache", "pending")

    @property
    def runs(self) -> Path:
        return self._made("runs")

    @property
    def trash(self) -> Path:
        """Runs that were deleted a short while ago; a sibling of `runs`, so deleting and undoing are one rename."""
        return self._made("trash")

    @property
    def sweeps(self) -> Path:
        """Searches for good settings, a folder each."""
        return self._made("sweeps")

    @property
    def queue(self) -> Path:
        """The file that says in which order runs take their turn, and how many may be at work at once."""
        return self.root / "queue.json"

    @property
    def slots(self) -> Path:
        """A file for each place on a device; the run that has the place holds a lock on it."""
        return self._made("slots")

    @property
    def thumbnails(self) -> Path:
        return self._made("cache", "thumbnails")

    @property
    def backbones(self) -> Path:
        """Backbones as ONNX graphs, keyed by what they were made from; safe to delete."""
        return self._made("cache", "backbones")

    @property
    def features(self) -> Path:
        """What backbones made of images, by their content; bounded and safe to delete."""
        return self._made("cache", "features")

    @property
    def pixels(self) -> Path:
        """Decoded images of sets that do not fit in memory, by their content; bounded and safe to delete."""
        return self._made("cache", "pixels")

    @property
    def exports(self) -> Path:
        """Jobs that write cleaned copies, one folder each: what was asked for and how far it is."""
        return self._made("cache", "exports")

    @property
    def uploads(self) -> Path:
        """Archives sent by the browser, until their images are unpacked and kept or discarded."""
        return self._made("cache", "uploads")

    @property
    def batches(self) -> Path:
        """Images brought to Classify and what models said of them, a folder each; gone after a day."""
        return self._made("cache", "batches")

    @property
    def downloads(self) -> Path:
        """What torchvision downloads; files put here by hand are used without the network."""
        return self._made("cache", "torchvision")

    @property
    def cache(self) -> Path:
        return self._made("cache")

    @property
    def api_keys(self) -> Path:
        """Who may use the REST API: hashes of keys, see `core.serving.keys`."""
        return self.root / "api_keys.json"

    @property
    def server_log(self) -> Path:
        """Where the dashboard keeps the tracebacks it does not show."""
        return self.root / "dashboard.log"

    def dataset(self, dataset_id: str) -> Path:
        return self.datasets / _checked(dataset_id, "dataset")

    def pending_dataset(self, dataset_id: str) -> Path:
        return self.pending / _checked(dataset_id, "dataset")

    def indexing(self, dataset_id: str) -> Path:
        """What an indexing that was stopped or killed has read; not there where none was. Safe to delete."""
        return self._made("cache", "indexing") / _checked(dataset_id, "dataset")

    def analysis(self, dataset_id: str) -> Path:
        """Features of a dataset's images, what was found by them, and the job that does so. Safe to delete."""
        return self._made("cache", "analysis") / _checked(dataset_id, "dataset")

    def batch(self, batch_id: str) -> Path:
        return self.batches / _checked(batch_id, "batch")

    def run(self, run_id: str) -> Path:
        return self.runs / _checked(run_id, "run")

    def sweep(self, sweep_id: str) -> Path:
        return self.sweeps / _checked(sweep_id, "sweep")

    def _made(self, *parts: str) -> Path:
        folder = self.root.joinpath(*parts)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


def _checked(name: str, kind: str) -> str:
    """Ids arrive from URLs and command lines: nothing that could leave the workspace gets through."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise InputError(f"{name!r} is not the id of a {kind}.", f"List them with: python -m core {kind}s")
    return name
