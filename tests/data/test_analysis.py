"""What was found is joined to the images it was found of, and to no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.data import analysis
from core.data.analysis import columns_for, most_suspicious, points_of_map, read_analysis, read_summary, start_analysis
from core.data.datasets import index_path, open_dataset
from core.data.edits import exclude, relabel, undo
from core.errors import InputError
from core.workspace import Workspace
from tests.analysing import write_made_up_analysis
from tests.conftest import ImageFolder


def test_columns_follow_path_content_and_label(workspace: Workspace, image_folder: ImageFolder) -> None:
    dataset = index_path(workspace, image_folder())
    write_made_up_analysis(workspace, dataset, {"cat/0001.png": "dog", "dog/0002.png": "cat"})
    frame = read_analysis(workspace, dataset.id)
    assert frame is not None
    rows = dataset.manifest()
    whole = columns_for(rows, frame)
    assert list(whole.columns) == list(analysis.COLUMNS) and (whole.index == rows.index).all()
    assert rows["path"][whole["is_label_issue"]].tolist() == ["cat/0001.png", "dog/0002.png"]

    rows = rows.sample(frac=1, random_state=0)
    rows.loc[rows["path"] == "cat/0001.png", "label"] = "dog"  # corrected since
    rows.loc[rows["path"] == "cat/0003.png", "content_hash"] = "0" * 16  # another image since
    rows.loc[rows["path"] == "cat/0004.png", "path"] = "cat/new.png"
    found = columns_for(rows, frame).set_index(rows["path"])
    assert found.index[found["is_label_issue"]].tolist() == ["dog/0002.png"]
    assert found.loc["dog/0002.png", "suggested_label"] == "cat"
    assert np.isnan(found.loc["cat/0001.png", "label_issue_score"])
    assert pd.isna(found.loc["cat/0001.png", "suggested_label"]) and not np.isnan(found.loc["cat/0001.png", "map_x"])
    assert found.loc[["cat/0003.png", "cat/new.png"], ["map_x", "pca_y", "label_issue_score"]].isna().all(axis=None)


def test_every_edit_makes_it_stale_and_undoing_makes_it_fit_again(
    workspace: Workspace, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder())
    write_made_up_analysis(workspace, dataset, {})
    summary = read_summary(workspace, dataset.id)
    assert summary is not None and not analysis.is_stale(summary, dataset)
    for edit in (
        lambda: relabel(workspace, dataset.id, ["cat/0001.png"], "dog"),
        lambda: exclude(workspace, dataset.id, ["cat/0002.png"]),
    ):
        edit()
        assert analysis.is_stale(summary, open_dataset(workspace, dataset.id))
        undo(workspace, dataset.id)
        assert not analysis.is_stale(summary, open_dataset(workspace, dataset.id))


def test_what_is_missing_or_damaged_is_none(workspace: Workspace, image_folder: ImageFolder) -> None:
    dataset = index_path(workspace, image_folder())
    assert read_summary(workspace, dataset.id) is None and read_analysis(workspace, dataset.id) is None
    assert analysis.analysis_status(workspace, dataset.id) is None and analysis.changed(workspace, dataset.id) == 0
    write_made_up_analysis(workspace, dataset, {})
    for name in (analysis.ANALYSIS, analysis.SUMMARY):
        (workspace.analysis(dataset.id) / name).write_bytes(b"{]")
    assert read_summary(workspace, dataset.id) is None and read_analysis(workspace, dataset.id) is None


def test_a_dataset_without_its_folder_is_refused_at_once(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder()
    dataset = index_path(workspace, root)
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(InputError, match="no longer there"):
        start_analysis(workspace, dataset)


def test_the_most_suspicious_come_first() -> None:
    rows = pd.DataFrame({"label_issue_score": np.array([0.5, np.nan, 0.1, 0.9, 0.1], np.float32)})
    every = np.ones(5, bool)
    assert most_suspicious(rows, every, 10).tolist() == [2, 4, 0, 3]
    assert most_suspicious(rows, every, 2).tolist() == [2, 4]
    assert most_suspicious(rows, np.array([1, 1, 0, 0, 1], bool), 10).tolist() == [4, 0]


def test_a_map_of_many_takes_the_same_share_of_every_class() -> None:
    labels = ["a"] * 900 + ["b"] * 99 + ["c"]
    rows = pd.DataFrame({"label": pd.Categorical(labels), "map_x": np.arange(1000.0), "map_y": 0.0})
    points = points_of_map(rows, np.ones(1000, bool), "map", "label", most=100)
    assert points["series"].value_counts().to_dict() == {"a": 90, "b": 9, "c": 1}
    assert (points["x"] == points["place"]).all() and points["place"].is_monotonic_increasing
    pd.testing.assert_frame_equal(points, points_of_map(rows, np.ones(1000, bool), "map", "label", most=100))
    assert len(points_of_map(rows, np.ones(1000, bool), "map", "label", most=2)) == 2
    few = points_of_map(rows, np.arange(1000) < 5, "map", "label", most=100)
    assert few["place"].tolist() == [0, 1, 2, 3, 4]
