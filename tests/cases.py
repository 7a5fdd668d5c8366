"""Small valid inputs of each of the 45 coordinates, their dense counterpart, and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import icon
from tests import dense

ROWS = ("gaussian", "gaussian-wide", "gaussian-narrow", "student-t", "clusters")
COLUMNS = (
    "gaussian",
    "student-t",
    "identity",
    "graph",
    "knn",
    "pairs",
    "cross-modal",
    "classes",
    "data-label",
)
COORDINATES = [(row, column) for row in ROWS for column in COLUMNS]
TWO_SETS = ("cross-modal", "data-label")
SPARSE_COLUMNS = ("identity", "graph", "knn", "pairs", "cross-modal", "classes", "data-label")

N, D, CLUSTERS, PROTOTYPES = 18, 3, 4, 5
PERPLEXITY, P_DOF, K = 5.0, 3.0, 4
LEAK, MARGIN, DOF, SCALE = 0.05, 0.3, 2.5, 0.7


@cache
def digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[n, 64]`` in [0, 1] and labels ``[n]`` of the handwritten digits."""
    data = load_digits()
    return data.data[:n] / 16, data.target[:n]


def normal(*shape: int, seed: int = 0, grad: bool = False) -> Tensor:
    tensor = torch.from_numpy(np.random.default_rng((seed, *shape)).normal(size=shape))
    return tensor.requires_grad_(grad)


def ring(n: int, seed: int = 0) -> np.ndarray:
    """A connected weighted graph: a ring with random chords."""
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.uniform(0.5, 2, size=(n, n)) * (rng.random((n, n)) < 0.15), 1)
    weights += np.diag(rng.uniform(0.5, 2, size=n - 1), 1)
    return weights + weights.T


@dataclass
class Case:
    """An input and target of a coordinate, with everything that a dense evaluation needs.

    ``p`` and ``mask`` are the dense supervisory rows (before debiasing) and the support, ``[n, m]``.
    """

    row: str
    column: str
    anchors: Tensor
    candidates: Tensor | None
    target: Any
    p: np.ndarray
    mask: np.ndarray
    hyper: dict[str, Any] = field(default_factory=dict)

    @property
    def input(self) -> Any:
        return self.anchors if self.candidates is None else (self.anchors, self.candidates)

    @property
    def leaves(self) -> list[Tensor]:
        return [self.anchors] if self.candidates is None else [self.anchors, self.candidates]

    @property
    def metric(self) -> str:
        return self.hyper.get("metric", "")

    def scores(self, a: Tensor, c: Tensor) -> Tensor:
        return {
            "gaussian": lambda: dense.gaussian_scores(a, c, self.metric, gaussian_scale(self.hyper)),
            "gaussian-wide": lambda: dense.unit_gaussian_scores(a, c, self.metric),
            "gaussian-narrow": lambda: dense.unit_gaussian_scores(a, c, self.metric),
            "student-t": lambda: dense.student_t_scores(a, c, DOF, SCALE),
            "clusters": lambda: dense.cluster_log_q(a, c, LEAK),
        }[self.row]()

    @property
    def kind(self) -> str:
        kinds = {"gaussian-wide": "mean", "gaussian-narrow": "max", "clusters": "none"}
        return kinds.get(self.row, "logsumexp")

    def directions(self) -> list[tuple[Tensor, Tensor, np.ndarray]]:
        """Anchors, candidates and rows of p of every evaluation: cross-modal pairs go both ways."""
        a = self.anchors
        c = a if self.candidates is None else self.candidates
        ways = [(a, c, self.p)]
        return [*ways, (c, a, dense.p_graph(self.p.T))] if self.column == "cross-modal" else ways

    def dense_rows(self, debias: float = 0.0) -> Tensor:
        """``[n]`` (both directions one after the other) the per-anchor losses."""
        parts = []
        for a, c, p in self.directions():
            target = dense.debiased(p, debias, self.mask)
            scores = self.scores(a, c)
            if "margin" in self.hyper:
                scores = dense.with_margin(scores, p, self.hyper["margin"])
            parts.append(dense.row_kl(scores, target, self.mask, self.kind))
        return torch.cat(parts)


def gaussian_scale(hyper: dict[str, Any]) -> float:
    return hyper["sigma"] if "sigma" in hyper else hyper["temperature"]


def coordinate_input(row: str, column: str, n: int = N, seed: int = 0) -> Case:
    """A valid input and target of a coordinate, with gradients wanted for every embedding."""
    d = CLUSTERS if row == "clusters" else D
    z = normal(n, d, seed=seed, grad=True)
    x = digits(n)[0]
    with_self = column in ("identity", *TWO_SETS) or row == "clusters" or (row, column) == ("gaussian-wide", "pairs")
    mask = dense.everyone(n) if with_self else dense.others(n)
    # A kernel of the features includes self where q does (K-Means).
    groups = np.random.default_rng(seed).permutation(np.arange(n) // 2)
    labels = np.random.default_rng(seed).permutation(np.arange(n) % PROTOTYPES)
    graph = ring(n, seed)
    targets: dict[str, tuple[Any, Callable[[], np.ndarray]]] = {
        "gaussian": (x, lambda: dense.p_gaussian(x, PERPLEXITY, mask)),
        "student-t": (x, lambda: dense.p_student_t(x, P_DOF, mask)),
        "identity": (None, lambda: np.eye(n)),
        "graph": (graph, lambda: dense.p_graph(graph)),
        "knn": (x, lambda: dense.p_knn(x, K)),
        "pairs": (groups, lambda: dense.p_members(groups)),
        "cross-modal": (None, lambda: np.eye(n)),
        "classes": (labels, lambda: dense.p_members(labels)),
        "data-label": (labels, lambda: np.eye(PROTOTYPES)[labels]),
    }
    target, p = targets[column]
    candidates = None
    if column in TWO_SETS:
        m = PROTOTYPES if column == "data-label" else n
        candidates = normal(m, d, seed=seed + 1, grad=True)
        mask = dense.everyone(n, m)
    return Case(row, column, z, candidates, target, p(), mask, _hyper(row, column))


def _hyper(row: str, column: str) -> dict[str, Any]:
    p_hyper: dict[str, Any] = {
        "gaussian": {"perplexity": PERPLEXITY},
        "student-t": {"target_dof": P_DOF},
        "knn": {"n_neighbors": K},
    }.get(column, {})
    metric = {"pairs": "cosine", "cross-modal": "cosine", "classes": "cosine", "data-label": "dot"}.get(
        column, "sqeuclidean"
    )
    q_hyper: dict[str, Any] = {
        "gaussian": {"metric": metric} | ({"sigma": 0.9} if metric == "sqeuclidean" else {"temperature": 0.4}),
        "gaussian-wide": {"metric": metric},
        "gaussian-narrow": {"metric": metric, "margin": MARGIN},
        "student-t": {"dof": DOF, "scale": SCALE},
        "clusters": {"leak": LEAK},
    }[row]
    return p_hyper | q_hyper


# -- comparisons ------------------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor has that any operation gives.

    Args:
        floating: count tensors of floating-point numbers only.
    """

    numbers = 0

    def __init__(self, floating: bool = False) -> None:
        super().__init__()
        self.floating = floating

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for x in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(x, Tensor) and (x.is_floating_point() or not self.floating):
                self.numbers = max(self.numbers, x.numel())
        return found


def gradients(value: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, list(leaves), allow_unused=True, retain_graph=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


def assert_close(actual: Any, expected: Any, rtol: float = 1e-9, what: str = "") -> None:
    """Largest difference at most ``rtol`` times the largest entry (an absolute 1e-12 where all are zero)."""
    actual, expected = (torch.as_tensor(t).detach().double() for t in (actual, expected))
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    assert torch.isfinite(actual).all(), f"{what}: not finite"
    error = float((actual - expected).abs().max())
    bound = rtol * float(expected.abs().max()) + 1e-12 * (rtol / 1e-9)
    assert error <= bound, f"{what}: error {error:.3g}, allowed {bound:.3g}"


def assert_same(actual: Tensor, expected: Tensor, leaves: Sequence[Tensor], rtol: float = 1e-9) -> None:
    """Equal values, and equal gradients by every leaf."""
    assert_close(actual, expected, rtol, "value")
    for k, (g, e) in enumerate(zip(gradients(actual, leaves), gradients(expected, leaves), strict=True)):
        assert_close(g, e, rtol, f"gradient by leaf {k}")


def reweighted(rows: Tensor, seed: int = 5) -> Tensor:
    """A scalar whose upstream gradient differs between anchors."""
    return rows @ normal(len(rows), seed=seed)


class Bilinear(icon.q.Kernel):
    """A parameter inside the score."""

    def __init__(self) -> None:
        super().__init__()
        self.metric = torch.nn.Parameter(normal(3, 3, seed=9))

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return anchors @ self.metric @ candidates.mT
