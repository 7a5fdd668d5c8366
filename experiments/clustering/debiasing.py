"""How much debiasing: α against wrong edges and batch size, calibration, and α selected without labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp

from experiments.clustering import debiasing_reading as reading
from experiments.clustering.edges import corrupted, held_out, held_out_loss
from experiments.clustering.protocol import Settings as Common
from experiments.clustering.protocol import fitted, inputs, scores, union
from experiments.datasets import Array, Dataset
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.estimators.diagnostics import diagnose, reliability
from icon.metrics.clustering import matched

BATCHES = (256, 1024)
ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)


@dataclass(frozen=True)
class Settings(Common):
    """Shorter runs and fewer restarts, as there are many runs.

    Args:
        corrupted: share of the edges that are wrong in the corrupted graph.
        held: share of the edges that no run is fitted on.
        floor: uniform mass in the loss of these edges.
    """

    steps: int = 100
    restarts: int = 2
    corrupted: float = 0.2
    held: float = 0.1
    floor: float = 0.1


def configurations(dataset: Dataset) -> list[Configuration]:
    cells = product(reading.GRAPHS, BATCHES, ALPHAS)
    return [{"alpha": alpha, "graph": graph, "batch": batch} for graph, batch, alpha in cells]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Scores, the calibration and its bins, and what a selection sees: the agreement of the restarts and the loss of
    held-out edges."""
    graph, held = _split(dataset, seed, configuration["graph"], settings)
    model = fitted(
        dataset, seed, settings, graph,
        debias=configuration["alpha"], batch_size=min(dataset.n, configuration["batch"]),
    )  # fmt: skip
    phi, y = model.predict_proba(inputs(dataset, settings.directions)).astype(np.float64), labels_of(dataset)
    found = diagnose(phi, model.restarts_, y)
    measures: dict[str, Any] = scores(dataset, model.labels_) | {
        "ece": found.calibration_error,
        "agreement": 1.0 if found.restart_agreement is None else found.restart_agreement,
        "held-out": held_out_loss(phi, held, settings.floor),
        "loss": float(model.loss_),
    }
    calibration = reliability(phi, matched(y, phi.argmax(axis=1)))
    for number in np.flatnonzero(calibration.share):
        for name, values in calibration._asdict().items():
            measures[f"bin {number} {name}"] = float(values[number])
    return {name: round(float(value), 5) for name, value in measures.items()}


@lru_cache(maxsize=2)
def _split(dataset: Dataset, seed: int, graph: str, settings: Settings) -> tuple[sp.csr_array, Array]:
    whole = union(dataset, settings.neighbors)
    whole = corrupted(whole, settings.corrupted, seed) if graph == "corrupted" else whole
    return held_out(whole, settings.held, seed)


EXPERIMENT = Experiment(
    name="debiasing",
    question="How does clustering depend on α, is it calibrated, and can α be selected without labels?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=reading.table,
    figures={
        "accuracy": partial(reading.against_alpha, measure="accuracy", name="accuracy (%)", factor=100),
        "calibration": partial(reading.against_alpha, measure="ece", name="expected calibration error", factor=1),
        "reliability": reading.reliability,
    },
)
