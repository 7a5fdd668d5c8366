"""What openTSNE documents of its affinities: one joint distribution, symmetric, of a perplexity or of k neighbours."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import icon
from tests.cases import normal
from tests.dense import p_gaussian, p_knn
from tests.peers._peers import Functions, Package, each

N = 40
X = normal(N, 5).numpy()


def joint(p: icon.p.Distribution, x: Any) -> Any:
    rows = p(x)
    return (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()


OURS = {
    "perplexity": lambda x, perplexity: joint(icon.p.Gaussian(perplexity=perplexity).symmetrize(), x),
    "conditional": lambda x, perplexity: icon.p.Gaussian(perplexity=perplexity)(x).to_dense().numpy(),
    "sigma": lambda x, sigma: joint(icon.p.Gaussian(sigma=sigma).symmetrize(), x),
    "mean": lambda x, k: joint(icon.p.KNN(k).symmetrize(), x),
    "max": lambda x, k: joint(icon.p.KNN(k).symmetrize("union"), x),
}


def theirs() -> Functions:
    from openTSNE import affinity

    logging.getLogger("openTSNE").setLevel(logging.ERROR)
    exact, nearest = {"method": "exact"}, affinity.PerplexityBasedNN

    def perplexity(x: Any, given: float, **options: Any) -> Any:
        return nearest(x, perplexity=given, k_neighbors=len(x) - 1, **options, **exact).P.toarray()

    return {
        "perplexity": perplexity,
        "conditional": lambda x, given: len(x) * perplexity(x, given, symmetrize=False),
        "sigma": lambda x, sigma: affinity.FixedSigmaNN(x, sigma=sigma, k=len(x) - 1, **exact).P.toarray(),
        "mean": lambda x, k: affinity.Uniform(x, k_neighbors=k, symmetrize="mean", **exact).P.toarray(),
        "max": lambda x, k: affinity.Uniform(x, k_neighbors=k, symmetrize="max", **exact).P.toarray(),
    }


EACH = each(OURS, "openTSNE", theirs)


def written_out(kind: str, x: Any, number: float) -> Any:
    others = ~np.eye(len(x), dtype=bool)
    if kind == "sigma":
        squares = np.square(x[:, None] - x).sum(axis=2)
        p = np.exp(-squares / (2 * number**2)) * others
        p /= p.sum(axis=1, keepdims=True)
    else:
        p = p_gaussian(x, number, others) if kind == "perplexity" else p_knn(x, int(number))
    p = np.maximum(p, p.T) if kind == "max" else p + p.T
    return p / p.sum()


CASES = [("perplexity", p) for p in (3.0, 5.0, 13.0, 30.0)] + [("sigma", s) for s in (0.5, 2.0)]
CASES += [(kind, k) for kind in ("mean", "max") for k in (1, 5, N - 1)]


@EACH
@pytest.mark.parametrize(("kind", "number"), CASES)
def test_affinities(package: Package, kind: str, number: float) -> None:
    found = package[kind](X, number)
    np.testing.assert_allclose(found, written_out(kind, X, number), atol=1e-9)
    np.testing.assert_allclose(found, found.T, atol=1e-15)
    np.testing.assert_allclose(found.sum(), 1)
    assert not found.diagonal().any()


@EACH
@pytest.mark.parametrize("perplexity", [3.0, 10.0, 38.0])
def test_every_row_has_the_perplexity(package: Package, perplexity: float) -> None:
    p = package["conditional"](X, perplexity)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), perplexity, rtol=1e-6)


@EACH
def test_a_perplexity_that_the_points_do_not_allow(package: Package) -> None:
    """openTSNE lowers it to a third of the neighbours, and icon says what is possible."""
    if package.is_icon:
        with pytest.raises(ValueError, match=r"^perplexity: got 50, expected between 1 and 39 for 40 points"):
            package["perplexity"](X, 50)
    else:
        np.testing.assert_allclose(package["perplexity"](X, 50), package["perplexity"](X, 13), atol=1e-9)
