"""Save and load without pickle: one safetensors file whose header carries the configuration as JSON."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from icon import p as icon_p
from icon import q as icon_q
from icon.core import divergence as divergences
from icon.core.evaluators import EVALUATORS, Fused
from icon.core.loss import Loss
from icon.methods.axes import COLUMNS, ROWS, Axis
from icon.p import operations
from icon.p.base import Distribution
from icon.q.base import Kernel

FORMAT = "icon-1"
REGISTERED = "registered:"
#: By kind, what makes the object of a file from its configuration and its tensors; estimators add theirs.
READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], Any]] = {}


def write(path: str | os.PathLike[str], kind: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """One file, written beside its place and moved there when it is whole.

    Raises:
        ValueError: the file cannot be written.
    """
    target = Path(path)
    text = json.dumps({"format": FORMAT, "kind": kind, "config": config}, sort_keys=True, default=_refused)
    header = {"icon": text}
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    real = target.resolve()  # a link is followed
    unfinished = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        try:
            unfinished.write_bytes(to_bytes(stored, metadata=header))  # with the mode that the umask gives
            os.replace(unfinished, real)
        finally:
            unfinished.unlink(missing_ok=True)
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
        TypeError: a part of your own that is not registered.
    """
    _refuse_if_incomplete(loss.q)
    evaluator = loss.evaluator
    if evaluator is not None and EVALUATORS.get(evaluator.name) is not type(evaluator):
        raise TypeError(f"loss: got evaluator {evaluator!r}, expected one of {', '.join(EVALUATORS)}")
    if evaluator is not None and not isinstance(evaluator, Fused) and vars(evaluator) != vars(type(evaluator)()):
        raise TypeError(f"loss: got evaluator {evaluator!r} with arguments, expected one that is made without any")
    config = {
        "p": _distribution(loss.p),
        "q": {"type": _name_of(type(loss.q), icon_q, ROWS), "hyper": _without_tensors(loss.q)},
        "settings": loss.hyper_parameters(),
        "divergence": _divergence(loss),
        "name": loss.name,
    }
    write(path, "loss", config, loss.state_dict())


def _refuse_if_incomplete(q: Kernel) -> None:
    """A distribution of the user's own must come back as it is from what its `hyper_parameters` names."""
    if type(q).__module__.startswith("icon."):
        return
    expected = "expected hyper_parameters() to name every argument of its constructor"
    try:
        again = type(q)(**q.hyper_parameters())
    except TypeError as error:
        raise TypeError(f"loss: got {type(q).__name__} ({error}), {expected}") from None
    for name, value in vars(q).items():
        other = getattr(again, name, None)
        lost = isinstance(value, (bool, int, float, str)) and value != other and name != "training"
        if name == "partition":
            lost = type(value) is not type(other) or vars(value) != vars(other)
        if lost:
            raise TypeError(
                f"loss: got {type(q).__name__} with {name} = {value!r}, which a file would lose, {expected}"
            )


def _name_of(kind: type, module: Any, axis: Mapping[str, Axis]) -> str:
    """What a file calls a distribution: the name of its class, or the slug under which it was registered."""
    if getattr(module, kind.__name__, None) is kind:
        return str(kind.__name__)
    for slug, known in axis.items():
        if known.build is kind:
            return f"{REGISTERED}{slug}"
    raise TypeError(
        f"loss: got {kind.__name__}, expected a distribution of icon or one that is registered "
        "(icon.register_row, icon.register_column)"
    )


def _class_of(name: str, module: Any, axis: Mapping[str, Axis], what: str) -> Any:
    if not name.startswith(REGISTERED):
        return getattr(module, name)
    slug = name.removeprefix(REGISTERED)
    if slug not in axis:
        raise ValueError(f"path: got a loss with {slug!r}, expected it to be registered first (icon.register_{what})")
    return axis[slug].build


def _without_tensors(q: Kernel) -> dict[str, Any]:
    """The hyper-parameters that are not among the tensors of the file."""
    stored = q.state_dict()
    given = {name: v for name, v in q.hyper_parameters().items() if isinstance(v, str) or name not in stored}
    return {name: v.tolist() if isinstance(v, Tensor) else v for name, v in given.items()}


def load_loss(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Loss:
    hyper = dict(config["q"]["hyper"])
    kind = _class_of(config["q"]["type"], icon_q, ROWS, "row")
    for name in inspect.signature(kind).parameters:
        if f"q.{name}" in tensors and not isinstance(hyper.get(name), str):
            hyper[name] = tensors[f"q.{name}"]
    q = kind(**hyper)
    settings = {"on_no_positive" if k == "empty" else k: v for k, v in config["settings"].items()}
    settings |= {"divergence": config["divergence"], "name": config["name"]}
    if isinstance(settings["divergence"], dict):
        settings["divergence"] = getattr(divergences, settings["divergence"].pop("type"))(**settings["divergence"])
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
    return {"type": _name_of(type(p), icon_p, COLUMNS), "hyper": p.hyper_parameters(), "operations": chain}


def _read_distribution(config: Mapping[str, Any]) -> Distribution:
    p: Distribution = _class_of(config["type"], icon_p, COLUMNS, "column")(**config["hyper"])
    chain = []
    for step in config["operations"]:
        given = {name: value for name, value in step.items() if name != "type"}
        if "other" in given:
            given["other"] = _read_distribution(given["other"])
        chain.append(getattr(operations, step["type"])(**given))
    return dataclasses.replace(p, operations=tuple(chain))


def _divergence(loss: Loss) -> str | dict[str, Any]:
    if loss.divergence is None or loss.divergence_name in divergences.DIVERGENCES:
        return loss.divergence_name
    kind = type(loss.divergence)
    if getattr(divergences, kind.__name__, None) is not kind:
        raise TypeError(
            f"loss: got divergence {loss.divergence_name}, expected one that is registered (icon.register_divergence)"
        )
    return {"type": kind.__name__} | dataclasses.asdict(loss.divergence)  # type: ignore[call-overload, no-any-return]


def save(x: Any, path: str | os.PathLike[str]) -> None:
    """See `icon.save`."""
    if isinstance(x, Loss):
        save_loss(x, path)
    elif callable(getattr(x, "save", None)):
        x.save(path)
    else:
        raise TypeError(f"x: got {type(x).__name__}, expected a loss or an estimator")


def load(path: str | os.PathLike[str]) -> Any:
    """See `icon.load`."""
    kind, config, tensors = read(path)
    if kind not in READERS:
        raise ValueError(f"path: got {path} with a {kind}, expected a loss or an estimator")
    return READERS[kind](config, tensors)


READERS["loss"] = load_loss


def _refused(value: Any) -> Any:
    name = getattr(value, "__name__", type(value).__name__)
    raise TypeError(f"x: got a part with {name}, which no file can hold, expected numbers, strings, lists or mappings")
