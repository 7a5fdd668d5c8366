r"""The formulas of the rows and columns of the table in LaTeX: q and its partition, p and its target."""

from __future__ import annotations

from typing import NamedTuple


class RowText(NamedTuple):
    formula: str
    partition: str
    partition_name: str
    description: str


class ColumnText(NamedTuple):
    formula: str
    description: str
    target: str


_UNIT_SCORE = r"\ell_{ij} = -\lVert z_i - z_j\rVert^2 \;\text{or}\; z_i \cdot z_j"
_SOFTMAX = r"q(j|i) = \frac{\exp s_{ij}}{\sum_{k \in S_i} \exp s_{ik}}"


def _lines(*formulas: str) -> str:
    """Formulas one under the other, so that each is short enough for a narrow page."""
    return r"\begin{array}{l}" + r" \\ ".join(formulas) + r"\end{array}"


ROWS = {
    "gaussian": RowText(
        _lines(
            _SOFTMAX, r"s_{ij} = -\frac{\lVert z_i - z_j\rVert^2}{2\sigma^2} \;\text{or}\; \frac{z_i \cdot z_j}{\tau}"
        ),
        r"A_i = \log \sum_{k \in S_i} \exp s_{ik}",
        "softmax",
        "A Gaussian kernel of the embedding, normalised over the candidates.",
    ),
    "gaussian-wide": RowText(
        _lines(r"\lim_{\sigma \to \infty} T\,(\mathrm{KL}_i + H_i - \log |S_i|)", _UNIT_SCORE),
        r"A_i = \frac{1}{|S_i|} \sum_{k \in S_i} \ell_{ik}",
        "mean",
        "The Gaussian of infinite width, rescaled: every candidate counts the same.",
    ),
    "gaussian-narrow": RowText(
        _lines(r"\lim_{\sigma \to 0} T\,(\mathrm{KL}_i + H_i)", _UNIT_SCORE),
        r"A_i = \max_{k \in S_i} \ell_{ik}",
        "max",
        "The Gaussian of zero width, rescaled: only the nearest candidate counts.",
    ),
    "student-t": RowText(
        _lines(_SOFTMAX, r"s_{ij} = -\frac{\nu + 1}{2} \log\left(c^2 + \frac{\lVert z_i - z_j\rVert^2}{\nu}\right)"),
        r"A_i = \log \sum_{k \in S_i} \exp s_{ik}",
        "softmax",
        "A heavy-tailed kernel of the embedding, normalised over the candidates.",
    ),
    "clusters": RowText(
        _lines(
            r"q(j|i) = \sum_c \frac{\phi_{ic}\,\phi_{jc}}{N_c}",
            r"N_c = \sum_k \phi_{kc},\quad \phi_i = \operatorname{softmax}(\text{logits}_i)",
        ),
        r"A_i = 0",
        "none",
        "Two points are neighbours as far as they share clusters.",
    ),
}

COLUMNS = {
    "gaussian": ColumnText(
        r"p(j|i) = \frac{\exp(-\lVert x_i - x_j\rVert^2 / 2\sigma_i^2)}{\sum_k \exp(-\lVert x_i - x_k\rVert^2 / 2\sigma_i^2)}",
        "Near in the features, with a bandwidth that is fixed or found for a perplexity.",
        "features [n, d]",
    ),
    "student-t": ColumnText(
        r"p(j|i) \propto \left(1 + \frac{\lVert x_i - x_j\rVert^2}{\nu}\right)^{-(\nu+1)/2}",
        "Near in the features, with heavy tails.",
        "features [n, d]",
    ),
    "identity": ColumnText(r"p(j|i) = 1[i = j]", "Each point is its own only neighbour.", "none"),
    "graph": ColumnText(
        r"p(j|i) = \frac{w_{ij}}{\sum_k w_{ik}}", "A step of a random walk on a graph.", "adjacency [n, n]"
    ),
    "knn": ColumnText(
        r"p(j|i) = \frac{1}{k}\, 1[j \in \mathrm{kNN}(i)]", "Uniform over the k nearest.", "features [n, d]"
    ),
    "pairs": ColumnText(
        r"p(j|i) = \frac{1}{|V_i|}\, 1[j \in V_i]",
        "Uniform over the other views of the same instance.",
        "instance ids [n]",
    ),
    "cross-modal": ColumnText(
        r"p(j|i) = \frac{1}{|M_i|}\, 1[j \in M_i]",
        "Uniform over the matching items of the other modality.",
        "none (aligned)",
    ),
    "classes": ColumnText(
        r"p(j|i) = \frac{1}{|C_i|}\, 1[j \in C_i]", "Uniform over the other members of the same class.", "labels [n]"
    ),
    "data-label": ColumnText(
        r"p(c|i) = 1[y_i = c]", "All on the prototype of the label; soft targets allowed.", "labels [n]"
    ),
}


def row(slug: str) -> RowText:
    """The text of a row; a general one for a row that was registered from outside."""
    return ROWS.get(slug) or RowText(r"q(j|i)", r"A_i", "", "A row of your own.")


def column(slug: str) -> ColumnText:
    """The text of a column; a general one for a column that was registered from outside."""
    return COLUMNS.get(slug) or ColumnText(r"p(j|i)", "A column of your own.", "")
