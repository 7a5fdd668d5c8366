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
from table.peers import Package, ours, relative


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


def program(hidden: Array, embeddings: Array, bias: Array, tokens: Array, weights: Array) -> Scalar:
    """What the program returns of positions ``[m, d]``, weighted 1, and 0 where there is none: they are padded."""
    surprise = label_losses(hidden @ embeddings.T + bias, tokens)
    return (weights * surprise).sum() / (weights.sum() + 1e-5)


BIAS = np.linspace(-1.0, 1.0, 10)  # of each token; one more column beside the embeddings


def _published(s: Sample, hidden: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    anchors = hidden[torch.tensor(s.masked)]
    anchors = torch.cat([anchors, torch.ones_like(anchors[:, :1])], dim=1)
    candidates = torch.cat([embeddings, torch.tensor(BIAS)[:, None]], dim=1)
    return icon.method("masked-lm", settings="authors").published((anchors, candidates), s.tokens[s.masked])


CHECKS = [
    Exact(
        ("hidden", "prototypes"),
        _masked_lm,
        lambda s, h, e: value(h, e, s.tokens, s.masked),
        lambda s, h, e: gradient(h, e, s.tokens, s.masked),
        form="cross-entropy at the masked positions",
    )
]

PROGRAM = Exact(
    ("hidden", "prototypes"),
    _published,
    lambda s, h, e: program(h.reshape(s.n, -1), e, BIAS, s.tokens.ravel(), s.masked.ravel().astype(float)),
    scale=lambda s: 1 + 1e-5 / s.masked.sum(),
    form="loss = program · (M + 1e-5)/M, M predictions",
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _torch(s: Sample) -> float:
    hidden, embeddings, masked = torch.tensor(s.hidden), torch.tensor(s.prototypes), torch.tensor(s.masked)
    labels = torch.tensor(s.tokens).masked_fill(~masked, -100)
    theirs = torch.nn.functional.cross_entropy((hidden @ embeddings.T).flatten(0, 1), labels.flatten()).item()
    return relative(ours("masked-lm", (hidden[masked], embeddings), s.tokens[s.masked]), theirs)


PEERS = (Package("torch", "torch", _torch),)
