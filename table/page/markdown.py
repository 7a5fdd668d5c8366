"""table.md: the grid, and a line of measured numbers for each method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from table.page.schema import Method, Table
from table.page.templating import fill
from table.page.view import Counts, Index, entry, number, peer, program, tolerance, verdict, worst

MARKS = {True: "✓", False: "✗ **not verified**", None: "– (not checked)"}
HEAD = ("Method", "Coordinate", "Relation", "Check", "Measured", "Required", "Authors' program",
        "Other implementations", "Verified")  # fmt: skip


def sheet(head: Sequence[str], lines: Iterable[Sequence[str | float | None]]) -> str:
    """A Markdown table; text stays as it is, apart from the bars, which would end a cell."""
    body = [[entry(value).replace("|", "\\|") for value in line] for line in lines]
    return str(pd.DataFrame(body, columns=list(head)).to_markdown(index=False, disable_numparse=True))


def render(table: Table) -> str:
    """The whole document."""
    index = Index(table)
    grid = [
        [f"**{row['name']}**", *(_cell(index, row["slug"], column["slug"]) for column in table["columns"])]
        for row in table["rows"]
    ]
    names = ["", *(column["name"] for column in table["columns"])]
    sheets = {part: sheet(HEAD, (_line(index, method) for method in table[part])) for part in ("methods", "variants")}
    return fill("table.md", table=table, counts=Counts(table), grid=sheet(names, grid), sheet=sheet, **sheets) + "\n"


def _cell(index: Index, row: str, column: str) -> str:
    if not index.cells[row, column]["computes"]:
        return "✗ **does not compute**"
    return " · ".join(map(_name, index.methods_at(row, column))) or "–"


def _name(method: Method) -> str:
    name = f"*{method['name']}*" if method["status"] == "gap" else method["name"]
    return f"{name} {MARKS[verdict(method)]}"


def _line(index: Index, method: Method) -> list[str]:
    check = worst(method["checks"])
    measured = [check["name"], number(check["measured"]), tolerance(check)] if check else ["none", "–", "–"]
    peers = "<br>".join(map(peer, method["peers"])) or "–"
    authors = method["program"]
    theirs = f"[{program(method)}]({authors['url']})" if authors and authors["url"] else program(method)
    return [method["name"], index.place(method), method["relation"], *measured, theirs, peers, MARKS[verdict(method)]]
