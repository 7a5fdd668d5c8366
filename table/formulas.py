r"""The formulas of the table in LaTeX: q and the partition of each row, p of each column, each method's reference."""

from __future__ import annotations

from typing import NamedTuple


class RowText(NamedTuple):
    q: str
    partition: str
    partition_name: str
    description: str


class ColumnText(NamedTuple):
    p: str
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

_NEIGHBOUR = r"\sum_i \sum_j p_{j|i} \log\frac{p_{j|i}}{q_{j|i}}"
_CONTRAST = r"-\frac{1}{n}\sum_i \log\frac{e^{%s}}{\sum_{k%s} e^{%s}}"

METHODS = {
    "sne": _NEIGHBOUR + r",\quad q_{j|i} \propto e^{-\lVert z_i - z_j\rVert^2}",
    "x-sample": r"-\frac{1}{n}\sum_i \sum_j \operatorname{softmax}_j\left(\frac{c_i \cdot c_j}{\tau_s}\right)"
    r" \log \operatorname{softmax}_j\left(\frac{z_i \cdot z_j'}{\tau}\right)",
    "dual-tsne": r"\frac{1}{n}"
    + _NEIGHBOUR
    + r",\quad p_{j|i} \propto (1 + \lVert x_i - x_j\rVert^2/\nu)^{-(\nu+1)/2}",
    "sne-graph": r"\frac{1}{n}" + _NEIGHBOUR + r",\quad p = D^{-1} W",
    "sne-uniform": _NEIGHBOUR + r",\quad p_{j|i} = \frac{1}{k} 1[j \in \mathrm{kNN}(i)]",
    "lgsimclr": r"-\frac{1}{nk}\sum_i \sum_{j \in \mathrm{kNN}(i)} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{l \ne i} e^{z_i \cdot z_l/\tau}}",
    "infonce": _CONTRAST % (r"u_i \cdot v_i/\tau", "", r"u_i \cdot v_k/\tau"),
    "simclr": _CONTRAST % (r"z_i \cdot z_i^+/\tau", r" \ne i", r"z_i \cdot z_k/\tau"),
    "mocov3": "2\\tau \\cdot " + "(" + _CONTRAST % (r"u_i \cdot v_i/\tau", "", r"u_i \cdot v_k/\tau") + ")",
    "clip": r"-\frac{1}{2n}\sum_i \left(\log\frac{e^{a_i \cdot b_i/\tau}}{\sum_k e^{a_i \cdot b_k/\tau}}"
    r" + \log\frac{e^{a_i \cdot b_i/\tau}}{\sum_k e^{a_k \cdot b_i/\tau}}\right)",
    "cmc": r"\sum_{v < w} \left(L_{v \to w} + L_{w \to v}\right),\quad L_{v \to w} = "
    + _CONTRAST % (r"a_i \cdot b_i/\tau", "", r"a_i \cdot b_k/\tau"),
    "supcon": r"-\frac{1}{n}\sum_i \frac{1}{|P(i)|}\sum_{j \in P(i)} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne i} e^{z_i \cdot z_k/\tau}}",
    "cross-entropy": r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot w_{y_i}}}{\sum_c e^{z_i \cdot w_c}}",
    "pca": r"-2 \operatorname{tr} \operatorname{Cov}(z)",
    "vi-reg": r"\frac{1}{n}\sum_i \lVert z_i - z_i^+\rVert^2 - \frac{1}{n^2}\sum_{i,k} \lVert z_i - z_k\rVert^2",
    "average-margin-clip": r"\frac{1}{n}\sum_i \left(\frac{1}{n}\sum_k a_i \cdot b_k - a_i \cdot b_i\right)\;\text{both ways}",
    "average-margin-supcon": r"\frac{1}{n}\sum_i \left(\frac{1}{n-1}\sum_{k \ne i} z_i \cdot z_k - \frac{1}{|P(i)|}\sum_{j \in P(i)} z_i \cdot z_j\right)",
    "triplet": r"\frac{1}{n}\sum_i \max\left(0,\; d_{i+}^2 - \min_{k} d_{ik}^2 + m\right)",
    "triplet-clip": r"\frac{1}{n}\sum_i \left(\max_k \left(a_i \cdot b_k + m\,1[k \ne i]\right) - a_i \cdot b_i\right)\;\text{both ways}",
    "triplet-supcon": r"\frac{1}{n}\sum_i \left(\max_{k \ne i} \left(z_i \cdot z_k + m\,1[y_k \ne y_i]\right) - \frac{1}{|P(i)|}\sum_{j \in P(i)} z_i \cdot z_j\right)",
    "error-rate": r"-(1-e)\log\left(1-\lambda+\frac{\lambda}{C}\right) - e \log\frac{\lambda}{C}",
    "tsne": r"\sum_{i \ne j} P_{ij} \log\frac{P_{ij}}{Q_{ij}},\quad Q_{ij} = \frac{(1+\lVert z_i - z_j\rVert^2)^{-1}}{\sum_{k \ne l} (1+\lVert z_k - z_l\rVert^2)^{-1}}",
    "doubly-tsne": r"\frac{1}{n}" + _NEIGHBOUR + r",\quad p, q \;\text{Student-t}",
    "tsne-graph": r"\frac{1}{n}"
    + _NEIGHBOUR
    + r",\quad p = D^{-1} W,\; q_{j|i} \propto (1+\lVert z_i - z_j\rVert^2)^{-1}",
    "tsne-uniform": r"\sum_{i \ne j} P_{ij} \log\frac{P_{ij}}{Q_{ij}},\quad P = \frac{A + A^{\top}}{2n},\; A_{ij} = \frac{1}{k} 1[j \in \mathrm{kNN}(i)]",
    "t-simcne": r"-\frac{1}{n}\sum_i \log\frac{(1+d_{i+}^2)^{-1}}{\sum_{k \ne i} (1+d_{ik}^2)^{-1}}",
    "t-simclr": r"-\frac{1}{n}\sum_i \log\frac{(c^2+d_{i+}^2/\nu)^{-(\nu+1)/2}}{\sum_{k \ne i} (c^2+d_{ik}^2/\nu)^{-(\nu+1)/2}}",
    "t-clip": r"-\frac{1}{n}\sum_i \log\frac{(1+d_{ii}^2/\nu)^{-(\nu+1)/2}}{\sum_k (1+d_{ik}^2/\nu)^{-(\nu+1)/2}}\;\text{both ways}",
    "t-supcon": r"\frac{1}{n}" + _NEIGHBOUR + r",\quad p \;\text{over the class},\; q \;\text{Student-t}",
    "harmonic": r"-\frac{1}{n}\sum_i \log\frac{d_{i y_i}^{-n}}{\sum_c d_{ic}^{-n}}",
    "kmeans": r"\sum_i \lVert x_i - \mu_{c(i)}\rVert^2",
    "t-kmeans": r"\frac{1}{n}" + _NEIGHBOUR + r",\quad p \;\text{Student-t},\; q \;\text{clusters}",
    "ncut": r"\sum_c \frac{\operatorname{cut}(c)}{\operatorname{vol}(c)}",
    "dcd": r"-\sum_{ij} A_{ij} \log \sum_k \frac{W_{ik} W_{jk}}{\sum_v W_{vk}} - (\alpha - 1)\sum_{ik} \log W_{ik}",
    "infonce-clustering": r"-\frac{1}{n}\sum_i \log \sum_c \frac{\phi_{ic}\,\phi_{i^+c}}{N_c}",
    "supervised-clustering": r"\frac{1}{n}" + _NEIGHBOUR + r",\quad p \;\text{over the class},\; q \;\text{clusters}",
    # Beyond the table
    "barlow-twins": r"\sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2;\quad \text{second order:}\;"
    r" -\operatorname{tr} C + \frac{1}{2\tau} \operatorname{tr}(\Sigma_A \Sigma_B)",
    "spectral-contrastive": r"-\frac{2}{n}\sum_i u_i \cdot v_i + \frac{1}{n^2}\sum_{i,k} (u_i \cdot v_k)^2",
    "mds": r"\frac{1}{n^2}\sum_{i,j} (x_i \cdot x_j - z_i \cdot z_j)^2",
    "byol": r"\frac{1}{n}\sum_i \left(2 - 2\cos(u_i, v_i)\right)",
    "debiased-contrastive": r"-\frac{1}{n}\sum_i \log\frac{e^{s_i^+}}{e^{s_i^+} + N g_i},\quad"
    r" g_i = \max\left(\frac{\frac{1}{N}\sum_k e^{s_{ik}} - \tau^+ e^{s_i^+}}{1 - \tau^+},\; e^{-1/\tau}\right)",
    "hard-negatives": r"-\frac{1}{n}\sum_i \log\frac{e^{s_i^+}}{e^{s_i^+} + N g_i},\quad"
    r" g_i = \max\left(\frac{\frac{\sum_k e^{(1+\beta) s_{ik}}}{\sum_k e^{\beta s_{ik}}} - \tau^+ e^{s_i^+}}{1 - \tau^+},\; e^{-1/\tau}\right)",
    "decoupled-contrastive": r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot z_i^+/\tau}}{\sum_{k \ne i, i^+} e^{z_i \cdot z_k/\tau}}",
    "n-pair": r"\frac{1}{n}\sum_i \log\left(1 + \sum_{j \ne i} e^{u_i \cdot v_j - u_i \cdot v_i}\right)",
    "line": r"-\sum_{i,j} w_{ij} \log\frac{e^{z_i \cdot c_j}}{\sum_k e^{z_i \cdot c_k}}",
    "deepwalk": r"-\sum_i \frac{d_i}{\operatorname{vol}}\sum_j \left(\frac{1}{K}\sum_{r=1}^{K} P^r\right)_{ij} \log\frac{e^{z_i \cdot c_j}}{\sum_k e^{z_i \cdot c_k}}",
    "swav": r"-\frac{1}{2n}\sum_i \sum_c \left(q^b_{ic} \log p^a_{ic} + q^a_{ic} \log p^b_{ic}\right),\quad"
    r" p_{ic} \propto e^{z_i \cdot w_c/\tau},\; q \;\text{balanced}",
    "dino": r"-\frac{1}{n}\sum_i \sum_c t_{ic} \log p_{ic},\quad t_i = \operatorname{softmax}\left(\frac{g_i - c}{\tau_t}\right)",
    "pcl": r"L_{\mathrm{InfoNCE}} - \frac{1}{nM}\sum_i \sum_m \log\frac{e^{z_i \cdot w_s^m/\phi_s^m}}{\sum_c e^{z_i \cdot w_c^m/\phi_c^m}},\quad"
    r" \phi = \frac{\sum \lVert z - w\rVert}{N \log(N + \alpha)}",
    "masked-lm": r"-\frac{1}{|M|}\sum_{t \in M} \log\frac{e^{h_t \cdot e_{x_t}}}{\sum_v e^{h_t \cdot e_v}}",
    "next-token": r"-\frac{1}{T-1}\sum_{t < T} \log\frac{e^{h_t \cdot e_{x_{t+1}}}}{\sum_v e^{h_t \cdot e_v}}",
    "weighted-cross-entropy": r"-\frac{1}{\sum_i a_{y_i}}\sum_i a_{y_i} \log\frac{e^{z_i \cdot w_{y_i}}}{\sum_c e^{z_i \cdot w_c}}",
    "balanced-softmax": r"-\frac{1}{n}\sum_i \log\frac{N_{y_i} e^{z_i \cdot w_{y_i}}}{\sum_c N_c e^{z_i \cdot w_c}}",
    "sampled-softmax": r"-\frac{1}{n}\sum_i \log\frac{e^{z_i \cdot w_{y_i} - \log Q_{y_i}}}{\sum_{c \in S} e^{z_i \cdot w_c - \log Q_c}}",
    "soft-supcon": r"-\frac{1}{n}\sum_i \sum_{j \ne i} \frac{y_i \cdot y_j}{\sum_{k \ne i} y_i \cdot y_k} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne i} e^{z_i \cdot z_k/\tau}}",
    "multi-label-supcon": r"-\frac{1}{n}\sum_i \sum_{j \ne i} p_{ij} \log\frac{e^{z_i \cdot z_j/\tau}}{\sum_{k \ne i} e^{z_i \cdot z_k/\tau}},\quad"
    r" p_{ij} \propto \frac{|Y_i \cap Y_j|}{|Y_i \cup Y_j|}",
    "temi": r"-\frac{1}{n}\sum_i \log \sum_c \frac{\left(\phi^s_{ic}\,\phi^t_{ic}\right)^{\beta}}{m_c}",
    "scan": r"-\frac{1}{nk}\sum_i \sum_{j \in \mathrm{kNN}(i)} \log\left(\phi_i \cdot \phi_j\right) - \lambda H\left(\frac{1}{n}\sum_i \phi_i\right)",
}

# Modules of table/references that are not named after the slug.
REFERENCES = {
    "sne-uniform": "sne",
    "average-margin-clip": "average_margin",
    "average-margin-supcon": "average_margin",
    "triplet-clip": "triplet",
    "triplet-supcon": "triplet",
    "tsne-uniform": "tsne",
    "hard-negatives": "debiased_contrastive",
    "soft-supcon": "overlap_supcon",
    "multi-label-supcon": "overlap_supcon",
}


def reference_path(slug: str) -> str:
    """The file of a method's reference, from the root of the repository."""
    return f"table/references/{REFERENCES.get(slug, slug.replace('-', '_'))}.py"
