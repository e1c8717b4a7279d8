"""The command-line verbs that try, start, resume and watch training runs; see `core.__main__`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import psutil

from core import jobs
from core.config import PRESETS, TrainConfig, build_config, knobs
from core.errors import InputError
from core.runs import launch, store
from core.runs.lr_search import LR_SEARCH
from core.runs.preflight import PREFLIGHT, Forecast
from core.terminal import progress_line, say
from core.wording import bytes_size, duration
from core.workspace import Workspace

POLL_S = 0.1
Result = tuple[dict[str, Any], int]
Answer = TypeVar("Answer")
AddVerb = Callable[[str, Callable[[argparse.Namespace], Result], str], argparse.ArgumentParser]


def add_verbs(verb: AddVerb) -> None:
    """Add them to the command line; the training flags are derived from `TrainConfig`.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    train = verb("train", _train, "Train a classifier and evaluate it on its test images.")
    train.add_argument("--resume", metavar="RUN", help="go on with a stopped, failed or lost run")
    train.add_argument("--retry", metavar="RUN", help="train anew with a run's settings, images and their division")
    train.add_argument("--detach", action="store_true", help="return at once with the run's folder")
    train.add_argument(
        "--no-start",
        action="store_true",
        help="make the run's folder and start nothing, for torchrun to be started by hand",
    )
    train.add_argument("--preflight", action="store_true", help="try a few steps first; start only what can work")
    add_settings(train)
    add_settings(verb("preflight", _preflight, "Try a few steps and forecast a run's time, memory and disk."))
    add_settings(verb("find-lr", _find_lr, "Try rising learning rates for a few steps and suggest one."))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add --data, --preset and a flag for each setting."""
    parser.add_argument("--data", metavar="PATH|NAME", help="a folder of images, or the name of a stored dataset")
    parser.add_argument("--preset", choices=PRESETS, default=None, help="start from these settings (default: transfer)")
    for group in TrainConfig.model_fields:
        section = parser.add_argument_group(group)
        for knob in (knob for knob in knobs() if knob.group == group and knob.path != "data.dataset"):
            text = f"{knob.help} [{knob.allowed}; default {knob.default}]".replace("%", "%%")
            section.add_argument(f"--{knob.path}", metavar="VALUE", default=argparse.SUPPRESS, help=text)


def _train(options: argparse.Namespace) -> Result:
    workspace = Workspace.default()
    if options.resume or options.retry:
        more = options.data or options.preset or options.preflight or options.no_start
        if settings_given(options) or more or (options.resume and options.retry):
            raise InputError(
                "--resume and --retry use the settings the run was started with.",
                "Give one of them, without --data, --preset, --preflight, --no-start and settings.",
            )
        earlier = store.open_run(workspace, options.resume or options.retry)
        run = launch.resume_run(earlier) if options.resume else launch.retry_run(workspace, earlier)
    else:
        config, division = what_to_train(workspace, options)
        if options.preflight:
            forecast = _awaited(lambda again: PREFLIGHT.ask(workspace, config, division, again))
            _say_forecast(options, forecast)
            if forecast.refusals:
                raise InputError(" ".join(forecast.refusals))
        begin = store.create_run if options.no_start else launch.start_run
        run = begin(workspace, config, division.manifest, division.about())
    if options.detach or options.no_start:
        say(options, f"{run.folder}")
        return {"run": run.id, "folder": str(run.folder), "state": run.status.state}, 0
    return watch(run, options)


def _preflight(options: argparse.Namespace) -> Result:
    workspace = Workspace.default()
    config, division = what_to_train(workspace, options)
    forecast = _awaited(lambda again: PREFLIGHT.ask(workspace, config, division, again))
    _say_forecast(options, forecast)
    result = {"dataset": config.data.dataset} | asdict(forecast)
    if forecast.refusals:
        print(f"python -m core: {' '.join(forecast.refusals)}", file=sys.stderr)
        return result | {"error": " ".join(forecast.refusals)}, InputError.exit_status
    return result, 0


def _say_forecast(options: argparse.Namespace, forecast: Forecast) -> None:
    slower = {"loader": "loading holds it up", "compute": "the network holds it up"}[forecast.bound]
    say(
        options,
        f"About {duration(forecast.seconds)}; {forecast.images_per_s:,.0f} images/s ({slower}); "
        f"memory {bytes_size(forecast.peak_memory_mb * 1e6)} of {bytes_size(forecast.free_memory_mb * 1e6)} free, "
        f"disk {bytes_size(forecast.disk_mb * 1e6)} of {bytes_size(forecast.free_disk_mb * 1e6)} free.",
    )
    for sentence in forecast.advice:
        say(options, sentence)


def _find_lr(options: argparse.Namespace) -> Result:
    workspace = Workspace.default()
    config, division = what_to_train(workspace, options)
    curve = _awaited(lambda again: LR_SEARCH.ask(workspace, config, division, again))
    say(options, curve.note)
    return {"dataset": config.data.dataset} | asdict(curve), 0


def _awaited(ask: Callable[[bool], Answer | None]) -> Answer:
    """Ask anew, then wait for the answer."""
    answer = ask(True)
    while answer is None:
        time.sleep(POLL_S)
        answer = ask(False)
    return answer


def settings_given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line names, `{"group.field": text}`."""
    return {knob.path: vars(options)[knob.path] for knob in knobs() if knob.path in vars(options)}


def what_to_train(workspace: Workspace, options: argparse.Namespace) -> tuple[TrainConfig, Any]:
    """The settings, and the dataset divided by them, which is indexed first where it is a folder."""
    from core.data.splits import divide

    if not options.data:
        raise InputError("Say what to train on with --data PATH or --data NAME.", "List names: python -m core datasets")
    given, preset = settings_given(options), options.preset or "transfer"
    build_config(given, preset)  # all mistakes in the settings first, before minutes of indexing
    config = build_config(given | {"data.dataset": find_dataset(workspace, options)}, preset)
    return config, divide(workspace, config)


def find_dataset(workspace: Workspace, options: argparse.Namespace) -> str:
    """The id of the dataset meant by --data: a stored one by name, else a folder, which is indexed."""
    from core.data.datasets import ensure_builtin, index_path, list_datasets, open_dataset
    from core.data.unchanged import noted

    if os.sep not in options.data:
        ensure_builtin(workspace)
        known = list_datasets(workspace)
        if any(options.data in (dataset.id, dataset.name) for dataset in known):
            return open_dataset(workspace, options.data).id
        if not Path(options.data).expanduser().exists():
            names = ", ".join(dataset.id for dataset in known)
            raise InputError(f"There is no dataset and no folder {options.data!r}.", f"Known datasets: {names}.")
    if answer := noted(workspace, options.data):
        return str(answer["dataset"])
    return index_path(workspace, Path(options.data), on_progress=progress_line("index", options.json)).id


def watch(run: store.Run, options: argparse.Namespace) -> Result:
    """Show the worker's log until it ends. Ctrl-C asks it to stop cleanly; a second one leaves it alone."""
    shown, asked, waited_for = 0, False, ""
    while True:
        try:
            status = run.status
            shown = _copy_log(run, shown)
            if status.state == "queued" and status.pid is not None and status.message != waited_for:
                waited_for = status.message
                print(waited_for, file=sys.stderr, flush=True)
            if status.ended:
                break
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            if asked:
                raise
            asked = True
            print(f"Stopping {run.id}; press Ctrl-C again to leave it running.", file=sys.stderr)
            launch.stop_run(run)
    row = store.summary(run)
    if status.state in ("failed", "lost"):
        print(f"python -m core: {status.message}", file=sys.stderr)
        return row | {"error": status.message}, int(status.extra.get("exit_status", 1))
    from core.data.manifest import usable

    report, images = run.report() or {}, usable(run.manifest())
    row |= {
        "test_accuracy_interval": report.get("test_accuracy_interval"),
        "leaks": report.get("leaks"),
        "num_images": len(images),
        "num_classes": int(images["label"].nunique()),
        "seconds": round(time.time() - psutil.Process().create_time(), 2),
    }
    say(options, f"{run.id}: {status.message}")
    return row, 0


def _copy_log(run: store.Run, shown: int) -> int:
    path = run.folder / jobs.LOG
    if path.is_file():
        with open(path, "rb") as log:
            log.seek(shown)
            new = log.read()
        sys.stderr.write(new.decode("utf-8", "replace"))
        sys.stderr.flush()
        shown += len(new)
    return shown
