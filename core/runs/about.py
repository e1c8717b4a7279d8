"""What people say of a run: its name, a note, tags, whether it is a favourite or put away. Kept in the run's folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from core.errors import DarkroomError, InputError
from core.files import read_json, write_json

if TYPE_CHECKING:
    from core.runs.store import Run

ABOUT = "about.json"
_LOCK = ".about.lock"
MAX_NAME, MAX_NOTE, MAX_TAG = 120, 10_000, 60  # characters


@dataclass(frozen=True)
class About:
    """What people say of a run; nothing here changes what the run computes.

    Attributes:
        name: empty for a run that nobody named.
        tags: in the order they were given, none twice. Those with a colon, such as `sweep:3f` and `seeds:a1`, say
            which group of runs it was started in.
        archived: put away: lists leave it out unless asked.
    """

    name: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    favourite: bool = False
    archived: bool = False


def read_about(run: Run) -> About:
    """What is said of the run; raises `DarkroomError` where its file is damaged."""
    return about_in(run.folder)


def about_in(folder: Path) -> About:
    """The same from the run's folder."""
    raw = read_json(folder / ABOUT)
    if raw is None:
        return About()
    try:
        known = {field.name: raw[field.name] for field in fields(About) if field.name in raw}
        return About(**known | {"tags": tuple(map(str, known.get("tags", ())))})
    except (AttributeError, TypeError, KeyError) as error:
        raise DarkroomError(f"{folder / ABOUT} is damaged ({error}).", "Restore or delete that file.") from error


def write_about(run: Run, **changes: Any) -> About:
    """Change fields of `About` and keep the rest; of two writers at once neither undoes the other's.

    Raises:
        InputError: a name, note or tag that cannot be used, or there is no such run any more.
    """
    checked = _checked(changes)
    return _rewrite(run, lambda before: replace(before, **checked))


def add_tags(run: Run, tags: Iterable[str]) -> About:
    """Give the run these tags beside those it has; raises as `write_about` does."""
    new = clean_tags(tags)
    return _rewrite(run, lambda before: replace(before, tags=tuple(dict.fromkeys((*before.tags, *new)))))


def remove_tags(run: Run, tags: Iterable[str]) -> About:
    """Take these tags off it; those it does not have are no matter."""
    gone = set(tags)
    return _rewrite(run, lambda before: replace(before, tags=tuple(tag for tag in before.tags if tag not in gone)))


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags as they are kept: trimmed, none twice; raises `InputError` for what cannot be one."""
    found = []
    for tag in tags:
        text = " ".join(tag.split())
        if not text or "," in text or len(text) > MAX_TAG or not text.isprintable():
            raise InputError(f"{tag[:MAX_TAG]!r} cannot be a tag.", f"Use 1 to {MAX_TAG} characters and no comma.")
        found.append(text)
    return tuple(dict.fromkeys(found))


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    unknown = set(changes) - {field.name for field in fields(About)}
    assert not unknown, unknown
    checked = dict(changes)
    if "name" in checked:
        checked["name"] = " ".join(str(checked["name"]).split())
        if len(checked["name"]) > MAX_NAME:
            raise InputError(f"The name has {len(checked['name'])} characters.", f"Use at most {MAX_NAME}.")
    if len(checked.get("note", "")) > MAX_NOTE:
        raise InputError(f"The note has {len(checked['note']):,} characters.", f"Use at most {MAX_NOTE:,}.")
    if "tags" in checked:
        checked["tags"] = clean_tags(checked["tags"])
    return checked


def _rewrite(run: Run, change: Any) -> About:
    if not run.folder.is_dir():
        raise InputError(f"There is no run {run.id!r} any more.", "Reload the page.")
    with FileLock(run.folder / _LOCK, timeout=10):
        about: About = change(about_in(run.folder))
        write_json(run.folder / ABOUT, asdict(about))
    return about
