"""Groups of copies: against a plain search by hand, at size, and where every image is like every other."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.data import duplicates
from core.data.builtin import _read_table
from core.data.duplicates import MOST_ALLOWED, Alike, allowed_distance, exact_groups, find_alike, near_groups
from core.data.quality import measure, sketch


def rows(words: np.ndarray, **columns: object) -> pd.DataFrame:
    """A manifest of images with these hashes, all of other bytes and the same colours."""
    count = len(words)
    hashes = [one.astype("<u8").tobytes().hex() for one in words]
    colours = {name: 0.5 for name in ("mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b")}
    given = {"perceptual_hash": hashes, "content_hash": [f"{n:016x}" for n in range(count)], "width": 10, "height": 10}
    return pd.DataFrame(given | colours | columns)


def random_words(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 4), np.uint64)


def with_bits_changed(words: np.ndarray, number: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    changed = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1)
    for row in changed:
        row[random.choice(256, number, replace=False)] ^= 1
    return np.packbits(changed, axis=1).view(np.uint64)


def test_exact_groups_are_numbered_in_order() -> None:
    assert exact_groups(pd.Series(["b", "a", None, "b", "c", "a", None])).tolist() == [0, 1, -1, 0, -1, 1, -1]
    assert exact_groups(pd.Series([], dtype="str")).tolist() == []


def test_groups_join_what_looks_alike_and_equal_bytes() -> None:
    exact = np.array([-1, 0, 0, -1, 1, 1, -1, -1], np.int32)
    alike = Alike(np.array([0, 0, 2, 2, 4, 5, 6, 7]), np.array([3, 3, 4, 4, -1, -1, -1, -1]), 24)
    assert near_groups(exact, alike).tolist() == [0, 0, 0, 0, 1, 1, -1, -1]


def test_a_long_chain_is_one_group() -> None:
    count = 100_000
    order = np.random.default_rng(0).permutation(count)
    assert not duplicates._joined(np.arange(count), order[:-1], order[1:]).any()


def test_distance_not_equality_and_no_further_than_allowed() -> None:
    base = random_words(40)
    near, far = with_bits_changed(base[:20], MOST_ALLOWED), with_bits_changed(base[20:], MOST_ALLOWED + 1)
    found = find_alike(rows(np.vstack([base, near, far])))
    assert found.allowed == MOST_ALLOWED  # random bits are as far apart as can be
    low = np.bitwise_count(base[:20, 0] ^ near[:, 0])
    close = low <= MOST_ALLOWED // 4 + 4
    assert close.sum() > 15
    assert found.leader[40:60].tolist() == np.where(close, np.arange(20), np.arange(40, 60)).tolist()
    assert found.leader[60:].tolist() == list(range(60, 80))
    assert set(found.distance[:20][close].tolist()) == {MOST_ALLOWED} and (found.distance[20:40] == -1).all()


def test_what_is_allowed_follows_from_how_alike_the_images_of_the_set_are() -> None:
    photos = random_words(1000)
    drawings = with_bits_changed(np.repeat(random_words(10), 100, axis=0), 20)
    assert allowed_distance(photos) == MOST_ALLOWED
    assert allowed_distance(drawings) < 30
    # A few copies of each photograph do not make them drawings.
    assert allowed_distance(with_bits_changed(np.repeat(photos[:300], 2, axis=0), 5)) == MOST_ALLOWED
    assert allowed_distance(photos[:1]) == MOST_ALLOWED


def test_both_searches_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    base = random_words(3000)
    words = np.vstack([base, with_bits_changed(base[:200], 6), with_bits_changed(base[:100], 12, seed=2)])
    every_pair = find_alike(rows(words))
    monkeypatch.setattr(duplicates, "ALL_PAIRS_UP_TO", 0)
    sorted_orders = find_alike(rows(words))
    in_groups = (every_pair.leader != np.arange(3300)).sum()
    assert in_groups >= 299
    assert (every_pair.leader != sorted_orders.leader).sum() <= 0.02 * in_groups
    assert (sorted_orders.distance[3000:3200] == 6).mean() > 0.98


def test_colours_and_aspect_must_agree() -> None:
    words = np.repeat(random_words(1), 4, axis=0)
    assert find_alike(rows(words)).leader.tolist() == [0] * 4
    assert find_alike(rows(words, mean_r=[0.0, 0.3, 0.6, 0.7])).leader.tolist() == [0, 1, 2, 2]
    assert find_alike(rows(words, width=[10, 20, 40, 80])).leader.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("limit", [0, 10**9])
def test_where_all_images_are_alike_it_neither_explodes_nor_misses(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(duplicates, "ALL_PAIRS_UP_TO", limit)
    monkeypatch.setattr(duplicates, "_COMPARED_AT_ONCE", 100_000)
    monkeypatch.setattr(duplicates, "_MANY", 50_000)
    words = with_bits_changed(np.repeat(random_words(1), 3000, axis=0), 2)
    table = rows(words)
    tracemalloc.start()
    found = find_alike(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not found.leader.any()
    assert peak < 20e6
    nothing = find_alike(rows(words, perceptual_hash=None))
    assert (nothing.distance == -1).all()


def test_of_the_same_bytes_only_one_is_compared() -> None:
    words = np.repeat(random_words(1), 3, axis=0)
    found = find_alike(rows(words, content_hash=["a", "a", "b"]))
    assert (found.leader.tolist(), found.distance.tolist()) == ([0, 1, 0], [0, -1, 0])


@pytest.mark.parametrize("side", [8, 28])
def test_digits_written_twice_are_not_copies(side: int) -> None:
    pixels = np.rint(_read_table()[:900, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    facts = []
    for number, digit in enumerate(pixels):
        image = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC).convert("RGB"))
        measures = measure([sketch(image, image)])[0]._asdict()
        facts.append(measures | {"content_hash": f"{number:016x}", "width": side, "height": side})
    assert (find_alike(pd.DataFrame(facts)).distance >= 0).sum() <= 4
