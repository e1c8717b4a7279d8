"""How fast a small network learns while other programs keep the machine busy, by how its threads wait for one another.

    python benchmarks/busy_machine.py [--seconds 6] [--repeat 3]

One JSON line for each number of busy neighbours (none, one a core, two a core) and each way: as the OpenMP library has
it, as jobs are started here (`core.jobs.NEIGHBOURLY`), asleep at once, one thread. The ways take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.jobs import NEIGHBOURLY  # noqa: E402

WAYS: dict[str, dict[str, str]] = {
    "as the library has it": {},
    "as jobs are started": NEIGHBOURLY,
    "asleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
LEARNS = """
import sys, time, torch
from torch import nn
def block(i, o): return [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
layers = [*block(3, 16), *block(16, 32), *block(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
network = nn.Sequential(*layers)
optimizer = torch.optim.AdamW(network.parameters())
images, labels, steps = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,)), 0
began = time.perf_counter()
while time.perf_counter() - began < float(sys.argv[1]):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(images), labels).backward()
    optimizer.step()
    steps += 1
print(64 * steps / (time.perf_counter() - began))
"""


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    for neighbours in (0, cores, 2 * cores):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
        speeds = defaultdict[str, list[float]](list)
        try:
            for _ in range(options.repeat):
                for way, environment in WAYS.items():
                    command = [sys.executable, "-c", LEARNS, str(options.seconds)]
                    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
                    speeds[way].append(float(done.stdout))
        finally:
            for process in busy:
                process.kill()
        for way, values in speeds.items():
            print(json.dumps({"neighbours": neighbours, "way": way, "images_per_s": round(statistics.median(values))}))


if __name__ == "__main__":
    main()
