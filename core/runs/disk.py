"""What the workspace keeps on disk that could be given back, how much it is, and giving it back."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import jobs
from core.errors import InputError
from core.runs.listing import BLOCK
from core.runs.store import CHECKPOINT, list_runs
from core.runs.trash import purge
from core.workspace import Workspace

COUNT_S = 0.4  # most time for counting one kind; a cache may hold a million files
_ASIDE = ".freed-"  # begins the name of a folder that is being removed


@dataclass(frozen=True)
class Holding:
    """One kind of thing that could be given back.

    Attributes:
        key: for `free`.
        what: what it is, and what giving it back means.
        in_use: why it cannot be given back at present; else empty.
    """

    key: str
    title: str
    what: str
    num_bytes: int
    is_all: bool
    in_use: str = ""


@dataclass(frozen=True)
class _Kind:
    title: str
    what: str
    places: Callable[[Workspace], Iterable[Path]]
    needed_by_runs: bool = False


def _trash(workspace: Workspace) -> list[Path]:
    return [workspace.trash]


def _checkpoints(workspace: Workspace) -> list[Path]:
    finished = (run for run in list_runs(workspace) if run.status.state == "finished")
    return [run.folder / CHECKPOINT for run in finished if (run.folder / CHECKPOINT).is_file()]


def _trials(workspace: Workspace) -> list[Path]:
    """Answers of helpers that have ended."""
    names = ("previews", "preflights", "lr-searches", "model-sizes")
    kept = [folder for name in names for folder in (workspace.cache / name).glob("*") if folder.is_dir()]
    return [folder for folder in kept if jobs.read_status(folder).ended]


def _caches(*names: str) -> Callable[[Workspace], list[Path]]:
    return lambda workspace: [workspace.cache / name for name in names]


KINDS: dict[str, _Kind] = {
    "trash": _Kind("Deleted runs", "They can be brought back for ten minutes; not after this.", _trash),
    "checkpoints": _Kind(
        "Checkpoints of finished runs", "Needed to resume a run; a finished one is not resumed.", _checkpoints
    ),
    "pixels": _Kind(
        "Decoded images", "Read from the files again by the next run that needs them.", _caches("pixels"), True
    ),
    "backbones": _Kind("Frozen backbones", "Made anew by the next run that needs them.", _caches("backbones"), True),
    "thumbnails": _Kind("Thumbnails", "Made anew as they are looked at.", _caches("thumbnails", "mean-images")),
    "trials": _Kind(
        "Answers before runs",
        "Previews, forecasts and rate searches; asked for anew where wanted.",
        _trials,
    ),
}


def holdings(workspace: Workspace) -> list[Holding]:
    """What could be given back, most first; kinds that hold nothing are left out."""
    at_work = _at_work(workspace)
    found = []
    for key, kind in KINDS.items():
        num_bytes, is_all = _count(kind.places(workspace))
        if num_bytes:
            in_use = f"{at_work} may need them." if kind.needed_by_runs and at_work else ""
            found.append(Holding(key, kind.title, kind.what, num_bytes, is_all, in_use))
    return sorted(found, key=lambda one: one.num_bytes, reverse=True)


def free(workspace: Workspace, keys: Sequence[str]) -> int:
    """Give it back; returns how many bytes that was.

    Raises:
        InputError: a kind that a run at work may need, or that there is not.
    """
    at_work = _at_work(workspace)
    for key in keys:
        if key not in KINDS:
            raise InputError(f"There is nothing called {key!r} to free.", f"Choose of: {', '.join(KINDS)}.")
        if KINDS[key].needed_by_runs and at_work:
            raise InputError(f"{KINDS[key].title} are in use: {at_work} may need them.", "Wait until it has ended.")
    freed = 0
    for key in keys:
        places = list(KINDS[key].places(workspace))
        freed += sum(about.st_blocks for about in _files(places)) * BLOCK
        if key == "trash":
            purge(workspace, 0)
        else:
            for place in places:
                _remove(place)
    for left in workspace.cache.glob(f"{_ASIDE}*"):  # of a process that was killed meanwhile
        shutil.rmtree(left, ignore_errors=True)
    return freed


def _remove(place: Path) -> None:
    """A file, or all that is in a folder; in one step, so that nobody finds half of it."""
    if place.is_file():
        place.unlink(missing_ok=True)
    elif place.is_dir():
        aside = place.with_name(f"{_ASIDE}{place.name}-{uuid.uuid4().hex}")
        os.rename(place, aside)
        shutil.rmtree(aside, ignore_errors=True)


def _at_work(workspace: Workspace) -> str:
    """The first run that is at work or waits, named; empty where none is."""
    for run in list_runs(workspace):
        if run.status.state not in jobs.ENDED:
            return run.id
    return ""


def _count(places: Iterable[Path]) -> tuple[int, bool]:
    """Bytes on disk, and whether that is all of it: counting ends when its time is over."""
    deadline, total = time.monotonic() + COUNT_S, 0
    for about in _files(places):
        total += about.st_blocks * BLOCK
        if time.monotonic() > deadline:
            return total, False
    return total, True


def _files(places: Iterable[Path]) -> Iterator[os.stat_result]:
    waiting = [str(place) for place in places]
    while waiting:
        place = waiting.pop()
        try:
            if os.path.isdir(place) and not os.path.islink(place):
                with os.scandir(place) as entries:
                    waiting += [entry.path for entry in entries]
            else:
                yield os.lstat(place)
        except OSError:  # gone meanwhile
            continue
