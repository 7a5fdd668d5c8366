"""When to use a cell: what its column needs, and what its row gives."""

from __future__ import annotations

COLUMNS = {
    "gaussian": "you have features and trust the distances between them, near and middling ones alike",
    "student-t": "you have features, and points that are far apart in them should still attract each other a little",
    "identity": "nothing says which points belong together, so that every point can only be told from the others",
    "graph": "you have a graph, and linked nodes should be near each other",
    "knn": "you have features and trust only the nearest neighbours in them",
    "pairs": "you have no labels, and several views of each instance",
    "cross-modal": "you have matching items of two kinds, such as images and their captions",
    "classes": "you have labels, and members of one class should be near each other",
    "data-label": "you have labels and want a prototype for each class, as a classifier has",
}
ROWS = {
    "gaussian": "embeddings that are compared by distance, angle or inner product",
    "gaussian-wide": "a loss against the average of all candidates, close to linear and spectral methods",
    "gaussian-narrow": "a loss against the nearest competitor alone, as margins and rankings have it",
    "student-t": "a map in few dimensions, in which groups stand apart",
    "clusters": "groups instead of positions",
}


def when(row: str, column: str) -> str:
    """One sentence on when a cell is the one to use; empty where its row or column is a user's own."""
    if row not in ROWS or column not in COLUMNS:
        return ""
    return f"Use it when {COLUMNS[column]}, and you want {ROWS[row]}."
