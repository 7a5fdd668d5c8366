"""What an independent reading of the library found, so that it stays mended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import icon
from icon.features import read_matrix
from tests.cases import assert_close, normal

N = 24
IDS = np.arange(N) // 2
GRAPH = np.triu(np.random.default_rng(0).random((N, N)) < 0.3, 1).astype(float)
GRAPH = GRAPH + GRAPH.T
X = np.random.default_rng(1).normal(size=(N, 6))
TARGETS: dict[str, Any] = {"x-sample": X, "sne": X, "lgsimclr": X, "sne-graph": GRAPH, "infonce": IDS, "mocov3": IDS}
TARGETS |= {"simclr": IDS, "supcon": IDS, "t-simclr": IDS, "clip": None}


@pytest.mark.parametrize("slug", TARGETS)
def test_prepared_rows_serve_a_pair_too(slug: str) -> None:
    """`loss.p(target)` cannot know that the input will be a pair; the loss must not depend on it."""
    loss = icon.method(slug, **({"perplexity": 5} if slug == "sne" else {}))
    pair = (normal(N, 5), normal(N, 5, seed=1))
    prepared = loss.p(N if slug == "clip" else TARGETS[slug])
    direct = loss(pair, TARGETS[slug])
    for _ in range(2):  # the second time from what the first has kept
        assert_close(loss(pair, prepared), direct, rtol=1e-14)


def test_rows_of_another_p_serve_a_pair_too() -> None:
    pair = (normal(N, 5), normal(N, 5, seed=1))
    q = icon.q.Gaussian(temperature=0.1)
    assert icon.Loss(icon.p.Pairs(), q)(pair, icon.p.KNN(4)(X)) == icon.Loss(icon.p.KNN(4), q)(pair, X)


def test_rows_changed_by_hand_are_refused_for_a_pair() -> None:
    loss = icon.method("infonce")
    with pytest.raises(ValueError, match=r"^target: got rows that exclude self, expected rows of two sets"):
        loss((normal(N, 5), normal(N, 5)), loss.p(IDS).debias(0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 20.0])
def test_k_means_on_raw_digits_at_any_sigma(dtype: torch.dtype, sigma: float) -> None:
    """p of far digits is below the smallest float, its logarithm is not."""
    x = load_digits().data[:200]
    logits = normal(200, 10).to(dtype)
    squares = ((x[:, None] - x) ** 2).sum(axis=-1) / (2 * sigma**2)
    log_p = torch.from_numpy(-squares).log_softmax(dim=1)
    phi = logits.double().softmax(dim=1)
    q = phi @ (phi / phi.sum(dim=0)).T
    expected = (q * (q.log() - log_p)).sum(dim=1).mean().item()
    assert icon.method("kmeans", sigma=sigma)(logits, x).item() == pytest.approx(expected, rel=1e-5)


def test_a_mixture_keeps_the_weights_of_the_anchors() -> None:
    z = normal(N, 3)
    for settings in ({"normalization": "joint"}, {"anchor_weights": "stationary"}):
        alone = icon.Loss(icon.p.Graph(), icon.q.StudentT(), **settings)(z, GRAPH)
        mixed = icon.Loss(icon.p.Graph().mix(icon.p.Graph(), 0.5), icon.q.StudentT(), **settings)(z, GRAPH)
        assert mixed.item() == pytest.approx(alone.item(), rel=1e-12)


def test_a_mixture_with_the_identity() -> None:
    rows = icon.p.Classes().mix(icon.p.Identity(), 0.3)(IDS)
    expected = 0.7 * icon.p.Classes()(IDS).to_dense() + 0.3 * torch.eye(N, dtype=torch.float64)
    assert torch.equal(rows.to_dense(), expected)


def test_names_are_of_what_is_computed() -> None:
    cosine = icon.q.Gaussian(temperature=0.1)
    assert "unnamed" in repr(icon.Loss(icon.p.CrossModal(symmetric=False), cosine))
    assert "CLIP" in repr(icon.Loss(icon.p.CrossModal(), cosine))
    assert "unnamed" in repr(icon.Loss(icon.p.KNN(10).walks(2), icon.q.Clusters()))
    assert "DCD" in repr(icon.Loss(icon.p.KNN(10), icon.q.Clusters()))
    assert "unnamed" in repr(icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.1, margin=0.5)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_unsigned_labels(dtype: type) -> None:
    z = normal(N, 5)
    assert icon.method("supcon")(z, IDS.astype(dtype)).item() == icon.method("supcon")(z, IDS).item()


@pytest.mark.parametrize("estimator", [icon.Embedding(), icon.Clustering(3)], ids=["Embedding", "Clustering"])
def test_estimators_say_which_rows(estimator: Any) -> None:
    x = X.copy()
    x[3, 1], x[9, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"^X: got NaN or infinity in rows 3, 9, expected finite numbers"):
        estimator.fit(x)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,0,1\n1,2,3\n", [[0, 0, 1], [1, 2, 3]]),
        ("1.5,1.5\n1,2\n", [[1.5, 1.5], [1, 2]]),
        ("1,2,\n3,4,\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n", [[1, 2]]),
        (",a,b\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]]),
    ],
)
def test_csv_loses_and_invents_nothing(text: str, expected: list[list[float]], tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert read_matrix(str(tmp_path / "x.csv")).tolist() == expected


def test_csv_with_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,x\n")
    with pytest.raises(ValueError, match=r"^features: got text in columns b of .*, expected numbers only"):
        read_matrix(str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["cluster", "x.npy"],
        *(
            pytest.param(a, marks=pytest.mark.slow)
            for a in (["cluster", "x.npy", "-k", "x"], ["frob"], ["table", "--no"])
        ),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "icon", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")
