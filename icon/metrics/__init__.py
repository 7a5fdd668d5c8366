"""Scores of clusterings and embeddings. Labels are used here and nowhere else."""

from icon.metrics.clustering import ari, clustering_accuracy, nmi
from icon.metrics.geometry import alignment, effective_rank, uniformity
from icon.metrics.information import gaussian_entropy, gaussian_information_bottleneck, infonce_bound
from icon.metrics.invariance import representation_invariance_score
from icon.metrics.probes import Probe, knn_probe, linear_probe, neighborhood_preservation, trustworthiness

__all__ = [
    "Probe",
    "alignment",
    "ari",
    "clustering_accuracy",
    "effective_rank",
    "gaussian_entropy",
    "gaussian_information_bottleneck",
    "infonce_bound",
    "knn_probe",
    "linear_probe",
    "neighborhood_preservation",
    "nmi",
    "representation_invariance_score",
    "trustworthiness",
    "uniformity",
]
