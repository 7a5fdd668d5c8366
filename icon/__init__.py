"""I-Con: the periodic table of representation learning as one loss, ``KL(p(.|i) ‖ q(.|i))``.

>>> loss = icon.loss("gaussian", "pairs", temperature=0.1)   # pick a row and a column -> a loss
>>> loss = icon.method("simclr", temperature=0.1)            # the same by its name in the table
>>> loss(z, ids).backward()

Source: Alshammari, Hershey, Feldmann, Freeman, Hamilton, ICLR 2025 (arXiv 2504.16929).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

from icon import p, q
from icon._checks import set_validation
from icon.core import divergence
from icon.core.evaluators import Evaluator
from icon.core.loss import Loss, Terms
from icon.core.problem import Problem
from icon.methods.axes import (
    loss,
    register_column,
    register_divergence,
    register_evaluator,
    register_partition,
    register_row,
)
from icon.methods.record import Citation, Method
from icon.methods.registry import method, methods, register, register_method, table
from icon.p.rows import Rows
from icon.p.support import Support

if TYPE_CHECKING:
    import os

    from icon import estimators, metrics, nn, testing, training
    from icon.estimators import Clustering, Embedding, diagnose, suggest_n_clusters
    from icon.nn import sinkhorn

__version__ = "0.1.0"
__all__ = [
    "Citation",
    "Clustering",
    "Embedding",
    "Evaluator",
    "Loss",
    "Method",
    "Problem",
    "Rows",
    "Support",
    "Terms",
    "diagnose",
    "divergence",
    "estimators",
    "load",
    "loss",
    "method",
    "methods",
    "metrics",
    "nn",
    "p",
    "q",
    "register",
    "register_column",
    "register_divergence",
    "register_evaluator",
    "register_method",
    "register_partition",
    "register_row",
    "save",
    "set_validation",
    "sinkhorn",
    "suggest_n_clusters",
    "table",
    "testing",
    "training",
]

# What needs scikit-learn or reads files is imported when it is first used: `import icon` stays as fast as torch.
_PACKAGES = ("estimators", "metrics", "nn", "testing", "training")
_LATER = dict.fromkeys(("Clustering", "Embedding", "diagnose", "suggest_n_clusters"), "estimators") | {"sinkhorn": "nn"}
_RENAMED = {"codes": "nn", "mappers": "nn"}


def save(x: Any, path: "str | os.PathLike[str]") -> None:
    """Write a loss or a fitted estimator to one file, without pickle; `load` reads it back, equal to the last bit.

    Args:
        x: the loss or the estimator.
        path: where to; the file appears there when it is whole.

    Raises:
        ValueError: the file cannot be written, or the estimator is not fitted.
        TypeError: neither a loss nor an estimator, or a part of your own that is not registered.
    """
    import_module("icon.serialization").save(x, path)


def load(path: "str | os.PathLike[str]") -> Any:
    """What `save` wrote: a `Loss` or a fitted estimator.

    Args:
        path: the file.

    Raises:
        ValueError: no such file, not one of these, or truncated.
    """
    import_module("icon.estimators")  # says how its own are read
    return import_module("icon.serialization").load(path)


Loss.save = save


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"icon.{_LATER[name]}"), name)
    if name in _PACKAGES:
        return import_module(f"icon.{name}")
    if name in _RENAMED:
        warn(f"icon.{name} is now icon.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
        return import_module(f"icon.{_RENAMED[name]}")
    raise AttributeError(f"module 'icon' has no attribute {name!r}")
