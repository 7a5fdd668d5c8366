"""Parts as values: what makes one, whether two are the same, and how one is shown."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Mapping
from functools import cache, singledispatch
from numbers import Number
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_ATOMS = (str, bytes, set, frozenset, type, type(None), FunctionType, BuiltinFunctionType, ModuleType, torch.dtype)
_OF_ANY_MODULE = frozenset(vars(nn.Module()))  # hooks, and whether it trains
_WITHOUT_ARGUMENTS: tuple[Any, ...] = (object.__repr__, nn.Module.__repr__)
_SHOWN = 4  # numbers that are shown one by one


@cache
def parameters(build: Callable[..., Any]) -> Mapping[str, Any]:
    """The arguments of a class or a function and their defaults, also those that a class passes on with ``**``."""
    found: dict[str, Any] = {}
    makers = [vars(kind).get("__init__") for kind in build.__mro__] if isinstance(build, type) else [build]
    for make in filter(inspect.isfunction, makers):
        own = list(inspect.signature(make).parameters.values())[isinstance(build, type) :]
        named = {each.name: each.default for each in own if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
        found = found | {name: default for name, default in named.items() if name not in found}
        if not any(each.kind is each.VAR_KEYWORD for each in own):
            break
    return found


def arguments(part: Any) -> dict[str, Any]:
    """What makes a part again: its `hyper_parameters`, or the attributes that are named like its arguments and differ
    from their defaults."""
    return dict(part.hyper_parameters()) if hasattr(part, "hyper_parameters") else changed(part)


def changed(part: Any, always: Container[str] = ()) -> dict[str, Any]:
    """The attributes that are named like the arguments of a part and differ from their defaults, or are to be there
    always."""
    kind: Callable[..., Any] = type(part)
    known: Mapping[str, Any] = parameters(kind)
    own = {name: getattr(part, name) for name in known if hasattr(part, name)}
    return {name: value for name, value in own.items() if name in always or not same(value, known[name])}


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same, whatever they are: numbers as numbers, functions by identity, arrays and tensors
    entry by entry with their dtype, other objects by what they consist of."""
    if a is b:
        return True
    a, b = (x.item() if isinstance(x, np.generic) else x for x in (a, b))
    if isinstance(a, Number) and isinstance(b, Number):
        return bool(a == b) or str(a) == str(b) == "nan"
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
    if type(a) is not type(b) or isinstance(a, _ATOMS):
        return type(a) is type(b) and bool(a == b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return same(content(a), content(b))


@singledispatch
def content(value: Any) -> Any:
    """What a value consists of, as mappings and tuples of simpler values."""
    try:
        made: tuple[Any, ...] = tuple(value.__reduce_ex__(4))
    except TypeError:  # nothing that could be copied: it is the same as itself alone
        return {"at": id(value)}
    made_from, state = made[1], made[2] if len(made) > 2 else None
    if (state is None or isinstance(state, Mapping)) and len(made_from) == 1:
        return _without_what_came_later(value, state or {})
    return made_from, state, *(tuple(each) for each in made[3:5] if each is not None)


def _without_what_came_later(value: Any, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of a part less what it has kept since it was made, which is no argument of it."""
    if not (callable(value) and state) or _required(type(value)):
        return state
    fresh = vars(type(value)())
    return {name: each for name, each in state.items() if name in fresh}


@content.register
def _(value: Tensor) -> Any:
    return str(value.dtype), tuple(value.shape), value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()


@content.register
def _(value: np.ndarray) -> Any:
    return value.dtype.str, value.shape, value.tolist() if value.dtype.hasobject else value.tobytes()


@content.register
def _(value: nn.Module) -> Any:
    own = {name: each for name, each in vars(value).items() if name not in _OF_ANY_MODULE}
    return {**own, **value._parameters, **value._buffers, **value._modules}


def name_of(part: Any, known: Mapping[str, Any]) -> str | None:
    """The name under which a function is known, or a class whose objects are the same as this one if made without
    arguments."""
    for name, each in known.items():
        if same(each, part) or (type(part) is each and not _required(each) and same(each(), part)):
            return name
    return None


def _required(kind: type) -> bool:
    return inspect.Parameter.empty in parameters(kind).values()


def as_numbers(value: Any) -> Any:
    """An array or a tensor as Python's numbers; on the meta device it has none and stays what it is, as all else."""
    has_numbers = isinstance(value, (np.ndarray, np.generic)) or (isinstance(value, Tensor) and not value.is_meta)
    return value.tolist() if has_numbers else value


def shown(value: Any) -> str:
    """A hyper-parameter as `repr` shows it: of many numbers only how many, a function by its name, a part that has no
    `repr` of its own by its arguments."""
    if inspect.isfunction(value):
        return value.__name__
    value = as_numbers(value)
    if isinstance(value, (list, tuple)) and len(value) > _SHOWN:
        return f"[{len(value)} numbers]" if isinstance(value, list) else f"({len(value)} numbers)"
    if type(value).__repr__ in _WITHOUT_ARGUMENTS:
        return called(value)
    return repr(value)


def called(part: Any) -> str:
    """The call that makes a part."""
    return f"{type(part).__name__}({with_names(arguments(part))})"


def with_names(given: Mapping[str, Any]) -> str:
    """Arguments as they are written in a call."""
    return ", ".join(f"{name}={shown(value)}" for name, value in given.items())
