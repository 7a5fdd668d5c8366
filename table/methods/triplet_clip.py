"""Triplet CLIP; its reference is beside that of `table.methods.triplet`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import triplet
from table.methods._checks import narrow

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \left(\max_k \left(a_i \cdot b_k + m\,1[k \ne i]\right) - a_i \cdot "
    r"b_i\right)\;\text{both ways}"
)


CHECKS = [
    Exact(
        ("za", "zb"),
        lambda s, a, b: icon.method("triplet-clip", margin=0.2)((a, b)),
        lambda s, a, b: triplet.clip(a, b, 0.2),
        form="limit",
    ),
    narrow("cross-modal", ("za", "zb"), lambda s: None, lambda s: triplet.clip(s.za, s.zb, 0.2), 0.2, lambda s: s.n),
]
