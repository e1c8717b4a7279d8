"""Which runs are served, and their models kept ready to answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import DarkroomError, InputError
from core.inference.bundle import META, ONNX, Bundle, read_bundle
from core.inference.classifier import Classifier, open_classifier
from core.runs.store import Run, list_runs, open_run
from core.serving.limits import Refused
from core.workspace import Workspace

_MOST_READY = 4  # models in memory, where the workspace has more


@dataclass(frozen=True)
class _Ready:
    version: tuple[int, int]
    classifier: Classifier


class Models:
    """The models of some runs, or of all in a workspace; safe to share between threads."""

    def __init__(self, workspace: Workspace, runs: Sequence[str] = ()) -> None:
        """
        Args:
            runs: ids or folders; by default every run that has a model, those to come included.

        Raises:
            InputError: there is no such run.
        """
        self._workspace = workspace
        self._only = {run.id: run for run in (open_run(workspace, name) for name in runs)}
        self._ready: OrderedDict[str, _Ready] = OrderedDict()
        self._loading = threading.Lock()

    def runs(self) -> list[Run]:
        """Those that have a model, newest first or as they were named."""
        listed = list(self._only.values()) or list_runs(self._workspace)
        return [run for run in listed if run.has_bundle]

    def open(self, run_id: str) -> Run:
        """The run of that id.

        Raises:
            Refused: 404, there is none here, or it has no model.
        """
        if self._only:
            run = self._only.get(run_id)
        else:
            try:
                run = Run(run_id, self._workspace.run(run_id))  # an id, never a path: it comes from an address
            except InputError:
                run = None
        if run is None or not run.has_bundle:
            raise Refused(404, "There is no model of a run with this id here.", "GET /api/v1/models lists them.")
        return run

    def bundle(self, run: Run) -> Bundle:
        """Its description.

        Raises:
            Refused: 409, the bundle is damaged.
        """
        try:
            return read_bundle(run.bundle)
        except DarkroomError as error:
            raise _unfit(error) from error

    def loaded(self, run: Run) -> Classifier | None:
        """The run's model as it is on disk now, where it is in memory."""
        ready = self._ready.get(run.id)
        return ready.classifier if ready is not None and ready.version == _version(run) else None

    def load(self, run: Run) -> Classifier:
        """The run's model, read from disk where it is not in memory yet.

        Raises:
            Refused: 409, it cannot be run here: it has no ONNX graph, or is damaged.
        """
        with self._loading:
            if (found := self.loaded(run)) is None:
                version = _version(run)
                try:
                    found = open_classifier(run.bundle, threads=1)  # see `core.serving.workers`
                except DarkroomError as error:
                    raise _unfit(error) from error
                self._ready[run.id] = _Ready(version, found)
            self._ready.move_to_end(run.id)
            while len(self._ready) > max(_MOST_READY, len(self._only)):
                self._ready.popitem(last=False)
            return found

    def load_named(self) -> None:
        """Load those that were named, so that the first request need not wait; raises as `load` does."""
        for run in self._only.values():
            self.load(self.open(run.id))

    def are_ready(self) -> bool:
        """Whether every model that was named is in memory."""
        return all(self.loaded(run) is not None for run in self._only.values())


def _version(run: Run) -> tuple[int, int]:
    """Changes with the run's model; zeros for what is not there."""
    times = []
    for name in (META, ONNX):
        try:
            times.append((run.bundle / name).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return times[0], times[1]


def _unfit(error: DarkroomError) -> Refused:
    return Refused(409, error.message, error.fix)
