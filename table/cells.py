"""The 45 coordinates: each computes a loss and a gradient on the digits."""

from __future__ import annotations

import time
from typing import Any

import torch

import icon
from table.data import Sample
from table.page.schema import Cell

_FEATURES = ("gaussian", "student-t", "knn")


def example(row: str, column: str, s: Sample) -> tuple[Any, Any]:
    """An input (a tensor, or a pair of tensors) and a target for a coordinate, from a sample."""
    clusters = row == "clusters"
    one = torch.tensor(s.logits if clusters else s.pairs if column == "pairs" else s.z).requires_grad_()
    if column == "cross-modal":
        other = torch.tensor(s.logits[::-1].copy() if clusters else s.zb).requires_grad_()
        return (one, other), None
    if column == "data-label":
        # A prototype of a cluster cell is itself a distribution over clusters: one per class, near its own.
        prototypes = 3 * torch.eye(10, dtype=torch.float64) if clusters else torch.tensor(s.prototypes)
        return (one, prototypes.requires_grad_()), s.y
    targets = {"identity": None, "graph": s.adjacency, "pairs": s.ids, "classes": s.y}
    return one, s.x if column in _FEATURES else targets[column]


def compute(row: str, column: str, s: Sample) -> Cell:
    """Value, gradient norm and time of a coordinate; what went wrong, if anything did."""
    cell: Cell = {
        "row": row,
        "column": column,
        "methods": [m.slug for m in icon.methods() if (m.row, m.column) == (row, column)],
        "computes": False,
        "value": None,
        "gradient_norm": None,
        "seconds": None,
        "error": None,
        "code": code(row, column),
    }
    start = time.perf_counter()
    try:
        input, target = example(row, column, s)
        value = icon.loss(row, column)(input, target)
        value.backward()
    except Exception as error:  # a cell that fails is a result to be reported, not a crash of the table
        cell["error"] = f"{type(error).__name__}: {error}"
        return cell
    cell["seconds"] = time.perf_counter() - start
    leaves = input if isinstance(input, tuple) else (input,)
    norm = torch.cat([leaf.grad.flatten() for leaf in leaves if leaf.grad is not None]).norm()
    cell["value"], cell["gradient_norm"] = value.item(), norm.item()
    cell["computes"] = bool(torch.isfinite(value) and torch.isfinite(norm))
    if not cell["computes"]:
        cell["error"] = f"loss {value.item()}, gradient norm {norm.item()}"
    return cell


def code(row: str, column: str, slug: str | None = None) -> str:
    """Three lines that make and use the loss of a coordinate or a method."""
    loss = f'icon.method("{slug}")' if slug else f'icon.loss("{row}", "{column}")'
    z = "logits" if row == "clusters" else "z"
    arguments = {
        "identity": z,
        "graph": f"{z}, adjacency",
        "pairs": f"{z}, ids",
        "cross-modal": f"({z}_a, {z}_b)",
        "classes": f"{z}, labels",
        "data-label": f"({z}, prototypes), labels",
    }.get(column, f"{z}, x")
    if slug in ("infonce", "mocov3"):
        arguments = "(queries, keys)"
    if slug == "x-sample":
        arguments = "(z_a, z_b), x"
    return f"loss = {loss}\nvalue = loss({arguments})\nvalue.backward()"
