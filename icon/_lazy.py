"""A module that is imported when it is first used: what few calls need delays no other one."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """Stands for a module.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
