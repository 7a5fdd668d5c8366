"""Views on two devices, and logits of -inf: classes that do not compete."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

import icon

CLASSES = 4


def masked(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    logits = torch.randn(6, CLASSES, dtype=dtype, generator=torch.Generator().manual_seed(0))
    logits[0, 1] = logits[3, 0] = -torch.inf
    return logits.requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1.0, 0.01])
def test_value_and_gradient_are_those_of_torch(temperature: float, dtype: torch.dtype) -> None:
    logits, labels = masked(dtype), torch.tensor([0, 1, 2, 3, 2, 0])
    ours = icon.method("cross-entropy", temperature=temperature)((logits, torch.eye(CLASSES, dtype=dtype)), labels)
    theirs = cross_entropy(logits / temperature, labels)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(x, logits)[0] for x in (ours, theirs)))


def test_a_label_or_target_that_is_masked_is_refused() -> None:
    pair = masked(), torch.eye(CLASSES, dtype=torch.float64)
    for target in (torch.tensor([1, 1, 2, 3, 2, 0]), torch.full((6, CLASSES), 1 / CLASSES)):
        with pytest.raises(ValueError, match=r"^labels: got classes with a logit of -inf in rows 0"):
            icon.method("cross-entropy")(pair, target)


@pytest.mark.parametrize(
    ("bad", "prototypes"),
    [(torch.nan, torch.eye(CLASSES)), (torch.inf, torch.eye(CLASSES)), (-torch.inf, torch.ones(CLASSES, CLASSES))],
)
def test_other_infinities_are_refused(bad: float, prototypes: torch.Tensor) -> None:
    logits = torch.zeros(2, CLASSES)
    logits[1, 2] = bad
    with pytest.raises(ValueError, match=r"^input\[0\]: got NaN or infinity in rows 1"):
        icon.method("cross-entropy")((logits, prototypes), torch.tensor([0, 1]))


def test_an_anchor_without_any_class_is_refused() -> None:
    logits = torch.full((1, CLASSES), -torch.inf)
    with pytest.raises(ValueError, match=r"^input\[0\]: got -inf for every class"):
        icon.method("cross-entropy")((logits, torch.eye(CLASSES)), torch.tensor([0]))


def test_an_ignored_anchor_may_have_no_class() -> None:
    logits = torch.zeros(2, 3)
    logits[1] = -torch.inf
    ours = icon.method("cross-entropy", ignore_index=-100)((logits, torch.eye(3)), torch.tensor([0, -100]))
    torch.testing.assert_close(ours, torch.tensor(3.0).log())


def test_smoothing_of_a_masked_class_is_refused() -> None:
    logits = torch.tensor([[0.0, -torch.inf, 0.0]])
    with pytest.raises(ValueError, match=r"^input\[0\]: got -inf for a class to which DataLabel.*debias.* gives mass"):
        icon.method("cross-entropy", label_smoothing=0.1)((logits, torch.eye(3)), torch.tensor([0]))


@pytest.mark.parametrize("name", ["cosface", "swav", "harmonic"])
def test_a_score_that_is_no_dot_product_refuses_them(name: str) -> None:
    with pytest.raises(ValueError, match=r"^input\[0\]: got NaN or infinity in rows 0, 3"):
        icon.method(name)((masked(), torch.eye(CLASSES)), torch.tensor([0, 1, 2, 3, 2, 0]))


def test_low_logits_of_half_precision_stay_above_a_masked_class() -> None:
    logits, labels = (masked(torch.float32).detach() - 300).half(), torch.tensor([0, 1, 2, 3, 2, 0])
    ours = icon.method("cross-entropy")((logits, torch.eye(CLASSES).half()), labels)
    torch.testing.assert_close(ours, cross_entropy(logits.float(), labels))


def test_prepared_rows_are_asked_likewise() -> None:
    loss, labels = icon.method("cross-entropy"), torch.tensor([0, 1, 2, 3, 2, 0])
    pair = masked().detach(), torch.eye(CLASSES, dtype=torch.float64)
    rows = icon.p.DataLabel(n_classes=CLASSES)(labels)
    torch.testing.assert_close(loss(pair, rows), cross_entropy(pair[0], labels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("how", ["grad", "compile"])
def test_a_transform_and_a_compiler_see_masked_classes(how: str, dtype: torch.dtype) -> None:
    loss, logits, labels = icon.method("cross-entropy"), masked(dtype).detach(), torch.tensor([0, 1, 2, 3, 2, 0])

    def ours(z: torch.Tensor) -> torch.Tensor:
        return loss((z, torch.eye(CLASSES, dtype=dtype)), labels)

    if how == "grad":
        found, expected = torch.func.grad(ours)(logits), torch.func.grad(lambda z: cross_entropy(z, labels))(logits)
    else:
        found, expected = torch.compile(ours, backend="eager", fullgraph=True)(logits), cross_entropy(logits, labels)
    torch.testing.assert_close(found, expected, check_dtype=False)


@pytest.mark.parametrize("method", ["clip", "infonce", "t-simcne"])
@pytest.mark.parametrize("devices", [("cpu", "meta"), ("meta", "cpu")])
def test_views_are_on_one_device(method: str, devices: tuple[str, str]) -> None:
    """A product of a tensor with one that has no numbers is made of whatever the memory holds."""
    views = tuple(torch.ones(4, 3, device=device) for device in devices)
    with pytest.raises(ValueError, match=rf"^input: got tensors on {devices[0]}, {devices[1]}, expected all on one"):
        icon.method(method)(views)
