"""The table: its rows and columns, and the methods in its cells as typed factories, a file for each family."""

import sys
from types import ModuleType

from icon.methods import clusters, multimodal, neighbor_embedding, self_supervised, supervised
from icon.methods.record import Method
from icon.methods.registry import methods

__all__ = ["clusters", "multimodal", "neighbor_embedding", "self_supervised", "supervised"]


class _Methods(ModuleType):
    """``icon.methods`` is this package and, called, the records of the table."""

    def __call__(self) -> list[Method]:
        return methods()


sys.modules[__name__].__class__ = _Methods
