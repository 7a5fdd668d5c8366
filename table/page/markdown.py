"""table.md: the grid, and a line of measured numbers for each method."""

from __future__ import annotations

from collections.abc import Iterable

from table.page.schema import Method, Study, Table
from table.page.view import Counts, Index, entry, number, tolerance, verdict, witness, worst


def render(table: Table) -> str:
    """The whole document."""
    index, counts = Index.of(table), Counts.of(table)
    parts = [
        "# The periodic table of representation learning",
        f"{counts.sentence()}.",
        "Rows: the learned q. Columns: the supervisory p. *Italic*: a gap, which nobody published. –: no name.",
        _sheet(["", *(column["name"] for column in table["columns"])], _grid(index)),
        "## Methods",
        "The check that came nearest to its tolerance; “not installed” means not asked.",
        _method_sheet(index, table["methods"]),
    ]
    if table.get("beyond"):
        parts += ["## Beyond the table", _method_sheet(index, table["beyond"])]
    if table.get("outside"):
        parts += ["## No coordinate", "\n".join(f"- {item['name']}: {item['reason']}" for item in table["outside"])]
    if table.get("studies"):
        parts += ["## Studies", *(part for study in table["studies"] for part in _study(study))]
    versions = ", ".join(f"{name} {version}" for name, version in table["versions"].items())
    return "\n\n".join([*parts, f"Generated {table['generated']} with {versions}."]) + "\n"


def _grid(index: Index) -> Iterable[list[str]]:
    for row in index.table["rows"]:
        cells = [_cell(index, row["slug"], column["slug"]) for column in index.table["columns"]]
        yield [f"**{row['name']}**", *cells]


MARKS = {True: "✓", False: "✗ **not verified**", None: "– (not checked)"}


def _cell(index: Index, row: str, column: str) -> str:
    if not index.cells[row, column]["computes"]:
        return "✗ **fails**"
    return " · ".join(map(_name, index.methods_at(row, column))) or "–"


def _name(method: Method) -> str:
    name = f"*{method['name']}*" if method["status"] == "gap" else method["name"]
    return f"{name} {MARKS[verdict(method)]}"


def _method_sheet(index: Index, methods: Iterable[Method]) -> str:
    head = ["Method", "Coordinate", "Relation", "Worst check", "Measured", "Required", "Third witnesses", "Verified"]
    return _sheet(head, (_line(index, method) for method in methods))


def _line(index: Index, method: Method) -> list[str]:
    check = worst(method["checks"])
    measured = [check["name"], number(check["measured"]), tolerance(check)] if check else ["none", "–", "–"]
    witnesses = "<br>".join(map(witness, method["witnesses"])) or "–"
    return [method["name"], index.place(method), method["relation"], *measured, witnesses, MARKS[verdict(method)]]


def _study(study: Study) -> list[str]:
    """A study without its figure, which only the page shows."""
    return [
        f"### {study['title']}",
        study["question"],
        "\n".join(f"- {finding}" for finding in study["findings"]),
        _sheet(study["head"], (list(map(entry, line)) for line in study["body"])),
        f"Regenerate: `{study['source']}`",
    ]


def _sheet(head: list[str], lines: Iterable[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows)
