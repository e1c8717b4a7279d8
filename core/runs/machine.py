"""How busy the machine is: processor, memory, GPUs by the NVIDIA driver, and the workspace's disk."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psutil

from core.onnx_runtime import num_cores
from core.workspace import Workspace

T = TypeVar("T")
_LEAST_S = 0.5  # a share of the processor over less than this says nothing


@dataclass(frozen=True)
class Gpu:
    """One GPU; None where its driver does not tell.

    Attributes:
        use: share of the last moment in which it computed, 0..1.
        memory_used, memory_total: bytes.
        temperature: degrees Celsius.
        pids: processes that compute on it, as far as this user may know.
    """

    index: int
    name: str
    use: float | None
    memory_used: int | None
    memory_total: int | None
    temperature: int | None
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Machine:
    """What the machine does at present.

    Attributes:
        cpu_use: share of all cores that was busy since the last look, 0..1; None at the first.
        num_cores: cores this process may use.
        memory_used, memory_total: bytes; used is what no program could have any more.
        disk_free, disk_total: bytes, of the disk that the workspace is on.
    """

    cpu_use: float | None
    num_cores: int
    memory_used: int
    memory_total: int
    disk_free: int
    disk_total: int
    gpus: tuple[Gpu, ...]


def machine(workspace: Workspace) -> Machine:
    """Look at it now; takes a few milliseconds."""
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(workspace.runs)
    return Machine(
        _cpu.share(),
        num_cores(),
        memory.total - memory.available,
        memory.total,
        disk.free,
        disk.total,
        tuple(_gpus()),
    )


class _Cpu:
    """The share of busy time between looks, whoever looks; several sessions look at times of their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at, self._times = time.monotonic(), psutil.cpu_times()
        self._last: float | None = None

    def share(self) -> float | None:
        with self._lock:
            if time.monotonic() - self._at < _LEAST_S:
                return self._last
            now = psutil.cpu_times()
            passed = sum(now) - sum(self._times) - (_guest(now) - _guest(self._times))
            idle = _idle(now) - _idle(self._times)
            if passed > 0:
                self._last = min(1.0, max(0.0, 1 - idle / passed))
            self._at, self._times = time.monotonic(), now
            return self._last


def _idle(times: Any) -> float:
    return float(times.idle) + float(getattr(times, "iowait", 0.0))


def _guest(times: Any) -> float:
    """Counted in user time already."""
    return float(getattr(times, "guest", 0.0)) + float(getattr(times, "guest_nice", 0.0))


_cpu = _Cpu()


def _gpus() -> list[Gpu]:
    import pynvml

    found = []
    try:
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            found.append(_gpu(index, pynvml.nvmlDeviceGetHandleByIndex(index)))
    except pynvml.NVMLError:  # no driver, or one that does not answer: what was found stands
        pass
    return found


def _gpu(index: int, handle: Any) -> Gpu:
    import pynvml

    def told(ask: Callable[[], T]) -> T | None:
        with contextlib.suppress(pynvml.NVMLError):  # GPUs differ in what they tell
            return ask()
        return None

    memory = told(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    use = told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return Gpu(
        index,
        str(told(lambda: pynvml.nvmlDeviceGetName(handle)) or f"GPU {index}"),
        None if use is None else use / 100,
        None if memory is None else int(memory.used),
        None if memory is None else int(memory.total),
        told(lambda: int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))),
        tuple(int(one.pid) for one in told(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()),
    )
