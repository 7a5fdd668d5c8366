"""Debiased clustering: compared with other methods, its neighbourhood's width, its ingredients, its debiasing, its
configuration chosen without labels."""

from experiments.clustering import ablation, comparison, width
from experiments.clustering.choice import EXPERIMENT as CHOICE
from experiments.clustering.debiasing import EXPERIMENT as DEBIASING

EXPERIMENTS = (comparison.EXPERIMENT, width.EXPERIMENT, ablation.EXPERIMENT, DEBIASING, CHOICE)

__all__ = ["EXPERIMENTS"]
