"""The work of the dashboard without a browser: `python -m core VERB --help`.

Progress goes to standard error. With `--json` the last line on standard output is one JSON object.
Exit status: 0 done, 1 the work failed, 2 the input is wrong (one line says what, and how to fix it).
"""

# ruff: noqa: E402 -- one answer is given before the slow imports
from __future__ import annotations

import sys

if __name__ == "__main__":
    from core.data.unchanged import answer_at_once

    answer_at_once(sys.argv[1:])

    from core.data.reading_processes import read_ahead

    read_ahead(sys.argv[1:])

import argparse
import json
import os
import traceback
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn

from core.data.reading import LAYOUTS, Reading
from core.errors import DarkroomError, InputError
from core.terminal import progress_line, say
from core.workspace import Workspace

Result = dict[str, Any]


class _Parser(argparse.ArgumentParser):
    """Mistakes on the command line are the user's input too: one line, status 2."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[:1].upper()}{message[1:]}.", f"See: {self.prog} --help")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        options = build_parser(arguments[:1] == ["index"]).parse_args(arguments)
        result, status = options.verb(options)
    except DarkroomError as error:
        print(f"python -m core: {' '.join(str(error).split())}", file=sys.stderr)
        result, status = {"error": str(error)}, error.exit_status
    except KeyboardInterrupt:
        result, status = {"error": "interrupted"}, 1
    except Exception as error:  # a fault of ours: the traceback for us, the last line for the calling program
        traceback.print_exc()
        result, status = {"error": f"{type(error).__name__}: {error}"}, 1
    if as_json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
    return status


def build_parser(only_index: bool = False) -> argparse.ArgumentParser:
    """All verbs and flags; or `index` alone, as what the others need takes longer to load than a folder to read."""
    parser = _Parser(prog="python -m core", description="Darkroom without a browser.", allow_abbrev=False)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser)

    def verb(
        name: str, action: Callable[[argparse.Namespace], tuple[Result, int]], text: str, json_file: bool = False
    ) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(verb=action)
        if json_file:
            more = "end with one line of JSON; with a FILE, write all that is known into that"
            sub.add_argument("--json", nargs="?", const=True, default=False, metavar="FILE", help=more)
        else:
            sub.add_argument("--json", action="store_true", help="end with one line of JSON")
        return sub

    index = verb("index", _index, "Read labelled images and store them as a dataset.")
    index.add_argument(
        "path", help="a folder (read, never changed), a .csv, .tsv or .parquet, a .zip or .tar, or torchvision:NAME"
    )
    index.add_argument("--name", help="what to call it; by default the folder's name")
    reading = index.add_argument_group("reading", "how to read it, where it is not recognised as it should be")
    for knob in fields(Reading):
        choices = list(LAYOUTS) if knob.name == "layout" else None
        flag = f"--{knob.name.replace('_', '-')}"
        reading.add_argument(flag, choices=choices, help=knob.metadata["help"].replace("%", "%%"))
    if only_index:
        return parser
    from core import (
        verbs_compare,
        verbs_exports,
        verbs_predict,
        verbs_pruning,
        verbs_report,
        verbs_runs,
        verbs_serving,
        verbs_sweeps,
        verbs_training,
    )
    from core.data.analyse_verb import analyse
    from core.data.verbs import add_verbs

    verb("datasets", _datasets, "List the stored datasets.")
    add_verbs(verb)
    analysing = verb("analyse", analyse, "Compare a dataset's images: likely wrong labels, neighbours and a map.")
    analysing.add_argument("dataset", help="the name or id of a stored dataset")
    verbs_training.add_verbs(verb)
    verbs_runs.add_verbs(verb)
    verbs_sweeps.add_verbs(verb)
    verbs_compare.add_verbs(verb)
    verbs_serving.add_verbs(verb)
    verbs_exports.add_verbs(verb)
    verbs_pruning.add_verbs(verb)
    verbs_report.add_verbs(verb)
    evaluate = verb("evaluate", _evaluate, "Evaluate a run's model on its validation and test images again.")
    evaluate.add_argument("run")
    verbs_report.add_other_data(evaluate)
    verbs_predict.add_verbs(verb)
    return parser


def _index(options: argparse.Namespace) -> tuple[Result, int]:
    from core.data.datasets import index_path
    from core.data.health import flag_counts
    from core.data.unchanged import folder_digest, note

    given = {knob.name: getattr(options, knob.name) for knob in fields(Reading)}
    plain = not options.name and not any(given.values()) and os.path.isdir(options.path)
    digest = folder_digest(options.path) if plain else None
    dataset = index_path(
        Workspace.default(),
        options.path,
        options.name,
        on_progress=progress_line("index", options.json),
        reading=Reading(**{name: value for name, value in given.items() if value}) if any(given.values()) else None,
    )
    say(
        options,
        f"{dataset.name}: {dataset.num_classes} classes, {dataset.num_images:,} images, "
        f"{dataset.num_errors} unreadable; {dataset.images_per_s:,.0f} images/s.",
    )
    answer = _dataset_row(dataset) | {"checks": flag_counts(dataset)}
    note(Workspace.default(), options.path, answer, digest)
    return answer, 0


def _datasets(options: argparse.Namespace) -> tuple[Result, int]:
    from core.data.datasets import ensure_builtin, list_datasets

    ensure_builtin(Workspace.default())
    rows = [_dataset_row(dataset) for dataset in list_datasets(Workspace.default())]
    for row in rows:
        say(options, f"{row['dataset']}  {row['num_classes']} classes, {row['num_images']:,} images  {row['root']}")
    return {"datasets": rows}, 0


def _evaluate(options: argparse.Namespace) -> tuple[Result, int]:
    from core.data.datasets import open_dataset
    from core.evaluation.evaluate import evaluate_run
    from core.runs import store

    if options.on:
        from core.verbs_report import evaluate_on

        return evaluate_on(options)
    workspace = Workspace.default()
    run = store.open_run(workspace, options.run)
    root = open_dataset(workspace, run.config.data.dataset).root
    report = evaluate_run(run, root, progress_line("evaluate", options.json))
    say(options, report["headline"])
    return {"run": run.id, **report}, 0


def _dataset_row(dataset: Any) -> Result:
    return {
        "dataset": dataset.id,
        "name": dataset.name,
        "root": str(dataset.root),
        "layout": dataset.layout,
        "num_images": dataset.num_images,
        "num_classes": dataset.num_classes,
        "num_errors": dataset.num_errors,
        "ignored": dataset.ignored,
        "seconds": round(dataset.seconds, 3),
        "images_per_s": round(dataset.images_per_s, 1),
        "manifest": str(dataset.folder / "manifest.parquet"),
    }


if __name__ == "__main__":
    status = main()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)  # taking pandas and pyarrow down in good order takes longer than reading a hundred photos
