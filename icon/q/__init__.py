"""Learned distributions q(j|i): the rows of the table. A score and a partition make one."""

from icon.q.argmax import Argmax
from icon.q.base import Kernel
from icon.q.clusters import Clusters
from icon.q.partitions import PARTITIONS, Partition
from icon.q.radial import Radial
from icon.q.scores import Gaussian, StudentT

__all__ = ["PARTITIONS", "Argmax", "Clusters", "Gaussian", "Kernel", "Partition", "Radial", "StudentT"]
