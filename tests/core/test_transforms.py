"""A loss is a function like others: transforms, compilers, copies, deterministic algorithms, tensors without data."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import icon
from icon.core.evaluators import choose
from tests.cases import COORDINATES, assert_close, coordinate_input, gradients, normal
from tests.versions import recent_torch

N = 16
IDS, LABELS = torch.arange(N) // 2, torch.arange(N) % 4
OTHER, PROTOTYPES, SOFT = normal(N, 3, seed=1), normal(4, 3, seed=2), normal(N, 5, seed=3).softmax(dim=1)

#: The common cells, each as a function of the embedding.
CELLS: dict[str, Callable[[], tuple[icon.Loss, Callable[[icon.Loss, Tensor], Tensor]]]] = {
    "simclr": lambda: (icon.method("simclr"), lambda loss, z: loss(z, IDS)),
    "simclr-debiased": lambda: (icon.method("simclr", debias=0.1), lambda loss, z: loss(z, IDS)),
    "supcon": lambda: (icon.method("supcon"), lambda loss, z: loss(z, LABELS)),
    "clip": lambda: (icon.method("clip"), lambda loss, z: loss((z, OTHER))),
    "cross-entropy": lambda: (icon.method("cross-entropy"), lambda loss, z: loss((z, PROTOTYPES), LABELS)),
    "byol": lambda: (icon.method("byol"), lambda loss, z: loss((z, OTHER))),
    "vi-reg": lambda: (icon.method("vi-reg"), lambda loss, z: loss(z, IDS)),
    "student-t": lambda: (icon.loss("student-t", "pairs"), lambda loss, z: loss(z, IDS)),
    "student-t-joint": lambda: (
        icon.loss("student-t", "pairs", normalization="joint"),
        lambda loss, z: loss(z, IDS),
    ),
    "jensen-shannon": lambda: (icon.loss("student-t", "classes", divergence="js"), lambda loss, z: loss(z, LABELS)),
    "clusters": lambda: (icon.loss("clusters", "pairs"), lambda loss, z: loss(z, IDS)),
    "temi": lambda: (icon.method("temi").eval(), lambda loss, z: loss((z, OTHER), IDS)),
    "weighted-cross-entropy": lambda: (
        icon.method("weighted-cross-entropy", class_weights=(1, 2, 0, 4), label_smoothing=0.1, ignore_index=3),
        lambda loss, z: loss((z, PROTOTYPES), LABELS),
    ),
    "soft-supcon": lambda: (icon.method("soft-supcon"), lambda loss, z: loss(z, SOFT)),
    "multi-label-supcon": lambda: (icon.method("multi-label-supcon"), lambda loss, z: loss(z, (SOFT > 0.2).double())),
    "weights of a call": lambda: (icon.method("supcon"), lambda loss, z: loss(z, LABELS, weights=OTHER[:, 0].abs())),
    "joint, debiased": lambda: (
        icon.loss("student-t", "classes", normalization="joint", debias=0.1),
        lambda loss, z: loss(z, LABELS),
    ),
    "fused": lambda: (icon.method("simclr", evaluator="fused"), lambda loss, z: loss(z, IDS)),
    "rounded products": lambda: (icon.method("clip", matmul_precision="tf32"), lambda loss, z: loss((z, OTHER))),
    "spectral-contrastive": lambda: (
        icon.method("spectral-contrastive", unbiased=True),
        lambda loss, z: loss((z, OTHER)),
    ),
}


@pytest.fixture(params=list(CELLS))
def cell(request: pytest.FixtureRequest) -> tuple[Callable[[Tensor], Tensor], icon.Loss]:
    loss, call = CELLS[request.param]()
    return lambda z: call(loss, z), loss


def test_the_evaluator_is_chosen_by_capability_and_size() -> None:
    def chosen(loss: icon.Loss, n: int) -> str:
        (problem,) = loss.problems(normal(n, 3), torch.arange(n) // 2)
        return type(choose(problem)).__name__.lower()

    assert chosen(icon.method("simclr"), 64) == "autograd"
    assert chosen(icon.method("simclr"), 512) == "fused"
    assert chosen(icon.loss("student-t", "pairs"), 512) == "autograd"
    assert chosen(icon.loss("gaussian", "pairs", margin=0.1), 512) == "autograd"
    assert torch.func.grad(lambda z: icon.method("simclr")(z, torch.arange(512) // 2))(normal(512, 3)).shape == (512, 3)


# -- torch.func --------------------------------------------------------------------------------------------------------


def test_func_grad(cell: Any) -> None:
    call, _ = cell
    z = normal(N, 3, grad=True)
    assert_close(torch.func.grad(call)(z.detach()), gradients(call(z), [z])[0], rtol=1e-12)


def test_vmap_over_embeddings(cell: Any) -> None:
    call, _ = cell
    stack = torch.stack([normal(N, 3, seed=s) for s in range(3)])
    assert_close(torch.func.vmap(call)(stack), torch.stack([call(z) for z in stack]), rtol=1e-12)


def test_per_loss_gradients_by_vmap(cell: Any) -> None:
    call, _ = cell
    stack = torch.stack([normal(N, 3, seed=s) for s in range(2)])
    found = torch.func.vmap(torch.func.grad(call))(stack)
    assert_close(found, torch.stack([torch.func.grad(call)(z) for z in stack]), rtol=1e-12)


def test_hessian_vector_product_by_func(cell: Any) -> None:
    call, _ = cell
    z, v = normal(N, 3), normal(N, 3, seed=5)
    _, product = torch.func.jvp(torch.func.grad(call), (z,), (v,))
    up, down = (torch.func.grad(call)(z + s * v) for s in (1e-5, -1e-5))
    assert_close(product, (up - down) / 2e-5, rtol=1e-6)


def test_functional_call_with_another_temperature() -> None:
    loss = icon.method("simclr", temperature=0.3, learnable=True).double()
    (name,) = dict(loss.named_parameters())
    z, other = normal(N, 3, grad=True), torch.tensor(0.7, dtype=torch.float64).log().requires_grad_()
    value = torch.func.functional_call(loss, {name: other}, (z, IDS))
    expected = icon.method("simclr", temperature=0.7)(z, IDS)
    assert_close(value, expected, rtol=1e-12)
    assert float(gradients(value, [other])[0]) != 0


@pytest.mark.parametrize("name", ["ncut", "dcd", "tsne-graph", "tsne-uniform", "tsne"])
@pytest.mark.parametrize(
    "operation", [lambda p: p, lambda p: p.walks(2), lambda p: p.symmetrize(), lambda p: p.debias(0.1)]
)
def test_func_grad_of_a_p_that_is_made_in_numpy(name: str, operation: Any) -> None:
    hyper = {"tsne": {"perplexity": 4.0}, "dcd": {"n_neighbors": 3}, "tsne-uniform": {"n_neighbors": 3}}
    loss, z = icon.method(name, **hyper.get(name, {})), normal(N, 3, grad=True)
    loss = loss.replace(p=operation(loss.p))
    target = (OTHER @ OTHER.T).abs().fill_diagonal_(0) if loss.column == "graph" else OTHER.float()
    expected = gradients(loss(z, target), [z])[0]
    for given in (target, loss.p(target)):
        assert_close(torch.func.grad(lambda z, given=given: loss(z, given))(z.detach()), expected, rtol=1e-12)
    assert_close(torch.func.grad(lambda z: loss(z, target * 1.0))(z.detach()), expected, rtol=1e-12)


def test_a_p_that_is_made_in_numpy_of_each_of_a_batch_is_refused() -> None:
    loss = icon.method("dcd", n_neighbors=3)
    with pytest.raises(TypeError, match=r"^target: got one for each of a batch of torch.func.vmap, expected the same"):
        torch.func.vmap(lambda z: loss(z, z))(torch.stack([normal(N, 3), OTHER]))


# -- compilers ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_compile_the_full_graph(cell: Any) -> None:
    call, _ = cell
    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    z = normal(N, 3, grad=True)
    expected = call(z)
    value = compiled(z)
    assert_close(value, expected, rtol=1e-12)
    assert_close(gradients(value, [z])[0], gradients(expected, [z])[0], rtol=1e-12)


def test_compile_the_loss_itself() -> None:
    torch._dynamo.reset()
    loss = icon.method("simclr")
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    z = normal(N, 3, grad=True)
    assert_close(compiled(z, IDS), loss(z, IDS), rtol=1e-12)


def test_compile_a_loss_without_group_where_there_is_one() -> None:
    torch._dynamo.reset()
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        test_compile_the_loss_itself()
    finally:
        dist.destroy_process_group()


@recent_torch
@pytest.mark.parametrize(
    "q",
    [
        pytest.param(icon.q.StudentT(), id="student-t", marks=pytest.mark.slow),
        pytest.param(icon.q.Clusters(), id="clusters"),
    ],
)
def test_compile_with_rows_that_no_call_has_used(q: icon.q.Kernel) -> None:
    """What a loss keeps of rows, in its precision and on its support, is not made by a graph."""
    torch._dynamo.reset()
    loss, z = icon.Loss(icon.p.Gaussian(perplexity=4.0), q, normalization="joint"), normal(N, 3).float()
    value = torch.compile(loss, fullgraph=True, backend="eager")(z, loss.p(OTHER))
    assert_close(value, loss(z, OTHER), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::FutureWarning:torch.*")
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own, of the value after `backward`
def test_compile_a_step_of_training(backend: str) -> None:
    """Encoder, loss and backward as one function: three steps are those of the same code without a compiler."""
    if backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("inductor: no C++ compiler")
    torch._dynamo.reset()
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).double()
    loss = icon.method("simclr", learnable=True).double()
    batches = [(normal(N, 8, seed=k), normal(N, 8, seed=10 + k)) for k in range(3)]

    def trained(compiled: bool) -> list[Tensor]:
        modules = copy.deepcopy(nn.ModuleList([net, loss]))
        optimizer = torch.optim.SGD(modules.parameters(), lr=0.1)

        def step(view_a: Tensor, view_b: Tensor) -> Tensor:
            value = modules[1](modules[0](view_a), modules[0](view_b))
            value.backward()
            return value

        call, values = torch.compile(step, backend=backend) if compiled else step, []
        for batch in batches:
            optimizer.zero_grad()
            values.append(call(*batch).detach())
            optimizer.step()
        return [*values, *(p.detach() for p in modules.parameters())]

    for found, expected in zip(trained(True), trained(False), strict=True):
        assert_close(found, expected, rtol=1e-10)


def test_export() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.loss = icon.method("simclr")

        def forward(self, z: Tensor, ids: Tensor) -> Tensor:
            value: Tensor = self.loss(z, ids)
            return value

    z = normal(N, 3)
    program = torch.export.export(Model(), (z, IDS))
    assert_close(program.module()(z, IDS), icon.method("simclr")(z, IDS), rtol=1e-12)
    # The number of points may stay open as long as it is small: beyond, another way of computing is chosen by size.
    some = {0: torch.export.Dim("n", min=4, max=362)}
    program = torch.export.export(Model(), (z, IDS), dynamic_shapes={"z": some, "ids": some})
    more, ids = normal(3 * N, 3), torch.arange(3 * N) // 2
    assert_close(program.module()(more, ids), icon.method("simclr")(more, ids), rtol=1e-12)


@pytest.mark.parametrize("name", ["simclr", "supcon", "clip", "cross-entropy", "student-t", "clusters"])
def test_meta_and_fake_tensors(name: str) -> None:
    loss, _ = CELLS[name]()
    one = {"clip": lambda z, ids, w: loss((z, z + 1)), "cross-entropy": lambda z, ids, w: loss((z, w), ids)}
    call = one.get(name, lambda z, ids, w: loss(z, ids))
    value = call(torch.empty(N, 3, device="meta"), torch.empty(N, dtype=torch.int64, device="meta"),
                 torch.empty(4, 3, device="meta"))  # fmt: skip
    assert value.shape == ()
    assert value.is_meta
    with torch._subclasses.FakeTensorMode():
        value = call(torch.empty(N, 3), torch.empty(N, dtype=torch.int64), torch.empty(4, 3))
    assert value.shape == ()


# -- copies and determinism --------------------------------------------------------------------------------------------


def test_modules_that_hold_a_loss_copy_pickle_and_save(cell: Any, tmp_path: Any) -> None:
    _, loss = cell
    holder = nn.ModuleDict({"loss": loss, "head": nn.Linear(3, 3)})
    buffer = io.BytesIO()
    torch.save(holder, buffer)
    buffer.seek(0)
    twins = copy.deepcopy(holder), pickle.loads(pickle.dumps(holder)), torch.load(buffer, weights_only=False)
    for twin in twins:
        assert repr(twin["loss"]) == repr(loss)


def test_deterministic_algorithms(cell: Any) -> None:
    call, _ = cell
    z = normal(N, 3, grad=True)
    expected = gradients(call(z), [z])[0]
    torch.use_deterministic_algorithms(True)
    try:
        assert_close(gradients(call(z), [z])[0], expected, rtol=1e-12)
    finally:
        torch.use_deterministic_algorithms(False)


# -- looks at values ---------------------------------------------------------------------------------------------------

LOOKS = (
    "_local_scalar_dense",
    "aten.nonzero",
    "_unique",
    "repeat_interleave",
    "is_nonzero",
    "aten.equal",
    "masked_select",
)


class Looks(TorchDispatchMode):
    """Every operation that waits for a device to tell a value or a shape."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(str(func).startswith(name) or name in str(func) for name in LOOKS):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def of_one_step(row: str, column: str, **options: Any) -> list[str]:
    case = coordinate_input(row, column)
    loss = icon.loss(row, column, **(case.hyper | options))
    target = case.target
    if column in ("gaussian", "student-t", "knn", "graph"):
        target = loss.p(target)
    elif target is not None:
        target = torch.as_tensor(target)
    loss(case.input, target)  # whatever prepared rows compute once
    with Looks() as looks:
        loss(case.input, target).sum().backward()
    return looks.found


@pytest.fixture
def unchecked() -> Iterator[None]:
    with icon.set_validation(False):
        yield


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("evaluator", ["autograd", "fused"])
@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_no_value_is_looked_at_without_validation(row: str, column: str, evaluator: str) -> None:
    for options in ({}, {"debias": 0.2}, {"reduction": "none"}):
        assert of_one_step(row, column, evaluator=evaluator, **options) == []


@pytest.mark.parametrize(("column", "most"), [("pairs", 4), ("classes", 4), ("cross-modal", 2), ("data-label", 4)])
def test_validation_looks_a_few_times_at_most(column: str, most: int) -> None:
    """The embeddings are finite, integers in range (twice), and some anchors may be without a positive."""
    assert 0 < len(of_one_step("gaussian", column)) <= most


def test_validation_off_still_checks_shapes_and_types() -> None:
    with icon.set_validation(False):
        icon.method("simclr")(torch.full((4, 2), torch.nan), torch.arange(4) // 2)
        with pytest.raises(ValueError, match=r"^input: got shape \(4,\)"):
            icon.method("simclr")(torch.ones(4), torch.arange(4) // 2)
        with pytest.raises(TypeError, match=r"^ids: got dtype torch.float32, expected integers"):
            icon.method("simclr")(torch.ones(4, 2), torch.ones(4))
    with pytest.raises(ValueError, match="NaN"):
        icon.method("simclr")(torch.full((4, 2), torch.nan), torch.arange(4) // 2)
    with pytest.raises(TypeError, match=r"^enabled: got 'off', expected True or False"):
        icon.set_validation("off")  # type: ignore[arg-type]


def test_soft_labels_stay_where_they_are() -> None:
    """No detour over another library: the overlap of labels is a product of tensors."""
    y = normal(N, 5).softmax(dim=1)
    loss, z = icon.method("supcon"), normal(N, 3)
    with icon.set_validation(False), Looks() as looks:
        loss(z, y)
    assert looks.found == []
    expected = y @ y.T * (1 - torch.eye(N))
    assert_close(icon.p.Classes()(y).to_dense(), expected / expected.sum(dim=1, keepdim=True), rtol=1e-14)


@pytest.mark.parametrize("name", ["simclr", "supcon", "clip"])
def test_forward_over_reverse(name: str) -> None:
    loss, call = CELLS[name]()
    z, v = normal(N, 3), normal(N, 3, seed=5)
    with torch.autograd.forward_ad.dual_level():
        leaf = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(call(loss, torch.autograd.forward_ad.make_dual(leaf, v)), leaf)
        product = torch.autograd.forward_ad.unpack_dual(gradient).tangent
    assert_close(product, torch.autograd.functional.hvp(lambda x: call(loss, x), z, v)[1], rtol=1e-9)


def test_a_scaler_skips_a_step_that_overflowed() -> None:
    """The loss is NaN then, and no error, under float16 autocast; elsewhere it is refused as ever."""
    net, loss, ids = nn.Linear(5, 3), icon.method("simclr"), torch.arange(8) // 2
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = net.weight.detach().clone()
    with torch.autocast("cpu", dtype=torch.float16):
        value = loss(net(torch.full((8, 5), 1e6)), ids)
    assert bool(value.isnan())
    scaler.scale(value).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(net.weight, before)
    assert scaler.get_scale() == 512.0
    with torch.autocast("cpu", dtype=torch.float16):
        assert bool(loss(net(torch.randn(8, 5)), ids).isfinite())
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(ValueError, match=r"^input: got NaN or infinity"):
        loss(torch.full((8, 5), torch.inf), ids)


def test_after_a_step_that_was_skipped_training_goes_on() -> None:
    net, loss = nn.Linear(5, 3), icon.method("simclr", learnable=True)
    optimizer = torch.optim.SGD([*net.parameters(), *loss.parameters()], lr=0.1)
    scaler, ids = torch.amp.GradScaler("cpu", init_scale=1024.0), torch.arange(8) // 2
    x, moved = torch.randn(8, 5), []
    for scale in (1, 1e6, 1, 1):
        before = [p.detach().clone() for p in (net.weight, *loss.parameters())]
        with torch.autocast("cpu", dtype=torch.float16):
            value = loss(net(x * scale), ids)
        optimizer.zero_grad()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()
        moved.append([not torch.equal(p, q) for p, q in zip((net.weight, *loss.parameters()), before, strict=True)])
        assert bool(value.isfinite()) == (scale == 1)
    assert moved == [[True, True], [False, False], [True, True], [True, True]]
    assert all(bool(p.isfinite().all()) for p in (*net.parameters(), *loss.parameters()))
