"""How much debiasing: α against wrong edges and batch size, calibration, and α selected without labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np

from experiments.clustering import debiasing_reading as reading
from experiments.clustering.edges import Split, corrupted, held_out, held_out_loss
from experiments.clustering.protocol import Settings as Common
from experiments.clustering.protocol import fitted, inputs, scores, union
from experiments.datasets import Dataset
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.estimators.diagnostics import diagnose, matched, reliability

GRAPHS = ("clean", "corrupted")
BATCHES = (256, 1024)
MOST = 0.9  # the last α


@dataclass(frozen=True)
class Settings(Common):
    """Shorter runs and fewer restarts, as there are many runs.

    Args:
        alpha_step: between two α.
        corrupted: share of the edges that are wrong in the corrupted graph.
        held: share of the edges that no run is fitted on.
        floor: uniform mass in the loss of these edges.
    """

    shares: ClassVar[tuple[str, ...]] = (*Common.shares, "corrupted", "held", "floor")

    steps: int = 100
    restarts: int = 2
    alpha_step: float = 0.2
    corrupted: float = 0.2
    held: float = 0.1
    floor: float = 0.1


def configurations(dataset: Dataset, settings: Settings) -> list[Configuration]:
    labels_of(dataset)
    alphas = sorted({round(float(alpha), 3) for alpha in (*np.arange(0, MOST, settings.alpha_step), MOST)})
    return [
        {"alpha": alpha, "graph": graph, "batch": batch} for graph in GRAPHS for batch in BATCHES for alpha in alphas
    ]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Scores, the calibration and its bins, and what a selection sees: the agreement of the restarts and the loss of
    held-out edges."""
    split = _split(dataset, seed, configuration["graph"], settings)
    model = fitted(
        dataset, seed, settings, split.graph,
        debias=configuration["alpha"], batch_size=min(dataset.n, configuration["batch"]),
    )  # fmt: skip
    phi, y = model.predict_proba(inputs(dataset, settings.directions)).astype(np.float64), labels_of(dataset)
    found = diagnose(phi, model.starts_, y)
    measures = scores(dataset, model.labels_) | {
        "ece": found.calibration_error,
        "agreement": 1.0 if found.restart_agreement is None else found.restart_agreement,
        "held-out": held_out_loss(phi, split.held, settings.floor),
        "loss": float(model.loss_),
    }
    calibration = reliability(phi, matched(phi.argmax(axis=1), y))
    for number in np.flatnonzero(calibration.share):
        for name, values in calibration._asdict().items():
            measures[f"bin {number} {name}"] = float(values[number])
    return {name: round(float(value), 5) for name, value in measures.items()}


@lru_cache(maxsize=2)
def _split(dataset: Dataset, seed: int, graph: str, settings: Settings) -> Split:
    whole = union(dataset, settings.neighbors)
    if graph == "corrupted":
        whole = corrupted(whole, settings.corrupted, seed)
    return held_out(whole, settings.held, seed)


EXPERIMENT = Experiment(
    name="debiasing",
    title="How much debiasing",
    question=(
        "How does clustering depend on the uniform mass α, with clean and with partly wrong neighbours, with small and "
        "with large batches? Are the probabilities calibrated? Can α be chosen without labels?"
    ),
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
