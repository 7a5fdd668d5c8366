"""What an estimator says of small data, of a fit that was not made, and of wrong input."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from torch import nn

import icon
from icon.estimators.clustering import Clustering

X = make_blobs(150, n_features=5, centers=4, random_state=3)[0]


@pytest.mark.slow
def test_defaults_fit_eight_points_with_a_warning() -> None:
    x = np.repeat([[0.0, 0.0], [9.0, 9.0]], 4, axis=0) + np.arange(8)[:, None] / 50
    with pytest.warns(UserWarning, match=r"^n_neighbors: lowered from 10 to 3 for 8 points and 2 clusters$") as told:
        fitted = Clustering(2, random_state=0).fit(x)
    assert len(told) == 1
    assert adjusted_rand_score(np.repeat([0, 1], 4), fitted.labels_) == 1


def test_a_fit_that_was_not_made_is_told_as_scikit_learn_does(tmp_path: Path) -> None:
    for use in (
        lambda: Clustering(2).predict([[0.0]]),
        lambda: Clustering(2).score([[0.0]]),
        lambda: Clustering(2).save(tmp_path / "c"),
        lambda: icon.save(icon.Embedding(), tmp_path / "e"),
        lambda: icon.diagnose(Clustering(2)),
        lambda: icon.Embedding().get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("x", "settings", "told"),
    [
        (np.ones(9), {}, "X: Expected 2D array, got 1D array instead: Reshape"),
        (None, {}, "X: got None, expected features"),
        (np.ones((9, 2)) * 1j, {}, "X: Complex data not supported$"),
        (
            np.ones((9, 2), "m8[s]"),
            {},
            r"X: got dates or durations \(timedelta64\[s\]\), expected numbers$",
        ),
        (
            pd.DataFrame({"a": np.ones(9), "t": np.ones(9, "m8[s]")}),
            {},
            r"X: got dates or durations \(.*\) in column t,",
        ),
        ("abc", {}, "X: could not convert string to float"),
        (np.eye(9), {"device": None}, "device: got None, expected 'auto'"),
        (np.eye(9), {"device": "meta"}, "device: got 'meta'|features: got a tensor on the meta device"),
        (np.eye(9), {"hyper": "cosine"}, "hyper: got 'cosine', expected a mapping"),
        (np.eye(9), {"hyper": {"n_neighbors": 3}}, "hyper: got 'n_neighbors', expected the argument n_neighbors="),
        (np.eye(9), {"init": None}, "init: got None"),
        (np.eye(9), {"init": np.eye(2)}, r"init: got array\(\[\[1., 0.\], \[0., 1.\]\]\), expected one of"),
        (np.eye(9), {"init": []}, r"init: got \[\], expected one of 'auto', 'merged-k-means'"),
        (np.eye(9), {"column": ["knn"]}, r"column: got \['knn'\] \(did you mean 'knn'\?\), expected one of"),
        (np.eye(9), {"callback": 5}, "callback: got 5, expected None or a function"),
        (np.eye(9), {"hidden": None}, "hidden: got None, expected an integer >= 1"),
        (np.eye(9), {"checkpoint": 3}, "checkpoint: got 3, expected a path"),
        (np.eye(9), {"mapper": nn.Linear(7, 2)}, "mapper: got a module that does not take features of shape"),
        (np.eye(9), {"random_state": -1}, "random_state: got -1, expected None, an integer"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(x: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^({told})") as error:
        Clustering(2, n_init=1, max_iter=2, **settings).fit(x)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("kind", [icon.Embedding, icon.Clustering])
def test_an_array_is_refused_by_the_name_of_its_argument(kind: Any) -> None:
    for name in set(kind().get_params()) - {"init", "hidden", "group"}:
        with pytest.raises(TypeError, match=rf"^{name}: got (an array of shape \(3,\), expected no array|array\()"):
            kind(**{name: np.ones(3)}).fit(X)


@pytest.mark.parametrize("estimator", [icon.Embedding(), icon.Clustering(3)], ids=["Embedding", "Clustering"])
def test_estimators_say_which_rows(estimator: Any) -> None:
    x = X.copy()
    x[3, 1], x[9, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"^X: got NaN or infinity in rows 3, 9, expected finite numbers"):
        estimator.fit(x)


def test_a_sparse_tensor_is_sparse_features() -> None:
    x = np.where(np.abs(X) > 3, X, 0)
    common = {"n_init": 1, "max_iter": 5, "random_state": 0}
    fitted = Clustering(3, **common).fit(torch.from_numpy(x).to_sparse())
    assert np.array_equal(fitted.labels_, Clustering(3, **common).fit(sp.csr_array(x)).labels_)


def test_a_warning_is_given_once_per_fit() -> None:
    """Though each step meets nodes without edges."""
    graph = sp.lil_array((150, 150))
    graph[0, 1] = graph[1, 0] = 1
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Clustering(2, "graph", n_init=1, max_iter=8, walks=1, debias=0, random_state=0).fit(X, graph)
    told = [str(each.message) for each in found if "without a positive" in str(each.message)]
    assert len(told) == 1
    assert not [each for each in found if "sklearn" in each.filename]


@pytest.mark.parametrize(
    "model", [icon.Embedding(mapper="mlp", perplexity=5), icon.Clustering(2, n_init=1, init="random")], ids=type
)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(model: Any) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    x = np.random.default_rng(0).normal(size=(40, 5))
    model.set_params(max_iter=3, callback=interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x)
    assert not hasattr(model, "n_features_in_")
    model.set_params(callback=None).fit(x)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callback=interrupted).fit(x[:, :3])
    assert {**vars(model), "callback": None} == before
