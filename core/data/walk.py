"""Finds every image below a folder, and keeps count of all that is not one."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from core.errors import DarkroomError

IMAGE_SUFFIXES: frozenset[str] = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
TABLE_SUFFIXES: frozenset[str] = frozenset({".csv", ".tsv", ".parquet"})

NO_ACCESS = "folders that cannot be opened"
SEEN_LINK = "links to folders already counted"
NOT_TEXT = "names that are not valid text"

Listed = Callable[[int], None]  # told how many have been found so far
ShouldStop = Callable[[], bool]
_ORDINARY_SUFFIX = re.compile(r"\.[a-z][a-z0-9_+-]{0,11}")


class IntakeStopped(DarkroomError):
    """Finding the images ended because it was asked to; nothing was stored."""


class Found:
    """What lies below a folder.

    Attributes:
        images: POSIX paths relative to the folder of all files with an image's suffix, sorted.
        folders: names of the folders directly below, sorted.
        tables: names of the CSV, TSV and Parquet files directly below, sorted.
        ignored: what was left out, by suffix or by reason -> how many.
        notes: sentences on what was left out and is likely missed.
    """

    def __init__(self, images: list[str] | None = None) -> None:
        self.images = images or []
        self.folders: list[str] = []
        self.tables: list[str] = []
        self.ignored: Counter[str] = Counter()
        self.notes: list[str] = []


def find_images(root: Path, on_listed: Listed | None = None, should_stop: ShouldStop | None = None) -> Found:
    """Walk everything below `root`, links to folders included, each folder once.

    Hidden files and folders and `__MACOSX` (what macOS adds to archives) are passed over. A folder that cannot be
    opened is counted and noted.

    Args:
        on_listed: told after each folder how many images were found so far.
        should_stop: asked before each folder.

    Raises:
        OSError: `root` itself cannot be listed.
        IntakeStopped: as asked.
    """
    walk = _Walk(root, on_listed or (lambda num_found: None), should_stop or (lambda: False))
    walk.run()
    found = walk.found
    clean = [path for path in found.images if is_text(path)]
    unclean = [path for path in found.images if not is_text(path)]
    if unclean:
        found.ignored[NOT_TEXT] += len(unclean)
        found.notes.append(f"Rename what is not valid UTF-8 text, such as {shown(min(unclean))!r}, to have it counted.")
    found.images = sorted(clean)
    found.folders = sorted(name for name in found.folders if is_text(name))
    found.tables = sorted(name for name in found.tables if is_text(name))
    return found


def first_images(root: Path, number: int, within: int = 5000) -> list[str]:
    """Some images below `root` as relative paths, quickly: it gives up after so many files and folders."""
    found: list[str] = []
    waiting, looked_at = [""], 0
    while waiting and looked_at < within and len(found) < number:
        folder = waiting.pop(0)
        try:
            with os.scandir(root / folder) as entries:
                listed = [entry for _, entry in zip(range(within), entries, strict=False)]
        except OSError:
            continue
        looked_at += len(listed)
        for entry in sorted(listed, key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.name == "__MACOSX" or not is_text(entry.name):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                waiting.append(path)
            elif os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES:
                found.append(path)
    return found[:number]


def path_digest(path: str | Path) -> str:
    """Six hexadecimal digits, always the same for the same file or folder, whatever way leads to it."""
    return hashlib.blake2b(os.fsencode(os.path.realpath(path)), digest_size=3).hexdigest()


def shown(name: str) -> str:
    """A file's name as text that can be printed and stored: bytes that are no UTF-8 become `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_text(name: str) -> bool:
    """Whether a file's name is valid Unicode; one of other bytes can be opened but not stored in a table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Walk:
    def __init__(self, root: Path, report: Listed, stopping: ShouldStop) -> None:
        self.root = os.path.realpath(root)
        self.report, self.stopping = report, stopping
        self.found = Found()
        self.visited: set[tuple[int, int]] = set()
        self.links: list[str] = []

    def run(self) -> None:
        """Real folders first, so that a link never takes the images away from the folder they lie in."""
        self._descend("")
        while self.links:
            links, self.links = sorted(self.links), []
            for link in links:
                if self._leads_up(link):
                    self.found.ignored[SEEN_LINK] += 1
                else:
                    self._descend(link)

    def _descend(self, start: str) -> None:
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            if self.stopping():
                raise IntakeStopped("Listing the images was stopped; nothing was stored.")
            try:
                waiting += self._list(folder)
            except OSError:
                if not folder:
                    raise
                self.found.ignored[NO_ACCESS] += 1
                self.found.notes.append(f"The folder {shown(folder)!r} cannot be opened; its images are left out.")

    def _list(self, folder: str) -> list[str]:
        """Take the files of one folder; gives the real folders in it."""
        place = os.path.join(self.root, folder)
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in self.visited:
            self.found.ignored[SEEN_LINK] += 1
            return []
        with os.scandir(place) as entries:
            listed = list(entries)
        self.visited.add((about.st_dev, about.st_ino))
        deeper: list[str] = []
        for entry in listed:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not _is_folder(entry):
                self._take(entry, path)
                continue
            if not folder:
                self.found.folders.append(entry.name)
            (self.links if entry.is_symlink() else deeper).append(path)
        self.report(len(self.found.images))
        return deeper

    def _take(self, entry: os.DirEntry[str], path: str) -> None:
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix not in IMAGE_SUFFIXES:
            if suffix in TABLE_SUFFIXES and path == entry.name:
                self.found.tables.append(path)
            self.found.ignored[suffix if _ORDINARY_SUFFIX.fullmatch(suffix) else "no suffix"] += 1
        elif _is_special(entry):
            self.found.ignored["pipes, sockets and devices"] += 1
        else:
            self.found.images.append(path)

    def _leads_up(self, link: str) -> bool:
        """Whether a link leads to the root or above it: following it would count the neighbours of the dataset."""
        target = os.path.realpath(os.path.join(self.root, link))
        return os.path.commonpath([target, self.root]) == target


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Opening a pipe would wait for ever. A broken link is none of these: it becomes a row with an error."""
    try:
        return not entry.is_file() and os.path.exists(entry.path)
    except OSError:
        return False
