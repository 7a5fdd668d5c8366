"""The name of a loss is that of the methods whose parts equal its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
import torch

import icon
from icon import p, q


def name_of(loss: icon.Loss) -> str:
    return repr(loss).removeprefix("Loss(").split(":")[0]


@pytest.mark.parametrize(
    ("slug", "hyper", "name"),
    [
        ("simclr", {"temperature": 0.3}, "SimCLR"),
        ("simclr", {"reduction": "sum"}, "SimCLR"),
        ("simclr", {"margin": 0.5}, "unnamed"),
        ("simclr", {"debias": 0.3}, "unnamed"),
        ("simclr", {"debias": 0.0}, "SimCLR"),
        ("dino", {"block": 4}, "DINO"),
        ("simclr", {"detach_candidates": True}, "MoCo v3"),
        ("simclr", {"partition": "decoupled"}, "Decoupled Contrastive"),
        ("simclr", {"metric": "dot"}, "N-pair"),
        ("simclr", {"divergence": "js"}, "unnamed"),
        ("kmeans", {"divergence": "kl"}, "unnamed"),
        ("kmeans", {"softmax_temperature": 0.1}, "K-Means"),
        ("tsne", {"normalization": "row"}, "t-SNE (row form)"),
        ("supcon", {"overlap": "jaccard"}, "Multi-Label SupCon"),
        ("cross-entropy", {"log_weights": [1.0, 2.0]}, "Balanced Softmax / Sampled Softmax"),
        ("cmc", {"detach_candidates": True}, "CMC"),  # as in the authors' program
    ],
)
def test_a_method_with_other_hyper_parameters(slug: str, hyper: dict[str, Any], name: str) -> None:
    assert name_of(icon.method(slug, **hyper)) == name


@pytest.mark.parametrize("hyper", [{"debias": 0.2}, {"debias": 0.0}, {"divergence": "js"}, {"sigma": 2.0}], ids=str)
def test_a_method_has_a_name_where_its_parts_have_one(hyper: dict[str, Any]) -> None:
    tried = 0
    for record in icon.methods():
        with suppress(TypeError, ValueError):  # it does not take this one
            named = icon.method(record.slug, **hyper)
            tried += 1
            assert (name_of(named) == "unnamed") == (name_of(named.replace(name=None)) == "unnamed"), record.slug
    assert tried > 30


@pytest.mark.parametrize("record", icon.methods(), ids=lambda record: record.slug)
def test_a_method_with_the_settings_of_its_authors_keeps_its_name(record: icon.Method) -> None:
    assert name_of(icon.method(record.slug, settings="authors")) == record.name
    assert name_of(icon.method(record.slug, settings="authors", block=7)) == record.name


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (icon.Loss(p.Gaussian(perplexity=30), q.StudentT(1, exponent=1.0)), icon.method("tsne", normalization="row")),
        (icon.loss("gaussian", "data-label", debias=0.1), icon.method("cross-entropy", label_smoothing=0.1)),
        (
            icon.Loss(p.DataLabel(class_weights=[1.0, 2.0]).debias(0.1), q.Gaussian("dot", temperature=1.0)),
            icon.method("weighted-cross-entropy", class_weights=[1.0, 2.0]),
        ),
        (
            icon.Loss(p.Gaussian(sigma=2.0, exclude_self=False), q.Clusters(), divergence=icon.divergence.ReverseKL()),
            icon.method("kmeans"),
        ),
        (icon.Loss(p.StudentT(dof=3.0), q.StudentT(3.0)), icon.method("doubly-tsne")),
    ],
)
def test_equal_parts_have_one_name(given: icon.Loss, same: icon.Loss) -> None:
    assert name_of(given) == name_of(same) != "unnamed"


def test_a_default_that_is_given_changes_no_name() -> None:
    for least in (None, 0.01):
        learned = icon.Loss(p.Pairs(), q.Gaussian("cosine", temperature=0.1, learnable=True, min=least, max=1e12))
        assert name_of(learned) == "InfoNCE / SimCLR"
        assert "min=" not in repr(learned)
    assert "min=0.02" in repr(q.Gaussian("cosine", temperature=0.1, learnable=True, min=0.02))
    assert "max=2.0" in repr(q.Gaussian(sigma=0.1, learnable=True, max=2.0))
    assert "exponent" not in repr(q.StudentT(3.0, exponent=2.0))


@pytest.mark.parametrize(
    "given",
    [
        icon.Loss(p.Graph().walks(3, average=False), q.StudentT()),
        icon.Loss(p.Graph().walks(3, prune=5), q.StudentT()),
        icon.Loss(p.Graph().walks(3).walks(2), q.StudentT()),
        icon.Loss(p.Graph().walks(4, average=False), q.Gaussian("dot", temperature=1.0), anchor_weights="stationary"),
        icon.Loss(p.Gaussian(sigma=1.0), q.Gaussian(sigma=0.5)),
        icon.loss("gaussian", "pairs", temperature=0.3, margin=0.1),
        icon.loss("gaussian", "pairs", temperature=0.3, debias=0.1),
        icon.loss("student-t", "gaussian", perplexity=5, exponent=3.0),
    ],
)
def test_parts_of_no_method_have_no_name(given: icon.Loss) -> None:
    assert name_of(given) == "unnamed"


def test_names_are_of_what_is_computed() -> None:
    cosine = icon.q.Gaussian(temperature=0.1)
    assert "unnamed" in repr(icon.Loss(icon.p.CrossModal(symmetric=False), cosine))
    assert "CLIP" in repr(icon.Loss(icon.p.CrossModal(), cosine))
    assert "unnamed" in repr(icon.Loss(icon.p.KNN(10).walks(2), icon.q.Clusters()))
    assert "DCD" in repr(icon.Loss(icon.p.KNN(10), icon.q.Clusters()))
    assert "unnamed" in repr(icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.1, margin=0.5)))


def test_log_weights_are_no_part_of_cross_entropy() -> None:
    weighted = icon.Loss(p.DataLabel(), q.Gaussian("dot", temperature=1.0, log_weights=[1.0, 2.0, 3.0]))
    assert name_of(weighted) == "Balanced Softmax / Sampled Softmax"
    assert "log_weights=[1.0, 2.0, 3.0]" in repr(weighted)


def test_replaced_parts_are_looked_up_again() -> None:
    loss = icon.method("simclr", temperature=0.2)
    assert name_of(loss.replace(reduction="sum")) == "SimCLR"
    assert name_of(loss.replace(q=loss.q, p=loss.p)) == "SimCLR"
    assert name_of(loss.replace(divergence="js")) == "unnamed"


@pytest.mark.usefixtures("registry")
def test_a_subclass_of_the_loss_is_another_loss() -> None:
    class Twice(icon.Loss):
        def forward(self, *arguments: Any, **named: Any) -> torch.Tensor:
            return 2 * super().forward(*arguments, **named)

    twice = Twice(p.Pairs(), q.Gaussian("cosine", temperature=0.1))
    assert name_of(twice) == "unnamed"


@pytest.mark.usefixtures("registry")
def test_a_factory_that_fails_is_told_by_its_own_name_alone() -> None:
    cell = {"cell": ("gaussian", "pairs"), "family": "gap", "relation": "none"}

    @icon.register_method("broken", "Broken", **cell)
    def broken() -> icon.Loss:
        raise RuntimeError("cannot be built")

    @icon.register_method("nothing", "Nothing", **cell)  # type: ignore[arg-type]
    def nothing() -> None:
        pass

    @icon.register_method("elsewhere", "Elsewhere", **cell)
    def elsewhere() -> icon.Loss:
        return icon.method("tsne")

    assert name_of(icon.loss("gaussian", "pairs")) == "InfoNCE / SimCLR"
    with pytest.raises(RuntimeError, match="cannot be built"):
        icon.method("broken")
    with pytest.raises(TypeError, match=r"^nothing: got NoneType from its factory, expected an icon.Loss"):
        icon.method("nothing")
    with pytest.raises(ValueError, match=r"^elsewhere: got a loss of student-t x gaussian"):
        icon.method("elsewhere")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slug": "ArcFace"}, r"^slug: got 'ArcFace', expected lower-case"),
        ({"slug": ""}, r"^slug: got '', expected"),
        ({"slug": 3}, r"^slug: got 3, expected"),
        ({"name": " "}, r"^name: got ' ', expected"),
        ({"name": None}, r"^name: got None, expected"),
        ({"name": "Mine / SimCLR"}, r"^name: got 'Mine / SimCLR', expected some text in one line, without ' / '"),
        ({"name": "Two\nlines"}, r"^name: got 'Two\\nlines', expected some text in one line"),
        ({"sets": "temperature"}, r"^sets: got 'temperature', expected a tuple of names of hyper-parameters"),
        ({"sets": (3,)}, r"^sets: got \(3,\), expected a tuple of names of hyper-parameters"),
        ({"family": "nonsense"}, r"^family: got 'nonsense'"),
        ({"cite": "nobody2000"}, r"^cite: got 'nobody2000'"),
        ({"cell": ("gaussian",)}, r"^cell: got \('gaussian',\), expected \(row, column\)"),
        ({"cell": "gaussian"}, r"^cell: got 'gaussian', expected \(row, column\)"),
    ],
)
def test_what_is_no_record_is_refused(changes: dict[str, Any], message: str) -> None:
    given = {"slug": "new", "name": "New", "cell": ("gaussian", "pairs"), "family": "gap", "relation": "none"}
    with pytest.raises((TypeError, ValueError), match=message):
        icon.register_method(**(given | changes))(lambda: icon.method("simclr"))
    assert len({"new", "ArcFace", "", 3} & {m.slug for m in icon.methods()}) == 0
    with pytest.raises(TypeError, match=r"^record: got 'simclr', expected an icon.Method"):
        icon.register("simclr")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("slug", "hyper", "message"),
    [
        ("simclr", {"learnable": "no"}, r"^learnable: got 'no', expected True or False"),
        ("spectral-contrastive", {"unbiased": 1}, r"^unbiased: got 1, expected True or False"),
        ("mocov3", {"detach_candidates": "no"}, r"^detach_candidates: got 'no', expected True or False"),
        ("cosface", {"scale": 0}, r"^scale: got 0, expected a finite number > 0"),
        ("cosface", {"scale": -1}, r"^scale: got -1, expected a finite number > 0"),
        ("cosface", {"margin": "no"}, r"^margin: got 'no', expected a number"),
        ("harmonic", {"exponent": "no"}, r"^exponent: got 'no', expected a number"),
        ("dcd", {"dirichlet": 0.5}, r"^dirichlet: got 0\.5, expected a finite number >= 1"),
        ("dcd", {"dirichlet": True}, r"^dirichlet: got True, expected a number"),
        ("tsne", {"perplexity": "many"}, r"^perplexity: got 'many', expected a number"),
        ("clip", {"symmetric": "no"}, r"^symmetric: got 'no', expected True or False"),
        ("simclr", {"exclude_self": "no"}, r"^exclude_self: got 'no', expected True or False"),
        ("mds", {"center": 1}, r"^center: got 1, expected True or False"),
        (
            "simclr",
            {"divergence": icon.divergence.JensenShannon},
            r"^divergence: got the class JensenShannon",
        ),
    ],
)
def test_hyper_parameters_of_another_kind_are_refused(slug: str, hyper: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        icon.method(slug, **hyper)


@pytest.mark.slow
def test_a_loss_has_its_name_whatever_was_imported() -> None:
    code = "from icon.core.loss import Loss; from icon import p, q; print(Loss(p.Pairs(), q.Gaussian(temperature=0.3)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Loss(InfoNCE / SimCLR: ")
