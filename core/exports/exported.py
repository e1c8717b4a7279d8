"""A run's exports as they lie on disk: whether each may still be called ready, and why not."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DarkroomError
from core.evaluation.side_jobs import SideJob
from core.exports.format import Format
from core.exports.package import SPEC, changed_since
from core.exports.registry import FORMATS, open_format
from core.files import read_json
from core.inference.bundle import read_bundle
from core.inference.classifier import Forward
from core.runs.store import Run

FOLDER = "exports"
_TRUST = ("temperature", "abstention_threshold")


@dataclass(frozen=True)
class Exported:
    """One export of a run's model.

    Attributes:
        folder: the package, see `core.exports.package`.
        parity: the gate's report.
        problem: why it is not ready, in words; empty where it is.
    """

    format: Format
    folder: Path
    parity: dict[str, Any]
    problem: str

    @property
    def ready(self) -> bool:
        """It passed the gate, and neither it nor the model has changed since."""
        return not self.problem

    @property
    def zip(self) -> Path:
        """The package as one file; there only where it passed the gate."""
        return self.folder.with_name(f"{self.format.key}.zip")


def export_job(key: str) -> SideJob:
    """The job that makes an export of that format; its request has `options`, see `core.exports.registry.complete`.

    Raises:
        InputError: there is no such format.
    """
    return SideJob(f"export-{open_format(key).key}", "core.exports.job", "The export", (key,))


def exports_folder(run: Run) -> Path:
    """Where the packages are, one folder a format; it may not exist yet."""
    return run.folder / FOLDER


def read_export(run: Run, key: str) -> Exported | None:
    """The run's export of that format; None where none was made."""
    folder, parity = exports_folder(run) / key, export_job(key).answer(run)
    if not (folder / SPEC).is_file():
        return None
    if parity is None:
        return Exported(open_format(key), folder, {}, "It was not checked against the model of now. Export it again.")
    return Exported(open_format(key), folder, parity, _problem(run, folder, parity))


def list_exports(run: Run) -> list[Exported]:
    """All exports of a run, ready or not, in the order of the registry."""
    return [found for key in FORMATS if (found := read_export(run, key)) is not None]


def open_export(exported: Exported, threads: int = 0) -> Forward:
    """The exported model in this process, by the module that its predict.py runs it with.

    Some of these import torch.

    Args:
        threads: that work on one call; 0 leaves it to the runtime.

    Raises:
        DarkroomError: the runtime is not installed, or cannot open the model.
    """
    try:
        runtime = importlib.import_module(f"core.exports.shipped.{exported.format.runtime}")
        return runtime.open_model(exported.folder / exported.format.model, threads)
    except Exception as error:  # runtimes share no base class for what goes wrong in them
        raise DarkroomError(
            f"The {exported.format.name} export cannot be opened ({error}).", "Export the run again."
        ) from error


def _problem(run: Run, folder: Path, parity: dict[str, Any]) -> str:
    if not parity["ready"]:
        return " ".join(parity["reasons"])
    bundle, spec = read_bundle(run.bundle), read_json(folder / SPEC) or {}
    if any(spec.get(name) != getattr(bundle, name) for name in _TRUST):
        return "The model's temperature or threshold was changed since it was exported."
    if changed := changed_since(folder):
        return f"{changed} was changed since it was checked."
    return ""
