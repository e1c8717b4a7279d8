"""Explore's Health view: worst first, a threshold that lives in the address, copies group by group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core.data.datasets import Dataset, index_path
from core.workspace import Workspace
from tests.data.test_quality import picture
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, texts


@pytest.fixture
def checked(workspace: Workspace, tmp_path: Path) -> Dataset:
    root = tmp_path / "checked"
    for number in range(24):
        place = root / "ab"[number % 2] / f"{number:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        picture(number, (90, 70)).save(place)
    for number in range(3):
        picture(50 + number, (90, 70)).point(lambda value: round(value * 0.1)).save(root / "a" / f"dark{number}.png")
    for name in ("b/copy.png", "b/again.png"):
        (root / name).write_bytes((root / "a" / "00.png").read_bytes())
    Image.new("L", (90, 70), 99).save(root / "b" / "flat_grey.png")
    return index_path(workspace, root)


def test_worst_first_and_in_words(checked: Dataset, open_page: OpenPage) -> None:
    app = open_page("explore", dataset=checked.id, view="Health")
    table = app.dataframe[0].value
    assert table["Check"].iloc[0] == "Two labels"  # the same bytes in both classes
    counts = dict(zip(table["Check"], table["Images"], strict=True))
    assert (counts["Two labels"], counts["Exact duplicate"], counts["Dark"]) == (3, 3, 3)
    assert "7 of 30 images (23.3 %) are flagged" in texts(app)
    assert table["What it means for training"].str.len().gt(20).all()


def test_a_threshold_is_kept_in_the_address(checked: Dataset, open_page: OpenPage) -> None:
    app = open_page("explore", dataset=checked.id, view="Health", check="dark")
    assert app.metric[0].value == "3 images"
    app.slider[0].set_value(0.0).run()
    assert address(app, "threshold") == "0.0"
    assert app.metric[0].value == "0 images" and "No image scores below" in texts(app)
    again = open_page("explore", dataset=checked.id, view="Health", check="dark", threshold="1.0")
    assert again.slider[0].value == 1.0 and again.metric[0].value != "3 images"
    again.selectbox(key="check-linked").select("blurry").run()
    assert address(again, "threshold") is None and again.slider[0].value == 0.5


@pytest.mark.parametrize("nonsense", ["-1", "2", "nan", "x", ""])
def test_nonsense_in_the_address_is_the_default(checked: Dataset, open_page: OpenPage, nonsense: str) -> None:
    app = open_page("explore", dataset=checked.id, view="Health", check="dark", threshold=nonsense)
    assert app.slider[0].value == 0.5 and app.metric[0].value == "3 images"


def test_copies_group_by_group(checked: Dataset, open_page: OpenPage) -> None:
    app = open_page("explore", dataset=checked.id, view="Health", check="exact_duplicate")
    assert "Group 1 of 1: 3 images, a, b." in texts(app).replace("*", "")


def test_a_dataset_from_before_there_were_checks(
    workspace: Workspace, open_page: OpenPage, image_folder: Callable[..., Path]
) -> None:
    dataset = index_path(workspace, image_folder())
    frame = dataset.manifest()
    old = ["path", "label", "split", "width", "height", "mode", "format", "num_bytes", "mtime_ns", "content_hash"]
    frame[[*old, "error"]].to_parquet(dataset.folder / "manifest.parquet")
    app = open_page("explore", dataset=dataset.id, view="Health")
    assert "indexed before there were checks" in texts(app)
