"""Batches of any size in bounded memory: embeddings without a graph, the loss once, then the network chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import get_device_states, set_device_states

from icon import _checks as check
from icon.core.loss import Loss


class GradCache:
    """The loss of a batch, and its gradients, with the network's graph of one chunk at a time.

    The embeddings of all chunks are computed without a graph, the loss of all of them gives the gradient of each
    embedding, and each chunk is then computed again, from the same random numbers, to carry its part on to the
    parameters. Value and gradients are those of the whole batch at once, as long as the network treats each point by
    itself: batch normalisation in training mode sees chunks, and counts each of them twice.

    >>> cache = icon.training.GradCache(icon.method("simclr"), encoder, chunk=8)
    >>> value = cache((view_a, view_b))     # in place of loss((encoder(view_a), encoder(view_b))).backward()
    >>> optimizer.step()

    Args:
        loss: any loss, over ranks as well (``group=``), of which some may have no point.
        encoders: one network for all views, or one for each (images and texts), of which some may be frozen. One in
            `DistributedDataParallel` waits for the other ranks in its last chunk only.
        chunk: points whose graph is kept at a time.

    Raises:
        TypeError, ValueError: no loss, an encoder that is no module, one with a static graph, or a chunk < 1.

    Source: Gao, Zhang, Han & Callan 2021 (arXiv 2101.06983).
    """

    def __init__(self, loss: Loss, encoders: nn.Module | Sequence[nn.Module], chunk: int) -> None:
        if not callable(loss):
            raise TypeError(f"loss: got {type(loss).__name__}, expected a loss, such as icon.method('simclr')")
        self.loss, self.chunk = loss, check.count(chunk, "chunk")
        self.encoders = list(encoders) if isinstance(encoders, Sequence) else [encoders]
        if not self.encoders or not all(isinstance(encoder, nn.Module) for encoder in self.encoders):
            raise TypeError(f"encoders: got {type(encoders).__name__}, expected a module, or several")
        if any(getattr(encoder, "static_graph", False) for encoder in self.encoders):
            raise ValueError(
                "encoders: got DistributedDataParallel with static_graph=True, expected False: chunks but the last one "
                "exchange nothing"
            )

    def __call__(self, input: Any, target: Any = None, *, scale: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The loss, whose gradients have been added to those of the parameters.

        Args:
            input: what the encoder takes, ``[n, ...]``: a tensor, or a mapping of tensors that it takes by keyword; a
                tuple or list of these for several views.
            target: as the loss takes it.
            scale: of a loss in half precision: ``torch.amp.GradScaler().scale``.

        Raises:
            ValueError, TypeError: as the loss; an input of another number of views than encoders, or of no point.
        """
        check.function(scale, "scale")
        views = list(input) if isinstance(input, (tuple, list)) else [input]
        encoders = self.encoders * len(views) if len(self.encoders) == 1 else self.encoders
        if len(encoders) != len(views):
            raise ValueError(
                f"input: got {check.counted(len(views), 'view')}, expected {len(encoders)}, one for each encoder"
            )
        passes = [_Pass(encoder, view, self.chunk) for encoder, view in zip(encoders, views, strict=True)]
        leaves = [each.embeddings() for each in passes]
        whole = tuple(leaves) if isinstance(input, (tuple, list)) else leaves[0]
        value = check.one_number(self.loss(whole, target), "loss")
        (value if scale is None else scale(value)).backward()  # type: ignore[no-untyped-call]
        learned = [(each, leaf.grad) for each, leaf in zip(passes, leaves, strict=True) if leaf.grad is not None]
        last = {id(each.encoder): k for k, (each, _) in enumerate(learned)}
        for k, (each, gradient) in enumerate(learned):
            each.carry_on(gradient, waits=last[id(each.encoder)] == k)
        return value.detach()


class _Pass:
    """One view through one encoder, twice."""

    def __init__(self, encoder: nn.Module, view: Any, chunk: int) -> None:
        self.encoder, self.view, self.chunk = encoder, view, chunk
        self.n = len(next(iter(view.values()), ()) if isinstance(view, Mapping) else view)
        if self.n == 0 and not (dist.is_available() and dist.is_initialized()):  # a loss over ranks takes it, or tells
            raise ValueError("input: got no point, expected some")
        self.states: list[tuple[Tensor, Any]] = []

    def embeddings(self) -> Tensor:
        """All embeddings ``[n, d]`` as a leaf of the graph, and the random state before each chunk."""
        embeddings: Tensor | None = None
        learned = next(self.encoder.parameters(), None)  # whose device it may be that moves the points there
        with torch.no_grad():
            for k, part in enumerate(self._chunks()):
                tensors = part.values() if isinstance(part, Mapping) else (part,)
                self.states.append((torch.get_rng_state(), get_device_states(learned, *tensors)))
                encoded = self._encoded(part)
                # Small tensors that stay among large ones that go would leave holes, in which no later one has room.
                embeddings = encoded.new_empty(self.n, *encoded.shape[1:]) if embeddings is None else embeddings
                own = embeddings[k * self.chunk : (k + 1) * self.chunk]
                if encoded.shape != own.shape:
                    shapes = f"got an output of shape {tuple(encoded.shape)}, expected {tuple(own.shape)}"
                    raise ValueError(f"encoders: {shapes}, a row for each point")
                own.copy_(encoded)
        torch.clear_autocast_cache()  # where older versions of torch keep weights that were cast without a graph
        assert embeddings is not None
        return embeddings.requires_grad_()

    def carry_on(self, gradient: Tensor, waits: bool) -> None:
        """Carry the gradient of the embeddings on to the parameters, as if the first pass had kept its graph."""
        devices = [d for _, (d, _) in self.states for d in d]
        with torch.random.fork_rng(devices=sorted(set(devices))):
            for k, (part, own) in enumerate(zip(self._chunks(), torch.split(gradient, self.chunk), strict=True)):
                cpu, (where, states) = self.states[k]
                torch.set_rng_state(cpu)
                set_device_states(where, states)
                # Gradients are exchanged over ranks once, at the end.
                is_last = waits and k == len(self.states) - 1
                with nullcontext() if is_last else getattr(self.encoder, "no_sync", nullcontext)():
                    encoded = self._encoded(part)
                    if encoded.requires_grad:  # an encoder that is frozen has nothing to learn
                        encoded.backward(own)  # type: ignore[no-untyped-call]

    def _chunks(self) -> Iterator[Any]:
        for start in range(0, max(1, self.n), self.chunk):  # of no point one chunk, which has the shape of the others
            part = slice(start, start + self.chunk)
            yield {k: v[part] for k, v in self.view.items()} if isinstance(self.view, Mapping) else self.view[part]

    def _encoded(self, part: Any) -> Tensor:
        encoded = self.encoder(**part) if isinstance(part, Mapping) else self.encoder(part)
        if not isinstance(encoded, Tensor):
            raise TypeError(f"encoders: got an output of {type(encoded).__name__}, expected embeddings (n, d)")
        return encoded
