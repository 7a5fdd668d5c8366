"""Next-token prediction.

Bengio, Ducharme, Vincent and Jauvin, "A Neural Probabilistic Language Model", JMLR 3, 2003; Radford, Narasimhan,
Salimans and Sutskever, "Improving Language Understanding by Generative Pre-Training", OpenAI 2018.

    L = −(1/B(T−1)) Σ_b Σ_{t<T−1} log softmax_v(h_bt·e_v)[token_{b,t+1}]

The last position has no successor and is left out.
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


def value(hidden: Array, embeddings: Array, tokens: Array) -> Scalar:
    contexts = hidden[:, :-1].reshape(-1, hidden.shape[-1])
    return label_losses(contexts @ embeddings.T, tokens[:, 1:].ravel()).mean()


def gradient(hidden: Array, embeddings: Array, tokens: Array) -> tuple[Array, Array]:
    contexts = hidden[:, :-1].reshape(-1, hidden.shape[-1])
    slope = label_slopes(contexts @ embeddings.T, tokens[:, 1:].ravel()) / len(contexts)
    from_hidden = np.zeros_like(hidden)
    from_hidden[:, :-1] = (slope @ embeddings).reshape(hidden[:, :-1].shape)
    return from_hidden, slope.T @ contexts


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-\frac{1}{T-1}\sum_{t < T} \log\frac{e^{h_t \cdot e_{x_{t+1}}}}{\sum_v e^{h_t \cdot e_v}}"


def _next_token(s: Sample, hidden: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    contexts = hidden[:, :-1].flatten(0, 1)
    return ce(icon.method("next-token"), (contexts, embeddings), s.tokens[:, 1:].ravel())


def program(hidden: Array, embeddings: Array, tokens: Array) -> Scalar:
    """What the program returns of texts without padding: the mean within each text, then over the texts."""
    texts = zip(hidden[:, :-1] @ embeddings.T, tokens[:, 1:], strict=True)
    return sum(label_losses(scores, following).mean() for scores, following in texts) / len(hidden)


CHECKS = [
    Exact(
        ("hidden", "prototypes"),
        _next_token,
        lambda s, h, e: value(h, e, s.tokens),
        lambda s, h, e: gradient(h, e, s.tokens),
        form="cross-entropy of the shifted text",
    )
]

PROGRAM = Exact(
    ("hidden", "prototypes"),
    lambda s, h, e: icon.method("next-token", settings="authors").published(
        (h[:, :-1].flatten(0, 1), e), s.tokens[:, 1:].ravel()
    ),
    lambda s, h, e: program(h, e, s.tokens),
    form="texts of equal length",
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _torch(s: Sample) -> float:
    hidden, embeddings, tokens = torch.tensor(s.hidden), torch.tensor(s.prototypes), torch.tensor(s.tokens)
    logits = (hidden @ embeddings.T).transpose(1, 2)
    theirs = torch.nn.functional.cross_entropy(logits[:, :, :-1], tokens[:, 1:]).item()
    return relative(ours("next-token", (hidden[:, :-1].flatten(0, 1), embeddings), tokens[:, 1:].flatten()), theirs)


PEERS = (Package("torch", "torch", _torch),)
