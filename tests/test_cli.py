"""The command line does the work of the pages and ends with a line a program can read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.jobs import ENDED
from core.runs.launch import stop_run
from core.runs.store import open_run
from core.workspace import Workspace
from tests.conftest import ImageFolder, Trained
from tests.running import SMALL_FLAGS, Done, darkroom, in_process
from tests.waiting import wait_until


@pytest.fixture
def at_home(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The trained run, where also the verbs called in this process look for it."""
    monkeypatch.setenv("DARKROOM_HOME", str(trained.workspace.root))
    return trained


def test_train_reports_what_it_did(trained: Trained) -> None:
    result = trained.result
    assert result["state"] == "finished" and result["num_images"] == 90 and result["num_classes"] == 3
    assert 0.8 <= result["test_accuracy"] <= 1 and 0 <= result["val_accuracy"] <= 1 and result["seconds"] > 0
    low, high = result["test_accuracy_interval"]
    assert low <= result["test_accuracy"] <= high


def test_the_test_images_are_those_the_manifest_names(trained: Trained) -> None:
    predictions = pd.read_parquet(trained.run.folder / "predictions.parquet")
    manifest = trained.run.manifest()
    for split in ("val", "test"):
        assert set(predictions[predictions["split"] == split]["path"]) == set(
            manifest[manifest["split"] == split]["path"]
        )
    assert not set(predictions["path"]) & set(manifest[manifest["split"] == "train"]["path"])
    assert {"path", "split", "label", "predicted", "confidence", "loss"} <= set(predictions.columns)


def test_predict_equals_the_evaluation(trained: Trained) -> None:
    evaluated = pd.read_parquet(trained.run.folder / "predictions.parquet").set_index("path")
    paths = list(evaluated.index[:12])
    done = darkroom("predict", trained.run.id, *[trained.images / path for path in paths], home=trained.workspace.root)
    assert done.status == 0, done.errors
    for path, row in zip(paths, done.result["predictions"], strict=True):
        assert row["path"] == str(trained.images / path)
        assert row["label"] == evaluated.loc[path, "predicted"] == row["top"][0][0]
        for label, probability in row["top"]:
            assert probability == pytest.approx(evaluated.loc[path, f"p:{label}"], abs=1e-4)


def test_one_picture_in_every_kind_of_file_gets_the_same_answer(at_home: Trained, tmp_path: Path) -> None:
    source = Image.open(sorted((at_home.images / "dog").iterdir())[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    source.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    source.convert("RGBA").save(tmp_path / "rgba.png")
    source.convert("CMYK").save(tmp_path / "cmyk.tif")
    source.quantize(256).save(tmp_path / "palette.gif")
    source.save(tmp_path / "plain.bmp")
    grey = np.asarray(source.convert("L"))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    names = ["plain.bmp", "phone.jpg", "rgba.png", "cmyk.tif", "palette.gif", "grey.png", "sixteen.png"]
    done = in_process("predict", at_home.run.id, *[tmp_path / name for name in names])
    assert done.status == 0, done.errors
    rows = dict(zip(names, done.result["predictions"], strict=True))
    assert {rows[name]["label"] for name in names[:5]} == {"dog"}
    assert rows["rgba.png"]["top"] == rows["plain.bmp"]["top"]
    assert rows["grey.png"]["top"] == rows["sixteen.png"]["top"]


def test_files_that_are_no_images_are_accounted_for(at_home: Trained, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    good = sorted(at_home.images.rglob("*.png"))[0]
    done = in_process("predict", at_home.run.id, tmp_path / "text.jpg", good, tmp_path / "none.png")
    assert done.status == 1
    errors = [row.get("error") for row in done.result["predictions"]]
    assert "Not an image" in errors[0] and errors[1] is None and "no longer there" in errors[2]
    assert in_process("predict", at_home.run.id, tmp_path / "text.jpg").status == 2


def test_evaluate_again_gives_the_same_figures(at_home: Trained) -> None:
    done = in_process("evaluate", at_home.run.id)
    assert done.status == 0, done.errors
    assert done.result["test_accuracy"] == at_home.result["test_accuracy"]


def test_runs_are_listed_with_their_state(at_home: Trained) -> None:
    done = in_process("runs")
    assert [(row["run"], row["state"]) for row in done.result["runs"]] == [(at_home.run.id, "finished")]


def test_detach_returns_with_a_run_that_goes_on_and_can_be_resumed(
    image_folder: ImageFolder, workspace: Workspace, forked_jobs: None
) -> None:
    images = image_folder(counts={"cat": 30, "dog": 30})
    done = darkroom("train", "--data", images, *SMALL_FLAGS, "--optim.epochs", "300", "--detach")
    assert done.status == 0 and done.result["state"] in ("queued", "running")
    run = open_run(workspace, done.result["run"])
    assert Path(done.result["folder"]) == run.folder
    wait_until(lambda: len(run.metrics()) > 0, "an epoch")
    pid = run.status.pid
    assert pid is not None, run.status
    os.kill(pid, 9)
    wait_until(lambda: run.status.state == "lost", "the run to be lost")
    assert in_process("runs").result["runs"][0]["state"] == "lost"
    resumed = in_process("train", "--resume", run.id, "--detach")
    assert resumed.status == 0, resumed.errors
    wait_until(lambda: run.status.state == "running", "the run to go on")
    stop_run(run)
    wait_until(lambda: run.status.state in ENDED, "the run to stop")
    assert run.status.state == "stopped"
    assert in_process("train", "--resume", run.id, "--optim.epochs", "3").status == 2


def test_two_datasets_of_one_name_are_told_apart(image_folder: ImageFolder, workspace: Workspace) -> None:
    for place in ("a", "b"):
        assert in_process("index", image_folder(name=f"{place}/pets")).status == 0
    done = in_process("train", "--data", "pets", *SMALL_FLAGS)
    assert done.status == 2 and "Use an id" in done.result["error"]


def test_a_damaged_graph_is_told_in_one_line(trained: Trained, workspace: Workspace) -> None:
    shutil.copytree(trained.workspace.root, workspace.root)
    (workspace.run(trained.run.id) / "bundle" / "model.onnx").write_bytes(b"broken")
    image = sorted(trained.images.rglob("*.png"))[0]
    done = in_process("predict", trained.run.id, image)
    assert done.status == 1 and "damaged" in done.result["error"] and "Traceback" not in done.errors
    assert in_process("predict", trained.run.id, image, "--engine", "torch").status == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train"], "--data"),
        (["train", "--data", "nowhere"], "There is no dataset and no folder 'nowhere'. Known datasets: digits"),
        (["train", "--data", "/no/such/folder"], "/no/such/folder"),
        (
            ["train", "--data", "digits", "--optim.epochs", "0", "--optim.batch_size", "many"],
            "optim.batch_size = 'many'",
        ),
        (["train", "--data", "digits", "--optim.epoch", "3"], "--optim.epoch"),
        (["train", "--data", "digits", "--preset", "magic"], "quick"),
        (["predict", "no-such-run", "a.jpg"], "no run"),
        (["predict", "../../etc", "a.jpg"], "no run"),
        (["index", "/no/such/folder"], "/no/such/folder"),
        (["frobnicate"], "--help"),
        ([], "--help"),
    ],
)
def test_wrong_input_is_one_line_with_the_way_out(workspace: Workspace, arguments: list[str], told: str) -> None:
    _is_refused(workspace, in_process(*arguments), told)


@pytest.mark.parametrize(
    ("arguments", "told"), [(["train", "--data", "nowhere"], "nowhere"), (["index", "/no/such/folder"], "/no/such")]
)
def test_so_it_is_in_a_process_of_its_own(workspace: Workspace, arguments: list[str], told: str) -> None:
    _is_refused(workspace, darkroom(*arguments), told)


def _is_refused(workspace: Workspace, done: Done, told: str) -> None:
    assert done.status == 2 and told in done.errors and told in done.result["error"]
    assert len(done.errors.strip().splitlines()) == 1 and "Traceback" not in done.errors
    assert not workspace.root.exists() or not any((workspace.root / "runs").glob("*"))
