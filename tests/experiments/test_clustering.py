"""The clustering experiments: each whole command on 200 digits, and what the protocol promises."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner

import icon
from experiments.__main__ import main
from experiments.clustering import EXPERIMENTS, choice, comparison, debiasing, protocol, reading, rivals, width
from experiments.clustering.debiasing import agreement
from experiments.datasets import Dataset, load

DIGITS = load("digits").subset(200)
FEW = protocol.Settings(steps=5)
RESULTS = Path(__file__).parents[2] / "experiments" / "results"
RUNS = {"comparison": 10, "neighbourhood-width": 5, "ablation": 4, "debiasing": 12, "choice": 9}


@pytest.mark.parametrize("name", ["comparison", *(pytest.param(n, marks=pytest.mark.slow) for n in list(RUNS)[1:])])
def test_the_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["experiments"])
    app = typer.Typer()
    app.command()(main)
    steps = 5 if name == "comparison" else 60  # half of them for over-clustering
    arguments = [name, "--subset", "200", "--seeds", "1", "--set", f"steps={steps}", "--out", str(tmp_path)]
    if name == "debiasing":
        arguments += ["--set", "alpha_step=0.6", "--set", "starts=2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"{RUNS[name]} runs made, 0 were there" in done.output
    frame = pd.read_csv(tmp_path / name / "results.csv")
    assert frame.loc[frame["measure"].isin(["accuracy", "nmi", "ari", "ece"]), "value"].between(-0.1, 1).all()
    assert frame.loc[frame["measure"] == "accuracy", "value"].max() > 0.6
    study = json.loads((tmp_path / name / "study.json").read_text(encoding="utf-8"))
    assert all(len(row) == len(study["head"]) for row in study["body"])
    assert study["findings"]
    assert all(figure.startswith("<svg") for figure in study["figures"])
    assert f"{RUNS[name]} were there" in CliRunner().invoke(app, arguments).output


def test_all_are_registered_and_cite_the_paper() -> None:
    assert [experiment.name for experiment in EXPERIMENTS] == list(RUNS)
    assert set(comparison.PAPER) <= set(comparison.METHODS)
    for experiment in EXPERIMENTS:
        assert "banking77 and clinc150, so the numbers there are not of unseen data" in (
            experiment.caption(experiment.settings())
        )


def test_graphs() -> None:
    assert DIGITS.x is not None
    directed, union = protocol.nearest(DIGITS, 10), protocol.union(DIGITS, 10)
    assert (directed.sum(axis=1) == 10).all()
    assert (union != union.T).nnz == 0
    assert (union - directed).min() == 0
    distance = np.linalg.norm(DIGITS.x[0] - DIGITS.x, axis=1)
    assert set(directed[[0]].indices) == set(np.argsort(distance, kind="stable")[1:11])
    narrow = width.itself_and_nearest(DIGITS)
    assert (narrow.diagonal() == 1).all()
    assert (narrow.sum(axis=1) == 2).all()


def test_runs_repeat_exactly_and_labels_only_score() -> None:
    assert DIGITS.y is not None
    shuffled = Dataset("digits", DIGITS.x, y=np.roll(DIGITS.y, 1), shape=(8, 8))
    for name in ("k-means", "SCAN", comparison.RANDOM, comparison.OURS):
        first, again = (comparison.METHODS[name](dataset, 1, FEW).labels for dataset in (DIGITS, shuffled))
        assert (first == again).all(), name


def test_of_several_starts_the_lowest_loss_is_kept() -> None:
    losses = [rivals.rival("scan", DIGITS, 0, protocol.Settings(steps=5, starts=n)).loss for n in (1, 3)]
    assert losses[0] is not None
    assert losses[1] is not None
    assert losses[1] <= losses[0]


def test_unusable_data_are_refused() -> None:
    unknown = Dataset("some", DIGITS.x, y=np.full(200, -1), shape=(8, 8))
    with pytest.raises(ValueError, match="labels: got unknown ones of some"):
        protocol.usable(unknown)
    with pytest.raises(ValueError, match="dataset: got none, a graph"):
        protocol.usable(Dataset("none", None, y=DIGITS.y))


# -- the baselines' losses against their formulas ----------------------------------------------------------------------

VIEWS = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _sampled() -> object:
    """p of a batch: partner k is the one positive of anchor k."""
    return rivals.PairSampler(rivals._rows(DIGITS, 10)).draw(6)[2]


def test_scan() -> None:
    """``-mean log <φ, φ'> + 5 sum_c mean φ log mean φ`` (Van Gansbeke et al. 2020), less log C."""
    loss = icon.method("scan")
    phi, partner = VIEWS.softmax(dim=2)
    mean = phi.mean(dim=0)
    expected = -(phi * partner).sum(dim=1).log().mean() + 5 * (mean * mean.log()).sum() - np.log(3)
    assert float(loss(tuple(VIEWS), _sampled())) == pytest.approx(float(expected))


def test_temi() -> None:
    """Adaloglou et al. 2023: both directions, weighted by the teacher's agreement, over its moving mean m."""
    loss = rivals.TEMI(3).double()
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


def test_the_teacher_beside_the_logits() -> None:
    x = torch.rand(7, 4)
    head = torch.nn.Linear(4, 3)
    mapper = rivals.WithTeacher(head, decay=0.75)
    before = head.weight.detach().clone()
    assert torch.equal(*mapper(x).split(3, dim=1))
    with torch.no_grad():
        head.weight += 1
    mapper.follow(1, 0.0, x)
    assert torch.equal(mapper(x)[:, :3], head(x))
    assert torch.allclose(mapper(x)[:, 3:], x @ (before + 0.25).mT + head.bias)
    assert not mapper.teacher(x).requires_grad


def test_temi_does_not_collapse() -> None:
    found = np.bincount(rivals.rival("temi", DIGITS, 0, protocol.Settings(starts=1)).labels, minlength=10)
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
    loss = rivals.ContrastiveClustering(2, 1).double()
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
    both = rivals.WithHidden(head)(x)
    assert both.shape == (7, 8)
    assert torch.equal(both[:, :3], head(x))
    assert (both[:, 3:] >= 0).all()


def test_nt_xent_is_simclr() -> None:
    a, b = VIEWS
    expected = icon.method("simclr", temperature=0.5)(torch.cat([a, b]), torch.arange(6).repeat(2))
    assert float(rivals.nt_xent(a, b, 0.5)) == pytest.approx(float(expected))


def test_agreement() -> None:
    same, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert agreement(np.stack([same, 1 - same])) == 1
    assert agreement(np.stack([same, 1 - same, other])) == pytest.approx((1 - 0.5 - 0.5) / 3)
    assert agreement(same[None]) == 1


def test_alphas_reach_their_end() -> None:
    for step in (0.1, 0.2, 0.3, 0.4):
        alphas = sorted({c["alpha"] for c in debiasing.configurations(DIGITS, debiasing.Settings(alpha_step=step))})
        assert alphas[0] == 0
        assert alphas[-1] == debiasing.MOST
        assert np.allclose(np.diff(alphas[:-1]), step)


# -- the choice without labels -----------------------------------------------------------------------------------------


def test_shared_information() -> None:
    same, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert choice.shared_information(np.stack([same, 1 - same]), 2) == pytest.approx(1)
    assert choice.shared_information(np.stack([same, 1 - same, other]), 2) == pytest.approx(1 / 3)
    assert choice.shared_information(np.stack([same, same]), 4) == pytest.approx(0.5)
    assert choice.shared_information(np.zeros((2, 4), dtype=int), 2) == 0  # a collapse is no agreement


def _choice(shared: dict[tuple[str, int, float], float]) -> pd.DataFrame:
    rows = [
        {"dataset": dataset, "seed": seed, "walks": walks, "alpha": alpha, "measure": measure, "value": value}
        for (dataset, walks, alpha), share in shared.items()
        for seed in range(2)
        for measure, value in (("shared", share + 0.01 * seed), ("accuracy", 1 - share))
    ]
    return pd.DataFrame(rows)


def test_one_configuration_is_chosen_for_all_data_sets() -> None:
    frame = _choice({("a", 1, 0.1): 0.9, ("a", 2, 0.3): 0.8, ("b", 1, 0.1): 0.1, ("b", 2, 0.3): 0.3})
    assert choice.chosen(frame) == (2, 0.3)
    head, body = choice.table(frame)
    assert [row[head.index("")] for row in body] == [None, "chosen"]
    assert [row[-1] for row in body] == ["50.0", "45.0"]
    said = " ".join(choice.findings(frame))
    assert "with 2 walks and α = 0.3: a mean accuracy of 45.0. In hindsight the best is 1 walk and α = 0.1" in said
    assert "1 walk and α = 0.1 for 1, 2 walks and α = 0.3 for 1" in said
    assert "rank correlation of mean shared information and mean accuracy is -1.00" in said


def test_the_comparison_has_the_choice() -> None:
    found = choice.chosen(pd.read_csv(RESULTS / "choice" / "results.csv"))
    assert found == (comparison.WITHOUT_LABELS["walks"], comparison.WITHOUT_LABELS["debias"])


def test_data_sets_looked_at_are_told_from_others() -> None:
    rows = [
        {"dataset": dataset, "seed": 0, "variant": variant, "measure": measure, "value": value}
        for dataset, gain in {"mine": -0.1, "usps-200": 0.1, "digits": 0.2}.items()
        for variant, value in {"ours": 0.5 + gain, "theirs": 0.5}.items()
        for measure in ("accuracy", "seconds")
    ]
    frame = pd.DataFrame(rows)
    assert reading.groups(frame) == {
        "looked at in development": ["digits", "usps-200"],
        "not looked at in development": ["mine"],
    }
    head, body = reading.table(frame, ("theirs", "ours"), "ours", {})
    assert head[1:6] == [
        "digits",
        "usps-200",
        "mine",
        "mean of 2 looked at in development",
        "mean of 1 not looked at in development",
    ]
    assert body[0][4:7] == ["50.0", "50.0", "2 of 2, 0 of 1"]
    assert body[1][4:7] == ["65.0", "40.0", None]
    said = reading.against(frame, "ours", "theirs")
    assert "+15.0 points in the mean of data sets looked at in development, higher on 2 of 2; -10.0 points" in said
