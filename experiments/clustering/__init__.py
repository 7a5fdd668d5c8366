"""Debiased clustering: compared with other methods, its neighbourhood's width, its ingredients, its debiasing."""

from experiments.clustering import ablation, comparison, width
from experiments.clustering.debiasing import EXPERIMENT as DEBIASING

EXPERIMENTS = (comparison.EXPERIMENT, width.EXPERIMENT, ablation.EXPERIMENT, DEBIASING)

__all__ = ["EXPERIMENTS"]
