"""The command-line verb that makes a smaller network from a trained one; see `core.__main__`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from core.exports.pruning import EPOCHS, largest_share, pruned_runs, start_pruned
from core.runs.store import open_run
from core.terminal import say
from core.verbs_training import AddVerb, Result, watch
from core.workspace import Workspace


def add_verbs(verb: AddVerb) -> None:
    """Add it to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    pruning = verb("prune", _prune, "Take a part out of a trained network and let the rest learn on, as a new run.")
    pruning.add_argument("run")
    pruning.add_argument("--share", type=float, default=0.5, help=f"of the network, up to {largest_share():g} [0.5]")
    text = "channels: smaller and faster; weights: zeros, which few runtimes gain from [channels]"
    pruning.add_argument("--by", choices=("channels", "weights"), default="channels", help=text)
    pruning.add_argument("--epochs", type=int, default=EPOCHS, help=f"to learn on for [{EPOCHS}]")


def _prune(options: argparse.Namespace) -> Result:
    workspace = Workspace.default()
    origin = open_run(workspace, options.run)
    run = start_pruned(workspace, origin, options.share, options.by, options.epochs)
    result, status = watch(run, options)
    found: dict[str, Any] = next((asdict(one) for one in pruned_runs(workspace, origin) if one.run.id == run.id), {})
    found.pop("run", None)
    if not status:
        sentence = next(one.sentence() for one in pruned_runs(workspace, origin) if one.run.id == run.id)
        say(options, sentence)
    return result | {"pruned": found}, status
