"""The type checker of the shapes in icon's signatures: arguments and result are checked when a function returns.

What a function refuses is thus refused in icon's own words, and what it accepts has the types and shapes that it
promises. NumPy's numbers are numbers here, as they are to icon's own checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype

PACKAGE = Path(__file__).parents[1] / "icon"
# What numba compiles is left as it is. A package would stand for all that is in it.
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.stem not in ("__init__", "compiled")
]
WHOLE = int | np.integer
CONF = BeartypeConf(hint_overrides=FrozenDict({int: WHOLE, float: float | WHOLE | np.floating}))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checked by beartype, unless it is jaxtyping's stand-in for the arguments alone, which it calls beforehand.

    The one that jaxtyping calls afterwards has the arguments and, as the last one, the result.
    """
    if function.__module__.startswith("icon.estimators") and function.__name__ == "__init__":
        return function  # what is set there is checked when the estimator is fitted
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return beartype(conf=CONF)(function) if names and re.fullmatch(r"ret\d*", names[-1]) else function
