"""The file that the queue is: the order of waiting runs, which of them are held, how many slots each device has.

It is only changed with its lock held and replaced as a whole, so that it outlives any process that dies at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from core import jobs
from core.errors import DarkroomError
from core.files import read_json, write_json
from core.runs.slots import CPU, DEFAULT_SLOTS, Holder, holders
from core.workspace import Workspace

TURN = "turn.json"  # in the run's folder: its `Request`
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Request:
    """What a run does when its turn comes, and where.

    Attributes:
        command: the program with its arguments.
        environment: variables beside those there are.
        devices: where it may run: any `num` of them, tried in this order.
        num: on how many of them at once.
        visible: what CUDA calls each device, where there are several to choose from.
        has_begun: whether it was at work before, and goes on.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    devices: list[str] = field(default_factory=lambda: [CPU])
    num: int = 1
    visible: dict[str, str] = field(default_factory=dict)
    has_begun: bool = False

    @property
    def kind(self) -> str:
        """`cpu` or `gpu`."""
        return "cpu" if self.devices == [CPU] else "gpu"


@dataclass
class Order:
    """The file's content. A run stands for itself by its id, or by its folder's path where that is elsewhere.

    Attributes:
        runs: all that wait, the next first.
        held: those of them that let others go first.
        slots: of the devices whose number was set.
    """

    runs: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    slots: dict[str, int] = field(default_factory=dict)

    def slots_of(self, device: str) -> int:
        """How many runs the device takes at once."""
        return self.slots.get(device, DEFAULT_SLOTS)

    def remove(self, run_id: str) -> None:
        """Take a run out, if it is in."""
        self.runs = [one for one in self.runs if one != run_id]
        self.held = [one for one in self.held if one != run_id]


def read_order(workspace: Workspace) -> Order:
    """The order now; an empty one where the file is not there, or was damaged by hand: those who wait join again."""
    try:
        raw = read_json(workspace.queue) or {}
        return Order([str(one) for one in raw["runs"]], [str(one) for one in raw["held"]], dict(raw["slots"]))
    except (DarkroomError, KeyError, TypeError, ValueError):
        return Order()


@contextmanager
def changing(workspace: Workspace) -> Iterator[Order]:
    """The order, to be changed inside; nobody else changes it meanwhile, and slots are only taken in here.

    Raises:
        DarkroomError: the file could not be written, or a process that does not move on has it.
    """
    try:
        with FileLock(workspace.queue.with_suffix(".lock"), timeout=_PATIENCE_S):
            order = read_order(workspace)
            before = asdict(order)
            yield order
            if asdict(order) != before:
                write_json(workspace.queue, asdict(order))
    except Timeout as held:
        raise DarkroomError(
            f"Another process has had the queue's file for {_PATIENCE_S:.0f} s.", "Look whether one is paused."
        ) from held


def run_folder(workspace: Workspace, run_id: str) -> Path:
    """The folder of a run in the order."""
    return workspace.runs / run_id  # a path stays what it is


def id_in_order(workspace: Workspace, folder: Path) -> str:
    """How a run stands in the order."""
    return folder.name if folder.parent == workspace.runs else str(folder)


def request_of(workspace: Workspace, run_id: str) -> Request | None:
    """What a run in the order asked for; None where it was deleted."""
    path = run_folder(workspace, run_id) / TURN
    try:
        return _read_request(path, path.stat().st_mtime_ns)
    except (OSError, DarkroomError, TypeError):
        return None


@lru_cache(maxsize=4096)
def _read_request(path: Path, _: int) -> Request:
    return Request(**read_json(path))


def write_request(folder: Path, request: Request) -> None:
    """Keep what a run asks for in its folder."""
    write_json(folder / TURN, asdict(request))


def states_in(workspace: Workspace, order: Order) -> dict[str, str]:
    """The runs in the order that really wait, the next first: `queued`, or `lost` or `stalled` if they cannot look."""
    found = {}
    for run_id in order.runs:
        if request_of(workspace, run_id) is not None:
            state = jobs.read_status(run_folder(workspace, run_id)).state
            if state in ("queued", "lost", "stalled"):
                found[run_id] = str(state)
    return found


def on_devices(workspace: Workspace, requests: Iterable[Request]) -> dict[str, list[Holder]]:
    """Who is on the devices that are asked for."""
    names = dict.fromkeys(device for request in requests for device in request.devices)
    return {device: holders(workspace, device) for device in names}
