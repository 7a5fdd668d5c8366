"""SwAV: swapped prediction of balanced codes.

Caron, Misra, Mairal, Goyal, Bojanowski and Joulin, "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments", NeurIPS 2020, arXiv:2006.09882; the iteration: Cuturi, "Sinkhorn Distances: Lightspeed Computation of
Optimal Transport", NeurIPS 2013, arXiv:1306.0895.

    codes: Q = diag(u) exp(S/ε) diag(v), rows summing to 1 and columns to B/K
    L = ½ [ ℓ(z_a, Q_b) + ℓ(z_b, Q_a) ],   ℓ(z, Q) = −(1/B) Σ_i Σ_k Q_ik log softmax_k(cos(z_i, c_k)/τ)

Each round scales the columns first, then the rows. The codes are constants: no gradient reaches them. (The paper writes
Q with total mass 1, as K × B, and the sum of the two directions; its code halves it.)
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, cosine_gradient, cosines, cross_entropies, log_softmax, softmax


def codes(scores: Array, epsilon: float, n_iters: int) -> Array:
    if n_iters < 1:
        raise ValueError(f"n_iters={n_iters}: expected an integer of at least 1")
    n, n_prototypes = scores.shape
    log_q = scores / epsilon
    for _ in range(n_iters):
        log_q = log_softmax(log_q.T).T + np.log(n / n_prototypes)
        log_q = log_softmax(log_q)
    return np.exp(log_q)


def value(za: Array, zb: Array, prototypes: Array, codes_a: Array, codes_b: Array, temperature: float) -> Scalar:
    from_a = cross_entropies(codes_b, log_softmax(cosines(za, prototypes) / temperature))
    from_b = cross_entropies(codes_a, log_softmax(cosines(zb, prototypes) / temperature))
    return (from_a.mean() + from_b.mean()) / 2


def gradient(
    za: Array, zb: Array, prototypes: Array, codes_a: Array, codes_b: Array, temperature: float
) -> tuple[Array, Array, Array]:
    scale = 1 / (2 * len(za) * temperature)
    slope_a = scale * (softmax(cosines(za, prototypes) / temperature) - codes_b)
    slope_b = scale * (softmax(cosines(zb, prototypes) / temperature) - codes_a)
    from_a, prototypes_a = cosine_gradient(za, prototypes, slope_a)
    from_b, prototypes_b = cosine_gradient(zb, prototypes, slope_b)
    return from_a, from_b, prototypes_a + prototypes_b
