"""`scipy.sparse`, imported when it is first used: what few calls need delays no other one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import scipy.sparse as sp
else:

    class Lazy:
        def __getattr__(self, name):
            return getattr(import_module("scipy.sparse"), name)

    sp = Lazy()

__all__ = ["sp"]
