"""Exports of one small trained model, made once for the tests of this room."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from safetensors.numpy import load

from core import jobs
from core.exports import job
from core.exports.exported import export_job, exports_folder
from core.exports.format import Source
from core.files import write_json
from core.inference.bundle import ONNX, note_trust, read_bundle, write_bundle
from core.runs.store import Run
from core.workspace import Workspace
from tests.conftest import Trained, made_once

PLAIN = ("onnx", "torchscript", "torch-export")
SECONDS = 0.02  # that a speed is measured for


@dataclass(frozen=True)
class Made:
    """A run with exports, a workspace of its own and the images. Shared: copy what a test changes."""

    workspace: Workspace
    run: Run
    images: Path

    def source(self) -> Source:
        return Source(self.run, read_bundle(self.run.bundle), self.images)

    def package(self, key: str) -> Path:
        return exports_folder(self.run) / key

    def copied(self, home: Path) -> Made:
        """The same in another workspace, to be changed."""
        shutil.copytree(self.workspace.root, home)
        return Made(Workspace(home), Run(self.run.id, home / "runs" / self.run.id), self.images)


@pytest.fixture(scope="session")
def made(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The three float32 exports of a network whose mean, standard deviation and temperature are all telling."""

    def make(folder: Path) -> None:
        shutil.copytree(trained.workspace.root, folder / "home")
        run = Run(trained.run.id, folder / "home" / "runs" / trained.run.id)
        _with_photo_statistics(run)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DARKROOM_HOME", str(folder / "home"))
            for key in PLAIN:
                at_work = export_job(key).folder(run)
                at_work.mkdir(parents=True)
                write_json(at_work / "request.json", {"seconds": SECONDS})
                jobs.prepare(at_work)
                assert job.main(run.folder, key) == 0, export_job(key).progress(run)

    home = made_once(tmp_path_factory, "exports", make) / "home"
    return Made(Workspace(home), Run(trained.run.id, home / "runs" / trained.run.id), trained.images)


def _with_photo_statistics(run: Run) -> None:
    """Small networks are trained with 0.5 for mean and deviation alike; swapping those would change nothing."""
    before = read_bundle(run.bundle)
    spec = replace(before.spec, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    graph, weights = (run.bundle / ONNX).read_bytes(), load(before.weights.read_bytes())
    write_bundle(run.bundle, weights, before.architecture, before.classes, spec, before.summary, before.head_units)
    (run.bundle / ONNX).write_bytes(graph)
    note_trust(run.bundle, temperature=1.7, abstention_threshold=0.8, energy_threshold=-1.0)
