"""index.html: one self-contained file with the grid, a dialog for each cell, and the data itself."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from string import Template
from typing import Any

from table.page import palette
from table.page.details import dialog, formula, mark, method_article
from table.page.markup import Markup, el, text
from table.page.mathml import mathml
from table.page.schema import Cell, Column, Method, Row, Study, Table
from table.page.view import VERDICTS, Counts, Index, entry, number, tolerance, unbroken, verdict, witness, worst

METHOD_COLUMNS = 7  # of the sheet of all methods, whose head is in the template
HERE = Path(__file__).parent
BEYOND = "Variants of a cell by another partition, target or weighting, checked like the others. Every line opens."
LOSS = r"\mathcal{L}=\frac{1}{n}\sum_{i=1}^{n}\mathrm{KL}\left(p(\cdot\mid i)\,\Vert\,q(\cdot\mid i)\right)"


def render(table: Table) -> str:
    """The whole page as text; it needs no other file and no network."""
    index, counts = Index.of(table), Counts.of(table)
    parts: dict[str, str] = {
        "style": (HERE / "style.css").read_text(encoding="utf-8") + _family_rules(),
        "script": (HERE / "script.js").read_text(encoding="utf-8"),
        "loss": mathml(LOSS),
        "counts": _counts(counts),
        "filters": _filters(table),
        "grid": _grid(index),
        "rows": text(_guide(row, row["partition_name"]) for row in table["rows"]),
        "columns": text(_guide(column, f"target: {column['target']}") for column in table["columns"]),
        "methods": _method_lines(index),
        "beyond": _beyond(index),
        "studies": _studies(table),
        "dialogs": text(dialog(index, cell) for cell in table["cells"]),
        "provenance": _provenance(table),
        "data": _embedded(table),
    }
    return Template((HERE / "template.html").read_text(encoding="utf-8")).substitute(parts)


def _family_rules() -> str:
    """The palette as CSS; light-dark() follows the colour scheme that the reader chose."""
    named = {f'[data-family="{slug}"]': colours for slug, colours in palette.FAMILIES.items()}
    return "".join(
        f"\n{selector} {{ "
        + " ".join(
            f"--{part}: light-dark({light}, {dark});"
            for part, light, dark in zip(("fill", "ink", "edge"), pair.light, pair.dark, strict=True)
        )
        + " }"
        for selector, pair in {".cell, [data-family]": palette.UNKNOWN, **named}.items()
    )


def _counts(counts: Counts) -> Markup:
    def tile(value: str, label: str, failed: bool = False) -> Markup:
        return el("div", el("dt", label), el("dd", value), class_="failed" if failed else None)

    beyond = (
        f"{counts.beyond_verified} of {counts.beyond}",
        "beyond the table verified",
        counts.beyond_verified < counts.beyond,
    )
    return text(
        (
            tile(f"{counts.verified} of {counts.methods}", "methods verified", counts.verified < counts.methods),
            tile(f"{counts.computing} of {counts.cells}", "cells compute", counts.computing < counts.cells),
            *([tile(*beyond)] if counts.beyond else []),
            tile(str(counts.methods - counts.gaps), "published"),
            tile(str(counts.gaps), "gaps"),
            tile(str(counts.unnamed), "cells without a name"),
            tile(str(counts.agreeing), "third witnesses agree"),
            tile(str(counts.differing), "differ", counts.differing > 0),
            tile(str(counts.absent), "not installed"),
        )
    )


def _filters(table: Table) -> Markup:
    def button(label: str, slug: str, pressed: bool) -> Markup:
        swatch = el("span", class_="swatch", data_family=slug) if slug else None
        return el("button", swatch, label, type="button", data_filter=slug, aria_pressed=str(pressed).lower())

    return text(
        [
            button("All families", "", True),
            *(button(family["name"], family["slug"], False) for family in table["families"]),
        ]
    )


def _grid(index: Index) -> Markup:
    """Roles are written out, because the narrow layout changes ``display``, which would drop the table's own."""
    table = index.table
    head = [_column_head("q ↓ · p →", "rows: learned q; columns: supervisory p")]
    head += [_column_head(column["name"], column["description"]) for column in table["columns"]]
    body = [_grid_row(index, row, first=place == 0) for place, row in enumerate(table["rows"])]
    return el(
        "table",
        el("thead", el("tr", head, role="row"), role="rowgroup"),
        el("tbody", body, role="rowgroup"),
        role="grid",
        id="grid",
        aria_labelledby="grid-title",
        aria_describedby="grid-help",
    )


def _column_head(name: str, description: str) -> Markup:
    return el("th", name, scope="col", role="columnheader", title=description)


def _grid_row(index: Index, row: Row, *, first: bool) -> Markup:
    cells = [
        el(
            "td",
            _button(index, index.cells[row["slug"], column["slug"]], focusable=first and place == 0),
            role="gridcell",
            data_column=column["name"],
        )
        for place, column in enumerate(index.table["columns"])
    ]
    head = el("th", unbroken(row["name"]), el("small", row["partition_name"]), scope="row", role="rowheader")
    return el("tr", head, cells, role="row")


def _button(index: Index, cell: Cell, *, focusable: bool) -> Markup:
    methods = index.methods_at(cell["row"], cell["column"])
    failed = not cell["computes"]
    spoken = ", ".join(map(_spoken, methods)) or ("no name, does not compute" if failed else "no name, computes")
    entries = [_entry(method) for method in methods] or [el("span", "no name", class_="name")]
    return el(
        "button",
        entries,
        el("span", "✗ does not compute", class_="broken") if failed else None,
        type="button",
        class_=" ".join(["cell", *(["unnamed"] if not methods else []), *(["failed"] if failed else [])]),
        tabindex=0 if focusable else -1,
        data_opens=f"{cell['row']}/{cell['column']}",
        aria_haspopup="dialog",
        aria_label=f"{index.coordinate(cell['row'], cell['column'])}: {spoken}",
    )


def _spoken(method: Method) -> str:
    state = VERDICTS[verdict(method)]
    about = [str(method["year"])] if method["year"] else []
    about += ["gap"] if method["status"] == "gap" else []
    return f"{method['name']} ({', '.join([*about, state])})"


def _entry(method: Method) -> Markup:
    verified = verdict(method)
    year = method["year"] or ("gap" if method["status"] == "gap" else None)
    return el(
        "span",
        el("span", method["name"], class_="name"),
        el("span", el("span", year, class_="year"), mark(verified), class_="meta"),
        class_="entry failed" if verified is False else "entry",
        data_family=method["family"],
    )


def _guide(item: Row | Column, note: str) -> Markup:
    meaning = el("dd", formula(item["formula"]), el("p", item["description"]))
    return el("div", el("dt", item["name"], " ", el("small", note)), meaning)


def _method_lines(index: Index) -> Markup:
    """The methods of the table, then under a heading of their own those beyond it."""
    table = index.table
    bodies = [el("tbody", (_method_line(index, method) for method in table["methods"]))]
    if table.get("beyond"):
        heading = el("tr", el("th", "Beyond the table", colspan=METHOD_COLUMNS, scope="rowgroup"), class_="group")
        bodies.append(el("tbody", heading, (_method_line(index, method) for method in table["beyond"])))
    return text(bodies)


def _method_line(index: Index, method: Method) -> Markup:
    check, verified = worst(method["checks"]), verdict(method)
    return el(
        "tr",
        el("th", el("a", method["name"], href=f"#{method['slug']}"), scope="row"),
        el("td", index.place(method)),
        el("td", method["relation"]),
        el("td", number(check["measured"]) if check else "–", class_="number"),
        el("td", tolerance(check) if check else "–", class_="number"),
        el("td", [el("div", witness(item), data_status=item["status"]) for item in method["witnesses"]] or "–"),
        el("td", mark(verified)),
        class_="failed" if verified is False else None,
    )


def _beyond(index: Index) -> Markup:
    """The systems that the table does not hold: those with checks of their own, and those that have no coordinate."""
    beyond, outside = index.table.get("beyond", []), index.table.get("outside", [])
    closed = [_closed(index, method) for method in beyond]
    reasons = [el("div", el("dt", item["name"]), el("dd", item["reason"])) for item in outside]
    return text(
        (
            el("section", el("h2", "Beyond the table"), el("p", BEYOND, class_="help"), closed, class_="beyond")
            if closed
            else None,
            el("section", el("h2", "No coordinate"), el("dl", reasons, class_="outside")) if reasons else None,
        )
    )


def _closed(index: Index, method: Method) -> Markup:
    """A line that opens: name, year, coordinate, mark. The spaces between are for those who hear or copy it."""
    summary = el(
        "summary",
        el("strong", method["name"]),
        " ",
        el("span", method["year"], class_="year"),
        " ",
        el("span", index.place(method), class_="place"),
        " ",
        mark(verdict(method)),
    )
    failed = verdict(method) is False
    return el("details", summary, method_article(index, method), class_="failed" if failed else None)


def _studies(table: Table) -> Markup | str:
    studies = table.get("studies", [])
    if not studies:
        return ""
    return el("section", el("h2", "Studies beyond the table"), map(_study, studies), class_="studies")


def _study(study: Study) -> Markup:
    """Question, findings, figure, numbers; the id has a slash, so that no method can have the same one."""
    name = f"study/{study['slug']}"
    return el(
        "section",
        el("h3", study["title"], id=f"{name}/title"),
        el("p", study["question"], class_="question"),
        el("ul", [el("li", finding) for finding in study["findings"]], class_="findings"),
        _study_figure(study),
        _study_numbers(study),
        el("p", "Regenerate: ", el("code", study["source"]), class_="help"),
        id=name,
        class_="study",
        aria_labelledby=f"{name}/title",
    )


def _study_figure(study: Study) -> Markup:
    """The figures as images: their ids and styles stay their own, and a script in one would be inert."""
    encoded = [base64.b64encode(figure.encode()).decode() for figure in study["figures"]]
    images = [el("img", src=f"data:image/svg+xml;base64,{data}", alt=study["caption"]) for data in encoded]
    return el("figure", [el("div", image, class_="scroll") for image in images], el("figcaption", study["caption"]))


def _study_numbers(study: Study) -> Markup:
    head = [el("th", name, scope="col") for name in study["head"]]
    body = [el("tr", [el("td", entry(value)) for value in line]) for line in study["body"]]
    sheet = el("table", el("thead", el("tr", head)), el("tbody", body), class_="numbers")
    return el("div", sheet, class_="scroll tall", role="region", aria_label=f"Numbers: {study['title']}")


def _provenance(table: Table) -> Markup:
    versions = ", ".join(f"{name} {version}" for name, version in table["versions"].items())
    return text(f"Generated {table['generated']} with {versions}.")


def _embedded(table: Table) -> Markup:
    """JSON for a script element: no end tag or comment can be spelled, and no number is outside of JSON."""
    data = json.dumps(_finite(table), ensure_ascii=False, allow_nan=False)
    return Markup(data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
