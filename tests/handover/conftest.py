"""An evaluated run that makes mistakes, with its report in all forms."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.data.manifest import usable
from core.evaluation.evaluate import write_report
from core.evaluation.predictions import prediction_table, write_predictions
from core.handover.document import Document, document
from core.handover.page import page
from core.inference.bundle import note_trust
from core.runs.about import write_about
from core.runs.store import MANIFEST, Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained

NAMES = {"cat": "<script>alert('cat')</script>", "dog": "$x$ & </main></script>", "fox": "fox"}


@dataclass(frozen=True)
class HandedOver:
    """A run of 90 images, 50 of them for testing, whose answers are seeded noise around the truth; read it only."""

    run: Run
    told: Document
    html: str


def with_mistakes(run: Run, names: dict[str, str]) -> None:
    """Divide its images anew, rename its classes, and put answers with mistakes in place of its own."""
    manifest = run.manifest()
    order = np.random.default_rng(3).permutation(len(manifest))
    split = np.array(["train"] * 8 + ["val"] * 32 + ["test"] * (len(manifest) - 40))
    manifest["split"] = split[order]
    manifest["label"] = manifest["label"].map(names)
    manifest.to_parquet(run.folder / MANIFEST, index=False)
    meta = run.bundle / "model.json"
    classes = list(names.values())
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"classes": classes}))
    rows = usable(manifest)
    rows = rows[rows["split"] != "train"]
    truth = rows["label"].map(classes.index).to_numpy()
    noise = np.random.default_rng(4).normal(0, 1.4, (len(rows), len(classes)))
    logits = (noise + 2.2 * np.eye(len(classes))[truth]).astype(np.float32)
    table = prediction_table(rows, logits, classes)
    write_predictions(run.folder, table)
    write_report(run, table, [])


@pytest.fixture(scope="session")
def handed_over(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> HandedOver:
    """The report of a run whose classes have names that mean something in HTML."""
    home = tmp_path_factory.mktemp("handed") / "home"
    shutil.copytree(trained.workspace.root, home, ignore=shutil.ignore_patterns("*.tmp", "cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKROOM_HOME", str(home))
        run = open_run(Workspace(home), trained.run.id)
        with_mistakes(run, NAMES)
        note_trust(run.bundle, abstention_threshold=0.6, abstention_target=None)
        write_about(run, name="Foxes & co", note="For <b>them</b>.")
        told = document(run)
        return HandedOver(run, told, page(run, told))


@pytest.fixture
def at_home(handed_over: HandedOver, monkeypatch: pytest.MonkeyPatch) -> HandedOver:
    """The same, in the workspace it is in."""
    monkeypatch.setenv("DARKROOM_HOME", str(handed_over.run.folder.parent.parent))
    return handed_over


@pytest.fixture
def own(handed_over: HandedOver, workspace: Workspace) -> Run:
    """A copy of the run to change."""
    home: Path = handed_over.run.folder.parent.parent
    shutil.copytree(home, workspace.root, dirs_exist_ok=True)
    return open_run(workspace, handed_over.run.id)
