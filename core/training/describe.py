"""Program: count a model's parameters for a page that must not import torch. See `core.runs.model_size`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.config import ModelConfig
from core.files import write_json
from core.jobs import StatusWriter


def main(request: str, folder: str) -> None:
    """Write `result.json` into the folder for `{"model": ModelConfig, "num_classes": int}`."""
    with StatusWriter(Path(folder)) as status:
        import torch

        from core.training.models import build_network, count_parameters, missing_weights

        asked = json.loads(request)
        model = ModelConfig.model_validate(asked["model"])
        with torch.device("meta"):
            network = build_network(model.model_copy(update={"weights": "random"}), asked["num_classes"])
        total, trainable = count_parameters(network, model.tune)
        result = {"parameters": total, "trainable_parameters": trainable, "note": missing_weights(model)}
        write_json(Path(folder) / "result.json", result)
        status.update(state="finished")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
