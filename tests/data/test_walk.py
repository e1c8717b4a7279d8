"""Finding images: each once, nothing left out in silence, and no way to hang."""

from __future__ import annotations

import os
from pathlib import Path

from core.data.walk import NO_ACCESS, NOT_TEXT, SEEN_LINK, find_images, first_images


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_images_of_all_depths_in_order_and_the_rest_counted(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/deep/er/2.PNG", "b/1.jpg", "a/3.TIFF", "a/notes.txt", "a/more.txt", "README", "a/x.much-too-long"
    )
    found = find_images(tmp_path)
    assert found.images == ["a/3.TIFF", "b/1.jpg", "b/deep/er/2.PNG"]
    assert found.folders == ["a", "b"]
    assert found.ignored == {".txt": 2, "no suffix": 2}


def test_hidden_and_archive_leftovers_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/.DS_Store", "a/._1.jpg", ".git/x.png", "__MACOSX/a/1.jpg", "a/1.jpg")
    found = find_images(tmp_path)
    assert found.images == ["a/1.jpg"]
    assert not found.ignored


def test_link_loops_end_and_each_folder_counts_once(tmp_path: Path) -> None:
    root = tmp_path / "set"
    touch(root, "cat/1.jpg", "dog/2.jpg")
    touch(tmp_path, "elsewhere/owl/3.jpg")
    (root / "cat" / "up").symlink_to(root)  # leads back to the root
    (root / "aaa").symlink_to(root / "cat")  # sorts before the folder it leads to
    (root / "above").symlink_to("/")
    (root / "bird").symlink_to(tmp_path / "elsewhere" / "owl")
    (tmp_path / "elsewhere" / "owl" / "back").symlink_to(tmp_path / "elsewhere")
    (root / "self").symlink_to(root / "self")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    found = find_images(root)
    # `elsewhere` is entered through `back`, its folder `owl` was counted before.
    assert found.images == ["bird/3.jpg", "cat/1.jpg", "dog/2.jpg", "self.jpg"]
    assert found.ignored == {SEEN_LINK: 4, "no suffix": 1}


def test_pipes_are_not_opened_and_broken_links_are_kept_as_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    found = find_images(tmp_path)
    assert found.images == ["gone.jpg"]
    assert found.ignored == {"pipes, sockets and devices": 1}


def test_names_that_are_no_text_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "cat/ok.jpg")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/caf\xe9.jpg"))).touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/x.\xff")).touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xf6g")).mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xf6g/1.jpg")).touch()
    found = find_images(tmp_path)
    assert found.images == ["cat/ok.jpg"]
    assert found.folders == ["cat"]
    assert found.ignored == {NOT_TEXT: 2, "no suffix": 1}
    assert "caf\\\\xe9.jpg" in found.notes[0]
    found.notes[0].encode()


def test_a_folder_without_permission_is_named(tmp_path: Path, run_unprivileged: object) -> None:
    answer = run_unprivileged(
        """
        from core.data.walk import find_images
        found = find_images(root)
        print(found.images, dict(found.ignored), found.notes)
        """,
        {"cat/1.jpg": 0o644, "dog/2.jpg": 0o644},
        {"dog": 0o000},
    )
    assert answer.startswith("['cat/1.jpg']")
    assert f"'{NO_ACCESS}': 1" in answer and "'dog' cannot be opened" in answer


def test_tables_beside_the_images_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.heic", "cat/2.avif", "labels.csv", "more.TSV", "cat/inner.csv", "all.parquet")
    found = find_images(tmp_path)
    assert found.images == ["cat/1.heic", "cat/2.avif"]
    assert found.tables == ["all.parquet", "labels.csv", "more.TSV"]


def test_a_few_images_are_found_without_walking_everything(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.jpg", "a/deep/2.jpg", "a/.hidden.jpg", "a/notes.txt", *(f"c/{n:03d}.png" for n in range(50)))
    assert first_images(tmp_path, 3) == ["b/1.jpg", "c/000.png", "c/001.png"]
    assert first_images(tmp_path, 100, within=5) == []
    assert first_images(tmp_path / "nowhere", 3) == []
