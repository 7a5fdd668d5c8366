"""Average Margin SupCon; its reference is beside that of `table.methods.average_margin_clip`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import average_margin_clip
from table.methods._checks import wide

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"\frac{1}{n}\sum_i \left(\frac{1}{n-1}\sum_{k \ne i} z_i \cdot z_k - \frac{1}{|P(i)|}\sum_{j \in "
    r"P(i)} z_i \cdot z_j\right)"
)


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: icon.method("average-margin-supcon")(z, s.y),
        lambda s, z: average_margin_clip.supcon(z, s.y),
        form="limit",
    ),
    wide("classes", ("z",), lambda s: s.y, lambda s: average_margin_clip.supcon(s.z, s.y), temperature=None),
]
