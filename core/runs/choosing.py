"""Which rows of the table of runs are wanted, and in what order: search, filters, sorting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Archived = Literal["hide", "show", "only"]
_LISTS = {"state": "states", "data": "datasets", "network": "architectures", "tag": "tags"}
_TEXT, _ARCHIVED, _FAVOURITES = "find", "archived", "favourites"
PARAMETERS = (_TEXT, *_LISTS, _ARCHIVED, _FAVOURITES)  # what filters are called in an address
_SEARCHED = ("id", "name", "note", "dataset", "architecture", "state", "message")


@dataclass(frozen=True)
class RunFilters:
    """What a run must be to be listed; empty means anything.

    Attributes:
        text: words that must all stand somewhere in its id, name, note, tags, dataset, network, state or message.
        tags: at least one of these; likewise states, datasets and architectures.
        archived: whether runs that were put away are left out, among the others, or alone.
    """

    text: str = ""
    states: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    archived: Archived = "hide"
    favourites: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is left out but what was put away."""
        return self != RunFilters()

    def mask(self, table: pd.DataFrame) -> np.ndarray:
        """Which rows of `run_table` pass, as bool."""
        keep = np.ones(len(table), bool)
        for column, wanted in (
            ("state", self.states),
            ("dataset", self.datasets),
            ("architecture", self.architectures),
        ):
            if wanted:
                keep &= table[column].isin(wanted).to_numpy()
        if self.tags:
            keep &= np.fromiter((not set(self.tags).isdisjoint(tags) for tags in table["tags"]), bool, len(table))
        if self.archived != "show":
            keep &= table["archived"].to_numpy() == (self.archived == "only")
        if self.favourites:
            keep &= table["favourite"].to_numpy()
        if words := self.text.lower().split():
            keep &= np.fromiter((all(word in text for word in words) for text in _haystacks(table)), bool, len(table))
        return keep

    def to_query(self) -> dict[str, str]:
        """The filters as parameters of an address; none for what is not filtered."""
        found = {name: ",".join(getattr(self, field)) for name, field in _LISTS.items()}
        found |= {_TEXT: self.text, _ARCHIVED: "" if self.archived == "hide" else self.archived}
        return {name: text for name, text in (found | {_FAVOURITES: "1" if self.favourites else ""}).items() if text}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> RunFilters:
        """From an address; what does not belong there is left out."""
        lists = {
            field: tuple(dict.fromkeys(part for part in query.get(name, "").split(",") if part))
            for name, field in _LISTS.items()
        }
        archived = query.get(_ARCHIVED, "")
        return cls(
            text=query.get(_TEXT, ""),
            archived=archived if archived in ("show", "only") else "hide",
            favourites=query.get(_FAVOURITES) == "1",
            **lists,
        )


def in_order(table: pd.DataFrame, by: str, falling: bool) -> pd.DataFrame:
    """The rows by a column, with those that have no value last either way, and the newest first among equals."""
    if by not in table or not len(table):
        return table
    values = table[by]
    if by == "tags":
        values = values.map(", ".join)
    numbers = pd.to_numeric(values, errors="coerce") if values.dtype == object else values
    if values.dtype == object and numbers.notna().sum() < values.notna().sum():  # not all are numbers
        values = values.map(lambda value: None if value is None or value == "" else str(value).lower())
    else:
        values = numbers
    first = table.assign(_by=values).sort_values("created", ascending=False, kind="stable")
    return first.sort_values("_by", ascending=not falling, kind="stable", na_position="last").drop(columns="_by")


def _haystacks(table: pd.DataFrame) -> list[str]:
    columns: list[Any] = [table[name].fillna("").astype(str).tolist() for name in _SEARCHED]
    columns.append([" ".join(tags) for tags in table["tags"]])
    return ["\n".join(parts).lower() for parts in zip(*columns, strict=True)]
