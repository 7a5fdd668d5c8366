"""A queue of embeddings of earlier batches: more negatives, more positives, or nearest neighbours."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor, nn

from icon import _checks as check
from icon._precision import full_precision
from icon._scales import unit_rows
from icon.core import exchange


class Queue(nn.Module):
    """The last embeddings that were pushed, at most ``size`` of them, without gradient; its state is in `state_dict`.

    Negatives of earlier batches beside the keys of this one (MoCo):

    >>> queue = icon.training.Queue(4096, 3)
    >>> candidates, which = queue.beside(keys)
    >>> value = icon.method("infonce")((queries, candidates), which)
    >>> queue.push(keys)

    Batch and memory as candidates of the batch, positives by their labels (cross-batch memory, XBM):

    >>> memory = icon.training.Queue(4096, 3)
    >>> input, classes, batch = memory.behind(z, ids)
    >>> value = icon.method("supcon")(input, classes, anchors=batch)
    >>> memory.push(z, ids)

    The nearest neighbour in the queue as the positive (NNCLR): ``loss((queue.nearest(view_a), view_b))``.

    Args:
        size: how many are kept; the oldest leave first.
        dim: columns of an embedding.
        group: ``"world"`` or a process group, that of the loss: the embeddings that are pushed are those of all its
            ranks, and each of them puts its part of the queue beside its keys.

    Source: He et al. 2020 (MoCo, arXiv 1911.05722); Wang et al. 2020 (XBM, arXiv 1912.06798); Dwibedi et al. 2021
    (NNCLR, arXiv 2104.14548).
    """

    held: Tensor
    held_labels: Tensor

    def __init__(self, size: int, dim: int, group: exchange.Group | None = None) -> None:
        super().__init__()
        self.register_buffer("held", torch.zeros(check.count(size, "size"), check.count(dim, "dim")))
        self.register_buffer("held_labels", torch.full((size,), -1))
        self.group = None if group is None else exchange.check_group(group)
        self._next = self._count = 0

    @property
    def rows(self) -> Float[Tensor, "k d"]:
        """The embeddings in the queue."""
        return self.held[: self._count]

    @property
    def labels(self) -> Int[Tensor, " k"]:
        """Their labels; -1 for those that were pushed without one."""
        return self.held_labels[: self._count]

    def __len__(self) -> int:
        return self._count

    @torch.no_grad()
    def push(self, z: Any, labels: Any = None) -> None:
        """Take the rows of ``z [n, d]`` in, and their labels ``[n]`` where they have some.

        Args:
            z: ``[n, d]`` embeddings, finite.
            labels: ``[n]`` integers >= 0; None: unknown.

        Raises:
            ValueError, TypeError: no finite matrix of the queue's columns, or other labels than one for each row.
        """
        of_a_rank = self.group is not None
        given, known = exchange.on_all(lambda: self._given(z, labels, may_be_empty=of_a_rank), self.group)
        if of_a_rank:
            given, known = (exchange.rows_of_all(x, exchange.process_group(self.group))[0] for x in (given, known))
        size = len(self.held)
        given, known = given[-size:], known[-size:]
        places = (self._next + torch.arange(len(given), device=self.held.device)) % size
        self.held.index_copy_(0, places, given.to(self.held))
        self.held_labels.index_copy_(0, places, known.to(self.held_labels))
        self._next, self._count = (self._next + len(given)) % size, min(self._count + len(given), size)

    def _given(self, z: Any, labels: Any, may_be_empty: bool = False) -> tuple[Tensor, Tensor]:
        """Rows and labels that can be taken in, where the rows are."""
        given = self._checked(z, "z", may_be_empty).detach()
        if labels is None:
            return given, torch.full((len(given),), -1, device=given.device)
        return given, check.integers(labels, "labels", len(given)).to(given.device)

    def _checked(self, x: Any, name: str, may_be_empty: bool = True) -> Tensor:
        """Rows of as many columns as those in the queue."""
        given = check.matrix(x, name, may_be_empty=may_be_empty)
        if given.shape[1] != self.held.shape[1]:
            raise ValueError(
                f"{name}: got {check.counted(given.shape[1], 'column')}, expected {self.held.shape[1]} as in the queue"
            )
        return given

    def beside(self, keys: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "m d"], tuple[Tensor, Tensor]]:
        """The keys and the queue as candidates ``[n + k, d]``, and the ids of queries and candidates.

        Query i belongs to key i; nobody belongs to what is in the queue. The ids are those of no other rank, and of a
        queue with a group each rank gives its part: a loss over the same ranks has all keys and the queue once.

        Args:
            keys: ``[n, d]`` of the batch.

        Raises:
            ValueError, TypeError: no finite matrix of the queue's columns.
        """
        keys = self._checked(keys, "keys")
        n, rows = len(keys), self.rows
        if self.group is not None:
            ranks = exchange.process_group(self.group)
            rank, world = dist.get_rank(ranks), dist.get_world_size(ranks)
            rows = rows[rank * self._count // world : (rank + 1) * self._count // world]
        first = dist.get_rank() << 40 if dist.is_available() and dist.is_initialized() else 0
        every = first + torch.arange(n + len(rows), device=keys.device)
        return torch.cat([keys, rows.to(keys)]), (every[:n], every)

    def behind(self, z: Float[Tensor, "n d"], labels: Any) -> tuple[Float[Tensor, "m d"], Int[Tensor, " m"], slice]:
        """The batch and the queue behind it ``[n + k, d]``, their labels, and where the batch is.

        Args:
            z: ``[n, d]`` embeddings of the batch.
            labels: ``[n]`` integers >= 0.

        Raises:
            ValueError, TypeError: no finite matrix of the queue's columns; rows in the queue without a label.
        """
        z = self._checked(z, "z")
        own = check.integers(labels, "labels", len(z)).to(z.device)
        if check.values_matter(self.labels) and self._count and bool((self.labels < 0).any()):
            raise ValueError("labels: got rows in the queue without one, expected them to be pushed with their labels")
        return torch.cat([z, self.rows.to(z)]), torch.cat([own, self.labels.to(own)]), slice(0, len(z))

    def nearest(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The row of the queue that is nearest to each row of z by its direction; z itself while it is empty.

        Args:
            z: ``[n, d]`` embeddings.

        Raises:
            ValueError, TypeError: no finite matrix of the queue's columns.
        """
        z = self._checked(z, "z")
        if not self._count:
            return z
        rows = self.rows.to(z)
        with full_precision(z):
            return rows[(unit_rows(z.detach()) @ unit_rows(rows).mT).argmax(dim=1)]

    __deepcopy__ = exchange.copied

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self._next, self._count], device="cpu")  # safetensors takes nothing but tensors

    def set_extra_state(self, state: Tensor | dict[str, int]) -> None:
        # States of earlier releases have the two by name.
        self._next, self._count = (state["next"], state["count"]) if isinstance(state, dict) else state.tolist()

    def extra_repr(self) -> str:
        return f"{len(self.held)}, {self.held.shape[1]}, holds {self._count}"
