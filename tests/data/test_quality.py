"""What is measured of an image and what the checks make of it: by hand, and on made pictures with planted faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from core.data.checks import CHECKS, MEASURES_VERSION
from core.data.health import findings, flagged_below, groups_of
from core.data.index import build_manifest
from core.data.manifest import usable
from core.data.probe import probe
from core.data.quality import Measures, colourfulness, measure, perceptual_hash, sharpness, sketch
from core.data.scores import (
    blurry_scores,
    dark_scores,
    grey_scores,
    label_conflict_scores,
    odd_aspect_ratio_scores,
    odd_size_scores,
)
from core.data.shrink import thumbnail_of
from core.data.sources import recognise


def picture(seed: int, size: tuple[int, int] = (300, 220)) -> Image.Image:
    """A made photograph: patches of colour with sharp edges of all sizes, and some grain."""
    random = np.random.default_rng(seed)
    width, height = size
    pixels = np.tile(random.integers(60, 200, 3).astype(float), (height, width, 1))
    y, x = np.mgrid[:height, :width]
    for radius in np.geomspace(height / 2, 3, 60):
        column, row, stretch = random.uniform(0, width), random.uniform(0, height), random.uniform(0.3, 3)
        tall = radius / math.sqrt(stretch) + 1
        top, left = max(0, int(row - tall)), max(0, int(column - radius))
        near = slice(top, int(row + tall) + 2), slice(left, int(column + radius) + 2)  # only this much is looked at
        inside = (x[near] - column) ** 2 + (y[near] - row) ** 2 * stretch < radius**2
        pixels[near][inside] = random.integers(0, 256, 3)
    pixels += random.normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def measured(image: Image.Image) -> Measures:
    pixels = np.asarray(image)
    return measure([sketch(pixels, thumbnail_of(pixels))])[0]


def table(count: int, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"width": 100, "height": 100} | columns, index=range(count))


def test_measures_worked_by_hand() -> None:
    halves = np.zeros((40, 40, 3), np.uint8)
    halves[:, 20:] = (255, 0, 0)
    found = measured(Image.fromarray(halves))
    assert found.brightness == pytest.approx(0.299 / 2, abs=0.001)  # ITU-R BT.601: red weighs 0.299
    assert found.contrast == pytest.approx(0.299 / 2, abs=0.001)
    assert (found.darkest, found.brightest) == (0.0, pytest.approx(0.299, abs=0.002))
    assert (found.mean_r, found.mean_g, found.mean_b) == pytest.approx((0.5, 0, 0))
    assert (found.std_r, found.std_g, found.std_b) == pytest.approx((0.5, 0, 0), abs=1e-3)
    assert found.entropy == pytest.approx(1 / 8)  # two levels equally often: one bit of eight
    # Red-green is 0 or 1, yellow-blue 0 or 0.5: spreads 0.5 and 0.25, means 0.5 and 0.25.
    assert found.colourfulness == pytest.approx(1.3 * math.hypot(0.5, 0.25), abs=1e-3)
    assert colourfulness(np.full((9, 3), 0.7, np.float32)) == pytest.approx(0, abs=1e-3)


def test_other_measures_have_another_version() -> None:
    # Fails where an image is measured otherwise than before: raise MEASURES_VERSION, or old and new figures stand
    # side by side in one manifest, and write down the new figures here.
    found = measured(picture(5))
    assert MEASURES_VERSION == 3
    assert found.perceptual_hash is not None and found.perceptual_hash.startswith("8df2b74cd8c5724b")
    figures = [0.5186, 0.1832, 0.2392, 0.8902, 0.2356, 0.8247, 0.5499, 0.5438, 0.5034, 0.5311, 0.2553, 0.2834, 0.2882]
    assert found[1:] == pytest.approx(figures, abs=0.001)


def test_sharpness_worked_by_hand() -> None:
    ramp = np.tile(np.arange(0, 250, 5, dtype=np.uint8), (40, 1))
    assert sharpness(ramp) == pytest.approx(0, abs=1e-6)  # a straight line
    noise = np.random.default_rng(0).integers(0, 256, (200, 200)).astype(np.uint8)
    assert sharpness(noise) == pytest.approx(1, abs=0.05)
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255  # each neighbour differs, each fourth pixel is the same
    assert sharpness(stripes) in (None, 1.0)
    assert sharpness(np.full((60, 60), 76, np.uint8)) is None
    assert sharpness(np.full((60, 3), 76, np.uint8)) is None


def test_sharpness_is_of_the_focus_and_not_of_contrast_or_size() -> None:
    sharp = picture(1)
    faint = sharp.point(lambda value: round(100 + value / 5))
    soft = sharp.filter(ImageFilter.GaussianBlur(3))
    twice = sharp.resize((600, 440), Image.Resampling.NEAREST)
    values = [sharpness(np.asarray(image.convert("L"))) or 0.0 for image in (sharp, faint, twice, soft)]
    assert min(values[:3]) > 2 * values[3]
    assert values[1] == pytest.approx(values[0], rel=0.2)


def test_a_hash_follows_the_picture_and_not_its_file() -> None:
    one, other = picture(1), picture(2)

    def bits_apart(a: Image.Image, b: Image.Image) -> int:
        hashes = [int(perceptual_hash(np.asarray(image.convert("L"))), 16) for image in (a, b)]
        return (hashes[0] ^ hashes[1]).bit_count()

    assert bits_apart(one, one.resize((211, 155), Image.Resampling.LANCZOS)) <= 24
    assert bits_apart(one, one.point(lambda value: round(value * 0.8))) <= 8
    assert bits_apart(one, other) > 60
    assert len(perceptual_hash(np.asarray(one.convert("L")))) == 64


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (8, 8), (31, 33), (5000, 3)])
def test_any_shape_can_be_measured(size: tuple[int, int]) -> None:
    for image in (picture(3, size), Image.new("RGB", size, "white")):
        found = measured(image)
        assert all(value is None or isinstance(value, str) or math.isfinite(value) for value in found)
        assert found.brightness is not None


def test_flat_and_tiny_images_have_no_hash() -> None:
    assert measured(Image.new("RGB", (200, 200), "grey")).perceptual_hash is None
    assert measured(picture(1, (8, 8))).perceptual_hash is None
    assert measured(picture(1, (28, 28))).perceptual_hash is not None


def test_planted_faults_are_found_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    planted: dict[str, set[str]] = {}

    def save(path: str, image: Image.Image, check: str = "", **options: int) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / path, **options)
        planted.setdefault(check, set()).add(path)

    for number in range(60):
        save(f"{'ab'[number % 2]}/{number:03d}.png", picture(number))
    for number, path in enumerate(["a/000.png", "b/001.png", "a/002.png"]):
        twin = Image.open(root / path)
        size = (twin.width * 7 // 10, twin.height * 7 // 10) if number else twin.size
        save(f"{path[0]}/twin{number}.jpg", twin.resize(size), "near_duplicate", quality=50)
        planted["near_duplicate"].add(path)
    (root / "b/copy.png").write_bytes((root / "a/004.png").read_bytes())  # in the other class
    planted["exact_duplicate"] = planted["label_conflict"] = {"a/004.png", "b/copy.png"}
    for number in range(3):
        image = picture(100 + number)
        save(f"a/soft{number}.png", image.filter(ImageFilter.GaussianBlur(3 + number)), "blurry")
        save(f"a/dark{number}.png", image.point(lambda value: round(value * 0.15)), "dark")
        save(f"b/pale{number}.png", image.point(lambda value: round(225 + value / 9)), "bright")
        noise = np.random.default_rng(number).normal(120, number, (220, 300, 3))
        save(f"b/flat{number}.png", Image.fromarray(noise.astype(np.uint8)), "low_information")
    save("a/grey.png", picture(200).convert("L"), "grey")
    planted["grey"] |= planted["low_information"]  # a flat grey is grey
    save("a/large.png", picture(201, (1500, 1100)), "odd_size")
    save("a/wide.png", picture(202, (680, 110)), "odd_aspect_ratio")
    frame = build_manifest(recognise(root))
    for check in CHECKS:
        flagged = set(frame.loc[frame[f"is_{check.name}"], "path"])
        assert flagged == planted[check.name], check.name
        scores = frame[f"{check.name}_score"]
        assert (scores.between(0, 1) | scores.isna()).all()
        assert ((scores < check.threshold) == frame[f"is_{check.name}"]).all()
    found = findings(frame, np.ones(len(frame), bool))
    assert found[0].check.name in ("label_conflict", "near_duplicate")
    near = next(one for one in found if one.check.name == "near_duplicate")
    assert (near.num_flagged, near.num_groups) == (6, 3)
    places = flagged_below(frame, np.ones(len(frame), bool), near.check, 0.5)
    assert [len(group) for group in groups_of(frame, np.ones(len(frame), bool), near.check, places)] == [2, 2, 2]


def test_what_most_images_are_like_is_not_flagged() -> None:
    night = table(50, brightest=np.linspace(0.1, 0.2, 50))
    assert (dark_scores(night) >= 0.5).all()
    smooth = table(50, sharpness=np.linspace(0.008, 0.012, 50))
    assert (blurry_scores(smooth) >= 0.5).all()
    same = table(50)
    assert (odd_size_scores(same) == 1).all() and (odd_aspect_ratio_scores(same) == 1).all()
    assert np.isnan(grey_scores(table(50, colourfulness=[0.0] * 30 + [0.3] * 20))).all()
    assert (grey_scores(table(50, colourfulness=[0.0] * 3 + [0.3] * 47)) < 0.5).sum() == 3


def test_odd_sizes_worked_by_hand() -> None:
    side = [100] * 47 + [299, 301, 30]
    rows = pd.DataFrame({"width": side, "height": side})
    scores = odd_size_scores(rows)  # all but three are equal, so odd is what is three times larger or smaller
    assert scores[:47].tolist() == [1.0] * 47
    assert scores[47] == pytest.approx(1 - 0.5 * math.log(2.99) / math.log(3))
    assert (scores < 0.5).tolist() == [False] * 48 + [True, True]
    # Sizes thin out downwards from a limit of 90, the lower quartile is 45: five spreads are 5 * 1.4826 * log 2, above
    # log 8, which is the most that is allowed. Above the median nothing differs, so three times as large is odd.
    skewed = [90] * 6 + [60, 50, 45, 30, 12] + [10, 280]
    tail = odd_size_scores(pd.DataFrame({"width": skewed, "height": skewed}))
    assert (tail < 0.5).tolist() == [False] * 11 + [True, True]
    assert tail[10] == pytest.approx(1 - 0.5 * math.log(90 / 12) / math.log(8))
    portrait = pd.DataFrame({"width": [100, 100, 100, 100], "height": [75, 75, 75, 133]})
    assert (odd_aspect_ratio_scores(portrait) > 0.9).all()


def test_two_labels_in_a_group() -> None:
    labels = pd.Series(["a", "b", "a", "a", "b"])
    scores = label_conflict_scores(labels, np.array([0, 0, 1, 1, -1]))
    assert scores.tolist() == [0, 0, 1, 1, 1]


def test_files_that_cannot_be_read_are_not_judged(image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    (root / "cat" / "bad.jpg").write_bytes(b"no")
    frame = build_manifest(recognise(root))
    bad = frame[frame["error"].notna()]
    for check in CHECKS:
        assert bad[f"{check.name}_score"].isna().all() and not bad[f"is_{check.name}"].any()
    assert bad[["duplicate_group", "near_group"]].eq(-1).all(axis=None)
    assert bad[list(Measures._fields)].isna().all(axis=None)
    assert usable(frame)["brightness"].between(0, 1).all()


def test_a_reduced_decode_measures_what_the_whole_image_does(tmp_path: Path) -> None:
    image = picture(5, (1400, 1000))
    image.save(tmp_path / "x.jpg", quality=95)
    image.save(tmp_path / "x.png")
    jpeg, png = probe(str(tmp_path / "x.jpg")).measures, probe(str(tmp_path / "x.png")).measures
    assert jpeg.perceptual_hash and png.perceptual_hash
    assert (int(jpeg.perceptual_hash, 16) ^ int(png.perceptual_hash, 16)).bit_count() <= 12
    for name in ("brightness", "contrast", "mean_r", "std_b", "darkest", "brightest"):
        assert getattr(jpeg, name) == pytest.approx(getattr(png, name), abs=0.02), name
