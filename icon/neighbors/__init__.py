"""The one search for nearest neighbours: exact in blocks, or approximate with the recall that was measured.

Nothing here holds a matrix of all pairs, and features that lie on disk (a `numpy.memmap`) are read block by block. The
k-NN and Gaussian columns, the clustering and the placement of new points all search here.
"""

from icon.neighbors.approximate import approximate_library
from icon.neighbors.exact import exact_neighbors
from icon.neighbors.search import EXACT_UP_TO, METRICS, SEARCHES, Neighbors, nearest_neighbors

__all__ = [
    "EXACT_UP_TO",
    "METRICS",
    "SEARCHES",
    "Neighbors",
    "approximate_library",
    "exact_neighbors",
    "nearest_neighbors",
]
