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


# What a loss takes after its column; ``z`` stands for the embedding, or for the logits of a clustering.
_INPUTS = {
    "identity": "{z}",
    "graph": "{z}, adjacency",
    "pairs": "{z}, ids",
    "cross-modal": "({z}_a, {z}_b)",
    "classes": "{z}, labels",
    "data-label": "({z}, prototypes), labels",
}


# What runs before the call of a loss, so that the lines run as they stand; {width} is that of the embedding.
_DIGITS = """\
import icon
import torch
from sklearn.datasets import load_digits
{more}
digits = load_digits()
x = torch.tensor(digits.data[:500], dtype=torch.float32) / 16
"""
_ENCODER = "encoder = torch.nn.Linear(64, {width})\n{z} = encoder(x)\n"
_LABELS = "labels = torch.tensor(digits.target[:500])\n"
_SETUP = {
    "graph": "adjacency = kneighbors_graph(x, 10)\n" + _ENCODER,
    "pairs": "views = torch.cat([x + 0.1 * torch.randn_like(x) for _ in range(2)])  # two of each image\n"
    "ids = torch.arange(500).repeat(2)\n" + _ENCODER.replace("(x)", "(views)"),
    "cross-modal": "top, bottom = x[:, :32], x[:, 32:]  # two halves of an image as two modalities\n"
    "{z}_a = torch.nn.Linear(32, {width})(top)\n{z}_b = torch.nn.Linear(32, {width})(bottom)\n",
    "classes": _LABELS + _ENCODER,
    "data-label": _LABELS + _ENCODER + "prototypes = {prototypes}.requires_grad_()\n",
}


def snippet(row: str, column: str) -> str:
    """Lines that run as they stand: the digits, an encoder, and the loss of a coordinate with its gradient."""
    width, z, prototypes = (
        (10, "logits", "(3 * torch.eye(10))") if row == "clusters" else (2, "z", "torch.randn(10, 2)")
    )
    more = "from sklearn.neighbors import kneighbors_graph\n" if column == "graph" else ""
    setup = (_DIGITS + _SETUP.get(column, _ENCODER)).format(width=width, z=z, prototypes=prototypes, more=more)
    return f"{setup}\n{code(row, column)}\nprint(value.item())"


def code(row: str, column: str, slug: str | None = None) -> str:
    """A few lines that make and use the loss of a coordinate or a method."""
    loss = f'icon.method("{slug}")' if slug else f'icon.loss("{row}", "{column}")'
    inputs = _INPUTS.get(column, "{z}, x").format(z="logits" if row == "clusters" else "z")
    call = usage().get(slug or "", f"loss = {loss}\nvalue = loss({inputs})")
    return f"{call}\nvalue.backward()"


@cache
def usage() -> dict[str, str]:
    """The calls of usage.md, by the slug of their method."""
    text = Path(__file__).with_name("usage.md").read_text(encoding="utf-8")
    return {slug: dedent(lines).strip() for slug, lines in re.findall(r"^## (.+)\n\n((?: {4}.+\n)+)", text, re.M)}
