"""The clustering experiments: each whole command on 200 digits, and what the protocol promises."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import icon
from experiments.clustering import (
    comparison,
    deep,
    methods,
    model_selection,
    paper,
    protocol,
)
from experiments.clustering.reading import Reading
from experiments.datasets import Dataset, load
from experiments.held_out import WithTeacher
from experiments.registry import EXPERIMENTS
from experiments.store import tasks
from icon.training import PairSampler
from tests.experiments.fakes import command

DIGITS = load("digits").subset(200)
FEW = protocol.Settings(steps=5)
RESULTS = Path(__file__).parents[2] / "experiments" / "results"
RUNS = {"comparison": 22, "neighbourhood-width": 5, "ablation": 4, "model-selection": 9}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:restarts. agree little")  # a large α ruins clusters, which is what is shown
@pytest.mark.parametrize("name", ["comparison", *(pytest.param(n, marks=pytest.mark.slow) for n in list(RUNS)[1:])])
def test_the_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variant in filter(re.compile("UMAP").match, list(comparison.METHODS)):  # an optional package
        monkeypatch.delitem(comparison.METHODS, variant)
    for plan in (deep.TURTLE_PLAN, deep.PRCUT_PLAN):
        monkeypatch.setitem(plan, "steps", 5)
    few = ["--set", "steps=5", "--set", "restarts=1"] if name == "comparison" else ["--set", "steps=60"]
    arguments = [name, "--subset", "200", "--seeds", "1", *few, "--out", str(tmp_path)]
    done = command(*arguments)
    assert done.exit_code == 0, done.output
    assert f"{RUNS[name]} runs made, 0 were there" in done.output
    frame = pd.read_csv(tmp_path / name / "results.csv")
    assert frame.filter(["accuracy", "nmi", "ari", "ece"]).apply(lambda shares: shares.between(-0.1, 1).all()).all()
    assert frame["accuracy"].max() > 0.6
    assert EXPERIMENTS[name].question in (tmp_path / name / "README.md").read_text(encoding="utf-8")
    assert f"{RUNS[name]} were there" in command(*arguments).output


def test_the_paper_is_cited_for_methods_that_are_run() -> None:
    assert set(comparison.PAPER) <= set(comparison.METHODS)


def test_methods_of_views_are_left_out_where_there_are_none() -> None:
    views = replace(DIGITS, views=(DIGITS.x, DIGITS.x))
    with_views, without = ([c["variant"] for c in comparison.configurations(d)] for d in (views, DIGITS))
    assert [name for name in with_views if name not in without] == [comparison.VIEWS, comparison.OUR_VIEWS]


def test_umap_with_our_metric_where_it_is_another() -> None:
    words = (np.random.default_rng(0).random((200, 500)) < np.linspace(0.005, 0.1, 200)[:, None]).astype(np.float32)
    texts = replace(DIGITS, x=words)
    with_words, without = ([c["variant"] for c in comparison.configurations(d)] for d in (texts, DIGITS))
    assert [name for name in with_words if name not in without] == [comparison.UMAP_METRIC]
    assert comparison.with_metric(texts).metric == "cosine"
    assert comparison.with_metric(DIGITS).metric == "sqeuclidean"


@pytest.mark.slow
def test_ours_of_views_has_a_graph_of_each() -> None:
    halves = replace(DIGITS, views=(DIGITS.x[:, :32], DIGITS.x[:, 32:]))
    whole = replace(DIGITS, views=(DIGITS.x,))
    both, one = (comparison.METHODS[comparison.OUR_VIEWS](data, 0, FEW) for data in (halves, whole))
    assert both.loss != one.loss
    assert protocol.scores(DIGITS, both.labels)["accuracy"] > 0.6


def test_what_is_the_same_for_all_seeds_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = comparison.run(DIGITS, 0, {"variant": "Ward"}, FEW)
    monkeypatch.delattr(methods, "AgglomerativeClustering")
    assert comparison.run(DIGITS, 5, {"variant": "Ward"}, FEW) == first


@pytest.mark.parametrize("names", ["abc", "a"])
def test_figure_of_differences_has_a_row_per_variant_of_all_data_sets(names: str) -> None:
    scores = {"ours": (0.5, 0.6, 0.7), "worse": (0.4, 0.4, 0.4), "better": (0.6, 0.7, 0.8), "few": (0.9,)}
    rows = [
        {"dataset": dataset, "variant": variant, "accuracy": value}
        for variant, values in scores.items()
        for dataset, value in zip(names, values, strict=False)
    ]
    figure = Reading(tuple(scores), "ours").differences(pd.DataFrame(rows))
    (panel,) = figure.axes
    shown = [text.get_text() for text in panel.get_yticklabels()]
    assert shown == (["better", "worse"] if names == "abc" else ["few", "better", "worse"])
    means = next(line for line in panel.lines if line.get_marker() == "d").get_xdata()
    assert np.allclose(np.asarray(means)[-2:], [-10, 20 if names == "abc" else 10])


def test_slow_methods_are_run_with_few_seeds() -> None:
    planned = tasks(comparison.EXPERIMENT, [DIGITS], 4, FEW)
    seeds = {name: [t.seed for t in planned if t.configuration["variant"] == name] for name in comparison.METHODS}
    assert seeds["TURTLE"] == seeds[f"PRCut{comparison.FROM_START}"] == [0, 1, 2]
    assert seeds[comparison.SELECTED] == seeds["Ward"] == [0, 1, 2, 3]
    assert {t.row["runs"] for t in planned if t.seed == 3} == {str(sum(t.seed == 3 for t in planned))}


def test_differences_are_paired_over_the_seeds_that_both_have() -> None:
    scores = {"ours": [0.5, 0.6, 0.7, 0.1], "slow": [0.4, 0.5, 0.61], "other": [0.4, 0.5, 0.61, 0.9]}
    runs = [
        {"dataset": "a", "variant": name, "seed": seed, "accuracy": value, "seconds": 1.0}
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]
    found = Reading(tuple(scores), "ours").table(pd.DataFrame(runs)).set_index("accuracy (%)")
    assert found["clearly higher / lower"].drop("ours").to_dict() == {"slow": "1 / 0", "other": "0 / 0"}


def test_a_start_is_found_once_and_its_seconds_count_for_every_method() -> None:
    first, again = (protocol.starts(DIGITS, 1, FEW) for _ in range(2))
    assert len(first) == FEW.restarts
    assert all(a is b for a, b in zip(first, again, strict=True))
    name = f"k-means{comparison.FROM_START}"
    seconds = comparison.run(DIGITS, 1, {"variant": name}, FEW)["seconds"]
    assert float(seconds) >= sum(own for _, own in first) - 0.01
    assert np.unique(first[0][0]).size <= DIGITS.classes
    assert comparison.METHODS[name](DIGITS, 1, FEW).loss == min(
        methods.k_means(DIGITS, 0, FEW, labels).loss or 0 for labels, _ in first
    )


def test_graphs() -> None:
    directed, union = protocol.nearest(DIGITS, 10), protocol.union(DIGITS, 10)
    assert (directed.sum(axis=1) == 10).all()
    assert (union != union.T).nnz == 0
    assert (union - directed).min() == 0
    distance = np.linalg.norm(DIGITS.x[0] - DIGITS.x, axis=1)
    assert set(directed[[0]].indices) == set(np.argsort(distance, kind="stable")[1:11])
    narrow = paper.itself_and_nearest(DIGITS)
    assert (narrow.diagonal() == 1).all()
    assert (narrow.sum(axis=1) == 2).all()


@pytest.mark.slow
def test_runs_repeat_exactly_and_labels_only_score() -> None:
    assert DIGITS.y is not None
    shuffled = Dataset("digits", DIGITS.x, y=np.roll(DIGITS.y, 1), shape=(8, 8))
    for name in ("k-means", "SCAN", comparison.RANDOM, comparison.OURS):
        first, again = (comparison.METHODS[name](dataset, 1, FEW).labels for dataset in (DIGITS, shuffled))
        assert (first == again).all(), name


@pytest.mark.slow
def test_of_several_restarts_the_lowest_loss_is_kept() -> None:
    losses = [comparison.METHODS["SCAN"](DIGITS, 0, protocol.Settings(steps=5, restarts=n)).loss for n in (1, 3)]
    assert losses[0] is not None
    assert losses[1] is not None
    assert losses[1] <= losses[0]


def test_unusable_data_are_refused() -> None:
    unknown = Dataset("some", DIGITS.x, y=np.full(200, -1), shape=(8, 8))
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        tasks(EXPERIMENTS["comparison"], [unknown], 1, FEW)


def test_points_of_unknown_label_are_clustered_and_not_scored() -> None:
    assert DIGITS.y is not None
    partly = Dataset("some", DIGITS.x, y=np.where(np.arange(200) < 50, -1, DIGITS.y))
    labels = protocol.cluster(partly, 0, FEW, n_init=1).labels
    assert len(labels) == 200
    known = Dataset("known", DIGITS.x[50:], y=DIGITS.y[50:])
    assert protocol.scores(partly, labels) == protocol.scores(known, labels[50:])
    assert tasks(EXPERIMENTS["comparison"], [partly], 1, FEW)
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        tasks(EXPERIMENTS["debiasing"], [partly], 1, FEW)


def test_noise_is_an_error() -> None:
    four = Dataset("four", np.zeros((4, 1)), y=np.array([0, 0, 1, 1]))
    assert protocol.scores(four, np.array([5, 5, -1, -1])) == {"accuracy": 0.5, "nmi": 1, "ari": 1}
    assert protocol.scores(four, np.array([5, 5, -1, 3]))["accuracy"] == 0.75
    assert protocol.scores(four, np.full(4, -1))["accuracy"] == 0


# -- the methods' losses against their formulas ----------------------------------------------------------------------

VIEWS = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _sampled() -> object:
    """p of a batch: partner k is the one positive of anchor k."""
    return PairSampler(icon.p.Graph()(protocol.union(DIGITS, 10))).draw(6)[2]


def test_scan() -> None:
    """``-mean log <φ, φ'> + 5 sum_c mean φ log mean φ`` (Van Gansbeke et al. 2020), less log C."""
    loss = icon.method("scan")
    phi, partner = VIEWS.softmax(dim=2)
    mean = phi.mean(dim=0)
    expected = -(phi * partner).sum(dim=1).log().mean() + 5 * (mean * mean.log()).sum() - np.log(3)
    assert float(loss(tuple(VIEWS), _sampled())) == pytest.approx(float(expected))


def test_temi() -> None:
    """Adaloglou et al. 2023: both directions, weighted by the teacher's agreement, over its moving mean m."""
    loss = deep.TEMI()
    logits = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    m = torch.full((3,), 1 / 3, dtype=torch.float64)
    for views in logits.requires_grad_():  # two steps
        (s, t), (partner_s, partner_t) = (view.reshape(6, 2, 3).softmax(dim=2).unbind(dim=1) for view in views)
        m = 0.9 * m + 0.1 * (t.mean(dim=0) + partner_t.mean(dim=0)) / 2
        pmi = [((a * b).pow(0.6) / m).sum(dim=1).log() for a, b in ((s, partner_t), (partner_s, t))]
        expected = -((t * partner_t).sum(dim=1) * (pmi[0] + pmi[1]) / 2).mean()
        value = loss(tuple(views))
        assert value.item() == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[1, :, :, :3].abs().min() > 0
    assert gradient[..., 3:].abs().max() == 0


def test_the_teacher_beside_the_mapper() -> None:
    x = torch.rand(7, 4)
    head = torch.nn.Linear(4, 3)
    mapper = WithTeacher(head, decay=0.75)
    before = head.weight.detach().clone()
    assert torch.equal(*mapper(x).split(3, dim=1))
    with torch.no_grad():
        head.weight += 1
    both = mapper(x)
    assert torch.equal(both[:, :3], head(x))
    assert torch.allclose(both[:, 3:], x @ (before + 0.25).mT + head.bias)
    assert torch.equal(mapper.eval()(x), head(x))
    assert not mapper.teacher(x).requires_grad


@pytest.mark.slow
def test_temi_does_not_collapse() -> None:
    found = np.bincount(comparison.METHODS["TEMI"](DIGITS, 0, protocol.Settings(restarts=1)).labels, minlength=10)
    assert found.min() > 0
    assert found.max() < 60


def _nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float) -> float:
    """Chen et al. 2020, line by line."""
    z = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    n, total = len(a), 0.0
    for i in range(2 * n):
        scores = [float(z[i] @ z[k]) / temperature for k in range(2 * n)]
        others = sum(np.exp(s) for k, s in enumerate(scores) if k != i)
        total -= scores[(i + n) % (2 * n)] - np.log(others)
    return total / (2 * n)


def test_contrastive_clustering() -> None:
    """Li et al. 2021: NT-Xent of the instances at 0.5, of columns at 1, less the entropy of both views' clusters."""
    loss = deep.ContrastiveClustering(2, 1).double()
    phi = [view[:, :2].softmax(dim=1) for view in VIEWS]
    expected = _nt_xent(*(loss.project(view[:, 2:]).detach() for view in VIEWS), 0.5) + _nt_xent(
        phi[0].T, phi[1].T, 1.0
    )
    for p in phi:
        mean = p.mean(dim=0)
        expected += float((mean * mean.log()).sum()) + np.log(2)
    assert float(loss(tuple(VIEWS)).detach()) == pytest.approx(expected)


def test_the_hidden_layer_beside_the_logits() -> None:
    x = torch.rand(7, 4)
    head = icon.nn.build("mlp", x, 3, hidden=5)
    both = deep.WithHidden(head)(x)
    assert both.shape == (7, 8)
    assert torch.equal(both[:, :3], head(x))
    assert (both[:, 3:] >= 0).all()


def test_nt_xent_is_simclr() -> None:
    a, b = VIEWS
    expected = icon.method("simclr", temperature=0.5)(torch.cat([a, b]), torch.arange(6).repeat(2))
    assert float(deep.nt_xent(a, b, 0.5)) == pytest.approx(float(expected))


# -- model selection ---------------------------------------------------------------------------------------------------


def test_shared_information() -> None:
    same, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert model_selection.shared_information(np.stack([same, 1 - same]), 2) == pytest.approx(1)
    assert model_selection.shared_information(np.stack([same, 1 - same, other]), 2) == pytest.approx(1 / 3)
    assert model_selection.shared_information(np.stack([same, same]), 4) == pytest.approx(0.5)
    assert model_selection.shared_information(np.zeros((2, 4), dtype=int), 2) == 0  # a collapse is no agreement


def test_one_configuration_is_selected_for_all_data_sets() -> None:
    shares = {("a", 1, 0.1): 0.9, ("a", 2, 0.3): 0.8, ("b", 1, 0.1): 0.1, ("b", 2, 0.3): 0.3}
    rows = [
        {"dataset": dataset, "seed": seed, "walks": walks, "alpha": alpha, "shared": share + 0.01 * seed}
        | {"accuracy": 1 - share}
        for (dataset, walks, alpha), share in shares.items()
        for seed in range(2)
    ]
    frame = pd.DataFrame(rows)
    assert model_selection.selected(frame) == (2, 0.3)
    table = model_selection.table(frame)
    assert table["selected"].tolist() == ["no", "yes"]
    assert table["shared information"].tolist() == ["0.505", "0.555"]
    assert table["mean accuracy"].tolist() == ["50.0", "45.0"]


def test_the_comparison_has_the_selection() -> None:
    found = model_selection.selected(pd.read_csv(RESULTS / "model-selection" / "results.csv"))
    assert found == (comparison.WITHOUT_LABELS["walks"], comparison.WITHOUT_LABELS["debias"])


def test_data_sets_looked_at_are_told_from_others() -> None:
    rows = [
        {"dataset": dataset, "seed": seed, "variant": variant, "accuracy": value, "seconds": 2.0}
        for dataset, gain in {"mine": -0.1, "usps-200": 0.1, "digits": 0.2}.items()
        for variant, value in {"ours": 0.5 + gain, "theirs": 0.5}.items()
        for seed in (0, 1)
    ]
    frame, read = pd.DataFrame(rows), Reading(("theirs", "absent", "ours"), "ours", {"theirs": "51.84"})
    assert read.groups(frame) == {
        "looked at in development": ["digits", "usps-200"],
        "not looked at in development": ["mine"],
    }
    table = read.table(frame)
    assert table.columns[1:6].tolist() == [
        "digits",
        "usps-200",
        "mine",
        "mean of 2 looked at in development",
        "mean of 1 not looked at in development",
    ]
    assert table.iloc[0].tolist()[4:] == ["50.0", "50.0", "2 of 2, 0 of 1", "2 / 1", "2.0", "51.84"]
    assert table.iloc[1].tolist()[4:6] == ["65.0", "40.0"]
    assert table.iloc[1].isna().tolist()[6:8] == [True, True]


def test_variants_of_few_data_sets_have_neither_mean_nor_rank() -> None:
    scores = {"ours": (0.5, 0.6, 0.7), "theirs": (0.4, 0.4, 0.4), "third": (0.6, 0.5, 0.3), "few": (0.9,)}
    rows = [
        {"dataset": dataset, "seed": 0, "variant": variant, "seconds": 1.0}
        | dict.fromkeys(("accuracy", "nmi", "ari"), value)
        for variant, values in scores.items()
        for dataset, value in zip("abc", values, strict=False)
    ]
    frame = pd.DataFrame(rows)
    table = Reading(tuple(scores), "ours").table(frame, "nmi").set_index("NMI (%)")
    assert table.loc["few"].iloc[:3].fillna("–").tolist() == ["90.0", "–", "–"]
    mean, higher, *_ = table.columns[3:]
    assert table[mean].fillna("–").tolist() == ["60.0", "40.0", "46.7", "–"]
    assert table[higher].fillna("–").tolist() == ["–", "3 of 3", "2 of 3", "0 of 1"]
    ranks = Reading(("absent", *scores), "ours").ranks(frame).set_index("variant")
    mean, rank, ahead = ranks.columns[:3]
    assert mean == "accuracy, mean of 3 not looked at in development"
    assert ranks[mean].fillna("–").tolist() == ["60.0", "40.0", "46.7", "–"]
    assert rank == "mean rank by accuracy (critical difference 1.9, Friedman p = 0.3)"
    assert ranks[rank].fillna("–").tolist() == ["1.3", "2.7", "2.0", "–"]
    assert ranks[ahead].tolist()[3] == "-40.0"  # of one data set
    assert ranks[ahead].fillna("–").tolist()[:2] == ["–", "+20.0 [-4.8, +44.8]"]
