"""The phases of one run, in the order an image travels: manifest, pixels or features, training, bundle, evaluation.

This is where the rooms meet: it may use all of core, and only the worker program uses it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from core.config import TrainConfig
from core.data.datasets import Dataset, open_dataset
from core.data.leaks import Leaks
from core.data.manifest import usable
from core.errors import DarkroomError, InputError
from core.evaluation.evaluate import evaluate_run
from core.evaluation.predictions import PREDICTIONS
from core.files import append_jsonl, write_bytes
from core.inference.bundle import Bundle, publish_bundle, write_bundle
from core.inference.export import add_onnx
from core.jobs import StatusWriter
from core.runs.store import CHECKPOINT, METRICS, REPORT, Run
from core.training.engine import Callbacks, Progress, Recipe, fit, is_complete
from core.training.features import compute_features, fastest_engine
from core.training.loaders import Batches, ImageBatches, Images, TensorBatches, fits_in_memory
from core.training.models import Network, build_network, make_spec
from core.workspace import Workspace

CHECKPOINT_EVERY_S = 5.0  # a head's epoch takes milliseconds; writing after each would take longer than training
PARITY_BATCH, MOST_COMPARED = 32, 128  # eager torch is slow on a CPU, and a graph that is wrong is wrong everywhere
BUILDING = ".bundle.building"


@dataclass(frozen=True)
class Outcome:
    """How the job ended, when it did not fail."""

    state: Literal["finished", "stopped"]
    message: str


class StoppedEarly(Exception):
    """Asked to stop while there was no finished epoch to keep."""


def train_run(folder: Path, status: StatusWriter) -> Outcome:
    """Train the run in `folder`, or go on with it where it has a checkpoint.

    Raises:
        DarkroomError: in words for the user; anything else is a fault of ours.
    """
    try:
        return _Job(Run(folder.name, folder), status).work()
    except StoppedEarly:
        return Outcome("stopped", "Stopped before the first epoch ended, so there is no model yet. Resume to go on.")


class _Job:
    """What the phases of one run share."""

    def __init__(self, run: Run, status: StatusWriter) -> None:
        self.run = run
        self.status = status
        self.began = time.monotonic()
        self.config: TrainConfig = run.config
        self.workspace = Workspace.default()
        self.dataset: Dataset = open_dataset(self.workspace, self.config.data.dataset)
        if not self.dataset.root.is_dir():
            raise InputError(
                f"The folder of dataset {self.dataset.name}, {self.dataset.root}, is no longer there.",
                "Put it back, or add it again from where it is now.",
            )
        self.manifest = usable(run.manifest())
        self.classes = sorted(self.manifest["label"].unique())
        self.spec = make_spec(self.config.preprocess, self.config.model.architecture)
        self.device = choose_device(self.config.runtime.device)
        self.recipe = Recipe(self.config.optim, self.config.schedule, self.config.stop)

    def work(self) -> Outcome:
        """All phases in order."""
        torch.manual_seed(self.config.runtime.seed)
        network = build_network(self.config.model, len(self.classes), self.spec.size, self.workspace)
        self._log(f"{len(self.classes)} classes, {len(self.manifest):,} images, training on {self.device}.")
        if leaks := self.run.data().get("leaks"):
            self._log(Leaks(**leaks).sentence())
        backbone_graph = None
        try:
            if self.config.model.tune == "head":
                progress, backbone_graph = self._fit_head(network)
            else:
                progress = self._fit_all(network)
        except StoppedEarly:
            progress = self._kept_earlier(network)
        if not progress.best_epoch:
            raise StoppedEarly
        self._export(self._write_bundle(network, progress), backbone_graph)
        self._publish()
        headline = self._evaluate()
        kept = f"Epoch {progress.best_epoch} of {progress.epoch} is kept."
        state: Literal["finished", "stopped"] = "finished" if is_complete(progress, self.recipe) else "stopped"
        return Outcome(state, f"{headline} {kept}")

    def _fit_head(self, network: Network) -> tuple[Progress, Path | None]:
        """Features once, then the head alone. Also returns the backbone's ONNX graph where one was made."""
        train, val = self._images("train"), self._images("val")
        self.status.update(phase="preparing", message="Preparing the backbone.")
        engine, graph = fastest_engine(network.backbone, train, self.device, self.workspace.backbones, self._log)

        def featured(images: Images, name: str, shuffle_seed: int | None) -> Batches:
            self._enter("features", f"Computing the features of the {name} images, once.")
            features = compute_features(engine, images, self._meter(), self._should_stop)
            if features is None:
                raise StoppedEarly
            inputs = torch.from_numpy(features)
            return TensorBatches(inputs, images.labels, self.config.optim.batch_size, self.device, shuffle_seed)

        batches = featured(train, "training", self.config.runtime.seed), featured(val, "validation", None)
        return self._fit(network.head, *batches), graph

    def _fit_all(self, network: Network) -> Progress:
        """Every layer, on images from memory where they fit."""
        train, val = self._images("train"), self._images("val")
        runtime = self.config.runtime
        in_memory = fits_in_memory(train.num_bytes + val.num_bytes, runtime.memory_share)
        if not in_memory:
            self._log("The images do not fit in the memory they may take, so they are read from disk every epoch.")

        def batched(images: Images, name: str, **training: Any) -> Batches:
            pixels = None
            if in_memory:
                self._enter("reading", f"Reading the {name} images into memory.")
                pixels = images.decode(self._meter(), self._should_stop)
                if pixels is None:
                    raise StoppedEarly
            batch_size = self.config.optim.batch_size
            return ImageBatches(images, pixels, batch_size, self.device, num_workers=runtime.num_workers, **training)

        batches = (
            batched(train, "training", shuffle_seed=runtime.seed, augmentation=self.config.augment),
            batched(val, "validation"),
        )
        return self._fit(network, *batches)

    def _fit(self, model: nn.Module, train: Batches, val: Batches) -> Progress:
        """Fit and leave the best epoch's weights in `model`, with a checkpoint every few seconds."""
        model.to(self.device)
        saved = self._load_checkpoint()
        self._forget_epochs_after(saved["progress"]["epoch"] if saved else 0)
        self._enter("training", "Training.")
        last_saved = time.monotonic()
        unsaved: bytes | None = None

        def on_epoch(row: dict[str, Any], state: dict[str, Any]) -> None:
            nonlocal last_saved, unsaved
            append_jsonl(self.run.folder / METRICS, row)
            self._log(_epoch_line(row, self.config.optim.epochs))
            unsaved = _serialised(state)
            if time.monotonic() - last_saved >= CHECKPOINT_EVERY_S:
                write_bytes(self.run.folder / CHECKPOINT, unsaved)
                last_saved, unsaved = time.monotonic(), None

        progress = fit(model, train, val, self.recipe, Callbacks(self._on_step, on_epoch, self._should_stop), saved)
        if unsaved is not None:
            write_bytes(self.run.folder / CHECKPOINT, unsaved)
        if progress.best_epoch:
            model.load_state_dict(progress.best_weights)
        return progress

    def _kept_earlier(self, network: Network) -> Progress:
        """What an earlier part of this run kept, for one that is stopped again before it could go on."""
        saved = self._load_checkpoint()
        if saved is None:
            raise StoppedEarly
        trained = network.head if self.config.model.tune == "head" else network
        trained.load_state_dict(saved["best_weights"])
        return Progress(best_weights=saved["best_weights"], **saved["progress"])

    def _write_bundle(self, network: Network, progress: Progress) -> Bundle:
        self._enter("writing", "Writing the model.")
        data = self.run.data()  # of when it was started: the dataset may have been corrected since
        weights = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
        summary = {
            "run": self.run.id,
            "dataset": self.config.data.dataset,
            "dataset_fingerprint": data.get("dataset_fingerprint", self.dataset.fingerprint),
            "num_edits": data.get("num_edits", 0),
            "best_epoch": progress.best_epoch,
            "num_epochs": progress.epoch,
        }
        building = self.run.folder / BUILDING
        model = self.config.model
        return write_bundle(
            building, weights, model.architecture, self.classes, self.spec, summary, head_units=model.head_units
        )

    def _export(self, bundle: Bundle, backbone_graph: Path | None) -> None:
        self._enter("exporting", "Exporting to ONNX and comparing it with the weights, image by image.")
        parity = add_onnx(bundle, self._val_pixels(), backbone_graph).parity or {}
        if parity.get("agrees"):
            found = f"{parity['num_images']} validation images, worst gap {parity['worst_gap']:.1e}"
            self._log(f"ONNX agrees with the weights: {found}.")
        else:
            self._log(f"The ONNX graph was withheld: {parity.get('reason')}.")

    def _publish(self) -> None:
        """Put the new model in its place; figures of an earlier one must not stand beside it."""
        for name in (REPORT, PREDICTIONS):
            (self.run.folder / name).unlink(missing_ok=True)
        publish_bundle(self.run.folder / BUILDING, self.run.bundle)

    def _val_pixels(self) -> Iterator[np.ndarray]:
        """Validation images in batches, evenly spread over the split where there are many."""
        images, meter = self._images("val"), self._meter()
        chosen = np.linspace(0, len(images) - 1, min(len(images), MOST_COMPARED)).round().astype(int)
        for start in range(0, len(chosen), PARITY_BATCH):
            part = chosen[start : start + PARITY_BATCH]
            yield np.stack([images.read(int(index)) for index in part])
            meter(start + len(part), len(chosen))

    def _evaluate(self) -> str:
        self._enter("evaluating", "Evaluating on the validation and test images.")
        report = evaluate_run(self.run, self.dataset.root, self._meter())
        self._log(report["headline"])
        return str(report["headline"])

    def _images(self, split: str) -> Images:
        rows = self.manifest[self.manifest["split"] == split]
        targets = np.searchsorted(np.asarray(self.classes, dtype=object), rows["label"].to_numpy(dtype=object))
        return Images(self.dataset.root, rows["path"].tolist(), targets, self.spec)

    def _on_step(self, epoch: int, step: int, num_steps: int, images_per_s: float) -> None:
        num_epochs = self.config.optim.epochs
        done, total = (epoch - 1) * num_steps + step, num_epochs * num_steps
        left_s = (total - done) * self.config.optim.batch_size / max(images_per_s, 1e-9)
        extra = {
            "device": str(self.device),
            "epoch": epoch,
            "num_epochs": num_epochs,
            "step": step,
            "num_steps": num_steps,
        }
        self.status.progress(done, total, unit="steps", rate=images_per_s, eta_s=left_s, extra=extra)

    def _enter(self, phase: str, message: str) -> None:
        self.status.update(phase=phase, message=message, done=0, total=0, rate=0.0, eta_s=None)
        self._log(message)

    def _meter(self) -> Callable[[int, int], None]:
        """A progress callback for images that also works out their rate."""
        began = time.monotonic()

        def note(done: int, total: int) -> None:
            self.status.progress(done, total, unit="images", rate=done / max(1e-9, time.monotonic() - began))

        return note

    def _should_stop(self) -> bool:
        return self.status.stop_requested

    def _load_checkpoint(self) -> dict[str, Any] | None:
        path = self.run.folder / CHECKPOINT
        if not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file makes the reader raise nearly anything
            raise DarkroomError(
                f"{path} is damaged ({error}).", "Delete it to train this run from the start."
            ) from error

    def _forget_epochs_after(self, epoch: int) -> None:
        """Metrics may run ahead of the checkpoint; those epochs are trained again and must not stand twice."""
        lines = [json.dumps(row) + "\n" for row in self.run.metrics() if row["epoch"] <= epoch]
        write_bytes(self.run.folder / METRICS, "".join(lines).encode())

    def _log(self, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`.

    Raises:
        InputError: a GPU was asked for where torch finds none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("runtime.device = cuda, but torch finds no GPU here.", "Use auto or cpu.")
    return torch.device("cpu" if wanted == "cpu" or not torch.cuda.is_available() else "cuda")


def _serialised(state: dict[str, Any]) -> bytes:
    """A checkpoint's bytes. By way of memory: writing to a full disk, torch raises an error that does not say so."""
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _epoch_line(row: dict[str, Any], num_epochs: int) -> str:
    return (
        f"Epoch {row['epoch']} of {num_epochs}: "
        f"training loss {row['train_loss']:.4f}, accuracy {row['train_accuracy']:.1%}; "
        f"validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.1%}; "
        f"{row['images_per_s']:,.0f} images/s."
    )
