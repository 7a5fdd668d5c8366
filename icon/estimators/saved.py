"""Save and load fitted estimators."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from icon.estimators.naming import array_of
from icon.nn import MAX_FEATURES, build
from icon.serialization import write


def save_estimator(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Parameters and fitted attributes of an `Embedding` or `Clustering`.

    Raises:
        NotFittedError: the estimator is not fitted.
        ValueError: the file cannot be written.
        TypeError: a mapper of your own: save its ``state_dict`` instead.
    """
    check_is_fitted(estimator, "mapper_")
    fitted = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
    mapper = fitted.pop("mapper_")
    if "labels_" in fitted and fitted["labels_"].dtype.kind not in "biu":
        del fitted["labels_"]  # the names of the clusters and their numbers tell them
    params = estimator.get_params(deep=False)
    if not isinstance(params["mapper"], str):
        raise TypeError(f"mapper: got {type(mapper).__name__}, expected 'lookup', 'linear' or 'mlp'; use state_dict()")
    tensors = {f"mapper.{name}": value for name, value in mapper.state_dict().items()}
    if getattr(mapper, "features", None) is not None:
        tensors["mapper.features"] = mapper.features
    plain: dict[str, Any] = {}
    for group, values in (("params", params), ("fitted", fitted)):
        for name, value in values.items():
            array = np.asarray(value) if isinstance(value, (np.ndarray, Tensor)) else None
            if array is not None and array.dtype.kind in "biuf":
                tensors[f"{group}.{name}"] = torch.from_numpy(array.copy())
            else:
                plain[f"{group}.{name}"] = _plain(name, value if array is None else array.tolist())
    plain["n_features"], plain["orthonormal"] = estimator.n_features_in_, _is_orthonormal(mapper)
    plain["output"] = getattr(estimator, "_sklearn_output_config", {}).get("transform")
    write(path, type(estimator).__name__, plain, tensors)


def load_estimator(kind: type[Any], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """An estimator of a class, as it was when it was saved."""
    stored = {**config, **{name: value.numpy() for name, value in tensors.items()}}
    params, fitted = (
        {name.removeprefix(group): value for name, value in stored.items() if name.startswith(group)}
        for group in ("params.", "fitted.")
    )
    if isinstance(params.get("init"), list):
        params["init"] = tuple(params["init"])
    estimator = kind(**params)
    fitted = {"restarts_" if name == "starts_" else name: value for name, value in fitted.items()}
    if "n_clusters" in params:
        fitted.setdefault("n_clusters_", params["n_clusters"])  # files of older versions have none, nor names
        names = fitted.get("classes_", np.arange(fitted["n_clusters_"]))
        fitted["classes_"] = names = array_of(names) if isinstance(names, list) else names
        if "labels_" not in fitted:
            kept = fitted["losses_"].tolist().index(fitted["loss_"])
            fitted["labels_"] = names[fitted["restarts_"][kept]]
    for name, value in fitted.items():
        setattr(estimator, name, np.asarray(value) if isinstance(value, list) else value)
    state = {k.removeprefix("mapper."): v for k, v in tensors.items() if k.startswith("mapper.")}
    features = state.pop("features", None)
    d_out = fitted["n_clusters_"] if "n_clusters" in params else params["n_components"]
    estimator.mapper_ = build(
        params["mapper"],
        torch.zeros(2, fitted["basis_"].shape[1] if "basis_" in fitted else config["n_features"])
        if features is None
        else features,
        d_out,
        hidden=params.get("hidden", 256),
        orthonormal=config["orthonormal"],
        max_features=MAX_FEATURES if "n_clusters" in params else None,
    )
    estimator.mapper_.load_state_dict(state)
    if config.get("output") is not None:
        estimator.set_output(transform=config["output"])
    return estimator


def _plain(name: str, value: Any) -> Any:
    """A value that JSON can keep; what only matters while fitting (a callback, a random state) is left out."""
    if name in ("callback", "verbose", "checkpoint", "group") or (
        name == "random_state" and not isinstance(value, int)
    ):
        return None if name != "verbose" else False
    try:
        return json.loads(json.dumps(value, default=_number))
    except TypeError:
        raise TypeError(
            f"{name}: got {value!r}, which no file can hold, expected numbers, strings, lists or mappings"
        ) from None


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.device):
        return str(value)
    raise TypeError(type(value).__name__)


def _is_orthonormal(mapper: Any) -> bool:
    return any(getattr(layer, "orthonormal", False) for layer in mapper.modules())
