"""How a folder says which class an image is of, and what is said to the user when it does not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.label_patterns import DEFAULT_PATTERN, preview
from core.data.reading import Reading
from core.data.sources import recognise, resolve_source
from core.data.walk import IntakeStopped
from core.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Recognition reads names only, so empty files do."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "set"

    return make


def rows(root: Path) -> list[tuple[str, str, str | None]]:
    files = recognise(root).files
    splits = [None if missing else split for split, missing in zip(files["split"], files["split"].isna(), strict=True)]
    return list(zip(files["path"], files["label"], splits, strict=True))


def test_class_folders_take_the_first_folder(folder: Callable[..., Path]) -> None:
    root = folder("cat/a.jpg", "cat/indoor/night/b.JPG", "dog/a.png", "dog/readme.txt")
    assert rows(root) == [
        ("cat/a.jpg", "cat", None),
        ("cat/indoor/night/b.JPG", "cat", None),
        ("dog/a.png", "dog", None),
    ]
    recognised = recognise(root)
    assert recognised.sentence == "2 classes, 3 images, class folders"
    assert recognised.counts == {"cat": 2, "dog": 1}
    assert recognised.ignored == {".txt": 1}
    assert recognised.notes == ()


@pytest.mark.parametrize("val", ["val", "Valid", "VALIDATION"])
def test_split_folders_in_any_capitals(folder: Callable[..., Path], val: str) -> None:
    root = folder("Train/cat/1.jpg", "Train/dog/sub/1.jpg", f"{val}/cat/2.jpg", "TEST/dog/3.jpg")
    assert sorted(rows(root)) == sorted(
        [
            ("Train/cat/1.jpg", "cat", "train"),
            ("Train/dog/sub/1.jpg", "dog", "train"),
            (f"{val}/cat/2.jpg", "cat", "val"),
            ("TEST/dog/3.jpg", "dog", "test"),
        ]
    )
    assert recognise(root).sentence == "2 classes, 4 images, split folders (train, val, test)"


def test_split_folders_with_labels_in_the_names(folder: Callable[..., Path]) -> None:
    root = folder("train/cat.1.jpg", "train/dog.1.jpg")
    assert rows(root) == [("train/cat.1.jpg", "cat", "train"), ("train/dog.1.jpg", "dog", "train")]


def test_what_lies_beside_split_folders_is_counted(folder: Callable[..., Path]) -> None:
    root = folder("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg", "sample/3.jpg", "cover.jpg")
    recognised = recognise(root)
    assert recognised.num_images == 3
    assert recognised.ignored == {"images without a class": 2}
    assert "'cover.jpg', 'sample/3.jpg'" in recognised.notes[0]


def test_a_class_called_train_among_others_is_a_class(folder: Callable[..., Path]) -> None:
    root = folder("train/1.jpg", "car/1.jpg", "plane/1.jpg")
    assert recognise(root).classes == ["car", "plane", "train"]


@pytest.mark.parametrize("separator", [".", "_", "-"])
def test_flat_names(folder: Callable[..., Path], separator: str) -> None:
    root = folder(*(f"{label}{separator}{n}.jpg" for label in ("cat", "big dog", "x_1") for n in (0, 12)))
    recognised = recognise(root)
    assert recognised.classes == ["big dog", "cat", "x_1"]
    assert recognised.sentence == "3 classes, 6 images, flat names (label.N.jpg)"


def test_a_side_folder_does_not_make_flat_names_one_class(folder: Callable[..., Path]) -> None:
    root = folder("cat.1.jpg", "cat.2.jpg", "dog.1.jpg", "logo.png", "old/cat.9.jpg")
    recognised = recognise(root)
    assert recognised.layout == "flat names"
    assert recognised.counts == {"cat": 2, "dog": 1}
    assert recognised.ignored == {"images without a class": 2}


def test_odd_names_are_only_names(folder: Callable[..., Path]) -> None:
    labels = ['my cat\'s "best"', "猫", "<script>alert(1)<", "](x)", "a\nb"]
    root = folder(*(f"{label}/same.{suffix}" for label in labels for suffix in ("jpg", "JPG", "png")))
    recognised = recognise(root)
    assert recognised.classes == sorted(labels)
    assert recognised.num_images == 15


def test_one_class_spelled_by_two_systems_is_one_class(folder: Callable[..., Path]) -> None:
    composed, split_up = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    root = folder(f"train/{composed}/1.jpg", f"test/{split_up}/2.jpg", "train/tea/1.jpg")
    recognised = recognise(root)
    assert recognised.classes == [composed, "tea"]
    assert f"test/{split_up}/2.jpg" in set(recognised.files["path"])  # the path stays what the disk says


def test_remarks_on_empty_classes_and_capitals(folder: Callable[..., Path]) -> None:
    root = folder("Cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "owl/list.txt")
    notes = " ".join(recognise(root).notes)
    assert "Folders without images: 'owl'" in notes
    assert "'Cat', 'cat'" in notes


@pytest.mark.parametrize(
    ("names", "message", "fix"),
    [
        ((), "holds no images.", "Images end in"),
        (("a.txt", "b.txt", "c.csv"), "holds no images, only 2 .txt and 1 .csv", "Images end in"),
        (("cat/1.jpg", "cat/2.jpg"), "one class only, 'cat'", "One folder a class"),
        (("cat/1.jpg", "dog/notes.txt"), "Folders without images: 'dog'", "at least two classes"),
        (("cat.1.jpg", "cat.2.jpg"), "one class only, 'cat'", "cat.1.jpg"),
        (("photos/cat/1.jpg", "photos/dog/1.jpg"), "one class only, 'photos'", "set/photos"),
        (("holiday.jpg", "dinner.jpg"), "Nothing says which class", "One folder a class"),
        (("val/cat/1.jpg", "test/cat/1.jpg"), "none called train", "named train"),
        (("train/1a.jpg", "train/b.jpg", "test/c.jpg"), "Nothing says which class", "folders with one folder a class"),
    ],
)
def test_refusals_say_what_to_do(folder: Callable[..., Path], names: tuple[str, ...], message: str, fix: str) -> None:
    root = folder(*names) if names else folder("x").joinpath("../empty").resolve()
    root.mkdir(exist_ok=True)
    with pytest.raises(InputError) as refusal:
        recognise(root)
    assert message in refusal.value.message
    assert fix in refusal.value.fix


@pytest.mark.parametrize("path", ["", "  ", "a\0b", "/x\udcff"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="not the path of a folder") as refusal:
        resolve_source(path)
    str(refusal.value).encode()


def test_missing_folder_names_how_far_it_exists(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"exists as far as {tmp_path}"):
        resolve_source(tmp_path / "no" / "such")
    with pytest.raises(InputError):
        resolve_source("/" + "x" * 5000)


def test_what_can_be_a_source_besides_a_folder(tmp_path: Path) -> None:
    for name in ("photos.zip", "photos.TAR.gz", "labels.csv", "labels.parquet"):
        (tmp_path / name).touch()
        assert resolve_source(tmp_path / name).name == name
    (tmp_path / "photos.7z").touch()
    with pytest.raises(InputError, match="Unpack it first"):
        resolve_source(tmp_path / "photos.7z")
    (tmp_path / "cat.jpg").touch()
    with pytest.raises(InputError, match="is a file"):
        resolve_source(tmp_path / "cat.jpg")


def test_blanks_around_a_pasted_path_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / " odd ").mkdir()
    assert resolve_source(f"  {tmp_path}\n") == tmp_path.resolve()
    assert resolve_source(tmp_path / " odd ").name == " odd "


def test_no_permission(run_unprivileged: Callable[..., str]) -> None:
    code = """
        from core.data.sources import recognise
        for place in (root, root / "cat"):
            try:
                recognise(place)
            except core.errors.InputError as error:
                print(error)
        """
    answer = run_unprivileged(code, {"cat/1.jpg": 0o644}, {"": 0o000})
    assert answer.count("There is no permission to read") == 2


@pytest.mark.parametrize("name", ["cat.12.jpg", "cat_12.jpg", "cat-12.jpg", "cat 12 .7.png", "12.cat.1.jpg"])
def test_the_default_pattern_takes_common_names(name: str) -> None:
    (said,) = preview(DEFAULT_PATTERN, [name])
    assert said.label in ("cat", "cat 12", "12.cat")


def test_a_pattern_of_ones_own_with_split_and_group(folder: Callable[..., Path]) -> None:
    root = folder("tr/p1_cat.jpg", "tr/p1_dog.jpg", "te/p2_cat.jpg", "cover.jpg")
    pattern = r"^(?P<split>\w+)/(?P<group>p\d+)_(?P<label>\w+)\."
    recognised = recognise(root, Reading("flat names", pattern))
    assert recognised.files["group"].tolist() == ["p2", "p1", "p1"] and recognised.files["split"].isna().all()
    assert recognised.refused == (("cover.jpg", "Neither folder nor name gives a class."),)
    full = recognise(folder("test/p3_dog.jpg"), Reading("flat names", pattern))
    assert full.files["split"].fillna("").tolist() == ["", "test", "", ""]
    assert recognised.sentence == "2 classes, 3 images, flat names"
    first_group = recognise(root, Reading("flat names", r"_(\w+)\.jpg$"))
    assert first_group.classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", "no regular expression"), ("cat", "no group"), ("(" * 400, "up to 300"), ("(a)(?P<x", "no regular")],
)
def test_patterns_that_cannot_work(folder: Callable[..., Path], pattern: str, message: str) -> None:
    for attempt in (lambda: preview(pattern, ["a.jpg"]), lambda: recognise(folder("a.jpg"), Reading(None, pattern))):
        with pytest.raises(InputError, match=message):
            attempt()


def test_a_pattern_that_takes_for_ever_does_not_stop_the_server() -> None:
    with pytest.raises(InputError, match="takes too long"):
        preview(r"^(\w+)+$", ["a" * 60 + "!"])


def test_other_layouts_by_choice(folder: Callable[..., Path]) -> None:
    root = folder("2020/cat/1.jpg", "2021/dog/old/1.jpg", "2021/cat/2.jpg")
    assert recognise(root).classes == ["2020", "2021"]
    innermost = recognise(root, Reading("innermost folders"))
    assert innermost.classes == ["cat", "old"] and innermost.layout == "innermost folders"
    splits = folder("train/cat.1.jpg", "test/dog.1.jpg")
    assert recognise(splits, Reading("class folders")).classes == ["2020", "2021", "test", "train"]
    with pytest.raises(InputError, match="no layout"):
        Reading.from_dict({"layout": "none", "of_a_later_version": 1})


def test_what_only_counts_in_part_is_said(folder: Callable[..., Path]) -> None:
    root = folder("cat/1.gif", "dog/1.tif", "dog/2.TIFF", "dog/3.heic", "cat/2.avif")
    notes = " ".join(recognise(root).notes)
    assert (
        "1 GIF: of an animation only the first frame" in notes and "2 TIFFs: of several pages only the first" in notes
    )


def test_listing_tells_how_far_it_is_and_stops(folder: Callable[..., Path]) -> None:
    root = folder(*(f"{label}/{n}.jpg" for label in "abc" for n in range(4)))
    told: list[int] = []
    recognise(root, None, told.append)
    assert told == sorted(told) and told[-1] == 12
    with pytest.raises(IntakeStopped):
        recognise(root, None, told.append, lambda: True)
