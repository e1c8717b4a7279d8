"""What a waiting run waits for, in words and as the runs it is behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.runs.order import Order, Request
from core.runs.slots import Holder

_MOST_NAMED = 3
_FREE = "for its turn"


def what_for(
    order: Order,
    run_id: str,
    requests: Mapping[str, Request],
    states: Mapping[str, str],
    on: Mapping[str, Sequence[Holder]],
) -> tuple[str, tuple[str, ...]]:
    """A phrase that goes on from "It waits ...", and the runs: those on its devices, then those that go before it.

    Args:
        requests, states: of the runs that wait.
        on: who is on which device.
    """
    request = requests[run_id]
    if states[run_id] == "lost":
        return "for nothing any more, as its process was ended; resume puts it back at this place", ()
    if states[run_id] == "stalled":
        return "for its own process, which is paused; others go first", ()
    if run_id in order.held:
        return "until it is released", ()
    users = list(dict.fromkeys(one.run_id for device in request.devices for one in on[device]))
    ahead = [
        other
        for other in order.runs[: order.runs.index(run_id)]
        if other in requests
        and other not in order.held
        and states[other] == "queued"
        and set(requests[other].devices) & set(request.devices)
    ]
    words = _for_slots(request, users, sum(order.slots_of(device) for device in request.devices))
    if words == _FREE:
        users = []  # they leave room for it
    if ahead:
        words += "; 1 other goes before it" if len(ahead) == 1 else f"; {len(ahead)} others go before it"
    elif words == _FREE:
        words = "for nothing: it is about to start"
    return words, (*users, *ahead)


def _for_slots(request: Request, users: Sequence[str], num_slots: int) -> str:
    """What it waits for on its devices, whoever goes before it."""
    several = len(request.devices) > 1
    owner = "the CPU" if request.kind == "cpu" else f"the {len(request.devices)} GPUs" if several else "the GPU"
    if num_slots < request.num:
        return f"until {owner} {'are' if several else 'is'} given a slot"
    if not users or (len(users) < num_slots and request.num == 1):
        return _FREE
    names = [one or "one that just began" for one in users]
    if request.num > 1:
        return f"for {request.num} GPUs at once, some of which {_listed(names, 'and')} {_use(names)}"
    owned = f"{owner}' {num_slots} slots" if several else f"{owner}'s {num_slots} slots"
    if num_slots == 1:
        owned = f"{owner}'s one slot"
    if len(names) == 1:
        return f"for the run {names[0]}, which uses {owned}"
    return f"for one of the runs {_listed(names, 'or')}, which use {owned}"


def _use(names: Sequence[str]) -> str:
    return "uses" if len(names) == 1 else "use"


def _listed(names: Sequence[str], word: str) -> str:
    if len(names) > _MOST_NAMED:
        names = [*names[:_MOST_NAMED], f"{len(names) - _MOST_NAMED} more"]
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else names[0]
