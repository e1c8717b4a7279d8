"""What the REST API stands, on this machine alone: prints one JSON line a measurement.

`python benchmarks/serving.py HOME RUN IMAGES load|overload|bad|fuzz|all [--seconds 60] [--clients 32]` starts
`python -m core serve RUN` in the workspace HOME and sends it the images of the folder IMAGES.

`load` compares `--clients` clients, each sending one image after the other, with two loops without HTTP that decode
the same files and run the network on them: one image after the other with all cores on a call, and one thread a core
with a one-thread network each, which is the most this machine can do. Server and clients share the cores, so the
clients' own work counts against the server. Loops and load take turns, so that other work on the machine hits all.
`overload` has eight times as many clients as the queue has room. `bad` sends 1,000 uploads that are no images, too
large or broken off, while good ones go on. `fuzz` sends 10,000 images with bytes changed, cut or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.inference.classifier import open_classifier  # noqa: E402
from core.onnx_runtime import num_cores  # noqa: E402
from core.preprocess import normalise, read_pixels  # noqa: E402
from core.runs.store import Run, open_run  # noqa: E402
from core.serving.workers import MOST_TOGETHER  # noqa: E402
from core.workspace import Workspace  # noqa: E402

NUM_IMAGES, BOUNDARY = 256, b"darkroom-benchmark"
ROUNDS = 4  # loops and load take turns
FUZZED, BAD = 10_000, 1_000


@dataclass
class Outcome:
    """What clients saw: how often each status, and how long each answer took, seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    retry_after: int = 0
    broken: int = 0

    def figures(self, elapsed_s: float) -> dict[str, Any]:
        took = np.percentile(np.array(self.seconds or [0.0]) * 1000, [50, 95, 99])
        return {
            "requests_per_s": round(sum(self.statuses.values()) / elapsed_s, 1),
            "statuses": dict(self.statuses),
            "broken_connections": self.broken,
            "latency_ms_p50": round(float(took[0]), 1),
            "latency_ms_p95": round(float(took[1]), 1),
            "latency_ms_p99": round(float(took[2]), 1),
        }


def request(path: str, data: bytes, name: str = "image.jpg") -> bytes:
    """A whole HTTP request that uploads one file."""
    body = b'--%b\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n' % (BOUNDARY, name.encode())
    body += b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n--" + BOUNDARY + b"--\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"Content-Type: multipart/form-data; boundary=" + BOUNDARY + b"\r\n\r\n" + body


async def exchange(port: int, messages: Iterator[bytes], outcome: Outcome, until: Callable[[], bool]) -> None:
    """One client: send a message, read its answer, and so on."""
    reader = writer = None
    for message in messages:
        if until():
            break
        try:
            if writer is None or writer.is_closing():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.perf_counter()
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            outcome.seconds.append(time.perf_counter() - began)
            outcome.statuses[int(head[9:12])] += 1
            outcome.retry_after += b"retry-after:" in lower
            if b"connection: close" in lower:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            outcome.broken += 1
            if writer is not None:
                writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def clients(port: int, number: int, messages: list[bytes], seconds: float) -> Outcome:
    """So many clients for so long."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    def forever(first: int) -> Iterator[bytes]:
        place = first * 7
        while True:
            yield messages[place % len(messages)]
            place += 1

    done = lambda: time.perf_counter() >= end  # noqa: E731
    await asyncio.gather(*(exchange(port, forever(number), outcome, done) for number in range(number)))
    return outcome


@contextmanager
def server(home: Path, run: str, *flags: str) -> Iterator[tuple[int, psutil.Process]]:
    """`python -m core serve`; gives its port and its process."""
    command = [sys.executable, "-m", "core", "serve", run, "--port", "0", *flags]
    env = {**os.environ, "DARKROOM_HOME": str(home)}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=env, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if "/api/docs" in line:
            break
    assert lines and "/api/docs" in lines[-1], lines
    port = int(lines[-1].split("/api/docs")[0].rsplit(":", 1)[1])
    threading.Thread(target=lambda: [print(line, end="", file=sys.stderr) for line in process.stderr]).start()
    try:
        asyncio.run(_until_ready(port))
        yield port, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        print(json.dumps({"exit_status": process.wait(90)}), flush=True)


async def _until_ready(port: int) -> None:
    ask = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for _ in range(600):
        outcome = Outcome()
        await exchange(port, iter([ask]), outcome, lambda: False)
        if outcome.statuses[200]:
            return
        await asyncio.sleep(0.1)
    raise SystemExit("the server is not ready after a minute")


def loop_in_turn(run: Run, files: list[bytes], seconds: float) -> float:
    """Images a second of one loop that decodes and runs the network with all cores on a call."""
    classifier = open_classifier(run.bundle)
    began, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        start = done % len(files)
        pixels = np.stack([read_pixels(data, classifier.spec) for data in files[start : start + MOST_TOGETHER]])
        classifier._engine(normalise(pixels, classifier.spec))
        done += len(pixels)
    return done / elapsed


def loop_a_core(run: Run, files: list[bytes], seconds: float) -> float:
    """The same with a thread for each core and one thread on a call."""
    classifier = open_classifier(run.bundle, threads=1)
    done = [0] * num_cores()
    began = time.perf_counter()

    def work(number: int) -> None:
        place = number * MOST_TOGETHER
        while time.perf_counter() - began < seconds:
            batch = [files[(place + one) % len(files)] for one in range(MOST_TOGETHER)]
            pixels = np.stack([read_pixels(data, classifier.spec) for data in batch])
            classifier._engine(normalise(pixels, classifier.spec))
            done[number] += len(batch)
            place += MOST_TOGETHER * num_cores()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(num_cores())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def load(home: Path, run: Run, files: list[bytes], seconds: float, num_clients: int) -> None:
    messages = [request(f"/api/v1/models/{run.id}/predict", data) for data in files]
    total, in_turn, a_core, memory = Outcome(), [], [], []
    served = []
    with server(home, run.id) as (port, process):
        asyncio.run(clients(port, num_clients, messages, min(5.0, seconds / 4)))  # warm-up
        for _ in range(ROUNDS):
            in_turn.append(loop_in_turn(run, files, seconds / ROUNDS / 3))
            began = time.perf_counter()
            outcome = asyncio.run(clients(port, num_clients, messages, seconds / ROUNDS))
            elapsed = time.perf_counter() - began
            served.append(outcome.statuses[200] / elapsed)
            total.statuses += outcome.statuses
            total.seconds += outcome.seconds
            total.broken += outcome.broken
            memory.append(round(process.memory_info().rss / 1e6, 1))
            a_core.append(loop_a_core(run, files, seconds / ROUNDS / 3))
    middle = statistics.median
    say(
        measurement="load",
        clients=num_clients,
        served_images_per_s=round(middle(served), 1),
        loop_in_turn_images_per_s=round(middle(in_turn), 1),
        loop_a_core_images_per_s=round(middle(a_core), 1),
        of_loop_in_turn=round(middle(served) / middle(in_turn), 3),
        of_loop_a_core=round(middle(served) / middle(a_core), 3),
        memory_mb=memory,
        **total.figures(seconds),
    )


def overload(home: Path, run: Run, files: list[bytes], seconds: float) -> None:
    messages = [request(f"/api/v1/models/{run.id}/predict", data) for data in files]
    with server(home, run.id, "--queue", "16") as (port, _):
        began = time.perf_counter()
        outcome = asyncio.run(clients(port, 128, messages, seconds))
        elapsed = time.perf_counter() - began
    figures = outcome.figures(elapsed)
    say(measurement="overload", clients=128, queue=16, retry_after=outcome.retry_after, **figures)


def bad(home: Path, run: Run, files: list[bytes]) -> None:
    path = f"/api/v1/models/{run.id}/predict"
    good = [request(path, data) for data in files]
    dice = random.Random(0)
    bomb = BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    kinds = [
        lambda: request(path, dice.randbytes(dice.randrange(20_000))),
        lambda: request(path, dice.choice(files)[: dice.randrange(500)]),
        lambda: request(path, bomb.getvalue()),
        lambda: request(path, b""),
        lambda: request(path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        lambda: request(path, dice.randbytes(21_000_000)),
        lambda: request(path, dice.choice(files)).replace(b'name="files"', b'name="other"'),
        lambda: request(path, dice.choice(files))[:-20] + b"\r\n--nothing--\r\n0000000",
        lambda: request(path, dice.choice(files)).replace(b"multipart/form-data", b"text/plain"),
        lambda: request("/api/v1/models/..%2f..%2fetc/predict", dice.choice(files)),
        lambda: request(path, dice.choice(files), "n" * 10_000),
    ]
    outcomes: dict[str, Outcome] = {"good": Outcome(), "bad": Outcome()}

    async def both(port: int) -> None:
        messages = [[kinds[(number + 32 * turn) % len(kinds)] for turn in range(BAD // 32 + 1)] for number in range(32)]
        going = asyncio.gather(
            *(exchange(port, (make() for make in one), outcomes["bad"], lambda: False) for one in messages)
        )
        turns = (exchange(port, iter(good * 99), outcomes["good"], going.done) for _ in range(4))
        await asyncio.gather(going, *turns)

    with server(home, run.id) as (port, process):
        asyncio.run(clients(port, 8, good, 3))
        before = process.memory_info().rss
        began = time.perf_counter()
        asyncio.run(both(port))
        elapsed = time.perf_counter() - began
        after = asyncio.run(clients(port, 8, good, 3))
        growth = (process.memory_info().rss - before) / 1e6
    for name, outcome in outcomes.items():
        say(measurement=f"bad uploads: {name}", **outcome.figures(elapsed))
    say(measurement="after bad uploads", memory_growth_mb=round(growth, 1), **after.figures(3))


def mutated(files: list[bytes], dice: random.Random) -> bytes:
    """An image's bytes with some changed, cut out, doubled or taken from another."""
    data = bytearray(dice.choice(files))
    for _ in range(dice.randrange(1, 9)):
        place = int(len(data) * dice.random() ** 3)  # headers more often than pixels
        match dice.randrange(4):
            case 0 if data:
                data[min(place, len(data) - 1)] = dice.randrange(256)
            case 1:
                del data[place : place + dice.randrange(64)]
            case 2:
                data[place:place] = data[place : place + dice.randrange(64)]
            case _:
                other = dice.choice(files)
                data[place : place + 16] = other[place : place + 16]
    return bytes(data)


def varied(files: list[bytes]) -> list[bytes]:
    """Some of the images again in other formats and modes."""
    made = files[:40]
    for number, data in enumerate(files[:12]):
        picture = Image.open(BytesIO(data)).resize((90, 70))
        for kind, mode in [
            *(("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA"), ("GIF", "P"), ("BMP", "RGB"), ("WEBP", "RGB")),
            *(("TIFF", "CMYK"), ("TIFF", "L"), ("PPM", "RGB"), ("ICO", "RGB"), ("TGA", "RGB"), ("JPEG2000", "RGB")),
            *(("AVIF", "RGB"), ("PCX", "P"), ("SGI", "RGB"), ("DDS", "RGB"), ("JPEG", "CMYK"), ("ICNS", "RGB")),
        ]:
            stream = BytesIO()
            try:
                picture.convert(mode).save(stream, kind)
            except (OSError, ValueError, KeyError):
                continue
            made.append(stream.getvalue())
        if number == 0:
            print(json.dumps({"formats": len(made) - 40}), flush=True)
    return made


def fuzz(home: Path, run: Run, files: list[bytes], number: int) -> None:
    path, dice, seeds = f"/api/v1/models/{run.id}/predict", random.Random(1), varied(files)
    outcome, memory = Outcome(), []
    with server(home, run.id) as (port, process):
        began = time.perf_counter()
        for _ in range(10):
            batches = [[request(path, mutated(seeds, dice)) for _ in range(number // 160)] for _ in range(16)]

            async def sent(batches: list[list[bytes]]) -> None:
                await asyncio.gather(*(exchange(port, iter(one), outcome, lambda: False) for one in batches))

            asyncio.run(sent(batches))
            memory.append(round(process.memory_info().rss / 1e6, 1))
        elapsed = time.perf_counter() - began
    say(measurement="fuzz", files=sum(outcome.statuses.values()), memory_mb=memory, **outcome.figures(elapsed))


def say(**figures: Any) -> None:
    print(json.dumps({**figures, "load_average": round(os.getloadavg()[0], 1)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("run")
    parser.add_argument("images", type=Path)
    parser.add_argument("what", choices=["load", "overload", "bad", "fuzz", "all"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--files", type=int, default=FUZZED, help="of fuzz")
    options = parser.parse_args()
    home = options.home.resolve()
    run = open_run(Workspace(home), options.run)
    paths = sorted(path for path in options.images.rglob("*") if path.is_file())[:NUM_IMAGES]
    files = [path.read_bytes() for path in paths]
    if options.what in ("load", "all"):
        load(home, run, files, options.seconds, options.clients)
    if options.what in ("overload", "all"):
        overload(home, run, files, min(10.0, options.seconds))
    if options.what in ("bad", "all"):
        bad(home, run, files)
    if options.what in ("fuzz", "all"):
        fuzz(home, run, files, options.files)


if __name__ == "__main__":
    main()
