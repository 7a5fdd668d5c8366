"""What the estimators share: features in, targets, seeds, devices, and a trained mapper applied."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import validate_data
from torch import Tensor, nn
from torch.utils.data import Dataset

from icon import _checks as check
from icon import distances, features
from icon._threads import paying
from icon.core.loss import Loss
from icon.labels import classes_of, keys
from icon.methods import axes
from icon.neighbors.blocks import parts
from icon.nn.mappers import MAX_FEATURES, Lookup, as_seen
from icon.training.batches import rows_of

#: Features ``[n, f]``, or of several spaces: dense, sparse, on disk, a DataFrame, or a torch Dataset.
Points: TypeAlias = ArrayLike | Sequence[Any] | sp.sparray | sp.spmatrix | Dataset[Any]

Fit = TypeVar("Fit", bound=Callable[..., Any])

BLOCK = 2**16  # rows that a mapper is applied to at a time
SOME = 20_000  # rows of an array on disk by which features are scaled


def all_or_nothing(fit: Fit) -> Fit:
    """A fit that fails, or is interrupted, leaves the estimator as it was, and not half of two fits."""

    @wraps(fit)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            for name in [name for name in vars(self) if name.endswith("_")]:
                delattr(self, name)
            vars(self).update({name: value for name, value in before.items() if name.endswith("_")})
            raise

    return call  # type: ignore[return-value]


def random_of(random_state: Any) -> np.random.RandomState:
    """The generator of a ``random_state``."""
    try:
        generator: np.random.RandomState = check_random_state(random_state)
    except (ValueError, TypeError):
        raise ValueError(
            f"random_state: got {random_state!r}, expected None, an integer from 0 to 2^32 - 1, or a RandomState"
        ) from None
    return generator


def draw_seed(random_state: Any) -> int:
    return int(random_of(random_state).randint(np.iinfo(np.int32).max))


def learning_rate(given: float | str, automatic: float) -> float:
    if isinstance(given, str):
        check.choice(given, "learning_rate", ("auto",))
        return automatic
    return check.positive(given, "learning_rate")


def on_device(X: Any, device: str | torch.device) -> Tensor:
    """Features on the device of the computation; in float32 where it has no other."""
    if device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device: got {device!r}, expected 'auto' or a device of torch such as 'cpu'") from None
    if chosen.type == "meta":
        raise ValueError("device: got 'meta', which holds no numbers, expected another device")
    x = check.as_tensor(X, "X").detach()
    try:
        return (x.float() if chosen.type == "mps" else x).to(chosen)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"device: got {device!r}, expected an available device ({check.reason(error)})") from None


def validated(estimator: BaseEstimator, X: Any, **options: Any) -> Any:
    """Features ``[n, f]`` as scikit-learn checks them; NaN and infinity are reported with their row numbers.

    Sparse ones are CSR.
    """
    options = {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "accept_sparse": "csr", **options}
    if X is None:
        raise ValueError("X: got None, expected features (n, f)")
    _refuse_times(X)
    try:
        x = validate_data(estimator, plain(X), **options)
    except (ValueError, TypeError) as error:
        if "feature names" in str(error):  # whose lines name the columns
            raise
        raise type(error)(_in_one_line(error)) from None
    if sp.issparse(x):
        return distances.prepared(x, "X", "sqeuclidean")
    check.matrix(x, "X")
    return x


def _refuse_times(X: Any) -> None:
    """Raise TypeError for dates and durations, which would count as numbers of whatever unit they are kept in."""
    dtypes = {"": getattr(X, "dtype", None)}
    if isinstance(X, pd.DataFrame):
        dtypes = {f" in column {name}": dtype for name, dtype in X.dtypes.items()}
    for where, dtype in dtypes.items():
        if getattr(dtype, "kind", None) in ("m", "M"):
            raise TypeError(f"X: got dates or durations ({dtype}){where}, expected numbers")


def _in_one_line(error: Exception) -> str:
    """What scikit-learn says of features, without the features."""
    text = re.sub(r"(array=.*?|\n\s*[<\[(].*?)(?=(Reshape|$))", "", str(error), count=1, flags=re.DOTALL)
    text = " ".join(text.split())
    return text if text.startswith("X: ") else f"X: {text}"


def as_dense(estimator: Any, x: Any, reset: bool = False) -> Any:
    """What a mapper sees: dense features as they are, sparse ones ``[n, f]`` in their leading singular directions,
    which a fit on sparse features keeps (``basis_ [f, dims]``); with ``reset`` they are found anew."""
    if reset:
        vars(estimator).pop("basis_", None)
        if sp.issparse(x):
            dims = min(MAX_FEATURES, *x.shape)
            estimator.basis_ = randomized_svd(x / (abs(x).max() or 1.0), dims, random_state=0)[2].T
    basis = getattr(estimator, "basis_", None)
    if basis is not None:
        return np.asarray(x @ basis)
    return x.toarray() if sp.issparse(x) else x


def plain(X: Any) -> Any:
    """Tensors as arrays, wherever they lie and whatever they keep a gradient for; masked entries are refused."""
    if isinstance(X, (list, tuple)) and len(X) and all(isinstance(row, Tensor) for row in X):
        X = torch.stack([row.detach() for row in X])
    if isinstance(X, np.ma.MaskedArray):
        return check.as_tensor(X, "X").numpy()
    if not isinstance(X, Tensor):
        return X
    x = check.with_numbers(X, "X").detach().cpu()
    if x.layout != torch.strided:
        x = x.to_sparse_coo().coalesce()  # type: ignore[no-untyped-call]
        return sp.csr_array((x.values().double().numpy(), tuple(x.indices().numpy())), shape=tuple(x.shape))
    return (x.float() if x.dtype in (torch.bfloat16, torch.float16) else x).numpy()


def sample_weights(given: Any, n: int) -> Tensor:
    """``[n]`` how much each point counts, in a unit of their own: by a power of two, which changes no digit."""
    weights = check.weights(given, "sample_weight", n).double()
    return weights / math.ldexp(1.0, math.frexp(float(weights.max()))[1] - 1)


def with_lower_perplexity(loss: Loss, n: int) -> Loss:
    """The loss with the default perplexity of p lowered, where n points are too few for it; a warning tells it."""
    perplexity, most = loss.p.hyper_parameters().get("perplexity"), max(1.0, (n - 1) / 3)
    if perplexity is None or perplexity <= most:
        return loss
    check.warn(f"perplexity: lowered from {perplexity:g} to {most:.3g} for {n} points")
    return loss.replace(p=loss.p.replace(perplexity=most))


def check_hyper(hyper: Any, taken: tuple[str, ...] = ()) -> None:
    """Whether there are hyper-parameters by name, none of which is an argument of the estimator."""
    if hyper is not None and not isinstance(hyper, Mapping):
        raise TypeError(f"hyper: got {hyper!r}, expected a mapping of names, such as {{'metric': 'cosine'}}")
    for name in taken:
        if name in (hyper or {}):
            raise ValueError(f"hyper: got {name!r}, expected the argument {name}= of the estimator")


def check_no_arrays(estimator: Any) -> None:
    """Whether no argument is an array that may not be one, which cannot be compared with a name or a number."""
    for name, value in estimator.get_params(deep=False).items():
        if name not in ("init", "hidden") and isinstance(value, (np.ndarray, Tensor)) and value.ndim:
            raise TypeError(f"{name}: got an array of shape {tuple(value.shape)}, expected no array")


def is_pairwise(hyper: Any) -> bool:
    """Whether X holds the distances between all points, for `scikit-learn`'s tags."""
    return isinstance(hyper, Mapping) and hyper.get("metric") == "precomputed"


def made_from(column: Any) -> str:
    """What p of a column is made from; see `icon.p.Distribution`. A column that does not exist is refused later."""
    known = axes.COLUMNS.get(column) if isinstance(column, str) else None
    return "features" if known is None else str(getattr(known.build, "made_from", "features"))


def target_of(column: str, features: Any, y: Any) -> Any:
    """What p of a column is made from, given scikit-learn's X and y."""
    source = made_from(column)
    if source == "two sets":
        raise ValueError(f"column: got {column!r}, expected a column of one set of points (see icon.loss for two)")
    if source == "features":
        return features
    if source == "nothing":
        return None
    if y is None:
        expected = "a graph (an adjacency [n, n], say)" if source == "graph" else "labels [n]"
        raise ValueError(f"y: requires y to be passed, but the target y is None: expected {expected} for {column!r}")
    if source == "graph":
        return y
    labels = classes_of(y, "y", features.shape[0])
    # Between points an unknown label is a class of its own: nobody's positive. Of prototypes it has none: -1.
    return torch.from_numpy(labels.codes if column == "data-label" else keys(labels))


def inputs_of(mapper: nn.Module, x: Any) -> Any:
    """What a mapper is called with: row numbers for a lookup, else features, or the array on disk."""
    if isinstance(mapper, Lookup):
        return torch.arange(len(x), device=x.device)
    return as_seen(mapper, x) if isinstance(x, Tensor) else x


def check_output(mapper: nn.Module, inputs: Any, width: int, device: torch.device) -> None:
    """A module of the user's own gives as many columns as are asked for."""
    inputs = as_seen(mapper, rows_of(inputs, torch.arange(2), device))
    try:
        with torch.no_grad():
            z = mapper.eval()(inputs)
    except RuntimeError as error:
        raise ValueError(
            f"mapper: got a module that does not take features of shape {tuple(inputs.shape)} ({check.reason(error)}), "
            "expected one that does"
        ) from None
    if not isinstance(z, Tensor) or z.ndim != 2 or z.shape[1] != width:
        shape = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(f"mapper: got an output of shape {shape}, expected (n, {width})")


class Beside(nn.Module):
    """Points ``[b, d]`` beside others that stand still: ``forward(z) -> (z, fixed)``."""

    fixed: Tensor

    def __init__(self, fixed: Tensor) -> None:
        super().__init__()
        self.register_buffer("fixed", fixed)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, self.fixed.to(z)


def apply(mapper: nn.Module, X: Any) -> NDArray[np.float32]:
    """The mapper's output for new features, as NumPy."""
    device = next(mapper.parameters()).device
    outputs = np.empty(0, np.float32)
    size = sum(parameter.numel() for parameter in mapper.parameters())
    with torch.no_grad(), paying(lambda: min(len(X), BLOCK) * size):
        for part in parts(len(X), BLOCK):
            z = mapper(as_seen(mapper, check.as_tensor(X[part], "X").to(device))).float().cpu().numpy()
            if part.start == 0:  # parts and their whole would be twice as much
                outputs = np.empty((len(X), *z.shape[1:]), np.float32)
            outputs[part] = z
    return outputs


def read(estimator: Any, X: Any, reset: bool = True, least: int = 1) -> Any:
    """Features ``[n, f]`` as they are: an array, a sparse matrix, or an array as it lies on disk.

    A fit resets what scikit-learn knows of them, else they are compared with that; ``least`` is how many points in
    memory there must be.
    """
    X = features_of(X)
    if not on_disk(X):
        return validated(estimator, X, reset=reset, ensure_min_samples=least)
    check_on_disk(X)
    if reset:
        estimator.n_features_in_ = X.shape[1]
    elif X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X: got {check.counted(X.shape[1], 'feature')}, expected {estimator.n_features_in_} as in fit"
        )
    return X


def placed(x: Any, device: str | torch.device) -> Any:
    """Features as p takes them: a tensor on the device; sparse ones, and those on disk, as they are."""
    return x if sp.issparse(x) or on_disk(x) else on_device(x, device)


def input_of(estimator: Any, X: Any) -> Any:
    """Features as p takes them, see `read` and `placed`; at least two points."""
    return placed(read(estimator, X, least=2), estimator.device)


def some_of(x: Any) -> Tensor:
    """Features by which a mapper is made: all that are in memory, evenly spaced rows of those on disk."""
    return x if isinstance(x, Tensor) else torch.from_numpy(np.array(x[:: max(1, len(x) // SOME)]))


def on_disk(X: Any) -> bool:
    """Whether features are to be read in blocks: a large memmap."""
    return isinstance(X, np.memmap) and X.nbytes > features.IN_MEMORY


def check_on_disk(X: Any) -> None:
    """Whether there is a finite matrix of real numbers, looked at in blocks."""
    if X.ndim != 2 or X.dtype.kind not in "fiu":
        raise ValueError(f"X: got shape {X.shape} of {X.dtype}, expected real numbers (n, f)")
    for part in parts(len(X), BLOCK):
        if len(bad := part.start + np.flatnonzero(~np.isfinite(X[part]).all(axis=1))):
            raise ValueError(f"X: got NaN or infinity in rows {check.some(bad.tolist())}, expected finite numbers")


def features_of(X: Any) -> Any:
    """The feature rows of a torch ``Dataset`` (of rows, or of tuples that begin with one), anything else as it is."""
    if not isinstance(X, Dataset):
        return X
    if not (hasattr(X, "__len__") and len(X)):
        raise TypeError(f"X: got {type(X).__name__} without a length, or without items, expected a map-style Dataset")

    def row(i: int, width: int | None = None) -> NDArray[Any]:
        item = X[i]
        x = np.asarray(plain(item[0] if isinstance(item, (tuple, list)) else item))
        if x.dtype.kind not in "biuf" or x.ndim != 1 or len(x) != (width or len(x)):
            expected = "feature rows (f,) of one length, or tuples that begin with one"
            raise TypeError(f"X: got item {i} of shape {x.shape} and {x.dtype}, expected {expected}")
        return x

    first = row(0)
    kind = np.dtype((np.result_type(first.dtype, np.float32), first.shape))
    return np.fromiter((row(i, len(first)) for i in range(len(X))), kind, len(X))
