"""The command-line verb that classifies images, folders and archives with a run's model; see `core.__main__`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import DarkroomError
from core.terminal import progress_line, say
from core.workspace import Workspace

Result = tuple[dict[str, Any], int]
AddVerb = Callable[[str, Callable[[argparse.Namespace], Result], str], argparse.ArgumentParser]


def add_verbs(verb: AddVerb) -> None:
    """Add `predict` to the command line; `verb` makes a verb of a name, what it does and its help."""
    predict = verb("predict", _predict, "Classify images with a run's model.")
    predict.add_argument("run")
    predict.add_argument(
        "images", nargs="+", metavar="IMAGE", help="an image, a folder with all below it, a .zip or a .tar"
    )
    predict.add_argument("--csv", metavar="FILE", help="write the answers as a table too")
    predict.add_argument(
        "--engine", choices=["onnx", "torch"], default="onnx", help="ONNX Runtime, or the weights themselves"
    )


def _predict(options: argparse.Namespace) -> Result:
    from core.inference.classifier import open_classifier
    from core.inference.many import classify_files
    from core.runs import store

    workspace = Workspace.default()
    classifier = open_classifier(store.open_run(workspace, options.run).bundle, options.engine)
    note = progress_line("predict", options.json)
    with tempfile.TemporaryDirectory(dir=workspace.cache, prefix="predict-") as unpacked:
        files, rows = _files([Path(name) for name in options.images], Path(unpacked))
        for row in rows:
            print(f"{row['path']}: {row['error']}", file=sys.stderr)
        done = 0
        names, paths = [name for name, _ in files], [path for _, path in files]
        for answers in classify_files(classifier, paths, names):
            rows += [_row(options, answer) for answer in answers]
            done += len(answers)
            if len(files) > len(answers):
                note(done, len(files))
    if options.csv:
        _write_table(Path(options.csv), rows)
    num_failed = sum("error" in row for row in rows)
    status = 0 if not num_failed else 2 if num_failed == len(rows) else 1
    return {"predictions": rows}, status


def _files(given: list[Path], unpacked: Path) -> tuple[list[tuple[str, Path]], list[dict[str, Any]]]:
    """The image files that are meant, each with what it is called, and a row for what cannot be used."""
    from core.data.archives import unpack
    from core.data.sources import is_archive
    from core.data.walk import find_images

    files: list[tuple[str, Path]] = []
    refused: list[dict[str, Any]] = []
    for number, path in enumerate(given):
        try:
            if path.is_dir():
                found = find_images(path)
                files += [(str(path / name), path / name) for name in found.images]
                refused += [_refusal(str(path), note) for note in found.notes]
                if not found.images:
                    refused.append(_refusal(str(path), "There are no images in this folder."))
            elif path.is_file() and is_archive(path):
                into = unpacked / str(number)
                taken = unpack(path, into)
                files += [(f"{path}/{name}", into / name) for name in find_images(into).images]
                refused += [_refusal(f"{path}/{name}", fault) for name, fault in taken.refused]
            else:
                files.append((str(path), path))
        except DarkroomError as error:
            refused.append(_refusal(str(path), str(error)))
    return files, refused


def _row(options: argparse.Namespace, answer: Any) -> dict[str, Any]:
    """What one answer looks like to a program; and to people, on the way."""
    if answer.error:
        print(f"{answer.name}: {answer.error}", file=sys.stderr)
        return _refusal(answer.name, answer.error)
    if answer.accepted:
        said = f"{answer.label} ({answer.confidence:.1%})"
    else:
        why = "unlike its training images" if answer.familiar is False else "not sure"
        said = f"no answer: {why}; likeliest {answer.label} ({answer.confidence:.1%})"
    say(options, f"{answer.name}: {said}")
    return {
        "path": answer.name,
        "label": answer.label,
        "confidence": answer.confidence,
        "top": [list(one) for one in answer.top],
        "accepted": answer.accepted,
        "sure": answer.sure,
        "familiar": answer.familiar,
    }


def _refusal(path: str, error: str) -> dict[str, Any]:
    return {"path": path, "label": None, "confidence": None, "top": [], "error": error}


def _write_table(file: Path, rows: list[dict[str, Any]]) -> None:
    from core.files import write_csv
    from core.inference.answered import answer_table, csv_table
    from core.inference.batches import TOP, Item

    unknown = {"sure": True, "familiar": None, "error": None}
    said = {row["path"]: unknown | row | {"top": row["top"][:TOP]} for row in rows}
    write_csv(file, csv_table(answer_table([Item(row["path"], row["path"]) for row in rows], said)))
