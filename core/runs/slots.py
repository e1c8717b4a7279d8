"""A device's slots: how many runs may use it at once, held as locks that the system takes back however a run ends.

A slot is a file, and the run that has it holds a record lock (`fcntl.lockf`) on it. Such a lock outlives `os.execv`, by
which a waiting process becomes the worker; no forked child shares it, so a leftover child keeps nobody out; and the
system tells who holds it. The locks of `filelock` (`flock`) are shared with forked children and say nothing of holders.

A process must never open the file of a slot it holds again: closing any descriptor of it would give the slot back.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.files import writing
from core.workspace import Workspace

CPU = "cpu"
DEFAULT_SLOTS = 1
MOST_SLOTS = 64
# The members of the system's `struct flock` stand in another order on macOS.
if sys.platform == "darwin":
    _LAYOUT, _MEMBERS = "qqihh", ("start", "length", "pid", "type", "whence")
else:
    _LAYOUT, _MEMBERS = "hhqqi", ("type", "whence", "start", "length", "pid")


@dataclass(frozen=True)
class Holder:
    """A run that is on a device.

    Attributes:
        run_id: empty for the instant between taking the slot and saying so.
        device: `cpu`, or `cuda:0` for the first GPU.
        slot: from 1.
        pid: of the process that holds the slot, 0 where the system hides it.
    """

    run_id: str
    device: str
    slot: int
    pid: int


@dataclass(frozen=True)
class Taken:
    """A slot that this process holds until it ends, or until `give_back`."""

    device: str
    descriptor: int

    def give_back(self) -> None:
        """Let another run have it."""
        os.close(self.descriptor)


def holders(workspace: Workspace, device: str) -> list[Holder]:
    """The runs that are on a device now, by slot; not those of this very process."""
    found = []
    for slot, path in _files(workspace, device):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            pid = _held_by(descriptor)
            if pid is not None:
                text = os.pread(descriptor, 4096, 0).decode("utf-8", "replace")
                found.append(Holder(text.strip(), device, slot, pid))
        finally:
            os.close(descriptor)
    return found


def devices_used(workspace: Workspace) -> list[str]:
    """The devices that ever had a run, also such as this process may not use."""
    found = {path.stem.rpartition("-")[0].replace("_", ":") for path in workspace.slots.glob("*-*.lock")}
    return sorted(found)


def take(workspace: Workspace, run_id: str, devices: Sequence[str], num: int, slots: Mapping[str, int]) -> list[Taken]:
    """Take a slot on each of `num` of the devices, the first that have one free; all of them or none.

    Call it with the queue's lock held, so that two processes never count at the same time.

    Args:
        devices: any of them will do, tried in this order.
        slots: how many each device has, `DEFAULT_SLOTS` for one that is not named.
    """
    taken: list[Taken] = []
    for device in devices:
        if len(taken) < num:
            taken += _take_one(workspace, run_id, device, slots.get(device, DEFAULT_SLOTS))
    if len(taken) < num:
        for one in taken:
            one.give_back()
        return []
    return taken


def pass_on(taken: Sequence[Taken]) -> None:
    """Let the program that this process becomes by `os.execv` have the slots."""
    for one in taken:
        os.set_inheritable(one.descriptor, True)


def _take_one(workspace: Workspace, run_id: str, device: str, num_slots: int) -> list[Taken]:
    if len(holders(workspace, device)) >= num_slots:  # also where there were more slots when the others began
        return []
    for slot in range(1, MOST_SLOTS + 1):
        path = _file(workspace, device, slot)
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            continue
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, run_id.encode(), 0)
        return [Taken(device, descriptor)]
    return []


def _held_by(descriptor: int) -> int | None:
    """The process that holds a lock on the file, None where none does; asking takes nothing away from anybody."""
    values = {"type": fcntl.F_WRLCK, "whence": os.SEEK_SET, "start": 0, "length": 0, "pid": 0}
    question = struct.pack(_LAYOUT, *(values[name] for name in _MEMBERS))
    answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    found = dict(zip(_MEMBERS, struct.unpack(_LAYOUT, answer), strict=True))
    kind, pid = found["type"], found["pid"]
    return None if kind == fcntl.F_UNLCK else max(0, pid)


def _files(workspace: Workspace, device: str) -> Iterator[tuple[int, Path]]:
    """The files of a device's slots that were ever taken, in order."""
    for slot in range(1, MOST_SLOTS + 1):
        path = _file(workspace, device, slot)
        if not path.exists():  # they are made in order, and never removed
            return
        yield slot, path


def _file(workspace: Workspace, device: str, slot: int) -> Path:
    return workspace.slots / f"{device.replace(':', '_')}-{slot}.lock"
