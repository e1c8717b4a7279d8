"""Deleting runs: nothing at work is touched, undo brings all back, and in the end the disk has its bytes again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from filelock import FileLock

from core import jobs
from core.errors import DarkroomError, InputError
from core.files import write_json
from core.runs import disk, trash
from core.runs.listing import folder_bytes, run_table
from core.runs.store import CHECKPOINT, Run, open_run
from core.runs.trash import delete_runs, deleted_runs, purge, restore_runs
from core.workspace import Workspace
from tests.runs.made import made_run


def _files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.folder.iterdir() if not path.name.startswith(".")}


def test_undo_brings_everything_back(workspace: Workspace) -> None:
    runs = [made_run(workspace, val_losses=(0.5,)) for _ in range(3)]
    before = {run.id: _files(run) for run in runs}
    deleted = delete_runs(workspace, [run.id for run in runs[:2]])
    assert run_table(workspace)["id"].tolist() == [runs[2].id]
    assert {entry.run_id for entry in deleted_runs(workspace)} == {run.id for run in runs[:2]}
    assert deleted[0].deleted == deleted[1].deleted, "one deletion is undone as one"
    assert purge(workspace) == 0, "it can be undone for a while"
    back = restore_runs(workspace, [entry.run_id for entry in deleted])
    assert {run.id: _files(run) for run in [*back, runs[2]]} == before
    assert deleted_runs(workspace) == [] and len(run_table(workspace)) == 3
    with pytest.raises(InputError, match="cannot be brought back"):
        restore_runs(workspace, [runs[0].id])


def test_purging_gives_the_bytes_back(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run, other = made_run(workspace), made_run(workspace)
    (run.folder / CHECKPOINT).write_bytes(bytes(range(256)) * 4000)
    promised, before = folder_bytes(run.folder), folder_bytes(workspace.root)
    assert promised > 1_000_000
    delete_runs(workspace, [run.id])
    assert folder_bytes(workspace.root) == before, "deleting itself loses nothing"
    later = time.time() + trash.KEEP_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert purge(workspace) == 1
    assert folder_bytes(workspace.root) == before - promised
    assert not list(workspace.trash.iterdir()) and open_run(workspace, other.id)
    with pytest.raises(InputError):
        restore_runs(workspace, [run.id])


def test_what_is_at_work_stays_and_with_it_all_that_was_asked_for(workspace: Workspace) -> None:
    ended, waiting = made_run(workspace), made_run(workspace, "queued")
    with pytest.raises(InputError, match=waiting.id):
        delete_runs(workspace, [ended.id, waiting.id])
    with FileLock(ended.folder / jobs.LOCK), pytest.raises(InputError, match="at work"):
        delete_runs(workspace, [ended.id])  # its file says finished, but a process holds it
    assert ended.folder.is_dir() and waiting.folder.is_dir() and not deleted_runs(workspace)


def test_a_run_whose_weights_another_waits_for_stays(workspace: Workspace) -> None:
    source = made_run(workspace)
    waiting = made_run(workspace, "queued", model__weights="run", model__weights_from=source.id)
    with pytest.raises(InputError, match="starts from the weights"):
        delete_runs(workspace, [source.id])
    write_json(waiting.folder / jobs.STATUS, {"state": "stopped", "created": 1.0})
    assert len(delete_runs(workspace, [source.id])) == 1


def test_all_or_none(workspace: Workspace) -> None:
    first, second = made_run(workspace), made_run(workspace)
    with FileLock(second.folder / jobs.LOCK), pytest.raises(InputError):
        delete_runs(workspace, [first.id, second.id])
    assert first.folder.is_dir() and not deleted_runs(workspace)
    with pytest.raises(InputError, match="no run"):
        delete_runs(workspace, [first.id, "never-was"])
    assert first.folder.is_dir()


def test_only_runs_of_the_workspace_are_deleted(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = made_run(Workspace(tmp_path / "other"))
    with pytest.raises(InputError, match="is not in"):
        delete_runs(workspace, [str(elsewhere.folder)])
    for wrong in ("../x", "..", ""):
        with pytest.raises(InputError):
            delete_runs(workspace, [wrong])
    assert elsewhere.folder.is_dir()


def test_what_a_killed_purge_left_is_removed_by_the_next(workspace: Workspace) -> None:
    run = made_run(workspace)
    (entry,) = delete_runs(workspace, [run.id])
    entry.folder.rename(entry.folder.with_name(f".going-{entry.folder.name}"))  # as far as it came
    assert deleted_runs(workspace) == [], "half a run must not be brought back"
    purge(workspace)
    assert not list(workspace.trash.iterdir())


def test_what_can_be_freed_is_counted_and_freed(workspace: Workspace) -> None:
    finished, stopped = made_run(workspace), made_run(workspace, "stopped")
    for run in (finished, stopped):
        (run.folder / CHECKPOINT).write_bytes(b"x" * 50_000)
    for name in ("pixels", "backbones", "thumbnails"):
        (workspace.cache / name).mkdir(exist_ok=True)
        (workspace.cache / name / "file").write_bytes(b"x" * 20_000)
    (workspace.downloads / "by-hand.zip").write_bytes(b"x" * 90_000)
    found = {one.key: one for one in disk.holdings(workspace)}
    assert set(found) == {"checkpoints", "pixels", "backbones", "thumbnails"}
    assert 50_000 <= found["checkpoints"].num_bytes < 60_000 and all(one.is_all for one in found.values())
    before = folder_bytes(workspace.root)
    assert before - disk.free(workspace, list(found)) == folder_bytes(workspace.root)
    assert disk.holdings(workspace) == []
    assert (stopped.folder / CHECKPOINT).is_file() and not (finished.folder / CHECKPOINT).exists()
    assert (workspace.downloads / "by-hand.zip").is_file()


def test_caches_stay_while_a_run_is_at_work(workspace: Workspace) -> None:
    made_run(workspace, "queued")
    (workspace.pixels / "file").write_bytes(b"x" * 20_000)
    (held,) = disk.holdings(workspace)
    assert held.key == "pixels" and "may need them" in held.in_use
    with pytest.raises(InputError, match="in use"):
        disk.free(workspace, ["pixels"])
    with pytest.raises(InputError, match="nothing called"):
        disk.free(workspace, ["no such thing"])
    assert (workspace.pixels / "file").is_file()


def test_a_folder_that_cannot_be_moved_is_said(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = made_run(workspace), made_run(workspace)
    (workspace.trash / "in-the-way").write_text("")
    moments = iter([1_000_000_000, 1_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    blocked = workspace.trash / f"1000-{second.id}"
    blocked.mkdir()
    (blocked / "file").write_text("")
    with pytest.raises(DarkroomError, match="could not be deleted"):
        delete_runs(workspace, [first.id, second.id])
    monkeypatch.undo()
    assert first.folder.is_dir() and second.folder.is_dir()
