"""Whether maps of where a network looks can be believed: four checks, and the verdict in words.

1. Hiding and showing. The answer must fall when the places a map marks are hidden first (deletion), and come when they
   are shown first (insertion), sooner than with the same map moved elsewhere. Curves and their areas: Petsiuk et al.,
   "RISE: Randomized Input Sampling for Explanation" (2018).
2. Measure. With what a map marks hidden, and as little around it, the answer must be gone for the most part; and the
   strongest of it must not be enough by themselves, or the rest of the map lies where nothing is decided.
3. Forgetting. A network whose weights were shuffled must give another map, or maps show the images and not what was
   learned: Adebayo et al., "Sanity Checks for Saliency Maps" (2018).
4. Knowing. Where the model's answers are no better than always the same one, there is nothing to explain.

The first two are asked of every map, the others of all maps of a run together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from core.wording import count, percent, significant

SHARES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7)  # of the image, hidden or shown; and none and all of it
MOVED = 6  # times the map is moved elsewhere, to compare with
MIN_GAIN = 0.05  # of probability, over the curves: what moves the answer less explains little
MARKED, AROUND = 0.9, 1.5  # the share of a map's mass that is "what it marks", and that area with what is around it
MIN_MARKED = 0.5  # of the way from the whole image to a hidden one, with that area hidden
HIDES = 0.5  # of the fall under the cover that hides best: a cover that hides well
MOVED_BY = 0.9  # of that way: then the answer has moved
MIN_NEEDED = 0.7  # of a map's mass must be hidden and shown until it has
MAX_LIKENESS = 0.6  # rank correlation with the maps of shuffled weights
BLUR = 0.1  # of the side: the radius of a blur in which no shape is left
FEWEST = 5  # maps from which a verdict on all of them is given
BATCH = 64
_NOTHING = 1e-6  # of probability

Probabilities = Callable[[np.ndarray], np.ndarray]  # uint8 (N, size, size, 3) -> (N, num_classes)


@dataclass(frozen=True)
class Scores:
    """How the map of one image did; the first five are probabilities of the explained class, 0..1.

    Attributes:
        whole, hidden: with the image as it is, and with all of it hidden.
        deletion, insertion: area under the curve while what the map marks is hidden, or shown, the strongest first.
            Low and high are good.
        chance: insertion - deletion of the map moved elsewhere, on average.
        beats: share of those moved maps that it does better than.
        marked: how far the answer has gone from `whole` to that of a hidden image, 0..1, where what the map marks is
            hidden; on average over the covers that hide well.
        needed: share of the map's mass, the strongest first, at which hiding and showing have both moved the answer.
        likeness: rank correlation with the map of shuffled weights, -1..1.
    """

    whole: float
    hidden: float
    deletion: float
    insertion: float
    chance: float
    beats: float
    marked: float
    needed: float
    likeness: float

    @property
    def gain(self) -> float:
        """How much better than moved elsewhere."""
        return self.insertion - self.deletion - self.chance

    def fault(self) -> str:
        """Why this map cannot be believed, as a sentence; empty where it passed."""
        if self.gain >= MIN_GAIN and self.beats == 1:
            return self._wrong_measure()
        if abs(self.whole - self.hidden) < 2 * MIN_GAIN:
            return (
                f"With the whole image hidden the answer is the same, {percent(self.hidden)} after "
                f"{percent(self.whole)}: what it rests on cannot be found by hiding."
            )
        return (
            f"Hiding and showing what it marks moves the answer by {_points(self.insertion - self.deletion)}, and by "
            f"{_points(self.chance)} with the map moved elsewhere: it does not mark what decides."
        )

    def _wrong_measure(self) -> str:
        if self.marked < MIN_MARKED:
            return (
                f"With what it marks hidden, and half as much around it, the answer goes {percent(self.marked)} of the "
                "way it goes with the whole image hidden: the rest is decided elsewhere."
            )
        if self.needed < MIN_NEEDED:
            return (
                f"{percent(self.needed)} of what it marks moves the answer as far as the whole image does: the rest of "
                "it lies where nothing is decided."
            )
        return ""


def score(
    probabilities: Probabilities,
    pixels_HWC: np.ndarray,
    explained: int,
    saliency: np.ndarray,
    generator: np.random.Generator,
    moved: int = MOVED,
) -> Scores:
    """Hide and show what the map marks, and what it marks when moved elsewhere; `likeness` is left at 0.

    Args:
        pixels_HWC: uint8, as the network is given the image before normalising.
        explained: index of the class.
        saliency: (side, side), from `core.evaluation.saliency.maps`.
        moved: how many times the map is moved elsewhere.
    """
    enlarged = [enlarge(one, len(pixels_HWC)) for one in (saliency, *_moved(saliency, moved, generator))]
    orders = [_order(one) for one in enlarged]
    covers = _covers(pixels_HWC, generator)
    ends = _of_class(probabilities, np.stack([pixels_HWC, *covers]), explained)
    cover = covers[int(ends[1:].argmin())]
    images = []
    for order in orders:
        for share in SHARES:
            marked = (order < share * order.size)[..., None]
            images += [np.where(marked, cover, pixels_HWC), np.where(marked, pixels_HWC, cover)]
    answers = _of_class(probabilities, np.stack(images), explained)
    whole, hidden = float(ends[0]), float(ends[1:].min())
    curves = answers.reshape(len(orders), len(SHARES), 2)
    deletion = [_area(whole, curve[:, 0], hidden) for curve in curves]
    insertion = [_area(hidden, curve[:, 1], whole) for curve in curves]
    better = np.subtract(insertion, deletion)
    areas, masses = _masses(enlarged[0])
    mark = orders[0] < AROUND * np.interp(MARKED, masses, areas, right=0.0) * orders[0].size
    gone = _of_class(probabilities, np.where(mark[..., None], np.stack(covers), pixels_HWC), explained)
    return Scores(
        whole,
        hidden,
        deletion[0],
        insertion[0],
        float(better[1:].mean()),
        float((better[0] > better[1:]).mean()),
        _marked(whole, ends[1:], gone),
        _needed(areas, masses, whole, hidden, curves[0]),
        0.0,
    )


def likeness(saliency: np.ndarray, of_shuffled_weights: np.ndarray) -> float:
    """Spearman's rank correlation of two maps, (side, side) each; 0 where one is the same everywhere."""
    ranks = [_ranks(one.ravel()) for one in (saliency, of_shuffled_weights)]
    if any(np.ptp(one) == 0 for one in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def mass_within(saliency: np.ndarray, box: tuple[int, int, int, int], size: int) -> float:
    """The share of a map that lies in a box (top, left, bottom, right in pixels) of an image of that side."""
    enlarged = enlarge(saliency, size)
    top, left, bottom, right = box
    total = float(enlarged.sum())
    return float(enlarged[top:bottom, left:right].sum()) / total if total else 0.0


def common_fault(scores: Sequence[Scores], test_accuracy_low: float | None, baseline: float | None) -> str:
    """Why none of a run's maps can be believed, as a sentence; empty where they can, or are too few to tell.

    Args:
        test_accuracy_low: lower end of the test accuracy's interval, and
        baseline: accuracy of always answering the commonest class; None without test images.
    """
    if test_accuracy_low is not None and baseline is not None and test_accuracy_low <= baseline:
        return (
            f"This model may be no better than always giving the same answer ({percent(baseline)} of the test images; "
            f"its own interval begins at {percent(test_accuracy_low)}): there is nothing to explain."
        )
    if len(scores) < FEWEST:
        return ""
    alike = float(np.mean([one.likeness for one in scores]))
    if alike > MAX_LIKENESS:
        return (
            f"With shuffled weights the maps stay much the same (rank correlation {significant(alike)}): "
            "they show the images, not what was learned."
        )
    mean, low = mean_gain(scores)
    if low <= 0:
        return (
            f"Over {count(len(scores), 'image')} the maps do no better than when moved elsewhere (by {_points(mean)} "
            "on average, which may be chance): they do not mark what decides."
        )
    return ""


def mean_gain(scores: Sequence[Scores]) -> tuple[float, float]:
    """The mean of `Scores.gain`, and the lower end of its 95 % interval by the normal approximation."""
    gains = np.array([one.gain for one in scores])
    spread = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return float(gains.mean()), float(gains.mean()) - 1.96 * spread


def enlarge(saliency: np.ndarray, size: int) -> np.ndarray:
    """A map (side, side) as float32 (size, size), smooth between places."""
    return np.asarray(Image.fromarray(saliency.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR))


def _covers(pixels_HWC: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """What can stand for hidden places: the image's mean colour, the image blurred, its pixels in random order.

    To most networks one of them says as much as an image of some class would, so each image is hidden by the one that
    speaks least for its answer.
    """
    mean = np.broadcast_to(pixels_HWC.mean(axis=(0, 1)).round().astype(np.uint8), pixels_HWC.shape)
    blurred = Image.fromarray(pixels_HWC).filter(ImageFilter.GaussianBlur(BLUR * len(pixels_HWC)))
    mixed = generator.permutation(pixels_HWC.reshape(-1, 3)).reshape(pixels_HWC.shape)
    return [mean, np.asarray(blurred), mixed]


def _moved(saliency: np.ndarray, times: int, generator: np.random.Generator) -> list[np.ndarray]:
    """The map shifted, round the edges, by at least a quarter of its side along one axis, and mirrored at random.

    What a shuffled map marks is scattered, and scattered dots of grey upset a network more than one spot of the same
    area: that comparison would flatter, or damn, every map that hangs together.
    """
    side = len(saliency)
    least = max(1, side // 4)
    found = []
    for _ in range(times):
        far, any_way = int(generator.integers(least, side - least + 1)), int(generator.integers(0, side))
        shifts = (far, any_way) if generator.random() < 0.5 else (any_way, far)
        moved = np.roll(saliency, shifts, axis=(0, 1))
        found.append(moved[:, ::-1] if generator.random() < 0.5 else moved)
    return found


def _order(enlarged: np.ndarray) -> np.ndarray:
    """The rank of each pixel, 0 for the one that the map marks most strongly: int (size, size)."""
    flat = np.argsort(-enlarged, axis=None, kind="stable")
    ranks = np.empty(enlarged.size, np.int64)
    ranks[flat] = np.arange(enlarged.size)
    return ranks.reshape(enlarged.shape)


def _of_class(probabilities: Probabilities, images_NHWC: np.ndarray, explained: int) -> np.ndarray:
    parts = [probabilities(images_NHWC[start : start + BATCH]) for start in range(0, len(images_NHWC), BATCH)]
    return np.concatenate(parts)[:, explained]


def _marked(whole: float, hidden: np.ndarray, gone: np.ndarray) -> float:
    """`Scores.marked`: answers under each cover, with all of the image hidden, and with what the map marks.

    One cover alone may happen to say at that place what another would not.
    """
    falls = whole - hidden
    well = falls >= max(HIDES * falls.max(), _NOTHING)
    return float(np.clip((whole - gone[well]) / falls[well], 0, 1).mean()) if well.any() else 0.0


def _needed(areas: np.ndarray, masses: np.ndarray, whole: float, hidden: float, curve: np.ndarray) -> float:
    """`Scores.needed`: (SHARES, 2) answers with the strongest places hidden, and shown alone."""
    if whole <= hidden or not masses[-1]:
        return 0.0
    shares = np.array([0.0, *SHARES, 1.0])
    gone = (whole - np.array([whole, *curve[:, 0], hidden])) / (whole - hidden)
    come = (np.array([hidden, *curve[:, 1], whole]) - hidden) / (whole - hidden)
    return float(np.interp(max(_first_at(shares, gone), _first_at(shares, come)), areas, masses))


def _masses(saliency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the image, from 0 to 1, and the mass of its strongest places in each; all 0 where the map is empty."""
    strongest = np.sort(saliency, axis=None)[::-1].cumsum()
    return np.linspace(0, 1, strongest.size + 1), np.append(0, strongest / (strongest[-1] or 1))


def _first_at(shares: np.ndarray, way: np.ndarray) -> float:
    """The share at which a curve from 0 to 1 first reaches `MOVED_BY`."""
    place = int(np.argmax(way >= MOVED_BY))
    step = (MOVED_BY - way[place - 1]) / (way[place] - way[place - 1])
    return float(shares[place - 1] + step * (shares[place] - shares[place - 1]))


def _area(first: float, curve: np.ndarray, last: float) -> float:
    return float(np.trapezoid([first, *curve, last], [0.0, *SHARES, 1.0]))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[inverse]


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"
