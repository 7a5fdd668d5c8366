"""``python -m benchmarks.ranks``: losses over ranks beside the peers': error, time, largest tensor, peak memory."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import icon
from benchmarks.contenders import TEMPERATURE
from benchmarks.measure import as_markdown, forget_peak, peak_of_this_process
from table.peers import lightly_ntxent, open_clip_loss

D = 128
FEW = 256  # embeddings of all ranks; at 1,024 pytorch-metric-learning takes more than 20 GiB on two ranks
MANY = 4096  # beyond, a step takes seconds, and two rounds do
Loss = Callable[[Tensor, Tensor], Tensor]  # of the two views, or modalities, of this rank


def icon_loss(task: str, exchange: str) -> Loss:
    loss = icon.method(task, temperature=TEMPERATURE, group="world", exchange=exchange)
    return lambda a, b: loss((a, b))


def open_clip(task: str, exact: bool) -> Loss:
    rank, world = dist.get_rank(), dist.get_world_size()
    loss = open_clip_loss()(local_loss=exact, gather_with_grad=exact, rank=rank, world_size=world)
    scale = torch.tensor(1 / TEMPERATURE)
    return lambda a, b: loss(torch.nn.functional.normalize(a, dim=1), torch.nn.functional.normalize(b, dim=1), scale)


def lightly(task: str) -> Loss:
    loss: Loss = lightly_ntxent()(temperature=TEMPERATURE, gather_distributed=True)
    return loss


def metric_learning(task: str) -> Loss:
    from pytorch_metric_learning.losses import NTXentLoss
    from pytorch_metric_learning.utils.distributed import DistributedLossWrapper

    wrapped = DistributedLossWrapper(NTXentLoss(temperature=TEMPERATURE))

    def loss(a: Tensor, b: Tensor) -> Tensor:
        ids = torch.arange(len(a)).repeat(2) + dist.get_rank() * len(a)
        found: Tensor = wrapped(torch.cat([a, b]), ids)
        return found

    return loss


#: By task and contender: what builds it on a rank, and up to how many points of all ranks it is run.
CONTENDERS: dict[str, dict[str, tuple[Callable[[str], Loss], int]]] = {
    "clip": {
        "icon, gather": (lambda task: icon_loss(task, "gather"), 2**20),
        "icon, ring": (lambda task: icon_loss(task, "ring"), 2**20),
        "open_clip, as it is": (lambda task: open_clip(task, False), 2**14),
        "open_clip, local_loss and gather_with_grad": (lambda task: open_clip(task, True), 2**14),
    },
    "simclr": {
        "icon, gather": (lambda task: icon_loss(task, "gather"), 2**20),
        "icon, ring": (lambda task: icon_loss(task, "ring"), 2**20),
        "lightly": (lightly, 2**14),
        "pytorch-metric-learning": (metric_learning, FEW),
    },
}


def views(points: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
    """What one rank has of two views of so many points of all ranks."""
    torch.manual_seed(0)
    a, b = torch.randn(2, points, D)
    part = slice(rank * points // world, (rank + 1) * points // world)
    return a[part].clone().requires_grad_(), (a + 0.5 * b)[part].clone().requires_grad_()


def error(task: str, loss: Loss, rank: int, world: int, points: int = 256) -> float:
    """How far the gradient that ranks average is from that of one process, over its largest entry."""
    own = views(points, rank, world)
    loss(*own).backward()
    whole = views(points, 0, 1)
    icon.method(task, temperature=TEMPERATURE)(whole).backward()
    part = slice(rank * points // world, (rank + 1) * points // world)
    expected = whole[0].grad[part]  # type: ignore[index] # it has one
    off = (own[0].grad / world - expected).abs().max() / whole[0].grad.abs().max()  # type: ignore[operator,union-attr]
    dist.all_reduce(off, op=dist.ReduceOp.MAX)
    return float(off)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that any operation gives."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for x in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(x, Tensor):
                self.bytes = max(self.bytes, x.untyped_storage().nbytes())
        return found


def step(loss: Loss, own: tuple[Tensor, Tensor]) -> None:
    for x in own:
        x.grad = None
    loss(*own).backward()


def speed(rank: int, world: int, task: str, points: int, rounds: int) -> dict[str, tuple[float, float]]:
    """The error of each contender, and its median seconds in interleaved rounds."""
    losses = {name: build(task) for name, (build, most) in CONTENDERS[task].items() if points <= most}
    errors = {name: error(task, loss, rank, world) for name, loss in losses.items()}
    own, seconds = views(points // 2, rank, world), {name: [] for name in losses}  # type: ignore[var-annotated]
    for round in range(rounds + 1):
        for name, loss in losses.items():
            dist.barrier()
            start = time.perf_counter()
            step(loss, own)
            dist.barrier()
            if round:
                seconds[name].append(time.perf_counter() - start)
    return {name: (errors[name], statistics.median(seconds[name])) for name in losses}


def memory(rank: int, world: int, task: str, sizes: list[int], name: str) -> dict[int, tuple[float, float]]:
    """MiB of the largest tensor of a step, and what its peak is above what was there before, for each size."""
    build, most = CONTENDERS[task][name]
    loss, found = build(task), {}
    step(loss, views(64, rank, world))
    for n in (n for n in sizes if n <= most):
        own = views(n // 2, rank, world)
        forget_peak()
        before = peak_of_this_process()
        step(loss, own)
        peak = peak_of_this_process() - before
        with Largest() as largest:
            step(loss, own)
        found[n] = largest.bytes / 2**20, peak
    return found


def on_ranks(work: Callable[..., Any], world: int, *arguments: Any) -> Any:
    """What ``work(rank, world, *arguments)`` gives on the first of so many ranks."""
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(_rank, (world, folder, work, arguments), nprocs=world, start_method="spawn")
        return torch.load(Path(folder) / "found.pt", weights_only=False)


def _rank(rank: int, world: int, folder: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    dist.barrier()
    found = work(rank, world, *arguments)
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()


def main(
    size: Annotated[Optional[list[int]], typer.Option(help="Embeddings of all ranks (repeat the option).")] = None,  # noqa: UP045
    ranks: Annotated[Optional[list[int]], typer.Option(help="Numbers of ranks.")] = None,  # noqa: UP045
    rounds: Annotated[int, typer.Option(help="Counted rounds; medians are reported.")] = 5,
    out: Annotated[Path, typer.Option(help="Folder for ranks.md.")] = Path("out/bench"),
) -> None:
    """CLIP and SimCLR of N embeddings on 1, 2 and 4 ranks, d = 128, float32, one thread each."""
    sizes, worlds = sorted(size or [256, 1024, 4096, 16384]), ranks or [1, 2, 4]
    console = Console(width=140)
    lines = [f"PyTorch {torch.__version__}, gloo, {os.cpu_count()} cores, {rounds} rounds.", ""]
    out.mkdir(parents=True, exist_ok=True)
    for task, contenders in CONTENDERS.items():
        title = f"{task}: error of the gradient; ms a step (largest tensor, peak above its inputs, MiB per rank)"
        table = Table("contender", "ranks", "error", *(f"N = {n}" for n in sizes), title=title)
        for world in worlds:
            found = {n: on_ranks(speed, world, task, n, rounds if n <= MANY else 2) for n in sizes}
            for name in contenders:
                taken = on_ranks(memory, world, task, sizes, name)
                cells = [
                    f"{1e3 * found[n][name][1]:.3g} ({taken[n][0]:.3g}, {taken[n][1]:.3g})" if n in taken else "-"
                    for n in sizes
                ]
                table.add_row(name, str(world), f"{found[min(sizes)][name][0]:.1e}", *cells)
        console.print(table)
        lines += [*as_markdown(table), ""]
        (out / "ranks.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
