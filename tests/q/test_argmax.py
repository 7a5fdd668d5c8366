"""The arg-max: its cross-entropy is affine in the error rate."""

from __future__ import annotations

import numpy as np
import pytest

import icon
from tests.cases import assert_close, gradients, normal


@pytest.mark.parametrize("leak", [1e-3, 0.3, 1.0])
def test_error_rate(leak: float) -> None:
    z, w, labels = normal(40, 3, grad=True), normal(5, 3, seed=1, grad=True), np.arange(40) % 5
    terms = icon.method("error-rate", leak=leak).terms((z, w), labels)
    error = float((np.asarray((z @ w.T).argmax(dim=1)) != labels).mean())
    expected = -(1 - error) * np.log(1 - leak + leak / 5) - error * np.log(leak / 5)
    assert_close(terms.cross_entropy, expected)
    for gradient in gradients(terms.kl, [z, w]):
        assert float(gradient.abs().max()) == 0


def test_argmax_within_one_set_is_refused() -> None:
    """Self has the highest score and is no candidate: an arg-max over prototypes makes no sense there."""
    loss = icon.Loss(icon.p.Classes(), icon.q.Argmax(0.1))
    with pytest.raises(ValueError, match="input: got one set of points, expected a pair"):
        loss(normal(8, 3), np.arange(8) % 2)
