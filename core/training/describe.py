"""Program: count a model's parameters for a page that must not import torch. See `core.runs.model_size`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from core.config import ModelConfig
from core.errors import DarkroomError
from core.files import write_json
from core.jobs import StatusWriter


def main(request: str, folder: str) -> None:
    """Write `result.json` into the folder for `{"model": ModelConfig, "num_classes": int, "image_size": int}`."""
    with StatusWriter(Path(folder)) as status:
        asked = json.loads(request)
        model = ModelConfig.model_validate(asked["model"])
        try:
            result = describe(model, asked["num_classes"], asked["image_size"])
        except DarkroomError as error:  # an answer too: what stands in the way, and the way out
            result = {"parameters": 0, "trainable_parameters": 0, "note": str(error)}
        write_json(Path(folder) / "result.json", result)
        status.update(state="finished")


def describe(model: ModelConfig, num_classes: int, image_size: int) -> dict[str, Any]:
    """The fields of `core.runs.model_size.ModelSize`.

    Raises:
        InputError: the network cannot take such images, or its starting weights are not there or fit nothing.
    """
    from core.training.models import build_network, count_parameters, missing_weights  # slow: torch
    from core.training.models.blank import without_memory

    blank = model.model_copy(update={"weights": "random"} if model.weights == "pretrained" else {})
    with without_memory():
        network = build_network(blank, num_classes, image_size)
    total, trainable = count_parameters(network, model)
    note = missing_weights(model)
    if network.loaded is not None:
        note = network.loaded.sentence()
    return {"parameters": total, "trainable_parameters": trainable, "note": note}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
