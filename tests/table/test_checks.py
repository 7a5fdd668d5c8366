"""Every check of the table, and the checks themselves: a reference that is off by a millionth must fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer import Exit

import icon
from icon.methods.axes import COLUMNS, ROWS
from table import peers, run
from table.__main__ import main
from table.checks import Bound, Exact, Limit, Minimiser, Number
from table.data import sample
from table.methods import module_of
from table.page.schema import Table
from table.run import CHECKS

SLUGS = [m.slug for m in icon.methods()]
EXACTS = [(slug, k) for slug, checks in CHECKS.items() for k, c in enumerate(checks) if isinstance(c, Exact)]
LIMITS = [(slug, k) for slug, checks in CHECKS.items() for k, c in enumerate(checks) if isinstance(c, Limit)]
#: How each method compares with its authors' own program, where they published one.
PROGRAMS: dict[str, Any] = {s: module_of(s).PROGRAM for s in SLUGS if hasattr(module_of(s), "PROGRAM")}  # type: ignore
BOUNDS = [(slug, k) for slug, checks in CHECKS.items() for k, c in enumerate(checks) if isinstance(c, Bound)]
MINIMISERS = [(slug, k) for slug, checks in CHECKS.items() for k, c in enumerate(checks) if isinstance(c, Minimiser)]
#: Whose reference goes through the pairs one by one, or through twenty thousand rounds.
LONG = {
    "average-margin-clip", "average-margin-supcon", "doubly-tsne", "dual-tsne", "sne-graph", "supervised-clustering",
    "swav", "t-clip", "t-kmeans", "t-supcon", "triplet-clip", "triplet-supcon",
}  # fmt: skip


def slow(cases: list[Any], long: set[str]) -> list[Any]:
    """The cases, each a slug or a slug and more, of which those of the long slugs are marked as slow."""
    each = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=[pytest.mark.slow] if case[0] in long else []) for case in each]


def failed(results: list[Any]) -> list[str]:
    return [
        f"{r['name']}: {r['measured']} (tolerance {r['tolerance']}) {r['note']}" for r in results if not r["passed"]
    ]


@pytest.mark.parametrize("slug", slow(SLUGS, LONG - {"t-supcon", "triplet-clip"}))
def test_every_method_is_verified(slug: str) -> None:
    results = [result for c in CHECKS[slug] if not isinstance(c, Minimiser) for result in c.run(sample(0))]
    assert results
    assert not failed(results)


@pytest.mark.parametrize(("slug", "k"), slow(MINIMISERS, {"ncut", "kmeans"}))
def test_every_minimum_is_found(slug: str, k: int) -> None:
    results = CHECKS[slug][k].run(sample(0))
    assert results
    assert not failed(results)


def test_every_method_has_a_check_of_its_own() -> None:
    assert set(CHECKS) == set(SLUGS)
    assert all(any(not isinstance(c, Minimiser) for c in checks) for checks in CHECKS.values())


@pytest.mark.parametrize("slug", PROGRAMS)
def test_every_program_of_authors_agrees(slug: str) -> None:
    assert callable(module_of(slug).program)  # type: ignore[union-attr]
    results = PROGRAMS[slug].run(sample(0))
    assert results
    assert not [f"{r['name']}: {r['measured']} (tolerance {r['tolerance']})" for r in results if not r["passed"]]


def test_every_method_with_a_program_is_compared_with_it() -> None:
    assert set(PROGRAMS) == {m.slug for m in icon.methods() if m.program is not None and m.program.repository}


@pytest.mark.parametrize("slug", [slug for slug, check in PROGRAMS.items() if isinstance(check, Exact)])
def test_a_program_off_by_a_millionth_fails(slug: str) -> None:
    check = PROGRAMS[slug]
    off = replace(check, reference=lambda *a: check.reference(*a) * (1 + 1e-6))
    assert not any(result["passed"] for result in off.run(sample(0)))


@pytest.mark.parametrize(("slug", "k"), slow(EXACTS, LONG))
def test_a_reference_off_by_a_millionth_fails(slug: str, k: int) -> None:
    check = CHECKS[slug][k]
    assert isinstance(check, Exact)
    off = replace(check, reference=lambda *a: check.reference(*a) * (1 + 1e-6), gradient=None)
    value, derivative = off.run(sample(0))
    assert not value["passed"]
    assert not derivative["passed"]


@pytest.mark.parametrize(
    ("slug", "k"),
    slow([(s, k) for s, k in EXACTS if CHECKS[s][k].gradient is not None], LONG),  # type: ignore[union-attr]
)
def test_a_gradient_off_by_a_millionth_fails(slug: str, k: int) -> None:
    check = CHECKS[slug][k]
    assert isinstance(check, Exact)
    assert check.gradient is not None
    closed = check.gradient
    off = replace(check, gradient=lambda *a: tuple(g * (1 + 1e-6) for g in closed(*a)))
    by_name = {result["name"]: result["passed"] for result in off.run(sample(0))}
    assert by_name.pop("gradient") is False
    assert all(by_name.values())


@pytest.mark.parametrize(("slug", "k"), LIMITS)
def test_a_limit_of_another_value_fails(slug: str, k: int) -> None:
    check = CHECKS[slug][k]
    assert isinstance(check, Limit)
    (result,) = replace(check, reference=lambda s: check.reference(s) + 1.0).run(sample(0))
    assert not result["passed"]


@pytest.mark.parametrize(("slug", "k"), BOUNDS)
def test_a_bound_on_another_value_fails(slug: str, k: int) -> None:
    check = CHECKS[slug][k]
    assert isinstance(check, Bound)
    (result,) = replace(check, reference=lambda s: check.reference(s) + 0.1).run(sample(0))
    assert not result["passed"]


def test_nan_fails() -> None:
    (result,) = Number("nothing", lambda s: float("nan")).run(sample(0))
    assert not result["passed"]


@pytest.mark.parametrize("slug", slow(SLUGS, {"swav"}))
def test_references_use_nothing_of_icon(slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reference computes while the engine refuses to."""

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError(f"the reference of {slug} asked the engine")

    for name in ("method", "loss", "Loss", "sinkhorn"):
        monkeypatch.setattr(icon, name, refuse)
    monkeypatch.setattr("icon.core.loss.Loss.forward", refuse)
    s = sample(0)
    for check in [*CHECKS[slug], PROGRAMS.get(slug)]:
        if isinstance(check, Exact):
            check.reference(s, *(getattr(s, name) for name in check.wrt))
        elif isinstance(check, (Limit, Bound)):
            check.reference(s)


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if hasattr(module_of(slug), "PEERS")])
def test_peers_agree_or_are_absent(slug: str) -> None:
    for found in peers.compared(slug, sample(0)):
        assert found["status"] in ("agrees", "not installed"), found


def test_a_missing_package_is_not_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = peers.Package("nothing", "no_such_package", lambda s: 0.0)
    monkeypatch.setattr(module_of("simclr"), "PEERS", (absent,))
    (found,) = peers.compared("simclr", sample(0))
    assert found["status"] == "not installed"
    assert found["measured"] is None


@pytest.mark.slow
def test_the_command_computes_every_cell_and_writes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "CELL_POINTS", 200)
    with pytest.raises(Exit) as stop:
        main(only=["simclr", "t-SNE"], no_peers=True, out=tmp_path)
    assert stop.value.exit_code == 0
    cells = len(ROWS) * len(COLUMNS)
    expected = f"2 of 2 methods verified, {cells} of {cells} cells compute"
    assert capsys.readouterr().out.rstrip().splitlines()[-1] == expected
    for name in ("table.csv", "table.json", "table.md", "table.svg", "table.pdf", "table.png", "index.html"):
        assert (tmp_path / name).stat().st_size > 1000, name
    table: Table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert len(table["cells"]) == cells
    for cell in table["cells"]:
        assert cell["computes"], cell
        assert cell["gradient_norm"] is not None
        # Against itself the nearest candidate is the positive: that loss is zero whatever the embedding.
        assert (cell["gradient_norm"] > 0) != ((cell["row"], cell["column"]) == ("gaussian-narrow", "identity")), cell
    named = {(m.row, m.column) for m in icon.methods() if m.in_table}
    assert {(cell["row"], cell["column"]) for cell in table["cells"] if cell["methods"]} == named


@pytest.mark.slow
def test_a_failure_is_named_with_its_size_and_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check = CHECKS["simclr"][0]
    assert isinstance(check, Exact)
    off = replace(check, reference=lambda *a: check.reference(*a) * 1.5, gradient=None)
    monkeypatch.setitem(CHECKS, "simclr", [off])
    monkeypatch.setattr(run, "CELL_POINTS", 60)
    table = run.regenerate(["simclr"], peers=False)
    assert table["summary"].startswith("0 of 1 methods verified")
    lines = run.failures(table)
    assert any("simclr, seed 0, cross-entropy: relative error 0.33" in line for line in lines), lines
    monkeypatch.setattr(run, "regenerate", lambda *a, **k: table)
    with pytest.raises(Exit) as stop:
        main(only=["simclr"], out=tmp_path)
    assert stop.value.exit_code == 1


def test_a_check_that_raises_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(s: object) -> float:
        raise ValueError("no such thing")

    monkeypatch.setitem(CHECKS, "simclr", [Number("broken", broken)])
    result = run.verify(next(m for m in icon.methods() if m.slug == "simclr"), peers=False)
    assert not result["verified"]
    assert "no such thing" in result["checks"][0]["note"]


@pytest.mark.parametrize(
    ("only", "folder", "words"), [("simcrl", "out", ("simcrl", "simclr")), ("simclr", "file/x", ())]
)
def test_unknown_names_and_folders_exit_with_2(
    only: str, folder: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Exit) as stop:
        main(only=[only], out=tmp_path / folder)
    assert stop.value.exit_code == 2
    said = capsys.readouterr().err.strip()
    assert all(word in said for word in words)
    assert len(said.splitlines()) == 1
