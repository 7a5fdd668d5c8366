"""What a saved file says of a part: its name and its arguments, from which it is made again.

A part is one of the package, or one that is registered; its arguments are numbers, strings, arrays, lists, mappings or
parts. What would come back as another value is refused.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from icon import p as icon_p
from icon import q as icon_q
from icon._values import arguments, content, same, shown
from icon.core import divergence as divergences
from icon.core import evaluators
from icon.methods.axes import COLUMNS, ROWS, Axis
from icon.p import operations
from icon.p.base import Distribution
from icon.q import partitions

REGISTERED = "registered:"
_TAGS = {"part", "type"}  # what a mapping of a file has that stands for something else
#: Where the parts of each kind are: those of the package, and those with a name.
KINDS: dict[str, tuple[ModuleType, Mapping[str, Any]]] = {
    "column": (icon_p, COLUMNS),
    "row": (icon_q, ROWS),
    "partition": (partitions, partitions.PARTITIONS),
    "divergence": (divergences, divergences.DIVERGENCES),
    "evaluator": (evaluators, evaluators.EVALUATORS),
}


def recorded(value: Any, what: str) -> Any:
    """A value as JSON can hold it, from which `decoded` makes the same one; ``what`` is named in messages.

    A TypeError says that it has a part without a name, or would come back as another value.
    """
    found = encoded(value, what)
    refuse_what_is_lost(value, lambda: decoded(json.loads(json.dumps(found))), what)
    return found


def refuse_what_is_lost(given: Any, make: Callable[[], Any], what: str) -> None:
    """Raise TypeError where what is made from a file is not the same as what was given."""
    expected = "expected hyper_parameters() to name every argument of its constructor"
    try:
        again = make()
        is_kept = same(given, again)
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TypeError(f"{what}: got {type(given).__name__} ({reason}), {expected}") from None
    if not is_kept:
        raise TypeError(
            f"{what}: got {type(given).__name__} with {_difference(given, again)}, which a file would lose, {expected}"
        )


def _difference(given: Any, again: Any) -> str:
    own, other = content(given), content(again)
    if isinstance(own, Mapping) and isinstance(other, Mapping):
        for name, value in own.items():
            if not same(value, other.get(name)):
                return f"{name} = {shown(value)}"
    return shown(given)


# -- to JSON ----------------------------------------------------------------------------------------------------------


def encoded(value: Any, what: str) -> Any:
    """See `recorded`; whether the value would come back is not looked at."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encoded(each, what) for each in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value) and not value.keys() & _TAGS:
        return _each(value, what)
    return _tagged(value, what)


def _tagged(value: Any, what: str) -> dict[str, Any]:
    """What JSON has no form for, with a word for its kind."""
    if isinstance(value, tuple):
        return {"type": "tuple", "items": [encoded(each, what) for each in value]}
    if isinstance(value, Mapping):
        return {"type": "mapping", "items": [encoded(item, what) for item in value.items()]}
    if isinstance(value, np.ndarray):
        return {"type": "array", "dtype": value.dtype.str, "items": [encoded(x, what) for x in value.tolist()]}
    if isinstance(value, Tensor):
        return {"type": "tensor", "dtype": str(value.dtype).removeprefix("torch."), "items": value.tolist()}
    kind, name, made_of_arguments = _named(value, what)
    found: dict[str, Any] = {"part": kind, "type": name}
    if made_of_arguments:
        found["hyper"] = _each(arguments(value), what)
    if isinstance(value, Distribution):
        found["operations"] = [_encoded_operation(operation, what) for operation in value.operations]
    return found


def _encoded_operation(operation: Any, what: str) -> dict[str, Any]:
    given = {each.name: getattr(operation, each.name) for each in dataclasses.fields(operation)}
    if "other" in given and not isinstance(given["other"], Distribution):
        raise TypeError(f"{what}: got a p mixed with prepared rows, expected a mixture of distributions")
    return {"type": type(operation).__name__, **_each(given, what)}


def _each(values: Mapping[str, Any], what: str) -> dict[str, Any]:
    return {name: encoded(value, what) for name, value in values.items()}


def _named(part: Any, what: str) -> tuple[str, str, bool]:
    """The kind of a part, what a file calls it, and whether it is made of arguments (a function is not)."""
    for kind, (module, known) in KINDS.items():
        if getattr(module, type(part).__name__, None) is type(part):
            return kind, type(part).__name__, True
        for slug, each in known.items():
            build = each.build if isinstance(each, Axis) else each
            if build is type(part) or (build is not None and same(build, part)):
                return kind, f"{REGISTERED}{slug}", build is type(part)
    name = getattr(part, "__name__", type(part).__name__)
    raise TypeError(
        f"{what}: got {name}, which no file can hold, expected plain values, a part of icon, or one that is registered "
        "(icon.register_row, icon.register_column, icon.register_partition, icon.register_divergence, "
        "icon.register_evaluator)"
    )


# -- from JSON --------------------------------------------------------------------------------------------------------


def decoded(value: Any) -> Any:
    """What `encoded` was given; a ValueError for a part that is not registered."""
    if isinstance(value, list):
        return [decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "part" in value:
        return made(value, value["part"])
    if "items" in value and value.get("type") in _READERS:
        return _READERS[value["type"]](value)
    return {name: decoded(each) for name, each in value.items()}


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "tuple": lambda value: tuple(decoded(value["items"])),
    "mapping": lambda value: dict(decoded(value["items"])),
    "array": lambda value: np.array(decoded(value["items"]), dtype=value["dtype"]),
    "tensor": lambda value: torch.tensor(value["items"], dtype=getattr(torch, value["dtype"])),
}


def made(config: Mapping[str, Any], kind: str) -> Any:
    """The part of a kind that a file describes; a ValueError for one that is not registered, or not known."""
    build = builder(config["type"], kind)
    if "hyper" not in config:
        return build
    part = build(**{name: decoded(value) for name, value in config["hyper"].items()})
    steps = config.get("operations")
    return part.with_operations(map(_operation, steps)) if steps else part


def builder(name: str, kind: str) -> Any:
    """The class, or the function, that a file calls by a name."""
    module, known = KINDS[kind]
    if not name.startswith(REGISTERED):
        found = getattr(module, name, None)
        if not isinstance(found, type):
            raise ValueError(f"path: got a loss with {name!r}, expected the name of a {kind} of this version of icon")
        return found
    slug = name.removeprefix(REGISTERED)
    refuse_unknown(slug, kind)
    each = known[slug]
    return each.build if isinstance(each, Axis) else each


def refuse_unknown(name: Any, kind: str) -> None:
    """Raise ValueError for the name of a part that is not registered."""
    if isinstance(name, str) and name not in KINDS[kind][1]:
        raise ValueError(f"path: got a loss with {name!r}, expected it to be registered first (icon.register_{kind})")


def _operation(step: Mapping[str, Any]) -> Any:
    given = {name: decoded(value) for name, value in step.items() if name not in ("type", "other")}
    if "other" in step:
        given["other"] = made(step["other"], "column")
    return getattr(operations, step["type"])(**given)
