"""Numbers are what counts: not their dtype, byte order, strides or device, nor whether they may be written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import icon
from icon.neighbors import nearest_neighbors

N, D = 16, 3
IDS = np.arange(N) // 2
DTYPES = (
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool",
)  # fmt: skip
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23}


def with_holes(x: Any) -> Any:
    """Every other row, and every other column, of something larger."""
    large = torch.zeros(2 * N, 2 * D, dtype=x.dtype) if isinstance(x, Tensor) else np.zeros((2 * N, 2 * D), x.dtype)
    large[::2, 1::2] = x
    return large[::2, 1::2]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.setflags(write=False)
    return x


def unaligned(x: np.ndarray) -> np.ndarray:
    found = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    found[...] = x
    return found


def on_disk(x: np.ndarray, path: Path) -> np.ndarray:
    np.save(path, x)
    found: np.ndarray = np.load(path, mmap_mode="r")
    return found


ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "plain": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "negative strides": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "holes": with_holes,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "read-only": read_only,
    "unaligned": unaligned,
    "frame": pd.DataFrame,
}
TENSORS: dict[str, Callable[[Tensor], Tensor]] = {
    "tensor": torch.clone,
    "transposed": lambda x: x.t().contiguous().t(),
    "tensor with holes": with_holes,
    "with gradient": lambda x: x.clone().requires_grad_(x.is_floating_point()),
    "on CUDA": lambda x: x.cuda() if torch.cuda.is_available() else x,
}

#: Results of features (or of embeddings), as a tensor.
RESULTS: dict[str, Callable[[Any], Any]] = {
    "KNN": lambda x: icon.p.KNN(3)(x).to_dense(),
    "KNN by cosine": lambda x: icon.p.KNN(3, metric="cosine")(x).to_dense(),
    "Gaussian": lambda x: icon.p.Gaussian(perplexity=4)(x).to_dense(),
    "Gaussian of a pair": lambda x: icon.p.Gaussian(perplexity=4)((x, x[:8])).to_dense(),
    "Gaussian by cosine": lambda x: icon.p.Gaussian(metric="cosine", temperature=0.3)(x).to_dense(),
    "StudentT": lambda x: icon.p.StudentT(sigma=40.0)(x).to_dense(),
    "neighbours": lambda x: nearest_neighbors(x, 4).indices,
    "SimCLR": lambda x: icon.method("simclr")(x, IDS),
    "SupCon": lambda x: icon.method("supcon")(x, IDS % 4),
    "SNE": lambda x: icon.loss("student-t", "knn", n_neighbors=3)(x, x),
    "a probe": lambda x: icon.metrics.knn_probe(x, IDS % 2, k=3).score,
    "Clustering": lambda x: (
        icon.Clustering(
            3, n_neighbors=3, n_init=1, init="random", mapper="linear", max_iter=3, random_state=0, device="cpu"
        )
        .fit(x)
        .labels_
    ),
    "Embedding": lambda x: (
        icon.Embedding(hyper={"perplexity": 4}, max_iter=5, random_state=0, device="cpu").fit(x).embedding_
    ),
}


def value(result: str, x: Any) -> Tensor:
    return torch.as_tensor(RESULTS[result](x)).detach().cpu().double()


@pytest.mark.parametrize(
    "result", [pytest.param(r, marks=[pytest.mark.slow] if r in ("a probe", "Embedding") else []) for r in RESULTS]
)
@settings(max_examples=30)
@given(seed=st.integers(0, 100), dtype=st.sampled_from(DTYPES), layout=st.sampled_from([*ARRAYS, *TENSORS, "on disk"]))
def test_only_the_numbers_count(result: str, seed: int, dtype: str, layout: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers below 128 are exact in every dtype.
    whole = rng.permutation(128)[: N * D].reshape(N, D)
    x = torch.from_numpy(whole % 2 if dtype == "bool" else whole).to(getattr(torch, dtype))
    plain = x.double().numpy()
    if layout in TENSORS:
        given: Any = TENSORS[layout](x)
    elif dtype == "bfloat16":
        return
    else:
        given = on_disk(x.numpy(), tmp_path / "x.npy") if layout == "on disk" else ARRAYS[layout](x.numpy())
    if layout == "frame" and result == "Gaussian of a pair":
        given = given.to_numpy()
    before = given.detach().clone() if isinstance(given, Tensor) else given.copy()
    found, expected = value(result, given), value(result, plain)
    tolerance = 20 * EPS.get(dtype, 2.0**-52) * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    same = torch.equal(given, before) if isinstance(given, Tensor) else np.array_equal(given, before)
    assert same


@pytest.mark.parametrize("result", [r for r in RESULTS if r not in ("SimCLR", "SupCon")])
def test_a_tensor_without_numbers_is_refused(result: str) -> None:
    """Losses of labels return a tensor on the meta device themselves."""
    with pytest.raises(TypeError, match=r"^(features(\[0\])?|X|z): got a tensor on the meta device") as caught:
        RESULTS[result](torch.empty(N, D, device="meta"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_unsigned_labels(dtype: type) -> None:
    z = torch.randn(N, 5)
    assert icon.method("supcon")(z, IDS.astype(dtype)).item() == icon.method("supcon")(z, IDS).item()


def test_a_tensor_under_another_name_is_checked_as_any_other() -> None:
    class Named(Tensor):
        pass

    z, prototypes = torch.randn(N, D), torch.randn(2, D)
    for labels in (torch.full((N,), -100), torch.full((N,), -1)):
        with pytest.raises(ValueError, match=r"^labels: got negative entries"):
            icon.method("cross-entropy")((z, prototypes), labels.as_subclass(Named))
    with pytest.raises(ValueError, match=r"^input: got NaN or infinity"):
        icon.method("simclr")(torch.full_like(z, torch.nan).as_subclass(Named), IDS)
