"""The analysis job in its real process, with a backbone small enough to be instant."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.analysis import (
    ANALYSIS,
    REQUEST,
    analysis_status,
    cancel_analysis,
    is_stale,
    read_analysis,
    read_summary,
    start_analysis,
)
from core.data.datasets import Dataset, index_path, open_dataset
from core.data.edits import relabel
from core.data.manifest import usable
from core.data.neighbours import nearest
from core.files import write_json
from core.jobs import Status, StatusWriter, request_stop
from core.training.backbone.feature_store import FeatureStore
from core.training.embed import SIZE, SMALL_SIZE, Stopped, spec_for, unless_stopped
from core.workspace import REPOSITORY, Workspace
from tests.analysing import place_tiny_backbone
from tests.conftest import ImageFolder
from tests.waiting import wait_until

DEADLINE_S = 180.0


def analysed(ws: Workspace, dataset: Dataset) -> Status:
    """Start the analysis, wait for its end and give its status."""
    place_tiny_backbone(ws, spec_for(usable(dataset.manifest())))
    start_analysis(ws, dataset)
    return ended(ws, dataset)


def ended(ws: Workspace, dataset: Dataset) -> Status:
    wait_until(lambda: (status := analysis_status(ws, dataset.id)) and status.ended, "the analysis to end", DEADLINE_S)
    status = analysis_status(ws, dataset.id)
    assert status is not None
    return status


def test_wrong_labels_are_found_and_only_new_images_are_computed_again(
    workspace: Workspace, image_folder: ImageFolder, forked_jobs: None
) -> None:
    root = image_folder(counts={"cat": 40, "dog": 40, "fox": 40})
    (root / "cat" / "0000.png").rename(root / "dog" / "stray.png")
    (root / "fox" / "twin.png").write_bytes((root / "fox" / "0001.png").read_bytes())
    dataset = index_path(workspace, root)
    status = analysed(workspace, dataset)
    assert status.state == "finished" and "Analysed 121 images" in status.message, status
    summary, frame = read_summary(workspace, dataset.id), read_analysis(workspace, dataset.id)
    assert summary is not None and frame is not None and not is_stale(summary, dataset)
    assert (summary.num_images, summary.num_computed, summary.num_left_out) == (121, 120, 0)
    assert summary.accuracy is not None and summary.accuracy > 0.98 and summary.image_size == SMALL_SIZE
    found = frame[frame["is_label_issue"]]
    assert found["path"].tolist() == ["dog/stray.png"] and found["suggested_label"].tolist() == ["cat"]
    assert np.isfinite(frame[["map_x", "map_y", "pca_x", "pca_y", "label_issue_score"]]).all(axis=None)
    suggested = frame.set_index("content_hash")["suggested_label"]
    near = nearest(workspace, dataset.id, frame["content_hash"].iloc[3], k=10)
    assert near is not None and {suggested[one.content_hash] for one in near} == {"cat"}

    relabel(workspace, dataset.id, ["dog/stray.png"], "cat")
    dataset = open_dataset(workspace, dataset.id)
    assert is_stale(summary, dataset)
    assert analysed(workspace, dataset).state == "finished"
    summary = read_summary(workspace, dataset.id)
    assert summary is not None and not is_stale(summary, dataset)
    assert (summary.num_computed, summary.num_label_issues) == (0, 0)

    (root / "cat" / "new.png").write_bytes((root / "cat" / "0002.png").read_bytes() + b"more")
    dataset = index_path(workspace, root)
    assert analysed(workspace, dataset).state == "finished"
    summary = read_summary(workspace, dataset.id)
    assert summary is not None and summary.num_computed == 1


def test_long_work_is_left_when_asked_to_stop(tmp_path: Path) -> None:
    never = threading.Event()
    with StatusWriter(tmp_path) as status:
        assert unless_stopped(lambda: 7, status) == 7
        with pytest.raises(ZeroDivisionError):
            unless_stopped(lambda: 1 // 0, status)
        request_stop(tmp_path)
        with pytest.raises(Stopped):
            unless_stopped(lambda: never.wait(3 * DEADLINE_S), status)
    never.set()


def test_a_killed_and_a_cancelled_analysis_go_on_from_what_they_have(
    workspace: Workspace, tmp_path: Path, forked_jobs: None
) -> None:
    root = tmp_path / "large"
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        Image.fromarray(noise).save(tmp_path / "one.png", compress_level=1)
        data = (tmp_path / "one.png").read_bytes()
        for number in range(150):  # bytes after the image's end make another content of the same picture
            (root / label / f"{number}.png").write_bytes(data + f"{label}{number}".encode())
    dataset = index_path(workspace, root)
    place_tiny_backbone(workspace, spec_for(usable(dataset.manifest())))
    folder = workspace.analysis(dataset.id)
    folder.mkdir(parents=True)
    write_json(folder / REQUEST, {"home": str(workspace.root), "dataset": dataset.id})
    small_parts = "from core.training import embed; embed.PART_ROWS = 16; "
    program = f"import sys, pathlib; {small_parts} embed.main(pathlib.Path(sys.argv[1]))"
    job = subprocess.Popen([sys.executable, "-c", program, str(folder)], cwd=REPOSITORY)
    wait_until(lambda: list(folder.glob("features-*/*.hashes.npy")), "the first part", DEADLINE_S)
    job.kill()
    job.wait()
    status = analysis_status(workspace, dataset.id)
    assert status is not None and status.state == "lost"
    (store,) = folder.glob("features-*")
    num_kept = len(FeatureStore(store).known())
    assert 0 < num_kept < 300

    start_analysis(workspace, dataset)
    wait_until(lambda: (s := analysis_status(workspace, dataset.id)) and s.done > 0, "the first images", DEADLINE_S)
    start_analysis(workspace, dataset)  # another tab: nothing new starts
    cancel_analysis(workspace, dataset.id)
    status = ended(workspace, dataset)
    assert status.state == "stopped" and "kept" in status.message
    assert not (workspace.analysis(dataset.id) / ANALYSIS).exists()
    assert analysed(workspace, dataset).state == "finished"
    summary = read_summary(workspace, dataset.id)
    assert summary is not None and summary.num_images == 300
    assert 0 < summary.num_computed < 300 - num_kept
    assert summary.image_size == SIZE and "copies of each other" in summary.no_labels_because


def test_files_that_are_gone_are_left_out_and_small_classes_are_not_judged(
    workspace: Workspace, image_folder: ImageFolder, forked_jobs: None
) -> None:
    root = image_folder(counts={"cat": 9, "dog": 3})
    dataset = index_path(workspace, root)
    (root / "cat" / "0000.png").unlink()
    (root / "cat" / "0001.png").write_bytes(b"something else")
    assert analysed(workspace, dataset).state == "finished"
    summary, frame = read_summary(workspace, dataset.id), read_analysis(workspace, dataset.id)
    assert summary is not None and frame is not None
    assert (summary.num_images, summary.num_left_out, summary.accuracy) == (10, 2, None)
    assert "at least two classes have 5" in summary.no_labels_because
    assert frame["label_issue_score"].isna().all() and not frame["is_label_issue"].any()
    assert frame["map_x"].notna().all()


def test_the_failure_of_all_images_is_said(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder(counts={"cat": 3, "dog": 3})
    dataset = index_path(workspace, root)
    for path in root.rglob("*.png"):
        path.unlink()
    status = analysed(workspace, dataset)
    assert status.state == "failed" and "can still be read" in status.message


def test_a_part_that_was_not_finished_does_not_count(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.add(np.array([9, 4], np.uint64), np.array([[9, 9], [4, 4]], np.float32))
    (whole,) = tmp_path.glob("*.features.npy")
    (tmp_path / "000001-killed.features.npy").write_bytes(whole.read_bytes())
    store = FeatureStore(tmp_path)
    assert store.known().tolist() == [9, 4]
    store.add(np.array([5], np.uint64), np.array([[5, 5]], np.float32))
    found, features = FeatureStore(tmp_path).load(np.array([4, 5, 7, 9], np.uint64))
    assert found.tolist() == [True, True, False, True]
    assert features.tolist() == [[4, 4], [5, 5], [9, 9]] and features.dtype == np.float16


def test_nothing_stored_is_nothing_found(tmp_path: Path) -> None:
    found, features = FeatureStore(tmp_path).load(np.array([1], np.uint64))
    assert not found.any() and len(features) == 0


@pytest.mark.parametrize(("longer", "size"), [(32, SMALL_SIZE), (64, SMALL_SIZE), (65, SIZE), (500, SIZE)])
def test_tiny_images_are_looked_at_small(
    workspace: Workspace, image_folder: ImageFolder, longer: int, size: int
) -> None:
    rows = index_path(workspace, image_folder(counts={"a": 2, "b": 2}, size=(longer, 20))).manifest()
    assert spec_for(rows).size == size
