"""Program: draw what augmentation does to some images. `python -m core.training.trials.previews FOLDER`

For each change that is switched on, and for all together, a sheet: a row an image, first as it is. The changes are made
by the very code that training uses. See `core.runs.previews` for who asks.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.config import AugmentConfig
from core.files import write_bytes
from core.jobs import StatusWriter
from core.training.batching.contact_sheet import as_pictures, contact_sheet
from core.training.batching.images import Images
from core.training.batching.loaders import ImageBatches
from core.training.batching.pixel_sources import training_images
from core.training.batching.pixels import MemoryPixels
from core.training.setup import Setup
from core.training.trials.trial import run_trial

VARIANTS = 5  # changed copies of each image
_ASIDE = ("views", "policy_strength")  # no changes by themselves
_TOGETHER = "all"


def switched_on(augment: AugmentConfig) -> list[str]:
    """Names of the changes that differ from doing nothing, in the order of the form."""
    blank = AugmentConfig()
    return [name for name, value in augment if name not in _ASIDE and value != getattr(blank, name)]


def only(augment: AugmentConfig, name: str) -> AugmentConfig:
    """This one change of the config, and no other."""
    kept = {name, "policy_strength"}
    return AugmentConfig(**{field: value for field, value in augment if field in kept})


def draw(images: Images, augment: AugmentConfig, num_classes: int, seed: int) -> np.ndarray:
    """Each image as it is, then changed: uint8 (N * (1 + VARIANTS), size, size, 3), image by image."""
    plain = np.stack([images.read(index) for index in range(len(images))])
    larger = training_images(images, augment)
    pixels = MemoryPixels(np.stack([larger.read_planes(index) for index in range(len(larger))]))
    batches = ImageBatches(
        images,
        pixels,
        max(2, len(images)),
        torch.device("cpu"),
        shuffle_seed=seed,
        augmentation=augment,
        num_classes=num_classes,
    )
    rows = [plain]
    for epoch in range(1, VARIANTS + 1):
        inputs, _ = next(batches.epoch(epoch))
        back = np.argsort(batches.order.indices(epoch).numpy())
        rows.append(as_pictures(inputs, images.spec)[back])
    return np.stack(rows, axis=1).reshape(-1, *plain.shape[1:])


def main(folder: Path) -> int:
    """Answer the request in `folder`; gives the exit status."""

    def work(setup: Setup, status: StatusWriter) -> dict[str, Any]:
        augment, images = setup.config.augment, setup.images("train")
        names = switched_on(augment)
        wanted = [(f"augment.{name}", only(augment, name)) for name in names]
        if len(names) > 1:
            wanted.insert(0, (_TOGETHER, augment))
        pictures = []
        for done, (change, config) in enumerate(wanted):
            status.progress(done, len(wanted), unit="pictures")
            drawn = draw(images, config, len(setup.classes), setup.config.runtime.seed)
            file = f"{change.replace('.', '-')}.png"
            write_bytes(folder / file, contact_sheet(drawn, 1 + VARIANTS), durable=False)
            pictures.append({"change": change, "file": file})
        return {"pictures": pictures}

    return run_trial(folder, "Drawing the previews", work)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
