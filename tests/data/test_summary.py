"""The tables behind Explore, counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from core.data import summary
from core.errors import InputError

FRAME = pd.DataFrame(
    {
        "path": [f"{n}.png" for n in range(7)],
        "label": ["cat", "dog", "cat", "cat", "owl", "dog", "emu"],
        "split": [None] * 7,
        "width": [100, 100, 101, 180, 100, 0, 0],
        "height": [10, 10, 10, 10, 12, 0, 0],
        "content_hash": ["a", "b", "c", "d", "a", None, "f"],
        "error": [None, None, None, None, None, "Damaged.", "Empty."],
    }
).astype({"split": "str"})


def test_class_counts_and_imbalance() -> None:
    counts = summary.class_counts(FRAME)
    assert counts.to_dict("list") == {"label": ["cat", "dog", "owl", "emu"], "images": [3, 1, 1, 0]}
    assert summary.imbalance_ratio(counts) == float("inf")
    assert summary.imbalance_ratio(counts.head(3)) == 3.0
    assert summary.imbalance_ratio(counts.head(0)) == 1.0


def test_histograms_hold_every_readable_image_once() -> None:
    table = summary.size_histograms(FRAME)
    width, height = (table[table["side"] == side] for side in ("width", "height"))
    assert width["images"].sum() == height["images"].sum() == 5
    # 100 to 180 are 81 pixels: 27 bins of 3
    assert width[["low", "high", "images"]].to_numpy().tolist()[0] == [100, 103, 4]
    assert len(width) == 27 and width["images"].iloc[26] == 1
    assert height[["low", "high", "images"]].to_numpy().tolist() == [[10, 11, 4], [11, 12, 0], [12, 13, 1]]


def test_grid_leaves_empty_cells_out() -> None:
    grid = summary.size_grid(FRAME)
    assert list(grid) == ["width_low", "width_high", "height_low", "height_high", "images"]
    assert sorted(grid.to_numpy().tolist()) == [[100, 104, 10, 11, 3], [100, 104, 12, 13, 1], [180, 184, 10, 11, 1]]


def test_tables_of_nothing_are_empty() -> None:
    nothing = FRAME.head(0)
    assert summary.size_grid(nothing).empty and summary.class_counts(nothing).empty
    assert summary.size_histograms(nothing)["images"].sum() == 0
    page, num_pages = summary.gallery_page(nothing, None, 1, 10)
    assert page.empty and num_pages == 1


def test_gallery_pages() -> None:
    page, num_pages = summary.gallery_page(FRAME, None, 2, 2)
    assert page["path"].tolist() == ["2.png", "3.png"] and num_pages == 3
    page, num_pages = summary.gallery_page(FRAME, "cat", 2, 2)
    assert page["path"].tolist() == ["3.png"] and num_pages == 2
    assert summary.gallery_page(FRAME, "cat", 99, 2)[0]["path"].tolist() == ["3.png"]
    assert summary.gallery_page(FRAME, "cat", -1, 2)[0]["path"].tolist() == ["0.png", "2.png"]


def test_unreadable_and_one_image() -> None:
    assert summary.unreadable(FRAME).to_dict("list") == {"path": ["5.png", "6.png"], "error": ["Damaged.", "Empty."]}
    image = summary.find_image(FRAME, "a")
    assert (image["path"], image["width"], image["split"], image["error"]) == ("0.png", 100, None, None)
    with pytest.raises(InputError):
        summary.find_image(FRAME, "nothing")
