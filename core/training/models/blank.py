"""Networks without memory for their weights: for counting parameters, whatever their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# What layers make their parameters with. Not arange, linspace and the like: RegNets reckon their widths with those.
_FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


class without_memory(TorchFunctionMode):  # noqa: N801  used as `with without_memory():`
    """Within it, layers put their parameters on torch's meta device: they have a shape and no values."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch in place of each of its functions."""
        options = dict(kwargs or {})
        if func in _FACTORIES:
            options["device"] = "meta"
        return func(*args, **options)
