"""Mappers: shapes, what they learn, and how a lookup places new points."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import icon
from icon.neighbors import blocks
from icon.nn import mappers
from icon.nn.mappers import CNN, MLP, Linear, Lookup, Principal, Prototypes, Rescale


def test_lookup_is_a_free_row_per_point() -> None:
    start = torch.randn(5, 2)
    lookup = Lookup(5, 2, start=start)
    assert torch.equal(lookup(torch.tensor([3, 1])), start[[3, 1]])
    lookup(torch.tensor([3, 1])).sum().backward()
    assert torch.equal(lookup.weight.grad, torch.tensor([[0.0, 0], [1, 1], [0, 0], [1, 1], [0, 0]]))


def test_lookup_gives_known_points_their_own_row_exactly() -> None:
    x = torch.randn(50, 3)
    lookup = Lookup(50, 2, features=x)
    assert torch.equal(lookup(x), lookup.weight)


def test_lookup_places_a_new_point_by_inverse_distance() -> None:
    x, rows = torch.tensor([[0.0], [1.0], [10.0]]), torch.tensor([[0.0], [4.0], [100.0]])
    lookup = Lookup(3, 1, start=rows, features=x, n_neighbors=2)
    # 0.25 from the first and 0.75 from the second: weights 3/4 and 1/4.
    assert lookup(torch.tensor([[0.25]])).item() == pytest.approx(1.0, rel=1e-6)


def test_lookup_places_a_point_on_duplicates_at_their_mean() -> None:
    x = torch.tensor([[0.0], [0.0], [1.0]])
    lookup = Lookup(3, 1, start=torch.tensor([[2.0], [4.0], [9.0]]), features=x)
    assert lookup(torch.zeros(1, 1)).item() == 3.0


def test_placement_in_tiles_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup, new = Lookup(40, 2, features=torch.randn(40, 6)), torch.randn(25, 6)
    whole = lookup(new)
    monkeypatch.setattr(blocks, "QUERIES", 7)
    assert torch.equal(lookup(new), whole)


def test_lookup_without_features_places_nothing() -> None:
    with pytest.raises(ValueError, match=r"^x: got features, expected indices"):
        Lookup(3, 2)(torch.randn(3, 2))


@pytest.mark.parametrize(
    ("given", "error", "line"),
    [
        ([1, -1], ValueError, "got negative entries in rows 1, expected integers >= 0"),
        ([3], ValueError, "got x >= 3 in rows 0, expected 0..2"),
        ([True, False, True], TypeError, "got dtype torch.bool, expected indices"),
    ],
)
def test_a_lookup_takes_the_numbers_of_its_rows_alone(given: list[Any], error: type[Exception], line: str) -> None:
    with pytest.raises(error, match=rf"^x: {line}"):
        Lookup(3, 2)(torch.tensor(given))


def test_features_of_a_lookup_are_not_part_of_its_state() -> None:
    assert list(Lookup(4, 2, features=torch.randn(4, 9)).state_dict()) == ["weight"]


def test_rescale_centres_and_divides_by_one_number() -> None:
    x = torch.randn(30, 3) * torch.tensor([1.0, 10.0, 0.0]) + 7
    out = Rescale(x)(x)
    assert torch.allclose(out.mean(dim=0), torch.zeros(3), atol=1e-5)
    assert out.square().mean().item() == pytest.approx(1, rel=1e-5)
    ratio = (x - x.mean(dim=0))[:, :2] / out[:, :2]
    assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-3)


def test_rescale_of_constant_features_is_zero() -> None:
    x = torch.full((4, 2), 3.0)
    assert torch.equal(Rescale(x)(x), torch.zeros(4, 2))


def test_orthonormal_linear_stays_orthonormal_while_it_learns() -> None:
    linear, x = Linear(6, 2, orthonormal=True), torch.randn(20, 6)
    optimizer = torch.optim.Adam(linear.parameters(), 0.1)
    for _ in range(20):
        optimizer.zero_grad()
        (-linear(x).square().sum()).backward()
        optimizer.step()
    basis = linear(torch.eye(6))
    assert torch.allclose(basis.mT @ basis, torch.eye(2), atol=1e-5)
    assert len(list(linear.parameters())) == 1


def test_shapes() -> None:
    x = torch.randn(7, 12)
    assert Linear(12, 3)(x).shape == (7, 3)
    assert MLP(12, 3)(x).shape == (7, 3)
    assert [m.out_features for m in MLP(12, 3, (8, 5)) if isinstance(m, nn.Linear)] == [8, 5, 3]
    assert isinstance(MLP(12, 3, 8)[-1], nn.Linear)
    for size in (4, 8, 29):
        assert CNN(3, 10)(torch.randn(2, 3, size, size)).shape == (2, 10)
    z, prototypes = Prototypes(4, 12)(x)
    assert z is x
    assert prototypes.shape == (4, 12)


def test_build_resolves_names_and_passes_modules() -> None:
    x = torch.randn(9, 4)
    assert isinstance(mappers.build("lookup", x, 2), Lookup)
    for name in ("linear", "mlp"):
        assert mappers.build(name, x, 2)(x).shape == (9, 2)
    own = nn.Linear(4, 2)
    assert mappers.build(own, x, 2) is own


@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_named_mappers_are_made_and_moved_in_any_dtype(name: str, most: int | None) -> None:
    x = torch.randn(9, 4)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        made = mappers.build(name, x.double(), 2, max_features=most)
    finally:
        torch.set_default_dtype(before)
    assert made(x).dtype == torch.float64
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        moved = mappers.build(name, x, 2, max_features=most).to(dtype)
        assert moved(x).dtype == moved(x.to(dtype)).dtype == dtype


def test_named_mappers_do_not_depend_on_the_units_of_the_features() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 4))).float()
    outputs = []
    for features in (x, 1000 * x + 5):
        torch.manual_seed(0)
        outputs.append(mappers.build("mlp", features, 2)(features))
    assert torch.allclose(*outputs, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "error", "line"),
    [
        (lambda: mappers.build("mpl", torch.ones(3, 2), 2), ValueError, r"mapper: got 'mpl' \(did you mean 'mlp'"),
        (lambda: mappers.build(3, torch.ones(3, 2), 2), TypeError, "mapper: got int, expected 'lookup'"),
        (lambda: Lookup(0, 2), ValueError, "n: got 0"),
        (lambda: Lookup(3, 2, start=torch.ones(2, 2)), ValueError, r"start: got shape \(2, 2\), expected \(3, 2\)"),
        (lambda: Lookup(3, 2, features=torch.ones(2, 2)), ValueError, "features: got 2 rows, expected 3"),
        (lambda: Lookup(3, 2, start=[1.0, 2.0, 3.0]), ValueError, r"start: got shape \(3,\), expected two dimensions"),
        (lambda: Rescale(torch.tensor([[1.0], [torch.nan]])), ValueError, "x: got NaN or infinity in rows 1"),
        (lambda: Principal(torch.ones(3), 1), ValueError, r"x: got shape \(3,\), expected two dimensions"),
        (lambda: Linear(2, 3, orthonormal=True), ValueError, "d_out: got 3, expected at most d_in = 2"),
        (lambda: MLP(2, 3, (4, 0)), ValueError, "hidden: got 0"),
    ],
)
def test_bad_arguments(make, error, line) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=rf"^{line}"):
        make()


def test_features_may_be_arrays() -> None:
    x = np.random.default_rng(0).normal(size=(6, 3))
    for made_from in (x, x.tolist()):
        assert Rescale(made_from)(torch.from_numpy(x)).shape == Principal(made_from, 3)(torch.from_numpy(x)).shape
        assert mappers.build("mlp", made_from, 2, max_features=2)(torch.from_numpy(x)).shape == (6, 2)
        lookup = Lookup(6, 3, start=made_from, features=made_from)
        assert torch.allclose(lookup(torch.from_numpy(x)), torch.from_numpy(x))


def test_a_lookup_keeps_features_as_they_are() -> None:
    """Of many images in bytes, a copy in float64 would take eight times their memory."""
    x = torch.arange(6, dtype=torch.uint8).reshape(3, 2)
    for lookup in (Lookup(3, 2, features=x), mappers.build("lookup", x, 2)):
        assert isinstance(lookup, Lookup)
        assert lookup.features is x


class TestTeacher:
    """The moving average that MoCo v3, BYOL and DINO learn from."""

    @staticmethod
    def network(seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))

    def test_it_is_the_moving_average(self) -> None:
        student = self.network()
        teacher = icon.nn.EMA(student, decay=0.8)
        expected = {name: value.clone() for name, value in student.state_dict().items()}
        for step in range(3):
            with torch.no_grad():
                for parameter in student.parameters():
                    parameter.add_(0.1 * (step + 1))
            student(torch.randn(8, 4))  # moves the batch statistics
            teacher.update(student)
            for name, value in student.state_dict().items():
                moving = value.is_floating_point()
                expected[name] = 0.8 * expected[name] + 0.2 * value if moving else value.clone()
        for name, value in teacher.averaged.module.state_dict().items():
            torch.testing.assert_close(value, expected[name])
        assert teacher.n_updates == 3

    def test_no_gradient_and_no_parameters_to_train(self) -> None:
        teacher = icon.nn.EMA(self.network())
        assert not teacher(torch.randn(6, 4)).requires_grad
        assert not any(p.requires_grad for p in teacher.parameters())

    def test_state_dict_resumes(self) -> None:
        student = self.network()
        first, second = icon.nn.EMA(student, 0.5), icon.nn.EMA(self.network(1), 0.5)
        first.update(self.network(2))
        second.load_state_dict(first.state_dict())
        assert second.n_updates == 1
        x = torch.randn(6, 4)
        assert torch.equal(first(x), second(x))

    def test_schedule(self) -> None:
        decay = icon.nn.cosine_decay(0.9, steps=10)
        assert decay(0) == pytest.approx(0.9)
        assert decay(5) == pytest.approx(0.95)
        assert decay(10) == decay(99) == 1.0
        student = nn.Linear(1, 1, bias=False)
        teacher = icon.nn.EMA(student, icon.nn.cosine_decay(0.0, steps=2))
        start = student.weight.item()
        for _ in range(2):
            with torch.no_grad():
                student.weight += 1
            teacher.update(student)
        # The first update takes the student as it is (decay 0), the second one half of the way (decay 1/2).
        assert teacher.averaged.module.weight.item() == pytest.approx(start + 1.5)

    def test_a_teacher_with_a_schedule_is_pickled(self) -> None:
        teacher = icon.nn.EMA(self.network(), icon.nn.cosine_decay(0.9, steps=10))
        assert pickle.loads(pickle.dumps(teacher)).decay(5) == pytest.approx(0.95)

    def test_complex_parameters_are_averaged(self) -> None:
        student = nn.ParameterList([torch.zeros(2, dtype=torch.complex64)])
        teacher = icon.nn.EMA(student, 0.75)
        with torch.no_grad():
            student[0] += 4j
        teacher.update(student)
        assert teacher.averaged.module[0].tolist() == [1j, 1j]

    def test_it_follows_a_module_that_is_compiled_or_spread(self) -> None:
        teacher, student = icon.nn.EMA(self.network()), self.network(1)
        for wrapped in (nn.DataParallel(student), torch.compile(student, backend="eager")):
            teacher.update(wrapped)
        assert teacher.n_updates == 2

    def test_bad_decay(self) -> None:
        with pytest.raises(ValueError, match=r"^decay: got 1.5"):
            icon.nn.EMA(self.network(), 1.5)

    def test_bad_modules(self) -> None:
        with pytest.raises(TypeError, match=r"^module: got int, expected an nn.Module"):
            icon.nn.EMA(3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^module: got parameters in torch.bfloat16"):
            icon.nn.EMA(nn.Linear(2, 2).bfloat16())
        with pytest.raises(TypeError, match=r"^teacher: got parameters in torch.bfloat16"):
            icon.nn.EMA(nn.Linear(2, 2)).bfloat16().update(nn.Linear(2, 2))
        teacher = icon.nn.EMA(nn.Linear(4, 3), 0.5)
        before = teacher.averaged.module.weight.clone()
        for other in (nn.Linear(4, 1), nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), nn.Linear(4, 3, bias=False)):
            with pytest.raises(ValueError, match=r"^module: got \S+ of shape"):
                teacher.update(other)
        with pytest.raises(TypeError, match=r"^module: got NoneType, expected an nn.Module"):
            teacher.update(None)  # type: ignore[arg-type]
        assert torch.equal(teacher.averaged.module.weight, before)

    def test_state_that_is_no_tensor_plays_no_part(self) -> None:
        """A queue tells how many rows it has beside its tensors."""
        student = nn.Sequential(nn.Linear(2, 2), icon.training.Queue(3, 2))
        teacher = icon.nn.EMA(student, 0.5)
        before = student[0].weight.detach().clone()
        with torch.no_grad():
            student[0].weight += 2
        teacher.update(student)
        assert torch.allclose(teacher.averaged.module[0].weight, before + 1)

    @pytest.mark.parametrize("name", ["mocov3", "byol", "dino"])
    def test_methods_that_use_it_learn_without_collapse(self, name: str) -> None:
        """Views are noisy copies; after training the views of a point are nearer to each other than to other points."""
        torch.manual_seed(0)
        x = torch.randn(128, 8)
        student, predictor = icon.nn.MLP(8, 8, 32), icon.nn.MLP(8, 8, 32)
        head = icon.nn.Prototypes(16, 8)
        teacher, teacher_head = icon.nn.EMA(student, 0.95), icon.nn.EMA(head, 0.95)
        centering = icon.nn.Centering(16, temperature=0.1)
        loss = icon.method(name)
        optimizer = torch.optim.Adam([*student.parameters(), *predictor.parameters(), *head.parameters()], lr=1e-3)
        for _ in range(150):
            a, b = (x + 0.3 * torch.randn_like(x) for _ in range(2))
            if name == "dino":
                z, prototypes = teacher_head(teacher(b))
                value = loss(head(student(a)), centering(z @ prototypes.T))
            else:
                value = loss((predictor(student(a)), teacher(b)))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            teacher.update(student)
            teacher_head.update(head)
        with torch.no_grad():
            z, other = (teacher(x + 0.3 * torch.randn_like(x)) for _ in range(2))
        assert icon.metrics.effective_rank(z) > 2
        nearest = torch.cdist(z, other).argmin(dim=1)
        assert (nearest == torch.arange(128)).float().mean() > 0.2  # by chance 0.008


def test_many_points_of_many_features_have_random_directions() -> None:
    """They span what the exact ones do where the spectrum falls, and are the same at every call."""
    generator = torch.Generator().manual_seed(0)
    scales = 0.8 ** torch.arange(40)
    turn = torch.linalg.qr(torch.randn(1100, 40, generator=generator))[0]
    x = torch.randn(1200, 40, generator=generator) * scales @ turn.mT
    found = Principal(x, 8)
    assert torch.equal(found.basis, Principal(x, 8).basis)
    centred = x - x.mean(dim=0)
    exact = torch.linalg.svd(centred, full_matrices=False).Vh[:8].mT
    assert torch.linalg.matrix_norm(found.basis - exact @ (exact.mT @ found.basis), 2) < 1e-3
    assert torch.allclose(found.basis.mT @ found.basis, torch.eye(8), atol=1e-5)
