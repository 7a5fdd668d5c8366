"""Training: the loop and what draws its batches, large batches in little memory, and queues."""

from icon.nn.groups import parameter_groups
from icon.training.batches import PointSampler, Sampler
from icon.training.fit import Fit, fit
from icon.training.gather import gather
from icon.training.grad_cache import GradCache
from icon.training.per_class import MPerClassBatchSampler
from icon.training.queue import Queue
from icon.training.sampler import PairSampler
from icon.training.tensorboard import TensorBoard

__all__ = [
    "Fit",
    "GradCache",
    "MPerClassBatchSampler",
    "PairSampler",
    "PointSampler",
    "Queue",
    "Sampler",
    "TensorBoard",
    "fit",
    "gather",
    "parameter_groups",
]
