"""Which device training will use, found without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import psutil

from core.onnx_runtime import num_cores


@dataclass(frozen=True)
class Device:
    """What training runs on.

    Attributes:
        name: `NVIDIA A10` or `CPU`.
        memory_bytes: the GPU's memory, or the machine's for a CPU.
        num_cores: CPU cores this process may use.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    memory_bytes: int
    num_cores: int


def training_device() -> Device:
    """The first GPU the NVIDIA driver knows, else the CPU."""
    return _first_gpu() or Device("cpu", "CPU", psutil.virtual_memory().total, num_cores())


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine as the queue knows it.

    Attributes:
        name: `cuda:0` for the first.
        uuid: by which CUDA_VISIBLE_DEVICES can name it in whatever order CUDA counts.
    """

    name: str
    uuid: str


def gpus() -> list[Gpu]:
    """The GPUs that the NVIDIA driver knows and CUDA_VISIBLE_DEVICES leaves; none where the driver is missing."""
    import pynvml

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        uuids = [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    except pynvml.NVMLError:
        return []
    named = [Gpu(f"cuda:{index}", uuid) for index, uuid in enumerate(uuids)]
    if visible is None:
        return named
    wanted = [part.strip() for part in visible.split(",")]
    return [
        gpu for index, gpu in enumerate(named) if any(one == str(index) or _begins(gpu.uuid, one) for one in wanted)
    ]


def _begins(uuid: str, text: str) -> bool:
    """Whether CUDA would take `text` for that GPU: any beginning of its identity, `GPU-` included, will do."""
    return text.startswith("GPU-") and uuid.startswith(text)


def _first_gpu() -> Device | None:
    """The first GPU that CUDA_VISIBLE_DEVICES leaves, or None where the driver is missing or answers with an error."""
    import pynvml

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if visible in ("", "-1"):
        return None
    try:
        pynvml.nvmlInit()
        by_index = visible.isdigit()
        handle = (
            pynvml.nvmlDeviceGetHandleByIndex(int(visible)) if by_index else pynvml.nvmlDeviceGetHandleByUUID(visible)
        )
        name = str(pynvml.nvmlDeviceGetName(handle))
    except pynvml.NVMLError:
        return None
    try:
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError:  # GPUs that share the machine's memory have none of their own to tell
        memory = psutil.virtual_memory().total
    return Device("cuda", name, memory, num_cores())
