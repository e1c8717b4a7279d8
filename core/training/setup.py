"""What a run trains: its device, classes, images, network and recipe. The run, its pre-flight and the search for a
learning rate all start from here, so that what is tried is what is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from core.config import TrainConfig
from core.data.manifest import usable
from core.data.stored import Dataset, open_dataset
from core.errors import DataMoved, InputError
from core.preprocess import PreprocessSpec
from core.training.batching.images import Images
from core.training.batching.sampling import Shard
from core.training.distributed import ALONE, Ranks
from core.training.loop.engine import Recipe
from core.training.models import Network, build_network, make_spec
from core.training.models.pruning import prune
from core.workspace import Workspace


@dataclass(frozen=True)
class Setup:
    """What a run is made of.

    Attributes:
        manifest: its usable images with their split.
        classes: class names in the order of the logits.
        device: where this process computes.
        ranks: this process among those that train together.
    """

    config: TrainConfig
    workspace: Workspace
    dataset: Dataset
    manifest: pd.DataFrame
    classes: list[str]
    spec: PreprocessSpec
    device: torch.device
    ranks: Ranks = field(default=ALONE)

    @property
    def shard(self) -> Shard:
        """This process's part of each batch."""
        return Shard(self.ranks.rank, self.ranks.size)

    def network(self) -> Network:
        """The network as it begins to learn, the same for the same seed; see `build_network` and `prune` for errors."""
        torch.manual_seed(self.config.runtime.seed)
        model = self.config.model
        network = build_network(model, len(self.classes), self.spec.size, self.workspace)
        if model.prune:
            network.pruned = prune(network, model.prune, model.prune_by, self.spec.size)
        return network

    def images(self, split: str, at_most: int | None = None) -> Images:
        """The images of a split, or some of them, evenly spread over it."""
        rows = self.manifest[self.manifest["split"] == split]
        if at_most is not None and at_most < len(rows):
            rows = rows.iloc[np.linspace(0, len(rows) - 1, at_most).round().astype(int)]
        targets = np.searchsorted(np.asarray(self.classes, dtype=object), rows["label"].to_numpy(dtype=object))
        hashes = rows["content_hash"].tolist() if "content_hash" in rows else None
        return Images(self.dataset.root, rows["path"].tolist(), targets, self.spec, hashes)

    def recipe(self, **optim: Any) -> Recipe:
        """How to fit, with changes to `config.optim`."""
        config = self.config
        train = self.manifest[self.manifest["split"] == "train"]["label"].value_counts()
        return Recipe(
            optim=config.optim.model_copy(update=optim),
            schedule=config.schedule,
            stop=config.stop,
            runtime=config.runtime,
            num_classes=len(self.classes),
            class_counts=[int(train.get(name, 0)) for name in self.classes],
            device=self.device,
        )

    def shared_by(self, ranks: Ranks) -> Setup:
        """The same as one of several processes sees it."""
        device = torch.device("cuda", ranks.local_rank) if self.device.type == "cuda" else self.device
        return replace(self, ranks=ranks, device=device)


def set_up(config: TrainConfig, manifest: pd.DataFrame, workspace: Workspace) -> Setup:
    """Bring together what the config names.

    Raises:
        InputError: the dataset or its folder is gone, or the device is not there.
    """
    dataset = open_dataset(workspace, config.data.dataset)
    if not dataset.root.is_dir():
        raise DataMoved(
            f"The folder of dataset {dataset.name}, {dataset.root}, is no longer there.",
            "Put it back, or add it again from where it is now.",
        )
    images = usable(manifest)
    classes = sorted(images["label"].unique())
    spec = make_spec(config.preprocess, config.model.architecture)
    device = choose_device(config.runtime.device)
    if device.type == "cuda" and config.runtime.processes > torch.cuda.device_count():
        raise InputError(
            f"runtime.processes = {config.runtime.processes}, but there are {torch.cuda.device_count()} GPUs here.",
            "Use one process for each GPU at most, or runtime.device = cpu.",
        )
    return Setup(config, workspace, dataset, images, classes, spec, device)


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`.

    Raises:
        InputError: a GPU was asked for where torch finds none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("runtime.device = cuda, but torch finds no GPU here.", "Use auto or cpu.")
    return torch.device("cpu" if wanted == "cpu" or not torch.cuda.is_available() else "cuda")
