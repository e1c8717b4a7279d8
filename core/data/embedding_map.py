"""From features to a map: principal components of all images, and two coordinates by t-SNE.

t-SNE is computed for a random sample; every other image is put among its nearest sampled neighbours. So the map shows
which images are alike; distances between far groups, and the emptiness between them, mean little.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NUM_COMPONENTS = 128  # what labels are judged by
MAX_FITTED = 50_000  # images the components are computed from
MAX_MAPPED = 4_000  # images t-SNE itself arranges: some 20 s on two cores
MAX_STEPS = 500  # the divergence is 1.53 after these and 1.44 after twice as many
MIN_MAPPED = 5  # fewer have no neighbourhoods to keep
PERPLEXITY = 30.0  # about how many neighbours each image keeps
TSNE_COMPONENTS = 50
_NEAREST = 5
_CHUNK = 4096


def principal_components(features: np.ndarray, seed: int = 0, num_components: int = NUM_COMPONENTS) -> np.ndarray:
    """Features on their leading principal components, float32 (N, min(num_components, D, N)), the widest first.

    The components come from at most `MAX_FITTED` images at random. A component's sign is set so that its largest
    weight is positive: the same images always give the same map.
    """
    chosen = _sample(len(features), MAX_FITTED, seed)
    fitted = features[chosen].astype(np.float32)
    mean = fitted.mean(axis=0)
    fitted -= mean
    _, vectors = np.linalg.eigh(fitted.T @ fitted)
    axes = vectors[:, ::-1][:, : min(num_components, len(features))]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    projected = np.empty((len(features), axes.shape[1]), np.float32)
    for rows in _chunks(len(features)):
        projected[rows] = (features[rows].astype(np.float32) - mean) @ axes
    return projected


def tsne_map(components: np.ndarray, seed: int = 0, most: int = MAX_MAPPED) -> np.ndarray:
    """Two coordinates for each image, float32 (N, 2), from its principal components.

    Images beyond `most` are placed at the mean of their five nearest arranged images, nearer ones counting more
    (van der Maaten and Hinton 2008 arrange, Poličar et al. 2023, "openTSNE", place new points so to begin with).
    Fewer than `MIN_MAPPED` images get their first two components.
    """
    components = components[:, :TSNE_COMPONENTS]
    if len(components) < MIN_MAPPED:
        return _two(components)
    from sklearn.manifold import TSNE  # takes seconds to import, and only the analysis job needs it

    chosen = _sample(len(components), most, seed)
    arranged = components[chosen]
    perplexity = min(PERPLEXITY, (len(chosen) - 1) / 3)
    placed = TSNE(perplexity=perplexity, init=_start(arranged), random_state=seed, max_iter=MAX_STEPS).fit_transform(
        arranged
    )
    coordinates = np.empty((len(components), 2), np.float32)
    for rows in _chunks(len(components)):
        coordinates[rows] = _among_nearest(components[rows], arranged, placed)
    coordinates[chosen] = placed
    return coordinates


def _start(arranged: np.ndarray) -> np.ndarray:
    """Small first two components: groups that are far apart start, and mostly stay, far apart."""
    first = _two(arranged)
    return (first / max(float(first[:, 0].std()), 1e-12) * 1e-4).astype(np.float32)


def _two(components: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(components), 2), np.float32)
    padded[:, : components.shape[1]] = components[:, :2]
    return padded


def _among_nearest(points: np.ndarray, arranged: np.ndarray, placed: np.ndarray) -> np.ndarray:
    nearest = min(_NEAREST, len(arranged))
    squares = (points**2).sum(axis=1)[:, None] + (arranged**2).sum(axis=1) - 2 * points @ arranged.T
    neighbours = np.argpartition(squares, nearest - 1, axis=1)[:, :nearest]
    weights = 1 / (np.sqrt(np.maximum(np.take_along_axis(squares, neighbours, axis=1), 0)) + 1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights[:, :, None] * placed[neighbours]).sum(axis=1)


def _sample(num_rows: int, most: int, seed: int) -> np.ndarray:
    if num_rows <= most:
        return np.arange(num_rows)
    return np.sort(np.random.default_rng(seed).choice(num_rows, most, replace=False))


def _chunks(num_rows: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, num_rows, _CHUNK))
