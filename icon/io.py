"""Save and load without pickle: one safetensors file whose header carries the configuration as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

import icon.divergence
import icon.p
import icon.q
from icon.loss import Loss
from icon.p import operations
from icon.p.base import Distribution

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
    config = {
        "p": _distribution(loss.p),
        "q": {"type": type(loss.q).__name__, "hyper": loss.q.hyper_parameters()},
        "settings": loss.hyper_parameters(),
        "divergence": _divergence(loss),
        "name": loss.name,
    }
    write(path, "loss", config, loss.state_dict())


def load_loss(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Loss:
    hyper = dict(config["q"]["hyper"])
    for name in ("log_weights", "weights"):
        if f"q.{name}" in tensors:
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


def load(path: str | os.PathLike[str]) -> Any:
    """What was saved: a `Loss` or a fitted estimator.

    Raises:
        ValueError: no such file, not one of these, or truncated.
    """
    kind, config, tensors = read(path)
    if kind == "loss":
        return load_loss(config, tensors)
    raise ValueError(f"path: got {path} with a {kind}, expected a loss or an estimator")
