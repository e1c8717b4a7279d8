"""Every knob of a training run, declared once: form, flags, `config.json` and the README's table derive from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from core.errors import InputError

MAX_SEED = 2**31 - 1


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Group):
    """Which images."""

    dataset: str = Field("digits", min_length=1, description="The dataset's id, as listed on Overview.")


class SplitConfig(_Group):
    """How images are divided into train, val and test. Existing split folders are always kept as they are."""

    val_fraction: float = Field(
        0.15,
        gt=0,
        le=0.45,
        description="Share of each class kept for choosing the best epoch. More steadies the choice.",
    )
    test_fraction: float = Field(
        0.15, gt=0, le=0.45, description="Share of each class kept for the final test, never seen in training."
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Another number draws another split of the same images.")
    keep_together: Literal["near", "exact", "off"] = Field(
        "near",
        description="Images that must not stand on both sides of a split, or the score flatters: near keeps copies and "
        "images that look the same together, exact keeps files of the same bytes together, off keeps nothing together.",
    )
    group_by: Literal["auto", "none", "folder", "pattern", "column"] = Field(
        "auto",
        description="Keeps whole groups (patient, video, burst) on one side: column takes the column group of the "
        "dataset's own table, auto does so where there is one, folder takes the folder below the class's, pattern "
        "what group_pattern finds in the path.",
    )
    group_pattern: str = Field(
        "",
        max_length=200,
        description="Regular expression for group_by = pattern; its first group in parentheses, or else all it "
        "matches, names an image's group. An image it does not match is a group by itself.",
    )


class PreprocessConfig(_Group):
    """How an image becomes the square the network sees."""

    image_size: int = Field(
        224,
        ge=16,
        le=512,
        description="Side of the square in pixels. Larger shows finer detail and costs its square in time.",
    )
    resize: Literal["squash", "pad", "crop"] = Field(
        "squash",
        description="For images that are not square: squash keeps every pixel and bends the shape, "
        "pad keeps pixels and shape and adds grey borders, crop cuts the edges off.",
    )
    interpolation: Literal["bicubic", "bilinear", "nearest"] = Field(
        "bicubic",
        description="How pixels are blended when the size changes. Match what pretrained weights were trained with.",
    )


class ModelConfig(_Group):
    """The network and where its weights start."""

    architecture: Literal["tf_efficientnet_lite0", "resnet18", "small_cnn"] = Field(
        "tf_efficientnet_lite0",
        description="tf_efficientnet_lite0: strong and light, weights included. resnet18: the classic. "
        "small_cnn: three blocks for small images, trained from scratch.",
    )
    weights: Literal["pretrained", "random"] = Field(
        "pretrained", description="pretrained starts from ImageNet and needs few images; random starts from nothing."
    )
    tune: Literal["head", "all"] = Field(
        "head",
        description="head trains the last layer on features computed once (seconds); all trains every layer (slower).",
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Share of features hidden from the head at each step. More restrains over-fitting."
    )


class AugmentConfig(_Group):
    """Random changes to training images, so that the network does not learn their exact pixels. Needs tune = all."""

    horizontal_flip: bool = Field(
        False, description="Mirror half of the images. Not for digits, letters or anything handed."
    )
    shift: float = Field(0.0, ge=0, le=0.5, description="Move images by up to this share of their side.")
    zoom: float = Field(0.0, ge=0, le=0.5, description="Enlarge or shrink images by up to this share.")
    rotate_degrees: float = Field(0.0, ge=0, le=180, description="Turn images by up to this many degrees either way.")
    brightness: float = Field(0.0, ge=0, le=0.9, description="Brighten or darken images by up to this share.")
    contrast: float = Field(0.0, ge=0, le=0.9, description="Strengthen or flatten contrast by up to this share.")


class OptimConfig(_Group):
    """How weights are changed from batch to batch."""

    epochs: int = Field(
        30, ge=1, le=1000, description="Passes over the training images. Early stopping may end sooner."
    )
    batch_size: int = Field(32, ge=1, le=4096, description="Images a step. Larger is faster and needs more memory.")
    optimizer: Literal["adamw", "adam", "sgd"] = Field(
        "adamw",
        description="adamw suits most cases; sgd with momentum can end better when every layer is trained long.",
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Size of a step. Too large diverges, too small crawls.")
    weight_decay: float = Field(
        1e-2, ge=0, le=1, description="Pull of weights towards zero. More restrains over-fitting."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Share of the last step kept in the next one (sgd only).")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of certainty taken off each label. A little calms over-confident answers."
    )


class ScheduleConfig(_Group):
    """How the learning rate moves over the run."""

    kind: Literal["cosine", "constant"] = Field(
        "cosine", description="cosine lowers the learning rate smoothly to zero; constant leaves it."
    )
    warmup_fraction: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of all steps in which the learning rate climbs from zero. Steadies the start.",
    )


class StopConfig(_Group):
    """When to end before the last epoch. The best epoch's weights are kept in any case."""

    monitor: Literal["val_loss", "val_accuracy"] = Field(
        "val_loss", description="Which validation figure names the best epoch."
    )
    patience: int = Field(
        8, ge=0, le=1000, description="Epochs without improvement before stopping. 0 never stops early."
    )
    min_delta: float = Field(0.0, ge=0, le=1, description="An improvement smaller than this does not count.")


class RuntimeConfig(_Group):
    """Where and how reproducibly the run computes."""

    seed: int = Field(0, ge=0, le=MAX_SEED, description="Fixes initial weights, order and augmentation of this run.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes the GPU where there is one, else the CPU."
    )
    num_workers: int = Field(
        2, ge=0, le=64, description="Processes that decode images when they do not all fit in memory."
    )
    memory_share: float = Field(
        0.4,
        gt=0,
        le=0.9,
        description="Share of free memory that decoded images may fill; beyond it they are read every epoch.",
    )


class TrainConfig(_Group):
    """A whole training run. Nested groups; see each field's description for what moving it does."""

    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    stop: StopConfig = StopConfig()
    runtime: RuntimeConfig = RuntimeConfig()


PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "quick": (
        "A first answer in seconds: pretrained features of small images, few epochs.",
        {"preprocess.image_size": 128, "optim.epochs": 10, "optim.learning_rate": 3e-3},
    ),
    "transfer": ("Pretrained backbone, new head: the best start for photos, from a few dozen images a class.", {}),
    "from-scratch": (
        "A small network with nothing learned before: small images, drawings, anything unlike photos.",
        {
            "preprocess.image_size": 32,
            "preprocess.interpolation": "bilinear",
            "model.architecture": "small_cnn",
            "model.weights": "random",
            "model.tune": "all",
            "augment.shift": 0.08,
            "augment.zoom": 0.1,
            "augment.rotate_degrees": 8.0,
            "optim.epochs": 25,
            "optim.batch_size": 64,
            "optim.learning_rate": 3e-3,
        },
    ),
}


@dataclass(frozen=True)
class Knob:
    """One field of `TrainConfig`, as the form, the flags and the documentation need it.

    Attributes:
        path: `group.field`.
        kind: the type of its value.
        choices: allowed values of a choice, else empty.
        low, high: bounds of a number, None where there is none.
        low_open, high_open: whether the bound itself is excluded.
    """

    path: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    @property
    def group(self) -> str:
        return self.path.partition(".")[0]

    @property
    def label(self) -> str:
        """`Learning rate` for `optim.learning_rate`."""
        return self.path.partition(".")[2].replace("_", " ").capitalize()

    @property
    def allowed(self) -> str:
        """The allowed values in words: `pad, crop`, `1 to 4096`, `more than 0, at most 10`."""
        if self.choices:
            return " or ".join(self.choices)
        if self.kind is bool:
            return "true or false"
        words = []
        if self.low is not None:
            words.append(f"{'more than' if self.low_open else 'at least'} {self.low:g}")
        if self.high is not None:
            words.append(f"{'less than' if self.high_open else 'at most'} {_plain(self.high)}")
        return ", ".join(words) or {str: "text"}.get(self.kind, self.kind.__name__)


def knobs() -> list[Knob]:
    """All fields of `TrainConfig` in order of declaration."""
    return [
        _knob(f"{group}.{name}", field)
        for group, group_field in TrainConfig.model_fields.items()
        for name, field in _group_type(group_field).model_fields.items()
    ]


def group_help(group: str) -> str:
    """The sentence that explains a group."""
    return (_group_type(TrainConfig.model_fields[group]).__doc__ or "").strip()


def preset_values(name: str) -> dict[str, Any]:
    """What a preset sets, as `{"group.field": value}`; the rest stays at its default.

    Raises:
        InputError: there is no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}.", f"Choose {' or '.join(PRESETS)}.")
    return dict(PRESETS[name][1])


def build_config(values: dict[str, Any], preset: str = "transfer") -> TrainConfig:
    """A checked config from a preset and `{"group.field": value}`; text is read as the field's type.

    Raises:
        InputError: every mistake at once, each with field, value and what is allowed.
    """
    by_path = {knob.path: knob for knob in knobs()}
    merged = preset_values(preset) | values
    problems = [f"there is no setting {path}" for path in merged if path not in by_path]
    nested: dict[str, dict[str, Any]] = {}
    for path, value in merged.items():
        if path in by_path:
            group, _, name = path.partition(".")
            nested.setdefault(group, {})[name] = value
    return _validated(nested, problems)


def parse_config(raw: Any) -> TrainConfig:
    """The config saved in `config.json`; raises `InputError` as `build_config` does."""
    return _validated(raw, [])


def flatten(config: TrainConfig) -> dict[str, Any]:
    """`{"group.field": value}` for every field."""
    return {f"{group}.{name}": value for group, fields in config.model_dump().items() for name, value in fields.items()}


def conflicts(config: TrainConfig) -> list[str]:
    """Settings that are each allowed but do not go together, each with the way out."""
    model, split, found = config.model, config.split, list[str]()
    if split.group_by == "pattern" and not split.group_pattern:
        found.append("split.group_pattern is empty: group_by = pattern needs a regular expression")
    if split.group_by != "pattern" and split.group_pattern:
        found.append(f"split.group_pattern has no effect with group_by = {split.group_by}: empty it or use pattern")
    if model.architecture == "small_cnn" and model.weights == "pretrained":
        found.append("model.weights = pretrained: small_cnn has no pretrained weights; use random")
    if model.architecture == "small_cnn" and model.tune == "head":
        found.append("model.tune = head: small_cnn starts from nothing, so every layer must learn; use all")
    if model.tune == "all" and config.optim.batch_size == 1:
        found.append("optim.batch_size = 1: batch normalisation needs more than one image a step; use at least 2")
    moved = [f"augment.{name}" for name, value in config.augment.model_dump().items() if value]
    if model.tune == "head" and moved:
        found.append(
            f"{', '.join(moved)}: features are computed once when model.tune = head, so augmentation has no effect; "
            "use model.tune = all or set them to zero"
        )
    return found


def _validated(nested: Any, problems: list[str]) -> TrainConfig:
    config = None
    try:
        config = TrainConfig.model_validate(nested)
    except ValidationError as error:
        by_path = {knob.path: knob for knob in knobs()}
        for detail in error.errors():
            path = ".".join(str(part) for part in detail["loc"][:2])
            allowed = by_path[path].allowed if path in by_path else detail["msg"]
            problems.append(f"{path} = {detail['input']!r}: allowed is {allowed}")
    if config is not None:
        problems += conflicts(config)
    if problems or config is None:
        raise InputError("Settings to correct: " + "; ".join(problems) + ".")
    return config


def _group_type(field: FieldInfo) -> type[_Group]:
    assert isinstance(field.annotation, type) and issubclass(field.annotation, _Group)
    return field.annotation


def _knob(path: str, field: FieldInfo) -> Knob:
    choices = tuple(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ()
    bounds: dict[str, Any] = {}
    for mark in field.metadata:
        if isinstance(mark, Ge):
            bounds |= {"low": mark.ge}
        elif isinstance(mark, Gt):
            bounds |= {"low": mark.gt, "low_open": True}
        elif isinstance(mark, Le):
            bounds |= {"high": mark.le}
        elif isinstance(mark, Lt):
            bounds |= {"high": mark.lt, "high_open": True}
    kind = str if choices else field.annotation
    assert isinstance(kind, type)
    return Knob(path, kind, field.default, field.description or "", choices, **bounds)


def _plain(number: float) -> str:
    return f"{number:g}" if number < 1e6 else f"{int(number)}"
