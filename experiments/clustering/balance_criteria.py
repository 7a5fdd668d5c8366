"""What may say without labels which groups are good, and so how much equal sizes should be worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

from experiments.datasets import Array
from icon.estimators.merging import mutual_information
from icon.estimators.run import agreement as restart_agreement
from icon.metrics import ari

LEAST = np.finfo(np.float64).tiny


def counted(edges: Array, groups: Array, count: int) -> Array:
    """``[count, count]``, symmetric: ends of edges ``[m, 2]`` between groups; an edge within one counts twice."""
    found = np.zeros((count, count))
    np.add.at(found, (groups[edges[:, 0]], groups[edges[:, 1]]), 1)
    return found + found.T


def informed(table: Array) -> float:
    """``I / H``: the mutual information of the two groups of a pair as a share of the entropy of their sizes."""
    mass = table.sum(axis=1)
    entropy = -float((mass * np.log(np.maximum(mass, LEAST))).sum())
    return mutual_information(table) / entropy if entropy > 0 else 0.0


def held_out_information(held: Array, groups: Array) -> float:
    """I in nats of the groups of the two ends of edges ``[m, 2]`` that the groups were made without."""
    ends = counted(held, groups, int(groups.max()) + 1)
    return mutual_information(ends / ends.sum())


def stability(labels: Sequence[Array]) -> float:
    """Mean adjusted Rand index of all pairs of clusterings ``[n]``.

    Source: von Luxburg 2010, Clustering stability: an overview.
    """
    return restart_agreement(np.stack(labels)) or 0.0


def agreement(labels: Array, others: Sequence[Array]) -> float:
    """Mean adjusted Rand index with clusterings of other methods."""
    return float(np.mean([ari(other, labels) for other in others]))


def description_length(edges: Array, groups: Array) -> float:
    """Nats per point that a degree-corrected stochastic block model needs for a graph, beside what no grouping changes.

    With n_r points and e_r ends of edges in group r, e_rs of them between r and s (e_rr is twice the number of edges
    within r), n times the length is ::

        ln n! - sum_r ln n_r!                                      the groups: about n H(sizes)
        + sum_r ln binomial(n_r + e_r - 1, e_r)                    the degrees in each group, all alike probable
        + sum_r ln e_r! - sum_{r<s} ln e_rs! - sum_r ln e_rr!!     the edges: about E + E H(e_rs) less 2E H(e_r)

    where ``e!! = 2^{e/2} (e/2)!``. Left out are ``- sum_i ln k_i!`` and what the number of groups, points and edges say
    of the table e_rs and the sizes n_r: they are the same for all groupings into as many groups.

    Source: Peixoto 2017, Nonparametric Bayesian inference of the microcanonical stochastic block model, Physical Review
    E 95, 012317, with its uniform prior of the degrees; Peixoto 2014, Hierarchical block structures and high-resolution
    model selection in large networks, Physical Review X 4, 011047.
    """
    sizes = np.bincount(groups).astype(np.float64)
    ends = counted(edges, groups, len(sizes))
    total, within = ends.sum(axis=1), np.diag(ends) / 2
    between = ends[np.triu_indices(len(sizes), k=1)]
    partition = gammaln(len(groups) + 1) - gammaln(sizes + 1).sum()
    degrees = (gammaln(sizes + total) - gammaln(total + 1) - gammaln(np.maximum(sizes, 1))).sum()
    doubles = (within * np.log(2) + gammaln(within + 1)).sum()
    joined = gammaln(total + 1).sum() - gammaln(between + 1).sum() - doubles
    return float((partition + degrees + joined) / len(groups))
