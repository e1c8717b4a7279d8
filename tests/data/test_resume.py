"""Indexing that was killed or stopped goes on where it was; an unchanged folder is answered without being read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core.__main__ import build_parser
from core.data import checkpoint, unchanged
from core.data.checkpoint import Checkpoint
from core.data.datasets import dataset_id, index_path
from core.data.edits import exclude
from core.data.index import IndexingStopped, build_manifest
from core.data.probe import Facts
from core.data.reading_processes import CHUNK, FEW
from core.data.sources import recognise
from core.data.unchanged import folder_digest, note, noted
from core.verbs_training import find_dataset
from core.workspace import REPOSITORY, Workspace
from tests.running import darkroom

DEADLINE_S = 180.0
_QUICK = "import sys; from core.data import checkpoint; checkpoint._EVERY_S = 0.05; "
_INDEX = "from core.data.datasets import index_path; from core.workspace import Workspace; "


@pytest.fixture
def many(image_folder: Callable[..., Path]) -> Path:
    """Takes a good while to read and no time to make: one noisy image under many names."""
    root = image_folder("many", {"a": 1, "b": 1}, size=(500, 500))
    for number in range(1, 600):
        os.link(root / "a" / "0000.png", root / "a" / f"{number:04d}.png")
    return root


def test_a_killed_run_goes_on_where_it_was(workspace: Workspace, many: Path) -> None:
    program = _QUICK + _INDEX + "index_path(Workspace.default(), sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", program, str(many)], cwd=REPOSITORY)
    folder = workspace.indexing(dataset_id(many))
    deadline = time.monotonic() + DEADLINE_S
    while len(list(folder.glob("*.parquet"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder / "half.parquet").write_bytes(b"PAR1 half a file")
    kept = Checkpoint(folder).earlier()
    assert kept is not None and 0 < len(kept) < 601
    assert list(workspace.datasets.glob("[!.]*")) == []
    changed = many / kept["path"].iloc[0]
    changed.unlink()
    changed.write_bytes((many / "b" / "0000.png").read_bytes())
    seen: list[int] = []
    dataset = index_path(workspace, many, on_progress=lambda done, total: seen.append(done))
    assert seen[0] == len(kept) - 1  # all that was kept but the one that was changed
    frame = dataset.manifest()
    assert len(frame) == 601 and frame["error"].isna().all()
    hashes = frame.set_index("path")["content_hash"]
    assert hashes[kept["path"].iloc[0]] == hashes["b/0000.png"]
    assert not folder.exists()


def test_what_was_read_before_a_stop_is_not_read_again(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder(counts={"a": FEW + 2 * CHUNK, "b": 3}, size=(30, 30))
    done = [0]

    def note_done(number: int, total: int) -> None:
        done[0] = number

    with pytest.raises(IndexingStopped, match="not read again"):
        index_path(workspace, root, on_progress=note_done, should_stop=lambda: done[0] >= 2 * CHUNK)
    first: list[int] = []
    whole = index_path(workspace, root, on_progress=lambda number, total: first.append(number))
    assert first[0] >= 2 * CHUNK
    assert whole.num_images == FEW + 2 * CHUNK + 3
    assert not workspace.indexing(whole.id).exists()


def test_going_on_gives_what_one_run_gives(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    recognised = recognise(image_folder(counts={"a": 12, "b": 12}, size=(40, 30)))
    whole = build_manifest(recognised)
    done = [0]

    def note_done(number: int, total: int) -> None:
        done[0] = number

    with pytest.raises(IndexingStopped):
        build_manifest(recognised, None, note_done, lambda: done[0] >= 7, Checkpoint(tmp_path / "kept"))
    resumed = build_manifest(recognised, checkpoint=Checkpoint(tmp_path / "kept"))
    pd.testing.assert_frame_equal(resumed, whole)


def test_a_checkpoint_that_cannot_be_written_is_no_loss(
    tmp_path: Path, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_EVERY_S", 0.0)
    (tmp_path / "file").touch()
    kept = Checkpoint(tmp_path / "file" / "folder")
    assert kept.earlier() is None
    assert len(build_manifest(recognise(image_folder()), checkpoint=kept)) == 16
    kept.remove()


def test_a_table_of_errors_alone() -> None:
    kept = Checkpoint(None)
    kept.add(["a"], [Facts(error="Damaged.")])
    assert kept.table()["error"].tolist() == ["Damaged."]
    assert kept.table()["width"].dtype == "int32"


def test_an_unchanged_folder_is_answered_at_once(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    first = darkroom("index", root, home=workspace.root).result
    assert set(first["checks"]) >= {"dark", "blurry", "near_duplicate"}
    again = darkroom("index", root, home=workspace.root).result
    quick = ("seconds", "images_per_s")
    assert {k: v for k, v in first.items() if k not in quick} == {k: v for k, v in again.items() if k not in quick}
    program = (
        "import sys; from core.data.unchanged import answer_at_once\n"
        "try: answer_at_once(['index', sys.argv[1], '--json'])\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["num_images"] == 16
    assert not set(done.stderr.split()) & {"pandas", "pyarrow", "numpy", "pydantic"}
    options = build_parser().parse_args(["train", "--data", str(root)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.data.datasets.index_path", lambda *_, **__: pytest.fail("a run indexed it again"))
        assert find_dataset(workspace, options) == first["dataset"]


def test_whatever_changed_is_noticed(
    workspace: Workspace, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = image_folder()
    dataset = index_path(workspace, root)
    answer = {"num_images": 16, "num_errors": 0, "manifest": str(dataset.folder / "manifest.parquet")}

    def noted_after(change: Callable[[], object]) -> bool:
        note(workspace, str(root), answer, folder_digest(str(root)))
        assert noted(workspace, str(root))
        change()
        return noted(workspace, str(root)) is not None

    image = root / "cat" / "0000.png"
    assert not noted_after(lambda: os.utime(image))
    assert not noted_after(lambda: image.rename(root / "cat" / "renamed.png"))
    assert not noted_after(lambda: (root / "readme.txt").touch())
    assert not noted_after(lambda: (root / "empty").mkdir())
    assert not noted_after(lambda: exclude(workspace, dataset.id, ["cat/0001.png"], "blurred"))
    with monkeypatch.context() as patch:
        assert not noted_after(lambda: patch.setattr(unchanged, "_JUDGED_BY", [0, 0]))
    assert not noted_after((dataset.folder / "manifest.parquet").unlink)
    (root / "labels.csv").touch()  # what is in it is not seen from its name
    note(workspace, str(root), answer, folder_digest(str(root)))
    assert noted(workspace, str(root)) is None
    note(workspace, str(root), answer | {"num_errors": 1}, folder_digest(str(root)))
    assert noted(workspace, "nowhere") is None
