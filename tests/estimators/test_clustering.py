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
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import icon
from icon.estimators.base import features_of
from icon.estimators.clustering import Clustering
from icon.nn.mappers import CNN

Data = tuple[np.ndarray, np.ndarray]


# -- it clusters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapper", ["mlp", pytest.param("linear", marks=pytest.mark.slow), "lookup"])
def test_blobs(mapper: str, blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, mapper=mapper, debias=0.2, n_init=1, max_iter=150, random_state=0).fit(x)
    assert adjusted_rand_score(y, fitted.labels_) > 0.95


@pytest.mark.slow
def test_debiased_walks_on_the_digits() -> None:
    x, y = load_digits(return_X_y=True)
    fitted = Clustering(10, walks=2, debias=0.6, n_init=8, batch_size=512, random_state=0).fit(x)
    assert icon.metrics.clustering_accuracy(y, fitted.labels_) > 0.88
    assert np.array_equal(fitted.predict(x), fitted.labels_)


# -- what the attributes mean -----------------------------------------------------------------------------------------


def test_loss_is_the_true_kl_of_the_composed_p(blobs: Data) -> None:
    x, _ = blobs
    fitted = Clustering(4, n_neighbors=6, walks=2, debias=0.3, n_init=1, max_iter=30, random_state=0).fit(x)
    p = icon.p.KNN(n_neighbors=6).symmetrize("union").walks(2).debias(0.3)(x).to_dense()
    phi = torch.from_numpy(fitted.predict_proba(x)).double()
    q = (phi / phi.sum(dim=0)) @ phi.T
    kl = (torch.xlogy(p, p) - p * q.log()).sum(dim=1).mean().item()
    assert fitted.loss_ == pytest.approx(kl, rel=1e-4)
    assert np.array_equal(fitted.probabilities_, fitted.predict_proba(x))


def test_the_score_is_the_information_that_neighbours_share(blobs: Data) -> None:
    """By its definition, and whatever p the fit had."""
    x, _ = blobs
    fitted = Clustering(4, n_neighbors=30, walks=2, debias=0.3, n_init=1, max_iter=30, random_state=0).fit(x[:100])
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
    fitted = Clustering(4, n_init=1, max_iter=30, random_state=0).fit(x[:100])
    probabilities = fitted.predict_proba(x[100:])
    assert probabilities.shape == (50, 4)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities >= 0).all()
    assert np.array_equal(probabilities.argmax(axis=1), fitted.predict(x[100:]))
    assert np.array_equal(fitted.predict(x[:100]), fitted.labels_)
    assert fitted.n_iter_ == 30


def test_the_same_seed_gives_the_same_clusters(blobs: Data) -> None:
    x, _ = blobs
    common = {"n_init": 1, "max_iter": 10, "batch_size": 64}
    runs = [Clustering(4, **common, random_state=seed).fit(x).predict_proba(x) for seed in (0, 0, 1)]
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
        4, symmetrize=None, n_neighbors=5, hyper={"metric": "cosine", "leak": 0.1}, walks=2, n_init=1, max_iter=20,
        random_state=0,
    ).fit(x)  # fmt: skip
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
    fitted = Clustering(4, "graph", walks=2, debias=0.5, n_init=1, max_iter=10, random_state=0).fit(x, graph)
    loss = icon.Loss(icon.p.Graph().walks(2).debias(0.5), icon.q.Clusters())
    logits = torch.from_numpy(fitted.predict_proba(x)).log()
    assert loss(logits, graph).item() == pytest.approx(fitted.loss_, rel=1e-4)
    assert 0 < fitted.score(x, graph) < np.log(4)


@pytest.mark.parametrize("few_bits", [{"n_clusters": np.uint8(4)}, {"batch_size": np.int8(60)}], ids=str)
def test_numbers_of_few_bits_do_not_overflow(few_bits: dict[str, Any], blobs: Data) -> None:
    x = np.tile(blobs[0], (2, 1))
    settings = {"n_clusters": 4, "init": "random", "mapper": "lookup", "max_iter": 2, "random_state": 0} | few_bits
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()}
    assert np.array_equal(Clustering(**settings).fit_predict(x), Clustering(**plain).fit_predict(x))


def test_a_score_needs_a_positive(blobs: Data) -> None:
    x = blobs[0][:6]
    fitted = Clustering(2, "pairs", n_init=1, init="random", max_iter=2, random_state=0).fit(x, [0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match=r"^y: got 6 points of which none has a positive, expected"):
        fitted.score(x, range(6))


# -- mappers, callbacks, scikit-learn ---------------------------------------------------------------------------------


def test_lookup_gives_training_points_back_and_places_new_ones(blobs: Data) -> None:
    x, y = blobs
    fitted = Clustering(4, mapper="lookup", n_init=1, random_state=0, max_iter=150, debias=0.2).fit(x[:120])
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
    pipeline = make_pipeline(StandardScaler(), Clustering(4, n_init=1, max_iter=5, random_state=0))
    labels = clone(pipeline).fit_predict(x)
    fitted = pipeline.fit(x)
    assert np.array_equal(fitted.predict(x), labels)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(x), fitted.predict_proba(x))


def test_verbose(blobs: Data, capsys: pytest.CaptureFixture[str]) -> None:
    Clustering(4, n_init=1, max_iter=5, verbose=True).fit(blobs[0])
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


def test_few_points_on_disk_are_all_seen_at_each_step(
    blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = blobs[0] + 1e9  # float32 would lose what they differ in
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    np.save(tmp_path / "x.npy", x)
    common = {"max_iter": 10, "n_init": 1, "random_state": 0}
    found = Clustering(4, **common).fit(np.load(tmp_path / "x.npy", mmap_mode="r"))
    expected = Clustering(4, **common).fit(x)
    assert found.loss_ == expected.loss_
    assert np.array_equal(found.labels_, expected.labels_)


def test_a_dataset_keeps_the_precision_of_its_rows(blobs: Data) -> None:
    x = blobs[0] + 1e9
    common = {"max_iter": 10, "n_init": 1, "random_state": 0}
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(x))
    assert Clustering(4, **common).fit(tensors).loss_ == Clustering(4, **common).fit(x).loss_
    assert features_of(torch.utils.data.TensorDataset(torch.from_numpy(x).half())).dtype == np.float32


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([np.zeros(3), np.ones(1)], r"item 1 of shape \(1,\) and float64"),  # which would be spread over three columns
        ([np.zeros((2, 2))], r"item 0 of shape \(2, 2\)"),
        (["a", "b"], r"item 0 of shape \(\) and <U1"),
        ([], "Rows without a length, or without items"),
    ],
)
def test_a_dataset_of_something_else_is_refused(rows: list[Any], told: str) -> None:
    class Rows(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, i: int) -> Any:
            return rows[i]

    with pytest.raises(TypeError, match=rf"^X: got {told}.*, expected"):
        Clustering(2).fit(Rows())


def test_few_points_on_disk_are_read_where_each_step_sees_all(
    blobs: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = blobs[0].astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    common = {"max_iter": 10, "n_init": 1, "random_state": 0}
    expected = Clustering(4, **common).fit(x)
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    fitted = Clustering(4, **common).fit(disk)
    assert np.array_equal(fitted.probabilities_, expected.probabilities_)
    assert np.array_equal(fitted.predict(disk), expected.labels_)
    with pytest.raises(ValueError, match=r"^batch_size: got None for an array on disk, expected the number of points"):
        Clustering(4, batch_size=None, **common).fit(disk)


def test_p_of_a_kernel_is_made_from_features_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    model = Clustering(4, column="gaussian", hyper={"perplexity": 10}, max_iter=5, n_init=1, batch_size=64,
                       random_state=0)  # fmt: skip
    expected = model.fit(x).loss_
    monkeypatch.setattr("icon.features.IN_MEMORY", 0)
    assert model.fit(np.load(tmp_path / "x.npy", mmap_mode="r")).loss_ == expected


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
from icon.estimators.base import features_of
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
        return subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode

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
    model = Clustering(4, "classes", n_init=1, max_iter=100, random_state=0)
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


@pytest.mark.parametrize(("n", "clusters", "seen"), [(1024, 3, 1024), (1025, 3, 512), (1500, 100, 800)])
def test_a_step_sees_few_points_whole_and_many_in_batches(n: int, clusters: int, seen: int) -> None:
    x, shapes = np.random.default_rng(0).normal(size=(n, 2)), []
    Clustering(
        clusters, init="random", n_init=1, max_iter=1, random_state=0,
        callback=lambda step, loss, logits: shapes.append(logits.shape),
    ).fit(x)  # fmt: skip
    assert shapes == [(seen, clusters)]


def test_few_points_of_a_cluster_have_few_neighbours() -> None:
    x, y = make_blobs(100, n_features=4, centers=10, cluster_std=0.5, random_state=0)[:2]
    with pytest.warns(UserWarning, match=r"^n_neighbors: lowered from 10 to 5 for 100 points and 10 clusters"):
        model = Clustering(10, n_init=1, random_state=0).fit(x)
    assert icon.metrics.clustering_accuracy(y, model.labels_) > 0.9
