"""Save and load without pickle: one safetensors file whose header carries the configuration as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from icon import _checks as check
from icon import _late
from icon._values import parameters
from icon.core.loss import Loss
from icon.q.base import Kernel
from icon.q.totals import Whole
from icon.recipes import REGISTERED, builder, decoded, encoded, made, recorded, refuse_unknown, refuse_what_is_lost

FORMAT = "icon-1"
#: By kind, what makes the object of a file from its configuration and its tensors; estimators add theirs.
READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], Any]] = {}


def write(path: str | os.PathLike[str], kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """One file, written beside its place and moved there when it is whole; a ValueError if it cannot be written, and a
    TypeError for tensors that are one, as tied parameters are: a file would part them."""
    text = json.dumps({"format": FORMAT, "kind": kind, "config": config}, sort_keys=True)
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        data = to_bytes(stored, metadata={"icon": text})
    except RuntimeError:
        raise TypeError(f"{kind}: got tensors that share memory, expected each to have its own in a file") from None
    try:
        put(Path(path), data)
    except (OSError, RuntimeError) as error:  # before Python 3.13, links in a circle are the latter
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"path: got {path}, expected a file that can be written ({reason})") from None


def put(path: Path, data: bytes) -> None:
    """Write a file, which takes the place of the one that is there when it is whole; a link is followed."""
    real = path.resolve()
    unfinished = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(data)  # with the mode that the umask gives
        os.replace(unfinished, real)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    """Kind, configuration and tensors of a file that `write` made; a ValueError for any other file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            header = {"format": None, "kind": None, "config": {}} | json.loads(
                (file.metadata() or {}).get("icon", "{}")
            )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError, TypeError) as error:
        reason = check.reason(error)
        raise ValueError(f"path: got {path}, expected a readable file that icon saved ({reason})") from None
    if header["format"] != FORMAT:
        raise ValueError(f"path: got {path} with format {header['format']}, expected {FORMAT}")
    return header["kind"], header["config"], tensors


def save_loss(loss: Loss, path: str | os.PathLike[str]) -> None:
    """Configuration, parameters and buffers of a loss; a TypeError for a part that would not come back as it is."""
    if type(loss) is not Loss:
        raise TypeError(f"loss: got {type(loss).__name__}, expected an icon.Loss and no subclass: no file names these")
    if loss.group is None and not isinstance(loss.totals, Whole):
        raise TypeError(f"loss: got totals={loss.totals!r}, which no file can hold, expected a loss of whole batches")
    tensors, q = loss.state_dict(), encoded(loss.q, "loss")
    q["hyper"] = {name: x for name, x in q["hyper"].items() if isinstance(x, str) or f"q.{name}" not in tensors}
    refuse_what_is_lost(loss.q, lambda: _learned(json.loads(json.dumps(q)), tensors), "loss")
    settings = {name: recorded(value, "loss") for name, value in loss.hyper_parameters().items()}
    divergence = settings.pop("divergence", "kl")
    config = {"p": recorded(loss.p, "loss"), "q": q, "settings": settings, "divergence": divergence, "name": loss.name}
    write(path, "loss", config, tensors)


def load_loss(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Loss:
    settings = {"on_no_positive" if name == "empty" else name: value for name, value in config["settings"].items()}
    settings["divergence"] = divergence = config["divergence"]
    if isinstance(divergence, dict) and "part" not in divergence:  # files of older versions
        hyper = {name: value for name, value in divergence.items() if name != "type"}
        settings["divergence"] = {"part": "divergence", "type": divergence["type"], "hyper": hyper}
    for kind in ("divergence", "evaluator"):
        refuse_unknown(settings.get(kind), kind)
    given = {name: decoded(value) for name, value in settings.items()}
    if "anchor_weights" in tensors:
        given["anchor_weights"] = tensors["anchor_weights"]
    loss = Loss(made(config["p"], "column"), _learned(config["q"], tensors), name=config["name"], **given)
    loss.load_state_dict(dict(tensors), assign=True)
    return loss


def _learned(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Kernel:
    """The q of a file: made of its hyper-parameters, those among the tensors too, and in the state that these tell."""
    own = {name.removeprefix("q."): value for name, value in tensors.items() if name.startswith("q.")}
    # A scale that has become NaN is among the tensors, and no argument that a q can be made with.
    given = config["hyper"].items()
    hyper = {name: value for name, value in given if not (isinstance(value, float) and math.isnan(value))}
    if not config["type"].startswith(REGISTERED):
        refuse_unknown(hyper.get("partition"), "partition")
    for name in parameters(builder(config["type"], "row")):
        if name in own and not isinstance(hyper.get(name), str):
            hyper[name] = own[name]
    q: Kernel = made({**config, "hyper": hyper}, "row")
    q.load_state_dict(own, assign=True)
    return q


def save(x: Any, path: str | os.PathLike[str]) -> None:
    """Write a loss or a fitted estimator to one file, without pickle; `load` reads it back, equal to the last bit.

    Args:
        x: the loss or the estimator.
        path: where to; the file appears there when it is whole.

    Raises:
        ValueError: the file cannot be written, or the estimator is not fitted.
        TypeError: neither a loss nor an estimator, or a part of your own that is not registered.
    """
    if isinstance(x, Loss):
        save_loss(x, path)
    elif callable(getattr(x, "save", None)):
        x.save(path)
    else:
        raise TypeError(f"x: got {type(x).__name__}, expected a loss or an estimator of icon")


def load(path: str | os.PathLike[str]) -> Any:
    """What `save` wrote: a `Loss` or a fitted estimator.

    Args:
        path: the file.

    Raises:
        ValueError: no such file, not one of these, truncated, damaged, or of another version.
    """
    _late.estimators()  # they say how their own are read
    kind, config, tensors = read(path)
    if kind not in READERS:
        raise ValueError(
            f"path: got {path} with a {kind}, expected a loss, or an estimator that is registered first "
            "(icon.register_estimator)"
        )
    try:
        return READERS[kind](config, tensors)
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"path: got {path} ({type(error).__name__}: {reason}), expected a whole file that this version of icon can "
            "read, and parts of your own as they were"
        ) from error


READERS["loss"] = load_loss
