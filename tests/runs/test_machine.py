"""What the machine panel shows: processor and memory of this machine, and GPUs as a driver would tell of them."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from core.runs import machine as machine_module
from core.runs.machine import machine
from core.workspace import Workspace
from tests.waiting import wait_until


class _NVMLError(Exception):
    pass


def _driver(**changed: Any) -> ModuleType:
    """A stand-in for NVML with one GPU; what is changed to None is refused, as some GPUs refuse."""

    def told(name: str, value: Any) -> Any:
        def ask(*_: object) -> Any:
            if name in changed and changed[name] is None:
                raise _NVMLError
            return changed.get(name, value)

        return ask

    driver = ModuleType("pynvml")
    driver.__dict__.update(
        NVMLError=_NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=told("init", 0),
        nvmlDeviceGetCount=told("count", 1),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=told("name", "NVIDIA A10"),
        nvmlDeviceGetMemoryInfo=told("memory", SimpleNamespace(used=3_000_000_000, total=24_000_000_000)),
        nvmlDeviceGetUtilizationRates=told("use", SimpleNamespace(gpu=87, memory=20)),
        nvmlDeviceGetTemperature=told("temperature", 61),
        nvmlDeviceGetComputeRunningProcesses=told("processes", [SimpleNamespace(pid=11), SimpleNamespace(pid=12)]),
    )
    return driver


def test_this_machine_is_told_truly(workspace: Workspace) -> None:
    now = machine(workspace)
    assert now.memory_total == psutil.virtual_memory().total > now.memory_used > 0
    assert 0 < now.disk_free < now.disk_total and now.num_cores >= 1
    wait_until(lambda: machine(workspace).cpu_use is not None, "a second look at the processor")
    use = machine(workspace).cpu_use
    assert use is not None and 0 <= use <= 1


def test_a_gpu_is_told_with_all_it_says(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _driver())
    (gpu,) = machine(workspace).gpus
    assert gpu == machine_module.Gpu(0, "NVIDIA A10", 0.87, 3_000_000_000, 24_000_000_000, 61, (11, 12))


def test_what_a_gpu_does_not_tell_is_unknown(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _driver(memory=None, use=None, temperature=None, processes=None))
    (gpu,) = machine(workspace).gpus
    assert gpu == machine_module.Gpu(0, "NVIDIA A10", None, None, None, None, ())


def test_without_a_driver_there_is_none(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _driver(init=None))
    assert machine(workspace).gpus == ()
