"""The verbs that let other programs ask: `serve` and `keys`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from core.errors import DarkroomError, InputError
from core.runs.store import open_run
from core.serving.keys import Keys
from core.serving.limits import Limits
from core.terminal import say
from core.workspace import Workspace

Result = dict[str, Any]


def add_verbs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add them to the command line; `verb(name, action, help)` makes a parser."""
    serving = verb("serve", _serve, "Answer other programs over HTTP with the models of runs, until Ctrl-C.")
    serving.add_argument("runs", nargs="+", metavar="RUN", help="the id of a run that has a model")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for the whole network")
    serving.add_argument("--port", type=int, default=8600, help="port to listen on; 0 for any that is free")
    serving.add_argument("--workers", type=int, default=1, help="processes, each with its own copy of the models")
    group = serving.add_argument_group("limits", "what is taken from clients, at most")
    for limit in fields(Limits):
        group.add_argument(
            f"--{limit.name.replace('_', '-')}",
            type=type(limit.default),
            default=limit.default,
            help=f"{limit.metadata['help']} ({limit.default:g})",
        )
    keys = verb("keys", _keys, "List the keys of the REST API, create one or revoke one.")
    keys.add_argument("action", nargs="?", choices=["list", "create", "revoke"], default="list")
    keys.add_argument("name", nargs="?", help="of the program that gets the key; to revoke, its id does too")


def _serve(options: argparse.Namespace) -> tuple[Result, int]:
    workspace = Workspace.default()
    limits = Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)})
    if not 1 <= options.workers <= 256:
        raise InputError(f"--workers {options.workers} is not possible.", "Give 1 to 256 processes.")
    if not 0 <= options.port <= 65535:
        raise InputError(f"--port {options.port} is not a port.", "Give 0 to 65535.")
    runs = [open_run(workspace, name) for name in options.runs]
    for run in runs:
        if not run.has_bundle:
            raise InputError(f"Run {run.id} has no model yet.", "Train it to its end first.")
    from core.serving import models, standing_alone  # takes a second to load, which mistakes need not wait for
    from core.serving.limits import Refused

    try:
        models.Models(workspace, options.runs).load_named()
    except Refused as refused:
        raise DarkroomError(refused.message, refused.fix) from refused
    with standing_alone.bound(options.host, options.port) as address:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{address.getsockname()[1]}"
        print(f"{url}/api/docs: {', '.join(run.id for run in runs)}. Ctrl-C ends it.", file=sys.stderr, flush=True)
        if not Keys(workspace):
            why = "There is no API key, so only programs on this machine are answered: python -m core keys create NAME"
            print(why, file=sys.stderr, flush=True)
        standing_alone.serve(workspace, [str(run.folder) for run in runs], address, options.workers, limits)
    return {"url": url, "runs": [run.id for run in runs]}, 0


def _keys(options: argparse.Namespace) -> tuple[Result, int]:
    keys = Keys(Workspace.default())
    if options.action == "list":
        rows = [_row(key) for key in keys.list()]
        for row in rows:
            say(options, f"{row['id']}  {row['name']}")
        if not rows:
            say(options, "No key: only programs on this machine are answered.")
        return {"keys": rows}, 0
    if not options.name:
        raise InputError(f"keys {options.action} needs a name.", f"python -m core keys {options.action} NAME")
    if options.action == "create":
        key, text = keys.create(options.name)
        say(options, text)
        print("This is the only time the key is shown; what is kept is its hash.", file=sys.stderr)
        return _row(key) | {"key": text}, 0
    key = keys.revoke(options.name)
    say(options, f"{key.name} is refused from now on.")
    return _row(key), 0


def _row(key: Any) -> Result:
    return {name: value for name, value in asdict(key).items() if name != "hash"}
