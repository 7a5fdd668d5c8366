"""A digest of what a run is made of: two runs with the same one see the same numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import scipy.sparse as sp
from torch import Tensor, nn

BLOCK = 2**20  # entries read at a time, of an array that may lie on disk


def digest(*things: Any) -> str:
    """A digest of tensors, arrays, modules, records of them (prepared p, samplers), and plain values."""
    state = blake2b(digest_size=16)
    for part in _parts(things):
        state.update(part)
    return state.hexdigest()


def without_addresses(text: str) -> str:
    """What is printed of an object, without where it lies in memory, which is another place in each process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _parts(thing: Any) -> Iterator[Any]:
    # Of a table, and of an array of names, only some rows are printed.
    thing = thing.to_numpy() if hasattr(thing, "to_numpy") else thing
    thing = thing.tolist() if isinstance(thing, np.ndarray) and thing.dtype.kind not in "biufc" else thing
    if isinstance(thing, Tensor):
        thing = thing.detach().cpu()
        thing = (thing if thing.dtype.is_complex or thing.element_size() != 2 else thing.float()).numpy()
    if isinstance(thing, np.ndarray):
        yield f"{thing.dtype.str}{thing.shape}".encode()
        rows = np.atleast_1d(thing)
        step = max(1, BLOCK // max(1, rows[:1].size))
        for start in range(0, len(rows), step):
            yield np.ascontiguousarray(rows[start : start + step]).data.cast("B") if thing.size else b""
    elif sp.issparse(thing):
        rows = sp.csr_array(thing)  # whose indices may be of 32 or 64 bits
        yield from _parts((rows.shape, rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)))
    elif isinstance(thing, nn.Module):
        yield from _parts(dict(thing.state_dict()))
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        yield type(thing).__name__.encode()
        yield from _parts({f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)})
    elif isinstance(thing, Mapping):
        for name, value in thing.items():
            yield str(name).encode()
            yield from _parts(value)
    elif isinstance(thing, (list, tuple)):
        yield f"{len(thing)}".encode()
        for part in thing:
            yield from _parts(part)
    else:
        yield without_addresses(repr(thing)).encode()
        if repr(thing) == object.__repr__(thing) and hasattr(thing, "__dict__"):  # what it holds is not printed
            yield from _parts(vars(thing))
