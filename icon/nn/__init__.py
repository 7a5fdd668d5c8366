"""Networks and what goes with them: mappers, the teacher, and targets made from a teacher's scores."""

from icon.nn.augment import RandomViews
from icon.nn.crops import multi_crop
from icon.nn.ema import EMA, cosine_decay
from icon.nn.groups import parameter_groups
from icon.nn.mappers import CNN, MAX_FEATURES, MLP, NAMES, Linear, Lookup, Principal, Prototypes, Rescale, build
from icon.nn.negatives import own_negatives
from icon.nn.targets import Centering, concentration, sinkhorn

__all__ = [
    "CNN",
    "EMA",
    "MAX_FEATURES",
    "MLP",
    "NAMES",
    "Centering",
    "Linear",
    "Lookup",
    "Principal",
    "Prototypes",
    "RandomViews",
    "Rescale",
    "build",
    "concentration",
    "cosine_decay",
    "multi_crop",
    "own_negatives",
    "parameter_groups",
    "sinkhorn",
]
