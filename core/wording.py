"""Numbers as people read them: percent, counts, durations and sizes, the same on every page and in every report."""

from __future__ import annotations

import math

UNKNOWN = "\N{EN DASH}"  # shown where a figure is missing: never "nan", never a made-up zero

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def percent(share: float | None) -> str:
    """`0.973` -> `97.3 %`."""
    return f"{share * 100:.1f} %" if _known(share) else UNKNOWN


def percent_interval(share: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval, all 0..1: `97.3 % (95.1-98.8)`."""
    if not (_known(low) and _known(high)):
        return percent(share)
    return f"{percent(share)} ({interval(low, high)})"


def interval(low: float | None, high: float | None) -> str:
    """Two shares 0..1 as the ends of an interval in percent: `95.1-98.8`."""
    return f"{low * 100:.1f}-{high * 100:.1f}" if _known(low) and _known(high) else UNKNOWN


def count(number: int | None, noun: str = "", plural: str = "") -> str:
    """`12430` -> `12,430`; with a noun `1 image`, `12,430 images`, and with a plural of its own `2 classes`."""
    figure = f"{number:,}" if _known(number) else UNKNOWN
    if not noun:
        return figure
    return f"{figure} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """`4.2 s`, `2 min 14 s`, `1 h 2 min`, `3 d 4 h`: the two largest units, which is as exact as anyone waits."""
    if not _known(seconds):
        return UNKNOWN
    if round(seconds, 1) < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def bytes_size(num_bytes: float | None) -> str:
    """`1.8e9` -> `1.8 GB`; decimal units, three significant digits."""
    if not _known(num_bytes):
        return UNKNOWN
    if num_bytes < 1000:
        return count(round(num_bytes), "byte")
    amount, unit = num_bytes / 1000, 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:  # 999.5 would round to "1,000 MB"
        amount, unit = amount / 1000, unit + 1
    return f"{significant(amount)} {_UNITS[unit]}"


def significant(number: float | None) -> str:
    """Three significant digits, with thousands marked: `0.0123`, `4.5`, `12,300`."""
    if not _known(number):
        return UNKNOWN
    return f"{float(f'{number:.3g}'):,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"


def _known(number: float | None) -> bool:
    return number is not None and math.isfinite(number)
