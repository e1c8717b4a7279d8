"""Program: export a run's model and let the gate judge it. `python -m core.exports.job RUN_FOLDER FORMAT`"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.data.stored import open_dataset
from core.errors import InputError
from core.evaluation.side_jobs import Cancelled
from core.exports import gate
from core.exports.exported import export_job, exports_folder
from core.exports.format import Format, Source
from core.exports.package import model_bytes, requirements, write_package, write_proof, write_zip
from core.exports.reference import pytorch_reference, pytorch_speed
from core.exports.registry import complete, open_format
from core.inference.bundle import publish_bundle, read_bundle
from core.inference.speed import SECONDS
from core.jobs import StatusWriter
from core.onnx_runtime import num_cores
from core.runs.store import Run
from core.training.memory import limit_to_free_memory
from core.workspace import Workspace


def make_export(
    run: Run, chosen: Format, options: Mapping[str, Any], status: StatusWriter, seconds: float = SECONDS
) -> dict[str, Any]:
    """Write the package into the run's folder of exports in one step, judged; gives the gate's report.

    One that is refused is written too, for a look at it, but without its ZIP.

    Args:
        options: see `core.exports.registry.complete`.
        seconds: that each measurement of speed goes on for.

    Raises:
        InputError: the format cannot be made here, or the run has no test images.
        DarkroomError: the run has no model, or its images are gone, or predict.py failed.
        Cancelled: somebody asked for that.
    """
    if reason := chosen.available():
        raise InputError(f"{chosen.name} cannot be exported on this machine: {reason}")
    options = complete(chosen, options)
    source = Source(run, read_bundle(run.bundle), open_dataset(Workspace.default(), run.config.data.dataset).root)
    exports = exports_folder(run)
    exports.mkdir(exist_ok=True)
    built = exports / f".{chosen.key}.building"
    shutil.rmtree(built, ignore_errors=True)  # of one that was killed
    built.mkdir()
    try:
        reference = pytorch_reference(source, exports, status)
        status.update(phase="exporting", message=f"Writing the model as {chosen.name}.", done=0, total=0)
        told = {"notes": [], **chosen.export(source, built, options, status)}
        if status.stop_requested:
            raise Cancelled("Cancelled.")
        size_bytes = model_bytes(built)
        write_package(source, chosen, built)
        status.update(phase="replaying", message="Its predict.py answers the test images.")
        replayed = gate.replay(built, [source.root / path for path in reference.rows["path"]], status, seconds)
        judged = gate.judge(reference, source.bundle.classes, replayed, chosen.tolerance)
        status.update(phase="speed", message="Measuring PyTorch's speed for comparison.", done=0, total=0)
        single, batch = pytorch_speed(source, seconds)
        parity = {
            **gate.report(judged, chosen.tolerance),
            **told,
            "format": chosen.key,
            "name": chosen.name,
            "run": run.id,
            "options": options,
            "size_bytes": size_bytes,
            "pytorch_size_bytes": source.bundle.weights.stat().st_size,
            "speed": {"single": replayed.single, "batch": replayed.batch},
            "pytorch_speed": {"single": asdict(single), "batch": asdict(batch)},
            "cores": num_cores(),
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "versions": requirements(chosen).split(),
        }
        write_proof(source, chosen, built, parity)
        archive = exports / f"{chosen.key}.zip"
        archive.unlink(missing_ok=True)
        publish_bundle(built, exports / chosen.key)
        if judged.ready:
            write_zip(exports / chosen.key, archive, f"{run.id}-{chosen.key}")
        return parity
    finally:
        shutil.rmtree(built, ignore_errors=True)


def main(run_folder: Path, key: str) -> int:
    """Carry out the job; gives the exit status."""
    run, chosen = Run(run_folder.name, run_folder), open_format(key)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        found = make_export(run, chosen, request.get("options", {}), status, request.get("seconds", SECONDS))
        return found["sentence"], found

    return export_job(key).carry_out(run, work)


if __name__ == "__main__":
    limit_to_free_memory()
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
