"""What the numbers say: the table, the sentences about the claims, and the protocol in words."""

from __future__ import annotations

from pandas import DataFrame, Series

from experiments.divergences.protocol import (
    BOUNDED,
    CELLS,
    COSINE,
    DIVERGENCES,
    EUCLIDEAN,
    K_MEANS,
    KL,
    RANDOM,
    SNE,
    Settings,
)
from experiments.spread import Difference, difference, mean_std

Cell = str | float | None
SECOND = {RANDOM: "nmi", K_MEANS: "nmi", SNE: "trustworthiness"}


def value(frame: DataFrame, dataset: str, cell: str, divergence: str, measure: str | None = None) -> Series:
    """The values by seed, in percent but for the number of clusters; the cell's own score where no measure is named."""
    measure = measure or CELLS[cell][0]
    found = frame[
        (frame["dataset"] == dataset)
        & (frame["cell"] == cell)
        & (frame["divergence"] == divergence)
        & (frame["measure"] == measure)
    ]
    return (1 if measure == "clusters" else 100) * found.set_index("seed")["value"].sort_index()


def table(frame: DataFrame) -> tuple[list[str], list[list[Cell]]]:
    """A row per data set, cell and score, a column per divergence."""
    head = ["data set", "cell", "score (%)", *DIVERGENCES.values()]
    body: list[list[Cell]] = []
    for dataset in datasets(frame):
        for cell, (measure, name) in CELLS.items():
            wanted = [(measure, name)]
            if cell in SECOND:
                wanted.append((SECOND[cell], SECOND[cell].replace("nmi", "NMI")))
            if cell in (RANDOM, K_MEANS):
                wanted.append(("clusters", "clusters with points (a number)"))
            for measure_, name_ in wanted:
                found = [mean_std(value(frame, dataset, cell, which, measure_), 1) for which in DIVERGENCES]
                body.append([dataset, cell, name_, *found])
    return head, body


def datasets(frame: DataFrame) -> list[str]:
    return sorted(frame["dataset"].unique())


def findings(frame: DataFrame) -> list[str]:
    """The three claims, each on every data set; then the ranking of every cell."""
    said = [
        _claim(frame, "Total variation improves clustering (random start)", (RANDOM, "tv"), (RANDOM, KL)),
        _claim(frame, "Total variation improves clustering (k-means start)", (K_MEANS, "tv"), (K_MEANS, KL)),
        _claim(
            frame,
            "Supervised contrastive learning: total variation with distances beats KL with angles (first version)",
            (EUCLIDEAN, "tv"),
            (COSINE, KL),
        ),
        _claim(
            frame,
            "Supervised contrastive learning: Jensen–Shannon beats KL with distances (second version)",
            (EUCLIDEAN, "js"),
            (EUCLIDEAN, KL),
        ),
    ]
    for which in BOUNDED:
        for measure, name in (("knn", "k-NN accuracy"), ("trustworthiness", "trustworthiness")):
            text = f"A bounded divergence ({DIVERGENCES[which]}) improves SNE, {name}"
            said.append(_claim(frame, text, (SNE, which), (SNE, KL), measure))
    text = "Not a claim, but a control: reverse KL, which is not bounded, improves SNE, trustworthiness"
    said.append(_claim(frame, text, (SNE, "reverse-kl"), (SNE, KL), "trustworthiness"))
    return said + [_ranking(frame, dataset, cell) for dataset in datasets(frame) for cell in CELLS]


def _claim(
    frame: DataFrame, claim: str, first: tuple[str, str], second: tuple[str, str], measure: str | None = None
) -> str:
    parts, verdicts = [], set()
    for dataset in datasets(frame):
        a, b = value(frame, dataset, *first, measure), value(frame, dataset, *second, measure)
        change = difference(a, b)
        verdicts.add(change.verdict)
        parts.append(f"{dataset} {mean_std(a, 1)} against {mean_std(b, 1)} ({change.mean:+.1f}: {change.verdict})")
    return f"{claim}: {_judged(verdicts)}. {'; '.join(parts)}."


def _judged(verdicts: set[str]) -> str:
    if verdicts == {"higher"}:
        return "holds here"
    if verdicts == {"lower"}:
        return "the opposite holds here"
    if verdicts == {"not clearly different"}:
        return "not seen here, no clear difference"
    return (
        "mixed here"
        if {"higher", "lower"} <= verdicts
        else f"clearly {(verdicts - {'not clearly different'}).pop()} on some data sets only"
    )


def _ranking(frame: DataFrame, dataset: str, cell: str) -> str:
    plain = value(frame, dataset, cell, KL)
    changes: dict[str, Difference] = {
        which: difference(value(frame, dataset, cell, which), plain) for which in DIVERGENCES if which != KL
    }
    parts = [
        f"{DIVERGENCES[which]} {change.mean:+.1f}{'' if change.verdict.startswith('not') else f' ({change.verdict})'}"
        for which, change in sorted(changes.items(), key=lambda item: -item[1].mean)
    ]
    return f"{dataset}, {cell}, {CELLS[cell][1]} against KL's {mean_std(plain, 1)}: {', '.join(parts)}."


def caption(settings: Settings) -> str:
    """The protocol in words."""
    return (
        f"At most {settings.points} points of a data set (drawn once). Not the paper's data: DINO features and "
        "ImageNet are not at hand. Clusters × k-NN: at most 128 principal directions, average of 1 to "
        f"{settings.walks} walks on the union graph of {settings.neighbors} neighbours, an MLP head "
        f"({settings.hidden} hidden units, as many clusters as classes), batches of at most {settings.cluster_batch} "
        f"points with p between them, {settings.cluster_epochs} epochs of Adam ({settings.cluster_learning_rate:g}); "
        "the k-means start trains the head to give these clusters first. This is the clusters row, not the paper's "
        "pointwise mutual information. Gaussian × classes: an MLP encoder with "
        f"{settings.dimensions} dimensions on half of the points with their labels, batches of {settings.class_batch}, "
        f"{settings.class_epochs} epochs, Adam {settings.learning_rate:g}; cosine at temperature "
        f"{settings.temperature:g} or exp(-‖z_i - z_j‖²); {settings.neighbors}-NN fitted on that half classifies the "
        f"other (embeddings of unit length with cosine). Both with α = {settings.debias:g} of uniform mass in p for "
        "every divergence, without which reverse KL is infinite. SNE: "
        f"{settings.map_points} points drawn by seed, perplexity {settings.perplexity:g}, exp(-‖z_i - z_j‖²), a map "
        f"that starts at the principal directions, {settings.map_steps} steps of Adam "
        f"({settings.map_learning_rate:g}); {settings.neighbors}-NN accuracy is cross-validated in the map, "
        f"trustworthiness is of {settings.neighbors} neighbours. Steps and rates are the same for all divergences and "
        "were not tuned for any of them; as their gradients differ in size and shape, this compares them at one "
        "budget and not at their best. Mean ± standard deviation over seeds, in percent; a difference is paired by "
        "seed, and called higher or lower where its 95 % Student interval leaves out zero."
    )
