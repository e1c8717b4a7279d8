"""Evaluate's mistakes: sorted, filtered, beside what was learned from; corrected, and trained again with that."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from core import jobs
from core.data.edits import exclude, relabel
from core.evaluation.evaluate import write_report
from core.evaluation.fixes import tag_of
from core.evaluation.nearest import NEAREST, SHOWN, main, read_nearest
from core.evaluation.predictions import PREDICTIONS, mistakes, read_predictions
from core.files import read_json, write_json
from core.processes import ProcessIdentity
from core.runs.about import read_about
from core.runs.store import Run, list_runs, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, has_component, texts


@pytest.fixture
def run(with_run: Trained, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the test's own with six mistakes: four cats and a fox taken for dogs, and a dog taken for a fox."""
    ignored = shutil.ignore_patterns("*.tmp", "cache")
    shutil.copytree(with_run.workspace.root, workspace.root, ignore=ignored, dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_HOME", str(workspace.root))
    run = open_run(workspace, with_run.run.id)
    rows = pd.read_parquet(run.folder / PREDICTIONS)
    rows["predicted"] = rows["label"]
    for label, number, taken in (("cat", 4, "dog"), ("fox", 1, "dog"), ("dog", 1, "fox")):
        places = rows.index[(rows["split"] == "test") & (rows["label"] == label)][:number]
        rows.loc[places, "predicted"] = taken
    # What one is sure of need not be what costs most.
    rows["confidence"], rows["loss"] = np.linspace(0.4, 0.9, len(rows)), np.sin(np.arange(len(rows))) + 1
    rows.to_parquet(run.folder / PREDICTIONS, index=False)
    write_report(run, rows, [])
    return run


def shown(app: object) -> list[str]:
    """The files of the tiles, in their order."""
    return [tile["id"] for tile in component(app, "darkroom_gallery")["tiles"]]


def test_mistakes_are_sorted_and_filtered(run: Run, open_page: OpenPage) -> None:
    rows = read_predictions(run.folder)
    assert rows is not None
    wrong = rows[(rows["split"] == "test") & (rows["label"] != rows["predicted"])]
    app = open_page("evaluate", view="Mistakes")
    assert "6 mistakes in " in texts(app)
    assert shown(app) == wrong.sort_values("confidence", ascending=False)["path"].tolist()
    app = open_page("evaluate", view="Mistakes", order="Loss, highest first")
    assert shown(app) == wrong.sort_values("loss", ascending=False)["path"].tolist()
    app = open_page("evaluate", view="Mistakes", order="Confidence, lowest first", predicted="dog")
    assert shown(app) == wrong[wrong["predicted"] == "dog"].sort_values("confidence")["path"].tolist()
    app = open_page("evaluate", view="Mistakes", true="cat", predicted="dog")
    assert shown(app) == mistakes(rows, label="cat", predicted="dog")["path"].tolist()
    assert len(shown(app)) == 4 and "4 of 6 mistakes in " in texts(app)
    assert "There is no mistake of this kind" in texts(
        open_page("evaluate", view="Mistakes", true="cat", predicted="fox")
    )
    assert len(shown(open_page("evaluate", view="Mistakes", true="wolf"))) == 6, "no such class in the address"


def test_each_mistake_stands_beside_the_training_images_nearest_to_it(run: Run, open_page: OpenPage) -> None:
    app = open_page("evaluate", view="Mistakes", beside="True")
    assert "Find them" in [button.label for button in app.button]
    assert has_component(app, "darkroom_gallery"), "the mistakes need not wait for it"
    folder = NEAREST.folder(run)
    folder.mkdir(parents=True)
    write_json(folder / "request.json", {})
    jobs.prepare(folder)
    assert main(run.folder) == 0
    found = read_nearest(run)
    assert found is not None
    near = next(iter(found.beside.values()))[0].path
    exclude(Workspace.default(), run.config.data.dataset, [near])
    app = open_page("evaluate", view="Mistakes", beside="True")
    assert "Find them" not in [button.label for button in app.button]
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert [tile["first"] for tile in tiles] == ([True] + [False] * SHOWN) * 6
    expected = [[path, *(f"{path}//{one.path}" for one in near)] for path, near in found.beside.items()]
    assert [tile["id"] for tile in tiles] == sum(expected, [])
    labels = run.manifest().set_index("path")["label"]
    beside = [tile for tile in tiles if not tile["first"]]
    assert all(tile["caption"] == f"trained as {labels[tile['id'].partition('//')[2]]}" for tile in beside)
    assert {tile["mark"] for tile in beside if tile["id"].endswith(f"//{near}")} == {"excluded"}


def test_corrections_are_trained_with_and_the_two_runs_compared(
    run: Run, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(jobs, "launch", lambda folder, *_, **__: started.append(folder.name) or ProcessIdentity(0, 0.0))
    workspace, dataset = Workspace.default(), run.config.data.dataset
    app = open_page("evaluate", view="Mistakes")
    assert "Since this run was started" not in texts(app) and "above the views" not in texts(app)
    wrong = shown(app)
    relabel(workspace, dataset, wrong[:1], "fox" if wrong[0].startswith("dog") else "dog")
    exclude(workspace, dataset, wrong[1:2])
    app = open_page("evaluate", view="Mistakes")
    assert "Since this run was started: 1 image relabelled (1 test), 1 excluded (1 test)." in texts(app)
    assert "the button that trains with it, are above the views" in texts(app)
    next(button for button in app.button if button.label == "Retrain with fixes").click().run()
    assert not app.exception
    (again,) = [one for one in list_runs(workspace) if one.id != run.id]
    assert started == [again.id] and read_about(again).tags == (tag_of(run),)
    links = [link.proto.label for link in app.main.get("page_link")]
    assert "Its training" in links and "Compare with this run" not in links
    for name in (PREDICTIONS, "report.json"):
        shutil.copy(run.folder / name, again.folder / name)
    write_json(again.folder / jobs.STATUS, read_json(again.folder / jobs.STATUS) | {"state": "finished"})
    app = open_page("evaluate", run=run.id, view="Mistakes")
    link = next(one for one in app.main.get("page_link") if one.proto.label == "Compare with this run")
    assert f"runs={run.id}%2C{again.id}" in link.proto.query_string


def test_a_correction_that_leaves_nothing_to_test_on_is_refused_in_words(run: Run, open_page: OpenPage) -> None:
    manifest = run.manifest()
    exclude(Workspace.default(), run.config.data.dataset, manifest.loc[manifest["split"] == "test", "path"].tolist())
    app = open_page("evaluate", view="Mistakes")
    next(button for button in app.button if button.label == "Retrain with fixes").click().run()
    assert not app.exception and "Not one test image" in app.error[0].value
    assert [one.id for one in list_runs(Workspace.default())] == [run.id]
