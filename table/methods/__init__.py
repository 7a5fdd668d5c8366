"""One file for each method: its reference, the formula of the reference, and how the loss is checked against it.

References are written from the papers in NumPy float64 and use nothing of ``icon``: only the checks do. Every value
function is safe under the complex step, so that its exact directional derivative is available without automatic
differentiation.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def module_of(slug: str) -> ModuleType | None:
    """The file of a method: ``FORMULA``, and ``CHECKS``; None where nobody has written one."""
    name = f"table.methods.{slug.replace('-', '_')}"
    return import_module(name) if find_spec(name) else None


def path_of(slug: str) -> str:
    """Where the file of a method is, from the root of the repository."""
    return f"table/methods/{slug.replace('-', '_')}.py"
