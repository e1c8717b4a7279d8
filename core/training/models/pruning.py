"""Makes a trained network smaller before it learns on: whole channels taken out, or single weights set to zero."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from core.errors import InputError
from core.training.models.network import By, Network, Pruned

_BLOCK = 8  # channels left are a multiple of it where there are enough: kernels compute so many at once


def prune(network: Network, share: float, by: By, image_size: int) -> Pruned:
    """Take a share out of the network, the same for the same weights. It has to learn again afterwards.

    `channels` removes that share of each layer's channels, those whose weights, together with what depends on them,
    are shortest; the network becomes smaller and faster. Source: G. Fang et al., "DepGraph: Towards Any Structural
    Pruning", CVPR 2023, by the authors' torch-pruning. `weights` sets the smallest of all layers' weights to zero and
    keeps them there while it learns; it takes a runtime for sparse networks to gain from that. Source: S. Han et al.,
    "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015.

    Raises:
        InputError: the network cannot be cut that way.
    """
    import torch_pruning

    example, training = torch.zeros(1, 3, image_size, image_size), network.training
    network.eval()
    before = torch_pruning.utils.count_ops_and_params(network, example)
    if by == "channels":
        _remove_channels(network, share, example)
    else:
        _zero_weights(network, share)
    after = torch_pruning.utils.count_ops_and_params(network, example)
    weights = [layer.weight for layer in _layers(network)]
    zeros = sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
    network.train(training)
    return Pruned(by, share, (int(before[1]), int(after[1])), (int(before[0]), int(after[0])), zeros)


def shrink_to(network: Network, weights: Mapping[str, Tensor]) -> None:
    """Give the layers of a whole network the sizes of a pruned one's weights, so that these can be loaded."""
    for name, module in network.named_modules():
        for kind, own in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            held = weights.get(f"{name}.{kind}")
            if held is None or held.shape == own.shape:
                continue
            blank = torch.empty_like(held)
            setattr(module, kind, nn.Parameter(blank) if isinstance(own, nn.Parameter) else blank)
        _describe(module)
    network.num_features = _first_of(network.head).in_features


def _describe(module: nn.Module) -> None:
    """Bring what a layer says of its size in line with its weights."""
    if isinstance(module, nn.Conv2d):
        num_out, of_each = module.weight.shape[:2]
        if module.groups == module.in_channels > 1:  # depthwise: a group a channel
            module.groups = num_out * module.in_channels // module.out_channels
        module.in_channels, module.out_channels = of_each * module.groups, num_out
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        module.num_features = len(module.running_mean)


def _remove_channels(network: Network, share: float, example: Tensor) -> None:
    import torch_pruning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it cannot cut is found out below
            pruner = torch_pruning.pruner.BasePruner(
                network,
                example,
                importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
                pruning_ratio=share,
                round_to=_BLOCK,
                ignored_layers=[network.head[-1]],  # a class each
            )
            pruner.step()
        network(example)
    except Exception as error:  # it meets networks nobody tried it on, and fails from anywhere inside
        raise InputError(
            f"The channels of this network cannot be pruned ({type(error).__name__}: {error}).",
            "Set model.prune_by = weights, or model.prune = 0.",
        ) from error
    network.num_features = _first_of(network.head).in_features


def _zero_weights(network: Network, share: float) -> None:
    layers = _layers(network)
    torch_prune.global_unstructured([(layer, "weight") for layer in layers], torch_prune.L1Unstructured, amount=share)
    for layer in layers:
        torch_prune.remove(layer, "weight")
        mask = (layer.weight != 0).float()
        # Without a gradient a zero stays zero under every optimizer but muon, which mixes the gradients of a layer.
        layer.weight.register_hook(lambda gradient, mask=mask: gradient * mask.to(gradient.device, gradient.dtype))


def _layers(network: Network) -> list[nn.Conv2d | nn.Linear]:
    """What has matrices, but for the last layer."""
    found = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return [module for module in found if module is not network.head[-1]] or found


def _first_of(head: nn.Sequential) -> nn.Linear:
    return next(module for module in head if isinstance(module, nn.Linear))
