"""Batches as pictures: what the network is given, turned back into pixels and laid out on a sheet."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from torch import Tensor

from core.preprocess import PreprocessSpec
from core.training.batching.loaders import ImageBatches

GAP = 4  # pixels between pictures
LEAST_SIDE, MOST_SIDE = 64, 192  # of a picture on the sheet, pixels
MOST_SHOWN = 32


def as_pictures(inputs: Tensor, spec: PreprocessSpec) -> np.ndarray:
    """Normalised images float (N, 3, H, W) as uint8 (N, H, W, 3); values outside the range of pixels are cut."""
    planes = inputs.detach().float().cpu().numpy().transpose(0, 2, 3, 1)
    values = planes * np.asarray(spec.std, np.float32) + np.asarray(spec.mean, np.float32)
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def first_batch(batches: ImageBatches, classes: list[str]) -> tuple[np.ndarray, list[str]]:
    """The first training images as the network gets them: uint8 (N, H, W, 3), and what each is to be learned as.

    Of a larger batch the first `MOST_SHOWN`. Mixed labels read like `cat 70 %, dog 30 %`.
    """
    inputs, targets = next(batches.epoch(1, 0, min(batches.batch_size, MOST_SHOWN)))
    return as_pictures(inputs, batches.images.spec), [_in_words(target, classes) for target in targets]


def contact_sheet(pictures: np.ndarray, columns: int) -> bytes:
    """A PNG of pictures uint8 (N, H, W, 3) row by row; tiny ones are enlarged without smoothing, large ones reduced."""
    side = pictures.shape[1]
    shown = min(MOST_SIDE, side * max(1, -(-LEAST_SIDE // side)))
    filtering = Image.Resampling.NEAREST if shown >= side else Image.Resampling.BICUBIC
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGBA", (columns * (shown + GAP) - GAP, rows * (shown + GAP) - GAP), (0, 0, 0, 0))
    for place, picture in enumerate(pictures):
        drawn = Image.fromarray(picture).resize((shown, shown), filtering)
        sheet.paste(drawn, ((place % columns) * (shown + GAP), (place // columns) * (shown + GAP)))
    stream = BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _in_words(target: Tensor, classes: list[str]) -> str:
    if target.ndim == 0:
        return classes[int(target)]
    parts = [(float(share), name) for share, name in zip(target, classes, strict=True) if share > 0.005]
    if len(parts) == 1:
        return parts[0][1]
    return ", ".join(f"{name} {share:.0%}".replace("%", " %") for share, name in sorted(parts, reverse=True))
