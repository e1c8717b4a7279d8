"""When uneven classes call for a correction, and for which."""

from __future__ import annotations

import math

from core.config import OptimConfig
from core.data.balance import judge


def test_nearly_even_classes_need_nothing() -> None:
    found = judge(["cat", "dog"], [290, 100], OptimConfig())
    assert found.ratio == 2.9 and found.advised is None


def test_a_rare_class_that_every_batch_holds_calls_for_weights() -> None:
    found = judge(["cat", "dog"], [900, 100], OptimConfig(batch_size=32))  # 3.2 dogs a batch
    assert found.ratio == 9 and found.advised == "optim.class_weights"
    assert "dog has 100 images, 10.0 % of all" in found.words


def test_a_class_that_most_batches_lack_calls_for_a_sampler() -> None:
    found = judge(["cat", "dog"], [990, 10], OptimConfig(batch_size=32))  # 0.32 dogs a batch
    assert found.advised == "optim.sampler" and "0.32 in a batch of 32" in found.words
    assert judge(["cat", "dog"], [990, 10], OptimConfig(batch_size=128)).advised == "optim.class_weights"


def test_what_is_corrected_already_is_not_advised_again() -> None:
    for setting in ({"class_weights": "balanced"}, {"sampler": "balanced"}):
        found = judge(["cat", "dog"], [990, 10], OptimConfig(**setting))
        assert found.advised is None and next(iter(setting)) in found.words


def test_a_class_without_images_is_infinitely_rare() -> None:
    assert judge(["cat", "dog"], [9, 0], OptimConfig()).ratio == math.inf
