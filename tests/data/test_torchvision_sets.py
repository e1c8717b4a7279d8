"""torchvision's sets from files that are in the cache already, and what is said without a network."""

from __future__ import annotations

import inspect
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import jobs
from core.data.datasets import accept, list_datasets, look_at, pending
from core.data.torchvision_sets import SETS, find_set
from core.errors import InputError
from core.workspace import REPOSITORY, Workspace
from tests.waiting import wait_until


def write_mnist(raw: Path, num_train: int, num_test: int) -> dict[str, np.ndarray]:
    """MNIST's own file format, with made-up digits: label n is an image of the value 20 n, and some noise."""
    raw.mkdir(parents=True)
    pixels = {}
    for name, number in (("train", num_train), ("t10k", num_test)):
        labels = np.arange(number, dtype=np.uint8) % 10
        noise = np.random.default_rng(number).integers(0, 20, (number, 28, 28), np.uint8)
        images = noise + 20 * labels[:, None, None]
        header = struct.pack(">IIII", 2051, number, 28, 28)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(header + images.astype(np.uint8).tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, number) + labels.tobytes())
        pixels[name] = images
    return pixels


def test_sets_in_the_cache_need_no_network(workspace: Workspace) -> None:
    pixels = write_mnist(workspace.downloads / "MNIST" / "raw", 40, 20)
    for label in ("Forest", "River"):
        folder = workspace.downloads / "eurosat" / "2750" / label
        folder.mkdir(parents=True)
        for number in range(3):
            image = np.random.default_rng([number, len(label)]).integers(0, 255, (64, 64, 3), np.uint8)
            Image.fromarray(image).save(folder / f"{label}_{number}.jpg")
    mnist, eurosat = look_at(workspace, "torchvision:mnist"), look_at(workspace, "torchvision:EuroSAT")
    for identity in (mnist, eurosat):
        wait_until(lambda identity=identity: pending(workspace, identity)[0].ended, "the set to be written out", 120)
        assert pending(workspace, identity)[0].state == "finished", pending(workspace, identity)[0]
        accept(workspace, identity)
    digits, land = sorted(list_datasets(workspace), key=lambda one: one.name, reverse=True)
    assert (digits.name, digits.layout, digits.source) == ("MNIST", "split folders", "torchvision:MNIST")
    rows = digits.manifest()
    assert rows["split"].value_counts().to_dict() == {"train": 40, "test": 20}
    assert sorted(rows["label"].unique()) == [str(n) for n in range(10)]
    with Image.open(digits.root / "test" / "7" / "000017.png") as image:
        assert (np.asarray(image) == pixels["t10k"][17]).all()
    assert land.layout == "class folders" and dict(land.manifest()["label"].value_counts()) == {"Forest": 3, "River": 3}
    copy = next((land.root / "Forest").iterdir()).read_bytes()
    originals = [file.read_bytes() for file in (workspace.downloads / "eurosat" / "2750" / "Forest").iterdir()]
    assert copy in originals, "photos keep their bytes"
    assert land.root.is_relative_to(land.folder)


def test_without_a_network_it_says_which_host_and_where_files_go(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, forked_jobs: None
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there: no network, at once
    identity = look_at(workspace, "torchvision:CIFAR10")
    wait_until(lambda: pending(workspace, identity)[0].ended, "the download to fail", 120)
    status = pending(workspace, identity)[0]
    assert status.state == "failed" and "www.cs.toronto.edu" in status.message
    assert str(workspace.downloads) in status.message and "cifar-10-python.tar.gz" in status.message
    assert not jobs.read_status(workspace.pending_dataset(identity)).state == "finished"


def test_the_list_of_sets_comes_without_torch_and_matches_it() -> None:
    with pytest.raises(InputError, match="no downloadable set 'nope'.*CIFAR10"):
        find_set("torchvision:nope")
    assert len({one.name for one in SETS}) == len(SETS) >= 15
    code = "import sys; from core.data.torchvision_sets import SETS; assert SETS and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
    import torchvision.datasets

    for one in SETS:
        known = inspect.signature(getattr(torchvision.datasets, one.name).__init__).parameters
        for arguments in one.splits.values():
            assert {"root", "download", *arguments} <= set(known), (one.name, arguments, list(known))
