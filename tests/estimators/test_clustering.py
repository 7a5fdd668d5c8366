"""`Clustering`: scikit-learn's own checks, real clusters, restarts by the loss, minibatches."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, confusion_matrix
from sklearn.neighbors import kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import icon
from icon.estimators.clustering import Clustering
from icon.nn.mappers import CNN
from icon.p.rows import Rows
from icon.training.sampler import PairSampler

Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def blobs() -> Data:
    x, y = make_blobs(150, n_features=5, centers=4, cluster_std=1.0, random_state=3)[:2]
    return x, y


def accuracy(labels: np.ndarray, truth: np.ndarray) -> float:
    table = confusion_matrix(truth, labels)
    return table[linear_sum_assignment(-table)].sum() / len(truth)


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
    [Clustering(max_iter=10, n_init=1), Clustering(2, mapper="lookup", init="k-means", **SHORT)],
    expected_failed_checks=excused,
)
def test_scikit_learn_contract(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:perplexity. lowered", "ignore:restarts. agree little")  # noise has no clusters
@parametrize_with_checks(SETTINGS, expected_failed_checks=excused)
def test_scikit_learn_contract_of_every_setting(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


# -- it clusters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapper", ["mlp", "linear", "lookup"])
def test_blobs(mapper: str, blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, mapper=mapper, debias=0.2, n_init=4, max_iter=150, random_state=0).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.95


@pytest.mark.slow
def test_debiased_walks_on_the_digits() -> None:
    x, y = load_digits(return_X_y=True)
    fitted = Clustering(10, walks=2, debias=0.6, n_init=8, batch_size=512, random_state=0).fit(x)
    assert accuracy(fitted.labels_, y) > 0.88
    assert np.array_equal(fitted.predict(x), fitted.labels_)


# -- what the attributes mean -----------------------------------------------------------------------------------------


def test_loss_is_the_true_kl_of_the_composed_p(blobs: Data) -> None:
    x, _ = blobs
    fitted = Clustering(4, n_neighbors=6, walks=2, debias=0.3, max_iter=30, random_state=0).fit(x)
    p = icon.p.KNN(n_neighbors=6).symmetrize("union").walks(2).debias(0.3)(x).to_dense()
    phi = torch.from_numpy(fitted.predict_proba(x)).double()
    q = (phi / phi.sum(dim=0)) @ phi.T
    kl = (torch.xlogy(p, p) - p * q.log()).sum(dim=1).mean().item()
    assert fitted.loss_ == pytest.approx(kl, rel=1e-4)
    assert np.array_equal(fitted.probabilities_, fitted.predict_proba(x))


def test_the_score_is_the_information_that_neighbours_share(blobs: Data) -> None:
    """By its definition, and whatever p the fit had."""
    x, _ = blobs
    fitted = Clustering(4, n_neighbors=30, walks=2, debias=0.3, max_iter=30, random_state=0).fit(x[:100])
    p = icon.p.KNN(10).symmetrize("union")(x[100:]).to_dense().numpy()
    labels = fitted.predict(x[100:])
    joint = np.array([[p[np.ix_(labels == a, labels == b)].sum() for b in range(4)] for a in range(4)]) / 50
    apart = joint.sum(axis=1)[:, None] * joint.sum(axis=0)
    assert fitted.score(x[100:]) == pytest.approx(xlogy(joint, joint / apart).sum(), rel=1e-9)


@pytest.mark.slow
def test_the_score_compares_parameters() -> None:
    """The largest debias does not win: its clusters collapse."""
    x = load_digits().data
    scores = {}
    for debias in (0.1, 0.9):
        fitted = Clustering(10, debias=debias, n_init=1, max_iter=60, random_state=0).fit(x[:600])
        scores[debias] = fitted.score(x[600:1200])
    assert scores[0.1] > scores[0.9] + 0.5


def test_probabilities_and_labels_agree(blobs: Data) -> None:
    x, _ = blobs
    fitted = Clustering(4, max_iter=30, random_state=0).fit(x[:100])
    probabilities = fitted.predict_proba(x[100:])
    assert probabilities.shape == (50, 4)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities >= 0).all()
    assert np.array_equal(probabilities.argmax(axis=1), fitted.predict(x[100:]))
    assert np.array_equal(fitted.predict(x[:100]), fitted.labels_)
    assert fitted.n_iter_ == 30


def test_the_start_of_the_lowest_loss_is_kept(blobs: Data) -> None:
    x, _ = blobs
    fitted = Clustering(4, n_init=4, max_iter=15, random_state=1).fit(x)
    assert fitted.losses_.shape == (4,)
    assert len(set(fitted.losses_)) == 4
    assert fitted.loss_ == fitted.losses_.min()


def test_the_same_seed_gives_the_same_clusters(blobs: Data) -> None:
    x, _ = blobs
    runs = [Clustering(4, max_iter=10, batch_size=64, random_state=seed).fit(x).predict_proba(x) for seed in (0, 0, 1)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.allclose(runs[0], runs[2], atol=1e-2)


@pytest.mark.slow
def test_units_and_offsets_do_not_matter(blobs: Data) -> None:
    x, _ = blobs
    labels = [Clustering(4, max_iter=60, random_state=0).fit_predict(a) for a in (x, 1024 * x + 512)]
    assert (labels[0] == labels[1]).mean() > 0.97


@pytest.mark.slow
def test_minibatches_reach_the_same_loss(blobs: Data) -> None:
    x, y = blobs
    shared = {"debias": 0.2, "random_state": 0, "n_init": 2, "max_iter": 120}
    whole, batches = (Clustering(4, batch_size=size, **shared).fit(x) for size in (None, 60))
    assert batches.loss_ < whole.loss_ + 0.03
    assert adjusted_rand_score(y, batches.labels_) > 0.9


def test_symmetrize_none_and_hyper_reach_p(blobs: Data) -> None:
    x, _ = blobs
    fitted = Clustering(
        4, symmetrize=None, n_neighbors=5, hyper={"metric": "cosine", "leak": 0.1}, walks=2, max_iter=20, random_state=0
    ).fit(x)
    loss = icon.Loss(icon.p.KNN(n_neighbors=5, metric="cosine").walks(2).debias(0.1), icon.q.Clusters(leak=0.1))
    logits = torch.from_numpy(fitted.predict_proba(x)).log()
    assert loss(logits, x).item() == pytest.approx(fitted.loss_, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["graph", "classes", "pairs", "gaussian", "student-t"])
def test_other_columns(column: str, blobs: Data) -> None:
    x, y = blobs
    target = y
    if column == "graph":
        graph = sp.csr_array(kneighbors_graph(x, 8))
        target = graph.maximum(graph.T)
    fitted = Clustering(4, column, n_init=3, max_iter=100, random_state=0).fit(x, target)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


def test_walks_and_debias_on_a_graph(blobs: Data) -> None:
    x, _ = blobs
    graph = sp.csr_array(kneighbors_graph(x, 5))
    graph = graph.maximum(graph.T)
    fitted = Clustering(4, "graph", walks=2, debias=0.5, max_iter=10, random_state=0).fit(x, graph)
    loss = icon.Loss(icon.p.Graph().walks(2).debias(0.5), icon.q.Clusters())
    logits = torch.from_numpy(fitted.predict_proba(x)).log()
    assert loss(logits, graph).item() == pytest.approx(fitted.loss_, rel=1e-4)
    assert 0 < fitted.score(x, graph) < np.log(4)


# -- mappers, callbacks, scikit-learn ---------------------------------------------------------------------------------


def test_lookup_gives_training_points_back_and_places_new_ones(blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, mapper="lookup", n_init=4, random_state=0, max_iter=150, debias=0.2).fit(x[:120])
    assert np.array_equal(fitted.predict(x[:120]), fitted.labels_)
    assert adjusted_rand_score(y[120:], fitted.predict(x[120:])) > 0.9


@pytest.mark.filterwarnings("ignore:restarts. agree little")
def test_a_module_is_copied_and_redrawn_for_later_starts(digits: Data) -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), CNN(1, 10, width=4))
    before = [p.clone() for p in network.parameters()]
    fitted = Clustering(10, mapper=network, n_init=2, max_iter=3, random_state=0).fit(digits[0])
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert fitted.losses_[0] != fitted.losses_[1]


def test_callback_sees_the_logits_of_each_step(blobs: Data) -> None:
    seen = []
    Clustering(4, max_iter=5, n_init=2, random_state=0, callback=lambda *step: seen.append(step)).fit(blobs[0])
    assert [step for step, _, _ in seen] == [1, 2, 3, 4, 5] * 2
    assert all(isinstance(z, np.ndarray) and z.shape == (150, 4) for _, _, z in seen)
    assert seen[4][1] < seen[0][1]


def test_pipeline_clone_and_pickle(blobs: Data) -> None:
    x, _ = blobs
    pipeline = make_pipeline(StandardScaler(), Clustering(4, max_iter=5, random_state=0))
    labels = clone(pipeline).fit_predict(x)
    fitted = pipeline.fit(x)
    assert np.array_equal(fitted.predict(x), labels)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))


def test_verbose(blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    Clustering(4, max_iter=5, verbose=True).fit(blobs[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert "clustering" in err
    assert "5/5" in err


@pytest.mark.slow
def test_duplicate_points_and_constant_features() -> None:
    x = np.repeat(np.array([[0.0, 1], [5, 1]]), 15, axis=0)
    fitted = Clustering(2, n_neighbors=5, n_init=3, random_state=0).fit(x)
    assert np.isfinite(fitted.loss_)
    assert adjusted_rand_score(np.repeat([0, 1], 15), fitted.labels_) == 1


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        ({"n_clusters": 200}, ValueError, "n_clusters: got 200, expected at most 150, the number of points"),
        ({"n_clusters": 0}, ValueError, "n_clusters: got 0"),
        ({"n_clusters": 2.5}, TypeError, "n_clusters: got 2.5"),
        ({"n_neighbors": 150}, ValueError, "n_neighbors: got 150, expected less than the number of points, 150"),
        ({"walks": 0}, ValueError, "walks: got 0"),
        ({"debias": 1.5}, ValueError, "debias: got 1.5, expected a number in"),
        ({"symmetrize": "or"}, ValueError, "symmetrize: got 'or'"),
        ({"n_init": 0}, ValueError, "n_init: got 0"),
        ({"max_iter": 0}, ValueError, "steps: got 0|max_iter: got 0"),
        ({"batch_size": 3}, ValueError, r"batch_size: got 3, expected from 8 \(n_clusters\) to 150 \(points\)"),
        ({"batch_size": 151}, ValueError, "batch_size: got 151"),
        ({"column": "kn"}, ValueError, r"column: got 'kn' \(did you mean 'knn'"),
        ({"column": "data-label"}, ValueError, "column: got 'data-label', expected a column of one set"),
        ({"column": "cross-modal"}, ValueError, "column: got 'cross-modal', expected a column of one set"),
        ({"column": "classes"}, ValueError, "y: requires y to be passed"),
        ({"mapper": nn.Linear(5, 3)}, ValueError, r"mapper: got an output of shape \(2, 3\), expected \(n, 8\)"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate: got 0.0"),
        ({"hyper": {"leek": 1}}, TypeError, "leek: unknown hyper-parameter"),
    ],
)
def test_bad_arguments(arguments, error, line: str, blobs: Data) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=rf"^({line})"):
        Clustering(**{"max_iter": 3, **arguments}).fit(blobs[0])


# -- starts, moving average, unknown labels, data on disk -------------------------------------------------------------


@pytest.mark.slow
def test_starts_are_kept_and_cycle_through_their_kinds(blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, n_init=4, max_iter=30, debias=0.2, random_state=0).fit(x)
    assert fitted.restarts_.shape == (4, 150)
    assert np.array_equal(fitted.restarts_[fitted.losses_.argmin()], fitted.labels_)
    k_means = Clustering(4, n_init=1, init="k-means", max_iter=1, random_state=0).fit(x)
    assert adjusted_rand_score(y, k_means.labels_) > 0.9  # after one step it is still where it began


@pytest.mark.parametrize("mapper", ["mlp", "linear", "lookup"])
def test_a_start_is_imitated(mapper: str, blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, mapper=mapper, n_init=1, init="k-means", max_iter=1, random_state=0).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("mapper", ["mlp", "linear", "lookup", torch.nn.Linear(5, 4)], ids=str)
@pytest.mark.parametrize("batch_size", [None, 64])
def test_a_start_by_over_clustering(mapper: str | torch.nn.Module, batch_size: int | None, blobs: Data) -> None:
    """Two clusters would do for each blob; merged, they are the blobs."""
    x, y = blobs
    common = {"mapper": mapper, "batch_size": batch_size, "debias": 0.2, "max_iter": 100, "random_state": 0}
    fitted = Clustering(4, n_init=2, **common).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9


@pytest.mark.slow
def test_over_clustering_starts_lower_than_random_ones(digits: Data) -> None:
    common = {"walks": 3, "debias": 0.3, "n_init": 2, "random_state": 0}
    over, random = (Clustering(10, init=init, **common).fit(digits[0]) for init in ("over-clustering", "random"))
    assert over.losses_.max() < random.losses_.min()


def test_the_moving_average_of_the_head_is_what_is_kept(blobs: Data) -> None:
    x, y = blobs
    common = {"n_init": 1, "init": "k-means", "max_iter": 20, "debias": 0.2, "random_state": 0}
    plain, still, slow = (Clustering(4, ema=ema, **common).fit(x) for ema in (0.0, 1.0, 0.9))
    assert not np.allclose(plain.predict_proba(x), slow.predict_proba(x))
    first = Clustering(4, ema=1.0, **{**common, "max_iter": 1}).fit(x)
    assert np.allclose(still.predict_proba(x), first.predict_proba(x))  # decay 1: the head as it was at the start
    assert adjusted_rand_score(y, slow.labels_) > 0.9


@pytest.mark.slow
def test_unknown_labels_follow_their_neighbours() -> None:
    """Four blobs, two classes that cross them: a few labels say what belongs together, the geometry does not."""
    x, parts = make_blobs(400, centers=[[0, 0], [6, 0], [0, 6], [6, 6]], random_state=0)[:2]
    y = np.array([0, 1, 1, 0])[parts]
    known = np.where(np.arange(400) % 10 == 0, y, -1)
    common = {"n_neighbors": 8, "debias": 0.2, "max_iter": 200, "random_state": 0}
    fitted = Clustering(2, "classes", **common).fit(x, known)
    assert adjusted_rand_score(y, fitted.labels_) > 0.8
    assert adjusted_rand_score(y, Clustering(2, **common).fit(x).labels_) < 0.2


@pytest.mark.slow
def test_large_data_on_disk_give_what_they_give_in_memory(
    blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = blobs
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    np.save(tmp_path / "x.npy", x.astype(np.float16))
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    fitted = Clustering(4, debias=0.2, max_iter=60, batch_size=64, random_state=0).fit(disk)
    assert adjusted_rand_score(y, fitted.labels_) > 0.9
    assert np.array_equal(fitted.predict(disk), fitted.labels_)
    assert fitted.score(disk) == pytest.approx(fitted.score(np.asarray(disk)))
    with pytest.raises(ValueError, match=r"^X: got 4 features, expected 5"):
        fitted.predict(np.load(tmp_path / "x.npy", mmap_mode="r")[:, :4])


@pytest.mark.slow
def test_a_dataset_of_rows(blobs: Data) -> None:
    x, _ = blobs
    tensors = torch.utils.data.TensorDataset(torch.tensor(x, dtype=torch.float32), torch.zeros(len(x)))
    common = {"max_iter": 10, "random_state": 0}
    assert np.array_equal(
        Clustering(4, **common).fit(tensors).labels_, Clustering(4, **common).fit(x.astype(np.float32)).labels_
    )


@pytest.mark.slow
def test_wide_features_are_reduced_and_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 160)).astype(np.float32) + 2 * np.repeat([[0.0], [1.0]], 100, axis=0).astype(np.float32)
    fitted = Clustering(2, max_iter=30, random_state=0).fit(x)
    assert fitted.mapper_[0].basis.shape == (160, 128)
    fitted.save(tmp_path / "wide")
    again = icon.load(tmp_path / "wide")
    assert np.array_equal(again.predict_proba(x), fitted.predict_proba(x))


_RUN = """
import sys, numpy as np
from sklearn.datasets import load_digits
from icon.estimators.clustering import Clustering
import os
x = load_digits().data[:600]
kill = int(sys.argv[2])
seen = []
def callback(step, loss, z):
    seen.append(step)
    if len(seen) == kill:
        os.kill(os.getpid(), 9)
c = Clustering(10, walks=2, debias=0.3, n_init=2, ema=0.9, max_iter=150, batch_size=256, random_state=0,
               checkpoint=sys.argv[1] or None, callback=callback).fit(x)
np.save(sys.argv[3], c.predict_proba(x))
"""


@pytest.mark.slow
def test_a_killed_fit_resumes_to_the_same_result(tmp_path: Path) -> None:
    def run(checkpoint: str, kill: int, out: str) -> int:
        command = [sys.executable, "-c", _RUN, checkpoint, str(kill), str(tmp_path / out)]
        return subprocess.run(command, check=False, cwd=Path(__file__).parents[1]).returncode

    assert run("", -1, "whole.npy") == 0
    state = str(tmp_path / "state")
    assert run(state, 270, "killed.npy") == -9  # in the second start, after its checkpoint at step 100
    assert not (tmp_path / "killed.npy").exists()
    assert run(state, -1, "resumed.npy") == 0
    assert np.array_equal(np.load(tmp_path / "resumed.npy"), np.load(tmp_path / "whole.npy"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"init": "kmeans"}, r"init: got 'kmeans' \(did you mean 'k-means'"),
        ({"ema": 1.5}, "ema: got 1.5"),
        ({"neighbors": "fast"}, "neighbors: got 'fast'"),
        ({"batch_size": "all"}, "batch_size: got 'all'"),
    ],
)
def test_more_bad_arguments(arguments: dict[str, Any], line: str, blobs: Data) -> None:
    with pytest.raises(ValueError, match=rf"^{line}"):
        Clustering(4, **{"max_iter": 3, **arguments}).fit(blobs[0])


# -- what k-means users expect ----------------------------------------------------------------------------------------


def test_fit_predict_passes_the_target_on(blobs: Data) -> None:
    """Also at the end of a pipeline; without it the column has nothing to be made from."""
    x, y = blobs
    model = Clustering(4, "classes", max_iter=100, random_state=0)
    assert adjusted_rand_score(y, model.fit_predict(x, y)) == 1
    pipeline = make_pipeline(StandardScaler(), clone(model))
    assert adjusted_rand_score(y, pipeline.fit_predict(x, y)) == 1
    assert model.__sklearn_tags__().target_tags.required
    assert not Clustering().__sklearn_tags__().target_tags.required
    with pytest.raises(ValueError, match=r"^y: requires y"):
        clone(model).fit_predict(x)


def test_clusters_are_numbered_without_a_gap_and_the_empty_ones_are_told() -> None:
    x = np.repeat(np.array([[0.0, 0], [9, 9], [0, 9]]), 20, axis=0)
    x = x + np.random.default_rng(0).normal(scale=0.1, size=x.shape)
    model = Clustering(6, n_neighbors=19, n_init=1, random_state=0)
    with pytest.warns(UserWarning, match=r"^n_clusters: got 6, of which \d stayed empty"):
        model.fit(x)
    assert model.n_empty_ > 0
    assert set(model.labels_) == set(range(6 - model.n_empty_))
    assert np.array_equal(model.predict(x), model.labels_)
    assert np.array_equal(model.predict_proba(x).argmax(axis=1), model.labels_)
    assert np.array_equal(model.restarts_[0], model.labels_)
    with torch.no_grad():
        logits = model.mapper_(torch.tensor(x, dtype=torch.float32)).numpy()
    assert np.array_equal(logits[:, model.order_].argmax(axis=1), model.labels_)


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_the_warning_of_empty_clusters_points_to_the_caller(method: str) -> None:
    x, y = make_blobs(60, centers=3, random_state=0)[:2]
    model = Clustering(8, "classes", max_iter=20, n_init=1, init="random", random_state=0)
    with pytest.warns(ConvergenceWarning, match="stayed empty") as found:
        getattr(model, method)(x, y)
    assert [w.filename for w in found if w.category is ConvergenceWarning] == [__file__]


@pytest.mark.slow
def test_the_defaults_hold_for_ten_points() -> None:
    x, _ = make_blobs(10, centers=2, random_state=0)[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert Clustering(random_state=0).fit(x).labels_.shape == (10,)


class TestSampleWeight:
    @pytest.mark.slow
    @pytest.mark.parametrize("batch_size", [None, 64])
    def test_equal_weights_change_nothing(self, blobs: Data, batch_size: int | None) -> None:
        x, _ = blobs
        model = Clustering(4, batch_size=batch_size, n_init=2, random_state=0)
        plain, weighted = clone(model).fit(x), clone(model).fit(x, sample_weight=np.full(len(x), 3.0))
        assert adjusted_rand_score(plain.labels_, weighted.labels_) > 0.95
        if batch_size is None:
            assert weighted.loss_ == pytest.approx(plain.loss_, rel=1e-4)

    def test_the_loss_is_that_of_weighted_points(self, blobs: Data) -> None:
        x, _ = blobs
        weight = np.random.default_rng(0).uniform(0.1, 3, len(x))
        model = Clustering(4, walks=1, debias=0, n_init=1, max_iter=50, random_state=0).fit(x, sample_weight=weight)
        phi = torch.tensor(model.predict_proba(x)).double()
        w = torch.tensor(weight)
        p = model_rows(x).to_dense() * w
        p = p / p.sum(dim=1, keepdim=True)  # a neighbour counts as often as it weighs
        q = (phi / (w[:, None] * phi).sum(dim=0)) @ (phi * w[:, None]).T
        kl = (torch.xlogy(p, p) - p * q.log()).sum(dim=1)
        assert model.loss_ == pytest.approx(float((w * kl).sum() / w.sum()), rel=1e-4)

    def test_anchors_are_drawn_by_their_weights(self, blobs: Data, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn: list[torch.Tensor] = []
        original = PairSampler.sample

        def sample(self: PairSampler, size: int, negatives: int) -> Any:
            found = original(self, size, negatives)
            drawn.append(found[0])
            return found

        monkeypatch.setattr(PairSampler, "sample", sample)
        monkeypatch.setattr("icon.estimators.clustering.EXACT", 50)  # the loss over all points is a sample, too
        x, _ = blobs
        weight = np.where(np.arange(len(x)) < 60, 1.0, 1e-12)
        Clustering(4, batch_size=32, n_init=1, max_iter=3, random_state=0).fit(x, sample_weight=weight)
        assert drawn
        assert max(int(anchors.max()) for anchors in drawn) < 60

    @pytest.mark.parametrize("bad", [np.ones(3), -np.ones(150), np.zeros(150), np.full(150, np.nan), np.arange(150.0)])
    def test_bad_weights(self, blobs: Data, bad: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"^sample_weight: got"):
            Clustering(4).fit(blobs[0], sample_weight=bad)

    @pytest.mark.parametrize("hyper", [{"marginals": "uniform"}, {"exponent": 0.6}, {"weights": np.ones(150)}])
    def test_weights_that_the_row_has_or_cannot_have(self, blobs: Data, hyper: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=rf"^sample_weight: got some with hyper={{'{next(iter(hyper))}': ...}}"):
            Clustering(4, hyper=hyper).fit(blobs[0], sample_weight=np.ones(150))


def model_rows(x: np.ndarray) -> Rows:
    """p of the default column, as `Clustering` makes it."""
    return icon.p.KNN(10).symmetrize("union")(x)


def lines() -> Data:
    """Two long lines beside each other."""
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 300)
    return np.c_[rng.uniform(0, 12, 600), y + 0.05 * rng.normal(size=600)], y


def stretched() -> Data:
    """Three blobs drawn out in one direction, which touch."""
    x, y = make_blobs(1000, random_state=170)[:2]
    return x @ [[0.6, -0.6], [-0.4, 0.8]], y


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:restarts")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "data",
    [
        make_moons(1000, noise=0.05, random_state=0),
        make_circles(1000, noise=0.04, factor=0.4, random_state=0),
        lines(),
        stretched(),
    ],
    ids=["moons", "circles", "lines", "stretched"],
)
def test_shapes_that_are_no_balls_are_found_by_default(data: Data, seed: int) -> None:
    x, y = data
    assert adjusted_rand_score(y, Clustering(len(np.unique(y)), random_state=seed).fit_predict(x)) > 0.95


class TestBalance:
    @pytest.mark.slow
    @pytest.mark.parametrize("sizes", [(980, 20), (900, 60, 40)])
    def test_separated_clusters_of_unequal_sizes_are_found_by_default(self, sizes: tuple[int, ...]) -> None:
        x, y = unequal(sizes)
        model = Clustering(len(sizes), random_state=0).fit(x)
        assert adjusted_rand_score(y, model.labels_) > 0.99
        assert model.balance_ < 1

    @pytest.mark.slow
    def test_and_among_more_points_where_a_restart_cuts_the_large_one(self) -> None:
        rng, y = np.random.default_rng(0), np.repeat([0, 1], [1960, 40])
        x = 10 * np.eye(2, 8)[y] + rng.normal(size=(2000, 8))
        model = Clustering(2, n_init=2, random_state=0).fit(x)
        kept, other = (adjusted_rand_score(y, labels) for labels in model.restarts_)
        assert kept > 0.99 > other
        assert model.losses_[0] < model.losses_[1]

    @pytest.mark.filterwarnings("ignore:restarts")
    def test_a_restart_whose_clusters_died_is_not_kept(self) -> None:
        x = np.random.default_rng(2).normal(size=(120, 1))
        model = Clustering(3, balance=0.2, n_init=2, max_iter=60, random_state=0).fit(x)
        assert [len(np.unique(labels)) for labels in model.restarts_] == [3, 1]
        assert model.losses_[1] < model.losses_[0] == model.loss_
        assert model.n_empty_ == 0

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:restarts")
    @pytest.mark.parametrize("draw", ["uniform", "normal", "exponential"])
    def test_points_along_a_line_keep_all_clusters(self, draw: str) -> None:
        for seed in range(3):
            x = getattr(np.random.default_rng(seed), draw)(size=(300, 1))
            assert Clustering(3, random_state=seed).fit(x).n_empty_ == 0

    def test_equal_clusters_keep_the_mutual_information(self) -> None:
        x, y = unequal((100, 100, 100))
        model = Clustering(3, n_init=1, random_state=0).fit(x)
        assert adjusted_rand_score(y, model.labels_) > 0.95
        assert model.balance_ == 1

    @pytest.mark.slow
    def test_one_cuts_the_large_cluster(self) -> None:
        x, y = unequal((980, 20))
        assert adjusted_rand_score(y, Clustering(2, balance=1, n_init=1, random_state=0).fit(x).labels_) < 0.1

    def test_is_added_to_the_loss(self) -> None:
        x, _ = unequal((60, 40))
        model = Clustering(2, balance=0.3, walks=1, debias=0, n_init=1, init="k-means", max_iter=20, random_state=0)
        model.fit(x)
        phi = model.probabilities_.astype(np.float64)
        share = phi.mean(axis=0)
        p = icon.p.KNN(10).symmetrize("union")(x)
        plain = float(icon.Loss(p=icon.p.KNN(10), q=icon.q.Clusters())(torch.from_numpy(np.log(phi)), p))
        assert model.loss_ == pytest.approx(plain - 0.7 * xlogy(share, share).sum(), abs=1e-4)
        assert model.balance_ == 0.3

    @pytest.mark.parametrize(("given", "error"), [("even", ValueError), (1.5, ValueError), (None, TypeError)])
    def test_bad_values_are_refused(self, blobs: Data, given: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match=r"^balance: got"):
            Clustering(4, balance=given).fit(blobs[0])

    def test_is_no_hyper_parameter_of_the_row_and_no_weights(self, blobs: Data) -> None:
        with pytest.raises(ValueError, match=r"balance"):
            Clustering(4, hyper={"balance": 0.5}).fit(blobs[0])
        with pytest.raises(ValueError, match=r"^sample_weight: got some with balance=0.5"):
            Clustering(4, balance=0.5).fit(blobs[0], sample_weight=np.ones(150))


def unequal(sizes: tuple[int, ...]) -> Data:
    """Gaussian clusters in the plane, six or more deviations apart."""
    rng = np.random.default_rng(0)
    centers = 6.0 * np.array([(0, 0), (1, 0), (0, 1)])
    x = np.concatenate([rng.normal(c, 1, (n, 2)) for c, n in zip(centers, sizes, strict=False)])
    return x, np.repeat(np.arange(len(sizes)), sizes)


@pytest.mark.parametrize(("n", "clusters", "seen"), [(1024, 3, 1024), (1025, 3, 512), (1500, 100, 800)])
def test_a_step_sees_few_points_whole_and_many_in_batches(n: int, clusters: int, seen: int) -> None:
    x, shapes = np.random.default_rng(0).normal(size=(n, 2)), []
    Clustering(
        clusters, init="random", n_init=1, max_iter=1, random_state=0,
        callback=lambda step, loss, logits: shapes.append(logits.shape),
    ).fit(x)  # fmt: skip
    assert shapes == [(seen, clusters)]


@pytest.mark.slow
@pytest.mark.parametrize("init", ["merged-k-means", "over-clustering", "k-means", "random"])
def test_each_kind_of_start(blobs: Data, init: str) -> None:
    x, y = blobs
    model = Clustering(4, init=init, n_init=2, random_state=0).fit(x)
    assert accuracy(model.labels_, y) > (0.7 if init == "random" else 0.95)


@pytest.mark.slow
def test_a_start_is_made_of_features_where_p_is() -> None:
    """Features that say nothing of a graph do not make its first clusters."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 40)
    graph = sp.csr_array((y[:, None] == y).astype(float) - np.eye(120))
    x = np.eye(120)[rng.permutation(120)]
    found = {
        init: Clustering(3, "graph", init=init, n_init=1, random_state=0).fit(x, graph)
        for init in ("auto", "over-clustering")
    }
    assert np.array_equal(found["auto"].labels_, found["over-clustering"].labels_)


def test_starts_that_disagree_are_told() -> None:
    x = np.random.default_rng(0).normal(size=(300, 10))
    with pytest.warns(ConvergenceWarning, match=r"^restarts: agree little \(mean adjusted Rand index 0\.\d+\)"):
        Clustering(8, init="random", max_iter=5, random_state=0).fit(x)


def test_few_points_of_a_cluster_have_few_neighbours() -> None:
    x, y = make_blobs(100, n_features=4, centers=10, cluster_std=0.5, random_state=0)[:2]
    with pytest.warns(UserWarning, match=r"^n_neighbors: lowered from 10 to 5 for 100 points and 10 clusters"):
        model = Clustering(10, n_init=1, random_state=0).fit(x)
    assert accuracy(model.labels_, y) > 0.9
