"""Save and load without pickle: one safetensors file whose header carries the configuration as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import icon
from icon import mappers
from icon.core.evaluators import EVALUATORS
from icon.core.loss import Loss
from icon.mappers import MAX_FEATURES
from icon.p import operations
from icon.p.base import Distribution
from icon.q.base import Kernel

FORMAT = "icon-1"


def write(path: str | os.PathLike[str], kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """One file, written beside its place and moved there when it is whole.

    Raises:
        ValueError: the file cannot be written.
    """
    target = Path(path)
    header = {"icon": json.dumps({"format": FORMAT, "kind": kind, "config": config}, sort_keys=True)}
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        handle, unfinished = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        try:
            save_file(stored, unfinished, metadata=header)
            os.replace(unfinished, target)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ValueError(f"path: got {target}, expected a file that can be written ({error.strerror})") from None


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    """Kind, configuration and tensors of a file that `write` made.

    Raises:
        ValueError: no such file, not one of these, or truncated.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("icon", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"path: got {path}, expected a readable file that icon saved ({reason})") from None
    if header.get("format") != FORMAT:
        raise ValueError(f"path: got {path} with format {header.get('format')}, expected {FORMAT}")
    return header["kind"], header["config"], tensors


def save_loss(loss: Loss, path: str | os.PathLike[str]) -> None:
    """Configuration, parameters and buffers of a loss; what it computes after `load` is the same to the last bit.

    Raises:
        TypeError: a p, q or divergence of your own: save its parameters with ``state_dict`` instead.
    """
    for part, module in ((loss.p, icon.p), (loss.q, icon.q)):
        if getattr(module, type(part).__name__, None) is not type(part):
            raise TypeError(f"loss: got {type(part).__name__}, expected the distributions of icon; use state_dict()")
    if loss.evaluator is not None and EVALUATORS.get(loss.evaluator.name) is not type(loss.evaluator):
        raise TypeError(f"loss: got evaluator {loss.evaluator!r}, expected one of {', '.join(EVALUATORS)}")
    config = {
        "p": _distribution(loss.p),
        "q": {"type": type(loss.q).__name__, "hyper": _without_tensors(loss.q)},
        "settings": loss.hyper_parameters(),
        "divergence": _divergence(loss),
        "name": loss.name,
    }
    write(path, "loss", config, loss.state_dict())


def _without_tensors(q: Kernel) -> dict[str, Any]:
    """The hyper-parameters that are not among the tensors of the file."""
    stored = q.state_dict()
    return {name: v for name, v in q.hyper_parameters().items() if isinstance(v, str) or name not in stored}


def load_loss(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Loss:
    hyper = dict(config["q"]["hyper"])
    for name in ("log_weights", "weights", "marginals"):
        if f"q.{name}" in tensors and not isinstance(hyper.get(name), str):
            hyper[name] = tensors[f"q.{name}"]
    q = getattr(icon.q, config["q"]["type"])(**hyper)
    settings = dict(config["settings"]) | {"divergence": config["divergence"], "name": config["name"]}
    if isinstance(settings["divergence"], dict):
        settings["divergence"] = getattr(icon.divergence, settings["divergence"].pop("type"))(**settings["divergence"])
    if "anchor_weights" in tensors:
        settings["anchor_weights"] = tensors["anchor_weights"]
    loss = Loss(_read_distribution(config["p"]), q, **settings)
    loss.load_state_dict(dict(tensors))
    return loss


def _distribution(p: Distribution) -> dict[str, Any]:
    chain = []
    for operation in p.operations:
        given = {f.name: getattr(operation, f.name) for f in dataclasses.fields(operation)}  # type: ignore[arg-type]
        if "other" in given:
            if not isinstance(given["other"], Distribution):
                raise TypeError("loss: got a p mixed with prepared rows, expected a mixture of distributions")
            given["other"] = _distribution(given["other"])
        chain.append({"type": type(operation).__name__, **given})
    return {"type": type(p).__name__, "hyper": p.hyper_parameters(), "operations": chain}


def _read_distribution(config: Mapping[str, Any]) -> Distribution:
    p: Distribution = getattr(icon.p, config["type"])(**config["hyper"])
    chain = []
    for step in config["operations"]:
        given = {name: value for name, value in step.items() if name != "type"}
        if "other" in given:
            given["other"] = _read_distribution(given["other"])
        chain.append(getattr(operations, step["type"])(**given))
    return dataclasses.replace(p, operations=tuple(chain))


def _divergence(loss: Loss) -> str | dict[str, Any]:
    if loss.divergence is None or loss.divergence_name in icon.divergence.DIVERGENCES:
        return loss.divergence_name
    kind = type(loss.divergence)
    if getattr(icon.divergence, kind.__name__, None) is not kind:
        raise TypeError(f"loss: got divergence {loss.divergence_name}, expected one of icon.divergence")
    return {"type": kind.__name__} | dataclasses.asdict(loss.divergence)  # type: ignore[call-overload, no-any-return]


def save_estimator(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Parameters and fitted attributes of an `Embedding` or `Clustering`.

    Raises:
        ValueError: the estimator is not fitted, or the file cannot be written.
        TypeError: a mapper of your own: save its ``state_dict`` instead.
    """
    fitted = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
    mapper = fitted.pop("mapper_", None)
    if mapper is None:
        raise ValueError(f"estimator: got an unfitted {type(estimator).__name__}, expected a fitted one")
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
    width = {"n_features": estimator.n_features_in_, "orthonormal": _is_orthonormal(mapper)}
    write(path, type(estimator).__name__, {**plain, **width}, tensors)


def load_estimator(kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    stored = {**config, **{name: value.numpy() for name, value in tensors.items()}}
    params, fitted = (
        {name.removeprefix(group): value for name, value in stored.items() if name.startswith(group)}
        for group in ("params.", "fitted.")
    )
    if isinstance(params.get("init"), list):
        params["init"] = tuple(params["init"])
    estimator = getattr(icon, kind)(**params)
    for name, value in fitted.items():
        setattr(estimator, name, np.asarray(value) if isinstance(value, list) else value)
    state = {k.removeprefix("mapper."): v for k, v in tensors.items() if k.startswith("mapper.")}
    features = state.pop("features", None)
    d_out = params["n_components"] if kind == "Embedding" else params["n_clusters"]
    estimator.mapper_ = mappers.build(
        params["mapper"],
        torch.zeros(2, config["n_features"]) if features is None else features,
        d_out,
        hidden=params.get("hidden", 256),
        orthonormal=config["orthonormal"],
        max_features=MAX_FEATURES if kind == "Clustering" else None,
    )
    estimator.mapper_.load_state_dict(state)
    return estimator


def _plain(name: str, value: Any) -> Any:
    """A value that JSON can keep; what only matters while fitting (a callback, a random state) is left out."""
    if name in ("callback", "verbose", "checkpoint") or (name == "random_state" and not isinstance(value, int)):
        return None if name != "verbose" else False
    try:
        return json.loads(json.dumps(value, default=_number))
    except TypeError:
        raise TypeError(f"{name}: got {type(value).__name__}, expected numbers, strings, lists or mappings") from None


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.device):
        return str(value)
    raise TypeError(type(value).__name__)


def _is_orthonormal(mapper: Any) -> bool:
    return any(getattr(layer, "orthonormal", False) for layer in mapper.modules())


def load(path: str | os.PathLike[str]) -> Any:
    """What was saved: a `Loss` or a fitted estimator.

    Raises:
        ValueError: no such file, not one of these, or truncated.
    """
    kind, config, tensors = read(path)
    if kind == "loss":
        return load_loss(config, tensors)
    if kind in ("Embedding", "Clustering"):
        return load_estimator(kind, config, tensors)
    raise ValueError(f"path: got {path} with a {kind}, expected a loss or an estimator")
