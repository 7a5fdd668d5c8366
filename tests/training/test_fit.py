"""The training loop: it descends, stops and resumes bit by bit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler

import icon
from icon.estimators.momentum import MomentumGains
from icon.nn.mappers import MLP, Lookup, Prototypes
from icon.p.base import Sets
from icon.training.fit import fit
from icon.training.sampler import prepare
from icon.training.state import seeded
from tests.training.runs import N, clusters, noisy, same, sne, state

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


# -- optimisers, clipping, curves --------------------------------------------------------------------------------------


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
