"""Compare says what two runs' answers say, shows the images that flipped, and starts repeats and learning curves."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from core.evaluation.pairing import pair_runs
from core.evaluation.predictions import PREDICTIONS
from core.evaluation.report import build_report
from core.files import read_json, write_json
from core.jobs import STATUS
from core.runs.listing import run_table
from core.runs.series import all_series, members
from core.runs.store import CONFIG, REPORT, Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, component, has_component, texts

Like = Callable[..., Run]


@pytest.fixture
def copies(trained: Trained, workspace: Workspace) -> Like:
    """Makes copies of a trained run, with other answers: `copies("b", wrong=[...])` turns the answers of these images.

    The workspace is the test's own.
    """
    shutil.copytree(trained.workspace.datasets, workspace.datasets, dirs_exist_ok=True)

    def make(name: str, turned: tuple[int, ...] = (), epochs: int | None = None) -> Run:
        folder = workspace.run(name)
        shutil.copytree(trained.run.folder, folder)
        status, config = read_json(folder / STATUS), read_json(folder / CONFIG)
        write_json(folder / STATUS, status | {"created": status["created"] + len(list(workspace.runs.iterdir()))})
        if epochs:
            config["optim"]["epochs"] = epochs
            write_json(folder / CONFIG, config)
        rows = pd.read_parquet(folder / PREDICTIONS)
        classes = sorted(rows["label"].unique())
        rows["predicted"] = rows["label"]  # all right, but for those turned
        of_test = np.flatnonzero(rows["split"] == "test")
        for place in turned:
            at = of_test[place]
            others = [one for one in classes if one != rows["label"].iloc[at]]
            rows.loc[rows.index[at], "predicted"] = others[0]
        rows.to_parquet(folder / PREDICTIONS, index=False)
        write_json(folder / REPORT, read_json(folder / REPORT) | build_report(rows, classes, []))
        return open_run(workspace, name)

    return make


def test_without_a_run_it_leads_to_training(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("compare")
    assert "There is no run yet" in texts(app)
    assert [link.proto.label for link in app.main.get("page_link")] == ["Train a model first"]


def test_one_run_is_asked_for_another(copies: Like, open_page: OpenPage) -> None:
    copies("a")
    assert "compares two to ten runs" in texts(open_page("compare", runs="a"))


def test_identical_runs_do_not_differ_and_what_differs_in_settings_is_all_that_is_listed(
    copies: Like, open_page: OpenPage
) -> None:
    copies("a"), copies("b", epochs=7)
    app = open_page("compare", runs="a,b")
    assert "No difference: A and B answer the same of these" in texts(app) and "p = 1" in texts(app)
    app = open_page("compare", runs="a,b", part="Settings")
    (shown,) = [frame.value for frame in app.dataframe]
    assert shown["setting"].tolist() == ["optim.epochs"]
    assert shown.iloc[0, 1:].tolist() == ["6", "7"]


def test_a_better_run_is_called_so_and_its_flips_are_the_discordant_images(copies: Like, open_page: OpenPage) -> None:
    a, b = copies("a", turned=tuple(range(8))), copies("b", turned=(7, 9))
    app = open_page("compare", runs="a,b")
    assert "B is better than A by" not in texts(app)  # 7 against 1 of so few: p = 2 * (1 + 8) / 256 = 0.07
    rows = pair_runs(a, b).rows
    only_b = set(rows.loc[(rows["predicted_a"] != rows["label"]) & (rows["predicted_b"] == rows["label"]), "path"])
    app = open_page("compare", runs="a,b", part="Flipped images")
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert {tile["id"] for tile in tiles} == only_b and len(only_b) == 7
    app = open_page("compare", runs="a,b", part="Flipped images", flips="only_a")
    assert len(component(app, "darkroom_gallery")["tiles"]) == 1
    assert "There is no such image" in texts(open_page("compare", runs="a,b", part="Flipped images", flips="neither"))


def test_a_difference_that_shows_is_told_with_its_interval(copies: Like, open_page: OpenPage) -> None:
    copies("a", turned=tuple(range(9))), copies("b")
    app = open_page("compare", runs="a,b")
    assert "B is better than A by" in texts(app) and "exact McNemar p = 0.0039" in texts(app)  # 2 / 2^9
    turned = open_page("compare", runs="b,a")
    assert "A is better than B by" in texts(turned)


def test_several_runs_are_measured_against_one(copies: Like, open_page: OpenPage) -> None:
    copies("a", turned=tuple(range(9))), copies("b"), copies("c", turned=tuple(range(9)))
    app = open_page("compare", runs="a,b,c")
    assert "is better than A." in texts(app) and "No difference from A" in texts(app)
    app = open_page("compare", runs="a,b,c", against="b")
    assert "are worse than B." in texts(app)


def test_different_test_images_are_refused_with_the_reason_and_an_offer(copies: Like, open_page: OpenPage) -> None:
    a, b = copies("a"), copies("b")
    manifest = b.manifest()
    test = manifest.index[manifest["split"] == "test"]
    manifest.loc[test[:2], "split"] = "train"
    manifest.to_parquet(b.folder / "manifest.parquet", index=False)
    rows = pd.read_parquet(b.folder / PREDICTIONS)
    rows[~rows["path"].isin(manifest.loc[test[:2], "path"])].to_parquet(b.folder / PREDICTIONS, index=False)
    app = open_page("compare", runs="a,b")
    assert "do not say which is better: they were tested on different images" in texts(app)
    assert "2 in the first alone and 0 in the second alone" in texts(app)
    labels = [button.label for button in app.button]
    assert "Test B on A's images" in labels and "Test A on B's images" in labels
    assert not any(button.disabled for button in app.button)
    write_json(a.folder / REPORT, read_json(a.folder / REPORT) | {"classes": ["cat", "wolf"]})
    app = open_page("compare", runs="a,b")
    assert [button.label for button in app.button if button.disabled] == ["Test B on A's images"]
    for part in ("Classes", "Flipped images"):
        app = open_page("compare", runs="a,b", part=part)
        assert "Not compared image by image" in texts(app)
        assert not has_component(app, "darkroom_gallery")


def test_a_run_that_is_gone_and_one_that_was_not_tested(copies: Like, open_page: OpenPage) -> None:
    copies("a")
    b = copies("b")
    (b.folder / PREDICTIONS).unlink()
    app = open_page("compare", runs="a,b,gone")
    assert "1 of the runs in this address" in texts(app)
    assert "run b has not been tested yet" in texts(app)


@pytest.mark.parametrize("part", ["Curves", "Classes"])
def test_curves_and_classes_are_drawn(copies: Like, open_page: OpenPage, part: str) -> None:
    copies("a", turned=(0, 1)), copies("b")
    app = open_page("compare", runs="a,b", part=part, smoothing="0.5", by="Time")
    assert app.get("plotly_chart")


def test_names_are_shown_as_written(copies: Like, open_page: OpenPage) -> None:
    from core.runs.about import write_about

    copies("a")
    write_about(copies("b", epochs=9), name="**bold** <b>$x$ :material/home:")
    for part in ("Accuracy", "Curves", "Settings"):
        app = open_page("compare", runs="a,b", part=part)
    assert "B: **bold** <b>$x$ :material/home:" in app.dataframe[0].value.columns.tolist()


@pytest.mark.usefixtures("no_worker")
def test_repeats_and_learning_curves_are_started_and_read_back(
    copies: Like, workspace: Workspace, open_page: OpenPage
) -> None:
    copies("a")
    app = open_page("compare", view="Seeds", run="a")
    assert "This run has not been repeated yet" in texts(app)
    app.sidebar.number_input[0].set_value(2).run()
    next(button for button in app.sidebar.button if button.label == "Repeat with 2 more seeds").click().run()
    assert not app.exception
    (series,) = all_series(run_table(workspace), "seeds", "a")
    assert members(run_table(workspace), series)["seed"].tolist() == [0, 1, 2]
    assert address(app, "series") == series.id
    assert "1 run of 3 has been tested; two make a spread" in texts(app)

    app = open_page("compare", view="Learning curve", run="a")
    assert "This run has no learning curve yet" in texts(app)
    next(button for button in app.sidebar.button if button.label == "Start 3 runs").click().run()
    assert not app.exception
    (series,) = all_series(run_table(workspace), "curve", "a")
    assert members(run_table(workspace), series)["share"].tolist() == [0.1, 0.25, 0.5, 1.0]
    assert "An answer needs tested runs with 3 different numbers" in texts(app)


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are created and not trained; that they are is tested where training is."""
    from core.runs import series
    from core.runs.store import create_run

    monkeypatch.setattr(series, "start_run", create_run)
