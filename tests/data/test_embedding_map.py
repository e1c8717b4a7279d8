"""Components are those of a singular value decomposition; on the map alike images are close together."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.embedding_map import principal_components, tsne_map


def two_heaps(num_images: int, seed: int = 0) -> np.ndarray:
    """Points around two places far apart, in turn."""
    places = 20.0 * (np.arange(num_images) % 2)
    return places[:, None] + np.random.default_rng(seed).standard_normal((num_images, 8))


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    features = (two_heaps(60) * [1, 2, 3, 4, 5, 6, 7, 8]).astype(np.float16)
    found = principal_components(features, num_components=3)
    centred = features.astype(float) - features.astype(float).mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :3] * spread[:3]
    assert np.abs(found) == pytest.approx(np.abs(expected), rel=1e-2, abs=1e-2)
    assert found.dtype == np.float32
    assert (found == principal_components(features, num_components=3)).all()


def test_fewer_images_than_components() -> None:
    assert principal_components(two_heaps(3)).shape == (3, 3)


def test_heaps_stay_apart_on_the_map_also_for_images_that_were_not_arranged() -> None:
    components = principal_components(two_heaps(160))
    for most in (160, 60):
        placed = tsne_map(components, most=most)
        first, second = placed[::2], placed[1::2]
        gap = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
        assert gap > 1.5 * max(np.linalg.norm(half - half.mean(axis=0), axis=1).max() for half in (first, second))
        assert placed.shape == (160, 2) and np.isfinite(placed).all()


def test_a_handful_of_images_gets_components() -> None:
    components = principal_components(two_heaps(4))
    assert (tsne_map(components) == components[:, :2]).all()
    assert tsne_map(np.ones((2, 1), np.float32)).shape == (2, 2)
