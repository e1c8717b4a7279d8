"""Answers at once what indexing a folder again would say where nothing in it has changed; without pandas.

Opening the manifest alone takes longer than looking at some thousand files; loading dataclasses and orjson takes as
long, so nothing that is imported here has them. After indexing, what was answered is noted
with a digest of the names, sizes and times of all files; while that digest, the stored dataset and the way images are
measured and judged are the same, so is the answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.data.checks import MEASURES_VERSION, SCORES_VERSION
from core.data.walk import find_images
from core.files import write_json
from core.workspace import Workspace

_JUDGED_BY = [MEASURES_VERSION, SCORES_VERSION]
_OF_THE_DATASET = ("manifest.parquet", "dataset.json", "edits.jsonl")


def note(ws: Workspace, path: str, answer: dict[str, Any], digest: str | None) -> None:
    """Remember what indexing the folder `path` answered; nothing where not every file could be read.

    What could not be read is tried again each time, and what a table says is not seen from names.

    Args:
        digest: of `folder_digest` before it was indexed: what arrived meanwhile may have been missed.
    """
    if answer["num_errors"] or not os.path.isdir(path):
        return
    folder = Path(answer["manifest"]).parent
    if digest:
        known = {"digest": digest, "stored": _stored(folder), "judged_by": _JUDGED_BY, "answer": answer}
        write_json(_place(ws, path), known, durable=False)


def noted(ws: Workspace, path: str) -> dict[str, Any] | None:
    """What was answered last for the folder `path`, if that would be the answer now."""
    began = time.perf_counter()
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(_place(ws, path).read_bytes())
        if known["judged_by"] == _JUDGED_BY and known["stored"] == _stored(Path(known["answer"]["manifest"]).parent):
            if known["digest"] == folder_digest(path):
                answer: dict[str, Any] = known["answer"]
                seconds = time.perf_counter() - began
                rate = round(answer["num_images"] / seconds, 1)
                return answer | {"seconds": round(seconds, 3), "images_per_s": rate}
    return None


def answer_at_once(arguments: list[str]) -> None:
    """Print the answer to `index PATH --json` and exit, if it is known; else do nothing.

    Meant to be called before anything is imported that this needs not.
    """
    if len(arguments) == 3 and arguments[0] == "index" and arguments[2] == "--json":
        answer = noted(Workspace.default(), arguments[1])
        if answer:
            print(json.dumps(answer, ensure_ascii=False), flush=True)
            sys.exit(0)


def folder_digest(path: str) -> str | None:
    """Of all that decides how a folder is read, but for the bytes in its files; None where that is not enough."""
    try:
        root = os.path.realpath(path)
        found = find_images(Path(root))
        if found.tables:
            return None
        about_folder = repr((found.folders, sorted(found.ignored.items()), found.notes))
        digest = hashlib.blake2b(about_folder.encode(), digest_size=16)
        for image in found.images:
            about = os.stat(f"{root}/{image}")
            digest.update(f"{image}\0{about.st_size}\0{about.st_mtime_ns}\0".encode())
    except OSError:  # whoever reads it will say so
        return None
    return digest.hexdigest()


def _stored(folder: Path) -> list[list[int]]:
    """Size and time of the dataset's files; changes when it is indexed anew, corrected, or removed."""
    abouts = [os.stat(folder / name) for name in _OF_THE_DATASET if (folder / name).exists()]
    return [[about.st_size, about.st_mtime_ns] for about in abouts]


def _place(ws: Workspace, path: str) -> Path:
    name = hashlib.blake2b(os.fsencode(os.path.realpath(path)), digest_size=8).hexdigest()
    return ws.cache / f"indexed-{name}.json"
