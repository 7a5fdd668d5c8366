"""Study: debiased contrastive learning against debiased mixing, on batches of the digits."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

import icon
from table.data import Array, Sample, sample
from table.methods import debiased_contrastive
from table.page.schema import Study
from table.page.view import number

POINTS, SEEDS = 256, range(5)
TEMPERATURES = (0.5, 0.1)  # the paper's, and the one of SimCLR, where the clamp is active almost everywhere
ALPHAS = tuple(k / 10 for k in range(10))
ROUNDING = 1e-9  # sums that are one to this are one
ESTIMATE, MIXING, THIRD = "#d55e00", "#0072b2", "#00684b"  # told apart by the colour-blind too

QUESTION = (
    "Two ways to allow for negatives that are positives in truth. Debiased contrastive learning (Chuang et al. 2020) "
    "corrects the sum over the negatives by the share τ⁺ of positives among them and clamps the estimate from below. "
    "Debiased mixing moves a share α of p to the uniform distribution and leaves q alone. Which of them compares "
    "distributions, how do the losses differ, and do they pull the points the same way? The same share for both, "
    f"α = τ⁺, on {len(SEEDS)} batches of {POINTS} points: two views each of {POINTS // 2} digits."
)
CAPTION = (
    "Left: what the weights of an anchor sum to, mean over anchors and batches; the band reaches from the least to the "
    "largest. Middle: values of the losses, mean over batches. Right: share of anchors whose estimate is clamped, and "
    "the cosine between the gradients of the two losses in the embedding. A clamped anchor is not pushed by its "
    "negatives: the clamp has no gradient."
)
HEAD = [
    "Temperature",
    "α = τ⁺",
    "Debiased contrastive: sum of the weights, mean",
    "least",
    "largest",
    "Anchors clamped",
    "Loss",
    "Debiased mixing: sums of p̃ and q off 1 by at most",
    "Cross-entropy",
    "KL",
    "Cosine of the gradients",
]


@dataclass(frozen=True)
class Run:
    """Both losses on one batch.

    ``sums [n]`` of the weights of debiased contrastive learning, ``clamped [n]`` its anchors at the clamp, ``loss`` its
    value; ``p_sums``, ``q_sums [n]``, ``cross_entropy`` and ``kl`` of debiased mixing; ``cosine`` of the gradients.
    """

    sums: Array
    clamped: Array
    loss: float
    p_sums: Array
    q_sums: Array
    cross_entropy: float
    kl: float
    cosine: float

    @property
    def off_one(self) -> float:
        """How far the sums of debiased mixing are from one."""
        return float(np.abs(np.concatenate([self.p_sums, self.q_sums]) - 1).max())


@dataclass(frozen=True)
class Setting:
    """The runs of one temperature and one share, a run for each batch."""

    temperature: float
    alpha: float
    runs: list[Run]

    def each(self, name: str) -> Array:
        """A quantity of every batch ``[batches, ...]``."""
        return np.array([getattr(run, name) for run in self.runs])

    def mean(self, name: str) -> float:
        return float(self.each(name).mean())


def study() -> Study:
    """Measure, and say what was found."""
    batches = [sample(seed, POINTS) for seed in SEEDS]
    with _one_thread():
        settings = [Setting(t, a, [run(s, t, a) for s in batches]) for t in TEMPERATURES for a in ALPHAS]
    share = float(np.mean([share_of_false_negatives(s) for s in batches]))
    return {
        "slug": "debiased-contrastive-and-mixing",
        "title": "Debiased contrastive learning against debiased mixing",
        "question": QUESTION,
        "findings": findings(settings, share),
        "head": HEAD,
        "body": [_line(setting) for setting in settings],
        "figures": [draw(settings)],
        "caption": CAPTION,
        "source": "python -m table",
    }


# -- measuring --------------------------------------------------------------------------------------------------------


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tiles this small are no work to share; on a busy machine, threads that wait for each other take far longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share_of_false_negatives(s: Sample) -> float:
    """How many of the negatives show the anchor's own digit: what τ⁺ estimates."""
    digits = s.y[s.ids]  # pairs are views of the first half of the points
    negative = s.ids[:, None] != s.ids
    return float((digits[:, None] == digits)[negative].mean())


def estimate(temperature: float, tau_plus: float) -> icon.Loss:
    """Debiased contrastive learning in the engine."""
    return icon.loss("gaussian", "pairs", temperature=temperature, partition="debiased", tau_plus=tau_plus)


def mixing(temperature: float, alpha: float) -> icon.Loss:
    """Debiased mixing in the engine."""
    return icon.loss("gaussian", "pairs", temperature=temperature, debias=alpha)


def run(s: Sample, temperature: float, alpha: float) -> Run:
    """Measure both losses on a batch."""
    z = torch.tensor(s.pairs, requires_grad=True)
    contrastive, mixed = estimate(temperature, alpha), mixing(temperature, alpha)
    loss, terms = contrastive(z, s.ids), mixed.terms(z, s.ids)
    one, other = (torch.autograd.grad(value, z)[0].flatten() for value in (loss, terms.kl))
    return Run(
        sums=debiased_contrastive.implied_weights(s.pairs, s.ids, temperature, alpha).sum(axis=1),
        clamped=debiased_contrastive.clamped(s.pairs, s.ids, temperature, alpha),
        loss=loss.item(),
        p_sums=mixed.p(s.ids).to_dense().sum(dim=1).numpy(),
        q_sums=engine_weights(mixed, s).sum(axis=1),
        cross_entropy=terms.cross_entropy.item(),
        kl=terms.kl.item(),
        cosine=torch.cosine_similarity(one, other, dim=0).item(),
    )


def engine_weights(loss: icon.Loss, s: Sample) -> Array:
    """``exp(s_ij - A_i)`` ``[n, n]`` from the engine's scores and partition; 0 on the diagonal."""
    with torch.no_grad():
        z = torch.tensor(s.pairs)
        (problem,) = loss.problems(z, s.ids)
        scores = problem.scores(problem.anchors, 0)
        weights = (scores - problem.partition(scores, 0)[:, None]).exp().fill_diagonal_(0)
    found: Array = weights.numpy()
    return found


# -- saying -----------------------------------------------------------------------------------------------------------


def findings(settings: list[Setting], share: float) -> list[str]:
    """What the numbers say, a sentence or two for each question; ``share`` of the negatives are false ones."""
    return [
        f"In these batches {share:.1%} of an anchor's negatives show its own digit: the true τ⁺ is {share:.2f}.",
        _which_is_a_distribution(settings),
        *(_losses(_of(settings, t), t) for t in TEMPERATURES),
        *(_clamp(_of(settings, t), t) for t in TEMPERATURES),
        *(_directions(_of(settings, t), t) for t in TEMPERATURES),
    ]


def _of(settings: list[Setting], temperature: float) -> list[Setting]:
    return [setting for setting in settings if setting.temperature == temperature]


def _which_is_a_distribution(settings: list[Setting]) -> str:
    sums = np.concatenate([s.each("sums").ravel() for s in settings if s.alpha > 0])
    off = max(float(s.each("off_one").max()) for s in settings)
    contrastive, mixed = (_is(worst <= ROUNDING) for worst in (float(np.abs(sums - 1).max()), off))
    return (
        f"Debiased mixing {mixed} a distribution at every α: its p̃ and its q sum to one for every anchor, to within "
        f"{number(off)}. What debiased contrastive learning puts in the place of q {contrastive} one: at τ⁺ > 0 the "
        f"weights of an anchor sum to numbers between {number(float(sums.min()))} and "
        f"{number(float(sums.max()))}."
    )


def _is(it: bool) -> str:
    return "is" if it else "is not"


def _losses(settings: list[Setting], temperature: float) -> str:
    def course(name: str) -> str:
        values = [setting.mean(name) for setting in settings]
        least = int(np.argmin(values))
        first, low, last = (f"{values[k]:.2f}" for k in (0, least, -1))
        dip = "" if low in (first, last) else f" (least, {low}, at {settings[least].alpha})"
        return f"from {first} to {last}{dip}"

    return (
        f"At temperature {temperature}, as α = τ⁺ goes from 0 to {settings[-1].alpha}, the debiased "
        f"contrastive loss goes {course('loss')}; the cross-entropy of debiased mixing goes {course('cross_entropy')}, "
        f"its KL {course('kl')}."
    )


def _clamp(settings: list[Setting], temperature: float) -> str:
    shares = {setting.alpha: setting.mean("clamped") for setting in settings}
    some = [alpha for alpha, share in shares.items() if share > 0]
    most = [alpha for alpha, share in shares.items() if share > 0.5]
    if not some:
        return f"At temperature {temperature} the clamp is never active."
    half = f", of more than half of them from τ⁺ = {most[0]} on" if most and most[0] != some[0] else ""
    return (
        f"At temperature {temperature} the clamp is active from τ⁺ = {some[0]} on ({shares[some[0]]:.0%} of the "
        f"anchors){half}; at τ⁺ = {settings[-1].alpha}, of {shares[settings[-1].alpha]:.1%}."
    )


def _directions(settings: list[Setting], temperature: float) -> str:
    cosines = {setting.alpha: setting.mean("cosine") for setting in settings}
    first, last = settings[1].alpha, settings[-1].alpha
    least = min(cosines, key=cosines.__getitem__)
    lowest = "" if least == last else f"; the least is {cosines[least]:.2f}, at {least}"
    return (
        f"At temperature {temperature} the gradients of the two losses have the cosine {cosines[0.0]:.3f} at α = 0, "
        f"{cosines[first]:.2f} at {first} and {cosines[last]:.2f} at {last}{lowest}."
    )


def _line(setting: Setting) -> list[str | float | None]:
    sums = setting.each("sums")
    return [
        setting.temperature,
        setting.alpha,
        f"{sums.mean():.3f}",
        f"{sums.min():.3f}",
        f"{sums.max():.3f}",
        f"{setting.mean('clamped'):.1%}",
        _spread(setting.each("loss")),
        float(setting.each("off_one").max()),
        _spread(setting.each("cross_entropy")),
        _spread(setting.each("kl")),
        _spread(setting.each("cosine")),
    ]


def _spread(values: Array) -> str:
    return f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"


# -- drawing ----------------------------------------------------------------------------------------------------------


def draw(settings: list[Setting]) -> str:
    """A row of three panels for each temperature, as SVG with outlines for letters: the same with any font."""
    style: Any = {"svg.fonttype": "path", "svg.hashsalt": "debiasing", "font.size": 10}
    with matplotlib.rc_context(style | {"axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 6.6), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
        panels = figure.subplots(len(TEMPERATURES), 3, sharex=True)
        for line, temperature in zip(panels, TEMPERATURES, strict=True):
            for axes, plot in zip(line, (_draw_sums, _draw_losses, _draw_clamp), strict=True):
                plot(axes, _of(settings, temperature))
            line[0].set_ylabel(f"temperature {temperature}", fontweight="bold")
        for axes, title in zip(panels[0], ("Sum of an anchor's weights", "Loss", "Clamp and gradients"), strict=True):
            axes.set_title(title, loc="left", fontweight="bold", fontsize=11, pad=52)
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False, fontsize=9, borderaxespad=0.2)
        for axes in panels[-1]:
            axes.set_xlabel("α = τ⁺")
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _draw_sums(axes: Axes, settings: list[Setting]) -> None:
    alphas = [s.alpha for s in settings]
    sums = [s.each("sums") for s in settings]
    axes.fill_between(alphas, [x.min() for x in sums], [x.max() for x in sums], color=ESTIMATE, alpha=0.2, lw=0)
    axes.plot(alphas, [x.mean() for x in sums], color=ESTIMATE, label="debiased contrastive (band: all anchors)")
    q_sums = [s.mean("q_sums") for s in settings]
    axes.plot(alphas, q_sums, color=MIXING, ls="--", label="debiased mixing, p̃ and q")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_losses(axes: Axes, settings: list[Setting]) -> None:
    alphas = [s.alpha for s in settings]
    axes.plot(alphas, [s.mean("loss") for s in settings], color=ESTIMATE, label="debiased contrastive")
    axes.plot(alphas, [s.mean("cross_entropy") for s in settings], color=MIXING, label="debiased mixing, cross-entropy")
    axes.plot(alphas, [s.mean("kl") for s in settings], color=MIXING, ls="--", label="debiased mixing, KL")
    axes.set_ylim(bottom=0)


def _draw_clamp(axes: Axes, settings: list[Setting]) -> None:
    alphas = [s.alpha for s in settings]
    axes.plot(alphas, [s.mean("clamped") for s in settings], color=ESTIMATE, label="share of clamped anchors")
    cosines = [s.mean("cosine") for s in settings]
    axes.plot(alphas, cosines, color=THIRD, ls="-.", label="cosine of the gradients")
    axes.set_ylim(min(0.0, *cosines) - 0.03, 1.04)
