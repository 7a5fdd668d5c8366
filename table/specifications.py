"""The checks of each method: data, relation and what is compared. One entry of `CHECKS` per slug."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
import torch

import icon
from table import minimisers
from table.checks import Bound, Exact, Limit, Minimiser, Number
from table.data import Sample
from table.references import (
    average_margin,
    clip,
    cmc,
    cross_entropy,
    dcd,
    doubly_tsne,
    dual_tsne,
    error_rate,
    harmonic,
    infonce,
    infonce_clustering,
    kmeans,
    lgsimclr,
    mocov3,
    ncut,
    pca,
    simclr,
    sne,
    sne_graph,
    supcon,
    supervised_clustering,
    t_clip,
    t_kmeans,
    t_simclr,
    t_simcne,
    t_supcon,
    triplet,
    tsne,
    tsne_graph,
    vi_reg,
    x_sample,
)

Check = Exact | Limit | Bound | Minimiser | Number
PERPLEXITY = 20.0
K = 10


def ce(loss: icon.Loss, *arguments: Any) -> torch.Tensor:
    """The cross-entropy form, in which most papers state their loss."""
    return loss.terms(*arguments).cross_entropy


def wide(column: str, arrays: tuple[str, ...], target: Any, reference: Any, **hyper: Any) -> Limit:
    """``T (CE - log |S|)`` of the finite Gaussian towards the σ → ∞ row, in σ (Euclidean) or τ (cosine)."""
    euclidean = "temperature" not in hyper

    def finite(s: Sample, scale: float) -> float:
        scale_name = "sigma" if euclidean else "temperature"
        rest = {k: v for k, v in hyper.items() if k != "temperature"}
        loss = icon.loss("gaussian", column, **{scale_name: scale}, **rest)
        tensors = [torch.tensor(getattr(s, a)) for a in arrays]
        rows = loss.terms(tensors[0] if len(tensors) == 1 else tuple(tensors), target(s))
        size = len(tensors[-1]) - (len(tensors) == 1 and column == "classes")
        return (2 * scale**2 if euclidean else scale) * (rows.cross_entropy.item() - log(size))

    name = "σ → ∞" if euclidean else "τ → ∞"
    order = -2.0 if euclidean else -1.0
    scales = (30.0, 100.0, 300.0) if euclidean else (30.0, 300.0, 3000.0)
    return Limit(name, scales, finite, reference, order)


def narrow(column: str, arrays: tuple[str, ...], target: Any, reference: Any, margin: float, size: Any) -> Bound:
    """``T CE`` of the finite Gaussian (the margin in units of the score) towards the σ → 0 row."""
    euclidean = column == "pairs"

    def finite(s: Sample, temperature: float) -> float:
        scale = {"sigma": sqrt(temperature / 2)} if euclidean else {"temperature": temperature}
        loss = icon.loss("gaussian", column, **scale, margin=margin / temperature)
        tensors = [torch.tensor(getattr(s, a)) for a in arrays]
        return temperature * ce(loss, tensors[0] if len(tensors) == 1 else tuple(tensors), target(s)).item()

    return Bound("σ → 0", (1.0, 0.1, 0.01), finite, reference, size)


def _tsne_chain(s: Sample) -> float:
    """The joint KL of the engine against the references' conditional and marginal parts."""
    joint = icon.method("tsne", perplexity=PERPLEXITY)(torch.tensor(s.map2), s.x).item()
    return abs(joint - sum(tsne.conditional_and_marginal(s.map2, s.x, PERPLEXITY, 1.0))) / joint


def _harmonic_limit(s: Sample, scale: float) -> float:
    loss = icon.loss("student-t", "data-label", dof=1.0, exponent=1.5, scale=scale)
    return float(ce(loss, (torch.tensor(s.z), torch.tensor(s.prototypes)), s.y))


def _error_rate_value(s: Sample) -> float:
    loss = icon.method("error-rate", leak=0.05)
    measured = float(ce(loss, (torch.tensor(s.z), torch.tensor(s.prototypes)), s.y))
    expected = error_rate.value(s.z, s.prototypes, s.y, 0.05)
    return abs(measured - expected) / expected


def _error_rate_gradient(s: Sample) -> float:
    z = torch.tensor(s.z, requires_grad=True)
    icon.method("error-rate", leak=0.05)((z, torch.tensor(s.prototypes)), s.y).backward()
    return 0.0 if z.grad is None else float(z.grad.abs().max())


def _hard(labels: Any, clusters: int) -> torch.Tensor:
    """Logits whose softmax is exactly one-hot in float64."""
    return torch.nn.functional.one_hot(torch.as_tensor(labels, dtype=torch.int64), clusters).double() * 2000.0


def kmeans_inertia(s: Sample, labels: Any) -> float:
    """σ² [Σ KL(q_i‖p_i) - Σ log Z_i + Σ N_c log N_c], which is the inertia of a hard clustering."""
    sigma = 15.0
    loss = icon.method("kmeans", sigma=sigma, reduction="sum")
    squares = (s.x * s.x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * s.x @ s.x.T
    log_z = np.log(np.exp(-distances / (2 * sigma**2)).sum(axis=1)).sum()
    sizes = np.bincount(labels)
    return float(sigma**2 * (loss(_hard(labels, 10), s.x).item() - log_z + (sizes * np.log(sizes)).sum()))


def _kmeans_identity(s: Sample) -> float:
    expected = kmeans.inertia(s.x, s.y)
    return float(abs(kmeans_inertia(s, s.y) - expected) / expected)


def _other_clustering(s: Sample) -> Any:
    return np.random.default_rng(s.seed).permutation(s.y)


def _kmeans_forward(s: Sample, variance: float) -> float:
    """(σ²/ε) (L(A) - L(B)) of the forward KL with a leak 1 - ε, as a fraction of the inertia of B."""
    epsilon = 1e-6
    loss = icon.loss("clusters", "gaussian", sigma=sqrt(variance), leak=1 - epsilon, reduction="sum")
    a, b = (loss(_hard(labels, 10), s.x).item() for labels in (s.y, _other_clustering(s)))
    return variance / epsilon * (a - b) / kmeans.inertia(s.x, _other_clustering(s))


def _kmeans_forward_reference(s: Sample) -> float:
    other = _other_clustering(s)
    return float((kmeans.inertia(s.x, s.y) - kmeans.inertia(s.x, other)) / kmeans.inertia(s.x, other))


def _ncut_limit(s: Sample, epsilon: float) -> float:
    loss = icon.method("ncut", leak=1 - epsilon)
    stationary = s.adjacency.sum(axis=1) / s.adjacency.sum()
    walk = s.adjacency / s.adjacency.sum(axis=1, keepdims=True)
    start = -(stationary @ walk @ np.log(stationary))
    return (float(ce(loss, _hard(s.y, 10), s.adjacency)) - start) / epsilon


CHECKS: dict[str, list[Check]] = {
    "sne": [
        Exact(
            ("map2",),
            lambda s, z: icon.method("sne", perplexity=PERPLEXITY)(z, s.x),
            lambda s, z: sne.value(z, s.x, PERPLEXITY),
            lambda s, z: sne.gradient(z, s.x, PERPLEXITY),
            scale=lambda s: 1 / s.n,
            form="KL = reference / n",
        )
    ],
    "x-sample": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: ce(icon.method("x-sample", temperature=0.2, target_temperature=0.1), (a, b), s.x),
            lambda s, a, b: x_sample.value(a, b, s.x, 0.2, 0.1),
            lambda s, a, b: x_sample.gradient(a, b, s.x, 0.2, 0.1),
            form="cross-entropy",
        )
    ],
    "dual-tsne": [
        Exact(
            ("map2",),
            lambda s, z: icon.method("dual-tsne", dof=2.0)(z, s.x),
            lambda s, z: dual_tsne.value(z, s.x, 2.0),
            form="KL",
        )
    ],
    "sne-graph": [
        Exact(
            ("map2",),
            lambda s, z: icon.method("sne-graph")(z, s.adjacency),
            lambda s, z: sne_graph.value(z, s.adjacency, 1),
            form="KL",
        ),
        Exact(
            ("map2",),
            lambda s, z: icon.method("sne-graph", walks=2)(z, s.adjacency),
            lambda s, z: sne_graph.value(z, s.adjacency, 2),
            form="KL, two walks",
        ),
        Exact(
            ("z", "contexts"),
            lambda s, z, c: icon.loss("gaussian", "graph", metric="dot")((z, c), s.adjacency),
            lambda s, z, c: sne_graph.context(z, c, s.adjacency),
            lambda s, z, c: sne_graph.context_gradient(z, c, s.adjacency),
            form="KL, dot score and context vectors (LINE, DeepWalk)",
        ),
    ],
    "sne-uniform": [
        Exact(
            ("map2",),
            lambda s, z: icon.method("sne-uniform", n_neighbors=K)(z, s.x),
            lambda s, z: sne.uniform(z, s.x, K),
            lambda s, z: sne.uniform_gradient(z, s.x, K),
            scale=lambda s: 1 / s.n,
            form="KL = reference / n",
        )
    ],
    "lgsimclr": [
        Exact(
            ("z",),
            lambda s, z: ce(icon.method("lgsimclr", n_neighbors=5, temperature=0.1), z, s.x),
            lambda s, z: lgsimclr.value(z, s.x, 5, 0.1),
            lambda s, z: lgsimclr.gradient(z, s.x, 5, 0.1),
            form="cross-entropy",
        )
    ],
    "infonce": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: ce(icon.method("infonce", temperature=0.1), (a, b)),
            lambda s, a, b: infonce.value(a, b, 0.1),
            lambda s, a, b: infonce.gradient(a, b, 0.1),
            form="cross-entropy",
        )
    ],
    "simclr": [
        Exact(
            ("pairs",),
            lambda s, z: ce(icon.method("simclr", temperature=0.1), z, s.ids),
            lambda s, z: simclr.value(z, s.ids, 0.1),
            lambda s, z: simclr.gradient(z, s.ids, 0.1),
            form="cross-entropy",
        )
    ],
    "mocov3": [
        Exact(
            ("za",),
            lambda s, a: ce(icon.method("mocov3", temperature=0.2), (a, torch.tensor(s.zb))),
            lambda s, a: mocov3.value(a, s.zb, 0.2),
            lambda s, a: mocov3.gradient(a, s.zb, 0.2),
            scale=lambda s: 1 / (2 * 0.2),
            form="cross-entropy = reference / 2τ",
        )
    ],
    "clip": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: ce(icon.method("clip", temperature=0.07), (a, b)),
            lambda s, a, b: clip.value(a, b, 0.07),
            lambda s, a, b: clip.gradient(a, b, 0.07),
            form="cross-entropy",
        )
    ],
    "cmc": [
        Exact(
            ("za", "zb", "zc"),
            lambda s, *views, graph=graph: ce(icon.method("cmc", temperature=0.07, graph=graph), views),
            lambda s, *views, graph=graph: cmc.value(list(views), 0.07, graph),
            lambda s, *views, graph=graph: cmc.gradient(list(views), 0.07, graph),
            scale=lambda s, directions=directions: 1 / directions,
            form=f"cross-entropy = reference / {directions}, {graph} graph of three views",
        )
        for graph, directions in (("core", 4), ("full", 6))
    ],
    "supcon": [
        Exact(
            ("z",),
            lambda s, z: ce(icon.method("supcon", temperature=0.1), z, s.y),
            lambda s, z: supcon.value(z, s.y, 0.1),
            lambda s, z: supcon.gradient(z, s.y, 0.1),
            form="cross-entropy",
        )
    ],
    "cross-entropy": [
        Exact(
            ("z", "prototypes"),
            lambda s, z, w, smoothing=smoothing: ce(
                icon.method("cross-entropy", temperature=0.5, label_smoothing=smoothing), (z, w), s.y
            ),
            lambda s, z, w, smoothing=smoothing: cross_entropy.value(z, w, s.y, 0.5, smoothing),
            lambda s, z, w, smoothing=smoothing: cross_entropy.gradient(z, w, s.y, 0.5, smoothing),
            form=f"cross-entropy, label smoothing {smoothing:g}",
        )
        for smoothing in (0.0, 0.1)
    ],
    "pca": [
        Exact(
            ("z",),
            lambda s, z: icon.method("pca")(z),
            lambda s, z: pca.value(z),
            lambda s, z: pca.gradient(z),
            form="limit",
        ),
        wide("identity", ("z",), lambda s: None, lambda s: pca.value(s.z)),
        Minimiser("principal subspace", minimisers.pca, 1e-4, "largest principal angle (rad)"),
    ],
    "vi-reg": [
        Exact(
            ("pairs",),
            lambda s, z: icon.method("vi-reg")(z, s.ids),
            lambda s, z: vi_reg.value(z, s.ids),
            lambda s, z: vi_reg.gradient(z, s.ids),
            form="limit",
        ),
        wide("pairs", ("pairs",), lambda s: s.ids, lambda s: vi_reg.value(s.pairs, s.ids), exclude_self=False),
    ],
    "average-margin-clip": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: icon.method("average-margin-clip")((a, b)),
            lambda s, a, b: average_margin.clip(a, b),
            form="limit",
        ),
        wide("cross-modal", ("za", "zb"), lambda s: None, lambda s: average_margin.clip(s.za, s.zb), temperature=None),
    ],
    "average-margin-supcon": [
        Exact(
            ("z",),
            lambda s, z: icon.method("average-margin-supcon")(z, s.y),
            lambda s, z: average_margin.supcon(z, s.y),
            form="limit",
        ),
        wide("classes", ("z",), lambda s: s.y, lambda s: average_margin.supcon(s.z, s.y), temperature=None),
    ],
    "triplet": [
        Exact(
            ("pairs",),
            lambda s, z: icon.method("triplet", margin=0.5)(z, s.ids),
            lambda s, z: triplet.value(z, s.ids, 0.5),
            form="limit",
        ),
        narrow(
            "pairs", ("pairs",), lambda s: s.ids, lambda s: triplet.value(s.pairs, s.ids, 0.5), 0.5, lambda s: s.n - 1
        ),
    ],
    "triplet-clip": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: icon.method("triplet-clip", margin=0.2)((a, b)),
            lambda s, a, b: triplet.clip(a, b, 0.2),
            form="limit",
        ),
        narrow(
            "cross-modal", ("za", "zb"), lambda s: None, lambda s: triplet.clip(s.za, s.zb, 0.2), 0.2, lambda s: s.n
        ),
    ],
    "triplet-supcon": [
        Exact(
            ("z",),
            lambda s, z: icon.method("triplet-supcon", margin=0.2)(z, s.y),
            lambda s, z: triplet.supcon(z, s.y, 0.2),
            form="limit",
        ),
        narrow("classes", ("z",), lambda s: s.y, lambda s: triplet.supcon(s.z, s.y, 0.2), 0.2, lambda s: s.n - 1),
    ],
    "error-rate": [
        Number("cross-entropy, affine in the error rate", _error_rate_value),
        Number("gradient", _error_rate_gradient, 0.0, "largest entry", "the loss is piecewise constant"),
        Exact(
            ("z", "prototypes"),
            lambda s, z, w: icon.loss("gaussian-narrow", "data-label")((z, w), s.y),
            lambda s, z, w: error_rate.perceptron(z, w, s.y),
            lambda s, z, w: error_rate.perceptron_gradient(z, w, s.y),
            form="rescaled limit = multiclass perceptron",
        ),
    ],
    "tsne": [
        Exact(
            ("map2",),
            lambda s, z, dof=dof: icon.method("tsne", perplexity=PERPLEXITY, dof=dof)(z, s.x),
            lambda s, z, dof=dof: tsne.value(z, s.x, PERPLEXITY, dof),
            lambda s, z, dof=dof: tsne.gradient(z, s.x, PERPLEXITY, dof),
            form=f"joint KL, {dof:g} degree{'s' if dof > 1 else ''} of freedom",
        )
        for dof in (1.0, 3.0)
    ]
    + [
        Exact(
            ("map2",),
            lambda s, z: icon.loss("student-t", "gaussian", perplexity=PERPLEXITY)(z, s.x),
            lambda s, z: tsne.row(z, s.x, PERPLEXITY, 1.0),
            lambda s, z: tsne.row_gradient(z, s.x, PERPLEXITY, 1.0),
            form="row form, KL",
        ),
        Number("chain rule", _tsne_chain, note="joint KL = Σ P_i KL(P_.|i ‖ Q_.|i) + KL(P_i ‖ Q_i)"),
    ],
    "doubly-tsne": [
        Exact(
            ("map2",),
            lambda s, z: icon.method("doubly-tsne", dof=2.0)(z, s.x),
            lambda s, z: doubly_tsne.value(z, s.x, 2.0),
            form="KL",
        )
    ],
    "tsne-graph": [
        Exact(
            ("map2",),
            lambda s, z, walks=walks: icon.method("tsne-graph", walks=walks)(z, s.adjacency),
            lambda s, z, walks=walks: tsne_graph.value(z, s.adjacency, walks),
            lambda s, z, walks=walks: tsne_graph.gradient(z, s.adjacency, walks),
            form=f"KL, {walks} walk{'s' if walks > 1 else ''}",
        )
        for walks in (1, 2)
    ],
    "tsne-uniform": [
        Exact(
            ("map2",),
            lambda s, z: icon.method("tsne-uniform", n_neighbors=K)(z, s.x),
            lambda s, z: tsne.uniform(z, s.x, K),
            lambda s, z: tsne.uniform_gradient(z, s.x, K),
            form="joint KL",
        )
    ],
    "t-simcne": [
        Exact(
            ("pairs",),
            lambda s, z: ce(icon.method("t-simcne"), z, s.ids),
            lambda s, z: t_simcne.value(z, s.ids),
            lambda s, z: t_simcne.gradient(z, s.ids),
            form="cross-entropy",
        )
    ],
    "t-simclr": [
        Exact(
            ("pairs",),
            lambda s, z: ce(icon.method("t-simclr", dof=5.0, scale=0.7), z, s.ids),
            lambda s, z: t_simclr.value(z, s.ids, 5.0, 0.7),
            lambda s, z: t_simclr.gradient(z, s.ids, 5.0, 0.7),
            form="cross-entropy",
        )
    ],
    "t-clip": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: icon.method("t-clip", dof=2.0)((a, b)),
            lambda s, a, b: t_clip.value(a, b, 2.0),
            form="KL",
        )
    ],
    "t-supcon": [
        Exact(
            ("z",),
            lambda s, z: icon.method("t-supcon", dof=2.0)(z, s.y),
            lambda s, z: t_supcon.value(z, s.y, 2.0),
            form="KL",
        )
    ],
    "harmonic": [
        Exact(
            ("z", "prototypes"),
            lambda s, z, w: ce(icon.method("harmonic", exponent=3.0), (z, w), s.y),
            lambda s, z, w: harmonic.value(z, w, s.y, 3.0),
            lambda s, z, w: harmonic.gradient(z, w, s.y, 3.0),
            form="cross-entropy, scale 0",
        ),
        Limit(
            "scale c → 0",
            (0.1, 0.03, 0.01),
            _harmonic_limit,
            lambda s: harmonic.value(s.z, s.prototypes, s.y, 3.0),
            2.0,
        ),
    ],
    "kmeans": [
        Number("reverse KL, exact", _kmeans_identity, note="inertia of the digit classes, hard assignments, σ = 15"),
        Limit("forward KL, σ² → ∞", (3e4, 3e5, 3e6), _kmeans_forward, _kmeans_forward_reference, -1.0),
        Minimiser("inertia", minimisers.kmeans, 0.01, "inertia / Lloyd's from the same start - 1"),
    ],
    "t-kmeans": [
        Exact(
            ("logits",),
            lambda s, z: icon.method("t-kmeans", dof=2.0)(z, s.x),
            lambda s, z: t_kmeans.value(z, s.x, 2.0),
            form="KL",
        )
    ],
    "ncut": [
        Limit("ε → 0", (1e-2, 1e-3, 1e-4), _ncut_limit, lambda s: ncut.value(s.y, s.adjacency) - 10 + 1, 1.0),
        Minimiser("NCut", minimisers.ncut, 0.02, "NCut / spectral clustering's - 1"),
    ],
    "dcd": [
        Exact(
            ("logits",),
            lambda s, z, dirichlet=dirichlet: _dcd(z, s, dirichlet),
            lambda s, z, dirichlet=dirichlet: dcd.value(z, s.x, K, dirichlet),
            scale=lambda s: 1 / (s.n * K),
            form=f"cross-entropy = reference / (n k), Dirichlet exponent {dirichlet:g}",
        )
        for dirichlet in (1.0, 1.2)
    ],
    "infonce-clustering": [
        Exact(
            ("logits",),
            lambda s, z: ce(icon.method("infonce-clustering"), z, s.ids),
            lambda s, z: infonce_clustering.value(z, s.ids),
            form="cross-entropy",
        ),
        Exact(
            ("logits",),
            lambda s, z: ce(icon.method("infonce-clustering"), z, s.ids),
            lambda s, z: infonce_clustering.temi_pmi(z, s.ids),
            offset=lambda s: log(s.n),
            form="cross-entropy = PMI objective of TEMI + log n",
        ),
    ],
    "supervised-clustering": [
        Exact(
            ("logits",),
            lambda s, z: icon.method("supervised-clustering")(z, s.y),
            lambda s, z: supervised_clustering.value(z, s.y),
            form="KL",
        )
    ],
}


def _dcd(logits: torch.Tensor, s: Sample, dirichlet: float) -> torch.Tensor:
    """The loss, with the constant entropy log k of p put back: the prior is in the loss, not in its terms."""
    return icon.method("dcd", n_neighbors=K, dirichlet=dirichlet)(logits, s.x) + log(K)
