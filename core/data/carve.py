"""Takes test and validation units out of the training images, each class as near its share as whole units come.

Knows numbers only: units, classes, lots. A unit is what must stay together; most are one image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

TRAIN, VAL, TEST = 0, 1, 2
_NUM_SPLITS = 3


@dataclass(frozen=True)
class Parts:
    """What there is to divide.

    Attributes:
        unit_of_row: the unit of each image, numbered from 0.
        label_of_row: the class of each image, 0..num_classes-1.
        draws: one lot a unit, uint64; units are taken in their order.
    """

    unit_of_row: np.ndarray
    label_of_row: np.ndarray
    num_classes: int
    draws: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        """Images of each unit."""
        return np.bincount(self.unit_of_row, minlength=len(self.draws))

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(unit, class, images) of every class of every unit, in order of unit."""
        keys = self.unit_of_row.astype(np.int64) * self.num_classes + self.label_of_row
        distinct, images = np.unique(keys, return_counts=True)
        return distinct // self.num_classes, distinct % self.num_classes, images

    def num_units(self) -> np.ndarray:
        """Units that have images of each class."""
        return np.bincount(self.pairs[1], minlength=self.num_classes)


@dataclass(frozen=True)
class Carved:
    """How it was divided.

    Attributes:
        split: of each unit, TRAIN, VAL or TEST.
        lacking: (class, split) that could not be given a unit without taking another's last one, else None.
    """

    split: np.ndarray
    lacking: tuple[int, int] | None = None


def carve(parts: Parts, fractions: Mapping[int, float]) -> Carved:
    """Divide `parts`.

    Units of several images are dealt first, to their own share, so that they are no more frequent in test than in
    training; single images then fill each class up to its rounded share.

    Args:
        fractions: split number -> share of the images; splits that are not named get nothing.
    """
    split = np.full(len(parts.draws), TRAIN)
    if not fractions:
        return Carved(split)
    units, classes, images = parts.pairs
    shape = (parts.num_classes, _NUM_SPLITS)
    several = parts.sizes[units] > 1
    _deal_groups(parts, fractions, split)
    got_images, got_units = np.zeros(shape, int), np.zeros(shape, int)
    np.add.at(got_images, (classes[several], split[units[several]]), images[several])
    np.add.at(got_units, (classes[several], split[units[several]]), 1)
    _deal_singles(parts, fractions, split, got_images, got_units)
    return Carved(split, _fill_gaps(parts, list(fractions), split))


def _deal_groups(parts: Parts, fractions: Mapping[int, float], split: np.ndarray) -> None:
    """Give each unit of several images, in the order drawn, to the first split it brings nearer to its share."""
    units, classes, images = parts.pairs
    several = np.flatnonzero(parts.sizes[units] > 1)
    if not len(several):
        return
    units, classes, images = units[several], classes[several], images[several]
    order = np.lexsort((units, parts.draws[units]))
    in_groups = np.bincount(classes, images, minlength=parts.num_classes)
    wanted = {place: (in_groups * share).tolist() for place, share in fractions.items()}
    num_left = parts.num_units().tolist()
    num_got = {place: [0] * parts.num_classes for place in (*fractions, TRAIN)}
    starts = np.flatnonzero(np.diff(units[order], prepend=-1)).tolist()
    label_list, image_list = classes[order].tolist(), images[order].tolist()
    chosen = [TRAIN] * len(starts)
    for number, (begin, end) in enumerate(zip(starts, [*starts[1:], len(order)], strict=True)):
        held = list(zip(label_list[begin:end], image_list[begin:end], strict=True))
        for place, still in wanted.items():
            nearer = sum(abs(still[label] - size) - abs(still[label]) for label, size in held) <= 1e-9
            if nearer and all(num_left[label] > _needed_elsewhere(num_got, place, label) for label, _ in held):
                chosen[number] = place
                for label, size in held:
                    still[label] -= size
                break
        for label, _ in held:
            num_left[label] -= 1
            num_got[chosen[number]][label] += 1
    split[units[order][starts]] = chosen


def _needed_elsewhere(num_got: dict[int, list[int]], place: int, label: int) -> int:
    """How many other splits have nothing of a class yet."""
    return sum(other != place and not got[label] for other, got in num_got.items())


def _deal_singles(
    parts: Parts, fractions: Mapping[int, float], split: np.ndarray, got_images: np.ndarray, got_units: np.ndarray
) -> None:
    """Fill each class up with single images, those drawn lowest first; at least one unit a split, train included."""
    alone = np.flatnonzero(parts.sizes == 1)
    label_of_unit = np.zeros(len(parts.draws), int)
    label_of_unit[parts.unit_of_row] = parts.label_of_row
    labels = label_of_unit[alone]
    num_alone = np.bincount(labels, minlength=parts.num_classes)
    num_images = np.bincount(parts.label_of_row, minlength=parts.num_classes)
    left = num_alone - (got_units[:, TRAIN] == 0)
    least = {place: (got_units[:, place] == 0).astype(int) for place in fractions}
    wanted = {
        place: np.maximum((num_images * share + 0.5).astype(int) - got_images[:, place], least[place])
        for place, share in fractions.items()
    }
    for place in fractions:
        too_many = np.maximum(sum(wanted.values()) - left, 0)
        wanted[place] = np.maximum(wanted[place] - too_many, least[place])
    order = np.lexsort((parts.draws[alone], labels))
    rank = np.arange(len(alone)) - np.repeat(np.cumsum(num_alone) - num_alone, num_alone)
    begin = np.zeros(parts.num_classes, int)
    for place, number in wanted.items():
        end = np.minimum(begin + number, np.maximum(left, 0))
        taken = (rank >= begin[labels[order]]) & (rank < end[labels[order]])
        split[alone[order[taken]]] = place
        begin = end


def _fill_gaps(parts: Parts, carved: list[int], split: np.ndarray) -> tuple[int, int] | None:
    """Move units to splits that have nothing of a class; the first gap that cannot be filled, else None."""
    units, classes, images = parts.pairs
    got = np.zeros((parts.num_classes, _NUM_SPLITS), int)
    np.add.at(got, (classes, split[units]), 1)
    places = [TRAIN, *carved]
    gaps = [(int(label), place) for place in places for label in np.flatnonzero(got[:, place] == 0)]
    if not gaps:
        return None
    by_class = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[by_class], np.arange(parts.num_classes + 1))
    for label, place in gaps:
        if got[label, place]:
            continue  # filled by a unit of several classes
        candidates = units[by_class[starts[label] : starts[label + 1]]]
        candidates = candidates[np.lexsort((parts.draws[candidates], parts.sizes[candidates]))]
        found = next((one for one in candidates.tolist() if _can_go(one, units, classes, split, got)), None)
        if found is None:
            return label, place
        held = classes[np.searchsorted(units, found) : np.searchsorted(units, found, "right")]
        got[held, split[found]] -= 1
        got[held, place] += 1
        split[found] = place
    return None


def _can_go(unit: int, units: np.ndarray, classes: np.ndarray, split: np.ndarray, got: np.ndarray) -> bool:
    """Whether its split has other units of all its classes."""
    held = classes[np.searchsorted(units, unit) : np.searchsorted(units, unit, "right")]
    return bool((got[held, split[unit]] > 1).all())
