"""SimCLR and t-SimCLR against false negatives: plain p, debiased p, and Chuang's debiased partition."""

from experiments.debiased_contrastive import protocol, reading
from experiments.record import Experiment

EXPERIMENT = Experiment(
    name="debiased-contrastive",
    title="Debiased contrastive learning",
    question=(
        "Other images of an anchor's class compete with it as negatives. Does it help to mix uniform mass into p "
        "(Alshammari et al. 2025), and does Chuang's estimate of the true negatives (Chuang et al. 2020) help, with "
        "small and with large batches?"
    ),
    settings=protocol.Settings,
    configurations=protocol.configurations,
    run=protocol.run,
    table=reading.table,
    figures={"accuracy": reading.accuracy},
)

__all__ = ["EXPERIMENT"]
