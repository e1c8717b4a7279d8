"""The phases of one run, in the order an image travels: manifest, pixels or features, training, bundle, evaluation.

This is where the rooms meet: it may use all of core, and only the worker program uses it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from core import jobs
from core.config import flatten
from core.data.leaks import Leaks
from core.evaluation.evaluate import evaluate_run
from core.evaluation.predictions import PREDICTIONS
from core.exports.pruning import note_speed
from core.files import write_bytes, write_json
from core.inference.bundle import publish_bundle
from core.runs.store import CHECKPOINT, EVENTS, FIRST_BATCH, FIRST_LABELS, LOADED, METRICS, REPORT, TIMES, Run
from core.training.backbone.features import head_logits, last_features
from core.training.backbone.read_ahead import ReadAhead
from core.training.batching.contact_sheet import contact_sheet, first_batch
from core.training.distributed import join, leave
from core.training.finishing import MOST_COMPARED, PARITY_BATCH, build_bundle, export
from core.training.loop.engine import Progress, is_complete
from core.training.materials import Material, Places, feature_material, image_material
from core.training.models import Network
from core.training.models.groups import parameter_groups
from core.training.reporting import Report
from core.training.session import Checkpoint, Session
from core.training.setup import Setup, set_up
from core.training.stopwatch import Stopwatch
from core.training.tensorboard import EventWriter
from core.training.watch import Stopped, Watch
from core.workspace import Workspace

BUILDING = ".bundle.building"
FIRST_BATCH_COLUMNS = 8


@dataclass(frozen=True)
class Outcome:
    """How the job ended, when it did not fail.

    Attributes:
        others_wait: the other processes of this run are not told yet, and wait for this one.
    """

    state: Literal["finished", "stopped"]
    message: str
    others_wait: bool = False


def train_run(folder: Path, report: Report, begun: ReadAhead | None = None) -> Outcome:
    """Train the run in `folder`, or go on with it where it has a checkpoint.

    Args:
        begun: decodes its images already, see `core.training.early`.

    Raises:
        DarkroomError: in words for the user; anything else is a fault of ours.
    """
    try:
        return _Job(Run(folder.name, folder), report, begun).work()
    except Stopped:  # with no finished epoch to keep
        return Outcome("stopped", "Stopped before the first epoch ended, so there is no model yet. Resume to go on.")


class _Job:
    """What the phases of one run share."""

    def __init__(self, run: Run, report: Report, begun: ReadAhead | None) -> None:
        self.run = run
        self.report = report
        self.begun = begun
        self.stopwatch = Stopwatch("starting", time.monotonic() - (time.time() - jobs.began()))
        self.config = run.config
        setup = set_up(self.config, run.manifest(), Workspace.default())
        self.setup: Setup = setup.shared_by(join(setup.device.type == "cuda"))
        self.writes = self.setup.ranks.is_first
        if self.writes:
            _clear_leftovers(run.folder)
        self.checkpoint = Checkpoint(run.folder / CHECKPOINT)
        self.events: EventWriter | None = None

    def work(self) -> Outcome:
        """All phases in order."""
        network = self._network()
        material = None
        try:
            if self.config.model.tune == "head":
                progress, material = self._fit_head(network)
            else:
                progress = self._fit_all(network)
        except Stopped:
            if self.setup.ranks.size > 1:
                return Outcome("stopped", "Stopped before training went on. Resume to go on.", others_wait=True)
            progress = self._kept_earlier(network)
        finally:
            if self.events is not None:
                self.events.close()
        leave(self.setup.ranks)
        state: Literal["finished", "stopped"] = "stopped"
        if is_complete(progress, self.setup.recipe()):
            state = "finished"
        if not progress.best_epoch:
            raise Stopped
        if not self.writes:
            return Outcome(state, "")
        headline = self._finish(network, progress, material)
        return Outcome(state, f"{headline} Epoch {progress.best_epoch} of {progress.epoch} is kept.")

    def _network(self) -> Network:
        network = self.setup.network()
        images = f"{len(self.setup.classes)} classes, {len(self.setup.manifest):,} images"
        shared = f" in {self.setup.ranks.size} processes" if self.setup.ranks.size > 1 else ""
        self._log(f"{images}, training on {self.setup.device}{shared}.")
        if leaks := self.run.data().get("leaks"):
            self._log(Leaks(**leaks).sentence())
        if network.loaded is not None:
            self._log(network.loaded.sentence())
            if self.writes:
                write_json(self.run.folder / LOADED, asdict(network.loaded))
        if network.pruned is not None:
            self._log(network.pruned.sentence())
        return network

    def _fit_head(self, network: Network) -> tuple[Progress, Material]:
        """Features once, then the head alone."""
        setup = self.setup
        splits = (setup.images("train"), setup.images("val"), setup.images("test"))
        material = feature_material(
            network.backbone,
            *splits,
            self.config,
            len(setup.classes),
            setup.device,
            self._places(),
            self._watch(),
            self.begun,
        )
        return self._fit(network, network.head, material), material

    def _fit_all(self, network: Network) -> Progress:
        """Layers of the network itself, on the images."""
        setup = self.setup
        material = image_material(
            setup.images("train"),
            setup.images("val"),
            self.config,
            len(setup.classes),
            setup.device,
            self._places(),
            self._watch(),
            setup.ranks,
        )
        return self._fit(network, network, material)

    def _places(self) -> Places:
        return Places.of(self.setup.workspace)

    def _watch(self) -> Watch:
        return Watch(self._enter, self._meter, self._should_stop, self._log)

    def _fit(self, network: Network, model: torch.nn.Module, material: Material) -> Progress:
        """Fit `model`, which is the network or its head."""
        self._enter("training", "Training.")
        model.to(self.setup.device)
        groups = None if model is network.head else parameter_groups(network, self.config.model)
        if self.writes:
            self.events = EventWriter(self.run.folder / EVENTS, self._first_epoch())
            self._show(material)
        session = Session(self.setup, self.checkpoint, self.run.folder / METRICS, self.report, self._log, self.events)
        return session.fit(model, groups, material.train, material.val)

    def _first_epoch(self) -> int:
        kept = self.checkpoint.load()
        return int(kept["state"]["progress"]["epoch"]) + 1 if kept else 1

    def _show(self, material: Material) -> None:
        """Keep the first batch as a picture, for the run's page and TensorBoard."""
        if (self.run.folder / FIRST_BATCH).is_file():
            return
        pictures, labels = first_batch(material.shown, self.setup.classes)
        write_bytes(self.run.folder / FIRST_BATCH, contact_sheet(pictures, FIRST_BATCH_COLUMNS), durable=False)
        write_json(self.run.folder / FIRST_LABELS, {"labels": labels, "columns": FIRST_BATCH_COLUMNS}, durable=False)
        if self.events is not None:
            self.events.first_batch(pictures)

    def _kept_earlier(self, network: Network) -> Progress:
        """What an earlier part of this run kept, for one that is stopped again before it could go on."""
        kept = self.checkpoint.load()
        if kept is None or not kept["state"]["progress"]["best_epoch"]:
            raise Stopped
        saved = kept["state"]
        trained = network.head if self.config.model.tune == "head" else network
        trained.load_state_dict(saved["best_weights"])
        return Progress(best_weights=saved["best_weights"], **saved["progress"])

    def _finish(self, network: Network, progress: Progress, material: Material | None) -> str:
        """Bundle, export, evaluation; gives the headline of the report."""
        data = self.run.data()  # of when it was started: the dataset may have been corrected since
        summary = {
            "run": self.run.id,
            "dataset": self.config.data.dataset,
            "dataset_fingerprint": data.get("dataset_fingerprint", self.setup.dataset.fingerprint),
            "num_edits": data.get("num_edits", 0),
            "best_epoch": progress.best_epoch,
            "num_epochs": progress.epoch,
        }
        if network.pruned is not None:
            summary["pruned"] = asdict(network.pruned)
        self._enter("writing", "Writing the model.")
        bundle = build_bundle(self.run.folder / BUILDING, self.setup, network, summary)
        self._enter("exporting", "Exporting to ONNX and comparing it with the weights, image by image.")
        graph = material.backbone if material else None
        at_most = MOST_COMPARED if graph is None else PARITY_BATCH  # that graph was compared with the backbone before
        self._log(export(bundle, self.setup, graph, self._meter(), at_most))
        for name in (REPORT, PREDICTIONS):  # figures of an earlier model must not stand beside the new one
            (self.run.folder / name).unlink(missing_ok=True)
        publish_bundle(self.run.folder / BUILDING, self.run.bundle)
        self._enter("evaluating", "Evaluating on the validation and test images.")
        held_out = material.held_out if material else {}
        known = head_logits(network.head, held_out), last_features(network.head, held_out)
        report = evaluate_run(self.run, self.setup.dataset.root, self._meter(), *known)
        self._log(report["headline"])
        if network.pruned is not None:
            note_speed(self.run)
        self._note_scores(report, progress.best_epoch)
        return str(report["headline"])

    def _note_scores(self, report: dict[str, Any], epoch: int) -> None:
        """What is known once all is done: scores for TensorBoard, and how long each phase took."""
        events = EventWriter(self.run.folder / EVENTS)
        events.finished(flatten(self.config), report, epoch)
        events.close()
        times = self.stopwatch.seconds()
        write_json(self.run.folder / TIMES, {phase: round(seconds, 3) for phase, seconds in times.items()})

    def _enter(self, phase: str, message: str) -> None:
        self.stopwatch.enter(phase)
        self.report.update(phase=phase, message=message, done=0, total=0, rate=0.0, eta_s=None)
        self._log(message)

    def _meter(self) -> Callable[[int, int], None]:
        """A progress callback for images that also works out their rate."""
        began = time.monotonic()

        def note(done: int, total: int) -> None:
            self.report.progress(done, total, unit="images", rate=done / max(1e-9, time.monotonic() - began))

        return note

    def _should_stop(self) -> bool:
        return self.report.stop_requested

    def _log(self, line: str) -> None:
        if self.writes:
            print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _clear_leftovers(folder: Path) -> None:
    """Remove files that a killed process had begun to write; one that is written now is younger than this process."""
    began = psutil.Process().create_time()
    for file in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < began:
                file.unlink()
