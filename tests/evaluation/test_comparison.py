"""Comparing two runs, against tables worked out by hand and against scipy and brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from core.config import SplitConfig
from core.data.manifest import COLUMNS, with_all_columns
from core.evaluation.again_on import seen_by
from core.evaluation.comparison import (
    Difference,
    adjusted_interval,
    compare,
    flips,
    holm,
    mcnemar,
    paired_bootstrap,
    per_class_differences,
    setting_differences,
)
from core.evaluation.same_test import pair_up, why_not_the_same
from core.evaluation.verdict import verdict


def answers(predicted: list[str], labels: list[str] | None = None, names: str = "abcdefghijklmnop") -> pd.DataFrame:
    """What a run said of images a.png, b.png, ..., all of class cat unless said otherwise."""
    labels = labels or ["cat"] * len(predicted)
    paths = [f"{name}.png" for name, _ in zip(names, predicted, strict=False)]
    return pd.DataFrame(
        {
            "path": paths,
            "content_hash": [f"hash of {path}" for path in paths],
            "label": labels,
            "predicted": predicted,
            "confidence": np.linspace(0.5, 0.9, len(predicted)),
        }
    )


def pair(right_in_both: int, only_a: int, only_b: int, neither: int) -> pd.DataFrame:
    """A table of so many images, all of class cat."""
    sizes = [right_in_both, only_a, only_b, neither]
    a = np.repeat(["cat", "cat", "dog", "dog"], sizes)
    b = np.repeat(["cat", "dog", "cat", "dog"], sizes)
    names = [f"{number}.png" for number in range(sum(sizes))]
    shared = {"path": names, "content_hash": names, "label": "cat", "confidence": 0.9}
    return pair_up(pd.DataFrame(shared | {"predicted": a}), pd.DataFrame(shared | {"predicted": b}))


# By hand: 2 P(X <= min) with n tosses of a fair coin.
@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"),
    [
        (0, 0, 1.0),  # nothing differs
        (7, 7, 1.0),  # as even as can be: 2 P(X <= 7 of 14) is above 1
        (1, 0, 1.0),  # 2 * 1/2
        (5, 0, 2 / 32),  # 2 * (1/2)^5 = 0.0625: five to nothing is not yet a difference
        (0, 6, 2 / 64),  # 0.03125: six to nothing is
        (1, 8, 2 * (1 + 9) / 512),  # 0.0390625
        (10, 2, 2 * (1 + 12 + 66) / 4096),  # 0.03857421875
    ],
)
def test_mcnemar_by_hand(only_a: int, only_b: int, p_value: float) -> None:
    assert mcnemar(only_a, only_b) == p_value
    assert mcnemar(only_b, only_a) == p_value


def test_mcnemar_agrees_with_scipys_binomial_test_also_for_thousands() -> None:
    rng = np.random.default_rng(0)
    tables = [tuple(rng.integers(0, top, 2)) for top in (5, 30, 300, 4000) for _ in range(25)]
    for only_a, only_b in [*tables, (2600, 2401)]:
        if only_a + only_b:
            independent = binomtest(int(only_a), int(only_a + only_b), 0.5).pvalue
            assert mcnemar(int(only_a), int(only_b)) == pytest.approx(independent, rel=1e-9, abs=1e-300)


def test_mcnemar_refuses_what_is_no_count() -> None:
    with pytest.raises(ValueError, match="not counts"):
        mcnemar(-1, 3)


def test_the_bootstrap_agrees_with_drawing_images_one_by_one() -> None:
    # 200 images, 30 right in B alone, 12 in A alone: difference 9 points.
    each = np.repeat([1, -1, 0], [30, 12, 158])
    rng = np.random.default_rng(1)
    drawn = rng.choice(each, size=(20_000, 200)).mean(axis=1)
    low, high = paired_bootstrap(12, 30, 200)
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.0051)  # one image is 0.005
    # And with the normal approximation: sd = sqrt(p_a + p_b - d^2) / sqrt(n) = sqrt(0.21 - 0.0081) / 14.142 = 0.03177
    assert (low, high) == pytest.approx((0.09 - 1.96 * 0.03177, 0.09 + 1.96 * 0.03177), abs=0.006)


def test_the_bootstrap_is_the_same_each_time_and_turns_with_the_runs() -> None:
    assert paired_bootstrap(12, 30, 200) == paired_bootstrap(12, 30, 200)
    low, high = paired_bootstrap(30, 12, 200)
    assert (-high, -low) == pytest.approx(paired_bootstrap(12, 30, 200), abs=0.0051)


@pytest.mark.parametrize(("chance_a", "chance_b", "images"), [(0.05, 0.05, 200), (0.04, 0.1, 300), (0.02, 0.05, 1000)])
def test_intervals_hold_the_true_difference_about_95_times_of_100(
    chance_a: float, chance_b: float, images: int
) -> None:
    rng = np.random.default_rng(5)
    counts = rng.multinomial(images, [chance_a, chance_b, 1 - chance_a - chance_b], size=400)
    true = chance_b - chance_a
    drawn = [paired_bootstrap(int(a), int(b), images, seed) for seed, (a, b, _) in enumerate(counts[:150])]
    assert 0.90 <= np.mean([low <= true <= high for low, high in drawn]) <= 0.995
    low, high = adjusted_interval(counts[:, 0], counts[:, 1], images)
    assert 0.93 <= ((low <= true) & (true <= high)).mean() <= 0.99


def test_the_adjusted_interval_by_hand() -> None:
    # 8 images, 0 and 2: shares (1/10, 3/10), difference 0.2, half 1.959964 sqrt((0.4 - 0.04) / 10) = 0.371877
    low, high = adjusted_interval(0, 2, 8)
    assert (float(low), float(high)) == pytest.approx((-0.171877, 0.571877), abs=1e-6)
    low, high = adjusted_interval(0, 0, 4)  # nothing differs, and still the interval has a width
    assert float(high) == -float(low) > 0.2


def test_identical_runs_do_not_differ() -> None:
    found = compare(pair(70, 0, 0, 30))
    assert (found.difference, found.p_value, found.low, found.high) == (0, 1, 0, 0)
    assert not found.is_certain
    said = verdict(found, "A", "B")
    assert said.startswith("No difference") and "p = 1" in said
    # z sqrt(2 / 102 / 102) = 2.7 points: what may hide behind a hundred images of which none differs
    assert "below about 2.7 points would not show" in said


def test_a_real_difference_is_told_with_its_interval_whichever_way_it_goes() -> None:
    found = compare(pair(900, 10, 40, 50))
    assert (found.num_images, found.only_a, found.only_b) == (1000, 10, 40)
    assert (found.accuracy_a, found.accuracy_b, found.difference) == pytest.approx((0.91, 0.94, 0.03))
    assert found.p_value == pytest.approx(binomtest(10, 50, 0.5).pvalue)
    assert verdict(found, "A", "B").startswith("B is better than A by 3.0 points (95 % interval 1.")
    turned = verdict(compare(pair(900, 40, 10, 50)), "A", "B")
    assert turned.startswith("A is better than B by 3.0 points (95 % interval 1.")


def test_what_so_few_images_cannot_show_is_not_called_a_difference() -> None:
    said = verdict(compare(pair(40, 3, 5, 2)), "A", "B")
    assert said.startswith("No difference that these 50 test images could show: B is +4.0 points against A")
    # Five to nothing: the bootstrap leaves zero out, the exact test says 0.0625. Both must agree.
    unsettled = compare(pair(90, 0, 5, 5))
    assert unsettled.low > 0 and unsettled.p_value == 0.0625 and not unsettled.is_certain
    assert "not settled" in verdict(unsettled, "A", "B")


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        compare(pair(0, 0, 0, 0))


def test_flips_are_exactly_the_discordant_images_both_ways() -> None:
    labels = ["cat", "cat", "dog", "dog", "fox", "fox"]
    a = answers(["cat", "dog", "dog", "fox", "cat", "cat"], labels)  # right: a, c
    b = answers(["cat", "cat", "fox", "fox", "dog", "cat"], labels)  # right: a, b
    rows = pair_up(a, b)
    assert flips(rows, "only_b")["path"].tolist() == ["b.png"]
    assert flips(rows, "only_a")["path"].tolist() == ["c.png"]
    assert flips(rows, "neither")["path"].tolist() == ["e.png"]  # d and f: both take them for the same class
    found = compare(rows)
    assert (found.only_a, found.only_b) == (1, 1)


def test_flips_begin_with_what_the_mistaken_run_was_surest_of() -> None:
    a, b = answers(["dog"] * 4), answers(["cat"] * 4)
    a["confidence"] = [0.6, 0.9, 0.7, 0.9]
    assert flips(pair_up(a, b), "only_b")["path"].tolist() == ["b.png", "d.png", "c.png", "a.png"]


def test_classes_by_hand() -> None:
    labels = ["cat"] * 4 + ["dog"] * 2
    a = answers(["cat", "cat", "dog", "dog", "dog", "cat"], labels)
    b = answers(["cat", "cat", "cat", "cat", "cat", "cat"], labels)
    table = per_class_differences(pair_up(a, b)).set_index("label")
    assert table.loc["cat", ["images", "recall_a", "recall_b", "difference", "only_a", "only_b"]].tolist() == [
        4, 0.5, 1.0, 0.5, 0, 2
    ]  # fmt: skip
    assert table.loc["dog", ["recall_a", "recall_b", "difference"]].tolist() == [0.5, 0.0, -0.5]
    low, high = adjusted_interval(0, 2, 4)
    assert (table.loc["cat", "low"], table.loc["cat", "high"]) == (float(low), float(high))
    # cat: 2 * 1/4 = 0.5, the smaller of two, doubled by Holm; dog: 1.
    assert table["p_value"].to_dict() == {"cat": 1.0, "dog": 1.0}


def test_holm_by_hand() -> None:
    # sorted 0.01 0.03 0.04 -> times 3, 2, 1 = 0.03 0.06 0.04, and none below one before it.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_why_two_tests_are_not_the_same() -> None:
    first = answers(["cat"] * 4)
    assert why_not_the_same(first, first.sample(frac=1, random_state=3)) == ""
    fewer = why_not_the_same(first, first.iloc[1:])
    assert "3 of them in both test sets, 1 in the first alone and 0 in the second alone" in fewer
    changed = first.assign(content_hash=["other", *first["content_hash"][1:]])
    assert "1 test image changed between the tests" in why_not_the_same(first, changed)
    relabelled = first.assign(label=["dog", *first["label"][1:]])
    assert "1 test image had another label" in why_not_the_same(first, relabelled)
    assert "neither" in why_not_the_same(first.head(0), first.head(0))


def test_only_settings_that_differ_are_listed() -> None:
    table = setting_differences(
        {
            "A": {"optim.epochs": 3, "model.tune": "all", "optim.learning_rate": 0.1},
            "B": {"optim.epochs": 5, "model.tune": "all", "optim.learning_rate": 0.1},
            "C": {"optim.epochs": 3, "model.tune": "all", "optim.learning_rate": 0.10000001},
        }
    )
    assert table["setting"].tolist() == ["optim.epochs", "optim.learning_rate"]
    assert table[["A", "B", "C"]].iloc[0].tolist() == [3, 5, 3]


def test_images_a_run_has_learned_from_and_their_company_are_known(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "path": ["t.png", "v.png", "copy-of-t.png", "like-v.png", "own-test.png", "left-out.png"],
            "label": ["cat", "cat", "dog", "dog", "cat", "dog"],
            "split": ["train", "val", "test", None, "test", None],
            "content_hash": ["1" * 16, "2" * 16, "1" * 16, "3" * 16, "4" * 16, "5" * 16],
            "near_group": [-1, 0, -1, 0, -1, -1],
            "brightness": 0.5,
            "error": None,
        }
    ).assign(width=8, height=8, num_bytes=1, mtime_ns=0)
    manifest = with_all_columns(frame)[list(COLUMNS)].astype(COLUMNS)
    asked = pd.Series([*frame["content_hash"], "9" * 16])
    assert seen_by(manifest, SplitConfig(), asked).tolist() == [True, True, True, True, False, False, False]
    apart = SplitConfig(keep_together="off")  # what only looks alike may have been tested on; copies never
    assert seen_by(manifest, apart, asked).tolist() == [True, True, True, False, False, False, False]


def test_an_uncertain_difference_is_not_certain_by_one_figure_alone() -> None:
    figures = {"num_images": 100, "only_a": 1, "only_b": 9, "accuracy_a": 0.8, "accuracy_b": 0.88, "resolution": 0.05}
    assert Difference(low=0.01, high=0.15, p_value=0.02, **figures).is_certain
    assert not Difference(low=0.01, high=0.15, p_value=0.06, **figures).is_certain
    assert not Difference(low=-0.01, high=0.15, p_value=0.02, **figures).is_certain
