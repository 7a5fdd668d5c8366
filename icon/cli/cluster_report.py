"""What `icon cluster` writes: assignments, a report and a figure, all of them or nothing."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import entropy as entropies

from icon import _checks as check
from icon.cli.output import palette, versions
from icon.estimators.clustering import Clustering
from icon.estimators.diagnostics import Diagnostics
from icon.nn.mappers import Principal

OURS = ("assignments.csv", "assignments.npy", "assignments.parquet", "report.json", "clusters.png")
LEARNED_MAP, SHOWN = 2000, 20_000  # points up to which the map is learned; points that a map of more shows


# -- what is written --------------------------------------------------------------------------------------------------


def assignments(model: Clustering, every: bool) -> pd.DataFrame:
    """Cluster and its probability of each point, and with ``every`` one column of probabilities per cluster."""
    labels, probabilities = model.labels_, model.probabilities_
    table = pd.DataFrame({"cluster": labels, "probability": probabilities[np.arange(len(labels)), labels]})
    if not every:
        return table
    columns = [f"p{c}" for c in range(probabilities.shape[1])]
    return pd.concat([table, pd.DataFrame(probabilities, columns=columns)], axis=1)


def write(folder: Path, x: NDArray[Any], model: Clustering, diagnostics: Diagnostics, told: dict[str, Any]) -> None:
    """report.json, with the arguments and the seconds that are told, and clusters.png."""
    report = {
        **told,
        "points": list(x.shape),
        "loss": float(model.loss_),
        "losses": [float(loss) for loss in model.losses_],
        "knn_recall": getattr(model, "knn_recall_", None),
        "diagnostics": {k: v for k, v in diagnostics.as_dict().items() if v is not None},
        "versions": versions(),
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(folder / "clusters.png", x, model.labels_, model.probabilities_, int(told["arguments"]["seed"]), model.verbose)


# -- the figure -------------------------------------------------------------------------------------------------------


def planar(x: NDArray[Any], seed: int, verbose: bool = False) -> tuple[NDArray[np.int64], NDArray[np.float64], str]:
    """The points shown, where ``[shown, 2]`` they lie, and the name of the map."""
    n = len(x)
    if 8 <= n <= LEARNED_MAP:
        from icon.estimators.embedding import Embedding

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = Embedding(2, random_state=seed, max_iter=500, verbose=verbose)
            learned = np.asarray(model.fit_transform(x), dtype=np.float64)
        return np.arange(n, dtype=np.int64), learned, f"t-SNE (icon.Embedding) of {n:,} points"
    shown = np.arange(n, dtype=np.int64)
    if n > SHOWN:
        shown = np.sort(np.random.default_rng(seed).choice(n, SHOWN, replace=False))
    return shown, leading(x[shown]), "PCA of " + (f"{SHOWN:,} of " if n > SHOWN else "") + f"{n:,} points"


def leading(x: NDArray[Any]) -> NDArray[np.float64]:
    """Points ``[n, 2]`` in the two leading principal directions of their features, in one unit."""
    given = torch.from_numpy(np.asarray(x, dtype=np.float64))
    z = Principal(given, 2)(given).double().numpy()
    return np.pad(z, ((0, 0), (0, 2 - z.shape[1])))


def draw(
    path: Path,
    x: NDArray[Any],
    labels: NDArray[np.int64],
    probabilities: NDArray[Any],
    seed: int,
    verbose: bool = False,
) -> None:
    """A map coloured by cluster, the sizes of the clusters, and how sure the assignments are."""
    from matplotlib.figure import Figure

    clusters = probabilities.shape[1]
    colours = palette(clusters)
    sizes = np.bincount(labels, minlength=clusters)
    figure = Figure(figsize=(10, 5.6), dpi=150, layout="constrained")
    axes = figure.subplot_mosaic([["map", "sizes"], ["map", "entropy"]], width_ratios=[1.5, 1])
    shown, z, name = planar(x, seed, verbose)
    _map(axes["map"], z, labels[shown], colours, name)

    bars = axes["sizes"]
    bars.bar(np.arange(clusters), sizes, color=colours, width=0.8)
    bars.axhline(len(labels) / clusters, color="0.4", linewidth=0.8, linestyle="--", label="equal sizes")
    empty = int((sizes == 0).sum())
    bars.set_title(f"Points per cluster{f' ({empty} empty)' if empty else ''}", fontsize=10, loc="left")
    bars.set_xlabel("cluster", fontsize=9)
    bars.set_xticks(np.arange(0, clusters, max(1, math.ceil(clusters / 12))))
    bars.set_xlim(-0.7, clusters - 0.3)
    bars.set_ylim(0, sizes.max() * 1.22)
    bars.legend(frameon=False, fontsize=8, loc="upper right")

    spread = axes["entropy"]
    most = math.log(clusters) if clusters > 1 else 1.0
    entropy = entropies(probabilities, axis=1)
    spread.hist(np.clip(entropy, 0, most), bins=40, range=(0, most), color="0.45")
    spread.axvline(entropy.mean(), color="tab:red", linewidth=1.2, label=f"mean {entropy.mean():.2f}")
    spread.set_title("Entropy of the assignments", fontsize=10, loc="left")
    spread.set_xlabel(f"nats (log {clusters} = {math.log(clusters):.2f} at most)", fontsize=9)
    spread.set_ylabel("points", fontsize=9)
    spread.set_xlim(0, most)
    spread.legend(frameon=False, fontsize=8, loc="upper right")
    for panel in (bars, spread):
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    figure.savefig(path)


def _map(panel: Any, z: NDArray[np.float64], labels: NDArray[np.int64], colours: Sequence[Any], name: str) -> None:
    """Points by colour, and the number of each cluster where its points are densest (the point nearest the median)."""
    import matplotlib.patheffects as effects

    order = np.random.default_rng(0).permutation(len(z))  # no cluster lies on top of all others
    size = float(np.clip(6000 / len(z), 1.5, 30))
    panel.scatter(*z[order].T, c=[colours[c] for c in labels[order]], s=size, linewidths=0, alpha=0.85, rasterized=True)
    halo = [effects.withStroke(linewidth=2.5, foreground="white")]
    for cluster in np.unique(labels):
        members = z[labels == cluster]
        middle = members[np.abs(members - np.median(members, axis=0)).sum(axis=1).argmin()]
        panel.text(*middle, str(cluster), fontsize=9, weight="bold", ha="center", va="center", path_effects=halo)
    panel.set_title(f"{check.counted(len(np.unique(labels)), 'cluster')}: {name}", fontsize=10, loc="left")
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_color("0.8")
