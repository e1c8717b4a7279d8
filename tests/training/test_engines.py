"""The fastest runtime that agrees with torch computes the features; one that does not agree never does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.errors import DarkroomError
from core.preprocess import PreprocessSpec, normalise
from core.training.backbone import features
from core.training.backbone.engines import RUNTIMES, Engine
from core.training.backbone.features import fastest_engine, torch_engine
from core.training.batching.images import Images

CPU = torch.device("cpu")
SPEC = PreprocessSpec(16, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


@pytest.fixture
def backbone() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers).eval()


@pytest.fixture
def images(tmp_path: Path) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    return Images(tmp_path, [f"{number}.png" for number in range(6)], np.zeros(6, int), SPEC)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("many", [True, False])
def test_each_runtime_gives_what_torch_gives(
    runtime: str, many: bool, backbone: nn.Module, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "RUNTIMES", {runtime: RUNTIMES[runtime]})
    lines: list[str] = []
    engine, graph = fastest_engine(backbone, images, CPU, tmp_path, lines.append, many)
    assert engine.runtime == runtime and graph is not None and lines[0].startswith(f"Features by {runtime}: ")
    generator = np.random.default_rng(1)
    for count in (1, 16, 5, 16):
        batch = generator.normal(size=(count, 3, 16, 16)).astype(np.float32)
        found = engine(batch)
        assert found.shape == (count, 8) and found.dtype == np.float32
        np.testing.assert_allclose(found, torch_engine(backbone, CPU)(batch), atol=1e-5)
    kept = engine(batch)
    before = kept.copy()
    engine(-batch)
    assert (kept == before).all()  # the next call writes elsewhere


def _wrong(graph: Path, many: bool) -> Engine:
    right = RUNTIMES["ONNX Runtime"](graph, many)
    return Engine(lambda inputs: right(inputs) + 0.01, runtime="wrong")


def _broken(graph: Path, many: bool) -> Engine:
    raise DarkroomError("It cannot be opened.", "Try another.")


def test_one_that_disagrees_or_fails_is_passed_over(
    backbone: nn.Module, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = {"wrong": _wrong, "broken": _broken, "ONNX Runtime": RUNTIMES["ONNX Runtime"]}
    monkeypatch.setattr(features, "RUNTIMES", some)
    assert fastest_engine(backbone, images, CPU, tmp_path, lambda _: None)[0].runtime == "ONNX Runtime"


def test_torch_itself_where_none_serves_with_the_reasons(
    backbone: nn.Module, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "RUNTIMES", {"wrong": _wrong, "broken": _broken})
    lines: list[str] = []
    engine, graph = fastest_engine(backbone, images, CPU, tmp_path, lines.append)
    assert engine.runtime == "" and graph is None
    assert "wrong differs by 1.0e-02, more than 0.001" in lines[0] and "ready for broken (It cannot be" in lines[0]
    few = normalise(np.stack([images.read(index) for index in range(3)]), SPEC)
    with torch.inference_mode():
        np.testing.assert_allclose(engine(few), backbone(torch.from_numpy(few)).numpy(), atol=1e-6)
