"""Masked language modelling.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
NAACL 2019, arXiv:1810.04805.

    L = −(1/|M|) Σ_{(b,t) ∈ M} log softmax_v(h_bt·e_v)[token_bt],   M the masked positions
"""

from __future__ import annotations

import numpy as np

from table.references._math import Array, Scalar, label_losses, label_slopes


def value(hidden: Array, embeddings: Array, tokens: Array, masked: Array) -> Scalar:
    return label_losses(hidden[masked] @ embeddings.T, tokens[masked]).mean()


def gradient(hidden: Array, embeddings: Array, tokens: Array, masked: Array) -> tuple[Array, Array]:
    anchors = hidden[masked]
    slope = label_slopes(anchors @ embeddings.T, tokens[masked]) / len(anchors)
    from_hidden = np.zeros_like(hidden)
    from_hidden[masked] = slope @ embeddings
    return from_hidden, slope.T @ anchors
