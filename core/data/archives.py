"""Unpacks the images of a ZIP or tar into a folder, whatever else the archive tries; nothing is written outside it.

Only regular files that are images or tables of labels are written, under names checked part by part, each created
anew: an archive can neither leave the folder, nor follow a link, nor overwrite what it wrote before. What is left out
is named with its reason.
"""

from __future__ import annotations

import bz2
import calendar
import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from core.data.walk import IMAGE_SUFFIXES, TABLE_SUFFIXES, IntakeStopped, ShouldStop, is_text, shown
from core.errors import InputError
from core.files import write_failure, writing
from core.wording import bytes_size, count

Progress = Callable[[int, int], None]  # bytes done, bytes in all

STOPPED = "Unpacking was stopped; nothing was stored. What was unpacked is not unpacked again."
_CHUNK = 2**20
_KEEP_FREE = 2**29  # bytes of the disk left for everything else
_MAX_READ = 2**28  # of an archive's own tables at once; a ZIP of two million files stays below
_DRIVE = re.compile(r"[A-Za-z]:")
_UNFIT = {errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ}
# What damaged archives raise while they are read.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    IndexError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold; far above real sets of images, far below what fills a disk or takes days.

    Attributes:
        num_files: entries, images or not.
        num_bytes: of all files unpacked.
        member_bytes: of one file.
        ratio: bytes unpacked for one of the archive; images are compressed already and give hardly more than 1.
        ratio_from: bytes unpacked up to which the ratio is no matter: a small plain drawing shrinks a thousandfold.
    """

    num_files: int = 2_000_000
    num_bytes: int = 500 * 10**9
    member_bytes: int = 2**30
    ratio: float = 200.0
    ratio_from: int = 2**26


@dataclass
class Unpacked:
    """What came out of an archive.

    Attributes:
        refused: entries that were not taken, by name, with the reason.
        ignored: what is neither image nor table, by suffix -> how many.
    """

    num_files: int = 0
    num_bytes: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


class _Entry(NamedTuple):
    """A file in an archive; `fault` says why it cannot be taken, else `open` gives its bytes."""

    name: str
    num_bytes: int
    mtime: float
    fault: str | None
    open: Callable[[], IO[bytes]]
    crc: int | None = None  # of the bytes, where the archive tells it beforehand


def unpack(
    archive: Path,
    into: Path,
    limits: Limits | None = None,
    on_progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    goes_on: bool = False,
) -> Unpacked:
    """Write the images in `archive` below the folder `into`, which must not exist or be empty.

    Names that differ only for the archive (given twice, or the same to this disk) get ` (2)` and so on.

    Args:
        goes_on: an unpacking of the same archive into this folder was stopped or killed: files it has written
            completely are kept. A file gets the archive's time only once it is complete; a ZIP's checksum is compared
            as well.

    Raises:
        InputError: it is no archive, holds no image, or exceeds a limit.
        DarkroomError: the disk is full.
        IntakeStopped: as asked.
    """
    work = _Unpacking(archive, into, limits or Limits(), on_progress or (lambda done, total: None), goes_on)
    stopping = should_stop or (lambda: False)
    try:
        with open(archive, "rb") as raw:
            opened = _zip_entries if zipfile.is_zipfile(archive) else _tar_entries
            for entry in opened(raw, work, stopping):
                if stopping():
                    raise IntakeStopped(STOPPED)
                work.take(entry)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno == errno.EACCES:
            raise InputError(f"There is no permission to read {archive}.", "Allow it, or copy the file.") from error
        if not work.result.num_files:
            raise InputError(f"{archive.name} is no sound archive: {_words(error)}.", "Make it again.") from error
        work.result.refused.append(("the rest of the archive", f"It is damaged: {_words(error)}."))
    if not work.result.num_files:
        raise InputError(_nothing(archive, work.result), f"Images end in {', '.join(sorted(IMAGE_SUFFIXES))}.")
    return work.result


class _Unpacking:
    def __init__(self, archive: Path, into: Path, limits: Limits, report: Progress, goes_on: bool) -> None:
        self.archive, self.into, self.limits, self.report = archive, into, limits, report
        self.goes_on = goes_on
        self._taken: set[tuple[int, int]] = set()  # files of entries that were taken; known by what the disk calls them
        self.size = archive.stat().st_size
        self.result = Unpacked()
        self.num_entries = 0
        into.mkdir(parents=True, exist_ok=True)
        self.room = max(0, shutil.disk_usage(into).free - _KEEP_FREE) + (_bytes_below(into) if goes_on else 0)

    def take(self, entry: _Entry) -> None:
        """Write one entry, or say why not."""
        self.count_entry()
        parts = [part for part in entry.name.replace("\\", "/").split("/") if part not in ("", ".")]
        if any(part.startswith(".") and part != ".." or part == "__MACOSX" for part in parts):
            return  # hidden files and what macOS adds, passed over as in folders
        fault = _unsafe(entry.name, parts) or entry.fault
        suffix = os.path.splitext(parts[-1])[1].lower() if parts else ""
        if not fault and suffix not in IMAGE_SUFFIXES | TABLE_SUFFIXES:
            self.result.ignored[suffix or "no suffix"] += 1
            return
        if not fault and entry.num_bytes > self.limits.member_bytes:
            fault = f"It is larger than {bytes_size(self.limits.member_bytes)}."
        if fault:
            self.refuse(entry.name, fault)
            return
        self.check_room(entry.num_bytes)
        self._write(entry, [unicodedata.normalize("NFC", part) for part in parts])

    def count_entry(self) -> None:
        self.num_entries += 1
        if self.num_entries > self.limits.num_files:
            raise InputError(
                f"{self.archive.name} has more than {count(self.limits.num_files, 'file')}.",
                "Divide it, or unpack it yourself and give the folder.",
            )

    def refuse(self, name: str, fault: str) -> None:
        self.result.refused.append((shown(name).replace("\0", "\\x00")[:300], fault))

    def check_room(self, num_bytes: int) -> None:
        """Whether so many bytes more are allowed and fit."""
        total = self.result.num_bytes + num_bytes
        if total > self.limits.num_bytes:
            raise InputError(
                f"{self.archive.name} unpacks to more than {bytes_size(self.limits.num_bytes)}.", "Divide it."
            )
        if total > self.room:
            raise InputError(
                f"{self.archive.name} unpacks to more than the {bytes_size(self.room)} there is room for.",
                "Free some space or set DARKROOM_HOME to another disk.",
            )
        self.check_ratio(total, self.size)

    def check_ratio(self, unpacked: int, packed: int) -> None:
        if unpacked > self.limits.ratio_from and unpacked > self.limits.ratio * max(1, packed):
            raise InputError(
                f"{self.archive.name} looks like a decompression bomb: it grows more than "
                f"{self.limits.ratio:.0f} times when unpacked.",
                "If you trust it, unpack it yourself and give the folder.",
            )

    def _write(self, entry: _Entry, parts: list[str]) -> None:
        try:
            target, stream = self._create(entry, parts)
        except OSError as error:
            if error.errno not in _UNFIT:
                raise write_failure(self.into, error) from error
            self.refuse(entry.name, f"This disk cannot hold a file of that name ({error.strerror}).")
            return
        if stream is not None:
            fault = self._fill(stream, entry)
            if fault:
                target.unlink()
                self.refuse(entry.name, fault)
                return
            os.utime(target, (entry.mtime, entry.mtime))  # so that unpacking again gives the same files
        self.result.num_files += 1
        self.result.num_bytes += entry.num_bytes

    def _fill(self, stream: IO[bytes], entry: _Entry) -> str | None:
        """Write all of an entry; gives what is wrong with it, if anything."""
        with stream:
            try:
                for chunk in _chunks(entry):
                    with writing(self.into):
                        stream.write(chunk)
                with writing(self.into):
                    stream.flush()
            except _DAMAGE as error:
                return f"It is damaged: {_words(error)}."
        return None

    def _create(self, entry: _Entry, parts: list[str]) -> tuple[Path, IO[bytes] | None]:
        """A new file; where the disk knows one of that name already, whatever it holds for the same, another name.

        None in place of the file where an unpacking before this one has written all of it.
        """
        folder = self.into.joinpath(*parts[:-1])
        folder.mkdir(parents=True, exist_ok=True)
        stem, suffix = os.path.splitext(parts[-1])
        number = 1
        while True:
            target = folder / (parts[-1] if number == 1 else f"{stem} ({number}){suffix}")
            try:
                stream = open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb")
                self._take(os.fstat(stream.fileno()))
                return target, stream
            except FileExistsError:
                about = target.stat()
                if not self.goes_on or (about.st_dev, about.st_ino) in self._taken or not stat.S_ISREG(about.st_mode):
                    number += 1
                elif _is_whole(target, about, entry):
                    self._take(about)
                    return target, None
                else:
                    target.unlink()

    def _take(self, about: os.stat_result) -> None:
        if self.goes_on:  # else every file there is one of this unpacking
            self._taken.add((about.st_dev, about.st_ino))


def _is_whole(path: Path, about: os.stat_result, entry: _Entry) -> bool:
    """Whether the file there holds what the entry would give."""
    if about.st_size != entry.num_bytes or abs(about.st_mtime - entry.mtime) >= 2:  # some disks keep even seconds
        return False
    if entry.crc is None:
        return True
    crc = 0
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc == entry.crc


def _bytes_below(folder: Path) -> int:
    return sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names)


def _chunks(entry: _Entry) -> Iterator[bytes]:
    """The bytes of an entry, exactly as many as it says."""
    left = entry.num_bytes
    with entry.open() as source:
        while left:
            chunk = source.read(min(_CHUNK, left))
            if not chunk:
                raise EOFError("it ends too early")
            left -= len(chunk)
            yield chunk
        source.read(1)  # a ZIP checks its checksum at the end only


def _unsafe(name: str, parts: list[str]) -> str | None:
    if not is_text(name) or "\0" in name:
        return "Its name is not valid text."
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "Its path is absolute."
    if ".." in parts:
        return "Its path leads out of the archive."
    return None if parts else "It has no name."


def _zip_entries(raw: IO[bytes], work: _Unpacking, stopping: ShouldStop) -> Iterator[_Entry]:
    with zipfile.ZipFile(_Guarded(raw, lambda place: None)) as archive:
        infos = archive.infolist()
        work.check_ratio(sum(info.file_size for info in infos if not info.is_dir()), work.size)
        total = sum(info.compress_size for info in infos)
        done = 0
        for info in infos:
            done += info.compress_size
            if not info.is_dir():
                how = _opener(archive, info)
                yield _Entry(_zip_name(info), info.file_size, _zip_time(info), _zip_fault(info), how, info.CRC)
            work.report(done, total)


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Many programs write UTF-8 without saying so."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _zip_time(info: zipfile.ZipInfo) -> float:
    try:
        return float(calendar.timegm((*info.date_time, 0, 0, 0)))
    except (ValueError, OverflowError):
        return 0.0


def _zip_fault(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and kind != stat.S_IFREG:
        return "It is a link." if kind == stat.S_IFLNK else "It is no ordinary file."
    return "It is encrypted." if info.flag_bits & 1 else None


def _tar_entries(raw: IO[bytes], work: _Unpacking, stopping: ShouldStop) -> Iterator[_Entry]:
    def watch(place: int) -> None:
        """While the archive is read, skipped files included."""
        work.check_ratio(place, raw.tell())
        work.report(raw.tell(), work.size)
        if stopping():
            raise IntakeStopped(STOPPED)

    guarded = _Guarded(_decompressed(raw), watch)
    with tarfile.open(fileobj=guarded, mode="r:") as archive:  # type: ignore[call-overload]
        while True:
            member = archive.next()
            archive.members = []  # else it keeps every one
            if member is None:
                break
            if member.isdir():
                continue
            yield _Entry(member.name, member.size, float(member.mtime), _tar_fault(member), _reader(archive, member))
        guarded.seek(archive.offset)
        if guarded.read(tarfile.BLOCKSIZE).strip(b"\0") or guarded.tell() == archive.offset:
            work.refuse("the rest of the archive", "It is damaged or cut short there.")


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        source = archive.extractfile(member)
        assert source is not None  # it is a regular file
        return source

    return opened


def _tar_fault(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return "It is a link."
    if not member.isreg():
        return "It is no ordinary file."
    return "It is a file with holes." if member.issparse() else None


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(raw)  # type: ignore[return-value]
    return lzma.LZMAFile(raw) if start == b"\xfd7zXZ\0" else raw  # type: ignore[return-value]


class _Guarded:
    """A file that is never read in one huge piece, and says how far it is while it is read or skipped through."""

    def __init__(self, stream: IO[bytes], watch: Callable[[int], None]) -> None:
        self._stream, self._watch = stream, watch

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, _MAX_READ + 1) if size >= 0 else _MAX_READ + 1)
        if len(data) > _MAX_READ:
            raise ValueError("its table of contents is too large")
        self._watch(self._stream.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0:
            while offset - self._stream.tell() > _CHUNK:  # forward in compressed data is reading
                if not self.read(_CHUNK):
                    break
        return self._stream.seek(offset, whence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return shown(text)[:200].rstrip(".")


def _nothing(archive: Path, result: Unpacked) -> str:
    rest = [f"{number:,} {what}" for what, number in result.ignored.most_common(5)]
    if result.refused:
        name, fault = result.refused[0]
        rest.append(f"{count(len(result.refused), 'entry', 'entries')} refused, such as {name!r} ({fault.rstrip('.')})")
    return f"{archive.name} holds no images that can be taken" + (f": {' and '.join(rest)}." if rest else ".")
