"""Prepared rows of one set serve a pair of sets as well, or are refused."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import icon
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


@pytest.mark.parametrize(
    ("p", "target"),
    [
        (icon.p.Pairs(exclude_self=False), IDS),
        (icon.p.Pairs(join=True, exclude_self=False), IDS),
        (icon.p.Pairs(join=True).walks(2), IDS),
        (icon.p.Classes(join=True), IDS[:1]),
        (icon.p.Classes(exclude_self=False), np.eye(3)[IDS % 3] + 0.1),
        (icon.p.Gaussian(perplexity=5).walks(2), X),
    ],
)
def test_rows_with_self_serve_a_pair_too(p: icon.p.Distribution, target: Any) -> None:
    loss, n = icon.Loss(p, icon.q.Gaussian(temperature=0.1)), len(target)
    pair = (normal(n, 5), normal(n, 5, seed=1))
    assert_close(loss(pair, p(target)), loss(pair, target), rtol=1e-14)


def test_every_method_takes_prepared_rows_for_a_pair() -> None:
    """Also where the partition asks which candidate is the anchor itself: of a pair, none is."""
    pair, compared = (normal(N, 5), normal(N, 5, seed=1)), set()
    for method in icon.methods():
        hyper = {"perplexity": 5} if "perplexity" in method.hyper else {}
        for target in (X, IDS, GRAPH):
            try:
                direct = icon.method(method.slug, **hyper)(pair, target)
            except (ValueError, TypeError):
                continue  # not what the method takes
            if method.column == "data-label":
                continue  # the number of classes is that of the prototypes, which the labels do not tell
            loss = icon.method(method.slug, **hyper)
            assert_close(loss(pair, loss.p(target)), direct, rtol=1e-12)
            compared.add(method.slug)
    assert {"mds", "sne", "infonce", "deepwalk"} <= compared


def test_what_excludes_self_keeps_it_excluded() -> None:
    """A loss that excludes self says so for a pair, too, whatever made the rows."""
    pair = (normal(N, 5), normal(N, 5, seed=1))
    loss = icon.Loss(icon.p.KNN(4, exclude_self=True), icon.q.Gaussian(temperature=0.1))
    assert loss(pair, icon.p.KNN(4)(X)) == loss(pair, X)


@pytest.mark.parametrize(
    "labels",
    [IDS, IDS.tolist(), torch.as_tensor(IDS), np.eye(12)[IDS].tolist()],
    ids=["array", "list", "tensor", "sets"],
)
def test_labels_that_change_later_are_not_read(labels: Any) -> None:
    loss, pair = icon.method("supcon"), (normal(N, 5), normal(N, 5, seed=1))
    given = copy.deepcopy(labels)
    direct, prepared = loss(pair, labels), loss.p(given)
    for k in range(N):
        if isinstance(given[k], list):
            given[k].reverse()
        else:
            given[k] = 0
    assert_close(loss(pair, prepared), direct, rtol=1e-14)


def test_labels_that_cannot_be_copied_deeply() -> None:
    class Locked:
        def __init__(self) -> None:
            self.own = threading.Lock()

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return IDS

    loss, pair = icon.method("supcon"), (normal(N, 5), normal(N, 5, seed=1))
    assert loss(pair, loss.p(Locked())) == loss(pair, IDS)


def test_rows_of_other_sizes_are_refused() -> None:
    loss, prepared = icon.method("infonce"), icon.method("infonce").p(IDS)
    loss((normal(N, 5), normal(N, 5, seed=1)), prepared)
    with pytest.raises(ValueError, match=r"^target: got prepared rows of shape \(24, 24\), expected \(22, 22\)"):
        loss((normal(N - 2, 5), normal(N - 2, 5, seed=1)), prepared)


@pytest.mark.parametrize("p", [icon.p.Pairs(), icon.p.Pairs(exclude_self=False)])
@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.debias(0.5),
        lambda rows: rows.transpose(),
        lambda rows: rows.exaggerated(2.0),
        lambda rows: pickle.loads(pickle.dumps(rows)),
        copy.copy,
        copy.deepcopy,
    ],
)
def test_rows_changed_by_hand_are_refused_for_a_pair(p: icon.p.Distribution, change: Any) -> None:
    """With self as a candidate, they would be taken as they are, without the positives that a pair has more."""
    loss = icon.Loss(p, icon.q.Gaussian())
    with pytest.raises(
        ValueError, match=r"^target: got rows of one set for a pair, whose own target is gone or not kn"
    ):
        loss((normal(N, 5), normal(N, 5)), change(p(IDS)))


def test_rows_in_another_precision_are_those_of_a_pair() -> None:
    loss, sets = icon.Loss(icon.p.Classes(exclude_self=False), icon.q.Gaussian()), torch.eye(12)[IDS] + 0.1
    pair = normal(N, 5), normal(N, 5, seed=1)
    assert loss(pair, loss.p(sets).to(torch.device("cpu"), torch.float32)) == loss(pair, sets)


def test_rows_whose_features_are_gone_are_refused_for_a_pair() -> None:
    loss, rows = icon.method("x-sample"), icon.p.Gaussian(perplexity=5).walks(2)(X.copy())
    with pytest.raises(
        ValueError, match=r"^target: got rows of one set for a pair, whose own target is gone or not kn"
    ):
        loss((normal(N, 5), normal(N, 5)), rows)


def test_rows_of_features_with_self_serve_a_pair_without_them() -> None:
    p = icon.p.Gaussian(perplexity=5, exclude_self=False).walks(2)
    loss, pair = icon.Loss(p, icon.q.Gaussian(temperature=0.1)), (normal(N, 5), normal(N, 5, seed=1))
    assert_close(loss(pair, p(X.copy())), loss(pair, X), rtol=1e-14)


@pytest.mark.parametrize(
    ("slug", "target"), [("pca", torch.as_tensor(X)), ("deepwalk", sp.csr_array(GRAPH))], ids=["identity", "graph"]
)
def test_what_is_the_same_for_a_pair_needs_no_target(slug: str, target: Any) -> None:
    loss, pair = icon.method(slug), (normal(N, 5), normal(N, 5, seed=1))
    direct = loss(pair, None if slug == "pca" else target)
    rows = loss.p(copy.deepcopy(target))
    assert_close(loss(pair, rows), direct, rtol=1e-14)
