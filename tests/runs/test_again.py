"""What a run's end says about its settings."""

from __future__ import annotations

from core.config import build_config
from core.jobs import Status
from core.runs.again import DIVERGED, halved_batch, would_do
from core.training.loop.faults import Diverged

CONFIG = build_config({"optim.learning_rate": 3e-3, "optim.batch_size": 64})


def test_a_diverged_run_would_do_with_a_tenth_of_the_rate() -> None:
    failed = Status("failed", extra={"error": Diverged.__name__})
    assert Diverged.__name__ == DIVERGED
    assert would_do(CONFIG, failed) == {"optim.learning_rate": 3e-4}
    assert would_do(CONFIG, Status("failed", extra={"error": "InputError"})) == {}
    assert would_do(CONFIG, Status("finished")) == {}


def test_a_halved_batch_is_said() -> None:
    assert halved_batch(CONFIG, Status("running", extra={"batch_size": 64, "accumulate": 1})) == ""
    assert halved_batch(CONFIG, Status("queued")) == ""
    words = halved_batch(CONFIG, Status("running", extra={"batch_size": 16, "accumulate": 4}))
    assert "batches of 64" in words and "16, 4 to a step" in words
