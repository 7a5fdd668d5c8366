"""When debiasing helps: α against wrong edges, batch size, head, number of clusters and start."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import scipy.sparse as sp

from experiments.clustering import debiasing_reading as reading
from experiments.clustering.edges import corrupted
from experiments.clustering.protocol import Settings as Common
from experiments.clustering.protocol import fitted, scores, union
from experiments.datasets import Dataset, at_most, refuse_validation
from experiments.record import Configuration, Experiment, Measures, labels_of
from icon.estimators.diagnostics import expected_calibration_error
from icon.metrics.clustering import matched


@dataclass(frozen=True)
class Settings(Common):
    """Shorter runs of one restart, as there are many runs; larger data sets are represented by ``points`` of theirs."""

    steps: int = 100
    restarts: int = 1
    points: int = 3000


def configurations(dataset: Dataset) -> list[Configuration]:
    """Every α where one factor at most is not as by default."""
    refuse_validation(dataset)
    settings = [reading.DEFAULT | {factor: level} for factor, level in reading.SETTINGS.values()]
    return [{"alpha": alpha} | setting for setting, alpha in product(settings, reading.ALPHAS)]


def run(dataset: Dataset, seed: int, configuration: Configuration, settings: Settings) -> Measures:
    """The scores, the calibration, the mean confidence and the loss of one run."""
    dataset = at_most(dataset, settings.points)
    model = fitted(
        dataset, seed, settings, _graph(dataset, seed, configuration["wrong"], settings),
        n_clusters=max(2, round(dataset.classes * configuration["clusters"])), debias=configuration["alpha"],
        mapper=configuration["head"], batch_size=min(dataset.n, configuration["batch"]), init=configuration["start"],
        learning_rate="auto",
    )  # fmt: skip
    phi = model.probabilities_.astype(np.float64)
    return scores(dataset, model.labels_) | {
        "ece": expected_calibration_error(phi, matched(labels_of(dataset), phi.argmax(axis=1))),
        "confidence": float(phi.max(axis=1).mean()),
        "loss": float(model.loss_),
        "classes": float(dataset.classes),
    }


@lru_cache(maxsize=4)
def _graph(dataset: Dataset, seed: int, wrong: float, settings: Settings) -> sp.csr_array:
    whole = union(dataset, settings.neighbors)
    return corrupted(whole, wrong, seed) if wrong else whole


EXPERIMENT = Experiment(
    name="debiasing",
    question="When does debiasing help accuracy and calibration, and what does theory say of it?",
    settings=Settings,
    configurations=configurations,
    run=run,
    table=reading.table,
    figures={"effect": reading.effect},
    tables={"NMI": reading.information, "What the theory predicts": reading.predictions},
)
