"""Many image files through a classifier: the next ones are decoded while the network works on these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from core.errors import ImageReadError
from core.inference.classifier import Answer, Classifier
from core.onnx_runtime import num_cores
from core.preprocess import read_pixels

CHUNK = 16  # images given to the network at once


def classify_files(classifier: Classifier, files: Sequence[Path], names: Sequence[str]) -> Iterator[list[Answer]]:
    """Answers for all files in their order, up to `CHUNK` at a time; one that cannot be read gets one that says so.

    Args:
        names: what each answer is to be called.
    """

    def read(file: Path) -> np.ndarray | ImageReadError:
        try:
            return read_pixels(file, classifier.spec)
        except ImageReadError as error:
            return error

    with ThreadPoolExecutor(num_cores(), "decode") as pool:
        coming = [pool.submit(read, file) for file in files[:CHUNK]]
        for start in range(0, len(files), CHUNK):
            here = [one.result() for one in coming]
            coming = [pool.submit(read, file) for file in files[start + CHUNK : start + 2 * CHUNK]]
            yield _answers(classifier, here, names[start : start + CHUNK])


def _answers(classifier: Classifier, read: Sequence[np.ndarray | ImageReadError], names: Sequence[str]) -> list[Answer]:
    pixels = [one for one in read if isinstance(one, np.ndarray)]
    right = [name for name, one in zip(names, read, strict=True) if isinstance(one, np.ndarray)]
    answers = iter(classifier.answers(np.stack(pixels), right) if pixels else [])
    return [
        next(answers) if isinstance(one, np.ndarray) else Answer(name, None, None, [], str(one))
        for name, one in zip(names, read, strict=True)
    ]
