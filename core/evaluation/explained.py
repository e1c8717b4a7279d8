"""Maps of where a run's model looks, as pages ask for them and read them back, each with what the checks say of it.

They are made by the job `core.evaluation.saliency_job`; nothing here needs torch.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from core.errors import InputError
from core.evaluation.predictions import read_predictions
from core.evaluation.saliency_checks import Scores, enlarge
from core.evaluation.side_jobs import SideJob
from core.runs.store import Run

SALIENCY = SideJob("saliency", "core.evaluation.saliency_job", "Making the maps")
PICTURES = "saliency"  # in the run's folder
SIZES = (12, 24, 48)  # images on offer
MIXED, WRONG, ANY = "Mistakes and others", "Mistakes", "Any"
WHICH = (MIXED, WRONG, ANY)
WINDOWS = "hiding and showing windows"  # how `way` begins for networks whose layers say too little of places
_SMALLEST = 128  # pixels a side of a picture; smaller images are enlarged without smoothing
_STRONGEST = 0.75  # opacity where a map is 1
# From weak to strong: dark blue, purple, orange, pale yellow; told apart by brightness alone.
_HEAT = np.array([[10, 20, 80], [120, 30, 120], [225, 95, 40], [255, 240, 150]], float)


@dataclass(frozen=True)
class Explained:
    """One image and its map.

    Attributes:
        path, label, predicted, confidence: as in the predictions; the map is of the predicted class.
        picture: name of a JPEG in the run's folder `PICTURES`, the image as the network saw it under its map.
        fault: why this map cannot be believed, as a sentence; empty where it passed.
        scores: see there.
    """

    path: str
    label: str
    predicted: str
    confidence: float
    picture: str
    fault: str
    scores: Scores


@dataclass(frozen=True)
class Explanation:
    """The maps of a run.

    Attributes:
        fault: why none of them can be believed, as a sentence; empty where they can.
        way: the layers they are made from, in words.
        tried: gain of each way on the validation images by which the best was chosen.
        gain, low: how much better the maps mark what decides than moved elsewhere, mean over images, and the lower
            end of its 95 % interval.
        likeness: rank correlation with maps of shuffled weights, mean over images.
    """

    fault: str
    way: str
    tried: dict[str, float]
    gain: float
    low: float
    likeness: float
    images: list[Explained]

    def passed(self) -> int:
        """How many of the maps can be believed."""
        return 0 if self.fault else sum(not one.fault for one in self.images)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_explanation(run: Run) -> Explanation | None:
    """What the last job found; None where there is nothing, or the run has another model or Darkroom other checks."""
    kept = SALIENCY.answer(run)
    asked = {field.name for field in fields(Scores)}
    if kept is None or any(set(raw["scores"]) != asked for raw in kept["images"]):
        return None
    images = [Explained(**{**raw, "scores": Scores(**raw["scores"])}) for raw in kept["images"]]
    known = {field.name for field in fields(Explanation)} - {"images"}
    return Explanation(images=images, **{name: kept[name] for name in known})


def images_to_explain(run: Run, which: str, at_most: int) -> pd.DataFrame:
    """Test images to make maps of: path, label, predicted, confidence.

    Args:
        which: one of `WHICH`. Mistakes come the most confident first; others are spread evenly over the test images.

    Raises:
        InputError: there are none of those.
    """
    answers = read_predictions(run.folder)
    rows = None if answers is None else answers[answers["split"] == "test"]
    if rows is None or rows.empty:
        raise InputError(f"Run {run.id} has no test images that were classified.", "Evaluate it first.")
    is_wrong = rows["label"] != rows["predicted"]
    wrong = rows[is_wrong].sort_values(["confidence", "path"], ascending=[False, True])
    if which == WRONG:
        chosen = wrong.head(at_most)
    elif which == ANY:
        chosen = _spread(rows, at_most)
    else:
        some = wrong.head(at_most // 2)
        chosen = pd.concat([some, _spread(rows[~is_wrong], at_most - len(some))])
    if chosen.empty:
        raise InputError("Not one test image was answered wrongly.", f"Ask for {ANY.lower()} images.")
    return chosen[["path", "label", "predicted", "confidence"]].reset_index(drop=True)


def picture(pixels_HWC: np.ndarray, saliency: np.ndarray, believed: bool) -> Image.Image:
    """The image with its map over it: in colours from blue to yellow, or all in grey where it is not to be believed.

    Args:
        pixels_HWC: uint8, as the network was given it before normalising.
        saliency: (side, side), 0..1.
    """
    size = len(pixels_HWC)
    factor = max(1, -(-_SMALLEST // size))
    image = np.asarray(Image.fromarray(pixels_HWC).resize((size * factor,) * 2, Image.Resampling.NEAREST), float)
    heat = enlarge(saliency, size * factor).clip(0, 1)
    if not believed:
        image = np.broadcast_to(image.mean(axis=2, keepdims=True), image.shape)
        colours = np.repeat(255 * heat[..., None], 3, axis=2)
        opacity = 0.5 * heat[..., None]
    else:
        stops = np.linspace(0, 1, len(_HEAT))
        colours = np.stack([np.interp(heat, stops, channel) for channel in _HEAT.T], axis=-1)
        opacity = _STRONGEST * np.sqrt(heat)[..., None]
    return Image.fromarray((opacity * colours + (1 - opacity) * image).round().clip(0, 255).astype(np.uint8))


def publish_pictures(made: Path, run: Run) -> None:
    """Put finished pictures where `Explained.picture` names them, in place of earlier ones."""
    there = run.folder / PICTURES
    shutil.rmtree(there, ignore_errors=True)
    made.rename(there)


def _spread(rows: pd.DataFrame, at_most: int) -> pd.DataFrame:
    if at_most >= len(rows):
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, at_most).round().astype(int)]
