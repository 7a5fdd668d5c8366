"""Triplet SupCon; its reference is beside that of `table.methods.triplet`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import triplet
from table.methods._checks import narrow

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \left(\max_{k \ne i} \left(z_i \cdot z_k + m\,1[y_k \ne y_i]\right) - "
    r"\frac{1}{|P(i)|}\sum_{j \in P(i)} z_i \cdot z_j\right)"
)


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: icon.method("triplet-supcon", margin=0.2)(z, s.y),
        lambda s, z: triplet.supcon(z, s.y, 0.2),
        form="limit",
    ),
    narrow("classes", ("z",), lambda s: s.y, lambda s: triplet.supcon(s.z, s.y, 0.2), 0.2, lambda s: s.n - 1),
]
