"""Training: the sampler of pairs (the loop is `icon.fit`)."""

from icon.training.sampler import PairSampler

__all__ = ["PairSampler"]
