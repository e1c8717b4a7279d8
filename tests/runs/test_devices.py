"""Which GPUs the queue knows, by a driver that is not there: what it answers is made up."""

from __future__ import annotations

import pynvml
import pytest

from core.config import build_config
from core.runs import launch
from core.runs.devices import Gpu, gpus

UUIDS = ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A driver of three GPUs."""
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(UUIDS))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUUID", lambda handle: UUIDS[handle])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("visible", "there"),
    [(None, [0, 1, 2]), ("2,0", [0, 2]), ("1", [1]), ("GPU-bbbb", [1]), ("", []), ("-1", []), ("GPU-", [0, 1, 2])],
)
def test_only_what_cuda_may_use_is_there(three: pytest.MonkeyPatch, visible: str | None, there: list[int]) -> None:
    if visible is not None:
        three.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == [Gpu(f"cuda:{index}", UUIDS[index]) for index in there]


def test_a_run_asks_for_as_many_gpus_as_it_has_processes(three: pytest.MonkeyPatch) -> None:
    names = ["cuda:0", "cuda:1", "cuda:2"]
    one = build_config({"runtime.processes": 1}, "from-scratch")
    assert launch._where(one) == (names, 1, dict(zip(names, UUIDS, strict=True)))
    assert launch._where(build_config({"runtime.processes": 2}, "from-scratch"))[1] == 2
    assert launch._where(build_config({"runtime.device": "cpu"}, "from-scratch")) == (["cpu"], 1, {})
    three.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert launch._where(one) == (["cuda:1"], 1, {})  # one alone: what CUDA sees is left as it is
