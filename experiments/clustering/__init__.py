"""Debiased clustering: against other methods, its neighbourhood, ingredients and debiasing, and model selection."""

from experiments.clustering import ablation, comparison, debiasing, model_selection, width

EXPERIMENTS = tuple(module.EXPERIMENT for module in (comparison, width, ablation, debiasing, model_selection))

__all__ = ["EXPERIMENTS"]
