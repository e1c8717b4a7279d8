"""Training again with corrections: what changed is counted by hand, and every image keeps its side of the split."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from core import jobs
from core.config import build_config
from core.data.datasets import index_path, open_dataset
from core.data.edits import exclude, relabel, restore, undo
from core.data.splits import divide
from core.errors import InputError
from core.evaluation.comparison import compare
from core.evaluation.fixes import TAG, Changes, changes_since, corrected, retrain, tag_of
from core.evaluation.pairing import pair_runs
from core.evaluation.predictions import PREDICTIONS
from core.files import read_json, write_json
from core.jobs import STATUS
from core.processes import ProcessIdentity
from core.runs.about import MAX_TAG, clean_tags, read_about
from core.runs.store import MANIFEST, Run, create_run, open_run
from core.workspace import Workspace
from tests.conftest import ImageFolder, Trained


def rows(**columns: list[object]) -> pd.DataFrame:
    """A manifest of images a, b, c, ...; a content is called as the file unless said otherwise."""
    names = list("abcdefgh"[: len(columns["label"])])
    plain = {"path": names, "content_hash": names, "excluded": False, "error": None}
    return pd.DataFrame(plain | columns).astype({"error": "str", "label": "str"})


def test_changes_by_hand() -> None:
    split = ["train", "train", "val", "test", "test", None, "train"]
    then = rows(label=["cat", "cat", "dog", "dog", "dog", "cat", "cat"], split=split, excluded=[False] * 6 + [True])
    now = rows(
        label=["dog", "cat", "dog", "cat", "dog", "dog", "cat", "dog"],  # of f, which was set aside, no matter
        content_hash=["a", "b", "c", "d", "other", "f", "g", "h"],
        excluded=[False, True, False, False, False, False, False, False],  # g is back
    )
    found = changes_since(then, now)
    # e was replaced: lost, and what stands there now is new; so are g and h.
    assert found == Changes({"train": 1, "test": 1}, {"train": 1}, lost=1, new=3)
    assert (
        found.sentence()
        == "2 images relabelled (1 training, 1 test), 1 excluded (1 training), 1 gone or replaced, 3 new."
    )
    assert not changes_since(then, then.drop(columns="split")).any
    assert Changes().sentence() == "Nothing was changed."


@pytest.fixture
def first(workspace: Workspace, image_folder: ImageFolder, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of 40 images that was never begun; nor is any that follows."""
    monkeypatch.setattr(jobs, "launch", lambda *_, **__: ProcessIdentity(0, 0.0))
    dataset = index_path(workspace, image_folder(counts={"cat": 20, "dog": 20}))
    config = build_config({"data.dataset": dataset.id, "optim.epochs": 7}, "from-scratch")
    division = divide(workspace, config)
    return create_run(workspace, config, division.manifest, division.about())


def of(run: Run, split: str) -> list[str]:
    manifest = run.manifest()
    return manifest.loc[manifest["split"] == split, "path"].tolist()


def test_the_same_training_on_the_same_split_with_other_labels(workspace: Workspace, first: Run) -> None:
    dataset_id = first.config.data.dataset
    cats = [path for path in of(first, "train") if path.startswith("cat/")]
    # So many that an ordinary division would be another one.
    relabel(workspace, dataset_id, [*cats[:6], of(first, "test")[0]], "dog")
    exclude(workspace, dataset_id, [of(first, "val")[0], of(first, "test")[1]])
    again = retrain(workspace, first)
    assert again.config == first.config and again.id != first.id
    assert tag_of(first) in read_about(again).tags and tag_of(first) == f"fixes:{first.id}"
    assert again.data()["dataset_fingerprint"] == open_dataset(workspace, dataset_id).fingerprint
    assert again.data()["num_edits"] == 2 and again.data()["num_excluded"] == 2
    assert of(again, "train") == of(first, "train")
    assert of(again, "val") == of(first, "val")[1:]
    assert of(again, "test") == [path for path in of(first, "test") if path != of(first, "test")[1]]
    labels = again.manifest().set_index("path")["label"]
    assert (labels[cats[:6]] == "dog").all() and labels[of(first, "test")[0]] == "dog"
    plain = divide(workspace, first.config).manifest
    assert plain.loc[plain["split"] == "train", "path"].tolist() != of(first, "train"), "or it need not be kept so"


def test_new_images_are_for_training_and_twins_of_test_images_for_nothing(workspace: Workspace, first: Run) -> None:
    root = open_dataset(workspace, first.config.data.dataset).root
    (root / of(first, "train")[0]).rename(root / "cat" / "new.png")  # known content at a new place
    shutil.copy(root / of(first, "test")[0], root / "dog" / "twin.png")
    index_path(workspace, root)
    manifest = corrected(workspace, first).manifest.set_index("path")
    assert manifest.loc["cat/new.png", "split"] == "train"
    assert pd.isna(manifest.loc["dog/twin.png", "split"])
    assert sorted(manifest.index[manifest["split"] == "test"]) == sorted(of(first, "test"))


def test_with_a_share_of_the_training_images_the_test_stays_too(workspace: Workspace, first: Run) -> None:
    config = build_config({"data.dataset": first.config.data.dataset, "data.train_share": 0.5}, "from-scratch")
    division = divide(workspace, config)
    run = create_run(workspace, config, division.manifest, division.about())
    relabel(workspace, config.data.dataset, of(run, "test")[:1], "dog" if of(run, "test")[0][0] == "c" else "cat")
    again = retrain(workspace, run)
    assert of(again, "test") == of(run, "test") and of(again, "train") == of(run, "train")


def test_undone_it_is_the_run_it_was(workspace: Workspace, first: Run) -> None:
    dataset_id = first.config.data.dataset
    exclude(workspace, dataset_id, of(first, "train")[:2])
    restore(workspace, dataset_id, of(first, "train")[:1])
    while undo(workspace, dataset_id):
        pass
    pd.testing.assert_frame_equal(corrected(workspace, first).manifest, first.manifest())


def test_without_a_test_image_left_it_is_refused(workspace: Workspace, first: Run) -> None:
    exclude(workspace, first.config.data.dataset, of(first, "test"))
    with pytest.raises(InputError, match="Not one test image"):
        retrain(workspace, first)


def test_a_tag_of_a_long_id_is_still_a_tag_and_its_own() -> None:
    ids = [f"20260102-030405-{'vit-' * 12}{end}" for end in ("a1b2", "c3d4")]
    tags = [tag_of(Run(one, None)) for one in ids]  # type: ignore[arg-type]  the folder is no matter
    assert len(set(tags)) == 2 and clean_tags(tags) == tuple(tags)
    assert all(len(tag) == MAX_TAG and tag.startswith(f"{TAG}20260102-030405..") for tag in tags)


@pytest.fixture
def versions(trained: Trained, workspace: Workspace) -> tuple[Run, Run]:
    """A run and, an hour later, the same model on test images of which one was relabelled and two are gone."""
    shutil.copytree(trained.workspace.datasets, workspace.datasets, dirs_exist_ok=True)
    for hours, name in enumerate(("a", "b")):
        shutil.copytree(trained.run.folder, workspace.run(name))
        status = read_json(workspace.run(name) / STATUS)
        write_json(workspace.run(name) / STATUS, status | {"created": status["created"] + 3600 * hours})
    a, b = open_run(workspace, "a"), open_run(workspace, "b")
    answers = pd.read_parquet(b.folder / PREDICTIONS)
    one, *gone = answers.loc[answers["split"] == "test", "path"].tolist()[:3]
    for file in (b.folder / MANIFEST, b.folder / PREDICTIONS):
        table = pd.read_parquet(file)
        table.loc[table["path"] == one, "label"] = np.where(
            table.loc[table["path"] == one, "label"] == "cat", "fox", "cat"
        )
        if "excluded" in table:
            table.loc[table["path"].isin(gone), ["excluded", "split"]] = True, None
        else:
            table = table[~table["path"].isin(gone)]
        table.to_parquet(file, index=False)
    return a, b


@pytest.mark.parametrize("turned", [False, True])
def test_versions_of_one_division_are_compared_by_the_later_labels(versions: tuple[Run, Run], turned: bool) -> None:
    a, b = versions[::-1] if turned else versions
    found = pair_runs(a, b)
    assert found.is_possible and found.tested == "b"
    later = pd.read_parquet(versions[1].folder / PREDICTIONS)
    later = later[later["split"] == "test"].sort_values("path")
    assert (
        found.rows["path"].tolist() == later["path"].tolist()
        and found.rows["label"].tolist() == later["label"].tolist()
    )
    assert f"Compared on the {len(later)} test images both have: 1 test image relabelled" in found.note
    assert "2 test images left out, as only one of the runs had them." in found.note
    assert compare(found.rows).difference == 0, "it is the same model"


def test_a_test_image_the_other_has_learned_from_ends_that(versions: tuple[Run, Run]) -> None:
    a, b = versions
    manifest = b.manifest()
    manifest.loc[manifest["excluded"], "split"] = "val"
    manifest.to_parquet(b.folder / MANIFEST, index=False)
    assert not pair_runs(a, b).is_possible and "2 in the first alone" in pair_runs(a, b).why_not
