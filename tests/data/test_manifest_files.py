"""Tables people bring along: encodings, delimiters, columns by name or by content, and what rows come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from core.data.datasets import index_path
from core.data.manifest_files import NO_COLUMN, Columns, recognise_columns
from core.data.reading import Reading
from core.data.sources import Recognised, recognise
from core.data.tables import column_names, read_table
from core.errors import InputError
from core.workspace import Workspace
from tests.conftest import ImageFolder

NOTHING = Columns("", "")


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a table with its text as it is; the images need not exist for it to be read."""

    def make(text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_bytes(text.encode(encoding))
        return tmp_path / "set" / name

    return make


def rows(recognised: Recognised) -> list[tuple[object, ...]]:
    frame = recognised.files.astype(object).where(recognised.files.notna(), None)
    return list(frame[["path", "label", "split", "group"]].itertuples(index=False, name=None))


def test_all_four_columns(table: Callable[..., Path]) -> None:
    text = "path,label,split,group\nb.jpg,cat,TEST,p1\na.jpg,dog,train,\nc.jpg,cat,,p1\nd.jpg,dog,later,p2\n"
    recognised = recognise(table(text))
    assert rows(recognised) == [
        ("a.jpg", "dog", "train", None),
        ("b.jpg", "cat", "test", "p1"),
        ("c.jpg", "cat", None, "p1"),
        ("d.jpg", "dog", None, "p2"),
    ]
    assert recognised.layout == "table" and recognised.columns == ("path", "label", "split", "group")
    assert any("'later'" in note for note in recognised.notes)
    ignoring = recognise(table(text), Reading(split_column=NO_COLUMN, group_column=NO_COLUMN))
    assert {row[2:] for row in rows(ignoring)} == {(None, None)}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_delimiters_and_encodings(table: Callable[..., Path], delimiter: str, encoding: str) -> None:
    lines = [("File Name", "Class"), ('"m\u00fcsli.jpg"', "caf\u00e9"), ("tea.jpg", "tea")]
    path = table("\n".join(delimiter.join(line) for line in lines), encoding=encoding)
    assert rows(recognise(path)) == [("m\u00fcsli.jpg", "caf\u00e9", None, None), ("tea.jpg", "tea", None, None)]
    assert column_names(path) == ["File Name", "Class"]


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("image,species", "a.png,cat", Columns("image", "species")),
        ("id,image,breed", "7,a.png,pug", Columns("image", "breed")),
        ("patient_id,target,FILEPATH,fold", "3,0,a.png,train", Columns("FILEPATH", "target", "fold", "patient_id")),
        ("x,what", "a.png,cat", Columns("x", "what")),
        ("a.png,cat", "b.png,dog", Columns("column 1", "column 2")),
        ("name,label,label", "a.png,cat,dog", Columns("name", "label")),
    ],
)
def test_columns_are_recognised_by_name_and_by_content(
    table: Callable[..., Path], header: str, row: str, expected: Columns
) -> None:
    other = row.replace("a.png", "c.png").replace("b.png", "d.png").replace("cat", "dog")
    same = row.replace("a.png", "e.png").replace("b.png", "f.png")
    found = read_table(table("\n".join([header, row, other, same, same.replace(".png", "1.png")])))
    assert recognise_columns(found.rows, NOTHING) == expected


def test_columns_can_be_chosen_and_wrong_choices_are_named(table: Callable[..., Path]) -> None:
    path = table("path,label,kind\na.jpg,1,cat\nb.jpg,2,dog\n")
    assert recognise(path).classes == ["1", "2"]
    assert recognise(path, Reading(label_column="kind")).classes == ["cat", "dog"]
    with pytest.raises(InputError, match="no column 'nope'.*'path', 'label', 'kind'"):
        recognise(path, Reading(label_column="nope"))
    with pytest.raises(InputError, match="No column of the table seems to hold their labels"):
        recognise(table("path,note\na.jpg,one\nb.jpg,two\nc.jpg,three\nd.jpg,four\n"))


def test_parquet_with_numbers_gaps_and_lists(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"path": ["a.jpg", "b.jpg", "c.jpg"], "label": [1.0, 2.0, None], "box": [[1], [2], [3]], "group": [7, 7, 8]}
    )
    frame.to_parquet(tmp_path / "labels.parquet")
    recognised = recognise(tmp_path / "labels.parquet")
    assert rows(recognised) == [("a.jpg", "1", None, "7"), ("b.jpg", "2", None, "7")]
    assert recognised.refused == (("line 3: c.jpg", "It has no label."),)
    assert column_names(tmp_path / "labels.parquet")[:2] == ["path", "label"]


def test_the_images_folder_is_found_or_given(workspace: Workspace, image_folder: ImageFolder, tmp_path: Path) -> None:
    root = image_folder("set/pictures", layout="flat names", counts={"cat": 4, "dog": 4})
    names = sorted(file.name for file in root.iterdir())
    (root.parent / "train.csv").write_text("id,breed\n" + "\n".join(f"{name[:-4]},{name[:3]}" for name in names))
    dataset = index_path(workspace, root.parent / "train.csv")
    assert dataset.root == root and (dataset.num_images, dataset.num_errors) == (8, 0)
    assert dataset.source == str(root.parent / "train.csv") and dataset.name == "set"
    assert any("without a suffix" in note for note in dataset.notes)
    (root.parent / "empty").mkdir()
    elsewhere = recognise(root.parent / "train.csv", Reading(images="empty"))
    assert elsewhere.root == root.parent / "empty"
    with pytest.raises(InputError, match="no folder"):
        recognise(root.parent / "train.csv", Reading(images="nowhere"))


def test_a_folder_is_read_by_its_table_where_names_say_nothing(image_folder: ImageFolder) -> None:
    root = image_folder("set", layout="flat names", counts={"x": 3})
    for number, file in enumerate(sorted(root.iterdir())):
        file.rename(root / f"IMG{'abc'[number]}.png")
    (root / "labels.tsv").write_text("file\tclass\nIMGa.png\tcat\nIMGb.png\tdog\n")
    assert rows(recognise(root)) == [("IMGa.png", "cat", None, None), ("IMGb.png", "dog", None, None)]


def test_a_table_beside_class_folders_is_mentioned_and_can_be_chosen(image_folder: ImageFolder) -> None:
    root = image_folder("set")
    (root / "labels.csv").write_text("path,label\ncat/0000.png,tabby\ndog/0000.png,pug\n")
    recognised = recognise(root)
    assert recognised.layout == "class folders" and any("labels.csv" in note for note in recognised.notes)
    assert recognise(root, Reading(layout="table")).classes == ["pug", "tabby"]


def test_the_same_reading_is_used_again(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder("set")
    text = "path,label,kind\n" + "\n".join(f"{c}/{n:04d}.png,{n % 2},{c}" for c in ("cat", "dog") for n in range(8))
    (root / "labels.csv").write_text(text)
    first = index_path(workspace, root / "labels.csv", reading=Reading(label_column="kind"))
    again = index_path(workspace, root / "labels.csv")
    assert first.fingerprint == again.fingerprint and set(again.manifest()["label"]) == {"cat", "dog"}
    assert again.reading is not None and again.reading["label_column"] == "kind"


def test_a_long_table_is_read_in_reasonable_memory_and_order(table: Callable[..., Path]) -> None:
    path = table("path,label\n" + "\n".join(f"{n % 1000:04d}/{n}.jpg,c{n % 7}" for n in range(50_000)))
    files = recognise(path).files
    assert len(files) == 50_000 and files["path"].is_monotonic_increasing
