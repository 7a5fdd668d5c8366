"""The checks that scikit-learn makes of every estimator, of `Clustering`."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from icon.estimators.clustering import Clustering

SHORT = {"max_iter": 20, "n_init": 1, "hidden": 32}
REPEATED = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")


def excused(estimator: Clustering) -> dict[str, str]:
    """The checks that ask for what no such estimator can do; scikit-learn excuses its k-means from the first, too."""
    checks = dict.fromkeys(REPEATED, "a point that is repeated has itself as a neighbour, and other steps are drawn")
    if estimator.n_clusters not in (2, 4):
        counted = ("check_estimator_sparse_array", "check_estimator_sparse_matrix")
        checks |= dict.fromkeys(counted, "it expects probabilities of as many classes as y has, in a clustering, too")
    if estimator.column == "classes":
        one = ("dont_overwrite_parameters", "methods_subset_invariance", "fit2d_1feature", "fit2d_predict1d")
        checks |= {f"check_{name}": "it asks for one cluster of several classes" for name in one}
    if estimator.column in ("classes", "pairs"):
        checks |= dict.fromkeys(("check_clustering", "check_clustering(readonly_memmap=True)"), "it is given no target")
    return checks


# The defaults pass the other checks, and so does every column, mapper and operation.
SETTINGS = [
    Clustering(),
    Clustering(max_iter=10, n_init=1),
    Clustering(2, n_neighbors=3, **SHORT),
    Clustering(2, walks=3, debias=0.3, **SHORT),
    Clustering(2, mapper="linear", init="random", max_iter=100),
    Clustering(2, mapper="lookup", **SHORT),
    Clustering(2, batch_size=4, ema=0.5, **SHORT | {"max_iter": 60}),  # 20 steps of 4 points leave it to the seed
    Clustering(2, column="gaussian", **SHORT),
    Clustering(2, column="student-t", **SHORT),
    Clustering(2, column="classes", **SHORT),
    Clustering(2, column="pairs", **SHORT),
    Clustering(2, symmetrize=None, walks=2, **SHORT),
    Clustering("auto", **SHORT),
    Clustering(2, hyper={"metric": "cosine"}, init="k-means", **SHORT),
]


@parametrize_with_checks(
    [Clustering(init="random", **SHORT), Clustering(2, mapper="lookup", init="k-means", **SHORT)],
    expected_failed_checks=excused,
)
def test_scikit_learn_contract(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:perplexity. lowered", "ignore:restarts. agree little")  # noise has no clusters
@parametrize_with_checks(SETTINGS, expected_failed_checks=excused)
def test_scikit_learn_contract_of_every_setting(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)
