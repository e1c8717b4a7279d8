"""The command-line verbs that search for good settings; see `core.__main__`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from core import jobs
from core.config import TrainConfig, parse_config
from core.errors import InputError
from core.files import slug
from core.sweeps.launch import start_worker, stop_sweep
from core.sweeps.results import TrialRow, best_row, num_done, start_row
from core.sweeps.space import FORM, parse_space
from core.sweeps.spec import METRICS, PRUNERS, SAMPLERS, Budget, SweepSpec, make_budget, make_spec
from core.sweeps.store import SPEC, URL, Sweep, create_sweep, list_sweeps, open_sweep, require_same, set_budget
from core.sweeps.verdict import verdict
from core.terminal import say
from core.verbs_training import AddVerb, Result, add_settings, settings_given, what_to_train
from core.workspace import Workspace

POLL_S = 0.2
RULES = ("sampler", "pruner", "metric", "seed")


def add_verbs(verb: AddVerb) -> None:
    """Add them to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    sweep = verb("sweep", _sweep, "Search for good settings: many runs, each with other values of some of them.")
    sweep.add_argument("--name", required=True, help="of the sweep; one that is there already goes on")
    sweep.add_argument(
        "--search", action="append", default=[], metavar="FIELD=VALUES", help=f"a setting to search, repeatable: {FORM}"
    )
    sweep.add_argument("--sampler", choices=SAMPLERS, help="how values are chosen (default: tpe)")
    sweep.add_argument("--pruner", choices=PRUNERS, help="which trials are ended early (default: median)")
    sweep.add_argument("--metric", choices=METRICS, help="what makes a trial good (default: val_accuracy)")
    sweep.add_argument("--seed", type=int, help="of the draws (default: 0)")
    sweep.add_argument("--trials", type=int, help="end after so many of all processes together (default: 20; 0: never)")
    sweep.add_argument("--minutes", type=float, help="begin no trial after so long (default: 0, no limit)")
    sweep.add_argument("--at-once", type=int, help="trials this process keeps under way (default: 1)")
    sweep.add_argument("--detach", action="store_true", help="return at once")
    add_settings(sweep)
    stop = verb("sweep-stop", _stop, "Stop a sweep and its runs; both go on with the verb sweep.")
    stop.add_argument("name")
    verb("sweeps", _list, "List the sweeps, newest first, with the best each has found.")


def _sweep(options: argparse.Namespace) -> Result:
    workspace = Workspace.default()
    sweep = _asked(workspace, options)
    worker = start_worker(sweep)
    if options.detach:
        say(options, f"{sweep.folder}")
        return _summary(sweep, sweep.status), 0
    return _watch(sweep, worker, options)


def _asked(workspace: Workspace, options: argparse.Namespace) -> Sweep:
    """The sweep that is meant: one of this workspace, one that another machine began, or a new one."""
    name = slug(options.name)
    known = open_sweep(workspace, name) if (workspace.sweep(name) / SPEC).is_file() else None
    if not options.data:
        if (
            options.search
            or options.preset
            or settings_given(options)
            or any(vars(options)[rule] is not None for rule in RULES)
        ):
            raise InputError("Say what to train on with --data.", "To go on with a sweep give its --name alone.")
        if known is None:
            return _joined(workspace, name, options)
        set_budget(known, _budget(options, known.spec, known.budget))
        return known
    config, division = what_to_train(workspace, options)
    rules = {rule: vars(options)[rule] for rule in RULES if vars(options)[rule] is not None}
    spec = make_spec(config, division.dataset.fingerprint, dict(parse_space(options.search)), **rules)
    if known is not None:
        require_same(name, known.spec, spec)
    budget = _budget(options, spec, known.budget if known else None)
    return create_sweep(workspace, name, spec, budget, division.manifest, division.about())


def _budget(options: argparse.Namespace, spec: SweepSpec, before: Budget | None) -> Budget:
    given = {name: vars(options)[name] for name in ("trials", "minutes", "at_once") if vars(options)[name] is not None}
    return make_budget(spec, **((before.model_dump() if before else {}) | given))


def _joined(workspace: Workspace, name: str, options: argparse.Namespace) -> Sweep:
    """A sweep that another machine began, with the images of this one, which must be the same."""
    from core.data.splits import divide

    url = os.environ.get(URL)
    spec = None
    if url:
        from core.sweeps.study import read_spec

        spec = read_spec(url, name)
    if spec is None:
        where = f"this workspace or the database of {URL}" if url else "this workspace"
        raise InputError(
            f"There is no sweep {options.name!r} in {where}.", "Begin one with --data and --search, or see: sweeps"
        )
    division = divide(workspace, _config(spec))
    if division.dataset.fingerprint != spec.fingerprint:
        raise InputError(
            f"The images of {spec.dataset} here are not those that the sweep began with.",
            "Copy the dataset from the machine that began it, with its corrections.",
        )
    return create_sweep(workspace, name, spec, _budget(options, spec, None), division.manifest, division.about())


def _config(spec: SweepSpec) -> TrainConfig:
    nested: dict[str, dict[str, Any]] = {}
    for path, value in spec.base.items():
        group, _, field = path.partition(".")
        nested.setdefault(group, {})[field] = value
    return parse_config(nested)


def _watch(sweep: Sweep, worker: Path, options: argparse.Namespace) -> Result:
    """Show the process's log until it ends. Ctrl-C asks it to stop cleanly; a second one leaves it alone."""
    shown, asked = _size(worker), False
    while True:
        try:
            status = jobs.read_status(worker)
            shown = _copy(worker, shown)
            if status.ended:
                break
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            if asked:
                raise
            asked = True
            print(f"Stopping {sweep.id}; press Ctrl-C again to leave it running.", file=sys.stderr)
            jobs.request_stop(worker)
    result = _summary(sweep, status)
    if status.state in ("failed", "lost"):
        print(f"python -m core: {status.message}", file=sys.stderr)
        return result | {"error": status.message}, 1
    say(options, f"{sweep.id}: {status.message}")
    if result["verdict"]:
        say(options, result["verdict"])
    return result, 0


def _size(worker: Path) -> int:
    log = worker / jobs.LOG
    return log.stat().st_size if log.is_file() else 0


def _copy(worker: Path, shown: int) -> int:
    """Copy what the log has more than was shown to standard error; gives its length."""
    if not (worker / jobs.LOG).is_file():
        return shown
    with open(worker / jobs.LOG, "rb") as log:
        log.seek(shown)
        new = log.read()
    sys.stderr.write(new.decode("utf-8", "replace"))
    sys.stderr.flush()
    return shown + len(new)


def _summary(sweep: Sweep, status: jobs.Status) -> dict[str, Any]:
    """What a caller wants of a sweep, as plain values."""
    spec, rows = sweep.spec, sweep.trials()
    found = verdict(Workspace.default(), spec, rows)
    return {
        "sweep": sweep.id,
        "folder": str(sweep.folder),
        "state": status.state,
        "message": status.message,
        "metric": spec.metric,
        "num_trials": num_done(rows),
        "num_pruned": sum(row.state == "pruned" and row.counts for row in rows),
        "num_failed": sum(row.state == "failed" and row.counts for row in rows),
        "best": _plain(best_row(spec, rows)),
        "start": _plain(start_row(rows)),
        "verdict": found.sentence if found else "",
        "importance": sweep.importance(),
    }


def _plain(row: TrialRow | None) -> dict[str, Any] | None:
    return row and {"trial": row.number, "score": row.score, "epoch": row.epoch, "run": row.run, "values": row.values}


def _stop(options: argparse.Namespace) -> Result:
    sweep = open_sweep(Workspace.default(), options.name)
    stop_sweep(sweep)
    say(options, f"{sweep.id} is {sweep.status.state}.")
    return _summary(sweep, sweep.status), 0


def _list(options: argparse.Namespace) -> Result:
    rows = [_summary(sweep, sweep.status) for sweep in list_sweeps(Workspace.default())]
    for row in rows:
        say(options, f"{row['sweep']}  {row['state']}  {row['message']}")
    return {"sweeps": rows}, 0
