"""What a server tells Prometheus about itself."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where several processes of one server add up what they count
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Counters:
    """The counters of one application; those of several in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "darkroom_requests",
            "Requests answered, by route and HTTP status.",
            ["route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "darkroom_request_seconds",
            "From the first byte of a request to the last of its answer, by route.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.images = Counter(
            "darkroom_images",
            "Images, by run and by what came of them: answered, not_sure, strange or unreadable.",
            ["run", "outcome"],
            registry=self._registry,
        )
        self.images_together = Histogram(
            "darkroom_images_together",
            "Images that were classified in one call of the network.",
            buckets=(1, 2, 3, 4, 6, 8),
            registry=self._registry,
        )
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Tell a figure as it is at each look."""
        self._gauges.append((Gauge(name, text, multiprocess_mode="livesum", registry=self._registry), value))

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        for gauge, value in self._gauges:
            gauge.set(value())
        if _SHARED not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)
