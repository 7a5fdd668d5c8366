"""The experiments by name: a record each."""

from __future__ import annotations

from experiments.clustering import comparison, debiasing, ingredients, model_selection
from experiments.debiased_contrastive import reading as debiased_contrastive
from experiments.divergences import reading as divergences
from experiments.multi_view import reading as multi_view
from experiments.record import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        multi_view.EXPERIMENT,
        comparison.EXPERIMENT,
        *ingredients.EXPERIMENTS,
        debiasing.EXPERIMENT,
        model_selection.EXPERIMENT,
        debiased_contrastive.EXPERIMENT,
        divergences.EXPERIMENT,
    )
}
#: Names of earlier releases.
ALIASES = {"choice": "model-selection"}
