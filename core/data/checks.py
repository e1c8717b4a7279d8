"""The quality checks: what each is called, means for training, and the score below which an image is flagged.

Also the versions of how images are measured and scored: a manifest made by another one is brought up to date.
"""

from __future__ import annotations

from typing import NamedTuple

MEASURES_VERSION = 3  # goes up when `core.data.quality` measures otherwise: all files are then read again
SCORES_VERSION = 3  # goes up when `core.data.scores` or `duplicates` judge otherwise: then nothing is answered unread


class Check(NamedTuple):
    """One way an image can be wrong. Its score is 0..1: 1 is fine, 0 the worst.

    Attributes:
        name: of the columns `<name>_score` and `is_<name>`.
        title: what it is called on a page.
        meaning: what it means for training, in one sentence.
        threshold: an image is flagged where its score is below this.
    """

    name: str
    title: str
    meaning: str
    threshold: float


CHECKS: tuple[Check, ...] = (
    Check("dark", "Dark", "Little can be seen in it; the network learns noise.", 0.5),
    Check("bright", "Bright", "Washed out; what tells the classes apart may be gone.", 0.5),
    Check("blurry", "Blurry", "Edges are lost; fine differences cannot be learned from it.", 0.5),
    Check("low_information", "Low information", "Nearly one flat colour: nothing to learn from.", 0.5),
    Check("odd_size", "Odd size", "Much larger or smaller than the others; resizing changes it differently.", 0.5),
    Check("odd_aspect_ratio", "Odd aspect ratio", "Very wide or tall; made square it is bent or cut.", 0.5),
    Check("grey", "Grey among colour", "Colour may become a shortcut if one class has more grey images.", 0.5),
    Check("exact_duplicate", "Exact duplicate", "The same bytes twice count twice, and leak between splits.", 0.5),
    Check("near_duplicate", "Near duplicate", "Nearly the same picture: leaks between splits raise the score.", 0.5),
    Check("label_conflict", "Two labels", "The same image under two labels: one of them is wrong.", 0.5),
)
