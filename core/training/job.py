"""The phases of one run, in the order an image travels: manifest, pixels or features, training, bundle, evaluation.

This is where the rooms meet: it may use all of core, and only the worker program uses it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from core.config import flatten
from core.data.leaks import Leaks
from core.evaluation.evaluate import evaluate_run
from core.evaluation.predictions import PREDICTIONS
from core.files import write_json
from core.inference.bundle import publish_bundle
from core.runs.store import CHECKPOINT, EVENTS, LOADED, METRICS, REPORT, TIMES, Run
from core.training.distributed import join, leave
from core.training.engine import Progress, is_complete
from core.training.features import compute_features, fastest_engine
from core.training.finishing import build_bundle, export
from core.training.groups import parameter_groups
from core.training.loaders import Batches, ImageBatches, Images, TensorBatches, fits_in_memory
from core.training.models import Network
from core.training.pixels import MemoryPixels
from core.training.reporting import Report
from core.training.session import Checkpoint, Session
from core.training.setup import Setup, set_up
from core.training.tensorboard import EventWriter
from core.workspace import Workspace

BUILDING = ".bundle.building"


@dataclass(frozen=True)
class Outcome:
    """How the job ended, when it did not fail."""

    state: Literal["finished", "stopped"]
    message: str


class StoppedEarly(Exception):
    """Asked to stop while there was no finished epoch to keep."""


def train_run(folder: Path, report: Report) -> Outcome:
    """Train the run in `folder`, or go on with it where it has a checkpoint.

    Raises:
        DarkroomError: in words for the user; anything else is a fault of ours.
    """
    try:
        return _Job(Run(folder.name, folder), report).work()
    except StoppedEarly:
        return Outcome("stopped", "Stopped before the first epoch ended, so there is no model yet. Resume to go on.")


class _Job:
    """What the phases of one run share."""

    def __init__(self, run: Run, report: Report) -> None:
        self.run = run
        self.report = report
        self.times: dict[str, float] = {}
        self.phase, self.entered = "starting", time.monotonic()
        self.config = run.config
        setup = set_up(self.config, run.manifest(), Workspace.default())
        self.setup: Setup = setup.shared_by(join(setup.device.type == "cuda"))
        self.writes = self.setup.ranks.is_first
        self.checkpoint = Checkpoint(run.folder / CHECKPOINT)
        self.events: EventWriter | None = None

    def work(self) -> Outcome:
        """All phases in order."""
        network = self._network()
        backbone_graph = None
        try:
            if self.config.model.tune == "head":
                progress, backbone_graph = self._fit_head(network)
            else:
                progress = self._fit_all(network)
        except StoppedEarly:
            progress = self._kept_earlier(network)
        finally:
            if self.events is not None:
                self.events.close()
        leave(self.setup.ranks)
        state: Literal["finished", "stopped"] = "stopped"
        if is_complete(progress, self.setup.recipe()):
            state = "finished"
        if not progress.best_epoch:
            raise StoppedEarly
        if not self.writes:
            return Outcome(state, "")
        headline = self._finish(network, progress, backbone_graph)
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
        return network

    def _fit_head(self, network: Network) -> tuple[Progress, Path | None]:
        """Features once, then the head alone. Also returns the backbone's ONNX graph where one was made."""
        setup = self.setup
        train, val = setup.images("train"), setup.images("val")
        self._enter("preparing", "Preparing the backbone.")
        backbones = setup.workspace.backbones
        engine, graph = fastest_engine(network.backbone, train, setup.device, backbones, self._log)

        def featured(images: Images, name: str, shuffle_seed: int | None) -> Batches:
            self._enter("features", f"Computing the features of the {name} images, once.")
            features = compute_features(engine, images, self._meter(), self._should_stop)
            if features is None:
                raise StoppedEarly
            inputs = torch.from_numpy(features)
            optim = self.config.optim
            return TensorBatches(
                inputs, images.labels, optim.batch_size, setup.device, shuffle_seed, sampler=optim.sampler
            )

        batches = featured(train, "training", self.config.runtime.seed), featured(val, "validation", None)
        return self._fit(network, network.head, *batches), graph

    def _fit_all(self, network: Network) -> Progress:
        """Layers of the network itself, on images from memory where they fit."""
        setup, runtime = self.setup, self.config.runtime
        train, val = setup.images("train"), setup.images("val")
        in_memory = fits_in_memory(train.num_bytes + val.num_bytes, runtime.memory_share / setup.ranks.local_size)
        if not in_memory:
            self._log("The images do not fit in the memory they may take, so they are read from disk every epoch.")

        def batched(images: Images, name: str, **training: Any) -> Batches:
            pixels = None
            if in_memory:
                self._enter("reading", f"Reading the {name} images into memory.")
                pixels = MemoryPixels.decoded(images, self._meter(), self._should_stop)
                if pixels is None:
                    raise StoppedEarly
            return ImageBatches(
                images,
                pixels,
                self.config.optim.batch_size,
                setup.device,
                num_classes=len(setup.classes),
                num_workers=runtime.num_workers,
                shard=setup.shard,
                **training,
            )

        sampler = self.config.optim.sampler
        batches = (
            batched(train, "training", shuffle_seed=runtime.seed, augmentation=self.config.augment, sampler=sampler),
            batched(val, "validation"),
        )
        return self._fit(network, network, *batches)

    def _fit(self, network: Network, model: torch.nn.Module, train: Batches, val: Batches) -> Progress:
        """Fit `model`, which is the network or its head."""
        self._enter("training", "Training.")
        model.to(self.setup.device)
        groups = None if model is network.head else parameter_groups(network, self.config.model)
        if self.writes:
            kept = self.checkpoint.load()
            first_epoch = int(kept["state"]["progress"]["epoch"]) + 1 if kept else 1
            self.events = EventWriter(self.run.folder / EVENTS, first_epoch)
        session = Session(self.setup, self.checkpoint, self.run.folder / METRICS, self.report, self._log, self.events)
        return session.fit(model, groups, train, val)

    def _kept_earlier(self, network: Network) -> Progress:
        """What an earlier part of this run kept, for one that is stopped again before it could go on."""
        kept = self.checkpoint.load()
        if kept is None:
            raise StoppedEarly
        saved = kept["state"]
        trained = network.head if self.config.model.tune == "head" else network
        trained.load_state_dict(saved["best_weights"])
        return Progress(best_weights=saved["best_weights"], **saved["progress"])

    def _finish(self, network: Network, progress: Progress, backbone_graph: Path | None) -> str:
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
        self._enter("writing", "Writing the model.")
        bundle = build_bundle(self.run.folder / BUILDING, self.setup, network, summary)
        self._enter("exporting", "Exporting to ONNX and comparing it with the weights, image by image.")
        self._log(export(bundle, self.setup, backbone_graph, self._meter()))
        for name in (REPORT, PREDICTIONS):  # figures of an earlier model must not stand beside the new one
            (self.run.folder / name).unlink(missing_ok=True)
        publish_bundle(self.run.folder / BUILDING, self.run.bundle)
        self._enter("evaluating", "Evaluating on the validation and test images.")
        report = evaluate_run(self.run, self.setup.dataset.root, self._meter())
        self._log(report["headline"])
        self._note_scores(report, progress.best_epoch)
        return str(report["headline"])

    def _note_scores(self, report: dict[str, Any], epoch: int) -> None:
        """What is known once all is done: scores for TensorBoard, and how long each phase took."""
        events = EventWriter(self.run.folder / EVENTS)
        events.finished(flatten(self.config), report, epoch)
        events.close()
        self._enter("", "")
        write_json(self.run.folder / TIMES, {phase: round(seconds, 3) for phase, seconds in self.times.items()})

    def _enter(self, phase: str, message: str) -> None:
        now = time.monotonic()
        self.times[self.phase] = self.times.get(self.phase, 0.0) + now - self.entered
        self.phase, self.entered = phase, now
        if message:
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
