"""What a trained model says about every held-out image, as one table with one row an image."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.errors import DarkroomError, ImageReadError, InputError
from core.files import write_bytes
from core.preprocess import PreprocessSpec, read_pixels

PREDICTIONS = "predictions.parquet"
COLUMNS = ("path", "split", "label", "predicted", "confidence", "loss")
FAMILIARITY = ("energy", "distance")  # lower means more like the training images; not every run has them
PROBABILITY_FLOOR = 1e-12  # keeps -ln p finite: no single loss exceeds 27.63
SUREST = "Confidence, highest first"
# In what order mistakes are shown: a column, and whether from the lowest up.
ORDERS = {
    SUREST: ("confidence", False),
    "Confidence, lowest first": ("confidence", True),
    "Loss, highest first": ("loss", False),
}

_PREFIX = "p:"
_COLUMNS_AT_ONCE = 64
_DECODERS = 2
_BATCHES_AHEAD = 2  # decoded before the model asks: enough to keep it busy, little enough to stay small in memory


class Predictor(Protocol):
    """What `predict_manifest` needs of a classifier."""

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def spec(self) -> PreprocessSpec: ...

    def logits(self, pixels: np.ndarray, /) -> np.ndarray:
        """uint8 (N, size, size, 3) -> scores before softmax, float (N, number of classes)."""


def probability_column(name: str) -> str:
    """The column that holds a class's probability; the prefix keeps a class named `path` apart from the path."""
    return f"{_PREFIX}{name}"


def predict_manifest(
    classifier: Predictor,
    root: Path,
    frame: pd.DataFrame,
    splits: Sequence[str] = ("val", "test"),
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    batch_size: int = 32,
    known: Mapping[str, np.ndarray] | None = None,
) -> tuple[pd.DataFrame, list[tuple[str, str]]] | None:
    """Classify the manifest's images of the given splits; decoding runs beside the model.

    Args:
        root: the folder that the manifest's paths start from.
        frame: manifest rows with at least `path`, `label` and `split`; rows with an `error` are not tried again.
        on_progress: called after every batch with images done and images in all.
        should_stop: asked before every batch.
        known: logits that this classifier gives, by path; those images are not read again.

    Returns:
        None where `should_stop` said so: half an evaluation must not be taken for a whole one. Otherwise
        the table, in the manifest's order, with the columns path, split, label, predicted, confidence (the
        predicted class's probability, 0..1), loss (-ln of the label's probability, in nats, that probability
        taken as at least `PROBABILITY_FLOOR`), energy (float32, -ln of the sum of exp(logits): lower is more
        familiar) and one column `p:<class>` a class, float32, the softmax of the logits as they are, no
        temperature applied; and the images that could not be read, as (path, reason). What is a figure of the
        probabilities is worked out from the float32 ones, so that it can be worked out again from the table.

    Raises:
        InputError: labels that the classifier does not know.
        DarkroomError: the classifier answers with something other than finite numbers.
    """
    rows = frame[frame["split"].isin(list(splits))]
    classes = list(classifier.classes)
    _require_known(rows["label"], classes)
    readable, skipped = _set_errors_aside(rows)
    found = {path: known[path] for path in readable["path"] if path in known} if known else {}
    paths = [path for path in readable["path"] if path not in found]
    done = 0
    for results in _decode_ahead([root / path for path in paths], classifier.spec, batch_size):
        if should_stop is not None and should_stop():
            return None
        batch = paths[done : done + len(results)]
        skipped += [(path, r.message) for path, r in zip(batch, results, strict=True) if isinstance(r, ImageReadError)]
        good = [(path, r) for path, r in zip(batch, results, strict=True) if not isinstance(r, ImageReadError)]
        if good:
            answers = _checked_logits(classifier, np.stack([pixels for _, pixels in good]), len(classes))
            found |= {path: row for (path, _), row in zip(good, answers, strict=True)}
        done += len(results)
        if on_progress is not None:
            on_progress(done, len(paths))
    kept = readable[readable["path"].isin(found.keys())]
    logits = np.array([found[path] for path in kept["path"]]).reshape(len(kept), len(classes))
    return prediction_table(kept, logits, classes), skipped


def prediction_table(rows: pd.DataFrame, logits: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """The table of `predict_manifest` from the model's scores.

    Args:
        rows: path, split, label of each image; labels are among `classes`.
        logits: scores before softmax, finite, (N, C).
    """
    exact = logits.astype(np.float64)
    highest = exact.max(axis=1, keepdims=True) if exact.size else np.zeros((len(exact), 1))
    spread = np.exp(exact - highest)
    total = spread.sum(axis=1, keepdims=True)
    probabilities = (spread / total).astype(np.float32)
    order, column_of = np.arange(len(rows)), pd.Index(list(classes))
    of_label = probabilities[order, column_of.get_indexer(rows["label"])].astype(np.float64)
    best = exact.argmax(axis=1) if len(rows) else np.empty(0, int)
    answers = rows[["path", "split", "label"]].astype(str).reset_index(drop=True)
    answers["predicted"] = column_of.astype(str)[best]
    answers["confidence"] = probabilities[order, best].astype(np.float64)
    answers["loss"] = -np.log(np.maximum(of_label, PROBABILITY_FLOOR))
    answers["energy"] = -(highest + np.log(total))[:, 0].astype(np.float32)
    columns = [probability_column(name) for name in classes]
    return pd.concat([answers, pd.DataFrame(probabilities, columns=columns)], axis=1)


def write_predictions(run_folder: Path, frame: pd.DataFrame) -> None:
    """Keep the table as the run's `predictions.parquet`, replacing an earlier one in one step."""
    # A dictionary of a column of probabilities, all different, is larger than the column and slow to make.
    texts = [name for name in ("split", "label", "predicted") if name in frame.columns]
    data = frame.to_parquet(index=False, use_dictionary=texts, write_statistics=False)
    write_bytes(run_folder / PREDICTIONS, data)


def read_predictions(run_folder: Path) -> pd.DataFrame | None:
    """The run's table without the classes' probabilities, or None where it was not evaluated yet.

    Those are a column a class: of 1,000 classes half a gigabyte for 60,000 images.

    Raises:
        DarkroomError: the file is damaged.
    """
    path = run_folder / PREDICTIONS
    try:
        return pd.read_parquet(path, columns=_plain_columns(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # pyarrow's own errors are among these two
        raise DarkroomError(f"{path} is damaged ({error}).", "Evaluate the run again.") from error


def read_probabilities(
    run_folder: Path, split: str | None = "test", classes: Sequence[str] | None = None
) -> tuple[pd.DataFrame, np.ndarray] | None:
    """The rows of a split (None: of all), and what the model thought of every class; None where there is no table.

    Args:
        classes: only the columns of these, in this order: of 1,000 classes all are hundreds of megabytes.

    Returns:
        The table as `read_predictions` gives it, numbered from 0, and the softmax of the logits without a
        temperature, float64 (N, C), in the order of the run's classes.

    Raises:
        DarkroomError: the file is damaged.
    """
    frame = read_predictions(run_folder)
    if frame is None:
        return None
    path = run_folder / PREDICTIONS
    wanted = np.ones(len(frame), bool) if split is None else (frame["split"] == split).to_numpy()
    try:
        names = _class_columns(path)
        if classes is not None:
            names = [probability_column(name) for name in classes]
        matrix = np.empty((int(wanted.sum()), len(names)))
        for start in range(0, len(names), _COLUMNS_AT_ONCE):  # never a second copy of all of them in memory
            some = names[start : start + _COLUMNS_AT_ONCE]
            for place, column in enumerate(pq.read_table(path, columns=some).columns, start):
                matrix[:, place] = column.to_numpy()[wanted]
    except (OSError, ValueError) as error:
        raise DarkroomError(f"{path} is damaged ({error}).", "Evaluate the run again.") from error
    return frame[wanted].reset_index(drop=True), matrix


def class_names(run_folder: Path) -> list[str]:
    """The classes that the run's table has probabilities of, in their order."""
    return [name.removeprefix(_PREFIX) for name in _class_columns(run_folder / PREDICTIONS)]


def _class_columns(path: Path) -> list[str]:
    return [name for name in pq.read_schema(path).names if name.startswith(_PREFIX)]


def probabilities_of(predictions: pd.DataFrame) -> np.ndarray:
    """The `p:<class>` columns of a table still in memory, float64 (N, C); C is 0 where it has none."""
    names = [name for name in predictions.columns if name.startswith(_PREFIX)]
    return predictions[names].to_numpy(np.float64)


def plain(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table without the classes' probabilities, as `read_predictions` gives it."""
    return predictions[[name for name in (*COLUMNS, *FAMILIARITY) if name in predictions.columns]]


def _plain_columns(path: Path) -> list[str]:
    """All but the classes' probabilities."""
    there = pq.read_schema(path).names
    missing = [name for name in COLUMNS if name not in there]
    if missing:
        raise DarkroomError(f"{path} lacks the columns {', '.join(missing)}.", "Evaluate the run again.")
    return [*COLUMNS, *(name for name in FAMILIARITY if name in there)]


def mistakes(
    frame: pd.DataFrame,
    split: str = "test",
    limit: int | None = None,
    order: str = SUREST,
    label: str | None = None,
    predicted: str | None = None,
) -> pd.DataFrame:
    """The wrongly classified images of a split.

    Args:
        order: one of `ORDERS`.
        label, predicted: only those of this class, and only those taken for this one.
    """
    chosen = (frame["split"] == split) & (frame["label"] != frame["predicted"])
    for column, name in (("label", label), ("predicted", predicted)):
        if name is not None:
            chosen &= frame[column] == name
    column, ascending = ORDERS[order]
    wrong = frame[chosen].sort_values([column, "path"], ascending=[ascending, True]).reset_index(drop=True)
    return wrong.head(len(wrong) if limit is None else limit)


def cell(frame: pd.DataFrame, label: str, predicted: str, split: str = "test") -> pd.DataFrame:
    """The images behind one cell of the confusion matrix, the most confident first."""
    chosen = (frame["split"] == split) & (frame["label"] == label) & (frame["predicted"] == predicted)
    return _most_confident_first(frame[chosen])


def _most_confident_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["confidence", "path"], ascending=[False, True]).reset_index(drop=True)


def _require_known(labels: pd.Series, classes: list[str]) -> None:
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        named = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
        raise InputError(
            f"The images have labels that this model was not trained on: {named}.",
            f"Leave them out or train a new model. It knows: {', '.join(classes[:10])}"
            + (f" and {len(classes) - 10} more." if len(classes) > 10 else "."),
        )


def _set_errors_aside(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    if "error" not in rows.columns:
        return rows, []
    bad = rows["error"].notna()
    return rows[~bad], list(zip(rows.loc[bad, "path"], rows.loc[bad, "error"], strict=True))


def _decode_ahead(
    paths: list[Path], spec: PreprocessSpec, batch_size: int
) -> Iterator[list[np.ndarray | ImageReadError]]:
    """Batches in order, each decoded by the pool while the caller works on those before it."""
    pool = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
    waiting: deque[list[Future[np.ndarray | ImageReadError]]] = deque()
    try:
        for start in range(0, len(paths), batch_size):
            waiting.append([pool.submit(_pixels_or_error, path, spec) for path in paths[start : start + batch_size]])
            if len(waiting) > _BATCHES_AHEAD:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def _pixels_or_error(path: Path, spec: PreprocessSpec) -> np.ndarray | ImageReadError:
    try:
        return read_pixels(path, spec)
    except ImageReadError as error:
        return error


def _checked_logits(classifier: Predictor, pixels_NHWC: np.ndarray, num_classes: int) -> np.ndarray:
    logits = np.asarray(classifier.logits(pixels_NHWC))
    assert logits.shape == (len(pixels_NHWC), num_classes), logits.shape
    if not np.isfinite(logits).all():
        raise DarkroomError(
            "The model answers with values that are not numbers: its training diverged.",
            "Train again with a smaller optim.learning_rate.",
        )
    return logits
