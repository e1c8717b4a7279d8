"""Finds files of the same bytes and images that look the same, in groups: A like B and B like C makes one of three."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from core.data.quality import LOW_BITS

# Bits of 256 that may differ. Copies at JPEG quality 40 differ in up to 10, resized ones in up to 18, those cropped or
# coloured anew in up to 56; two photographs in 80 or more, the same digit written twice in 30.
LEAST_ALLOWED, MOST_ALLOWED = 20, 56
ALL_PAIRS_UP_TO = 30_000  # images; beyond, neighbours in sorted orders are compared instead of all pairs
_COMPARED_AT_ONCE = 250_000  # pairs: 2 MB, which stay in the processor's cache
_MANY = 200_000  # pairs found at once from which those that change nothing are passed over
_ORDERS = 24
_NEIGHBOURS = 6
_SEED = 20_240_229
_SAMPLE, _SMALL, _CHANCE, _SHARE = 200_000, 300, 0.002, 0.75  # see `allowed_distance`
_MAX_COLOUR = 0.2  # largest difference of a channel's mean or standard deviation, 0..1
_MAX_ASPECT = 0.1  # largest difference of the logarithm of the aspect ratio
_NONE = -1
_COLOURS = ["mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b"]


@dataclass(frozen=True)
class Alike:
    """Which images look the same.

    Attributes:
        leader: for each row the first row of its group, itself where nothing looks like it.
        distance: in how many of 256 bits the hash of the nearest other image of the group differs; -1 where there is
            none. In large groups of a kind it may be that of another close one.
        allowed: the largest distance; see `allowed_distance`.
    """

    leader: np.ndarray
    distance: np.ndarray
    allowed: int


def exact_groups(content_hash: pd.Series) -> np.ndarray:
    """int32, one a row: the same number for the same bytes, from 0 in order of appearance; -1 where there is no other.

    Args:
        content_hash: missing for files that do not count.
    """
    codes, _ = pd.factorize(content_hash, use_na_sentinel=True)
    return _numbered(codes)


def near_groups(exact: np.ndarray, alike: Alike) -> np.ndarray:
    """int32, one a row: images that look the same, or are the same bytes, have the same number; -1 for the others.

    Args:
        exact: see `exact_groups`.
    """
    return _numbered(_joined(alike.leader, np.arange(len(exact)), _first_of_each(exact)))


def find_alike(frame: pd.DataFrame) -> Alike:
    """Groups of images whose perceptual hashes differ in few bits from another's of the group; see `allowed_distance`.

    Their colours and aspect ratios must agree roughly: the hash sees neither. Up to `ALL_PAIRS_UP_TO` images every pair
    is compared. Beyond, the images are sorted by `_ORDERS` seeded permutations of the hash's bits, most of them of low
    frequencies, and each is compared with the next `_NEIGHBOURS` in each order (Charikar, Similarity estimation
    techniques from rounding algorithms, 2002, section 3). Of 60,000 CIFAR-10 images that finds 96 of 100 that comparing
    all pairs does. Memory grows with the number of images only, even where all of them are alike.

    Args:
        frame: rows of a manifest that can be read; one without a perceptual hash is like no other. Of files of the
            same bytes only the first is compared.
    """
    places = np.flatnonzero(frame["perceptual_hash"].notna() & ~frame["content_hash"].duplicated())
    search = _Search(frame.iloc[places])
    candidates = _all_pairs if len(places) <= ALL_PAIRS_UP_TO else _neighbours
    for first, second in candidates(search.words, search.allowed):
        search.take(first, second)
    leader, distance = np.arange(len(frame)), np.full(len(frame), _NONE, np.int32)
    leader[places] = places[search.leader]
    distance[places] = search.nearest
    return Alike(leader, distance, search.allowed)


def allowed_distance(words: np.ndarray) -> int:
    """In how many bits the hashes of two images of this set may differ for the two to be taken for one picture.

    Simple drawings are alike without being copies: how far apart images of the set usually are says how close two are
    by chance. Distances of 200,000 random pairs are taken for normally distributed, by their median and their first
    percentile (tenth in a small set), which copies among them hardly move. Allowed is three quarters of the distance
    below which one image in 500 would have a neighbour by chance.

    Args:
        words: hashes, uint64, (images, 4).
    """
    if len(words) < 2:
        return MOST_ALLOWED
    random = np.random.default_rng(_SEED)
    one = random.integers(0, len(words), _SAMPLE)
    other = (one + random.integers(1, len(words), _SAMPLE)) % len(words)
    share = 0.1 if len(words) < _SMALL else 0.01  # in a set of 50 pairs of copies, one random pair in 99 is copies
    median, percentile = np.quantile(_distances(words, one, other), (0.5, share))
    normal = NormalDist()
    deviation = (median - percentile) / -normal.inv_cdf(share)
    by_chance = median + deviation * normal.inv_cdf(_CHANCE / len(words))
    return int(np.clip(_SHARE * by_chance, LEAST_ALLOWED, MOST_ALLOWED))


def hash_words(hashes: pd.Series) -> np.ndarray:
    """Hashes of 64 hexadecimal digits as numbers: uint64, (images, 4)."""
    return np.frombuffer(bytes.fromhex("".join(hashes.tolist())), "<u8").reshape(-1, 4)


def _distances(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """In how many bits the hashes of pairs of rows differ: int32."""
    differ = words.take(first, axis=0) ^ words.take(second, axis=0)
    # Four counts of at most 64 a pair, one in each byte; added by twos, in a quarter of the time that a sum takes.
    counts = np.bitwise_count(differ).view(np.uint32).ravel()
    counts = (counts & 0x00FF00FF) + (counts >> 8 & 0x00FF00FF)
    return ((counts & 0xFFFF) + (counts >> 16)).astype(np.int32)


class _Search:
    """Judges candidates and keeps what they amount to: a few numbers an image, however many pairs there are."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.words = hash_words(rows["perceptual_hash"])
        self.allowed = allowed_distance(self.words)
        self.leader = np.arange(len(rows))
        self.nearest = np.full(len(rows), _NONE, np.int32)
        self._aspect = np.log(rows["width"].to_numpy(float) / rows["height"].to_numpy(float))
        self._colours = [rows[name].to_numpy(np.float32) for name in _COLOURS]

    def take(self, first: np.ndarray, second: np.ndarray) -> None:
        """Compare these pairs of rows."""
        if len(first) > _MANY:
            news = self.leader[first] != self.leader[second]
            news |= (self.nearest[first] == _NONE) | (self.nearest[second] == _NONE)
            first, second = first[news], second[news]
        distance = _distances(self.words, first, second)
        near = distance <= self.allowed
        first, second, distance = first[near], second[near], distance[near]
        alike = self._agree(first, second)
        first, second, distance = first[alike], second[alike], distance[alike]
        for side in (first, second):
            known = self.nearest[side] != _NONE
            self.nearest[side[~known]] = self.allowed
            np.minimum.at(self.nearest, side, distance)
        self.leader = _joined(self.leader, first, second)

    def _agree(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Which pairs are of the same colours and aspect ratio."""
        same = np.abs(self._aspect[first] - self._aspect[second]) <= _MAX_ASPECT
        for colour in self._colours:
            same &= ~(np.abs(colour[first] - colour[second]) > _MAX_COLOUR)
        return same


def _all_pairs(words: np.ndarray, allowed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Candidates by the first 64 bits, the lower half of the frequencies, which must be nearer than the others."""
    low = np.ascontiguousarray(words[:, 0])
    step = max(1, _COMPARED_AT_ONCE // max(len(low), 1))
    for start in range(0, len(low), step):
        near = np.bitwise_count(low[start : start + step, None] ^ low[None, start:]) <= allowed // 4 + 4
        row, column = np.divmod(np.flatnonzero(near), near.shape[1])
        after = column > row
        yield row[after] + start, column[after] + start


def _neighbours(words: np.ndarray, allowed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Candidates by sorting; see `find_alike`."""
    bits = np.unpackbits(words.view(np.uint8), axis=1)
    random = np.random.default_rng(_SEED)
    # A bit that nearly all images share tells none apart.
    shares = bits[:: max(1, len(bits) // 20_000)].mean(axis=0)
    telling = (shares > 0.02) & (shares < 0.98)
    low_bits, others = np.flatnonzero(telling[:LOW_BITS]), np.flatnonzero(telling)
    for _ in range(_ORDERS):
        # Low frequencies first, which copies share most; the rest parts images that share those.
        places = np.concatenate([random.permutation(low_bits)[:40], random.permutation(others)])[:64]
        chosen = np.zeros((len(bits), 64), np.uint8)
        chosen[:, : len(places)] = bits[:, places]
        order = np.argsort(np.packbits(chosen, axis=1).view(">u8").ravel().astype(np.uint64), kind="stable")
        low, second = words[order, 0], words[order, 1]
        for step in range(1, _NEIGHBOURS + 1):
            # What lies side by side in memory is compared quickly, and half of the bits rule most out.
            distance = np.bitwise_count(low[:-step] ^ low[step:]) + np.bitwise_count(second[:-step] ^ second[step:])
            near = np.flatnonzero(distance <= allowed)
            yield order[near], order[near + step]


def _joined(leader: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The lowest row each row is connected to, once these pairs are joined too.

    Each round takes over the lowest leader of the neighbours and then follows the leaders' leaders, so that even a
    chain of a million is done in some twenty rounds.
    """
    leader = leader.copy()
    while True:
        one, other = leader[first], leader[second]
        differ = one != other
        if not differ.any():
            return leader
        first, second = first[differ], second[differ]
        low, high = np.minimum(one[differ], other[differ]), np.maximum(one[differ], other[differ])
        np.minimum.at(leader, high, low)
        while True:
            further = leader[leader]
            if np.array_equal(further, leader):
                break
            leader = further


def _first_of_each(groups: np.ndarray) -> np.ndarray:
    """For each row the first row of its group; for one without a group the row itself."""
    leaders = np.arange(len(groups))
    members = np.flatnonzero(groups != _NONE)
    _, first, inverse = np.unique(groups[members], return_index=True, return_inverse=True)
    leaders[members] = members[first][inverse]
    return leaders


def _numbered(codes: np.ndarray) -> np.ndarray:
    """Codes that occur more than once numbered from 0 in order of appearance; -1 for all others."""
    numbers = np.full(len(codes), _NONE, np.int32)
    members = np.flatnonzero(codes >= 0)
    counts = np.bincount(codes[members]) if len(members) else np.empty(0, np.int64)
    members = members[counts[codes[members]] > 1]
    numbers[members] = pd.factorize(codes[members])[0]
    return numbers
