"""Maps of many points: on a grid, started and stopped as asked, and with new points placed on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import icon
from icon.core.evaluators import Grid
from icon.estimators.embedding import GRID_FROM
from tests.cases import digits as some_digits

Digits = tuple[np.ndarray, np.ndarray]
X, Y = load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return some_digits(120)


@pytest.fixture(scope="module")
def fitted() -> icon.Embedding:
    """Of 1,100 points, which is made on a grid."""
    return icon.Embedding(random_state=0, max_iter=300).fit(X[:1100])


@pytest.mark.slow
def test_a_grid_gives_the_map_of_exact_sums(fitted: icon.Embedding) -> None:
    assert len(X[:1100]) >= GRID_FROM
    exact = icon.Embedding(random_state=0, max_iter=300, evaluator="autograd", n_neighbors=90).fit(X[:1100])
    assert fitted.loss_ == pytest.approx(exact.loss_, rel=0.02)
    assert trustworthiness(X[:1100], fitted.embedding_) > 0.97
    assert np.array_equal(icon.Embedding(random_state=0, max_iter=300).fit_transform(X[:1100]), fitted.embedding_)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(settings, marks=marks, id=str(settings))
        for settings, marks in (
            ({"row": "gaussian"}, pytest.mark.slow),
            ({"row": "gaussian", "column": "knn"}, pytest.mark.slow),
            ({"column": "knn", "n_neighbors": 5}, ()),
            ({"method": "sne"}, ()),
            ({"dof": 0.5, "perplexity": 15}, pytest.mark.slow),
            ({"n_components": 1}, ()),
            ({"hyper": {"debias": 0.1}, "column": "knn"}, pytest.mark.slow),
        )
    ],
)
def test_every_map_that_can_be_is_on_a_grid(settings: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(Grid, "per_anchor", _counted(Grid.per_anchor, calls))
    found = icon.Embedding(random_state=0, max_iter=20, **settings).fit(X[:GRID_FROM])
    assert len(calls) >= 20
    assert np.isfinite(found.embedding_).all()
    assert found.embedding_.shape[1] == settings.get("n_components", 2)


def _counted(call, calls):  # type: ignore[no-untyped-def]
    def counted(self, problem):  # type: ignore[no-untyped-def]
        calls.append(1)
        return call(self, problem)

    return counted


def test_three_dimensions_and_few_points_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grid, "per_anchor", None)
    icon.Embedding(3, max_iter=2).fit(X[:GRID_FROM])
    icon.Embedding(max_iter=2).fit(X[: GRID_FROM - 1])


def test_a_method_by_its_name(digits: Digits) -> None:
    x = digits[0]
    by_name = icon.Embedding(method="sne", max_iter=20, random_state=0).fit_transform(x)
    by_place = icon.Embedding(row="gaussian", column="gaussian", max_iter=20, random_state=0).fit_transform(x)
    assert np.array_equal(by_name, by_place)
    with pytest.raises(ValueError, match=r"^method: got 'tsen' .did you mean 'tsne'"):
        icon.Embedding(method="tsen").fit(x)


@pytest.mark.parametrize(("name", "value"), [("row", "gaussian"), ("column", "knn")])
def test_a_method_with_another_row_or_column_is_refused(name: str, value: str, digits: Digits) -> None:
    with pytest.raises(
        ValueError, match=rf"^{name}: got '{value}' with method='tsne', expected no {name} beside it, or"
    ):
        icon.Embedding(method="tsne", **{name: value}).fit(digits[0])
    sne = icon.Embedding(method="sne", row="gaussian", perplexity=10, max_iter=3, random_state=0).fit(digits[0])
    assert sne.method_name == "SNE"


def test_what_is_searched_is_an_argument(digits: Digits) -> None:
    x, y = digits
    by_hyper = icon.Embedding(hyper={"perplexity": 10, "dof": 2.0}, max_iter=20, random_state=0).fit_transform(x)
    own = icon.Embedding(perplexity=10, dof=2.0, max_iter=20, random_state=0).fit_transform(x)
    assert np.array_equal(by_hyper, own)
    with pytest.raises(ValueError, match=r"^hyper: got 'perplexity', expected the argument perplexity="):
        icon.Embedding(perplexity=10, hyper={"perplexity": 5}).fit(x)
    model = make_pipeline(icon.Embedding(max_iter=30, random_state=0), KNeighborsClassifier(3))
    search = GridSearchCV(model, {"embedding__perplexity": [5, 10], "embedding__dof": [1.0]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.5


def test_a_spectral_start_is_that_of_the_graph(digits: Digits) -> None:
    x = digits[0]
    first: list[np.ndarray] = []
    icon.Embedding(init="spectral", max_iter=1, random_state=0, callback=lambda *a: first.append(a[2])).fit(x)
    assert first[0][:, 0].std() == pytest.approx(1e-4, rel=1e-3)
    assert trustworthiness(x, first[0], n_neighbors=10) > 0.8
    with pytest.raises(ValueError, match=r"^init: got 'spectral' for 3 points, expected more than 3"):
        icon.Embedding(init="spectral", perplexity=1).fit(x[:3])
    with pytest.raises(ValueError, match=r"^init: got 'spectral' for pairs of data and labels, expected"):
        icon.Embedding(column="data-label", init="spectral").fit(x, digits[1])


def test_it_stops_where_the_gradient_is_short(digits: Digits) -> None:
    long = icon.Embedding(max_iter=400, tol=0, random_state=0).fit(digits[0])
    short = icon.Embedding(max_iter=400, tol=0, random_state=0, min_grad_norm=1e-3).fit(digits[0])
    assert long.n_iter_ == 400
    assert 100 < short.n_iter_ < 400


def test_a_tolerance_is_positive_with_few_points_too() -> None:
    with pytest.raises(ValueError, match=r"^tolerance: got 0, expected a finite number > 0"):
        icon.Embedding(tolerance=0, perplexity=3).fit(np.eye(12))


def test_late_exaggeration_draws_clusters_together(digits: Digits) -> None:
    losses: list[float] = []
    plain, dense = (
        icon.Embedding(max_iter=300, random_state=0, late_exaggeration=late, callback=lambda *a: losses.append(a[1]))
        .fit(digits[0])
        .embedding_
        for late in (1.0, 4.0)
    )
    assert np.ptp(dense) < 0.7 * np.ptp(plain)
    assert max(losses) < 6  # what a callback sees is never exaggerated


def test_a_map_goes_on_from_another(fitted: icon.Embedding) -> None:
    further = icon.Embedding(init=fitted.embedding_, early_exaggeration=1, max_iter=50, random_state=0).fit(X[:1100])
    assert further.loss_ < fitted.loss_
    assert np.corrcoef(further.embedding_[:, 0], fitted.embedding_[:, 0])[0, 1] > 0.95


# -- new points -------------------------------------------------------------------------------------------------------


def test_new_points_are_placed_better_than_by_interpolation(fitted: icon.Embedding) -> None:
    new = X[1100:1400]
    probe = KNeighborsClassifier(10).fit(fitted.embedding_, Y[:1100])
    placed, between = fitted.transform(new), fitted.transform(new, optimize=False)
    assert probe.score(placed, Y[1100:1400]) > 0.95
    both = np.concatenate([X[:1100], new])
    scores = [trustworthiness(both, np.concatenate([fitted.embedding_, z])) for z in (placed, between)]
    assert scores[0] > scores[1] + 2e-3
    assert np.array_equal(fitted.transform(X[:1100]), fitted.embedding_)


@pytest.mark.slow
def test_a_new_point_is_placed_whoever_comes_with_it(fitted: icon.Embedding) -> None:
    new = X[1100:1110]
    together = fitted.transform(new)
    alone = np.concatenate([fitted.transform(new[k : k + 1]) for k in range(len(new))])
    np.testing.assert_allclose(alone, together, atol=1e-2 * np.ptp(fitted.embedding_))


def test_a_saved_map_places_new_points_alike(fitted: icon.Embedding, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fitted.save(tmp_path / "map")
    assert np.array_equal(icon.load(tmp_path / "map").transform(X[1100:1120]), fitted.transform(X[1100:1120]))


@pytest.mark.parametrize("later", [{"perplexity": 3}, {"perplexity": None, "column": "data-label"}], ids=str)
def test_new_points_are_placed_by_the_loss_of_the_fit(later: dict[str, Any], digits: Digits) -> None:
    x = digits[0]
    model = icon.Embedding(perplexity=10, max_iter=20, random_state=0).fit(x[:80])
    placed = model.transform(x[80:])
    assert np.array_equal(model.set_params(**later).transform(x[80:]), placed)


def test_without_features_new_points_are_interpolated(digits: Digits) -> None:
    x = digits[0]
    rows = icon.p.Gaussian(perplexity=10)(x[:80])
    given = icon.Embedding(max_iter=20, random_state=0).fit(x[:80], affinity=rows)
    assert not given.places_new_
    assert np.array_equal(given.transform(x[80:]), given.transform(x[80:], optimize=False))
    with sklearn.config_context(transform_output="pandas"):
        assert len(icon.Embedding(max_iter=20, perplexity=5).fit(x[:80]).transform(x[80:])) == len(x) - 80


@pytest.mark.parametrize("operation", [{"walks": 2}, {"symmetrize": "union"}], ids=str)
def test_new_points_of_a_p_of_one_set_are_interpolated(operation: dict[str, Any], digits: Digits) -> None:
    x = digits[0]
    model = icon.Embedding(column="knn", n_neighbors=5, hyper=operation, max_iter=5, random_state=0).fit(x[:80])
    assert np.array_equal(model.transform(x[80:]), model.transform(x[80:], optimize=False))


def test_the_recall_of_an_approximate_search_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icon.neighbors.search.EXACT_UP_TO", 500)
    found = icon.Embedding(max_iter=5, random_state=0).fit(X[:GRID_FROM])
    told, of_sums = found.notes_
    assert told.startswith("approximate neighbours with a recall of ")
    assert float(told.rsplit(" ", 1)[1]) > 0.9
    assert of_sums.startswith("sums over all pairs on a grid within 0.001")


@pytest.mark.parametrize("settings", [{"n_components": 3}, {"row": "gaussian", "column": "pairs"}], ids=str)
def test_exact_sums_over_many_points_are_told(settings: dict[str, object]) -> None:
    found = icon.Embedding(max_iter=2, random_state=0, **settings).fit(X[:GRID_FROM], np.arange(GRID_FROM) // 2)
    assert found.notes_ == [
        "exact sums over 1,000 x 1,000 pairs at each step (a grid takes free points in one or two dimensions)"
    ]


def test_what_a_map_will_take_is_told_before() -> None:
    model = icon.Embedding(max_iter=500)
    few, many = model.cost(2000, 50), model.cost(70_000, 50)
    assert many.how == "p of 90 neighbours each (approximate search), 500 steps on a grid"
    assert 10 * few.seconds < many.seconds < 1000 * few.seconds
    assert model.set_params(landmarks=2000).cost(70_000, 50).how == few.how
    with pytest.raises(ValueError, match=r"^landmarks: got -5, expected an integer >= 2"):
        model.set_params(landmarks=-5).cost(70_000, 50)
    exact = icon.Embedding(n_components=3, max_iter=500).cost(70_000, 50)
    assert exact.how.endswith("500 steps of exact sums over 70,000 x 70,000 pairs")
    assert exact.seconds > 10 * many.seconds
    assert icon.Embedding(row="gaussian", column="classes", mapper="mlp", batch_size=64).cost(500, 9).how == (
        "1,000 steps of exact sums over 64 x 64 pairs"
    )


@pytest.mark.slow
@pytest.mark.parametrize("column", ["gaussian", "classes"])
def test_a_mapper_learns_from_batches(column: str) -> None:
    seen: list[int] = []
    learned = icon.Embedding(
        column=column, mapper="mlp", batch_size=128, max_iter=150, tol=0, learning_rate=5e-3, random_state=0,
        callback=lambda step, loss, z: seen.append(len(z)),
    ).fit(X[:600], Y[:600])  # fmt: skip
    assert max(seen) <= 2 * 128
    probe = KNeighborsClassifier(10).fit(learned.embedding_, Y[:600])
    assert probe.score(learned.transform(X[600:900]), Y[600:900]) > 0.6  # by chance 0.1; four seeds gave 0.71 to 0.79
    with pytest.raises(ValueError, match=r"^batch_size: got 1"):
        icon.Embedding(batch_size=1).fit(X[:100])
