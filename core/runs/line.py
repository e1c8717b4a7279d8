"""A run's place in the queue as the process that waits for its turn sees it: take it, look at it, leave it."""

from __future__ import annotations

from pathlib import Path

from core import jobs
from core.runs.order import (
    Order,
    Request,
    changing,
    id_in_order,
    on_devices,
    read_order,
    request_of,
    run_folder,
    states_in,
    write_request,
)
from core.runs.slots import Taken, take
from core.runs.waits import what_for
from core.workspace import Workspace

CANCELLED = "Cancelled before it began."
CANCELLED_AGAIN = "Cancelled while it waited to go on; what it had learned is kept."


def join(workspace: Workspace, folder: Path, request: Request) -> None:
    """Put a run at the end of the queue, with nobody waiting for it yet; one that is in it keeps its place."""
    write_request(folder, request)
    with changing(workspace) as order:
        run_id = id_in_order(workspace, folder)
        if run_id not in order.runs:
            order.runs = [*states_in(workspace, order), run_id]  # without those that are gone


def leave(workspace: Workspace, folder: Path) -> None:
    """Take a run out of the queue, if it is in it."""
    with changing(workspace) as order:
        order.remove(id_in_order(workspace, folder))


def take_turn(workspace: Workspace, folder: Path, request: Request) -> tuple[bool, list[Taken]]:
    """Take the run's turn if it has come; for the process that waits for it.

    Returns:
        Whether it is the next to go, and the slots it has now, with which it is in the queue no more.
    """
    run_id = id_in_order(workspace, folder)
    order = read_order(workspace)
    if run_id not in order.runs:  # the file was removed, or damaged by hand
        join(workspace, folder, request)
        return False, []
    if not _is_next(workspace, order, run_id, request):
        return False, []
    with changing(workspace) as order:
        if not _is_next(workspace, order, run_id, request):
            return False, []
        counts = {device: order.slots_of(device) for device in request.devices}
        taken = take(workspace, run_id, request.devices, request.num, counts)
        if taken:
            order.remove(run_id)
        return True, taken


def in_words(workspace: Workspace, folder: Path) -> tuple[bool, str]:
    """Whether the run is held, and what it waits for, for the process that waits for it; cheap in a long queue."""
    order, run_id = read_order(workspace), id_in_order(workspace, folder)
    states = dict.fromkeys(order.runs, "queued")
    requests = {one: request for one in order.runs if (request := request_of(workspace, one))}
    if run_id not in requests:
        return False, "for its place"
    on = on_devices(workspace, [requests[run_id]])
    return run_id in order.held, what_for(order, run_id, requests, states, on)[0]


def _is_next(workspace: Workspace, order: Order, run_id: str, request: Request) -> bool:
    """Whether no other run that could have one of its devices goes before it."""
    if run_id in order.held or run_id not in order.runs:
        return False
    for other in order.runs[: order.runs.index(run_id)]:
        wanted = request_of(workspace, other)
        if other in order.held or wanted is None or not set(wanted.devices) & set(request.devices):
            continue
        if jobs.read_status(run_folder(workspace, other)).state == "queued":
            return False
    return True
