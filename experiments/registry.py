"""The experiments by name: a record each."""

from experiments import advice, debiased_contrastive, divergences, gallery, maps, multi_view
from experiments.clustering import balance, comparison, debiasing, imagenet, ingredients, model_selection, n_clusters

_ALL = (
    multi_view.EXPERIMENT, comparison.EXPERIMENT, *ingredients.EXPERIMENTS, debiasing.EXPERIMENT,
    model_selection.EXPERIMENT, imagenet.EXPERIMENT, balance.EXPERIMENT, n_clusters.EXPERIMENT,
    debiased_contrastive.EXPERIMENT, divergences.EXPERIMENT, maps.EXPERIMENT, gallery.EXPERIMENT, advice.EXPERIMENT,
)  # fmt: skip
EXPERIMENTS = {experiment.name: experiment for experiment in _ALL}
#: Names of earlier releases.
ALIASES = {"choice": "model-selection"}
