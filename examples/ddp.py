"""SupCon on several ranks, each with another number of digits: the loss is that of all of them together.

Run it with ``torchrun --nproc-per-node 2 examples/ddp.py``.
"""

import argparse

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import icon


def main(steps: int) -> None:
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = (
        torch.device("cuda", rank % torch.cuda.device_count()) if torch.cuda.is_available() else torch.device("cpu")
    )
    x, y = load_digits(return_X_y=True)
    points, labels = (torch.from_numpy(array)[rank::world].to(device) for array in (x / 16, y))
    torch.manual_seed(0)  # the same network on all ranks
    encoder = DistributedDataParallel(icon.nn.MLP(64, 16).to(device))
    loss = icon.method("supcon", temperature=0.2, group="world")
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=3e-3)
    torch.manual_seed(rank)
    for step in range(1, steps + 1):
        chosen = torch.randint(len(points), (100 + 50 * rank,), device=device)  # uneven on purpose
        value = loss(encoder(points[chosen].float()), labels[chosen])
        optimizer.zero_grad()
        value.backward()  # the average over ranks is the gradient of the loss of all points together
        optimizer.step()
        if step % 50 == 0:
            mean = value.detach().clone()
            dist.all_reduce(mean)
            if rank == 0:
                print(f"step {step}: loss of all {world} ranks {mean.item() / world:.3f}", flush=True)
    spread = nn.utils.parameters_to_vector(encoder.parameters()).detach()
    largest = spread.clone()
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    assert torch.equal(largest, spread), "the ranks have other parameters"
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    main(**vars(parser.parse_args()))
