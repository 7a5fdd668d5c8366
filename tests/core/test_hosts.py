"""Two hosts: network namespaces joined by a pair of virtual cards, each with a torchrun of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.ranks import ROOT, environment

ADDRESSES = ("10.213.77.1", "10.213.77.2")


def ip(*arguments: str) -> bool:
    """Whether a command of ``ip`` succeeds."""
    return subprocess.run(["ip", *arguments], check=False, capture_output=True).returncode == 0


@pytest.fixture
def hosts() -> Iterator[list[list[str]]]:
    """For each of two hosts, the words that run a command there."""
    names = [f"icon-{os.getpid()}-{k}" for k in range(2)]
    cards = [f"ic{os.getpid() % 10**6}{letter}" for letter in "ab"]
    try:
        if shutil.which("ip") is None or not all(ip("netns", "add", name) for name in names):
            pytest.skip("network namespaces cannot be made here: that takes `ip netns add`, as root")
        assert ip(
            "link", "add", cards[0], "netns", names[0], "type", "veth", "peer", "name", cards[1], "netns", names[1]
        )
        for name, card, address in zip(names, cards, ADDRESSES, strict=True):
            inside = ("-n", name)
            assert ip(*inside, "address", "add", f"{address}/24", "dev", card)
            assert ip(*inside, "link", "set", card, "up")
            assert ip(*inside, "link", "set", "lo", "up")
        yield [
            ["ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME={card}"]
            for name, card in zip(names, cards, strict=True)
        ]
    finally:
        for name in names:
            ip("netns", "delete", name)


@pytest.mark.slow
def test_two_hosts_of_two_ranks_give_the_loss_of_one_process(hosts: list[list[str]]) -> None:
    running = []
    for node, host in enumerate(hosts):
        launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2"]
        meet = ["--node-rank", str(node), "--rdzv-backend", "c10d", "--rdzv-id", "icon"]
        meet += ["--rdzv-endpoint", f"{ADDRESSES[0]}:29517", "--local-addr", ADDRESSES[node]]
        meet += ["--rdzv-conf", f"is_host={int(node == 0)}"]
        command = [*host, *launch, *meet, "-m", "tests.core.on_hosts"]
        running.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    said = [process.communicate(timeout=240) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    found = [line for out, _ in said for line in out.splitlines() if line.startswith("rank")]
    assert sorted(found) == [f"rank {rank} of 4 is right" for rank in range(4)]
    # The first host has ranks 0 and 1, or 2 and 3: each of them has two.
    assert [sum(line.startswith("rank") for line in out.splitlines()) for out, _ in said] == [2, 2]
