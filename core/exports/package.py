"""The folder an export is: a model, and everything needed to use it rightly without Darkroom."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.exports.format import Format, Source
from core.exports.script import predict_script
from core.files import read_json, write_bytes, write_json, writing
from core.wording import count, percent, significant

LABELS, SPEC, SCRIPT, README = "labels.json", "spec.json", "predict.py", "README.md"
REQUIREMENTS, PARITY = "requirements.txt", "parity.json"
_SMALL_BYTES = 1_000_000  # files up to this size are looked at to the last byte whenever an export is listed


def write_package(source: Source, chosen: Format, folder: Path) -> None:
    """Add labels, preprocessing, predict.py and what to install to the model that lies in the folder already."""
    bundle = source.bundle
    by_distance = bundle.distance_threshold is not None
    write_json(folder / LABELS, bundle.classes)
    write_json(
        folder / SPEC,
        {
            "format": chosen.key,
            "model": chosen.model,
            "run": source.run.id,
            "architecture": bundle.architecture,
            "input": {"name": "images", "type": "float32", "shape": ["N", 3, bundle.spec.size, bundle.spec.size]},
            "output": {"name": "logits", "type": "float32", "shape": ["N", len(bundle.classes)]},
            "channel_order": "RGB",
            "preprocess": bundle.spec.to_dict(),
            "preprocess_hash": bundle.spec.hash,
            "temperature": bundle.temperature,
            "abstention_threshold": bundle.abstention_threshold,
            "energy_threshold": None if by_distance else bundle.energy_threshold,
        },
    )
    write_bytes(folder / SCRIPT, predict_script(chosen.runtime, chosen.packages).encode())
    write_bytes(folder / REQUIREMENTS, requirements(chosen).encode())


def requirements(chosen: Format) -> str:
    """What predict.py needs, in the versions it was checked with."""
    lines = []
    for name in ("numpy", "pillow", *chosen.packages):
        try:
            lines.append(f"{name}=={version(name).partition('+')[0]}")  # `+cpu` names a build, not a version
        except PackageNotFoundError:
            lines.append(name)
    return "\n".join([*lines, ""])


def write_proof(source: Source, chosen: Format, folder: Path, parity: Mapping[str, Any]) -> None:
    """Add the README and the gate's report, with a digest of every other file; call it last."""
    write_bytes(folder / README, _readme(source, chosen, parity).encode())
    write_json(folder / PARITY, {**parity, "files": digests(folder)})


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Of every file but the report itself, by its path in the folder: bytes and sha256."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != PARITY:
            with open(path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found[name] = {"bytes": path.stat().st_size, "sha256": digest}
    return found


def changed_since(folder: Path) -> str:
    """The first file that is not as the gate saw it, or that is gone or new; empty where there is none.

    Of files above a megabyte only the size is looked at.
    """
    noted = (read_json(folder / PARITY) or {}).get("files", {})
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted((set(noted) | set(there)) - {PARITY}):
        if name not in noted or name not in there or there[name].stat().st_size != noted[name]["bytes"]:
            return name
        if noted[name]["bytes"] <= _SMALL_BYTES:
            if hashlib.sha256(there[name].read_bytes()).hexdigest() != noted[name]["sha256"]:
                return name
    return ""


def model_bytes(folder: Path) -> int:
    """The size of what the export wrote; call it before anything is added."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_zip(folder: Path, path: Path, inside: str) -> None:
    """The folder as one archive, in one step.

    Args:
        inside: the folder's name in the archive.
    """
    aside = path.with_name(f".{path.name}")
    try:
        with writing(path):
            with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
                for one in sorted(folder.rglob("*")):
                    if one.is_file():
                        archive.write(one, f"{inside}/{one.relative_to(folder).as_posix()}")
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _readme(source: Source, chosen: Format, parity: Mapping[str, Any]) -> str:
    bundle, spec = source.bundle, source.bundle.spec
    unsure = (
        f"A confidence below {percent(bundle.abstention_threshold)} means that it is not sure (`sure` is false)."
        if bundle.abstention_threshold is not None
        else "No threshold was chosen below which it is not sure."
    )
    strange = (
        "\nThe trained model also tells by an image's features whether it is like those of its training; this does not."
        if bundle.distance_threshold is not None
        else ""
    )
    how = {"squash": "squashed", "pad": "padded", "crop": "cropped in the middle"}[spec.resize]
    single, batch = parity["speed"]["single"], parity["speed"]["batch"]
    notes = "".join(f"- {note}\n" for note in parity["notes"])
    return f"""# {bundle.architecture} as {chosen.name}

{count(len(bundle.classes), "class", "classes")}, see `{LABELS}`. Exported from run `{source.run.id}`.

```
pip install -r {REQUIREMENTS}
python {SCRIPT} photo.jpg --json
```

## What is here
- `{chosen.model}`: the model, from `images` (float32, N x 3 x {spec.size} x {spec.size}) to `logits` (float32, N x
  {len(bundle.classes)}).
- `{SCRIPT}`: reads images exactly as in training, answers, and replays a list of images (`--help`).
- `{SPEC}`: how an image becomes the input, as data; `{LABELS}`: the classes in the order of the logits.
- `{PARITY}`: how this was compared with the trained model, image by image.

## Using the model without {SCRIPT}
Turn the image upright (EXIF), lay transparency over white, convert to 8-bit RGB; {how} to {spec.size} x {spec.size}
pixels, {spec.interpolation} with antialiasing; divide by 255, subtract the mean {list(spec.mean)} and divide by
{list(spec.std)}, channel by channel. Divide the logits by the temperature, {significant(bundle.temperature)}, before
softmax. {unsure}{strange}

## What was checked
{parity["sentence"]}

- Top-1 agreement with PyTorch: {percent(parity["agreement"])}; largest difference of a probability:
  {significant(parity["max_probability_gap"])}, on average {significant(parity["mean_probability_gap"])}.
- Accuracy: {percent(parity["accuracy_after"])}; of the trained model: {percent(parity["accuracy_before"])}.
- One image: {significant(single["latency_ms_p50"])} ms (95 % within {significant(single["latency_ms_p95"])} ms);
  {batch["batch_size"]} together: {significant(batch["images_per_s"])} images/s; the network alone, on the machine that
  exported it.
{notes}"""
