"""Which test images two runs share: only on the same ones can they be compared image by image."""

from __future__ import annotations

import pandas as pd

from core.errors import DarkroomError
from core.evaluation.predictions import read_predictions
from core.runs.store import MANIFEST, Run
from core.wording import count

COLUMNS = ["path", "content_hash", "label", "predicted", "confidence"]


def answers_of(run: Run) -> pd.DataFrame | None:
    """What the run answered for each of its test images, by path: see `COLUMNS`. None where it was not evaluated.

    Raises:
        DarkroomError: its predictions or manifest are damaged.
    """
    rows = read_predictions(run.folder)
    return None if rows is None else with_hashes(rows[rows["split"] == "test"], run)


def with_hashes(predictions: pd.DataFrame, tested: Run) -> pd.DataFrame:
    """Predictions with the hash of each image's content, from the manifest of the run whose images they are."""
    try:
        hashes = pd.read_parquet(tested.folder / MANIFEST, columns=["path", "content_hash"])
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are ValueErrors
        raise DarkroomError(f"The manifest of run {tested.id} cannot be read ({error}).") from error
    known = hashes.drop_duplicates("path").set_index("path")["content_hash"]
    found = predictions.assign(content_hash=known.reindex(predictions["path"]).to_numpy())
    return found[COLUMNS].sort_values("path", ignore_index=True)


def why_not_the_same(a: pd.DataFrame, b: pd.DataFrame) -> str:
    """Why two runs' answers are not about the same test images, to stand after a colon; empty where they are.

    The same image has the same path, content and label in both.
    """
    both = a.merge(b, on="path", suffixes=("_a", "_b"))
    other_content = int((both["content_hash_a"] != both["content_hash_b"]).sum())
    other_label = int((both["label_a"] != both["label_b"]).sum())
    only_a, only_b = len(a) - len(both), len(b) - len(both)
    if not (only_a or only_b or other_content or other_label):
        return "" if len(both) else "neither run has test images."
    if only_a or only_b:
        return (
            f"they were tested on different images, {count(len(both))} of them in both test sets, {count(only_a)} in "
            f"the first alone and {count(only_b)} in the second alone."
        )
    if other_content:
        return f"{count(other_content, 'test image')} changed between the tests: same name, other content."
    return f"{count(other_label, 'test image')} had another label when the second was tested."


def pair_up(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The images both were tested on, by path: path, content_hash, label, and predicted and confidence of _a and _b."""
    return a.merge(b, on=["path", "content_hash", "label"], suffixes=("_a", "_b"))
