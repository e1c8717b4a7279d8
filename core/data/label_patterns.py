"""Labels out of file names by a regular expression: the default, one's own, and a preview that cannot hang a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InputError

# cat.12.jpg, cat_12.jpg and cat-12.jpg, in no folder. Matched against the path below the images' folder.
DEFAULT_PATTERN = r"^(?P<label>[^/]*[^/\s])\s*[._-]\d+\.[^./]+$"
MAX_PATTERN = 300  # characters
_PREVIEW_WITHIN_S = 3.0
_PREVIEW = """
import json, re, sys
pattern, names = json.load(sys.stdin)
found = [re.search(pattern, name, re.DOTALL) for name in names]
print(json.dumps([{**match.groupdict(), "": match[1]} if match else {} for match in found]))
"""


@dataclass(frozen=True)
class Labelled:
    """What a pattern says of one file; `label` is None where it does not match."""

    label: str | None
    split: str | None = None
    group: str | None = None


def compile_pattern(text: str) -> re.Pattern[str]:
    """The pattern to `re.search` in a path; the group `label`, else the first one, is the label.

    Groups named `split` and `group` are understood as well.

    Raises:
        InputError: it is no regular expression, has no group, or is too long.
    """
    example = r"For cat_12.jpg write (?P<label>\w+)_\d+"
    if len(text) > MAX_PATTERN:
        raise InputError(f"A label pattern has up to {MAX_PATTERN} characters; this one has {len(text)}.", example)
    try:
        pattern = re.compile(text, re.DOTALL)
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"The label pattern {text!r} is no regular expression: {error}.", example) from error
    if not pattern.groups:
        raise InputError(f"The label pattern {text!r} has no group, so nothing in it is the label.", example)
    return pattern


def label_by(pattern: re.Pattern[str], path: str) -> Labelled:
    """What a compiled pattern says of a path relative to the images' folder (POSIX)."""
    match = pattern.search(path)
    return _labelled({**match.groupdict(), "": match[1]}) if match else Labelled(None)


def preview(text: str, names: Sequence[str]) -> list[Labelled]:
    """What a pattern being typed says of a few names.

    Done in a process of its own: a pattern that takes for ever would otherwise stop the whole server.

    Raises:
        InputError: see `compile_pattern`; or it takes too long.
    """
    compile_pattern(text)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PREVIEW],
            input=json.dumps([text, list(names)]),
            capture_output=True,
            encoding="utf-8",
            timeout=_PREVIEW_WITHIN_S,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"The label pattern {text!r} takes too long.", "Do not nest repeats as in (a+)+; use [^/]+ for a part."
        ) from error
    return [_labelled(groups) if groups else Labelled(None) for groups in json.loads(done.stdout)]


def _labelled(groups: dict[str, str | None]) -> Labelled:
    label = groups["label"] if "label" in groups else groups[""]
    return Labelled(label or None, groups.get("split") or None, groups.get("group") or None)
