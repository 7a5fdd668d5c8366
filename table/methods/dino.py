"""DINO: self-distillation with centring and sharpening.

Caron, Touvron, Misra, Jégou, Mairal, Bojanowski and Joulin, "Emerging Properties in Self-Supervised Vision
Transformers", ICCV 2021, arXiv:2104.14294.

    L = −(1/n) Σ_i Σ_k P_t(i, k) log P_s(i, k),   P_t = softmax((g_t − c)/τ_t),   P_s = softmax(z·w/τ_s)
    c ← m c + (1 − m) mean_i g_t(i)

The teacher's codes are constants: no gradient reaches them. (The centre is subtracted, as in the paper's algorithm;
its loss adds up ordered pairs of different views.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import icon
from table.checks import Exact
from table.data import Sample
from table.methods._checks import ce
from table.methods._math import Array, Scalar, cross_entropies, log_softmax, softmax, unit
from table.peers import Package, lightly_loss, ours, relative


def teacher_codes(logits: Array, center: Array, temperature: float) -> Array:
    return softmax((logits - center) / temperature)


def moved_center(center: Array, logits: Array, momentum: float) -> Array:
    moved: Array = momentum * center + (1 - momentum) * logits.mean(axis=0)
    return moved


def value(z: Array, prototypes: Array, codes: Array, temperature: float) -> Scalar:
    return cross_entropies(codes, log_softmax(z @ prototypes.T / temperature)).mean()


def gradient(z: Array, prototypes: Array, codes: Array, temperature: float) -> tuple[Array, Array]:
    slope = (softmax(z @ prototypes.T / temperature) - codes) / (len(z) * temperature)
    return slope @ prototypes, slope.T @ z


# -- how the loss is checked against it --------------------------------------------------------------------------------

FORMULA = (
    r"-\frac{1}{n}\sum_i \sum_c t_{ic} \log p_{ic},\quad t_i = \operatorname{softmax}\left(\frac{g_i - "
    r"c}{\tau_t}\right)"
)


def _dino_codes(s: Sample) -> torch.Tensor:
    """The second batch's codes, after the first has moved the centre."""
    centering = icon.nn.Centering(10, temperature=0.4, momentum=0.9)
    centering(torch.tensor(s.za @ s.prototypes.T))
    codes: torch.Tensor = centering(torch.tensor(s.zb @ s.prototypes.T))
    return codes


def _dino_reference_codes(s: Sample) -> Any:
    center = moved_center(np.zeros(10), s.za @ s.prototypes.T, 0.9)
    return teacher_codes(s.zb @ s.prototypes.T, center, 0.4)


def program(students: Array, teachers: Array, center: Array, student: float = 0.1, teacher: float = 0.04) -> Scalar:
    """What the program returns of two crops, from logits ``[2, n, K]``: each crop against the teacher's other one."""
    targets = softmax((teachers - center) / teacher)
    log_p = log_softmax(students / student)
    return -((targets[0] * log_p[1]).sum(axis=1).mean() + (targets[1] * log_p[0]).sum(axis=1).mean()) / 2


def _crops(a: Array, b: Array, prototypes: Array) -> Array:
    """``[2, n, K]`` the logits of the head: its features and its prototypes are of unit length."""
    return np.stack([unit(a), unit(b)]) @ unit(prototypes).T


def _seen(s: Sample) -> tuple[Any, Any]:
    """The teacher's logits ``[2, n, K]`` of a first call, which moves the centre, and of a second."""
    return _crops(s.z, s.pairs, s.prototypes), _crops(s.z, s.zc, s.prototypes)


def _published(s: Sample, a: torch.Tensor, b: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    centering = icon.nn.Centering(10, temperature=0.04, momentum=0.9).double()
    earlier, now = (torch.tensor(logits).flatten(0, 1) for logits in _seen(s))
    centering(earlier)
    of_a, of_b = centering(now).chunk(2)
    loss = icon.method("dino", settings="authors", temperature=0.1)
    return loss.published((torch.cat([a, b]), prototypes), torch.cat([of_b, of_a]))


CHECKS = [
    Exact(
        ("z", "prototypes"),
        lambda s, z, w: ce(icon.method("dino", temperature=0.5), (z, w), _dino_codes(s)),
        lambda s, z, w: value(z, w, _dino_reference_codes(s), 0.5),
        lambda s, z, w: gradient(z, w, _dino_reference_codes(s), 0.5),
        form="cross-entropy, codes centred and sharpened",
    )
]

PROGRAM = Exact(
    ("za", "zb", "prototypes"),
    _published,
    lambda s, a, b, w: program(
        _crops(a, b, w), _seen(s)[1], moved_center(np.zeros(10), _seen(s)[0].reshape(-1, 10), 0.9)
    ),
    form="cosine head, codes of the centred teacher",
)


# -- the packages that implement it ------------------------------------------------------------------------------------


def _prototype_scores(s: Sample, *views: Any) -> list[torch.Tensor]:
    return [torch.tensor(view @ s.prototypes.T) for view in views]


def _lightly(s: Sample) -> float:
    """Two views of the teacher, two of the student, each against the other one."""
    DINOLoss = lightly_loss("dino_loss", "DINOLoss")
    teacher, student = _prototype_scores(s, s.za, s.zb), _prototype_scores(s, s.zc, s.z)
    hyper = {"warmup_teacher_temp": 0.04, "teacher_temp": 0.04, "student_temp": 0.1}
    theirs = DINOLoss(output_dim=10, **hyper).double()(teacher, student, epoch=0).item()
    codes = [icon.nn.Centering(10, temperature=0.04)(t) for t in teacher]
    prototypes = torch.tensor(s.prototypes)
    pairs = ((torch.tensor(s.zc), codes[1]), (torch.tensor(s.z), codes[0]))
    return relative(float(np.mean([ours("dino", (z, prototypes), code) for z, code in pairs])), theirs)


PEERS = (Package("lightly", "lightly", _lightly),)
