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
        "methods": [m.slug for m in icon.methods() if m.in_table and (m.row, m.column) == (row, column)],
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


# How methods are called that need more than the arrays of their column.
_CALLS = {
    "infonce": "loss = {}\nvalue = loss((queries, keys))",
    "n-pair": "loss = {}\nvalue = loss((queries, keys))",
    "mocov3": "teacher = icon.nn.EMA(encoder, decay=0.99)\nloss = {}\n"
    "value = loss((predictor(encoder(view_a)), teacher(view_b)))  # then teacher.update(encoder)",
    "byol": "teacher = icon.nn.EMA(encoder, decay=0.99)\nloss = {}\n"
    "value = loss((predictor(encoder(view_a)), teacher(view_b)))  # then teacher.update(encoder)",
    "x-sample": "loss = {}\nvalue = loss((z_a, z_b), x)",
    "barlow-twins": "loss = {}\nvalue = loss((z_a, z_b))",
    "spectral-contrastive": "loss = {}\nvalue = loss((z_a, z_b))",
    "line": "loss = {}\nvalue = loss((z, contexts), adjacency)",
    "deepwalk": "loss = {}\nvalue = loss((z, contexts), adjacency)",
    "swav": "codes = icon.sinkhorn(unit(view_b) @ unit(prototypes).T)  # unit: rows of length 1\nloss = {}\n"
    "value = loss((view_a, prototypes), codes)",
    "dino": "teacher, centering = icon.nn.EMA(student), icon.nn.Centering(n_prototypes)\n"
    "z, prototypes = teacher(view_b)  # student: an encoder, then icon.nn.Prototypes\nloss = {}\n"
    "value = loss(student(view_a), centering(z @ prototypes.T))  # then teacher.update(student)",
    "pcl": "phi = icon.nn.concentration(z, prototypes, clusters)\n"
    'loss = icon.method("pcl", temperature=phi)\n'
    'value = icon.method("infonce")((z, keys)) + loss((z, prototypes), clusters)',
    "masked-lm": "loss = {}\nvalue = loss((hidden[masked], token_embeddings), tokens[masked])",
    "next-token": "loss = {}\nvalue = loss((hidden[:, :-1].flatten(0, 1), token_embeddings), tokens[:, 1:].flatten())",
    "weighted-cross-entropy": 'loss = icon.method("weighted-cross-entropy", class_weights=class_weights)\n'
    "value = loss((z, prototypes), labels)",
    "balanced-softmax": 'loss = icon.method("balanced-softmax", class_counts=class_counts)\n'
    "value = loss((z, prototypes), labels)",
    "sampled-softmax": 'loss = icon.method("sampled-softmax", expected_counts=expected_counts)\n'
    "value = loss((z, prototypes[sampled]), places)  # places: of the labels among the sampled",
    "soft-supcon": "loss = {}\nvalue = loss(z, soft_labels)",
    "multi-label-supcon": "loss = {}\nvalue = loss(z, label_sets)",
    "temi": "loss = {}\nvalue = loss((student_logits, teacher_logits))",
}
_ARGUMENTS = {
    "identity": "{z}",
    "graph": "{z}, adjacency",
    "pairs": "{z}, ids",
    "cross-modal": "({z}_a, {z}_b)",
    "classes": "{z}, labels",
    "data-label": "({z}, prototypes), labels",
}


def code(row: str, column: str, slug: str | None = None) -> str:
    """A few lines that make and use the loss of a coordinate or a method."""
    loss = f'icon.method("{slug}")' if slug else f'icon.loss("{row}", "{column}")'
    arguments = _ARGUMENTS.get(column, "{z}, x").format(z="logits" if row == "clusters" else "z")
    call = _CALLS.get(slug or "", f"loss = {{}}\nvalue = loss({arguments})")
    return call.format(loss) + "\nvalue.backward()"
