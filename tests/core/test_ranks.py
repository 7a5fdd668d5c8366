"""A loss of the batches of several ranks is that of one process: value, and gradient after the average over ranks."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import icon
from tests.core.test_parts import METHODS, N, hyper_of, inputs
from tests.ranks import assert_told, run

#: Where the points of each rank begin and end, alike and not, or without any.
CUTS = [[0, N], [0, 6, N], [0, 4, N], [0, N, N], [0, 3, 6, 9, N], [0, 2, 2, 8, N]]
FORMS = [
    (row, column, debias, options)
    for row in ("gaussian", "student-t", "clusters")
    for column in ("knn", "pairs", "classes", "gaussian")
    for debias, options in (
        (0.0, {}), (0.3, {}), (0.0, {"normalization": "joint"}), (0.3, {"divergence": "js"}),
        (0.0, {"reduction": "sum"}), (0.0, {"normalization": "joint", "divergence": "hellinger"}),
    )
]  # fmt: skip


def share(x: Any, start: int, stop: int) -> Any:
    """The rows of one rank, of which the gradient is asked."""
    if isinstance(x, Tensor):
        return x.detach()[start:stop].clone().requires_grad_(x.requires_grad)
    return None if x is None else x[start:stop]


def off_by(loss: icon.Loss, together: icon.Loss, input: Any, target: Any, cut: list[int]) -> float:
    """The largest difference to one process, of the value and of the gradients, over its scale."""
    rank, world = dist.get_rank(), dist.get_world_size()
    part = cut[rank], cut[rank + 1]
    views = input if isinstance(input, tuple) else (input,)
    shared = 1 if loss.column == "data-label" else len(views)  # prototypes are the same on all ranks
    own = [share(view, *(part if k < shared else (0, len(view)))) for k, view in enumerate(views)]
    own += [p for p in together.parameters() if p.requires_grad]
    whole = loss(input, target)
    leaves = [*views, *(p for p in loss.parameters() if p.requires_grad)]
    value = together(tuple(own[: len(views)]) if len(views) > 1 else own[0], share(target, *part))
    mean = value.detach().clone()
    dist.all_reduce(mean)
    worst = float((mean / world - whole).abs() / (1 + whole.abs()))
    gradients = (
        torch.autograd.grad(each, over, materialize_grads=True) for each, over in ((value, own), (whole, leaves))
    )
    for k, (found, expected) in enumerate(zip(*gradients, strict=True)):
        if k >= shared:  # of a parameter: what DistributedDataParallel does
            dist.all_reduce(average := found.clone())
        else:
            average, expected = found, expected[slice(*part)]  # noqa: PLW2901
        if expected.numel():
            worst = max(worst, float((average / world - expected).abs().max() / (1 + expected.abs().max())))
    return worst


#: Methods that need all candidates at once, whose points cannot go round in a ring.
OF_ALL = {"kmeans", "temi"}


def every_method(rank: int, cut: list[int]) -> dict[str, float]:
    found = {}
    for slug in METHODS:
        for exchange in ("gather",) if slug in OF_ALL else ("gather", "ring"):
            loss = icon.method(slug, **hyper_of(slug)).double().eval()
            together = icon.method(slug, **hyper_of(slug), group="world", exchange=exchange).double().eval()
            together.load_state_dict(loss.state_dict())
            input, target, _ = inputs(loss.column or "")
            found[f"{slug} {exchange}"] = off_by(loss, together, input, target, cut)
    return found


def every_form(rank: int, cut: list[int]) -> dict[str, float]:
    found = {}
    for row, column, debias, options in FORMS:
        hyper = {"gaussian": {"perplexity": 4.0}, "knn": {"n_neighbors": 3}}.get(column, {})
        input, target, _ = inputs(column)
        loss = icon.loss(row, column, **hyper, debias=debias, **options)
        for exchange in ("gather",) if "divergence" in options else ("gather", "ring"):
            together = loss.replace(group="world", exchange=exchange)
            found[f"{row} {column} {debias} {options} {exchange}"] = off_by(loss, together, input, target, cut)
    return found


@pytest.mark.parametrize(
    "cut", [pytest.param(cut, id=str(cut), marks=[] if cut == [0, 4, N] else [pytest.mark.slow]) for cut in CUTS]
)
def test_every_method(cut: list[int]) -> None:
    for found in run(every_method, len(cut) - 1, cut):
        assert len(found) == 2 * len(METHODS) - len(OF_ALL)
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


@pytest.mark.slow
def test_every_form() -> None:
    for found in run(every_form, 2, [0, 5, N]):
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


def of_blocks(rank: int) -> dict[str, float]:
    """Of the anchors of one rank there are several blocks, of those of the others there is one."""
    found = {}
    input, target, _ = inputs("knn")
    for row, divergence in (("clusters", "kl"), ("clusters", "js"), ("student-t", "kl"), ("student-t", "js")):
        hyper = {"n_neighbors": 3, "normalization": "joint", "divergence": divergence, "block": 3}
        loss = icon.loss(row, "knn", **hyper)
        found[f"{row} {divergence}"] = off_by(loss, loss.replace(group="world"), input, target, [0, N - 2, N])
    return found


@pytest.mark.slow
def test_ranks_with_other_numbers_of_blocks_go_back_together() -> None:
    for found in run(of_blocks, 2):
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


def of_uneven_views(rank: int) -> dict[str, float]:
    """Two views with ids, of which a rank has other numbers of points, or none of one of them."""
    a, b = torch.randn(6, 3, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    ids, found = (torch.arange(6) % 3, torch.arange(7) % 3), {}
    dot, standardized = (icon.q.Gaussian("dot", preprocess=preprocess) for preprocess in ("none", "standardize"))
    kernels = icon.q.Clusters(leak=0.1), icon.q.StudentT(), dot, standardized
    for q, symmetric, exchange, joint, cuts in itertools.product(
        kernels, (False, True), ("gather", "ring"), ("row", "joint"), [(2, 7), (2, 3), (0, 3), (6, 0)]
    ):
        loss = icon.Loss(icon.p.CrossModal(symmetric), q, normalization=joint)
        whole, own = [], []
        parts = [(slice(0, cut), slice(cut, None))[rank] for cut in cuts]
        for x, part in zip((a, b), parts, strict=True):
            whole.append(x.clone().requires_grad_())
            own.append(x[part].clone().requires_grad_())
        value = loss(tuple(whole), ids)
        together = loss.replace(group="world", exchange=exchange)
        share = together(tuple(own), tuple(x[part] for x, part in zip(ids, parts, strict=True)))
        errors = [mean(share) - value.detach()]
        gradients = (torch.autograd.grad(each, over) for each, over in ((share, own), (value, whole)))
        for x, y, part in zip(*gradients, parts, strict=True):
            errors.append((x / 2 - y[part]).flatten())
        found[f"{q} {symmetric} {exchange} {joint} {cuts}"] = float(torch.hstack(errors).abs().max())
    return found


@pytest.mark.slow
def test_views_of_other_numbers_of_points() -> None:
    for found in run(of_uneven_views, 2):
        assert len(found) == 128
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


def learned(rank: int) -> dict[str, float]:
    """With a learned temperature, half precision aside, and a loss that does not know of the other ranks."""
    input, target, _ = inputs("pairs")
    views, _, _ = inputs("cross-modal")
    simclr = icon.method("simclr", temperature=0.2, learnable=True).double()
    clip = icon.method("clip", temperature=0.2, learnable=True).double()
    cut = [0, 5, N]
    return {
        "simclr": off_by(simclr, simclr.replace(group="world"), input, target, cut),
        "clip": off_by(clip, clip.replace(group="world"), views, None, cut),
        "two views": off_by(simclr, simclr.replace(group="world"), views, None, cut),
        "local": off_by(simclr, simclr, input, target, cut),
    }


@pytest.mark.slow
def test_a_learned_temperature_and_what_is_local() -> None:
    for found in run(learned, 2):
        assert found["simclr"] < 1e-12
        assert found["clip"] < 1e-12
        assert found["two views"] < 1e-12
        assert found["local"] > 0.01


def refusals(rank: int) -> list[str]:
    """What each rank is told of an error of one of them; afterwards all goes on."""
    told = []
    loss, z, ids = icon.method("simclr", group="world"), torch.ones(4, 3).cumsum(0), torch.arange(4) // 2

    def tell(call: Any) -> None:
        try:
            call()
            told.append("nothing")
        except Exception as error:
            told.append(f"{type(error).__name__}: {error}")

    tell(lambda: loss(z if rank == 0 else z * torch.nan, ids))
    tell(lambda: loss(z, ids if rank == 0 else ids[:3]))
    tell(lambda: loss(z if rank == 0 else z.double(), ids))
    tell(lambda: loss(z if rank == 0 else "z", ids))
    ring = loss.replace(exchange="ring")
    tell(lambda: ring(z if rank == 0 else z * torch.nan, ids))
    decoupled = icon.loss("gaussian", "classes", temperature=1.0, partition="decoupled", group="world", exchange="ring")
    tell(lambda: decoupled(z, torch.zeros(4, dtype=torch.int64)))
    clip = icon.method("clip", group="world")
    tell(lambda: clip((z, z[: 4 - rank])))
    strict = icon.method("simclr", group="world", on_no_positive="raise")
    tell(lambda: strict(z, ids if rank == 0 else torch.tensor([4, 4, 5, 6])))
    tell(lambda: loss(z if rank == 0 else object(), ids))
    with torch.autocast("cpu", dtype=torch.float16):
        tell(lambda: loss(z if rank == 0 else z * torch.inf, ids))
    tell(lambda: loss(z[:0], ids[:0]))
    tell(lambda: loss(z, ids, anchors=slice(0, 2)))
    tell(lambda: loss(z, ids))
    return told


@pytest.mark.slow
def test_an_error_of_one_rank_is_told_on_all() -> None:
    expected = [
        "ValueError: input: got NaN or infinity in rows 0, 1, 2, 3, expected finite numbers (on rank 1 of 2)",
        "ValueError: target: got 3 rows, expected 4 (one per point of this rank) (on rank 1 of 2)",
        "ValueError: input: got [n, 3] of torch.float32 on rank 0 and [n, 3] of torch.float64 on rank 1, expected",
        "TypeError: input: got str",
        "ValueError: input: got NaN or infinity in rows 0, 1, 2, 3, expected finite numbers (on rank 1 of 2)",
        "ValueError: target: got 4 anchors whose candidates are all positives, expected some negatives",
        "ValueError: input: got 4 and 3 rows",
        "ValueError: target: got 2 of 4 anchors without a positive (rows 2, 3), expected none with on_no_positive=",
        "TypeError: input: got object",
        "ValueError: input: got NaN or infinity in rows 0, 1, 2, 3, expected finite numbers (on rank 1 of 2)",
        "ValueError: input: got no point on any rank, expected some",
        "ValueError: anchors: got a slice with group=, expected None",
        "nothing",
    ]
    assert_told(run(refusals, 2), expected)


def curvature(rank: int) -> list[float]:
    """A product of the Hessian over ranks: each takes the gradient of its own points."""
    z, direction, ids = *torch.randn(2, N, 3).double(), torch.arange(N) // 2
    part, found = (slice(0, 5), slice(5, N))[rank], []
    for slug in ("simclr", "tsne-uniform", "infonce-clustering"):
        loss, target = icon.method(slug, **hyper_of(slug)), z if slug == "tsne-uniform" else ids
        products = []
        for each, here in ((loss, slice(0, N)), (loss.replace(group="world"), part)):
            own = z[here].clone().requires_grad_()
            (gradient,) = torch.autograd.grad(each(own, target[here]), own, create_graph=True)
            products += torch.autograd.grad((gradient * direction[here]).sum(), own)
        found.append(float((products[1] / 2 - products[0][part]).abs().max()))
    return found


@pytest.mark.slow
def test_second_derivatives() -> None:
    for found in run(curvature, 2):
        assert max(found) < 1e-10


def masked(rank: int) -> list[float]:
    """Logits of -inf: of some classes for some points, or of the label of one, which is told on both ranks."""
    logits, labels, part = torch.randn(N, 4).double(), torch.arange(N) % 4, (slice(0, 5), slice(5, N))[rank]
    logits[torch.arange(N), (labels + 1) % 4] = -torch.inf
    loss, classes = icon.method("cross-entropy"), torch.eye(4, dtype=torch.float64)
    together, found = loss.replace(group="world"), []
    for target in (labels, icon.p.DataLabel(4)(labels)):
        own = target[part] if isinstance(target, Tensor) else target
        found.append(float(mean(together((logits[part], classes), own)) - loss((logits, classes), target)))
    with pytest.raises(
        ValueError, match=r"^labels: got classes with a logit of -inf in rows 0, 1, 2, 3, 4, ... .* rank"
    ):
        together((logits[part], classes), (labels[part] + rank) % 4)
    return found


@pytest.mark.slow
def test_masked_logits() -> None:
    for found in run(masked, 2):
        assert max(map(abs, found)) < 1e-10


def of_prototypes(rank: int) -> list[float]:
    """Negatives of an anchor's own and crops of an image, of which the first rank has none."""
    a, b, c = torch.randn(3, N, 3).double()
    negatives, codes, prototypes = torch.randn(N, 4, 3).double(), torch.rand(N, 5).double(), torch.randn(5, 3).double()
    codes = codes / codes.sum(dim=1, keepdim=True)
    found: list[list[Tensor]] = [[], []]
    for k, (part, group) in enumerate([(slice(0, N), None), ((slice(0, 0), slice(0, N))[rank], "world")]):
        own = icon.nn.own_negatives(a[part], b[part], negatives[part])
        found[k].append(icon.method("cross-entropy", group=group)(*own))
        crops, targets, weights = icon.nn.multi_crop([x[part] for x in (a, b, c)], [codes[part]] * 2)
        found[k].append(icon.method("swav", group=group)((crops, prototypes), targets, weights=weights))
    return [float(mean(together) - alone) for alone, together in zip(*found, strict=True)]


@pytest.mark.slow
def test_a_rank_without_negatives_or_crops_takes_part() -> None:
    for found in run(of_prototypes, 2):
        assert max(map(abs, found)) < 1e-10


def told_once(rank: int) -> int:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(3):
            icon.method("simclr")(torch.ones(4, 3).cumsum(0), torch.arange(4) // 2)
    return sum(str(each.message).startswith("group: got None on one of 2 ranks") for each in found)


@pytest.mark.slow
def test_a_loss_that_is_local_says_so_once() -> None:
    assert run(told_once, 2) == [1, 1]


def test_a_group_that_is_none() -> None:
    with pytest.raises(TypeError, match=r"^group: got 'wrold', expected None, 'world', or a process group"):
        icon.method("simclr", group="wrold")
    with pytest.raises(RuntimeError, match=r"^group: got 'world' where torch.distributed is not initialised"):
        icon.method("simclr", group="world")(torch.ones(4, 3), torch.arange(4) // 2)


def mean(value: Tensor) -> Tensor:
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def weighted(rank: int) -> dict[str, float]:
    """Weights of a call, each rank its own, and weights of a loss, of the points of all ranks in their order."""
    torch.manual_seed(0)
    z, other = (torch.randn(N, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weights, ids = torch.rand(N).double(), torch.arange(N) // 2
    part, found = (slice(0, 4), slice(4, N))[rank], {}
    loss, views = icon.method("infonce", temperature=0.5), icon.method("simclr")
    of_loss = loss.replace(anchor_weights=weights)
    for exchange in ("gather", "ring"):
        a, b, c = (each.replace(group="world", exchange=exchange) for each in (loss, of_loss, views))
        found[f"call {exchange}"] = mean(a(z[part], ids[part], weights=weights[part])) - loss(z, ids, weights=weights)
        found[f"loss {exchange}"] = mean(b(z[part], ids[part])) - of_loss(z, ids)
        own = (z[part], other[part])
        found[f"views {exchange}"] = mean(c(own, weights=weights[part])) - views((z, other), weights=weights)
    return {name: abs(float(error.detach())) for name, error in found.items()}


@pytest.mark.slow
def test_weights() -> None:
    for found in run(weighted, 2):
        assert len(found) == 6
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


def strided(rank: int) -> float:
    """The ids are a column of a matrix, of which the first rank has no row."""
    z, ids = torch.randn(N, 3).double(), torch.stack([torch.arange(N) // 2, torch.arange(N)], dim=1)
    part = (slice(0, 0), slice(0, N))[rank]
    loss = icon.method("simclr", temperature=0.5)
    return float(mean(loss.replace(group="world")(z[part], ids[part][:, 0])) - loss(z, ids[:, 0]))


@pytest.mark.slow
def test_an_empty_column_of_a_matrix_takes_part() -> None:
    assert max(map(abs, run(strided, 2))) < 1e-10


def teachers(rank: int, first: int) -> list[float]:
    """Balanced codes, and a centre that moves, over uneven ranks."""
    scores, weights = torch.randn(12, 4, dtype=torch.float64), torch.rand(12, dtype=torch.float64)
    part = (slice(0, first), slice(first, 12))[rank]
    errors = []
    for given in (None, weights):
        whole = icon.sinkhorn(scores, row_weights=given)
        own = icon.sinkhorn(scores[part], row_weights=None if given is None else given[part], group="world")
        errors.append(float((own - whole[part]).abs().sum()))
    alone, together = icon.nn.Centering(4), icon.nn.Centering(4, group="world")
    for _ in range(3):
        errors.append(float((together(scores[part]) - alone(scores)[part]).abs().sum()))
    with pytest.raises(ValueError, match=r"^logits: got no point on any rank, expected some"):
        together(scores[:0])
    return [*errors, float((together.center - alone.center).abs().max())]


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 5])
def test_codes_and_centres_over_ranks(first: int) -> None:
    for errors in run(teachers, 2, first):
        assert max(errors) < 1e-10


def in_use(rank: int) -> dict[str, float]:
    """Through `DistributedDataParallel`, pickled, in a sub-group, under autocast, without validation."""
    part = slice(0, 5) if rank == 0 else slice(5, N)
    torch.manual_seed(0)
    net, a, b = torch.nn.Linear(5, 3).double(), torch.randn(N, 5).double(), torch.randn(N, 5).double()
    loss = icon.method("simclr", temperature=0.3, learnable=True).double()
    whole, alone = copy.deepcopy(net), copy.deepcopy(loss)
    expected = alone((whole(a), whole(b)))
    expected.backward()
    together = loss.replace(group="world")
    ddp, loss_of_all = DistributedDataParallel(net), DistributedDataParallel(together)
    loss_of_all((ddp(a[part]), ddp(b[part]))).backward()
    pairs = zip([*net.parameters(), *together.parameters()], [*whole.parameters(), *alone.parameters()], strict=True)
    found = {"gradients": max(float((p.grad - q.grad).abs().max()) for p, q in pairs)}
    direct = alone((a, b)).detach()

    def mean(value: Tensor) -> float:
        total = value.detach().double().clone()
        dist.all_reduce(total)
        return float((total / 2 - direct).abs())

    own = (a[part], b[part])
    found["pickled"] = mean(pickle.loads(pickle.dumps(together))(own))
    found["sub-group"] = mean(loss.replace(group=dist.new_group([0, 1]))(own))
    found["terms"] = mean(together.terms(own).cross_entropy)
    with icon.set_validation(False):
        found["not validated"] = mean(together(own))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found["autocast"] = mean(together(own))
    found["rows"] = float(together.replace(reduction="none")(own).shape[0] - 2 * (part.stop - part.start))
    return found


@pytest.mark.slow
def test_as_it_is_used() -> None:
    for found in run(in_use, 2):
        assert {name: error for name, error in found.items() if not error < 1e-10} == {}


def shards(rank: int) -> float:
    """Prototypes of which each rank holds some: the gradient of a shard is that of one process."""
    torch.manual_seed(0)
    z, prototypes, labels = torch.randn(N, 3).double(), torch.randn(5, 3).double(), torch.arange(N) % 5
    part, own = (slice(0, 4), slice(0, 2)) if rank == 0 else (slice(4, N), slice(2, 5))
    loss = icon.method("cross-entropy").double()
    prototypes.requires_grad_()
    (expected,) = torch.autograd.grad(loss((z, prototypes), labels), [prototypes])
    shard = prototypes.detach()[own].clone().requires_grad_()
    every = icon.training.gather(shard, sharded=True)
    assert torch.equal(every, prototypes)
    value = loss.replace(group="world")((z[part], every), labels[part])
    (found,) = torch.autograd.grad(value, [shard])
    return float((found - expected[own]).abs().max())


@pytest.mark.slow
def test_prototypes_in_shards() -> None:
    assert max(run(shards, 2)) < 1e-12


def refusals_of_parts(rank: int) -> list[str]:
    """What each rank is told where the rows of one are wrong, of all that exchanges rows."""
    good, bad = torch.rand(4, 3), torch.full((4, 3), torch.nan)
    own, told = good if rank == 0 else bad, []
    queue = icon.training.Queue(8, 3, group="world")
    for call in (
        lambda x: icon.sinkhorn(x, group="world"),
        icon.nn.Centering(3, group="world"),
        queue.push,
        icon.training.gather,
    ):
        try:
            call(own)
            told.append("nothing")
        except ValueError as error:
            told.append(str(error))
        call(good)  # and afterwards all goes on
    return told


@pytest.mark.slow
def test_an_error_of_one_rank_is_told_on_all_by_every_part() -> None:
    first, second = run(refusals_of_parts, 2)
    assert first == second
    for name, message in zip(("scores", "logits", "z", "x"), first, strict=True):
        assert message.startswith(f"{name}: got NaN or infinity in rows 0, 1, 2, 3")
        assert message.endswith("(on rank 1 of 2)")


def prepared(rank: int) -> dict[str, float]:
    """p that was prepared once, of the points of all ranks in their order."""
    x, z = torch.randn(20, 4).double(), torch.randn(20, 3).double().requires_grad_()
    part, found = slice(0, 7) if rank == 0 else slice(7, 20), {}
    losses = {
        "t-SNE": icon.method("tsne", perplexity=5.0),
        "k-NN": icon.loss("gaussian", "knn", n_neighbors=3, temperature=0.5, debias=0.2),
        "clusters": icon.Loss(icon.p.KNN(3), icon.q.Clusters()),
    }
    for name, loss in losses.items():
        rows = loss.p(x)
        (expected,) = torch.autograd.grad(loss(z, rows), [z])
        for exchange in ("gather", "ring"):
            own = z.detach()[part].clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss.replace(group="world", exchange=exchange)(own, rows), [own])
            found[f"{name} {exchange}"] = float((gradient / 2 - expected[part]).abs().max())
    return found


@pytest.mark.slow
def test_prepared_rows() -> None:
    for found in run(prepared, 2):
        assert {name: error for name, error in found.items() if not error < 1e-12} == {}


def apart(rank: int) -> list[str]:
    """Steps of a learned temperature inside and outside of `DistributedDataParallel`, of uneven ranks."""
    told = []
    for wrap in (DistributedDataParallel, lambda loss: loss):
        torch.manual_seed(rank)
        loss = icon.method("simclr", temperature=0.3, learnable=True, group="world")
        module, z, ids = wrap(loss), torch.randn(8 - 4 * rank, 3), torch.arange(8 - 4 * rank) // 2 + 4 * rank
        optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
        try:
            for _ in range(3):
                optimizer.zero_grad()
                module(z, ids).backward()
                optimizer.step()
            told.append("nothing")
        except ValueError as error:
            told.append(str(error))
    return told


@pytest.mark.slow
def test_a_temperature_that_comes_apart_is_reported() -> None:
    first, second = run(apart, 2)
    assert first == second
    assert first[0] == "nothing"
    assert first[1].startswith("q.log_scale: got ")
    assert first[1].endswith("wrap the loss in DistributedDataParallel, which averages the gradients of its parameters")
