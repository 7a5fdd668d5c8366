"""table.md: the grid, and a line of measured numbers for each method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from table.page.schema import Method, Study, Table
from table.page.view import Counts, Index, entry, number, peer, program, provenance, tolerance, verdict, worst

MARKS = {True: "✓", False: "✗ **not verified**", None: "– (not checked)"}
HEAD = ("Method", "Coordinate", "Relation", "Check", "Measured", "Required", "Authors' program",
        "Other implementations", "Verified")  # fmt: skip


def sheet(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; text stays as it is, apart from the bars, which would end a cell."""
    body = [[text.replace("|", "\\|") for text in line] for line in lines]
    return str(pd.DataFrame(body, columns=list(head)).to_markdown(index=False, disable_numparse=True))


def render(table: Table) -> str:
    """The whole document."""
    index, counts = Index.of(table), Counts.of(table)
    parts = [
        "# The periodic table of representation learning",
        f"{counts.sentence()}.",
        *([counts.footnote] if counts.caveats else []),
        "A row is a learned q and a column a supervisory p. *Italic* marks a gap, which nobody published; – marks a "
        "cell without a name.",
        sheet(["", *(column["name"] for column in table["columns"])], _grid(table, index)),
        "## Methods",
        "Each line shows the check that came closest to its tolerance. Of the authors' program it says how its number "
        "follows from the cross-entropy form CE or the loss L, and the largest relative error against a form of it "
        "that was derived anew. A package that is not installed was not compared.",
        sheet(HEAD, (_line(index, method) for method in table["methods"])),
    ]
    if table["variants"]:
        parts += ["## Variants of the cells", sheet(HEAD, (_line(index, method) for method in table["variants"]))]
    if table["outside"]:
        reasons = "\n".join(f"- {item['name']}: {item['reason']}" for item in table["outside"])
        parts += ["## Systems without a coordinate", reasons]
    if table["studies"]:
        parts += ["## Studies", *(part for study in table["studies"] for part in _study(study))]
    return "\n\n".join([*parts, provenance(table)]) + "\n"


def _grid(table: Table, index: Index) -> Iterator[list[str]]:
    for row in table["rows"]:
        yield [f"**{row['name']}**", *(_cell(index, row["slug"], column["slug"]) for column in table["columns"])]


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
    found = method["program"]
    theirs = f"[{program(method)}]({found['url']})" if found and found["url"] else program(method)
    return [method["name"], index.place(method), method["relation"], *measured, theirs, peers, MARKS[verdict(method)]]


def _study(study: Study) -> list[str]:
    """A study without its figure, which only the page shows."""
    return [
        f"### {study['title']}",
        study["question"],
        "\n".join(f"- {finding}" for finding in study["findings"]),
        sheet(study["head"], (list(map(entry, line)) for line in study["body"])),
        f"Regenerate: `{study['source']}`",
    ]
