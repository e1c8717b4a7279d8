"""What was corrected in a run's dataset since the run was started, and the same training again with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.data.splits import Division, divide
from core.errors import InputError
from core.runs.about import MAX_TAG
from core.runs.launch import start_run
from core.runs.store import Run
from core.wording import count
from core.workspace import Workspace

TAG = "fixes:"
_WORDS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Changes:
    """How the images of a run differ from the same dataset later.

    Attributes:
        relabelled, excluded: of the images the run used, how many were since, by the split it used them in.
        lost: used by the run, and gone, replaced or unreadable since.
        new: of use later, and not known to the run or not of use then.
    """

    relabelled: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    new: int = 0

    @property
    def any(self) -> bool:
        """Whether there is any."""
        return bool(self.relabelled or self.excluded or self.lost or self.new)

    def sentence(self) -> str:
        """`3 images relabelled (1 training, 2 test), 1 excluded (1 test), 4 new.`"""
        parts = []
        for word, by_split in (("relabelled", self.relabelled), ("excluded", self.excluded)):
            if by_split:
                where = ", ".join(f"{count(by_split[name])} {_WORDS[name]}" for name in _WORDS if name in by_split)
                parts.append((sum(by_split.values()), f"{word} ({where})"))
        parts += [(number, word) for number, word in ((self.lost, "gone or replaced"), (self.new, "new")) if number]
        if not parts:
            return "Nothing was changed."
        (number, words), *more = parts
        return ", ".join([f"{count(number, 'image')} {words}", *(f"{count(n)} {w}" for n, w in more)]) + "."


def changes_since(then: pd.DataFrame, now: pd.DataFrame) -> Changes:
    """What differs between a run's images and those of its dataset later.

    Args:
        then: the run's manifest, with the split it used.
        now: the dataset's as corrected; both with path, content_hash, label, excluded and error.
    """
    columns = ["path", "content_hash", "label", "excluded", "error"]
    old = then[[*columns, "split"]].drop_duplicates("path")
    both = old.merge(now[columns].drop_duplicates("path"), on="path", how="outer", suffixes=("_then", "_now"))
    then_of_use, now_of_use = (_of_use(both, side) for side in ("then", "now"))
    used = then_of_use & both["split"].notna().to_numpy()
    there = both["error_now"].isna().to_numpy() & _equal(both, "content_hash")
    excluded = used & there & both["excluded_now"].eq(True).to_numpy()
    relabelled = used & there & ~excluded & ~_equal(both, "label")
    known = then_of_use & _equal(both, "content_hash")
    return Changes(
        _by_split(both["split"][relabelled]),
        _by_split(both["split"][excluded]),
        lost=int((used & ~there).sum()),
        new=int((now_of_use & ~known).sum()),
    )


def corrected(workspace: Workspace, run: Run) -> Division:
    """The run's dataset as it is now, each image in the split it had in the run, so that the test stays the same.

    Images the run did not know are training images, unless their source says otherwise.

    Raises:
        InputError: the dataset is gone, cannot be divided so any more, or not one of the run's test images is left.
    """
    then = run.manifest()
    division = divide(workspace, run.config, like=then)
    tested = then.loc[then["split"] == "test", "content_hash"]
    left = division.manifest.loc[division.manifest["split"] == "test", "content_hash"]
    if len(tested) and not left.isin(tested).any():
        raise InputError(
            f"Not one test image of run {run.id} is left, so nothing could be compared with it.",
            "Restore some, or start an ordinary run.",
        )
    return division


def retrain(workspace: Workspace, run: Run) -> Run:
    """Start the run's training again, same settings, on its dataset as it is now; see `corrected`, also for errors."""
    division = corrected(workspace, run)
    return start_run(workspace, run.config, division.manifest, division.about(), tags=(tag_of(run),))


def tag_of(run: Run) -> str:
    """What runs started by `retrain` are tagged with: `fixes:` and the run's id, the middle left out if too long."""
    room = MAX_TAG - len(TAG)
    if len(run.id) <= room:
        return TAG + run.id
    start = len("20260102-030405")  # the time it was started; the end of an id is what no other of that second has
    return f"{TAG}{run.id[:start]}..{run.id[start + 2 - room :]}"


def _of_use(both: pd.DataFrame, side: str) -> np.ndarray:
    """Which images were there, could be read and were not excluded."""
    there = both[f"content_hash_{side}"].notna() & both[f"error_{side}"].isna()
    return (there & ~both[f"excluded_{side}"].eq(True)).to_numpy()


def _equal(both: pd.DataFrame, column: str) -> np.ndarray:
    return (both[f"{column}_then"].astype("str") == both[f"{column}_now"].astype("str")).to_numpy()


def _by_split(splits: pd.Series) -> dict[str, int]:
    return {str(name): int(number) for name, number in splits.astype("str").value_counts().items()}
