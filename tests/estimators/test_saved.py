"""What an estimator was given comes back from a file, parts of one's own included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import icon
from icon._values import same
from icon.core.evaluators import Fused
from tests.cases import digits
from tests.test_recipes import Chunks, Counting, Powers, Tempered, Unnamed, register_all

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def registered(registry: None) -> None:
    register_all()


EMBEDDINGS: list[dict[str, Any]] = [
    {"evaluator": Chunks(50)},
    {"evaluator": Fused()},
    {"evaluator": Counting()},
    {"hyper": {"divergence": Powers(3.0)}},
    {"row": "gaussian", "hyper": {"partition": Tempered(3.0)}},
    {"n_components": 3, "row": "told", "hyper": {"weights": torch.tensor([1.0, 2.0, 3.0])}},
]


@pytest.mark.parametrize("options", EMBEDDINGS, ids=repr)
def test_an_estimator_keeps_the_parts_that_it_was_given(options: dict[str, Any], tmp_path: Path) -> None:
    x, _ = digits(40)
    options = {**options, "hyper": {"perplexity": 5, **options.get("hyper", {})}}
    model = icon.Embedding(mapper="linear", max_iter=3, random_state=0, **options).fit(x)
    icon.save(model, tmp_path / "model")
    again = icon.load(tmp_path / "model")
    assert np.array_equal(again.transform(x), model.transform(x))
    assert same(again.hyper, model.hyper)
    assert type(again.evaluator) is type(model.evaluator)
    assert np.array_equal(again.fit(x).embedding_, model.embedding_)


def test_lists_and_names_come_back_as_they_were(tmp_path: Path) -> None:
    x, _ = digits(40)
    frame = pd.DataFrame(x).rename(columns="pixel {}".format)
    icon.Embedding(perplexity=5, max_iter=3, random_state=0).fit(frame).save(tmp_path / "map")
    again = icon.load(tmp_path / "map")
    assert again.notes_ == []
    assert again.feature_names_in_.tolist() == list(frame.columns)
    assert again.feature_names_in_.dtype == object
    model = icon.Clustering(2, n_init=1, init=["random"], max_iter=3, random_state=0)
    model.fit([x, x[:, :9]]).save(tmp_path / "clusters")
    assert icon.load(tmp_path / "clusters").metric_ == ["sqeuclidean", "sqeuclidean"]
    assert icon.load(tmp_path / "clusters").init == ["random"]


def test_a_map_that_begins_with_a_frame_and_a_seed_of_numpy_are_kept(tmp_path: Path) -> None:
    x, _ = digits(40)
    options: dict[str, Any] = {"init": pd.DataFrame(x[:, 10:12]), "random_state": np.int64(3)}
    model = icon.Embedding(perplexity=5, max_iter=3, **options).fit(x)
    model.save(tmp_path / "map")
    again = icon.load(tmp_path / "map")
    assert again.random_state == 3
    assert np.array_equal(again.fit(x).embedding_, model.embedding_)


def test_an_estimator_with_a_part_that_has_no_name_is_refused(tmp_path: Path) -> None:
    x, _ = digits(40)
    model = icon.Embedding(evaluator=Unnamed(), max_iter=2, perplexity=5).fit(x)
    with pytest.raises(
        TypeError, match=r"^evaluator: got Unnamed, which no file can hold, expected .* registered \(icon.register_row"
    ):
        icon.save(model, tmp_path / "model")


class Narrow(icon.Embedding):
    """An estimator of one's own, with other arguments."""

    def __init__(self, n_components: int = 2, max_iter: int = 3) -> None:
        super().__init__(n_components, mapper="linear", max_iter=max_iter, perplexity=5, random_state=0)


def test_an_estimator_of_ones_own_is_saved_by_its_name(tmp_path: Path) -> None:
    x, _ = digits(40)
    model = Narrow().fit(x)
    with pytest.raises(TypeError, match=r"^x: got Narrow, expected an estimator of icon or one that is registered"):
        icon.save(model, tmp_path / "model")
    icon.register_estimator("narrow")(Narrow)
    icon.save(model, tmp_path / "model")
    again = icon.load(tmp_path / "model")
    assert type(again) is Narrow
    assert np.array_equal(again.transform(x), model.transform(x))
    with pytest.raises(ValueError, match=r"^estimator: got Narrow, which is an estimator already"):
        icon.register_estimator("again")(Narrow)
    with pytest.raises(ValueError, match=r"^name: got 'Embedding', which is an estimator already"):
        icon.register_estimator("Embedding")
    with pytest.raises(TypeError, match=r"^estimator: got .*, expected a class derived from icon.Embedding"):
        icon.register_estimator("other")(dict)
    del icon.serialization.READERS["narrow"]
    with pytest.raises(ValueError, match=r"^path: got .* with a narrow, expected .*\(icon.register_estimator\)"):
        icon.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("model", "later"),
    [
        (icon.Embedding(perplexity=5, max_iter=3), {"n_components": 3, "mapper": "mlp"}),
        (icon.Embedding(perplexity=5, max_iter=3, mapper="mlp"), {"mapper": "lookup"}),
        (icon.Clustering(2, n_init=1, max_iter=3, hidden=[8, 9]), {"hidden": 4, "n_clusters": 5}),
    ],
)
def test_arguments_that_were_set_after_the_fit_do_not_spoil_the_file(model: Any, later: Any, tmp_path: Path) -> None:
    x, _ = digits(40)
    model.fit(x).set_params(**later)
    model.save(tmp_path / "model")
    again = icon.load(tmp_path / "model")
    assert {name: again.get_params()[name] for name in later} == later
    called = "transform" if isinstance(model, icon.Embedding) else "predict_proba"
    assert np.array_equal(getattr(again, called)(x[:5] + 1), getattr(model, called)(x[:5] + 1))
