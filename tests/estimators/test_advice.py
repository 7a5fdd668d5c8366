"""`icon.advise`: what it tries, what it judges by, its intervals, its budget, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from scipy.stats import ttest_rel

import icon
from icon.estimators import advice as advising
from icon.estimators import candidates as trying
from icon.estimators.candidates import Candidate
from icon.estimators.judging import Trial, shared, without_some

Y = np.repeat(np.arange(4), 20)
X = (6 * np.eye(4, 5)[Y] + np.random.default_rng(0).normal(size=(80, 5))).astype(np.float32)
ROWS = np.arange(80)
IDS = ROWS // 2
UNEVEN = np.where(ROWS < 12, IDS, np.where(ROWS < 32, 40, 41 + ROWS))  # six pairs and an id of twenty points
GRAPH = icon.p.KNN(5).symmetrize("union")(icon._checks.as_tensor(X, "X")).to_scipy()
GRAPH = sp.csr_array(GRAPH.maximum(GRAPH.T) > 0, dtype=float)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "STEPS", 30)


CASES: list[dict[str, Any]] = [
    {}, {"y": Y}, {"pairs": IDS}, {"graph": GRAPH},
    {"goal": "retrieval"}, {"goal": "retrieval", "pairs": IDS}, {"goal": "retrieval", "graph": GRAPH, "y": Y},
    {"goal": "classification", "y": Y},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("given", CASES, ids=lambda given: "-".join(map(str, given.values()))[:20] or "map")
def test_what_it_gives(given: dict[str, Any]) -> None:
    found = icon.advise(X, **given, rounds=2)
    table = found.table
    assert table["score"].is_monotonic_decreasing
    assert table["score"].between(0, 1 + 1e-9).all()
    assert table["name"].is_unique
    assert found.best == table["name"][0]
    assert np.allclose(table["difference"], table["score"][0] - table["score"])
    assert len(found.scores) == 2 * len(table)
    assert found.code.count("\n") == 2
    assert found.best.split(", ")[0] in str(found)
    namespace = {"x": X, "y": Y, "pairs": IDS, "graph": GRAPH}
    exec(found.code, namespace)
    assert namespace["z"].shape == (80, 2 if "goal" not in given else min(5, 16) if "identity" in found.best else 16)
    source = {"classes": "y", "data-label": "y", "pairs": "pairs", "graph": "graph"}
    tried = {source[column] for column in table["column"] if column in source}
    assert tried == set(given) - {"goal"} - ({"pairs", "graph"} if given.get("goal") == "classification" else set())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("given", [{}, {"y": Y}, {"pairs": IDS}, {"graph": GRAPH}], ids=["x", "y", "pairs", "graph"])
def test_clusters(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trying.candidates

    def few(*arguments: Any) -> list[Candidate]:
        found = whole(*arguments)
        return [Candidate(each.kind, {**each.settings, "max_iter": 30}, each.source) for each in (found[0], found[-1])]

    monkeypatch.setattr(advising, "candidates", few)
    found = icon.advise(X, **given, goal="clusters", n_clusters=4, rounds=2)
    best = found.scores.groupby("name")["score"].mean().max()
    assert best > 0.5  # blobs that are apart
    assert set(np.unique(found.outputs[found.best][0])) <= set(range(4))
    assert "Clustering(n_clusters=4" in found.code


def test_pairs_of_the_fewest_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen pairs, of which seven are held out."""
    monkeypatch.setattr(Trial, "score", lambda *_: (0.0, np.zeros(0)))
    assert len(icon.advise(X, pairs=np.where(ROWS < 30, IDS, ROWS), goal="retrieval", rounds=1).table) == 6


def test_clusters_of_the_fewest_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(trial: Trial, candidate: Candidate, *_: Any) -> tuple[float, Any]:
        neighbors.append(candidate.settings.get("n_neighbors", 0))
        return 0.0, np.zeros(0)

    neighbors: list[int] = []
    monkeypatch.setattr(Trial, "score", score)
    icon.advise(X[::2], goal="clusters", n_clusters=4, rounds=1)
    assert len(neighbors) == 4
    assert max(neighbors) < 20  # half of the points are held out


@pytest.mark.filterwarnings("ignore")
def test_the_number_of_clusters_is_found() -> None:
    assert advising._clusters(X, np.arange(80), "auto") == 4


@pytest.mark.slow
def test_seeds_make_it_the_same() -> None:
    first, second = (icon.advise(X, rounds=1, random_state=1).scores.drop(columns="seconds") for _ in range(2))
    assert first.equals(second)


def test_outputs_are_arrays_where_scikit_learn_gives_frames() -> None:
    with sklearn.config_context(transform_output="pandas"):
        found = icon.advise(X, goal="retrieval", rounds=1)
    assert {type(z) for outputs in found.outputs.values() for z in outputs} == {np.ndarray}


@pytest.mark.parametrize("seed", [np.int64(3), np.random.RandomState(3), None], ids=["numpy", "generator", "none"])
def test_the_code_names_any_seed(seed: Any) -> None:
    found = icon.advise(X, rounds=1, random_state=seed)
    namespace: dict[str, Any] = {"x": X}
    exec(found.code, namespace)
    assert namespace["model"].random_state == found.model.random_state
    assert isinstance(found.model.random_state, int)


@pytest.mark.parametrize("power", [-600, 600])
def test_the_distance_to_a_neighbour_is_in_the_unit_of_the_features(power: int) -> None:
    x = X.astype(np.float64)
    assert advising._scale(2.0**power * x) == pytest.approx(2.0**power * advising._scale(x), rel=1e-2)


def test_intervals_are_students() -> None:
    first, second = np.array([0.9, 0.8, 0.85]), np.array([0.7, 0.75, 0.6])
    mean, low, high = advising._difference(first - second)
    expected = ttest_rel(first, second).confidence_interval()
    assert (mean, low, high) == pytest.approx((0.5 / 3, expected.low, expected.high))
    assert np.isnan(advising._difference(np.array([0.1]))[1:]).all()


def test_labels_that_are_held_out_are_not_learned() -> None:
    """Labels that have nothing to do with the features are not told better than by chance, whatever is fitted."""
    y = np.random.default_rng(0).integers(0, 2, 400)
    x = np.random.default_rng(1).normal(size=(400, 3)).astype(np.float32)
    found = icon.advise(x, y, goal="classification", rounds=2)
    assert found.table["score"].max() < 0.65


def test_ids_that_are_held_out_are_not_learned() -> None:
    x = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    found = icon.advise(x, pairs=np.random.default_rng(0).permutation(300) // 2, goal="retrieval", rounds=2)
    assert found.table["score"].max() < 0.1


def test_edges_that_are_held_out_leave_a_forest() -> None:
    rest, (start, end) = without_some(GRAPH, np.random.default_rng(0))
    assert len(start) == GRAPH.nnz // 2 // 5
    assert not rest[start, end].any()
    assert GRAPH[start, end].all()
    assert rest.nnz + 2 * len(start) == GRAPH.nnz
    parts = sp.csgraph.connected_components(GRAPH)[0]
    assert sp.csgraph.connected_components(rest)[0] == parts


def test_a_graph_is_tried_with_the_directions_that_the_code_gives_it() -> None:
    directed = sp.csr_array(sp.tril(GRAPH))
    trial = Trial(X, advising._given(80, None, None, directed), "map", 0)
    rest, (end, start) = trial.given["graph"], trial.held
    assert directed[start, end].all()
    assert (rest + sp.coo_array((directed[start, end], (start, end)), (80, 80)) != directed).nnz == 0
    assert trial._edges(X) == Trial(X, {"graph": GRAPH}, "map", 0)._edges(X)  # both ways of an edge were learned


def test_a_collapse_finds_edges_by_chance() -> None:
    trial = Trial(X, {"graph": GRAPH}, "map", 0)
    left = 80 - 1 - np.diff(trial.given["graph"].indptr)  # the others that are no neighbours
    chance = (10 / left)[np.concatenate(trial.held)].mean()
    assert trial._edges(np.zeros((80, 2))) == pytest.approx(chance)


def test_a_collapse_shares_no_information() -> None:
    assert shared(np.zeros(8), np.zeros(8), 4) == 0
    assert shared(Y, Y[::-1], 4) == pytest.approx(1)


def test_halves_that_are_disjoint() -> None:
    trial = Trial(X, {}, "clusters", 0)
    assert trial.seen.sum() == 40
    ids = Trial(X, {"pairs": IDS}, "map", 0)
    assert not set(IDS[ids.seen]) & set(IDS[~ids.seen])


def test_samples_do_not_overlap_where_there_are_points_enough() -> None:
    first, second = advising._samples({}, 100, 50, 2, 0)
    assert not set(first) & set(second)
    y = np.where(np.arange(100) % 2, -1, 0)
    assert (y[advising._samples({"y": y}, 100, 40, 1, 0)[0]] == 0).all()
    chain = sp.csr_array(np.eye(100, k=1) + np.eye(100, k=-1))
    part = advising._samples({"graph": chain}, 100, 30, 1, 0)[0]
    assert len(part) == 30
    assert np.ptp(part) == 29  # one connected piece
    ids = np.arange(100) // 4
    assert len(advising._samples({"pairs": ids}, 100, 40, 1, 0)[0]) == 40


def test_a_sample_of_pairs_is_no_larger_than_others() -> None:
    """Few ids, each of which many points share, such as those of patients."""
    ids = np.arange(6000) % 5
    (rows,) = advising._samples({"pairs": ids}, 6000, 250, 1, 0)
    assert np.bincount(ids[rows]).tolist().count(62) == 4
    assert len(np.unique(rows)) == 248


def test_the_budget_ends_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(self: Trial, candidate: Any, callback: Any) -> Any:
        while not callback(1, 0.0, None):
            pass
        return 0.5, X[:, :2]

    monkeypatch.setattr(Trial, "score", endless)
    with pytest.raises(ValueError, match="budget: got '1s', which is too short for one trial"):
        icon.advise(X, budget="1s")


def test_what_was_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(advising.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(Trial, "score", lambda self, candidate, callback: (0.5, X[:, :2]))
    found = icon.advise(X, budget=10)
    assert 0 < len(found.table) < 6
    assert any(note.startswith("left out, as the budget was spent: ") for note in found.notes)
    assert found.table["low"].isna().all()


@pytest.mark.parametrize(("text", "seconds"), [("10m", 600), ("90s", 90), ("1h", 3600), ("1.5m", 90), (7, 7), ("8", 8)])
def test_budgets(text: Any, seconds: float) -> None:
    assert advising.read_budget(text) == seconds


def test_larger_budgets_take_larger_samples() -> None:
    assert [advising.size_for(seconds, 6) for seconds in (1, 100, 600, 1000)] == [250, 500, 1000, 2000]


def test_self_loops_that_the_code_cannot_have_are_told() -> None:
    with pytest.warns(UserWarning, match="graph: left out 80 self-loops, which the column refuses"):
        icon.advise(X, graph=GRAPH + sp.eye_array(80), rounds=1)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"goal": "maps"}, "goal: got 'maps'"),
    (
        {"goal": "classification"},
        r"labels: got None, expected one for each point, y \[n\], for the goal 'classification'",
    ),
    ({"y": Y[:5]}, "y: got 5 entries, expected 80"),
    ({"y": np.zeros(80, int)}, "y: got one class"),
    ({"y": np.where(np.arange(80) % 4, -1, Y)}, "y: got 20 known labels, expected at least 40"),
    ({"pairs": IDS[:5]}, "pairs: got 5 entries, expected 80"),
    ({"pairs": np.arange(80)}, "pairs: got fewer than four ids"),
    ({"pairs": np.where(ROWS < 14, IDS, ROWS)}, "pairs: got 14 points that share an id, expected at least 16"),
    (
        {"pairs": np.where(ROWS < 28, IDS, ROWS), "goal": "retrieval"},
        "pairs: got 14 .* not held out, expected at least 16",
    ),
    ({"pairs": UNEVEN, "goal": "clusters", "n_clusters": 2, "random_state": 1}, "pairs: got 8 points .* not held out"),
    ({"graph": np.ones((5, 5))}, "graph: got shape"),
    ({"graph": np.pad(1 - np.eye(6), (0, 74))}, "graph: got 6 points that have an edge, expected at least 16"),
    ({"graph": np.zeros((80, 80))}, "graph: got no edge"),
    ({"graph": np.eye(80, k=1)}, "graph: got no edge besides those of a spanning forest"),
    ({"budget": "soon"}, "budget: got 'soon', expected a time above zero"),
    ({"budget": "0s"}, "budget: got '0s'"),
    ({"budget": -1}, "budget: got -1"),
    ({"goal": "clusters", "n_clusters": 1}, "n_clusters: got 1"),
    ({"goal": "clusters", "n_clusters": 40}, "n_clusters: got 40, expected at most 20"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_input(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        icon.advise(X, **given)


def test_bad_features() -> None:
    with pytest.raises(ValueError, match="X: got 12 points, expected at least 40"):
        icon.advise(X[:12])
    with pytest.raises(ValueError, match="X: got equal points in a sample"):
        icon.advise(np.ones((80, 3)), goal="clusters")
    with pytest.raises(TypeError, match="X: got a sparse matrix"):
        icon.advise(sp.csr_array(X))
