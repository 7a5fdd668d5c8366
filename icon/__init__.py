"""I-Con: the periodic table of representation learning as one loss, ``KL(p(.|i) ‖ q(.|i))``.

>>> loss = icon.loss("gaussian", "pairs", temperature=0.1)   # pick a row and a column -> a loss
>>> loss = icon.method("simclr", temperature=0.1)            # the same by its name in the table
>>> loss(z, ids).backward()

Source: Alshammari, Hershey, Feldmann, Freeman, Hamilton, ICLR 2025 (arXiv 2504.16929).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

if TYPE_CHECKING:
    from icon import estimators, metrics, nn, p, q, testing, training
    from icon._public import *
    from icon.estimators import Clustering, Embedding, advise, diagnose, register_estimator, suggest_n_clusters
    from icon.nn import sinkhorn

__version__ = "0.2.0"
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
    "advise",
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
    "register_estimator",
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

# All is imported when it is first used: `import icon` and the help of the command load nothing.
_PACKAGES = ("estimators", "metrics", "nn", "p", "q", "testing", "training")
_OF_ESTIMATORS = ("Clustering", "Embedding", "advise", "diagnose", "register_estimator", "suggest_n_clusters")
_PLACES = dict.fromkeys(_OF_ESTIMATORS, "estimators") | {"sinkhorn": "nn"}
_RENAMED = {"codes": "nn", "mappers": "nn"}


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"icon.{name}")
    if name in _RENAMED:
        warn(f"icon.{name} is now icon.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
        return import_module(f"icon.{_RENAMED[name]}")
    if name not in __all__:
        raise AttributeError(f"module 'icon' has no attribute {name!r}")
    return getattr(import_module(f"icon.{_PLACES.get(name, '_public')}"), name)


def __dir__() -> list[str]:
    return __all__
