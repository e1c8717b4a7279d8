"""The table of runs says what stands in their folders, reads anew what changed, and survives what is damaged."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from core.config import flatten, knobs
from core.errors import InputError
from core.files import read_json
from core.runs.about import About, add_tags, read_about, remove_tags, write_about
from core.runs.choosing import RunFilters, in_order
from core.runs.listing import COLUMNS, folder_bytes, for_csv, run_table
from core.runs.remembered import MANY, recall
from core.runs.repeat import ENVIRONMENT, command_line, nearest_preset
from core.runs.store import CONFIG, create_run, open_run
from core.workspace import REPOSITORY, Workspace
from tests.running import in_process
from tests.runs.made import IMAGES, made_run
from tests.waiting import wait_until

REPORT = {"test_accuracy": 0.9, "test_accuracy_interval": [0.8, 0.95], "val_accuracy": 0.91, "num_test": 40}


def test_a_row_holds_what_the_run_wrote_and_every_setting(workspace: Workspace) -> None:
    run = made_run(workspace, val_losses=(0.5, 0.2, 0.3), report=REPORT, tags=("sweep:s1", "a"), optim__epochs=3)
    table = run_table(workspace)
    assert list(table) == [*COLUMNS, *(knob.path for knob in knobs())]
    row = table.iloc[0].to_dict()
    assert (row["id"], row["state"], row["tags"], row["sweep"]) == (run.id, "finished", ("sweep:s1", "a"), "s1")
    assert (row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"]) == (0.9, 0.8, 0.95)
    assert (row["best_val_loss"], row["best_val_accuracy"], row["epochs_done"], row["seconds"]) == (0.2, 0.8, 3, 1.5)
    assert (row["dataset"], row["dataset_fingerprint"], row["num_edits"]) == ("digits", "f1", 2)
    assert row["bytes"] == folder_bytes(run.folder) > 0 and math.isnan(row["macro_f1"])
    assert {path: row[path] for path in flatten(run.config)} == flatten(run.config)


def test_what_changes_is_read_anew_and_nothing_else(workspace: Workspace) -> None:
    first = made_run(workspace, "running", created=1)
    second = made_run(workspace, created=2)
    assert run_table(workspace)["state"].tolist() == ["finished", "lost"]  # nobody runs it
    write_about(first, name="the first", favourite=True)
    write_about(second, note="kept")
    table = run_table(workspace)
    assert table["name"].tolist() == ["", "the first"] and table["note"].tolist() == ["kept", ""]
    assert table["favourite"].tolist() == [False, True]
    shutil.rmtree(second.folder)
    third = made_run(workspace, created=3)
    assert run_table(workspace)["id"].tolist() == [third.id, first.id]


def test_a_caller_cannot_change_the_table_of_the_next(workspace: Workspace) -> None:
    made_run(workspace)
    table = run_table(workspace)
    table["state"] = "changed"
    table.loc[0, "name"] = "changed"
    assert run_table(workspace)[["state", "name"]].iloc[0].tolist() == ["finished", ""]


def test_a_damaged_run_is_listed_with_what_is_wrong(workspace: Workspace) -> None:
    run = made_run(workspace, message="It finished.")
    config = read_json(run.folder / CONFIG)
    (run.folder / CONFIG).write_text('{"optim": {"epochs": -1}}')
    (run.folder / "about.json").write_text("{")
    row = run_table(workspace).iloc[0]
    assert row["state"] == "finished" and "optim.epochs = -1" in row["message"] and "about.json" in row["damage"]
    assert row["dataset"] is None and row["optim.epochs"] is None and config["optim"]["epochs"] == 30
    assert len(run_table(Workspace(workspace.root / "empty"))) == 0


def test_another_process_finds_the_rows_that_were_read(workspace: Workspace) -> None:
    runs = [made_run(workspace, created=place + 1, tags=(f"t{place}",)) for place in range(MANY)]
    changed = max(run.folder.stat().st_mtime for run in runs)
    wait_until(lambda: time.time() > changed + 0.2, "folders that are not changed any more")
    assert len(run_table(workspace)) == len(recall(workspace)) == MANY
    write_about(runs[0], name="changed since")
    code = "import json; from core.runs.listing import *; from core.workspace import REPOSITORY, Workspace as W; "
    code += "t = run_table(W.default()); print(json.dumps([t[c].tolist() for c in ('id', 'name', 'tags', 'bytes')]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    table = run_table(workspace)
    found = [table[name].tolist() for name in ("id", "name", "tags", "bytes")]
    assert json.loads(done.stdout) == json.loads(json.dumps(found)) and found[1][-1] == "changed since"
    (workspace.cache / "run-rows.json").write_text('{"made_by": 1, "rows": [')
    assert recall(workspace) == {}, "a damaged file is no fault of the list's"


def test_filters_let_through_what_they_say_and_survive_the_address(workspace: Workspace) -> None:
    made_run(workspace, tags=("a", "b"), created=1, message="It went well.")
    failed = made_run(workspace, "failed", created=2, tags=("b",), message="The disk is FULL", preset="from-scratch")
    away = made_run(workspace, created=3)
    write_about(away, archived=True, name="Old one")
    table = run_table(workspace)

    def passing(**filters: object) -> list[float]:
        wanted = RunFilters(**filters)  # type: ignore[arg-type]
        assert RunFilters.from_query(wanted.to_query()) == wanted
        return table.loc[wanted.mask(table), "created"].tolist()

    assert passing() == [2, 1] and passing(archived="show") == [3, 2, 1] and passing(archived="only") == [3]
    assert passing(states=("failed",)) == [2] and passing(states=("failed", "finished")) == [2, 1]
    assert passing(tags=("a",)) == [1] and passing(tags=("a", "b")) == [2, 1] and passing(tags=("none",)) == []
    assert passing(architectures=("small_cnn",)) == [2] and passing(datasets=("other",)) == []
    assert passing(text="full DISK") == [2] and passing(text="old", archived="show") == [3]
    assert passing(text=failed.id) == [2] and passing(favourites=True) == []
    assert RunFilters.from_query({"state": "", "archived": "x", "find": ""}) == RunFilters()


def test_order_puts_what_has_no_value_last_either_way(workspace: Workspace) -> None:
    for place, (report, rate) in enumerate([(REPORT, 0.1), (None, 0.001), (REPORT | {"test_accuracy": 0.5}, 0.01)]):
        made_run(workspace, report=report, created=place + 1, optim__learning_rate=rate)
    table = run_table(workspace)
    assert in_order(table, "test_accuracy", True)["created"].tolist() == [1, 3, 2]
    assert in_order(table, "test_accuracy", False)["created"].tolist() == [3, 1, 2]
    assert in_order(table, "optim.learning_rate", False)["created"].tolist() == [2, 3, 1]
    assert in_order(table, "state", False)["created"].tolist() == [3, 2, 1]  # equals: newest first
    assert in_order(table, "no such column", False)["created"].tolist() == [3, 2, 1]


def test_what_people_say_is_checked_and_kept(workspace: Workspace) -> None:
    run = made_run(workspace)
    assert read_about(run) == About()
    write_about(run, name="  two\n words ", tags=["x", "x", " y  z "])
    assert add_tags(run, ["w", "x"]).tags == ("x", "y z", "w")
    assert remove_tags(run, ["x", "never"]) == About("two words", tags=("y z", "w")) == read_about(run)
    for wrong in ({"name": "n" * 121}, {"note": "n" * 10_001}, {"tags": ["a,b"]}, {"tags": [""]}, {"tags": ["t" * 61]}):
        with pytest.raises(InputError):
            write_about(run, **wrong)
    with pytest.raises(InputError, match="comma"):
        create_run(workspace, run.config, IMAGES, tags=["a,b"])
    assert len(run_table(workspace)) == 1, "a run that was refused left a folder"
    shutil.rmtree(run.folder)
    with pytest.raises(InputError, match="any more"):
        write_about(run, name="late")


def test_the_command_line_repeats_the_settings(workspace: Workspace) -> None:
    in_process("datasets")
    pattern = "-?([0-9]+)[.]'? ?png"
    run = made_run(
        workspace,
        preset="from-scratch",
        split__group_by="pattern",
        split__group_pattern=pattern,
        optim__learning_rate=1 / 3,
        augment__horizontal_flip=True,
    )
    preset, changed = nearest_preset(run.config)
    assert preset == "from-scratch" and set(changed) == {
        *("split.group_by", "split.group_pattern", "optim.learning_rate", "augment.horizontal_flip")
    }
    words = shlex.split(command_line(run))
    assert words[:4] == ["python", "-m", "core", "train"]
    done = in_process(*words[3:], "--no-start")
    assert done.status == 0, done.errors
    assert open_run(workspace, done.result["run"]).config == run.config


def test_the_environment_is_noted(workspace: Workspace) -> None:
    noted = read_json(made_run(workspace, runtime__device="cpu").folder / ENVIRONMENT)
    assert noted["packages"]["torch"].startswith("2.") and noted["device"]["kind"] == "cpu"
    assert noted["darkroom"] is None or len(noted["darkroom"]) == 40


def test_csv_has_plain_values(workspace: Workspace) -> None:
    made_run(workspace, tags=("a", "b"), created=0.0 + 86_400)
    row = for_csv(run_table(workspace)).iloc[0]
    assert (row["created"], row["tags"]) == ("1970-01-02 00:00:00", "a, b")
