"""Average-margin CLIP and SupCon (gaps): the positive's score against the average score.

Nobody published them; these are the definitions that the coordinates gaussian-wide × cross-modal and gaussian-wide ×
classes imply (I-Con: Alshammari et al., ICLR 2025, arXiv:2504.16929).

    clip   = ½ Σ_{both directions} mean_i [ mean_k cos(a_i, b_k) − cos(a_i, b_i) ]
    supcon = mean_i [ mean_{k≠i} cos(z_i, z_k) − mean_{k≠i, y_k=y_i} cos(z_i, z_k) ]

Anchors whose class has no other member are left out.
"""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods._checks import wide
from table.methods._math import Array, Scalar, unit


def clip(za: Array, zb: Array) -> Scalar:
    a, b = unit(za), unit(zb)
    n = len(a)
    total = 0.0
    for anchors, candidates in ((a, b), (b, a)):
        for i in range(n):
            everyone = 0.0
            for k in range(n):
                everyone += anchors[i] @ candidates[k]
            total += everyone / n - anchors[i] @ candidates[i]
    return total / (2 * n)


def supcon(z: Array, labels: Array) -> Scalar:
    u = unit(z)
    n = len(u)
    total, n_anchors = 0.0, 0
    for i in range(n):
        everyone, friends, n_friends = 0.0, 0.0, 0
        for k in range(n):
            if k == i:
                continue
            similarity = u[i] @ u[k]
            everyone += similarity
            if labels[k] == labels[i]:
                friends += similarity
                n_friends += 1
        if n_friends:
            total += everyone / (n - 1) - friends / n_friends
            n_anchors += 1
    return total / n_anchors


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"\frac{1}{n}\sum_i \left(\frac{1}{n}\sum_k a_i \cdot b_k - a_i \cdot b_i\right)\;\text{both ways}"


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: icon.method("average-margin-clip")((a, b)),
        lambda s, a, b: clip(a, b),
        form="limit",
    ),
    wide("cross-modal", ("za", "zb"), lambda s: None, lambda s: clip(s.za, s.zb), temperature=None),
]
