"""What models said of a batch as one table: to sort and filter, to show page by page, to take away as CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from core.inference.batches import Item

Kind = Literal["answered", "not sure", "strange", "not read", "waiting"]
KINDS: tuple[Kind, ...] = ("answered", "not sure", "strange", "not read", "waiting")
ORDERS = ("Newest first", "Surest first", "Least sure first", "By class", "By name")
_OF_A_MODEL = ("label", "confidence", "kind", "top", "error")


@dataclass(frozen=True)
class Wanted:
    """Which rows of a batch are shown, and in which order.

    Attributes:
        labels: the likeliest class is one of these; empty for any.
        kinds: what became of the image is one of these; empty for any.
        name: part of the file's name, in any case.
        least, most: bounds of the confidence, 0..1; rows without one pass only where both are at their ends.
        differ: only where the two models give different classes.
        order: one of `ORDERS`.
    """

    labels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    name: str = ""
    least: float = 0.0
    most: float = 1.0
    differ: bool = False
    order: str = ORDERS[0]


def answer_table(items: Sequence[Item], said: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """One row an item, in the order they came.

    Args:
        said: of one model; see `core.inference.batches.read_answers`.

    Returns:
        name, path, came, label, confidence, kind (see `KINDS`), top (list of class and probability), error.
    """
    rows = [_row(item, said.get(item.path)) for item in items]
    return pd.DataFrame(rows, columns=["name", "path", "came", *_OF_A_MODEL])


def side_by_side(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Two models' tables of the same items as one; the second's columns end in ` 2`."""
    return first.join(second[list(_OF_A_MODEL)].add_suffix(" 2"))


def select(table: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """The rows that are wanted, in the order that is; what could not be read comes first in every order."""
    passes = table["name"].str.contains(wanted.name, case=False, regex=False)
    if wanted.labels:
        passes &= table["label"].isin(wanted.labels)
    if wanted.kinds:
        passes &= table["kind"].isin(wanted.kinds)
    if (wanted.least, wanted.most) != (0.0, 1.0):
        passes &= table["confidence"].between(wanted.least, wanted.most)
    if wanted.differ and "label 2" in table:
        passes &= (table["label"] != table["label 2"]) & table["label"].notna() & table["label 2"].notna()
    chosen = table[passes]
    if wanted.order == "Newest first":
        chosen = chosen.sort_values("came", ascending=False, kind="stable")
    elif wanted.order in ("Surest first", "Least sure first"):
        chosen = chosen.sort_values("confidence", ascending=wanted.order == "Least sure first", kind="stable")
    elif wanted.order == "By class":
        chosen = chosen.sort_values(["label", "confidence"], ascending=[True, False], kind="stable")
    else:
        chosen = chosen.sort_values("name", key=lambda names: names.str.casefold(), kind="stable")
    return chosen.sort_values("kind", key=lambda kinds: kinds != "not read", kind="stable")


def plain_rows(table: pd.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    """The table as JSON has it: one object an image, with what each model (its id) says under `answers`."""
    found = []
    for row in table.to_dict("records"):
        answers = {}
        for model, suffix in zip(models, ("", " 2"), strict=False):
            answers[model] = {
                "label": _plain(row[f"label{suffix}"]),
                "confidence": _plain(row[f"confidence{suffix}"]),
                "kind": row[f"kind{suffix}"],
                "top": [[label, share] for label, share in row[f"top{suffix}"]],
                "error": _plain(row[f"error{suffix}"]),
            }
        found.append({"name": row["name"], "answers": answers})
    return found


def json_bytes(table: pd.DataFrame, models: Sequence[str]) -> bytes:
    """`plain_rows` as a file."""
    return json.dumps({"models": list(models), "images": plain_rows(table, models)}, ensure_ascii=False).encode()


def csv_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a spreadsheet wants it: the next likely classes in columns of their own."""
    flat = table.drop(columns=[name for name in table if name in ("path", "came") or name.startswith("top")])
    for suffix in ("", " 2"):
        if f"top{suffix}" not in table:
            continue
        most = int(table[f"top{suffix}"].map(len).max()) if len(table) else 0
        for place in range(1, most):
            told = table[f"top{suffix}"].map(lambda top, place=place: top[place] if len(top) > place else (None, None))
            flat[f"class {place + 1}{suffix}"] = told.map(lambda one: one[0])
            flat[f"confidence of class {place + 1}{suffix}"] = told.map(lambda one: one[1])
    return flat


def _row(item: Item, said: dict[str, Any] | None) -> tuple[Any, ...]:
    about = item.name, item.path, item.came
    error = item.error or (said or {}).get("error")
    if error is not None:
        return *about, None, None, "not read", [], error
    if said is None:
        return *about, None, None, "waiting", [], None
    kind: Kind = "strange" if said["familiar"] is False else "answered" if said["sure"] else "not sure"
    return *about, said["label"], said["confidence"], kind, said["top"], None


def _plain(value: Any) -> Any:
    """None for what pandas calls missing."""
    return None if pd.isna(value) else value
