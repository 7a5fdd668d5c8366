"""The algebra of p: what a supervisory distribution is in memory. One class per structure, all with the same verbs."""

from icon.p.masses.base import Edges, Masses
from icon.p.masses.dense import Dense, DenseFromLogs
from icon.p.masses.grouped import Grouped
from icon.p.masses.mixture import Debiased, Mixture
from icon.p.masses.overlap import Jaccard, Overlap
from icon.p.masses.sparse import Listed, Sparse
from icon.p.masses.uniform import Uniform

__all__ = [
    "Debiased",
    "Dense",
    "DenseFromLogs",
    "Edges",
    "Grouped",
    "Jaccard",
    "Listed",
    "Masses",
    "Mixture",
    "Overlap",
    "Sparse",
    "Uniform",
]
