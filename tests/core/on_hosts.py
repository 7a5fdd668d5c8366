"""What each rank of several hosts computes: ``torchrun ... -m tests.core.on_hosts``."""

from __future__ import annotations

import sys

import torch
import torch.distributed as dist

import icon
from tests.core.test_ranks import off_by


def main() -> None:
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    z, ids = torch.randn(22, 5, dtype=torch.float64, requires_grad=True), torch.arange(22) // 2
    cut = [0, 3, 9, 9, 22]
    for slug in ("simclr", "supcon", "clip"):
        for exchange in ("gather", "ring"):
            loss = icon.method(slug)
            given = ((z, z.detach().roll(1, 0).requires_grad_()), None) if slug == "clip" else (z, ids)
            assert off_by(loss, loss.replace(group="world", exchange=exchange), *given, cut) < 1e-10
    # torchrun starts Python unbuffered, where `print` writes a line and its end apart: two ranks could share a line.
    sys.stdout.write(f"rank {dist.get_rank()} of {dist.get_world_size()} is right\n")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
