# ruff: noqa: E501 - a case is a line
"""What bad input gets: one exception type per kind; the first line names the argument, what came and what was expected."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import icon
from tests.cases import normal

Z = normal(8, 2)
X = normal(8, 3, seed=1).numpy()
LABELS = np.arange(8) % 2
IDS = np.arange(8) // 2
RING = np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), -1, axis=1)
STOCHASTIC = RING / 2
W = normal(3, 2, seed=2)
NAN, INF = float("nan"), float("inf")


def spoiled(x: Any, at: Any, value: float) -> Any:
    copy = x.clone() if isinstance(x, torch.Tensor) else x.copy()
    copy[at] = value
    return copy


def supcon() -> icon.Loss:
    return icon.method("supcon")


def precomputed(p: Any, **options: Any) -> Callable[[], Any]:
    return lambda: icon.p.Precomputed(**options)(p)


def graph(a: Any, **options: Any) -> Callable[[], Any]:
    return lambda: icon.p.Graph(**options)(a)


def coo(rows: list[int], cols: list[int], values: list[float], n: int = 3) -> Any:
    return sp.coo_array((values, (rows, cols)), shape=(n, n))


Bad = tuple[str, Callable[[], Any], type[Exception], str]

INPUT: list[Bad] = [
    ("NaN", lambda: supcon()(spoiled(Z, 3, NAN), LABELS), ValueError, r"^input: got NaN or infinity in rows 3, expected finite"),
    ("infinity", lambda: supcon()(spoiled(Z, (5, 1), -INF), LABELS), ValueError, r"^input: .*rows 5\b"),
    ("many NaN", lambda: supcon()(Z * NAN, LABELS), ValueError, r"^input: .*rows 0, 1, 2, 3, 4, \.\.\. \(8 in all\)"),
    ("NaN in keys", lambda: icon.method("clip")((Z, spoiled(Z, 2, NAN))), ValueError, r"^input\[1\]: .*rows 2\b"),
    ("one dimension", lambda: supcon()(Z[:, 0], LABELS), ValueError, r"^input: got shape \(8,\), expected two dimensions"),
    ("three dimensions", lambda: supcon()(Z[None], LABELS), ValueError, r"^input: got shape \(1, 8, 2\)"),
    ("no rows", lambda: supcon()(Z[:0], LABELS[:0]), ValueError, r"^input: got shape \(0, 2\), expected at least one"),
    ("no columns", lambda: supcon()(Z[:, :0], LABELS), ValueError, r"^input: got shape \(8, 0\), expected at least one"),
    ("one point", lambda: icon.method("sne")(Z[:1], Z[:1]), ValueError, r"^input: got 1 point, expected at least two"),
    ("complex", lambda: supcon()(Z.to(torch.complex128), LABELS), TypeError, r"^input: got dtype torch\.complex128, expected real"),
    ("None", lambda: supcon()(None, LABELS), TypeError, r"^input: got None, expected an array or tensor"),
    ("text", lambda: supcon()("z", LABELS), TypeError, r"^input: got str"),
    ("objects", lambda: supcon()(np.array([[None, 1], [2, 3]]), [0, 0]), TypeError, r"^input: got ndarray \(dtype object\)"),
    ("sparse", lambda: supcon()(Z.to_sparse(), LABELS), TypeError, r"^input: .*expected"),
    ("one view", lambda: icon.method("clip")((Z,)), ValueError, r"^input: got 1 views?, expected"),
    ("no pair", lambda: icon.method("clip")(Z), ValueError, r"^input: got one set of points, expected a pair"),
    ("three views", lambda: icon.method("infonce")((Z, Z, Z)), ValueError, r"^input: got 3 views, expected a tensor or a pair"),
    ("no prototypes", lambda: icon.method("cross-entropy")(Z, LABELS), ValueError, r"^input: got one set of points, expected a pair \(z, prototypes\)"),
    ("widths", lambda: icon.method("clip")((Z, Z[:, :1])), ValueError, r"^input: got shapes \(8, 2\), \(8, 1\), expected the same number of columns"),
    ("not aligned", lambda: icon.method("clip")((Z, Z[:5])), ValueError, r"^input: got 8 and 5 rows, expected equal numbers"),
    ("more clusters than points", lambda: icon.method("dcd", n_neighbors=2)(normal(4, 5), X[:4]), ValueError, r"^input: got 5 clusters, expected at most 4, the number of points"),
]  # fmt: skip

TARGET: list[Bad] = [
    ("no labels", lambda: supcon()(Z), TypeError, r"^target: got None, expected labels \[n\]"),
    ("no ids", lambda: icon.method("simclr")(Z), TypeError, r"^target: got None, expected ids \[n\]"),
    ("no features", lambda: icon.method("tsne")(Z), TypeError, r"^target: got None, expected features \[n, d\]"),
    ("no graph", lambda: icon.method("ncut")(Z), TypeError, r"^adjacency: got None, expected"),
    ("no rows of p", lambda: icon.Loss(icon.p.Precomputed(), icon.q.StudentT())(Z), TypeError, r"^p: got None, expected"),
    ("no class labels", lambda: icon.method("cross-entropy")((Z, W)), TypeError, r"^labels: got None, expected"),
    ("target of PCA", lambda: icon.method("pca")(Z, LABELS), TypeError, r"^target: got ndarray, expected none"),
    ("labels too short", lambda: supcon()(Z, LABELS[:5]), ValueError, r"^labels: got 5 entries, expected 8"),
    ("a pair of ids", lambda: icon.method("simclr")(Z, (IDS, IDS)), ValueError, r"^ids: got a pair for one set of points, expected one vector \[n\]"),
    ("views of other points", lambda: icon.method("simclr")((Z, Z[:5])), ValueError, r"^input: got views of 8, 5 points, expected the same points"),
    ("ids of all views", lambda: icon.method("simclr")((Z, Z), IDS.repeat(2)), ValueError, r"^ids: got 16 entries, expected 8 \(one per point, for all"),
    ("ids too long", lambda: icon.method("simclr")(Z[:4], IDS), ValueError, r"^ids: got 8 entries, expected 4"),
    ("features too few", lambda: icon.method("sne", perplexity=2)(Z, X[:5]), ValueError, r"^features: got 5 rows, expected 8"),
    ("graph too small", lambda: icon.method("tsne-graph")(Z, RING[:5, :5]), ValueError, r"^adjacency: got shape \(5, 5\), expected \(8, 8\)"),
    ("graph not square", lambda: icon.method("tsne-graph")(Z, RING[:, :5]), ValueError, r"^adjacency: got shape \(8, 5\), expected \(8, 8\)"),
    ("p of another size", lambda: icon.Loss(icon.p.Precomputed(), icon.q.StudentT())(Z[:4], STOCHASTIC), ValueError, r"^p: got shape \(8, 8\), expected \(4, 4\)"),
    ("prepared rows of another size", lambda: supcon()(Z[:4], icon.p.Classes()(LABELS)), ValueError, r"^target: got prepared rows of shape \(8, 8\), expected \(4, 4\)"),
    ("float labels", lambda: supcon()(Z, LABELS.astype(float)), TypeError, r"^labels: got dtype torch\.float64, expected integers"),
    ("boolean labels", lambda: supcon()(Z, LABELS > 0), TypeError, r"^labels: got dtype torch\.bool, expected integers"),
    ("text labels", lambda: supcon()(Z, list("aabbccdd")), TypeError, r"^labels: got list"),
    ("labels in a column", lambda: supcon()(Z, LABELS[:, None]), ValueError, r"^labels: got shape \(8, 1\), expected one dimension"),
    ("negative labels", lambda: supcon()(Z, LABELS - 1), ValueError, r"^labels: got negative entries in rows 0, 2, 4, 6, expected integers >= 0"),
    ("negative ids", lambda: icon.method("simclr")(Z, IDS - 1), ValueError, r"^ids: got negative entries in rows 0, 1"),
    ("float class labels", lambda: icon.method("cross-entropy")((Z, W), LABELS.astype(float)), TypeError, r"^labels: got dtype torch\.float64, expected integers"),
    ("negative class labels", lambda: icon.method("cross-entropy")((Z, W), LABELS - 1), ValueError, r"^labels: got negative"),
    ("labels without prototypes", lambda: icon.method("cross-entropy")((Z, W), LABELS + 2), ValueError, r"^labels: got labels >= 3 in rows 1, 3, 5, 7, expected 0\.\.2"),
    ("soft targets of other width", lambda: icon.method("cross-entropy")((Z, W), np.full((8, 4), 0.25)), ValueError, r"^labels: got shape \(8, 4\), expected \(8, 3\)"),
    ("soft targets that do not sum to one", lambda: icon.method("cross-entropy")((Z, W), spoiled(np.full((8, 3), 1 / 3), 4, 0.5)), ValueError, r"^labels: got rows 4 .*expected numbers >= 0 with sum 1"),
    ("negative soft targets", lambda: icon.p.DataLabel()(np.array([[1.5, -0.5]])), ValueError, r"^labels: got rows 0"),
    ("NaN in soft targets", lambda: icon.p.DataLabel()(np.array([[NAN, 1.0]])), ValueError, r"^labels: got NaN"),
    ("ids of one side only", lambda: icon.method("infonce")((Z, Z[:5]), IDS), ValueError, r"^ids: got 8 for 8 anchors and 5 candidates, expected a pair"),
    ("nobody has a positive", lambda: icon.method("supcon", on_no_positive="raise")(Z, np.arange(8)), ValueError, r"^target: got 8 of 8 anchors without a positive"),
    ("on_no_positive='raise'", lambda: icon.loss("gaussian", "classes", on_no_positive="raise")(Z, [0, 1, 1, 1, 1, 1, 1, 2]), ValueError, r"^target: got 2 of 8 anchors without a positive \(rows 0, 7\), expected none with on_no_positive='raise'"),
    ("isolated nodes", lambda: icon.loss("student-t", "graph", on_no_positive="raise")(Z, spoiled(spoiled(RING, 3, 0), (slice(None), 3), 0)), ValueError, r"^target: got 1 of 8 anchors without a positive \(rows 3\)"),
    ("NaN features", lambda: icon.method("sne", perplexity=2)(Z, spoiled(X, (6, 0), NAN)), ValueError, r"^features: got NaN or infinity in rows 6, expected finite"),
    ("infinite features", lambda: icon.p.KNN(2)(spoiled(X, 1, INF)), ValueError, r"^features: .*rows 1\b"),
    ("NaN in the second features", lambda: icon.p.KNN(2)((X, spoiled(X, 1, INF))), ValueError, r"^features\[1\]: .*rows 1\b"),
    ("features of other widths", lambda: icon.p.KNN(2)((X, X[:, :2])), ValueError, r"^features: got 3 and 2 columns, expected the same number"),
    ("empty features", lambda: icon.p.KNN(2)(X[:0]), ValueError, r"^features: got shape \(0, 3\), expected at least one row"),
    ("one feature row", lambda: icon.p.Gaussian(perplexity=1)(X[:1]), ValueError, r"got 1 .*expected at least two"),
    ("k = n", lambda: icon.p.KNN(n_neighbors=8)(X), ValueError, r"^n_neighbors: got 8, expected less than the number of points, 8"),
    ("k > n", lambda: icon.p.KNN(n_neighbors=80)(X), ValueError, r"^n_neighbors: got 80, expected less than"),
    ("k of Gaussian", lambda: icon.p.Gaussian(sigma=1.0, n_neighbors=8)(X), ValueError, r"^n_neighbors: got 8, expected at most 7 for 8 points"),
    ("perplexity > n", lambda: icon.p.Gaussian(perplexity=30)(X), ValueError, r"^perplexity: got 30, expected between 1 and 7 for 8 points"),
    ("perplexity > k", lambda: icon.p.Gaussian(perplexity=5, n_neighbors=4)(X), ValueError, r"^perplexity: got 5, expected between 1 and 4"),
    ("perplexity < 1", lambda: icon.p.Gaussian(perplexity=0.5)(X), ValueError, r"^perplexity: got 0\.5, expected"),
]  # fmt: skip

WEIGHTS: list[Bad] = [
    ("negative", graph(-RING), ValueError, r"^adjacency: got negative weights in rows 0, 1, 2, 3, 4, \.\.\. \(8 in all\), expected finite weights >= 0"),
    ("NaN", graph(coo([0, 1], [1, 2], [1.0, NAN])), ValueError, r"^adjacency: got NaN or infinite weights in rows 1\b"),
    ("infinite", graph(coo([0, 1], [1, 2], [1.0, INF])), ValueError, r"^adjacency: got NaN or infinite weights in rows 1\b"),
    ("NaN, dense", graph(spoiled(RING, (2, 3), NAN)), ValueError, r"^adjacency: got NaN or infinity in rows 2\b"),
    ("duplicates", graph(coo([0, 0, 1], [1, 1, 2], [1.0, 1, 1])), ValueError, r"^adjacency: got duplicate edges, for example \[\(0, 1\)\], expected each edge once"),
    ("duplicates, torch", graph(torch.sparse_coo_tensor(torch.tensor([[0, 0], [1, 1]]), torch.ones(2), (3, 3), check_invariants=True)), ValueError, r"^adjacency: got duplicate edges"),
    ("self-loops", graph(RING + np.eye(8)), ValueError, r"^adjacency: got self-loops on nodes 0, 1, 2, 3, 4, \.\.\. \(8 in all\), expected none"),
    ("no edge", graph(np.zeros((8, 8))), ValueError, r"^adjacency: got no edge, expected at least one"),
    ("one dimension", graph(np.ones(8)), ValueError, r"^adjacency: got 8 entries in one dimension, such as labels, expected an adjacency"),
    ("text", graph("graph"), TypeError, r"^adjacency: got str"),
    ("complex", graph(sp.csr_array(RING.astype(complex))), TypeError, r"^adjacency: got dtype complex128, expected real"),
    ("empty", graph(sp.csr_array((0, 0))), ValueError, r"^adjacency: got shape \(0, 0\), expected at least one"),
    ("rows of p", precomputed(spoiled(STOCHASTIC, (2, 3), 0.25)), ValueError, r"^p: got rows 2 with sums 0\.75, expected 1"),
    ("rows of p, sparse", precomputed(sp.csr_array(spoiled(STOCHASTIC, (2, 3), 0.25))), ValueError, r"^p: got rows 2 with sums 0\.75, expected 1"),
    ("rows of p a little off", precomputed(STOCHASTIC * (1 + 1e-4)), ValueError, r"^p: got rows 0, 1, 2, 3, 4"),
    ("joint p", precomputed(STOCHASTIC, joint=True), ValueError, r"^p: got a matrix that sums to 8, expected 1 over all pairs"),
    ("negative p", precomputed(spoiled(spoiled(STOCHASTIC, (2, 3), -0.5), (2, 5), 1.0)), ValueError, r"^p: got negative weights in rows 2\b"),
    ("NaN p", precomputed(spoiled(STOCHASTIC, (2, 3), NAN)), ValueError, r"^p: got NaN or infinity in rows 2\b"),
    ("mass on self", precomputed((STOCHASTIC + np.eye(8)) / 2, exclude_self=True), ValueError, r"^p: got mass outside the support .* expected none with exclude_self=True"),
    ("all of p is zero", lambda: icon.Loss(icon.p.Precomputed(), icon.q.StudentT(), on_no_positive="raise")(Z, np.zeros((8, 8))), ValueError, r"^target: got 8 of 8 anchors without a positive"),
    ("identity without self", lambda: icon.p.Identity(exclude_self=True)(8), ValueError, r"^exclude_self: got True, expected False"),
]  # fmt: skip


def positive_numbers() -> list[Bad]:
    """Every argument that is a number > 0 refuses 0, a negative number, NaN, infinity, and what is no number."""
    makers: dict[str, list[Callable[[Any], Any]]] = {
        "temperature": [
            lambda v: icon.q.Gaussian(temperature=v),
            lambda v: icon.q.Gaussian(temperature=v, learnable=True),
            lambda v: icon.method("simclr", temperature=v),
            lambda v: icon.p.Gaussian(temperature=v, metric="cosine"),
        ],
        "sigma": [
            lambda v: icon.q.Gaussian(sigma=v),
            lambda v: icon.p.Gaussian(sigma=v),
            lambda v: icon.p.StudentT(sigma=v),
        ],
        "perplexity": [lambda v: icon.p.Gaussian(perplexity=v)],
        "dof": [lambda v: icon.q.StudentT(dof=v), lambda v: icon.p.StudentT(dof=v)],
        "exponent": [lambda v: icon.q.StudentT(exponent=v)],
    }
    cases: list[Bad] = []
    for name, makes in makers.items():
        for k, make in enumerate(makes):
            for value in (0.0, -1.0, NAN, INF):
                message = rf"^{name}: got {re.escape(repr(value))}, expected a (finite )?number > 0"
                cases.append((f"{name}-{k}={value}", lambda m=make, v=value: m(v), ValueError, message))
            for value in ("1", True):
                cases.append((f"{name}-{k}={value!r}", lambda m=make, v=value: m(v), TypeError, rf"^{name}: got "))
    return cases


def fractions() -> list[Bad]:
    makers: dict[str, list[Callable[[Any], Any]]] = {
        "alpha": [
            lambda v: icon.p.KNN(2).debias(v),
            lambda v: icon.p.KNN(2)(X).debias(v),
            lambda v: icon.loss("gaussian", "knn", debias=v),
        ],
        "leak": [lambda v: icon.q.Clusters(leak=v), lambda v: icon.method("error-rate", leak=v)],
        "weight": [lambda v: icon.p.KNN(2).mix(icon.p.KNN(3), v)],
    }
    cases: list[Bad] = []
    for name, makes in makers.items():
        for k, make in enumerate(makes):
            for value in (-0.1, 1.1, NAN, INF):
                message = rf"^{name}: got {re.escape(repr(value))}, expected a number in \[0, 1\]"
                cases.append((f"{name}-{k}={value}", lambda m=make, v=value: m(v), ValueError, message))
            cases.append((f"{name}-{k}='a'", lambda m=make: m("a"), TypeError, rf"^{name}: got 'a', expected a number"))
    return cases


def counts() -> list[Bad]:
    makers: dict[str, list[Callable[[Any], Any]]] = {
        "walks": [lambda v: icon.p.KNN(2).walks(v), lambda v: icon.p.KNN(2)(X).walks(v)],
        "n_neighbors": [lambda v: icon.p.KNN(n_neighbors=v)],
        "block": [lambda v: icon.Loss(icon.p.KNN(2), icon.q.StudentT(), block=v)],
        "prune": [lambda v: icon.p.KNN(2).walks(2, prune=v)(X)],
    }
    cases: list[Bad] = []
    for name, makes in makers.items():
        for k, make in enumerate(makes):
            for value in (0, -3):
                message = rf"^{name}: got {value}, expected an integer >= 1"
                cases.append((f"{name}-{k}={value}", lambda m=make, v=value: m(v), ValueError, message))
            message = rf"^{name}: got 2\.5, expected an integer >= 1"
            cases.append((f"{name}-{k}=2.5", lambda m=make: m(2.5), TypeError, message))
    return cases


ARGUMENTS: list[Bad] = [
    *positive_numbers(),
    *fractions(),
    *counts(),
    ("scale < 0", lambda: icon.q.StudentT(scale=-1.0), ValueError, r"^scale: got -1\.0, expected a finite number >= 0"),
    ("scale NaN", lambda: icon.q.StudentT(scale=NAN), ValueError, r"^scale: got nan, expected a finite number >= 0"),
    ("scale text", lambda: icon.q.StudentT(scale="a"), TypeError, r"^scale: got 'a', expected"),
    ("learnable scale 0", lambda: icon.q.StudentT(scale=0.0, learnable=True), ValueError, r"^scale: got 0\.0, expected a finite number > 0"),
    ("temperature with gradient", lambda: icon.method("simclr", temperature=torch.ones((), requires_grad=True)), TypeError, r"^temperature: got a tensor that requires a gradient, expected numbers that stay \(learnable=True makes a parameter\)"),
    ("log_weights with gradient", lambda: icon.q.StudentT(log_weights=torch.ones(3, requires_grad=True)), TypeError, r"^log_weights: got a tensor that requires a gradient, expected numbers that stay$"),
    ("marginals with gradient", lambda: icon.q.Clusters(marginals=torch.ones(3, requires_grad=True)), TypeError, r"^marginals: got a tensor that requires a gradient"),
    ("eight bits", lambda: icon.method("simclr")(Z.to(torch.float8_e4m3fn), IDS), TypeError, r"^input: got dtype torch\.float8_e4m3fn, expected numbers of at least 16 bits"),
    ("a pair and another view", lambda: icon.method("clip")((Z, Z[:2]), Z), TypeError, r"^input\[0\]: got tensors of shapes"),
    ("nested", lambda: icon.method("simclr")(torch.nested.nested_tensor([Z, Z], layout=torch.jagged), IDS), TypeError, r"^input: got a nested tensor, expected a dense one"),
    ("margin NaN", lambda: icon.q.Gaussian(margin=NAN), ValueError, r"^margin: got nan, expected a finite number"),
    ("margin text", lambda: icon.q.Gaussian(margin="a"), TypeError, r"^margin: got 'a', expected"),
    ("prior < 0", lambda: icon.q.Clusters(log_prior=-1.0), ValueError, r"^log_prior: got -1\.0, expected"),
    ("prior NaN", lambda: icon.q.Clusters(log_prior=NAN), ValueError, r"^log_prior: got nan, expected"),
    ("cluster weights < 0", lambda: icon.q.Clusters(weights=[-1.0, 1.0]), ValueError, r"^weights: got .*negative.*expected"),
    ("cluster weights all 0", lambda: icon.q.Clusters(weights=[0.0, 0.0]), ValueError, r"^weights: got "),
    ("cluster weights NaN", lambda: icon.q.Clusters(weights=[NAN, 1.0]), ValueError, r"^weights: got "),
    ("cluster weights infinite", lambda: icon.q.Clusters(weights=[INF, 1.0]), ValueError, r"^weights: got "),
    ("cluster weights matrix", lambda: icon.q.Clusters(weights=torch.ones(3, 3)), ValueError, r"^weights: got shape \(3, 3\)"),
    ("cluster weights too few", lambda: icon.Loss(icon.p.Classes(), icon.q.Clusters(weights=[1.0, 2.0]))(Z, LABELS), ValueError, r"^weights: got 2, expected 8 \(one per candidate\)"),
    ("cluster weights by name", lambda: icon.q.Clusters(weights="stationery"), ValueError, r"^weights: got 'stationery' \(did you mean 'stationary'\?\)"),
    ("Argmax without leak", lambda: icon.method("error-rate", leak=0.0), ValueError, r"^leak: got 0, expected a number in \(0, 1\]"),
    ("temperatures per candidate", lambda: icon.q.Gaussian(temperature=[0.1, -0.1]), ValueError, r"^temperature: got .*expected numbers > 0"),
    ("temperatures of another number", lambda: icon.loss("gaussian", "data-label", temperature=[0.1, 0.2])((Z, W), LABELS), ValueError, r"^temperature: got 2, expected 3 \(one per candidate\)"),
    ("temperature matrix", lambda: icon.q.Gaussian(temperature=np.ones((2, 2))), ValueError, r"^temperature: got shape \(2, 2\), expected a number or one per candidate"),
    ("sigma with cosine", lambda: icon.q.Gaussian("cosine", sigma=1.0), ValueError, r"^sigma: got 1.0 with metric='cosine', expected temperature"),
    ("temperature with distances", lambda: icon.q.Gaussian("sqeuclidean", temperature=1.0), ValueError, r"^temperature: got 1.0 with metric='sqeuclidean', expected sigma"),
    ("temperature of a limit", lambda: icon.q.Gaussian("cosine", temperature=0.1, partition="max"), ValueError, r"^temperature: got 0.1 with partition='max', expected none"),
    ("two bandwidths of p", lambda: icon.p.Gaussian(perplexity=5, sigma=1.0), ValueError, r"^sigma: got both perplexity and sigma, expected one"),
    ("sigma of a cosine p", lambda: icon.p.Gaussian(sigma=1.0, metric="cosine"), ValueError, r"^sigma: got 1.0 with metric='cosine'"),
    ("log-weights NaN", lambda: icon.q.Gaussian(log_weights=[0.0, NAN]), ValueError, r"^log_weights: got .*expected finite numbers"),
    ("log-weights too few", lambda: icon.Loss(icon.p.Classes(), icon.q.Gaussian(log_weights=[0.0, 1.0]))(Z, LABELS), ValueError, r"^log_weights: got 2, expected 8"),
    ("metric", lambda: icon.q.Gaussian("cosin"), ValueError, r"^metric: got 'cosin' \(did you mean 'cosine'\?\), expected one of 'sqeuclidean'"),
    ("metric of k-NN", lambda: icon.p.KNN(3, metric="dot"), ValueError, r"^metric: got 'dot'.*expected one of 'sqeuclidean', 'cosine'"),
    ("partition", lambda: icon.q.Gaussian(partition="softmax"), ValueError, r"^partition: got 'softmax'.*expected one of 'logsumexp'"),
    ("graph of views", lambda: icon.method("cmc", graph="ful"), ValueError, r"^graph: got 'ful' \(did you mean 'full'\?\)"),
    ("how", lambda: icon.p.KNN(3).symmetrize("mean"), ValueError, r"^how: got 'mean'.*expected one of 'average', 'union', 'intersection'"),
    ("other p", lambda: icon.p.KNN(3).mix("knn", 0.5), TypeError, r"^other: got str, expected a distribution"),
    ("normalization", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), normalization="rows"), ValueError, r"^normalization: got 'rows' \(did you mean 'row'\?\)"),
    ("divergence", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), divergence="helinger"), ValueError, r"^divergence: got 'helinger' \(did you mean 'hellinger'\?\)"),
    ("divergence of another type", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), divergence=3), TypeError, r"^divergence: got 3, expected a name or a function"),
    ("reduction", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), reduction="avg"), ValueError, r"^reduction: got 'avg'.*expected one of 'mean', 'sum', 'none'"),
    ("empty", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), on_no_positive="ignore"), ValueError, r"^on_no_positive: got 'ignore'.*expected one of 'skip', 'zero', 'raise'"),
    ("joint without a sum per anchor", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), normalization="joint", reduction="none"), ValueError, r"^reduction: got 'none' with normalization='joint'"),
    ("joint limit", lambda: icon.Loss(icon.p.KNN(3), icon.q.Gaussian(partition="mean"), normalization="joint"), ValueError, r"^normalization: got 'joint', but q is a rescaled limit"),
    ("divergence from a limit", lambda: icon.Loss(icon.p.KNN(3), icon.q.Gaussian(partition="max"), divergence="js"), ValueError, r"^divergence: got js, but q is a rescaled limit"),
    ("p and q swapped", lambda: icon.Loss(icon.q.StudentT(), icon.p.KNN(3)), TypeError, r"^p: got StudentT, expected a distribution of icon\.p"),
    ("q of icon.p", lambda: icon.Loss(icon.p.KNN(3), icon.p.StudentT()), TypeError, r"^q: got StudentT, expected a distribution of icon\.q"),
    ("class for an instance", lambda: icon.Loss(icon.p.KNN, icon.q.StudentT()), TypeError, r"^p: got "),
    ("anchor weights by name", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), anchor_weights="degree"), ValueError, r"^anchor_weights: got 'degree'"),
    ("anchor weights to learn", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), anchor_weights=torch.ones(4, requires_grad=True)), TypeError, r"^anchor_weights: got a tensor that requires a gradient, expected numbers that stay"),
    ("weights of a call to learn", lambda: icon.method("simclr")(Z, IDS, weights=torch.ones(len(Z), requires_grad=True)), TypeError, r"^weights: got a tensor that requires a gradient, expected numbers that stay"),
    ("anchor weights < 0", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), anchor_weights=[1.0, -1.0]), ValueError, r"^anchor_weights: got .*expected finite numbers >= 0"),
    ("anchor weights NaN", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), anchor_weights=[1.0, NAN]), ValueError, r"^anchor_weights: got "),
    ("anchor weights all 0", lambda: icon.Loss(icon.p.KNN(3), icon.q.StudentT(), anchor_weights=[0.0, 0.0]), ValueError, r"^anchor_weights: got "),
    ("anchor weights too few", lambda: icon.Loss(icon.p.Classes(), icon.q.StudentT(), anchor_weights=[1.0, 2.0])(Z, LABELS), ValueError, r"^anchor_weights: got 2, expected 8 \(one per anchor\)"),
    ("p out of reach of the weights", lambda: icon.Loss(icon.p.Classes(), icon.q.StudentT(), anchor_weights=[1.0, 0, 0, 0])(Z[:4], [0, 1, 1, 1]), ValueError, r"^anchor_weights: got"),
    ("walks between two sets", lambda: icon.p.KNN(3).walks(2)((X, X[:6])), ValueError, r"^walks: got 8 anchors and 6 candidates, expected one set"),
    ("walks of a debiased p", lambda: icon.p.KNN(3).debias(0.1).walks(2)(X), ValueError, r"^walks: got a debiased p, expected the plain one"),
    ("symmetrise two sets", lambda: icon.p.KNN(3).symmetrize()((X, X[:6])), ValueError, r"^symmetrize: got 8 anchors and 6 candidates, expected one set"),
    ("walks of a p with gradient", lambda: icon.p.Gaussian(sigma=1.0, detach=False).walks(2)(Z.clone().requires_grad_()), ValueError, r"^walks: got a p with gradient"),
    ("another divergence of a p with gradient", lambda: icon.Loss(icon.p.StudentT(detach=False), icon.q.StudentT(), divergence="js")(Z, Z.clone().requires_grad_()), ValueError, r"^detach: got a p with gradient and a divergence other than KL"),
    ("mix of other sizes", lambda: icon.p.KNN(3)(X).mix(icon.p.KNN(3)(X[:6]), 0.5), ValueError, r"^mix: got p' of shape \(6, 6\), expected \(8, 8\)"),
    ("flag of the effective rank", lambda: icon.metrics.effective_rank(X, center="no"), TypeError, r"^center: got 'no', expected True or False"),
    ("flag of a linear map", lambda: icon.nn.Linear(3, 2, orthonormal="no"), TypeError, r"^orthonormal: got 'no', expected True or False"),
    ("flag of pairs", lambda: icon.training.PairSampler(icon.p.KNN(3)(X), weighted="no"), TypeError, r"^weighted: got 'no', expected True or False"),
    ("flag of shards", lambda: icon.training.gather(Z, sharded="no"), TypeError, r"^sharded: got 'no', expected True or False"),
    ("flag of the bottleneck", lambda: icon.metrics.gaussian_information_bottleneck(X, LABELS, 1.0, shared="no"), TypeError, r"^shared: got 'no', expected"),
    ("entropy without numbers", lambda: icon.metrics.gaussian_entropy(Z.to("meta")), TypeError, r"^z: got a tensor on the meta device"),
    ("activations without numbers", lambda: icon.metrics.representation_invariance_score(Z[None].to("meta"), [0]), TypeError, r"^activations: got a tensor on the meta device"),
    ("exclude_self between two sets", lambda: icon.Loss(icon.p.KNN(3, exclude_self=True), icon.q.StudentT())((Z, Z[:6]), (X, X[:6])), ValueError, r"^exclude_self: got True for 8 anchors and 6 candidates"),
]  # fmt: skip


def cases(bad: list[Bad]) -> Any:
    return pytest.mark.parametrize(
        ("make", "kind", "message"), [pytest.param(m, k, t, id=name) for name, m, k, t in bad]
    )


def check(make: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        make()
    first = str(caught.value).splitlines()[0]
    assert re.search(message, first), first
    assert "expected" in first


@pytest.mark.filterwarnings("ignore:target. got:UserWarning")
class TestBadInput:
    @cases(INPUT)
    def test_input(self, make: Callable[[], Any], kind: type[Exception], message: str) -> None:
        check(make, kind, message)

    @cases(TARGET)
    def test_target(self, make: Callable[[], Any], kind: type[Exception], message: str) -> None:
        check(make, kind, message)

    @cases(WEIGHTS)
    def test_weights(self, make: Callable[[], Any], kind: type[Exception], message: str) -> None:
        check(make, kind, message)

    @cases(ARGUMENTS)
    def test_arguments(self, make: Callable[[], Any], kind: type[Exception], message: str) -> None:
        check(make, kind, message)


def test_the_warning_counts_the_anchors_without_a_positive() -> None:
    with pytest.warns(UserWarning, match=r"^target: got 2 of 4 anchors without a positive; they are left out"):
        supcon()(Z[:4], [0, 1, 1, 3])
    with pytest.warns(UserWarning, match=r"they are counted as 0"):
        icon.loss("gaussian", "classes", on_no_positive="zero")(Z[:4], [0, 1, 1, 3])


def test_a_line_of_a_loop_is_told_once_whatever_the_count() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for labels in ([0, 1, 1, 3], [0, 1, 1, 1], [0, 1, 2, 3]):
            supcon()(Z[:4], labels)
    assert len(told) == 2  # one of some anchors, and one of all


def test_one_of_a_kind_is_told_in_the_singular() -> None:
    for make, told in (
        (lambda: icon.method("cross-entropy")((Z, W), [0]), "labels: got 1 entry, expected 8"),
        (lambda: icon.method("cmc")([Z]), "input: got 1 view, expected"),
        (lambda: icon.metrics.trustworthiness(X, Z[:1]), "z: got 1 row, expected 8"),
    ):
        with pytest.raises(ValueError, match=f"^{told}"):
            make()


def test_the_warning_points_at_the_call() -> None:
    with pytest.warns(UserWarning, match="without a positive") as caught:
        supcon()(Z[:4], [0, 1, 1, 3])
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="without a positive") as caught:
        supcon().terms(Z[:4], [0, 1, 1, 3])
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (icon.testing.check_distribution, 3, "p: got 3, expected a distribution of icon.p, or prepared rows"),
        (icon.testing.check_distribution, icon.p.KNN, "p: got .*KNN.*, expected a distribution"),
        (
            icon.testing.check_score,
            icon.q.StudentT,
            "q: got .*StudentT.*, expected an object of a subclass of icon.q.Kernel",
        ),
        (icon.testing.check_partition, "mean", "partition: got 'mean', expected a function"),
        (icon.testing.check_divergence, "js", "divergence: got 'js', expected a function of"),
        (icon.testing.check_divergence, icon.divergence.Alpha, "divergence: got .*Alpha.*, expected a function of"),
        (
            icon.testing.check_evaluator,
            "fused",
            "evaluator: got 'fused', expected an object of a subclass of icon.Evaluator",
        ),
    ],
)
def test_a_contract_check_of_what_is_no_part(check: Any, wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        check(wrong)
