"""The model bundle: weights and everything needed to use them rightly, in files that run no code when opened."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DarkroomError
from core.files import read_json, write_bytes, write_json
from core.preprocess import PreprocessSpec

WEIGHTS, META, ONNX = "model.safetensors", "model.json", "model.onnx"


@dataclass(frozen=True)
class Bundle:
    """A trained model as it is shipped.

    Attributes:
        folder: where its files are.
        architecture: the name `core.training.models` builds it by.
        classes: class names in the order of the logits.
        spec: how an image becomes the network's input.
        summary: how it was trained (run, dataset, epoch, accuracy).
        head_units: units of the head's hidden layer; 0 where it is linear.
        parity: how the ONNX graph compared with the weights on the validation images, `agrees` first of all;
            None where it was not compared.
    """

    folder: Path
    architecture: str
    classes: list[str]
    spec: PreprocessSpec
    summary: dict[str, Any]
    parity: dict[str, Any] | None
    head_units: int = 0

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def onnx(self) -> Path | None:
        """The ONNX graph, present only once it agreed with the weights."""
        path = self.folder / ONNX
        return path if path.is_file() else None


def write_bundle(
    folder: Path,
    weights: dict[str, np.ndarray],
    architecture: str,
    classes: list[str],
    spec: PreprocessSpec,
    summary: dict[str, Any],
    head_units: int = 0,
) -> Bundle:
    """Write weights and description into a folder of its own; `publish_bundle` moves it to where it is looked for."""
    from safetensors.numpy import save

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    contiguous = {name: np.asarray(value, order="C") for name, value in weights.items()}
    write_bytes(folder / WEIGHTS, save(contiguous))
    bundle = Bundle(folder, architecture, classes, spec, summary, None, head_units)
    _write_meta(bundle)
    return bundle


def publish_bundle(built: Path, folder: Path) -> None:
    """Move a finished bundle to where readers look for it; until then they see the earlier one, or none."""
    earlier = folder.with_name(f".{folder.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if folder.exists():
        os.rename(folder, earlier)
    os.rename(built, folder)
    shutil.rmtree(earlier, ignore_errors=True)


def record_parity(bundle: Bundle, parity: dict[str, Any]) -> Bundle:
    """Note how the ONNX graph compared with the weights."""
    updated = replace(bundle, parity=parity)
    _write_meta(updated)
    return updated


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's description.

    Raises:
        DarkroomError: there is none, or it was changed by hand so that it no longer fits its own hash.
    """
    raw = read_json(folder / META)
    if raw is None:
        raise DarkroomError(f"There is no model in {folder}.", "Train a run to its end first, or resume a stopped one.")
    try:
        spec = PreprocessSpec.from_dict(raw["preprocess"])
        bundle = Bundle(
            folder,
            str(raw["architecture"]),
            [str(name) for name in raw["classes"]],
            spec,
            raw["training"],
            raw["parity"],
            int(raw.get("head_units", 0)),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DarkroomError(
            f"{folder / META} is not a model description ({error}).", "Restore it or retrain."
        ) from error
    if spec.hash != raw.get("preprocess_hash"):
        raise DarkroomError(
            f"The preprocessing in {folder / META} does not match its hash: it was changed after training.",
            "Restore the file; a model fed otherwise than in training gives wrong answers.",
        )
    return bundle


def _write_meta(bundle: Bundle) -> None:
    write_json(
        bundle.folder / META,
        {
            "architecture": bundle.architecture,
            "head_units": bundle.head_units,
            "classes": bundle.classes,
            "preprocess": bundle.spec.to_dict(),
            "preprocess_hash": bundle.spec.hash,
            "temperature": 1.0,
            "abstention_threshold": None,
            "training": bundle.summary,
            "parity": bundle.parity,
        },
    )
