"""`Embedding`: scikit-learn's own checks, t-SNE as good as scikit-learn's, and every kind of column."""

from __future__ import annotations

import functools
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import KNeighborsClassifier, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import icon
from icon.estimators.embedding import Embedding
from icon.estimators.momentum import MomentumGains
from icon.nn.mappers import CNN, Lookup
from tests.combinations import few_are_fast

Digits = tuple[np.ndarray, np.ndarray]


def adjacency(x: np.ndarray, k: int = 6) -> sp.csr_array:
    graph = sp.csr_array(kneighbors_graph(x, k))
    return graph.maximum(graph.T)


# Few steps: the checks are about the contract, not about the map.
EXCUSED = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "a point that is repeated has itself as a neighbour; its weight counts its own divergence, as in scikit-learn's "
    "k-means, which is excused, too",
)
SETTINGS = [
    Embedding(),
    Embedding(max_iter=10, init="random", early_exaggeration=1.0, n_components=1),
    Embedding(max_iter=5, row="gaussian"),
    Embedding(max_iter=5, row="gaussian", column="classes", mapper="mlp"),
    Embedding(max_iter=5, row="gaussian-wide", column="identity", mapper="linear"),
    Embedding(max_iter=5, row="gaussian", column="data-label", mapper="linear"),
    Embedding(max_iter=5, mapper="mlp"),
    Embedding(max_iter=5, column="data-label"),
    Embedding(max_iter=5, column="student-t"),
    Embedding(max_iter=5, column="knn", hyper={"n_neighbors": 2}, mapper="linear"),
    Embedding(max_iter=5, hyper={"perplexity": [1.5, 2]}),
    Embedding(max_iter=5, row="clusters", column="classes", mapper="linear"),
]


@pytest.mark.filterwarnings("ignore:perplexity. lowered:UserWarning")
@parametrize_with_checks([Embedding(max_iter=15)], expected_failed_checks=lambda _: EXCUSED)
def test_scikit_learn_contract(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:perplexity. lowered:UserWarning")
@pytest.mark.filterwarnings("ignore:target. got")
@parametrize_with_checks(SETTINGS, expected_failed_checks=lambda _: EXCUSED)
def test_scikit_learn_contract_of_every_setting(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


# -- t-SNE ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_default_is_tsne_as_good_as_scikit_learns() -> None:
    x = load_digits().data[:300]
    theirs = TSNE(method="exact", random_state=0).fit(x)
    ours = Embedding(random_state=0).fit(x)
    loss = icon.method("tsne")
    rows = loss.p(x)
    # On the same P the two losses are the same function ...
    assert loss(torch.from_numpy(theirs.embedding_), rows).item() == pytest.approx(theirs.kl_divergence_, rel=1e-4)
    assert loss(torch.from_numpy(ours.embedding_), rows).item() == pytest.approx(ours.loss_, rel=1e-4)
    # ... and its minimum is as low.
    assert ours.loss_ < 1.05 * theirs.kl_divergence_
    neighbours = [trustworthiness(x, e.embedding_, n_neighbors=10) for e in (ours, theirs)]
    assert neighbours[0] > neighbours[1] - 0.005


@pytest.mark.slow
def test_tsne_of_500_digits_within_five_percent() -> None:
    x = load_digits().data[:500]
    theirs = TSNE(method="exact", random_state=0).fit(x)
    for init in ("pca", "random"):
        assert Embedding(init=init, random_state=0).fit(x).loss_ < 1.05 * theirs.kl_divergence_


def test_momentum_with_gains_follows_scikit_learn() -> None:
    from sklearn.manifold._t_sne import _gradient_descent

    curvature = np.array([1.0, 30.0, 100.0])
    start = np.array([1.0, -2.0, 0.5])
    theirs, _, _ = _gradient_descent(
        lambda z, **_: ((curvature * z**2).sum() / 2, curvature * z),
        start.copy(), it=0, max_iter=25, momentum=0.8, learning_rate=0.01, n_iter_check=1000,
    )  # fmt: skip
    z = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = MomentumGains([z], lr=0.01)
    for _ in range(25):
        optimizer.zero_grad()
        (torch.from_numpy(curvature) * z**2).sum().div(2).backward()
        optimizer.step()
    assert np.allclose(z.detach(), theirs, rtol=1e-12)


def test_perplexity_is_lowered_with_a_warning_only_by_default(digits: Digits) -> None:
    x = digits[0][:40]
    with pytest.warns(UserWarning, match=r"^perplexity: lowered from 30 to 13 for 40 points"):
        Embedding(max_iter=5).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Embedding(max_iter=5, hyper={"perplexity": 30}).fit(x)
        Embedding(max_iter=5).fit(digits[0])
    with pytest.raises(ValueError, match=r"^perplexity: got 50, expected between 1 and 39"):
        Embedding(max_iter=5, hyper={"perplexity": 50}).fit(x)


def test_the_same_seed_gives_the_same_map(digits: Digits) -> None:
    maps = [Embedding(max_iter=40, init="random", random_state=s).fit_transform(digits[0]) for s in (0, 0, 1)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2], rtol=0.1)
    assert maps[0].dtype == np.float32


def test_hyper_reaches_the_loss(digits: Digits) -> None:
    x = digits[0]
    fitted = Embedding(max_iter=60, hyper={"perplexity": 10, "dof": 2.0}, random_state=0).fit(x)
    loss = icon.method("tsne", perplexity=10, dof=2.0)
    assert loss(torch.from_numpy(fitted.embedding_), x).item() == pytest.approx(fitted.loss_, rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"row": "gaussian"}, {"mapper": "linear", "batch_size": 20}], ids=str)
def test_what_a_comparison_gives_ends_a_fit(digits: Digits, settings: dict[str, Any]) -> None:
    for give in (bool, np.bool_, torch.tensor):
        ends = Embedding(max_iter=20, random_state=0, **settings, callback=lambda step, *_, give=give: give(step >= 7))
        assert ends.fit(digits[0]).n_iter_ == 7
        goes_on = Embedding(max_iter=9, random_state=0, **settings, callback=lambda step, *_: step)
        assert goes_on.fit(digits[0]).n_iter_ == 9


def test_callback_counts_all_steps_and_sees_the_plain_loss(digits: Digits) -> None:
    seen = []
    fitted = Embedding(max_iter=20, random_state=0, callback=lambda *step: seen.append(step)).fit(digits[0])
    assert [step for step, _, _ in seen] == list(range(1, 21))
    assert fitted.n_iter_ == 20
    loss = icon.method("tsne")
    for _, value, z in (seen[2], seen[12]):  # while p is exaggerated, and after
        assert isinstance(z, np.ndarray)
        assert loss(torch.from_numpy(z), digits[0]).item() == pytest.approx(value, rel=1e-4)


def test_early_stop_is_reported(digits: Digits) -> None:
    fitted = Embedding(row="gaussian", column="knn", max_iter=2000, tol=1e-2).fit(digits[0])
    assert fitted.n_iter_ < 2000


def test_init_takes_an_array(digits: Digits) -> None:
    start = np.random.default_rng(0).normal(size=(len(digits[0]), 2))
    fitted = Embedding(init=start, max_iter=1, learning_rate=1e-6).fit(digits[0])
    assert np.allclose(fitted.embedding_, start, atol=1e-5)


def test_more_components_than_features(digits: Digits) -> None:
    assert Embedding(3, max_iter=20).fit_transform(digits[0][:, 20:22]).shape == (120, 3)


# -- the other coordinates --------------------------------------------------------------------------------------------


def test_wide_gaussian_and_identity_is_pca(digits: Digits) -> None:
    x = digits[0]
    fitted = Embedding(row="gaussian-wide", column="identity", mapper="linear", tol=1e-7, random_state=0).fit(x)
    pca = PCA(2).fit(x)
    basis = torch.linalg.qr(fitted.mapper_[1].map.weight.detach().mT).Q.numpy()
    assert np.linalg.svd(pca.components_ @ basis)[1].min() > 0.999
    scale = fitted.mapper_[0].rms.item() ** 2
    variance = pca.explained_variance_ratio_.sum() * x.var(axis=0).sum() / scale
    assert fitted.loss_ == pytest.approx(-2 * variance, rel=1e-3)


@pytest.mark.parametrize("mapper", ["lookup", "mlp"])
def test_unbounded_loss_is_refused(mapper: str, digits: Digits) -> None:
    with pytest.raises(ValueError, match=r"^mapper: got .* with row='gaussian-wide', expected 'linear'"):
        Embedding(row="gaussian-wide", column="identity", mapper=mapper).fit(digits[0])


LEARNED = ["gaussian", "student-t", "knn", "graph", "classes", "pairs"]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        *few_are_fast(("gaussian", "student-t", "clusters"), LEARNED),
        ("gaussian", "data-label"),  # prototypes are no cluster logits
        pytest.param("student-t", "data-label", marks=pytest.mark.slow),
    ],
)
def test_every_column_lowers_its_loss(row: str, column: str, digits: Digits) -> None:
    x, y = digits
    seen: list[float] = []
    target = adjacency(x) if column == "graph" else y
    fitted = Embedding(
        4, row, column, max_iter=120, random_state=0, callback=lambda _, v, z: seen.append(v)
    ).fit(x, target)  # fmt: skip
    assert fitted.embedding_.shape == (120, 4)
    assert fitted.loss_ < seen[0] - 0.01
    assert fitted.loss_ < min(seen) + 0.01


def test_classes_separate_and_new_points_follow() -> None:
    x, y = load_digits(n_class=4, return_X_y=True)
    names = np.array(["zero", "one", "two", "three"])[y]
    fitted = Embedding(row="gaussian", column="classes", mapper="mlp", max_iter=100, random_state=0).fit(
        x[:400], names[:400]
    )
    probe = KNeighborsClassifier(5, metric="cosine").fit(fitted.embedding_, names[:400])
    assert probe.score(fitted.transform(x[400:]), names[400:]) > 0.9
    assert fitted.classes_.tolist() == ["one", "three", "two", "zero"]


def test_data_labels_learn_prototypes(digits: Digits) -> None:
    x, y = digits
    fitted = Embedding(10, "gaussian", "data-label", mapper="linear", max_iter=150, random_state=0).fit(x, y)
    assert fitted.prototypes_.shape == (10, 10)
    assert (fitted.classes_[(fitted.transform(x) @ fitted.prototypes_.T).argmax(axis=1)] == y).mean() > 0.95


# -- new points -------------------------------------------------------------------------------------------------------


def test_lookup_places_new_points_among_their_neighbours() -> None:
    x = load_digits().data[:400]
    fitted = Embedding(random_state=0, max_iter=300).fit(x[:300])
    assert np.array_equal(fitted.transform(x[:300]), fitted.embedding_)
    placed = fitted.transform(x[300:], optimize=False)
    both = np.concatenate([fitted.embedding_, placed])
    assert trustworthiness(x, both, n_neighbors=10) > 0.95
    nearest = np.linalg.norm(x[300:, None] - x[None, :300], axis=2).argsort(axis=1)[:, :5]
    low, high = fitted.embedding_[nearest].min(axis=1), fitted.embedding_[nearest].max(axis=1)
    assert ((placed >= low - 1e-3) & (placed <= high + 1e-3)).all()


def test_parametric_transform_is_the_mapper(digits: Digits) -> None:
    fitted = Embedding(mapper="mlp", max_iter=30, random_state=0).fit(digits[0])
    assert np.allclose(fitted.transform(digits[0]), fitted.embedding_, atol=1e-6)


def test_module_is_copied_and_sees_the_features_as_they_are(digits: Digits) -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), CNN(1, 2, width=4))
    before = [p.clone() for p in network.parameters()]
    fitted = Embedding(mapper=network, max_iter=10, random_state=0).fit(digits[0])
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert not torch.equal(before[0], next(fitted.mapper_.parameters()))
    with torch.no_grad():
        direct = fitted.mapper_(torch.from_numpy(digits[0]).float()).numpy()
    assert np.allclose(direct, fitted.embedding_, atol=1e-6)


# -- at home in scikit-learn ------------------------------------------------------------------------------------------


def test_pipeline_clone_names_and_pickle(digits: Digits) -> None:
    x, y = digits
    pipeline = make_pipeline(StandardScaler(), Embedding(3, max_iter=10, random_state=0), KNeighborsClassifier())
    assert 0 <= clone(pipeline).fit(x, y).score(x, y) <= 1
    fitted = Embedding(3, max_iter=10, random_state=0).set_output(transform="pandas").fit(x)
    assert fitted.transform(x).columns.tolist() == ["embedding0", "embedding1", "embedding2"]
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).embedding_, fitted.embedding_)


def test_a_later_fit_without_labels_forgets_the_classes(digits: Digits) -> None:
    x, y = digits
    fitted = Embedding(row="gaussian", column="data-label", mapper="linear", max_iter=2, random_state=0).fit(x, y)
    assert hasattr(fitted, "prototypes_")
    fitted.set_params(row="student-t", column="gaussian").fit(x)
    assert not hasattr(fitted, "classes_")
    assert not hasattr(fitted, "prototypes_")


def test_verbose_writes_to_standard_error_only(digits: Digits, capsys: pytest.CaptureFixture[str]) -> None:
    Embedding(max_iter=8, verbose=True).fit(digits[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert "t-SNE, exaggerated" in err
    assert "6/6" in err


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "y", "error", "line"),
    [
        ({"row": "student"}, None, ValueError, r"row: got 'student' \(did you mean 'student-t'"),
        ({"column": "class"}, None, ValueError, r"column: got 'class' \(did you mean 'classes'"),
        ({"column": "cross-modal"}, None, ValueError, "column: got 'cross-modal', expected a column of one set"),
        ({"n_components": 0}, None, ValueError, "n_components: got 0"),
        (
            {"n_components": 65, "method": "pca", "mapper": "linear"},
            None,
            ValueError,
            "n_components: got 65 with row='gaussian-wide",
        ),
        ({"max_iter": 0}, None, ValueError, "max_iter: got 0"),
        ({"mapper": "lookups"}, None, ValueError, r"mapper: got 'lookups' \(did you mean 'lookup'"),
        ({"mapper": nn.Linear(64, 3)}, None, ValueError, r"mapper: got an output of shape \(2, 3\), expected \(n, 2\)"),
        ({"mapper": Lookup(120, 3)}, None, ValueError, r"mapper: got an output of shape \(2, 3\)"),
        ({"init": "random "}, None, ValueError, r"init: got 'random ' \(did you mean 'random'"),
        ({"init": np.ones((3, 2))}, None, ValueError, r"init: got shape \(3, 2\), expected \(120, 2\)"),
        ({"learning_rate": -1.0}, None, ValueError, "learning_rate: got -1.0"),
        ({"learning_rate": "fast"}, None, ValueError, "learning_rate: got 'fast'"),
        ({"device": "gpu9"}, None, ValueError, "device: got 'gpu9'"),
        ({"device": "meta"}, None, ValueError, "device: got 'meta', which holds no numbers"),
        ({"hyper": {"perplexitty": 3}}, None, TypeError, "perplexitty: unknown hyper-parameter"),
        ({"column": "classes"}, None, ValueError, "y: requires y to be passed, but the target y is None"),
        ({"column": "classes"}, np.zeros(5), ValueError, r"y: got 5 entries, expected 120"),
        ({"column": "classes"}, np.full(120, np.nan), ValueError, "y: got no label that is known"),
        ({"column": "graph"}, np.ones((5, 5)), ValueError, r"adjacency: got shape \(5, 5\), expected \(120, 120\)"),
    ],
)
def test_bad_arguments(arguments, y, error, line: str, digits: Digits) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=rf"^{line}"):
        Embedding(**{"max_iter": 3, **arguments}).fit(digits[0], y)


class TestWhatIsGiven:
    """Sample weights, p itself, several perplexities, and output as a frame."""

    def test_a_given_affinity_stands_for_p(self) -> None:
        x = load_digits().data[:80]
        rows = icon.p.Gaussian(perplexity=10)(x)
        plain = Embedding(hyper={"perplexity": 10}, max_iter=30, random_state=0).fit(x)
        joint = rows.symmetrize()
        pairs = (joint.anchor_marginal[:, None] * joint.to_dense()).numpy()
        for affinity in (rows, rows.to_dense().numpy(), pairs, sp.csr_array(pairs)):
            given = Embedding(max_iter=30, random_state=0).fit(x, affinity=affinity)
            np.testing.assert_allclose(given.embedding_, plain.embedding_, rtol=1e-3, atol=1e-3)
        with pytest.raises(ValueError, match="expected 1"):
            Embedding().fit(x, affinity=2 * pairs * len(x))

    def test_an_affinity_may_be_a_frame_and_needs_no_labels(self) -> None:
        x = load_digits().data[:40]
        p = icon.p.Gaussian(perplexity=10)(x).to_dense().numpy()
        make = functools.partial(Embedding, row="gaussian", column="classes", max_iter=5, random_state=0)
        plain, framed = make().fit(x, affinity=p), make().fit(x, affinity=pd.DataFrame(p))
        np.testing.assert_array_equal(plain.embedding_, framed.embedding_)
        assert not hasattr(plain, "classes_")

    @pytest.mark.parametrize(
        ("affinity", "error", "line"),
        [
            (np.full((5, 5), 0.2), ValueError, r"affinity: got shape \(5, 5\), expected \(40, 40\)"),
            ("precomputed", TypeError, "affinity: got str"),
        ],
    )
    def test_bad_affinities(self, affinity: Any, error: type[Exception], line: str) -> None:
        with pytest.raises(error, match=f"^{line}"):
            Embedding(max_iter=3).fit(load_digits().data[:40], affinity=affinity)

    def test_pairs_of_data_and_labels_take_no_affinity(self) -> None:
        with pytest.raises(ValueError, match=r"^affinity: got p of the points with column='data-label', expected None"):
            Embedding(row="gaussian", column="data-label").fit(load_digits().data[:40], affinity=np.eye(40))

    def test_the_loss_is_that_of_weighted_points(self) -> None:
        x, weight = load_digits().data[:40], np.arange(40.0)
        found = Embedding(hyper={"perplexity": 10}, max_iter=8, random_state=0).fit(x, sample_weight=weight)
        p = icon.p.Gaussian(perplexity=10)(x).to_dense().numpy()
        p = (weight[:, None] + weight) * (p + p.T)  # the pairs of t-SNE, each weighted by both of its points
        p /= p.sum()
        q = (1 - np.eye(40)) / (1 + np.square(found.embedding_[:, None] - found.embedding_).sum(axis=2))
        q, others = q / q.sum(), p > 0
        assert found.loss_ == pytest.approx((p[others] * np.log(p[others] / q[others])).sum(), rel=1e-4)

    def test_early_exaggeration_is_a_factor(self) -> None:
        x = load_digits().data[:40]
        make = functools.partial(Embedding, hyper={"perplexity": 10}, max_iter=4, random_state=0)
        small, large, usual = (make(**given).fit(x).embedding_ for given in (
            {"early_exaggeration": 4}, {"early_exaggeration": 12}, {},
        ))  # fmt: skip
        np.testing.assert_array_equal(large, usual)
        assert np.abs(small - large).max() > 1e-6

    @pytest.mark.parametrize("row", ["student-t", "gaussian"])
    def test_early_exaggeration_is_checked_where_it_plays_no_part(self, row: str) -> None:
        with pytest.raises(ValueError, match=r"^early_exaggeration: got 0.5"):
            Embedding(row=row, early_exaggeration=0.5, max_iter=3).fit(load_digits().data[:100])

    def test_several_perplexities_are_averaged(self) -> None:
        x = load_digits().data[:60]
        several = icon.p.Gaussian(perplexity=[5, 20])(x).to_dense()
        each = [icon.p.Gaussian(perplexity=value)(x).to_dense() for value in (5, 20)]
        torch.testing.assert_close(several, (each[0] + each[1]) / 2)
        map_ = Embedding(hyper={"perplexity": [5, 20]}, max_iter=20, random_state=0).fit(x)
        assert map_.loss_ > 0
        with pytest.raises(ValueError, match=r"^perplexity: got 70"):
            icon.p.Gaussian(perplexity=(5, 70))(x)

    @pytest.mark.parametrize("row", ["student-t", "gaussian"])
    def test_equal_weights_change_nothing_and_others_do(self, row: str) -> None:
        x = load_digits().data[:60]
        make = functools.partial(Embedding, row=row, hyper={"perplexity": 10}, max_iter=30, random_state=0)
        plain = make().fit(x)
        equal = make().fit(x, sample_weight=np.full(60, 2.0))
        np.testing.assert_allclose(equal.embedding_, plain.embedding_, rtol=1e-3, atol=1e-3)
        other = make().fit(x, sample_weight=np.arange(60))
        assert np.abs(other.embedding_ - plain.embedding_).max() > 0.01
        with pytest.raises(ValueError, match=r"^sample_weight: got negative"):
            make().fit(x, sample_weight=-np.ones(60))

    def test_without_early_exaggeration(self) -> None:
        x = load_digits().data[:60]
        plain, none = (
            Embedding(early_exaggeration=f, hyper={"perplexity": 10}, max_iter=40, random_state=0).fit(x)
            for f in (12.0, 1.0)
        )
        assert not np.allclose(plain.embedding_, none.embedding_)
        with pytest.raises(ValueError, match=r"^early_exaggeration: got 0.5"):
            Embedding(early_exaggeration=0.5, hyper={"perplexity": 10}).fit(x)

    def test_output_as_a_frame(self) -> None:
        x = load_digits().data[:40]
        with sklearn.config_context(transform_output="pandas"):
            found = Embedding(max_iter=10, hyper={"perplexity": 5}).fit_transform(x)
        assert list(found.columns) == ["embedding0", "embedding1"]
