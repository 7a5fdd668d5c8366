"""``python -m benchmarks.gpu``: value and gradient on a CUDA device, and what rounded products cost in accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

import icon

TEMPERATURE, DIMENSIONS = 0.1, 128
SIZES = (256, 1024, 4096, 16384, 32768)


def milliseconds(step: Callable[[], object], rounds: int = 20) -> float:
    """Median over rounds, by events on the device."""
    for _ in range(3):
        step()
    found = []
    for _ in range(rounds):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        stop.record()
        torch.cuda.synchronize()
        found.append(start.elapsed_time(stop))
    return statistics.median(found)


def simclr_by_hand(z: Tensor, partner: Tensor) -> Tensor:
    unit = normalize(z, dim=1)
    scores = unit @ unit.T / TEMPERATURE
    return cross_entropy(scores.fill_diagonal_(-torch.inf), partner)


def speed() -> None:
    print("SimCLR, value and gradient, as a multiple of plain PyTorch; peak memory")
    for n in SIZES:
        z = torch.randn(n, DIMENSIONS, device="cuda", requires_grad=True)
        ids, partner = torch.arange(n, device="cuda") % (n // 2), (torch.arange(n, device="cuda") + n // 2) % n

        def step(loss: icon.Loss, z: Tensor = z, ids: Tensor = ids) -> None:
            torch.autograd.grad(loss(z, ids.clone()), z)

        def plain(z: Tensor = z, partner: Tensor = partner) -> None:
            torch.autograd.grad(simclr_by_hand(z, partner), z)

        by_hand = milliseconds(plain)
        print(f"n = {n}: plain {by_hand:.3f} ms, {peak(plain):.0f} MiB")
        for evaluator in (None, "autograd", "fused"):
            ours = partial(step, icon.method("simclr", temperature=TEMPERATURE, evaluator=evaluator))
            checked = milliseconds(ours)
            with icon.set_validation(False):
                unchecked, memory = milliseconds(ours), peak(ours)
            ratios = f"{checked / by_hand:.2f}, without validation {unchecked / by_hand:.2f}"
            print(f"  evaluator {evaluator}: {ratios}; {memory:.0f} MiB")


def peak(step: Callable[[], object]) -> float:
    """MiB above what is there already."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def accuracy() -> None:
    print("SimCLR in float32 against float64: relative error of value and gradient")
    for n in (1024, 8192):
        exact = torch.randn(n, DIMENSIONS, device="cuda", dtype=torch.float64, requires_grad=True)
        ids = torch.arange(n, device="cuda") % (n // 2)
        value = icon.method("simclr", temperature=TEMPERATURE)(exact, ids)
        (gradient,) = torch.autograd.grad(value, exact)
        for precision in (None, "tf32", "bfloat16"):
            z = exact.detach().float().requires_grad_()
            loss = icon.method("simclr", temperature=TEMPERATURE, evaluator="fused", matmul_precision=precision)
            found = loss(z, ids)
            (slope,) = torch.autograd.grad(found, z)
            error = float((slope - gradient).norm() / gradient.norm())
            seconds = milliseconds(lambda loss=loss, z=z, ids=ids: torch.autograd.grad(loss(z, ids), z))
            print(
                f"n = {n}, {precision}: {float((found / value - 1).detach().abs()):.1e}, {error:.1e}; {seconds:.3f} ms"
            )


if __name__ == "__main__":
    print(torch.cuda.get_device_name(), torch.__version__)
    speed()
    accuracy()
