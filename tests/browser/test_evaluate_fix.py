"""From a cell of the confusion matrix to its images, their labels corrected, trained again and compared."""

from __future__ import annotations

import re
import shutil

from core.data.edits import relabel
from core.data.stored import open_dataset
from core.evaluation.evaluate import evaluate_run
from core.evaluation.fixes import tag_of
from core.files import write_json
from core.runs.about import read_about
from core.runs.store import DATA, MANIFEST, Run, list_runs, open_run
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import RUN_S, Server, expect
from tests.conftest import Trained

PLANTED = 2


def with_wrong_labels(trained: Trained, workspace: Workspace) -> tuple[Run, list[str]]:
    """A copy of a good run whose first test images of cats are called dogs, in its dataset and in its evaluation."""
    dataset_id = trained.run.config.data.dataset
    shutil.copytree(trained.workspace.dataset(dataset_id), workspace.dataset(dataset_id))
    shutil.copytree(trained.run.folder, workspace.run(trained.run.id))
    run = open_run(workspace, trained.run.id)
    manifest = run.manifest()
    cats = manifest.loc[(manifest["split"] == "test") & (manifest["label"] == "cat"), "path"].tolist()[:PLANTED]
    relabel(workspace, dataset_id, cats, "dog")
    manifest.loc[manifest["path"].isin(cats), "label"] = "dog"
    manifest.to_parquet(run.folder / MANIFEST, index=False)
    dataset = open_dataset(workspace, dataset_id)
    write_json(run.folder / DATA, run.data() | {"dataset_fingerprint": dataset.fingerprint, "num_edits": 1})
    evaluate_run(run, dataset.root)
    return run, cats


def test_from_a_cell_to_a_comparison(server: Server, visit: Visit, trained: Trained) -> None:
    workspace = Workspace(server.home)
    run, cats = with_wrong_labels(trained, workspace)
    visitor = visit(server)
    visitor.open("evaluate", run=run.id, view="Confusion")
    expect(visitor.tab.get_by_text("Retrain with fixes")).to_have_count(0)
    visitor.tab.get_by_role("button", name=re.compile("^true dog predicted cat:")).click()
    images = visitor.gallery("cell-gallery")
    expect(images).to_have_count(PLANTED)
    for box in visitor.tab.get_by_role("checkbox", name=re.compile("^Select true dog, predicted cat:")).all():
        box.check()
    visitor.sees(f"{PLANTED} images selected.")
    visitor.settles()
    label = visitor.tab.get_by_role("combobox", name="New class")
    label.fill("cat")
    with visitor.redrawn():
        label.press("Enter")
    visitor.press("Relabel")
    visitor.sees(f"Relabelled {PLANTED} images as cat.")
    visitor.sees(f"Since this run was started: {PLANTED} images relabelled ({PLANTED} test).")
    visitor.photographs("evaluate-fixes")

    visitor.press("Retrain with fixes")
    comparing = visitor.tab.get_by_role("link", name="Compare with this run")
    expect(comparing).to_be_visible(timeout=1000 * RUN_S)
    (again,) = [one for one in list_runs(workspace) if tag_of(run) in read_about(one).tags]
    assert again.config == run.config and (again.report() or {})["num_test"] == (run.report() or {})["num_test"]
    labels = again.manifest().set_index("path")["label"]
    assert (labels[cats] == "cat").all()
    visitor.rests()
    comparing.click()
    visitor.arrives("compare")
    num_test = (run.report() or {})["num_test"]
    visitor.sees(f"Compared on the {num_test} test images both have: {PLANTED} test images relabelled")
    visitor.sees(re.compile("^(No difference|B is better|A is better|Not certain)"))
    visitor.finds_no_fault()
    visitor.photograph("compare-fixes")
