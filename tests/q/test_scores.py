"""Learned distributions: construction, numerics at the edges of the domain, precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import icon
from icon.q.clusters import FEW
from icon.q.scores import floored_log
from tests import dense
from tests.cases import N, assert_close, assert_same, gradients, normal

LABELS = np.arange(N) % 4
MASK = dense.others(N)
HALF = [torch.float16, torch.bfloat16]


# -- construction -----------------------------------------------------------------------------------------------------


def test_default_metric_follows_the_scale_that_is_given() -> None:
    assert icon.q.Gaussian().metric == "sqeuclidean"
    assert icon.q.Gaussian(sigma=2.0).metric == "sqeuclidean"
    assert icon.q.Gaussian(temperature=0.1).metric == "cosine"


@pytest.mark.parametrize(
    ("q", "text"),
    [
        (icon.q.Gaussian(temperature=0.1), "Gaussian(metric='cosine', temperature=0.1)"),
        (icon.q.Gaussian(partition="max", margin=0.2), "Gaussian(metric='sqeuclidean', partition='max', margin=0.2)"),
        (icon.q.StudentT(dof=2), "StudentT(dof=2.0)"),
        (icon.q.Clusters(leak=0.1), "Clusters(leak=0.1)"),
    ],
)
def test_repr(q: icon.q.Kernel, text: str) -> None:
    assert repr(q) == text


def test_learnable_scales_are_positive_parameters() -> None:
    q = icon.q.Gaussian(temperature=0.07, learnable=True)
    (parameter,) = q.parameters()
    assert parameter.requires_grad
    assert_close(q.scale, 0.07, rtol=1e-6)
    with torch.no_grad():
        parameter -= 100
    assert q.scale > 0
    assert list(icon.q.Gaussian(temperature=0.07).parameters()) == []


def test_training_a_temperature_lowers_the_loss() -> None:
    z = normal(N, 3)
    loss = icon.Loss(icon.p.Classes(), icon.q.Gaussian(temperature=5.0, learnable=True)).double()
    optimizer = torch.optim.SGD(loss.parameters(), lr=1.0)
    before = float(loss(z, LABELS).detach())
    for _ in range(20):
        optimizer.zero_grad()
        loss(z, LABELS).backward()
        optimizer.step()
    assert float(loss(z, LABELS).detach()) < before


def test_state_dict_round_trip() -> None:
    def make() -> icon.Loss:
        q = icon.q.Gaussian("dot", temperature=torch.rand(4) + 0.5, learnable=True, log_weights=torch.randn(4))
        return icon.Loss(icon.p.DataLabel(), q, anchor_weights=torch.rand(N) + 0.1)

    input = (normal(N, 3), normal(4, 3, seed=1))
    one, other = make(), make()
    assert not torch.equal(one(input, LABELS), other(input, LABELS))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(input, LABELS), other(input, LABELS))


# -- the edges of the domain ------------------------------------------------------------------------------------------


def test_zero_rows_under_cosine() -> None:
    z = normal(N, 3)
    z[:3] = 0
    z.requires_grad_()
    value = icon.method("supcon", temperature=0.2)(z, LABELS)
    (gradient,) = gradients(value, [z])
    assert torch.isfinite(value)
    assert bool((gradient[:3] == 0).all())
    unit = torch.nn.functional.normalize(z.detach(), dim=1)
    assert_close(value, dense.row_kl(unit @ unit.T / 0.2, dense.p_members(LABELS), MASK).mean())


@pytest.mark.parametrize("length", [1e-22, 1e-18, 1e-4, 1e3, 1e15, 1e19, 1e25])
def test_cosine_of_very_short_and_long_rows_in_float32(length: float) -> None:
    """The square of a length may leave the range of float32; the cosine does not."""
    unit = torch.nn.functional.normalize(normal(N, 3), dim=1).float()
    loss = icon.method("supcon", temperature=0.2)
    assert_close(loss(unit * length, LABELS), loss(unit, LABELS), rtol=1e-4)


@pytest.mark.parametrize("name", ["sqeuclidean", "cosine", "dot", "student-t", "harmonic", "max", "mean"])
def test_duplicate_points_give_finite_values_and_gradients(name: str) -> None:
    q = {
        "sqeuclidean": icon.q.Gaussian(sigma=0.5),
        "cosine": icon.q.Gaussian(temperature=0.05),
        "dot": icon.q.Gaussian("dot"),
        "student-t": icon.q.StudentT(),
        "harmonic": icon.q.StudentT(scale=0.0),
        "max": icon.q.Gaussian(partition="max"),
        "mean": icon.q.Gaussian(partition="mean"),
    }[name]
    for z in (normal(N // 3, 3).repeat(3, 1), torch.ones(N, 3).double(), torch.zeros(N, 3).double()):
        for dtype in (torch.float64, torch.float32):
            leaf = z.to(dtype).requires_grad_()
            value = icon.Loss(icon.p.Classes().debias(0.1), q)(leaf, LABELS)
            (gradient,) = gradients(value, [leaf])
            assert torch.isfinite(value)
            assert torch.isfinite(gradient).all()


def test_ties_of_the_max_partition_share_the_gradient() -> None:
    z = torch.tensor([[0.0], [1.0], [-1.0], [5.0]], dtype=torch.float64, requires_grad=True)
    p = np.array([[0, 0, 0, 1.0], [0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]])
    loss = icon.Loss(icon.p.Precomputed(), icon.q.Gaussian(partition="max"), reduction="none")
    expected = dense.row_kl(-dense.squares(z, z), p, dense.others(4), "max")
    assert_same(loss(z, p)[0], expected[0], [z])


def test_large_scores_do_not_overflow() -> None:
    z = (normal(N, 3).float() * 100).requires_grad_()
    for q in (icon.q.Gaussian(sigma=1e-3), icon.q.Gaussian(temperature=1e-4), icon.q.Gaussian("dot", temperature=1e-3)):
        value = icon.Loss(icon.p.Classes(), q)(z, LABELS)
        assert torch.isfinite(value)
        assert torch.isfinite(gradients(value, [z])[0]).all()


def test_points_far_from_the_origin_in_float32() -> None:
    """Both sets are centred before distances are taken."""
    z = normal(N, 2)
    for q in (icon.q.Gaussian(sigma=1.0), icon.q.StudentT()):
        loss = icon.Loss(icon.p.Classes(), q)
        shifted = (z + 1000).float()
        assert_close(loss(shifted, LABELS), loss(shifted.double(), LABELS), rtol=1e-5)


@pytest.mark.parametrize("p", [icon.p.Pairs(), icon.p.Classes()], ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_very_long_row_under_the_dot_product(p: icon.p.Distribution, dtype: torch.dtype) -> None:
    """The anchor is no positive of its own, and its length must not drown its positives in rounding."""
    z = normal(N, 3) * 1e-2
    z[0] *= 1e6 if dtype == torch.float32 else 1e14
    ids = np.arange(N) // 2
    loss = icon.Loss(p, icon.q.Gaussian("dot", temperature=float(z[0].norm()) * 1e-2), reduction="none")
    rows = loss(z.to(dtype), ids)
    scale = float(z[0].norm()) * 1e-2
    expected = dense.row_kl(z @ z.T / scale, dense.p_members(ids), MASK)
    assert_close(rows[0], expected[0], rtol=1e-4)


@pytest.mark.parametrize("q", [icon.q.StudentT(), icon.q.Gaussian(sigma=1.0)], ids=repr)
def test_spread_out_maps_in_float32(q: icon.q.Kernel) -> None:
    """A t-SNE map of diameter 200 whose neighbours are 0.1 apart: the gradient in float32 is that of float64."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-100, 100, (10, 2))
    z = torch.from_numpy(np.repeat(centres, 6, axis=0) + 0.1 * rng.normal(size=(60, 2)))
    labels = np.repeat(np.arange(10), 6)
    results = []
    for dtype in (torch.float64, torch.float32):
        leaf = z.to(dtype).requires_grad_()
        value = icon.Loss(icon.p.Classes(), q)(leaf, labels)
        results.append((value, gradients(value, [leaf])[0]))
    assert abs(float((results[1][0] - results[0][0]).detach())) <= 1e-3
    assert_close(results[1][1], results[0][1], rtol=1e-2)


# -- clusters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [10.0, 60.0, 85.0, 90.0, 95.0, 100.0, 104.0, 110.0, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leak", [0.0, 0.1])
def test_a_cluster_that_empties(gap: float, dtype: torch.dtype, leak: float) -> None:
    """From nearly to exactly empty, nothing is NaN, and the value is that of the other clusters."""
    logits = normal(N, 3).to(dtype)
    logits[:, 2] -= gap
    logits.requires_grad_()
    value = icon.Loss(icon.p.Pairs(), icon.q.Clusters(leak=leak))(logits, np.arange(N) // 2)
    (gradient,) = gradients(value, [logits])
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    if gap >= 60:
        two = icon.Loss(icon.p.Pairs(), icon.q.Clusters(leak=leak))(logits[:, :2].detach(), np.arange(N) // 2)
        tolerance = 1e-5 if dtype == torch.float32 else 1e-9
        # An empty cluster is 0/0: its members' share has a limit that need not vanish; the rest is unchanged to O(φ).
        assert_close(value, two, rtol=tolerance)


def test_a_cluster_nobody_can_be_in() -> None:
    logits = normal(N, 3)
    logits[:, 2] = -torch.inf
    with pytest.raises(ValueError, match="input: got NaN or infinity"):
        icon.Loss(icon.p.Pairs(), icon.q.Clusters())(logits, np.arange(N) // 2)


@pytest.mark.parametrize("unit", [1e-50, 1e39])
def test_only_the_proportions_of_the_weights_of_clusters_matter(unit: float) -> None:
    z, labels, weights = normal(N, 3).float(), np.arange(N) % 4, np.linspace(0.1, 1, N)
    found, expected = (icon.loss("clusters", "classes", weights=weights * x)(z, labels) for x in (unit, 1.0))
    assert_close(found, expected, rtol=1e-5)


def test_hard_clusters_are_a_block_matrix() -> None:
    labels = np.arange(12) % 3
    logits = torch.from_numpy(np.eye(3)[labels]) * 1e4
    p = dense.p_members(labels, labels)
    loss = icon.Loss(icon.p.Precomputed(exclude_self=False), icon.q.Clusters(), reduction="none")
    assert float(loss(logits, p).abs().max()) < 1e-12


def test_hard_clusters_that_split_a_pair_cost_a_lot_and_stay_finite() -> None:
    logits = (torch.eye(3)[torch.arange(12) % 3] * 1e4).requires_grad_()
    value = icon.Loss(icon.p.Pairs(), icon.q.Clusters())(logits, np.arange(12) // 2)
    assert torch.isfinite(value)
    assert float(value.detach()) > 10
    assert torch.isfinite(gradients(value, [logits])[0]).all()


def test_q_of_clusters_is_symmetric_and_doubly_stochastic() -> None:
    logits = normal(N, 4)
    q = dense.cluster_log_q(logits, logits).exp()
    assert_close(q, q.T, rtol=1e-12)
    rows = icon.p.Precomputed(exclude_self=False)(q)
    loss = icon.Loss(icon.p.Precomputed(exclude_self=False), icon.q.Clusters(), reduction="none")
    assert float(loss(logits, rows).abs().max()) < 1e-12


def test_dcd_objective() -> None:
    """CE of the k-NN cell = −(1/nk) Σ A_ij log Σ_c W_ic W_jc / Σ_v W_vc (Yang & Oja 2012)."""
    x, logits = normal(N, 5, seed=1).numpy(), normal(N, 4)
    phi = logits.softmax(dim=1).numpy()
    expected = -(dense.p_knn(x, 4) * np.log((phi / phi.sum(axis=0)) @ phi.T)).sum() / N
    assert_close(icon.method("dcd", n_neighbors=4).terms(logits, x).cross_entropy, expected)


# -- half precision ---------------------------------------------------------------------------------------------------


def half_case(dtype: torch.dtype) -> tuple[torch.Tensor, np.ndarray]:
    """Pairs of views with lengths from 1e-4 to 1e3 and two rows of zeros."""
    base = normal(64, 32).repeat_interleave(2, dim=0) + 0.3 * normal(128, 32, seed=1)
    lengths = torch.logspace(-4, 3, 128, dtype=torch.float64)[torch.randperm(128)]
    z = torch.nn.functional.normalize(base, dim=1) * lengths[:, None]
    z[[0, 77]] = 0
    return z.to(dtype), np.arange(128) // 2


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_at_a_small_temperature(dtype: torch.dtype) -> None:
    z, ids = half_case(torch.float32)
    loss = icon.method("simclr", temperature=0.05)
    low = z.to(dtype).requires_grad_()
    value = loss(low, ids)
    (gradient,) = gradients(value, [low])
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    assert torch.isfinite(gradient).all()
    assert_close(value, loss(z, ids), rtol=1e-2)
    same = low.detach().float().requires_grad_()
    assert_close(value, loss(same, ids), rtol=1e-6)
    # per row, since lengths spread over seven orders of magnitude
    exact = gradients(loss(same, ids), [same])[0]
    error = (gradient.float() - exact).norm(dim=1)
    assert bool((error <= 1e-2 * exact.norm(dim=1) + 1e-6).all())


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", ["gaussian", "student-t", "clusters", "mean", "max", "dot", "js"])
def test_half_precision_of_every_row(name: str, dtype: torch.dtype) -> None:
    q = {
        "gaussian": icon.q.Gaussian(sigma=1.0),
        "js": icon.q.Gaussian(sigma=1.0),
        "student-t": icon.q.StudentT(),
        "clusters": icon.q.Clusters(),
        "mean": icon.q.Gaussian(partition="mean"),
        "max": icon.q.Gaussian("cosine", partition="max"),
        "dot": icon.q.Gaussian("dot", temperature=2.0),
    }[name]
    z = normal(N, 4).float()
    loss = icon.Loss(icon.p.Classes().debias(0.1), q, divergence="js" if name == "js" else "kl")
    low = z.to(dtype).requires_grad_()
    value = loss(low, LABELS)
    assert abs(float((value - loss(z, LABELS)).detach())) <= 1e-2
    assert torch.isfinite(gradients(value, [low])[0]).all()


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_of_modalities_with_a_learnable_temperature(dtype: torch.dtype) -> None:
    a, c = normal(N, 8).float(), normal(N, 8, seed=1).float()
    loss = icon.method("clip", temperature=0.05, learnable=True)
    low = [x.to(dtype).requires_grad_() for x in (a, c)]
    value = loss(tuple(low))
    assert_close(value, loss((a, c)), rtol=1e-2)
    value.backward()
    assert all(torch.isfinite(x.grad).all() for x in low if x.grad is not None)
    assert all(torch.isfinite(x.grad).all() for x in loss.parameters() if x.grad is not None)


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_lengths_of_euclidean_scores(dtype: torch.dtype) -> None:
    z, ids = half_case(torch.float32)
    loss = icon.method("t-simclr")
    low = z.to(dtype).requires_grad_()
    value = loss(low, ids)
    assert_close(value, loss(z, ids), rtol=1e-2)
    assert torch.isfinite(gradients(value, [low])[0]).all()


def test_a_temperature_is_read_and_set() -> None:
    z, ids = normal(8, 3), torch.arange(8) // 2
    for learnable in (False, True):
        loss = icon.method("simclr", temperature=0.2, learnable=learnable)
        assert float(loss.temperature) == pytest.approx(0.2)
        loss.temperature = 0.5
        assert float(loss.temperature) == pytest.approx(0.5)
        expected = icon.method("simclr", temperature=0.5)(z, ids)
        assert loss(z, ids).item() == pytest.approx(expected.item(), rel=1e-6)
        for wrong in (0, -1.0, torch.tensor(0.0)):
            with pytest.raises(ValueError, match=r"^temperature: got "):
                loss.temperature = wrong
        loss.temperature *= 0.5  # of a tensor where it is learned
        loss.temperature = torch.as_tensor(loss.temperature) * 2
        assert float(loss.temperature) == pytest.approx(0.5)
    loss = icon.method("clip", temperature=0.2, learnable=True, min_temperature=0.1)
    with pytest.raises(ValueError, match=r"^temperature: got 0.05, expected a number in its range, 0.1 to 1"):
        loss.temperature = 0.05
    assert float(loss.temperature) == pytest.approx(0.2)
    assert icon.method("t-sne").temperature is None
    with pytest.raises(ValueError, match=r"^temperature: got 0.1 for .*, expected a loss with a temperature"):
        icon.method("t-sne").temperature = 0.1


# -- clusters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clusters", [2, FEW, FEW + 1])
def test_few_clusters_and_many_have_the_formula_of_their_memberships(clusters: int) -> None:
    z, p = normal(N, clusters, grad=True), icon.p.KNN(3).walks(2).debias(0.2)(normal(N, 3))
    phi = z.softmax(dim=1)
    expected = -(p.to_dense() * (phi @ (phi / phi.sum(dim=0)).T).log()).sum(dim=1).mean() - p.entropy().mean()
    value = icon.Loss(icon.p.KNN(3), icon.q.Clusters())(z, p)
    assert_same(value, expected, [z])


def test_the_floor_of_a_logarithm_has_no_gradient() -> None:
    t = torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    found = floored_log(t)
    assert_close(found[2:], t[2:].log())
    assert bool((found[:2] == np.log(np.finfo(np.float64).tiny)).all())
    (slope,) = torch.autograd.grad(found.sum(), t, create_graph=True)
    assert slope.tolist() == [0, 0, 2, 0.5]
    assert_close(torch.autograd.grad(slope.sum(), t)[0], [0, 0, -4, -0.25])


@pytest.mark.parametrize("p", [icon.p.Identity(), icon.p.KNN(2).walks(2), icon.p.KNN(2, exclude_self=False)], ids=repr)
def test_the_harmonic_kernel_is_refused_where_self_is_a_candidate(p: icon.p.Distribution) -> None:
    z, q = normal(6, 2), icon.q.StudentT(scale=0.0)
    target = None if isinstance(p, icon.p.Identity) else z
    with pytest.raises(ValueError, match=r"^scale: got 0 for a p with self as a candidate, expected > 0"):
        icon.Loss(p, q)(z, target)
    assert icon.Loss(icon.p.KNN(2), q)(z, z).isfinite()


@pytest.mark.parametrize(
    ("unit", "dtype"), [(1e-25, "float32"), (1e25, "float32"), (1e-200, "float64"), (1e200, "float64")]
)
@pytest.mark.parametrize("pair", [False, True])
def test_the_unit_of_the_points_and_of_sigma_does_not_matter(unit: float, dtype: str, pair: bool) -> None:
    z, ids = normal(8, 3), torch.arange(8) // 2
    target = (ids, ids) if pair else ids

    def value_and_gradient(sigma: float, unit: float) -> tuple[torch.Tensor, torch.Tensor]:
        given = (unit * z).to(getattr(torch, dtype)).requires_grad_()
        value = icon.Loss(icon.p.Pairs(), icon.q.Gaussian(sigma=sigma))(
            (given, given.flip(0)) if pair else given, target
        )
        (gradient,) = torch.autograd.grad(value, given)
        return value.double(), gradient.double() * unit

    found, expected = value_and_gradient(0.7 * unit, unit), value_and_gradient(0.7, 1.0)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_points_that_coincide_far_from_others_score_no_more_than_the_kernel_at_zero() -> None:
    """Of a squared distance of 0 rounding leaves up to ± 10 here, and the score of none is ``-log c² = 0``."""
    z = torch.cat([1e4 * normal(4, 2)] * 2)
    loss, ids = icon.Loss(icon.p.Pairs(), icon.q.StudentT()), torch.arange(8) // 2
    assert float(loss(z.float(), ids)) == pytest.approx(float(loss(z, ids)), rel=0.1)
