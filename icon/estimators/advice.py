"""Which loss for some data: coordinates of the table are tried on samples of it, and ranked."""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from icon import _checks as check
from icon._scales import unit_of
from icon.estimators.base import draw_seed, validated
from icon.estimators.candidates import GOALS, Candidate, candidates
from icon.estimators.embedding import Embedding
from icon.estimators.judging import Trial, criterion, judge_of
from icon.estimators.suggestion import suggest_n_clusters
from icon.labels import classes_of, keys
from icon.neighbors import nearest_neighbors
from icon.p import adjacency
from icon.p.base import Sets

FEWEST, NEAR = 40, 15  # points that there have to be; which neighbour tells the scale of the features
SIZES = (2000, 1000, 500, 250)  # points of a sample
Trials = dict[str, tuple[float, float, NDArray[Any]]]  # by name: score, seconds, output
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, eq=False)
class Advice:
    """What was tried, how good it was, and what to take.

    Args:
        goal: what it was for.
        criterion: what the scores are, in words.
        table: a row per candidate, the best first: its ``name``, ``row`` and ``column``, the ``method`` of that cell
            (empty for clusters), its mean ``score``, by how much the best is better (``difference``, with its 95 %
            interval ``low`` to ``high``, NaN after one round), whether it is ``tied`` with the best (zero is in the
            interval, or there is none), and ``seconds`` of a trial.
        scores: a row per trial: ``name``, ``round``, ``score`` and ``seconds``.
        best: name of the candidate with the highest score.
        code: three lines of Python that fit it to ``x`` (and ``y``, ``pairs`` or ``graph``).
        model: its estimator, not fitted.
        notes: what was left out, and how many points the trials saw.
        samples: of each round, the numbers of the points ``[m]``.
        outputs: of each candidate and round, the embedding ``[m, d]`` or the clusters ``[m]``.
    """

    goal: str
    criterion: str
    table: pd.DataFrame
    scores: pd.DataFrame
    best: str
    code: str
    model: Any
    notes: list[str]
    samples: list[NDArray[np.int64]]
    outputs: dict[str, list[NDArray[Any]]]

    def __str__(self) -> str:
        """The ranking and the code, for a terminal."""
        lines = [f"{self.goal}: {self.criterion}"]
        titles = {each["name"]: title(each) for each in self.table.to_dict("records")}
        width = max(map(len, titles.values()))
        for place in self.table.to_dict("records"):
            text = f"  {titles[place['name']]:<{width}}  {place['score']:.3f}"
            if place["name"] != self.best:
                text += f"  {behind(place)}"
                text += "  not clearly worse" if place["tied"] and np.isfinite(place["low"]) else ""
            lines.append(text)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), "", self.code])


def advise(
    X: ArrayLike,
    y: Any = None,
    *,
    pairs: Any = None,
    graph: Any = None,
    goal: str = "map",
    n_clusters: int | str = "auto",
    budget: float | str = "10m",
    rounds: int = 5,
    random_state: int | np.random.RandomState | None = 0,
) -> Advice:
    """Try the coordinates of the table that suit the data, and rank them.

    >>> advice = icon.advise(x, rounds=1)
    >>> print(advice.code)

    Each round draws a sample of at most 2,000 points and tries every candidate on it, so that differences are paired.
    With labels, the score is the accuracy for points whose label was held out; with pairs, of ids that were held out;
    with a graph, it is about edges that were held out. Labels come before pairs, and these before a graph. Without any
    of these no label plays a part: a map, or an embedding, is to keep the neighbours that the features have, and
    clusterings of two halves of the points are to agree. Samples of few points overlap, and the intervals are then too
    narrow.

    Measured without labels on 500 points of each of ten data sets (``python -m experiments advice``): the choice of a
    map is within one point of k-NN accuracy of the best in hindsight on nine, and 0.2 points behind it on average. The
    choice of clusters is within one point of accuracy on four, 3.0 points behind, and not clearly better than a random
    candidate: take it as a hint, or give labels of some points.

    Args:
        X: ``[n, f]`` dense features of at least 40 points.
        y: ``[n]`` labels, at least 40 known ones; -1, None and NaN are unknown, and samples have none of these points.
        pairs: ``[n]`` ids: points with the same id belong together.
        graph: of the n points, in any form that `icon.p.Graph` takes; an edge is held out both ways. Its self-loops,
            which the estimators refuse, are left out with a warning.
        goal: ``"map"`` (two dimensions), ``"clusters"``, ``"retrieval"`` (16 dimensions, and a function of the
            features), or ``"classification"``, which needs labels.
        n_clusters: for clusters, their number; ``"auto"`` takes the number of classes of y, or without y what
            `icon.suggest_n_clusters` finds in a sample.
        budget: seconds, or text such as ``"90s"``, ``"10m"`` or ``"1h"``. It decides how large the samples are, and the
            trials end when it is spent.
        rounds: samples at most.
        random_state: of samples, splits and estimators.

    Raises:
        ValueError: other lengths, an unknown goal, a budget that is not a time or too short for one trial, no labels
            for classification, too few points that share an id or have an edge, or equal points whose clusters are to
            be counted.
        TypeError: sparse features.
    """
    began, seconds = time.monotonic(), read_budget(budget)
    check.choice(goal, "goal", GOALS)
    if goal == "classification" and y is None:
        raise ValueError("labels: got None, expected one for each point, y [n], for the goal 'classification'")
    if sp.issparse(X):
        raise TypeError("X: got a sparse matrix, expected dense features (n, f)")
    x = validated(Embedding(), X, ensure_min_samples=2)
    if len(x) < FEWEST:
        raise ValueError(f"X: got {check.counted(len(x), 'point')}, expected at least {FEWEST}")
    given = _given(len(x), y, pairs, graph)
    seed = draw_seed(random_state)
    sources, wanted = tuple(given), check.count(rounds, "rounds")
    number = len(candidates(goal, sources, 2, x.shape[1]))
    samples = _samples(given, len(x), size_for(seconds, number), wanted, seed)
    _refuse_few(len(samples[0]), judge_of(sources))
    if goal == "clusters" and n_clusters == "auto" and "y" in given:
        n_clusters = int(given["y"].max()) + 1
    clusters = _clusters(x, samples[0], n_clusters) if goal == "clusters" else 0
    tried = candidates(goal, sources, clusters, x.shape[1], _scale(x[samples[0]]), len(samples[0]))
    done: list[Trials] = []
    for number, rows in enumerate(samples):
        trials = _round(_trial(x, given, rows, goal, (seed + number) % 2**31), tried, began + seconds)
        if number and len(trials) < len(done[0]):
            break  # a round that is not whole would compare what was tried on different samples
        done.append(trials)
        if len(trials) < len(tried):
            break
    if not done[0]:
        raise ValueError(f"budget: got {budget!r}, which is too short for one trial, expected more")
    notes = [f"rounds: {len(done)} of {wanted}, on samples of {len(samples[0]):,} of {len(x):,} points"]
    if late := [each.name for each in tried if each.name not in done[0]]:
        notes.append(f"left out, as the budget was spent: {'; '.join(late)}")
    elif len(done) < wanted:
        notes.append("the other rounds were left out, as the budget was spent")
    if len(done) == 1:
        notes.append(f"one round gives no interval; {'more rounds do' if wanted == 1 else 'a larger budget does'}")
    if goal == "clusters":
        notes.append(f"clusters: {clusters}" + (", as found in a sample" if n_clusters == "auto" else ""))
    ranked, table, scores = _ranked(tried, done)
    best, outputs = ranked[0], {each.name: [trials[each.name][2] for trials in done] for each in ranked}
    shown = int(random_state) if isinstance(random_state, Integral) else seed  # what can be written as code
    return Advice(
        goal, criterion(goal, judge_of(sources)), table, scores, best.name, best.code(shown), best.make(shown), notes,
        samples[: len(done)], outputs,
    )  # fmt: skip


def title(record: dict[Any, Any]) -> str:
    """The name of a candidate in ``table``, and the method of its cell."""
    return f"{record['name']} ({record['method']})" if record["method"] else str(record["name"])


def behind(record: dict[Any, Any]) -> str:
    """By how much a candidate is behind the best, and the interval where there is one."""
    less, low, high = (
        f"{-record[name]:+.3f}" if abs(record[name]) >= 5e-4 else "0.000" for name in ("difference", "high", "low")
    )
    return f"{less} [{low}, {high}]" if np.isfinite(record["low"]) else less


def read_budget(budget: float | str) -> float:
    """Seconds of ``"10m"``, ``"90s"``, ``"1h"`` or a number."""
    if not isinstance(budget, str):
        return check.positive(budget, "budget")
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", budget)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"budget: got {budget!r}, expected a time above zero, as '90s', '10m' or '1h'")
    return float(match[1]) * UNITS[match[2]]


def size_for(seconds: float, candidates: int) -> int:
    """Points of a sample for which about three rounds fit.

    A fit of m points took 1 + 4 (m / 1000)² seconds on one idle core; it may take twice as much on a busy one.
    """
    fits = [m for m in SIZES if 3 * candidates * 2 * (1 + 4 * (m / 1000) ** 2) <= seconds]
    return max(fits, default=SIZES[-1])


def _given(n: int, y: Any, pairs: Any, graph: Any) -> dict[str, Any]:
    """What is given beside the features, as numbers."""
    given: dict[str, Any] = {}
    if y is not None:
        labels = classes_of(y, "y", n)
        if len(labels.names) < 2:
            raise ValueError("y: got one class, expected at least two")
        if (known := int(labels.known.sum())) < FEWEST:
            raise ValueError(f"y: got {known} known labels, expected at least {FEWEST}")
        given["y"] = labels.codes
    if pairs is not None:
        given["pairs"] = keys(classes_of(pairs, "pairs", n))
        if (np.bincount(given["pairs"]) > 1).sum() < 4:
            raise ValueError("pairs: got fewer than four ids that points share, expected at least four")
    if graph is not None:
        weights = adjacency.weights(graph, "graph", Sets(n, n))
        if loops := int(np.count_nonzero(weights.diagonal())):
            check.warn(f"graph: left out {check.counted(loops, 'self-loop')}, which the column refuses (remove them)")
        weights.setdiag(0)
        weights.eliminate_zeros()
        if weights.nnz == 0:
            raise ValueError("graph: got no edge between two points, expected some")
        given["graph"] = weights
    return given


def _refuse_few(points: int, judge: str, further: str = "") -> None:
    """Refuse as few points as a column has neighbours, or fewer."""
    if points <= NEAR:
        which = "share an id" if judge == "pairs" else "have an edge"
        raise ValueError(f"{judge}: got {points} points that {which}{further}, expected at least {NEAR + 1}")


def _clusters(x: NDArray[Any], rows: NDArray[np.int64], given: int | str) -> int:
    """How many clusters are tried: at most a quarter of the points of a sample."""
    if given == "auto":
        if (found := suggest_n_clusters(x[rows]).n_clusters) < 2:
            raise ValueError("X: got equal points in a sample, expected different ones, or n_clusters as a number")
        return found
    clusters = check.count(given, "n_clusters", 2)  # type: ignore[arg-type]
    if clusters > len(rows) // 4:
        raise ValueError(f"n_clusters: got {clusters}, expected at most {len(rows) // 4}, a quarter of a sample")
    return clusters


def _scale(x: NDArray[Any]) -> float:
    """The median distance to a near neighbour, of three digits."""
    near = nearest_neighbors(x, NEAR, "exact").indices[:, -1]
    apart = np.subtract(x, x[near], dtype=np.float64)
    unit = unit_of(torch.from_numpy(apart))
    typical = unit * float(np.median(np.linalg.norm(apart / unit, axis=1)))
    return float(f"{typical:.3g}") or 1.0


def _samples(given: dict[str, Any], n: int, size: int, rounds: int, seed: int) -> list[NDArray[np.int64]]:
    """Numbers of points for each round; samples do not overlap as long as there are points enough."""
    random = np.random.default_rng(seed)
    judge, samples = judge_of(tuple(given)), []
    points = np.flatnonzero(given["y"] >= 0) if judge == "y" else np.arange(n)  # labels are what a score needs
    order = np.zeros(0, dtype=np.int64)
    for _ in range(rounds):
        if judge == "graph":  # points drawn alone would hardly have an edge among them
            samples.append(_connected(given["graph"], min(size, n), random))
        elif judge == "pairs":
            samples.append(_whole_ids(given["pairs"], size, random))
        else:
            if len(order) < min(size, len(points)):
                order = random.permutation(points)
            samples.append(np.sort(order[:size]))
            order = order[size:]
    return samples


def _connected(graph: sp.csr_array, size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Points and their neighbours, breadth first from random ones; points without an edge are none of them."""
    linked = np.flatnonzero(np.diff(graph.indptr))
    chosen: dict[int, None] = {}
    for start in random.permutation(linked):
        if int(start) not in chosen:
            near = sp.csgraph.breadth_first_order(graph, start, directed=False, return_predecessors=False)
            chosen.update(dict.fromkeys(near.tolist()))
        if len(chosen) >= size:
            break
    return np.sort(np.array(list(chosen)[:size], dtype=np.int64))


def _whole_ids(ids: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """All points of some ids that several points share; of an id with many points, a quarter of the sample."""
    counts, order, quarter = np.bincount(ids), np.argsort(ids, kind="stable"), size // 4
    names = random.permutation(np.flatnonzero(counts > 1))
    most = np.searchsorted(np.minimum(counts[names], quarter).cumsum(), size, side="right")
    ends = counts.cumsum()
    members = [order[ends[name] - counts[name] : ends[name]] for name in names[:most]]
    drawn = [random.choice(rows, quarter, replace=False) if len(rows) > quarter else rows for rows in members]
    return np.sort(np.concatenate(drawn))


def _trial(x: NDArray[Any], given: dict[str, Any], rows: NDArray[np.int64], goal: str, seed: int) -> Trial:
    """The trial of a sample, with as many points as there have to be also where some are held out."""
    part = {name: each[rows][:, rows] if name == "graph" else each[rows] for name, each in given.items()}
    trial = Trial(x[rows], part, goal, seed)
    if goal != "map":  # which is free, and has all points
        _refuse_few(int(trial.seen.sum()), trial.judge, " and are not held out")
    return trial


def _round(trial: Trial, tried: list[Candidate], deadline: float) -> Trials:
    """Score, seconds and output of each candidate, as far as the time goes."""

    def late(*_: Any) -> bool:
        return time.monotonic() > deadline

    trials = {}
    for candidate in tried:
        began = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a sample; the fit of all points says its own
            score, output = (0.0, np.zeros(0)) if late() else trial.score(candidate, late)
        if late():  # it was cut short
            break
        trials[candidate.name] = (score, time.monotonic() - began, output)
    return trials


def _ranked(tried: list[Candidate], rounds: list[Trials]) -> tuple[list[Candidate], pd.DataFrame, pd.DataFrame]:
    """The candidates that were tried in all rounds, the best first; their table, and a row for each trial."""
    scores = {name: np.array([each[name][0] for each in rounds]) for name in rounds[0]}
    ranked = sorted((each for each in tried if each.name in scores), key=lambda each: -scores[each.name].mean())
    table = []
    for each in ranked:
        mean, low, high = _difference(scores[ranked[0].name] - scores[each.name])
        table.append({
            "name": each.name, "row": each.row, "column": each.column, "method": each.method,
            "score": scores[each.name].mean(), "difference": mean, "low": low, "high": high, "tied": not low > 0,
            "seconds": np.mean([trials[each.name][1] for trials in rounds]),
        })  # fmt: skip
    all_trials = [
        {"name": each.name, "round": number, "score": trials[each.name][0], "seconds": trials[each.name][1]}
        for number, trials in enumerate(rounds)
        for each in ranked
    ]
    return ranked, pd.DataFrame(table), pd.DataFrame(all_trials)


def _difference(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The mean of paired differences and Student's 95 % interval of it; NaN where there is one pair."""
    mean, half = float(values.mean()), float(student.ppf(0.975, len(values) - 1) * pd.Series(values).sem())
    return mean, mean - half, mean + half
