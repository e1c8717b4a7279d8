"""Groups of ordinary runs that answer one question: the same settings over several seeds, or with fewer images.

Each run carries the group's tag, `seeds:ID` or `curve:ID`, and the run it was started from is one of the group. All
are tested on the same images.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from core.config import MAX_SEED, TrainConfig
from core.errors import DarkroomError, InputError
from core.jobs import ENDED
from core.runs.about import add_tags
from core.runs.launch import start_run
from core.runs.listing import run_table
from core.runs.store import MANIFEST, Run
from core.workspace import Workspace

Kind = Literal["seeds", "curve"]
TakeShare = Callable[[pd.DataFrame, float, int], pd.DataFrame]  # `core.data.splits.take_share`
SHARES = (0.1, 0.25, 0.5, 1.0)
MOST_STARTED = 40  # runs by one press of a button


@dataclass(frozen=True)
class Series:
    """One group of runs; its tag is what they have in common."""

    kind: Kind
    id: str

    @property
    def tag(self) -> str:
        return f"{self.kind}:{self.id}"

    @classmethod
    def of_tag(cls, tag: str) -> Series | None:
        """The group a tag names; None for any other tag."""
        kind, colon, identity = tag.partition(":")
        return cls(kind, identity) if colon and identity and kind in ("seeds", "curve") else None  # type: ignore


def repeat(workspace: Workspace, run: Run, num_more: int, series: Series | None = None) -> Series:
    """Start `num_more` runs that differ from `run` in their seed alone.

    Args:
        series: the group to add them to; a new one by default.

    Raises:
        InputError: fewer than one, too many, or the run was trained on a part of its images, which the seed draws.
    """
    _require_possible(num_more)
    config, manifest, data = run.config, run.manifest(), run.data()
    _require_all_images(run, config)
    series = _begin("seeds", run, series)
    taken = set(members(run_table(workspace), series)["seed"]) | {config.runtime.seed}
    for seed in _fresh_seeds(config.runtime.seed, taken, num_more):
        start_run(workspace, _with(config, seed=seed), manifest, data, tags=(series.tag,))
    return series


def learning_curve(
    workspace: Workspace,
    run: Run,
    take_share: TakeShare,
    shares: Sequence[float] = SHARES,
    num_repeats: int = 1,
) -> Series:
    """Start the run again with parts of its training images, the smallest part first.

    Args:
        shares: of the training images, more than 0 and at most 1; `run` itself is the first of those with all of them.
        num_repeats: runs of each share; each has another seed, which draws other images too.

    Raises:
        InputError: fewer than two shares, too many runs, or the run itself was trained on a part only.
    """
    wanted = sorted(set(shares))
    if len(wanted) < 2 or not 0 < wanted[0] or wanted[-1] > 1:
        raise InputError("A learning curve needs at least two shares, more than 0 and at most 1.", "Choose others.")
    _require_possible(len(wanted) * num_repeats)
    config, manifest, data = run.config, run.manifest(), run.data()
    _require_all_images(run, config)
    series = _begin("curve", run, None)
    first = config.runtime.seed
    seeds = [first, *_fresh_seeds(first, {first}, num_repeats - 1)]
    for share in wanted:
        for seed in seeds:
            if share == 1 and seed == first:
                continue  # that is the run itself
            part = take_share(manifest, share, seed) if share < 1 else manifest
            left_out = int((manifest["split"] == "train").sum() - (part["split"] == "train").sum())
            about = data | ({"leaks": data["leaks"] | {"num_left_out": left_out}} if data.get("leaks") else {})
            start_run(workspace, _with(config, seed=seed, train_share=share), part, about, tags=(series.tag,))
    return series


def all_series(table: pd.DataFrame, kind: Kind, run_id: str | None = None) -> list[Series]:
    """The groups of a kind that have runs, the one with the newest run first.

    Args:
        table: of `core.runs.listing.run_table`.
        run_id: only those this run belongs to.
    """
    tags = table["tags"] if run_id is None else table.loc[table["id"] == run_id, "tags"]
    found = dict.fromkeys(Series.of_tag(tag) for row in tags for tag in row)
    return [series for series in found if series is not None and series.kind == kind]


def members(table: pd.DataFrame, series: Series) -> pd.DataFrame:
    """The rows of `run_table` that belong to the group, by share of the training images and seed."""
    rows = table[pd.Series([series.tag in tags for tags in table["tags"]], table.index, dtype=bool)]
    rows = rows[rows["runtime.seed"].notna()]
    rows = rows.assign(share=rows["data.train_share"].astype(float), seed=rows["runtime.seed"].astype(int))
    return rows.sort_values(["share", "seed", "created"], ignore_index=True)


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of a group's runs that have been tested."""
    return rows[rows["test_accuracy"].notna() & (rows["num_test"] > 0)].reset_index(drop=True)


def by_share(rows: pd.DataFrame) -> pd.DataFrame:
    """A learning curve's points: share, images, runs, mean and std (n - 1; NaN for one run) of test accuracy, 0..1.

    Args:
        rows: of `measured`, with images: how many each learned from.
    """
    groups = rows.groupby(["share", "images"], as_index=False)["test_accuracy"]
    return groups.agg(runs="size", mean="mean", std="std")


def still_to_come(rows: pd.DataFrame) -> int:
    """How many of a group's runs are waiting or at work."""
    return int((~rows["state"].isin(ENDED)).sum())


def num_training_images(workspace: Workspace, run_id: str) -> int:
    """How many images the run learns from."""
    try:
        split = pd.read_parquet(workspace.run(run_id) / MANIFEST, columns=["split"])["split"]
    except (OSError, ValueError) as error:
        raise DarkroomError(f"The manifest of run {run_id} cannot be read ({error}).") from error
    return int((split == "train").sum())


def _begin(kind: Kind, run: Run, series: Series | None) -> Series:
    """The group, with the run as its member."""
    series = series or Series(kind, secrets.token_hex(3))
    add_tags(run, (series.tag,))
    return series


def _fresh_seeds(start: int, taken: set[int], number: int) -> list[int]:
    """The next numbers after `start` that are not taken."""
    found: list[int] = []
    seed = start
    while len(found) < number:
        seed = (seed + 1) % (MAX_SEED + 1)
        if seed not in taken:
            found.append(seed)
    return found


def _with(config: TrainConfig, **changes: Any) -> TrainConfig:
    """The settings with another seed and share."""
    runtime = config.runtime.model_copy(update={"seed": changes["seed"]})
    data = config.data.model_copy(update={"train_share": changes.get("train_share", config.data.train_share)})
    return config.model_copy(update={"runtime": runtime, "data": data})


def _require_all_images(run: Run, config: TrainConfig) -> None:
    if config.data.train_share < 1:
        raise InputError(
            f"Run {run.id} was itself trained on a part of its images: data.train_share is "
            f"{config.data.train_share:g}.",
            "Choose a run that was trained on all of them.",
        )


def _require_possible(number: int) -> None:
    if not 1 <= number <= MOST_STARTED:
        raise InputError(f"{number} runs at once cannot be started.", f"Ask for 1 to {MOST_STARTED}.")
