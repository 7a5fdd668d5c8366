"""SupCon with the parameters in shards over the ranks (FSDP2): the loss is that of all points together.

Run it with ``torchrun --nproc-per-node 2 examples/fsdp2.py``.
"""

import argparse

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import icon


def main(steps: int, batch: int) -> None:
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device(kind, rank % torch.cuda.device_count()) if kind == "cuda" else torch.device(kind)
    x, y = load_digits(return_X_y=True)
    points, labels = torch.from_numpy(x / 16).float().to(device), torch.from_numpy(y).to(device)
    torch.manual_seed(0)  # the same network and the same batches on all ranks
    encoder, mesh = icon.nn.MLP(64, 16).to(device), init_device_mesh(kind, (world,))
    for layer in encoder:
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    fully_shard(encoder, mesh=mesh)
    loss = icon.method("supcon", temperature=0.2, group="world")
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1, momentum=0.9)
    for step in range(1, steps + 1):
        mine = torch.randint(len(points), (batch,))[rank::world].to(device)
        value = loss(encoder(points[mine]), labels[mine])
        optimizer.zero_grad()
        value.backward()  # FSDP2 averages over ranks: that is the gradient of the loss of all points together
        optimizer.step()
        if step % 10 == 0:
            mean = value.detach().clone()
            dist.all_reduce(mean)
            if rank == 0:
                print(f"step {step}: loss of all {world} ranks {mean.item() / world:.6f}", flush=True)
    with torch.no_grad():
        z = encoder(points).cpu()
    if rank == 0:
        accuracy, raw = (float(icon.metrics.knn_probe(features, y)) for features in (z, x))
        print(f"k-NN accuracy {accuracy:.3f} by the labels it was trained with (of the pixels: {raw:.3f})")
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=256, help="points of all ranks together")
    main(**vars(parser.parse_args()))
