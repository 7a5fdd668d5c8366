"""Well-known packages that implement a method, compared with the engine; a missing one is reported as such."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import runpy
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import icon
from table.data import Sample
from table.methods import module_of
from table.page.schema import Peer

TOLERANCE = 1e-6  # several of them compute in float32 somewhere


class Package(NamedTuple):
    """A package that implements a method; the file of the method lists them as ``PEERS``.

    Args:
        name: as it is installed.
        module: as it is imported.
        error: (sample) to the relative difference between its number and ours.
    """

    name: str
    module: str
    error: Callable[[Sample], float]


def compared(slug: str, s: Sample) -> list[Peer]:
    """The comparisons of a method with the packages that implement it."""
    return [_compared(package, s) for package in getattr(module_of(slug), "PEERS", ())]


def _compared(package: Package, s: Sample) -> Peer:
    measured = float(package.error(s)) if importlib.util.find_spec(package.module) else None
    return {
        "package": package.name,
        "status": "not installed" if measured is None else "agrees" if measured <= TOLERANCE else "differs",
        "measured": measured,
        "tolerance": TOLERANCE,
    }


def relative(mine: float, theirs: float) -> float:
    return abs(mine - theirs) / max(abs(theirs), 1e-300)


def ours(slug: str, input: Any, target: Any = None, **hyper: Any) -> float:
    """The cross-entropy form of a method."""
    return float(icon.method(slug, **hyper).terms(input, target).cross_entropy)


# -- packages whose front door asks for torchvision, which their losses never use ------------------------------------


def open_clip_loss() -> Any:
    """The class of open_clip's loss."""
    package: Any = importlib.util.find_spec("open_clip")
    return runpy.run_path(f"{package.submodule_search_locations[0]}/loss.py")["ClipLoss"]


def lightly_loss(module: str, name: str) -> Any:
    """A class of ``lightly.loss``."""
    with absent_vision():
        return getattr(importlib.import_module(f"lightly.loss.{module}"), name)


def lightly_ntxent() -> Any:
    """lightly's NTXentLoss."""
    return lightly_loss("ntx_ent_loss", "NTXentLoss")


@contextmanager
def absent_vision() -> Iterator[None]:
    """An empty stand-in for torchvision where it is missing, gone again afterwards."""
    names = [f"torchvision{part}" for part in ("", ".transforms", ".transforms.functional", ".models", ".ops")]
    if importlib.util.find_spec("torchvision") is not None:
        names = []
    for name in names:
        module: Any = types.ModuleType(name)
        module.__path__ = []
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__getattr__ = _empty_class
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def _empty_class(attribute: str) -> Any:
    if attribute.startswith("__"):
        raise AttributeError(attribute)
    return type(attribute, (), {})
