"""Starting weights from an earlier run or a file: read without running code, fitted by name and shape, and listed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.config import ModelConfig
from core.errors import InputError, WeightsUnreachable
from core.files import read_json
from core.training.models.network import Loaded, Network
from core.training.models.torchvision_nets import with_positions_for
from core.workspace import Workspace

_WRAPPERS = ("state_dict", "model_state_dict", "model", "weights", "net")  # what tutorials save a state dict under
_PREFIXES = ("_orig_mod.", "module.", "model.")  # left behind by torch.compile, DataParallel, Lightning
_FEW = 3


def load_saved(network: Network, model: ModelConfig, image_size: int, ws: Workspace) -> Loaded:
    """Fill what fits by name and shape; the rest of the network keeps its random weights.

    Raises:
        InputError: there is no such run or file, it cannot be read without running code, or not one tensor of the
            backbone fits.
    """
    path, source = _find(model, ws)
    held = _plain_names(read_tensors(path), network)
    held = with_positions_for(held, network.backbone, image_size, "backbone.")
    own = network.state_dict()
    held = {name: _as_number(value, own.get(name)) for name, value in held.items()}
    fitting = {name: value for name, value in held.items() if name in own and own[name].shape == value.shape}
    loaded = Loaded(
        source,
        len(fitting),
        [name for name in own if name not in held],
        [name for name in held if name not in own],
        [
            f"{name}: {_size(held[name])} there, {_size(value)} here"
            for name, value in own.items()
            if name in held and name not in fitting
        ],
    )
    if not any(name.startswith("backbone.") and value.ndim > 1 for name, value in fitting.items()):
        here, there = (", ".join(list(names)[:_FEW]) for names in (own, held))
        raise InputError(
            f"Nothing in {path} fits {model.architecture}: it holds {there}, and so on, where {here} are looked for.",
            f"Set model.architecture to the network they were trained for{_hint(path)}.",
        )
    network.load_state_dict(fitting, strict=False)
    return loaded


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a PyTorch file that holds nothing but tensors, by name.

    Raises:
        InputError: it is neither, or opening it would run code.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors, and opening it would run code stored in it.",
            "Save the weights alone, where the file was made: torch.save(model.state_dict(), path).",
        ) from error
    except (OSError, RuntimeError, SafetensorError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as weights ({(str(error).strip() or 'it is empty').splitlines()[0]}).",
            "Give a .safetensors file, or a .pt or .pth file of a state dict.",
        ) from error
    return _tensors(found, path)


def _tensors(found: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what was saved, which may be wrapped in a checkpoint of other things."""
    if isinstance(found, dict):
        for key in _WRAPPERS:
            if isinstance(found.get(key), dict):
                return _tensors(found[key], path)
        tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise InputError(
        f"{path} holds no weights by name.",
        "Save them where the file was made: torch.save(model.state_dict(), path).",
    )


def _find(model: ModelConfig, ws: Workspace) -> tuple[Path, str]:
    if model.weights == "run":
        path = ws.run(model.weights_from) / "bundle" / "model.safetensors"
        if not path.is_file():
            raise WeightsUnreachable(
                f"Run {model.weights_from} has no model to start from.",
                "Let it finish an epoch first, or choose one listed by: python -m core runs",
            )
        return path, f"run {model.weights_from}"
    path = Path(model.weights_from).expanduser()
    if not path.is_file():
        raise WeightsUnreachable(
            f"There is no file {path}.", "Set model.weights_from to a .safetensors, .pt or .pth file."
        )
    return path, str(path)


def _plain_names(held: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    """Under the names of our networks: torchvision's and timm's are the backbone's, their last layer the head's."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in held):
            held = {name.removeprefix(prefix): value for name, value in held.items()}
    if any(name.startswith("backbone.") for name in held):
        return held
    last = f"head.{len(network.head) - 1}"
    renamed = {}
    for name, value in held.items():
        layer, _, kind = name.rpartition(".")
        is_last = bool(network.classifier) and layer == network.classifier
        renamed[f"{last}.{kind}" if is_last else f"backbone.{name}"] = value
    return renamed


def _as_number(value: Tensor, own: Tensor | None) -> Tensor:
    """Counts of batches were written as lists of one number by early versions of torch and of Darkroom."""
    return value.reshape(()) if own is not None and own.ndim == 0 and value.numel() == 1 else value


def _hint(path: Path) -> str:
    described = read_json(path.parent / "model.json")
    return f", {described['architecture']}" if isinstance(described, dict) and "architecture" in described else ""


def _size(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "one number"
