"""A served model without a training: a graph that tells an image's reddest from its greenest and bluest by its mean."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto, helper, save
from PIL import Image
from starlette.testclient import TestClient

from core.config import build_config
from core.inference.bundle import ONNX, write_bundle
from core.inference.classifier import Classifier
from core.preprocess import PreprocessSpec
from core.runs.store import Run, create_run
from core.serving.application import Service, create_app
from core.serving.limits import Limits
from core.serving.models import Models
from core.workspace import Workspace

CLASSES = ["red", "green & <blue>", "blau/grün"]
SPEC = PreprocessSpec(8, "squash", "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LOCAL = ("127.0.0.1", 50_000)


def colour_run(workspace: Workspace) -> Run:
    """A run whose model answers with the class of the strongest channel."""
    config = build_config({"data.dataset": "colours"}, "from-scratch")
    run = create_run(workspace, config, pd.DataFrame({"path": ["a.png"], "label": ["red"], "split": ["train"]}))
    bundle = write_bundle(run.bundle, {"weight": np.eye(3, dtype=np.float32)}, "small_cnn", CLASSES, SPEC, {})
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])]
    mean = helper.make_node("ReduceMean", ["images", "axes"], ["logits"], keepdims=0)
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    graph = helper.make_graph([mean], "colours", [images], outputs, [axes])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), bundle.folder / ONNX)
    return run


def picture(red: int, green: int, blue: int, kind: str = "PNG") -> bytes:
    """An image file of one colour."""
    stream = BytesIO()
    Image.new("RGB", (20, 10), (red, green, blue)).save(stream, kind)
    return stream.getvalue()


def form(*files: bytes | tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    """Files for the client to send."""
    named = [file if isinstance(file, tuple) else (f"{number}.png", file) for number, file in enumerate(files)]
    return [("files", file) for file in named]


class Asking:
    """The API of one workspace and a client of it on this machine."""

    def __init__(self, workspace: Workspace, run: Run, runs: Sequence[str] = (), **limits: Any) -> None:
        self.workspace, self.run = workspace, run
        self.app = create_app(Models(workspace, runs), workspace, Limits(**limits))
        self.service: Service = self.app.state.service
        self.client = self.from_(LOCAL)
        self.path = f"/v1/models/{run.id}/predict"

    def from_(self, client: tuple[str, int]) -> TestClient:
        return TestClient(self.app, base_url="http://127.0.0.1", client=client, raise_server_exceptions=False)

    def ask(self, *files: bytes | tuple[str, bytes], **query: Any) -> Any:
        return self.client.post(self.path, files=form(*files), params=query)


class Held:
    """A model that answers nothing before it is let go."""

    def __init__(self, bundle_of: Classifier) -> None:
        self._engine = bundle_of._engine
        self.let_go = threading.Event()
        self.sizes: list[int] = []

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        return self.with_features(images_NCHW)[0]

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        self.sizes.append(len(images_NCHW))
        assert self.let_go.wait(60)
        return self._engine.with_features(images_NCHW)


@contextmanager
def held_back(asking: Asking) -> Iterator[Held]:
    """The model at work, but stuck until the block ends or lets it go."""
    classifier = asking.service.models.load(asking.run)
    engine = classifier._engine
    held = Held(classifier)
    classifier._engine = held
    try:
        yield held
    finally:
        held.let_go.set()
        classifier._engine = engine


def in_threads(work: Sequence[Any]) -> list[Any]:
    """Call all at once; gives what they return, in order."""
    found: list[Any] = [None] * len(work)

    def call(number: int) -> None:
        found[number] = work[number]()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def home_of(folder: Path) -> Workspace:
    return Workspace(folder / "home")
