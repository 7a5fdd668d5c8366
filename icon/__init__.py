"""I-Con: the periodic table of representation learning as one loss."""

from icon import divergence, p, q
from icon.loss import Loss, Terms
from icon.records import Citation, Method
from icon.registry import loss, method, methods, register, table
from icon.rows import Rows, Support

__version__ = "0.1.0"
__all__ = [
    "Citation",
    "Loss",
    "Method",
    "Rows",
    "Support",
    "Terms",
    "divergence",
    "loss",
    "method",
    "methods",
    "p",
    "q",
    "register",
    "table",
]
