"""Predictions over real image files, by a classifier simple enough to work out by hand."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.errors import DarkroomError, InputError
from core.evaluation.predictions import (
    COLUMNS,
    PREDICTIONS,
    PROBABILITY_FLOOR,
    cell,
    mistakes,
    predict_manifest,
    probabilities_of,
    probability_column,
    read_predictions,
    read_probabilities,
    write_predictions,
)
from core.preprocess import PreprocessSpec

SPEC = PreprocessSpec(8, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass
class Brightness:
    """Answers the second class with a probability equal to the mean grey value, 0..1."""

    classes: list[str]
    spec: PreprocessSpec = SPEC
    batch_sizes: list[int] = field(default_factory=list)
    answer: Callable[[np.ndarray], np.ndarray] | None = None

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (8, 8, 3)
        self.batch_sizes.append(len(pixels))
        if self.answer is not None:
            return self.answer(pixels)
        bright = pixels.mean(axis=(1, 2, 3)) / 255
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(np.column_stack([1 - bright, bright])), -1000)  # the softmax of which they are


def write_images(root: Path, rows: list[tuple[str, int, str, str | None]]) -> pd.DataFrame:
    """Files of one grey value each (name, grey, label, split), and their manifest."""
    for name, grey, _, _ in rows:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 10), grey).save(root / name)
    frame = pd.DataFrame(rows, columns=["path", "grey", "label", "split"])
    return frame.drop(columns="grey").assign(error=None)


@pytest.fixture
def manifest(tmp_path: Path) -> pd.DataFrame:
    return write_images(
        tmp_path,
        [
            ("night/a.png", 51, "night", "test"),  # bright 0.2: right
            ("day/b.png", 204, "day", "test"),  # bright 0.8: right
            ("day/c.png", 0, "day", "test"),  # bright 0.0: wrong, entirely sure
            ("night/d.png", 153, "night", "test"),  # bright 0.6: wrong
            ("day/e.png", 255, "day", "val"),
            ("day/f.png", 255, "day", "train"),
        ],
    )


def predict(classifier: Brightness, root: Path, frame: pd.DataFrame, **options: object) -> pd.DataFrame:
    result = predict_manifest(classifier, root, frame, **options)
    assert result is not None
    table, skipped = result
    assert skipped == []
    return table


def test_one_row_an_image_of_the_splits_asked_for(tmp_path: Path, manifest: pd.DataFrame) -> None:
    table = predict(Brightness(["night", "day"]), tmp_path, manifest)
    assert table.columns.tolist() == [*COLUMNS, "energy", "p:night", "p:day"]
    assert table["path"].tolist() == ["night/a.png", "day/b.png", "day/c.png", "night/d.png", "day/e.png"]
    assert table["predicted"].tolist() == ["night", "day", "night", "day", "day"]
    assert table["confidence"].tolist() == pytest.approx([0.8, 0.8, 1.0, 0.6, 1.0])
    assert table["p:day"].tolist() == pytest.approx([0.2, 0.8, 0.0, 0.6, 1.0])
    assert predict(Brightness(["night", "day"]), tmp_path, manifest, splits=("val",))["split"].tolist() == ["val"]


def test_what_is_known_is_not_read_again(tmp_path: Path, manifest: pd.DataFrame) -> None:
    (tmp_path / "day/b.png").unlink()
    classifier = Brightness(["night", "day"])
    known = {"day/b.png": np.array([0, np.log(3)]), "day/e.png": np.array([2, 2 + np.log(9)]), "other.png": np.zeros(2)}
    table = predict(classifier, tmp_path, manifest, known=known)
    assert table["path"].tolist() == ["night/a.png", "day/b.png", "day/c.png", "night/d.png", "day/e.png"]
    assert table["p:day"].tolist() == pytest.approx([0.2, 0.75, 0.0, 0.6, 0.9])
    assert sum(classifier.batch_sizes) == 3
    assert table["energy"].tolist()[1::3] == pytest.approx([-math.log(1 + 3), -math.log(math.exp(2) * 10)])


def test_loss_is_minus_log_of_the_labels_probability_and_finite(tmp_path: Path, manifest: pd.DataFrame) -> None:
    loss = predict(Brightness(["night", "day"]), tmp_path, manifest)["loss"].tolist()
    assert loss[:2] == pytest.approx([-math.log(0.8), -math.log(0.8)])
    assert loss[2] == pytest.approx(-math.log(PROBABILITY_FLOOR))  # probability 0 for its own label
    assert loss[4] == 0


def test_classes_may_be_named_like_columns_or_like_each_other(tmp_path: Path) -> None:
    frame = write_images(tmp_path, [("x.png", 0, "path", "test"), ("y.png", 255, "p:path", "test")])
    table = predict(Brightness(["path", "p:path"]), tmp_path, frame)
    assert table["path"].tolist() == ["x.png", "y.png"]
    assert table[probability_column("path")].tolist() == [1.0, 0.0]
    assert table[probability_column("p:path")].tolist() == [0.0, 1.0]
    write_predictions(tmp_path, table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / PREDICTIONS), table)
    pd.testing.assert_frame_equal(read_predictions(tmp_path), table[[*COLUMNS, "energy"]])  # what pages need of it


def test_order_and_answers_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    rows = [(f"{i:02}.png", 9 * i, "night", "test") for i in range(23)]
    frame = write_images(tmp_path, rows)
    small, large = Brightness(["night", "day"]), Brightness(["night", "day"])
    pd.testing.assert_frame_equal(
        predict(small, tmp_path, frame, batch_size=4), predict(large, tmp_path, frame, batch_size=32)
    )
    assert small.batch_sizes == [4, 4, 4, 4, 4, 3] and large.batch_sizes == [23]


def test_files_that_cannot_be_read_are_listed_and_the_others_predicted(tmp_path: Path, manifest: pd.DataFrame) -> None:
    (tmp_path / "day/b.png").write_bytes(b"not an image")
    (tmp_path / "day/e.png").unlink()
    manifest.loc[manifest["path"] == "night/a.png", "error"] = "Cut short."
    result = predict_manifest(Brightness(["night", "day"]), tmp_path, manifest, batch_size=2)
    assert result is not None
    table, skipped = result
    assert table["path"].tolist() == ["day/c.png", "night/d.png"]
    assert table["confidence"].tolist() == pytest.approx([1.0, 0.6])
    assert skipped[0] == ("night/a.png", "Cut short.")
    assert [path for path, _ in skipped] == ["night/a.png", "day/b.png", "day/e.png"]
    assert "Not an image" in skipped[1][1] and "no longer there" in skipped[2][1]


def test_nothing_to_predict_gives_an_empty_table_that_can_be_stored(tmp_path: Path, manifest: pd.DataFrame) -> None:
    table = predict(Brightness(["night", "day"]), tmp_path, manifest, splits=("holdout",))
    assert len(table) == 0 and table.columns.tolist() == [*COLUMNS, "energy", "p:night", "p:day"]
    write_predictions(tmp_path, table)
    stored = read_predictions(tmp_path)
    assert stored is not None and len(mistakes(stored)) == 0


def test_labels_the_model_does_not_know_are_named(tmp_path: Path, manifest: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="not trained on: night") as caught:
        predict_manifest(Brightness(["dusk", "day"]), tmp_path, manifest)
    assert "dusk, day" in caught.value.fix


def test_unknown_labels_outside_the_splits_asked_for_do_not_matter(tmp_path: Path, manifest: pd.DataFrame) -> None:
    manifest.loc[manifest["split"] == "train", "label"] = "wolf"
    assert len(predict(Brightness(["night", "day"]), tmp_path, manifest)) == 5


def test_a_diverged_model_is_a_clear_failure(tmp_path: Path, manifest: pd.DataFrame) -> None:
    broken = Brightness(["night", "day"], answer=lambda pixels: np.full((len(pixels), 2), np.nan))
    with pytest.raises(DarkroomError, match="diverged"):
        predict_manifest(broken, tmp_path, manifest)


def test_progress_reaches_the_total_unreadable_files_included(tmp_path: Path, manifest: pd.DataFrame) -> None:
    (tmp_path / "day/e.png").unlink()
    seen: list[tuple[int, int]] = []
    predict_manifest(
        Brightness(["night", "day"]), tmp_path, manifest, on_progress=lambda *at: seen.append(at), batch_size=2
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_stopping_gives_nothing_and_leaves_no_thread(tmp_path: Path, manifest: pd.DataFrame) -> None:
    classifier = Brightness(["night", "day"])
    result = predict_manifest(
        classifier, tmp_path, manifest, should_stop=lambda: len(classifier.batch_sizes) == 2, batch_size=1
    )
    assert result is None
    assert classifier.batch_sizes == [1, 1]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_decoding_stays_a_few_batches_ahead(tmp_path: Path) -> None:
    """Files beyond the look-ahead are deleted while the model works on the first: they must be found missing."""
    frame = write_images(tmp_path, [(f"{i:02}.png", 9, "night", "test") for i in range(20)])

    def delete_the_rest(pixels: np.ndarray) -> np.ndarray:
        for i in range(10, 20):
            (tmp_path / f"{i:02}.png").unlink(missing_ok=True)
        return np.full((len(pixels), 2), 0.5)

    result = predict_manifest(Brightness(["night", "day"], answer=delete_the_rest), tmp_path, frame, batch_size=2)
    assert result is not None
    assert [path for path, _ in result[1]] == [f"{i:02}.png" for i in range(10, 20)]


def test_mistakes_come_most_confident_first(tmp_path: Path, manifest: pd.DataFrame) -> None:
    table = predict(Brightness(["night", "day"]), tmp_path, manifest)
    assert mistakes(table)["path"].tolist() == ["day/c.png", "night/d.png"]
    assert mistakes(table, limit=1)["path"].tolist() == ["day/c.png"]
    assert mistakes(table, split="val").empty


def test_a_cell_is_the_images_of_one_label_and_one_answer(tmp_path: Path, manifest: pd.DataFrame) -> None:
    table = predict(Brightness(["night", "day"]), tmp_path, manifest)
    assert cell(table, "day", "night")["path"].tolist() == ["day/c.png"]
    assert cell(table, "day", "day")["path"].tolist() == ["day/b.png"]
    assert cell(table, "day", "day", split="val")["path"].tolist() == ["day/e.png"]
    assert cell(table, "night", "night", split="val").empty


def test_a_missing_table_is_none_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    assert read_predictions(tmp_path) is None
    (tmp_path / PREDICTIONS).write_bytes(b"PAR1 but not really")
    with pytest.raises(DarkroomError, match="damaged"):
        read_predictions(tmp_path)
    pd.DataFrame({"path": ["a"]}).to_parquet(tmp_path / PREDICTIONS)
    with pytest.raises(DarkroomError, match="lacks the columns split, label"):
        read_predictions(tmp_path)


def test_probabilities_are_read_by_split_in_the_order_of_the_classes(tmp_path: Path, manifest: pd.DataFrame) -> None:
    assert read_probabilities(tmp_path) is None
    table = predict(Brightness(["night", "day"]), tmp_path, manifest)
    write_predictions(tmp_path, table)
    for split, rows in (("test", slice(0, 4)), ("val", slice(4, 5)), (None, slice(None))):
        read = read_probabilities(tmp_path, split)
        assert read is not None
        frame, matrix = read
        assert frame["path"].tolist() == table["path"][rows].tolist() and frame.index.tolist() == list(
            range(len(frame))
        )
        assert matrix.dtype == np.float64 and np.array_equal(matrix, probabilities_of(table)[rows])
    assert matrix[:, 1] == pytest.approx([0.2, 0.8, 0.0, 0.6, 1.0])


def test_the_table_repeats_itself_from_what_is_stored(tmp_path: Path, manifest: pd.DataFrame) -> None:
    """Confidence and loss are those of the stored float32 probabilities, to the last bit."""
    write_predictions(tmp_path, predict(Brightness(["night", "day"]), tmp_path, manifest))
    read = read_probabilities(tmp_path, None)
    assert read is not None
    frame, matrix = read
    assert np.array_equal(frame["confidence"], matrix.max(axis=1))
    of_label = matrix[np.arange(len(frame)), (frame["label"] == "day").astype(int)]
    assert np.array_equal(frame["loss"], -np.log(np.maximum(of_label, PROBABILITY_FLOOR)))


def test_a_run_of_before_energies_is_still_read(tmp_path: Path, manifest: pd.DataFrame) -> None:
    table = predict(Brightness(["night", "day"]), tmp_path, manifest).drop(columns="energy")
    write_predictions(tmp_path, table)
    old = read_predictions(tmp_path)
    assert old is not None and old.columns.tolist() == list(COLUMNS)
