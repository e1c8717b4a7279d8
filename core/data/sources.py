"""Recognises how images say which class each is of, or reads it as a user says, before anything is stored."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from core.data.label_patterns import DEFAULT_PATTERN, compile_pattern, label_by
from core.data.manifest_files import SPLITS, Columns, list_images, recognise_columns
from core.data.reading import Layout, Reading
from core.data.tables import Table, read_table
from core.data.walk import IMAGE_SUFFIXES, TABLE_SUFFIXES, Found, Listed, ShouldStop, find_images, is_text
from core.errors import InputError
from core.wording import count

__all__ = ["IMAGE_SUFFIXES", "Layout", "Reading", "Recognised", "is_archive", "recognise", "resolve_source"]

ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ADVICE = (
    "One folder a class, train/ val/ test/ folders with one folder a class in each, names like cat.1.jpg, "
    "or a CSV file with the columns path and label."
)
_MOST_NAMED = 5


@dataclass(frozen=True)
class Recognised:
    """Images as they will be indexed.

    Attributes:
        root: the folder `files` are relative to, absolute and without links.
        files: one row a file: path (relative, POSIX, sorted), label, split and group (missing where not known).
        ignored: what was left out, by suffix or by reason -> how many.
        notes: sentences on anything the user would want to know before going on.
        refused: what cannot be taken in, by name, with the reason.
        reading: how it was read, with nothing left open that was recognised.
        columns: names of the table's columns; empty where there is no table.
        source: what was given, where it is not `root`.
    """

    root: Path
    layout: Layout
    files: pd.DataFrame
    ignored: dict[str, int]
    notes: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()
    reading: Reading = Reading()
    columns: tuple[str, ...] = ()
    source: str = ""

    @property
    def num_images(self) -> int:
        return len(self.files)

    @property
    def classes(self) -> list[str]:
        return sorted(self.files["label"].unique())

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class, in order of `classes`."""
        return {label: int(number) for label, number in self.files["label"].value_counts().sort_index().items()}

    @property
    def sentence(self) -> str:
        """`2 classes, 2,002 images, flat names (label.N.jpg)`."""
        detail = " (label.N.jpg)" if self.layout == "flat names" and self.reading.pattern == DEFAULT_PATTERN else ""
        if self.layout == "split folders":
            present = set(self.files["split"])
            detail = f" ({', '.join(name for name in ('train', 'val', 'test') if name in present)})"
        num_classes = count(self.files["label"].nunique(), "class", "classes")
        return f"{num_classes}, {count(self.num_images, 'image')}, {self.layout}{detail}"


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive that can be unpacked."""
    return path.name.lower().endswith(ARCHIVE_ENDINGS)


def stem(source: Path) -> str:
    """A source's name without the ending that says what kind of file it is; a folder's name as it is."""
    endings = (*ARCHIVE_ENDINGS, *TABLE_SUFFIXES)
    ending = next((end for end in sorted(endings, key=len, reverse=True) if source.name.lower().endswith(end)), "")
    return source.name.removesuffix(source.name[len(source.name) - len(ending) :]) if ending else source.name


def resolve_source(path: str | Path) -> Path:
    """The folder, table or archive a user means, absolute and without links.

    Raises:
        InputError: there is no such thing, it is none of these, or it may not be read.
    """
    text = str(path)
    if not text.strip() or "\0" in text or not is_text(text):
        raise InputError(f"{text!a} is not the path of a folder.", "Give a path such as /home/you/photos.")
    text = os.path.expanduser(text if os.path.lexists(text) else text.strip())
    source = Path(os.path.realpath(text))
    try:
        is_folder = source.is_dir() if source.exists() else None
        if is_folder:
            os.scandir(source).close()
        elif is_folder is not None and source.is_file():
            source.open("rb").close()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(
                f"There is no permission to read {source}.", "Allow it (chmod -R u+rX), or choose another folder."
            ) from error
        raise InputError(f"{source} cannot be read: {error.strerror}.", "Check the path.") from error
    if is_folder is None:
        nearest = next(parent for parent in source.parents if parent.exists())
        raise InputError(f"There is no folder {source}.", f"Check the path: it exists as far as {nearest}.")
    if not is_folder and not (source.is_file() and (is_archive(source) or source.suffix.lower() in TABLE_SUFFIXES)):
        unpack = "Unpack it first and g" if source.suffix.lower() in (".7z", ".rar", ".gz", ".zst") else "G"
        raise InputError(
            f"{source} is a file.", f"{unpack}ive the folder that holds the images, a .zip or .tar, or a CSV file."
        )
    return source


def recognise(
    source: Path,
    reading: Reading | None = None,
    on_listed: Listed | None = None,
    should_stop: ShouldStop | None = None,
) -> Recognised:
    """Find the images of a folder or a table and what each is labelled; reads names only, never an image's content.

    A class is the first folder below the root (below the split's folder); folders inside it are no matter. Names of
    split folders are those of `SPLITS`, in any capitals. A folder whose names and folders give no classes is read by
    the table in it, where there is one.

    Args:
        on_listed: told how many images were found so far.

    Raises:
        InputError: the source cannot be read or cannot be a dataset, with what to change.
        core.data.walk.IntakeStopped: `should_stop` said so.
    """
    reading = reading or Reading()
    source = resolve_source(source)
    if not source.is_dir():
        if is_archive(source):
            raise InputError(f"{source} is an archive.", "It is unpacked before it is recognised.")
        return _by_table(source, reading)
    if reading.layout == "table" and (source / reading.table).is_file():
        return _by_table(source / reading.table, reading)
    try:
        found = find_images(source, on_listed, should_stop)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}.", "Check the folder's permissions.") from error
    if reading.layout == "table":
        if not found.tables:
            raise InputError(f"{source} holds no table of labels.", "Put a CSV file with path and label into it.")
        return _by_table(source / found.tables[0], reading)
    if not found.images:
        raise InputError(
            f"{source} holds no images{_but(found)}.", f"Images end in {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    try:
        return _by_names(source, reading, found)
    except InputError:
        if reading.layout is None and len(found.tables) == 1:
            return _by_table(source / found.tables[0], reading)
        raise


def _by_names(root: Path, reading: Reading, found: Found) -> Recognised:
    layout = reading.layout or ("flat names" if reading.pattern else _layout(found))
    pattern = reading.pattern or DEFAULT_PATTERN
    read = _reader(layout, pattern)
    rows = [(path, *read(path)) for path in found.images]
    files = pd.DataFrame(rows, columns=["path", "label", "split", "group"]).astype("str")
    unlabelled = files.loc[files["label"].isna(), "path"].tolist()
    files = files[files["label"].notna()].reset_index(drop=True)
    if len(files) < len(unlabelled) and (reading.layout is None or files.empty):
        raise InputError(
            f"Nothing says which class the images in {root} are of, such as {unlabelled[0]!r}.",
            f"Arrange them in one of these ways, or give a pattern for their names. {ADVICE}",
        )
    ignored, notes = Counter(found.ignored), list(found.notes)
    if unlabelled:
        ignored["images without a class"] += len(unlabelled)
        notes.append(
            f"{count(len(unlabelled), 'image')} left out: neither folder nor name gives a class: {_named(unlabelled)}."
        )
    notes += _remarks(files, layout, found)
    refused = tuple((path, "Neither folder nor name gives a class.") for path in unlabelled)
    effective = replace(reading, layout=layout, pattern=pattern if layout == "flat names" else reading.pattern)
    recognised = Recognised(root, layout, files, dict(ignored), tuple(notes), refused, effective)
    _require_two_classes(recognised)
    return recognised


def _by_table(path: Path, reading: Reading) -> Recognised:
    """Read what a table lists; the images are not looked for, except to tell which folder they are in."""
    table = read_table(path)
    chosen = Columns(reading.path_column, reading.label_column, reading.split_column, reading.group_column)
    columns = recognise_columns(table.rows, chosen)
    images = _images_folder(path.parent, reading, table, columns)
    listed = list_images(table, columns, images)
    if listed.files.empty:
        reasons = Counter(reason for _, reason in listed.refused).most_common(1)
        commonest = f" Most often: {reasons[0][0]}" if reasons else ""
        raise InputError(f"Not one row of {path} names an image with a label.{commonest}", "Check the columns.")
    notes = list(listed.notes)
    if images != path.parent:
        notes.append(f"Paths in {path.name} are relative to {images}.")
    if listed.refused:
        first = f"{listed.refused[0][0]} ({listed.refused[0][1].rstrip('.')})"
        notes.append(f"{count(len(listed.refused), 'row')} of {path.name} refused, such as {first}.")
    notes += _remarks(listed.files, "table", Found(images=listed.files["path"].tolist()))
    effective = Reading(
        "table", reading.pattern, path.name, os.path.relpath(images, path.parent), **_named_columns(columns)
    )
    recognised = Recognised(
        Path(os.path.realpath(images)),
        "table",
        listed.files,
        listed.ignored,
        tuple(notes),
        listed.refused,
        effective,
        tuple(table.rows.columns),
    )
    _require_two_classes(recognised)
    return recognised


def _named_columns(columns: Columns) -> dict[str, str]:
    return {f"{role}_column": name for role, name in asdict(columns).items()}


def _images_folder(beside: Path, reading: Reading, table: Table, columns: Columns) -> Path:
    """The folder paths are relative to: the one asked for, else the table's, else the one below it that holds them."""
    if reading.images:
        images = beside / os.path.expanduser(reading.images)
        if not images.is_dir():
            raise InputError(f"There is no folder {images}.", "Give the folder the table's paths are relative to.")
        return images
    names = list_images(Table(table.rows.head(50), 0, (), ()), columns, beside).files["path"].tolist()
    try:
        below = sorted(place for place in beside.iterdir() if place.is_dir() and not place.name.startswith("."))
    except OSError:
        below = []
    places = [beside, *below[:100]]
    bare = [name for name in names if not name.lower().endswith(tuple(IMAGE_SUFFIXES))]

    def num_found(place: Path) -> int:
        stems = {name.stem for name in place.glob("*")} if bare else set()
        return sum((place / name).exists() or name in stems for name in names)

    return max(places, key=num_found)  # the first of equals, so the table's own


def _layout(found: Found) -> Layout:
    tops = Counter(path.partition("/")[0] if "/" in path else "" for path in found.images)
    num_loose = tops.pop("", 0)
    splits = {SPLITS[name.lower()] for name in tops if name.lower() in SPLITS}
    if "train" in splits and (len(splits) > 1 or len(tops) == 1):
        return "split folders"
    if len(splits) > 1 and len(splits) == len(tops):
        raise InputError(
            f"There are folders {_named(sorted(tops))} but none called train.",
            "Add the training images in a folder named train, or give a folder whose folders are the classes.",
        )
    # One folder beside many named images is a side folder, not the only class.
    return "class folders" if len(tops) > 1 or num_loose < sum(tops.values()) else "flat names"


_Parts = tuple[str | None, str | None, str | None]  # label, split, group


def _reader(layout: Layout, pattern: str) -> Callable[[str], _Parts]:
    """What tells label, split and group from a path; no label where the path gives none."""
    names = compile_pattern(pattern)
    default = compile_pattern(DEFAULT_PATTERN)

    def by_folder(path: str) -> _Parts:
        folder, slash, _ = path.partition("/")
        return (_tidy(folder) if slash else None), None, None

    def by_innermost(path: str) -> _Parts:
        return _tidy(path.rpartition("/")[0].rpartition("/")[2]), None, None

    def by_split(path: str) -> _Parts:
        top, _, rest = path.partition("/")
        split = SPLITS.get(top.lower())
        if split is None or not rest:
            return None, None, None
        folder, slash, _ = rest.partition("/")
        return _tidy(folder if slash else label_by(default, rest).label), split, None

    def by_name(path: str) -> _Parts:
        said = label_by(names, path)
        return _tidy(said.label), SPLITS.get((said.split or "").lower()), said.group

    readers = {
        "class folders": by_folder,
        "innermost folders": by_innermost,
        "split folders": by_split,
        "flat names": by_name,
    }
    return readers[layout]


def _tidy(label: str | None) -> str | None:
    """macOS writes accents as two characters; without this one class could become two."""
    return unicodedata.normalize("NFC", label) if label else None


def _remarks(files: pd.DataFrame, layout: Layout, found: Found) -> list[str]:
    remarks = []
    classes = files["label"].unique().tolist()
    if layout == "class folders":
        empty = sorted({unicodedata.normalize("NFC", name) for name in found.folders} - set(classes))
        if empty:
            remarks.append(f"Folders without images: {_named(empty)}.")
    alike = [name for name, times in Counter(label.casefold() for label in classes).items() if times > 1]
    if alike:
        same = sorted(label for label in classes if label.casefold() in alike)
        remarks.append(f"Classes that differ in capitals only are kept apart: {_named(same)}.")
    suffixes = Counter("." + path.rpartition(".")[2].lower() for path in found.images)
    if suffixes[".gif"]:
        remarks.append(f"{count(suffixes['.gif'], 'GIF')}: of an animation only the first frame is used.")
    num_tiffs = suffixes[".tif"] + suffixes[".tiff"]
    if num_tiffs:
        remarks.append(f"{count(num_tiffs, 'TIFF')}: of several pages only the first is used.")
    if found.tables and layout != "table":
        remarks.append(f"{_named(found.tables)} was not read; choose the layout 'table' if the labels stand in it.")
    return remarks


def _require_two_classes(recognised: Recognised) -> None:
    if len(recognised.classes) > 1:
        return
    only = recognised.classes[0]
    fix = "A classifier needs images of at least two classes."
    inner = recognised.root / only
    if recognised.layout == "class folders" and sum(1 for place in inner.glob("*/")) > 1:
        fix += f" If the classes are the folders inside it, give {inner}."
    else:
        fix += f" {ADVICE}"
    raise InputError(" ".join([f"{recognised.root} holds one class only, {only!r}.", *recognised.notes]), fix)


def _but(found: Found) -> str:
    """`, only 3 .txt and 1 .csv`, and what could not be entered."""
    rest = [f"{number:,} {what}" for what, number in found.ignored.most_common(_MOST_NAMED)]
    return ", only " + " and ".join(rest) if rest else ""


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(repr(name) for name in names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
