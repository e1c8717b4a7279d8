"""Numbers read as /shared/look.md asks."""

from __future__ import annotations

import math

import pytest

from core.wording import UNKNOWN, bytes_size, count, duration, percent, percent_interval, significant


@pytest.mark.parametrize(("share", "words"), [(0.973, "97.3 %"), (1, "100.0 %"), (0, "0.0 %"), (0.50249, "50.2 %")])
def test_percent_has_one_decimal(share: float, words: str) -> None:
    assert percent(share) == words


def test_percent_interval_is_the_headline_form() -> None:
    assert percent_interval(0.973, 0.951, 0.988) == "97.3 % (95.1-98.8)"
    assert percent_interval(0.973, None, None) == "97.3 %"


def test_count_marks_thousands_and_agrees_with_its_noun() -> None:
    assert count(12430) == "12,430"
    assert [count(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (134, "2 min 14 s"),
        (3599.6, "1 h 0 min"),
        (3725, "1 h 2 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_duration_uses_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (999_600, "1 MB"),
        (12_340_000, "12.3 MB"),
        (1.8e9, "1.8 GB"),
        (5e18, "5,000 PB"),
    ],
)
def test_bytes_size_is_decimal_with_three_digits(num_bytes: float, words: str) -> None:
    assert bytes_size(num_bytes) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0.012345, "0.0123"), (4.5, "4.5"), (12_345, "12,300"), (999.7, "1,000"), (0, "0")]
)
def test_significant_keeps_three_digits(number: float, words: str) -> None:
    assert significant(number) == words


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_a_missing_figure_is_a_dash_everywhere(missing: float | None) -> None:
    for form in (percent, count, duration, bytes_size, significant):
        assert form(missing) == UNKNOWN
