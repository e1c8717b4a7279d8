"""Every knob of a training run, declared once: form, flags, `config.json` and the README's table derive from here."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from core.architectures import OFFERED, OWN, TIMM, is_known
from core.errors import InputError

MAX_SEED = 2**31 - 1


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(_Group):
    """Which images."""

    dataset: str = Field("digits", min_length=1, description="The dataset's id, as listed on Overview.")
    train_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of each class's training images that is used, to see what fewer images would give; "
        "validation and test stay whole. runtime.seed draws which, and a smaller share is a part of a larger.",
    )


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
    interpolation: Literal["auto", "bicubic", "bilinear", "nearest"] = Field(
        "auto",
        description="How pixels are blended when the size changes. auto takes what the network's published weights "
        "were trained with.",
    )


def _known_architecture(name: str) -> str:
    if not is_known(name):
        raise ValueError("no such network")
    return name


class ModelConfig(_Group):
    """The network and where its weights start."""

    architecture: Annotated[str, AfterValidator(_known_architecture)] = Field(
        "tf_efficientnet_lite0",
        description="tf_efficientnet_lite0: strong and light, weights included. fast_cnn: learns small images from "
        "nothing. resnet18: the classic. Any other of torchvision's, or timm: and one of timm's names.",
        json_schema_extra={"offered": list(OFFERED), "prefix": TIMM},
    )
    weights: Literal["pretrained", "random", "run", "file"] = Field(
        "pretrained",
        description="pretrained starts from ImageNet and needs few images; random starts from nothing; run and file go "
        "on from what weights_from names.",
    )
    weights_from: str = Field(
        "",
        max_length=1000,
        description="An earlier run's id, or a path to a safetensors or PyTorch file of tensors. What does not fit, "
        "such as the last layer for other classes, is listed and starts anew.",
    )
    init: Literal["kaiming", "xavier", "identity", "pytorch"] = Field(
        "kaiming",
        description="How random weights are drawn: kaiming suits ReLU networks, xavier is older; identity is kaiming, "
        "but hidden convolutions begin by handing on what they get, which learns faster at first; pytorch leaves "
        "layers as PyTorch makes them. With kaiming, networks of torchvision and timm keep the way of their authors.",
    )
    tune: Literal["head", "last", "all", "gradual"] = Field(
        "head",
        description="head trains the last layer on features computed once (seconds); last also the last tune_stages "
        "stages; all trains every layer (slower); gradual starts with the head and wakes one more stage after another.",
    )
    tune_stages: int = Field(1, ge=1, le=50, description="Stages before the head that learn too (tune = last only).")
    unfreeze_every: int = Field(
        2, ge=1, le=100, description="Epochs until the next stage begins to learn (tune = gradual only)."
    )
    stage_rate: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Each stage learns at this share of the learning rate of the one after it: below 1, what the "
        "first layers have learned is kept longer.",
    )
    head_units: int = Field(
        0, ge=0, le=8192, description="Units of a hidden layer in the head. 0: none, the head is linear."
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Share of features hidden from the head at each step. More restrains over-fitting."
    )
    prune: float = Field(
        0.0,
        ge=0,
        le=0.95,
        description="Take this share out of the network before it learns on: smaller, and with channels faster. "
        "0: nothing.",
    )
    prune_by: Literal["channels", "weights"] = Field(
        "channels",
        description="channels cuts that share of each layer's channels out; weights sets the smallest weights to zero, "
        "which few runtimes gain from (prune above 0 only).",
    )


class AugmentConfig(_Group):
    """Random changes to training images, so that the network does not learn their exact pixels.

    With tune = head they need views of at least 1.
    """

    crop_scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Cut out a random part of at least this share of the area and enlarge it to the whole. 1: never.",
    )
    horizontal_flip: bool = Field(
        False, description="Mirror half of the images. Not for digits, letters or anything handed."
    )
    vertical_flip: bool = Field(
        False,
        description="Turn half of the images upside down. For images without an up, such as cells or aerial views.",
    )
    shift: float = Field(0.0, ge=0, le=0.5, description="Move images by up to this share of their side.")
    zoom: float = Field(0.0, ge=0, le=0.5, description="Enlarge or shrink images by up to this share.")
    rotate_degrees: float = Field(0.0, ge=0, le=180, description="Turn images by up to this many degrees either way.")
    brightness: float = Field(0.0, ge=0, le=0.9, description="Brighten or darken images by up to this share.")
    contrast: float = Field(0.0, ge=0, le=0.9, description="Strengthen or flatten contrast by up to this share.")
    saturation: float = Field(0.0, ge=0, le=0.9, description="Strengthen or fade colours by up to this share.")
    hue: float = Field(0.0, ge=0, le=0.5, description="Move colours round the colour circle by up to this share of it.")
    policy: Literal["none", "randaugment", "trivialaugment"] = Field(
        "none",
        description="A published mixture of changes: randaugment draws two at the strength below, trivialaugment one "
        "at any strength.",
    )
    policy_strength: int = Field(9, ge=1, le=30, description="Strength of randaugment; 9 is its authors' choice.")
    erasing: float = Field(0.0, ge=0, le=1, description="Share of images in which a random rectangle is blanked out.")
    mixup: float = Field(
        0.0, ge=0, le=5, description="Blend pairs of images and labels; the alpha of MixUp, 0.2 is usual. 0: never."
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=5,
        description="Paste a part of another image and mix the labels; the alpha of CutMix, 1 is usual. 0: never. "
        "With mixup too, each batch draws one of the two.",
    )
    views: int = Field(
        0,
        ge=0,
        le=50,
        description="With tune = head: how many changed copies of each training image get features besides its own.",
    )


class OptimConfig(_Group):
    """How weights are changed from batch to batch."""

    epochs: int = Field(
        30, ge=1, le=1000, description="Passes over the training images. Early stopping may end sooner."
    )
    batch_size: int = Field(32, ge=1, le=4096, description="Images at once. Larger is faster and needs more memory.")
    accumulate: int = Field(
        1,
        ge=1,
        le=1024,
        description="Batches whose gradients make one step: large steps with the memory of small ones.",
    )
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop", "muon"] = Field(
        "adamw",
        description="adamw suits most cases; sgd with Nesterov momentum can end better when every layer is trained "
        "long; muon learns fast from nothing and gives layers that are not matrices to adamw.",
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Size of a step. Too large diverges, too small crawls.")
    weight_decay: float = Field(
        1e-2, ge=0, le=1, description="Pull of weights towards zero. More restrains over-fitting."
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Share of the last step kept in the next (sgd, rmsprop, muon)."
    )
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="focal pays more heed to images that are still answered wrongly."
    )
    focal_gamma: float = Field(2.0, ge=0, le=10, description="How much more (loss = focal). 0 is cross-entropy.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of certainty taken off each label. A little calms over-confident answers."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced lets mistakes on rare classes cost more, so that all classes weigh the same."
    )
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="balanced shows rare classes more often, so that all are seen equally."
    )
    clip_norm: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="Longest gradient allowed; longer ones are shortened. Steadies training. 0: none.",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Average the weights over steps, keeping this share of the average at each; the average is what is "
        "validated and kept. 0.999 suits long runs. 0: no average.",
    )


class ScheduleConfig(_Group):
    """How the learning rate moves over the run."""

    kind: Literal["cosine", "constant", "step", "multistep", "onecycle", "plateau"] = Field(
        "cosine",
        description="cosine lowers the learning rate smoothly to zero; constant leaves it; step and multistep multiply "
        "it by gamma at epochs; onecycle raises it, then lowers it to zero; plateau lowers it when nothing improves.",
    )
    warmup_fraction: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of all steps in which the learning rate climbs from zero. Steadies the start. With onecycle "
        "the share of the climb.",
    )
    gamma: float = Field(0.1, gt=0, lt=1, description="What the rate is multiplied by (step, multistep, plateau).")
    step_epochs: int = Field(10, ge=1, le=1000, description="Epochs between two steps (kind = step).")
    milestones: str = Field(
        "", max_length=200, description="Epochs after which the rate is lowered, such as 30, 60 (kind = multistep)."
    )
    plateau_patience: int = Field(
        3, ge=0, le=1000, description="Epochs without improvement before the rate is lowered (kind = plateau)."
    )


class StopConfig(_Group):
    """When to end before the last epoch. The best epoch's weights are kept in any case."""

    monitor: Literal["val_loss", "val_accuracy", "val_balanced_accuracy"] = Field(
        "val_loss",
        description="Which validation figure names the best epoch; val_balanced_accuracy counts every class the same.",
    )
    patience: int = Field(
        8, ge=0, le=1000, description="Epochs without improvement before stopping. 0 never stops early."
    )
    min_delta: float = Field(0.0, ge=0, le=1, description="An improvement smaller than this does not count.")


class RuntimeConfig(_Group):
    """Where and how reproducibly the run computes."""

    seed: int = Field(0, ge=0, le=MAX_SEED, description="Fixes initial weights, order and augmentation of this run.")
    deterministic: bool = Field(
        False, description="The same settings give the same weights to the last bit, at some cost in speed on a GPU."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes the GPU where there is one, else the CPU."
    )
    processes: int = Field(
        1, ge=1, le=64, description="Training processes that share each batch, one a GPU. For a machine with several."
    )
    precision: Literal["auto", "float32", "bf16", "fp16"] = Field(
        "auto",
        description="Number format while learning: auto takes bf16 on GPUs that have it, fp16 on older ones, else "
        "float32.",
    )
    channels_last: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Memory order of images; on is often faster for convolutions. auto decides by device and network.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="torch.compile: a minute's wait, then faster steps. auto uses it on a GPU for runs long enough.",
    )
    num_workers: int = Field(
        2, ge=0, le=64, description="Processes that decode images when they do not all fit in memory."
    )
    memory_share: float = Field(
        0.4,
        gt=0,
        le=0.9,
        description="Share of free memory that decoded images may fill; beyond it they are kept on disk.",
    )
    disk_cache_gb: float = Field(
        20.0,
        ge=0,
        le=10000,
        description="Most disk for decoded images where memory is too small, in GB. 0: read the files every epoch.",
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


_SMALL_PHOTOS = {
    "preprocess.image_size": 32,
    "preprocess.interpolation": "bilinear",
    "model.architecture": "fast_cnn",
    "model.weights": "random",
    "model.tune": "all",
    "model.dropout": 0.0,
    "model.init": "identity",
    "augment.horizontal_flip": True,
    "augment.shift": 0.125,
    "optim.epochs": 20,
    "optim.batch_size": 128,
    "optim.optimizer": "muon",
    "optim.learning_rate": 0.03,
    "optim.weight_decay": 0.02,
    "optim.momentum": 0.6,
    "optim.ema_decay": 0.99,
    "schedule.kind": "onecycle",
    "schedule.warmup_fraction": 0.0,
    "stop.monitor": "val_accuracy",
}
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
    "small-photos": (
        "A fast network for thousands of small photos, from nothing. Images are mirrored: not for digits or letters.",
        _SMALL_PHOTOS,
    ),
    "small-photos-best": (
        "small-photos with a larger network: slower to begin with, better in the end. Images are mirrored here too.",
        _SMALL_PHOTOS | {"model.architecture": "fast_cnn_wide", "optim.epochs": 7, "split.val_fraction": 0.1},
    ),
}


@dataclass(frozen=True)
class Knob:
    """One field of `TrainConfig`, as the form, the flags and the documentation need it.

    Attributes:
        path: `group.field`.
        kind: the type of its value.
        choices: allowed values of a choice, else empty.
        offered: values to choose from where others are allowed too; `prefix` begins those.
        low, high: bounds of a number, None where there is none.
        low_open, high_open: whether the bound itself is excluded.
    """

    path: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    prefix: str = ""
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
        if self.offered:
            return f"one of {len(self.offered)} names, or {self.prefix}NAME"
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
    """The sentences that explain a group, on one line."""
    return " ".join((_group_type(TrainConfig.model_fields[group]).__doc__ or "").split())


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
    name, optim, schedule, runtime = model.architecture, config.optim, config.schedule, config.runtime
    if name in OWN and model.weights == "pretrained":
        found.append(f"model.weights = pretrained: {name} has no pretrained weights; use random, run or file")
    if model.weights == "random" and model.tune != "all":
        found.append(f"model.tune = {model.tune}: the network starts from nothing, so every layer must learn; use all")
    if model.weights in ("run", "file") and not model.weights_from:
        found.append(f"model.weights_from is empty: weights = {model.weights} needs a run's id or a file's path")
    if model.prune and model.weights == "random":
        found.append("model.prune: a network that starts from nothing has learned nothing to choose by; set it to 0")
    if model.prune and model.tune != "all":
        found.append(f"model.tune = {model.tune}: what is left of a pruned network must learn on as a whole; use all")
    if model.prune and model.prune_by == "weights" and optim.optimizer == "muon":
        found.append("optim.optimizer = muon would fill the weights that prune_by = weights sets to zero; use another")
    if model.tune != "head" and optim.batch_size == 1:
        found.append("optim.batch_size = 1: batch normalisation needs more than one image a step; use at least 2")
    if optim.class_weights == "balanced" and optim.sampler == "balanced":
        found.append("optim.sampler = balanced and class_weights = balanced correct the same twice; use one of them")
    if schedule.kind == "multistep":
        found += _milestone_problems(schedule.milestones)
    changed = switched_on(config.augment)
    if model.tune == "head" and changed and not config.augment.views:
        found.append(
            f"{', '.join(changed)}: features are computed once when model.tune = head, so augmentation has no effect; "
            "set augment.views, use model.tune = all, or leave the images unchanged"
        )
    if model.tune == "head" and config.augment.views and not changed:
        found.append("augment.views has no effect without a change to make; set it to 0 or choose one")
    if model.tune != "head" and config.augment.views:
        found.append("augment.views is for model.tune = head alone; set it to 0")
    if runtime.processes > 1 and model.tune == "head":
        found.append("runtime.processes: a head on ready features trains in seconds in one process; use 1")
    return found


def milestones(text: str) -> list[int]:
    """`30, 60` as numbers of epochs; raises `ValueError` where it is anything else."""
    found = [int(part) for part in text.replace(",", " ").split()]
    if any(epoch < 1 for epoch in found) or found != sorted(set(found)):
        raise ValueError("not rising")
    return found


def _milestone_problems(text: str) -> list[str]:
    try:
        return [] if milestones(text) else ["schedule.milestones is empty: multistep needs epochs, such as 30, 60"]
    except ValueError:
        return [f"schedule.milestones = {text!r}: allowed are rising numbers of epochs, such as 30, 60"]


def switched_on(augment: AugmentConfig) -> list[str]:
    """The changes to training images that are switched on, by path."""
    blank = AugmentConfig()
    aside = ("views", "policy_strength")
    return [f"augment.{name}" for name, value in augment if name not in aside and value != getattr(blank, name)]


def _validated(nested: Any, problems: list[str]) -> TrainConfig:
    config = None
    try:
        config = TrainConfig.model_validate(nested)
    except ValidationError as error:
        by_path = {knob.path: knob for knob in knobs()}
        for detail in error.errors():
            path = ".".join(str(part) for part in detail["loc"][:2])
            allowed = by_path[path].allowed if path in by_path else detail["msg"]
            meant = get_close_matches(str(detail["input"]), by_path[path].offered, 3) if path in by_path else []
            hint = f"; close to it: {', '.join(meant)}" if meant else ""
            problems.append(f"{path} = {detail['input']!r}: allowed is {allowed}{hint}")
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
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    offered, prefix = tuple(map(str, extra.get("offered") or ())), str(extra.get("prefix") or "")  # type: ignore
    return Knob(path, kind, field.default, field.description or "", choices, offered, prefix, **bounds)


def _plain(number: float) -> str:
    return f"{number:g}" if number < 1e6 else f"{int(number)}"
