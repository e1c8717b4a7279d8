"""Export offers to prune a network, and says what the runs pruned from it cost and gained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.exports.pruning import SPEEDS
from core.files import read_json, write_json
from core.runs.about import write_about
from core.runs.store import Run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import texts


@pytest.fixture
def pruned(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that says it was pruned from the trained one: half as large, no faster, a point worse."""
    home = Workspace(tmp_path / "home")
    shutil.copytree(trained.workspace.root, home.root)
    monkeypatch.setenv("DARKROOM_HOME", str(home.root))
    run = Run("20260101-000000-small-cnn-aaaa", home.run("20260101-000000-small-cnn-aaaa"))
    shutil.copytree(home.run(trained.run.id), run.folder)
    config = read_json(run.folder / "config.json")
    config["model"] |= {"prune": 0.5, "weights": "run", "weights_from": trained.run.id, "tune": "all"}
    write_json(run.folder / "config.json", config)
    meta = read_json(run.bundle / "model.json")
    meta["training"]["pruned"] = {"parameters": [400, 100], "multiplications": [1000, 250]}
    write_json(run.bundle / "model.json", meta)
    report = read_json(run.folder / "report.json")
    write_json(run.folder / "report.json", report | {"test_accuracy": report["test_accuracy"] - 0.01})
    speeds = {"size_bytes": [1000, 500], "latency_ms_p50": [1.0, 1.0], "images_per_s": [100.0, 102.0]}
    write_json(run.folder / SPEEDS, speeds)
    write_about(run, tags=[f"pruned:{trained.run.id}"])
    return run


def test_what_pruning_cost_and_gained_is_shown(pruned: Run, trained: Trained, open_page: OpenPage) -> None:
    app = open_page("export", run=trained.run.id)
    assert not app.exception
    table = app.dataframe[-1].value
    (row,) = table.to_dict("records")
    assert (row["run"], row["share"], row["left"]) == (pruned.id, 50, 25)
    assert (row["smaller"], row["faster"]) == (2, 1.02) and row["change"] == pytest.approx(-1)
    assert "50% of the channels: 2.0 times smaller, no faster, test accuracy -1.0 points." in texts(app)


def test_a_pruned_run_is_not_pruned_again(pruned: Run, trained: Trained, open_page: OpenPage) -> None:
    app = open_page("export", run=pruned.id)
    app.button(key="prune").click().run()
    assert "pruned already" in texts(app) and trained.run.id in texts(app)
