"""What augmentation does to the user's own images, drawn by a helper process: drawing a page must not import torch.

What it draws and how is in `core.training.trials.previews`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from core.config import DataConfig, ModelConfig, RuntimeConfig, TrainConfig
from core.runs.trials import Trial

NUM_IMAGES = 4


@dataclass(frozen=True)
class Preview:
    """One change, or all of them together, on some images.

    Attributes:
        change: the setting, such as `augment.rotate_degrees`; `all` for everything that is switched on.
        picture: a PNG; each row an image, first as it is, then changed in several ways.
    """

    change: str
    picture: Path


@dataclass(frozen=True)
class _Few:
    """Some training images, each of another class as far as there are that many, with their dataset's version."""

    manifest: pd.DataFrame
    version: dict[str, Any]

    def about(self) -> dict[str, Any]:
        return self.version


def _what_matters(config: TrainConfig) -> TrainConfig:
    """The settings that a picture depends on; a change to any other must not draw it anew."""
    return TrainConfig(
        data=DataConfig(dataset=config.data.dataset),
        preprocess=config.preprocess,
        model=ModelConfig(architecture=config.model.architecture, weights="random", tune="all"),
        augment=config.augment.model_copy(update={"views": 0}),
        runtime=RuntimeConfig(seed=config.runtime.seed, device="cpu"),
    )


def _some(manifest: pd.DataFrame) -> pd.DataFrame:
    """One training image of each of the first classes in turn, until there are enough."""
    train = manifest[(manifest["split"] == "train") & manifest["error"].isna()]
    turn = train.groupby("label").cumcount()
    return train.loc[turn.sort_values(kind="stable").index[:NUM_IMAGES]]


PREVIEWS = Trial(
    "previews",
    "core.training.trials.previews",
    lambda answer, folder: [Preview(one["change"], folder / one["file"]) for one in answer["pictures"]],
    asked=_what_matters,
    given=lambda divided: _Few(_some(divided.manifest), divided.about()),
)
