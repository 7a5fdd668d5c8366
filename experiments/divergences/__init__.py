"""KL against other divergences in three cells of the table: clusters, classes, and maps."""

from experiments.divergences import protocol, reading
from experiments.record import Experiment

EXPERIMENT = Experiment(
    name="divergences",
    title="Other divergences than KL",
    question=(
        "Is KL the right divergence between p and q? Beyond I-Con (Shone, Li, Alshammari, Hamilton, Freeman 2025, "
        "arXiv 2509.04734) reports that total variation improves the clustering of DINO features, that supervised "
        "contrastive learning gains from total variation with distances (first version) or from Jensen–Shannon with "
        "distances (second version), and that bounded divergences improve SNE."
    ),
    settings=protocol.Settings,
    configurations=protocol.configurations,
    run=protocol.run,
    table=reading.table,
    figures={"scores": reading.scores, "maps": reading.maps},
)

__all__ = ["EXPERIMENT"]
