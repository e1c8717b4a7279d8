"""The shape all networks share: a backbone that turns images into features and a head that turns those into logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from core.preprocess import Interpolation
from core.training.models.stages import Stage, divide

Triple = tuple[float, float, float]
By = Literal["channels", "weights"]
HALF: Triple = (0.5, 0.5, 0.5)
_LISTED = 6  # names in a sentence; all are in the run's weights.json


@dataclass(frozen=True)
class Loaded:
    """What starting weights filled, tensor by tensor; names are those of `Network.state_dict()`.

    Attributes:
        source: where the weights came from, in words.
        matched: how many tensors of the network were filled.
        missing: tensors of the network the source did not hold; they start anew.
        unexpected: tensors of the source the network has no place for, by the source's own names.
        mismatched: tensors of both that differ in shape, each with both shapes; they start anew.
    """

    source: str
    matched: int
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """How many of the network's tensors were filled, and which were not."""
        total = self.matched + len(self.missing) + len(self.mismatched)
        told = [f"{self.matched} of {total} tensors of the network start from {self.source}."]
        if self.missing:
            told.append(f"Not in it, so they start anew: {_few(self.missing)}.")
        if self.mismatched:
            told.append(f"Of another size, so they start anew: {_few(self.mismatched)}.")
        if self.unexpected:
            told.append(f"In it but not used: {_few(self.unexpected)}.")
        return " ".join(told)


@dataclass(frozen=True)
class Scaling:
    """What the weights of a backbone expect of an image: mean and std of pixels in 0..1, and the resampling filter."""

    mean: Triple = HALF
    std: Triple = HALF
    interpolation: Interpolation = "bilinear"


@dataclass(frozen=True)
class Backbone:
    """Images float32 (N, 3, H, W) -> features (N, num_features).

    Attributes:
        classifier: the name, in the published network, of the last layer, which the head stands for; empty without one.
    """

    module: nn.Module
    num_features: int
    classifier: str = ""


@dataclass(frozen=True)
class Architecture:
    """How to build a backbone and what is published for it.

    Attributes:
        build: from the side of the images in pixels; raises `InputError` where the backbone cannot take that.
        scaling: what its published weights expect of an image.
        load_published: fills a backbone built for images of that size; None where nothing is published. Raises
            `InputError` where the weights cannot be had; never leaves random ones in silence.
        note: what the user should know of the published weights before training, found without the network:
            that they are not on this machine, or under a licence that forbids some uses; else empty.
    """

    build: Callable[[int], Backbone]
    scaling: Callable[[], Scaling]
    load_published: Callable[[nn.Module, int], Loaded] | None = None
    note: Callable[[], str] = str


@dataclass(frozen=True)
class Pruned:
    """What was taken from a network.

    Attributes:
        by: what was taken out, see `core.training.models.pruning`.
        share: that was asked for, 0..1.
        parameters: numbers before and after; zeros count.
        multiplications: with additions, for one image, before and after; zeros count.
        zeros: share of the weights after it that are zero, 0..1.
    """

    by: By
    share: float
    parameters: tuple[int, int]
    multiplications: tuple[int, int]
    zeros: float

    def sentence(self) -> str:
        """For the log."""
        if self.by == "weights":
            return f"Pruned: {self.zeros:.1%} of the weights are zero and stay so; the network is as large as before."
        parameters, multiplications = (1 - after / before for before, after in (self.parameters, self.multiplications))
        return (
            f"Pruned: {parameters:.1%} of the parameters and {multiplications:.1%} of the multiplications are gone, "
            f"{self.multiplications[1] / 1e6:,.1f} million are left for an image."
        )


def _few(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


class Network(nn.Module):
    """Images float32 (N, 3, H, W) -> features (N, num_features) -> logits (N, num_classes).

    Attributes:
        loaded: what the starting weights filled; None where they are random.
        pruned: what was taken out of it before it learned on; None where nothing was.
        classifier: see `Backbone`.
    """

    loaded: Loaded | None = None
    pruned: Pruned | None = None

    def __init__(
        self,
        backbone: nn.Module,
        num_features: int,
        num_classes: int,
        dropout: float,
        head_units: int = 0,
        classifier: str = "",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = num_features
        self.classifier = classifier
        hidden = [nn.Linear(num_features, head_units), nn.ReLU()] if head_units else []
        self.head = nn.Sequential(*hidden, nn.Dropout(dropout), nn.Linear(head_units or num_features, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def stages(self) -> list[nn.Module]:
        """The network's parts from images to logits, the head last; each parameter is in exactly one of them.

        They are views: they share the network's modules and are not registered in it.
        """
        return [*divide(self.backbone), Stage([self.head])]
