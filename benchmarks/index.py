"""Indexing beside cleanvision: `python benchmarks/index.py FOLDER_OF_IMAGES` prints one JSON line a measurement.

Both are timed as whole processes, in turn, so that neither profits from a warmer cache or a quieter machine, on the
same images with the same nine checks. Ours also reads labels, keeps thumbnails and groups, and writes a manifest. Both
have their bytecode, as pip compiles what it installs and Python what it runs for the second time.
cleanvision is under the AGPL and no part of Darkroom: it is installed into an environment of its own, which is made
when missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import closing
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
CLEANVISION = "cleanvision>=0.3,<0.4"
_RIVAL = """
import json, sys
from importlib.metadata import version
from cleanvision import Imagelab

CHECKS = ["dark", "light", "blurry", "low_information", "odd_size", "odd_aspect_ratio", "grayscale",
          "exact_duplicates", "near_duplicates"]
if __name__ == "__main__":
    lab = Imagelab(data_path=sys.argv[1])
    lab.find_issues({name: {} for name in CHECKS}, verbose=False)
    counts = {name: int(lab.issues[f"is_{name}_issue"].sum()) for name in CHECKS}
    print(json.dumps({"version": version("cleanvision"), "num_images": len(lab.issues), "checks": counts}))
"""


def main() -> None:
    """Time both, and our second run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder of labelled photographs")
    parser.add_argument("--cleanvision", type=Path, help="its environment; made there if missing, default: temporary")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours-only", action="store_true", help="do not run cleanvision")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        subprocess.run([sys.executable, "-m", "compileall", "-q", "core"], cwd=REPOSITORY, check=True)
        rival = None if options.ours_only else _environment(options.cleanvision or Path(place) / "cleanvision")
        seconds: dict[str, list[float]] = {"first": [], "second": [], "cleanvision": []}
        for turn in range(options.rounds):
            home = Path(place) / f"home-{turn}"
            seconds["first"].append(_ours(options.data, home, "first index"))
            seconds["second"].append(_ours(options.data, home, "second index, nothing changed"))
            shutil.rmtree(home)
            if rival:
                seconds["cleanvision"].append(_theirs(options.data, rival, Path(place)))
    middle = {name: statistics.median(times) for name, times in seconds.items() if times}
    say("second index against the first", times_faster=middle["first"] / middle["second"])
    if rival:
        say("index, checks and thumbnails against cleanvision", times_faster=middle["cleanvision"] / middle["first"])


def _ours(data: Path, home: Path, what: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "core", "index", str(data), "--json"],
        cwd=REPOSITORY,
        env=os.environ | {"DARKROOM_HOME": str(home)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - began
    answer = json.loads(done.stdout.splitlines()[-1])
    with closing(sqlite3.connect(home / "cache" / "thumbnails" / "packs.sqlite")) as kept:
        tables = kept.execute("SELECT count(*) FROM sqlite_master WHERE name = 'px160'").fetchone()[0]  # tiny: none
        thumbnails = kept.execute("SELECT count(*) FROM px160").fetchone()[0] if tables else 0
    _report(what, seconds, answer, thumbnails=thumbnails)
    return seconds


def _theirs(data: Path, python: Path, place: Path) -> float:
    program = place / "rival.py"
    program.write_text(_RIVAL)
    began = time.perf_counter()
    done = subprocess.run(
        [str(python), str(program), str(data.resolve())],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=place,
    )
    seconds = time.perf_counter() - began
    _report("cleanvision", seconds, json.loads(done.stdout.splitlines()[-1]))
    return seconds


def _environment(folder: Path) -> Path:
    """The interpreter of an environment that has cleanvision."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", CLEANVISION], check=True, stdout=sys.stderr)
    return python


def _report(what: str, seconds: float, answer: dict[str, Any], **more: Any) -> None:
    num_images, checks = answer["num_images"], answer.get("checks")
    version = {"version": answer["version"]} if "version" in answer else {}
    say(
        what,
        seconds=seconds,
        num_images=num_images,
        images_per_s=num_images / seconds,
        **version,
        **more,
        checks=checks,
    )


def say(what: str, **figures: Any) -> None:
    """One measurement as one line."""
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"measurement": what, **rounded, "cores": os.cpu_count(), "load": load}), flush=True)


if __name__ == "__main__":
    main()
