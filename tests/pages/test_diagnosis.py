"""The diagnosis on Evaluate and in a run's panel: remarks as they are, also of runs evaluated before there was one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from benchmarks.evaluation import made_up_run
from core import jobs
from core.evaluation.evaluate import write_report
from core.evaluation.predictions import PREDICTIONS, write_predictions
from core.files import append_jsonl, write_json
from core.runs.store import METRICS, REPORT, Run
from core.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.pages.reading import texts


@pytest.fixture
def run(workspace: Workspace, open_page: OpenPage) -> Run:
    """Evaluated, with a made-up model whose validation accuracy rose until the end."""
    open_page("overview")
    run = made_up_run(workspace, 3, 200, 200)
    for epoch, accuracy in enumerate((0.3, 0.7), 1):
        losses = {"train_loss": 2 - epoch / 2, "val_loss": 2 - epoch / 2, "learning_rate": 0.001}
        row = {"epoch": epoch, "train_accuracy": accuracy, "val_accuracy": accuracy} | losses
        append_jsonl(run.folder / METRICS, row)
    write_json(run.folder / jobs.STATUS, asdict(jobs.Status("finished", "Done.")))
    write_report(run, pd.read_parquet(run.folder / PREDICTIONS), [])
    return run


def _remarks(run: Run) -> list[dict[str, Any]]:
    return (run.report() or {})["diagnosis"]["remarks"]


def test_remarks_stand_with_their_figures_and_what_to_try(run: Run, open_page: OpenPage) -> None:
    (remark,) = [one for one in _remarks(run) if one["kind"] == "still_learning"]
    shown = texts(open_page("evaluate", run=run.id, view="Diagnosis"))
    assert remark["title"] in shown and remark["finding"] in shown and remark["advice"] in shown
    panel = open_page("train", run=run.id)
    assert remark["title"] in texts(panel)
    assert "Why, and what to try" in [link.proto.label for link in panel.main.get("page_link")]


def test_names_in_a_remark_are_no_markdown(run: Run, open_page: OpenPage) -> None:
    report = run.report() or {}
    report["diagnosis"]["remarks"][0]["finding"] = "'<b>*cat*</b>' has 3 training images"
    write_json(run.folder / REPORT, report)
    app = open_page("evaluate", run=run.id, view="Diagnosis")
    assert "'<b>*cat*</b>' has 3 training images" in texts(app)
    assert any("\\<b\\>\\*cat\\*" in element.value for element in app.markdown)


def test_an_earlier_report_is_diagnosed_when_looked_at(run: Run, open_page: OpenPage) -> None:
    report = run.report() or {}
    remarks = report.pop("diagnosis")["remarks"]
    write_json(run.folder / REPORT, report)
    shown = texts(open_page("evaluate", run=run.id, view="Diagnosis"))
    assert remarks and all(remark["finding"] in shown for remark in remarks)


def test_a_run_without_fault_is_told_so_and_what_that_is_worth(run: Run, open_page: OpenPage) -> None:
    (run.folder / METRICS).unlink()
    table = pd.read_parquet(run.folder / PREDICTIONS)
    table["predicted"] = table["label"]
    write_predictions(run.folder, table)
    write_report(run, table, [])
    shown = texts(open_page("evaluate", run=run.id, view="Diagnosis"))
    assert "Nothing is wrong that these figures would show." in shown and "no proof that nothing is wrong" in shown
    assert "Looked for: copies on both sides of the split" in shown
