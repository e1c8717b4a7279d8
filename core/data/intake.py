"""From what a user names (folder, table, archive, a downloadable set) to images on disk that can be indexed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.data import torchvision_sets
from core.data.archives import unpack
from core.data.manifest_files import SPLITS
from core.data.sources import Reading, Recognised, is_archive, recognise, resolve_source
from core.data.stored import IMAGES, REFUSED, dataset_id, folder_name
from core.data.walk import ShouldStop
from core.errors import DarkroomError
from core.files import read_json, slug, write_json
from core.wording import count

_UNPACKED = "unpacked.json"  # beside the images of an archive, once all of it is unpacked
_UNPACKING = "unpacking.json"  # there until then: what was unpacked so far is of this archive
MAX_REFUSED = 10_000  # kept by name; beyond that they are counted

# What a job says while it does one of these.
PHASES = {
    "listing": "Listing the images.",
    "unpacking": "Unpacking the images.",
    "downloading": "Downloading.",
}
Report = Callable[[str, int, int, str], None]  # phase, done, total (0 where not known), unit


@dataclass(frozen=True)
class Source:
    """Something to make a dataset of.

    Attributes:
        text: what stands in the request: a path, or `torchvision:NAME`.
        path: the folder, table or archive; None for a set that is downloaded.
        identity, name: the dataset's id, and what it is called at first.
    """

    text: str
    path: Path | None
    identity: str
    name: str


def open_source(given: str | Path) -> Source:
    """What a user means by a path or a set's name.

    Raises:
        InputError: there is no such thing; see `resolve_source`.
    """
    text = str(given).strip()
    if text.startswith(torchvision_sets.PREFIX):
        chosen = torchvision_sets.find_set(text)
        return Source(torchvision_sets.PREFIX + chosen.name, None, f"{slug(chosen.name)}-torchvision", chosen.name)
    path = resolve_source(given)
    return Source(str(path), path, dataset_id(path), folder_name(path))


def take_in(
    source: Source,
    reading: Reading,
    into: Path,
    earlier: Path | None,
    cache: Path,
    report: Report,
    should_stop: ShouldStop,
) -> Recognised:
    """Bring the images to where they can be read and recognise them.

    Args:
        into: the dataset's folder being built; unpacked or downloaded images go into `into/images`.
        earlier: the folder of an earlier look at the same source; images unpacked there are moved over, not made anew.
        cache: where downloads are kept.

    Raises:
        InputError, core.data.walk.IntakeStopped: as `recognise` and `unpack` do.
    """

    def listed(number: int) -> None:
        report("listing", number, 0, "images")

    if source.path is None:
        images = into / IMAGES
        if not _moved(source.text, into, earlier):
            shutil.rmtree(images, ignore_errors=True)
            torchvision_sets.export(source.text, cache, images, report, should_stop)
            _note_complete(source.text, into, {})
        reading = replace(reading, layout=reading.layout or torchvision_sets.find_set(source.text).layout)
        return replace(recognise(images, reading, listed, should_stop), source=source.text)
    if not is_archive(source.path) or source.path.is_dir():
        recognised = recognise(source.path, reading, listed, should_stop)
        return recognised if recognised.root == source.path else replace(recognised, source=source.text)
    return _from_archive(source, reading, into, earlier, report, listed, should_stop)


def _from_archive(
    source: Source,
    reading: Reading,
    into: Path,
    earlier: Path | None,
    report: Report,
    listed: Callable[[int], None],
    should_stop: ShouldStop,
) -> Recognised:
    assert source.path is not None
    mark = _mark(source.path)
    if not _moved(mark, into, earlier):
        goes_on = (read_json(into / _UNPACKING) or {}).get("mark") == mark
        if not goes_on:
            shutil.rmtree(into / IMAGES, ignore_errors=True)
            into.mkdir(parents=True, exist_ok=True)
            write_json(into / _UNPACKING, {"mark": mark})

        def unpacking(done: int, total: int) -> None:
            report("unpacking", done, total, "bytes")

        done = unpack(source.path, into / IMAGES, None, unpacking, should_stop, goes_on)
        _note_complete(mark, into, {"refused": done.refused, "ignored": dict(done.ignored)})
        (into / _UNPACKING).unlink(missing_ok=True)
    unpacked = read_json(into / _UNPACKED) or {}
    refused = [(name, reason) for name, reason in unpacked.get("refused", [])]
    recognised = recognise(_innermost(into / IMAGES), reading, listed, should_stop)
    notes = [f"Unpacked from {source.path.name}; the images are kept with the dataset."]
    if refused:
        notes.append(
            f"{count(len(refused), 'entry', 'entries')} of the archive refused, such as {refused[0][0]!r}: "
            f"{refused[0][1]}"
        )
    ignored = dict(recognised.ignored)
    for kind, number in unpacked.get("ignored", {}).items():
        ignored[kind] = ignored.get(kind, 0) + number
    return replace(
        recognised,
        ignored=ignored,
        notes=(*notes, *recognised.notes),
        refused=(*refused, *recognised.refused),
        source=source.text,
    )


def write_refused(folder: Path, recognised: Recognised) -> None:
    """Keep what was refused, by name, beside the manifest."""
    if not recognised.refused:
        return
    named = [list(pair) for pair in recognised.refused[:MAX_REFUSED]]
    write_json(folder / REFUSED, {"total": len(recognised.refused), "named": named})


def read_refused(folder: Path) -> tuple[list[tuple[str, str]], int]:
    """What was refused when the dataset in `folder` was indexed: (name, reason) of up to 10,000, and how many."""
    try:
        raw = read_json(folder / REFUSED) or {"named": [], "total": 0}
        return [(str(name), str(reason)) for name, reason in raw["named"]], int(raw["total"])
    except (DarkroomError, KeyError, TypeError, ValueError):
        return [], 0


def _moved(mark: str, into: Path, earlier: Path | None) -> bool:
    """Whether the images of this very source are there complete, moved over from an earlier look where need be."""
    for place in (into, earlier):
        if place is None or (read_json(place / _UNPACKED) or {}).get("mark") != mark or not (place / IMAGES).is_dir():
            continue
        if place != into:
            into.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(into / IMAGES, ignore_errors=True)
            os.rename(place / IMAGES, into / IMAGES)
            os.replace(place / _UNPACKED, into / _UNPACKED)
        return True
    return False


def _note_complete(mark: str, into: Path, what: dict[str, object]) -> None:
    write_json(into / _UNPACKED, {"mark": mark, **what})


def _mark(archive: Path) -> str:
    """Changes when the archive does."""
    about = archive.stat()
    return hashlib.blake2b(f"{archive}|{about.st_size}|{about.st_mtime_ns}".encode(), digest_size=8).hexdigest()


def _innermost(images: Path) -> Path:
    """Archives often hold one folder that holds everything; the dataset begins where there is a choice."""
    while True:
        inside = list(images.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name.lower() in SPLITS:
            return images
        images = inside[0]
