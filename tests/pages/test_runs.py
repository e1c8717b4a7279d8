"""The Runs page: the list and its filters, what is done with runs, the queue, and a run's own page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.runs import queue
from core.runs.about import read_about, write_about
from core.runs.store import CHECKPOINT, open_run
from core.runs.trash import delete_runs, deleted_runs
from core.workspace import Workspace
from pages._components.runs.columns import FIRST, columns
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, component, has_component, texts
from tests.runs.made import made_run

TABLE = "darkroom_runs"
REPORT = {"test_accuracy": 0.9, "test_accuracy_interval": [0.8, 0.95]}


def _button(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def _listed(app: AppTest) -> list[str]:
    return [line["id"] for line in component(app, TABLE)["lines"]]


def test_without_a_run_it_leads_to_training(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("runs")
    assert "There is none yet" in texts(app) and not has_component(app, TABLE)
    assert [link.proto.label for link in app.main.get("page_link")] == ["Start the first run"]


def test_the_list_shows_each_run_with_its_figures(workspace: Workspace, open_page: OpenPage) -> None:
    good = made_run(workspace, report=REPORT, created=2e9, tags=("a", "b"))
    bad = made_run(workspace, "failed", created=1e9, message="The disk is full.", extra={"error": "DiskFull"})
    (bad.folder / "log.txt").write_text("first\nNo space left <b>here</b>\n")
    write_about(good, name="**best** of [all](x)", note="keep")
    app = open_page("runs")
    assert "2 runs: 1 finished, 1 failed. They take" in texts(app)
    drawn = component(app, TABLE)
    assert [heading["name"] for heading in drawn["headings"]] == ["name", "state", *FIRST]
    first, second = drawn["lines"]
    assert (first["id"], first["title"], first["note"]) == (good.id, "**best** of [all](x)", "keep")
    cells = dict(zip(FIRST, first["cells"], strict=True))
    assert cells["test_accuracy"] == "90.0 % (80.0-95.0)" and cells["tags"] == "a, b" and cells["dataset"] == "Digits"
    assert (second["title"], second["state"], second["why"]) == (bad.id, "failed", "Disk full (DiskFull)")
    assert second["advice"].startswith("The disk is full.") and "resume" in second["advice"]
    assert "No space left <b>here</b>" in second["log"]


def test_filters_order_and_columns_stand_in_the_address(workspace: Workspace, open_page: OpenPage) -> None:
    slow = made_run(workspace, created=1e9, optim__learning_rate=1e-4, tags=("t",))
    fast = made_run(workspace, "stopped", created=2e9, optim__learning_rate=1e-2)
    app = open_page("runs", sort="optim.learning_rate", falling="0", columns="optim.learning_rate,never,val_accuracy")
    assert _listed(app) == [slow.id, fast.id]
    names = [heading["name"] for heading in component(app, TABLE)["headings"]]
    assert names == ["name", "state", "optim.learning_rate", "val_accuracy"]
    assert component(app, TABLE)["lines"][0]["cells"][0] == "0.0001"
    app.text_input(key="runs-find").set_value("stopped").run()
    assert _listed(app) == [fast.id] and address(app, "find") == "stopped"
    assert "**1 of 2 runs** pass" in texts(app)
    _button(app, "runs-clear")
    assert len(_listed(app)) == 2 and address(app, "find") is None
    app.multiselect(key="runs-tags").set_value(["t"]).run()
    assert _listed(app) == [slow.id] and address(app, "tag") == "t"
    assert _listed(open_page("runs", state="stopped")) == [fast.id]
    assert "No run passes" in texts(open_page("runs", state="stopped", tag="t"))


def test_every_column_can_be_shown(workspace: Workspace, open_page: OpenPage) -> None:
    made_run(workspace, val_losses=(0.2,), report=REPORT)
    made_run(workspace, "failed")
    (made_run(workspace).folder / "config.json").write_text("{")
    drawn = component(open_page("runs", columns=",".join(columns())), TABLE)
    assert {len(line["cells"]) for line in drawn["lines"]} == {len(columns())}
    assert not [text for line in drawn["lines"] for text in line["cells"] if text in ("", "nan", "None")]


def test_what_is_ticked_is_deleted_and_brought_back(
    workspace: Workspace, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [made_run(workspace) for _ in range(3)]
    app = open_page("runs")
    assert app.button(key="runs-delete").disabled and app.button(key="runs-compare").disabled
    _tick(app, monkeypatch, runs[0].id, runs[1].id)
    assert "2 ticked" in texts(app) and not app.button(key="runs-compare").disabled
    _button(app, "runs-delete")
    assert _listed(app) == [runs[2].id] and "2 runs deleted" in texts(app)
    other = open_page("runs")  # as somebody else sees it
    assert "2 runs deleted" in texts(other)
    _button(other, "runs-undo-0")
    assert len(_listed(other)) == 3 and deleted_runs(workspace) == []
    monkeypatch.undo()


def test_what_is_at_work_is_not_deleted(
    workspace: Workspace, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = made_run(workspace, "queued")
    app = open_page("runs")
    _tick(app, monkeypatch, waiting.id)
    _button(app, "runs-delete")
    assert "at work or waiting" in texts(app) and waiting.folder.is_dir()


def test_archived_runs_are_put_away(workspace: Workspace, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    away, other = made_run(workspace, created=1e9), made_run(workspace, created=2e9)
    app = open_page("runs")
    _tick(app, monkeypatch, away.id)
    _button(app, "runs-archive")
    assert read_about(away).archived and _listed(app) == [other.id]
    assert _listed(open_page("runs", archived="only")) == [away.id]


def _tick(app: AppTest, monkeypatch: pytest.MonkeyPatch, *run_ids: str) -> None:
    """The driver cannot tick in a component, so the table says that these were."""
    from pages._components.runs import listed

    drawn = listed.runs_table

    def ticked(*arguments: object) -> listed.Picked:
        drawn(*arguments)  # type: ignore[arg-type]
        fresh = app.session_state["runs-generation"] if "runs-generation" in app.session_state else 0
        return listed.Picked("", "", [] if fresh else list(run_ids))

    monkeypatch.setattr(listed, "runs_table", ticked)
    app.run()
    assert not app.exception


def test_the_queue_can_be_changed(workspace: Workspace, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    first, second = made_run(workspace, "queued", created=1e9), made_run(workspace, "queued", created=2e9)
    rows = [
        queue.Waiting(first.id, "cpu", 1, False, "queued", "for the run [x](y), which uses the CPU's one slot", ()),
        queue.Waiting(second.id, "cpu", 2, True, "queued", "until it is released", ()),
    ]
    monkeypatch.setattr(queue, "waiting", lambda _: rows)
    for name in ("move", "hold", "release", "cancel", "set_slots"):
        monkeypatch.setattr(queue, name, lambda _, *what, name=name: asked.append((name, *what)))
    app = open_page("runs")
    assert "2 waiting, 1 of them held" in texts(app) and "Waits for the run [x](y), which" in texts(app)
    assert app.button(key=f"queue-up-{first.id}").disabled and app.button(key=f"queue-down-{second.id}").disabled
    for label, run in (("down", first), ("hold", first), ("release", second), ("cancel", second), ("up", second)):
        _button(app, f"queue-{label}-{run.id}")
    app.number_input(key="queue-slots-cpu").set_value(3).run()
    assert asked == [
        ("move", first.id, 2),
        ("hold", first.id),
        ("release", second.id),
        ("cancel", second.id),
        ("move", second.id, 1),
        ("set_slots", "cpu", 3),
    ]


def test_the_disk_is_counted_and_given_back(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_run(workspace)
    (run.folder / CHECKPOINT).write_bytes(b"x" * 70_000)
    app = _button(open_page("runs"), "disk-count")
    assert "Checkpoints of finished runs: 73.7 kB" in texts(app).replace("**", "")
    _button(app, "disk-free-checkpoints")
    assert not (run.folder / CHECKPOINT).exists() and "Nothing in the workspace" in texts(app)


def test_a_run_says_where_it_came_from(with_run: Trained, open_page: OpenPage) -> None:
    run = with_run.run
    app = open_page("runs", run=run.id)
    assert run.id in texts(app) and "finished" in texts(app) and "All runs" in [one.label for one in app.button]
    settings = open_page("runs", run=run.id, view="Settings")
    assert "As the preset from-scratch, but" in texts(settings).replace("**", "")
    table = settings.dataframe[0].value
    assert dict(zip(table["setting"], table["value"], strict=True))["optim.epochs"] == "6"
    data = open_page("runs", run=run.id, view="Data")
    classes = data.dataframe[0].value
    assert (
        classes["label"].tolist() == ["cat", "dog", "fox"] and classes[["train", "val", "test"]].to_numpy().sum() == 90
    )
    assert "Trained on version" in texts(data)
    log = open_page("runs", run=run.id, view="Log")
    log.text_input(key=f"log-find-{run.id}").set_value("EPOCH 3 of").run()
    assert "1 line with EPOCH 3 of" in texts(log) and "Epoch 3 of 6" in log.code[0].value
    files = open_page("runs", run=run.id, view="Files").dataframe[0].value
    assert {"config.json", "report.json", "bundle/model.onnx"} <= set(files["File"])
    repeat = open_page("runs", run=run.id, view="Repeat")
    assert (
        repeat.code[0].value.startswith("python -m core train --data ") and "--optim.epochs 6" in repeat.code[0].value
    )
    assert "torch" in repeat.dataframe[0].value["what"].tolist()


def test_a_run_is_named_tagged_and_deleted_on_its_page(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_run(workspace)
    app = open_page("runs", run=run.id, view="Repeat")
    app.text_input(key=f"run-name-{run.id}").set_value("my *best*").run()
    app.text_area(key=f"run-note-{run.id}").set_value("two\nlines").run()
    app.multiselect(key=f"run-tags-{run.id}").set_value([]).run()
    _button(app, "run-favourite")
    said = read_about(run)
    assert (said.name, said.note, said.favourite) == ("my *best*", "two\nlines", True)
    assert "my *best*" in texts(app)
    _button(app, "run-delete")
    assert not run.folder.exists() and "1 run deleted" in texts(app) and address(app, "run") is None
    gone = open_page("runs", run=run.id)
    assert "it was deleted" in texts(gone)
    _button(gone, "runs-undo-0")
    assert open_run(workspace, run.id)


def test_a_clone_fills_the_form(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_run(workspace, preset="from-scratch", optim__epochs=7, augment__horizontal_flip=True)
    app = open_page("train", clone=run.id)
    assert app.number_input(key="knob-optim.epochs").value == 7 and app.selectbox(key="preset").value == "from-scratch"
    assert app.toggle(key="knob-augment.horizontal_flip").value is True
    app.number_input(key="knob-optim.epochs").set_value(9).run()
    assert app.number_input(key="knob-optim.epochs").value == 9, "the form is filled once"
    assert "no run" in texts(open_page("train", clone="never-was"))


def test_a_deletion_elsewhere_is_seen(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_run(workspace)
    made_run(workspace)
    app = open_page("runs")
    delete_runs(workspace, [run.id])
    app.run()
    assert run.id not in _listed(app) and "1 run deleted" in texts(app)
    _button(app, "runs-remove")
    assert deleted_runs(workspace) == [] and "deleted:" not in texts(app)
