"""A small synthetic table with every state that the views tell apart, for the tests of the page and its siblings."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from table import cells
from table.page.schema import Gallery, Table

N = 60  # points of the gallery
HOSTILE = "</script><!-- <b>& \"quoted\" 'text'"

ROWS = {
    "gaussian": "Gaussian",
    "gaussian-wide": "Gaussian, σ → ∞",
    "gaussian-narrow": "Gaussian, σ → 0",
    "student-t": "Student-t",
    "clusters": "Clusters",
}
COLUMNS = {
    "gaussian": "Gaussian",
    "student-t": "Student-t",
    "identity": "Identity",
    "graph": "Graph kernel",
    "knn": "Uniform k-NN",
    "pairs": "Positive pairs",
    "cross-modal": "Cross-modal pairs",
    "classes": "Classes",
    "data-label": "Data-label pairs",
}
FAMILIES = {
    "dimensionality-reduction": "Dimensionality reduction",
    "cluster-learning": "Cluster learning",
    "unimodal-ssl": "Unimodal SSL",
    "multimodal-ssl": "Multimodal SSL",
    "supervised": "Supervised learning",
    "gap": "Gap",
}
METHODS = [
    ("sne", "SNE", "gaussian/gaussian", "dimensionality-reduction", 2002),
    ("infonce", "InfoNCE", "gaussian/pairs", "unimodal-ssl", 2018),
    ("simclr", "SimCLR", "gaussian/pairs", "unimodal-ssl", 2020),
    ("clip", "CLIP", "gaussian/cross-modal", "multimodal-ssl", 2021),
    ("cross-entropy", "Cross-Entropy", "gaussian/data-label", "supervised", 1990),
    ("average-margin-supcon", "Average Margin SupCon", "gaussian-wide/classes", "gap", None),
    ("tsne-uniform", "t-SNE with Uniform Affinities", "student-t/knn", "dimensionality-reduction", 2022),
    ("ncut", "Normalized Cuts", "clusters/graph", "cluster-learning", 2000),
]


def check(name: str, measured: float | None, **changes: Any) -> dict[str, Any]:
    parts = {"name": name, "seed": 0, "measured": measured, "tolerance": 1e-9, "unit": "relative error"}
    return {**parts, "passed": True, "note": "", **changes}


def method(slug: str, name: str, coordinate: str, family: str, year: int | None) -> dict[str, Any]:
    gap = family == "gap"
    row, column = coordinate.split("/")
    citation = {"key": slug, "authors": "A. Author", "title": "A title", "venue": "A venue 2020"}
    return {
        "slug": slug,
        "name": name,
        "row": row,
        "column": column,
        "coordinate": None,
        "family": family,
        "status": "gap" if gap else "published",
        "year": year,
        "citation": None if gap else {**citation, "doi": "10.1000/182", "arxiv": "2002.05709"},
        "relation": "exact",
        "formula": r"-\log\frac{e^{s_{i}^{+}}}{\sum_{k} e^{s_{ik}}}",
        "reference": f"table/methods/{slug}.py",
        "code": f'import icon\nloss = icon.method("{slug}")\nloss(z, target).backward()',
        "verified": True,
        "checks": [check("value", 3.1e-16), check("gradient", 4.2e-13, seed=1)],
        "peers": [],
        "program": None,
    }


FIGURE = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="990pt" height="300pt" viewBox="0 0 990 300">
<clipPath id="grid"><rect width="990" height="300"/></clipPath><g clip-path="url(#grid)"><text y="20">Panel</text></g>
<script>document.documentElement.remove()</script></svg>"""


def study() -> dict[str, Any]:
    """A study with text, numbers and no value in its table, more than its box can show at once."""
    return {
        "slug": "scan",  # as that of a method, whose address must stay its own
        "title": "Width of the neighbourhood",
        "question": f"How wide? {HOSTILE}",
        "findings": ["Wider is 0.12 better.", "Narrow | wide are equal."],
        "head": ["k", "accuracy", "a heading that is longer than what is under it", *(f"seed {k}" for k in range(12))],
        "body": [["ten", 0.91234, None, *(1e-4 * k for k in range(12))] for _ in range(30)],
        "figures": [FIGURE],
        "caption": "Accuracy by k.",
        "source": "python -m experiments width",
    }


def gallery() -> Gallery:
    """Sixty digits as every cell might place them, in the shape of `experiments.gallery.page_data`."""
    digits = load_digits()
    images, y = digits.images[:N], digits.target[:N]
    plane = PCA(2, random_state=0).fit_transform(digits.data[:N])
    rng = np.random.default_rng(0)
    atlas = np.uint8(16 * images.reshape(6, 10, 8, 8).transpose(0, 2, 1, 3).reshape(48, 80).clip(0, 15))
    png = io.BytesIO()
    Image.fromarray(atlas).save(png, "png")

    def placed() -> str:
        moved = plane + rng.normal(size=plane.shape)
        moved -= moved.min(axis=0)
        return _based(np.uint16(moved / moved.max() * 65535))

    trained: list[Any] = [
        {
            "row": row, "column": column, "kind": "clusters" if row == "clusters" else "map", "places": placed(),
            "clusters": _based(np.uint8(y[::-1])) if row == "clusters" else None,
            "sizes": np.bincount(y).tolist() if row == "clusters" else None, "curve": [3.0, 2.0, 1.5],
            "steps": 300, "mapper": "lookup", "uses_labels": column == "classes", "knn": 0.98, "clustering": 0.4,
            "seconds": 3.1, "seen": f"Groups of {row} and {column} <seen>.",
        }
        for row in ROWS
        for column in COLUMNS
    ]  # fmt: skip

    def slider(knob: str, values: list[float]) -> Any:
        frames = [{"places": placed(), "clusters": None, "knn": value / 10, "clustering": 0.5} for value in values]
        return {"knob": knob, "row": "student-t", "column": "knn", "values": values, "default": 1, "frames": frames}

    return {
        "dataset": "digits",
        "n": N,
        "classes": [str(digit) for digit in range(10)],
        "labels": _based(np.uint8(y)),
        "images": {"width": 8, "height": 8, "columns": 10, "png": b64encode(png.getvalue()).decode()},
        "cells": trained,
        "sliders": [slider("debias", [0, 0.1, 0.5]), slider("walks", [1, 2, 5, 10])],
    }


def _based(numbers: Any) -> str:
    return b64encode(numbers.tobytes()).decode()


def make_table() -> Table:
    """All 45 cells, a method or more of each family, and every state that the views tell apart."""
    methods = {record[0]: method(*record) for record in METHODS}
    methods["simclr"]["peers"] = [
        {"package": "lightly", "status": "agrees", "measured": 1e-12, "tolerance": 1e-6},
        {"package": "openTSNE", "status": "not installed", "measured": None, "tolerance": 1e-6},
    ]
    methods["sne"]["relation"] = HOSTILE
    slope = check("slope", 2.01, expected=2.0, tolerance=0.15, unit="log-log slope")
    methods["cross-entropy"]["checks"].append(slope)
    methods["ncut"].update(verified=False)
    methods["ncut"]["checks"][0].update(measured=float("nan"), passed=False)
    computed = [
        {
            "row": row,
            "column": column,
            "methods": [slug for slug, item in methods.items() if (item["row"], item["column"]) == (row, column)],
            "computes": True,
            "value": 1.2345,
            "gradient_norm": 0.125,
            "seconds": 0.01,
            "error": None,
            "code": cells.snippet(row, column),
        }
        for row in ROWS
        for column in COLUMNS
    ]
    formula = {"formula": r"p(j\mid i)=\mathbb{1}[i=j]", "description": "One line."}
    table: Any = {
        "generated": "2025-01-01T00:00:00",
        "versions": {"icon": "0.1.0"},
        "summary": "synthetic",
        "rows": [
            {"slug": slug, "name": name, **formula, "partition": r"\log\sum_k e^{s_{ik}}", "partition_name": "mean"}
            for slug, name in ROWS.items()
        ],
        "columns": [{"slug": slug, "name": name, **formula, "target": "labels [n]"} for slug, name in COLUMNS.items()],
        "families": [{"slug": slug, "name": name} for slug, name in FAMILIES.items()],
        "cells": computed,
        "methods": list(methods.values()),
        "variants": [
            {
                **method("scan", "SCAN", "clusters/knn", "cluster-learning", 2020),
                "coordinate": "clusters, an entropy beside it",
            }
        ],
        "outside": [{"name": "MAE", "reason": "It reconstructs pixels."}],
        "studies": [study()],
        "gallery": gallery(),
    }
    checked: Table = table
    return checked
