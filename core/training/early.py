"""Images that are decoded while a worker is still loading torch, which keeps one processor core busy for seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.architectures import OFFLINE
from core.config import PreprocessConfig, TrainConfig
from core.data.manifest import content_keys, usable
from core.data.stored import open_dataset
from core.preprocess import PreprocessSpec
from core.training.backbone.feature_store import FeatureStore
from core.training.backbone.frozen import HALF
from core.training.backbone.read_ahead import ReadAhead
from core.training.batching.images import Images
from core.workspace import Workspace

SPLITS = ("train", "val", "test")


def decode_early(config: TrainConfig, manifest: pd.DataFrame) -> ReadAhead | None:
    """A run's images, train, val and test, being decoded; None where only torch knows how, or pixels are not needed, as
    their features are kept.

    Raises:
        InputError: the run's dataset is gone.
    """
    if not may_decode_early(config):
        return None
    spec, root = offline_spec(config.preprocess), open_dataset(Workspace.default(), config.data.dataset).root
    frame = usable(manifest)
    if most_likely_kept(Workspace.default().features, spec, frame["content_hash"].tolist()):
        return None
    paths = [frame.loc[frame["split"] == split, "path"].tolist() for split in SPLITS]
    return ReadAhead([Images(root, some, [0] * len(some), spec) for some in paths])


def may_decode_early(config: TrainConfig) -> bool:
    """Whether a run's pixels are needed once, for features, and it is known without torch which."""
    return config.model.tune == "head" and config.model.architecture == OFFLINE


def offline_spec(preprocess: PreprocessConfig) -> PreprocessSpec:
    """What `core.training.models.make_spec` gives for the offline network, known without torch."""
    filtered = "bicubic" if preprocess.interpolation == "auto" else preprocess.interpolation
    return PreprocessSpec(preprocess.image_size, preprocess.resize, filtered, HALF, HALF)


def most_likely_kept(root: Path, spec: PreprocessSpec, hashes: list[str]) -> bool:
    """Whether some backbone's features of all these images are kept, asked before the backbone itself is known."""
    wanted = np.unique(content_keys(hashes))
    try:
        stores = [FeatureStore(folder, np.float32) for folder in root.glob(f"{spec.hash}-*")]
        return any(np.isin(wanted, store.known()).all() for store in stores)
    except (OSError, ValueError):
        return False
