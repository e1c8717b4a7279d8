"""Networks by name: a backbone that turns images into features and a head that turns features into logits."""

from __future__ import annotations

from dataclasses import replace

from core.architectures import OFFLINE, OWN, TIMM
from core.config import ModelConfig, PreprocessConfig
from core.preprocess import PreprocessSpec
from core.training.models import own, timm_nets, torchvision_nets
from core.training.models.groups import parameter_groups
from core.training.models.network import HALF, Architecture, Loaded, Network, Scaling
from core.training.models.timm_nets import offline_weights_file
from core.training.models.weights import load_saved
from core.workspace import Workspace

__all__ = [
    "HALF",
    "Loaded",
    "Network",
    "architecture",
    "build_network",
    "count_parameters",
    "make_spec",
    "missing_weights",
    "offline_weights_file",
]


def architecture(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        InputError: it is one of timm's names, and timm does not know it.
    """
    if name in OWN:
        return Architecture(getattr(own, name), Scaling)
    if name == OFFLINE:
        return timm_nets.offline()
    if name.startswith(TIMM):
        return timm_nets.architecture(name.removeprefix(TIMM))
    return torchvision_nets.architecture(name)


def build_network(model: ModelConfig, num_classes: int, image_size: int, ws: Workspace | None = None) -> Network:
    """The network with its starting weights; random weights follow torch's global seed.

    Args:
        image_size: side of the images in pixels; some networks are built for one size.
        ws: where runs are, for `weights = run`; by default the workspace of this process.

    Raises:
        InputError: the network cannot take images of that size; or the weights asked for are neither on this machine
            nor reachable, are damaged or fit nothing. Never falls back to random ones.
    """
    chosen = architecture(model.architecture)
    backbone = chosen.build(image_size)
    network = Network(
        backbone.module, backbone.num_features, num_classes, model.dropout, model.head_units, backbone.classifier
    )
    if model.weights == "pretrained":
        assert chosen.load_published is not None  # core.config.conflicts has refused it
        network.loaded = _named(chosen.load_published(backbone.module, image_size), network)
        return network
    drawn_anew = model.architecture in OWN if model.init == "kaiming" else model.init != "pytorch"
    if drawn_anew:  # others are drawn as their authors did
        own.initialise(network, model.init)
    if model.weights in ("run", "file"):
        network.loaded = load_saved(network, model, image_size, ws or Workspace.default())
    return network


def _named(loaded: Loaded, network: Network) -> Loaded:
    return replace(loaded, missing=[f"head.{name}" for name in network.head.state_dict()])


def make_spec(preprocess: PreprocessConfig, name: str) -> PreprocessSpec:
    """The preprocessing of a run: size and policy from the user, the rest from what the backbone was trained with."""
    known = architecture(name).scaling()
    filtered = known.interpolation if preprocess.interpolation == "auto" else preprocess.interpolation
    return PreprocessSpec(preprocess.image_size, preprocess.resize, filtered, known.mean, known.std)


def count_parameters(network: Network, model: ModelConfig) -> tuple[int, int]:
    """All parameters, and those training will change sooner or later."""
    total = sum(parameter.numel() for parameter in network.parameters())
    learning = [group for group in parameter_groups(network, model) if group.from_epoch is not None]
    parts = [part for group in learning for part in group.modules]
    return total, sum(parameter.numel() for part in parts for parameter in part.parameters())


def missing_weights(model: ModelConfig) -> str:
    """What the user should know of the starting weights, without going to the network; empty where nothing."""
    return architecture(model.architecture).note() if model.weights == "pretrained" else ""
