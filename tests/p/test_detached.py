"""A p of the trained embedding itself is a target: it has no gradient, and the embedding does not collapse."""

from __future__ import annotations

import pytest
import torch

import icon
from tests.cases import gradients, normal


@pytest.mark.slow
@pytest.mark.parametrize("p", [icon.p.Gaussian(perplexity=5), icon.p.KNN(n_neighbors=5), icon.p.StudentT()], ids=repr)
def test_a_p_of_the_trained_embedding_is_detached_and_does_not_collapse(p: icon.p.Distribution) -> None:
    z = normal(40, 5, grad=True)
    loss = icon.Loss(p, icon.q.Gaussian(temperature=0.5))
    expected = gradients(loss(z, z.detach()), [z])[0]
    assert torch.equal(gradients(loss(z, z), [z])[0], expected)
    optimizer = torch.optim.Adam([z], lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss(z, z).backward()
        optimizer.step()
    singular = torch.linalg.svdvals(z.detach() - z.detach().mean(dim=0))
    share = singular / singular.sum()
    assert torch.isfinite(singular).all()
    assert float((-(share * share.log()).sum()).exp()) > 3  # effective rank, of at most 5
