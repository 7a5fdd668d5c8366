"""What is recorded of the authors' own programs, and the number that `Loss.published` derives from it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch

import icon
from icon.methods.program import programs
from tests.cases import Case, assert_close, coordinate_input

POINTS = 60  # more than the perplexity of 50 and the 20 neighbours that authors ran with
METHODS = {m.slug: m for m in icon.methods()}
FOLLOWING = [slug for slug, m in METHODS.items() if m.program is not None and m.program.factor]
OTHERS = [slug for slug in METHODS if slug not in FOLLOWING]


def case_of(slug: str) -> Case:
    return coordinate_input(METHODS[slug].row, METHODS[slug].column, n=POINTS)


def test_every_entry_is_of_a_published_method() -> None:
    assert set(programs()) <= {slug for slug, m in METHODS.items() if m.status == "published"}


@pytest.mark.parametrize("slug", programs())
def test_where_a_program_is(slug: str) -> None:
    program = programs()[slug]
    if not program.repository:
        assert program.url is None
        assert (program.path, program.commit, program.call) == ("", "", "")
        return
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", program.repository)
    assert re.fullmatch(r"[0-9a-f]{40}", program.commit)
    assert program.url == f"https://github.com/{program.repository}/blob/{program.commit}/{program.path}"
    assert program.path
    assert program.call
    assert program.of in ("cross-entropy", "loss", "")
    assert program.factor or program.differs, "why its number does not follow"


@pytest.mark.parametrize("slug", METHODS)
def test_the_authors_settings_build_a_loss(slug: str) -> None:
    loss = icon.method(slug, settings="authors")
    assert loss.name == METHODS[slug].name
    program = METHODS[slug].program
    assert repr(loss) == repr(icon.method(slug, **(program.settings if program else {})))


def test_a_hyper_parameter_replaces_that_of_the_authors() -> None:
    assert icon.method("supcon", settings="authors").q.scale == pytest.approx(0.07)
    assert icon.method("supcon", settings="authors", temperature=0.5).q.scale == pytest.approx(0.5)


@pytest.mark.parametrize("slug", FOLLOWING)
def test_the_number_is_differentiable(slug: str) -> None:
    case, loss = case_of(slug), icon.method(slug, settings="authors")
    number = loss.published(case.input, case.target)
    assert number.shape == ()
    assert torch.isfinite(number)
    leaf = case.input[0] if isinstance(case.input, tuple) else case.input
    (slope,) = torch.autograd.grad(number, leaf)
    assert torch.isfinite(slope).all()
    assert slope.any()


@pytest.mark.parametrize("slug", [s for s in FOLLOWING if not METHODS[s].program.number])  # type: ignore[union-attr]
def test_the_number_is_the_product_that_the_factor_names(slug: str) -> None:
    case, program = case_of(slug), METHODS[slug].program
    assert program is not None
    number = icon.method(slug, settings="authors").published(case.input, case.target)
    loss = icon.method(slug, settings="authors")  # another one: moving marginals move in a call
    found = loss(case.input, case.target) if program.of == "loss" else loss.terms(case.input, case.target).cross_entropy
    # An independent reading of the factor: its slope and its constant.
    product, _, constant = program.factor.partition(" + ")
    first = case.input[0] if isinstance(case.input, tuple) else case.input
    known: dict[str, Any] = {
        "n": len(first),
        "C": first.shape[1],
        "τ": getattr(loss.q, "scale", None),
        "k": getattr(loss.p, "n_neighbors", None),
    }
    value: Any = found
    for factor in product.split(" · ")[:-1]:  # the last is CE or L
        for sign, name in zip((1, -1), factor.split("/"), strict=False):
            value = value * (known[name] if name in known else float(name)) ** sign
    if constant:
        value = value + (math.log(known["C"]) if constant == "log C" else float(constant))
    assert_close(number, value, 1e-12)


@pytest.mark.parametrize("slug", OTHERS)
def test_a_number_that_does_not_follow_is_refused(slug: str) -> None:
    case, record = case_of(slug), METHODS[slug]
    why = "nobody published it" if record.status == "gap" else "its number does not follow from this loss"
    expected = f"published: got {record.name}, expected a method with a program: {why}"
    with pytest.raises(ValueError, match=re.escape(expected)) as raised:
        icon.method(slug, settings="authors").published(case.input, case.target)
    assert "\n" not in str(raised.value)
    if record.program is not None and record.program.differs:
        assert record.program.differs in str(raised.value)


def test_a_loss_without_a_name_is_refused() -> None:
    case = coordinate_input("gaussian", "pairs")
    with pytest.raises(ValueError, match="published: got a loss without the name of a method"):
        icon.Loss(icon.p.Pairs(), icon.q.Gaussian(margin=1.0)).published(case.input, case.target)


@pytest.mark.parametrize("built", ["of parts", "under a name of one's own"])
def test_a_loss_that_two_methods_share_has_the_number_of_the_one_with_a_program(built: str) -> None:
    case = coordinate_input("gaussian", "pairs")
    loss = icon.loss("gaussian", "pairs", temperature=0.1)  # InfoNCE / SimCLR
    loss = loss if built == "of parts" else loss.replace(name="mine")
    expected = icon.method("simclr").published(case.input, case.target)
    assert_close(loss.published(case.input, case.target), expected, 0.0)


@pytest.mark.parametrize("slug", ["byol", "sne", "scan", "simclr", "kmeans"])
def test_the_number_does_not_depend_on_the_reduction(slug: str) -> None:
    case = case_of(slug)
    mean, total, each = (
        icon.method(slug, reduction=reduction).published(case.input, case.target)
        for reduction in ("mean", "sum", "none")
    )
    assert_close(total, mean, 1e-12)
    assert_close(each.mean(), mean, 1e-12)


def test_another_divergence_is_refused() -> None:
    case = coordinate_input("gaussian", "pairs")
    message = r"published: got divergence=JensenShannon\(\), expected kl as in the authors' program of SimCLR"
    with pytest.raises(ValueError, match=message):
        icon.method("simclr").replace(divergence="js", name="SimCLR").published(case.input, case.target)


def test_the_inertia_of_arrays_and_of_logits_that_are_divided() -> None:
    x = torch.randn(9, 2, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 2])
    logits = 1e3 * torch.nn.functional.one_hot(labels).double()
    inertia = sum((x[labels == c] - x[labels == c].mean(dim=0)).square().sum() for c in range(3))
    for loss, z in ((icon.method("kmeans"), logits), (icon.method("kmeans", softmax_temperature=0.01), logits / 1e3)):
        assert_close(loss.published(z.numpy(), x.numpy()), inertia, 1e-9)
