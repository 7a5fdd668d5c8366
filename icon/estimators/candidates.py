"""The coordinates of the table that are worth a try for some data and a goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from icon.estimators.clustering import Clustering
from icon.estimators.embedding import Embedding

GOALS = ("map", "clusters", "retrieval", "classification")
STEPS, WIDTH = 500, 16  # of an embedding; its dimensions where it is not looked at


@dataclass(frozen=True, eq=False)
class Candidate:
    """An estimator of a kind that is not fitted yet, with its arguments, the row and the column among them.

    ``source`` is what it learns from beside the features, ``"y"``, ``"pairs"`` or ``"graph"``; ``is_cosine`` tells
    whether the lengths of the rows of its embedding mean nothing.
    """

    kind: type[Embedding] | type[Clustering]
    settings: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    is_cosine: bool = False

    @property
    def row(self) -> str:
        return str(self.settings.get("row", "clusters"))

    @property
    def column(self) -> str:
        return str(self.settings["column"])

    @property
    def name(self) -> str:
        """The row and the column, and what else tells it from others of its cell."""
        told = ("walks", "n_neighbors") if self.kind is Clustering else ()
        own = [f"{key}={self.settings[key]}" for key in told if key in self.settings]
        return ", ".join([f"{self.row} × {self.column}", *own])

    @property
    def method(self) -> str:
        """Of an embedding, the method that the table names in the cell; a clustering adds walks and debiasing to it."""
        return Embedding(row=self.row, column=self.column).method_name if self.kind is Embedding else ""

    def make(self, seed: int, **more: Any) -> Any:
        """The estimator."""
        return self.kind(**self.settings, random_state=seed, **more)

    def code(self, seed: int) -> str:
        """Three lines that fit it to all points."""
        arguments = ", ".join(f"{key}={value!r}" for key, value in {**self.settings, "random_state": seed}.items())
        given = "x" if self.source is None else f"x, {self.source}"
        result = "z = model.fit_transform" if self.kind is Embedding else "labels = model.fit_predict"
        return f"import icon\nmodel = icon.{self.kind.__name__}({arguments})\n{result}({given})"


def candidates(
    goal: str, sources: tuple[str, ...], clusters: int, n_features: int, scale: float = 1.0, points: int = 1000
) -> list[Candidate]:
    """What is tried for a goal, given what there is beside the features (``sources``).

    The Student-t column has to be told a distance to near neighbours (``scale``), and how many of them it keeps depends
    on the number of ``points``; of a clustering, a wide neighbourhood has no more.
    """
    near = min(45, points // 3)
    if goal == "clusters":
        return _clusterings(sources, clusters, min(25, near))
    width = 2 if goal == "map" else WIDTH
    free = "lookup" if goal == "map" else "mlp"
    cells = [("student-t", "gaussian"), ("student-t", "knn"), ("gaussian", "knn")]
    cells += [("gaussian", "gaussian")] if goal == "map" else []
    embeddings = [_embedding(width, row, column, free) for row, column in cells if goal != "classification"]
    if goal == "map":
        embeddings.append(_embedding(width, "student-t", "student-t", free))
        embeddings[-1].settings.update(n_neighbors=near, hyper={"sigma": scale})
    if n_features >= 2:
        embeddings.append(_embedding(min(width, n_features), "gaussian-wide", "identity", "linear"))
    if "y" in sources:
        supervised = [("gaussian", "classes"), ("student-t", "classes"), ("gaussian", "data-label")]
        supervised += [("student-t", "data-label")] if goal == "classification" else []
        embeddings += [_embedding(width, row, column, "mlp", "y") for row, column in supervised]
    if "pairs" in sources and goal != "classification":
        embeddings += [_embedding(width, row, "pairs", "mlp", "pairs") for row in ("gaussian", "student-t")]
    if "graph" in sources and goal != "classification":
        embeddings += [_embedding(width, row, "graph", free, "graph") for row in ("student-t", "gaussian")]
    return embeddings


def _embedding(width: int, row: str, column: str, mapper: str, source: str | None = None) -> Candidate:
    settings = {"n_components": width, "row": row, "column": column, "mapper": mapper, "max_iter": STEPS}
    if mapper == "lookup":
        del settings["mapper"]
    return Candidate(Embedding, settings, source, row == "gaussian" and column in ("pairs", "classes"))


def _clusterings(sources: tuple[str, ...], clusters: int, wide: int) -> list[Candidate]:
    """The clusters row with several columns; labels say how good they are, and none learns from them."""
    own: list[dict[str, Any]] = [
        {"column": "knn", "walks": 3}, {"column": "knn", "walks": 1}, {"column": "knn", "n_neighbors": wide},
        {"column": "gaussian"},
    ]  # fmt: skip
    of_features = [Candidate(Clustering, {"n_clusters": clusters, **settings}) for settings in own]
    given = [source for source in ("pairs", "graph") if source in sources]
    return of_features + [Candidate(Clustering, {"n_clusters": clusters, "column": each}, each) for each in given]
