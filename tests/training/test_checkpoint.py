"""A checkpoint belongs to one run: of its data, its p, its start and its settings."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import make_blobs
from torch import nn

import icon
from icon.training.checkpoint import Checkpoint
from icon.training.digest import digest
from icon.training.shares import Ranks

X = make_blobs(90, centers=3, n_features=4, random_state=0)[0]
Z, IDS = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) // 2


def clustering(path: Path | None, **hyper: object) -> icon.Clustering:
    settings = {"max_iter": 20, "n_init": 1, "random_state": 0, "init": "k-means", "n_neighbors": 5, **hyper}
    return icon.Clustering(3, checkpoint=path, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"walks": 2}, "walks"), ({"debias": 0.5}, "debias"), ({"n_neighbors": 6}, "n_neighbors"),
        ({"learning_rate": 1e-4}, "learning_rate"), ({"init": "random"}, "init"), ({"random_state": 1}, "seed"),
        ({"max_iter": 30}, "steps"), ({"hidden": 32}, "hidden"), ({"mapper": "linear"}, "mapper"),
        ({"batch_size": 32}, "batch_size"), ({"hyper": {"metric": "cosine"}}, "loss"), ({"ema": 0.5}, "ema"),
    ],
)  # fmt: skip
def test_a_run_of_another_setting_is_refused_by_its_name(tmp_path: Path, change: dict[str, object], named: str) -> None:
    clustering(tmp_path / "run").fit(X)
    with pytest.raises(ValueError, match=rf"^checkpoint: got .*run.0 of a run with {named} "):
        clustering(tmp_path / "run", **change).fit(X)


def test_other_data_are_refused(tmp_path: Path) -> None:
    clustering(tmp_path / "run").fit(X)
    moved = X.copy()
    moved[3, 1] += 1e-9  # p is the same
    with pytest.raises(ValueError, match=r"^checkpoint: got .* of a run with another (data|start) "):
        clustering(tmp_path / "run").fit(moved)


def fitted(path: Path, resume: bool = True, steps: int = 10) -> list[float]:
    torch.manual_seed(0)
    mapper = nn.Linear(3, 2)
    return icon.training.fit(
        icon.method("t-simcne"), mapper, Z, IDS, steps=steps, checkpoint=path, resume=resume, checkpoint_every=4
    ).losses


def test_a_graph_is_known_by_its_edges(tmp_path: Path) -> None:
    """Whatever form it has: scipy, igraph and networkx do not tell their edges when they are printed."""
    ring = [(i, (i + 1) % 8) for i in range(8)]
    loss = icon.loss("gaussian", "graph")

    def run(graph: object, steps: int) -> None:
        torch.manual_seed(0)
        mapper = icon.nn.Lookup(8, 2)
        icon.training.fit(loss, mapper, torch.arange(8), graph, steps=steps, checkpoint=tmp_path / "run")

    run(igraph.Graph(8, ring), 2)
    run(igraph.Graph(8, ring), 4)
    run(nx.to_scipy_sparse_array(nx.cycle_graph(8)), 6)
    with pytest.raises(ValueError, match=r"^checkpoint: got .* of a run with another p "):
        run(nx.to_scipy_sparse_array(nx.path_graph(8)), 8)


def test_it_starts_afresh_when_asked(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"another file")
    with pytest.raises(ValueError, match=r"^checkpoint: got .* expected a checkpoint of icon"):
        fitted(tmp_path / "run")
    first = fitted(tmp_path / "run", resume=False)
    assert fitted(tmp_path / "run", steps=20)[:10] == first


def test_a_run_of_more_steps_is_refused(tmp_path: Path) -> None:
    fitted(tmp_path / "run", steps=10)
    with pytest.raises(ValueError, match=r"^checkpoint: got .*run after 10 steps, expected at most 9 \(delete it"):
        fitted(tmp_path / "run", steps=9)


def test_the_folder_is_tried_before_the_first_step(tmp_path: Path) -> None:
    steps: list[int] = []
    with pytest.raises(ValueError, match=r"^checkpoint: got .*nowhere.* expected a file in a folder"):
        clustering(tmp_path / "nowhere" / "run", callback=lambda step, *_: steps.append(step)).fit(X)
    assert not steps


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_have_the_mode_that_the_umask_gives(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        clustering(tmp_path / "run").fit(X).save(tmp_path / "model")
        icon.method("clip", learnable=True).save(tmp_path / "loss")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o666 & ~mask}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name, write in (("run", lambda path: fitted(path, resume=False)), ("loss", icon.method("clip").save)):
        link = tmp_path / name
        link.symlink_to(tmp_path / "elsewhere" / name)
        write(link)
        assert link.is_symlink()
        assert (tmp_path / "elsewhere" / name).stat().st_size > 0


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        fitted(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_digests_tell_apart_what_differs() -> None:
    x = np.arange(6.0)
    things = [x, x.reshape(2, 3), x.astype(np.float32), x + 1e-15, [x], None, "x", 1, 1.0, torch.tensor(x), {"a": x}]
    things += [
        icon.p.KNN(1)(np.eye(3)),
        icon.p.KNN(2)(np.eye(3)),
        icon.p.KNN(1)(np.eye(3)).debias(0.1),
        nn.Linear(2, 2),
    ]
    found = [digest(thing) for thing in things]
    assert found[0] == found[9]  # a tensor and its array
    assert len(set(found)) == len(things) - 1
    assert digest(x, "a") != digest("a", x)
    assert digest(torch.ones(3, dtype=torch.bfloat16)) == digest(torch.ones(3, dtype=torch.bfloat16))


def test_digests_see_all_of_what_is_printed_in_part() -> None:
    numbers = np.zeros(2000, dtype=int)
    changed = numbers.copy()
    changed[1000] = 1
    for kind in (pd.Series, pd.DataFrame, lambda x: x.astype(str), lambda x: pd.Series(x.astype(str))):
        assert digest(kind(numbers)) == digest(kind(numbers))
        assert digest(kind(numbers)) != digest(kind(changed))


def of_a_network(path: Path, steps: int, *, layer: nn.Module | None = None, decay: Any = None, **more: object) -> None:
    torch.manual_seed(0)
    mapper = nn.Sequential(nn.Linear(3, 4), nn.ReLU() if layer is None else layer, nn.Linear(4, 2))
    if more.pop("frozen", False):
        mapper[0].requires_grad_(False)
    teacher = None if decay is None else icon.nn.EMA(mapper, decay)
    icon.training.fit(icon.method("supcon"), mapper, Z, IDS, steps=steps, checkpoint=path, teacher=teacher, **more)


def adam_with(weight_decay: float) -> object:
    return lambda parameters: torch.optim.AdamW([{"params": parameters, "weight_decay": weight_decay}])


@pytest.mark.parametrize(
    ("first", "then", "line"),
    [
        ({}, {"layer": nn.GELU()}, "another model"),
        ({"layer": nn.Dropout(0.1)}, {"layer": nn.Dropout(0.5)}, "another model"),
        ({}, {"frozen": True}, "another model"),
        ({"decay": 0.9}, {}, "teacher 0.9, expected None"),
        ({}, {"decay": 0.9}, "teacher None, expected 0.9"),
        ({"decay": lambda step: 0.5}, {"decay": lambda step: 0.9}, "teacher a schedule from 0.5 and 0.5, expected a s"),
        ({"optimizer": adam_with(0.1)}, {"optimizer": adam_with(0.2)}, "optimizer settings"),
        ({"identity": {"data set": "a"}}, {}, "data set a, expected None"),
        ({"identity": {"data": "a"}}, {"identity": {"data": "b"}}, "identity.data a, expected b"),
    ],
)  # fmt: skip
def test_a_run_of_another_network_is_refused(
    tmp_path: Path, first: dict[str, object], then: dict[str, object], line: str
) -> None:
    of_a_network(tmp_path / "run", 2, **first)
    of_a_network(tmp_path / "run", 4, **first)
    with pytest.raises(ValueError, match=rf"^checkpoint: got .*run of a run with {line}"):
        of_a_network(tmp_path / "run", 6, **then)


class WithQueue(nn.Linear):
    """A network whose state is more than tensors: that of a queue tells how many rows it has."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.queue = icon.training.Queue(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = super().forward(x)
        self.queue.push(z[: 1 + len(self.queue) % 2])
        return z


def test_state_beside_tensors_is_kept(tmp_path: Path) -> None:
    def run(steps: int, path: Path | None) -> tuple[list[float], torch.Tensor]:
        torch.manual_seed(0)
        mapper = WithQueue()
        losses = icon.training.fit(icon.method("supcon"), mapper, Z, IDS, steps=steps, checkpoint=path).losses
        return losses, mapper.queue.rows

    run(3, tmp_path / "run")
    (losses, rows), (expected, expected_rows) = run(4, tmp_path / "run"), run(4, None)
    assert losses == expected
    assert torch.equal(rows, expected_rows)


class WithState(nn.Linear):
    """A module with a state beside its tensors, of any kind."""

    given: Any = None
    put_back: Any = None

    def get_extra_state(self) -> Any:
        return self.given

    def set_extra_state(self, state: Any) -> None:
        self.put_back = state


def test_state_of_any_kind_comes_back_as_it_was_or_is_refused_at_once(tmp_path: Path) -> None:
    def run(state: Any, steps: int) -> Any:
        mapper = WithState(3, 2)
        mapper.given = state
        nn.init.eye_(mapper.weight)
        nn.init.zeros_(mapper.bias)
        icon.training.fit(icon.method("supcon"), mapper, Z, IDS, steps=steps, checkpoint=tmp_path / "run")
        return mapper.put_back

    given = {"range": (0, 2.5), 3: [None, "three"]}
    assert [run(given, 1), run(given, 2)] == [None, given]
    with pytest.raises(TypeError, match=r"^mapper._extra_state: got bytes, which no file can hold"):
        run(b"state", 1)


def test_the_draws_of_a_gpu_are_those_of_its_own_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may be on another GPU than the current one."""
    states = {
        device: torch.tensor([k], dtype=torch.uint8) for k, device in enumerate((torch.device("cuda", 1), "cuda"))
    }
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device="cuda": states[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device="cuda": found.append((int(state), device)))
    loss, mapper, found = icon.method("supcon"), nn.Linear(3, 2), []
    ranks = Ranks(None, 0, torch.device("cuda", 1))
    run = Checkpoint(loss, mapper, torch.optim.SGD(mapper.parameters()), None, None, {}, tmp_path / "run", ranks)
    run.save([1.0], False)
    run.begin(True, 1)
    assert found == [(0, torch.device("cuda", 1))]


def test_another_file_of_icon_is_no_checkpoint(tmp_path: Path) -> None:
    icon.method("clip").save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"^checkpoint: got .*, expected a checkpoint of icon"):
        fitted(tmp_path / "run")


@pytest.mark.parametrize("name", [b"losses", b"numbers", b"groups", b"lr", b"random.cpu", b"optimizer.0.step"])
def test_a_damaged_file_is_refused_whatever_it_still_has(tmp_path: Path, name: bytes) -> None:
    fitted(tmp_path / "run")
    whole, damaged = (tmp_path / "run").read_bytes(), bytes([name[0] ^ 1]) + name[1:]
    (tmp_path / "run").write_bytes(whole.replace(name, damaged))
    with pytest.raises(ValueError, match=r"^checkpoint: got .*run \(damaged\), expected a checkpoint of icon"):
        fitted(tmp_path / "run")


class Halves:
    """A sampler of one's own."""

    def __init__(self, labels: torch.Tensor) -> None:
        self.labels = labels

    def draw(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.randperm(len(self.labels))[:size]
        return rows, self.labels[rows]


class Spread(nn.Module):
    """A loss of one's own, which has no p."""

    def forward(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return -z.square().mean()


@pytest.mark.skipif("ICON_CHECK_SHAPES" in os.environ, reason="the signatures name an icon.Loss")
def test_a_loss_without_a_p_has_checkpoints(tmp_path: Path) -> None:
    for steps in (2, 3):
        torch.manual_seed(0)
        done = icon.training.fit(
            Spread(), nn.Linear(3, 2), Z, Halves(IDS), steps=steps, batch_size=4, checkpoint=tmp_path / "run"
        )
        assert len(done.losses) == steps


def test_a_sampler_is_known_by_what_it_holds_and_not_by_its_place() -> None:
    assert digest(Halves(IDS)) == digest(Halves(IDS.clone()))
    assert digest(Halves(IDS)) != digest(Halves(IDS + 1))
