"""The coordinates of the table: each computes a loss and a gradient on the digits."""

from __future__ import annotations

import math
import re
import time
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import torch

import icon
from table.data import Sample
from table.page.schema import Cell
from table.page.templating import fill


def example(row: str, column: str, s: Sample) -> tuple[tuple[torch.Tensor, ...], Any]:
    """One or two inputs, and a target, for a coordinate, from a sample."""
    clusters = row == "clusters"
    one = torch.tensor(s.logits if clusters else s.pairs if column == "pairs" else s.z).requires_grad_()
    if column == "cross-modal":
        return (one, torch.tensor(s.logits[::-1].copy() if clusters else s.zb).requires_grad_()), None
    if column == "data-label":
        # A prototype of a cluster cell is itself a distribution over clusters: one per class, near its own.
        prototypes = 3 * torch.eye(10, dtype=torch.float64) if clusters else torch.tensor(s.prototypes)
        return (one, prototypes.requires_grad_()), s.y
    targets = {"identity": None, "graph": s.adjacency, "pairs": s.ids, "classes": s.y}
    return (one,), targets.get(column, s.x)


def compute(row: str, column: str, s: Sample) -> Cell:
    """Value, gradient norm and time of a coordinate; what went wrong, if anything did."""
    value: float | None = None
    norm: float | None = None
    error = None
    start = time.perf_counter()
    try:
        inputs, target = example(row, column, s)
        loss = icon.loss(row, column)(inputs if len(inputs) > 1 else inputs[0], target)
        gradients = torch.autograd.grad(loss, inputs)
        value, norm = loss.item(), torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
        if not (math.isfinite(value) and math.isfinite(norm)):
            error = f"loss {value}, gradient norm {norm}"
    except Exception as raised:  # a cell that fails is a result to be reported, not a crash of the table
        error = f"{type(raised).__name__}: {raised}"
    return {
        "row": row,
        "column": column,
        "methods": [m.slug for m in icon.methods() if m.in_table and (m.row, m.column) == (row, column)],
        "computes": error is None,
        "value": value,
        "gradient_norm": norm,
        "seconds": None if value is None else time.perf_counter() - start,
        "error": error,
        "code": snippet(row, column),
    }


#: What a loss takes after its column; ``z`` stands for the embedding, or for the logits of a clustering.
_INPUTS = {
    "identity": "{z}",
    "graph": "{z}, adjacency",
    "pairs": "{z}, ids",
    "cross-modal": "({z}_a, {z}_b)",
    "classes": "{z}, labels",
    "data-label": "({z}, prototypes), labels",
}


def snippet(row: str, column: str) -> str:
    """Lines that run as they stand: the digits, an encoder, and the loss of a coordinate with its gradient."""
    return fill("snippet.txt", row=row, column=column, z=_embedding(row), code=code(row, column))


def _embedding(row: str) -> str:
    return "logits" if row == "clusters" else "z"


def code(row: str, column: str, slug: str | None = None) -> str:
    """A few lines that make and use the loss of a coordinate or a method."""
    loss = f'icon.method("{slug}")' if slug else f'icon.loss("{row}", "{column}")'
    inputs = _INPUTS.get(column, "{z}, x").format(z=_embedding(row))
    call = usage().get(slug or "", f"loss = {loss}\nvalue = loss({inputs})")
    return f"{call}\nvalue.backward()"


@cache
def usage() -> dict[str, str]:
    """The calls of usage.md, by the slug of their method."""
    text = Path(__file__).with_name("usage.md").read_text(encoding="utf-8")
    return {slug: dedent(lines).strip() for slug, lines in re.findall(r"^## (.+)\n\n((?: {4}.+\n)+)", text, re.M)}
