"""The command-line verbs on handing a model over: its report, and how fast it answers; see `core.__main__`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import DarkroomError, InputError
from core.files import write_bytes, write_csv, write_json
from core.runs.store import open_run
from core.terminal import progress_line, say
from core.verbs_training import Result
from core.wording import bytes_size, count, significant
from core.workspace import Workspace


def add_verbs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add them to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help, and of whether its `--json` may name a file.
    """
    text = "Write a run's evaluation into one file to hand over, or check such a file."
    report = verb("report", _report, text, json_file=True)
    report.add_argument("run")
    report.add_argument("--html", metavar="FILE", help="one page with figures and pictures that needs no network")
    report.add_argument("--csv", metavar="FILE", help="every figure with its interval, one a row")
    report.add_argument("--check", metavar="FILE", help="say which figures of such a file do not come out again")
    bench = verb("bench", _bench, "Time a run's model on this machine by every way there is to run it.")
    bench.add_argument("run")
    bench.add_argument("--seconds", type=float, default=2.0, help="for each way and batch size (default: 2)")


def add_other_data(evaluate: argparse.ArgumentParser) -> None:
    """Add what `evaluate` needs to do so on another dataset."""
    evaluate.add_argument("--on", metavar="DATASET", help="a stored dataset, in place of the run's own images")
    evaluate.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="LABEL=CLASS",
        help="with --on: the class a label means, where the names do not say so; LABEL= leaves it out",
    )
    evaluate.add_argument("--most", type=int, default=0, metavar="N", help="with --on: N images, evenly spread")


def evaluate_on(options: argparse.Namespace) -> Result:
    """`evaluate RUN --on DATASET`."""
    from core.data.datasets import ensure_builtin, open_dataset
    from core.evaluation.on_dataset import evaluate_on_dataset, headline, keep

    workspace = Workspace.default()
    ensure_builtin(workspace)
    run = open_run(workspace, options.run)
    pairs = [text.rpartition("=") for text in options.map]
    if wrong := next((text for text, (_, sign, _) in zip(options.map, pairs, strict=True) if not sign), None):
        raise InputError(f"--map {wrong!r} does not say which class.", "Write it as LABEL=CLASS.")
    given = {label: name or None for label, _, name in pairs}
    dataset = open_dataset(workspace, options.on)
    found = evaluate_on_dataset(run, dataset, given, options.most, progress_line("evaluate", bool(options.json)))
    keep(run, found)
    for label, name in found["mapping"].items():
        if label != name:
            say(options, f"{label}: {'left out' if name is None else f'counts as {name}'}")
    say(options, f"{count(found['asked'], 'image')} asked about; {found['left_out']}.")
    say(options, headline(found))
    return {"run": run.id, **found}, 0


def _report(options: argparse.Namespace) -> Result:
    from core.handover.checked import altered, differences
    from core.handover.document import document
    from core.handover.page import document_in, page
    from core.handover.tables import figures

    run = open_run(Workspace.default(), options.run)
    if options.check:
        given = Path(options.check)
        try:
            content = given.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{given} cannot be read: {error}.", "Name a report's HTML or JSON file.") from error
        told = document_in(content)
        found = differences(run, told)
        if content.lstrip().startswith("<"):
            found += altered(content, told)
        for line in found:
            say(options, line)
        said = f"{count(len(found), 'thing')} in it {'does' if len(found) == 1 else 'do'} not come out again."
        say(options, said if found else "All its figures come out again from the run's answers.")
        return {"run": run.id, "checked": str(given), "differences": found}, 1 if found else 0
    told = document(run)
    as_json = options.json if isinstance(options.json, str) else None
    html = options.html or (None if options.csv or as_json else f"report-{run.id}.html")
    written: dict[str, Any] = {}
    if html:
        write_bytes(Path(html), page(run, told).encode())
        written["html"] = html
    if options.csv:
        write_csv(Path(options.csv), figures(told))
        written["csv"] = options.csv
    if as_json:
        write_json(Path(as_json), told)
        written["json"] = as_json
    say(options, told["headline"])
    for name in written.values():
        say(options, f"{name}: {bytes_size(Path(name).stat().st_size)}")
    return {"run": run.id, "headline": told["headline"], "summary": told["summary"], "written": written}, 0


def _bench(options: argparse.Namespace) -> Result:
    from core.handover.engines import measure_engines

    run = open_run(Workspace.default(), options.run)
    found = measure_engines(run, progress_line("bench", options.json, "engines"), options.seconds)
    for row in found["engines"]:
        if row["problem"]:
            say(options, f"{row['title']}: {row['problem']}")
            continue
        single, batch = row["speeds"]
        say(
            options,
            f"{row['title']}: {significant(single['latency_ms_p50'])} ms for one image (95 % within "
            f"{significant(single['latency_ms_p95'])} ms), {significant(batch['images_per_s'])} images/s in batches of "
            f"{batch['batch_size']}; {bytes_size(row['num_bytes'])}",
        )
    say(options, found["sentence"])
    if not any(row["speeds"] for row in found["engines"]):
        raise DarkroomError(found["sentence"], json.dumps([row["problem"] for row in found["engines"]]))
    return {"run": run.id, **found}, 0
