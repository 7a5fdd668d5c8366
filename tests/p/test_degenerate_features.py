"""Features with few distinct points, and embeddings with none: value and gradient of the loss stay finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from tests.cases import gradients, normal


@pytest.mark.parametrize("kind", ["constant", "few distinct", "duplicates"])
@pytest.mark.parametrize("row", ["gaussian", "gaussian-wide", "gaussian-narrow", "student-t", "clusters"])
@pytest.mark.parametrize("column", ["gaussian", "student-t", "knn"])
def test_degenerate_features_and_embeddings(row: str, column: str, kind: str) -> None:
    """Six neighbours among three distinct points, duplicates, constant columns."""
    x = {
        "constant": np.ones((18, 3)),
        "few distinct": np.repeat(np.eye(3), 6, axis=0),
        "duplicates": np.repeat(normal(9, 3).numpy(), 2, axis=0),
    }[kind]
    hyper = {"gaussian": {"perplexity": 5}, "knn": {"n_neighbors": 6}, "student-t": {}}[column]
    for z in (torch.from_numpy(x), normal(18, 3), torch.zeros(18, 3).double()):
        for options in ({}, {"normalization": "joint"}):
            if options and row in ("gaussian-wide", "gaussian-narrow"):
                continue
            leaf = z.clone().requires_grad_()
            value = icon.loss(row, column, **hyper, **options)(leaf, x)
            assert torch.isfinite(value)
            assert torch.isfinite(gradients(value, [leaf])[0]).all()
