"""Training: the loop and what draws its batches."""

from icon.training.batches import PointSampler, Sampler
from icon.training.fit import Fit, fit
from icon.training.sampler import PairSampler

__all__ = ["Fit", "PairSampler", "PointSampler", "Sampler", "fit"]
