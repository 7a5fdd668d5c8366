"""The experiments by name: a record each."""

from __future__ import annotations

from experiments import clustering, debiased_contrastive, divergences, multi_view
from experiments.record import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        multi_view.EXPERIMENT,
        *clustering.EXPERIMENTS,
        debiased_contrastive.EXPERIMENT,
        divergences.EXPERIMENT,
    )
}
#: Names of earlier releases.
ALIASES = {"choice": "model-selection"}
