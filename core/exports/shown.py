"""A run's exports as a page lists them: one row a format, with words for what there is and plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from core.exports.exported import Exported, export_job, list_exports
from core.exports.format import Format
from core.exports.registry import FORMATS
from core.runs.store import Run
from core.wording import count

LOADED = 1.5  # processes that want a core, for each core: one of them is the measurement itself
State = Literal["ready", "refused", "out of date", "at work", "not made", "not possible here"]


@dataclass(frozen=True)
class Listed:
    """One format as it stands for a run.

    Attributes:
        exported: the last one that was made; None where none was.
        why_not: why it cannot be made on this machine; empty where it can.
    """

    format: Format
    state: State
    exported: Exported | None
    why_not: str


def listed(run: Run) -> list[Listed]:
    """Every format there is, in the order of the registry."""
    made = {one.format.key: one for one in list_exports(run)}
    return [_listed(run, chosen, made.get(key)) for key, chosen in FORMATS.items()]


def _listed(run: Run, chosen: Format, made: Exported | None) -> Listed:
    status, why_not = export_job(chosen.key).progress(run), chosen.available() or ""
    if status is not None and not status.ended:
        state: State = "at work"
    elif made is not None:
        refused = bool(made.parity) and not made.parity["ready"]
        state = "ready" if made.ready else "refused" if refused else "out of date"
    else:
        state = "not possible here" if why_not else "not made"
    return Listed(chosen, state, made, why_not)


def headline(rows: Sequence[Listed]) -> str:
    """What there is, in a sentence."""
    ready = [one.format.name for one in rows if one.state == "ready"]
    refused = [one.format.name for one in rows if one.state == "refused"]
    if not ready and not refused:
        return "Nothing that is ready has been exported from this run."
    told = f"{count(len(ready), 'export')} of this run answer as the trained model does: {', '.join(ready)}."
    if len(ready) == 1:
        told = f"One export of this run answers as the trained model does: {ready[0]}."
    if refused:
        told = (f"{told} " if ready else "") + f"Refused: {', '.join(refused)}."
    return told


def table(rows: Sequence[Listed]) -> pd.DataFrame:
    """The figures side by side, PyTorch's first where they are known.

    Columns: name, state, agreement (%), gap, accuracy (%), change (points), size_mb, latency_ms, images_per_s, p95_ms.
    """
    made = [one for one in rows if one.exported is not None and one.exported.parity]
    found = []
    if made:
        latest = max((one.exported.parity for one in made if one.exported), key=lambda parity: parity["compared"])
        found.append(_row("PyTorch", "as trained", latest["pytorch_size_bytes"], latest["pytorch_speed"]))
        found[0]["accuracy"] = 100 * latest["accuracy_before"]
    for one in rows:
        parity = one.exported.parity if one.exported else {}
        found.append(_row(one.format.name, one.state, parity.get("size_bytes"), parity.get("speed")))
        if parity:
            found[-1] |= {
                "agreement": 100 * parity["agreement"],
                "gap": parity["max_probability_gap"],
                "accuracy": 100 * parity["accuracy_after"],
                "change": 100 * (parity["accuracy_after"] - parity["accuracy_before"]),
            }
    return pd.DataFrame(found)


def was_busy(parity: dict[str, Any]) -> bool:
    """Whether other programs wanted the processor while the speeds were measured."""
    return (parity.get("load") or 0) > LOADED * parity["cores"]


def class_table(parity: dict[str, Any]) -> pd.DataFrame:
    """Of every class: label, images, before and after (accuracy in percent), change (points); the worst first."""
    rows = pd.DataFrame(parity["classes"], columns=["label", "images", "right_before", "right_after"])
    rows = rows[rows["images"] > 0]
    before, after = 100 * rows["right_before"] / rows["images"], 100 * rows["right_after"] / rows["images"]
    made = rows[["label", "images"]].assign(before=before, after=after, change=after - before)
    return made.sort_values(["change", "label"]).reset_index(drop=True)


def _row(name: str, state: str, size_bytes: int | None, speed: dict[str, Any] | None) -> dict[str, Any]:
    single, batch = (speed["single"], speed["batch"]) if speed else ({}, {})
    return {
        "name": name,
        "state": state,
        "agreement": None,
        "gap": None,
        "accuracy": None,
        "change": None,
        "size_mb": None if size_bytes is None else size_bytes / 1e6,
        "latency_ms": single.get("latency_ms_p50"),
        "images_per_s": batch.get("images_per_s"),
        "p95_ms": single.get("latency_ms_p95"),
    }
