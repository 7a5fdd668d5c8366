"""Estimators in the style of scikit-learn, and what tells how a clustering went."""

from icon.estimators.advice import Advice, advise
from icon.estimators.clustering import Clustering
from icon.estimators.diagnostics import Diagnostics, diagnose
from icon.estimators.embedding import Embedding
from icon.estimators.saved import register_estimator
from icon.estimators.suggestion import Suggestion, suggest_n_clusters

__all__ = [
    "Advice",
    "Clustering",
    "Diagnostics",
    "Embedding",
    "Suggestion",
    "advise",
    "diagnose",
    "register_estimator",
    "suggest_n_clusters",
]
