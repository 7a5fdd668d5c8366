"""What `icon embed` and `icon cluster` do."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icon import _checks as check
from icon._columns import Features
from icon.cli import cluster_report as report
from icon.cli import map_report as maps
from icon.cli import output
from icon.cli.ranks import joined
from icon.core.exchange import on_all
from icon.estimators import Clustering, Embedding, diagnose
from icon.estimators.spaces import side_by_side
from icon.features import read_features, read_graph, read_vector, without_options
from icon.labels import Labels, classes_of, known_labels
from icon.methods.registry import find
from icon.tables import TableOptions

#: What `icon embed` and `icon advise` read, and how.
FILES = ("features", "key", "labels", "labels_key", "labels_header", "graph", "graph_header", "pairs")


def embed(out: Path | None, form: str, table: dict[str, Any], quiet: bool, **settings: Any) -> None:
    """Write the map of features: a folder, one file, or CSV on standard output; bad input writes nothing."""
    given = {name: settings.pop(name) for name in FILES}
    with joined() as (group, is_first):
        column = settings["column"] if settings["method"] is None else find(settings["method"]).column
        read, y, labels = on_all(partial(_read_for_map, out, form, table, given, column), group)
        model = Embedding(**settings, verbose=not quiet and is_first, group=group)
        if is_first and not quiet:  # a long fit of the wrong columns can be stopped
            say(read, labels)
        on_all(partial(_check_cost, model, read.values, y, quiet or not is_first), group)
        began = time.perf_counter()
        model.fit(read.values, y)
        if not is_first:
            return
        for note in model.notes_:
            print(f"note: {note}", file=sys.stderr)
        if quiet:  # an error of the fit is then the only line
            say(read, labels)
        seconds, names = time.perf_counter() - began, [f"z{i}" for i in range(settings["n_components"])]
        frame = _with_ids(pd.DataFrame(model.embedding_, columns=names), read)
        with output.staged(out) as stage:
            output.write_table(frame, stage, f"map.{form}")
            if stage is not None and not stage.suffix:
                arguments = {**given, **settings, **table}
                maps.write(stage, model, labels, {"arguments": arguments, "seconds": round(seconds, 3)})


def _check_cost(model: Embedding, x: NDArray[Any], y: Any, quiet: bool) -> None:
    """Say what a map will take, about; refuse one that memory cannot hold."""
    cost = model.cost(len(x), x.shape[1], getattr(y, "nnz", None))
    if not quiet:
        print(f"note: {cost}", file=sys.stderr)
    advice = "give fewer points, --landmarks, or --neighbors"
    check.refuse_if_too_large(cost.bytes, f"features: got {len(x):,} points, a map of which", advice)


def _read_for_map(
    out: Path | None, form: str, table: dict[str, Any], given: dict[str, Any], column: str
) -> tuple[Features, Any, Labels | None]:
    """The features, what p is made from beside them, and the labels where some are given."""
    (read,), labels = read_for(out, maps.OURS, form, table, given)
    name = {"classes": "labels", "data-label": "labels", "pairs": "pairs", "graph": "graph"}.get(column)
    if name is not None and given[name] is None:
        raise ValueError(f"{name}: got no file, expected --{name} FILE for the column {column}")
    for other in ("graph", "pairs"):
        if given[other] is not None and other != name:
            raise ValueError(f"{other}: got {given[other]} for the column {column}, expected the column {other}")
    if name == "labels":
        return read, None if labels is None else labels.codes, labels
    return read, None if name is None else beside(given, name, len(read.values)), labels


def cluster(out: Path | None, form: str, table: dict[str, Any], quiet: bool, **given: Any) -> None:
    """Write the clusters of features, as `embed` does a map, and print their scores where labels are given."""
    with joined() as (group, is_first):
        read, y = on_all(partial(read_for, out, report.OURS, form, table, given), group)
        spaces = [each.values for each in read]
        if is_first and not quiet:
            _say_all(read, y)
        began = time.perf_counter()
        model = Clustering(
            given["clusters"], n_neighbors="auto" if given["knn"] is None else given["knn"], walks=given["walks"],
            debias=given["debias"], balance="auto" if given["balance"] is None else given["balance"],
            n_init=given["restarts"], random_state=given["seed"],
            verbose=not quiet and is_first, group=group,
        )  # fmt: skip
        with output.staged(out if is_first else None) as stage:
            model.fit(spaces)
            if not is_first:
                return
            seconds = time.perf_counter() - began
            whole = out is not None and not out.suffix
            assignments = _with_ids(report.assignments(model, every=whole), read[0])
            if quiet:
                _say_all(read, y)
            if given["clusters"] == "auto":
                print(f"clusters: {model.n_clusters_} found", file=sys.stderr)
            output.write_table(assignments, stage, f"assignments.{form}")
            diagnostics = diagnose(model, labels=None if y is None else y.codes)
            if stage is not None and whole:
                x = side_by_side(model, spaces)
                told = {"arguments": {**given, **table}, "seconds": round(seconds, 3)}
                report.write(stage, x, model, diagnostics, told)
    if y is not None:
        scores = diagnostics.as_dict()
        shown = {name: round(scores[name], 4) for name in ("accuracy", "nmi", "ari", "calibration_error")}
        print(json.dumps(shown), file=sys.stderr)


def read_for(
    out: Path | None, ours: Sequence[str], form: str, table: dict[str, Any], given: dict[str, Any]
) -> tuple[list[Features], Labels | None]:
    """The features of each file, and the labels where some are given; refused where ``out`` could not be written."""
    paths = [given["features"]] if isinstance(given["features"], str) else given["features"]
    is_array = output.checked_form(out, ours, form) == ".npy"  # which holds no names
    if is_array and table["id"] is not None:
        raise ValueError(
            f"id: got {table['id']} and an output .npy, expected an output with named columns, such as .csv"
        )
    _refuse_idle({**given, **table}, paths)
    read = [read_features(path, given["key"], TableOptions(**table)) for path in paths]
    for path, each in zip(paths[1:], read[1:], strict=True):
        if each.ids is not None and read[0].ids is not None and not _same_ids(each.ids, read[0].ids):
            raise ValueError(f"id: got different ids in {path}, expected those of {paths[0]}, in their order")
    if given["labels"] is None:
        return read, None
    n, how = len(read[0].values), TableOptions(sep=table["sep"], header=given["labels_header"])
    return read, classes_of(read_vector(given["labels"], given["labels_key"], how, expected=n), "labels", n)


def _same_ids(a: pd.Series[Any], b: pd.Series[Any]) -> bool:
    """Whether two columns have the same ids, and none in the same rows."""
    if not np.array_equal(a.isna(), b.isna()):
        return False
    return np.array_equal(a[a.notna()], b[b.notna()])


def beside(given: dict[str, Any], name: str, n: int) -> Any:
    """The numbers ``[n]`` of pairs, -1 where unknown, or the graph, of n points; None without such a file."""
    if given[name] is None:
        return None
    if name == "graph":
        return read_graph(given[name], n, given["graph_header"])
    try:
        return known_labels(read_vector(given[name], expected=n), n, name)
    except ValueError as error:
        raise ValueError(without_options(str(error), "labels", name)) from None


def _refuse_idle(options: dict[str, Any], files: list[str]) -> None:
    """Raise ValueError for an option that says nothing of the files that are given."""
    given = {kind: [options[kind]] if options.get(kind) else [] for kind in ("labels", "graph")}
    for name, idle in _IDLE.items():
        value, option = options.get(name), name.replace("_", "-")
        paths = given.get(name.partition("_")[0], files + given["labels"] if name == "sep" else files)
        if value is not None and {Path(path).suffix.lower() for path in paths} <= idle:
            what = f"{value!r} for {', '.join(paths) or 'no file'}"
            raise ValueError(f"{option}: got {what}, expected no --{option}, which says nothing of such a file")


_TYPED = {".npy", ".npz", ".safetensors", ".parquet"}
#: Of which kinds of files an option says nothing.
_IDLE = {"key": {".npy"}, "sep": {*_TYPED, ".xlsx"}, "decimal": {*_TYPED, ".xlsx"}, "header": _TYPED,
         "labels_key": {".npy"}, "labels_header": _TYPED, "graph_header": _TYPED}  # fmt: skip


def say(read: Features, labels: Labels | None = None) -> None:
    """What was understood, on standard error."""
    for note in read.notes:
        print(note if note.startswith("warning: ") else f"note: {note}", file=sys.stderr)
    n, d = read.values.shape
    header = "" if read.header is None else f", header: {'yes' if read.header else 'no'}"
    classes = "" if labels is None else f", labels: {check.counted(len(labels.names), 'class', ',')}"
    print(f"{check.counted(n, 'row', ',')} × {check.counted(d, 'column', ',')}{header}{classes}", file=sys.stderr)


def _say_all(read: list[Features], labels: Labels | None) -> None:
    for each in read:
        say(each, labels)


def _with_ids(table: pd.DataFrame, read: Features) -> pd.DataFrame:
    if read.ids is not None:
        name = str(read.ids.name)
        table.insert(0, "id" if name in table else name, read.ids.to_numpy())
    return table
