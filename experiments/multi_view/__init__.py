"""Contrastive multiview coding with two, three, ... views: does the first view's embedding gain from the others?"""

from experiments.multi_view import protocol, reading
from experiments.record import Experiment

EXPERIMENT = Experiment(
    name="multi-view",
    title="Contrastive multiview coding: more views",
    question=(
        "Does the embedding of one view get better as more views are learned together (Tian, Krishnan, Isola 2020)? "
        "And does it matter whether the first view is paired with each other one (the core graph) or all views are "
        "paired with all (the full graph)?"
    ),
    settings=protocol.Settings,
    configurations=protocol.configurations,
    run=protocol.run,
    table=reading.table,
    figures={"accuracy": reading.accuracy, "bounds": reading.bounds},
)

__all__ = ["EXPERIMENT"]
