"""The experiments by name: a record each."""

from __future__ import annotations

from experiments import advice, debiased_contrastive, divergences, gallery, maps, multi_view
from experiments.clustering import balance, comparison, debiasing, imagenet, ingredients, model_selection, n_clusters
from experiments.record import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        multi_view.EXPERIMENT,
        comparison.EXPERIMENT,
        *ingredients.EXPERIMENTS,
        debiasing.EXPERIMENT,
        model_selection.EXPERIMENT,
        imagenet.EXPERIMENT,
        balance.EXPERIMENT,
        n_clusters.EXPERIMENT,
        debiased_contrastive.EXPERIMENT,
        divergences.EXPERIMENT,
        maps.EXPERIMENT,
        gallery.EXPERIMENT,
        advice.EXPERIMENT,
    )
}
#: Names of earlier releases.
ALIASES = {"choice": "model-selection"}
