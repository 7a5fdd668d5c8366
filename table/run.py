"""Regenerate the table: compute every cell, verify every method, and write what was found."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Callable, Collection, Iterable
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import icon
from icon.methods.axes import COLUMNS, ROWS
from icon.methods.program import Program as AuthorsProgram
from icon.methods.record import FAMILIES, Method
from table import cells, studies, texts
from table.data import sample
from table.methods import module_of, path_of
from table.page import csv, figure, html, markdown
from table.page.schema import Check, Citation, Program, Table
from table.page.schema import Method as MethodResult
from table.page.view import Counts, all_checks, checked, is_verified
from table.peers import compared

SEEDS = (0, 1)
#: The checks of each method, by its slug.
CHECKS = {m.slug: module.CHECKS for m in icon.methods() if (module := module_of(m.slug)) is not None}
CELL_POINTS = 1796  # the digits, less one: instances come in pairs


def regenerate(
    slugs: Collection[str],
    peers: bool = True,
    tick: Callable[[str], None] = lambda what: None,
    with_studies: bool = False,
) -> Table:
    """All cells and the checks of methods.

    Args:
        slugs: of the methods to check.
        peers: whether other packages are compared with.
        tick: called with the name of each step.
        with_studies: whether the studies are measured and read.
    """
    whole = sample(0, CELL_POINTS)
    computed = []
    for row, column in product(ROWS, COLUMNS):
        tick(f"{row} x {column}")
        computed.append(cells.compute(row, column, whole))
    verified: dict[bool, list[MethodResult]] = {True: [], False: []}
    for method in icon.methods():
        if method.slug in slugs:
            tick(method.name)
            verified[method.in_table].append(verify(method, peers))
        else:
            verified[method.in_table].append({**_record(method), "unchecked": True})
    table: Table = {
        "generated": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": {"icon": icon.__version__, "python": platform.python_version()}
        | {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")},
        "summary": "",  # counted below, when all that it counts is there
        "rows": list(map(texts.row, ROWS)),
        "columns": list(map(texts.column, COLUMNS)),
        "families": [{"slug": slug, "name": name} for slug, name in FAMILIES.items()],
        "cells": computed,
        "methods": verified[True],
        "variants": verified[False],
        "outside": [{"name": name, "reason": reason} for name, reason in texts.TEXTS["outside"].items()],
        "studies": studies.studies() if with_studies else [],
        "gallery": studies.gallery(),
    }
    table["summary"] = Counts(table).summary
    return table


def verify(method: Method, peers: bool = True) -> MethodResult:
    """The checks of one method for every seed, and the packages that implement it."""
    record = _record(method)
    record["checks"] = _results(CHECKS.get(method.slug, []))
    record["peers"] = compared(method.slug, sample(0)) if peers else []
    if record["program"] is not None and (check := getattr(module_of(method.slug), "PROGRAM", None)) is not None:
        record["program"]["checks"] = _results([check])
    return {**record, "verified": is_verified({**record, "verified": True})}


def _record(method: Method) -> MethodResult:
    """What the table says of a method before anything is checked."""
    cited: Citation | None = None
    if (c := method.citation) is not None:
        cited = {"key": c.key, "authors": c.authors, "title": c.title, "venue": c.venue, "doi": c.doi, "arxiv": c.arxiv}
    return {
        "slug": method.slug,
        "name": method.name,
        "row": method.row,
        "column": method.column,
        "coordinate": method.coordinate or None,
        "family": method.family,
        "status": "gap" if cited is None else "published",
        "year": method.year,
        "citation": cited,
        "relation": method.relation,
        "formula": getattr(module_of(method.slug), "FORMULA", ""),
        "reference": path_of(method.slug),
        "code": cells.code(method.row, method.column, method.slug),
        "verified": False,
        "checks": [],
        "peers": [],
        "program": _program(method),
    }


def _program(method: Method) -> Program | None:
    """What is known of the authors' program, before it is checked."""
    if method.citation is None:
        return None
    known = method.program or AuthorsProgram(of="")
    return {
        "repository": known.repository or None,
        "path": known.path,
        "commit": known.commit,
        "url": known.url,
        "call": known.call,
        "factor": known.factor,
        "settings": ", ".join(f"{name}={value!r}" for name, value in known.settings.items()),
        "differs": known.differs,
        "traps": list(known.traps),
        "checks": [],
    }


def _results(checks: Iterable[Any]) -> list[Check]:
    """What checks give on the sample of every seed; a check that raises is a failed one that says why."""
    results: list[Check] = []
    for seed, check in product(SEEDS, checks):
        try:
            results += check.run(sample(seed))
        except Exception as error:  # reported in the table with the method's name
            note = f"{type(error).__name__}: {error}"
            results.append({"name": "check", "seed": seed, "measured": None, "tolerance": 0.0, "unit": "",
                            "passed": False, "note": note})  # fmt: skip
    return results


def failures(table: Table) -> list[str]:
    """What failed and by how much, a line each."""
    lines = [f"cell {c['row']} x {c['column']}: {c['error']}" for c in table["cells"] if not c["computes"]]
    for method in checked(table["methods"] + table["variants"]):
        if not method["checks"]:
            lines.append(f"{method['slug']}: no check, expected CHECKS in {method['reference']}")
        for check in all_checks(method):
            if not check["passed"]:
                expected = "" if check.get("expected") is None else f" (expected {check['expected']:g})"
                lines.append(
                    f"{method['slug']}, seed {check['seed']}, {check['name']}: {check['unit']} {check['measured']}"
                    f"{expected}, tolerance {check['tolerance']:g}. {check['note']}"
                )
        for seen in method["peers"]:
            if seen["status"] == "differs":
                lines.append(f"{method['slug']}, peer {seen['package']}: differs by {seen['measured']:.2e}")
    return lines


def write(table: Table, out: Path, marked: Collection[str] = ()) -> list[Path]:
    """Every view of the table, and a page for each study, in a folder; the pictures outline the marked methods."""
    out.mkdir(parents=True, exist_ok=True)
    csv.rows(table).to_csv(out / "table.csv", index=False)
    (out / "table.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown.render(table), encoding="utf-8")
    (out / "index.html").write_text(html.render(table), encoding="utf-8")
    for study in table["studies"]:
        page = out / "studies" / f"{study['slug']}.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(html.render_study(study), encoding="utf-8")
    figure.draw(table, out, marked)
    names = ["table.csv", "table.json", "table.md", "table.svg", "table.pdf", "table.png", "index.html"]
    return [out / name for name in [*names, *(["studies"] if table["studies"] else [])]]
