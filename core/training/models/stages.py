"""A backbone divided into stages from images to features, for training only the last of them or waking one by one."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

_MOST_OF_IT = 0.8  # a part that holds more of the layers than this is a wrapper and is divided itself
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Stage(nn.Module):
    """A view of some modules and loose parameters of a network; setting its mode or gradients sets theirs."""

    def __init__(self, modules: Iterable[nn.Module], loose: Iterable[nn.Parameter] = ()) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.loose = nn.ParameterList()
        self.loose.extend(loose)


def divide(backbone: nn.Module) -> list[nn.Module]:
    """Stages in the order in which the backbone holds its modules, each with parameters of its own.

    Stages of ResNets are the stem and the four layers; those of plain stacks of layers end at each pooling; those of
    transformers are their blocks. Parameters outside every module, such as position embeddings, go with the first.
    """
    loose: list[nn.Parameter] = []
    num_layers = max(1, _num_layers(backbone))
    parts = _parts(backbone, num_layers, loose)
    groups: list[list[nn.Module]] = []
    begin = True
    for part, begins, ends in parts:
        if groups and not (begin or begins):
            groups[-1].append(part)
        else:
            groups.append([part])
        begin = ends
    parts = [part for group in _with_parameters(groups) for part in _without_giants(group, num_layers)]
    return [Stage(part, loose if not index else ()) for index, part in enumerate(parts)]


def _parts(module: nn.Module, num_layers: int, loose: list[nn.Parameter]) -> list[tuple[nn.Module, bool, bool]]:
    """The parts of a wrapper, each with whether it begins a stage and whether a stage ends after it."""
    loose.extend(module.parameters(recurse=False))
    children = list(module.children())
    pooled = _num_pools(module) > 1
    found: list[tuple[nn.Module, bool, bool]] = []
    for child in children:
        layers = _num_layers(child)
        is_stack = isinstance(child, nn.Sequential) and _num_pools(child) > 1
        if (layers > _MOST_OF_IT * num_layers and len(list(child.children())) > 1) or is_stack:
            found += _parts(child, num_layers, loose)
            continue
        is_pool = isinstance(child, _POOLS)
        begins = isinstance(child, _CONTAINERS) if pooled else layers > 0
        found.append((child, begins and layers > 0, pooled and is_pool))
    return found


def _num_pools(module: nn.Module) -> int:
    return sum(isinstance(child, _POOLS) for child in module.children())


def _num_layers(module: nn.Module) -> int:
    """Convolutions, linear layers and others that hold a matrix; norms and biases begin no stage."""
    return sum(parameter.ndim > 1 for parameter in module.parameters())


def _without_giants(group: list[nn.Module], num_layers: int) -> list[list[nn.Module]]:
    """A group that holds most of the network, as the blocks of Inception do, falls into its parts."""
    if sum(map(_num_layers, group)) <= _MOST_OF_IT * num_layers:
        return [group]
    return _with_parameters([[part] for part in group])


def _with_parameters(groups: list[list[nn.Module]]) -> list[list[nn.Module]]:
    """Groups without a parameter join the one before them, or at the start the one after."""
    merged: list[list[nn.Module]] = []
    waiting: list[nn.Module] = []
    for group in groups:
        if any(True for part in group for _ in part.parameters()):
            merged.append([*waiting, *group])
            waiting = []
        elif merged:
            merged[-1] += group
        else:
            waiting += group
    return merged or ([waiting] if waiting else [])
