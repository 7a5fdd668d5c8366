"""Save and load fitted estimators."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from icon.estimators.naming import array_of
from icon.methods.registration import refuse_name, refuse_taken
from icon.nn import MAX_FEATURES, build
from icon.recipes import decoded, recorded
from icon.serialization import READERS, write

E = TypeVar("E", bound=type)
ESTIMATORS: dict[str, type] = {}


def register_estimator(name: str) -> Callable[[E], E]:
    """Decorator that names a class of your own, derived from `Embedding` or `Clustering`, so that files can hold it.

    Args:
        name: its name in saved files: letters, digits, ``-`` and ``_``.

    Raises:
        ValueError: the name or the class is registered already, or the name is not valid.
        TypeError: a class that is not derived from one of these two.
    """
    refuse_name(name, "name", READERS, "estimator")

    def add(kind: E) -> E:
        if not (isinstance(kind, type) and issubclass(kind, tuple(ESTIMATORS.values()))):
            raise TypeError(f"estimator: got {kind!r}, expected a class derived from icon.Embedding or icon.Clustering")
        refuse_taken(kind, "estimator", ESTIMATORS.values(), "estimator")
        return readable(name, kind)

    return add


def readable(name: str, kind: E) -> E:
    """The class, which `icon.load` then finds by this name."""
    ESTIMATORS[name], READERS[name] = kind, partial(load_estimator, kind)
    return kind


def save_estimator(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Parameters and fitted attributes of an `Embedding` or `Clustering`, or of a registered class."""
    name = next((name for name, kind in ESTIMATORS.items() if kind is type(estimator)), None)
    if name is None:
        raise TypeError(
            f"x: got {type(estimator).__name__}, expected an estimator of icon or one that is registered "
            "(icon.register_estimator)"
        )
    check_is_fitted(estimator, "mapper_")
    fitted = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
    mapper = fitted.pop("mapper_")
    if "labels_" in fitted and fitted["labels_"].dtype.kind not in "biu":
        del fitted["labels_"]  # the names of the clusters and their numbers tell them
    params = estimator.get_params(deep=False)
    if not isinstance(estimator.mapper, str):
        raise TypeError(f"mapper: got {type(mapper).__name__}, expected 'lookup', 'linear' or 'mlp'; use state_dict()")
    tensors = {f"mapper.{name}": value for name, value in mapper.state_dict().items()}
    if getattr(mapper, "features", None) is not None:
        tensors["mapper.features"] = mapper.features
    plain: dict[str, Any] = {}
    for group, values, plainly in (("params", params, _argument), ("fitted", fitted, _plain)):
        for key, value in values.items():
            array = np.asarray(value) if isinstance(value, (np.ndarray, Tensor)) else None
            if array is not None and array.dtype.kind in "biuf":
                tensors[f"{group}.{key}"] = torch.from_numpy(array.copy())
            else:
                plain[f"{group}.{key}"] = plainly(key, value if array is None else array.tolist())
    plain["n_features"], plain["orthonormal"] = estimator.n_features_in_, _is_orthonormal(mapper)
    plain["output"] = getattr(estimator, "_sklearn_output_config", {}).get("transform")
    write(path, name, plain, tensors)


def load_estimator(kind: type[Any], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """An estimator of a class, as it was when it was saved."""
    stored = {**config, **{name: value.numpy() for name, value in tensors.items()}}
    params, fitted = (
        {name.removeprefix(group): value for name, value in stored.items() if name.startswith(group)}
        for group in ("params.", "fitted.")
    )
    params = {name: decoded(value) for name, value in params.items()}
    if isinstance(params.get("init"), list):
        params["init"] = tuple(params["init"])
    estimator = kind(**params)
    fitted = {"restarts_" if name == "starts_" else name: value for name, value in fitted.items()}
    clusters = hasattr(estimator, "n_clusters")
    if clusters:
        fitted.setdefault("n_clusters_", estimator.n_clusters)  # files of older versions have none, nor names
        names = fitted.get("classes_", np.arange(fitted["n_clusters_"]))
        fitted["classes_"] = names = array_of(names) if isinstance(names, list) else names
        if "labels_" not in fitted:
            kept = fitted["losses_"].tolist().index(fitted["loss_"])
            fitted["labels_"] = names[fitted["restarts_"][kept]]
    for name, value in fitted.items():
        setattr(estimator, name, np.asarray(value) if isinstance(value, list) else value)
    state = {k.removeprefix("mapper."): v for k, v in tensors.items() if k.startswith("mapper.")}
    features = state.pop("features", None)
    if features is None:  # heads need to know how wide they are
        features = torch.zeros(2, fitted["basis_"].shape[1] if "basis_" in fitted else config["n_features"])
    estimator.mapper_ = build(
        estimator.mapper, features, fitted["n_clusters_"] if clusters else estimator.n_components,
        hidden=getattr(estimator, "hidden", 256), orthonormal=config["orthonormal"],
        max_features=MAX_FEATURES if clusters else None,
    )  # fmt: skip
    estimator.mapper_.load_state_dict(state)
    if config.get("output") is not None:
        estimator.set_output(transform=config["output"])
    return estimator


def _argument(name: str, value: Any) -> Any:
    """An argument as JSON can keep it; what only matters while fitting (a callback, a random state) is left out."""
    if name in ("callback", "verbose", "checkpoint", "group") or (
        name == "random_state" and not isinstance(value, int)
    ):
        return None if name != "verbose" else False
    return str(value) if isinstance(value, torch.device) else recorded(value, name)


def _plain(name: str, value: Any) -> Any:
    """A fitted value as JSON can keep it."""
    try:
        return json.loads(json.dumps(value, default=np.generic.item))
    except TypeError:
        raise TypeError(
            f"{name}: got {value!r}, which no file can hold, expected numbers, strings, lists or mappings"
        ) from None


def _is_orthonormal(mapper: Any) -> bool:
    return any(getattr(layer, "orthonormal", False) for layer in mapper.modules())
