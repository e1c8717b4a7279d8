"""What resizing costs, by hand."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.resize_loss import SHOWN, enlarged_share, examples, resize_losses, shown_resized, shown_whole

WIDTH, HEIGHT = np.array([400, 100, 300]), np.array([200, 100, 400])  # the shorter side is 1/2, 1, 3/4 of the longer


def test_each_policy_by_hand() -> None:
    losses = resize_losses(WIDTH, HEIGHT)
    assert losses["crop"].discarded == pytest.approx((0.5 + 0 + 0.25) / 3)
    assert losses["crop"].most_discarded == 0.5
    assert losses["pad"].border == pytest.approx(0.25) and losses["pad"].discarded == 0
    assert losses["squash"].bent == pytest.approx((2 + 1 + 4 / 3) / 3) and losses["squash"].discarded == 0
    assert losses["crop"].words == "crop discards 25.0 % of the pixels, of one image 50.0 %, and keeps the shape."


def test_square_images_lose_nothing() -> None:
    for loss in resize_losses(np.array([8, 9]), np.array([8, 9])).values():
        assert loss.is_harmless and loss.words.endswith("every image is square.")


def test_examples_are_the_middle_and_the_furthest() -> None:
    assert examples(WIDTH, HEIGHT) == (2, 0)


def test_small_images_are_those_short_in_both_directions() -> None:
    assert enlarged_share(WIDTH, HEIGHT, 400) == pytest.approx(1 / 3)
    assert enlarged_share(WIDTH, HEIGHT, 401) == 1


def test_examples_show_what_the_policy_keeps(tmp_path: Path) -> None:
    halves = np.zeros((100, 200, 3), np.uint8)
    halves[:, :100] = (255, 0, 0)  # left red, right black
    halves[:, :40] = halves[:, 160:] = (0, 0, 255)  # with blue ends, which the middle square does not reach
    Image.fromarray(halves).save(tmp_path / "halves.png")
    whole = Image.open(BytesIO(shown_whole(tmp_path / "halves.png")))
    assert whole.size == (SHOWN, SHOWN // 2)

    def resized(policy: str) -> np.ndarray:
        drawn = shown_resized(tmp_path / "halves.png", policy, 64, "bilinear")  # type: ignore[arg-type]
        return np.asarray(Image.open(BytesIO(drawn)))

    assert resized("squash").shape == (SHOWN, SHOWN, 3)
    assert resized("squash")[80, 5].argmax() == 2 and resized("crop")[80, 20].argmax() == 0
    assert tuple(resized("pad")[5, 80]) == (127, 127, 127)
