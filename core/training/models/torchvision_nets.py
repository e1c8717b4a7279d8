"""torchvision's classification networks as backbones: the last layer taken off, its published weights within reach."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import InputError, WeightsUnreachable
from core.training.models.network import HALF, Architecture, Backbone, Loaded, Scaling

_AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}  # heads for training on ImageNet alone
_POSITIONS = "encoder.pos_embedding"
_MAXVIT_STEP = 224  # 32 pixels a feature, 7 features a window
_LICENCE_SWAG = "CC-BY-NC 4.0"
OTHERWISE = (
    "Use --model.architecture tf_efficientnet_lite0, whose weights come with Darkroom, or --model.weights random."
)


def architecture(name: str) -> Architecture:
    """The network of that name in `torchvision.models`."""
    return Architecture(partial(_build, name), partial(_scaling, name), partial(_load, name), partial(_note, name))


def _build(name: str, image_size: int) -> Backbone:
    from torchvision.models import get_model

    _check_size(name, image_size)
    options: dict[str, Any] = {"weights": None}
    if name in _AUXILIARY:
        options |= {"aux_logits": False, "init_weights": False}  # its own drawing of weights takes 20 s
    elif name.startswith("vit_"):
        options["image_size"] = image_size
    elif name.startswith("maxvit"):
        options["input_size"] = (image_size, image_size)
    return _behead(get_model(name, **options))


def _behead(module: nn.Module) -> Backbone:
    """Take the last layer off; a dropout right before it goes too, for the head has its own."""
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    classifier, last = layers[-1]
    parent, _, attribute = classifier.rpartition(".")
    holder = module.get_submodule(parent)
    if isinstance(last, nn.Conv2d):  # SqueezeNet classifies each position, then takes the mean; the mean is first here
        assert isinstance(holder, nn.Sequential)
        setattr(module, parent, nn.Sequential(nn.AdaptiveAvgPool2d(1)))
        return Backbone(module, last.in_channels, classifier)
    setattr(holder, attribute, nn.Identity())
    before = list(holder.children())[-2:-1] if isinstance(holder, nn.Sequential) else [getattr(module, "dropout", None)]
    for layer in before:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return Backbone(module, last.in_features, classifier)


def _check_size(name: str, image_size: int) -> None:
    """Refuse sizes that end in an error deep inside; the smallest ones are in the weights' own description."""
    step, fewest = 1, _weights(name).meta["min_size"][0]
    if name.startswith("vit_"):
        step = fewest = int(name.rpartition("_")[2])
    elif name.startswith("maxvit"):
        step = fewest = _MAXVIT_STEP
    elif name.startswith("swin"):
        fewest = 1  # theirs is the size they were trained at; smaller images are padded inside
    if image_size < fewest:
        raise InputError(
            f"{name} cannot take images of {image_size} px.", f"Set preprocess.image_size to {fewest} or more."
        )
    if image_size % step:
        lower = image_size - image_size % step
        raise InputError(
            f"{name} cannot take images of {image_size} px: it divides them into squares of {step}.",
            f"Set preprocess.image_size to {lower} or {lower + step}.",
        )


def _weights(name: str) -> Any:
    """The published weights: torchvision's default among those anyone may use, or where there are none, any."""
    from torchvision.models import get_model_weights

    offered = get_model_weights(name)
    free = [entry for entry in offered if "license" not in entry.meta]
    if free:
        return offered.DEFAULT if offered.DEFAULT in free else free[-1]
    return min(offered, key=lambda entry: entry.transforms().crop_size[0])  # the usual size rather than the giants'


def _scaling(name: str) -> Scaling:
    preset = _weights(name).transforms()
    interpolation = preset.interpolation.value
    if name in _AUXILIARY:  # trained with these; torchvision's `transform_input` undoes its own preset to get back here
        return Scaling(HALF, HALF, interpolation)
    return Scaling(tuple(preset.mean), tuple(preset.std), interpolation)


def _file(name: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(_weights(name).url)


def _note(name: str) -> str:
    weights, notes = _weights(name), list[str]()
    if not _file(name).is_file():
        size = f"{weights.meta['_file_size']:,.0f} MB"
        place = _file(name)
        notes.append(
            f"{name}'s pretrained weights are not on this machine; training downloads them ({size}) to {place}."
        )
    if "license" in weights.meta:
        notes.append(f"They are under {_LICENCE_SWAG}: not for commercial use.")
    return " ".join(notes)


def _load(name: str, backbone: nn.Module, image_size: int) -> Loaded:
    file = _file(name)
    try:
        state = _weights(name).get_state_dict(progress=False, check_hash=True, weights_only=True)
        state = _without_heads(state, backbone, _AUXILIARY.get(name, ()))
        backbone.load_state_dict(with_positions_for(state, backbone, image_size))
    except OSError as error:  # URLError is one
        raise WeightsUnreachable(
            f"The pretrained weights of {name} are not at {file} and could not be downloaded ({error}).",
            f"Put the file there. {OTHERWISE}",
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, AttributeError) as error:
        raise InputError(
            f"{file} is damaged or not {name}'s weights.", f"Delete it and try again. {OTHERWISE}"
        ) from error
    return Loaded(f"the published weights {_weights(name)}", len(state))


def _without_heads(state: dict[str, Any], backbone: nn.Module, auxiliary: tuple[str, ...]) -> dict[str, Any]:
    """Without ImageNet's classifier and auxiliary heads; whatever else does not fit stays, to be refused."""
    own, last = backbone.state_dict().keys(), list(state)[-1].rpartition(".")[0]
    return {
        key: value
        for key, value in state.items()
        if key in own or not (key.rpartition(".")[0] == last or key.startswith(auxiliary))
    }


def with_positions_for(
    state: dict[str, Tensor], backbone: nn.Module, image_size: int, prefix: str = ""
) -> dict[str, Tensor]:
    """Position embeddings of a transformer resampled to the number of squares in images of that size; all else as is.

    Args:
        prefix: what names in `state` begin with, before the backbone's own names.
    """
    own, name = backbone.state_dict().get(_POSITIONS), prefix + _POSITIONS
    if own is None or name not in state or state[name].ndim != own.ndim or state[name].shape == own.shape:
        return state
    from torchvision.models.vision_transformer import interpolate_embeddings

    patch = int(backbone.get_submodule("conv_proj").weight.shape[-1])
    try:
        resampled = interpolate_embeddings(image_size, patch, {_POSITIONS: state[name]})
    except ValueError:  # they are not those of a square image
        return state
    return state | {name: resampled[_POSITIONS]}
