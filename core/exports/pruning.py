"""Smaller networks from a trained one: runs that begin with a part of it taken out, and what that cost and gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.config import ModelConfig, TrainConfig, parse_config
from core.errors import DarkroomError, InputError
from core.files import read_json, write_json
from core.inference.bundle import read_bundle
from core.inference.classifier import onnx_forward
from core.inference.speed import measure_both
from core.runs.about import read_about
from core.runs.launch import start_run
from core.runs.store import Run, list_runs
from core.workspace import Workspace

TAG = "pruned"
EPOCHS, LEARNING_RATE, LARGEST_BATCH = 5, 1e-3, 64
SHARES = (0.3, 0.5, 0.7, 0.8, 0.9)  # offered
SPEEDS = "pruned.json"
_SECONDS, _TURNS = 0.2, 3


def start_pruned(workspace: Workspace, run: Run, share: float, by: str = "channels", epochs: int = EPOCHS) -> Run:
    """Start a run that takes a share out of a trained network and lets the rest learn on, every layer of it.

    It has the same images in the same splits, so that the two can be compared, and the tag `pruned:<run>`.

    Args:
        share: above 0, up to what `model.prune` allows.
        by: see `model.prune_by`.

    Raises:
        InputError: a value that is not allowed, or the run was pruned itself.
        DarkroomError: the run has no model yet.
    """
    config = pruned_config(run, share, by, epochs)
    return start_run(workspace, config, run.manifest(), run.data(), tags=[f"{TAG}:{run.id}"])


def pruned_config(run: Run, share: float, by: str, epochs: int) -> TrainConfig:
    """The settings of such a run: the run's own, but for what pruning needs; see `start_pruned`."""
    bundle = read_bundle(run.bundle)
    if bundle.summary.get("pruned"):
        origin = run.config.model.weights_from
        raise InputError(f"Run {run.id} is pruned already.", f"Prune {origin} by a larger share instead.")
    if share <= 0:
        raise InputError("A share of 0 leaves the network as it is.", "Choose one above 0, such as 0.5.")
    raw = run.config.model_dump()
    raw["model"] |= {"weights": "run", "weights_from": run.id, "tune": "all", "prune": share, "prune_by": by}
    raw["optim"] |= {"optimizer": "adamw", "learning_rate": LEARNING_RATE, "epochs": epochs}
    raw["optim"]["batch_size"] = max(2, min(raw["optim"]["batch_size"], LARGEST_BATCH))
    raw["schedule"] = {"kind": "cosine"}
    raw["augment"]["views"] = 0  # for a head alone
    return parse_config(raw)


def largest_share() -> float:
    """What `model.prune` allows at most."""
    return next(float(rule.le) for rule in ModelConfig.model_fields["prune"].metadata if hasattr(rule, "le"))


def note_speed(run: Run) -> None:
    """Measure a pruned run's network beside the one it came from, and keep that in the run's folder.

    Both by ONNX Runtime, in turns, of which the best counts: what else the machine does must not look like a gain.
    Nothing is kept where one has no graph, or where the network did not come from a run.
    """
    config = run.config
    if config.model.weights != "run":
        return
    try:
        before = read_bundle(Workspace.default().run(config.model.weights_from) / "bundle")
    except DarkroomError:  # deleted meanwhile
        return
    after = read_bundle(run.bundle)
    if before.onnx is None or after.onnx is None:
        return
    images = np.zeros((1, 3, after.spec.size, after.spec.size), np.float32)
    both = [onnx_forward(graph) for graph in (before.onnx, after.onnx)]
    turns = [[measure_both(forward, images, seconds=_SECONDS) for forward in both] for _ in range(_TURNS)]
    write_json(
        run.folder / SPEEDS,
        {
            "of": config.model.weights_from,
            "size_bytes": [before.onnx.stat().st_size, after.onnx.stat().st_size],
            "latency_ms_p50": [min(turn[which][0].latency_ms_p50 for turn in turns) for which in (0, 1)],
            "images_per_s": [max(turn[which][1].images_per_s for turn in turns) for which in (0, 1)],
        },
    )


@dataclass(frozen=True)
class PrunedRun:
    """A pruned run beside the one it came from; pairs are before and after, None where not known yet.

    Attributes:
        share, by: see `model.prune` and `model.prune_by`.
        multiplications: of one image, zeros counted.
        images_per_s: by ONNX Runtime in batches of 32.
    """

    run: Run
    share: float
    by: str
    state: str
    accuracy: tuple[float | None, float | None]
    parameters: tuple[int, int] | None
    multiplications: tuple[int, int] | None
    size_bytes: tuple[int, int] | None
    latency_ms: tuple[float, float] | None
    images_per_s: tuple[float, float] | None

    def sentence(self) -> str:
        """What was gained, also where that is nothing; empty before it is known."""
        if self.images_per_s is None or self.size_bytes is None:
            return ""
        faster = self.images_per_s[1] / self.images_per_s[0]
        smaller = self.size_bytes[0] / self.size_bytes[1]
        size = f"{smaller:.1f} times smaller" if smaller >= _NOTABLE else "no smaller as a file"
        if faster >= _NOTABLE:
            speed = f"{faster:.1f} times as fast"
        else:
            speed = "no faster" if faster > 1 / _NOTABLE else f"slower ({faster:.2f} times as fast)"
        return f"{size[0].upper()}{size[1:]}, {speed}{self._accuracy_words()}."

    def _accuracy_words(self) -> str:
        before, after = self.accuracy
        return "" if before is None or after is None else f", test accuracy {100 * (after - before):+.1f} points"


_NOTABLE = 1.1  # times: less is within what two measurements differ by


def pruned_runs(workspace: Workspace, run: Run) -> list[PrunedRun]:
    """The runs that were pruned from this one, newest first."""
    return [_beside(one, run) for one in list_runs(workspace) if f"{TAG}:{run.id}" in read_about(one).tags]


def pruned_table(found: Sequence[PrunedRun]) -> pd.DataFrame:
    """One row a run: run, share and left (percent), by, state, accuracy (percent), change (points), smaller, faster."""
    return pd.DataFrame(
        {
            "run": [one.run.id for one in found],
            "share": [100 * one.share for one in found],
            "by": [one.by for one in found],
            "state": [one.state for one in found],
            "left": [_percent_left(one.multiplications) for one in found],
            "accuracy": [None if one.accuracy[1] is None else 100 * one.accuracy[1] for one in found],
            "change": [
                None if None in one.accuracy else 100 * (one.accuracy[1] - one.accuracy[0])  # type: ignore[operator]
                for one in found
            ],
            "smaller": [one.size_bytes[0] / one.size_bytes[1] if one.size_bytes else None for one in found],
            "faster": [one.images_per_s[1] / one.images_per_s[0] if one.images_per_s else None for one in found],
        }
    )


def _percent_left(multiplications: tuple[int, int] | None) -> float | None:
    return None if multiplications is None else 100 * multiplications[1] / multiplications[0]


def _beside(pruned: Run, origin: Run) -> PrunedRun:
    about: dict[str, Any] = read_bundle(pruned.bundle).summary.get("pruned", {}) if pruned.has_bundle else {}
    speeds = read_json(pruned.folder / SPEEDS) or {}

    def pair(source: dict[str, Any], name: str) -> Any:
        return tuple(source[name]) if name in source else None

    accuracies = [(one.report() or {}).get("test_accuracy") for one in (origin, pruned)]
    model = pruned.config.model
    return PrunedRun(
        pruned,
        model.prune,
        model.prune_by,
        pruned.status.state,
        (accuracies[0], accuracies[1]),
        pair(about, "parameters"),
        pair(about, "multiplications"),
        pair(speeds, "size_bytes"),
        pair(speeds, "latency_ms_p50"),
        pair(speeds, "images_per_s"),
    )
