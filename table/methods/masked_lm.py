"""Masked language modelling.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
NAACL 2019, arXiv:1810.04805.

    L = −(1/|M|) Σ_{(b,t) ∈ M} log softmax_v(h_bt·e_v)[token_bt],   M the masked positions
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, label_losses, label_slopes


def value(hidden: Array, embeddings: Array, tokens: Array, masked: Array) -> Scalar:
    return label_losses(hidden[masked] @ embeddings.T, tokens[masked]).mean()


def gradient(hidden: Array, embeddings: Array, tokens: Array, masked: Array) -> tuple[Array, Array]:
    anchors = hidden[masked]
    slope = label_slopes(anchors @ embeddings.T, tokens[masked]) / len(anchors)
    from_hidden = np.zeros_like(hidden)
    from_hidden[masked] = slope @ embeddings
    return from_hidden, slope.T @ anchors


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{|M|}\sum_{t \in M} \log\frac{e^{h_t \cdot e_{x_t}}}{\sum_v e^{h_t \cdot e_v}}"


def _masked_lm(s: Sample, hidden: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    masked = torch.tensor(s.masked)
    return ce(icon.method("masked-lm"), (hidden[masked], embeddings), s.tokens[s.masked])


CHECKS = [
    Exact(
        ("hidden", "prototypes"),
        _masked_lm,
        lambda s, h, e: value(h, e, s.tokens, s.masked),
        lambda s, h, e: gradient(h, e, s.tokens, s.masked),
        form="cross-entropy at the masked positions",
    )
]
