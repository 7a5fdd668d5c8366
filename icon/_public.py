"""What `import icon` offers of the loss, the table and its records, imported when one of them is first used."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from icon._checks import set_validation
from icon.core import divergence
from icon.core.evaluators import Evaluator
from icon.core.loss import Loss
from icon.core.problem import Problem
from icon.core.reduction import Terms
from icon.methods.axes import loss
from icon.methods.record import Citation, Method
from icon.methods.registration import (
    register_column,
    register_divergence,
    register_evaluator,
    register_partition,
    register_row,
)
from icon.methods.registry import method, methods, register, register_method, table
from icon.p.rows import Rows
from icon.p.support import Support

__all__ = [
    "Citation",
    "Evaluator",
    "Loss",
    "Method",
    "Problem",
    "Rows",
    "Support",
    "Terms",
    "divergence",
    "load",
    "loss",
    "method",
    "methods",
    "register",
    "register_column",
    "register_divergence",
    "register_evaluator",
    "register_method",
    "register_partition",
    "register_row",
    "save",
    "set_validation",
    "table",
]


def save(x: Any, path: str | os.PathLike[str]) -> None:
    """Write a loss or a fitted estimator to one file, without pickle; `load` reads it back, equal to the last bit.

    Args:
        x: the loss or the estimator.
        path: where to; the file appears there when it is whole.

    Raises:
        ValueError: the file cannot be written, or the estimator is not fitted.
        TypeError: neither a loss nor an estimator, or a part of your own that is not registered.
    """
    import_module("icon.serialization").save(x, path)


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote: a `Loss` or a fitted estimator.

    Args:
        path: the file.

    Raises:
        ValueError: no such file, not one of these, or truncated.
    """
    import_module("icon.estimators")  # says how its own are read
    return import_module("icon.serialization").load(path)


Loss.save = save
