"""What the numbers say: the table, the sentences, and the protocol in words."""

from __future__ import annotations

from itertools import combinations

from pandas import DataFrame, Series

from experiments.multi_view.protocol import Settings
from experiments.spread import difference, mean_std

Cell = str | float | None


def value(frame: DataFrame, dataset: str, graph: str, views: int, measure: str) -> Series:
    """The values of a measure by seed; of two views, the one graph there is."""
    graph = "core" if views == 2 else graph
    found = frame[
        (frame["dataset"] == dataset)
        & (frame["graph"] == graph)
        & (frame["views"] == views)
        & (frame["measure"] == measure)
    ]
    return found.set_index("seed")["value"].sort_index()


def pairs(frame: DataFrame, dataset: str, graph: str, views: int) -> dict[tuple[int, int], Series]:
    """The InfoNCE bounds by seed of every pair of views ``(a, b)``, counted from 1."""
    names = combinations(range(1, views + 1), 2)
    return {(a, b): value(frame, dataset, graph, views, f"bound {a}-{b}") for a, b in names}


def most_views(frame: DataFrame, dataset: str) -> int:
    return int(frame.loc[frame["dataset"] == dataset, "views"].max())


def table(frame: DataFrame) -> tuple[list[str], list[list[Cell]]]:
    """A row per data set, number of views and graph."""
    head = ["data set", "views", "graph", "view 1", "all views", "raw view 1", "raw all views"]
    head += ["bound, pairs with view 1", "bound, other pairs"]
    body: list[list[Cell]] = []
    for dataset in sorted(frame["dataset"].unique()):
        for views in range(2, most_views(frame, dataset) + 1):
            for graph in ("core",) if views == 2 else ("core", "full"):
                accuracies = [
                    mean_std(value(frame, dataset, graph, views, name))
                    for name in ("embedding 1", "embedding all", "raw 1", "raw all")
                ]
                shown = "core = full" if views == 2 else graph
                body.append([dataset, views, shown, *accuracies, *_mean_bounds(frame, dataset, graph, views)])
    return head, body


def _mean_bounds(frame: DataFrame, dataset: str, graph: str, views: int) -> list[Cell]:
    first, other = _with_and_without_view_1(pairs(frame, dataset, graph, views))
    return [mean_std(_mean(first), 2), mean_std(_mean(other), 2) if other else None]


def _with_and_without_view_1(bounds: dict[tuple[int, int], Series]) -> tuple[list[Series], list[Series]]:
    return [b for pair, b in bounds.items() if pair[0] == 1], [b for pair, b in bounds.items() if pair[0] > 1]


def _mean(bounds: list[Series]) -> Series:
    """Over the pairs, by seed."""
    return sum(bounds[1:], bounds[0]) / len(bounds)


def findings(frame: DataFrame) -> list[str]:
    """Sentences, the same questions for every data set."""
    said = []
    for dataset in sorted(frame["dataset"].unique()):
        most = most_views(frame, dataset)
        said.append(_against_raw(frame, dataset, most))
        if most > 2:
            said += [_more_views(frame, dataset, most), _graphs(frame, dataset, most), _bounds(frame, dataset, most)]
    return said


def _seeds(values: Series) -> str:
    return f"{len(values)} seed{'s' if len(values) != 1 else ''}"


def _more_views(frame: DataFrame, dataset: str, most: int) -> str:
    two = value(frame, dataset, "core", 2, "embedding 1")
    parts = []
    for graph in ("core", "full"):
        many = value(frame, dataset, graph, most, "embedding 1")
        change = difference(many, two)
        parts.append(f"{mean_std(many)} with {most} on the {graph} graph ({change}: {change.verdict})")
    return (
        f"{dataset}, more views: the accuracy of view 1's embedding is {mean_std(two)} with 2 views, "
        f"{' and '.join(parts)}; paired over {_seeds(two)}."
    )


def _graphs(frame: DataFrame, dataset: str, most: int) -> str:
    parts = []
    for name, measure in (("view 1", "embedding 1"), ("all views", "embedding all")):
        full, core = (value(frame, dataset, graph, most, measure) for graph in ("full", "core"))
        change = difference(full, core)
        parts.append(f"{name} {mean_std(full)} against {mean_std(core)} ({change}: {change.verdict})")
    return f"{dataset}, full against core graph with {most} views: {', '.join(parts)}."


def _against_raw(frame: DataFrame, dataset: str, most: int) -> str:
    parts = []
    for name, kind in (("view 1", "1"), ("all views", "all")):
        learned, raw = (value(frame, dataset, "full", most, f"{what} {kind}") for what in ("embedding", "raw"))
        change = difference(learned, raw)
        parts.append(f"{name} {mean_std(learned)} against {mean_std(raw)} ({change}: {change.verdict})")
    return f"{dataset}, embedding against raw features with {most} views (full graph): {', '.join(parts)}."


def _bounds(frame: DataFrame, dataset: str, most: int) -> str:
    core, full = (pairs(frame, dataset, graph, most) for graph in ("core", "full"))
    names = ("pairs with view 1", "the other pairs, which the core graph leaves out")
    parts = []
    for name, of_full, of_core in zip(
        names, _with_and_without_view_1(full), _with_and_without_view_1(core), strict=True
    ):
        second, first = _mean(of_full), _mean(of_core)
        change = difference(second, first)
        parts.append(
            f"{mean_std(second, 2)} (full) against {mean_std(first, 2)} (core) nats for {name} "
            f"({change.mean:+.2f}: {change.verdict})"
        )
    low, *_, high = sorted((float(bound.mean()), pair) for pair, bound in full.items())
    extremes = " and ".join(
        f"{which} for views {pair[0]} and {pair[1]} ({mean:.2f})"
        for which, (mean, pair) in (("lowest", low), ("highest", high))
    )
    return (
        f"{dataset}, mean held-out InfoNCE bound with {most} views: {'; '.join(parts)}. "
        f"On the full graph it is {extremes}."
    )


def caption(settings: Settings) -> str:
    """The protocol in words."""
    return (
        f"CMC (temperature {settings.temperature:g}) on the first M views, in the data set's order; an encoder per "
        f"view (standardised features, one hidden layer of {settings.hidden}, {settings.dimensions} dimensions), "
        f"minibatches of at most {settings.batch}, Adam {settings.learning_rate:g}, epochs: {settings.epochs}, for "
        "all data sets. Half of the points train, the other half is measured (stratified split by seed; labels only "
        f"shape the halves and score). Accuracy: {settings.neighbors}-NN fitted on the training half, of unit-length "
        f"embeddings and of standardised features. Bounds: {settings.bound_points} held-out points (all where there "
        "are fewer), nats, mean of both directions, at most the log of that number. Views of images are horizontal "
        "bands (top, middle, bottom). Mean ± standard deviation over seeds; a difference is paired by seed, and "
        "called higher or lower where its 95 % Student interval leaves out zero."
    )
