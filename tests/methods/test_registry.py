"""The table, its records, and losses by name."""

from __future__ import annotations

import inspect
import re
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import icon
from icon.methods.record import citations
from tests import dense
from tests.cases import COLUMNS, COORDINATES, ROWS, N, assert_close, coordinate_input, normal

#: The cells of the table as they are printed; italics (gaps) are in GAPS.
CELLS = {
    ("gaussian", "gaussian"): ["SNE", "X-Sample CL"],
    ("gaussian", "student-t"): ["Dual t-SNE"],
    ("gaussian", "graph"): ["SNE Graph Embeddings"],
    ("gaussian", "knn"): ["SNE with Uniform Affinities", "LGSimCLR"],
    ("gaussian", "pairs"): ["InfoNCE", "SimCLR", "MoCo v3"],
    ("gaussian", "cross-modal"): ["CLIP", "CMC"],
    ("gaussian", "classes"): ["SupCon"],
    ("gaussian", "data-label"): ["Cross-Entropy"],
    ("gaussian-wide", "identity"): ["PCA"],
    ("gaussian-wide", "pairs"): ["VI-Reg"],
    ("gaussian-wide", "cross-modal"): ["Average Margin CLIP"],
    ("gaussian-wide", "classes"): ["Average Margin SupCon"],
    ("gaussian-narrow", "pairs"): ["Triplet Loss"],
    ("gaussian-narrow", "cross-modal"): ["Triplet CLIP"],
    ("gaussian-narrow", "classes"): ["Triplet SupCon"],
    ("gaussian-narrow", "data-label"): ["Error Rate"],
    ("student-t", "gaussian"): ["t-SNE"],
    ("student-t", "student-t"): ["Doubly t-SNE"],
    ("student-t", "graph"): ["t-SNE Graph Embedding"],
    ("student-t", "knn"): ["t-SNE with Uniform Affinities"],
    ("student-t", "pairs"): ["t-SimCNE", "t-SimCLR"],
    ("student-t", "cross-modal"): ["t-CLIP"],
    ("student-t", "classes"): ["t-SupCon"],
    ("student-t", "data-label"): ["Harmonic Loss"],
    ("clusters", "gaussian"): ["K-Means"],
    ("clusters", "student-t"): ["t K-Means"],
    ("clusters", "graph"): ["Normalized Cuts"],
    ("clusters", "knn"): ["DCD"],
    ("clusters", "pairs"): ["InfoNCE Clustering"],
    ("clusters", "classes"): ["Supervised Clustering"],
}
VARIANTS = {
    "barlow-twins", "spectral-contrastive", "mds", "byol", "swav", "dino", "pcl", "debiased-contrastive", "n-pair",
    "line", "deepwalk", "masked-lm", "next-token", "pmi", "temi", "scan", "decoupled-contrastive", "hard-negatives",
    "soft-supcon", "multi-label-supcon", "weighted-cross-entropy", "balanced-softmax", "sampled-softmax",
}  # fmt: skip
GAPS = {
    "dual-tsne", "sne-graph", "average-margin-clip", "average-margin-supcon", "triplet-clip", "triplet-supcon",
    "error-rate", "doubly-tsne", "t-clip", "t-supcon", "t-kmeans", "supervised-clustering",
}  # fmt: skip

#: The third column of the table of methods: every hyper-parameter, with a value that is not the default.
HYPER: dict[str, dict[str, Any]] = {
    "sne": {"perplexity": 5},
    "x-sample": {"temperature": 0.2, "target_temperature": 0.3},
    "dual-tsne": {"dof": 2},
    "sne-graph": {"walks": 2},
    "sne-uniform": {"n_neighbors": 3},
    "lgsimclr": {"n_neighbors": 3, "temperature": 0.2},
    "infonce": {"temperature": 0.2},
    "simclr": {"temperature": 0.2},
    "mocov3": {"temperature": 0.3},
    "clip": {"temperature": 0.2},
    "cmc": {"temperature": 0.2, "graph": "full"},
    "supcon": {"temperature": 0.2},
    "cross-entropy": {"temperature": 2.0, "label_smoothing": 0.1},
    "pca": {},
    "vi-reg": {},
    "average-margin-clip": {},
    "average-margin-supcon": {},
    "triplet": {"margin": 0.5},
    "triplet-clip": {"margin": 0.5},
    "triplet-supcon": {"margin": 0.5},
    "error-rate": {"leak": 0.2},
    "tsne": {"perplexity": 5, "dof": 2},
    "doubly-tsne": {"dof": 2},
    "tsne-graph": {"walks": 2},
    "tsne-uniform": {"n_neighbors": 3},
    "t-simcne": {},
    "t-simclr": {"dof": 2, "scale": 0.5},
    "t-clip": {"dof": 2},
    "t-supcon": {"dof": 2},
    "harmonic": {"exponent": 3},
    "kmeans": {"sigma": 2.0},
    "t-kmeans": {"dof": 2},
    "ncut": {},
    "dcd": {"n_neighbors": 3, "dirichlet": 1.2},
    "infonce-clustering": {},
    "supervised-clustering": {},
}
SMALL = {"sne": {"perplexity": 5}, "tsne": {"perplexity": 5}, "sne-uniform": {"n_neighbors": 5},
         "tsne-uniform": {"n_neighbors": 5}}  # fmt: skip


def call(loss: icon.Loss) -> float:
    case = coordinate_input(str(loss.row), str(loss.column))
    return float(loss(case.input, case.target).detach())


# -- the table --------------------------------------------------------------------------------------------------------


def test_table() -> None:
    table = icon.table()
    assert isinstance(table, pd.DataFrame)
    assert tuple(table.index) == ROWS
    assert tuple(table.columns) == COLUMNS
    for row, column in COORDINATES:
        names = table.loc[row, column].split(" · ")
        assert names[: len(CELLS.get((row, column), []))] == CELLS.get((row, column), names[:0])
    assert int((table != "").sum().sum()) >= len(CELLS)


def test_the_table_is_the_callers() -> None:
    table = icon.table()
    table.loc["gaussian", "gaussian"] = "changed"
    assert icon.table().loc["gaussian", "gaussian"] != "changed"


def test_methods() -> None:
    assert [m.in_table for m in icon.methods()] == sorted((m.in_table for m in icon.methods()), reverse=True)
    methods = [m for m in icon.methods() if m.in_table]
    assert {m.slug for m in methods} >= set(HYPER)
    assert {m.slug for m in methods if m.status == "gap"} >= GAPS
    assert len({m.name for m in icon.methods()}) == len({m.slug for m in icon.methods()}) == len(icon.methods())
    order = [(ROWS.index(m.row), COLUMNS.index(m.column)) for m in methods]
    assert order == sorted(order)


def test_variants() -> None:
    variants = [m for m in icon.methods() if not m.in_table]
    assert {m.slug for m in variants} >= VARIANTS
    assert all(m.status == "published" for m in variants)


@pytest.mark.parametrize("record", icon.methods(), ids=lambda m: m.slug)
def test_record(record: icon.Method) -> None:
    assert (record.name in icon.table().loc[record.row, record.column].split(" · ")) == record.in_table
    assert record.relation
    assert re.fullmatch(r"[a-z0-9-]+", record.slug)
    if record.status == "gap":
        assert record.family == "gap"
        assert record.citation is None
        assert record.year is None
        return
    families = {"dimensionality-reduction", "cluster-learning", "unimodal-ssl", "multimodal-ssl", "supervised"}
    assert record.family in families
    citation = record.citation
    assert citation is not None
    assert re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", citation.key)
    assert str(citation.year) in citation.key
    assert record.year == citation.year
    assert 1900 < citation.year <= 2026
    assert citation.authors
    assert citation.title
    assert citation.venue
    if citation.arxiv:
        assert re.fullmatch(r"\d{4}\.\d{4,5}", citation.arxiv)
        assert int(citation.arxiv[:2]) + 2000 <= citation.year
    if citation.doi:
        assert re.fullmatch(r"10\.\d{4,}/\S+", citation.doi)
    # NeurIPS 2002 and 2016, JMLR 2003 and 2008 and a 1967 symposium have neither.
    without = {"sne", "tsne", "kmeans", "n-pair", "next-token"}
    assert citation.doi or citation.arxiv or record.slug in without
    assert citation.bibtex().startswith(f"@misc{{{citation.key},")


# -- losses by name and by coordinate ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", HYPER)
def test_every_method_computes_with_its_defaults(slug: str) -> None:
    value = call(icon.method(slug, **SMALL.get(slug, {})))
    assert np.isfinite(value)


@pytest.mark.parametrize("slug", HYPER)
def test_every_hyper_parameter_is_accepted_and_read(slug: str) -> None:
    plain = call(icon.method(slug, **SMALL.get(slug, {})))
    for name, value in HYPER[slug].items():
        if SMALL.get(slug) == {name: value} or (slug, name) == ("cmc", "graph"):
            continue
        changed = call(icon.method(slug, **(SMALL.get(slug, {}) | {name: value})))
        assert changed != plain, f"{name} is accepted and not read"
    assert np.isfinite(call(icon.method(slug, **HYPER[slug])))


@pytest.mark.parametrize("slug", HYPER)
def test_printed_names_find_the_method(slug: str) -> None:
    record = next(m for m in icon.methods() if m.slug == slug)
    for name in (record.name, record.name.upper(), slug.upper()):
        assert repr(icon.method(name)) == repr(icon.method(slug))
    assert record.name in repr(icon.method(slug))
    loss = icon.method(slug)
    assert (loss.row, loss.column) == (record.row, record.column)


@pytest.mark.parametrize(("row", "column"), COORDINATES)
def test_every_coordinate_gives_a_working_loss(row: str, column: str) -> None:
    case = coordinate_input(row, column)
    hyper = {"perplexity": 5} if column == "gaussian" else {"n_neighbors": 5} if column == "knn" else {}
    loss = icon.loss(row, column, **hyper)
    assert (loss.row, loss.column) == (row, column)
    value = loss(case.input, case.target)
    value.backward()
    assert torch.isfinite(value)
    assert all(leaf.grad is not None and torch.isfinite(leaf.grad).all() for leaf in case.leaves)


def test_the_readme_example_is_one_loss() -> None:
    z, ids = normal(N, 3), np.arange(N) // 2
    by_cell, by_name = icon.loss("gaussian", "pairs", temperature=0.1), icon.method("simclr", temperature=0.1)
    assert torch.equal(by_cell(z, ids), by_name(z, ids))


def test_pca_needs_no_target() -> None:
    z = normal(N, 3)
    assert_close(icon.method("pca")(z), -2 * z.var(dim=0, correction=0).sum())


def test_operations_by_keyword() -> None:
    case = coordinate_input("student-t", "knn")
    loss = icon.loss("student-t", "knn", n_neighbors=4, walks=2, debias=0.3)
    p = dense.p_knn(case.target, 4)
    p = dense.debiased((p + p @ p) / 2, 0.3, dense.everyone(N))
    scores = dense.student_t_scores(case.anchors, case.anchors, 1.0)
    assert_close(loss(case.input, case.target), dense.row_kl(scores, p, dense.everyone(N)).mean())
    union = icon.loss("student-t", "knn", n_neighbors=4, symmetrize="union")
    assert "symmetrize('union')" in repr(union)


# -- repr -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (icon.Loss(icon.p.Gaussian(perplexity=30), icon.q.StudentT(), normalization="joint"), "t-SNE"),
        (icon.Loss(icon.p.Gaussian(perplexity=30), icon.q.StudentT()), "t-SNE"),
        (icon.Loss(icon.p.Gaussian(perplexity=30), icon.q.Gaussian(sigma=0.5**0.5)), "SNE"),
        (icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.5)), "SimCLR"),
        (icon.Loss(icon.p.Pairs(), icon.q.Gaussian(temperature=0.5, detach_candidates=True)), "MoCo v3"),
        (icon.Loss(icon.p.CrossModal(), icon.q.Gaussian(temperature=0.07)), "CLIP"),
        (icon.Loss(icon.p.Classes(), icon.q.Gaussian(temperature=0.07)), "SupCon"),
        (icon.Loss(icon.p.DataLabel(), icon.q.Gaussian("dot")), "Cross-Entropy"),
        (icon.Loss(icon.p.DataLabel(), icon.q.StudentT(scale=0, exponent=1.0)), "Harmonic Loss"),
        (icon.Loss(icon.p.Identity(), icon.q.Gaussian(partition="mean")), "PCA"),
        (icon.Loss(icon.p.KNN(10), icon.q.Clusters()), "DCD"),
        (icon.Loss(icon.p.Pairs(), icon.q.Clusters()), "InfoNCE Clustering"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_repr_of_parts_names_the_method(loss: icon.Loss, name: str) -> None:
    assert re.match(rf"Loss\([^:]*\b{re.escape(name)}\b", repr(loss))


def test_repr_of_what_has_no_name() -> None:
    assert repr(icon.loss("clusters", "identity")).startswith("Loss(unnamed: clusters x identity")
    assert repr(icon.Loss(icon.p.Precomputed(), icon.q.StudentT())).startswith("Loss(unnamed: student-t x custom")
    second = icon.q.Gaussian("dot", partition="second-order", temperature=1.0)
    assert repr(icon.Loss(icon.p.Pairs(), second)).startswith("Loss(unnamed: gaussian-wide x pairs")


def test_repr_shows_what_differs_from_the_defaults() -> None:
    loss = icon.Loss(icon.p.KNN(5).debias(0.2), icon.q.StudentT(dof=2), reduction="sum", divergence="js", block=7)
    text = repr(loss)
    for part in (
        "KNN(n_neighbors=5).debias(0.2)",
        "StudentT(dof=2.0)",
        "reduction='sum'",
        "divergence='js'",
        "block=7",
    ):
        assert part in text


# -- names that do not exist ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: icon.method("simclear"), r"^method: got 'simclear' \(did you mean 'simclr'"),
        (lambda: icon.method("tsen"), r"^method: got 'tsen' \(did you mean .*'tsne'"),
        (lambda: icon.loss("gausian", "pairs"), r"^row: got 'gausian' \(did you mean 'gaussian'"),
        (lambda: icon.loss("gaussian", "pair"), r"^column: got 'pair' \(did you mean 'pairs'"),
        (lambda: icon.loss("tsne", "student t"), r"^row: got 'tsne'"),
        (lambda: icon.loss("student-t", "student t"), r"^column: got 'student t' \(did you mean 'student-t'"),
        (lambda: icon.loss("Student-T", "nearest"), r"^row: got 'Student-T' \(did you mean 'student-t'"),
        (lambda: icon.loss("gaussian", "pairs", metric="cosin"), r"^metric: got 'cosin' \(did you mean 'cosine'"),
    ],
)
def test_unknown_names_suggest_the_nearest(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "expected one of" in str(caught.value)


def test_unknown_hyper_parameters_name_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"^temprature: unknown hyper-parameter .* expected one of .*temperature"):
        icon.loss("gaussian", "pairs", temprature=0.1)
    with pytest.raises(TypeError, match=r"^perplexity: unknown hyper-parameter"):
        icon.method("simclr", perplexity=30)
    with pytest.raises(ValueError, match=r"^window: got 0, expected an integer >= 1"):
        icon.method("deepwalk", window=0)
    with pytest.raises(TypeError, match=r"^label_smoothing: unknown"):
        icon.method("harmonic", label_smoothing=0.1)


# -- a new method -----------------------------------------------------------------------------------------------------

#: Ten lines of a user's file.
NEW = icon.Method(
    "plain-spectral", "Plain Spectral", "gaussian-wide", "pairs", "unimodal-ssl",
    "exact: reference / 2 on centred features",
    icon.Citation(
        "haochen2021spectral", "HaoChen, Wei, Gaidon, Ma", 2021,
        "Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss", "NeurIPS",
        arxiv="2106.04156",
    ),
    {"partition": "second-order", "metric": "dot", "temperature": 1.0},
)  # fmt: skip


@pytest.mark.usefixtures("registry")
def test_a_new_method_is_one_record() -> None:
    before = len(icon.methods())
    icon.register(NEW)
    assert len(icon.methods()) == before + 1
    assert icon.table().loc["gaussian-wide", "pairs"] == "VI-Reg · Plain Spectral"
    z = normal(N, 3)
    z = z - z.mean(dim=0)
    loss = icon.method("plain-spectral", exclude_self=False)
    expected = -(z[::2] * z[1::2]).sum(dim=1).mean() + (z @ z.T).square().mean() / 2
    assert_close(loss(z, np.arange(N) // 2), expected)
    assert "Plain Spectral" in repr(loss)
    with pytest.raises(ValueError, match=r"^slug: got 'plain-spectral', which is registered"):
        icon.register(NEW)


def test_and_it_is_gone_after_the_test() -> None:
    assert "plain-spectral" not in {m.slug for m in icon.methods()}


@pytest.mark.usefixtures("registry")
def test_a_record_needs_a_coordinate_of_the_table() -> None:
    with pytest.raises(ValueError, match=r"^row: got 'no-row'"):
        icon.register(icon.Method("x", "X", "no-row", "pairs", "gap", "none"))
    with pytest.raises(ValueError, match=r"^column: got 'triples'"):
        icon.register(icon.Method("x", "X", "gaussian", "triples", "gap", "none"))
    assert "x" not in {m.slug for m in icon.methods()}


@pytest.mark.usefixtures("registry")
def test_a_record_with_the_printed_name_of_another_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        icon.register(icon.Method("my-clip", "CLIP", "gaussian", "cross-modal", "gap", "none"))


# -- the public surface -----------------------------------------------------------------------------------------------


def test_public_names() -> None:
    for name in ("loss", "method", "table", "methods", "Loss", "Terms", "Rows", "register", "Method", "Citation"):
        assert hasattr(icon, name), name
    for name in ("Precomputed", "Gaussian", "StudentT", "Identity", "Graph", "KNN", "Pairs", "CrossModal", "Classes",
                 "DataLabel"):  # fmt: skip
        p = getattr(icon.p, name)
        assert all(callable(getattr(p, method)) for method in ("walks", "debias", "symmetrize", "mix"))
    for name in ("Gaussian", "StudentT", "Clusters", "Kernel"):
        assert issubclass(getattr(icon.q, name), torch.nn.Module)


def test_signature_of_the_loss() -> None:
    parameters = inspect.signature(icon.Loss).parameters
    defaults = {
        "normalization": "row", "divergence": "kl", "reduction": "mean", "on_no_positive": "skip",
        "anchor_weights": None, "block": None,
    }  # fmt: skip
    assert {name: parameters[name].default for name in defaults} == defaults
    assert list(parameters)[:2] == ["p", "q"]


# -- parts of one's own -----------------------------------------------------------------------------------------------


def test_the_bibliography_is_read_as_it_is_written() -> None:
    text = (resources.files("icon.methods") / "references.bib").read_text(encoding="utf-8")
    assert len(citations()) == text.count("\n@") + 1
    assert citations()["hinton2002sne"].authors == "Hinton, Roweis"
    assert citations()["hinton2002sne"].venue == "NeurIPS 15"
    assert {m.citation.key for m in icon.methods() if m.citation} >= set(citations())


def test_the_former_name_of_on_no_positive() -> None:
    with pytest.warns(DeprecationWarning, match="empty is now on_no_positive"):
        loss = icon.loss("gaussian", "classes", empty="zero")
    assert loss.on_no_positive == "zero"


def test_a_given_operation_replaces_the_methods_own() -> None:
    assert repr(icon.method("deepwalk", walks=3).p) == "Graph().walks(3)"
    assert repr(icon.method("deepwalk", walks=1).p) == "Graph()"
    assert repr(icon.method("sne-graph", walks=2, symmetrize="average").p) == "Graph().symmetrize('average').walks(2)"
    assert repr(icon.method("cross-entropy", label_smoothing=0.2, debias=0.1).p) == "DataLabel().debias(0.1)"
    assert icon.method("kmeans", metric="cosine", temperature=0.3).p == icon.p.Gaussian(
        metric="cosine", temperature=0.3, exclude_self=False
    )
    with pytest.raises(TypeError, match=r"^partition: got 'mean', which is of another row"):
        icon.method("triplet", partition="mean")


@pytest.mark.usefixtures("registry")
def test_records_without_a_factory_pass_on_all_that_is_given() -> None:
    icon.register(icon.Method("nt", "Nt", "gaussian", "pairs", "gap", "none"))
    assert icon.method("nt", metric="dot").q.scale == 1.0


@pytest.mark.usefixtures("registry")
def test_factories_may_build_a_subclass_and_need_defaults() -> None:
    class Twice(icon.Loss):
        def forward(self, *arguments: Any, **named: Any) -> torch.Tensor:
            return 2 * super().forward(*arguments, **named)

    @icon.register_method("twice", "Twice", cell=("gaussian", "pairs"), family="gap", relation="none", variant="twice")
    def twice(temperature: float = 0.1) -> icon.Loss:
        return Twice(icon.p.Pairs(), icon.q.Gaussian(temperature=temperature))

    z, ids = normal(N, 3), np.arange(N) // 2
    assert_close(icon.method("twice")(z, ids), 2 * icon.method("simclr")(z, ids))
    with pytest.raises(ValueError, match=r"^needed: got a hyper-parameter without a default"):

        @icon.register_method("needed", "Needed", cell=("gaussian", "pairs"), family="gap", relation="none")
        def needed(temperature: float) -> icon.Loss:
            return twice(temperature)


def test_names_of_methods_whose_hyper_parameters_have_other_names() -> None:
    loss = icon.Loss(icon.p.KNN(5), icon.q.Clusters(log_prior=0.1))
    assert repr(loss).startswith("Loss(DCD:")
    walked = icon.Loss(icon.p.Graph().walks(4), icon.q.Gaussian("dot", temperature=1.0), anchor_weights="stationary")
    assert repr(walked).startswith("Loss(DeepWalk:")


def test_the_former_name_of_on_no_positive_elsewhere() -> None:
    loss = icon.method("simclr")
    with pytest.warns(DeprecationWarning, match="empty is now on_no_positive"):
        assert loss.empty == "skip"
    with pytest.warns(DeprecationWarning, match="empty is now on_no_positive"):
        assert loss.replace(empty="zero").on_no_positive == "zero"
    with pytest.raises(AttributeError):
        loss.empty = "zero"  # type: ignore[misc]
