"""Filters let through what they say, combine, and survive an address."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.data.filters import PARAMETERS, Filters, Range, order, range_in_words
from core.data.summary import for_pages

FRAME = pd.DataFrame(
    {
        "path": ["cat/Red 1.jpg", "cat/2.png", "dog/3.jpg", "dog/RED.4.jpg", "a,b/5.jpg", "dog/6.jpg", "cat/7.jpg"],
        "label": ["cat", "cat", "dog", "cat", "a,b", "dog", "cat"],
        "source_label": ["cat", "cat", "dog", "dog", "a,b", "dog", "cat"],
        "split": ["train", "test", None, "train", "val", "train", "train"],
        "width": [100, 200, 300, 400, 500, 0, 600],
        "height": [100, 100, 100, 100, 100, 0, 100],
        "num_bytes": [10, 20, 30, 40, 50, 60, 70],
        "mode": ["RGB", "L", "RGB", "RGB", "RGB", None, "RGB"],
        "format": ["JPEG", "PNG", "JPEG", "JPEG", "JPEG", None, "JPEG"],
        "brightness": np.array([0.1, 0.2, 0.3, np.nan, 0.5, np.nan, 0.7], np.float32),
        "is_dark": [True, False, False, False, False, False, True],
        "is_blurry": [False, False, True, False, False, False, False],
        "error": [None, None, None, None, None, "Damaged.", None],
        "excluded": [False, False, False, False, False, False, True],
    }
).astype({name: "str" for name in ("split", "mode", "format", "error")})


@pytest.fixture(params=["as stored", "as pages hold it"])
def frame(request: pytest.FixtureRequest) -> pd.DataFrame:
    return FRAME if request.param == "as stored" else for_pages(FRAME)


CASES = [
    (Filters(), [0, 1, 2, 3, 4]),
    (Filters(classes=("cat",)), [0, 1, 3]),
    (Filters(classes=("a,b", "dog")), [2, 4]),
    (Filters(classes=("nobody",)), []),
    (Filters(splits=("train",)), [0, 3]),
    (Filters(splits=("none",)), [2]),
    (Filters(splits=("none", "val")), [2, 4]),
    (Filters(formats=("PNG",)), [1]),
    (Filters(modes=("RGB",), classes=("cat",)), [0, 3]),
    (Filters(flags=("dark",)), [0]),
    (Filters(flags=("dark", "blurry")), [0, 2]),
    (Filters(flags=("label_issue",)), []),
    (Filters(text="red"), [0, 3]),
    (Filters(text="."), [0, 1, 2, 3, 4]),
    (Filters(edited=True), [3]),
    (Filters(excluded="show"), [0, 1, 2, 3, 4, 6]),
    (Filters(excluded="only"), [6]),
    (Filters(ranges=(Range("width", 200, 400),)), [1, 2]),
    (Filters(ranges=(Range("brightness", None, 0.3),)), [0, 1]),
    (Filters(ranges=(Range("brightness", 0.3, None),)), [2, 4]),
    (Filters(ranges=(Range("aspect", 3, None), Range("num_bytes", None, 50))), [2, 3]),
    (Filters(ranges=(Range("megapixels", 0.03, 0.05),)), [2, 3]),
    (Filters(ranges=(Range("map_x", 0, 1),)), []),
]


@pytest.mark.parametrize(("filters", "rows"), CASES)
def test_a_mask_lets_through_what_the_filters_say(frame: pd.DataFrame, filters: Filters, rows: list[int]) -> None:
    mask = filters.mask(frame)
    assert mask.dtype == bool and np.flatnonzero(mask).tolist() == rows


@pytest.mark.parametrize("filters", [filters for filters, _ in CASES])
def test_filters_survive_an_address(filters: Filters) -> None:
    query = filters.to_query()
    assert set(query) <= set(PARAMETERS) and all(isinstance(value, str) and value for value in query.values())
    assert Filters.from_query(query) == filters
    assert filters.any == bool(query)


def test_names_with_commas_and_percent_signs_survive_an_address() -> None:
    filters = Filters(classes=("a,b", "50%", "%2C", "\u732b"), text="x,y %2C")
    assert Filters.from_query(filters.to_query()) == filters


@pytest.mark.parametrize(
    "query",
    [
        {"width": "wide"},
        {"width": ".."},
        {"width": "5..4"},
        {"width": "nan..3"},
        {"width": "1..inf"},
        {"width": "..1..2"},
        {"flag": "ugly,"},
        {"split": "holdout"},
        {"excluded": "perhaps"},
        {"edited": "1"},
        {"class": ",,"},
        {"unknown": "x", "page": "3", "view": "Map"},
    ],
)
def test_nonsense_in_an_address_filters_nothing(query: dict[str, str]) -> None:
    assert Filters.from_query(query) == Filters()


def test_a_range_takes_the_place_of_the_one_before() -> None:
    filters = Filters().with_range("width", 1, 5).with_range("height", 2, None).with_range("width", None, 9)
    assert filters.within("width") == Range("width", None, 9) and filters.within("height") == Range("height", 2, None)
    assert filters.with_range("width", None, None).within("width") is None


def test_each_filter_can_be_taken_off_alone() -> None:
    filters = Filters(
        classes=("cat", "dog"), splits=("none",), flags=("dark",), text="x", edited=True, excluded="only"
    ).with_range("width", 100, 200)
    said = filters.described()
    assert [words for words, _ in said] == [
        "Class: cat",
        "Class: dog",
        "Split: Not given",
        "Found: Dark",
        "Path has: x",
        "Label was changed",
        "Excluded images only",
        "Width: 100 to under 200 pixels",
    ]
    assert said[0][1].classes == ("dog",) and said[0][1].text == "x"
    for _, rest in said:
        assert len(rest.described()) == len(said) - 1
    assert Filters().described() == []


def test_ranges_in_words() -> None:
    assert range_in_words(Range("width", 24, 25)) == "Width: 24 pixels"
    assert range_in_words(Range("num_bytes", 1e6, None)) == "File size: at least 1 MB"
    assert range_in_words(Range("brightness", None, 0.25)) == "Brightness: under 0.25"


def test_order_keeps_paths_among_equals_and_puts_the_unknown_last(frame: pd.DataFrame) -> None:
    mask = Filters().mask(frame)
    assert order(frame, mask, None).tolist() == [0, 1, 2, 3, 4]
    assert order(frame, mask, None, descending=True).tolist() == [4, 3, 2, 1, 0]
    assert order(frame, mask, "brightness").tolist() == [0, 1, 2, 4, 3]
    assert order(frame, mask, "brightness", descending=True).tolist() == [4, 2, 1, 0, 3]
    assert order(frame, mask, "height", descending=True).tolist() == [0, 1, 2, 3, 4]
    assert order(frame, np.zeros(len(frame), bool), "width").tolist() == []


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "huge", "float64"])
def test_order_is_that_of_a_stable_sort(dtype: str) -> None:
    draw = np.random.default_rng(0)
    values = draw.integers(-5, 5, 500) / (1 if "int" in dtype or dtype == "huge" else 4)
    if dtype == "huge":
        values = values.astype("int64") << 40
    frame = pd.DataFrame({"brightness": values.astype("int64" if dtype == "huge" else dtype)})
    frame["brightness"] *= 1 if "int" in str(frame["brightness"].dtype) else -1  # some are -0.0
    everything = np.ones(len(frame), bool)
    for descending in (False, True):
        expected = frame["brightness"].sort_values(kind="stable", ascending=not descending).index.tolist()
        assert order(frame, everything, "brightness", descending).tolist() == expected
