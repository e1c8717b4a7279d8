"""From trained weights to what a run leaves: a bundle, its ONNX graph compared with the weights, an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.inference.bundle import Bundle, write_bundle
from core.inference.export import add_onnx
from core.training.models import Network
from core.training.setup import Setup

PARITY_BATCH, MOST_COMPARED = 32, 128  # eager torch is slow on a CPU, and a graph that is wrong is wrong everywhere
Meter = Callable[[int, int], None]


def build_bundle(folder: Path, setup: Setup, network: Network, summary: dict[str, Any]) -> Bundle:
    """Write the network, as it is now, with what it takes to use it."""
    weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    model = setup.config.model
    return write_bundle(
        folder, weights, model.architecture, setup.classes, setup.spec, summary, head_units=model.head_units
    )


def export(
    bundle: Bundle, setup: Setup, backbone_graph: Path | None, meter: Meter, at_most: int = MOST_COMPARED
) -> str:
    """Add the ONNX graph once it agrees with the weights on validation images; gives the outcome in words."""
    parity = add_onnx(bundle, _val_pixels(setup, meter, at_most), backbone_graph).parity or {}
    if not parity.get("agrees"):
        return f"The ONNX graph was withheld: {parity.get('reason')}."
    found = f"{parity['num_images']} validation images, worst gap {parity['worst_gap']:.1e}"
    return f"ONNX agrees with the weights: {found}."


def _val_pixels(setup: Setup, meter: Meter, at_most: int) -> Iterator[np.ndarray]:
    """Validation images in batches, evenly spread over the split where there are many."""
    images = setup.images("val", at_most)
    for start in range(0, len(images), PARITY_BATCH):
        part = range(start, min(start + PARITY_BATCH, len(images)))
        yield np.stack([images.read(index) for index in part])
        meter(part.stop, len(images))
