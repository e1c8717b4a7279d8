"""Trials before a run: a helper process tries something with the real settings and images, and leaves its answer.

Asking never waits: the first question starts the helper, later ones get None until the answer is there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd
from filelock import FileLock

from core import jobs
from core.config import TrainConfig
from core.errors import DarkroomError, InputError
from core.files import read_json, tail_text, write_bytes, write_json
from core.workspace import Workspace

REQUEST, MANIFEST, RESULT = "request.json", "manifest.parquet", "result.json"
MOST_KEPT = 30
Answer = TypeVar("Answer")


class Divided(Protocol):
    """A dataset as it is divided for a run; see `core.data.splits.Division`."""

    @property
    def manifest(self) -> pd.DataFrame: ...

    def about(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Trial(Generic[Answer]):
    """One kind of trial.

    Attributes:
        name: of its folder in the cache.
        program: the helper, as for `ask`.
        read: the answer as callers want it, from what the helper left and the folder it is in.
        asked: the settings without those the answer does not depend on, so that it stays when they are changed.
        given: what of the dataset the helper needs.
    """

    name: str
    program: str
    read: Callable[[dict[str, Any], Path], Answer]
    asked: Callable[[TrainConfig], TrainConfig] = lambda config: config
    given: Callable[[Divided], Divided] = lambda divided: divided

    def ask(self, workspace: Workspace, config: TrainConfig, divided: Divided, again: bool = False) -> Answer | None:
        """The answer, or None while the helper is at work; the first call for these settings and images starts it.

        Args:
            again: find it anew, as after a failure.

        Raises:
            DarkroomError: the helper failed; `InputError` where the settings cannot be used at all.
        """
        folder = self.folder(workspace, config, divided)
        answer = ask(folder, self.program, self.asked(config), self.given(divided), again)
        return None if answer is None else self.read(answer, folder)

    def progress(self, workspace: Workspace, config: TrainConfig, divided: Divided) -> jobs.Status | None:
        """How far the helper is; None where none was started."""
        return progress(self.folder(workspace, config, divided))

    def cancel(self, workspace: Workspace, config: TrainConfig, divided: Divided) -> None:
        """Ask the helper to end."""
        cancel(self.folder(workspace, config, divided))

    def folder(self, workspace: Workspace, config: TrainConfig, divided: Divided) -> Path:
        """Where the trial is; it may not exist yet."""
        return trial_folder(workspace, self.name, self.asked(config), divided)


def trial_folder(workspace: Workspace, kind: str, config: TrainConfig, divided: Divided) -> Path:
    """Where the trial of these settings on this version of the dataset is; it may not exist yet."""
    asked = json.dumps([config.model_dump(), divided.about()], sort_keys=True)
    return workspace.cache / kind / hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


def ask(folder: Path, module: str, config: TrainConfig, divided: Divided, again: bool) -> dict[str, Any] | None:
    """The answer, or None while the helper is at work.

    Args:
        folder: of `trial_folder`.
        module: the helper program; it is given the folder.
        again: throw away an answer that is there, or a failure, and start anew; a helper at work goes on.

    Raises:
        DarkroomError: the helper failed or was killed; stays so until asked again. InputError where the fault is in
            what was asked.
    """
    status = jobs.read_status(folder) if folder.exists() else None
    if status is not None and not status.ended:
        return None
    if again or status is None:
        _start(folder, module, config, divided)
        return None
    if status.state == "lost":
        said = tail_text(folder / jobs.LOG).strip()
        if "Traceback" in said:  # it ended by itself, before it could say so
            raise DarkroomError(
                f"The trial broke off: {said.splitlines()[-1]}", f"The rest of it is in {folder / jobs.LOG}."
            )
        raise DarkroomError(
            f"The trial was ended from outside: {status.message}",
            "The likeliest reason is that memory ran out: lower optim.batch_size or preprocess.image_size.",
        )
    if status.state != "finished":
        kind = InputError if status.extra.get("exit_status") == InputError.exit_status else DarkroomError
        raise kind(status.message or "The trial was stopped.")
    return read_json(folder / RESULT)


def progress(folder: Path) -> jobs.Status | None:
    """How far the helper is; None where none was started."""
    return jobs.read_status(folder) if folder.exists() else None


def cancel(folder: Path) -> None:
    """Ask the helper to end."""
    if folder.exists() and not jobs.read_status(folder).ended:
        jobs.request_stop(folder)


def _start(folder: Path, module: str, config: TrainConfig, divided: Divided) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent.with_suffix(".lock")):
        if folder.exists() and not jobs.read_status(folder).ended:
            return  # another tab was first
        _forget_oldest(folder.parent)
        folder.mkdir(exist_ok=True)
        jobs.prepare(folder)  # at once: who asks meanwhile must not take it for a helper that was ended
        (folder / RESULT).unlink(missing_ok=True)
        (folder / jobs.LOG).unlink(missing_ok=True)
        write_bytes(folder / MANIFEST, divided.manifest.to_parquet(index=False))
        write_json(folder / REQUEST, config.model_dump())
        jobs.launch(folder, module, str(folder))


def _forget_oldest(trials: Path) -> None:
    """Answers are small but there is one for each setting ever tried."""
    if trials.exists():
        for folder in sorted(trials.iterdir(), key=_used, reverse=True)[MOST_KEPT:]:
            if jobs.read_status(folder).ended:
                shutil.rmtree(folder, ignore_errors=True)


def _used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # another process made room too
        return 0.0
