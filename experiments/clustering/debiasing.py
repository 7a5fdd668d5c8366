"""How much debiasing: α against wrong edges and batch size, calibration, and rules that choose α without labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from experiments.clustering import debiasing_figures, rules
from experiments.clustering.calibration import reliability
from experiments.clustering.edges import Split, corrupted, held_out, held_out_loss
from experiments.clustering.protocol import Settings as Common
from experiments.clustering.protocol import configuration as common
from experiments.clustering.protocol import fitted, inputs, scores, union, usable
from experiments.datasets import Array, Dataset
from experiments.record import Configuration, Experiment, Measures, checked
from icon import _checks as check
from icon.metrics import ari

GRAPHS = ("clean", "corrupted")
BATCHES = (256, 1024)
MOST = 0.9  # the last α


@dataclass(frozen=True)
class Settings(Common):
    """Shorter runs from fewer starts, as there are many. ``held``: share of the edges that no run is fitted on.
    ``floor``: of their loss."""

    steps: int = 100
    starts: int = 2
    alpha_step: float = 0.2
    corrupted: float = 0.2
    held: float = 0.1
    floor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checked(self, check.fraction, "corrupted", "held", "floor")
        check.positive(self.alpha_step, "alpha_step")


def configurations(dataset: Dataset, settings: Settings) -> list[Configuration]:
    usable(dataset)
    alphas = sorted({round(float(alpha), 3) for alpha in (*np.arange(0, MOST, settings.alpha_step), MOST)})
    return [
        {"alpha": alpha, "graph": graph, "batch": batch} for graph in GRAPHS for batch in BATCHES for alpha in alphas
    ]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """Scores, the calibration and its bins, and what the rules see: ``agreement`` of the starts, ``held-out`` loss."""
    split = _split(dataset, seed, configuration["graph"], settings)
    model = fitted(
        dataset, seed, settings, split.graph,
        debias=configuration["alpha"], batch_size=min(dataset.n, configuration["batch"]),
    )  # fmt: skip
    phi = model.predict_proba(inputs(dataset, settings.directions)).astype(np.float64)
    calibration = reliability(phi, np.asarray(dataset.y))
    measures = scores(dataset, model.labels_) | {
        "ece": calibration.error,
        "agreement": agreement(model.starts_),
        "held-out": held_out_loss(phi, split.held, settings.floor),
        "loss": float(model.loss_),
    }
    for number in np.flatnonzero(calibration.share):
        for name, values in calibration._asdict().items():
            measures[f"bin {number} {name}"] = float(values[number])
    return {name: round(value, 5) for name, value in measures.items()}


def agreement(labels: Array) -> float:
    """Mean adjusted Rand index of the pairs of clusterings ``[starts, n]``; 1 of a single one."""
    return float(np.mean([ari(a, b) for a, b in combinations(labels, 2)] or [1.0]))


@lru_cache(maxsize=2)
def _split(dataset: Dataset, seed: int, graph: str, settings: Settings) -> Split:
    whole = union(dataset, settings.neighbors)
    if graph == "corrupted":
        whole = corrupted(whole, settings.corrupted, seed)
    return held_out(whole, settings.held, seed)


def caption(settings: Settings) -> str:
    return (
        f"{common(settings)} Corrupted: {settings.corrupted:.0%} of the edges of the graph keep one end and get a "
        f"random other one, by seed. Every run is fitted on {1 - settings.held:.0%} of the edges of its graph. ECE: "
        "expected calibration error of the largest cluster probability, 10 bins, after Hungarian matching. Rules "
        "choose α for each seed without labels: agreement takes the α at which the starts agree most (mean "
        "adjusted Rand index, the smaller α of equals); held-out edges takes the α with the lowest cross-entropy of "
        f"the {settings.held:.0%} of the edges kept aside (of the graph at hand, wrong ones included), under q mixed "
        f"with {settings.floor:.0%} of uniform mass. Hindsight is the one α per data set, graph and batch size with "
        "the highest mean accuracy over seeds; regret is what a rule loses against it, in points. The starts do not "
        "depend on α."
    )


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
    table=rules.table,
    findings=rules.findings,
    figures={
        "accuracy": debiasing_figures.accuracy,
        "calibration": debiasing_figures.calibration,
        "reliability": debiasing_figures.reliability,
    },
    caption=caption,
)
