"""What a mean, a sum and the values of single anchors are, down to one candidate and nobody with a positive."""

from __future__ import annotations

import pytest
import torch

import icon

pytestmark = pytest.mark.usefixtures("each_evaluator")

N = 8
Z = torch.randn(N, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(N) % 3
WEIGHTED = {
    "given": icon.method("supcon", anchor_weights=torch.arange(1.0, N + 1)),
    "of a graph": icon.method("ncut"),
    "of classes": icon.method("cross-entropy", class_weights=(0.5, 2.0, 1.0)),
}
#: Methods of one set of points, by what their p is made from.
OF_LABELS = ["simclr", "supcon", "triplet", "average-margin-supcon", "t-supcon", "byol", "decoupled-contrastive",
             "debiased-contrastive", "supervised-clustering", "barlow-twins"]  # fmt: skip
OF_PAIRS = ["infonce", "simclr", "mocov3", "clip", "cmc", "t-simcne", "t-clip", "triplet", "average-margin-clip"]


def arguments(name: str) -> tuple[object, object]:
    adjacency = (Z @ Z.T).abs().fill_diagonal_(0).numpy()
    given: dict[str, tuple[object, object]] = {
        "given": (Z, LABELS), "of a graph": (Z, adjacency), "of classes": ((Z, Z[:3]), LABELS)
    }  # fmt: skip
    return given[name]


@pytest.mark.parametrize("name", list(WEIGHTED))
def test_the_values_of_anchors_add_up_to_the_sum_and_the_mean(name: str) -> None:
    loss, input_and_target = WEIGHTED[name], arguments(name)
    each, total, mean = (loss.replace(reduction=r)(*input_and_target) for r in ("none", "sum", "mean"))
    torch.testing.assert_close(each.sum(), total)
    weights = {
        "given": torch.arange(1.0, N + 1, dtype=torch.float64),
        "of a graph": torch.ones(1),
        "of classes": torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)[LABELS],
    }[name]
    torch.testing.assert_close(total / weights.sum(), mean)


def test_weights_multiply_the_values_of_anchors() -> None:
    plain = icon.method("supcon", reduction="none")(Z, LABELS)
    torch.testing.assert_close(WEIGHTED["given"].replace(reduction="none")(Z, LABELS), plain * torch.arange(1.0, N + 1))
    terms = WEIGHTED["given"].replace(reduction="none").terms(Z, LABELS)
    torch.testing.assert_close(terms.cross_entropy - terms.entropy, plain * torch.arange(1.0, N + 1))


@pytest.mark.filterwarnings("ignore:target. got")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("on_no_positive", ["skip", "zero", "raise"])
@pytest.mark.parametrize("slug", OF_LABELS)
def test_where_nobody_has_a_positive_the_loss_is_zero(slug: str, on_no_positive: str, reduction: str) -> None:
    loss = icon.method(slug, on_no_positive=on_no_positive, reduction=reduction)
    z = Z.clone().requires_grad_()
    if on_no_positive == "raise":
        with pytest.raises(ValueError, match=r"^target: got 8 of 8 anchors without a positive"):
            loss(z, torch.arange(N))
        return
    value = loss(z, torch.arange(N))
    value.sum().backward()
    assert bool((value == 0).all())
    assert z.grad is not None
    assert bool((z.grad == 0).all())


@pytest.mark.filterwarnings("ignore:target. got")
@pytest.mark.parametrize("divergence", ["kl", "js", "reverse-kl"])
@pytest.mark.parametrize("p", [icon.p.Classes().debias(0.5), icon.p.Classes().walks(2).debias(0.5)], ids=str)
def test_where_nobody_has_a_positive_the_joint_loss_is_zero(p: icon.p.Distribution, divergence: str) -> None:
    z = Z.clone().requires_grad_()
    value = icon.Loss(p, icon.q.StudentT(), normalization="joint", divergence=divergence)(z, torch.arange(N))
    value.backward()
    assert value == 0
    assert z.grad is not None
    assert bool((z.grad == 0).all())


@pytest.mark.filterwarnings("ignore:target. got")
@pytest.mark.parametrize("settings", [{}, {"divergence": "js"}, {"normalization": "joint"}], ids=str)
def test_where_nobody_has_a_positive_clusters_of_stationary_weights_cost_nothing(settings: dict[str, str]) -> None:
    z = Z.clone().requires_grad_()
    value = icon.loss("clusters", "classes", weights="stationary", leak=0.1, **settings)(z, torch.arange(N))
    value.backward()
    assert value == 0
    assert z.grad is not None
    assert bool((z.grad == 0).all())


@pytest.mark.filterwarnings("ignore:target. got")
@pytest.mark.parametrize("divergence", ["kl", "js"])
def test_where_nobody_of_two_sets_has_a_positive_the_joint_loss_is_zero(divergence: str) -> None:
    a, b = (torch.randn(4, 3, requires_grad=True) for _ in range(2))
    loss = icon.Loss(icon.p.Classes(), icon.q.StudentT(), normalization="joint", divergence=divergence)
    value = loss((a, b), ([0, 0, 1, 1], [2, 2, 3, 3]))
    value.backward()
    assert value == 0
    assert a.grad is not None
    assert bool((a.grad == 0).all())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("slug", OF_PAIRS)
def test_one_candidate_costs_nothing(slug: str, reduction: str) -> None:
    a, b = (torch.randn(1, 3, requires_grad=True) for _ in range(2))
    value = icon.method(slug, reduction=reduction)((a, b))
    value.sum().backward()
    assert bool((value == 0).all())
    assert a.grad is not None
    assert bool((a.grad == 0).all())


def test_one_prototype_costs_nothing_and_byol_is_minus_the_cosine() -> None:
    assert icon.method("cross-entropy")((Z, Z[:1]), torch.zeros(N, dtype=torch.int64)) == 0
    a, b = torch.randn(1, 3), torch.randn(1, 3)
    torch.testing.assert_close(icon.method("byol")((a, b)), -torch.cosine_similarity(a, b).squeeze())


@pytest.mark.filterwarnings("ignore:target. got 1 of 1")
@pytest.mark.parametrize("slug", ["simclr", "supcon", "t-supcon", "triplet-supcon"])
def test_a_lone_point_has_no_positive(slug: str) -> None:
    assert icon.method(slug)(Z[:1], torch.tensor([0])) == 0


@pytest.mark.parametrize("slug", ["simclr", "supcon", "t-supcon", "infonce", "clip"])
@pytest.mark.parametrize("seed", range(10))
def test_kl_is_not_negative_in_float32_and_zero_for_one_candidate(slug: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    hyper = {} if slug == "t-supcon" else {"temperature": 0.05}
    for n in (2, 3, 10):
        z, other = torch.randn(n, 8, generator=generator), torch.randn(n, 8, generator=generator)
        one_set = slug not in ("infonce", "clip")
        value = icon.method(slug, **hyper)(z if one_set else (z, other), torch.zeros(n, dtype=torch.int64))
        assert value >= -1e-6 * n
        if one_set and n == 2:
            assert value == 0
