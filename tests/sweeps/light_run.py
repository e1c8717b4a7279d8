"""Program: stands in for the training worker. Its scores follow from the settings, and it learns nothing.

The validation accuracy nears `peak` by half of what is left with every epoch.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path

from core.config import TrainConfig
from core.files import append_jsonl
from core.jobs import StatusWriter, stop_reason
from core.runs.store import METRICS, Run

EPOCH_S = "LIGHT_EPOCH_S"  # environment: how long an epoch takes


def peak(config: TrainConfig) -> float:
    """The accuracy it would reach: best at a learning rate of 0.01 and without dropout."""
    return max(0.0, 1 - abs(math.log10(config.optim.learning_rate) + 2) / 4 - config.model.dropout / 10)


def main(folder: Path) -> None:
    run = Run(folder.name, folder)
    config = run.config
    with StatusWriter(folder) as status:
        for epoch in range(len(run.metrics()) + 1, config.optim.epochs + 1):
            time.sleep(float(os.environ.get(EPOCH_S, "0.01")))
            if status.stop_requested:
                status.update(state="stopped", message=f"{stop_reason(folder)} Stopped.".strip())
                return
            append_jsonl(folder / METRICS, {"epoch": epoch, "val_accuracy": peak(config) * (1 - 0.5**epoch)})
            status.update(message=f"Epoch {epoch}", phase="training")
    status.update(state="finished", message="Done.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
