"""Reads a learning-rate range test: where the loss falls, and where it blows up.

The test is Leslie Smith's (Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3), with rates
that rise by a constant factor, as is usual since. The suggestion is the middle of the fall, as in the "valley" rule of
fastai's finder (Howard and Gugger 2020): the slope of a long fall is nearly the same everywhere, so that noise alone
would say where it is steepest. Here the fall goes from the rate at which a tenth of it is done to that of nine tenths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 120
BLOWN_UP = 4.0  # times the lowest smoothed loss, or its start where that is higher
CLEAR_FALL = 0.05  # of the first loss; less is noise
_WINDOW = 11


@dataclass(frozen=True)
class Reading:
    """What a range test says; see `core.runs.lr_search.LrCurve`."""

    rates: list[float]
    losses: list[float]
    suggestion: float | None
    diverges_at: float | None
    note: str


def rates(steps: int = STEPS) -> list[float]:
    """The rates to try, from `LOWEST` to `HIGHEST`, each a constant factor above the one before."""
    return np.geomspace(LOWEST, HIGHEST, steps).tolist()


def has_blown_up(losses: list[float]) -> bool:
    """Whether trying higher rates tells nothing more: the loss is no number, or far above all that was before."""
    if not losses:
        return False
    if not math.isfinite(losses[-1]):
        return True
    recent = _smoothed(np.asarray(losses))[-1]
    return len(losses) >= _WINDOW and recent > BLOWN_UP * max(losses[0], 1e-3)


def read(tried: list[float], losses: list[float]) -> Reading:
    """The reading of losses at rising rates; the last loss may be no number.

    Args:
        tried, losses: of the same length, at least 1.
    """
    blown = has_blown_up(losses)
    finite = [loss for loss in losses if math.isfinite(loss)]
    smooth = _smoothed(np.asarray(finite)) if finite else np.zeros(0)
    shown, diverges_at = tried[: len(finite)], tried[len(losses) - 1] if blown else None
    curve = smooth.tolist()
    if len(finite) < _WINDOW:
        return Reading(
            shown, curve, None, diverges_at, "The loss blew up at the very lowest rates: look at the images."
        )
    lowest = int(smooth.argmin())
    if smooth[: lowest + 1].max() - smooth[lowest] < CLEAR_FALL * smooth[0]:
        return Reading(
            shown,
            curve,
            None,
            diverges_at,
            "At no rate does the loss fall clearly within so few steps. Keep the one you have, or try another network.",
        )
    suggestion = _middle_of_fall(np.log10(shown), smooth, lowest)
    note = f"The loss falls best around {suggestion:.1e}"
    note += f" and blows up at {diverges_at:.1e}." if diverges_at else f"; up to {shown[-1]:g} it did not blow up."
    return Reading(shown, curve, suggestion, diverges_at, note)


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """Mean of each loss and its neighbours, up to five on either side; no lag, as it looks both ways."""
    half = _WINDOW // 2
    return np.array([losses[max(0, at - half) : at + half + 1].mean() for at in range(len(losses))])


def _middle_of_fall(log_rates: np.ndarray, smooth: np.ndarray, lowest: int) -> float:
    """The rate half way, on the logarithmic axis, through the fall that ends at the lowest point; two digits."""
    top = int(smooth[: lowest + 1].argmax())
    done = (smooth[top] - smooth[top : lowest + 1]) / (smooth[top] - smooth[lowest])
    # The last place where less is done, not the first where more is: noise at the top is no fall yet.
    first = top + int(np.flatnonzero(done <= 0.1)[-1])
    last = top + int(np.flatnonzero(done >= 0.9)[0])
    return float(f"{10 ** ((log_rates[first] + log_rates[last]) / 2):.1e}")
