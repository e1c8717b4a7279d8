"""What the figures about datasets hold, say and report when they are clicked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core import charts_data


def bins_table(*rows: tuple[str | None, float, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["label", "low", "high", "images"])


def test_class_bars_keep_their_order_and_report_their_place() -> None:
    figure = charts_data.class_bars(pd.DataFrame({"label": ["many", "few"], "images": [1500, 2]}), False, "A part")
    (bars,) = figure.data
    assert list(bars.y) == ["many", "few"] and list(bars.x) == [1500, 2]
    assert list(bars.customdata) == [[0], [1]]
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.layout.title.subtitle.text == "A part"


def test_class_names_that_look_like_numbers_stay_names() -> None:
    figure = charts_data.class_bars(pd.DataFrame({"label": ["1", "1.0", "10"], "images": [3, 2, 1]}), False)
    assert figure.layout.yaxis.type == "category" and list(figure.data[0].y) == ["1", "1.0", "10"]


def test_a_logarithmic_axis_says_so_and_bears_a_class_without_images() -> None:
    figure = charts_data.class_bars(pd.DataFrame({"label": ["a", "b"], "images": [1000, 0]}), True)
    assert figure.layout.xaxis.type == "log" and "log scale" in figure.layout.xaxis.title.text
    assert figure.layout.xaxis.range[0] < 0 < 3 < figure.layout.xaxis.range[1]
    assert charts_data.class_bars(pd.DataFrame({"label": [], "images": []}), True).data[0].x.size == 0


def test_histogram_bars_stand_where_their_bins_are_and_report_them() -> None:
    table = bins_table(("cat", 0, 50, 4), ("cat", 50, np.inf, 1), (None, 0, 50, 2), (None, 50, np.inf, 0))
    figure = charts_data.histogram_bars(table, "How wide?", "Width (pixels)", is_bytes=False, shares=False)
    cat, others = figure.data
    assert (cat.name, others.name) == ("cat", "all others") and others.marker.color == charts_data.OTHERS_COLOUR
    assert list(cat.x) == [25, 75] and cat.width == 50 and list(cat.y) == [4, 1]
    assert list(cat.customdata) == [[0.0, 50.0, "0 to under 50"], [50.0, None, "50 and more"]]
    assert figure.layout.barmode == "stack" and figure.layout.xaxis.title.text == "Width (pixels)"


def test_histogram_shares_are_percent_of_each_class() -> None:
    table = bins_table(("cat", 0, 1000, 3), ("cat", 1000, 2000, 1), (None, 0, 1000, 10), (None, 1000, 2000, 10))
    figure = charts_data.histogram_bars(table, "How large?", "File size", is_bytes=True, shares=True)
    assert [list(trace.y) for trace in figure.data] == [[75, 25], [50, 50]]
    assert figure.layout.barmode == "overlay" and figure.layout.yaxis.title.text == "Share of the class (%)"
    assert figure.data[0].customdata[1][2] == "1 kB to under 2 kB"


def test_a_histogram_of_all_classes_together_needs_no_legend() -> None:
    figure = charts_data.histogram_bars(
        bins_table((None, 0, np.inf, 4)), "Wide?", "Width", is_bytes=False, shares=False
    )
    assert len(figure.data) == 1 and figure.layout.showlegend is False


def test_kinds_are_named_by_format_and_mode() -> None:
    table = pd.DataFrame({"format": ["JPEG", "PNG"], "mode": ["RGB", "P"], "images": [9, 1]})
    (bars,) = charts_data.kind_bars(table).data
    assert list(bars.y) == ["JPEG, RGB", "PNG, P"] and list(bars.customdata) == [[0], [1]]


def grid_table(cells: list[tuple[int, int, int]]) -> pd.DataFrame:
    """(width_low, height_low, images) with bins of ten pixels."""
    return pd.DataFrame(
        [(w, w + 10, h, h + 10, n) for w, h, n in cells],
        columns=["width_low", "width_high", "height_low", "height_high", "images"],
    )


def test_size_grid_puts_each_count_in_its_cell_and_leaves_gaps_empty() -> None:
    figure = charts_data.size_grid_map(grid_table([(0, 0, 4), (50, 10, 7)]))
    (cells,) = figure.data
    assert list(cells.x) == [5, 55] and list(cells.width) == [10, 10]  # in the middle of what they cover
    assert list(cells.base) == [0, 10] and list(cells.y) == [10, 10]  # from there so far up
    assert list(cells.marker.color) == [4, 7]
    assert cells.customdata[1] == [1, "50-59 px wide, 10-19 px tall: 7 images"]
    assert figure.layout.xaxis.range == (0, 60) and figure.layout.yaxis.range == (0, 20)


def test_size_grid_colours_a_wide_range_by_the_logarithm_and_says_so() -> None:
    (cells,) = charts_data.size_grid_map(grid_table([(0, 0, 1), (10, 0, 10_000)])).data
    assert list(cells.marker.color) == [0.0, 4.0]
    colorbar = cells.marker.colorbar
    assert colorbar.title.text == "Images (logarithmic)"
    assert list(colorbar.ticktext) == ["1", "10", "100", "1,000", "10,000"]
    assert np.allclose(colorbar.tickvals, [0, 1, 2, 3, 4])


def test_an_empty_size_grid_is_an_empty_figure() -> None:
    assert len(charts_data.size_grid_map(grid_table([])).data) == 0
