"""Study: debiased contrastive learning against debiased mixing, on batches of the digits."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import pandas as pd
import torch
from matplotlib.figure import Figure

import icon
from table import report
from table.data import Sample, sample
from table.methods import debiased_contrastive
from table.page.schema import Study
from table.page.templating import fill

POINTS, SEEDS = 256, range(5)
TEMPERATURES = (0.5, 0.1)  # the paper's, and the one of SimCLR, where the clamp is active almost everywhere
ALPHAS = tuple(k / 10 for k in range(10))
SETTING = ["Temperature", "α = τ⁺"]
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
    numbers = runs.groupby(SETTING, sort=False).agg(ways).reset_index()
    text = words(runs, sum(map(share_of_false_negatives, batches)) / len(batches))
    return report.study("debiased-contrastive-and-mixing", text, numbers, [draw(runs)], "python -m table")


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


def words(runs: pd.DataFrame, share: float) -> str:
    """The words of the report, in which the numbers are said; ``share`` of the negatives are false ones."""
    debiased = runs[runs["α = τ⁺"] > 0]
    courses = {t: part.groupby("α = τ⁺").mean() for t, part in runs.groupby("Temperature", sort=False)}
    sums = {
        "off": (runs["Sum of p̃"] - 1).abs().max(),
        "least": debiased["Least sum"].min(),
        "largest": debiased["Largest sum"].max(),
    }
    return fill("debiasing.md", batches=len(SEEDS), points=POINTS, share=share, courses=courses, **sums)


def draw(runs: pd.DataFrame) -> str:
    """A row of three panels for each temperature, as SVG with outlines for letters: the same with any font."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.6), layout="constrained")
        grid = figure.subplots(len(TEMPERATURES), len(PANELS), sharex=True)
        for line, temperature in zip(grid, TEMPERATURES, strict=True):
            by_alpha = runs[runs["Temperature"] == temperature].groupby("α = τ⁺")
            line[0].fill_between(
                ALPHAS, by_alpha["Least sum"].min(), by_alpha["Largest sum"].max(), color=ESTIMATE, alpha=0.2, lw=0
            )
            line[0].set(yscale="log", ylabel=f"temperature {temperature}")
            line[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            for axes, curves in zip(line, PANELS.values(), strict=True):
                for name, (label, colour, dashes) in curves.items():
                    axes.plot(ALPHAS, by_alpha[name].mean(), color=colour, ls=dashes, label=label)
        for axes, title in zip(grid[0], PANELS, strict=True):
            axes.set_title(title, loc="left", fontweight="bold", fontsize=11, pad=52)
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False, fontsize=9, borderaxespad=0.2)
        figure.supxlabel("α = τ⁺", fontsize=10)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
