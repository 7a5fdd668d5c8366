"""Groups of parameters for an optimiser with weight decay."""

from __future__ import annotations

from typing import Any

from torch import nn

from icon import _checks as check


def parameter_groups(*modules: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters of modules in two groups: matrices decay; biases, gains and learned temperatures do not.

    Decay would pull the logarithm of a temperature to 0, and so the temperature to 1.

    >>> groups = icon.nn.parameter_groups(encoder, icon.method("clip", learnable=True), weight_decay=0.1)
    >>> optimizer = torch.optim.AdamW(groups, lr=1e-3)

    Args:
        modules: such as an encoder and a loss; a parameter that two of them share is taken once.
        weight_decay: >= 0, of the first group.

    Raises:
        TypeError, ValueError: what is no module, or a negative decay.
    """
    check.number(weight_decay, "weight_decay", least=0)
    every = [p for module in modules for p in check.module(module, "modules").parameters() if p.requires_grad]
    parameters = list({id(p): p for p in every}.values())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
