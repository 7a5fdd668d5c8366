"""Saved and loaded, a loss is the same to the last bit; what cannot be read or written says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import icon

N = 24
Z = torch.randn(N, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
X = np.random.default_rng(0).normal(size=(N, 4))
UPPER = np.triu(np.random.default_rng(0).random((N, N)) < 0.4, 1).astype(float)
ADJACENCY = UPPER + UPPER.T
LOSSES = [
    (icon.method("simclr", temperature=0.3, learnable=True), np.arange(N) // 2),
    (icon.method("tsne", perplexity=5), X),
    (icon.method("ncut"), ADJACENCY),
    (icon.method("t-simclr", scale=0.5, learnable=True), np.arange(N) // 2),
    (icon.Loss(icon.p.KNN(3).mix(icon.p.Gaussian(sigma=1.0), 0.5), icon.q.Clusters(weights=np.arange(1.0, N + 1))), X),
    (
        icon.Loss(
            icon.p.KNN(5).symmetrize("union").walks(2, prune=6).debias(0.3),
            icon.q.Gaussian(sigma=torch.rand(N) + 0.5, log_weights=torch.randn(N), margin=0.1),
            divergence=icon.divergence.Alpha(0.3),
            reduction="sum",
            anchor_weights=torch.rand(N),
        ),
        X,
    ),
]


@pytest.mark.parametrize(("loss", "target"), LOSSES, ids=[repr(loss)[:40] for loss, _ in LOSSES])
def test_round_trip_is_exact(loss: icon.Loss, target: np.ndarray, tmp_path: Path) -> None:
    loss.save(tmp_path / "loss")
    loaded = icon.load(tmp_path / "loss")
    assert repr(loaded) == repr(loss)
    assert loaded(Z, target).item() == loss(Z, target).item()
    for name, value in loss.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert {n for n, _ in loaded.named_parameters()} == {n for n, _ in loss.named_parameters()}
    assert [p.name for p in tmp_path.iterdir()] == ["loss"]


@pytest.mark.parametrize("method", icon.methods(), ids=lambda m: m.slug)
def test_every_method_round_trips(method: icon.Method, tmp_path: Path) -> None:
    loss = icon.method(method.slug)
    loss.save(tmp_path / "loss")
    assert repr(icon.load(tmp_path / "loss")) == repr(loss)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "loss"
    with pytest.raises(ValueError, match=r"^path: got .*, expected a readable file"):
        icon.load(path)
    icon.method("simclr").save(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"^path: got .*, expected a readable file"):
        icon.load(path)
    path.write_bytes(b"not one of ours, but long enough to look at")
    with pytest.raises(ValueError, match=r"^path: got"):
        icon.load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"settings', b'"sattings'), (b'log_scale"', b'log_scala"'), (b"Debias", b"Dabias"), (b'"icon-1', b'"icon-2')],
)
def test_a_damaged_file_is_refused_in_one_line(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = tmp_path / "loss"
    icon.method("simclr", learnable=True, debias=0.1).save(path)
    escaped = (text.replace(b'"', b'\\"') for text in (old, new))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(old, new).replace(*escaped))
    assert path.read_bytes() != whole
    with pytest.raises(ValueError, match=r"^path: got .*, expected .*") as caught:
        icon.load(path)
    assert "\n" not in str(caught.value)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle"
    path.symlink_to(path)
    with pytest.raises(ValueError, match=r"^path: got .*, expected a file that can be written"):
        icon.method("simclr").save(path)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^path: got .*, expected a file that can be written"):
        icon.method("simclr").save(tmp_path / "absent" / "loss")
    with pytest.raises(ValueError, match=r"^path: got"):
        icon.method("simclr").save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_score_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Own(icon.q.Kernel):
        pass

    with pytest.raises(
        TypeError, match=r"^loss: got Own, which no file can hold, expected plain values, a part of icon, or one that"
    ):
        icon.Loss(icon.p.Classes(), Own()).save(tmp_path / "loss")


@pytest.mark.usefixtures("registry")
def test_tied_parameters_are_refused(tmp_path: Path) -> None:
    @icon.register_row("tied")
    class Tied(icon.q.Kernel):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = torch.nn.Parameter(torch.ones(2))

    with pytest.raises(TypeError, match=r"^loss: got tensors that share memory, expected each"):
        icon.save(icon.loss("tied", "pairs"), tmp_path / "loss")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mapper", ["mlp", "linear", "lookup"])
def test_clustering_round_trips(mapper: str, tmp_path: Path) -> None:
    fitted = icon.Clustering(3, n_neighbors=4, mapper=mapper, hidden=8, max_iter=5, n_init=1, random_state=0).fit(X)
    fitted.save(tmp_path / "clusters")
    loaded = icon.load(tmp_path / "clusters")
    assert (loaded.labels_ == fitted.labels_).all()
    assert (loaded.predict_proba(X + 0.1) == fitted.predict_proba(X + 0.1)).all()
    assert loaded.loss_ == fitted.loss_
    assert loaded.score(X) == fitted.score(X)
    assert repr(loaded) == repr(fitted)


@pytest.mark.parametrize(
    "arguments", [{}, {"row": "gaussian-wide", "column": "identity", "mapper": "linear"}, {"init": Z[:, :2].numpy()}]
)
@pytest.mark.filterwarnings("ignore:perplexity")
def test_embedding_round_trips(arguments: dict[str, object], tmp_path: Path) -> None:
    fitted = icon.Embedding(max_iter=5, random_state=0, **arguments).fit(X)
    fitted.save(tmp_path / "map")
    loaded = icon.load(tmp_path / "map")
    assert (loaded.embedding_ == fitted.embedding_).all()
    assert (loaded.transform(X + 0.1) == fitted.transform(X + 0.1)).all()
    assert list(loaded.get_feature_names_out()) == list(fitted.get_feature_names_out())


def test_the_output_that_was_asked_for_is_kept(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    fitted = icon.Embedding(max_iter=5, random_state=0, hyper={"perplexity": 5}).set_output(transform="pandas").fit(x)
    fitted.save(tmp_path / "map")
    assert icon.load(tmp_path / "map").transform(x).equals(fitted.transform(x))


def test_a_mapper_of_ones_own_is_refused(tmp_path: Path) -> None:
    fitted = icon.Clustering(3, n_neighbors=4, mapper=torch.nn.Linear(4, 3), max_iter=2).fit(X)
    with pytest.raises(TypeError, match=r"^mapper: got Linear, expected"):
        fitted.save(tmp_path / "clusters")
    assert not list(tmp_path.iterdir())
