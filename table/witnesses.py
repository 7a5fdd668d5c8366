"""Third witnesses: well-known packages that implement a method, compared with the engine. Missing ones say so."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import icon
from table.data import Sample
from table.page.schema import Witness

TOLERANCE = 1e-6  # several of them compute in float32 somewhere

Compare = Callable[[Sample], float]


def _relative(mine: float, theirs: float) -> float:
    return abs(mine - theirs) / max(abs(theirs), 1e-300)


def _ce(slug: str, input: Any, target: Any = None, **hyper: Any) -> float:
    return float(icon.method(slug, **hyper).terms(input, target).cross_entropy)


# -- one function per witness: the relative difference on a sample ----------------------------------------------------


def _lightly_ntxent(s: Sample) -> float:
    NTXentLoss = lightly_ntxent()
    a, b = torch.tensor(s.za), torch.tensor(s.zb)
    ids = np.tile(np.arange(s.n), 2)
    theirs = NTXentLoss(temperature=0.1)(a, b).item()
    return _relative(_ce("simclr", torch.cat([a, b]), ids, temperature=0.1), theirs)


def _pml_ntxent(s: Sample) -> float:
    from pytorch_metric_learning.losses import NTXentLoss

    z, ids = torch.tensor(s.pairs), torch.tensor(s.ids)
    return _relative(_ce("simclr", z, ids, temperature=0.1), NTXentLoss(temperature=0.1)(z, ids).item())


def _pml_supcon(s: Sample) -> float:
    from pytorch_metric_learning.losses import SupConLoss

    z, y = torch.tensor(s.z), torch.tensor(s.y)
    return _relative(_ce("supcon", z, y, temperature=0.1), SupConLoss(temperature=0.1)(z, y).item())


def _pml_triplet(s: Sample) -> float:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    z, ids = torch.tensor(s.pairs), torch.tensor(s.ids)
    squared = LpDistance(normalize_embeddings=False, p=2, power=2)
    loss = TripletMarginLoss(margin=0.5, distance=squared, reducer=MeanReducer())
    theirs = loss(z, ids, BatchHardMiner(distance=squared)(z, ids)).item()
    return _relative(icon.method("triplet", margin=0.5)(z, ids).item(), theirs)


def _torch_triplet(s: Sample) -> float:
    z = torch.tensor(s.pairs)
    distances = torch.cdist(z, z) ** 2
    same = torch.tensor(s.ids[:, None] == s.ids)
    positive = z[(same & ~torch.eye(s.n, dtype=torch.bool)).int().argmax(dim=1)]
    negative = z[distances.masked_fill(same, np.inf).argmin(dim=1)]
    squared = torch.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: ((a - b) ** 2).sum(dim=1), margin=0.5
    )
    return _relative(icon.method("triplet", margin=0.5)(z, s.ids).item(), squared(z, positive, negative).item())


def _torch_cross_entropy(s: Sample) -> float:
    z, w = torch.tensor(s.z), torch.tensor(s.prototypes)
    theirs = torch.nn.functional.cross_entropy(z @ w.T, torch.tensor(s.y), label_smoothing=0.1).item()
    return _relative(_ce("cross-entropy", (z, w), s.y, label_smoothing=0.1), theirs)


def _open_clip(s: Sample) -> float:
    # The loss alone: the package's front door imports vision models.
    path = Path(importlib.util.find_spec("open_clip").submodule_search_locations[0]) / "loss.py"  # type: ignore
    spec = importlib.util.spec_from_file_location("open_clip_loss", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    a, b = (torch.nn.functional.normalize(torch.tensor(v), dim=1) for v in (s.za, s.zb))
    theirs = module.ClipLoss()(a, b, torch.tensor(1 / 0.07, dtype=torch.float64)).item()
    return _relative(_ce("clip", (a, b), temperature=0.07), theirs)


def _sklearn_pca(s: Sample) -> float:
    from sklearn.decomposition import PCA

    scores = PCA(2).fit_transform(s.x)
    variance = PCA(2).fit(s.x).explained_variance_.sum() * (s.n - 1) / s.n
    return _relative(icon.method("pca")(torch.tensor(scores)).item(), -2 * variance)


def _sklearn_error_rate(s: Sample) -> float:
    from sklearn.metrics import zero_one_loss

    error = zero_one_loss(s.y, (s.z @ s.prototypes.T).argmax(axis=1))
    leak, classes = 0.05, len(s.prototypes)
    theirs = -(1 - error) * np.log(1 - leak + leak / classes) - error * np.log(leak / classes)
    return _relative(_ce("error-rate", (torch.tensor(s.z), torch.tensor(s.prototypes)), s.y, leak=leak), theirs)


def _sklearn_tsne(s: Sample) -> float:
    from scipy.spatial.distance import squareform
    from sklearn.manifold._t_sne import _kl_divergence

    loss = icon.method("tsne", perplexity=20.0)
    rows = loss.p(s.x).symmetrize()
    joint = (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()
    z = torch.tensor(s.map2, requires_grad=True)
    value = loss(z, rows)
    value.backward()
    theirs, gradient = _kl_divergence(s.map2.ravel(), squareform(joint, checks=False), 1.0, s.n, 2)
    size = np.abs(gradient).max()
    return max(_relative(value.item(), theirs), np.abs(z.grad.numpy().ravel() - gradient).max() / size)  # type: ignore


def _opentsne_perplexity(s: Sample) -> float:
    from openTSNE.affinity import PerplexityBasedNN

    theirs = PerplexityBasedNN(s.x, perplexity=20, method="exact", k_neighbors=s.n - 1).P.toarray()
    rows = icon.p.Gaussian(perplexity=20.0).symmetrize()(s.x)
    mine = (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()
    return float(np.abs(mine - theirs).max() / theirs.max())


def _opentsne_uniform(s: Sample) -> float:
    from openTSNE.affinity import Uniform

    # Where the k-th and next neighbours tie (integer pixels), either choice is right: compare untied data.
    x = s.x + 1e-3 * np.random.default_rng(s.seed).normal(size=s.x.shape)
    theirs = Uniform(x, k_neighbors=10, method="exact", symmetrize="mean").P.toarray()
    rows = icon.p.KNN(10).symmetrize()(x)
    mine = (rows.anchor_marginal[:, None] * rows.to_dense()).numpy()
    return float(np.abs(mine - theirs).max() / theirs.max())


def _sklearn_kmeans(s: Sample) -> float:
    from sklearn.cluster import KMeans

    from table.specifications import kmeans_inertia  # the exact identity, read as an inertia

    fitted = KMeans(10, n_init=1, random_state=s.seed).fit(s.x)
    return _relative(kmeans_inertia(s, fitted.labels_), fitted.inertia_)


WITNESSES: dict[str, tuple[tuple[str, str, Compare], ...]] = {
    "simclr": (
        ("lightly", "lightly", _lightly_ntxent),
        ("pytorch-metric-learning", "pytorch_metric_learning", _pml_ntxent),
    ),
    "clip": (("open_clip_torch", "open_clip", _open_clip),),
    "supcon": (("pytorch-metric-learning", "pytorch_metric_learning", _pml_supcon),),
    "cross-entropy": (("torch", "torch", _torch_cross_entropy),),
    "pca": (("scikit-learn", "sklearn", _sklearn_pca),),
    "triplet": (
        ("torch", "torch", _torch_triplet),
        ("pytorch-metric-learning", "pytorch_metric_learning", _pml_triplet),
    ),
    "error-rate": (("scikit-learn", "sklearn", _sklearn_error_rate),),
    "tsne": (("scikit-learn", "sklearn", _sklearn_tsne), ("openTSNE", "openTSNE", _opentsne_perplexity)),
    "tsne-uniform": (("openTSNE", "openTSNE", _opentsne_uniform),),
    "kmeans": (("scikit-learn", "sklearn", _sklearn_kmeans),),
}


def witness(slug: str, s: Sample) -> list[Witness]:
    """The comparisons of a method with the packages that implement it."""
    return [_compare(package, module, compare, s) for package, module, compare in WITNESSES.get(slug, ())]


def _compare(package: str, module: str, compare: Compare, s: Sample) -> Witness:
    if importlib.util.find_spec(module) is None:
        return {"package": package, "status": "not installed", "measured": None, "tolerance": TOLERANCE}
    measured = float(compare(s))
    status = "agrees" if measured <= TOLERANCE else "differs"
    return {"package": package, "status": status, "measured": measured, "tolerance": TOLERANCE}


def lightly_ntxent() -> Any:
    """lightly's NTXentLoss. The package imports torchvision at the door and this loss never uses it."""
    with _absent_vision():
        from lightly.loss.ntx_ent_loss import NTXentLoss
    return NTXentLoss


@contextmanager
def _absent_vision() -> Iterator[None]:
    """An empty stand-in for torchvision where it is missing, gone again afterwards."""
    names = [f"torchvision{part}" for part in ("", ".transforms", ".transforms.functional", ".models", ".ops")]
    if importlib.util.find_spec("torchvision") is not None:
        names = []
    for name in names:
        module: Any = types.ModuleType(name)
        module.__path__ = []
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__getattr__ = _empty_class
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def _empty_class(attribute: str) -> Any:
    if attribute.startswith("__"):
        raise AttributeError(attribute)
    return type(attribute, (), {})
