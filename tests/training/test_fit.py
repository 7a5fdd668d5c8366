"""The training loop: it descends, stops, resumes bit by bit, and samples p without bias."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, TensorDataset

import icon
from icon.estimators.momentum import MomentumGains
from icon.nn.mappers import MLP, Lookup, Prototypes
from icon.p.base import Sets
from icon.training import PairSampler, PointSampler
from icon.training.fit import fit
from icon.training.sampler import prepare
from icon.training.state import seeded

N = 30


@pytest.fixture
def x() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(N, 5))).float()


def sne() -> icon.Loss:
    return icon.loss("gaussian", "gaussian", perplexity=5)


def clusters(debias: float = 0.0) -> icon.Loss:
    return icon.Loss(icon.p.KNN(n_neighbors=4).symmetrize("union").walks(2).debias(debias), icon.q.Clusters())


def state(module: nn.Module) -> list[Tensor]:
    return [v.clone() for v in module.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(u, v) for u, v in zip(a, b, strict=True))


# -- what a run does ---------------------------------------------------------------------------------------------------


def test_it_is_plain_adam_on_the_loss(x: Tensor) -> None:
    start = torch.randn(N, 2)
    ours, loss = Lookup(N, 2, start=start), sne()
    done = fit(loss, ours, torch.arange(N), x, steps=20, learning_rate=0.1)
    by_hand, rows, losses = start.clone().requires_grad_(), loss.p(x), []
    optimizer = torch.optim.Adam([by_hand], 0.1)
    for _ in range(20):
        optimizer.zero_grad()
        value = loss(by_hand, rows)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert torch.equal(ours.weight, by_hand)
    assert done.losses == losses
    assert losses[-1] < losses[0]
    assert not done.converged


def test_parameters_of_the_loss_learn_too(x: Tensor) -> None:
    loss = icon.loss("gaussian", "classes", temperature=0.5, learnable=True)
    before = loss.q.scale.item()
    fit(loss, MLP(5, 3), x, torch.arange(N) % 3, steps=5, learning_rate=0.05)
    assert loss.q.scale.item() != before


class ByHead(icon.q.Kernel):
    """Products of what a layer makes of the points, which may be one of the mapper's own."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def score(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        return self.head(anchors) @ self.head(candidates).mT

    def hyper_parameters(self) -> dict[str, Any]:
        return {"head": self.head} | super().hyper_parameters()


def test_a_layer_that_mapper_and_loss_share_moves_once_a_step(x: Tensor) -> None:
    labels, found = torch.arange(N) % 3, []
    mapper = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 3))
    for model in (mapper, twin := copy.deepcopy(mapper)):
        loss = icon.Loss(icon.p.Classes(), ByHead(model[1]))
        if model is twin:
            optimizer = torch.optim.Adam(twin.parameters(), 0.1)
            for _ in range(3):
                optimizer.zero_grad()
                loss(twin(x), labels).backward()
                optimizer.step()
        else:
            fit(loss, model, x, labels, steps=3, learning_rate=0.1)
        found.append(state(model))
    assert same(*found)


def test_a_mapper_without_parameters_beside_a_loss_that_learns(x: Tensor) -> None:
    loss = icon.loss("gaussian", "classes", temperature=0.5, learnable=True)
    fit(loss, nn.Identity(), x, torch.arange(N) % 3, steps=2, batch_size=8)
    assert loss.temperature != 0.5


def test_a_pair_of_points_and_prototypes(x: Tensor) -> None:
    labels = (x[:, 0] > 0).long()
    model = nn.Sequential(MLP(5, 4, 32), Prototypes(2, 4))
    done = fit(icon.method("cross-entropy"), model, x, labels, steps=150, learning_rate=0.02)
    z, prototypes = model(x)
    assert done.losses[-1] < 0.1 * done.losses[0]
    assert torch.equal((z @ prototypes.T).argmax(dim=1), labels)


def test_joint_normalisation_is_prepared_once(x: Tensor) -> None:
    loss = icon.method("tsne", perplexity=5)
    rows = prepare(loss, x, Sets(N, N))
    assert rows.marginal is not None
    z = torch.randn(N, 2)
    assert loss(z, rows).item() == pytest.approx(loss(z, x).item(), abs=1e-6)


def test_callback_sees_each_step_before_its_update(x: Tensor) -> None:
    start, seen = torch.randn(N, 2), []
    loss = sne()
    done = fit(loss, Lookup(N, 2, start=start), torch.arange(N), x, steps=4, callback=lambda *step: seen.append(step))
    assert [s for s, _, _ in seen] == [1, 2, 3, 4]
    assert [v for _, v, _ in seen] == done.losses
    assert torch.equal(seen[0][2], start)
    for _, value, z in seen:
        assert loss(z, x).item() == pytest.approx(value, rel=1e-5)
        assert not z.requires_grad


class Free(nn.Module):
    """Points that are parameters themselves, whatever the input is."""

    def __init__(self) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.eye(N, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.points


def test_callback_sees_parameters_before_their_update(x: Tensor) -> None:
    seen: list[Tensor] = []
    fit(sne(), Free(), x, x, steps=1, callback=lambda step, value, z: seen.append(z))
    assert torch.equal(seen[0], torch.eye(N, 2))


def test_dropout_is_off_after_the_run(x: Tensor) -> None:
    model = nn.Sequential(nn.Dropout(), MLP(5, 2))
    fit(sne(), model, x, x, steps=2)
    assert not model.training


def test_early_stop_at_the_relative_improvement(x: Tensor) -> None:
    done = fit(sne(), Lookup(N, 2), torch.arange(N), x, steps=5000, learning_rate=0.05, tol=1e-3, patience=20)
    assert done.converged
    assert len(done.losses) % 20 == 0
    assert len(done.losses) < 5000
    windows = np.array(done.losses).reshape(-1, 20).mean(axis=1)
    improvement = -np.diff(windows) / windows[:-1]
    assert improvement[-1] < 1e-3
    assert (improvement[:-1] >= 1e-3).all()


def test_the_gradient_that_ends_a_run_is_that_of_the_optimizer(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sets that of other parameters to zero, and so it grows from step to step."""
    monkeypatch.delattr(nn.utils, "get_total_norm", raising=False)  # torch 2.4 and 2.5 have none
    model, lengths = MLP(5, 2, 8), []

    def note(*_: Any) -> None:
        lengths.append(float(torch.cat([p.grad.flatten() for p in model[2].parameters()]).norm()))

    def some(parameters: list[nn.Parameter]) -> Optimizer:
        return torch.optim.Adam(parameters[2:], 0.05)

    done = fit(sne(), model, x, x, steps=60, optimizer=some, min_grad_norm=0.1, callback=note)
    assert done.converged
    assert [length < 0.1 for length in lengths] == [False] * (len(lengths) - 1) + [True]


def test_progress_goes_to_standard_error_with_the_loss(x: Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    done = fit(sne(), Lookup(N, 2), torch.arange(N), x, steps=3, verbose=True, label="map")
    out, err = capsys.readouterr()
    assert out == ""
    assert "map" in err
    assert "3/3" in err
    assert f"loss {done.losses[-1]:.5g}" in err


def test_it_is_silent_otherwise(x: Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    fit(sne(), Lookup(N, 2), torch.arange(N), x, steps=3)
    assert capsys.readouterr() == ("", "")


# -- randomness --------------------------------------------------------------------------------------------------------


def noisy() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 3))


def test_the_same_seed_gives_the_same_run_and_another_does_not(x: Tensor) -> None:
    runs = []
    for seed in (1, 1, 2):
        model = noisy()
        losses = fit(clusters(0.3), model, x, x, steps=10, batch_size=12, seed=seed).losses
        runs.append((losses, state(model)))
    assert runs[0][0] == runs[1][0]
    assert same(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0]


def test_the_global_random_state_is_left_alone(x: Tensor) -> None:
    model, before = noisy(), torch.get_rng_state()
    fit(clusters(), model, x, x, steps=3, batch_size=12)
    with seeded(3, torch.device("cpu")):
        torch.randn(3)
    assert torch.equal(before, torch.get_rng_state())


# -- checkpoints -------------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def kill_at(step: int):  # type: ignore[no-untyped-def]
    def callback(at: int, value: float, z: Tensor) -> None:
        if at == step:
            raise Killed

    return callback


RUNS = {
    "dropout and minibatches": {"batch_size": 12},
    "early stop": {"tol": 0.5, "patience": 8},
    "momentum with gains": {"optimizer": lambda ps: MomentumGains(ps, 0.1)},
    "sgd": {"optimizer": lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9)},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_killed_run_resumes_bit_by_bit(options, x: Tensor, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run.safetensors"
    options = {"steps": 40, "learning_rate": 0.01, "seed": 5, **options}
    whole = noisy()
    expected = fit(clusters(0.3), whole, x, x, **options)
    with pytest.raises(Killed):
        fit(clusters(0.3), noisy(), x, x, checkpoint=path, checkpoint_every=5, callback=kill_at(13), **options)
    again, steps = noisy(), []
    resumed = fit(clusters(0.3), again, x, x, checkpoint=path, callback=lambda step, *_: steps.append(step), **options)
    assert steps[0] == 11  # the last checkpoint was after step 10
    assert resumed == expected
    assert expected.converged == ("tol" in options)
    assert same(state(again), state(whole))


def test_minibatches_of_labels_resume_too(x: Tensor, tmp_path: Path) -> None:
    def run(steps: int, path: Path | None) -> tuple[list[float], list[Tensor]]:
        torch.manual_seed(0)
        model = nn.Sequential(MLP(5, 3, 8), Prototypes(3, 3))
        loss = icon.method("cross-entropy")
        return fit(loss, model, x, torch.arange(N) % 3, steps=steps, batch_size=8, checkpoint=path).losses, state(model)

    run(6, tmp_path / "c")
    resumed, whole = run(15, tmp_path / "c"), run(15, None)
    assert resumed[0] == whole[0]
    assert same(resumed[1], whole[1])


def test_learnable_temperature_resumes_too(x: Tensor, tmp_path: Path) -> None:
    def run(steps: int, path: Path | None) -> tuple[list[float], float]:
        loss = icon.loss("gaussian", "classes", temperature=0.5, learnable=True)
        torch.manual_seed(0)
        done = fit(loss, MLP(5, 3, 8), x, torch.arange(N) % 3, steps=steps, checkpoint=path)
        return done.losses, loss.q.scale.item()

    run(6, tmp_path / "c")
    assert run(15, tmp_path / "c") == run(15, None)


def test_a_finished_run_is_not_run_again(x: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "run"
    model = noisy()
    first = fit(clusters(), model, x, x, steps=8, checkpoint=path)
    again = noisy()
    assert fit(clusters(), again, x, x, steps=8, checkpoint=path, callback=kill_at(1)) == first
    assert same(state(again), state(model))


def test_a_run_that_a_short_gradient_has_ended_is_not_run_again(x: Tensor, tmp_path: Path) -> None:
    def run(steps: int) -> tuple[icon.training.Fit, Tensor]:
        lookup = Lookup(N, 2, start=torch.eye(N, 2))
        options = {"learning_rate": 0.05, "min_grad_norm": 0.02, "checkpoint": tmp_path / "run"}
        return fit(sne(), lookup, torch.arange(N), x, steps=steps, **options), lookup.weight

    (first, weight), (again, same_weight) = run(400), run(500)
    assert first.converged
    assert again == first
    assert torch.equal(same_weight, weight)


def test_the_file_is_safetensors_with_json_and_nothing_is_left_beside_it(x: Tensor, tmp_path: Path) -> None:
    fit(clusters(), noisy(), x, x, steps=2, checkpoint=tmp_path / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    with safe_open(tmp_path / "run", "pt") as file:
        header = json.loads(file.metadata()["icon"])
        assert file.get_tensor("losses").shape == (2,)
    assert header["run"]["optimizer"] == "Adam"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x02}q\x00."])
def test_a_broken_checkpoint_is_one_clear_line(content: bytes, x: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_bytes(content)
    model = noisy()
    before = state(model)
    with pytest.raises(ValueError, match=r"^checkpoint: got .*, expected a checkpoint of icon"):
        fit(clusters(), model, x, x, steps=2, checkpoint=path)
    assert same(state(model), before)


def test_a_truncated_checkpoint_is_refused(x: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "run"
    fit(clusters(), noisy(), x, x, steps=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"^checkpoint: got"):
        fit(clusters(), noisy(), x, x, steps=4, checkpoint=path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seed": 1}, "of a run with seed 0, expected 1"),
        ({"batch_size": 5}, "of a run with batch_size None, expected 5"),
        ({"loss": clusters(0.5)}, "of a run with loss"),
        ({"mapper": MLP(5, 4)}, "of a run with another start"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(change, line: str, x: Tensor, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run"
    fit(clusters(), noisy(), x, x, steps=2, checkpoint=path)
    arguments = {"loss": clusters(), "mapper": noisy(), "inputs": x, "target": x, "steps": 4, "checkpoint": path}
    with pytest.raises(ValueError, match=rf"^checkpoint: got .* {line}"):
        fit(**{**arguments, **change})


# -- minibatches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_partners_are_drawn_from_p(weighted: bool, x: Tensor) -> None:
    rows = clusters(0.25).p(x)
    pairs, counts, anchors = PairSampler(rows, weighted), torch.zeros(N, N), torch.zeros(N)
    for _ in range(3000):
        i, j, _ = pairs.draw(N)
        counts.index_put_((i, j), torch.ones(N), accumulate=True)
        anchors += torch.bincount(i, minlength=N)
    edges = torch.from_numpy(rows.to_scipy().toarray()).float() / 0.75
    assert torch.equal(counts > 0, edges > 0)
    assert torch.allclose(counts / anchors[:, None], edges, atol=0.05)
    expected = rows.anchor_marginal.float() if weighted else torch.full((N,), 1 / N)
    assert torch.allclose(anchors / anchors.sum(), expected, atol=2e-3)


def test_a_batch_estimates_the_positive_term_without_bias(x: Tensor) -> None:
    """The mean of ``s_ij`` over drawn pairs goes to ``mean_i sum_j p_ij s_ij``: the cross-entropy but its partition."""
    rows = icon.p.KNN(n_neighbors=4).walks(2)(x)
    z = torch.randn(N, 2, dtype=torch.float64)
    scores = -torch.cdist(z, z).square()
    exact = (rows.to_dense() * scores).sum(dim=1).mean().item()
    pairs = PairSampler(rows)
    drawn = torch.tensor([scores[i, j].mean() for i, j, _ in (pairs.draw(10) for _ in range(4000))])
    standard_error = (drawn.std() / len(drawn) ** 0.5).item()
    assert abs(drawn.mean().item() - exact) < 4 * standard_error
    assert standard_error < 0.05 * abs(exact)


def test_a_batch_has_one_partner_per_anchor_and_the_uniform_mass(x: Tensor) -> None:
    i, j, sampled = PairSampler(clusters(0.25).p(x)).draw(8)
    assert len(i) == len(j) == len(set(i.tolist())) == 8
    assert torch.allclose(sampled.to_dense(), 0.75 * torch.eye(8).double() + 0.25 / 8)


def test_empty_anchors_are_not_drawn() -> None:
    p = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    pairs = PairSampler(icon.p.Precomputed()(p))
    for _ in range(20):
        i, j, _ = pairs.draw(3)
        assert sorted(i.tolist()) == [0, 1]
        assert torch.equal(p[i, j], torch.ones(2))


@pytest.mark.filterwarnings("ignore:target")
def test_walks_that_end_early_are_left_out_as_they_are_of_p() -> None:
    """A node that no edge leaves: the walks that are drawn follow the average of those that are computed."""
    graph = torch.tensor([[0.0, 2, 1, 0], [1, 0, 1, 1], [1, 0, 0, 3], [0, 0, 0, 0]])
    loss = icon.Loss(icon.p.Graph().walks(3), icon.q.StudentT())
    pairs, counts = PairSampler.of(loss, graph, Sets(4, 4)), torch.zeros(4, 4)
    for _ in range(4000):
        i, j, _ = pairs.draw(4)
        counts.index_put_((i, j), torch.ones(3), accumulate=True)
    assert counts.sum(dim=1).tolist() == [4000, 4000, 4000, 0]
    assert torch.allclose(counts / 4000, loss.p(graph).to_dense().float(), atol=0.03)


@pytest.mark.parametrize(
    "loss", [clusters(), clusters(0.5), icon.method("tsne", perplexity=5), icon.loss("gaussian", "knn", n_neighbors=4)]
)
def test_minibatches_lower_the_loss_over_all_points(loss: icon.Loss, x: Tensor) -> None:
    lookup = Lookup(N, 3, start=torch.randn(N, 3))
    index = torch.arange(N)
    before = loss(lookup(index), x).item()
    fit(loss, lookup, index, x, steps=200, learning_rate=0.05, batch_size=15)
    assert loss(lookup(index), x).item() < before - 0.1


def test_minibatches_of_a_method_that_joins_its_views(x: Tensor) -> None:
    labels, mapper = torch.arange(N) % 3, MLP(5, 2)
    joined, plain = (
        fit(loss, copy.deepcopy(mapper), x, labels, steps=3, batch_size=8)
        for loss in (icon.method("supcon"), icon.loss("gaussian", "classes"))
    )
    assert joined == plain


def test_points_are_drawn_with_their_targets() -> None:
    labels = 10 * torch.arange(N)
    counts = torch.zeros(N)
    for _ in range(2000):
        index, target = PointSampler(labels).draw(N)
        assert torch.equal(target, labels[index])
        counts += torch.bincount(index, minlength=N)
    assert torch.allclose(counts / counts.sum(), torch.full((N,), 1 / N), atol=2e-3)


@pytest.mark.parametrize("soft", [False, True])
def test_minibatches_of_cross_entropy_are_plain_adam_on_rows_of_labels(soft: bool, x: Tensor) -> None:
    labels = (x[:, 0] > 0).long()
    target = torch.eye(2)[labels] if soft else labels
    torch.manual_seed(1)
    model = nn.Sequential(MLP(5, 4, 8), Prototypes(2, 4))
    twin = nn.Sequential(MLP(5, 4, 8), Prototypes(2, 4))
    twin.load_state_dict(model.state_dict())
    done = fit(icon.method("cross-entropy"), model, x, target, steps=10, batch_size=12, learning_rate=0.02, seed=3)
    optimizer, losses = torch.optim.Adam(twin.parameters(), 0.02), []
    torch.manual_seed(3)
    for _ in range(10):
        index = torch.randint(N, (12,))
        z, prototypes = twin(x[index])
        value = nn.functional.cross_entropy(z @ prototypes.T, labels[index])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert done.losses == pytest.approx(losses, rel=1e-5)


class Views:
    """A sampler of a user's own: two equal views of each point, with the number of the point as the target."""

    def draw(self, size: int) -> tuple[Tensor, Tensor]:
        index = torch.randperm(N)[:size]
        return index.repeat(2), torch.arange(size).repeat(2)


class InNumPy(Views):
    """The same, as arrays."""

    def draw(self, size: int) -> tuple[Any, Any]:
        return tuple(each.numpy() for each in super().draw(size))


def test_a_sampler_of_your_own(x: Tensor) -> None:
    start = MLP(5, 3)
    ours, theirs = (
        fit(icon.method("simclr"), copy.deepcopy(start), x, views, steps=2, batch_size=10)
        for views in (Views(), InNumPy())
    )
    assert ours == theirs
    done = fit(icon.method("simclr"), nn.Sequential(nn.Dropout(0.2), MLP(5, 3)), x, Views(), steps=30, batch_size=10)
    assert done.losses[-1] < done.losses[0]


def test_without_a_seed_a_run_goes_on_with_the_global_generator(x: Tensor) -> None:
    found = []
    for seed in (4, None):
        model = noisy()
        torch.manual_seed(4)
        found.append(fit(clusters(), model, x, x, steps=3, batch_size=12, seed=seed).losses)
        drawn = torch.rand(1)
    assert found[0] == found[1]
    torch.manual_seed(4)
    assert not torch.equal(drawn, torch.rand(1))


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_divergence_is_an_error_and_not_a_nan(x: Tensor) -> None:
    with pytest.raises(
        FloatingPointError, match=r"^embedding: got NaN or infinity after 1 step, expected .*are the inputs f"
    ):
        fit(clusters(), MLP(5, 3), x, x, steps=5, optimizer=lambda ps: torch.optim.SGD(ps, 1e30))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"batch_size": 1}, "batch_size: got 1, expected an integer >= 2"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0"),
        ({"patience": 0}, "patience: got 0"),
        ({"mapper": nn.Identity()}, "mapper: got no parameter"),
        (
            {"loss": icon.method("cross-entropy"), "target": torch.zeros(N).long(), "batch_size": 4},
            "input: got one set",
        ),
    ],
)
def test_bad_arguments(change, line: str, x: Tensor) -> None:  # type: ignore[no-untyped-def]
    arguments = {"loss": clusters(), "mapper": MLP(5, 3), "inputs": x, "target": x, "steps": 2}
    with pytest.raises(ValueError, match=rf"^{line}"):
        fit(**{**arguments, **change})


def test_negatives_beside_a_sampler_are_refused(x: Tensor) -> None:
    sampler = PairSampler(clusters(0.25).p(x), negatives=2)
    with pytest.raises(
        ValueError, match=r"^negatives: got 3 with a sampler that has 2, expected None: the sampler decides"
    ):
        fit(clusters(), noisy(), x, sampler, steps=1, batch_size=8, negatives=3)
    fit(clusters(), noisy(), x, sampler, steps=1, batch_size=8, negatives=2)


@pytest.mark.parametrize(
    ("loss", "batch_size", "line"),
    [
        (lambda: clusters(0.25), None, r"^negatives: got 3 without batch_size, expected None: every step sees all"),
        (clusters, 8, r"^negatives: got 3 for a p without uniform mass to spread, expected p\.debias"),
        (
            lambda: icon.Loss(icon.p.KNN(5).debias(0.3), icon.q.Gaussian(partition="decoupled")),
            8,
            "^negatives: got 3, expected None: Gaussian.* tells positives from negatives",
        ),
        (
            lambda: icon.Loss(icon.p.KNN(5).debias(0.3), icon.q.Gaussian(margin=0.5)),
            8,
            "^negatives: got 3, expected None: Gaussian.* tells positives from negatives",
        ),
    ],
)
def test_negatives_that_would_not_count_are_refused(loss: Any, batch_size: int | None, line: str, x: Tensor) -> None:
    with pytest.raises(ValueError, match=line):
        fit(loss(), noisy(), x, x, steps=1, batch_size=batch_size, negatives=3)


@pytest.mark.parametrize("q", [{"partition": "decoupled"}, {"margin": 0.5}], ids=str)
def test_negatives_of_a_sampler_that_would_be_positives_are_refused(q: dict[str, Any], x: Tensor) -> None:
    loss = icon.Loss(icon.p.KNN(5).debias(0.3), icon.q.Gaussian(**q))
    with pytest.raises(ValueError, match=r"^negatives: got 2, expected None: Gaussian.* tells positives from"):
        fit(loss, noisy(), x, PairSampler(loss.p(x), negatives=2), steps=1, batch_size=8)
    fit(loss, noisy(), x, PairSampler(icon.p.KNN(5)(x), negatives=2), steps=1, batch_size=8)  # has no mass to spread


def test_batches_refuse_anchors_without_a_positive_where_the_loss_does(x: Tensor) -> None:
    loss = icon.Loss(icon.p.Classes(), icon.q.Gaussian("cosine", temperature=1.0), on_no_positive="raise")
    labels = torch.arange(N) // 2
    fit(loss, noisy(), x, labels, steps=1, batch_size=8)
    labels[0] = N
    with pytest.raises(
        ValueError, match=r"^target: got 2 of 30 anchors without a positive \(rows 0, 1\), expected none"
    ):
        fit(loss, noisy(), x, labels, steps=1, batch_size=8)


def test_a_p_of_uniform_mass_alone_has_no_batches(x: Tensor) -> None:
    joint = icon.Loss(icon.p.KNN(5).debias(1.0), icon.q.StudentT(), normalization="joint")
    with pytest.raises(ValueError, match=r"^target: got a p in which no anchor has a positive of its own"):
        fit(joint, noisy(), x, x, steps=1, batch_size=8)


def test_a_sampler_composes_as_p_does(x: Tensor) -> None:
    rows = icon.p.KNN(n_neighbors=4)(x)
    drawn = PairSampler(rows).walks(3).debias(0.2).debias(0.5)
    assert (drawn.steps, drawn.alpha, drawn.rows) == (3, pytest.approx(0.6), rows)
    computed = PairSampler(rows).walks(2).symmetrize("union")
    expected = rows.walks(2).symmetrize("union")
    assert torch.equal(computed.rows.to_dense(), expected.to_dense())
    assert computed.steps == 1


@pytest.mark.parametrize(
    "inputs",
    [
        pd.DataFrame(np.eye(N, 5)), sp.csr_array(np.eye(N, 5)), TensorDataset(torch.eye(N, 5)), [[0.0] * 5] * N,
        DataLoader(TensorDataset(torch.eye(N, 5)), batch_size=4), iter([torch.eye(N, 5)]), np.eye(N, 5).astype(object),
    ],
    ids=lambda inputs: type(inputs).__name__,
)  # fmt: skip
def test_batches_are_rows_of_a_tensor_or_an_array(inputs: Any) -> None:
    expected = rf"^inputs: got {type(inputs).__name__} \(.*\), expected a tensor or an array with batch_size"
    with pytest.raises(TypeError, match=expected):
        fit(icon.method("supcon"), MLP(5, 3), inputs, torch.arange(N) // 2, steps=1, batch_size=4)


class Named(nn.Linear):
    """A network with outputs by name, as those of some libraries."""

    def forward(self, x: Tensor) -> Any:
        return {"embedding": super().forward(x)}


@pytest.mark.parametrize("batch_size", [None, 8])
def test_a_mapper_gives_tensors(batch_size: int | None, x: Tensor) -> None:
    with pytest.raises(TypeError, match=r"^mapper: got an output of dict, expected a tensor, or a pair of them"):
        fit(icon.method("supcon"), Named(5, 3), x, torch.arange(N) // 2, steps=1, batch_size=batch_size)


def test_an_array_of_tokens_stays_one_of_integers() -> None:
    tokens = np.arange(2 * N).reshape(N, 2) % 7
    model = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2))
    ours, theirs = (
        fit(icon.method("supcon"), copy.deepcopy(model), x, torch.arange(N) // 2, steps=2, batch_size=8)
        for x in (tokens, torch.from_numpy(tokens))
    )
    assert ours == theirs


def test_a_sampler_of_pairs_is_one_of_all_points(x: Tensor) -> None:
    with pytest.raises(TypeError, match=r"^rows: got KNN, expected prepared ones, such as"):
        PairSampler(icon.p.KNN(4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^target: got 20 rows, expected 30 \(one per row of the inputs\)"):
        fit(sne(), MLP(5, 3), x, PairSampler(sne().p(x[:20])), steps=1, batch_size=8)


def test_a_sampler_needs_a_number_of_rows(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^batch_size: got None with a sampler, expected how many rows it draws"):
        fit(sne(), MLP(5, 3), x, PairSampler(sne().p(x)), steps=1)


def test_batches_need_a_label_for_each_input() -> None:
    x, loss = torch.randn(20, 4), icon.method("cross-entropy")
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), Prototypes(5, 3))
    with pytest.raises(ValueError, match=r"^labels: got 10 entries, expected 20"):
        fit(loss, model, x, torch.zeros(10, dtype=torch.int64), steps=2, learning_rate=0.01, batch_size=4)
    rows = icon.p.DataLabel(n_classes=5)(torch.zeros(20, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"^target: got prepared rows with batch_size"):
        fit(loss, model, x, rows, steps=2, learning_rate=0.01, batch_size=4)


# -- schedules, clipping, curves --------------------------------------------------------------------------------------

SCHEDULES: dict[str, Callable[[Optimizer], LRScheduler]] = {
    "one cycle": lambda method: lr_scheduler.OneCycleLR(method, 0.1, total_steps=20),
    "plateau": lambda method: lr_scheduler.ReduceLROnPlateau(method, patience=0, threshold=0.05),
    "warm-up": lambda method: lr_scheduler.SequentialLR(
        method, [lr_scheduler.LinearLR(method, 0.1, total_iters=4), lr_scheduler.ExponentialLR(method, 0.9)], [4]
    ),
}


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_a_schedule_of_torch_moves_the_rate_and_resumes(name: str, x: Tensor, tmp_path: Path) -> None:
    def one(steps: int, checkpoint: Path | None) -> tuple[list[float], Tensor]:
        methods: list[Optimizer] = []

        def optimizer(parameters: list[nn.Parameter]) -> Optimizer:
            methods.append(torch.optim.Adam(parameters, lr=0.05))
            return methods[0]

        def note(*_: Any) -> None:
            rates.append(methods[0].param_groups[0]["lr"])

        rates: list[float] = []
        torch.manual_seed(0)
        model = MLP(5, 2, 8)
        fit(icon.method("sne", perplexity=5.0), model, x, x, steps=steps, optimizer=optimizer, callback=note,
            schedule=SCHEDULES[name], checkpoint=checkpoint, checkpoint_every=3)  # fmt: skip
        return rates, nn.utils.parameters_to_vector(model.parameters()).detach()

    rates, whole = one(14, None)
    assert len(set(rates)) > 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, _ = one(7, tmp_path / "run")
        rest, resumed = one(14, tmp_path / "run")
    assert first + rest == rates
    assert torch.equal(whole, resumed)
    with pytest.raises(ValueError, match="with schedule"):
        fit(icon.method("sne", perplexity=5.0), MLP(5, 2, 8), x, x, checkpoint=tmp_path / "run")


def test_a_run_with_another_function_of_the_rate_is_refused(x: Tensor, tmp_path: Path) -> None:
    def one(factor: float, steps: int) -> list[float]:
        torch.manual_seed(0)
        schedule = partial(lr_scheduler.LambdaLR, lr_lambda=lambda step: factor**step)
        return fit(icon.method("sne", perplexity=5.0), MLP(5, 2, 8), x, x, steps=steps, schedule=schedule,
                   checkpoint=tmp_path / "run").losses  # fmt: skip

    first = one(0.9, 3)
    with pytest.raises(ValueError, match=r"^checkpoint: got .*run of a run with another schedule \(delete it"):
        one(0.8, 6)
    assert one(0.9, 6)[:3] == first


class Halved:
    """A schedule that holds a function, which in another process is at another place."""

    def __init__(self) -> None:
        self.of = lambda step: 0.5**step

    def __call__(self, step: int) -> float:
        return self.of(step)


def test_a_schedule_is_known_by_what_it_holds_and_not_by_its_place(x: Tensor, tmp_path: Path) -> None:
    for steps in (2, 3):
        torch.manual_seed(0)
        schedule = partial(lr_scheduler.LambdaLR, lr_lambda=Halved())
        fit(sne(), MLP(5, 2, 8), x, x, steps=steps, schedule=schedule, checkpoint=tmp_path / "run")


def test_an_optimizer_that_takes_no_single_gradient_is_refused(x: Tensor) -> None:
    for optimizer, kind in ((torch.optim.LBFGS, "LBFGS"), (lambda parameters: None, "NoneType")):
        with pytest.raises(TypeError, match=rf"^optimizer: got one that gives {kind}, expected"):
            fit(icon.method("sne", perplexity=5.0), MLP(5, 2, 8), x, x, steps=2, optimizer=optimizer)


def test_what_is_no_module_is_refused(x: Tensor) -> None:
    for loss, mapper, name in ((None, MLP(5, 2, 8), "loss"), (icon.method("sne"), None, "mapper")):
        with pytest.raises(TypeError, match=rf"^{name}: got NoneType, expected an nn.Module"):
            fit(loss, mapper, x)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seed": 1.5}, "seed: got 1.5, expected None or an integer"),
        ({"seed": 2**64}, "seed: got 18446744073709551616, expected None or an integer of 64 bits"),
        ({"callback": 5}, "callback: got 5, expected None or a function"),
        ({"optimizer": "adam"}, "optimizer: got 'adam', expected None or a function"),
        ({"schedule": 5}, "schedule: got 5, expected None or a function"),
        ({"teacher": MLP(5, 3)}, "teacher: got MLP, expected an icon.nn.EMA"),
        ({"checkpoint": 5}, "checkpoint: got 5, expected a path"),
        ({"identity": "a"}, "identity: got 'a', expected a mapping of names"),
        ({"loss": icon.method("sne", perplexity=5, reduction="none")}, r"loss: got a value of shape \(30,\), exp"),
        ({"mapper": MLP(5, 3).append(nn.Flatten(0)), "batch_size": 8}, r"mapper: got an output of shape \(48,\)"),
        ({"mapper": nn.Sequential(MLP(5, 3), Prototypes(3, 3)), "batch_size": 8}, "mapper: got an output of tuple"),
    ],
)  # fmt: skip
def test_an_argument_of_another_kind_is_refused_before_a_step(change: dict[str, Any], line: str, x: Tensor) -> None:
    model = MLP(5, 3)
    arguments = {"loss": icon.method("sne", perplexity=5.0), "mapper": model, "inputs": x, "target": x, "steps": 2}
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    with pytest.raises((ValueError, TypeError), match=rf"^{line}"):
        fit(**{**arguments, **change})
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), before)


def test_a_mapper_stays_in_its_mode_where_a_run_is_refused(x: Tensor) -> None:
    model = MLP(5, 3).eval()
    with pytest.raises(ValueError, match=r"^labels: got 29 entries"):
        fit(icon.method("supcon"), model, x, torch.arange(N - 1), steps=1, batch_size=8)
    assert not model.training


def test_an_optimizer_and_a_schedule_of_something_else_are_refused(x: Tensor) -> None:
    other, loss = torch.optim.SGD(MLP(5, 3).parameters(), 0.1), icon.method("sne", perplexity=5.0)
    with pytest.raises(ValueError, match=r"^optimizer: got one of other parameters, expected one of those"):
        fit(loss, MLP(5, 3), x, x, steps=2, optimizer=lambda parameters: other)
    with pytest.raises(ValueError, match=r"^schedule: got a scheduler of another optimiser"):
        fit(loss, MLP(5, 3), x, x, steps=2, schedule=lambda method: lr_scheduler.StepLR(other, 1))


def test_numbers_of_numpy_and_torch_are_kept_in_a_checkpoint(x: Tensor, tmp_path: Path) -> None:
    def one(steps: int, path: Path | None) -> list[float]:
        torch.manual_seed(0)
        return fit(clusters(), MLP(5, 3), x, x, steps=steps, batch_size=np.int64(8), seed=np.int64(3), checkpoint=path,
                   optimizer=lambda ps: torch.optim.Adam(ps, lr=torch.tensor(0.1))).losses  # fmt: skip

    one(3, tmp_path / "run")
    assert one(6, tmp_path / "run") == one(6, None)


def test_a_schedule_that_is_none(x: Tensor) -> None:
    loss, model = icon.method("sne", perplexity=5.0), MLP(5, 2, 8)
    with pytest.raises(ValueError, match=r"^schedule: got a schedule as well as decay=True"):
        fit(loss, model, x, x, decay=True, schedule=SCHEDULES["one cycle"])
    with pytest.raises(TypeError, match=r"^schedule: got one that gives NoneType"):
        fit(loss, model, x, x, schedule=lambda method: None)


def test_long_gradients_are_shortened(x: Tensor) -> None:
    def moved(max_norm: float | None) -> float:
        torch.manual_seed(0)
        model = MLP(5, 2, 8)
        before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        fit(icon.method("sne", perplexity=5.0), model, x, x, steps=1, max_norm=max_norm,
            optimizer=lambda ps: torch.optim.SGD(ps, lr=1.0))  # fmt: skip
        return float((nn.utils.parameters_to_vector(model.parameters()).detach() - before).norm())

    free = moved(None)
    assert moved(free / 2) == pytest.approx(free / 2, rel=1e-4)
    assert moved(free * 2) == pytest.approx(free, rel=1e-6)
    with pytest.raises(ValueError, match=r"^max_norm: got 0"):
        moved(0.0)


def test_curves_for_tensorboard(x: Tensor, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = icon.training.TensorBoard(tmp_path / "run")
    done = fit(icon.method("sne", perplexity=5.0), MLP(5, 2, 8), x, x, steps=5, callback=board)
    again = copy.deepcopy(board)
    again.folder = str(tmp_path / "restarts")
    icon.Clustering(3, max_iter=4, n_init=2, init="random", callback=again).fit(x.numpy())
    board.close()
    again.close()
    events, others = (EventAccumulator(str(tmp_path / name)).Reload() for name in ("run", "restarts"))
    assert np.allclose([event.value for event in events.Scalars("loss")], done.losses)
    assert [len(others.Scalars(tag)) for tag in ("loss", "loss 2")] == [4, 4]


def test_curves_without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icon.training.tensorboard.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"^tensorboard: not installed"):
        icon.training.TensorBoard("runs")
