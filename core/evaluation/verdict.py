"""What the comparison of two runs says, in words, and what it does not say."""

from __future__ import annotations

import pandas as pd

from core.evaluation.comparison import Difference
from core.wording import count


def verdict(found: Difference, a: str, b: str) -> str:
    """What the comparison says, in words, and what it does not.

    Args:
        a, b: what the runs are called.
    """
    images = count(found.num_images, "test image")
    if not found.only_a and not found.only_b:
        return (
            f"No difference: {a} and {b} answer the same of these {images} rightly and wrongly (p = 1). Differences "
            f"below about {_points(found.resolution)} would not show in so many images."
        )
    chance = f"95 % interval {points(found.low)} to {points(found.high)}, exact McNemar p {p_in_words(found.p_value)}"
    counted = f"of {images}, {b} alone is right on {count(found.only_b)} and {a} alone on {count(found.only_a)}"
    if found.is_certain:
        better, worse = (b, a) if found.difference > 0 else (a, b)
        ends = sorted(abs(end) for end in (found.low, found.high))
        interval = f"95 % interval {points(ends[0])} to {points(ends[1])}, exact McNemar p {p_in_words(found.p_value)}"
        return f"{better} is better than {worse} by {_points(abs(found.difference))} ({interval}): {counted}."
    said = (
        f"No difference that these {images} could show: {b} is {_signed(found.difference)} against {a} ({chance}). "
        f"{counted[:1].upper()}{counted[1:]}; a true difference below about {_points(found.resolution)} would not show."
    )
    if not found.low <= 0 <= found.high:
        said += " The interval leaves zero out but the exact test does not, so this is not settled: test more images."
    return said


def verdict_of_many(table: pd.DataFrame, reference: str) -> str:
    """The same for several runs against one.

    Args:
        table: of `core.evaluation.comparison.against_one`, at least one row.
        reference: what that run is called.
    """
    better = table[table["certain"] & (table["difference"] > 0)]
    worse = table[table["certain"] & (table["difference"] < 0)]
    rest = table[~table["certain"]]
    said = []
    for rows, words in ((better, "better than"), (worse, "worse than")):
        if len(rows):
            each = ", ".join(f"{row.run} ({_signed(row.difference)})" for row in rows.itertuples())
            said.append(f"{each} {'is' if len(rows) == 1 else 'are'} {words} {reference}.")
    if len(rest):
        named = ", ".join(rest["run"])
        images = count(int(rest["num_images"].min()), "test image")
        said.append(f"No difference from {reference} that {images} could show: {named}.")
    if len(table) > 1:
        said.append(f"The p-values are corrected for {count(len(table), 'comparison')} at once (Holm).")
    return " ".join(said)


def points(share: float) -> str:
    """`0.012` -> `1.2`: a difference of shares in percentage points."""
    return f"{share * 100:.1f}" if round(share * 100, 1) else "0.0"


def _points(share: float) -> str:
    return f"{points(share)} points"


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else ''}{_points(share)}"


def p_in_words(p_value: float) -> str:
    """`= 0.04`, `< 0.001`."""
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.2g}"
