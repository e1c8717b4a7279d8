"""Images in a batch are answered at once or by a job, each once, and what cannot be read is named."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from core import jobs
from core.errors import InputError
from core.inference import batches
from core.inference.answered import Wanted, answer_table, csv_table, json_bytes, select, side_by_side
from core.inference.batches import Batch, Item, read_answers
from core.inference.bundle import note_trust
from core.inference.classifier import Classifier, open_classifier
from core.inference.many import CHUNK, classify_files
from core.workspace import Workspace
from tests.conftest import Trained
from tests.waiting import wait_until

MODEL = "a-run"


@pytest.fixture
def classifier(trained: Trained) -> Classifier:
    return open_classifier(trained.run.bundle)


@pytest.fixture
def batch(workspace: Workspace) -> Batch:
    return batches.start_batch(workspace)


@pytest.fixture
def images(trained: Trained) -> list[Path]:
    return sorted(trained.images.rglob("*.png"))


def _nothing(number: int) -> None:
    pass


def _ended(batch: Batch) -> jobs.Status:
    def ended() -> bool:
        status = batches.progress(batch)
        return status is not None and status.ended and not jobs.is_at_work(batch.job)

    wait_until(ended, "the job to end")
    status = batches.progress(batch)
    assert status is not None
    return status


def test_many_get_the_answers_each_gets_alone(classifier: Classifier, images: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    files = [*images[: CHUNK + 2], tmp_path / "text.png", tmp_path / "gone.png", *images[40:44]]
    names = [str(number) for number in range(len(files))]
    chunks = list(classify_files(classifier, files, names))
    assert [len(chunk) for chunk in chunks] == [CHUNK, len(files) - CHUNK]
    many = [answer for chunk in chunks for answer in chunk]
    alone = [classifier.classify([file], [name])[0] for file, name in zip(files, names, strict=True)]
    assert [answer.name for answer in many] == names
    for one, other in zip(many, alone, strict=True):
        assert (one.label, one.error, one.sure, one.familiar) == (other.label, other.error, other.sure, other.familiar)
        assert [share for _, share in one.top] == pytest.approx([share for _, share in other.top], abs=1e-5)
    assert list(classify_files(classifier, [], [])) == []


def test_files_are_kept_as_they_came_and_asked_about_once(
    batch: Batch, classifier: Classifier, images: list[Path]
) -> None:
    brought = [("a/fox.PNG", images[0].read_bytes()), ("bad\udcff.exe", b"no image"), ("empty", b"")]
    items = batches.add_files(batch, brought)
    assert [batch.file(item.path).read_bytes() for item in items] == [data for _, data in brought]
    assert [Path(item.path).suffix for item in items] == [".png", "", ""]
    bundle = classifier.bundle.folder
    waiting = batches.unanswered(batch, MODEL, bundle)
    assert [item.path for item in waiting] == [item.path for item in items]
    batches.answer(batch, MODEL, classifier, waiting, _nothing)
    assert batches.unanswered(batch, MODEL, bundle) == []
    said = read_answers(batch, MODEL, bundle)
    (alone,) = classifier.classify([images[0]], ["x"])
    assert said[items[0].path]["label"] == alone.label and len(said[items[0].path]["top"]) == 3
    assert "Not an image" in said[items[1].path]["error"] and said[items[2].path]["error"] == "The file is empty."
    (later,) = batches.add_files(batch, [("more.png", images[1].read_bytes())])
    assert [item.path for item in batches.unanswered(batch, MODEL, bundle)] == [later.path]


def test_a_model_that_changed_is_asked_anew(batch: Batch, trained: Trained, images: list[Path], tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained.run.bundle, bundle)
    batches.add_files(batch, [("one.png", images[0].read_bytes())])
    batches.answer(batch, MODEL, open_classifier(bundle), batch.items(), _nothing)
    assert read_answers(batch, MODEL, bundle)
    note_trust(bundle, abstention_threshold=1.0)
    assert read_answers(batch, MODEL, bundle) == {} and len(batches.unanswered(batch, MODEL, bundle)) == 1
    batches.answer(batch, MODEL, open_classifier(bundle), batch.items(), _nothing)
    (row,) = read_answers(batch, MODEL, bundle).values()
    assert row["sure"] is False


def test_the_job_unpacks_lists_and_answers_and_names_what_it_refuses(
    batch: Batch, trained: Trained, images: list[Path], tmp_path: Path, forked_jobs: None
) -> None:
    archive, folder = tmp_path / "photos.zip", tmp_path / "folder"
    with zipfile.ZipFile(archive, "w") as packed:
        for image in images[:5]:
            packed.write(image, f"in/{image.parent.name}-{image.name}")
        packed.writestr("in/broken.jpg", b"\xff\xd8 not whole")
        packed.writestr("../escape.png", images[0].read_bytes())
        packed.writestr("notes.txt", "hello")
    folder.mkdir()
    (folder / "a.png").write_bytes(images[50].read_bytes())
    (tmp_path / "not.zip").write_bytes(b"no archive")
    for kind, path in (("archive", archive), ("folder", folder), ("folder", folder), ("archive", tmp_path / "not.zip")):
        batches.add_source(batch, kind, path)
    with pytest.raises(InputError, match="no folder"):
        batches.add_source(batch, "folder", tmp_path / "nowhere")
    batches.ask(batch, {MODEL: trained.run.bundle})
    assert _ended(batch).state == "finished" and batch.waiting() == []
    table = answer_table(batch.items(), read_answers(batch, MODEL, trained.run.bundle)).set_index("name")
    assert (table["kind"] == "answered").sum() == 6 and table.loc["a.png", "kind"] == "answered"
    refused = table["error"].dropna()
    assert "leads out of the archive" in refused["../escape.png"] and refused["in/broken.jpg"]
    assert "1 .txt" in refused["photos.zip"] and "no sound archive" in refused["not.zip"]
    assert archive.is_file() and not (tmp_path / "escape.png").exists()


def test_a_cancelled_job_keeps_its_answers_and_the_next_goes_on(
    batch: Batch, trained: Trained, images: list[Path], forked_jobs: None
) -> None:
    batches.add_files(batch, [(f"{number}.png", image.read_bytes()) for number, image in enumerate(images * 20)])
    bundle = trained.run.bundle
    batches.ask(batch, {MODEL: bundle})
    wait_until(lambda: bool(read_answers(batch, MODEL, bundle)), "the first answers")
    batches.cancel(batch)
    status = _ended(batch)
    before = read_answers(batch, MODEL, bundle)
    if status.state == "stopped":  # else it was done before it could hear of it
        assert 0 < len(before) < 1800 and "Cancelled" in status.message
    batches.ask(batch, {MODEL: bundle})
    assert _ended(batch).state == "finished"
    after = read_answers(batch, MODEL, bundle)
    assert len(after) == 1800 and {path: after[path] for path in before} == before
    lines = batch.answers_file(MODEL).read_text().splitlines()
    assert len(lines) == 1801, "some image was answered twice"


def test_batches_are_forgotten_after_a_day(workspace: Workspace, batch: Batch) -> None:
    old = batches.start_batch(workspace)
    os.utime(old.folder, (0, 0))
    batches.start_batch(workspace)
    assert batches.find_batch(workspace, old.id) is None and batches.find_batch(workspace, batch.id) == batch
    batches.forget_batch(batch)
    assert batches.find_batch(workspace, batch.id) is None
    with pytest.raises(InputError):
        batches.find_batch(workspace, "../runs")


ITEMS = [Item(f"{name}.png", name, came=came) for name, came in (("b", 1.0), ("A", 1.0), ("c", 2.0), ("d", 2.0))]
ITEMS.append(Item("e.txt", "e", "Not an image.", 1.0))


def _said(label: str, confidence: float, sure: bool = True, familiar: bool | None = None) -> dict[str, object]:
    top = [[label, confidence], ["other", 1 - confidence]]
    return {"label": label, "confidence": confidence, "top": top, "sure": sure, "familiar": familiar, "error": None}


SAID = {"b": _said("cat", 0.9), "A": _said("dog", 0.6, sure=False), "c": _said("cat", 0.7, familiar=False)}


@pytest.mark.parametrize(
    ("wanted", "paths"),
    [
        (Wanted(), "e c d b A"),
        (Wanted(order="Surest first"), "e b c A d"),
        (Wanted(order="Least sure first"), "e A c b d"),
        (Wanted(order="By class"), "e b c A d"),
        (Wanted(order="By name"), "e A b c d"),
        (Wanted(labels=("cat",)), "c b"),
        (Wanted(kinds=("not sure", "strange")), "c A"),
        (Wanted(name="A.PNG"), "A"),
        (Wanted(least=0.65, most=0.8), "c"),
        (Wanted(kinds=("waiting",)), "d"),
        (Wanted(differ=True), "b"),
    ],
)
def test_rows_are_chosen_and_ordered(wanted: Wanted, paths: str) -> None:
    first = answer_table(ITEMS, SAID)
    second = answer_table(ITEMS, {"b": _said("dog", 0.8), "A": _said("dog", 0.9)})
    assert " ".join(select(side_by_side(first, second), wanted)["path"]) == paths
    if not wanted.differ:
        assert " ".join(select(first, wanted)["path"]) == paths


def test_what_is_taken_away_says_all_of_it() -> None:
    table = side_by_side(answer_table(ITEMS, SAID), answer_table(ITEMS, {"b": _said("dog", 0.8)}))
    read = json.loads(json_bytes(table, ["one", "two"]))
    assert read["models"] == ["one", "two"] and len(read["images"]) == 5
    assert read["images"][0]["answers"]["two"] == {
        "label": "dog",
        "confidence": 0.8,
        "kind": "answered",
        "top": [["dog", 0.8], ["other", pytest.approx(0.2)]],
        "error": None,
    }
    assert (
        read["images"][4]["answers"]["one"]["error"] == "Not an image."
        and read["images"][3]["answers"]["one"]["label"] is None
    )
    flat = csv_table(table)
    assert flat["kind"].tolist() == ["answered", "not sure", "strange", "waiting", "not read"]
    assert flat.loc[1, "class 2"] == "other" and flat.loc[1, "confidence of class 2"] == pytest.approx(0.4)
    assert {"path", "came", "top"}.isdisjoint(flat.columns)
