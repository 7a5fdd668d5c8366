"""Modules that are imported when they are first used: what few calls need delays no other one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["sp"]


class Lazy:
    """Stands for the module of a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import scipy.sparse as sp
else:
    sp = Lazy("scipy.sparse")
