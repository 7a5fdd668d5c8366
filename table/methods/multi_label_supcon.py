"""Multi-Label SupCon; its reference is beside that of `table.methods.soft_supcon`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import soft_supcon
from table.methods._checks import ce

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \sum_{j \ne i} p_{ij} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne i} e^{z_i "
    r"\cdot z_k/\tau}},\quad p_{ij} \propto \frac{|Y_i \cap Y_j|}{|Y_i \cup Y_j|}"
)


CHECKS = [
    Exact(
        ("z",),
        lambda s, z: ce(icon.method("multi-label-supcon", temperature=0.1), z, s.label_sets),
        lambda s, z: soft_supcon.value(z, s.label_sets, 0.1, "jaccard"),
        lambda s, z: soft_supcon.gradient(z, s.label_sets, 0.1, "jaccard"),
        form="cross-entropy",
    )
]
