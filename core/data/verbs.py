"""The command-line verbs that divide, correct and export a dataset; see `core.__main__`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.config import TrainConfig, build_config, knobs
from core.errors import InputError
from core.files import write_csv
from core.workspace import Workspace

Result = tuple[dict[str, Any], int]
AddVerb = Callable[[str, Callable[[argparse.Namespace], Result], str], argparse.ArgumentParser]


def add_verbs(verb: AddVerb) -> None:
    """Add them to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    split = verb("split", _split, "Show how a dataset is divided into train, val and test, and whether that leaks.")
    split.add_argument("dataset")
    split.add_argument("--csv", metavar="FILE", help="write path, label, split and group of every image")
    _add_split_flags(split)
    for name, action, text in (
        ("relabel", _relabel, "Give images another class; the files stay as they are."),
        ("exclude", _exclude, "Take images out of a dataset; the files stay as they are."),
        ("restore", _restore, "Take excluded images in again."),
    ):
        sub = verb(name, action, text)
        sub.add_argument("dataset")
        if name == "relabel":
            sub.add_argument("label", help="the class; a new one is made")
        sub.add_argument(
            "paths", nargs="*", metavar="PATH", help="as in the manifest: relative to the folder of images"
        )
        sub.add_argument("--paths-from", metavar="FILE", help="a file with one path a line; - for standard input")
        sub.add_argument("--reason", default="", help="why, kept with the correction")
    verb("undo", _undo, "Take back the last correction of a dataset.").add_argument("dataset")
    verb("redo", _redo, "Bring back the correction that was undone last.").add_argument("dataset")
    verb("edits", _edits, "List all corrections of a dataset, oldest first.").add_argument("dataset")
    export = verb("export-cleaned", _export, "Write a dataset as corrected elsewhere: folders of images, or a CSV.")
    export.add_argument("dataset")
    export.add_argument("target", help="a folder that is not there yet or is empty, or a file with --csv")
    export.add_argument("--csv", action="store_true", help="write one CSV file in place of images")
    export.add_argument("--arrange", choices=["class", "split"], default="class", help="folders by class, or by split")
    export.add_argument("--files", choices=["copy", "hardlink"], default="copy", help="hard links take no space")
    _add_split_flags(export)


def _add_split_flags(parser: argparse.ArgumentParser) -> None:
    for knob in (knob for knob in knobs() if knob.group == "split"):
        text = f"{knob.help} [{knob.allowed}; default {knob.default}]".replace("%", "%%")
        parser.add_argument(f"--{knob.path}", metavar="VALUE", default=argparse.SUPPRESS, help=text)


def _config(options: argparse.Namespace) -> TrainConfig:
    given = {path: value for path, value in vars(options).items() if path.startswith("split.")}
    return build_config(given | {"data.dataset": _dataset_id(options)})


def _split(options: argparse.Namespace) -> Result:
    from core.data.splits import SPLITS, class_table, divide, membership

    config = _config(options)
    division = divide(Workspace.default(), config)
    table = class_table(division.manifest).set_index("label")
    if options.csv:
        write_csv(Path(options.csv).expanduser().absolute(), membership(division.manifest, config.split))
    for name in SPLITS:
        _say(options, f"{name}: {int(table[name].sum()):,} images")
    _say(options, division.leaks.sentence())
    leaks = asdict(division.leaks)
    return {
        "dataset": division.dataset.id,
        "dataset_fingerprint": division.dataset.fingerprint,
        "num_edits": division.dataset.num_edits,
        "split": config.split.model_dump(),
        **{name: int(table[name].sum()) for name in SPLITS},
        "classes": {str(label): {name: int(row[name]) for name in SPLITS} for label, row in table.iterrows()},
        **{key: leaks[key] for key in ("num_groups", "num_straddling", "num_set_aside")},
        "leaks": leaks,
        "csv": options.csv,
    }, 0


def _relabel(options: argparse.Namespace) -> Result:
    from core.data.edits import relabel

    paths = _paths(options)
    return _edited(options, relabel(Workspace.default(), _dataset_id(options), paths, options.label, options.reason))


def _exclude(options: argparse.Namespace) -> Result:
    from core.data.edits import exclude

    return _edited(options, exclude(Workspace.default(), _dataset_id(options), _paths(options), options.reason))


def _restore(options: argparse.Namespace) -> Result:
    from core.data.edits import restore

    return _edited(options, restore(Workspace.default(), _dataset_id(options), _paths(options), options.reason))


def _undo(options: argparse.Namespace) -> Result:
    from core.data.edits import undo

    return _stepped(options, undo(Workspace.default(), _dataset_id(options)), "undo", "Undone")


def _redo(options: argparse.Namespace) -> Result:
    from core.data.edits import redo

    return _stepped(options, redo(Workspace.default(), _dataset_id(options)), "redo", "Redone")


def _edits(options: argparse.Namespace) -> Result:
    from core.data.edits import history, sentence

    rows = []
    for edit in history(Workspace.default(), _dataset_id(options)):
        state = " (undone)" if edit.undone else ""
        stale = f" {edit.num_stale} do not apply any more: changed or gone." if edit.num_stale else ""
        _say(options, f"{edit.id}  {sentence(edit)}{state}{stale} {edit.reason}".rstrip())
        rows.append(_row(edit))
    return {"dataset": _dataset_id(options), "edits": rows}, 0


def _export(options: argparse.Namespace) -> Result:
    from core.data.cleaned import export_csv, export_folders

    given = any(path.startswith("split.") for path in vars(options))
    split = _config(options).split if given else None
    where = (Workspace.default(), _dataset_id(options), options.target)
    if options.csv:
        exported = export_csv(*where, split)
    else:
        exported = export_folders(*where, options.arrange, options.files, split)
    _say(options, exported.sentence())
    return {
        "target": str(exported.target),
        "num_images": exported.num_images,
        "missing": list(exported.missing),
    }, 0


def _edited(options: argparse.Namespace, edit: Any) -> Result:
    from core.data.edits import sentence

    _say(options, f"{sentence(edit)} Undo with: python -m core undo {options.dataset}")
    return _row(edit) | _version(options), 0


def _stepped(options: argparse.Namespace, edit: Any, action: str, done: str) -> Result:
    from core.data.edits import sentence

    if edit is None:
        raise InputError(
            f"There is nothing to {action}.", f"List corrections with: python -m core edits {options.dataset}"
        )
    _say(options, f"{done}: {sentence(edit)}")
    return _row(edit) | _version(options), 0


def _row(edit: Any) -> dict[str, Any]:
    return asdict(edit) | {"files": edit.paths, "num_images": len(edit.files)}


def _version(options: argparse.Namespace) -> dict[str, Any]:
    from core.data.datasets import open_dataset

    dataset = open_dataset(Workspace.default(), options.dataset)
    counted = ("num_images", "num_classes", "num_excluded", "num_edits")
    return {"dataset": dataset.id, "dataset_fingerprint": dataset.fingerprint} | {
        "dataset_" + name: getattr(dataset, name) for name in counted
    }


def _dataset_id(options: argparse.Namespace) -> str:
    from core.data.datasets import ensure_builtin, open_dataset

    workspace = Workspace.default()
    if options.dataset == "digits":
        ensure_builtin(workspace)
    return open_dataset(workspace, options.dataset).id


def _paths(options: argparse.Namespace) -> list[str]:
    if not options.paths_from:
        return options.paths
    try:
        text = sys.stdin.read() if options.paths_from == "-" else Path(options.paths_from).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{options.paths_from} cannot be read ({error}).", "Give a text file, one path a line."
        ) from error
    return [*options.paths, *(line for line in text.splitlines() if line)]


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.json:
        print(text)
