"""How fast each engine answers: all there are, on test images or without them, and one that fails hides no other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core import jobs
from core.exports.exported import Exported
from core.exports.registry import FORMATS
from core.files import write_json
from core.handover import engines
from core.handover.document import document
from core.handover.engines import SPEED, main, measure_engines
from core.inference.speed import FEWEST_CALLS
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.running import in_process


@pytest.fixture
def run(trained: Trained, workspace: Workspace) -> Run:
    """A finished run of this test's own."""
    ignored = shutil.ignore_patterns("*.tmp", "cache")
    shutil.copytree(trained.workspace.root, workspace.root, ignore=ignored, dirs_exist_ok=True)
    return open_run(workspace, trained.run.id)


def test_weights_and_graph_are_timed_on_test_images(run: Run) -> None:
    seen: list[tuple[int, int]] = []
    found = measure_engines(run, lambda *at: seen.append(at), seconds=0)
    assert [row["key"] for row in found["engines"]] == ["torch", "onnx"] and seen[-1] == (2, 2)
    assert found["images"] == "test images" and found["decode_ms"] > 0
    for row in found["engines"]:
        assert [one["batch_size"] for one in row["speeds"]] == [1, 32]
        assert all(one["calls"] == FEWEST_CALLS and one["images_per_s"] > 0 for one in row["speeds"])
        assert row["num_bytes"] > 10_000 and not row["problem"]
    assert "is the fastest" in found["sentence"]


def test_without_images_it_is_noise_and_a_damaged_graph_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.folder / "predictions.parquet").unlink()
    (run.bundle / "model.onnx").write_bytes(b"not a graph")
    found = measure_engines(run, seconds=0)
    assert found["images"] == "noise" and found["decode_ms"] is None
    torch, onnx = found["engines"]
    assert torch["speeds"] and not onnx["speeds"] and "damaged" in onnx["problem"]
    assert "PyTorch is the fastest" in found["sentence"]
    monkeypatch.setattr(engines, "engines", lambda run: [])
    assert measure_engines(run)["sentence"].startswith("None of the ways")


def test_an_export_that_is_ready_is_timed_by_its_own_runtime(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = FORMATS["onnx"]
    folder = run.folder / "exports" / "onnx"
    folder.mkdir(parents=True)
    shutil.copy(run.bundle / "model.onnx", folder / made.model)
    exports = [Exported(made, folder, {}, ""), Exported(made, folder, {}, "It failed the gate.")]
    monkeypatch.setattr(engines, "list_exports", lambda run: exports)
    rows = measure_engines(run, seconds=0)["engines"]
    assert [row["key"] for row in rows] == ["torch", "onnx", "export:onnx"], "one that is not ready is not offered"
    assert rows[2]["speeds"] and rows[2]["title"] == f"{made.name} export"


def test_as_a_job_and_in_the_report(run: Run) -> None:
    folder = SPEED.folder(run)
    folder.mkdir(parents=True)
    write_json(folder / "request.json", {"seconds": 0})
    jobs.prepare(folder)
    assert main(run.folder) == 0
    told = document(run)
    assert told["speed"]["engines"] == json.loads((run.folder / "speed.json").read_text())["engines"]


def test_the_verb(run: Run, tmp_path: Path) -> None:
    done = in_process("bench", run.id, "--seconds", "0")
    assert done.status == 0 and [row["title"] for row in done.result["engines"]] == ["PyTorch", "ONNX Runtime"]
    assert in_process("bench", "none").status == 2
