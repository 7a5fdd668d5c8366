"""Multimodal learning: two or more views of an item, each in a modality of its own."""

from __future__ import annotations

from icon import p, q
from icon.core.loss import Loss
from icon.methods.registry import register_method as method

FAMILY = "multimodal-ssl"


@method("clip", "CLIP", cell=("gaussian", "cross-modal"), family=FAMILY, cite="radford2021clip",
       relation="exact: cross-entropy = reference")  # fmt: skip
def clip(temperature: float = 0.07, learnable: bool = False) -> Loss:
    return Loss(p.CrossModal(), q.Gaussian(temperature=temperature, learnable=learnable))


@method("cmc", "CMC", cell=("gaussian", "cross-modal"), family=FAMILY, cite="tian2020cmc",
       relation="exact: cross-entropy = reference / number of ordered view pairs")  # fmt: skip
def cmc(temperature: float = 0.07, graph: str = "core") -> Loss:
    return Loss(p.CrossModal(graph=graph), q.Gaussian(temperature=temperature))


@method("average-margin-clip", "Average Margin CLIP", cell=("gaussian-wide", "cross-modal"), family="gap",
       relation="exact: limit = definition; order 1 in 1/τ")  # fmt: skip
def average_margin_clip() -> Loss:
    return Loss(p.CrossModal(), q.Gaussian("cosine", partition="mean"))


@method("triplet-clip", "Triplet CLIP", cell=("gaussian-narrow", "cross-modal"), family="gap",
       relation="exact: limit = definition")  # fmt: skip
def triplet_clip(margin: float = 0.2) -> Loss:
    return Loss(p.CrossModal(), q.Gaussian("cosine", partition="max", margin=margin))


@method("t-clip", "t-CLIP", cell=("student-t", "cross-modal"), family="gap", relation="exact: KL = reference")
def t_clip(dof: float = 1.0) -> Loss:
    return Loss(p.CrossModal(), q.StudentT(dof))
