"""What a cell shows when it opens: its formulas, its code, and the measured numbers of its methods."""

from __future__ import annotations

from table.page.markup import Markup, el
from table.page.mathml import mathml
from table.page.schema import Cell, Check, Citation, Method, Witness
from table.page.view import VERDICTS, Index, number, tolerance, verdict

WITNESS_MARKS = {"agrees": ("pass", "✓"), "differs": ("fail", "✗"), "not installed": ("absent", "○")}


def mark(passed: bool | None, yes: str = VERDICTS[True], no: str = VERDICTS[False]) -> Markup:
    """A tick, a cross, or a dash where nothing was checked, with its meaning for those who do not see it."""
    sign, meaning, kind = {True: ("✓", yes, "pass"), False: ("✗", no, "fail"), None: ("–", VERDICTS[None], "absent")}[
        passed
    ]
    return el("span", el("span", sign, aria_hidden="true"), el("span", meaning, class_="sr"), class_=f"mark {kind}")


def dialog(index: Index, cell: Cell) -> Markup:
    """The dialog of one cell; its id, and those of its methods, are the page's deep links."""
    row, column = cell["row"], cell["column"]
    methods = index.methods_at(row, column)
    name = f"{row}/{column}"
    return el(
        "dialog",
        el(
            "header",
            el("h2", index.coordinate(row, column), id=f"{name}/title", tabindex=-1),
            el("button", el("span", "×", aria_hidden="true"), type="button", class_="close", aria_label="Close"),
        ),
        el(
            "div",
            el("p", name, class_="slug"),
            None if methods else _unnamed(cell),
            _parts(index, row, column),
            code(cell["code"], "The loss of this coordinate"),
            _outcome(cell),
            [method_article(index, method) for method in methods],
            class_="body",
        ),
        id=name,
        aria_labelledby=f"{name}/title",
    )


def _unnamed(cell: Cell) -> Markup:
    working = "It computes like any other." if cell["computes"] else "It does not compute at present."
    return el("p", el("strong", "This coordinate has no name. "), working, class_="unnamed-note")


def _parts(index: Index, row: str, column: str) -> Markup:
    p, q = index.columns[column], index.rows[row]
    partition = f"Partition: {q['partition_name']}"
    return el(
        "dl",
        _part("Supervisory p", p["name"], p["formula"], f"{p['description']} Target: {p['target']}."),
        _part("Learned q", q["name"], q["formula"], q["description"]),
        _part(partition, "log q = s − A", q["partition"], None),
        class_="parts",
    )


def _part(term: str, name: str, latex: str, description: str | None) -> Markup:
    return el(
        "div",
        el("dt", term, " ", el("small", name)),
        el("dd", formula(latex), el("p", description) if description else None),
    )


def formula(latex: str) -> Markup:
    """A displayed formula that scrolls in its own box where it is wider than the page."""
    return el("div", mathml(latex), class_="formula")


def code(source: str, label: str) -> Markup:
    """A listing with a button that copies it."""
    return el(
        "figure",
        el("figcaption", label, " ", el("button", "Copy", type="button", class_="copy", aria_label=f"Copy: {label}")),
        el("pre", el("code", source)),
        class_="code",
    )


def _outcome(cell: Cell) -> Markup:
    if not cell["computes"]:
        reason = cell["error"] or "no finite value"
        return el("p", mark(False, no="failed"), " This coordinate does not compute: ", reason, class_="failure")
    seconds = f"{number(cell['seconds'])} s" if cell["seconds"] is not None else "–"
    facts = {"Value": number(cell["value"], 4), "Gradient norm": number(cell["gradient_norm"], 4), "Time": seconds}
    return el(
        "dl",
        [el("div", el("dt", term), el("dd", fact)) for term, fact in facts.items()],
        class_="facts",
    )


def method_article(index: Index, method: Method) -> Markup:
    """Everything known of one method; shown in its cell, or under the table where it stands beyond it."""
    verified = verdict(method)
    year = el("span", method["year"], class_="year") if method["year"] else None
    family = index.families.get(method["family"], method["family"])
    state = el(
        "span",
        mark(verified),
        " ",
        el("span", "NOT verified" if verified is False else VERDICTS[verified], aria_hidden="true"),
    )
    return el(
        "article",
        el(
            "header",
            el("h3", method["name"], " ", year, id=f"{method['slug']}/title"),
            el("span", family, class_="badge", data_family=method["family"]),
            el("span", state, class_="state failed" if verified is False else "state"),
        ),
        _citation(method["citation"]),
        el("p", el("strong", "Relation "), method["relation"], class_="relation"),
        el("h4", "The reference, from its own paper" if method["citation"] else "What the coordinate implies"),
        formula(method["formula"]),
        el("p", el("code", method["reference"]), class_="slug"),
        code(method["code"], f"{method['name']} by name"),
        _checks(method["checks"]),
        _witnesses(method["witnesses"]),
        id=method["slug"],
        tabindex=-1,
        aria_labelledby=f"{method['slug']}/title",
        class_="method failed" if verified is False else "method",
    )


def _citation(citation: Citation | None) -> Markup:
    if citation is None:
        return el("p", "A gap: the coordinate implies it, and no publication is known.", class_="citation")
    links = []
    if citation["arxiv"]:
        links.append(_link(f"https://arxiv.org/abs/{citation['arxiv']}", f"arXiv:{citation['arxiv']}"))
    if citation["doi"]:
        links.append(_link(f"https://doi.org/{citation['doi']}", f"doi:{citation['doi']}"))
    return el(
        "p",
        f"{citation['authors'].rstrip('.')}. ",
        el("cite", citation["title"].rstrip(".")),
        f". {citation['venue']}. ",
        [[link, " "] for link in links],
        class_="citation",
    )


def _link(url: str, label: str) -> Markup:
    return el("a", label, href=url, rel="noreferrer")


def _checks(checks: list[Check]) -> Markup:
    if not checks:
        return el("p", mark(False), " Nothing was checked.", class_="failure")
    head = [el("th", name, scope="col") for name in ("Check", "Seed", "Measured", "Required", "Result")]
    body = [
        el(
            "tr",
            el("th", check["name"], el("small", check["unit"], f" · {check['note']}" if check["note"] else None)),
            el("td", "–" if check["seed"] is None else check["seed"]),
            el("td", number(check["measured"])),
            el("td", tolerance(check)),
            el("td", mark(check["passed"], "passed", "failed")),
            class_=None if check["passed"] else "failed",
        )
        for check in checks
    ]
    table = el("table", el("thead", el("tr", head)), el("tbody", body), class_="numbers")
    return el("div", el("h4", "Checks"), el("div", table, class_="scroll"))


def _witnesses(witnesses: list[Witness]) -> Markup | None:
    if not witnesses:
        return None
    return el("div", el("h4", "Third witnesses"), el("ul", map(_witness, witnesses), class_="witnesses"))


def _witness(witness: Witness) -> Markup:
    kind, sign = WITNESS_MARKS[witness["status"]]
    measured = None
    if witness["measured"] is not None:
        bound = f", required ≤ {number(witness['tolerance'])}" if witness["tolerance"] is not None else ""
        measured = el("small", f" {number(witness['measured'])}{bound}")
    return el(
        "li",
        el("span", sign, class_=f"mark {kind}", aria_hidden="true"),
        el("span", " ", el("strong", witness["package"]), " ", witness["status"], measured),
        data_status=witness["status"],
    )
