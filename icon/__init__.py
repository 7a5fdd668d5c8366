"""I-Con: the periodic table of representation learning as one loss, ``KL(p(.|i) ‖ q(.|i))``.

>>> loss = icon.loss("gaussian", "pairs", temperature=0.1)   # pick a row and a column -> a loss
>>> loss = icon.method("simclr", temperature=0.1)            # the same by its name in the table
>>> loss(z, ids).backward()

Source: Alshammari, Hershey, Feldmann, Freeman, Hamilton, ICLR 2025 (arXiv 2504.16929).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from icon import codes, p, q
from icon._checks import set_validation
from icon.codes import sinkhorn
from icon.core import divergence
from icon.core.evaluators import Evaluator
from icon.core.loss import Loss, Terms
from icon.core.problem import Problem
from icon.p.rows import Rows
from icon.p.support import Support
from icon.records import Citation, Method
from icon.registry import loss, method, methods, register, table

if TYPE_CHECKING:
    from icon import mappers, metrics, testing, training
    from icon.clustering import Clustering
    from icon.diagnostics import diagnose, suggest_n_clusters
    from icon.embedding import Embedding
    from icon.io import load

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
    "codes",
    "diagnose",
    "divergence",
    "load",
    "loss",
    "mappers",
    "method",
    "methods",
    "metrics",
    "p",
    "q",
    "register",
    "set_validation",
    "sinkhorn",
    "suggest_n_clusters",
    "table",
    "testing",
    "training",
]

# What needs scikit-learn or reads files is imported when it is first used: `import icon` stays as fast as torch.
_LATER = {
    "Clustering": "icon.clustering",
    "Embedding": "icon.embedding",
    "diagnose": "icon.diagnostics",
    "load": "icon.io",
    "suggest_n_clusters": "icon.diagnostics",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name in ("mappers", "metrics", "testing", "training"):
        return import_module(f"icon.{name}")
    raise AttributeError(f"module 'icon' has no attribute {name!r}")
