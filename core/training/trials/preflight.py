"""Program: try a run before it starts, forecast time, memory, disk. `python -m core.training.trials.preflight FOLDER`

What the run would do is done with a few of its images: decode, learn for some seconds, validate, export, classify.
Each part is timed and counted up to the whole. See `core.runs.preflight` for the answer.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from core.jobs import StatusWriter
from core.runs.preflight import Forecast
from core.training.memory import free_bytes, peak_bytes
from core.training.setup import Setup
from core.training.trials.trial import run_trial, watch_of
from core.training.trials.trial_finish import Finish, try_finish
from core.training.trials.trial_learning import Learning, try_learning
from core.wording import bytes_size, duration

LONG_S = 3600.0
ROOM = 100e6  # bytes of disk that log, tables, event files and report may take


def forecast(setup: Setup, status: StatusWriter) -> dict[str, Any]:
    """The fields of `core.runs.preflight.Forecast`.

    Raises:
        InputError: the settings cannot be used at all, such as images too small for the network.
        Stopped: asked to.
    """
    process = psutil.Process()
    free = free_bytes(setup.device) + (process.memory_info().rss if setup.device.type == "cpu" else 0)
    network = setup.network()
    phases = {"starting": time.time() - process.create_time()}
    learning = try_learning(setup, network, phases["starting"], watch_of(status))
    phases |= learning.phases
    finish = Finish({}, 0)
    if not learning.refusals:
        status.update(message="Trying the export and the evaluation.")
        with tempfile.TemporaryDirectory() as scratch:
            finish = try_finish(setup, network, learning.backbone, Path(scratch) / "bundle")
    phases |= finish.phases
    peak = (peak_bytes(setup.device) + learning.unseen_bytes) * _processes_sharing_memory(setup)
    disk = ROOM + 2 * learning.checkpoint_bytes + 2 * finish.bundle_bytes + learning.cached_bytes
    free_disk = shutil.disk_usage(setup.workspace.root).free
    seconds = sum(phases.values())
    found = Forecast(
        seconds=seconds,
        phases=phases,
        images_per_s=learning.images_per_s,
        loader_images_per_s=learning.loader_images_per_s,
        compute_images_per_s=learning.compute_images_per_s,
        bound="loader" if learning.loader_images_per_s < learning.compute_images_per_s else "compute",
        peak_memory_mb=peak / 1e6,
        free_memory_mb=free / 1e6,
        disk_mb=disk / 1e6,
        free_disk_mb=free_disk / 1e6,
        batch_size=learning.batch_size,
        accumulate=learning.accumulate,
        device=setup.device.type,
        refusals=[*learning.refusals, *_refusals(setup, learning, peak, free, disk, free_disk)],
        advice=_advice(setup, learning, seconds),
    )
    return asdict(found)


def _processes_sharing_memory(setup: Setup) -> int:
    return setup.config.runtime.processes if setup.device.type == "cpu" else 1


def _refusals(setup: Setup, learning: Learning, peak: float, free: float, disk: float, free_disk: float) -> list[str]:
    found = []
    if peak > free:
        found.append(
            f"The run would take {bytes_size(peak)} of memory, and {bytes_size(free)} are free: lower "
            f"optim.batch_size (to {max(2, learning.batch_size // 2)}), preprocess.image_size or runtime.memory_share."
        )
    if disk > free_disk:
        words = f"The run would write {bytes_size(disk)}, and {bytes_size(free_disk)} of disk are free: "
        way_out = "lower runtime.disk_cache_gb, " if learning.cached_bytes else ""
        found.append(f"{words}{way_out}free some, or set DARKROOM_HOME to another disk.")
    return found


def _advice(setup: Setup, learning: Learning, seconds: float) -> list[str]:
    found, config = [], setup.config
    if learning.batch_size < config.optim.batch_size:
        found.append(
            f"Batches of {config.optim.batch_size} images do not fit in memory: the run would go on with "
            f"{learning.batch_size}, {learning.accumulate} batches a step. Setting optim.batch_size = "
            f"{learning.batch_size} and optim.accumulate = {learning.accumulate} saves it the attempt."
        )
    if learning.loader_images_per_s < 0.8 * learning.compute_images_per_s:
        rates = f"{learning.loader_images_per_s:,.0f} of {learning.compute_images_per_s:,.0f} images a second"
        way_out = "use fewer augmentations" if learning.in_memory else "raise runtime.disk_cache_gb"
        found.append(f"Loading holds the network up, with {rates}: {way_out} or raise runtime.num_workers.")
    if seconds > LONG_S and config.model.tune != "head":
        smaller = f"a smaller preprocess.image_size than {config.preprocess.image_size}"
        head = "" if config.model.weights == "random" else "model.tune = head, "
        found.append(f"{duration(seconds)} is long: {head}{smaller} or fewer optim.epochs shorten it.")
    if config.runtime.processes > 1:
        found.append(f"Measured in one process; {config.runtime.processes} share the work as far as there are devices.")
    return found


if __name__ == "__main__":
    sys.exit(run_trial(Path(sys.argv[1]).resolve(), "The trial", forecast))
