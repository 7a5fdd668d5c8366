"""Fits choose their number of threads, and leave that of the caller as it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

import icon
from icon._threads import PAYS, paying

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def _caller_has_three() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def seen(kind: str, **given: Any) -> set[int]:
    """The numbers of threads with which a small fit computes."""
    found: set[int] = set()

    def look(*_: Any) -> None:
        found.add(torch.get_num_threads())

    common = {"max_iter": 3, "callback": look, "random_state": 0, **given}
    model = icon.Clustering(2, n_init=1, init="random", **common) if kind == "clustering" else icon.Embedding(**common)
    model.fit(X)
    assert torch.get_num_threads() == 3
    return found


KINDS = pytest.mark.parametrize("kind", ["clustering", "embedding"])
pytestmark = pytest.mark.filterwarnings("ignore:perplexity. lowered")


@KINDS
def test_small_operations_take_one_thread(kind: str) -> None:
    assert seen(kind) == {1}


@pytest.mark.parametrize("search", ["exact", "approximate"])
def test_a_large_search_takes_the_threads_of_torch(search: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def look(*_: Any, **__: Any) -> Any:
        found.append(torch.get_num_threads())
        raise KeyboardInterrupt

    name = "_approximate" if search == "approximate" else "exact_neighbors"
    monkeypatch.setattr(f"icon.neighbors.search.{name}", look)
    monkeypatch.setattr("icon._threads.PAYS", 100)  # a small search is a large one, then
    with pytest.raises(KeyboardInterrupt):
        icon.Clustering(2, n_neighbors=3, hyper={"search": search}, metric="sqeuclidean").fit(X)
    assert found == [3]


@KINDS
def test_n_jobs_is_what_a_fit_takes(kind: str) -> None:
    assert seen(kind, n_jobs=2) == {2}


@pytest.mark.slow
@KINDS
def test_a_module_of_ones_own_counts_by_its_operations(kind: str) -> None:
    assert seen(kind, mapper=torch.nn.Linear(5, 2)) == {1}
    layer = torch.nn.Linear(2000, 2000)
    deep = torch.nn.Sequential(torch.nn.Linear(5, 2000), *[layer] * 9, torch.nn.Linear(2000, 2))
    assert seen(kind, mapper=deep, max_iter=1) == {2}


@KINDS
def test_more_threads_than_cores_are_the_cores(kind: str) -> None:
    """A million threads ended the process."""
    assert seen(kind, n_jobs=10**6) == {joblib.cpu_count()}


@KINDS
@pytest.mark.parametrize(("n_jobs", "error"), [(0, ValueError), (1.5, TypeError), ("all", TypeError)])
def test_n_jobs_refused(kind: str, n_jobs: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^n_jobs: got .*, expected None, a number of threads, or -1 for all cores"):
        seen(kind, n_jobs=n_jobs)


@KINDS
def test_an_error_restores_the_setting(kind: str) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        seen(kind, callback=fail)
    assert torch.get_num_threads() == 3


def test_large_operations_take_what_pays() -> None:
    """Within a fit; outside of one the caller's setting stays."""
    found = []

    def look(*_: Any) -> None:
        for work in (PAYS // 2, 2 * PAYS, 100 * PAYS):
            with paying(lambda work=work: work):
                found.append(torch.get_num_threads())

    icon.Clustering(2, n_init=1, max_iter=1, init="random", callback=look).fit(X)
    assert found == [1, 2, 3]
    with paying(lambda: 100 * PAYS):
        assert torch.get_num_threads() == 3


@pytest.mark.slow
def test_fits_in_several_threads_restore_the_setting() -> None:
    def fit(seed: int) -> np.ndarray:
        return icon.Clustering(2, n_init=1, max_iter=5, random_state=seed).fit(X).labels_

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fit, [0, 1, 0, 1, 0, 1]))
    assert torch.get_num_threads() == 3
    for labels in found[2:]:
        assert any(np.array_equal(labels, other) for other in found[:2])


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_a_fit_that_ends_while_another_goes_on(n_jobs: int | None) -> None:
    """Each thread gets back what it had, and so does the last one."""
    begun, ended, seen_after = threading.Event(), threading.Event(), []

    def second() -> None:
        icon.Embedding(max_iter=2, callback=lambda *_: begun.set() or ended.wait(60), n_jobs=n_jobs).fit(X)
        seen_after.append(torch.get_num_threads())

    other = threading.Thread(target=second)
    icon.Embedding(
        max_iter=2, callback=lambda step, *_: step == 1 and (other.start(), begun.wait(60)), n_jobs=n_jobs
    ).fit(X)
    assert torch.get_num_threads() == 3
    ended.set()
    other.join()
    assert seen_after == [3]
    assert torch.get_num_threads() == 3
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}  # as in conftest.py
