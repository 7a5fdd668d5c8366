"""Methods that ours is measured against, with the settings that their papers, code or documentation recommend."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.cluster import k_means as cluster_rows
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize
from torch import Tensor, nn

import icon
from experiments.clustering.baselines import eigenvectors
from experiments.clustering.deep_baselines import PRCut, final
from experiments.clustering.protocol import Clusters, Settings, inputs, nearest, ones, union
from experiments.datasets import Array, Dataset
from experiments.held_out import Epochs
from icon.estimators.initialization import imitate
from icon.nn import Rescale
from icon.nn.mappers import build
from icon.training import PairSampler
from icon.training.fit import fit
from icon.training.state import seeded

WHOLE = 12_000  # points up to which Ward may merge any two clusters
SCALE = 7  # the neighbour whose distance is a point's own scale in self-tuning spectral clustering
GROUP = 15  # points that HDBSCAN takes for a cluster at least
INNER = 10  # steps of TURTLE's classifiers
TURTLE_PLAN: dict[str, Any] = {"steps": 6000, "learning_rate": 1e-3}
TURTLE_BATCH = 10_000
PRCUT_PLAN: dict[str, Any] = {"steps": 3000, "learning_rate": 1e-3}
PRCUT_BATCH, PRCUT_NEIGHBORS = 2048, 100


def umap_k_means(dataset: Dataset, seed: int, settings: Settings, **options: Any) -> Clusters:
    """k-means of a map by umap-learn, with its defaults (15 neighbours, two dimensions) where no options are given.

    Source: McInnes, Healy, Melville 2018 (arXiv 1802.03426).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a neural UMAP that is missing, and of graphs that are not connected
        try:
            from umap import UMAP
        except ImportError:
            raise ImportError("umap: not installed, expected it for UMAP + k-means: pip install umap-learn") from None
        threads = torch.get_num_threads()
        z = UMAP(random_state=seed, n_jobs=1, **options).fit_transform(inputs(dataset, settings.directions))
        torch.set_num_threads(threads)  # which numba changes, and small operations take five times as long
    return Clusters(KMeans(dataset.classes, n_init=10, random_state=seed).fit_predict(z))


def ward(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """Ward's merging of all points, or along the union graph beyond `WHOLE` points, where all pairs are too many.

    Source: Ward 1963, Journal of the American Statistical Association 58.
    """
    graph = None if dataset.n <= WHOLE else union(dataset, settings.neighbors)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the number of connected components")
        found = AgglomerativeClustering(dataset.classes, connectivity=graph).fit(inputs(dataset, settings.directions))
    return Clusters(found.labels_)


def hdbscan(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """Clusters of `GROUP` points and more, as many as it finds; -1 is noise, which `protocol.scores` counts as errors.

    Its documentation asks for the smallest group that is to be a cluster, and begins with 15 in its example.

    Source: Campello, Moulavi, Sander 2013, Density-Based Clustering Based on Hierarchical Density Estimates.
    """
    return Clusters(HDBSCAN(GROUP, copy=True).fit_predict(inputs(dataset, settings.directions)))


def self_tuning(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """Spectral clustering of `self_tuned` affinities by k-means of eigenvectors with rows of unit length.

    Source: Zelnik-Manor, Perona 2004, Self-Tuning Spectral Clustering, with the clusters given and not found; Ng,
    Jordan, Weiss 2001, On Spectral Clustering.
    """
    rows = normalize(eigenvectors(dataset, settings.neighbors, self_tuned)[0])
    return Clusters(cluster_rows(rows, dataset.classes, n_init=10, random_state=seed)[1])


def self_tuned(dataset: Dataset, neighbors: int) -> sp.csr_array:
    """``exp(-d_ij² / (s_i s_j))`` on the union graph ``[n, n]``, s the distance to a point's `SCALE`-th neighbour.

    The paper has no graph; without the smallest affinities the eigenvectors can be had for many points.
    """
    near = sp.csr_array(kneighbors_graph(dataset.x, max(neighbors, SCALE), mode="distance"))
    scale = near.data.reshape(dataset.n, -1)[:, SCALE - 1]
    scale = np.maximum(scale, 1e-9 * (scale.max() or 1.0))  # of points with many copies
    near.data = np.exp(-(near.data**2) / (np.repeat(scale, np.diff(near.indptr)) * scale[near.indices]))
    both = near.maximum(near.T)
    found = ones(both)
    found.data = both.data
    return found


def prcut(dataset: Dataset, seed: int, settings: Settings) -> Clusters:
    """`PRCut` of a linear head on the graph of the 100 nearest neighbours, as in the authors' code.

    There a batch is two sets of 2,048 points and the edges between them, here 2,048 edges, as probable as each other:
    the same in the mean, without the search for the few edges of a block of the graph. And there 25,000 steps of 1e-4
    are taken, here 3,000 of 1e-3, as by the authors' later package (pgcuts).
    """
    x, n = torch.from_numpy(inputs(dataset, settings.directions)), dataset.n
    pairs = PairSampler(icon.p.Graph()(nearest(dataset, min(PRCUT_NEIGHBORS, n - 1))))
    with seeded(seed, x.device):
        head = build("linear", x, dataset.classes)
    loss: Any = PRCut(dataset.classes)
    done = fit(loss, head, x, pairs, batch_size=min(n, PRCUT_BATCH), seed=seed, **PRCUT_PLAN)
    with torch.no_grad():
        return Clusters(head(x).argmax(dim=1).numpy(), final(done.losses))


def turtle(
    dataset: Dataset, seed: int, settings: Settings, first: Array | None = None, views: bool = False
) -> Clusters:
    """`Turtle` as in the authors' code, or from first clusters ``[n]`` with our optimiser, steps and batches.

    The features, or with ``views`` those of each view, are centred and divided by their root mean square: the authors
    take theirs as they are, whose scale is about that, and choose rates by cross-validation, for which ours stay fixed.
    """
    given = dataset.views if views else (inputs(dataset, settings.directions),)
    spaces = [Rescale(space)(space) for space in map(torch.from_numpy, given)]
    x, size = torch.cat(spaces, dim=1), min(dataset.n, TURTLE_BATCH)
    plan = TURTLE_PLAN
    with seeded(seed, x.device):
        encoder = TaskEncoder([space.shape[1] for space in spaces], dataset.classes)
        if first is not None:
            plan, size = {"steps": settings.steps, "learning_rate": 5e-3, "decay": True}, settings.batch_size(dataset)
            for linear, space in zip(encoder.linear, spaces, strict=True):
                imitate(linear, space, first, dataset.classes)
    loss: Any = Turtle(encoder, seed)
    done = fit(loss, encoder, x, Epochs(np.arange(dataset.n)), batch_size=size, seed=seed, **plan)
    with torch.no_grad():
        return Clusters(loss.labelling(encoder(x)).mean(dim=1).argmax(dim=1).numpy(), final(done.losses))


class TaskEncoder(nn.Module):
    """A linear layer with weight normalisation for each of V spaces: their logits ``[b, V k]`` beside the features.

    Args:
        widths: of the spaces, side by side in the input.
        clusters: k.
    """

    def __init__(self, widths: Sequence[int], clusters: int) -> None:
        super().__init__()
        self.widths, self.clusters = list(widths), clusters
        layers = (nn.Linear(width, clusters) for width in widths)
        self.linear = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.linear, torch.split(x, self.widths, dim=1), strict=True)
        return torch.cat([*(linear(part) for linear, part in parts), x], dim=1)


class Turtle(nn.Module):
    """How well linear classifiers learn a labelling, less ten times the entropy of its clusters' sizes.

    The labelling is the mean of the softmax of the `TaskEncoder` over spaces. In each space a classifier begins anew,
    takes `INNER` steps of Adam (1e-3) towards the labelling as it is, and its cross-entropy is then a loss of the
    labelling alone.

    Source: Gadetsky, Jiang, Brbić 2024, Let Go of Your Labels with Unsupervised Transfer, ICML (arXiv 2406.07236).
    """

    def __init__(self, encoder: TaskEncoder, seed: int) -> None:
        super().__init__()
        self.widths, self.clusters = encoder.widths, encoder.clusters
        self.draws = torch.Generator().manual_seed(seed)

    def labelling(self, both: Tensor) -> Tensor:
        """``[b, V, k]`` probabilities in each space."""
        logits = both[:, : len(self.widths) * self.clusters]
        return logits.reshape(len(both), len(self.widths), self.clusters).softmax(dim=2)

    def forward(self, both: Tensor, target: Any = None) -> Tensor:
        phi = self.labelling(both)
        labels, mean = phi.mean(dim=1), phi.mean(dim=0)
        value = 10 * torch.xlogy(mean, mean).sum()
        for space in torch.split(both[:, len(self.widths) * self.clusters :], self.widths, dim=1):
            value = value - (labels * self._learned(space, labels.detach())).sum(dim=1).mean()
        return value

    @torch.no_grad()
    def _learned(self, x: Tensor, labels: Tensor) -> Tensor:
        """``[b, k]`` the classifier's logarithms of probabilities."""
        x = nn.functional.pad(x, (0, 1), value=1.0)
        turned, wanted = x.mT.contiguous(), labels.mT @ x / len(x)
        reach = (x.shape[1] - 1) ** -0.5  # of the first weights, as in `nn.Linear`
        weight = reach * (2 * torch.rand(wanted.shape, generator=self.draws) - 1)
        mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
        for step in range(1, INNER + 1):  # Adam, in a third of the time of torch's
            gradient = (weight @ turned).softmax(dim=0) @ x / len(x) - wanted
            mean, square = mean.lerp(gradient, 0.1), square.lerp(gradient.square(), 0.001)
            size = (square / (1 - 0.999**step)).sqrt() + 1e-8
            weight = weight - 1e-3 * mean / (1 - 0.9**step) / size
        found: Tensor = (x @ weight.mT).log_softmax(dim=1)
        return found
