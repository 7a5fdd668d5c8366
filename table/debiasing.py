"""Study: debiased contrastive learning against debiased mixing, on batches of the digits."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import pandas as pd
import torch
from matplotlib.figure import Figure

import icon
from table.data import Sample, sample
from table.methods import debiased_contrastive
from table.page.schema import Study
from table.page.view import number

POINTS, SEEDS = 256, range(5)
TEMPERATURES = (0.5, 0.1)  # the paper's, and the one of SimCLR, where the clamp is active almost everywhere
ALPHAS = tuple(k / 10 for k in range(10))
SETTING = ["Temperature", "α = τ⁺"]

QUESTION = (
    "There are two ways to allow for negatives that are in truth positives. Debiased contrastive learning (Chuang et "
    "al. 2020) corrects the sum over the negatives by the share τ⁺ of positives among them and clamps the estimate "
    "from below. Debiased mixing moves a share α of p to the uniform distribution and leaves q alone. Which of them "
    "compares distributions, how do the losses differ, and do they pull the points the same way? Both get the same "
    f"share, α = τ⁺, on {len(SEEDS)} batches of {POINTS} points: two views each of {POINTS // 2} digits."
)
CAPTION = (
    "Left: what the weights of an anchor sum to, as a mean over anchors and batches; the band reaches from the least "
    "to the largest sum. Middle: the losses, as means over batches. Right: the share of anchors whose estimate is "
    "clamped, and the cosine between the gradients of the two losses with respect to the embedding. The negatives of a "
    "clamped anchor do not push it, because the clamp has no gradient."
)
ESTIMATE, MIXING, THIRD = "#d55e00", "#0072b2", "#00684b"  # colour-blind readers can tell them apart, too
STYLE: Any = {"svg.fonttype": "path", "svg.hashsalt": "study", "axes.spines.top": False, "axes.spines.right": False}
PANELS = {
    "Sum of an anchor's weights": {
        "Mean sum of the weights": ("debiased contrastive (band: all anchors)", ESTIMATE, "-"),
        "Sum of p̃": ("debiased mixing, p̃", MIXING, "--"),
    },
    "Loss": {
        "Contrastive loss": ("debiased contrastive", ESTIMATE, "-"),
        "Mixing cross-entropy": ("debiased mixing, cross-entropy", MIXING, "-"),
        "Mixing KL": ("debiased mixing, KL", MIXING, "--"),
    },
    "Clamp and gradients": {
        "Anchors clamped": ("share of clamped anchors", ESTIMATE, "-"),
        "Cosine of the gradients": ("cosine of the gradients", THIRD, "-."),
    },
}


def study() -> Study:
    """Measure, and say what was found."""
    batches = [sample(seed, POINTS) for seed in SEEDS]
    runs = pd.DataFrame([measure(s, t, alpha) for t in TEMPERATURES for alpha in ALPHAS for s in batches])
    ways = {name: {"Least sum": "min", "Largest sum": "max"}.get(name, "mean") for name in runs.columns.drop(SETTING)}
    numbers = runs.groupby(SETTING, sort=False).agg(ways)
    return {
        "slug": "debiased-contrastive-and-mixing",
        "title": "Debiased contrastive learning against debiased mixing",
        "question": QUESTION,
        "findings": findings(runs, sum(map(share_of_false_negatives, batches)) / len(batches)),
        "head": [*SETTING, *numbers.columns],
        "body": numbers.reset_index().to_numpy(dtype=float).tolist(),
        "figures": [draw(runs)],
        "caption": CAPTION,
        "source": "python -m table",
    }


def share_of_false_negatives(s: Sample) -> float:
    """How many of the negatives show the anchor's own digit: what τ⁺ estimates."""
    digits = s.y[s.ids]  # pairs are views of the first half of the points
    negative = s.ids[:, None] != s.ids
    return float((digits[:, None] == digits)[negative].mean())


def measure(s: Sample, temperature: float, alpha: float) -> dict[str, float]:
    """Both losses on a batch, with the share ``alpha`` for both."""
    z = torch.tensor(s.pairs, requires_grad=True)
    contrastive = icon.loss("gaussian", "pairs", temperature=temperature, partition="debiased", tau_plus=alpha)
    mixing = icon.loss("gaussian", "pairs", temperature=temperature, debias=alpha)
    loss, terms = contrastive(z, s.ids), mixing.terms(z, s.ids)
    one, other = (torch.autograd.grad(value, z)[0].flatten() for value in (loss, terms.kl))
    weights = debiased_contrastive.implied_weights(s.pairs, s.ids, temperature, alpha).sum(axis=1)
    masses = mixing.p(s.ids).to_dense().sum(dim=1)
    return {
        "Temperature": temperature,
        "α = τ⁺": alpha,
        "Mean sum of the weights": weights.mean(),
        "Least sum": weights.min(),
        "Largest sum": weights.max(),
        "Sum of p̃": masses[(masses - 1).abs().argmax()].item(),  # of the anchor where it is furthest from one
        "Anchors clamped": debiased_contrastive.clamped(s.pairs, s.ids, temperature, alpha).mean(),
        "Contrastive loss": loss.item(),
        "Mixing cross-entropy": terms.cross_entropy.item(),
        "Mixing KL": terms.kl.item(),
        "Cosine of the gradients": torch.cosine_similarity(one, other, dim=0).item(),
    }


def findings(runs: pd.DataFrame, share: float) -> list[str]:
    """What the numbers say; ``share`` of the negatives are false ones."""
    found = runs[runs["α = τ⁺"] > 0]
    off, least, largest = (runs["Sum of p̃"] - 1).abs().max(), found["Least sum"].min(), found["Largest sum"].max()
    return [
        f"In these batches {share:.1%} of an anchor's negatives show its own digit, so the true τ⁺ is {share:.2f}.",
        f"Debiased mixing compares distributions at every α: its p̃ sums to one to within {number(off)}, and its q is a "
        "softmax. What debiased contrastive learning puts in the place of q does not: at τ⁺ > 0 the weights of an "
        f"anchor sum to numbers between {number(least)} and {number(largest)}.",
        *(_course(str(temperature), part) for temperature, part in runs.groupby("Temperature", sort=False)),
    ]


def _course(temperature: str, runs: pd.DataFrame) -> str:
    """How the losses and their gradients change with the share, at one temperature."""
    means = runs.groupby("α = τ⁺").mean()
    first, last = means.iloc[0], means.iloc[-1]
    loss, entropy, kl, cosine = (f"from {first[name]:.2f} to {last[name]:.2f}" for name in means.columns[-4:])
    return (
        f"At temperature {temperature}, as α = τ⁺ goes from {means.index[0]:g} to {means.index[-1]:g}, the debiased "
        f"contrastive loss goes {loss}, the cross-entropy of debiased mixing {entropy}, and its KL {kl}. The share of "
        f"clamped anchors goes from {first['Anchors clamped']:.0%} to {last['Anchors clamped']:.0%}, and the cosine "
        f"between the gradients of the two losses {cosine}."
    )


def draw(runs: pd.DataFrame) -> str:
    """A row of three panels for each temperature, as SVG with outlines for letters: the same with any font."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.6), layout="constrained")
        grid = figure.subplots(len(TEMPERATURES), len(PANELS), sharex=True)
        for line, temperature in zip(grid, TEMPERATURES, strict=True):
            found = runs[runs["Temperature"] == temperature].groupby("α = τ⁺")
            line[0].fill_between(
                ALPHAS, found["Least sum"].min(), found["Largest sum"].max(), color=ESTIMATE, alpha=0.2, lw=0
            )
            line[0].set(yscale="log", ylabel=f"temperature {temperature}")
            line[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            for axes, curves in zip(line, PANELS.values(), strict=True):
                for name, (label, colour, dashes) in curves.items():
                    axes.plot(ALPHAS, found[name].mean(), color=colour, ls=dashes, label=label)
        for axes, title in zip(grid[0], PANELS, strict=True):
            axes.set_title(title, loc="left", fontweight="bold", fontsize=11, pad=52)
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False, fontsize=9, borderaxespad=0.2)
        figure.supxlabel("α = τ⁺", fontsize=10)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
