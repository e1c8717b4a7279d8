"""Looking at a folder in the background, with the real process: finished, stopped, killed, and asked for twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from core import jobs
from core.data.datasets import Dataset, accept, discard, list_datasets, look_at, open_dataset, pending
from core.data.pending import examples, looked_at, resume, stop
from core.data.reading import Reading
from core.errors import InputError
from core.workspace import Workspace

DEADLINE_S = 180.0


def wait_for(
    workspace: Workspace, identity: str, true: Callable[[jobs.Status], bool]
) -> tuple[jobs.Status, Dataset | None]:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        status, dataset = pending(workspace, identity)
        if true(status):
            return status, dataset
        assert time.monotonic() < deadline, status
        assert not status.ended, status
        time.sleep(0.02)


def programs(*words: str) -> list[psutil.Process]:
    """Processes whose command line holds all the words."""
    found = []
    for process in psutil.process_iter():
        try:
            if set(words) <= set(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def slow_folder(image_folder: Callable[..., Path]) -> Path:
    """Takes a good while to read and no time to make: one noisy image under many names."""
    root = image_folder("slow", {"a": 1, "b": 1}, size=(500, 500))
    for number in range(1, 3000):
        os.link(root / "a" / "0000.png", root / "a" / f"{number:04d}.png")
    return root


def test_look_then_accept(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    (root / "cat" / "bad.jpg").touch()
    identity = look_at(workspace, str(root))
    status, dataset = wait_for(workspace, identity, lambda status: status.state == "finished")
    assert dataset and (dataset.num_images, dataset.num_errors, dataset.num_classes) == (16, 1, 2)
    assert (status.done, status.total) == (17, 17) and "Indexed in" in status.message
    assert list_datasets(workspace) == []
    kept = accept(workspace, identity, name="Pets")
    assert list_datasets(workspace) == [kept] == [open_dataset(workspace, "Pets")]
    assert len(kept.manifest()) == 17
    assert sorted(path.name for path in kept.folder.iterdir()) == ["dataset.json", "manifest.parquet"]
    assert [path for path in workspace.pending.iterdir() if path.suffix != ".lock"] == []
    with pytest.raises(InputError, match="look at it again"):
        pending(workspace, identity)


def test_looking_again_finds_what_changed_and_replaces_what_is_kept(
    workspace: Workspace, image_folder: Callable[..., Path]
) -> None:
    root = image_folder()
    for extra in ("one", "two"):  # first anew, then over the dataset that is kept
        identity = look_at(workspace, root)
        wait_for(workspace, identity, lambda status: status.state == "finished")
        (root / "cat" / f"{extra}.png").write_bytes((root / "cat" / "0000.png").read_bytes())
        assert look_at(workspace, root) == identity
        wait_for(workspace, identity, lambda status: status.state == "finished")
        accept(workspace, identity)
    assert [one.num_images for one in list_datasets(workspace)] == [18]


def test_what_cannot_be_a_dataset_is_refused_at_once(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        look_at(workspace, tmp_path / "nothing")
    with pytest.raises(InputError, match="not the id"):
        pending(workspace, "../../etc")
    assert list(workspace.pending.iterdir()) == []


def test_a_failed_look_says_why(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    for path in root.rglob("*.png"):
        path.write_bytes(b"no image")
    identity = look_at(workspace, root)
    status, dataset = wait_for(workspace, identity, lambda status: status.ended)
    assert status.state == "failed" and "None of the 16 images" in status.message and dataset is None
    with pytest.raises(InputError, match="failed, not finished.*again"):
        accept(workspace, identity)
    discard(workspace, identity)
    with pytest.raises(InputError):
        discard(workspace, identity)


def test_many_tabs_start_one_job(workspace: Workspace, slow_folder: Path) -> None:
    with ThreadPoolExecutor(8) as tabs:
        identities = set(tabs.map(lambda _: look_at(workspace, slow_folder), range(8)))
    assert len(identities) == 1
    identity = identities.pop()
    folder = str(workspace.pending_dataset(identity))
    assert len(programs("core.data.index", folder)) == 1
    with pytest.raises(InputError, match="not finished.*Wait"):
        accept(workspace, identity)
    discard(workspace, identity)
    assert programs("core.data.index", folder) == []
    assert [path for path in workspace.pending.iterdir() if path.suffix != ".lock"] == []


def test_stop(workspace: Workspace, slow_folder: Path) -> None:
    identity = look_at(workspace, slow_folder)
    status, _ = wait_for(workspace, identity, lambda status: status.done > 0)
    assert status.total == 3001 and status.phase == "indexing"
    jobs.request_stop(workspace.pending_dataset(identity))
    status, dataset = wait_for(workspace, identity, lambda status: status.ended)
    assert status.state == "stopped" and dataset is None
    assert list_datasets(workspace) == []


def test_killed(workspace: Workspace, slow_folder: Path) -> None:
    identity = look_at(workspace, slow_folder)
    status, _ = wait_for(workspace, identity, lambda status: status.done > 0)
    assert programs("core.data.probe", str(slow_folder))
    psutil.Process(status.pid).kill()
    status, dataset = wait_for(workspace, identity, lambda status: status.ended)
    assert status.state == "lost" and dataset is None and list_datasets(workspace) == []
    deadline = time.monotonic() + DEADLINE_S
    while programs("core.data.probe", str(slow_folder)):  # the reading processes end with their parent
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert look_at(workspace, slow_folder) == identity
    wait_for(workspace, identity, lambda status: status.done > 0)
    discard(workspace, identity)


def test_a_look_that_was_stopped_goes_on(workspace: Workspace, slow_folder: Path) -> None:
    for number in range(600, 3000):
        (slow_folder / "a" / f"{number:04d}.png").unlink()
    identity = look_at(workspace, slow_folder)
    wait_for(workspace, identity, lambda status: status.phase == "indexing" and status.done > 100)
    with pytest.raises(InputError, match="not ended yet"):
        resume(workspace, identity)
    stop(workspace, identity)
    status, _ = wait_for(workspace, identity, lambda status: status.ended)
    assert status.state == "stopped"
    resume(workspace, identity)
    _, dataset = wait_for(workspace, identity, lambda status: status.state == "finished")
    assert dataset and dataset.num_images == 601
    discard(workspace, identity)


def test_what_names_do_not_say_is_corrected(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder(layout="flat names", counts={"cat": 3, "dog": 3})
    for file in list(root.iterdir()):
        file.rename(root / f"IMG{file.name.replace('.png', '')}x.png")
    identity = look_at(workspace, root)
    status, _ = wait_for(workspace, identity, lambda status: status.ended)
    assert status.state == "failed" and "Nothing says which class" in status.message
    names, columns = examples(workspace, identity)
    assert len(names) == 6 and names[0] == "IMGcat.0x.png" and columns == []
    resume(workspace, identity, Reading("flat names", r"IMG([a-z]+)\."))
    _, dataset = wait_for(workspace, identity, lambda status: status.state == "finished")
    assert dataset and set(dataset.manifest()["label"]) == {"cat", "dog"}
    assert looked_at(workspace, identity) == (str(root), Reading("flat names", r"IMG([a-z]+)\."))
    accept(workspace, identity)
    again = look_at(workspace, root)  # by the reading that is kept with the dataset
    _, dataset = wait_for(workspace, again, lambda status: status.state == "finished")
    assert dataset and dataset.num_classes == 2


def test_columns_of_a_table_are_offered(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    (root / "labels.csv").write_text("file,kind,day\ncat/0000.png,x,1\n")
    identity = look_at(workspace, root / "labels.csv")
    status, _ = wait_for(workspace, identity, lambda status: status.ended)
    assert status.state == "failed" and "hold their labels" in status.message
    assert examples(workspace, identity)[1] == ["file", "kind", "day"]
    discard(workspace, identity)
