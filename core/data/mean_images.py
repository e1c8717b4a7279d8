"""The mean image of a class, averaged from the thumbnails of a sample; made when a browser asks, kept by its sample."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from core.data import thumbnails
from core.errors import DarkroomError, ImageReadError, InputError
from core.files import read_json, write_bytes, write_json
from core.workspace import Workspace

SIDE = 64  # pixels
SAMPLE = 200  # images of a class
_making = threading.Lock()  # a page asks for many at once; one after the other leaves the server responsive


def prepare(ws: Workspace, dataset_id: str, content_hashes: Sequence[str]) -> str:
    """Note which images are to be averaged; returns the key that `mean_image` knows them by."""
    key = hashlib.blake2b(" ".join([dataset_id, *sorted(content_hashes)]).encode(), digest_size=12).hexdigest()
    asked = _place(ws, key).with_suffix(".json")
    if not asked.exists():
        asked.parent.mkdir(parents=True, exist_ok=True)
        write_json(asked, {"dataset": dataset_id, "images": list(content_hashes)})
    return key


def url(key: str) -> str:
    """Where the server offers a mean image."""
    return f"/mean/{key}"


def mean_image(ws: Workspace, key: str) -> bytes:
    """The mean of the images noted under `key`, each squeezed to a square of `SIDE` pixels, as PNG.

    Means are of sRGB values as stored. Images whose file is gone are left out.

    Raises:
        InputError: nothing is noted under that key.
        ImageReadError: none of the images can be read.
    """
    kept = _place(ws, key)
    with _making:
        if kept.exists():
            return kept.read_bytes()
        asked = read_json(kept.with_suffix(".json"))
        if asked is None:
            raise InputError("There is no such mean image.", "Open the charts of the dataset again.")
        total, number = np.zeros((SIDE, SIDE, 3)), 0
        for content_hash in asked["images"]:
            try:
                data, _ = thumbnails.thumbnail(ws, asked["dataset"], content_hash, thumbnails.THUMB)
            except DarkroomError:
                continue
            with Image.open(BytesIO(data)) as image:
                image.draft("RGB", (SIDE, SIDE))
                total += np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
            number += 1
        if not number:
            raise ImageReadError("None of the images can be read.", "Index the folder again.")
        stream = BytesIO()
        Image.fromarray((total / number).round().astype(np.uint8)).save(stream, "PNG")
        write_bytes(kept, stream.getvalue())
        return stream.getvalue()


def _place(ws: Workspace, key: str) -> Path:
    if len(key) != 24 or not set(key) <= set("0123456789abcdef"):
        raise InputError("There is no such mean image.", "Open the charts of the dataset again.")
    return ws.cache / "mean-images" / key[:2] / f"{key}.png"
