"""A run's folder tells the truth about it: finished, stopped, failed, lost, resumed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from core import jobs
from core.config import PRESETS, TrainConfig, build_config
from core.data.datasets import index_path
from core.data.splits import split_dataset
from core.errors import InputError
from core.files import read_json, write_json
from core.runs.launch import resume_run, start_run, stop_run
from core.runs.model_size import model_size, size_folder
from core.runs.store import Run, create_run, list_runs, open_run, summary
from core.workspace import REPOSITORY, Workspace
from tests.conftest import ImageFolder
from tests.running import SMALL, darkroom
from tests.waiting import wait_until


def _config(workspace: Workspace, images: Path, **changes: object) -> TrainConfig:
    values = {name: value for name, value in SMALL.items() if name != "preset"}
    values |= {"data.dataset": index_path(workspace, images).id} | {k.replace("__", "."): v for k, v in changes.items()}
    return build_config(values, "from-scratch")


def _start(workspace: Workspace, images: Path, **changes: object) -> Run:
    config = _config(workspace, images, **changes)
    return start_run(workspace, config, split_dataset(workspace, config))


def _await(run: Run, *states: str) -> jobs.Status:
    wait_until(lambda: run.status.state in (states or jobs.ENDED), f"{run.id} to be {states or 'ended'}", timeout_s=120)
    return run.status


def _epochs(run: Run) -> int:
    return len(run.metrics())


def _pid(run: Run) -> int:
    pid = run.status.pid
    assert pid is not None, run.status  # to signal 0 would be to signal the tests themselves
    return pid


def test_a_run_leaves_everything_its_readers_need(image_folder: ImageFolder, workspace: Workspace) -> None:
    run = _start(workspace, image_folder(counts={"cat": 20, "dog": 20}))
    status = _await(run)
    assert status.state == "finished", run.log_tail()
    expected = {"config.json", "manifest.parquet", "status.json", "metrics.jsonl", "log.txt", "checkpoint.pt", "bundle"}
    assert expected | {"predictions.parquet", "report.json"} <= {entry.name for entry in run.folder.iterdir()}
    assert {"model.safetensors", "model.json", "model.onnx"} == {entry.name for entry in run.bundle.iterdir()}
    assert [row["epoch"] for row in run.metrics()] == list(range(1, 7))
    assert summary(run)["test_accuracy"] == run.report()["test_accuracy"]
    assert list_runs(workspace) == [run]


@pytest.mark.usefixtures("forked_jobs")
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_learns_what_colour_tells_apart(
    preset: str, image_folder: ImageFolder, workspace: Workspace
) -> None:
    images = index_path(workspace, image_folder(counts={"cat": 60, "dog": 60}))
    config = build_config({"data.dataset": images.id}, preset)
    run = start_run(workspace, config, split_dataset(workspace, config))
    assert _await(run).state == "finished", run.log_tail()
    assert summary(run)["test_accuracy"] >= 0.9


@pytest.mark.usefixtures("forked_jobs")
def test_a_network_of_timms_is_trained_and_evaluated(image_folder: ImageFolder, workspace: Workspace) -> None:
    model = {"model__architecture": "timm:test_vit", "model__weights": "random", "model__tune": "all"}
    run = _start(workspace, image_folder(counts={"cat": 20, "dog": 20}), **model, preprocess__image_size=160)
    assert _await(run).state == "finished", run.log_tail()
    assert "-timm-test-vit-" in run.id and list_runs(workspace) == [run]
    assert summary(run)["test_accuracy"] is not None


@pytest.mark.usefixtures("forked_jobs")
def test_stop_keeps_the_best_weights_and_resume_ends_as_if_uninterrupted(
    image_folder: ImageFolder, workspace: Workspace
) -> None:
    images = image_folder(counts={"cat": 40, "dog": 40})
    whole, stopped = (_start(workspace, images, optim__epochs=60) for _ in range(2))
    wait_until(lambda: f"the run {whole.id}" in stopped.status.message, "the second to say what it waits for")
    assert stopped.status.state == "queued" and _epochs(stopped) == 0
    _await(whole, "finished")
    wait_until(lambda: _epochs(stopped) >= 2, "two epochs")
    stop_run(stopped)
    status = _await(stopped)
    assert status.state == "stopped", stopped.log_tail()
    assert (stopped.bundle / "model.onnx").is_file() and stopped.report() is not None
    assert _epochs(stopped) < 60
    resume_run(stopped)
    assert _await(stopped).state == "finished", stopped.log_tail()
    assert [row["epoch"] for row in stopped.metrics()] == list(range(1, 61))
    first, second = (load_file(run.bundle / "model.safetensors") for run in (whole, stopped))
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.usefixtures("forked_jobs")
def test_a_killed_worker_is_lost_and_goes_on_when_resumed(image_folder: ImageFolder, workspace: Workspace) -> None:
    run = _start(workspace, image_folder(counts={"cat": 40, "dog": 40}), optim__epochs=150)
    wait_until(lambda: "Epoch 3 of 150" in (run.folder / jobs.LOG).read_text(), "three epochs")
    os.kill(_pid(run), 9)
    status = _await(run)
    assert status.state == "lost" and "Epoch 3 of 150" in (run.folder / jobs.LOG).read_text()
    assert read_json(run.folder / jobs.STATUS)["state"] == "running"  # lost is derived, never written
    resume_run(run)
    assert _await(run).state == "finished", run.log_tail()
    assert [row["epoch"] for row in run.metrics()] == list(range(1, 151))


@pytest.mark.usefixtures("forked_jobs")
def test_sigterm_means_stop(image_folder: ImageFolder, workspace: Workspace) -> None:
    run = _start(workspace, image_folder(counts={"cat": 40, "dog": 40}), optim__epochs=200)
    wait_until(lambda: _epochs(run) >= 1, "one epoch")
    os.kill(_pid(run), 15)
    assert _await(run).state == "stopped" and run.has_bundle


@pytest.mark.usefixtures("forked_jobs")
def test_a_dataset_deleted_before_training_fails_with_words(image_folder: ImageFolder, workspace: Workspace) -> None:
    images = image_folder()
    config = _config(workspace, images)
    manifest = split_dataset(workspace, config)
    shutil.rmtree(images)
    with pytest.raises(InputError, match="no longer there"):
        split_dataset(workspace, config)
    run = start_run(workspace, config, manifest)
    status = _await(run)
    assert status.state == "failed" and "no longer there" in status.message


@pytest.mark.usefixtures("forked_jobs")
def test_one_image_deleted_before_training_is_named(image_folder: ImageFolder, workspace: Workspace) -> None:
    images = image_folder()
    config = _config(workspace, images)
    manifest = split_dataset(workspace, config)
    gone = manifest[manifest["split"] == "train"]["path"].iloc[0]
    (images / gone).unlink()
    status = _await(start_run(workspace, config, manifest))
    assert status.state == "failed" and gone in status.message


def test_a_full_disk_fails_clearly_and_leaves_no_half_file(image_folder: ImageFolder, workspace: Workspace) -> None:
    """A limit on the size of files stands in for the disk: writing fails at the same call, with such an error."""
    config = _config(workspace, image_folder(), optim__epochs=2)
    run = create_run(workspace, config, split_dataset(workspace, config))
    limit = 200_000  # log, status and metrics fit; a checkpoint of 1.5 MB does not
    subprocess.run(
        [sys.executable, "-m", "core.training.worker", str(run.folder)],
        cwd=REPOSITORY,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        timeout=120,
    )
    status = run.status
    assert status.state == "failed" and "disk is full" in status.message and "resume" in status.message
    assert not (run.folder / "checkpoint.pt").exists()
    assert not [entry.name for entry in run.folder.iterdir() if entry.name.endswith(".tmp")]
    resume_run(run)
    assert _await(run).state == "finished", run.log_tail()


def test_runs_created_at_the_same_moment_get_folders_of_their_own(
    image_folder: ImageFolder, workspace: Workspace
) -> None:
    config = _config(workspace, image_folder())
    manifest = split_dataset(workspace, config)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: create_run(workspace, config, manifest), range(24)))
    assert len({run.id for run in runs}) == 24 == len(list_runs(workspace))
    assert all(run.config == config for run in runs)


def test_a_finished_or_working_run_is_not_resumed(image_folder: ImageFolder, workspace: Workspace) -> None:
    config = _config(workspace, image_folder())
    run = create_run(workspace, config, split_dataset(workspace, config))
    with pytest.raises(InputError, match="queued"):
        resume_run(run)
    with pytest.raises(InputError, match="no run"):
        open_run(workspace, "20200101-000000-none-0000")


def test_a_damaged_run_is_listed_not_a_crash(image_folder: ImageFolder, workspace: Workspace) -> None:
    config = _config(workspace, image_folder())
    run = create_run(workspace, config, split_dataset(workspace, config))
    (run.folder / "config.json").write_text(json.dumps({"optim": {"epochs": -1}}))
    row = summary(open_run(workspace, run.id))
    assert row["run"] == run.id and "optim.epochs" in row["message"]


def test_weights_that_cannot_be_had_fail_with_status_two(image_folder: ImageFolder, tmp_path: Path) -> None:
    environment = {"TORCH_HOME": str(tmp_path / "hub"), "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    done = darkroom(
        "train",
        "--data",
        image_folder(),
        "--model.architecture",
        "resnet18",
        home=tmp_path / "home",
        environment=environment,
    )
    assert done.status == 2 and "could not be downloaded" in done.result["error"]
    assert "Traceback" not in done.errors


@pytest.mark.usefixtures("forked_jobs")
def test_two_who_resume_at_once_get_one_worker(image_folder: ImageFolder, workspace: Workspace) -> None:
    run = _start(workspace, image_folder(counts={"cat": 40, "dog": 40}), optim__epochs=100)
    wait_until(lambda: _epochs(run) >= 1, "an epoch")
    os.kill(_pid(run), 9)
    _await(run, "lost")
    created = run.created
    for _ in range(2):  # what two tabs do that both saw "lost"
        jobs.prepare(run.folder, created=created)
        jobs.launch(run.folder, "core.training.worker", str(run.folder))
    wait_until(lambda: "Another process is at work" in run.log_tail(), "the second worker to give way")
    with pytest.raises(InputError):
        resume_run(run)
    stop_run(run)
    assert _await(run).state == "stopped", run.log_tail()
    epochs = [row["epoch"] for row in run.metrics()]
    assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.usefixtures("forked_jobs")
def test_stopping_a_resumed_run_at_once_keeps_its_model(image_folder: ImageFolder, workspace: Workspace) -> None:
    run = _start(workspace, image_folder(counts={"cat": 40, "dog": 40}), optim__epochs=150)
    wait_until(lambda: _epochs(run) >= 2, "two epochs")
    stop_run(run)
    _await(run, "stopped")
    assert not jobs.is_at_work(run.folder, patience_s=60)  # it says that it stopped before it ends
    shutil.rmtree(run.bundle)
    created = run.created
    jobs.prepare(run.folder, created=created)
    jobs.request_stop(run.folder)
    jobs.launch(run.folder, "core.training.worker", str(run.folder))
    assert _await(run).state == "stopped" and run.has_bundle, run.log_tail()


def test_an_interrupted_count_is_counted_again(workspace: Workspace) -> None:
    config = build_config({}, "from-scratch")
    assert model_size(workspace, config, 2) is None
    folder = next((workspace.cache / "model-sizes").iterdir())
    noted = json.loads((folder / jobs.PROCESS).read_text())["pid"]
    os.kill(noted, 9)
    wait_until(lambda: not psutil.pid_exists(noted), "its end")
    shutil.rmtree(folder)
    folder.mkdir()  # as an interrupted helper leaves it
    wait_until(lambda: model_size(workspace, config, 2) is not None, "the count")


def test_what_stood_in_the_way_is_looked_into_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    config, launched = build_config({}, "from-scratch"), list[object]()
    monkeypatch.setattr(jobs, "launch", lambda *arguments: launched.append(arguments))
    result = size_folder(workspace, config, 2) / "result.json"
    result.parent.mkdir(parents=True)
    write_json(result, {"parameters": 0, "trainable_parameters": 0, "note": "There is no such file."})
    assert model_size(workspace, config, 2) is not None and not launched
    os.utime(result, (1, 1))
    assert model_size(workspace, config, 2) is None and len(launched) == 1


def test_parameters_are_counted_by_a_helper(workspace: Workspace) -> None:
    config = build_config({}, "from-scratch")
    wait_until(lambda: model_size(workspace, config, 10) is not None, "the count")
    size = model_size(workspace, config, 10)
    assert size is not None and size.parameters == size.trainable_parameters == 93_024 + 448 + 1_290
