"""`python -m core predict` takes images, folders and archives, and leaves a table where one is asked for."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Trained
from tests.running import in_process


@pytest.fixture
def at_home(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    monkeypatch.setenv("DARKROOM_HOME", str(trained.workspace.root))
    return trained


def test_a_folder_and_an_archive_give_what_their_images_give(at_home: Trained, tmp_path: Path) -> None:
    photos = sorted(at_home.images.rglob("*.png"))[::15]
    folder, archive, table = tmp_path / "some" / "deeper", tmp_path / "photos.zip", tmp_path / "answers.csv"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as packed:
        for number, photo in enumerate(photos):
            (folder / f"{number}.png").write_bytes(photo.read_bytes())
            packed.write(photo, f"in/{number}.png")
        packed.writestr("in/text.jpg", "hello")
        packed.writestr("../out.png", "x")
    alone = in_process("predict", at_home.run.id, *photos).result["predictions"]
    done = in_process("predict", at_home.run.id, tmp_path / "some", archive, "--csv", table)
    assert done.status == 1, done.errors
    rows = {row["path"]: row for row in done.result["predictions"]}
    for number, row in enumerate(alone):
        for path in (f"{folder}/{number}.png", f"{archive}/in/{number}.png"):
            assert rows[path]["label"] == row["label"]
            assert rows[path]["confidence"] == pytest.approx(row["confidence"], abs=1e-5)
    assert "leads out of the archive" in rows[f"{archive}/../out.png"]["error"]
    assert "Not an image" in rows[f"{archive}/in/text.jpg"]["error"] and "text.jpg" in done.errors
    assert len(rows) == 2 * len(photos) + 2
    written = pd.read_csv(table).set_index("name")
    assert set(written.index) == set(rows) and written["label"].notna().sum() == 2 * len(photos)
    assert written.loc[f"{archive}/in/text.jpg", "kind"] == "not read"
    assert not list((at_home.workspace.root / "cache").glob("predict-*")), "what was unpacked is left behind"


def test_nothing_to_classify_is_the_users_mistake(at_home: Trained, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "not.zip").write_bytes(b"no archive")
    done = in_process("predict", at_home.run.id, tmp_path / "empty", tmp_path / "not.zip")
    assert done.status == 2
    assert [row["error"][:22] for row in done.result["predictions"]] == [
        "There are no images in",
        "not.zip is no sound ar",
    ]
