"""Import this and a process has done once what every training worker does in its first ten seconds.

Beside imports that is the first step of an optimizer and the first export of a graph, which load far more than they
say. Nothing here computes gradients, or the process could not be forked any more; see `tests.running.worker_context`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime  # noqa: F401
import pyarrow.dataset  # noqa: F401
import safetensors.numpy  # noqa: F401
import sklearn.metrics  # noqa: F401
import tensorboard.plugins.hparams.metadata  # noqa: F401
import torch
from PIL import Image

import core.training.embed  # noqa: F401
import core.training.job  # noqa: F401
from core.training.backbone.onnx_graph import export_onnx

Image.init()
_LAYERS = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten())
torch.optim.AdamW(_LAYERS.parameters()).zero_grad()
with TemporaryDirectory() as _folder:
    export_onnx(_LAYERS.eval(), (3, 8, 8), Path(_folder) / "graph.onnx", "images", "features", False)
