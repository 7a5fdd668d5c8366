"""What the numbers say: the table, the sentences, and the protocol in words."""

from __future__ import annotations

from pandas import DataFrame, Series

from experiments.debiased_contrastive.protocol import CHUANG, RAW, SIMCLR, T_SIMCLR, UNTRAINED, Settings
from experiments.spread import difference, mean_std

Cell = str | float | None
PROBES = {"knn": "k-NN", "linear": "linear probe"}


def value(frame: DataFrame, dataset: str, method: str, batch: int, alpha: float, measure: str) -> Series:
    """Percent, by seed. At α = 0 Chuang's estimator is SimCLR; without training there is no α or batch."""
    if method in (RAW, UNTRAINED):
        alpha, batch = 0.0, 0
    found = frame[
        (frame["dataset"] == dataset)
        & (frame["method"] == (SIMCLR if method == CHUANG and alpha == 0 else method))
        & (frame["batch"] == batch)
        & (frame["alpha"] == alpha)
        & (frame["measure"] == measure)
    ]
    return 100 * found.set_index("seed")["value"].sort_index()


def alphas(frame: DataFrame) -> list[float]:
    return sorted(float(alpha) for alpha in frame["alpha"].unique())


def batches(frame: DataFrame) -> list[int]:
    return sorted(int(batch) for batch in frame.loc[frame["batch"] > 0, "batch"].unique())


def table(frame: DataFrame) -> tuple[list[str], list[list[Cell]]]:
    """A row per data set, probe, method and batch size, a column per α."""
    head = ["data set", "accuracy (%)", "method", "batch", *(f"α = {alpha:g}" for alpha in alphas(frame))]
    body: list[list[Cell]] = []
    for dataset in sorted(frame["dataset"].unique()):
        for measure, name in PROBES.items():
            for method in (RAW, UNTRAINED):
                plain = mean_std(value(frame, dataset, method, 0, 0.0, measure), 1)
                body.append([dataset, name, method, None, plain, *[None] * (len(alphas(frame)) - 1)])
            for method in (SIMCLR, T_SIMCLR, CHUANG):
                for batch in batches(frame):
                    found = [
                        mean_std(value(frame, dataset, method, batch, alpha, measure), 1) for alpha in alphas(frame)
                    ]
                    body.append([dataset, name, method, batch, *found])
    return head, body


def findings(frame: DataFrame) -> list[str]:
    """Per data set and method, what each α does against α = 0; then p̃ against Chuang, and the batch sizes."""
    said = []
    for dataset in sorted(frame["dataset"].unique()):
        said += [_against_plain(frame, dataset, method) for method in (SIMCLR, T_SIMCLR, CHUANG)]
        said += [_mixing_or_partition(frame, dataset), _small_or_large(frame, dataset)]
        said += [_harm(frame, dataset), _controls(frame, dataset)]
    return [*said, _all(frame)]


def _against_plain(frame: DataFrame, dataset: str, method: str) -> str:
    parts = []
    for batch in batches(frame):
        shown = []
        plain = value(frame, dataset, method, batch, 0.0, "knn")
        for alpha in alphas(frame)[1:]:
            change = difference(value(frame, dataset, method, batch, alpha, "knn"), plain)
            shown.append(f"{change.mean:+.1f} at α = {alpha:g}{_mark(change.verdict)}")
        parts.append(f"batches of {batch}, from {mean_std(plain, 1)}: {', '.join(shown)}")
    return f"{dataset}, {method}, k-NN against α = 0: {'; '.join(parts)}."


def _mark(verdict: str) -> str:
    return f" ({verdict})" if verdict in ("higher", "lower") else ""


def _mixing_or_partition(frame: DataFrame, dataset: str) -> str:
    parts = []
    for batch in batches(frame):
        for alpha in alphas(frame)[1:]:
            first, second = (value(frame, dataset, method, batch, alpha, "knn") for method in (SIMCLR, CHUANG))
            change = difference(first, second)
            parts.append(f"{change.mean:+.1f} (batch {batch}, α = {alpha:g}{_comma(change.verdict)})")
    return f"{dataset}, SimCLR with debiased p less Chuang's estimator, k-NN: {', '.join(parts)}."


def _comma(verdict: str) -> str:
    return f", {verdict}" if verdict in ("higher", "lower") else ""


def _small_or_large(frame: DataFrame, dataset: str) -> str:
    small, *_, large = batches(frame)
    parts = []
    for method in (SIMCLR, T_SIMCLR):
        change = difference(*(value(frame, dataset, method, b, 0.0, "knn") for b in (small, large)))
        parts.append(f"{method} {change.mean:+.1f} ({change.verdict})")
    return (
        f"{dataset}, batches of {small} less batches of {large} with plain p, k-NN: {', '.join(parts)}; epochs are "
        "the same, so small batches also take more steps."
    )


def _controls(frame: DataFrame, dataset: str) -> str:
    """What training brings at all: the plain and the best configuration against what needs no training."""
    parts = []
    for measure, name in PROBES.items():
        means = {
            (method, batch, alpha): value(frame, dataset, method, batch, alpha, measure)
            for method in (SIMCLR, T_SIMCLR, CHUANG)
            for batch in batches(frame)
            for alpha in alphas(frame)
        }
        best = max(means, key=lambda which: float(means[which].mean()))
        shown = []
        for control in (UNTRAINED, RAW):
            without = value(frame, dataset, control, 0, 0.0, measure)
            change = difference(means[best], without)
            shown.append(f"{control} {mean_std(without, 1)} ({change.mean:+.1f}: {change.verdict})")
        parts.append(
            f"{name} {mean_std(means[best], 1)} ({best[0]}, batch {best[1]}, α = {best[2]:g}) against "
            f"{' and '.join(shown)}"
        )
    best_of_all = "the best configuration (picked by its score, so flattered) against no training"
    return f"{dataset}, {best_of_all}: {'; '.join(parts)}."


def _harm(frame: DataFrame, dataset: str) -> str:
    """Whether plain training is worse than none: then what restrains it looks good."""
    untrained = value(frame, dataset, UNTRAINED, 0, 0.0, "knn")
    parts = []
    for method in (SIMCLR, T_SIMCLR):
        for batch in batches(frame):
            change = difference(value(frame, dataset, method, batch, 0.0, "knn"), untrained)
            parts.append(f"{method}, batch {batch} {change.mean:+.1f} ({change.verdict})")
    return (
        f"{dataset}, plain p (α = 0) less the untrained encoder, k-NN: {', '.join(parts)}. Where training with plain p "
        "is lower than none, a gain from α may be no more than harm undone."
    )


def _all(frame: DataFrame) -> str:
    """How often α > 0 is clearly better or worse than α = 0, over everything."""
    parts = []
    for method in (SIMCLR, T_SIMCLR, CHUANG):
        verdicts = [
            difference(
                value(frame, dataset, method, batch, alpha, measure), value(frame, dataset, method, batch, 0.0, measure)
            ).verdict
            for dataset in sorted(frame["dataset"].unique())
            for batch in batches(frame)
            for alpha in alphas(frame)[1:]
            for measure in PROBES
        ]
        counts = [verdicts.count(verdict) for verdict in ("higher", "lower")]
        parts.append(f"{method} clearly higher in {counts[0]} and lower in {counts[1]} of {len(verdicts)}")
    return (
        f"α > 0 against α = 0, over data sets, batch sizes, α and both probes: {'; '.join(parts)}. These are many "
        "comparisons at 95 % each: by chance alone one in forty would be clear on either side."
    )


def caption(settings: Settings) -> str:
    """The protocol in words."""
    return (
        f"At most {settings.points} points of a data set (drawn once); half train the encoder, without labels, the "
        "other half is classified (stratified split by seed). Two views of each point: images are shifted by at most "
        f"an eighth of their width and get noise of {settings.noise:g} (pixels in [0, 1]); other features, the first "
        f"view's where there are several, are standardised and get noise of {settings.vector_noise:g}. Encoder: one "
        f"hidden layer of {settings.hidden}, {settings.dimensions} dimensions, no projection head; Adam "
        f"{settings.learning_rate:g}, {settings.epochs} epochs. Cosine losses at temperature {settings.temperature:g}, "
        "t-SimCLR with 5 degrees of freedom; none of these was tuned. α is the uniform mass mixed into p for SimCLR "
        "and t-SimCLR, and the class prior τ⁺ of Chuang's estimator: the same number is not the same amount of "
        f"debiasing. {settings.neighbors}-NN and logistic regression are fitted on the training half, of unit-length "
        "embeddings (t-SimCLR: as they are). The untrained encoder is the "
        "one that all of a seed start from. Mean ± standard deviation over seeds, in percent; a difference is paired "
        "by seed, and called higher or lower where its 95 % Student interval leaves out zero."
    )
