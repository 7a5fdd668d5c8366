"""The checks of the methods beyond the table, and the systems that have no place in it."""

from __future__ import annotations

from functools import lru_cache
from math import log
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

import icon
from table.checks import Exact, Limit, Minimiser, Number
from table.data import Sample
from table.page.schema import Outside
from table.references import (
    balanced_softmax,
    barlow_twins,
    byol,
    debiased_contrastive,
    decoupled_contrastive,
    deepwalk,
    dino,
    line,
    masked_lm,
    mds,
    n_pair,
    next_token,
    overlap_supcon,
    pcl,
    sampled_softmax,
    scan,
    spectral_contrastive,
    swav,
    temi,
    weighted_cross_entropy,
)
from table.specifications import Check, ce

EPSILON = 0.05  # of SwAV's codes
COUNTS = np.array([50.0, 20.0, 30.0, 5.0, 11.0, 7.0, 2.0, 90.0, 1.0, 40.0])


# -- Barlow Twins: both losses from one start --------------------------------------------------------------------------


def _barlow_minimum(s: Sample) -> tuple[float, str]:
    """How far the two minimisers, of the loss here and of the paper's, are from C = I; both over free features."""
    start = np.concatenate([s.za, s.zb])
    loss = icon.method("barlow-twins", temperature=2.0)

    def mine(flat: Any) -> tuple[float, Any]:
        z = torch.tensor(flat.reshape(start.shape), requires_grad=True)
        value = loss((z[: s.n], z[s.n :]))
        (gradient,) = torch.autograd.grad(value, z)
        return value.item(), gradient.numpy().ravel()

    def theirs(flat: Any) -> tuple[float, Any]:
        za, zb = np.split(flat.reshape(start.shape), 2)
        value = float(barlow_twins.value(za, zb, 5e-3))
        return value, np.concatenate(barlow_twins.gradient(za, zb, 5e-3)).ravel()

    distances = []
    for objective in (mine, theirs):
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-12}
        found = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        za, zb = np.split(found.x.reshape(start.shape), 2)
        distances.append(np.abs(barlow_twins.cross_correlation(za, zb) - np.eye(za.shape[1])).max())
    note = f"largest entry of C - I: {distances[0]:.1e} here (τ = 2), {distances[1]:.1e} of the paper's loss"
    return float(max(distances)), note


# -- classical MDS -----------------------------------------------------------------------------------------------------


def _strain_from_loss(s: Sample, temperature: float) -> float:
    """``2τ · loss + mean_i Var_k(x_i·x_k)`` of the second-order form, as a fraction of the strain."""
    gram = _centre(s.x) @ _centre(s.x).T
    loss = icon.method("mds", temperature=temperature)(torch.tensor(s.map2), s.x).item()
    return float((2 * temperature * loss + gram.var(axis=1).mean()) / mds.strain(s.map2, s.x))


def _strain_from_kl(s: Sample, temperature: float) -> float:
    """``2τ² KL`` of two Gaussians of the same temperature, as a fraction of the strain."""
    loss = icon.loss("gaussian", "gaussian", metric="dot", temperature=temperature, preprocess="center",
                     target_metric="dot", target_temperature=temperature, center=True, exclude_self=False)  # fmt: skip
    return float(2 * temperature**2 * loss(torch.tensor(s.map2), s.x).item() / mds.strain(s.map2, s.x))


def _mds_minimum(s: Sample) -> tuple[float, str]:
    """Distance of the minimiser's Gram matrix from that of the principal scores, relative to the latter."""
    x = s.x / 16
    loss, temperature = icon.method("mds", temperature=1e5), 1e5
    rows = loss.p(x)

    def objective(flat: Any) -> tuple[float, Any]:
        z = torch.tensor(flat.reshape(s.map2.shape), requires_grad=True)
        value = 2 * temperature * loss(z, rows)
        (gradient,) = torch.autograd.grad(value, z)
        return value.item(), gradient.numpy().ravel()

    options = {"maxiter": 2000, "ftol": 1e-16, "gtol": 1e-10}
    found = minimize(objective, s.map2.ravel(), jac=True, method="L-BFGS-B", options=options)
    z, scores = _centre(found.x.reshape(s.map2.shape)), mds.scores(x, 2)
    distance = np.linalg.norm(z @ z.T - scores @ scores.T) / np.linalg.norm(scores @ scores.T)
    return float(distance), "L-BFGS from a random map, τ = 1e5, against the eigenvectors of the centred Gram matrix"


def _centre(z: Any) -> Any:
    return z - z.mean(axis=0)


# -- targets made by other code than the engine's ----------------------------------------------------------------------


def _swav_scores(s: Sample) -> tuple[Any, Any]:
    unit = lambda z: z / np.linalg.norm(z, axis=1, keepdims=True)  # noqa: E731
    return unit(s.za) @ unit(s.prototypes).T, unit(s.zb) @ unit(s.prototypes).T


def _swav_reference_codes(s: Sample) -> tuple[Any, Any]:
    a, b = _swav_scores(s)
    return _balanced(a.tobytes(), a.shape), _balanced(b.tobytes(), b.shape)


@lru_cache(maxsize=8)
def _balanced(scores: bytes, shape: tuple[int, int]) -> Any:
    """Twenty thousand rounds, once for the scores of a check and not for each of its numbers."""
    return swav.codes(np.frombuffer(scores).reshape(shape), EPSILON, 20000)


def _swav(s: Sample, a: torch.Tensor, b: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Swapped prediction in one call: each view against the codes of the other."""
    from_a, from_b = (icon.sinkhorn(v, EPSILON, 20000, tolerance=1e-13) for v in map(torch.tensor, _swav_scores(s)))
    return ce(icon.method("swav", temperature=0.1), (torch.cat([a, b]), prototypes), torch.cat([from_b, from_a]))


def _code_columns(s: Sample) -> float:
    codes = icon.sinkhorn(torch.tensor(_swav_scores(s)[0]).float(), 0.01)
    return float((codes.double().sum(dim=0) / (s.n / 10) - 1).abs().max())


def _code_rows(s: Sample) -> float:
    return float((icon.sinkhorn(torch.tensor(_swav_scores(s)[0]).float(), 0.01).double().sum(dim=1) - 1).abs().max())


def _dino_codes(s: Sample) -> torch.Tensor:
    """The second batch's codes, after the first has moved the centre."""
    centering = icon.nn.Centering(10, temperature=0.4, momentum=0.9)
    centering(torch.tensor(s.za @ s.prototypes.T))
    codes: torch.Tensor = centering(torch.tensor(s.zb @ s.prototypes.T))
    return codes


def _dino_reference_codes(s: Sample) -> Any:
    center = dino.moved_center(np.zeros(10), s.za @ s.prototypes.T, 0.9)
    return dino.teacher_codes(s.zb @ s.prototypes.T, center, 0.4)


def _pcl_clusterings(s: Sample) -> tuple[list[Any], list[Any]]:
    """Two clusterings of the points: ten clusters and five."""
    assignments = [s.y, s.y // 2]
    return [np.stack([s.z[a == c].mean(axis=0) for c in range(a.max() + 1)]) for a in assignments], assignments


def _pcl(s: Sample, z: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """ProtoNCE: InfoNCE and the mean over the clusterings, each prototype with its concentration."""
    total = ce(icon.method("infonce", temperature=0.1), (z, keys))
    clusterings = list(zip(*_pcl_clusterings(s), strict=True))
    for prototypes, assignments in clusterings:
        phi = icon.nn.concentration(s.z, prototypes, assignments)
        loss = icon.method("pcl", temperature=phi)
        total = total + ce(loss, (z, torch.tensor(prototypes)), assignments) / len(clusterings)
    return total


def _pcl_arguments(s: Sample) -> tuple[Any, ...]:
    prototypes, assignments = _pcl_clusterings(s)
    pairs = zip(prototypes, assignments, strict=True)
    return prototypes, assignments, [pcl.concentration(s.z, c, a, 10.0) for c, a in pairs], 0.1


def _row_sums(s: Sample) -> tuple[float, str]:
    """Row sums of Chuang's weights: ``exp(A_softmax - A_debiased)`` of the engine against the reference's."""
    z, hyper = torch.tensor(s.pairs), {"temperature": 0.5, "reduction": "none"}
    plain = icon.loss("gaussian", "pairs", **hyper).terms(z, s.ids).cross_entropy
    debiased = icon.method("debiased-contrastive", tau_plus=0.3, **hyper).terms(z, s.ids).cross_entropy
    sums = (plain - debiased).exp().numpy()
    expected = debiased_contrastive.implied_weights(s.pairs, s.ids, 0.5, 0.3).sum(axis=1)
    note = f"at τ⁺ = 0.3 they are {sums.min():.3f} to {sums.max():.3f}, and not one: no conditional distribution"
    return float(np.abs(sums / expected - 1).max()), note


def _mixing_sums(s: Sample) -> tuple[float, str]:
    rows = icon.p.Pairs().debias(0.3)(s.ids)
    return float((rows.to_dense().sum(dim=1) - 1).abs().max()), "debiased mixing at α = 0.3 stays a distribution"


# -- texts and clusters ------------------------------------------------------------------------------------------------


def _masked_lm(s: Sample, hidden: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    masked = torch.tensor(s.masked)
    return ce(icon.method("masked-lm"), (hidden[masked], embeddings), s.tokens[s.masked])


def _next_token(s: Sample, hidden: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    contexts = hidden[:, :-1].flatten(0, 1)
    return ce(icon.method("next-token"), (contexts, embeddings), s.tokens[:, 1:].ravel())


def _temi(s: Sample, student: torch.Tensor) -> torch.Tensor:
    """The second call: the marginals are those of the first teacher, moved towards the second."""
    loss = icon.method("temi", beta=0.6, momentum=0.9)
    loss((student.detach(), torch.tensor(s.logits)))
    return ce(loss, (student, torch.tensor(s.teacher_logits)))


def _batch_marginals(s: Sample) -> Any:
    return temi.moved_marginals(np.zeros(10), s.teacher_logits, 0.0)


def _moved(s: Sample) -> Any:
    """Marginals that start at the first teacher's and move towards the second's."""
    return temi.moved_marginals(temi.moved_marginals(np.zeros(10), s.logits, 0.0), s.teacher_logits, 0.9)


CHECKS: dict[str, list[Check]] = {
    "barlow-twins": [
        Exact(
            ("za", "zb"),
            lambda s, a, b, t=t: icon.method("barlow-twins", temperature=t)((a, b)),
            lambda s, a, b, t=t: barlow_twins.second_order(a, b, t),
            lambda s, a, b, t=t: barlow_twins.second_order_gradient(a, b, t),
            form=f"second-order form with auto-correlations, τ = {t:g}",
        )
        for t in (1.0, 2.0)
    ]
    + [Minimiser("shared minimum C = I", _barlow_minimum, 1e-3, "largest entry of C - I")],
    "spectral-contrastive": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: icon.method("spectral-contrastive")((a, b)),
            lambda s, a, b: spectral_contrastive.value(_centre(a), _centre(b)),
            lambda s, a, b: tuple(map(_centre, spectral_contrastive.gradient(_centre(a), _centre(b)))),
            scale=lambda s: 0.5,
            form="limit = reference / 2 on centred features",
        )
    ],
    "mds": [
        Limit("second-order form, τ → ∞", (1e5, 1e6, 1e7), _strain_from_loss, lambda s: 1.0, -1.0),
        Limit("2τ² KL, τ → ∞", (3e4, 1e5, 3e5), _strain_from_kl, lambda s: 1.0, -1.0),
        Minimiser("principal scores", _mds_minimum, 1e-3, "relative distance of the Gram matrices"),
    ],
    "byol": [
        Exact(
            ("za",),
            lambda s, a: icon.method("byol")((a, torch.tensor(s.zb))),
            lambda s, a: byol.value(a, s.zb),
            lambda s, a: byol.gradient(a, s.zb),
            scale=lambda s: 0.5,
            offset=lambda s: -1.0,
            form="cross-entropy = reference / 2 - 1",
        )
    ],
    "debiased-contrastive": [
        Exact(
            ("pairs",),
            lambda s, z, t=t, tau=tau: icon.method("debiased-contrastive", temperature=t, tau_plus=tau)(z, s.ids),
            lambda s, z, t=t, tau=tau: debiased_contrastive.value(z, s.ids, t, tau),
            form=f"cross-entropy, τ = {t:g}, τ⁺ = {tau:g}",
        )
        for t, tau in ((0.5, 0.1), (0.1, 0.5))
    ]
    + [
        Minimiser("row sums of the weights", _row_sums, 1e-9, "relative error"),
        Minimiser("row sums of debiased mixing", _mixing_sums, 1e-12, "largest distance from one"),
    ],
    "hard-negatives": [
        Exact(
            ("pairs",),
            lambda s, z, tau=tau, beta=beta: icon.method("hard-negatives", tau_plus=tau, beta=beta)(z, s.ids),
            lambda s, z, tau=tau, beta=beta: debiased_contrastive.hard(z, s.ids, 0.5, tau, beta),
            form=f"cross-entropy, β = {beta:g}, τ⁺ = {tau:g}",
        )
        for tau, beta in ((0.1, 1.0), (0.0, 2.0))
    ],
    "decoupled-contrastive": [
        Exact(
            ("pairs",),
            lambda s, z: icon.method("decoupled-contrastive", temperature=0.1)(z, s.ids),
            lambda s, z: decoupled_contrastive.value(z, s.ids, 0.1),
            lambda s, z: decoupled_contrastive.gradient(z, s.ids, 0.1),
            form="cross-entropy",
        )
    ],
    "n-pair": [
        Exact(
            ("za", "zb"),
            lambda s, a, b: ce(icon.method("n-pair"), (a, b)),
            lambda s, a, b: n_pair.value(a, b),
            lambda s, a, b: n_pair.gradient(a, b),
            form="cross-entropy",
        )
    ],
    "line": [
        Exact(
            ("z", "contexts"),
            lambda s, z, c: ce(icon.method("line"), (z, c), s.adjacency),
            lambda s, z, c: line.value(z, c, s.adjacency),
            lambda s, z, c: line.gradient(z, c, s.adjacency),
            scale=lambda s: 1 / s.adjacency.sum(),
            form="cross-entropy = reference / volume",
        )
    ],
    "deepwalk": [
        Exact(
            ("z", "contexts"),
            lambda s, z, c, window=window: ce(icon.method("deepwalk", window=window), (z, c), s.adjacency),
            lambda s, z, c, window=window: deepwalk.value(z, c, s.adjacency, window),
            lambda s, z, c, window=window: deepwalk.gradient(z, c, s.adjacency, window),
            form=f"cross-entropy, window {window}",
        )
        for window in (1, 5)
    ],
    "swav": [
        Exact(
            ("za", "zb", "prototypes"),
            _swav,
            lambda s, a, b, c: swav.value(a, b, c, *_swav_reference_codes(s), 0.1),
            lambda s, a, b, c: swav.gradient(a, b, c, *_swav_reference_codes(s), 0.1),
            form="cross-entropy, swapped prediction",
        ),
        Number("rows of the codes", _code_rows, 1e-6, "largest distance from one", "float32, ε = 0.01"),
        Number("columns of the codes", _code_columns, 1e-6, "largest relative distance from B/K", "float32, ε = 0.01"),
    ],
    "dino": [
        Exact(
            ("z", "prototypes"),
            lambda s, z, w: ce(icon.method("dino", temperature=0.5), (z, w), _dino_codes(s)),
            lambda s, z, w: dino.value(z, w, _dino_reference_codes(s), 0.5),
            lambda s, z, w: dino.gradient(z, w, _dino_reference_codes(s), 0.5),
            form="cross-entropy, codes centred and sharpened",
        )
    ],
    "pcl": [
        Exact(
            ("za", "zb"),
            _pcl,
            lambda s, *z: pcl.proto_nce(*z, *_pcl_arguments(s)),
            lambda s, *z: pcl.proto_nce_gradient(*z, *_pcl_arguments(s)),
            form="InfoNCE + two clusterings, concentrations of their own",
        )
    ],
    "masked-lm": [
        Exact(
            ("hidden", "prototypes"),
            _masked_lm,
            lambda s, h, e: masked_lm.value(h, e, s.tokens, s.masked),
            lambda s, h, e: masked_lm.gradient(h, e, s.tokens, s.masked),
            form="cross-entropy at the masked positions",
        )
    ],
    "next-token": [
        Exact(
            ("hidden", "prototypes"),
            _next_token,
            lambda s, h, e: next_token.value(h, e, s.tokens),
            lambda s, h, e: next_token.gradient(h, e, s.tokens),
            form="cross-entropy of the shifted text",
        )
    ],
    "weighted-cross-entropy": [
        Exact(
            ("z", "prototypes"),
            lambda s, z, w: ce(icon.method("weighted-cross-entropy", class_weights=1 / COUNTS), (z, w), s.y),
            lambda s, z, w: weighted_cross_entropy.value(z, w, s.y, 1 / COUNTS),
            lambda s, z, w: weighted_cross_entropy.gradient(z, w, s.y, 1 / COUNTS),
            form="cross-entropy",
        )
    ],
    "balanced-softmax": [
        Exact(
            ("z", "prototypes"),
            lambda s, z, w: ce(icon.method("balanced-softmax", class_counts=COUNTS), (z, w), s.y),
            lambda s, z, w: balanced_softmax.value(z, w, s.y, COUNTS),
            lambda s, z, w: balanced_softmax.gradient(z, w, s.y, COUNTS),
            form="cross-entropy",
        )
    ],
    "sampled-softmax": [
        Exact(
            ("z", "prototypes"),
            lambda s, z, w: ce(icon.method("sampled-softmax", expected_counts=COUNTS), (z, w), s.y),
            lambda s, z, w: sampled_softmax.value(z, w, s.y, COUNTS),
            lambda s, z, w: sampled_softmax.gradient(z, w, s.y, COUNTS),
            form="cross-entropy",
        )
    ],
    "soft-supcon": [
        Exact(
            ("z",),
            lambda s, z: ce(icon.method("soft-supcon", temperature=0.1), z, s.soft_labels),
            lambda s, z: overlap_supcon.value(z, s.soft_labels, 0.1, "product"),
            lambda s, z: overlap_supcon.gradient(z, s.soft_labels, 0.1, "product"),
            form="cross-entropy",
        )
    ],
    "multi-label-supcon": [
        Exact(
            ("z",),
            lambda s, z: ce(icon.method("multi-label-supcon", temperature=0.1), z, s.label_sets),
            lambda s, z: overlap_supcon.value(z, s.label_sets, 0.1, "jaccard"),
            lambda s, z: overlap_supcon.gradient(z, s.label_sets, 0.1, "jaccard"),
            form="cross-entropy",
        )
    ],
    "temi": [
        Exact(
            ("logits",),
            lambda s, z: ce(icon.method("temi", beta=1.0), (z, torch.tensor(s.teacher_logits))),
            lambda s, z: temi.value(z, s.teacher_logits, _batch_marginals(s), 1.0),
            lambda s, z: temi.gradient(z, s.teacher_logits, _batch_marginals(s), 1.0),
            form="β = 1, marginals of the batch",
        ),
        Exact(
            ("logits",),
            lambda s, z: ce(icon.loss("clusters", "pairs"), (z, torch.tensor(s.teacher_logits))),
            lambda s, z: temi.value(z, s.teacher_logits, _batch_marginals(s), 1.0),
            offset=lambda s: log(s.n),
            form="β = 1: InfoNCE clustering = TEMI + log n",
        ),
        Exact(
            ("logits",),
            _temi,
            lambda s, z: temi.value(z, s.teacher_logits, _moved(s), 0.6),
            lambda s, z: temi.gradient(z, s.teacher_logits, _moved(s), 0.6),
            form="β = 0.6, moving marginals",
        ),
    ],
    "scan": [
        Exact(
            ("logits",),
            lambda s, z: icon.method("scan", n_neighbors=10, entropy_weight=5.0)(z, s.x),
            lambda s, z: scan.value(z, s.x, 10, 5.0),
            offset=lambda s: -log(10),
            form="loss = reference - log C",
        )
    ],
}


OUTSIDE: list[Outside] = [
    {
        "name": "Autoencoders",
        "reason": "The target of a point is the point itself in input space, one value at a time: there are no "
        "candidates that compete, so no p(·|i) over them. (A linear one does span the PCA subspace.)",
    },
    {
        "name": "MAE (masked autoencoders)",
        "reason": "Pixels of masked patches are regressed by squared error: a density over real values, and no choice "
        "among candidates. With discrete tokens as targets (BEiT) it is masked language modelling, which is "
        "here.",
    },
    {
        "name": "Colourisation",
        "reason": "Predicts colours from lightness. As regression it has no candidates; as classification over colour "
        "bins it is Cross-Entropy with bins as prototypes, and nothing of its own.",
    },
    {
        "name": "Reinforcement learning",
        "reason": "The supervision is a scalar return that depends on the policy's own samples, and not a distribution "
        "over other points that is known beforehand.",
    },
    {
        "name": "UMAP",
        "reason": "An estimator and not a cell: each edge is a binary cross-entropy against a few sampled non-"
        "neighbours (negative sampling), with no partition over all candidates, so its optimum is not that of "
        "a softmax. With noise-contrastive normalisation instead it approximates t-SNE with Uniform "
        "Affinities (Damrich et al. 2023, arXiv 2206.01816).",
    },
    {
        "name": "NCVis",
        "reason": "An estimator and not a cell: noise-contrastive estimation of t-SNE with Uniform Affinities, where a "
        "learned constant stands for the partition; it approaches the cell's loss as the noise samples grow "
        "(Artemenkov & Panov 2020, arXiv 2001.11411).",
    },
]
