"""What `icon embed` and `icon cluster` do."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icon._columns import Features
from icon.cli import cluster_report as report
from icon.cli.ranks import joined
from icon.estimators import Clustering, Embedding, diagnose
from icon.features import read_features, read_vector
from icon.labels import known_labels
from icon.tables import TableOptions


def embed(
    features: str, out: Path | None, key: str | None, table: dict[str, Any], components: int, settings: dict[str, Any]
) -> None:
    """Write the map of features.

    Args:
        features: the file.
        out: .npy or .csv; None writes CSV to standard output.
        key: which array of the file.
        table: `TableOptions`.
        components: dimensions of the map.
        settings: further arguments of `icon.Embedding`.

    Raises:
        ValueError, TypeError, MemoryError, ImportError, FloatingPointError: bad input; nothing is written.
    """
    if out is not None and out.suffix not in (".npy", ".csv"):
        raise ValueError(f"out: got {out}, expected a file ending in .npy or .csv")
    with joined() as ranks:
        read = ranks.on_all(partial(_read_for_map, features, out, key, table))
        quiet = {"verbose": settings["verbose"] and ranks.is_first}
        z = Embedding(components, **{**settings, **quiet}, group=ranks.group).fit_transform(read.values)
        if not ranks.is_first:
            return
        _say(read)
        frame = _with_ids(pd.DataFrame(np.asarray(z), columns=[f"z{i}" for i in range(components)]), read)
        with report.staged(out) as stage:
            if stage is not None and stage.suffix == ".npy":
                np.save(stage, frame.to_numpy())
            else:
                frame.to_csv(sys.stdout if stage is None else stage, index=False)


def _read_for_map(features: str, out: Path | None, key: str | None, table: dict[str, Any]) -> Features:
    report.check_output(out)
    return read_features(features, key, _options(out is not None and out.suffix == ".npy", table))


def cluster(out: Path | None, form: str, table: dict[str, Any], given: dict[str, Any], quiet: bool) -> None:
    """Write the clusters of features and, where labels are given, print their scores.

    Args:
        out: a folder, or one file; None writes CSV to standard output.
        form: of the assignments in the folder.
        table: `TableOptions`.
        given: the other arguments of the command.
        quiet: no progress bar.

    Raises:
        ValueError, TypeError, MemoryError, ImportError, FloatingPointError: bad input; nothing is written.
    """
    with joined() as ranks:
        read, y = ranks.on_all(partial(_read_for_clusters, out, form, table, given))
        x = read.values
        began = time.perf_counter()
        model = Clustering(
            given["clusters"], n_neighbors="auto" if given["knn"] is None else given["knn"], walks=given["walks"],
            debias=given["debias"], n_init=given["restarts"], random_state=given["seed"],
            verbose=not quiet and ranks.is_first, group=ranks.group,
        )  # fmt: skip
        with report.staged(out if ranks.is_first else None) as stage:
            phi = model.fit(x).probabilities_
            if not ranks.is_first:
                return
            seconds = time.perf_counter() - began
            whole = out is not None and not out.suffix
            assignments = _with_ids(report.assignments(model.labels_, phi, every=whole), read)
            _say(read, y)
            if stage is None:
                assignments.to_csv(sys.stdout, index=False)
            elif not whole:
                report.write_table(assignments, stage)
            found = diagnose(model, labels=y)
            if stage is not None and whole:
                report.write(stage, form, x, model, phi, assignments, found, {**given, **table}, seconds)
    if y is not None:
        scores = found.as_dict()
        shown = {name: round(scores[name], 4) for name in ("accuracy", "nmi", "ari", "calibration_error")}
        print(json.dumps(shown), file=sys.stderr)


def _read_for_clusters(
    out: Path | None, form: str, table: dict[str, Any], given: dict[str, Any]
) -> tuple[Features, NDArray[np.int64] | None]:
    """The features, and the labels where some are given."""
    report.check_output(out)
    if form == "parquet" or (out is not None and out.suffix == ".parquet"):
        report.check_parquet()
    plain = out is not None and ".npy" in (out.suffix, out.suffix or f".{form}")
    read = read_features(given["features"], given["key"], _options(plain, table))
    if given["labels"] is None:
        return read, None
    how = TableOptions(sep=table["sep"], header=given["labels_header"])
    n = len(read.values)
    return read, known_labels(read_vector(given["labels"], given["labels_key"], how, expected=n), n)


def _options(plain: bool, given: dict[str, Any]) -> TableOptions:
    """What is known of the table; ``plain``: the output is an array, which holds no names."""
    if plain and given["id"] is not None:
        raise ValueError(f"id: got {given['id']} and an output .npy, expected one that has columns with names, as .csv")
    return TableOptions(**given)


def _say(read: Features, labels: NDArray[np.int64] | None = None) -> None:
    """What was understood, on standard error."""
    for note in read.notes:
        print(note if note.startswith("warning: ") else f"note: {note}", file=sys.stderr)
    n, d = read.values.shape
    header = "" if read.header is None else f", header: {'yes' if read.header else 'no'}"
    classes = "" if labels is None else f", labels: {labels.max() + 1:,} classes"
    print(f"{n:,} rows × {d:,} columns{header}{classes}", file=sys.stderr)


def _with_ids(table: pd.DataFrame, read: Features) -> pd.DataFrame:
    if read.ids is not None:
        table.insert(0, str(read.ids.name), read.ids.to_numpy(), allow_duplicates=True)
    return table
