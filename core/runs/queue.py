"""The queue: in which order runs take their turn, which are held back, and what each of them waits for.

There is no process that runs the queue. Each waiting run is a small process of its own (`core.runs.turn`) that looks at
the order (`core.runs.order`) and takes a slot (`core.runs.slots`) when no other goes before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import jobs
from core.errors import InputError
from core.runs.line import CANCELLED, CANCELLED_AGAIN
from core.runs.order import Order, Request, changing, on_devices, read_order, request_of, run_folder, states_in
from core.runs.slots import CPU, MOST_SLOTS, Holder, devices_used, holders
from core.runs.waits import what_for
from core.workspace import Workspace

_NEW = ""  # stands for a run that is not there yet


@dataclass(frozen=True)
class Waiting:
    """A run whose turn has not come.

    Attributes:
        device: `cpu` or `gpu`.
        place: in the whole queue, from 1.
        held: it lets others go first until it is released.
        state: `queued`; `lost` or `stalled` where the process that waits for it is not at work: others go first.
        waits_for: goes on from "It waits ...", such as `for the run X, which uses the CPU's one slot`.
        behind: the runs it waits for: those on its devices, then those that go before it.
    """

    run_id: str
    device: str
    place: int
    held: bool
    state: str
    waits_for: str
    behind: tuple[str, ...]


def waiting(workspace: Workspace) -> list[Waiting]:
    """The runs whose turn has not come, in order."""
    order = read_order(workspace)
    states = states_in(workspace, order)
    requests = {run_id: request_of(workspace, run_id) for run_id in states}
    known = {run_id: request for run_id, request in requests.items() if request is not None}
    on = on_devices(workspace, known.values())
    rows = []
    for place, (run_id, request) in enumerate(known.items(), start=1):
        words, behind = what_for(order, run_id, known, states, on)
        held = run_id in order.held
        rows.append(Waiting(run_id, request.kind, place, held, states[run_id], words, behind))
    return rows


def waiting_one(workspace: Workspace, run_id: str) -> Waiting | None:
    """The same of one run; None where it does not wait."""
    return next((row for row in waiting(workspace) if row.run_id == run_id), None)


def would_wait(workspace: Workspace, request: Request) -> str:
    """What a run would wait for if it joined now, as `Waiting.waits_for`; empty where it could begin at once."""
    order = read_order(workspace)
    states = {**states_in(workspace, order), _NEW: "queued"}
    requests = {one: known for one in states if (known := request_of(workspace, one))} | {_NEW: request}
    order.runs = [*requests]
    words, behind = what_for(order, _NEW, requests, states, on_devices(workspace, [request]))
    free = all(order.slots_of(device) > 0 for device in request.devices)
    return "" if free and not behind else words


def at_work(workspace: Workspace) -> list[Holder]:
    """The runs that are on a device now, by device and slot; one on several GPUs is there several times."""
    return [holder for device in devices_used(workspace) for holder in holders(workspace, device)]


def move(workspace: Workspace, run_id: str, to: int) -> None:
    """Put a waiting run at another place, from 1; beyond the end means last.

    Raises:
        InputError: it does not wait.
    """
    with changing(workspace) as order:
        rows = list(_required(workspace, order, run_id))
        rows.remove(run_id)
        rows.insert(max(0, to - 1), run_id)
        order.runs = rows


def hold(workspace: Workspace, run_id: str) -> None:
    """Let the others go first until it is released; it keeps its place.

    Raises:
        InputError: it does not wait.
    """
    with changing(workspace) as order:
        _required(workspace, order, run_id)
        order.held = [*(one for one in order.held if one != run_id), run_id]


def release(workspace: Workspace, run_id: str) -> None:
    """Let a held run take its turn again; nothing happens to one that is not held.

    Raises:
        InputError: it does not wait.
    """
    with changing(workspace) as order:
        _required(workspace, order, run_id)
        order.held = [one for one in order.held if one != run_id]


def cancel(workspace: Workspace, run_id: str) -> None:
    """Take a waiting run out of the queue; it reads `stopping` until its process has looked, then `stopped`.

    Raises:
        InputError: it does not wait.
    """
    with changing(workspace) as order:
        _required(workspace, order, run_id)
        request = request_of(workspace, run_id)
        folder = run_folder(workspace, run_id)
        jobs.request_stop(folder)
        order.remove(run_id)
        if jobs.read_status(folder).state == "lost":  # nobody is there to say so
            jobs.conclude(folder, CANCELLED_AGAIN if request and request.has_begun else CANCELLED)


def slots(workspace: Workspace) -> dict[str, int]:
    """How many runs each device of this machine takes at once: `{"cpu": 1, "cuda:0": 1}`."""
    from core.runs.devices import gpus  # asks the driver, which a waiting run need not

    order = read_order(workspace)
    names = dict.fromkeys([CPU, *(gpu.name for gpu in gpus()), *order.slots])
    return {device: order.slots_of(device) for device in names}


def set_slots(workspace: Workspace, device: str, num: int) -> None:
    """Let a device take `num` runs at once; those at work go on, also where there are more of them.

    Args:
        device: `cpu`, or `cuda:0` for the first GPU.
        num: 0 to 64; with 0 no further run begins on it.

    Raises:
        InputError: there can be no such device, or not that many slots.
    """
    kind, _, number = device.partition(":")
    if device != CPU and not (kind == "cuda" and number.isdecimal()):
        raise InputError(f"{device!r} is not a device.", "Use cpu, or cuda:0 for the first GPU.")
    if not 0 <= num <= MOST_SLOTS:
        raise InputError(f"{device} cannot have {num} slots.", f"Allowed are 0 to {MOST_SLOTS}.")
    with changing(workspace) as order:
        order.slots = {**order.slots, device: num}


def _required(workspace: Workspace, order: Order, run_id: str) -> dict[str, str]:
    states = states_in(workspace, order)
    if run_id not in states:
        raise InputError(
            f"{run_id} does not wait in the queue: it began, or has ended.", "A run that began can be stopped."
        )
    return states
