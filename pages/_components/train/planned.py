"""What the form amounts to at present: the run as it would be started."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from core.config import TrainConfig
from core.data.datasets import Dataset
from core.data.splits import Division, Leaks
from core.workspace import Workspace
from pages._components import readers


@dataclass(frozen=True)
class Planned:
    """A run that could be started.

    Attributes:
        preset: what the form was filled from.
        classes: images of each class in each split, see `core.data.splits.class_table`.
    """

    workspace: Workspace
    dataset: Dataset
    preset: str
    config: TrainConfig
    classes: pd.DataFrame
    leaks: Leaks

    @property
    def num_train(self) -> int:
        """Training images."""
        return int(self.classes["train"].sum())

    @property
    def key(self) -> str:
        """Text that differs for another run or another version of the dataset."""
        return f"{self.dataset.fingerprint} {self.config.model_dump_json()}"

    def division(self) -> Division:
        """The images divided, for what starts a process."""
        return readers.division(self.workspace, self.dataset, self.config)
