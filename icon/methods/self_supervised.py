"""Self-supervised learning from views of an instance, from neighbours, and from prototypes."""

from __future__ import annotations

from torch import Tensor

from icon import _checks as check
from icon import p, q
from icon.core.loss import Loss
from icon.methods.registry import register_method as method

FAMILY = "unimodal-ssl"
CE = "exact: cross-entropy = reference"
PAIRS = ("gaussian", "pairs")
SECOND_ORDER = "Gaussian, σ → ∞ (second order) × Positive pairs"


@method("x-sample", "X-Sample CL", cell=("gaussian", "gaussian"), family=FAMILY, cite="sobal2025xsample", relation=CE)
def x_sample(temperature: float = 0.1, target_temperature: float = 0.1) -> Loss:
    return Loss(p.Gaussian(metric="cosine", temperature=target_temperature), q.Gaussian(temperature=temperature))


@method("lgsimclr", "LGSimCLR", cell=("gaussian", "knn"), family=FAMILY, cite="elbanani2023lgsimclr", relation=CE)
def lgsimclr(n_neighbors: int = 1, temperature: float = 0.1) -> Loss:
    return Loss(p.KNN(n_neighbors), q.Gaussian(temperature=temperature))


@method("infonce", "InfoNCE", cell=PAIRS, family=FAMILY, cite="oord2018cpc", relation=CE)
def infonce(temperature: float = 0.1, learnable: bool = False) -> Loss:
    return Loss(p.Pairs(), q.Gaussian(temperature=temperature, learnable=learnable))


@method("simclr", "SimCLR", cell=PAIRS, family=FAMILY, cite="chen2020simclr", relation=CE)
def simclr(temperature: float = 0.1, learnable: bool = False) -> Loss:
    return Loss(p.Pairs(join=True), q.Gaussian(temperature=temperature, learnable=learnable))


@method("mocov3", "MoCo v3", cell=PAIRS, family=FAMILY, cite="chen2021mocov3",
       relation="exact: cross-entropy = reference / 2τ")  # fmt: skip
def mocov3(temperature: float = 0.2) -> Loss:
    return Loss(p.Pairs(), q.Gaussian(temperature=temperature, detach_candidates=True))


@method("vi-reg", "VI-Reg", cell=("gaussian-wide", "pairs"), family=FAMILY, cite="bardes2022vicreg",
       relation="exact: limit = reference; order 2 in 1/σ")  # fmt: skip
def vi_reg() -> Loss:
    return Loss(p.Pairs(exclude_self=False), q.Gaussian("sqeuclidean", partition="mean"))


@method("triplet", "Triplet Loss", cell=("gaussian-narrow", "pairs"), family=FAMILY, cite="schroff2015facenet",
       relation="exact: limit = reference")  # fmt: skip
def triplet(margin: float = 0.2) -> Loss:
    return Loss(p.Pairs(), q.Gaussian("sqeuclidean", partition="max", margin=margin))


@method("t-simcne", "t-SimCNE", cell=("student-t", "pairs"), family=FAMILY, cite="bohm2023tsimcne", relation=CE)
def t_simcne() -> Loss:
    return Loss(p.Pairs(join=True), q.StudentT())


@method("t-simclr", "t-SimCLR", cell=("student-t", "pairs"), family=FAMILY, cite="hu2023tsimclr",
       relation="exact: cross-entropy = reference, joint normalisation and row by row")  # fmt: skip
def t_simclr(dof: float = 5.0, scale: float = 1.0) -> Loss:
    return Loss(p.Pairs(join=True), q.StudentT(dof, scale=scale), normalization="joint")


@method("barlow-twins", "Barlow Twins", cell=("gaussian-wide", "pairs"), family=FAMILY, cite="zbontar2021barlow",
       relation="exact: second-order form; minimiser shared (C = I) for a temperature >= 1",
       variant=SECOND_ORDER)  # fmt: skip
def barlow_twins(temperature: float = 1.0) -> Loss:
    if check.positive(temperature, "temperature") < 1:
        raise ValueError(
            f"temperature: got {temperature:g}, expected a number >= 1: below it the minimum is C = τ I, and not C = I"
        )
    score = q.Gaussian("dot", temperature=temperature, partition="second-order", preprocess="standardize")
    return Loss(p.Pairs(exclude_self=False), score)


@method("spectral-contrastive", "Spectral Contrastive", cell=("gaussian-wide", "pairs"), family=FAMILY,
       cite="haochen2021spectral",
       relation="exact: limit = reference / 2 on centred features; unbiased=True: reference / 2 as it is",
       variant=SECOND_ORDER, sets=("partition", "preprocess"))  # fmt: skip
def spectral_contrastive(temperature: float = 1.0, unbiased: bool = False) -> Loss:
    partition, preprocess = ("second-moment", "none") if unbiased else ("second-order", "center")
    score = q.Gaussian("dot", temperature=temperature, partition=partition, preprocess=preprocess)
    return Loss(p.Pairs(exclude_self=False), score)


@method("byol", "BYOL", cell=PAIRS, family=FAMILY, cite="grill2020byol",
       relation="exact: cross-entropy = reference / 2 - 1",
       variant="Gaussian (constant partition) × Positive pairs")  # fmt: skip
def byol(temperature: float = 1.0) -> Loss:
    return Loss(p.Pairs(), q.Gaussian(temperature=temperature, partition="constant", detach_candidates=True))


@method("debiased-contrastive", "Debiased Contrastive", cell=PAIRS, family=FAMILY, cite="chuang2020debiased",
       relation=CE, variant="Gaussian (debiased partition) × Positive pairs")  # fmt: skip
def debiased_contrastive(temperature: float = 0.5, tau_plus: float = 0.1) -> Loss:
    return Loss(p.Pairs(join=True), q.Gaussian(temperature=temperature, partition="debiased", tau_plus=tau_plus))


@method("hard-negatives", "Hard-Negative Contrastive", cell=PAIRS, family=FAMILY, cite="robinson2021hard", relation=CE,
       variant="Gaussian (debiased partition, weighted negatives) × Positive pairs")  # fmt: skip
def hard_negatives(temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0) -> Loss:
    return Loss(
        p.Pairs(join=True), q.Gaussian(temperature=temperature, partition="debiased", tau_plus=tau_plus, beta=beta)
    )


@method("decoupled-contrastive", "Decoupled Contrastive", cell=PAIRS, family=FAMILY, cite="yeh2022decoupled",
       relation=CE, variant="Gaussian (decoupled partition) × Positive pairs")  # fmt: skip
def decoupled_contrastive(temperature: float = 0.1) -> Loss:
    return Loss(p.Pairs(join=True), q.Gaussian(temperature=temperature, partition="decoupled"))


@method("swav", "SwAV", cell=("gaussian", "data-label"), family=FAMILY, cite="caron2020swav", relation=CE,
       variant="Gaussian × Data-label pairs, balanced codes")  # fmt: skip
def swav(temperature: float = 0.1) -> Loss:
    return Loss(p.DataLabel(), q.Gaussian(temperature=temperature))


@method("dino", "DINO", cell=("gaussian", "data-label"), family=FAMILY, cite="caron2021dino", relation=CE,
       variant="Gaussian × Data-label pairs, teacher's codes")  # fmt: skip
def dino(temperature: float = 0.1) -> Loss:
    return Loss(p.DataLabel(), q.Gaussian("dot", temperature=temperature))


@method("multi-crop", "Multi-Crop", cell=("gaussian", "data-label"), family=FAMILY, cite="caron2020swav", relation=CE,
       variant="Gaussian × Data-label pairs, codes of the global views")  # fmt: skip
def multi_crop(temperature: float = 0.1) -> Loss:
    return Loss(p.DataLabel(), q.Gaussian(temperature=temperature))


@method("pcl", "PCL", cell=("gaussian", "data-label"), family=FAMILY, cite="li2021pcl",
       relation="exact: InfoNCE + mean cross-entropy over the clusterings = reference (ProtoNCE)",
       variant="Gaussian (a concentration per prototype) × Data-label pairs, clusters")  # fmt: skip
def pcl(temperature: float | Tensor = 0.1) -> Loss:
    return Loss(p.DataLabel(), q.Gaussian(temperature=temperature))


@method("masked-lm", "Masked Language Modelling", cell=("gaussian", "data-label"), family=FAMILY, cite="devlin2019bert",
       relation=CE, variant="Gaussian × Data-label pairs, tokens as prototypes")  # fmt: skip
def masked_lm(temperature: float = 1.0) -> Loss:
    return Loss(p.DataLabel(), q.Gaussian("dot", temperature=temperature))


@method("next-token", "Next-Token Prediction", cell=("gaussian", "data-label"), family=FAMILY,
       cite="bengio2003neural", relation=CE,
       variant="Gaussian × Data-label pairs, tokens as prototypes")  # fmt: skip
def next_token(temperature: float = 1.0) -> Loss:
    return Loss(p.DataLabel(), q.Gaussian("dot", temperature=temperature))
