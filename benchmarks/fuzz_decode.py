"""Whether damaged files can harm the one way from bytes to an array: `python benchmarks/fuzz_decode.py IMAGES`.

Some images of the folder IMAGES, again in other formats and modes, are changed at random places and read, 10,000 times
in one process. One JSON line: how many were read and refused, whatever else came of it, the slowest, and the memory of
the process after each tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.serving import mutated, varied  # noqa: E402
from core.errors import ImageReadError  # noqa: E402
from core.preprocess import PreprocessSpec, read_pixels  # noqa: E402

SPEC = PreprocessSpec(64, "crop", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
NUM_IMAGES = 60


def main() -> None:
    """Print the measurement; exit status 1 where anything but an array or a refusal came of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    paths = sorted(path for path in options.images.rglob("*") if path.is_file())[:NUM_IMAGES]
    seeds, dice = varied([path.read_bytes() for path in paths]), random.Random(1)
    outcome, memory_mb, slowest_s, process = Counter[str](), [], 0.0, psutil.Process()
    for number in range(options.files):
        data, began = mutated(seeds, dice), time.perf_counter()
        outcome[_read(data)] += 1
        slowest_s = max(slowest_s, time.perf_counter() - began)
        if (number + 1) % (options.files // 10) == 0:
            memory_mb.append(round(process.memory_info().rss / 1e6, 1))
    figures = {"outcome": outcome, "slowest_s": round(slowest_s, 2), "memory_mb": memory_mb}
    print(json.dumps({"measurement": "damaged files", **figures, "load": round(os.getloadavg()[0], 1)}))
    sys.exit(0 if set(outcome) <= {"read", "refused"} else 1)


def _read(data: bytes) -> str:
    try:
        assert read_pixels(data, SPEC).shape == (SPEC.size, SPEC.size, 3)
        return "read"
    except ImageReadError as error:
        return "refused" if error.message else "refused without a word"
    except Exception as error:
        return type(error).__name__


if __name__ == "__main__":
    main()
