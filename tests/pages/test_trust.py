"""Evaluate says when to trust a model and stores a threshold; Classify and the command line honour it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from benchmarks.evaluation import made_up_run
from core import jobs
from core.__main__ import main
from core.evaluation import strangers
from core.evaluation.abstention import choose_threshold, read_answers, smallest_target, with_threshold
from core.evaluation.evaluate import write_report
from core.evaluation.predictions import PREDICTIONS
from core.files import write_bytes, write_json
from core.inference.bundle import note_trust, read_bundle
from core.runs.store import REPORT, Run, open_run
from core.wording import percent
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, texts

VIEW = "When to trust it"


@pytest.fixture
def made_up(workspace: Workspace) -> Run:
    """A run of three classes with answers to 500 test and 1,000 validation images."""
    run = made_up_run(workspace, 3, 500, 1000)
    write_report(run, pd.read_parquet(run.folder / PREDICTIONS), [])
    return run


@pytest.fixture
def own_run(trained: Trained, workspace: Workspace) -> Run:
    """A finished run whose bundle may be changed."""
    shutil.copytree(trained.workspace.root, workspace.root, ignore=shutil.ignore_patterns("*.tmp"), dirs_exist_ok=True)
    return open_run(workspace, trained.run.id)


def test_a_threshold_is_chosen_stored_and_removed(made_up: Run, open_page: OpenPage) -> None:
    report = made_up.report()
    assert report is not None
    app = open_page("evaluate", run=made_up.id, view=VIEW)
    assert f"says {percent(report['calibration']['test']['after']['mean_confidence'])} on average" in texts(app)
    assert "No threshold is stored" in texts(app)
    answers = read_answers(made_up.folder, report["calibration"]["temperature"])
    least = smallest_target(*answers["val"])
    assert least is not None and 0.001 < least < 0.3
    app.number_input(key="abstention-target").set_value(0.1).run()
    assert "cannot show an error of at most 0.1 %, 95 % sure: that takes at least 4,603 answers" in texts(app)
    app.button(key="smallest-target").click().run()
    chosen = choose_threshold(*answers["val"], least)
    effect = with_threshold(*answers["test"], chosen.threshold)
    assert chosen.threshold is not None
    assert f"{effect['answered']} of 500 get an answer" in texts(app)
    app.button(key="store-threshold").click().run()
    assert not app.exception
    assert f"Stored with the model: below {percent(chosen.threshold)} it is not sure" in texts(app)
    bundle = read_bundle(made_up.bundle)
    assert bundle.abstention_threshold == chosen.threshold and bundle.abstention_target == pytest.approx(least)
    assert bundle.temperature == report["calibration"]["temperature"]
    app.button(key="remove-threshold").click().run()
    assert read_bundle(made_up.bundle).abstention_threshold is None and "No threshold is stored" in texts(app)
    app.slider(key="by-hand").set_value(80.0).run()
    app.button(key="store-by-hand").click().run()
    assert "below 80.0 % it is not sure (set by hand)" in texts(app)


def test_what_came_of_showing_another_dataset(made_up: Run, open_page: OpenPage) -> None:
    folder = strangers.folder_of(made_up, "digits")
    folder.mkdir(parents=True)
    jobs.prepare(folder)
    write_json(folder / jobs.STATUS, {"state": "finished", "message": "", "heartbeat": 0, "created": 0})
    limit = read_bundle(made_up.bundle).energy_threshold
    assert limit is not None
    scores = pd.DataFrame({"confidence": [0.9] * 4, "energy": np.array([limit - 1, limit + 1, limit + 2, limit + 3])})
    write_bytes(folder / strangers.SCORES, scores.to_parquet(index=False))
    write_json(folder / strangers.RESULT, {"name": "Digits", "unreadable": 0, "model": strangers._model(made_up)})
    app = open_page("evaluate", run=made_up.id, view=VIEW)
    assert "The price: " in texts(app)
    row = app.dataframe[-1].value.iloc[0]
    assert row["dataset"] == "Digits" and row["images"] == 4 and row["strange"].startswith("75.0 % (")


def test_a_report_of_an_earlier_version_says_what_to_do(made_up: Run, open_page: OpenPage) -> None:
    report = made_up.report()
    assert report is not None
    write_json(made_up.folder / REPORT, {name: report[name] for name in report if name != "calibration"})
    app = open_page("evaluate", run=made_up.id, view=VIEW)
    assert app.code[0].value == f"python -m core evaluate {made_up.id}"


def test_classify_says_when_it_is_not_sure(own_run: Run, trained: Trained, open_page: OpenPage) -> None:
    photo = sorted((trained.images / "fox").iterdir())[0].read_bytes()
    app = open_page("classify", run=own_run.id)
    app.file_uploader(key="uploads").set_value([("fox.png", photo, "image/png")])

    def answer() -> dict[str, object]:
        app.run()
        assert not app.exception
        (card,) = component(app, "darkroom_answers")
        (found,) = card["verdicts"]
        return found

    plain = answer()
    assert str(plain["words"]).startswith("fox, ") and not plain["hint"]
    assert "It answers however unsure it is" in texts(app)
    note_trust(own_run.bundle, temperature=50.0, abstention_threshold=0.9)
    unsure = answer()
    assert unsure["words"] == "Not sure" and "It answers from 90.0 % on; fox is likeliest" in str(unsure["hint"])
    assert "1 image classified, 1 without an answer" in texts(app) and "Below 90.0 %" in texts(app)
    note_trust(own_run.bundle, abstention_threshold=None, energy_threshold=-1e9)
    strange = answer()
    assert strange["words"] == "Unlike its own images" and "trained on nothing like this" in str(strange["hint"])


def test_the_command_line_gives_no_answer_either(
    own_run: Run, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(sorted((trained.images / "fox").iterdir())[0])
    note_trust(own_run.bundle, temperature=50.0, abstention_threshold=0.9)
    assert main(["predict", own_run.id, photo, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])["predictions"]
    assert found["label"] == "fox" and found["confidence"] < 0.9 and not found["accepted"] and not found["sure"]
    note_trust(own_run.bundle, abstention_threshold=0.1, energy_threshold=-1e9)
    assert main(["predict", own_run.id, photo]) == 0
    assert "no answer: unlike its training images; likeliest fox" in capsys.readouterr().out
