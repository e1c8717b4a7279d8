"""Any place of any epoch can be gone on from, by any batch size and by any number of processes."""

from __future__ import annotations

import pytest
import torch

from core.errors import InputError
from core.training.batching.batches import TensorBatches
from core.training.batching.sampling import Draws, Order, Shard, seeded

CPU = torch.device("cpu")


def _shown(batches: TensorBatches, epoch: int, first_image: int = 0, batch_size: int | None = None) -> list[list[int]]:
    return [labels.tolist() for _, labels in batches.epoch(epoch, first_image, batch_size)]


def _batches(count: int, size: int, **more: object) -> TensorBatches:
    return TensorBatches(torch.arange(float(count))[:, None], torch.arange(count), size, CPU, 3, **more)  # type: ignore[arg-type]


def test_an_epoch_goes_on_where_it_was_left() -> None:
    batches = _batches(22, 4)
    whole = _shown(batches, 2)
    assert batches.sizes() == [len(labels) for labels in whole] == [4, 4, 4, 4, 4, 2]
    assert _shown(batches, 2, 8) == whole[2:] and batches.sizes(8) == [4, 4, 4, 2]
    assert _shown(batches, 2, 22) == [] and batches.sizes(22) == []


def test_half_the_batch_size_shows_the_same_images_in_the_same_order() -> None:
    batches = _batches(21, 4)
    rest = [label for labels in _shown(batches, 1)[2:] for label in labels]
    halved = _shown(batches, 1, 8, 2)
    assert [label for labels in halved for label in labels] == rest
    assert [len(labels) for labels in halved] == batches.sizes(8, 2) == [2, 2, 2, 2, 2, 3]


@pytest.mark.parametrize("count", [16, 17, 18, 19, 20, 23])
def test_processes_share_each_batch(count: int) -> None:
    alone = _shown(_batches(count, 8), 1)
    shared = [_shown(_batches(count, 8, shard=Shard(rank, 2)), 1) for rank in range(2)]
    assert len(shared[0]) == len(shared[1])
    assert all(len(part) >= 2 for parts in shared for part in parts)
    both = [label for parts in zip(*shared, strict=True) for part in parts for label in part]
    assert both == [label for labels in alone for label in labels]


def test_validation_in_several_processes_counts_each_image_once() -> None:
    seen = []
    for rank in range(3):
        part = TensorBatches(torch.zeros(7, 1), torch.arange(7), 3, CPU, shard=Shard(rank, 3))
        seen += [label for labels in _shown(part, 0) for label in labels]
    assert sorted(seen) == list(range(7))


def test_too_many_processes_for_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match="4 processes cannot share batches of 2"):
        _batches(20, 2, shard=Shard(0, 4))


def test_the_balanced_sampler_shows_all_classes_equally() -> None:
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    order = Order(100, 10, 1, labels=labels, sampler="balanced")
    drawn = order.indices(1)
    counts = torch.bincount(labels[drawn]).tolist()
    assert len(drawn) == 100 and sorted(counts) == [33, 33, 34]
    of_rare = torch.bincount(drawn, minlength=100)[90:99]
    assert of_rare.min() >= 3 and of_rare.max() <= 4  # each as often as any other of its class
    assert not torch.equal(drawn, order.indices(2)) and torch.equal(drawn, order.indices(1))


def test_random_numbers_belong_to_places_not_to_batches() -> None:
    draws = Draws(5, 2, 3)
    whole = draws.at(torch.arange(3000))
    assert whole.shape == (3000, 3) and 0 <= whole.min() and whole.max() < 1
    assert torch.equal(Draws(5, 2, 3).at(torch.arange(1000, 1100)), whole[1000:1100])
    assert torch.equal(draws.at(torch.arange(2990, 3000)), whole[2990:])
    assert torch.equal(Draws(5, 2, 3).at(torch.tensor([1500, 3])), whole[[1500, 3]])
    assert not torch.equal(Draws(5, 3, 3).at(torch.arange(10)), whole[:10])
    assert torch.rand(1, generator=seeded(1, 2)) != torch.rand(1, generator=seeded(2, 1))
