"""I-Con: the periodic table of representation learning as one loss, ``KL(p(.|i) ‖ q(.|i))``.

>>> loss = icon.loss("gaussian", "pairs", temperature=0.1)   # pick a row and a column -> a loss
>>> loss = icon.method("simclr", temperature=0.1)            # the same by its name in the table
>>> loss(z, ids).backward()

Source: Alshammari, Hershey, Feldmann, Freeman, Hamilton, ICLR 2025 (arXiv 2504.16929).
"""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

from icon import _late

if TYPE_CHECKING:
    from icon import estimators as estimators
    from icon import metrics as metrics
    from icon import neighbors as neighbors
    from icon import nn as nn
    from icon import p as p
    from icon import q as q
    from icon import testing as testing
    from icon import training as training
    from icon._checks import set_validation as set_validation
    from icon.core import divergence as divergence
    from icon.core.evaluators import Evaluator as Evaluator
    from icon.core.loss import Loss as Loss
    from icon.core.problem import Problem as Problem
    from icon.core.reduction import Terms as Terms
    from icon.estimators import Clustering as Clustering
    from icon.estimators import Embedding as Embedding
    from icon.estimators import advise as advise
    from icon.estimators import diagnose as diagnose
    from icon.estimators import register_estimator as register_estimator
    from icon.estimators import suggest_n_clusters as suggest_n_clusters
    from icon.methods.axes import loss as loss
    from icon.methods.record import Citation as Citation
    from icon.methods.record import Method as Method
    from icon.methods.registration import register_column as register_column
    from icon.methods.registration import register_divergence as register_divergence
    from icon.methods.registration import register_evaluator as register_evaluator
    from icon.methods.registration import register_partition as register_partition
    from icon.methods.registration import register_row as register_row
    from icon.methods.registry import method as method
    from icon.methods.registry import methods as methods
    from icon.methods.registry import register as register
    from icon.methods.registry import register_method as register_method
    from icon.methods.registry import table as table
    from icon.nn import sinkhorn as sinkhorn
    from icon.p.rows import Rows as Rows
    from icon.p.support import Support as Support
    from icon.serialization import load as load
    from icon.serialization import save as save

__version__ = "0.2.0"

_late.registry = partial(import_module, "icon.methods.registry")
_late.serialization = partial(import_module, "icon.serialization")
_late.estimators = partial(import_module, "icon.estimators")

# All is imported when it is first used: `import icon` and the help of the command load nothing.
_PACKAGES = ("estimators", "methods", "metrics", "neighbors", "nn", "p", "q", "testing", "training")
_MODULES = {name: name for name in _PACKAGES} | {"divergence": "core.divergence"}
_FORMER = {"codes": "nn", "mappers": "nn"}
_PLACES = {
    "_checks": ["set_validation"],
    "core.evaluators": ["Evaluator"],
    "core.loss": ["Loss"],
    "core.problem": ["Problem"],
    "core.reduction": ["Terms"],
    "estimators": ["Clustering", "Embedding", "advise", "diagnose", "register_estimator", "suggest_n_clusters"],
    "methods.axes": ["loss"],
    "methods.record": ["Citation", "Method"],
    "methods.registration": [
        "register_column",
        "register_divergence",
        "register_evaluator",
        "register_partition",
        "register_row",
    ],
    "methods.registry": ["method", "register", "register_method", "table"],
    "nn": ["sinkhorn"],
    "p.rows": ["Rows"],
    "p.support": ["Support"],
    "serialization": ["load", "save"],
}
_HOME = {name: module for module, names in _PLACES.items() for name in names}
__all__ = list(_MODULES | _HOME)


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        warn(f"icon.{name} is now icon.{_FORMER[name]}", DeprecationWarning, stacklevel=2)
        return import_module(f"icon.{_FORMER[name]}")
    if name in _MODULES:
        return import_module(f"icon.{_MODULES[name]}")
    if name in _HOME:
        return getattr(import_module(f"icon.{_HOME[name]}"), name)
    raise AttributeError(f"module 'icon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
