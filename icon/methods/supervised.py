"""Supervised learning: members of a class, and prototypes of the classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from icon import _checks as check
from icon import p, q
from icon.core.loss import Loss
from icon.methods.record import Citation
from icon.methods.registry import register_method as method

FAMILY = "supervised"
CE = "exact: cross-entropy = reference"
PROTOTYPES = ("gaussian", "data-label")


@method("supcon", "SupCon", cell=("gaussian", "classes"), family=FAMILY, cite="khosla2020supcon", relation=CE)
def supcon(temperature: float = 0.1, learnable: bool = False) -> Loss:
    return Loss(p.Classes(join=True), q.Gaussian(temperature=temperature, learnable=learnable))


@method("average-margin-supcon", "Average Margin SupCon", cell=("gaussian-wide", "classes"), family="gap",
       relation="exact: limit = definition; order 1 in 1/τ")  # fmt: skip
def average_margin_supcon() -> Loss:
    return Loss(p.Classes(), q.Gaussian("cosine", partition="mean"))


@method("triplet-supcon", "Triplet SupCon", cell=("gaussian-narrow", "classes"), family="gap",
       relation="exact: limit = definition")  # fmt: skip
def triplet_supcon(margin: float = 0.2) -> Loss:
    return Loss(p.Classes(), q.Gaussian("cosine", partition="max", margin=margin))


@method("t-supcon", "t-SupCon", cell=("student-t", "classes"), family="gap", relation="exact: KL = reference")
def t_supcon(dof: float = 1.0) -> Loss:
    return Loss(p.Classes(join=True), q.StudentT(dof))


@method("cross-entropy", "Cross-Entropy", cell=PROTOTYPES, family=FAMILY, cite="good1963maximum", relation=CE,
       sets=("debias",))  # fmt: skip
def cross_entropy(temperature: float = 1.0, label_smoothing: float = 0.0) -> Loss:
    return Loss(p.DataLabel().debias(label_smoothing), q.Gaussian("dot", temperature=temperature))


@method("error-rate", "Error Rate", cell=("gaussian-narrow", "data-label"), family="gap",
       relation="exact: cross-entropy = -(1-e) log(1-λ+λ/C) - e log(λ/C) for error rate e")  # fmt: skip
def error_rate(leak: float = 0.01) -> Loss:
    return Loss(p.DataLabel(), q.Argmax(leak))


@method("harmonic", "Harmonic Loss", cell=("student-t", "data-label"), family=FAMILY, cite="baek2025harmonic",
       relation=f"{CE} (scale 0); order 2 in the scale")  # fmt: skip
def harmonic(exponent: float = 2.0) -> Loss:
    return Loss(p.DataLabel(), q.StudentT(exponent=exponent / 2, scale=0.0))


@method("n-pair", "N-pair", cell=("gaussian", "pairs"), family=FAMILY, cite="sohn2016npair", relation=CE,
       variant="Gaussian (dot score) × Positive pairs")  # fmt: skip
def n_pair(temperature: float = 1.0) -> Loss:
    return Loss(p.Pairs(), q.Gaussian("dot", temperature=temperature))


@method("soft-supcon", "Soft SupCon", cell=("gaussian", "classes"), family=FAMILY, cite="kim2022genscl",
       relation=f"{CE}; one-hot labels give SupCon", variant="Gaussian × Classes, soft labels")  # fmt: skip
def soft_supcon(temperature: float = 0.1) -> Loss:
    return Loss(p.Classes(overlap="product"), q.Gaussian(temperature=temperature))


@method("multi-label-supcon", "Multi-Label SupCon", cell=("gaussian", "classes"), family=FAMILY,
       cite="lin2023effective", relation=CE, variant="Gaussian × Classes, label sets")  # fmt: skip
def multi_label_supcon(temperature: float = 0.1) -> Loss:
    return Loss(p.Classes(overlap="jaccard"), q.Gaussian(temperature=temperature))


@method("cosface", "CosFace", cell=PROTOTYPES, family=FAMILY, relation=CE,
       cite=Citation("wang2018cosface", "Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu", 2018,
                     "CosFace: Large Margin Cosine Loss for Deep Face Recognition", "CVPR", arxiv="1801.09414"),
       variant="Gaussian (cosine score with a margin) × Data-label pairs", sets=("temperature",))  # fmt: skip
def cosface(scale: float = 64.0, margin: float = 0.35) -> Loss:
    temperature = 1 / check.positive(scale, "scale")
    return Loss(p.DataLabel(), q.Gaussian("cosine", temperature=temperature, margin=scale * margin))


@method("weighted-cross-entropy", "Weighted Cross-Entropy", cell=PROTOTYPES, family=FAMILY, cite="king2001logistic",
       relation=CE, variant="Gaussian × Data-label pairs, anchors weighted by class", sets=("debias",))  # fmt: skip
def weighted_cross_entropy(class_weights: Any = None, temperature: float = 1.0, label_smoothing: float = 0.0) -> Loss:
    weighted = p.DataLabel(class_weights=class_weights).debias(label_smoothing)
    return Loss(weighted, q.Gaussian("dot", temperature=temperature))


@method("balanced-softmax", "Balanced Softmax", cell=PROTOTYPES, family=FAMILY, cite="ren2020balanced", relation=CE,
       variant="Gaussian (candidate log-weights) × Data-label pairs", sets=("log_weights",))  # fmt: skip
def balanced_softmax(class_counts: Any = None, temperature: float = 1.0) -> Loss:
    weights = _log_counts(class_counts, "class_counts")
    return Loss(p.DataLabel(), q.Gaussian("dot", temperature=temperature, log_weights=weights))


@method("sampled-softmax", "Sampled Softmax", cell=PROTOTYPES, family=FAMILY, cite="bengio2008adaptive", relation=CE,
       variant="Gaussian (candidate log-weights) × Data-label pairs, sampled prototypes",
       sets=("log_weights",))  # fmt: skip
def sampled_softmax(expected_counts: Any = None, temperature: float = 1.0) -> Loss:
    counts = _log_counts(expected_counts, "expected_counts")
    weights = None if counts is None else -counts
    return Loss(p.DataLabel(), q.Gaussian("dot", temperature=temperature, log_weights=weights))


def _log_counts(value: Any, name: str) -> Tensor | None:
    """Logarithms of counts > 0, one per candidate."""
    if value is None:
        return None
    counts = check.as_tensor(value, name).double()
    if counts.ndim != 1 or not bool((torch.isfinite(counts) & (counts > 0)).all()):
        fault = f"shape {tuple(counts.shape)}" if counts.ndim != 1 else "entries that are not finite and > 0"
        raise ValueError(f"{name}: got {fault}, expected a number > 0 per candidate (m,)")
    return counts.log()
