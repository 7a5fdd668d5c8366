"""The experiments by name: a record each."""

from experiments import advice, debiased_contrastive, divergences, gallery, maps, multi_view
from experiments.clustering import balance, comparison, debiasing, model_selection, n_clusters, paper

_ALL = (
    multi_view.EXPERIMENT, comparison.EXPERIMENT, paper.WIDTH, paper.ABLATION, debiasing.EXPERIMENT,
    model_selection.EXPERIMENT, paper.IMAGENET, balance.EXPERIMENT, n_clusters.EXPERIMENT,
    debiased_contrastive.EXPERIMENT, divergences.EXPERIMENT, maps.EXPERIMENT, gallery.EXPERIMENT, advice.EXPERIMENT,
)  # fmt: skip
EXPERIMENTS = {experiment.name: experiment for experiment in _ALL}
