"""What is shipped agrees with what was trained, and a bundle that does not is not used silently."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import DarkroomError
from core.inference.bundle import FAMILIAR, Bundle, note_trust, read_bundle
from core.inference.classifier import onnx_forward, open_classifier, softmax
from core.inference.export import add_onnx, load_network, torch_forward
from core.inference.familiar import Familiar, energy, write_familiar
from core.inference.parity import compare
from core.preprocess import read_pixels
from core.training.backbone.onnx_graph import backbone_graph, join_head
from core.training.models import Network
from tests.conftest import Trained


@pytest.fixture
def bundle(trained: Trained, tmp_path: Path) -> Bundle:
    """A copy of a trained bundle that a test may spoil."""
    shutil.copytree(trained.run.bundle, tmp_path / "bundle")
    return read_bundle(tmp_path / "bundle")


@pytest.fixture
def pixels(trained: Trained) -> np.ndarray:
    spec = read_bundle(trained.run.bundle).spec
    return np.stack([read_pixels(path, spec) for path in sorted(trained.images.rglob("*.png"))[::10]])


def test_onnx_and_weights_give_the_same_probabilities(bundle: Bundle, pixels: np.ndarray) -> None:
    onnx, weights = (open_classifier(bundle.folder, engine).probabilities(pixels) for engine in ("onnx", "torch"))
    assert np.abs(onnx - weights).max() < 1e-4
    assert bundle.parity is not None and bundle.parity["agrees"]
    assert bundle.parity["num_images"] == bundle.parity["same_label"] == 15  # 15 % of 3 x 30, rounded by class


def test_a_graph_of_other_weights_is_withheld(bundle: Bundle, pixels: np.ndarray) -> None:
    network = load_network(bundle)
    graph = backbone_graph(network.backbone, bundle.spec.size, bundle.folder)
    other = Network(network.backbone, 128, 3, 0.0)
    torch.manual_seed(0)
    torch.nn.init.normal_(other.backbone[0].weight)
    spoiled = backbone_graph(other.backbone, bundle.spec.size, bundle.folder)
    assert spoiled != graph
    (bundle.folder / "model.onnx").unlink()
    outcome = add_onnx(bundle, [pixels], spoiled)
    assert outcome.parity is not None and not outcome.parity["agrees"] and outcome.onnx is None
    with pytest.raises(DarkroomError, match="no ONNX graph: its probabilities differ.*--engine torch"):
        open_classifier(bundle.folder)
    assert open_classifier(bundle.folder, "torch").probabilities(pixels).shape == (9, 3)
    assert add_onnx(bundle, [pixels], graph).onnx is not None


def test_swapped_channels_and_wrong_scaling_fail_the_comparison(bundle: Bundle, pixels: np.ndarray) -> None:
    reference = torch_forward(bundle)
    right = onnx_forward(bundle.folder / "model.onnx")
    assert compare(reference, right, bundle.spec, [pixels]).agrees
    assert not compare(reference, lambda x: right(np.ascontiguousarray(x[:, ::-1])), bundle.spec, [pixels]).agrees
    assert not compare(reference, lambda x: right(x * 2), bundle.spec, [pixels]).agrees
    assert not compare(reference, lambda x: right(x) * np.nan, bundle.spec, [pixels]).agrees
    assert not compare(reference, right, bundle.spec, []).agrees


def test_a_joined_graph_equals_the_whole_network(bundle: Bundle, pixels: np.ndarray) -> None:
    network = load_network(bundle)
    path = bundle.folder / "joined.onnx"
    join_head(backbone_graph(network.backbone, bundle.spec.size, bundle.folder), network.head, 128, path)
    assert compare(torch_forward(bundle), onnx_forward(path), bundle.spec, [pixels[:1], pixels]).worst_gap < 1e-5


def test_preprocessing_changed_by_hand_is_refused(bundle: Bundle) -> None:
    meta = json.loads((bundle.folder / "model.json").read_text())
    meta["preprocess"]["mean"] = [0.0, 0.0, 0.0]
    (bundle.folder / "model.json").write_text(json.dumps(meta))
    with pytest.raises(DarkroomError, match="does not match its hash"):
        read_bundle(bundle.folder)


@pytest.mark.parametrize("text", ["{}", "[]", "null", "{"])
def test_a_damaged_description_is_refused_in_words(bundle: Bundle, text: str) -> None:
    (bundle.folder / "model.json").write_text(text)
    with pytest.raises(DarkroomError):
        read_bundle(bundle.folder)


def test_weights_that_do_not_fit_are_refused_in_words(bundle: Bundle) -> None:
    meta = json.loads((bundle.folder / "model.json").read_text())
    (bundle.folder / "model.json").write_text(json.dumps(meta | {"architecture": "resnet18"}))
    with pytest.raises(DarkroomError, match="cannot be loaded: they do not fit resnet18") as refused:
        open_classifier(bundle.folder, "torch")
    assert "\n" not in refused.value.message


def test_weights_that_are_cut_short_are_refused_in_words(bundle: Bundle) -> None:
    bundle.weights.write_bytes(bundle.weights.read_bytes()[:-100])
    with pytest.raises(DarkroomError, match="cannot be loaded"):
        open_classifier(bundle.folder, "torch")


def test_one_unreadable_image_does_not_disturb_the_others(trained: Trained) -> None:
    image = sorted(trained.images.rglob("*.png"))[0]
    answers = open_classifier(trained.run.bundle).classify([b"no image", image, image.read_bytes()], ["a", "b", "c"])
    assert answers[0].label is None and "Not an image" in str(answers[0].error)
    assert answers[1].top == answers[2].top and answers[1].error is None
    assert answers[1].confidence == answers[1].top[0][1] and sum(p for _, p in answers[1].top) == pytest.approx(1)


def test_softmax_by_hand_and_without_overflow() -> None:
    assert softmax(np.array([[0.0, np.log(3.0)]])) == pytest.approx(np.array([[0.25, 0.75]]))
    assert softmax(np.array([[1e4, 0.0]], np.float32)) == pytest.approx(np.array([[1.0, 0.0]]))


def test_both_ways_give_what_the_last_layer_is_given(bundle: Bundle, pixels: np.ndarray) -> None:
    onnx, weights = (open_classifier(bundle.folder, engine).logits_and_features(pixels) for engine in ("onnx", "torch"))
    assert onnx[1] is not None and weights[1] is not None and onnx[1].shape == (9, 128)
    assert onnx[1] == pytest.approx(weights[1], abs=1e-4) and onnx[0] == pytest.approx(weights[0], abs=1e-4)
    last = load_network(bundle).head[-1]
    with torch.no_grad():
        assert last(torch.from_numpy(onnx[1])).numpy() == pytest.approx(onnx[0], abs=1e-4)


def test_a_description_of_an_earlier_version_is_read(bundle: Bundle) -> None:
    meta = json.loads((bundle.folder / "model.json").read_text())
    for name in ("temperature", "abstention_threshold", "abstention_target", "energy_threshold", "distance_threshold"):
        del meta[name]
    (bundle.folder / "model.json").write_text(json.dumps(meta))
    read = read_bundle(bundle.folder)
    assert (read.temperature, read.abstention_threshold, read.energy_threshold) == (1.0, None, None)


def test_what_is_noted_of_trust_stays_and_nothing_else_changes(bundle: Bundle) -> None:
    before = json.loads((bundle.folder / "model.json").read_text())
    note_trust(bundle.folder, temperature=1.5, abstention_threshold=0.9)
    note_trust(bundle.folder, abstention_target=0.01)
    after = json.loads((bundle.folder / "model.json").read_text())
    changed = {name: after[name] for name in after if after[name] != before[name]}
    assert changed == {"temperature": 1.5, "abstention_threshold": 0.9, "abstention_target": 0.01}
    for wrong in ({"temperature": 0}, {"temperature": None}, {"abstention_threshold": 1.1}, {"energy_threshold": "x"}):
        with pytest.raises(ValueError, match="is not a"):
            note_trust(bundle.folder, **wrong)
    with pytest.raises(ValueError, match="not about trust: classes"):
        note_trust(bundle.folder, classes=3)
    (bundle.folder / "model.json").write_text(json.dumps(after | {"temperature": -1}))
    with pytest.raises(DarkroomError, match="-1 is not a temperature"):
        read_bundle(bundle.folder)


def test_temperature_and_thresholds_are_honoured(bundle: Bundle, trained: Trained, pixels: np.ndarray) -> None:
    images = sorted(trained.images.rglob("*.png"))[::10]
    names = [image.name for image in images]
    plain = open_classifier(bundle.folder)
    logits = plain.logits(pixels)
    assert all(answer.accepted and answer.familiar is None for answer in plain.classify(images, names))
    note_trust(bundle.folder, temperature=4.0)
    warm = open_classifier(bundle.folder)
    assert warm.probabilities(pixels) == pytest.approx(softmax(logits / 4), abs=1e-6)
    answers = warm.classify(images, names)
    assert [answer.label for answer in answers] == [answer.label for answer in plain.classify(images, names)]
    confidences = sorted(answer.confidence for answer in answers)
    note_trust(bundle.folder, abstention_threshold=confidences[4])
    unsure = open_classifier(bundle.folder).classify(images, names)
    assert [answer.sure for answer in unsure] == [answer.confidence >= confidences[4] for answer in unsure]
    assert [answer.accepted for answer in unsure] == [answer.sure for answer in unsure]
    note_trust(bundle.folder, abstention_threshold=None, energy_threshold=float(np.median(energy(logits))))
    strange = open_classifier(bundle.folder).classify(images, names)
    assert [answer.familiar for answer in strange] == (energy(logits) <= np.median(energy(logits))).tolist()
    assert sum(answer.accepted for answer in strange) == 5


def test_features_far_from_those_in_the_bundle_are_strange(bundle: Bundle, pixels: np.ndarray) -> None:
    _, features = open_classifier(bundle.folder).logits_and_features(pixels)
    assert features is not None
    write_familiar(bundle.folder, Familiar(features))
    note_trust(bundle.folder, distance_threshold=0.1, energy_threshold=-1e9)  # the distance decides where there is one
    classifier = open_classifier(bundle.folder)
    assert classifier.are_familiar(np.zeros((9, 3)), features) == [True] * 9
    assert classifier.are_familiar(np.zeros((9, 3)), -features) == [False] * 9
    (bundle.folder / FAMILIAR).write_bytes(b"spoiled")
    with pytest.raises(DarkroomError, match="is damaged"):
        open_classifier(bundle.folder)
