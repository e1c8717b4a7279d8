"""A dataset from nothing: classes, batches of pictures, what is taken back, and indexing again what is new."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import captures
from core.data.datasets import accept, list_datasets, pending
from core.errors import InputError
from core.workspace import Workspace
from tests.waiting import wait_until


def picture(seed: int, format: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()


def batch(start: int, number: int) -> list[tuple[str, bytes]]:
    return [(f"picture {n}", picture(n)) for n in range(start, start + number)]


def keep(workspace: Workspace, identity: str) -> None:
    wait_until(lambda: pending(workspace, identity)[0].ended, "the collection to be indexed")
    assert pending(workspace, identity)[0].state == "finished", pending(workspace, identity)[0]
    accept(workspace, identity)


def test_collect_index_collect_more_and_index_again(workspace: Workspace) -> None:
    started = captures.start_collection(workspace, " My  desk ")
    assert (started.name, started.counts, started.is_indexed) == ("My desk", {}, False)
    assert list_datasets(workspace) == []
    for label in ("mug", "no mug", "train"):  # a class may be called like a split
        assert captures.add_class(workspace, started.id, label) == label
    assert captures.add_images(workspace, started.id, "mug", batch(0, 10)).num_images == 10
    with pytest.raises(InputError, match="at least two classes"):
        captures.index_collection(workspace, started.id)
    captures.add_images(workspace, started.id, "no mug", batch(10, 5))
    captures.add_images(workspace, started.id, "train", batch(15, 5))
    assert captures.index_collection(workspace, started.id) == started.id
    keep(workspace, started.id)
    (dataset,) = list_datasets(workspace)
    assert (dataset.id, dataset.name, dataset.layout) == (started.id, "My desk", "class folders")
    assert (dataset.num_images, dataset.num_classes) == (20, 3) and dataset.root == started.folder / "images"
    assert '"root": "images"' in (dataset.folder / "dataset.json").read_text(), "a moved workspace would lose them"

    captures.add_images(workspace, started.id, "mug", batch(30, 3))
    captures.delete_class(workspace, started.id, "train")
    captures.index_collection(workspace, started.id)
    keep(workspace, started.id)
    (dataset,) = list_datasets(workspace)
    assert (dataset.num_images, dataset.num_classes) == (18, 2)
    (collection,) = captures.list_collections(workspace)
    assert collection.counts == {"mug": 13, "no mug": 5} and collection.is_indexed


def test_what_came_together_is_taken_back_together(workspace: Workspace) -> None:
    identity = captures.start_collection(workspace, "desk").id
    captures.add_class(workspace, identity, "mug")
    first = captures.add_images(workspace, identity, "mug", batch(0, 4))
    second = captures.add_images(workspace, identity, "mug", batch(4, 4))
    third = captures.add_images(workspace, identity, "mug", batch(8, 2), batch=second.batch)  # of the same capture
    assert (first.batch, second.batch, third.batch) == (1, 2, 2)
    assert len(captures.latest(workspace, identity, "mug", 8)) == 8
    assert captures.delete_last(workspace, identity, "mug") == 6
    assert captures.open_collection(workspace, identity).counts == {"mug": 4}
    assert captures.delete_last(workspace, identity, "mug") == 4
    assert captures.delete_last(workspace, identity, "mug") == 0


def test_what_is_no_image_is_refused_and_the_rest_stored(workspace: Workspace) -> None:
    identity = captures.start_collection(workspace, "desk").id
    captures.add_class(workspace, identity, "mug")
    heic = Path(__file__).with_name("photo.heic").read_bytes()
    mixed = [("a.jpg", picture(1)), ("b.jpg", b""), ("c.png", picture(2)[:200]), ("d.exe", b"MZ"), ("e.heic", heic)]
    added = captures.add_images(workspace, identity, "mug", [*mixed, ("f.jpg", picture(3, "PNG"))])
    assert added.num_images == 3 and [name for name, _ in added.refused] == ["b.jpg", "c.png", "d.exe"]
    names = sorted(file.name for file in (workspace.dataset(identity) / "images" / "mug").iterdir())
    assert [Path(name).suffix for name in names] == [".jpg", ".heic", ".png"]  # what the bytes are


@pytest.mark.parametrize(
    "label", ["", "  ", "../up", "a/b", ".hidden", "nul\0l", "x" * 61, "\udcff", 'a"b', "__MACOSX"]
)
def test_a_class_whose_name_cannot_be_a_folder_is_refused(workspace: Workspace, label: str) -> None:
    identity = captures.start_collection(workspace, "desk").id
    with pytest.raises(InputError):
        captures.add_class(workspace, identity, label)
    with pytest.raises(InputError):
        captures.add_images(workspace, identity, label, batch(0, 1))
    with pytest.raises(InputError):
        captures.delete_class(workspace, identity, label)
    assert sorted(place.name for place in workspace.datasets.iterdir() if place.is_dir()) == [identity]


def test_collections_have_names_of_their_own(workspace: Workspace) -> None:
    captures.start_collection(workspace, "desk")
    with pytest.raises(InputError, match="already"):
        captures.start_collection(workspace, "Desk")
    with pytest.raises(InputError):
        captures.open_collection(workspace, "../../etc")
