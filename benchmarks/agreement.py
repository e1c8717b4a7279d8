"""What the checks find of faults put in on purpose: `python benchmarks/agreement.py FOLDER`, one JSON line a check.

Into a copy of a real set of images go, from a seed: 60 twins (the same picture at JPEG quality 40 to 75, or at 0.5 to
0.9 of its size), 20 copies of the same bytes, and, in place of their originals, 20 pictures blurred with a radius of 3
to 8 pixels, 20 darkened to 5 to 20 %, 20 flat ones, and 15 given a label of another class.

The set itself may hold such faults. It is therefore indexed untouched first, and what a check flags there is told as
`flagged_before`. A picture with another planted fault may have this one too: a flat one of a dark colour is dark; told
as `flagged_otherwise_planted`. `precision` leaves both out, `strict_precision` counts both as wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.config import SplitConfig  # noqa: E402
from core.data.checks import CHECKS  # noqa: E402
from core.data.datasets import index_path  # noqa: E402
from core.data.sources import recognise  # noqa: E402
from core.data.splits import assign_splits  # noqa: E402
from core.workspace import Workspace  # noqa: E402

TWINS, COPIES, BLURRED, DARKENED, FLAT, MISLABELLED = 60, 20, 20, 20, 20, 15
_FIRST_NEW = 10_000_000  # numbers of added files, beyond those of the set


class Planter:
    """Puts faults into a folder of images with one folder a class and keeps account of them."""

    def __init__(self, source: Path, folder: Path, seed: int) -> None:
        recognised = recognise(source)
        self.folder = folder
        self.random = np.random.default_rng(seed)
        self.planted: dict[str, list[str]] = {}  # check -> paths that it should flag
        self.twins: list[tuple[str, str]] = []
        files = recognised.files.assign(target=_targets(recognised.files))
        for row in files.itertuples():
            (folder / row.target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(recognised.root / row.path, folder / row.target)
        self.labels = dict(zip(files["target"], files["label"], strict=True))
        self.untouched = self.random.permutation(files["target"]).tolist()
        self.num_new = 0

    def take(self, number: int) -> list[str]:
        """Images that nothing was done to yet."""
        taken, self.untouched = self.untouched[:number], self.untouched[number:]
        return taken

    def add_twins(self, number: int) -> None:
        for turn, path in enumerate(self.take(number)):
            image = Image.open(self.folder / path).convert("RGB")
            quality = 90
            if turn % 2:
                share = self.random.uniform(0.5, 0.9)
                size = max(1, int(image.width * share)), max(1, int(image.height * share))
                image = image.resize(size, Image.Resampling.LANCZOS)
            else:
                quality = int(self.random.integers(40, 76))
            self._pair("near_duplicate", path, lambda target, i=image, q=quality: i.save(target, "JPEG", quality=q))

    def add_copies(self, number: int) -> None:
        for path in self.take(number):
            self._pair("exact_duplicate", path, lambda target, p=path: shutil.copyfile(self.folder / p, target))

    def replace(self, check: str, number: int, change: Callable[[Image.Image], Image.Image]) -> None:
        for path in self.take(number):
            change(Image.open(self.folder / path).convert("RGB")).save(self.folder / path, "JPEG", quality=92)
            self.planted.setdefault(check, []).append(path)

    def mislabel(self, number: int) -> None:
        classes = sorted(set(self.labels.values()))
        for path in self.take(number):
            others = [label for label in classes if label != self.labels[path]]
            target = f"{_class_folder(classes, others[self.random.integers(len(others))])}/{self._number()}.jpg"
            os.rename(self.folder / path, self.folder / target)
            self.planted.setdefault("label_issue", []).append(target)

    def _pair(self, check: str, path: str, write: Callable[[Path], Any]) -> None:
        target = f"{path.partition('/')[0]}/{self._number()}.jpg"
        write(self.folder / target)
        self.planted.setdefault(check, []).extend([path, target])
        self.twins.append((path, target))

    def _number(self) -> int:
        self.num_new += 1
        return _FIRST_NEW + self.num_new


def main() -> None:
    """Plant, index, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder of real photographs, 300 or more")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-agreement-") as place:
        ws = Workspace(Path(place) / "home")
        folder = Path(place) / "images"
        planter = Planter(options.data, folder, options.seed)
        before = index_path(ws, folder).manifest()
        plant(planter)
        after = index_path(ws, folder).manifest()
        for row in agreement(before, after, planter.planted):
            print(json.dumps(row))
        for row in togetherness(after, planter.twins):
            print(json.dumps(row))


def plant(planter: Planter) -> None:
    """All faults, each in images of their own."""
    random = planter.random
    planter.add_twins(TWINS)
    planter.add_copies(COPIES)
    planter.replace(
        "blurry", BLURRED, lambda image: image.filter(ImageFilter.GaussianBlur(float(random.uniform(3, 8))))
    )
    planter.replace("dark", DARKENED, lambda image: _darkened(image, float(random.uniform(0.05, 0.2))))
    planter.replace("low_information", FLAT, lambda image: _flat(image.size, random))
    planter.mislabel(MISLABELLED)


def agreement(before: pd.DataFrame, after: pd.DataFrame, planted: dict[str, list[str]]) -> list[dict[str, Any]]:
    """One row a check: precision and recall of its flags against what was planted."""
    rows = []
    earlier, now = before.set_index("path"), after.set_index("path")
    for name in [check.name for check in CHECKS] + ["label_issue"]:
        column = f"is_{name}"
        if column not in now:  # found by the analysis, see `python -m core analyse`
            continue
        flagged, wanted = set(now.index[now[column]]), set(planted.get(name, []))
        known = set(earlier.index[earlier[column]]) if column in earlier else set()
        hits = len(flagged & wanted)
        otherwise = flagged & {path for paths in planted.values() for path in paths} - wanted
        new = len(flagged - otherwise - (known - wanted))
        rows.append(
            {
                "check": name,
                "planted": len(wanted),
                "found": hits,
                "recall": round(hits / len(wanted), 3) if wanted else None,
                "flagged": len(flagged),
                "flagged_before": len(known),
                "flagged_otherwise_planted": len(otherwise),
                "precision": round(hits / new, 3) if wanted and new else None,
                "strict_precision": round(hits / len(flagged), 3) if wanted and flagged else None,
            }
        )
    return rows


def togetherness(frame: pd.DataFrame, twins: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """How many planted pairs are in one group, and on one side of a split with grouping on and off."""
    groups = dict(zip(frame["path"], frame["near_group"], strict=True))
    found = sum(0 <= groups[one] == groups[other] for one, other in twins)
    rows: list[dict[str, Any]] = [{"figure": "pairs in one group", "pairs": len(twins), "found": found}]
    for keep in ("near", "exact", "off"):
        divided = assign_splits(frame, SplitConfig(keep_together=keep))
        split = dict(zip(divided["path"], divided["split"], strict=True))
        apart = sum(split[one] != split[other] for one, other in twins)
        rows.append({"figure": "pairs on two sides of the split", "keep_together": keep, "straddling": apart})
    return rows


def _darkened(image: Image.Image, share: float) -> Image.Image:
    return image.point([round(value * share) for value in range(256)] * 3)


def _flat(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """One colour with at most a little noise."""
    pixels = random.integers(0, 256, 3) + random.normal(0, random.uniform(0, 3), (size[1], size[0], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _targets(files: pd.DataFrame) -> list[str]:
    classes = sorted(files["label"].unique())
    return [
        f"{_class_folder(classes, row.label)}/{number:07d}{Path(row.path).suffix.lower()}"
        for number, row in enumerate(files.itertuples())
    ]


def _class_folder(classes: list[str], label: str) -> str:
    return f"class-{classes.index(label):04d}"


if __name__ == "__main__":
    main()
