"""The mean image of a class: what it is the mean of, and that it is kept."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import mean_images
from core.data.datasets import Dataset, index_path
from core.errors import ImageReadError, InputError
from core.workspace import Workspace


@pytest.fixture
def dataset(workspace: Workspace, tmp_path: Path) -> Dataset:
    """Class a: one red and one blue image of different shapes. Class b: two grey ones."""
    for label, colours in {"a": ["#ff0000", "#0000ff"], "b": ["#404040", "#606060"]}.items():
        (tmp_path / "images" / label).mkdir(parents=True)
        for number, colour in enumerate(colours):
            Image.new("RGB", (20, 10 + 10 * number), colour).save(tmp_path / "images" / label / f"{number}.png")
    return index_path(workspace, tmp_path / "images")


def hashes(dataset: Dataset, label: str) -> list[str]:
    return dataset.manifest().query("label == @label")["content_hash"].tolist()


def pixels(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image)


def test_the_mean_is_over_squares_of_all_images(workspace: Workspace, dataset: Dataset) -> None:
    key = mean_images.prepare(workspace, dataset.id, hashes(dataset, "a"))
    mean = pixels(mean_images.mean_image(workspace, key))
    assert mean.shape == (mean_images.SIDE, mean_images.SIDE, 3)
    assert (mean == [128, 0, 128]).all()


def test_a_key_stands_for_its_images_whatever_their_order(workspace: Workspace, dataset: Dataset) -> None:
    first, second = hashes(dataset, "a")
    key = mean_images.prepare(workspace, dataset.id, [first, second])
    assert mean_images.prepare(workspace, dataset.id, [second, first]) == key
    assert mean_images.prepare(workspace, dataset.id, [first]) != key
    assert mean_images.url(key).endswith(key)


def test_a_mean_that_was_made_needs_its_images_no_more(workspace: Workspace, dataset: Dataset) -> None:
    made, not_made = (mean_images.prepare(workspace, dataset.id, hashes(dataset, label)) for label in "ab")
    first = mean_images.mean_image(workspace, made)
    for file in dataset.root.rglob("*.png"):
        file.unlink()
    assert mean_images.mean_image(workspace, made) == first
    with pytest.raises(ImageReadError):
        mean_images.mean_image(workspace, not_made)


def test_images_that_are_gone_are_left_out(workspace: Workspace, dataset: Dataset) -> None:
    (dataset.root / "b" / "1.png").unlink()
    key = mean_images.prepare(workspace, dataset.id, hashes(dataset, "b"))
    assert (pixels(mean_images.mean_image(workspace, key)) == 0x40).all()


@pytest.mark.parametrize("key", ["", "0" * 24, "../../etc/passwd", "/" * 24, "A" * 24])
def test_an_unknown_key_is_refused(workspace: Workspace, key: str) -> None:
    with pytest.raises(InputError):
        mean_images.mean_image(workspace, key)


def test_the_server_sends_it(workspace: Workspace, dataset: Dataset) -> None:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from app import ROUTES

    client = TestClient(Starlette(routes=ROUTES))
    answer = client.get(mean_images.url(mean_images.prepare(workspace, dataset.id, hashes(dataset, "a"))))
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert client.get("/mean/nothing").status_code == 404
