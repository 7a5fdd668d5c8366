"""Names for parts of your own: decorators that add them to the rows, the columns and the other parts of the package."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from icon import p, q
from icon._values import parameters
from icon.core.divergence import DIVERGENCES
from icon.core.evaluators import EVALUATORS, Evaluator
from icon.methods.axes import COLUMNS, ROWS, Axis

T = TypeVar("T", bound=Callable[..., Any])


def register_row(slug: str, name: str | None = None) -> Callable[[T], T]:
    """Decorator that adds a learned distribution of your own to the rows of the table.

    >>> @icon.register_row("laplace", "Laplace")
    ... class Laplace(icon.q.Kernel):
    ...     def score(self, anchors, candidates):
    ...         return -torch.cdist(anchors, candidates, p=1)
    >>> icon.loss("laplace", "pairs")

    Args:
        slug: its name in code, and in saved files: letters, digits, ``-`` and ``_``.
        name: its name for people; None: the slug.

    Raises:
        TypeError: no subclass of `icon.q.Kernel`, or one that leaves a method to its subclasses.
        ValueError: the slug or the name is taken, or is not valid.
    """
    return _adding(ROWS, slug, name, q.Kernel, "row")


def register_column(slug: str, name: str | None = None) -> Callable[[T], T]:
    """Decorator that adds a supervisory distribution of your own to the columns of the table.

    Args:
        slug: its name in code, and in saved files: letters, digits, ``-`` and ``_``.
        name: its name for people; None: the slug.

    Raises:
        TypeError: no subclass of `icon.p.Distribution`, or one without `rows`.
        ValueError: the slug or the name is taken, or is not valid.
    """
    return _adding(COLUMNS, slug, name, p.Distribution, "column")


def register_partition(name: str) -> Callable[[T], T]:
    """Decorator that names a partition of your own: ``icon.q.Gaussian(partition=name)``.

    Args:
        name: its name in code, and in saved files: letters, digits, ``-`` and ``_``. What is registered is a class
            whose objects are partitions, and which can be made without arguments.

    Raises:
        ValueError: the name is taken, or is not valid.
        TypeError: not such a class.
    """
    expected = "a class that is made without arguments and has is_normalizer"
    return _naming(
        q.PARTITIONS, name, "partition", lambda made: callable(made) and hasattr(made, "is_normalizer"), expected
    )


def register_divergence(name: str) -> Callable[[T], T]:
    """Decorator that names a divergence of your own: ``icon.Loss(p, q, divergence=name)``.

    Args:
        name: its name in code, and in saved files: letters, digits, ``-`` and ``_``. What is registered is a function
            of ``(p, q, log_q)``, or a class whose objects are such, and which can be made without arguments.

    Raises:
        ValueError: the name is taken, or is not valid.
        TypeError: neither a function nor such a class.
    """
    expected = "a function of (p, q, log_q), or a class that is made without arguments and whose objects are such"
    return _naming(DIVERGENCES, name, "divergence", callable, expected, functions=True)


def register_evaluator(name: str) -> Callable[[T], T]:
    """Decorator that names an `icon.Evaluator` of your own: ``icon.loss(row, column, evaluator=name)``.

    Args:
        name: its name in code, and in saved files: letters, digits, ``-`` and ``_``. What is registered is a class
            that can be made without arguments.

    Raises:
        ValueError: the name or the class is registered already, or the name is not valid.
        TypeError: not such a class.
    """
    expected = "a subclass of icon.Evaluator with per_anchor that is made without arguments"
    return _naming(EVALUATORS, name, "evaluator", lambda made: isinstance(made, Evaluator), expected)


def _adding(axis: dict[str, Axis], slug: str, name: str | None, base: type, what: str) -> Callable[[T], T]:
    refuse_name(slug, "slug", axis, what)
    printed = slug if name is None else name
    if not (isinstance(printed, str) and printed.strip() and printed.isprintable()):
        raise ValueError(f"name: got {name!r}, expected some words in one line, or None for the slug")
    refuse_taken(printed, "name", [known.name for known in axis.values()], what)

    def add(kind: T) -> T:
        if not (isinstance(kind, type) and issubclass(kind, base)) or kind is base:
            raise TypeError(f"{what}: got {kind!r}, expected a subclass of {base.__name__}")
        if missing := _missing(kind):
            raise TypeError(
                f"{what}: got {kind.__name__} without {' and '.join(missing)}, expected a class with such a method"
            )
        refuse_taken(kind, what, [known.build for known in axis.values()], what)
        setattr(kind, what, slug)
        axis[slug] = Axis(slug, printed, kind)
        return kind

    return add


def _naming(
    known: dict[str, Any], name: str, what: str, is_one: Callable[[Any], bool], expected: str, functions: bool = False
) -> Callable[[T], T]:
    refuse_name(name, "name", known, what)

    def add(part: T) -> T:
        made: Any = part if functions else None
        if isinstance(part, type):
            is_whole = inspect.Parameter.empty not in parameters(part).values() and not _missing(part)
            made = part() if is_whole else None
        if not is_one(made):
            raise TypeError(f"{what}: got {part!r}, expected {expected}")
        refuse_taken(part, what, list(known.values()), what)
        known[name] = part
        return part

    return add


def refuse_name(name: Any, argument: str, known: Mapping[str, Any], what: str) -> None:
    """Raise ValueError for what is not a name in code, or the name of another part of its kind."""
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]+", name)):
        raise ValueError(f"{argument}: got {name!r}, expected letters, digits, '-' and '_'")
    refuse_taken(name, argument, list(known), what)


def refuse_taken(given: Any, argument: str, taken: Iterable[Any], what: str) -> None:
    """Raise ValueError for a name, or a class or function, that is there already."""
    if any(each is given or (isinstance(given, str) and each == given) for each in taken):
        shown = repr(given) if isinstance(given, str) else given.__name__
        article = "an" if what[0] in "aeiou" else "a"
        raise ValueError(f"{argument}: got {shown}, which is {article} {what} already, expected a new one")


def _missing(kind: type) -> list[str]:
    """The methods that a class leaves to its subclasses."""
    return [name for name in dir(kind) if getattr(getattr(kind, name, None), "__isabstractmethod__", False)]
