"""How many parameters a model has, counted by a helper process since drawing a page must not import torch."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import jobs
from core.config import TrainConfig
from core.errors import DarkroomError
from core.files import read_json
from core.workspace import Workspace

RESULT = "result.json"
RETRY_AFTER_S = 60.0


@dataclass(frozen=True)
class ModelSize:
    """Parameters of a model before training starts.

    Attributes:
        parameters: all of them.
        trainable_parameters: those training will change.
        note: what stands in the way of starting, such as pretrained weights that are not on this machine, or which
            starting weights fit; else empty. Without a network that could be built, `parameters` is 0.
    """

    parameters: int
    trainable_parameters: int
    note: str


def model_size(workspace: Workspace, config: TrainConfig, num_classes: int) -> ModelSize | None:
    """The size, or None while the helper still counts; the first call for a model starts it.

    Raises:
        DarkroomError: the helper failed.
    """
    request = _request(config, num_classes)
    folder = size_folder(workspace, config, num_classes)
    status = jobs.read_status(folder) if folder.exists() else None
    result = read_json(folder / RESULT)  # after the status: a helper that has ended left what it found before
    # What stood in the way may be gone by now: a file that was missing, a run that has its model since.
    if result is not None and (result["parameters"] or time.time() - (folder / RESULT).stat().st_mtime < RETRY_AFTER_S):
        return ModelSize(**result)
    if status is not None and status.ended and time.time() - status.heartbeat < RETRY_AFTER_S:
        raise DarkroomError("The model could not be built to count its parameters.", f"See {folder / jobs.LOG}.")
    if status is None or status.ended:
        folder.mkdir(parents=True, exist_ok=True)
        jobs.prepare(folder)
        jobs.launch(folder, "core.training.describe", json.dumps(request), str(folder))
    return None


def size_folder(workspace: Workspace, config: TrainConfig, num_classes: int) -> Path:
    """Where the count is kept; it may not exist yet."""
    asked = json.dumps([_request(config, num_classes), _stamp(config.model.weights_from)], sort_keys=True)
    return workspace.cache / "model-sizes" / hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


def _request(config: TrainConfig, num_classes: int) -> dict[str, Any]:
    return {
        "model": config.model.model_dump(),
        "num_classes": num_classes,
        "image_size": config.preprocess.image_size,
    }


def _stamp(file: str) -> list[int]:
    """Changes when another file is put in its place; empty where there is none."""
    try:
        about = Path(file).stat()
    except OSError:
        return []
    return [about.st_size, about.st_mtime_ns] if file else []
