"""Maps of where a network looks, on images whose class is decided by a patch whose place is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from core.config import ModelConfig
from core.evaluation.explained import picture
from core.evaluation.saliency import BY_WINDOWS, Layer, combined, maps, randomised, spatial_layers
from core.evaluation.saliency_checks import Scores, common_fault, likeness, mass_within, mean_gain, score
from core.evaluation.saliency_job import Subject, explain
from core.inference.bundle import write_bundle
from core.inference.classifier import Classifier
from core.inference.export import load_network, torch_forward
from core.preprocess import PreprocessSpec, normalise
from core.training.models import build_network

SIZE, PATCH = 32, 12
SPEC = PreprocessSpec(SIZE, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLASSES = ["down", "across"]


def planted(num: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int, int]]]:
    """Noise with one striped patch somewhere; which way its stripes run is the class. Pixels, classes, boxes."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(60, 196, (num, SIZE, SIZE, 3)).astype(np.uint8)
    targets = generator.integers(0, 2, num)
    corners = generator.integers(0, SIZE - PATCH + 1, (num, 2))
    for image, target, (top, left) in zip(pixels, targets, corners, strict=True):
        stripes = np.indices((PATCH, PATCH))[target] // 2 % 2 * 255
        image[top : top + PATCH, left : left + PATCH] = stripes[..., None]
    boxes = [(top, left, top + PATCH, left + PATCH) for top, left in corners.tolist()]
    return pixels, targets, boxes


def random_network() -> nn.Module:
    torch.manual_seed(0)
    config = ModelConfig.model_construct(
        architecture="fast_cnn", weights="random", init="kaiming", tune="all", dropout=0.0, head_units=0
    )
    return build_network(config, len(CLASSES), SIZE)


def classifier_of(network: nn.Module, folder: Path) -> Classifier:
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    bundle = write_bundle(folder, weights, "fast_cnn", CLASSES, SPEC, {})
    return Classifier(bundle, torch_forward(bundle))


def subject(classifier: Classifier, num: int, seed: int) -> tuple[Subject, float, list[tuple[int, int, int, int]]]:
    """Planted images with what the classifier says of them, and how often it is right."""
    pixels, targets, boxes = planted(num, seed)
    return *asked(classifier, pixels, targets), boxes


def asked(classifier: Classifier, pixels: np.ndarray, targets: np.ndarray) -> tuple[Subject, float]:
    """Images with what the classifier says of them, and how often it is right."""
    table = classifier.probabilities(pixels)
    answers = table.argmax(axis=1)
    rows = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(len(pixels))],
            "label": np.take(classifier.classes, targets),
            "predicted": np.take(classifier.classes, answers),
            "confidence": table.max(axis=1),
        }
    )
    return Subject(rows, pixels, answers), float((answers == targets).mean())


@dataclass(frozen=True)
class Looked:
    """What came of looking at a network's maps of planted images."""

    accuracy: float
    maps: list[np.ndarray]
    scores: list[Scores]
    boxes: list[tuple[int, int, int, int]]
    way: str

    @property
    def passed(self) -> list[bool]:
        return [not one.fault() for one in self.scores]

    @property
    def masses_that_pass(self) -> list[float]:
        """Of the maps that passed, the share that lies in the patch."""
        masses = [mass_within(one, box, SIZE) for one, box in zip(self.maps, self.boxes, strict=True)]
        return [mass for mass, passed in zip(masses, self.passed, strict=True) if passed]


def look(network: nn.Module, folder: Path) -> Looked:
    classifier = classifier_of(network, folder)
    choosing, _, _ = subject(classifier, 3, 2)
    wanted, accuracy, boxes = subject(classifier, 12, 3)
    steps: list[tuple[int, int]] = []
    way, tried, results = explain(
        classifier, load_network(classifier.bundle), choosing, wanted, lambda *at: steps.append(at)
    )
    assert steps[-1] == (15, 15) and way in tried and tried[way] == max(tried.values())
    return Looked(accuracy, [one for one, _ in results], [one for _, one in results], boxes, way)


def learn(
    network: nn.Module,
    pixels: np.ndarray,
    targets: np.ndarray,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> nn.Module:
    """Really train it, in batches of 32; gives it back ready to answer."""
    images, labels = torch.from_numpy(normalise(pixels, SPEC)), torch.from_numpy(targets)
    network.train()
    for _ in range(epochs):
        for part in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[part]), labels[part]).backward()
            optimizer.step()
            if schedule:
                schedule.step()
    return network.eval()


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """A network that was really trained on planted images."""
    network = random_network()
    pixels, targets, _ = planted(384, 1)
    learn(network, pixels, targets, 4, torch.optim.AdamW(network.parameters(), 3e-3))
    return look(network, tmp_path_factory.mktemp("learned") / "bundle")


def test_a_map_that_passes_has_most_of_its_mass_in_the_patch(learned: Looked) -> None:
    assert learned.accuracy > 0.9
    assert len(learned.masses_that_pass) >= 8
    assert min(learned.masses_that_pass) >= 0.7, learned.masses_that_pass
    assert common_fault(learned.scores, 0.9, 0.5) == ""


def test_a_network_with_random_weights_fails(tmp_path: Path) -> None:
    looked = look(random_network().eval(), tmp_path / "bundle")
    assert sum(looked.passed) <= 1
    # Even the map of a strong but meaningless function is refused: it is no better than always the same answer.
    assert "nothing to explain" in common_fault(looked.scores, 0.4, 0.5)


def test_the_same_network_with_shuffled_weights_marks_other_places(learned: Looked) -> None:
    assert np.mean([one.likeness for one in learned.scores]) < 0.6


def test_a_map_that_shows_the_image_whatever_was_learned_is_refused(learned: Looked) -> None:
    same = [Scores(1, 0, 0.1, 0.9, 0.0, 1.0, 1.0, 1.0, likeness=0.97) for _ in range(8)]
    assert [one.fault() for one in same] == [""] * 8
    assert "they show the images, not what was learned" in common_fault(same, 0.9, 0.5)


def test_the_map_is_worked_out_by_hand() -> None:
    """One channel counts twice, one counts against; the sum over channels, its positive part, the largest made 1."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places = nn.Identity()

        def forward(self, images: Tensor) -> Tensor:
            kept = self.places(images * 1.0)
            means = kept.mean(dim=(2, 3))
            return torch.stack([2 * means[:, 0] - means[:, 1], means[:, 2]], dim=1)

    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, 0, 0], image[0, 0, 1, 1], image[0, 1, 1, 1], image[0, 1, 2, 2], image[0, 2, 3, 3] = 3, 2, 1, 5, 4
    (found,) = maps(Two(), image, [0], [Layer("places", 4)])
    expected = np.zeros((1, 4, 4), np.float32)
    expected[0, 0, 0], expected[0, 1, 1] = 1, (2 * 2 - 1) / (2 * 3)
    assert found == pytest.approx(expected)
    (other,) = maps(Two(), image, [1], [Layer("places", 4)])
    assert other[0, 3, 3] == 1 and other.sum() == 1


def of_torchvision(name: str) -> nn.Module:
    config = ModelConfig.model_construct(
        architecture=name, weights="random", init="kaiming", tune="all", dropout=0.0, head_units=0
    )
    return build_network(config, 2, 128).eval()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1"])
def test_layers_of_torchvisions_networks_are_found(name: str) -> None:
    network = of_torchvision(name)
    layers = spatial_layers(network, torch.randn(2, 3, 128, 128))
    assert layers and all(layer.side >= 4 for layer in layers) and BY_WINDOWS not in layers
    assert [one.shape[1] for one in maps(network, torch.randn(2, 3, 128, 128), [0, 1], layers)] == [
        layer.side for layer in layers
    ]


@pytest.mark.parametrize("name", ["swin_t", "vit_b_32"])
def test_torchvisions_transformers_are_asked_by_windows(name: str) -> None:
    assert spatial_layers(of_torchvision(name), torch.randn(2, 3, 128, 128)) == [BY_WINDOWS]


def test_agreement_of_two_layers_is_their_product() -> None:
    coarse = np.array([[[1, 0], [0, 0]]], np.float32)
    fine = np.zeros((1, 4, 4), np.float32)
    fine[0, 0, 0], fine[0, 3, 3] = 0.5, 1
    found = combined([coarse, fine])
    assert found[0, 0, 0] == 1 and found[0, 3, 3] == 0


def test_shuffled_weights_keep_their_values(learned: Looked) -> None:
    network = random_network().eval()
    other = randomised(network, torch.randn(8, 3, SIZE, SIZE), seed=1)
    for mine, its in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine.flatten().sort().values, its.flatten().sort().values)
    assert any(not torch.equal(mine, its) for mine, its in zip(network.parameters(), other.parameters(), strict=True))
    assert torch.isfinite(other(torch.randn(2, 3, SIZE, SIZE))).all()


def brightness_of(top: int, left: int) -> Callable[[np.ndarray], np.ndarray]:
    """A model that answers by the brightness of one 8 x 8 square alone."""

    def probabilities(pixels: np.ndarray) -> np.ndarray:
        share = pixels[:, top : top + 8, left : left + 8].mean(axis=(1, 2, 3)) / 255
        return np.column_stack([1 - share, share])

    return probabilities


def test_the_scores_of_a_right_and_of_a_wrong_map() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:16, 8:16] = 255
    right, wrong = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    right[2:4, 2:4], wrong[6:, 6:] = 1, 1
    good = score(brightness_of(8, 8), image, 1, right, np.random.default_rng(0))
    bad = score(brightness_of(8, 8), image, 1, wrong, np.random.default_rng(0))
    assert good.whole == 1 and good.hidden < 0.1
    assert good.insertion > 0.9 and good.deletion < 0.2 and good.beats == 1 and not good.fault()
    assert bad.gain < good.gain - 0.5 and "does not mark what decides" in bad.fault()


def test_a_map_must_have_the_measure_of_what_decides() -> None:
    """What decides is a square of 4 x 4 places; a wider map is refused, and one that leaves three quarters out."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:16, 8:16] = 255

    def judged(found: np.ndarray) -> Scores:
        return score(brightness_of(8, 8), image, 1, found.astype(np.float32), np.random.default_rng(0))

    square, corner, around = np.zeros((3, 16, 16))
    square[4:8, 4:8] = corner[4:6, 4:6] = around[4:8, 4:8] = 1
    around[0:12, 0:12] += 0.3
    right, narrow, wide = judged(square), judged(corner), judged(around / 1.3)
    assert right.marked > 0.9 and right.needed > 0.7 and not right.fault()
    assert narrow.marked < 0.5 and "the rest is decided elsewhere" in narrow.fault()
    assert wide.needed < 0.7 and "lies where nothing is decided" in wide.fault()


def test_what_one_cover_alone_says_at_a_place_is_half_the_truth() -> None:
    """Mixed pixels in the corner silence this model, whatever the square says that decides; a plain cover does not."""
    image = np.full((32, 32, 3), 100, np.uint8)
    image[8:16, 8:16] = 255

    def probabilities(pixels: np.ndarray) -> np.ndarray:
        answers = brightness_of(8, 8)(pixels)
        answers[pixels[:, 24:, 24:].std(axis=(1, 2, 3)) > 20] = (1, 0)
        return answers

    corner = np.zeros((16, 16), np.float32)
    corner[12:, 12:] = 1
    found = score(probabilities, image, 1, corner, np.random.default_rng(0))
    assert found.hidden == 0, "mixed pixels hide best; the mean hides half as well, and a blur too little"
    assert found.marked == pytest.approx(0.5)


def test_a_map_that_marks_nothing_hides_nothing() -> None:
    image = np.full((32, 32, 3), 255, np.uint8)
    image[16:] = 0
    found = score(brightness_of(8, 8), image, 1, np.zeros((8, 8), np.float32), np.random.default_rng(0))
    assert found.marked == 0 and found.needed == 0 and found.fault()


def test_an_answer_that_hiding_does_not_move_is_said_so() -> None:
    image = np.full((32, 32, 3), 90, np.uint8)
    found = score(brightness_of(8, 8), image, 1, np.eye(4, dtype=np.float32), np.random.default_rng(0))
    assert found.gain == pytest.approx(0) and "cannot be found by hiding" in found.fault()


def test_likeness_is_spearmans() -> None:
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 5, (2, 6, 6)).astype(np.float32)
    assert likeness(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert likeness(one, np.zeros((6, 6), np.float32)) == 0


def test_too_few_maps_give_no_verdict_on_all_and_bad_ones_do() -> None:
    bad = Scores(0.9, 0.5, 0.5, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0)
    assert common_fault([bad] * 4, 0.9, 0.5) == ""
    assert "no better than when moved elsewhere" in common_fault([bad] * 5, 0.9, 0.5)
    assert mean_gain([bad, bad])[0] == 0


def test_a_map_that_failed_is_drawn_without_colour() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    saliency = np.eye(4, dtype=np.float32)
    colours, grey = (np.asarray(picture(pixels, saliency, believed), int) for believed in (True, False))
    assert colours.shape == grey.shape == (128, 128, 3)
    assert np.ptp(grey, axis=2).max() == 0 and np.ptp(colours, axis=2).max() > 50
