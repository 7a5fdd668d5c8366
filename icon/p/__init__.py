"""Supervisory distributions p(j|i): the columns of the table. Each turns a target into `Rows`."""

from icon.p.base import Distribution, Sets
from icon.p.graph import Graph, Precomputed
from icon.p.kernels import Gaussian, StudentT
from icon.p.knn import KNN
from icon.p.labels import Classes, CrossModal, DataLabel, Identity, Pairs

__all__ = [
    "KNN",
    "Classes",
    "CrossModal",
    "DataLabel",
    "Distribution",
    "Gaussian",
    "Graph",
    "Identity",
    "Pairs",
    "Precomputed",
    "Sets",
    "StudentT",
]
