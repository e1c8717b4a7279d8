"""The tables behind Explore, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from core.data import summary
from core.data.filters import Filters
from core.errors import InputError

FRAME = pd.DataFrame(
    {
        "path": [f"{n}.png" for n in range(7)],
        "label": ["cat", "dog", "cat", "cat", "owl", "dog", "emu"],
        "split": [None] * 7,
        "width": [100, 100, 101, 180, 100, 0, 0],
        "height": [10, 10, 10, 10, 12, 0, 0],
        "mode": ["RGB", "RGB", "L", "RGB", "RGB", None, None],
        "format": ["PNG", "PNG", "PNG", "JPEG", "PNG", None, None],
        "content_hash": ["a", "b", "c", "d", "a", None, "f"],
        "perceptual_hash": ["0"] * 7,
        "brightness": [0.0, 0.1, 0.125, 1.0, np.nan, np.nan, np.nan],
        "error": [None, None, None, None, None, "Damaged.", "Empty."],
        "excluded": False,
    }
).astype({name: "str" for name in ("split", "mode", "format", "content_hash", "error")})
GOOD = np.array([True] * 5 + [False] * 2)


def test_class_counts_and_imbalance() -> None:
    counts = summary.class_counts(FRAME)
    assert counts.to_dict("list") == {"label": ["cat", "dog", "owl", "emu"], "images": [3, 1, 1, 0]}
    assert summary.imbalance_ratio(counts) == float("inf")
    assert summary.imbalance_ratio(counts.head(3)) == 3.0
    assert summary.imbalance_ratio(counts.head(0)) == 1.0
    masked = summary.class_counts(FRAME, GOOD & (FRAME["width"] > 100).to_numpy())
    assert masked.to_dict("list") == {"label": ["cat", "dog", "emu", "owl"], "images": [2, 0, 0, 0]}


def test_counts_are_the_same_from_what_pages_hold() -> None:
    slim = summary.for_pages(FRAME)
    assert "perceptual_hash" not in slim and isinstance(slim["label"].dtype, pd.CategoricalDtype)
    assert summary.class_counts(slim).equals(summary.class_counts(FRAME))
    assert summary.kinds(slim, GOOD).equals(summary.kinds(FRAME, GOOD))


def test_histograms_hold_every_readable_image_once() -> None:
    table = summary.histogram(FRAME, GOOD, "width", ["cat", summary.OTHERS], num_bins=40)
    assert table["images"].sum() == 5
    cat, others = (table[table["label"].isna() == rest] for rest in (False, True))
    assert cat["low"].tolist() == others["low"].tolist() and len(cat) == 41
    # 100 to 180 in 40 steps: 2 pixels each; the last bin begins at 180 and is open.
    assert cat.iloc[0][["low", "high", "images"]].tolist() == [100, 102, 2]
    assert cat.iloc[-1][["low", "high", "images"]].tolist() == [180, math.inf, 1]
    assert others["images"].iloc[0] == 2


@pytest.mark.parametrize("column", ["width", "height", "aspect", "megapixels", "brightness"])
def test_a_bin_holds_what_its_range_lets_through(column: str) -> None:
    table = summary.histogram(FRAME, GOOD, column, [summary.OTHERS])
    for row in table.itertuples():
        chosen = Filters().with_range(column, row.low, None if math.isinf(row.high) else row.high)
        again = Filters.from_query(chosen.to_query())  # as it comes back out of an address
        assert int(again.mask(FRAME).sum()) == row.images, row


def test_bins_agree_with_comparisons_wherever_the_values_lie() -> None:
    draw = np.random.default_rng(0)
    for scale, shift in ((1, 0), (1e-3, 5), (40, 1000), (1e6, 1e7)):
        values = (np.round(draw.random(3000), 3) * scale + shift).astype(np.float32)
        frame = pd.DataFrame(
            {"label": ["a"] * 3000, "brightness": values, "error": pd.Series([None] * 3000, dtype="str")}
        )
        table = summary.histogram(frame, np.ones(3000, bool), "brightness", [summary.OTHERS])
        assert table["images"].sum() == 3000
        for row in table.itertuples():
            inside = (values >= np.float32(row.low)) & (values < np.float32(row.high))
            assert inside.sum() == row.images


def test_a_far_tail_does_not_flatten_a_histogram() -> None:
    values = np.append(np.linspace(0, 1, 1000), 500.0)
    edges = summary.bin_edges(values, 40, whole=False)
    assert edges[0] == 0 and 1 <= edges[-1] <= 1.05 and len(edges) <= 43


def test_edges_are_round() -> None:
    assert summary.bin_edges(np.array([0.0, 0.97]), 40, whole=False)[:4].tolist() == [0, 0.025, 0.05, 0.075]
    assert summary.bin_edges(np.array([7, 7]), 40, whole=True).tolist() == [7, 8]
    assert summary.bin_edges(np.array([3, 9]), 40, whole=True).tolist() == [3, 4, 5, 6, 7, 8, 9, 10]
    assert len(summary.bin_edges(np.array([0.5, 0.5]), 40, whole=False)) >= 2
    assert len(summary.bin_edges(np.array([0.0, 0.0]), 40, whole=False)) >= 2


def test_what_is_not_known_of_any_image_has_no_histogram() -> None:
    assert summary.histogram(FRAME, np.arange(7) == 4, "brightness", ["cat"]).empty


def test_kinds_most_first() -> None:
    assert summary.kinds(FRAME, GOOD).to_dict("list") == {
        "format": ["PNG", "JPEG", "PNG"],
        "mode": ["RGB", "RGB", "L"],
        "images": [3, 1, 1],
    }
    assert summary.kinds(FRAME, ~GOOD).empty


def test_grid_leaves_empty_cells_out() -> None:
    grid = summary.size_grid(FRAME, GOOD)
    assert list(grid) == ["width_low", "width_high", "height_low", "height_high", "images"]
    assert sorted(grid.to_numpy().tolist()) == [[100, 104, 10, 11, 3], [100, 104, 12, 13, 1], [180, 184, 10, 11, 1]]


def test_channel_statistics_are_those_of_all_pixels() -> None:
    pixels = np.random.default_rng(0).random((3, 50, 3))  # images, pixels, channels
    columns = {
        f"{kind}_{c}": getattr(pixels, kind)(axis=1)[:, i] for i, c in enumerate("rgb") for kind in ("mean", "std")
    }
    table = summary.channel_statistics(pd.DataFrame(columns), np.ones(3, bool))
    assert table["channel"].tolist() == ["red", "green", "blue"]
    assert np.allclose(table["mean"], pixels.mean(axis=(0, 1))) and np.allclose(table["std"], pixels.std(axis=(0, 1)))
    assert summary.channel_statistics(pd.DataFrame(columns), np.zeros(3, bool)).empty


def test_a_sample_is_of_the_class_and_always_the_same() -> None:
    assert summary.sample_of_class(FRAME, GOOD, "cat", 9) == ["a", "c", "d"]
    two = summary.sample_of_class(FRAME, GOOD, "cat", 2)
    assert len(two) == 2 and set(two) < {"a", "c", "d"} and two == summary.sample_of_class(FRAME, GOOD, "cat", 2)


def test_tables_of_nothing_are_empty() -> None:
    nothing, none = FRAME.head(0), np.zeros(0, bool)
    assert summary.size_grid(nothing, none).empty and summary.class_counts(nothing).empty
    assert summary.histogram(nothing, none, "width", [summary.OTHERS]).empty and summary.kinds(nothing, none).empty


def test_unreadable_and_one_image() -> None:
    assert summary.unreadable(FRAME).to_dict("list") == {"path": ["5.png", "6.png"], "error": ["Damaged.", "Empty."]}
    image = summary.find_image(FRAME, "a")
    assert (image["path"], image["width"], image["split"], image["error"]) == ("0.png", 100, None, None)
    assert summary.find_image(FRAME, "4.png")["content_hash"] == "a" and summary.find_image(FRAME, "4.png").name == 4
    with pytest.raises(InputError):
        summary.find_image(FRAME, "nothing")
