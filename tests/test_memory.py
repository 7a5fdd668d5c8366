"""Nothing of size n x m where p is sparse, and nothing twice where p was prepared."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import icon
from tests.cases import ROWS, SPARSE_COLUMNS, normal
from tests.combinations import few_are_fast

ROOT = Path(__file__).parents[1]
N, D, C, BLOCK, CLASSES = 1500, 8, 6, 50, 10
EDGES = N * N // CLASSES  # what expanded classes would take


class Recorder(TorchDispatchMode):
    """Remembers how many numbers the largest tensor has that any operation made, and every operation."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.by = ""
        self.made: list[tuple[str, int, torch.dtype]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                size = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
                self.made.append((str(func), size, tensor.dtype))
                if size > self.largest:
                    self.largest, self.by = size, str(func)
        return result


@contextmanager
def recorded() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def knn_target() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 3))


def ring_graph() -> sp.csr_array:
    i = np.arange(N)
    a = sp.coo_array((np.ones(2 * N), (np.r_[i, (i + 1) % N], np.r_[(i + 1) % N, i])), shape=(N, N))
    return sp.csr_array(a)


TARGETS: dict[str, Any] = {
    "identity": lambda: N,
    "graph": ring_graph,
    "knn": knn_target,
    "pairs": lambda: np.arange(N) // 2,
    "cross-modal": lambda: N,
    "classes": lambda: np.arange(N) % CLASSES,
    "data-label": lambda: np.arange(N) % CLASSES,
}


def sparse_input(row: str, column: str) -> tuple[Any, list[Tensor]]:
    d = C if row == "clusters" else D
    z = normal(N, d, grad=True)
    if column in ("cross-modal", "data-label"):
        other = normal(N if column == "cross-modal" else CLASSES, d, seed=1, grad=True)
        return (z, other), [z, other]
    return z, [z]


def bound(m: int) -> int:
    """A tile, the features with their extra columns, or the edges of a few neighbours: far below n x m."""
    return max(BLOCK * m, N * (D + 4), N * 15)


@pytest.mark.parametrize(("row", "column", "debias"), few_are_fast(ROWS, SPARSE_COLUMNS, [0.0, 0.3]))
def test_sparse_cells_make_nothing_dense(row: str, column: str, debias: float) -> None:
    loss = icon.loss(row, column, debias=debias, block=BLOCK)
    rows = loss.p(TARGETS[column]()) if debias == 0 or column != "cross-modal" else None
    input, leaves = sparse_input(row, column)
    with recorded() as recorder:
        loss(input, rows).backward()
    assert all(leaf.grad is not None for leaf in leaves)
    m = CLASSES if column == "data-label" else N
    assert recorder.largest <= bound(m), recorder.by
    assert bound(N) < N * N // 20


@pytest.mark.parametrize("column", [c for c in SPARSE_COLUMNS if c != "knn"])
def test_preparing_a_sparse_p_makes_nothing_dense(column: str) -> None:
    p = icon.loss("gaussian", column, debias=0.2).p
    target = TARGETS[column]()
    with recorded() as recorder:
        rows = p(target)
        rows.entropy()
    assert recorder.largest <= N * 15, recorder.by


@pytest.mark.parametrize("overlap", ["product", "jaccard"])
def test_soft_labels_of_many_points_make_nothing_dense(overlap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icon.p.label_matrices.CPU_PAIRS", 0)
    monkeypatch.setattr("icon.p.masses.base.TILE_ENTRIES", BLOCK * N)
    y = np.random.default_rng(0).integers(0, 2, size=(N, CLASSES))
    y[:, 0] = 1
    z = normal(N, D, grad=True)
    with recorded() as recorder:
        icon.loss("gaussian", "classes", overlap=overlap, block=BLOCK)(z, y).backward()
    assert recorder.largest <= bound(N), recorder.by


@pytest.mark.slow
def test_blocks_of_soft_labels_leave_no_holes() -> None:
    """What the process takes at its peak: tensors that go, one by one, need not leave room that is used again."""
    script = (
        "import torch, icon; from benchmarks.measure import peak_of_this_process as peak; "
        "icon.p.Classes()(torch.rand(30000, 4)).entropy(); print(peak())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) * 2**20 < 30000**2 * 8 / 8  # an eighth of the matrix of all pairs


def test_the_default_block_is_smaller_than_the_whole() -> None:
    n = 8000
    z = normal(n, 4).float().requires_grad_()
    rows = icon.p.Pairs()(np.arange(n) // 2)
    with recorded() as recorder:
        icon.method("simclr")(z, rows).backward()
    assert recorder.largest <= n * n // 10, recorder.by


@pytest.mark.parametrize(
    ("options", "debias"),
    few_are_fast(
        [
            {}, {"normalization": "joint"}, {"divergence": "js"}, {"reduction": "none"},
            {"normalization": "joint", "divergence": "js"},
        ],
        [0.0, 0.2],
    ),
    ids=str,
)  # fmt: skip
def test_classes_are_never_expanded(options: dict[str, Any], debias: float) -> None:
    z, labels = normal(N, 3, grad=True), np.arange(N) % CLASSES
    loss = icon.loss("student-t", "classes", debias=debias, block=BLOCK, **options)
    with recorded() as recorder:
        loss(z, labels).sum().backward()
    assert recorder.largest <= bound(N) < EDGES, recorder.by


@pytest.mark.parametrize("column", ["cross-modal", "pairs"])
def test_many_to_many_pairs_are_never_expanded(column: str) -> None:
    a, c = normal(N, 3, grad=True), normal(N, 3, seed=1, grad=True)
    ids = (np.arange(N) % CLASSES, np.arange(N) % CLASSES)
    loss = icon.loss("gaussian", column, block=BLOCK)
    rows = loss.p(ids)
    with recorded() as recorder:
        loss((a, c), rows).backward()
    assert recorder.largest <= bound(N) < EDGES, recorder.by


@pytest.mark.parametrize(("name", "column"), few_are_fast(["js", "hellinger"], ["knn", "graph", "classes"]))
def test_divergences_make_nothing_dense(name: str, column: str) -> None:
    z = normal(N, D, grad=True)
    loss = icon.loss("student-t", column, divergence=name, block=BLOCK)
    rows = loss.p(TARGETS[column]())
    with recorded() as recorder:
        loss(z, rows).backward()
    assert recorder.largest <= bound(N), recorder.by


# -- the second use ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"normalization": "joint"}, {"divergence": "js"}], ids=str)
@pytest.mark.parametrize("column", ["gaussian", "knn", "classes", "cross-modal"])
def test_prepared_rows_are_not_computed_again(column: str, options: dict[str, Any]) -> None:
    """The second step converts, symmetrises and takes the logarithm of nothing that belongs to p alone."""
    if column == "cross-modal" and options.get("normalization") == "joint":
        options = {}
    n = 60
    x = np.random.default_rng(0).normal(size=(n, 3))
    target = {"gaussian": x, "knn": x, "classes": np.arange(n) % 3, "cross-modal": n}[column]
    z = normal(n, 2).float()
    input = (z, normal(n, 2, seed=1).float()) if column == "cross-modal" else z
    loss = icon.loss("student-t", column, **options)
    rows = loss.p(target)
    with recorded() as first:
        loss(input, rows)
    with recorded() as second:
        loss(input, rows)
    count = rows.n_edges if column in ("knn", "gaussian") else n
    doubles = [made for made in second.made if made[2] == torch.float64 and made[1] >= count]
    assert len(second.made) < len(first.made)
    assert not [made for made in doubles if "xlogy" in made[0] or "log" in made[0]]
    assert not [made for made in second.made if "_to_copy" in made[0] and made[1] >= count and made[1] > n]


def test_cached_things_are_the_same_objects() -> None:
    rows = icon.p.KNN(n_neighbors=3).debias(0.1)(np.random.default_rng(0).normal(size=(20, 3)))
    assert rows.entropy() is rows.entropy()
    cpu = torch.device("cpu")
    assert rows.to(cpu, torch.float32) is rows.to(cpu, torch.float32)
    assert rows.to(cpu, torch.float64) is rows
    wider = icon.Support(20, 20, False)
    assert rows.on(wider) is rows.on(wider)
    assert icon.p.KNN(n_neighbors=3)(rows) is rows


def test_prepared_rows_do_not_keep_the_embedding_alive() -> None:
    rows = icon.p.Classes()(np.arange(30) % 3)
    z = normal(30, 2, grad=True)
    icon.Loss(icon.p.Classes(), icon.q.StudentT())(z, rows).backward()
    watched = weakref.ref(z)
    del z
    gc.collect()
    assert watched() is None


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_an_exact_p_too_large_for_the_machine_is_refused_before_anything_is_made() -> None:
    n = 2_000_000
    x = torch.zeros(n, 2)
    with recorded() as recorder, pytest.raises(MemoryError, match=r"2000000 x 2000000.*GiB.*free.*n_neighbors"):
        icon.p.Gaussian(perplexity=30, n_neighbors=None)(x)
    assert recorder.largest <= 2 * x.numel(), recorder.by


def test_the_same_refusal_through_the_loss() -> None:
    n = 2_000_000
    z = torch.zeros(n, 2)
    with recorded() as recorder, pytest.raises(MemoryError, match="GiB"):
        icon.method("tsne", n_neighbors=None)(z, z)
    assert recorder.largest <= 2 * z.numel(), recorder.by


def test_a_students_t_p_that_does_not_fit_is_refused_as_well() -> None:
    with pytest.raises(MemoryError, match="n_neighbors"):
        icon.p.StudentT()(torch.zeros(1, 3).expand(3_000_000, 3))


@pytest.mark.slow
@pytest.mark.parametrize("slug", ["simclr", "supcon", pytest.param("t-simcne", marks=pytest.mark.slow)])
def test_the_estimate_is_of_the_right_size(slug: str) -> None:
    """Against what the process really takes, in a process of its own."""
    code = f"""
import torch, icon
from benchmarks.measure import peak_of_this_process as peak
torch.set_num_threads(1)
loss, y = icon.method({slug!r}), torch.arange(12000) % 6000
small = torch.randn(256, 64, requires_grad=True)
loss(small, torch.arange(256) % 128).backward()
z = torch.randn(12000, 64, requires_grad=True)
before = peak()
loss(z, y).backward()
print((peak() - before) * 2**20 / loss.memory_estimate(12000, 64))
"""
    # A fixed threshold makes glibc return every large buffer at once, so that the peak is of what is alive.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "1048576"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert 0.3 < float(done.stdout) < 2


def test_a_run_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icon._checks.available_memory", lambda: 2**20)
    with pytest.raises(
        MemoryError, match=r"^a loss of 2000 x 2000 points needs .* GiB, but .* GiB are free; give block="
    ):
        icon.method("simclr")(torch.randn(2000, 32), torch.arange(2000) // 2)


def test_free_memory_is_asked_for_once_per_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("icon._checks.available_memory", lambda: asked.append(1) or 2**40)
    z, ids = torch.randn(1100, 7), torch.arange(1100) // 2
    loss = icon.method("simclr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            loss(z, ids)
            icon.p.Gaussian(perplexity=5)(z)  # a few bytes are there
    assert len(asked) == 1
