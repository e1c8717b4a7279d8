"""What a run's answers tell of its images: leaks, wrong labels, classes with too few images.

As in `pace_signs`, each sign is asked for by an interval or a test at 99 % and is silent where that is not enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.config import SplitConfig
from core.data.leaks import affected_test_images
from core.evaluation.remarks import Remark, Share, lead
from core.evaluation.slices import fisher_exact, holm
from core.wording import count, percent

LEAKED = 0.01  # share of test images with company elsewhere that is worth mentioning whatever it does to the score
NOISE = 0.02  # of labels; datasets that are taken care of have some (Northcutt, Athalye and Mueller 2021: 3 %)
MOST_NOISE = 1 / 3  # of the surest answers wrong: more, and the network may simply know nothing
FEWEST_WRONG = 5  # of the surest answers; Wilson's interval is too sure of two in fifteen
EVEN = 1 / 2  # wrong answers among the surest half, as a share of those among all: doubt hardly explains them
CHANCE = 0.01  # p-value
FEW, FEW_SHARE = 30, 1 / 3  # training images of a class, and of those of the class in the middle
_MOST_NAMED = 5
_LOOK = "Look at Evaluate, Mistakes, the most confident first, and correct or exclude what is wrong"


def leak(
    predictions: pd.DataFrame, manifest: pd.DataFrame, config: SplitConfig, leaks: dict[str, Any]
) -> Remark | None:
    """Copies, or images of one group, on both sides of the split.

    Args:
        leaks: what was counted when the images were divided, see `core.data.leaks.Leaks`.
    """
    if not leaks.get("num_test_affected"):
        return None
    test = predictions[predictions["split"] == "test"]
    affected = test["path"].isin(affected_test_images(manifest, config)).to_numpy()
    right = (test["label"] == test["predicted"]).to_numpy()
    known, others = _share(right[affected]), _share(right[~affected])
    is_flattering = lead(known, others)[0] > 0
    if known.total < LEAKED * len(test) and not is_flattering:
        return None
    compared = f": of them {known.shown()} are answered rightly, of all others {others.shown()}" if others.total else ""
    verb = "has" if known.total == 1 else "have"
    return Remark(
        "leak",
        "Leak between the splits",
        f"{count(known.total, 'test image')} of {count(len(test))} ({percent(known.total / len(test))}) {verb} a copy, "
        f"a near copy or another of its group in training or validation{compared}. The test score flatters.",
        "Train again with split.keep_together = near, or take the copies out in Explore, and trust that score.",
        {"affected": known.total, "test": len(test), "accuracy": known.value, "others": others.value},
    )


def suspicious_test(predictions: pd.DataFrame) -> Remark | None:
    """Test and validation images answered differently well, beyond chance: they should be of one kind."""
    test, val = (_right(predictions[predictions["split"] == name]) for name in ("test", "val"))
    above, below = lead(test, val)[0] > 0, lead(val, test)[0] > 0
    if not (test.total and val.total and (above or below)):
        return None
    words = f"Test accuracy is {test.shown()}, validation accuracy {val.shown()}."
    figures: dict[str, float | int | str] = {"test": test.value, "val": val.value}
    if above:
        return Remark(
            "suspicious_test",
            "Test images suspiciously easy",
            f"{words} As validation chose the epoch, it should be the other way round, if anything.",
            "Look for test images that stand among the training images, changed perhaps so that they do not count as "
            "copies (Explore, similar images), and whether both splits are of one source.",
            figures,
        )
    return Remark(
        "suspicious_test",
        "Test images are harder",
        f"{words} That is more than chance and choosing the epoch would do.",
        "Look whether the test images are of another kind or source (Evaluate, Where it is worse), or whether "
        "validation images are copies of training images.",
        figures,
    )


def label_noise(predictions: pd.DataFrame) -> Remark | None:
    """Surest answers that are as often wrong as the others.

    A network's own mistakes are found where it is unsure. Wrong labels are spread over sure and unsure answers alike:
    whatever its confidence, the label says something else. Asked are validation and test images, which it has not
    learned from.
    """
    ordered = predictions.sort_values(["confidence", "path"], ascending=[False, True])
    wrong = (ordered["label"] != ordered["predicted"]).to_numpy()
    quarter, half = len(wrong) // 4, len(wrong) // 2
    sure, unsure = _share(wrong[:half]), _share(wrong[half:])
    if sure.hits < FEWEST_WRONG:
        return None
    first, second = _share(wrong[:quarter]), _share(wrong[quarter:half])
    rises = second.value > first.value and _fisher(first, second) < 0.05  # then doubt does explain some
    if sure.ends()[0] < NOISE or sure.value > MOST_NOISE or sure.value < EVEN * wrong.mean() or rises:
        return None
    return Remark(
        "label_noise",
        "Wrong labels",
        f"Of the {count(half)} held-out images it is surest of, {sure.shown()} carry another label; of the others "
        f"{unsure.shown()} do. Mistakes of its own would nearly all be among its unsure answers.",
        f"{_LOOK}; or let Explore analyse the images for label issues. About one label in "
        f"{max(2, round(1 / sure.value))} is wrong.",
        {"wrong": sure.hits, "surest": half, "share": sure.value, "low": sure.ends()[0], "high": sure.ends()[1]},
    )


def few_images(predictions: pd.DataFrame, manifest: pd.DataFrame, classes: Sequence[str]) -> Remark | None:
    """Classes with few training images that are found less often than the other classes, beyond chance."""
    trained = manifest.loc[manifest["split"] == "train", "label"].value_counts().reindex(list(classes), fill_value=0)
    limit = max(FEW, FEW_SHARE * float(np.median(trained)))
    right = predictions["label"] == predictions["predicted"]
    of_class = right.groupby(predictions["label"]).agg(["sum", "count"]).reindex(list(classes), fill_value=0)
    everything = _share(right.to_numpy())
    asked = []
    for name in trained.index[(trained < limit).to_numpy()]:
        recall = Share(*(int(number) for number in of_class.loc[name]))
        others = Share(everything.hits - recall.hits, everything.total - recall.total)
        if recall.total and others.total:
            p = _fisher(recall, others) if recall.value < others.value else 1.0
            asked.append((str(name), recall, others, p))
    certain = [
        (name, recall, others)
        for (name, recall, others, _), p in zip(asked, holm([row[-1] for row in asked]), strict=True)
        if p < CHANCE
    ]
    if not certain:
        return None
    certain.sort(key=lambda row: row[1].value)
    named = [
        f"'{name}' has {count(int(trained[name]), 'training image')} and {recall.shown()} of its held-out images are "
        f"found, of the other classes' {percent(others.value)}"
        for name, recall, others in certain[:_MOST_NAMED]
    ]
    more = f"; and {count(len(certain) - _MOST_NAMED)} more" if len(certain) > _MOST_NAMED else ""
    worst, recall, others = certain[0]
    return Remark(
        "few_images",
        "Too few images in a class" if len(certain) == 1 else f"Too few images in {len(certain)} classes",
        f"{'; '.join(named)}{more}.",
        "Add images of it. Until then optim.sampler = balanced or optim.class_weights = balanced may help, and "
        "augmentation.",
        {"classes": len(certain), "worst": worst, "images": int(trained[worst]), "recall": recall.value}
        | {"others": others.value},
    )


def _share(flags: np.ndarray) -> Share:
    return Share(int(flags.sum()), len(flags))


def _right(rows: pd.DataFrame) -> Share:
    return _share((rows["label"] == rows["predicted"]).to_numpy())


def _fisher(a: Share, b: Share) -> float:
    return fisher_exact(a.hits, a.total - a.hits, b.hits, b.total - b.hits)
