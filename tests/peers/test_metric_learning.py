"""What pytorch-metric-learning documents of NTXentLoss, SupConLoss, TripletMarginLoss and NPairsLoss."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

import icon
from tests.cases import assert_close, gradients, normal
from tests.peers._peers import Functions, Package, agree, each

TEMPERATURE, MARGIN = 0.2, 0.5
METHODS = ["ntxent", "supcon", "triplet", "n-pairs"]
#: Labels by name. Triplets and NTXent are the same of both where no class has more than two members.
LABELS = {
    "pairs": [0, 1, 2, 0, 1, 2],
    "singletons": [0, 1, 2, 0, 3, 2],
    "classes": [0, 0, 0, 1, 1, 1],
    "unequal classes": [0, 0, 0, 0, 1, 1],
}
VALUES = [
    ("ntxent", "pairs"), ("ntxent", "singletons"), ("triplet", "pairs"), ("triplet", "singletons"),
    ("n-pairs", "pairs"), *(("supcon", name) for name in LABELS),
]  # fmt: skip


def ours(slug: str, **given: Any) -> Any:
    return lambda z, y, **options: icon.method(slug, **given, **options).terms(z, y).cross_entropy


def our_n_pairs(z: Tensor, y: Tensor, **options: Any) -> Tensor:
    """The first half of the batch against the second, as the first two of each class are there."""
    n = len(z) // 2
    return icon.method("n-pair", **options).terms((z[:n], z[n:]), (y[:n], y[n:])).cross_entropy


OURS = {
    "ntxent": ours("simclr", temperature=TEMPERATURE),
    "supcon": ours("supcon", temperature=TEMPERATURE),
    "triplet": ours("triplet", margin=MARGIN),
    "n-pairs": our_n_pairs,
    "each of supcon": ours("supcon", temperature=TEMPERATURE, reduction="none"),
}


def theirs() -> Functions:
    from pytorch_metric_learning import distances, losses, miners, reducers

    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    hardest = miners.BatchHardMiner(distance=squared)
    triplet = losses.TripletMarginLoss(margin=MARGIN, distance=squared, reducer=reducers.MeanReducer())
    single = losses.SupConLoss(TEMPERATURE, reducer=reducers.DoNothingReducer())
    return {
        "ntxent": losses.NTXentLoss(TEMPERATURE),
        "supcon": losses.SupConLoss(TEMPERATURE),
        "triplet": lambda z, y: triplet(z, y, hardest(z, y)),
        "n-pairs": losses.NPairsLoss(distance=distances.DotProductSimilarity(normalize_embeddings=False)),
        "each of supcon": lambda z, y, anchor_weights: single(z, y)["loss"]["losses"] * anchor_weights,
    }


EACH = each(OURS, "pytorch_metric_learning", theirs)


def written_out(method: str, z: Tensor, y: Tensor) -> Tensor:
    """``[n]`` the loss of each anchor with a positive, in order."""
    own = torch.eye(len(z), dtype=torch.bool)
    same = (y[:, None] == y) & ~own
    kept = same.any(dim=1)
    if method == "triplet":
        distances = (z[:, None] - z).square().sum(dim=2)
        nearest = distances.masked_fill(same | own, torch.inf).amin(dim=1)
        return ((distances * same).sum(dim=1) - nearest + MARGIN).clamp_min(0)[kept]
    if method == "n-pairs":
        n = len(z) // 2
        return cross_entropy(z[:n] @ z[n:].T, torch.arange(n), reduction="none")
    unit = normalize(z, dim=1)
    log_q = (unit @ unit.T / TEMPERATURE).masked_fill(own, -torch.inf).log_softmax(dim=1)
    return -(log_q.masked_fill(~same, 0).sum(dim=1)[kept] / same.sum(dim=1)[kept])


def told(package: Package) -> AbstractContextManager[Any]:
    """icon warns of anchors without a positive."""
    return pytest.warns(UserWarning, match="without a positive") if package.is_icon else warnings.catch_warnings()


@EACH
@pytest.mark.parametrize(("method", "name"), VALUES)
def test_value_and_gradient(package: Package, method: str, name: str) -> None:
    """Anchors without a positive are left out of the mean; icon counts them as 0 where it is asked to."""
    y, z = torch.tensor(LABELS[name]), normal(6, 4, grad=True)
    expected = written_out(method, z, y)
    if len(expected) == len(z) or method == "n-pairs":
        agree(package[method](z, y), expected.mean(), [z])
        return
    with told(package):
        agree(package[method](z, y), expected.mean(), [z])
    if package.is_icon:
        with told(package):
            agree(package[method](z, y, on_no_positive="zero"), expected.sum() / len(z), [z])


@EACH
@pytest.mark.parametrize(
    ("method", "n"), [(method, n) for method in METHODS for n in (1, 2, 6) if n > 1 or method != "n-pairs"]
)
def test_nobody_has_a_positive(package: Package, method: str, n: int) -> None:
    """The loss is 0 and can be differentiated, also of one embedding; icon raises where it is asked to."""
    for options in ({"on_no_positive": "skip"}, {"on_no_positive": "zero"}) if package.is_icon else ({},):
        z, y = normal(n, 4, grad=True), torch.arange(n)
        with told(package):
            value = package[method](z, y, **options)
        value.backward()
        assert value == 0
        assert z.grad is not None
        assert not bool(z.grad.any())
    if package.is_icon:
        with pytest.raises(ValueError, match="without a positive"):
            package[method](normal(n, 4), torch.arange(n), on_no_positive="raise")


@EACH
@pytest.mark.parametrize("method", METHODS)
def test_a_single_class(package: Package, method: str) -> None:
    """Two members have no negative, and nothing to learn.

    Of more members the peer has 0 again, and icon SupCon's formula, which spreads them evenly.
    """
    z, y = normal(6, 4, grad=True), torch.zeros(6, dtype=torch.int64)
    value = package[method](z[:2], y[:2])
    assert value == 0
    assert not bool(gradients(value, [z])[0].any())
    if method in ("ntxent", "supcon"):
        assert_close(package[method](z, y), written_out(method, z, y).mean() if package.is_icon else torch.zeros(()))


@EACH
@pytest.mark.parametrize("method", METHODS)
def test_names_of_classes_and_the_order_of_points_do_not_matter(package: Package, method: str) -> None:
    z, y = normal(6, 4), torch.tensor(LABELS["pairs"])
    expected = package[method](z, y)
    assert_close(package[method](z, torch.tensor([70, 5, 11])[y]), expected)
    order = torch.tensor([2, 0, 1, 5, 3, 4] if method == "n-pairs" else [5, 2, 0, 3, 1, 4])
    assert_close(package[method](z[order], y[order]), expected)


@EACH
@pytest.mark.parametrize("name", ["pairs", "unequal classes"])
def test_single_values_are_weighted_by_their_anchors(package: Package, name: str) -> None:
    """``w_i`` times the loss of each anchor; in icon their sum is that of ``"sum"``, and of the mean over sum w."""
    z, y, weights = normal(6, 4, grad=True), torch.tensor(LABELS[name]), torch.arange(1.0, 7.0, dtype=torch.float64)
    found = package["each of supcon"](z, y, anchor_weights=weights)
    agree(found, weights * written_out("supcon", z, y), [z])
    if package.is_icon:
        for reduction, divisor in (("sum", 1.0), ("mean", weights.sum())):
            assert_close(package["supcon"](z, y, anchor_weights=weights, reduction=reduction), found.sum() / divisor)
