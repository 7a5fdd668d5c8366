"""A callback that writes the loss of each step for TensorBoard."""

from __future__ import annotations

import os
import weakref
from importlib.util import find_spec
from typing import Any

import torch.distributed as dist


class TensorBoard:
    """Writes the loss of each step into a folder that TensorBoard shows; of several ranks, the first one writes.

    >>> import icon
    >>> board = icon.training.TensorBoard("runs/one")
    >>> model = icon.Clustering(10, callback=board)   # or icon.training.fit(..., callback=board)

    Args:
        folder: where to write; it is made where there is none.
        tag: the name of the curve; of further restarts ``"loss 2"`` and so on.

    Raises:
        ImportError: TensorBoard is not installed (``pip install icon-loss[tensorboard]``).
    """

    def __init__(self, folder: str | os.PathLike[str], tag: str = "loss") -> None:
        if find_spec("tensorboard") is None:
            raise ImportError(
                "tensorboard: not installed, expected it for icon.training.TensorBoard: pip install "
                "'icon-loss[tensorboard]'"
            )
        self.folder, self.tag = os.fspath(folder), tag
        self._writer: Any = None
        self._runs, self._last = 0, 0

    def __call__(self, step: int, loss: float, embedding: Any = None) -> None:
        """Write the loss of a step."""
        if dist.is_available() and dist.is_initialized() and dist.get_rank() != 0:
            return
        if step <= self._last:  # another restart
            self._runs += 1
        self._last = step
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # A run that is resumed writes over what came after its checkpoint.
            self._writer = SummaryWriter(self.folder, purge_step=step)
            weakref.finalize(self, self._writer.close)
        self._writer.add_scalar(self.tag if self._runs == 0 else f"{self.tag} {self._runs + 1}", loss, step)

    def close(self) -> None:
        """Write what is left to write; the end of the program does so as well."""
        if self._writer is not None:
            self._writer.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_writer": None, "_runs": 0, "_last": 0}
