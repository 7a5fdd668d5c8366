"""table.csv: one line for each check and each third witness of each method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from table.page.schema import Method, Table
from table.page.view import is_verified

WITNESS = {"agrees": True, "differs": False, "not installed": None}  # None: not asked, neither passed nor failed


# ``coordinate`` is empty for the methods of the table, whose place row and column say in full.
ABOUT = ("slug", "name", "row", "column", "coordinate", "family", "status", "year", "relation")


def rows(table: Table) -> pd.DataFrame:
    """The numbers behind the table as a frame; ``passed`` is empty where a package is not installed."""
    methods = [m for m in (*table["methods"], *table.get("beyond", [])) if not m.get("unchecked")]
    lines = pd.DataFrame([line for method in methods for line in _lines(method)])
    types: dict[Any, Any] = {"year": "Int64", "seed": "Int64", "passed": "boolean"}
    frame: pd.DataFrame = lines.astype(types)
    return frame


def _lines(method: Method) -> Iterator[dict[str, Any]]:
    about = {key: method.get(key) for key in ABOUT}
    about["verified"] = is_verified(method)
    if not method["checks"] and not method["witnesses"]:
        yield {**about, "kind": "nothing checked"}
    for check in method["checks"]:
        parts = {key: check.get(key) for key in ("seed", "measured", "expected", "tolerance", "unit", "passed", "note")}
        yield {**about, "kind": "check", "check": check["name"], **parts}
    for item in method["witnesses"]:
        yield {
            **about,
            "kind": "witness",
            "check": item["package"],
            "seed": None,
            "measured": item["measured"],
            "expected": None,
            "tolerance": item["tolerance"],
            "unit": "",
            "passed": WITNESS[item["status"]],
            "note": item["status"],
        }
