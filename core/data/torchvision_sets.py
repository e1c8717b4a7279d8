"""torchvision's downloadable sets as folders of images; `python -m core.data.torchvision_sets FOLDER` is such a job.

The page lists the sets from here without torch; torchvision is imported only where a set is downloaded or read.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.walk import IMAGE_SUFFIXES, IntakeStopped, ShouldStop
from core.errors import DarkroomError, InputError
from core.files import writing

PREFIX = "torchvision:"
_PATIENCE_S = 30.0  # for an answer of the host
_LOOK_EVERY_S = 1.0
_STOP_EVERY = 64  # images

Report = Callable[[str, int, int, str], None]  # phase, done, total, unit


@dataclass(frozen=True)
class DownloadableSet:
    """A set of torchvision's.

    Attributes:
        name: the class in `torchvision.datasets`.
        about: what it shows, how many images and how large the download is.
        host: where it is downloaded from.
        files: where in the cache its files belong, for those who fetch them by hand.
        splits: our split -> the arguments that give it; one entry under "" where the set has no splits.
    """

    name: str
    about: str
    host: str
    files: str
    splits: dict[str, dict[str, Any]]

    @property
    def layout(self) -> Any:
        return "class folders" if "" in self.splits else "split folders"


_TRAIN = {"train": {"train": True}, "test": {"train": False}}
_TWO = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}}
_OXFORD, _TORONTO = "www.robots.ox.ac.uk", "www.cs.toronto.edu"

SETS: tuple[DownloadableSet, ...] = (
    DownloadableSet(
        "CIFAR10", "10 kinds of things, 60,000 of 32 px, 170 MB", _TORONTO, "cifar-10-python.tar.gz", _TRAIN
    ),
    DownloadableSet(
        "CIFAR100", "100 kinds of things, 60,000 of 32 px, 169 MB", _TORONTO, "cifar-100-python.tar.gz", _TRAIN
    ),
    DownloadableSet(
        "MNIST", "digits, 70,000 of 28 px, 12 MB", "ossci-datasets.s3.amazonaws.com", "MNIST/raw/*-ubyte.gz", _TRAIN
    ),
    DownloadableSet(
        "FashionMNIST",
        "10 kinds of clothes, 70,000 of 28 px, 31 MB",
        "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "FashionMNIST/raw/*-ubyte.gz",
        _TRAIN,
    ),
    DownloadableSet(
        "KMNIST", "10 kuzushiji letters, 70,000 of 28 px, 21 MB", "codh.rois.ac.jp", "KMNIST/raw/*-ubyte.gz", _TRAIN
    ),
    DownloadableSet(
        "USPS", "digits of postcodes, 9,298 of 16 px, 8 MB", "www.csie.ntu.edu.tw", "usps.bz2 and usps.t.bz2", _TRAIN
    ),
    DownloadableSet(
        "SVHN",
        "house numbers, 99,289 of 32 px, 246 MB",
        "ufldl.stanford.edu",
        "train_32x32.mat and test_32x32.mat",
        _TWO,
    ),
    DownloadableSet(
        "STL10", "10 kinds of things, 13,000 of 96 px, 2.6 GB", "ai.stanford.edu", "stl10_binary.tar.gz", _TWO
    ),
    DownloadableSet(
        "Imagenette",
        "10 easy classes of ImageNet, 13,394 of 160 px, 99 MB",
        "s3.amazonaws.com",
        "imagenette2-160.tgz",
        {"train": {"split": "train", "size": "160px"}, "val": {"split": "val", "size": "160px"}},
    ),
    DownloadableSet(
        "Caltech101",
        "101 kinds of things, 8,677 photos, 137 MB",
        "data.caltech.edu",
        "caltech101/101_ObjectCategories/",
        {"": {}},
    ),
    DownloadableSet(
        "Flowers102", "102 flowers, 8,189 photos, 345 MB", _OXFORD, "flowers-102/jpg/ and flowers-102/*.mat", _THREE
    ),
    DownloadableSet(
        "OxfordIIITPet",
        "37 breeds of cats and dogs, 7,349 photos, 811 MB",
        _OXFORD,
        "oxford-iiit-pet/images/ and oxford-iiit-pet/annotations/",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
    ),
    DownloadableSet(
        "EuroSAT", "10 kinds of land from above, 27,000 of 64 px, 94 MB", "huggingface.co", "eurosat/2750/", {"": {}}
    ),
    DownloadableSet(
        "Food101",
        "101 dishes, 101,000 photos, 5.0 GB",
        "data.vision.ee.ethz.ch",
        "food-101/images/ and food-101/meta/",
        _TWO,
    ),
    DownloadableSet(
        "GTSRB",
        "43 German traffic signs, 39,270 of about 50 px, 280 MB",
        "sid.erda.dk",
        "gtsrb/GTSRB/ and gtsrb/GT-final_test.csv",
        _TWO,
    ),
    DownloadableSet("DTD", "47 textures, 5,640 photos, 625 MB", _OXFORD, "dtd/dtd/", _THREE),
    DownloadableSet(
        "FGVCAircraft", "100 kinds of aircraft, 10,000 photos, 2.8 GB", _OXFORD, "fgvc-aircraft-2013b/data/", _THREE
    ),
)


def find_set(name: str) -> DownloadableSet:
    """The set of that name, in any capitals, with or without `torchvision:` before it.

    Raises:
        InputError: there is none.
    """
    wanted = name.removeprefix(PREFIX).strip().casefold()
    found = next((one for one in SETS if one.name.casefold() == wanted), None)
    if found is None:
        raise InputError(
            f"There is no downloadable set {name.removeprefix(PREFIX)!r}.",
            f"Choose one of: {', '.join(one.name for one in SETS)}.",
        )
    return found


def export(name: str, cache: Path, images: Path, report: Report, should_stop: ShouldStop) -> None:
    """Write a set's images into the folder `images`: `<class>/<file>`, below a folder a split where it has splits.

    Files already in `cache` are used without the network. Photos keep their bytes; pixels that come in arrays
    become PNG.

    Raises:
        InputError: no such set.
        DarkroomError: it cannot be downloaded, or the disk is full.
        IntakeStopped: as asked.
    """
    chosen = find_set(name)
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    parts = {split: _open(chosen, arguments, cache, report) for split, arguments in chosen.splits.items()}
    total, done = sum(len(part) for part in parts.values()), 0
    for split, part in parts.items():
        for number, (label, content) in enumerate(_images_of(part)):
            if done % _STOP_EVERY == 0:
                if should_stop():
                    raise IntakeStopped("Writing the images was stopped; nothing was stored.")
                report("unpacking", done, total, "images")
            folder = images / split / label
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                _write(content, folder / f"{number:06d}")
            done += 1


def _open(chosen: DownloadableSet, arguments: dict[str, Any], cache: Path, report: Report) -> Any:
    """The set as torchvision reads it, downloaded where it is not in the cache."""
    import torchvision.datasets  # seconds and hundreds of megabytes, so here and nowhere else

    kind = getattr(torchvision.datasets, chosen.name)
    downloaded = threading.Event()
    watching = threading.Thread(target=_watch, args=(cache, downloaded, report), daemon=True)
    watching.start()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        return kind(str(cache), download=True, **arguments)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:  # a URLError is an OSError
        words = " ".join(str(error).split())[:300]
        raise DarkroomError(
            f"{chosen.name} could not be downloaded from {chosen.host}: {words.rstrip('.')}.",
            f"Is there a network? Without one, put its files by hand into {cache}: {chosen.files}; then look again.",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
        downloaded.set()
        watching.join()


def _watch(cache: Path, downloaded: threading.Event, report: Report) -> None:
    """While torchvision downloads it says nothing a job could use, so the cache's growth is told instead."""
    at_first = _size(cache)
    while not downloaded.wait(_LOOK_EVERY_S):
        report("downloading", max(0, _size(cache) - at_first), 0, "bytes")


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def _images_of(part: Any) -> Iterator[tuple[str, Any]]:
    """Label and content of each image; the content is the path of its file where it has one, else a PIL image."""
    names = getattr(part, "classes", None) or getattr(part, "categories", None)

    def label_of(number: int) -> str:
        name = names[number] if names else str(number)
        name = name[0] if isinstance(name, tuple) else name  # Imagenette gives several names
        if names and type(part).__name__ == "MNIST":
            name = str(number)  # "7 - seven"
        return name.replace("/", " or ").strip(". ") or str(number)

    files = _files(part)
    if files is None:
        for index in range(len(part)):
            image, number = part[index]
            yield label_of(int(number)), image
        return
    for path, number in files:
        yield label_of(int(number)), Path(path)


def _files(part: Any) -> list[tuple[Any, Any]] | None:
    """The files a set is made of with the number of their class; None where it comes in arrays."""
    for name in ("_samples", "samples"):
        if hasattr(part, name):
            return [(sample[0], sample[1]) for sample in getattr(part, name)]
    for name in ("_image_files", "_images"):
        if hasattr(part, name) and hasattr(part, "_labels"):
            return list(zip(getattr(part, name), part._labels, strict=True))
    if type(part).__name__ == "Caltech101":
        folder = Path(part.root) / "101_ObjectCategories"
        return [
            (folder / part.categories[number] / f"image_{index:04d}.jpg", number)
            for index, number in zip(part.index, part.y, strict=True)
        ]
    return None


def _write(content: Any, target: Path) -> None:
    """A file of a set takes no second place on the disk where the disk allows that."""
    if not isinstance(content, Path):
        content.save(target.with_suffix(".png"))
        return
    suffix = content.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:  # GTSRB comes as .ppm
        from PIL import Image

        with Image.open(content) as image:
            image.save(target.with_suffix(".png"))
        return
    goal = target.with_suffix(suffix)
    try:
        os.link(content, goal)
    except OSError:
        shutil.copyfile(content, goal)


if __name__ == "__main__":
    from core.data.index import main

    sys.exit(main(Path(sys.argv[1])))
