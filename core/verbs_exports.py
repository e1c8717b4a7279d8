"""The command-line verb that exports a run's model and says whether it may be used; see `core.__main__`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from core.errors import DarkroomError, InputError
from core.exports.exported import export_job, read_export
from core.exports.format import Format
from core.exports.registry import FORMATS, complete, open_format
from core.inference.speed import SECONDS
from core.jobs import Status
from core.runs.store import Run, open_run
from core.terminal import progress_line, say
from core.verbs_training import AddVerb, Result
from core.wording import bytes_size, significant
from core.workspace import Workspace

POLL_S = 0.1


def add_verbs(verb: AddVerb) -> None:
    """Add it to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    text = "Export a run's model and compare it with the trained one on every test image."
    exporting = verb("export", _export, text)
    exporting.add_argument("run")
    keys = ", ".join(FORMATS)
    exporting.add_argument("--format", required=True, metavar="F", help=f"one of {keys}")
    offered = "; ".join(
        f"{one.key}: {choice.name}={'|'.join(map(str, choice.values))}"
        for one in FORMATS.values()
        for choice in one.choices
    )
    exporting.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a choice that the format offers{f' ({offered})' if offered else ''}; may be repeated",
    )
    exporting.add_argument("--seconds", type=float, default=SECONDS, help="to measure each speed for (default: 2)")


def _export(options: argparse.Namespace) -> Result:
    run, chosen = open_run(Workspace.default(), options.run), open_format(options.format)
    if reason := chosen.available():
        raise InputError(f"{chosen.name} cannot be exported on this machine: {reason}")
    wanted = complete(chosen, dict(_pair(text) for text in options.option))
    job = export_job(chosen.key)
    job.ask(run, options=wanted, seconds=options.seconds)
    try:
        status = _awaited(run, chosen, options)
    except KeyboardInterrupt:
        job.cancel(run)
        raise
    found = read_export(run, chosen.key)
    if status.state != "finished" or found is None:
        raise DarkroomError(status.message or f"The export ended as {status.state}.")
    report = found.parity
    single, batch = report["speed"]["single"], report["speed"]["batch"]
    say(options, f"{'Ready' if found.ready else 'Not ready'}: {found.folder}. {report['sentence']}")
    say(
        options,
        f"{bytes_size(report['size_bytes'])}; one image {significant(single['latency_ms_p50'])} ms, "
        f"{batch['batch_size']} together {significant(batch['images_per_s'])} images/s.",
    )
    for note in report["notes"]:
        say(options, note)
    return {
        "run": run.id,
        "format": chosen.key,
        "path": str(found.folder),
        "zip": str(found.zip) if found.ready else None,
        "ready": found.ready,
        "reasons": report["reasons"],
        "agreement": report["agreement"],
        "max_probability_gap": report["max_probability_gap"],
        "mean_probability_gap": report["mean_probability_gap"],
        "accuracy_before": report["accuracy_before"],
        "accuracy_after": report["accuracy_after"],
        "num_images": report["num_images"],
        "size_bytes": report["size_bytes"],
        "latency_ms_p50": single["latency_ms_p50"],
        "latency_ms_p95": single["latency_ms_p95"],
        "images_per_s": batch["images_per_s"],
        "pytorch": {
            "size_bytes": report["pytorch_size_bytes"],
            "latency_ms_p50": report["pytorch_speed"]["single"]["latency_ms_p50"],
            "latency_ms_p95": report["pytorch_speed"]["single"]["latency_ms_p95"],
            "images_per_s": report["pytorch_speed"]["batch"]["images_per_s"],
        },
        "notes": report["notes"],
    }, 0 if found.ready else 1


def _awaited(run: Run, chosen: Format, options: argparse.Namespace) -> Status:
    """The job's status once it has ended."""
    job, said, note = export_job(chosen.key), "", progress_line("images", options.json)
    while True:
        status = job.progress(run)
        if status is None or status.ended:
            return status or Status("lost", "The export's folder is gone.")
        if status.total:
            note(status.done, status.total)
        elif status.message != said:
            said = status.message
            say(options, said)
        time.sleep(POLL_S)


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--option {text} does not say what it is to be.", "Write it as NAME=VALUE.")
    return name, value
