"""A backbone's graph as a function from images to features, by each runtime that can run it; without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import DarkroomError
from core.onnx_runtime import num_cores, open_session

MOST_AT_ONCE = 4  # calls; each has the activations of a whole batch in memory


@dataclass(frozen=True)
class Engine:
    """A backbone that runs.

    Attributes:
        run: float32 (N, 3, H, W) -> float32 (N, num_features).
        at_once: how many calls keep the processor busy, and may be made at the same time.
        runtime: its name in `RUNTIMES`; empty for torch.
    """

    run: Callable[[np.ndarray], np.ndarray]
    at_once: int = 1
    runtime: str = ""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return self.run(inputs)


def _by_openvino(graph: Path, many: bool) -> Engine:
    try:
        import openvino
    except ImportError as error:
        raise DarkroomError("OpenVINO is not installed.", "pip install -r requirements.txt") from error
    # In float32 where a processor would by itself take fewer bits; not pinned to cores that others are at work on.
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": num_cores(),
        "ENABLE_CPU_PINNING": False,
    }
    try:
        compiled = openvino.Core().compile_model(str(graph), "CPU", settings)
    except RuntimeError as error:
        raise DarkroomError(f"OpenVINO cannot open {graph}: {error}", "Delete the file; it is made again.") from error
    return Engine(lambda inputs: np.array(compiled([inputs])[compiled.output(0)]), runtime="OpenVINO")


def _by_onnx_runtime(graph: Path, many: bool) -> Engine:
    # Two calls of one thread each do a sixth more images on two cores than one call after another of two threads,
    # which wait for one another at every layer.
    at_once = min(num_cores(), MOST_AT_ONCE) if many else 1
    session = open_session(graph, max(1, num_cores() // at_once))
    return Engine(lambda inputs: session.run(["features"], {"images": inputs})[0], at_once, "ONNX Runtime")


# Those for CPUs, the usually faster first. Each is opened with a graph of `images` -> `features`, and whether calls
# come at once, up to `Engine.at_once`, or one after another.
RUNTIMES: dict[str, Callable[[Path, bool], Engine]] = {"OpenVINO": _by_openvino, "ONNX Runtime": _by_onnx_runtime}
