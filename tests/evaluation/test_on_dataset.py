"""A run on the images of another dataset: which class a label means, what is left out and why, and the figures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import jobs
from core.data.datasets import index_path
from core.data.stored import Dataset, open_dataset
from core.errors import DarkroomError, InputError
from core.evaluation.label_mapping import checked_mapping, guess_mapping
from core.evaluation.on_dataset import (
    answers_on,
    commonest_mistakes,
    evaluate_on_dataset,
    main,
    on_dataset_job,
    results,
)
from core.evaluation.side_jobs import Cancelled
from core.files import read_json, write_json
from core.handover.document import document
from core.inference.bundle import META
from core.inference.classifier import open_classifier
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained, write_images
from tests.running import in_process


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("cat", "cat"),
        ("Cats", "cat"),
        ("HOT_DOG", "hot dog"),
        ("hot-dogs", "hot dog"),
        ("boxes", "box"),
        ("Fuchs", None),
        ("glass", "Glass"),  # Glas would be read alike by its ending, but the name itself decides
        ("MÜNZE", "Munze"),
        ("", None),
    ],
)
def test_labels_are_guessed_by_case_blanks_marks_and_plural(label: str, meant: str | None) -> None:
    assert guess_mapping([label], ["cat", "hot dog", "box", "Glass", "Munze"]) == {label: meant}


def test_what_could_mean_two_classes_is_not_guessed() -> None:
    assert guess_mapping(["POLISH"], ["polish", "Polish"]) == {"POLISH": None}
    assert guess_mapping(["Polish"], ["polish", "Polish"]) == {"Polish": "Polish"}


def test_what_the_user_says_counts_and_must_be_possible() -> None:
    said = checked_mapping({"kitty": "cat", "dog": None}, ["cat", "dog", "kitty"], ["cat", "dog"])
    assert said == {"cat": "cat", "dog": None, "kitty": "cat"}
    for given, what in (({"cow": "cat"}, "no label 'cow'"), ({"kitty": "cow"}, "no class 'cow'")):
        with pytest.raises(InputError, match=what):
            checked_mapping(given, ["kitty"], ["cat"])
    with pytest.raises(InputError, match="None of the dataset's labels"):
        checked_mapping({}, ["kitty"], ["cat"])


@dataclass(frozen=True)
class Elsewhere:
    """A run, and a dataset of other images with some that the run has learned from."""

    run: Run
    dataset: Dataset
    images: Path


NEW, COPIES, COWS = 6, 3, 4


@pytest.fixture(scope="module")
def elsewhere(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """Six new images of each class under other names, copies of three it learned from, four cows and a broken file."""
    folder = tmp_path_factory.mktemp("elsewhere")
    home, images = Workspace(folder / "home"), folder / "zoo"
    ignored = shutil.ignore_patterns("*.tmp", "cache")
    shutil.copytree(trained.workspace.root, home.root, ignore=ignored)
    own = write_images(folder / "own", {"cat": 40, "dog": 40, "fox": 40}, "class folders", (24, 18), ".png", 0)
    for label, name in (("cat", "Cats"), ("dog", "dog"), ("fox", "reynard")):
        (images / name).mkdir(parents=True)
        for number in range(30, 30 + NEW):  # the run had the first thirty
            shutil.copy(own / label / f"{number:04d}.png", images / name)
    run = open_run(home, trained.run.id)
    manifest = run.manifest()
    learned = manifest.loc[(manifest["split"] == "train") & (manifest["label"] == "dog"), "path"].head(COPIES)
    for number, path in enumerate(learned):
        shutil.copy(trained.images / path, images / "dog" / f"copy{number}.png")
    (images / "cow").mkdir()
    for number in range(COWS):
        noise = np.random.default_rng(number).integers(0, 256, (18, 24, 3)).astype(np.uint8)
        Image.fromarray(noise).save(images / "cow" / f"{number}.png")
    (images / "dog" / "broken.png").write_bytes(b"no image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKROOM_HOME", str(home.root))
        return Elsewhere(run, open_dataset(home, index_path(home, str(images)).id), images)


@pytest.fixture
def at_home(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    monkeypatch.setenv("DARKROOM_HOME", str(elsewhere.run.folder.parent.parent))
    return elsewhere


def test_only_what_is_new_to_it_is_asked_and_all_else_is_counted(at_home: Elsewhere) -> None:
    run, dataset = at_home.run, at_home.dataset
    found = evaluate_on_dataset(run, dataset, {"reynard": "fox"})
    assert found["mapping"] == {"Cats": "cat", "cow": None, "dog": "dog", "reynard": "fox"}
    assert found["asked"] == 3 * NEW + COPIES + COWS, "the broken file is none"
    left = [found[name] for name in ("unmapped", "seen", "alike", "sampled", "changed")]
    assert left == [COWS, COPIES, 0, 0, 0]
    assert "3 left out as the run has learned from them" in found["left_out"]
    rows = answers_on(run, dataset.id)
    assert rows is not None and len(rows) == found["report"]["num_test"] == 3 * NEW
    assert set(rows["label"]) == {"cat", "dog", "fox"} and not any("copy" in path for path in rows["path"])
    alone = open_classifier(run.bundle).classify(
        [at_home.images / path for path in rows["path"]], rows["path"].tolist()
    )
    assert [answer.label for answer in alone] == rows["predicted"].tolist()
    right = (rows["label"] == rows["predicted"]).mean()
    assert found["report"]["test_accuracy"] == pytest.approx(right)
    assert commonest_mistakes(found)["images"].sum() == (rows["label"] != rows["predicted"]).sum()


def test_a_part_is_spread_evenly_and_a_changed_file_is_left_out(at_home: Elsewhere, tmp_path: Path) -> None:
    part = evaluate_on_dataset(at_home.run, at_home.dataset, {}, most=4)
    assert (part["sampled"], part["report"]["num_test"]) == (2 * NEW - 4, 4)
    images = tmp_path / "zoo"
    shutil.copytree(at_home.images, images)
    moved = Dataset(**{**vars(at_home.dataset), "root": images})
    (images / "Cats" / "0030.png").write_bytes((images / "dog" / "0030.png").read_bytes())
    assert evaluate_on_dataset(at_home.run, moved, {})["changed"] == 1


def test_an_image_that_only_looks_like_one_it_learned_from_is_left_out(workspace: Workspace, tmp_path: Path) -> None:
    from core.data.manifest import usable
    from core.evaluation.on_dataset import looks_learned

    def photo(seed: int) -> Image.Image:
        small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
        return Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)

    for folder, seeds in (("a", range(12)), ("b", range(8, 20))):
        for seed in seeds:
            path = tmp_path / folder / "thing" / f"{seed}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = photo(seed)
            (image if folder == "a" else image.resize((120, 90))).save(path, quality=95 if folder == "a" else 60)
        (tmp_path / folder / "other").mkdir()
        photo(100 + len(folder)).save(tmp_path / folder / "other" / "0.jpg")
    tables = [usable(open_dataset(workspace, index_path(workspace, tmp_path / one).id).manifest()) for one in "ab"]
    learned = tables[0].assign(split="train")
    known = pd.Series(looks_learned(learned, tables[1]), index=tables[1]["path"])
    assert known[[f"thing/{seed}.jpg" for seed in range(8, 12)]].all(), "smaller and compressed anew"
    assert not known[[f"thing/{seed}.jpg" for seed in range(12, 20)]].any()
    assert not looks_learned(learned.assign(split="test"), tables[1]).any(), "test images were not learned from"


def test_nothing_left_stopped_and_no_folder_are_said(at_home: Elsewhere) -> None:
    own = open_dataset(Workspace.default(), at_home.run.config.data.dataset)
    with pytest.raises(InputError, match="None of the dataset's labels"):
        evaluate_on_dataset(at_home.run, at_home.dataset, {"Cats": None, "dog": None})
    with pytest.raises(Cancelled):
        evaluate_on_dataset(at_home.run, at_home.dataset, {}, should_stop=lambda: True)
    with pytest.raises(DarkroomError, match="no longer there"):
        evaluate_on_dataset(at_home.run, Dataset(**{**vars(own), "root": Path("/nowhere")}), {})


def test_as_a_job_in_the_report_and_by_the_command_line(at_home: Elsewhere) -> None:
    run, dataset = at_home.run, at_home.dataset
    job = on_dataset_job(dataset.id)
    job.folder(run).mkdir(parents=True)
    write_json(job.folder(run) / "request.json", {"mapping": {"reynard": "fox"}, "most": 0})
    jobs.prepare(job.folder(run))
    assert main(run.folder, dataset.id) == 0
    (kept,) = results(run)
    assert kept["report"]["num_test"] == 3 * NEW
    (told,) = document(run)["other_data"]
    assert (told["name"], told["num_images"]) == (dataset.name, 3 * NEW) and told["left_out"] == kept["left_out"]
    done = in_process("evaluate", run.id, "--on", dataset.name, "--map", "reynard=fox", "--map", "dog=")
    assert done.status == 0 and done.result["mapping"]["dog"] is None and done.result["report"]["num_test"] == 2 * NEW
    assert results(run)[0]["unmapped"] == COWS + NEW + COPIES
    wrong = in_process("evaluate", run.id, "--on", dataset.name, "--map", "reynard")
    assert wrong.status == 2 and "LABEL=CLASS" in wrong.errors
    about = read_json(run.bundle / META)
    write_json(run.bundle / META, about | {"weights_hash": "of others"})
    assert results(run) == [], "answers of another model"
    write_json(run.bundle / META, about)
