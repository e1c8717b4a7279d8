"""The model bundle: weights and everything needed to use them rightly, in files that run no code when opened."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DarkroomError
from core.files import read_json, write_bytes, write_json
from core.preprocess import PreprocessSpec

WEIGHTS, META, ONNX = "model.safetensors", "model.json", "model.onnx"
FAMILIAR = "familiar.safetensors"  # features of images like those it was trained on, see `core.inference.familiar`


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
        temperature: what the logits are divided by before softmax, so that confidences mean what they say; 1 before
            the model was evaluated.
        abstention_threshold: a confidence, 0..1, below which the model is not sure; None where nobody chose one.
        abstention_target: the share of wrong answers, 0..1, that threshold was chosen for; None where it was set by
            hand or there is none.
        energy_threshold: an energy (see `core.inference.familiar`) above which an image is strange; None where not
            known, or where the distance decides.
        distance_threshold: the same of the distance to familiar images; None where not known.
        weights_hash: 32 hexadecimal digits of the weights' bytes (BLAKE2b); empty in bundles of earlier versions.
    """

    folder: Path
    architecture: str
    classes: list[str]
    spec: PreprocessSpec
    summary: dict[str, Any]
    parity: dict[str, Any] | None
    head_units: int = 0
    temperature: float = 1.0
    abstention_threshold: float | None = None
    abstention_target: float | None = None
    energy_threshold: float | None = None
    distance_threshold: float | None = None
    weights_hash: str = ""

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
    saved = save(contiguous)
    write_bytes(folder / WEIGHTS, saved)
    bundle = Bundle(
        folder,
        architecture,
        classes,
        spec,
        summary,
        None,
        head_units,
        weights_hash=hashlib.blake2b(saved, digest_size=16).hexdigest(),
    )
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


def note_trust(folder: Path, **changes: float | None) -> Bundle:
    """Change what the bundle says of its own confidence: the temperature and the thresholds, and nothing else.

    Raises:
        DarkroomError: there is no bundle.
        ValueError: another field, or a value that cannot be; see `Bundle`.
    """
    if unknown := set(changes) - set(_TRUST):
        raise ValueError(f"not about trust: {', '.join(sorted(unknown))}")
    updated = replace(read_bundle(folder), **{name: _TRUST[name](value) for name, value in changes.items()})
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
            weights_hash=str(raw.get("weights_hash", "")),
            **{name: check(raw.get(name, getattr(Bundle, name))) for name, check in _TRUST.items()},
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
            "weights_hash": bundle.weights_hash,
            "classes": bundle.classes,
            "preprocess": bundle.spec.to_dict(),
            "preprocess_hash": bundle.spec.hash,
            **{name: getattr(bundle, name) for name in _TRUST},
            "training": bundle.summary,
            "parity": bundle.parity,
        },
    )


def _temperature(value: Any) -> float:
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise ValueError(f"{value!r} is not a temperature")
    return float(value)


def _share(value: Any) -> float | None:
    if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
        raise ValueError(f"{value!r} is not a share")
    return None if value is None else float(value)


def _number(value: Any) -> float | None:
    if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
        raise ValueError(f"{value!r} is not a number")
    return None if value is None else float(value)


_TRUST: dict[str, Callable[[Any], Any]] = {
    "temperature": _temperature,
    "abstention_threshold": _share,
    "abstention_target": _share,
    "energy_threshold": _number,
    "distance_threshold": _number,
}
