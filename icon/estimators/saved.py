"""Save and load fitted estimators."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
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


class Saved(BaseEstimator):  # type: ignore[misc]
    """An estimator that can be written to a file: an `Embedding`, a `Clustering`, or of a registered class."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file, without pickle; `icon.load` reads it back.

        Args:
            path: where to; the file appears there when it is whole.

        Raises:
            NotFittedError: not fitted.
            ValueError: the file cannot be written.
            TypeError: a mapper of your own.
        """
        name = next((name for name, kind in ESTIMATORS.items() if kind is type(self)), None)
        if name is None:
            raise TypeError(
                f"x: got {type(self).__name__}, expected an estimator of icon or one that is registered "
                "(icon.register_estimator)"
            )
        check_is_fitted(self, "mapper_")
        fitted = {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}
        mapper = fitted.pop("mapper_")
        if "labels_" in fitted and fitted["labels_"].dtype.kind not in "biu":
            del fitted["labels_"]  # the names of the clusters and their numbers tell them
        if not isinstance(self.mapper, str):
            raise TypeError(
                f"mapper: got {type(mapper).__name__}, expected 'lookup', 'linear' or 'mlp'; use state_dict()"
            )
        tensors = {f"mapper.{name}": value for name, value in mapper.state_dict().items()}
        if getattr(mapper, "features", None) is not None:
            tensors["mapper.features"] = mapper.features
        plain: dict[str, Any] = {}
        values = {f"params.{name}": _kept(name, value) for name, value in self.get_params(deep=False).items()}
        values |= {f"fitted.{name}": value for name, value in fitted.items()}
        for key, value in values.items():
            array = np.asarray(value) if isinstance(value, (np.ndarray, Tensor)) else None
            if array is not None and array.dtype.kind in "biuf":
                tensors[key] = torch.from_numpy(array.copy())
            else:
                plain[key] = recorded(value, key.partition(".")[2])
        plain["n_features"] = self.n_features_in_
        plain["output"] = getattr(self, "_sklearn_output_config", {}).get("transform")
        write(path, name, plain, tensors)


def load_estimator(kind: type[Any], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """An estimator of a class, as it was when it was saved."""
    stored = {**config, **{name: value.numpy() for name, value in tensors.items()}}
    params, fitted = (
        {name.removeprefix(group): decoded(value) for name, value in stored.items() if name.startswith(group)}
        for group in ("params.", "fitted.")
    )
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
    if isinstance(columns := fitted.get("feature_names_in_"), list):
        fitted["feature_names_in_"] = np.asarray(columns, dtype=object)  # as older versions wrote arrays
    for name, value in fitted.items():
        setattr(estimator, name, value)
    state = {k.removeprefix("mapper."): v for k, v in tensors.items() if k.startswith("mapper.")}
    features = state.pop("features", None)
    if features is None:  # heads need to know how wide they are
        features = torch.zeros(2, fitted["basis_"].shape[1] if "basis_" in fitted else config["n_features"])
    # The arguments may have been set to others after the fit.
    name = "lookup" if "weight" in state else "linear" if "1.map.weight" in state else "mlp"
    widths = [len(value) for key, value in state.items() if key.startswith("1.") and key.endswith(".weight")]
    estimator.mapper_ = build(
        name, features, state["weight"].shape[1] if name == "lookup" else widths[-1], hidden=widths[:-1],
        orthonormal="1.map.bias" not in state, max_features=MAX_FEATURES if clusters else None,
    )  # fmt: skip
    estimator.mapper_.load_state_dict(state)
    if config.get("output") is not None:
        estimator.set_output(transform=config["output"])
    return estimator


def _kept(name: str, value: Any) -> Any:
    """An argument as a file keeps it, without what only matters while fitting (a callback, a random state)."""
    if name in ("callback", "checkpoint", "group") or (name == "random_state" and not isinstance(value, Integral)):
        return None
    if name == "init" and hasattr(value, "to_numpy"):  # a map in a data frame
        return value.to_numpy()
    return False if name == "verbose" else str(value) if isinstance(value, torch.device) else value
