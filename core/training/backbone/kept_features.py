"""Features that an earlier run has computed with the same backbone, found again by the content of the images."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.data.manifest import content_keys
from core.files import last_used
from core.preprocess import PreprocessSpec
from core.training.backbone.feature_store import FeatureStore
from core.training.backbone.onnx_graph import fingerprint
from core.training.batching.images import Images

MOST_BYTES = 4 * 2**30  # of all features of all backbones: 800,000 images of EfficientNet-Lite0


class KeptFeatures:
    """Features of one backbone and one way of bringing images to it, whatever run or division they come from.

    Args:
        root: the folder of all kept features.
        backbone: what names its weights and the device, such as a hash.
    """

    def __init__(self, root: Path, spec: PreprocessSpec, backbone: str) -> None:
        self._root, self._folder = root, root / f"{spec.hash}-{backbone}"  # see `most_likely_kept`

    @classmethod
    def of(cls, root: Path, backbone: nn.Module, spec: PreprocessSpec, device: torch.device) -> KeptFeatures:
        """Those of a backbone with its weights as they are."""
        return cls(root, spec, f"{fingerprint(backbone, spec.size)}-{device.type}")

    def knows(self, images: Images) -> np.ndarray:
        """Which of the images' features are kept, bool (N,)."""
        if images.hashes is None or not self._folder.is_dir():
            return np.zeros(len(images), bool)
        try:
            return np.isin(content_keys(images.hashes), FeatureStore(self._folder, np.float32).known())
        except (OSError, ValueError):
            return np.zeros(len(images), bool)

    def load(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Which of the images' features are kept, bool (N,), and those, float32 (number kept, num_features)."""
        nothing = np.zeros(len(images), bool), np.empty((0, 0), np.float32)
        if images.hashes is None or not self._folder.is_dir():
            return nothing
        contents, place = np.unique(content_keys(images.hashes), return_inverse=True)
        try:
            store = FeatureStore(self._folder, np.float32)
            found, features = store.load(contents)
            os.utime(self._folder)
        except (OSError, ValueError):  # damaged, or removed by another process: computed anew
            return nothing
        is_kept = found[place]
        return is_kept, features[np.cumsum(found)[place[is_kept]] - 1]

    def add(self, images: Images, features: np.ndarray) -> None:
        """Keep the features of these images, float32 (N, num_features); those used longest ago make room."""
        if images.hashes is None or not len(images) or features.nbytes > MOST_BYTES:
            return
        folders = sorted((folder for folder in self._root.glob("*") if folder != self._folder), key=last_used)
        total = features.nbytes + sum(map(_size, [*folders, self._folder]))
        for folder in [*folders, self._folder]:
            if total <= MOST_BYTES:
                break
            total -= _size(folder)
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # the disk is full: a later run computes them once more
            FeatureStore(self._folder, np.float32).add(content_keys(images.hashes), features)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*") if file.is_file())
