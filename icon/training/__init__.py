"""Training: the loop and the sampler of pairs."""

from icon.training.fit import Fit, fit
from icon.training.sampler import PairSampler

__all__ = ["Fit", "PairSampler", "fit"]
