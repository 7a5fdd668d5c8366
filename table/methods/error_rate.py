"""Error rate (gap) and the multiclass perceptron loss.

The coordinate gaussian-narrow × data-label (I-Con: Alshammari et al., ICLR 2025, arXiv:2504.16929): q is the one-hot of
the arg-max class leaked to uniform by λ, so the mean cross-entropy is affine in the 0/1 error e over C classes:

    value = −(1−e) log(1−λ+λ/C) − e log(λ/C)

The rescaled limit itself is the multiclass perceptron loss (Rosenblatt, "The perceptron", 1958, doi:10.1037/h0042519;
in this form Crammer and Singer, JMLR 2001, without margin):

    perceptron = mean_i [ max_c z_i·w_c − z_i·w_{y_i} ]
"""

from __future__ import annotations

import numpy as np
import torch

import icon
from table.checks import Exact, Number
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar
from table.peers import Package, ours, relative


def error(z: Array, prototypes: Array, labels: Array) -> float:
    """Fraction of arg-max predictions that are wrong (ties go to the smallest class)."""
    return float(((z @ prototypes.T).argmax(axis=1) != labels).mean())


def value(z: Array, prototypes: Array, labels: Array, leak: float) -> float:
    n_classes = len(prototypes)
    wrong = error(z, prototypes, labels)
    right_log, wrong_log = np.log(1 - leak + leak / n_classes), np.log(leak / n_classes)
    return float(-(1 - wrong) * right_log - wrong * wrong_log)


def perceptron(z: Array, prototypes: Array, labels: Array) -> Scalar:
    scores = z @ prototypes.T
    rows = np.arange(len(z))
    return (scores[rows, scores.real.argmax(axis=1)] - scores[rows, labels]).mean()


def perceptron_gradient(z: Array, prototypes: Array, labels: Array) -> tuple[Array, Array]:
    classes = np.eye(len(prototypes))
    slope = (classes[(z @ prototypes.T).argmax(axis=1)] - classes[labels]) / len(z)
    return slope @ prototypes, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = r"-(1-e)\log\left(1-\lambda+\frac{\lambda}{C}\right) - e \log\frac{\lambda}{C}"


def _error_rate_value(s: Sample) -> float:
    loss = icon.method("error-rate", leak=0.05)
    measured = float(ce(loss, (torch.tensor(s.z), torch.tensor(s.prototypes)), s.y))
    expected = value(s.z, s.prototypes, s.y, 0.05)
    return abs(measured - expected) / expected


def _error_rate_gradient(s: Sample) -> float:
    z = torch.tensor(s.z, requires_grad=True)
    loss = icon.method("error-rate", leak=0.05)((z, torch.tensor(s.prototypes)), s.y)
    loss.backward()  # type: ignore[no-untyped-call]
    return 0.0 if z.grad is None else float(z.grad.abs().max())


CHECKS = [
    Number("cross-entropy, affine in the error rate", _error_rate_value),
    Number("gradient", _error_rate_gradient, 0.0, "largest entry", "the loss is piecewise constant"),
    Exact(
        ("z", "prototypes"),
        lambda s, z, w: icon.loss("gaussian-narrow", "data-label")((z, w), s.y),
        lambda s, z, w: perceptron(z, w, s.y),
        lambda s, z, w: perceptron_gradient(z, w, s.y),
        form="rescaled limit = multiclass perceptron",
    ),
]


# -- the packages that implement it ------------------------------------------------------------------------------------


def _scikit_learn(s: Sample) -> float:
    from sklearn.metrics import zero_one_loss

    error = zero_one_loss(s.y, (s.z @ s.prototypes.T).argmax(axis=1))
    leak, classes = 0.05, len(s.prototypes)
    theirs = -(1 - error) * np.log(1 - leak + leak / classes) - error * np.log(leak / classes)
    return relative(ours("error-rate", (torch.tensor(s.z), torch.tensor(s.prototypes)), s.y, leak=leak), theirs)


PEERS = (Package("scikit-learn", "sklearn", _scikit_learn),)
