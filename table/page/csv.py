"""table.csv: one line for each check and each other implementation of each method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from table.page.schema import Method, Table
from table.page.view import checked, is_verified

# ``coordinate`` is empty for the methods of the table, whose place row and column say in full.
ABOUT = ("slug", "name", "row", "column", "coordinate", "family", "status", "year", "relation")
RESULT = ("kind", "check", "seed", "measured", "expected", "tolerance", "unit", "passed", "note")
PASSED = {"agrees": True, "differs": False, "not installed": None}  # None: not compared, neither passed nor failed


def rows(table: Table) -> pd.DataFrame:
    """The numbers behind the table as a frame; ``passed`` is empty where a package is not installed."""
    lines = [
        {**result, **method, "verified": is_verified(method)}
        for method in checked(table["methods"] + table["variants"])
        for result in _results(method)
    ]
    types: dict[Any, Any] = {"year": "Int64", "seed": "Int64", "passed": "boolean"}
    return pd.DataFrame(lines, columns=[*ABOUT, "verified", *RESULT]).astype(types)


def _results(method: Method) -> Iterator[dict[str, Any]]:
    if not method["checks"] and not method["peers"]:
        yield {"kind": "nothing checked"}
    for check in method["checks"]:
        yield {**check, "kind": "check", "check": check["name"]}
    for check in method["program"]["checks"] if method["program"] else []:
        yield {**check, "kind": "authors' program", "check": check["name"]}
    for item in method["peers"]:
        about = {"kind": "peer", "check": item["package"], "unit": "", "note": item["status"]}
        yield {**item, **about, "passed": PASSED[item["status"]]}
