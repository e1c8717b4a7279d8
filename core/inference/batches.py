"""Images brought to be classified: kept for a day in a folder of their own, with what each model said of them.

`items.jsonl` lists the images in the order they came, `answers/<model>.jsonl` what a model said of each,
`waiting.jsonl` archives and folders still to be looked into. That, and many images, is the work of
`core.inference.batch_job`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from core import jobs
from core.data.walk import IMAGE_SUFFIXES, is_text, shown
from core.errors import InputError
from core.files import append_jsonl, read_jsonl, write_bytes, write_json, writing
from core.inference.bundle import META, ONNX
from core.inference.classifier import Answer, Classifier
from core.inference.many import classify_files
from core.workspace import Workspace

PROGRAM = "core.inference.batch_job"
KEPT_S = 86_400.0  # after which a batch is forgotten
AT_ONCE = 24  # images that are classified while the page is drawn; more are a job's
TOP = 5  # classes kept of each answer
_IMAGES, _ANSWERS, _JOB = "images", "answers", "job"
_ITEMS, _WAITING, _LOCK = "items.jsonl", "waiting.jsonl", ".items.lock"
REQUEST = "request.json"  # in the job's folder: the models that are to answer, id -> bundle


@dataclass(frozen=True)
class Item:
    """One file of a batch.

    Attributes:
        name: what the user calls it.
        path: of the file, absolute or relative to the batch's folder; its identity within the batch. Where `error`
            is given there may be no such file.
        error: why there is nothing to classify, else None.
        came: when it was brought, seconds since the epoch; the same for all that came together.
    """

    name: str
    path: str
    error: str | None = None
    came: float = 0.0


@dataclass(frozen=True)
class Batch:
    """A batch in its folder."""

    id: str
    folder: Path

    @property
    def images(self) -> Path:
        return self.folder / _IMAGES

    @property
    def job(self) -> Path:
        """The folder of its job; it may not exist yet."""
        return self.folder / _JOB

    def file(self, path: str) -> Path:
        """Where an item's file is."""
        return self.folder / path  # an absolute one stays as it is

    def items(self) -> list[Item]:
        """In the order they came."""
        return [Item(**row) for row in read_jsonl(self.folder / _ITEMS)]

    def waiting(self) -> list[dict[str, str]]:
        """Archives and folders not looked into yet: `{"archive": path}` or `{"folder": path}`."""
        return read_jsonl(self.folder / _WAITING)

    def answers_file(self, model: str) -> Path:
        """Where the answers of a model are; it may not exist yet."""
        return self.folder / _ANSWERS / f"{model}.jsonl"


def start_batch(ws: Workspace) -> Batch:
    """An empty batch; those older than a day are deleted."""
    for old in ws.batches.iterdir():
        if time.time() - old.stat().st_mtime > KEPT_S and not jobs.is_at_work(old / _JOB):
            shutil.rmtree(old, ignore_errors=True)
    folder = ws.batch(f"{time.strftime('%H%M%S')}-{secrets.token_hex(8)}")
    with writing(folder):
        for part in (_IMAGES, _ANSWERS, _JOB):
            (folder / part).mkdir(parents=True)
    return Batch(folder.name, folder)


def find_batch(ws: Workspace, identity: str) -> Batch | None:
    """The batch of that id, or None where there is none any more; raises `InputError` where it is no id."""
    folder = ws.batch(identity)
    return Batch(identity, folder) if (folder / _JOB).is_dir() else None


def forget_batch(batch: Batch) -> None:
    """Delete it, whatever is at work in it."""
    cancel(batch)
    shutil.rmtree(batch.folder, ignore_errors=True)


def add_files(batch: Batch, files: Iterable[tuple[str, bytes]]) -> list[Item]:
    """Keep files, bytes as they are: (name, bytes) of each. What is no image is kept too, and named by its answer."""
    added = []
    with FileLock(batch.folder / _LOCK):
        number = sum(1 for _ in batch.images.iterdir())
        for name, data in files:
            number += 1
            suffix = PurePosixPath(name).suffix.lower()
            path = f"{_IMAGES}/{number:06d}{suffix if suffix in IMAGE_SUFFIXES else ''}"
            write_bytes(batch.file(path), data, durable=False)
            added.append(Item(shown(name) if is_text(name) else ascii(name), path))
        add_items(batch, added)
    return added


def add_items(batch: Batch, items: Sequence[Item]) -> None:
    """Note items whose files are there already; they come now."""
    now = time.time()
    lines = "".join(json.dumps(asdict(item) | {"came": now}, ensure_ascii=False) + "\n" for item in items)
    with writing(batch.folder / _ITEMS), open(batch.folder / _ITEMS, "a", encoding="utf-8") as stream:
        stream.write(lines)


def add_source(batch: Batch, kind: str, path: Path) -> None:
    """Note an `archive` or a `folder` of this machine for the job to look into; a folder's images stay where they are.

    Raises:
        InputError: there is no such file or folder.
    """
    there = path.is_file() if kind == "archive" else path.is_dir()
    if not there:
        raise InputError(f"There is no {kind} {str(path)!r} on this machine.", "Check the path.")
    append_jsonl(batch.folder / _WAITING, {kind: os.path.realpath(path)})


def waiting_done(batch: Batch, source: Mapping[str, str]) -> None:
    """A source was looked into."""
    rest = [one for one in batch.waiting() if one != dict(source)]
    write_bytes(batch.folder / _WAITING, "".join(json.dumps(one) + "\n" for one in rest).encode(), durable=False)


def version(bundle: Path) -> str:
    """Text that changes when the model in the folder does, or when it should answer; see `core.inference.bundle`."""
    times = []
    for name in (META, ONNX):
        with contextlib.suppress(FileNotFoundError):
            times.append(f"{name}@{(bundle / name).stat().st_mtime_ns}")
    return " ".join(times)


def read_answers(batch: Batch, model: str, bundle: Path) -> dict[str, dict[str, Any]]:
    """What a model said, by the item's path: label, confidence, top, sure, familiar, error as in `Answer`.

    Nothing where the model has changed since.
    """
    rows = read_jsonl(batch.answers_file(model))
    if not rows or rows[0].get("version") != version(bundle):
        return {}
    return {row["path"]: row for row in rows[1:]}


def stamp(batch: Batch, models: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """What changes when items or answers of these models were added: size and time of each file."""
    return tuple(_size_and_time(file) for file in (batch.folder / _ITEMS, *map(batch.answers_file, models)))


def unanswered(batch: Batch, model: str, bundle: Path) -> list[Item]:
    """The items that a model has still to be asked about."""
    known = read_answers(batch, model, bundle)
    return [item for item in batch.items() if item.error is None and item.path not in known]


def answer(
    batch: Batch, model: str, classifier: Classifier, items: Sequence[Item], on_progress: Callable[[int], None]
) -> None:
    """Ask a model about items of the batch and keep what it says.

    Args:
        on_progress: called with how many were answered since the last call; may raise to end it, and what was
            answered by then stays.
    """
    file = batch.answers_file(model)
    now = version(classifier.bundle.folder)
    if (read_jsonl(file)[:1] or [{}])[0].get("version") != now:
        write_bytes(file, json.dumps({"version": now}).encode() + b"\n", durable=False)
    files = [batch.file(item.path) for item in items]
    answered = classify_files(classifier, files, [item.path for item in items])
    for answers in answered:
        lines = b"".join(json.dumps(answer_row(one), ensure_ascii=False).encode() + b"\n" for one in answers)
        with writing(file), open(file, "ab") as stream:
            stream.write(lines)
        on_progress(len(answers))


def ask(batch: Batch, models: Mapping[str, Path]) -> None:
    """Start the job that looks into what waits and has the models (id -> bundle) answer, unless it is at work."""
    with FileLock(batch.folder / ".asking.lock"):  # two tabs may ask in the same instant
        status = progress(batch)
        if status is not None and (not status.ended or jobs.is_at_work(batch.job)):
            return
        write_json(batch.job / REQUEST, {model: str(bundle) for model, bundle in models.items()})
        (batch.job / jobs.LOG).unlink(missing_ok=True)
        jobs.prepare(batch.job, "Starting.")
        jobs.launch(batch.job, PROGRAM, str(batch.folder))


def progress(batch: Batch) -> jobs.Status | None:
    """How far the job is or how the last one ended; None where none was started."""
    return jobs.progress_in(batch.job)


def cancel(batch: Batch) -> None:
    """Ask the job to end; what was answered stays."""
    jobs.cancel_in(batch.job)


def answer_row(one: Answer) -> dict[str, Any]:
    """An answer as it is kept, and as `core.inference.answered` reads it; its name is the item's path."""
    return {
        "path": one.name,
        "label": one.label,
        "confidence": one.confidence,
        "top": one.top[:TOP],
        "sure": one.sure,
        "familiar": one.familiar,
        "error": one.error,
    }


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        about = file.stat()
    except FileNotFoundError:
        return 0, 0
    return about.st_size, about.st_mtime_ns
