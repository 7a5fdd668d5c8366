"""A run that a test kills: ``python -m tests.training.killed CHECKPOINT RESULT``, on as many ranks as RANK tells of."""

from __future__ import annotations

import os
import sys
import time

import torch
import torch.distributed as dist
from torch import nn

import icon
from icon.training import fit


def main(checkpoint: str, result: str) -> None:
    torch.set_num_threads(1)
    group = None
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
        group = "world"
    torch.manual_seed(0)
    x = torch.randn(60, 5)
    mapper = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 4))
    loss = icon.Loss(icon.p.KNN(5).walks(2).debias(0.1), icon.q.Clusters(), group=group)
    teacher = icon.nn.EMA(mapper, 0.9)

    def slow(step: int, *_: object) -> None:
        print(step, flush=True)
        time.sleep(0.01)

    done = fit(
        loss, mapper, x, x, steps=60, batch_size=20, decay=True, teacher=teacher, checkpoint=checkpoint,
        checkpoint_every=3, callback=slow,
    )  # fmt: skip
    if group is None or dist.get_rank() == 0:
        parts = [*mapper.state_dict().values(), *teacher.state_dict().values(), torch.tensor(done.losses)]
        torch.save([part.clone() for part in parts], result)
    if group is not None:
        dist.barrier()
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
