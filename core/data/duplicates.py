"""Finds files of the same bytes and images that look the same, in groups: A like B and B like C makes one of three."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

MAX_DISTANCE = 24  # bits of 256; copies at JPEG quality 40 differ in up to 10, resized ones in up to 18, others in 60+
FAR = 2 * MAX_DISTANCE  # bits up to which a distance is told
ALL_PAIRS_UP_TO = 30_000  # images; beyond, neighbours in sorted orders are compared instead of all pairs
_BLOCK = 512  # rows compared with all others at once: some tens of MB
_ORDERS = 32
_NEIGHBOURS = 6
_SEED = 20_240_229
_MAX_COLOUR = 0.06  # largest difference of a channel's mean or standard deviation, 0..1
_MAX_ASPECT = 0.1  # largest difference of the logarithm of the aspect ratio
_NONE = -1


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images that look the same.

    Attributes:
        first, second: places in the table, first < second.
        distance: in how many of 256 bits their perceptual hashes differ.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray


def exact_groups(content_hash: pd.Series) -> np.ndarray:
    """int32, one a row: the same number for the same bytes, from 0 in order of appearance; -1 where there is no other.

    Args:
        content_hash: missing for files that do not count.
    """
    codes, _ = pd.factorize(content_hash, use_na_sentinel=True)
    return _numbered(codes)


def near_groups(exact: np.ndarray, pairs: NearPairs) -> np.ndarray:
    """int32, one a row: images joined by pairs, or by being the same bytes, have the same number; -1 for the others.

    Args:
        exact: see `exact_groups`.
    """
    leaders = _first_of_each(exact)
    copies = np.flatnonzero(leaders != np.arange(len(exact)))
    first, second = np.concatenate([pairs.first, leaders[copies]]), np.concatenate([pairs.second, copies])
    return _numbered(_components(len(exact), first, second))


def near_pairs(frame: pd.DataFrame) -> NearPairs:
    """Pairs of different bytes whose perceptual hashes differ in at most `MAX_DISTANCE` bits.

    Their colours and aspect ratios must be alike too: the hash sees neither, and simple drawings would be confused.
    Up to `ALL_PAIRS_UP_TO` images every pair is compared. Beyond, the images are sorted by `_ORDERS` seeded
    permutations of the hash's bits, and each is compared with the next `_NEIGHBOURS` in each order (Charikar,
    Similarity estimation techniques from rounding algorithms, 2002, section 3): two that differ in 8 bits then meet in
    99.9 of 100 cases, in 18 bits in 99, and memory grows with the images alone.

    Args:
        frame: rows of a manifest that can be read; one without a perceptual hash is like no other. Of files of the
            same bytes only the first is compared.
    """
    places = np.flatnonzero(frame["perceptual_hash"].notna() & ~frame["content_hash"].duplicated())
    words = hash_words(frame["perceptual_hash"].iloc[places])
    first, second = _all_pairs(words) if len(words) <= ALL_PAIRS_UP_TO else _neighbours(words)
    distance = _distances(words, first, second)
    near = distance <= MAX_DISTANCE
    first, second, distance = first[near], second[near], distance[near]
    alike = _alike(frame.iloc[places], first, second)
    return NearPairs(places[first[alike]], places[second[alike]], distance[alike])


def hash_words(hashes: pd.Series) -> np.ndarray:
    """Hashes of 64 hexadecimal digits as numbers: uint64, (images, 4)."""
    return np.frombuffer(bytes.fromhex("".join(hashes.tolist())), "<u8").reshape(-1, 4)


def _all_pairs(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Candidates by the first 64 bits, the lower half of the frequencies, which must be near on their own."""
    low = np.ascontiguousarray(words[:, 0])
    found = []
    for start in range(0, len(low), _BLOCK):
        block = low[start : start + _BLOCK, None]
        near = np.bitwise_count(block ^ low[None, start:]) <= MAX_DISTANCE // 2
        row, column = np.nonzero(near)
        after = column > row
        found.append(_confirmed(words, row[after] + start, column[after] + start))
    return _joined(found)


def _neighbours(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    random = np.random.default_rng(_SEED)
    # A bit that nearly all images share says nothing: of a set of uniform pictures the others are drawn.
    shares = bits[:: max(1, len(bits) // 20_000)].mean(axis=0)
    telling = np.flatnonzero((shares > 0.02) & (shares < 0.98))
    telling = telling if len(telling) >= 64 else np.arange(bits.shape[1])
    found = []
    for _ in range(_ORDERS):
        key = np.packbits(bits[:, random.permutation(telling)[:64]], axis=1).view(">u8").ravel()
        order = np.argsort(key, kind="stable")
        for step in range(1, _NEIGHBOURS + 1):
            found.append(_confirmed(words, order[:-step], order[step:]))
        found = [_joined(found)]
    return found[0]


def _confirmed(words: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    near = _distances(words, one, other) <= MAX_DISTANCE
    one, other = one[near], other[near]
    return np.minimum(one, other), np.maximum(one, other)


def _joined(found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """All pairs, each once."""
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    first, second = (np.concatenate(side) for side in zip(*found, strict=True))
    packed = np.unique(first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64))
    return (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _distances(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """In how many bits the hashes at `first` and `second` differ: uint16, (pairs)."""
    distance = np.zeros(len(first), np.uint16)
    for word in range(words.shape[1]):
        distance += np.bitwise_count(words[first, word] ^ words[second, word])
    return distance


def _alike(rows: pd.DataFrame, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which pairs agree in colours and aspect ratio."""
    colours = rows[["mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b"]].to_numpy(np.float32)
    aspect = np.log(rows["width"].to_numpy(float) / rows["height"].to_numpy(float))
    same = np.abs(aspect[first] - aspect[second]) <= _MAX_ASPECT
    for colour in colours.T:
        same &= ~(np.abs(colour[first] - colour[second]) > _MAX_COLOUR)
    return same


def _components(num_rows: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The lowest row each row is connected to.

    Each round takes over the lowest leader of the neighbours and then follows the leaders' leaders, so that even a
    chain of a million is done in some twenty rounds.
    """
    leader = np.arange(num_rows)
    while True:
        one, other = leader[first], leader[second]
        differ = one != other
        if not differ.any():
            return leader
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
