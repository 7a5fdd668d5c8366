"""A fit draws from a generator of its own, and computes as ever whatever torch state its caller has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError

import icon
from icon.training.state import _LOCK, Draws, seeded, settled

X = make_blobs(90, centers=3, n_features=4, random_state=0)[0]
CPU = torch.device("cpu")


def clustering(**hyper: object) -> icon.Clustering:
    settings = {"max_iter": 15, "n_init": 1, "batch_size": 32, "random_state": 0, "init": "random", **hyper}
    return icon.Clustering(3, **settings)


def embedding(**hyper: object) -> icon.Embedding:
    return icon.Embedding(hyper={"perplexity": 5}, max_iter=15, random_state=0, mapper="mlp", **hyper)


FITS: dict[str, Callable[..., np.ndarray]] = {
    "Clustering": lambda x=X, **hyper: clustering(**hyper).fit(x).predict_proba(X),
    "Embedding": lambda x=X, **hyper: embedding(**hyper).fit(x).embedding_,
}
each_fit = pytest.mark.parametrize("name", list(FITS))


def test_a_stream_goes_on_where_it_was_and_the_outside_knows_nothing_of_it() -> None:
    with seeded(3, CPU):
        expected = torch.rand(6)
    torch.manual_seed(1)
    outside = [torch.rand(2), torch.rand(2)]
    torch.manual_seed(1)
    draws, found = Draws(3, CPU), []
    for k in range(2):
        with draws:
            found.append(torch.rand(3))
        assert torch.equal(torch.rand(2), outside[k])
    assert torch.equal(torch.cat(found), expected)


@pytest.mark.parametrize("calls", [1, 2])
def test_an_interrupted_stream_keeps_no_thread_waiting(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    get_rng_state, seen = torch.get_rng_state, []

    def interrupted() -> torch.Tensor:
        seen.append(0)
        if len(seen) == calls:
            raise KeyboardInterrupt
        return get_rng_state()

    monkeypatch.setattr(torch, "get_rng_state", interrupted)
    with pytest.raises(KeyboardInterrupt), Draws(3, CPU):
        pass
    with ThreadPoolExecutor(1) as other:
        assert other.submit(_LOCK.acquire, timeout=1).result()
        other.submit(_LOCK.release).result()


@each_fit
def test_a_callback_that_draws_changes_nothing(name: str) -> None:
    def draws(*_: object) -> None:
        torch.rand(7)
        torch.manual_seed(5)

    assert np.array_equal(FITS[name](callback=draws), FITS[name]())


@each_fit
def test_the_global_generator_is_as_if_nothing_had_been_drawn(name: str) -> None:
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    FITS[name]()
    assert torch.equal(torch.rand(3), expected)


def test_the_generators_of_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    with seeded(3, CPU):
        torch.rand(1)
    assert not seeds


@each_fit
def test_fits_in_threads_do_not_disturb_each_other(name: str) -> None:
    found: dict[int, np.ndarray] = {}
    threads = [threading.Thread(target=lambda k=k: found.update({k: FITS[name]()})) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(each, FITS[name]()) for each in found.values())
    assert len(found) == 3


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


STATES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "float64 by default": double,
    "another default device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("state", list(STATES))
@each_fit
def test_the_callers_state_plays_no_part(name: str, state: str) -> None:
    expected = FITS[name]()
    with STATES[state]():
        found = FITS[name]()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_settled_leaves_all_as_it_was() -> None:
    with torch.no_grad(), double(), settled():
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize(
    "features",
    [
        torch.tensor(X, requires_grad=True),
        list(torch.tensor(X, requires_grad=True)),
        torch.tensor(X).float().T.contiguous().T,
        X[::-1][::-1],
    ],
    ids=["with gradient", "list of tensors", "strided", "negative strides"],
)
@each_fit
def test_features_of_any_kind(name: str, features: object) -> None:
    found, expected = FITS[name](features), FITS[name]()
    if name == "Embedding":  # no loss of distances knows where a map stands: rounding alone moves it
        found, expected = found - found.mean(0), expected - expected.mean(0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@each_fit
def test_half_precision(name: str) -> None:
    rounded = torch.tensor(X).bfloat16()
    assert np.array_equal(FITS[name](rounded), FITS[name](rounded.float()))


@each_fit
def test_a_callback_that_returns_true_ends_the_fit(name: str) -> None:
    seen: list[int] = []
    model = (clustering if name == "Clustering" else embedding)(
        callback=lambda step, *_: seen.append(step) or step == 4
    )
    model.fit(X)
    assert seen == [1, 2, 3, 4]
    assert model.n_iter_ == 4
    early: list[int] = []
    lookup = icon.Embedding(
        hyper={"perplexity": 5}, max_iter=40, random_state=0, callback=lambda step, *_: early.append(step) or step == 3
    )
    assert lookup.fit(X).n_iter_ == len(early) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: embedding(device="cuda:7").fit(X), r"device: got 'cuda:7', expected an available device"),
        (lambda: clustering().fit(np.ma.masked_array(X, X > 1)), r"X: got a masked array"),
        (lambda: icon.p.KNN(3)(np.ma.masked_array(X, X > 1)), r"features: got a masked array"),
    ],
)
def test_one_line_for_what_cannot_be(call: Callable[[], object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{message}"):
        call()


def test_a_fit_that_was_interrupted_is_not_fitted() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    model = embedding(callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    with pytest.raises(NotFittedError, match="not fitted"):
        model.transform(X)
