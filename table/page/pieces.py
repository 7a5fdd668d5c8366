r"""The pieces in LaTeX of which the page puts together the formula of a cell of one's own."""

from __future__ import annotations

#: The name of each divergence and its sum, where J, P and Q stand for what depends on the normalisation.
DIVERGENCES = {
    "kl": ("KL(p ‖ q)", r"\sum_{J} P \log\frac{P}{Q}"),
    "reverse-kl": ("reverse KL(q ‖ p)", r"\sum_{J} Q \log\frac{Q}{P}"),
    "js": ("Jensen–Shannon", r"\frac{1}{2}\sum_{J} \left(P \log\frac{2P}{P + Q} + Q \log\frac{2Q}{P + Q}\right)"),
    "tv": ("total variation", r"\frac{1}{2}\sum_{J} \left|P - Q\right|"),
    "hellinger": ("squared Hellinger", r"\left(1 - \sum_{J} \sqrt{P\,Q}\right)"),
    "alpha": ("α-divergence at 1/2", r"4\left(1 - \sum_{J} \sqrt{P\,Q}\right)"),
}
#: How p is made symmetric, with the weights that this gives; the keys are those of `icon.p`.
SYMMETRIZE = {
    "average": r"\frac{p(j|i) + p(i|j)}{2}",
    "union": r"\max(p(j|i),\, p(i|j))",
    "intersection": r"\min(p(j|i),\, p(i|j))",
}


def _filled(body: str, j: str, p: str, q: str) -> str:
    return body.replace("{J}", "{" + j + "}").replace("P", p).replace("Q", q)


PIECES = {
    **{f"row/{key}": r"\mathcal{L} = \frac{1}{n}\sum_i " + _filled(body, "j", "p(j|i)", "q(j|i)")
       for key, (_, body) in DIVERGENCES.items()},
    **{f"joint/{key}": r"\mathcal{L} = " + _filled(body, "i,j", "p_{ij}", "q_{ij}")
       for key, (_, body) in DIVERGENCES.items()},
    "limit": r"\mathcal{L} = \frac{1}{n}\sum_i \left(A_i - \sum_j p(j|i)\,\ell_{ij}\right)",
    "joint-p": r"p_{ij} = \frac{p(j|i) + p(i|j)}{2n}",
    "joint-p-two": r"p_{ij} = \frac{p(j|i)}{n}",
    "joint-p-weights": r"p_{ij} = \frac{\sum_k w_{ik}}{\sum_{k,l} w_{kl}}\, p(j|i)",
    "joint-q": r"q_{ij} = \frac{\exp s_{ij}}{\sum_{k,l} \exp s_{kl}}",
    "joint-q-clusters": r"q_{ij} = \frac{q(j|i)}{\sum_{k,l} q(l|k)}",
    **{f"symmetrize/{key}": rf"w_{{ij}} = {weight},\quad p(j|i) \leftarrow \frac{{w_{{ij}}}}{{\sum_k w_{{ik}}}}"
       for key, weight in SYMMETRIZE.items()},
    "walks": r"P \leftarrow \frac{1}{K}\left(P + P^2 + \dots + P^K\right)",
    "debias": r"p(j|i) \leftarrow (1 - \alpha)\,p(j|i) + \frac{\alpha}{|S_i|}",
}  # fmt: skip
