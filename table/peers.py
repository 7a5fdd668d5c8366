"""Peer implementations: well-known packages that implement a method, compared with the engine. Missing ones say so."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
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
from table.page.schema import Peer

TOLERANCE = 1e-6  # several of them compute in float32 somewhere

Compare = Callable[[Sample], float]


def _relative(mine: float, theirs: float) -> float:
    return abs(mine - theirs) / max(abs(theirs), 1e-300)


def _ce(slug: str, input: Any, target: Any = None, **hyper: Any) -> float:
    return float(icon.method(slug, **hyper).terms(input, target).cross_entropy)


# -- one function per peer: the relative difference on a sample ----------------------------------------------------


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


def open_clip_loss() -> Any:
    """The class of the loss alone: the package's front door imports vision models."""
    package: Any = importlib.util.find_spec("open_clip")
    path = Path(package.submodule_search_locations[0]) / "loss.py"
    spec = importlib.util.spec_from_file_location("open_clip_loss", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module.ClipLoss


def _open_clip(s: Sample) -> float:
    a, b = (torch.nn.functional.normalize(torch.tensor(v), dim=1) for v in (s.za, s.zb))
    theirs = open_clip_loss()()(a, b, torch.tensor(1 / 0.07, dtype=torch.float64)).item()
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
    (slope,) = torch.autograd.grad(value, z)
    theirs, gradient = _kl_divergence(s.map2.ravel(), squareform(joint, checks=False), 1.0, s.n, 2)
    error = float(np.abs(slope.numpy().ravel() - gradient).max() / np.abs(gradient).max())
    return max(_relative(value.item(), theirs), error)


def _opentsne_perplexity(s: Sample) -> float:
    from openTSNE.affinity import PerplexityBasedNN

    logging.getLogger("openTSNE").setLevel(logging.ERROR)  # it warns that all points are many neighbours
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

    from table.methods.kmeans import kmeans_inertia  # the exact identity, read as an inertia

    fitted = KMeans(10, n_init=1, random_state=s.seed).fit(s.x)
    return _relative(kmeans_inertia(s, fitted.labels_), fitted.inertia_)


# -- variants of the cells ---------------------------------------------------------------------------------------------


def _lightly_loss(module: str, name: str) -> Any:
    with absent_vision():
        return getattr(importlib.import_module(f"lightly.loss.{module}"), name)


def _lightly_byol(s: Sample) -> float:
    a, b = torch.tensor(s.za), torch.tensor(s.zb)
    theirs = _lightly_loss("negative_cosine_similarity", "NegativeCosineSimilarity")()(a, b).item()
    return _relative(_ce("byol", (a, b)), theirs)


def _lightly_decoupled(s: Sample) -> float:
    a, b = torch.tensor(s.za), torch.tensor(s.zb)
    theirs = _lightly_loss("dcl_loss", "DCLLoss")(temperature=0.1)(a, b).item()
    return _relative(_ce("decoupled-contrastive", torch.cat([a, b]), np.tile(np.arange(s.n), 2)), theirs)


def _prototype_scores(s: Sample, *views: Any) -> list[torch.Tensor]:
    return [torch.tensor(view @ s.prototypes.T) for view in views]


def _lightly_dino(s: Sample) -> float:
    """Two views of the teacher, two of the student, each against the other one."""
    DINOLoss = _lightly_loss("dino_loss", "DINOLoss")
    teacher, student = _prototype_scores(s, s.za, s.zb), _prototype_scores(s, s.zc, s.z)
    hyper = {"warmup_teacher_temp": 0.04, "teacher_temp": 0.04, "student_temp": 0.1}
    theirs = DINOLoss(output_dim=10, **hyper).double()(teacher, student, epoch=0).item()
    codes = [icon.nn.Centering(10, temperature=0.04)(t) for t in teacher]
    prototypes = torch.tensor(s.prototypes)
    pairs = ((torch.tensor(s.zc), codes[1]), (torch.tensor(s.z), codes[0]))
    return _relative(float(np.mean([_ce("dino", (z, prototypes), code) for z, code in pairs])), theirs)


def _lightly_swav(s: Sample) -> float:
    """Three rounds of Sinkhorn-Knopp, each view against the codes of the other."""
    a, b, prototypes = (torch.nn.functional.normalize(torch.tensor(v), dim=1) for v in (s.za, s.zb, s.prototypes))
    scores = [view @ prototypes.T for view in (a, b)]
    theirs = _lightly_loss("swav_loss", "SwaVLoss")(temperature=0.1)(scores, []).item()
    code_a, code_b = (icon.sinkhorn(score, 0.05, 3, tolerance=None) for score in scores)
    return _relative(_ce("swav", (torch.cat([a, b]), prototypes), torch.cat([code_b, code_a])), theirs)


def _pot_sinkhorn(s: Sample) -> float:
    """Codes with unequal marginals on both sides, ε = 0.01, against POT's plan."""
    import ot

    scores = np.tanh(s.z @ s.prototypes.T)
    rows, columns = s.soft_labels[:, 0] + 0.5, np.arange(1.0, 11.0)
    rows, columns = rows / rows.sum(), columns / columns.sum()
    plan = ot.sinkhorn(rows, columns, -scores, 0.01, method="sinkhorn_log", stopThr=1e-10, numItermax=100_000)
    codes = icon.sinkhorn(scores, 0.01, 50_000, row_weights=rows, column_weights=columns, tolerance=1e-10)
    return float(np.abs(rows[:, None] * codes.numpy() - plan).max() / plan.max())


def _torch_weighted(s: Sample) -> float:
    z, w, weight = torch.tensor(s.z), torch.tensor(s.prototypes), torch.linspace(0.5, 5, 10, dtype=torch.float64)
    theirs = torch.nn.functional.cross_entropy(z @ w.T, torch.tensor(s.y), weight=weight).item()
    return _relative(_ce("weighted-cross-entropy", (z, w), s.y, class_weights=weight), theirs)


def _torch_masked_lm(s: Sample) -> float:
    hidden, embeddings, masked = torch.tensor(s.hidden), torch.tensor(s.prototypes), torch.tensor(s.masked)
    labels = torch.tensor(s.tokens).masked_fill(~masked, -100)
    theirs = torch.nn.functional.cross_entropy((hidden @ embeddings.T).flatten(0, 1), labels.flatten()).item()
    return _relative(_ce("masked-lm", (hidden[masked], embeddings), s.tokens[s.masked]), theirs)


def _torch_next_token(s: Sample) -> float:
    hidden, embeddings, tokens = torch.tensor(s.hidden), torch.tensor(s.prototypes), torch.tensor(s.tokens)
    logits = (hidden @ embeddings.T).transpose(1, 2)
    theirs = torch.nn.functional.cross_entropy(logits[:, :, :-1], tokens[:, 1:]).item()
    return _relative(_ce("next-token", (hidden[:, :-1].flatten(0, 1), embeddings), tokens[:, 1:].flatten()), theirs)


PEERS: dict[str, tuple[tuple[str, str, Compare], ...]] = {
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
    "byol": (("lightly", "lightly", _lightly_byol),),
    "decoupled-contrastive": (("lightly", "lightly", _lightly_decoupled),),
    "dino": (("lightly", "lightly", _lightly_dino),),
    "swav": (("lightly", "lightly", _lightly_swav), ("POT", "ot", _pot_sinkhorn)),
    "weighted-cross-entropy": (("torch", "torch", _torch_weighted),),
    "masked-lm": (("torch", "torch", _torch_masked_lm),),
    "next-token": (("torch", "torch", _torch_next_token),),
}


def compared(slug: str, s: Sample) -> list[Peer]:
    """The comparisons of a method with the packages that implement it."""
    return [_compare(package, module, compare, s) for package, module, compare in PEERS.get(slug, ())]


def _compare(package: str, module: str, compare: Compare, s: Sample) -> Peer:
    if importlib.util.find_spec(module) is None:
        return {"package": package, "status": "not installed", "measured": None, "tolerance": TOLERANCE}
    measured = float(compare(s))
    return {
        "package": package,
        "status": "agrees" if measured <= TOLERANCE else "differs",
        "measured": measured,
        "tolerance": TOLERANCE,
    }


def lightly_ntxent() -> Any:
    """lightly's NTXentLoss. The package imports torchvision at the door and this loss never uses it."""
    return _lightly_loss("ntx_ent_loss", "NTXentLoss")


@contextmanager
def absent_vision() -> Iterator[None]:
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
