"""Hard-Negative Contrastive; its reference is beside that of `table.methods.debiased_contrastive`."""

from __future__ import annotations

import icon
from table.checks import Exact
from table.methods import debiased_contrastive

# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \log\frac{e^{s_i^+}}{e^{s_i^+} + N g_i},\quad g_i = \max\left(\frac{\frac{\sum_k "
    r"e^{(1+\beta) s_{ik}}}{\sum_k e^{\beta s_{ik}}} - \tau^+ e^{s_i^+}}{1 - \tau^+},\; e^{-1/\tau}\right)"
)


CHECKS = [
    Exact(
        ("pairs",),
        lambda s, z, tau=tau, beta=beta: icon.method("hard-negatives", tau_plus=tau, beta=beta)(z, s.ids),
        lambda s, z, tau=tau, beta=beta: debiased_contrastive.hard(z, s.ids, 0.5, tau, beta),
        form=f"cross-entropy, β = {beta:g}, τ⁺ = {tau:g}",
    )
    for tau, beta in ((0.1, 1.0), (0.0, 2.0))
]
