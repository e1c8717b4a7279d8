"""TensorBoard reads back what a run noted: curves, the first batch, the confusion matrix, settings and scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from core.training import tensorboard
from core.training.tensorboard import EventWriter, confusion_picture

REPORT = {"test_accuracy": 0.75, "val_accuracy": None, "confusion": [[3, 1], [0, 4]], "classes": ["cat", "dög"]}


def _row(epoch: int, loss: float) -> dict[str, float | int | None]:
    return {"epoch": epoch, "train_loss": loss, "val_loss": loss + 1, "val_accuracy": 0.5, "grad_norm": None}


def _read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_what_was_noted_is_read_back(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.first_batch(np.full((5, 8, 8, 3), 200, np.uint8))
    for epoch in (1, 2, 3):
        writer.epoch(_row(epoch, 1 / epoch))
    writer.finished({"optim.learning_rate": 0.1, "model.tune": "all"}, REPORT, epoch=3)
    writer.close()
    events = _read(tmp_path)
    assert [(event.step, event.value) for event in events.Scalars("loss/training")] == [
        (1, 1.0),
        (2, 0.5),
        (3, pytest.approx(1 / 3)),
    ]
    assert events.Scalars("loss/validation")[0].value == 2.0
    assert events.Scalars("score/test_accuracy")[0].value == 0.75
    assert {"first_batch", "confusion_matrix"} <= set(events.Tags()["images"])
    assert "score/val_accuracy" not in events.Tags()["scalars"]  # no image, no figure
    noted = events.PluginTagToContent("hparams")
    settings = HParamsPluginData.FromString(noted["_hparams_/session_start_info"]).session_start_info.hparams
    assert settings["optim.learning_rate"].number_value == 0.1 and settings["model.tune"].string_value == "all"


def test_epochs_trained_again_after_a_kill_stand_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "EVERY_S", 0.0)
    first = EventWriter(tmp_path)
    for epoch in (1, 2, 3):
        first.step(epoch, 1, 2, 90.0)
        first.epoch(_row(epoch, 9.0))
    first.close()
    resumed = EventWriter(tmp_path, first_epoch=2)
    for epoch in (2, 3):
        resumed.step(epoch, 1, 2, 10.0)
        resumed.epoch(_row(epoch, 1.0))
    resumed.close()
    values = [(event.step, event.value) for event in _read(tmp_path).Scalars("loss/training")]
    assert values == [(1, 9.0), (2, 1.0), (3, 1.0)]
    speeds = _read(tmp_path / tensorboard.SPEED).Scalars("images_per_s/within_epochs")
    assert [(event.step, event.value) for event in speeds] == [(500, 90.0), (1500, 10.0), (2500, 10.0)]


def test_the_matrix_is_darkest_where_most_of_a_row_is() -> None:
    picture = confusion_picture([[90, 10], [0, 1]], ["cat", "dog"])
    assert picture is not None and picture.dtype == np.uint8
    corners = picture[[132, 132, 168, 168], [132, 168, 132, 168]].astype(int).sum(axis=1)
    assert corners[3] < corners[0] < corners[1] < corners[2]  # 100 %, 90 %, 10 %, 0 % of their rows
    assert confusion_picture([], []) is None
    many = confusion_picture(np.eye(100, dtype=int).tolist(), [str(n) for n in range(100)])
    assert many is not None and max(many.shape) < 1000
