"""The command-line verbs about runs that are there: list, stop, and change who goes next; see `core.__main__`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from core.errors import InputError
from core.runs import launch, queue, store
from core.runs.trouble import trouble
from core.terminal import say
from core.wording import count
from core.workspace import Workspace

Result = tuple[dict[str, Any], int]
AddVerb = Callable[[str, Callable[[argparse.Namespace], Result], str], argparse.ArgumentParser]


def add_verbs(verb: AddVerb) -> None:
    """Add them to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    verb("runs", _runs, "List the runs, newest first, with the state they are really in.")
    stop = verb("stop", _stop, "Ask a run to end at its next step and keep its best weights.")
    stop.add_argument("run")
    stop.add_argument(
        "--now", action="store_true", help=f"kill what is left of it after {launch.GRACE_S:g} s; resume goes on later"
    )
    shown = verb("queue", _queue, "List the runs that wait, in order, with what each of them waits for.")
    shown.add_argument(
        "--slots",
        action="append",
        default=[],
        metavar="DEVICE=N",
        help="first let a device take N runs at once: cpu=1, cuda:0=2; 0 begins no further run on it",
    )
    moved = verb("queue-move", _move, "Put a waiting run at another place in the queue.")
    moved.add_argument("run")
    moved.add_argument("place", type=int, help="from 1, the next to go")
    for name, change, text in (
        ("hold", queue.hold, "Let a waiting run keep its place while others go first."),
        ("release", queue.release, "Let a run that is held take its turn again."),
        ("cancel", queue.cancel, "Take a waiting run out of the queue; train --resume puts it back."),
    ):
        verb(name, _changed_by(change), text).add_argument("run")


def _runs(options: argparse.Namespace) -> Result:
    rows = []
    for run in store.list_runs(Workspace.default()):
        row, status = store.summary(run), run.status
        say(options, f"{row['run']}  {row['state']}  {row['message']}")
        if found := trouble(run, status):
            row["trouble"] = asdict(found)
            say(options, f"    {found.title}{f' ({found.error})' if found.error else ''}. {found.what_to_do}")
        rows.append(row)
    return {"runs": rows}, 0


def _stop(options: argparse.Namespace) -> Result:
    run = store.open_run(Workspace.default(), options.run)
    if options.now:
        launch.stop_now(run)
    else:
        launch.stop_run(run)
    say(options, f"{run.id} is {run.status.state}.")
    return store.summary(run), 0


def _queue(options: argparse.Namespace) -> Result:
    workspace = Workspace.default()
    for text in options.slots:
        device, _, number = text.rpartition("=")
        if not device or not number.isdecimal():
            raise InputError(f"--slots {text} is not DEVICE=N.", "Write for example --slots cpu=2")
        queue.set_slots(workspace, device, int(number))
    slots, at_work, waiting = queue.slots(workspace), queue.at_work(workspace), queue.waiting(workspace)
    for device, number in slots.items():
        there = [one.run_id or "a run that just began" for one in at_work if one.device == device]
        say(options, f"{device}: {count(number, 'slot')}, at work: {', '.join(there) or 'none'}")
    for row in waiting:
        say(options, f"{row.place}. {row.run_id}{' (held)' if row.held else ''} waits {row.waits_for}.")
    return {
        "slots": slots,
        "at_work": [asdict(one) for one in at_work],
        "waiting": [asdict(row) for row in waiting],
    }, 0


def _move(options: argparse.Namespace) -> Result:
    if options.place < 1:
        raise InputError(f"There is no place {options.place}.", "Places are counted from 1.")
    return _changed_by(lambda workspace, run_id: queue.move(workspace, run_id, options.place))(options)


def _changed_by(change: Callable[[Workspace, str], None]) -> Callable[[argparse.Namespace], Result]:
    def verb(options: argparse.Namespace) -> Result:
        workspace = Workspace.default()
        change(workspace, store.open_run(workspace, options.run).id)
        return _queue(argparse.Namespace(**{**vars(options), "slots": []}))

    return verb
