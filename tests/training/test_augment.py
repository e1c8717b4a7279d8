"""Each change does what it says, on images small enough to know the answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from core.config import AugmentConfig
from core.training.augmentation.augment import augment
from core.training.augmentation.colour import LUMA, recoloured
from core.training.augmentation.draws import NUM_DRAWS, Draw
from core.training.augmentation.mixing import Mixture, draw_mixture, mix, mix_labels, pasted_box
from core.training.augmentation.policies import (
    CHANGES,
    RANDAUGMENT,
    apply_policy,
    change_each,
    equalised,
    posterised,
    sharpened,
    solarised,
    stretched,
)


def _draws(count: int, **fixed: float) -> torch.Tensor:
    """Half of everything, which means no change, but for what is named."""
    draws = torch.full((count, NUM_DRAWS), 0.5)
    for name, value in fixed.items():
        draws[:, Draw[name]] = value
    return draws


def _random(count: int) -> torch.Tensor:
    return torch.rand(count, NUM_DRAWS, generator=torch.Generator().manual_seed(0))


def _numbers(height: int = 4, width: int = 4) -> torch.Tensor:
    """One image whose pixels count from 0, uint8."""
    return torch.arange(height * width, dtype=torch.uint8).view(1, 1, height, width).repeat(1, 3, 1, 1)


def _first(images: torch.Tensor) -> list[list[int]]:
    return (images[0, 0] * 255).round().int().tolist()


def _dot(x: int, y: int) -> torch.Tensor:
    image = torch.zeros(1, 3, 9, 9)
    image[0, :, y, x] = 1
    return image


def _photo() -> torch.Tensor:
    """Four smooth images with noise, uint8 (4, 3, 24, 24)."""
    generator = np.random.default_rng(0)
    ramps = np.linspace(20, 200, 24)[None, None, :, None] + np.linspace(0, 40, 24)[None, None, None, :]
    return torch.from_numpy((ramps + generator.integers(0, 15, (4, 3, 24, 24))).astype(np.uint8))


def _pillow(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def _gap(ours: torch.Tensor, theirs: list[Image.Image]) -> float:
    """The largest difference in steps of 1/255."""
    expected = torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in theirs]).float()
    return float((ours * 255 - expected).abs().max())


def test_no_augmentation_changes_nothing() -> None:
    assert torch.equal(augment(_photo(), AugmentConfig(), _random(4)), _photo().float() / 255)


@pytest.mark.parametrize("shift", [0.0, 0.001, 0.25])  # by mirroring, by picking pixels
def test_flips_mirror_what_they_say(shift: float) -> None:
    config = AugmentConfig(horizontal_flip=True, vertical_flip=True, shift=shift)
    across = augment(_numbers(2, 2), config, _draws(1, FLIP_ACROSS=0.1))
    down = augment(_numbers(2, 2), config, _draws(1, FLIP_DOWN=0.1))
    assert _first(across) == [[1, 0], [3, 2]] and _first(down) == [[2, 3], [0, 1]]


def test_flips_mirror_about_half_of_the_images() -> None:
    flipped = augment(_dot(1, 4).repeat(400, 1, 1, 1), AugmentConfig(horizontal_flip=True), _random(400))
    mirrored = sum(torch.equal(image, _dot(7, 4)[0]) for image in flipped)
    assert 150 < mirrored < 250
    assert sum(torch.equal(image, _dot(1, 4)[0]) for image in flipped) == 400 - mirrored


def test_a_shift_by_a_known_number_of_pixels() -> None:
    moved = augment(_numbers(), AugmentConfig(shift=0.5), _draws(1, SHIFT_ACROSS=0.75))  # half of two pixels
    assert _first(moved) == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11], [13, 14, 15, 15]]
    moved = augment(_numbers(), AugmentConfig(shift=0.5), _draws(1, SHIFT_DOWN=0.0))
    assert _first(moved) == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7]]


def test_picking_pixels_and_resampling_shift_alike() -> None:
    # A turn of nearly nothing makes the same shift go through the resampling.
    plain = AugmentConfig(shift=0.25, horizontal_flip=True, vertical_flip=True)
    turned = plain.model_copy(update={"rotate_degrees": 1e-4})
    draws = _random(4)
    draws[:, [Draw.SHIFT_ACROSS, Draw.SHIFT_DOWN]] = torch.tensor([[0.0, 1.0], [0.25, 0.75], [0.5, 0.0], [1.0, 0.25]])
    draws[0, Draw.FLIP_ACROSS], draws[1, Draw.FLIP_DOWN] = 0.1, 0.1
    picked, resampled = augment(_photo(), plain, draws), augment(_photo(), turned, draws)
    assert torch.allclose(picked, resampled, atol=1e-3)


def test_shifts_stay_within_their_bound() -> None:
    moved = augment(_dot(4, 4).repeat(200, 1, 1, 1), AugmentConfig(shift=0.2), _random(200))[:, 0]
    centre = (moved.sum(dim=1) * torch.arange(9.0)).sum(dim=1)
    assert (centre - 4).abs().max() == 2 and centre.std() > 0.5  # 0.2 of nine pixels is two whole ones


def test_a_quarter_turn() -> None:
    config = AugmentConfig(rotate_degrees=90)
    turned = augment(_numbers(2, 2), config, _draws(1, ANGLE=1.0))
    assert _first(turned) == [[1, 3], [0, 2]] or _first(turned) == [[2, 0], [3, 1]]
    back = augment(turned, config, _draws(1, ANGLE=0.0))
    assert _first(back) == [[0, 1], [2, 3]]


def test_a_crop_shows_a_part_of_at_least_the_given_area() -> None:
    # A ramp from left to right: its range after the crop is the width that was kept.
    ramp = ((torch.arange(64) + 0.5) / 64).view(1, 1, 1, 64).expand(300, 3, 64, 64)
    draws = _random(300)
    across = augment(ramp, AugmentConfig(crop_scale=0.25), draws)[:, 0]
    down = augment(ramp.transpose(2, 3), AugmentConfig(crop_scale=0.25), draws)[:, 0]
    widths = (across.amax(dim=(1, 2)) - across.amin(dim=(1, 2))) * 64 / 63
    heights = (down.amax(dim=(1, 2)) - down.amin(dim=(1, 2))) * 64 / 63
    area = widths * heights
    assert 0.23 < area.min() < 0.32 and 0.9 < area.max() <= 1.02
    assert (widths / heights).max() < 1.37 and (widths / heights).min() > 0.73
    kept_left = across.amin(dim=(1, 2))
    assert kept_left.min() < 0.05 and (kept_left + widths).max() > 0.95


def test_brightness_stays_in_range_and_differs_from_image_to_image() -> None:
    changed = augment(torch.full((100, 3, 4, 4), 0.8), AugmentConfig(brightness=0.5), _random(100))[:, 0, 0, 0]
    assert changed.max() <= 1 and changed.min() >= 0.4 - 1e-6 and changed.unique().numel() > 50


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_colours_change_as_in_pillow(name: str, enhance: type, factor: float) -> None:
    factors = {other: torch.ones(4) for other in ("brightness", "contrast", "saturation")}
    ours = recoloured(_photo().float() / 255, **factors | {name: torch.full((4,), factor)})
    assert _gap(ours, [enhance(_pillow(image)).enhance(factor) for image in _photo()]) <= 1.5


def test_a_change_of_hue_keeps_greys_and_brightness() -> None:
    ones, grey = torch.ones(3), torch.full((3, 3, 2, 2), 0.5)
    assert torch.allclose(recoloured(grey, ones, ones, ones, torch.tensor([0.1, 0.3, 0.5])), grey, atol=1e-5)
    reddish = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1).repeat(3, 1, 2, 2)
    turned = recoloured(reddish, ones, ones, ones, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(turned[0], reddish[0], atol=1e-5) and torch.allclose(turned[2], reddish[0], atol=1e-5)
    red, green, blue = turned[1, :, 0, 0].tolist()
    assert red < green and red < blue  # the opposite of reddish
    brightness = (turned * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1)
    assert torch.allclose(brightness, brightness[:1], atol=1e-3)


def test_the_changes_of_the_policies_agree_with_pillow() -> None:
    photo, ones = _photo().float() / 255, torch.ones(4)
    pillow = [_pillow(image) for image in _photo()]
    assert _gap(equalised(photo), [ImageOps.equalize(image) for image in pillow]) < 0.01
    assert _gap(stretched(photo), [ImageOps.autocontrast(image) for image in pillow]) <= 1.01
    assert _gap(posterised(photo, 3 * ones), [ImageOps.posterize(image, 5) for image in pillow]) < 0.01
    assert _gap(solarised(photo, ones * 128 / 255), [ImageOps.solarize(image, 128) for image in pillow]) < 0.01
    for factor in (0.1, 1.0, 1.9):
        expected = [ImageEnhance.Sharpness(image).enhance(factor) for image in pillow]
        assert _gap(sharpened(photo, factor * ones), expected) <= 1.5


def test_an_image_of_one_colour_survives_every_change() -> None:
    flat = torch.full((len(CHANGES), 3, 8, 8), 0.25)
    which, share = torch.arange(len(CHANGES)), torch.ones(len(CHANGES))
    changed = change_each(flat, which, share, share, RANDAUGMENT)
    assert torch.isfinite(changed).all() and changed.min() >= 0 and changed.max() <= 1
    assert torch.equal(changed[CHANGES.index("identity")], flat[0])
    assert torch.equal(changed[CHANGES.index("autocontrast")], flat[0])


def test_every_change_of_a_policy_is_drawn_and_each_image_gets_its_own() -> None:
    photo = (_photo().float() / 255)[:1].repeat(200, 1, 1, 1)
    draws = _random(200)
    changed = apply_policy(photo, "trivialaugment", 9, draws)
    which = (draws[:, Draw.FIRST_CHANGE] * len(CHANGES)).long()
    assert set(which.tolist()) == set(range(len(CHANGES)))
    altered = (changed - photo).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert not altered[which == CHANGES.index("identity")].any()
    assert altered[which == CHANGES.index("solarize")].sum() > 5
    one = apply_policy(photo[7:8], "trivialaugment", 9, draws[7:8])
    assert torch.allclose(one, changed[7:8], atol=1e-6)


def test_randaugment_makes_two_changes_of_the_strength_asked_for() -> None:
    photo = _photo().float() / 255
    posterize = (CHANGES.index("posterize") + 0.5) / len(CHANGES)
    identity = 0.5 / len(CHANGES)
    draws = _draws(4, FIRST_CHANGE=identity, SECOND_CHANGE=posterize)
    assert torch.allclose(apply_policy(photo, "randaugment", 15, draws), posterised(photo, torch.full((4,), 2.0)))
    assert torch.allclose(apply_policy(photo, "randaugment", 30, draws), posterised(photo, torch.full((4,), 4.0)))
    assert torch.equal(apply_policy(photo, "trivialaugment", 15, draws), photo)  # one change alone


def test_erasing_blanks_one_rectangle_in_that_share_of_the_images() -> None:
    white = torch.ones(400, 3, 50, 50)
    blanked = augment(white, AugmentConfig(erasing=0.25), _random(400), blank=(0.1, 0.2, 0.3))
    gone = blanked[:, 0] < 1
    hit = gone.any(dim=2).any(dim=1)
    assert 70 < hit.sum() < 130
    share = gone[hit].float().mean(dim=(1, 2))
    assert 0.015 < share.min() and share.max() < 0.34
    assert torch.equal(gone, gone.any(dim=2, keepdim=True) & gone.any(dim=1, keepdim=True))  # rectangles
    assert blanked[hit].amin(dim=(0, 2, 3)).tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_mixup_blends_images_and_labels_by_the_same_share() -> None:
    inputs, others = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1), torch.tensor([0.0, 4.0]).view(2, 1, 1, 1)
    mixture = Mixture(kept=0.75)
    assert mix(inputs, others, mixture).flatten().tolist() == [0.75, 1.0]
    targets = mix_labels(torch.tensor([2, 0]), torch.tensor([0, 0]), mixture, 3)
    assert targets.tolist() == [[0.25, 0, 0.75], [1, 0, 0]]


def test_cutmix_pastes_a_box_and_weighs_labels_by_its_area() -> None:
    mixture = pasted_box(kept=0.75, across=0.5, down=0.5, size=4)  # half the side: 2 x 2 in the middle
    assert mixture == Mixture(0.75, (1, 1, 3, 3))
    mixed = mix(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4), mixture)
    assert mixed[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    corner = pasted_box(kept=0.75, across=0.0, down=1.0, size=4)  # three quarters of it lie outside
    assert corner == Mixture(1 - 1 / 16, (0, 3, 1, 4))
    assert mix_labels(torch.tensor([0]), torch.tensor([1]), corner, 2).tolist() == [[0.9375, 0.0625]]


def test_mixtures_are_drawn_by_place_and_follow_their_law() -> None:
    config = AugmentConfig(mixup=0.2, cutmix=1.0)
    drawn = [draw_mixture(config, 32, 0, 1, place) for place in range(400)]
    assert drawn == [draw_mixture(config, 32, 0, 1, place) for place in range(400)]
    blends = [mixture.kept for mixture in drawn if mixture.box is None]
    assert 150 < len(blends) < 250
    assert abs(np.mean(blends) - 0.5) < 0.07 and np.var(blends) == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.03)
    only = [draw_mixture(AugmentConfig(cutmix=1.0), 32, 0, 1, place) for place in range(50)]
    assert all(mixture.box is not None and 0 <= mixture.kept <= 1 for mixture in only)
