"""Asking for a trial never waits: it starts a helper, hands out its answer, and says why there is none."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core import jobs
from core.config import TrainConfig, build_config
from core.errors import DarkroomError, InputError
from core.files import read_json, write_json
from core.runs.lr_search import LR_SEARCH
from core.runs.trials import MANIFEST, MOST_KEPT, REQUEST, RESULT, ask, cancel, progress, trial_folder
from core.workspace import Workspace
from tests.waiting import wait_until

HELPER = "tests.runs.test_trials"


class _Division:
    """Two images of a dataset."""

    manifest = pd.DataFrame({"path": ["a.png", "b.png"], "label": ["cat", "dog"], "split": ["train", "val"]})

    def __init__(self, fingerprint: str = "f") -> None:
        self.fingerprint = fingerprint

    def about(self) -> dict[str, Any]:
        return {"dataset_fingerprint": self.fingerprint}


def _config(**values: Any) -> TrainConfig:
    return build_config({name.replace("__", "."): value for name, value in values.items()})


def _ask(folder: Path, config: TrainConfig, again: bool = False) -> dict[str, Any] | None:
    return ask(folder, HELPER, config, _Division(), again)


def _answer(folder: Path, config: TrainConfig) -> dict[str, Any]:
    wait_until(lambda: _ask(folder, config) is not None, "the answer")
    found = _ask(folder, config)
    assert found is not None
    return found


def test_the_answer_comes_once_and_stays_until_asked_again(workspace: Workspace) -> None:
    config = _config(optim__epochs=3)
    folder = trial_folder(workspace, "trials", config, _Division())
    assert progress(folder) is None
    assert _ask(folder, config) is None
    first = _answer(folder, config)
    assert first["epochs"] == 3 and first["images"] == 2
    assert _ask(folder, config) == first
    assert _ask(folder, config, again=True) is None
    assert _answer(folder, config)["pid"] != first["pid"]


def test_other_settings_and_another_version_of_the_dataset_are_other_trials(workspace: Workspace) -> None:
    folders = {
        trial_folder(workspace, "trials", config, _Division(fingerprint))
        for config in (_config(), _config(optim__epochs=3))
        for fingerprint in ("f", "g")
    }
    assert len(folders) == 4


def test_a_rate_that_is_taken_over_does_not_ask_for_a_new_search(workspace: Workspace) -> None:
    before, after = _config(), _config(optim__learning_rate=0.02, optim__epochs=5, stop__patience=2)
    assert LR_SEARCH.asked(before) == LR_SEARCH.asked(after) != LR_SEARCH.asked(_config(optim__batch_size=64))


def test_failures_are_told_until_asked_again(workspace: Workspace) -> None:
    for epochs, kind in ((901, InputError), (902, DarkroomError)):
        config = _config(optim__epochs=epochs)
        folder = trial_folder(workspace, "trials", config, _Division())
        assert _ask(folder, config) is None
        wait_until(lambda folder=folder: jobs.read_status(folder).ended, "the failure")  # type: ignore[misc]
        for _ in range(2):
            with pytest.raises(kind, match="no good"):
                _ask(folder, config)
        assert _ask(folder, config, again=True) is None


def test_a_killed_helper_points_to_memory_and_a_cancelled_one_says_so(workspace: Workspace) -> None:
    config = _config(optim__epochs=900)
    folder = trial_folder(workspace, "trials", config, _Division())
    assert _ask(folder, config) is None
    wait_until(lambda: (folder / "waits").is_file(), "the helper")
    os.kill(int(read_json(folder / jobs.PROCESS)["pid"]), 9)
    wait_until(lambda: jobs.read_status(folder).ended, "its end")
    with pytest.raises(DarkroomError, match="memory ran out"):
        _ask(folder, config)
    (folder / jobs.LOG).write_text("Traceback (most recent call last):\n  ...\nImportError: no such thing\n")
    with pytest.raises(DarkroomError, match="broke off: ImportError: no such thing"):
        _ask(folder, config)
    (folder / "waits").unlink()
    assert _ask(folder, config, again=True) is None
    wait_until(lambda: (folder / "waits").is_file(), "the helper")
    cancel(folder)
    wait_until(lambda: jobs.read_status(folder).ended, "its end")
    with pytest.raises(DarkroomError, match="Cancelled"):
        _ask(folder, config)


def test_old_answers_make_room(workspace: Workspace) -> None:
    trials = workspace.cache / "trials"
    for number in range(MOST_KEPT + 4):
        (trials / f"{number:03}").mkdir(parents=True)
        jobs.prepare(trials / f"{number:03}", created=1.0)
        write_json(trials / f"{number:03}" / jobs.STATUS, {"state": "finished"})
        os.utime(trials / f"{number:03}", (number, number))
    config = _config(optim__epochs=3)
    folder = trial_folder(workspace, "trials", config, _Division())
    _ask(folder, config)
    names = {entry.name for entry in trials.iterdir()}
    assert len(names) == MOST_KEPT + 1 and "000" not in names and folder.name in names
    _answer(folder, config)


def _help(folder: Path) -> int:
    """What a helper does, without the seconds it takes to import torch."""

    def work(status: jobs.StatusWriter) -> str:
        epochs = read_json(folder / REQUEST)["optim"]["epochs"]
        if epochs == 901:
            status.update(extra={"exit_status": 2})
            raise InputError("These settings are no good.")
        if epochs == 902:
            raise DarkroomError("The images are no good.")
        while epochs == 900:
            (folder / "waits").touch()
            time.sleep(0.02)
            if status.stop_requested:
                raise InterruptedError("Cancelled.")
        images = len(pd.read_parquet(folder / MANIFEST))
        write_json(folder / RESULT, {"epochs": epochs, "images": images, "pid": os.getpid()})
        return "Done."

    return jobs.carry_out(folder, work, (InterruptedError,), "The trial")


if __name__ == "__main__":
    sys.exit(_help(Path(sys.argv[1])))
