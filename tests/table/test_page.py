"""The page and its siblings, drawn from a small synthetic table; the page is driven in a headless Chromium."""

from __future__ import annotations

import copy
import io
import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

import icon
from table import cells
from table.page import csv, html, markdown, palette, terminal
from table.page.mathml import mathml
from table.page.schema import Table
from table.page.view import Counts, is_verified, number, program, worst

HOSTILE = "</script><!-- <b>& \"quoted\" 'text'"

ROWS = {
    "gaussian": "Gaussian",
    "gaussian-wide": "Gaussian, σ → ∞",
    "gaussian-narrow": "Gaussian, σ → 0",
    "student-t": "Student-t",
    "clusters": "Clusters",
}
COLUMNS = {
    "gaussian": "Gaussian",
    "student-t": "Student-t",
    "identity": "Identity",
    "graph": "Graph kernel",
    "knn": "Uniform k-NN",
    "pairs": "Positive pairs",
    "cross-modal": "Cross-modal pairs",
    "classes": "Classes",
    "data-label": "Data-label pairs",
}
FAMILIES = {
    "dimensionality-reduction": "Dimensionality reduction",
    "cluster-learning": "Cluster learning",
    "unimodal-ssl": "Unimodal SSL",
    "multimodal-ssl": "Multimodal SSL",
    "supervised": "Supervised learning",
    "gap": "Gap",
}
METHODS = [
    ("sne", "SNE", "gaussian/gaussian", "dimensionality-reduction", 2002),
    ("infonce", "InfoNCE", "gaussian/pairs", "unimodal-ssl", 2018),
    ("simclr", "SimCLR", "gaussian/pairs", "unimodal-ssl", 2020),
    ("clip", "CLIP", "gaussian/cross-modal", "multimodal-ssl", 2021),
    ("cross-entropy", "Cross-Entropy", "gaussian/data-label", "supervised", 1990),
    ("average-margin-supcon", "Average Margin SupCon", "gaussian-wide/classes", "gap", None),
    ("tsne-uniform", "t-SNE with Uniform Affinities", "student-t/knn", "dimensionality-reduction", 2022),
    ("ncut", "Normalized Cuts", "clusters/graph", "cluster-learning", 2000),
]


def check(name: str, measured: float | None, **changes: Any) -> dict[str, Any]:
    parts = {"name": name, "seed": 0, "measured": measured, "tolerance": 1e-9, "unit": "relative error"}
    return {**parts, "passed": True, "note": "", **changes}


def method(slug: str, name: str, coordinate: str, family: str, year: int | None) -> dict[str, Any]:
    gap = family == "gap"
    row, column = coordinate.split("/")
    citation = {"key": slug, "authors": "A. Author", "title": "A title", "venue": "A venue 2020"}
    return {
        "slug": slug,
        "name": name,
        "row": row,
        "column": column,
        "coordinate": None,
        "family": family,
        "status": "gap" if gap else "published",
        "year": year,
        "citation": None if gap else {**citation, "doi": "10.1000/182", "arxiv": "2002.05709"},
        "relation": "exact",
        "formula": r"-\log\frac{e^{s_{i}^{+}}}{\sum_{k} e^{s_{ik}}}",
        "reference": f"table/methods/{slug}.py",
        "code": f'import icon\nloss = icon.method("{slug}")\nloss(z, target).backward()',
        "verified": True,
        "checks": [check("value", 3.1e-16), check("gradient", 4.2e-13, seed=1)],
        "peers": [],
        "program": None,
    }


FIGURE = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" width="990pt" height="300pt" viewBox="0 0 990 300">
<clipPath id="grid"><rect width="990" height="300"/></clipPath><g clip-path="url(#grid)"><text y="20">Panel</text></g>
<script>document.documentElement.remove()</script></svg>"""


def study() -> dict[str, Any]:
    """A study with text, numbers and no value in its table, more than its box can show at once."""
    return {
        "slug": "scan",  # as that of a method, whose address must stay its own
        "title": "Width of the neighbourhood",
        "question": f"How wide? {HOSTILE}",
        "findings": ["Wider is 0.12 better.", "Narrow | wide are equal."],
        "head": ["k", "accuracy", "a heading that is longer than what is under it", *(f"seed {k}" for k in range(12))],
        "body": [["ten", 0.91234, None, *(1e-4 * k for k in range(12))] for _ in range(30)],
        "figures": [FIGURE],
        "caption": "Accuracy by k.",
        "source": "python -m experiments width",
    }


def make_table() -> Table:
    """All 45 cells, a method or more of each family, and every state that the views tell apart."""
    methods = {record[0]: method(*record) for record in METHODS}
    methods["simclr"]["peers"] = [
        {"package": "lightly", "status": "agrees", "measured": 1e-12, "tolerance": 1e-6},
        {"package": "openTSNE", "status": "not installed", "measured": None, "tolerance": 1e-6},
    ]
    methods["sne"]["relation"] = HOSTILE
    slope = check("slope", 2.01, expected=2.0, tolerance=0.15, unit="log-log slope")
    methods["cross-entropy"]["checks"].append(slope)
    methods["ncut"].update(verified=False)
    methods["ncut"]["checks"][0].update(measured=float("nan"), passed=False)
    computed = [
        {
            "row": row,
            "column": column,
            "methods": [slug for slug, item in methods.items() if (item["row"], item["column"]) == (row, column)],
            "computes": True,
            "value": 1.2345,
            "gradient_norm": 0.125,
            "seconds": 0.01,
            "error": None,
            "code": f'import icon\nloss = icon.loss("{row}", "{column}")\nloss(z, target).backward()',
        }
        for row in ROWS
        for column in COLUMNS
    ]
    formula = {"formula": r"p(j\mid i)=\mathbb{1}[i=j]", "description": "One line."}
    table: Any = {
        "generated": "2025-01-01T00:00:00",
        "versions": {"icon": "0.1.0"},
        "summary": "synthetic",
        "rows": [
            {"slug": slug, "name": name, **formula, "partition": r"\log\sum_k e^{s_{ik}}", "partition_name": "mean"}
            for slug, name in ROWS.items()
        ],
        "columns": [{"slug": slug, "name": name, **formula, "target": "labels [n]"} for slug, name in COLUMNS.items()],
        "families": [{"slug": slug, "name": name} for slug, name in FAMILIES.items()],
        "cells": computed,
        "methods": list(methods.values()),
        "variants": [
            {
                **method("scan", "SCAN", "clusters/knn", "cluster-learning", 2020),
                "coordinate": "clusters, an entropy beside it",
            }
        ],
        "outside": [{"name": "MAE", "reason": "It reconstructs pixels."}],
        "studies": [study()],
    }
    checked: Table = table
    return checked


@pytest.fixture(scope="module")
def table() -> Table:
    return make_table()


# Without a browser ---------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """Collects what a page would load, and whether its tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "poster") and tag != "a":
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in ("meta", "link", "br", "img", "mspace"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "mspace":
            assert self.open.pop() == tag


def test_page_is_self_contained(table: Table) -> None:
    page = html.render(table)
    links = Links()
    links.feed(page)
    assert [load for load in links.loads if not load.startswith("data:")] == []
    shown = page.partition('<script type="application/json"')[0]  # what follows is text to the browser
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", shown)
    assert links.open == []
    assert len(links.ids) == len(set(links.ids))


def test_hostile_text_is_inert(table: Table) -> None:
    page = html.render(table)
    assert "<b>&" not in page
    embedded = page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    data = json.loads(embedded)
    assert data["methods"][0]["relation"] == HOSTILE
    assert data["methods"][-1]["checks"][0]["measured"] is None  # NaN is no JSON


def test_bad_latex_is_shown_as_code() -> None:
    assert mathml(r"\frac").startswith("<code")
    assert mathml(r"\nosuchcommand{x}").startswith("<code")
    assert mathml(r"\log x").startswith("<math")
    assert "ℒ" in unescape(mathml(r"\mathcal{L}"))
    assert "munder" in mathml(r"\max_{k} s_k")


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("family", [*FAMILIES, "unheard-of"])
def test_family_colours_are_readable(family: str) -> None:
    for shade in palette.colours(family):
        assert contrast(shade.fill, shade.ink) >= 4.5


def test_no_view_looks_better_than_its_worst_part() -> None:
    item: Any = method(*METHODS[0])
    assert is_verified(item)
    for spoil in (
        {"verified": False},
        {"checks": []},
        {"checks": [check("value", 1.0, passed=False)]},
        {"peers": [{"package": "torch", "status": "differs", "measured": 1.0, "tolerance": 1e-6}]},
    ):
        spoiled: Any = {**copy.deepcopy(item), **spoil}
        assert not is_verified(spoiled)


def test_counts(table: Table) -> None:
    counts = Counts.of(table)
    assert (counts.verified, counts.methods, counts.computing, counts.cells) == (7, 8, 45, 45)
    assert (counts.variants_verified, counts.variants, counts.whole) == (1, 1, False)
    assert counts.peers == {"agrees": 1, "not installed": 1}


def test_counts_leave_out_what_was_not_checked() -> None:
    table = make_table()
    unchecked: Any = {**method("dino", "DINO", "gaussian/data-label", "unimodal-ssl", 2021), "verified": False}
    unchecked.update(unchecked=True, checks=[], peers=[{"package": "lightly", "status": "differs"}])
    table["variants"].append(unchecked)
    counts = Counts.of(table)
    assert (counts.variants_verified, counts.variants, counts.peers["differs"]) == (1, 1, 0)
    assert " 1 of 1 variants verified;" in counts.sentence()
    table["variants"] = [unchecked]
    assert "variants" not in Counts.of(table).sentence()


def test_worst_check(table: Table) -> None:
    methods = {item["slug"]: item for item in table["methods"]}
    failed = worst(methods["ncut"]["checks"])
    slope = worst(methods["cross-entropy"]["checks"])
    assert failed is not None
    assert not failed["passed"]
    assert slope is not None
    assert slope["name"] == "slope"
    assert worst([]) is None


def test_every_method_shows_how_it_is_called() -> None:
    known = {found.slug: found for found in icon.methods()}
    assert {name.removesuffix(" as its authors run it") for name in cells.usage()} <= set(known)
    for slug, found in known.items():
        shown = cells.code(found.row, found.column, slug)
        compile(shown, slug, "exec")
        assert f'icon.method("{slug}"' in shown


def test_how_a_method_stands_to_its_authors_program(table: Table) -> None:
    found = next(m for m in table["methods"] if m["slug"] == "simclr")
    assert program(found) == "–"
    about: Any = {"repository": "group/code", "url": "https://example.org", "path": "loss.py", "commit": "0" * 40,
                  "call": "loss", "settings": "", "traps": ["Mind the step."], "checks": [], "differs": "",
                  "factor": "2 · CE"}  # fmt: skip
    assert program({**found, "program": about}) == "code: 2 · CE"
    measured = {**about, "checks": [check("program", 3e-16)]}
    assert program({**found, "program": measured}) == "code: 2 · CE (3×10⁻¹⁶)"
    assert "a part of which agrees (3×10⁻¹⁶)" in program({**found, "program": {**measured, "factor": ""}})
    assert program({**found, "program": {**about, "factor": ""}}) == "code: another loss"
    assert program({**found, "program": {**about, "repository": None}}) == "none found; the paper's: 2 · CE"
    failed = {**about, "checks": [check("program", 1.0, passed=False)]}
    assert is_verified(found)
    assert not is_verified({**found, "program": failed})


@pytest.mark.parametrize("view", [markdown.render, html.render])
def test_the_headline_has_a_footnote_where_a_program_is_another_one(table: Table, view: Callable[[Table], str]) -> None:
    assert "not all that their authors" not in view(table)
    changed: Any = copy.deepcopy(table)
    changed["methods"][0]["program"] = {
        "repository": "group/code", "url": "https://example.org/code", "path": "loss.py", "commit": "0" * 40,
        "call": "loss", "settings": "", "traps": ["Mind the step."], "checks": [], "differs": "It is <larger>.",
        "factor": "",
    }  # fmt: skip
    text = unescape(view(changed))
    assert "not all that their authors' programs are" in text
    assert f"each says what differs: {changed['methods'][0]['name']}." in text
    assert "https://example.org/code" in text


def test_numbers() -> None:
    assert number(4.1e-16) == "4.1×10⁻¹⁶"
    assert number(1e-9) == "10⁻⁹"
    assert (number(-1.015), number(-2e-7)) == ("−1.015", "−2×10⁻⁷")
    assert (number(0.15), number(0.0), number(None), number(float("nan"))) == ("0.15", "0", "–", "nan")


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_terminal(table: Table, columns: int) -> None:
    stream = io.StringIO()
    terminal.print_table(table, Console(file=stream, width=columns))
    printed = stream.getvalue()
    assert max(map(len, printed.splitlines())) <= columns
    assert "…" not in printed
    assert "7 of 8 methods verified" in printed
    assert "1 of 1 variants verified" in " ".join(printed.split())
    assert "neighbourhood" not in printed
    assert "Cuts✗" in printed
    assert "SimCLR✓" in printed
    assert "installed" in printed


def test_markdown(table: Table) -> None:
    text = re.sub(" +", " ", markdown.render(table))
    assert "| **Gaussian** | SNE ✓ |" in text
    assert "Normalized Cuts ✗ **not verified**" in text
    assert "*Average Margin SupCon* ✓" in text
    assert "openTSNE: not installed" in text
    widths = {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {11, 10, 16}
    assert "| SCAN | clusters, an entropy beside it |" in text


def test_code_between_backticks() -> None:
    assert html.coded("`b < 1` and <b> `c`.") == "<code>b &lt; 1</code> and &lt;b&gt; <code>c</code>."
    assert html.coded("none") == "none"


def test_markdown_of_a_study(table: Table) -> None:
    text = re.sub(" +", " ", markdown.render(table))
    assert "### Width of the neighbourhood\n\nHow wide?" in text
    assert "- Wider is 0.12 better.\n- Narrow | wide are equal.\n" in text
    assert "| ten | 0.9123 | – | 0 | 10⁻⁴ | 2×10⁻⁴ |" in text
    assert "Regenerate: `python -m experiments width`" in text
    assert "<svg" not in text


def test_csv(table: Table) -> None:
    frame = csv.rows(table)
    assert set(frame["slug"]) == {item[0] for item in METHODS} | {"scan"}
    absent = frame[(frame["kind"] == "peer") & (frame["check"] == "openTSNE")]
    assert absent["passed"].isna().all()
    assert len(absent) == 1
    assert not frame.loc[frame["slug"] == "ncut", "verified"].any()
    assert set(frame.loc[frame["slug"] == "scan", "coordinate"]) == {"clusters, an entropy beside it"}
    assert len(pd.read_csv(io.StringIO(frame.to_csv(index=False)))) == len(frame)


# In a browser --------------------------------------------------------------------------------------------------------

# Keys as WebDriver spells them, so that this file can be read in without selenium.
TAB, ENTER, ESCAPE, END, HOME, RIGHT, DOWN = "\ue004", "\ue007", "\ue00c", "\ue010", "\ue011", "\ue014", "\ue015"

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def address(table: Table, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(html.render(table), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(driver: Any, address: str) -> Iterator[Open]:
    """Open the page anew at a width, a colour scheme and a place; afterwards its console must be empty."""

    def go(place: str = "", width: int = 1400, scheme: str = "light") -> Any:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        driver.get("about:blank")
        driver.get(address + place)
        driver.execute_script("try { localStorage.clear() } catch {}")
        return driver

    driver.get_log("browser")
    yield go
    assert driver.get_log("browser") == []


def press(driver: Any, *keys: str) -> None:
    for key in keys:
        driver.switch_to.active_element.send_keys(key)


def find(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def find_all(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def opened(driver: Any) -> str | None:
    """The id of the open dialog, waiting for the browser to follow the address."""
    return driver.execute_async_script(
        "const done = arguments[0];"
        "requestAnimationFrame(() => setTimeout(() => done(document.querySelector('dialog[open]')?.id ?? null), 0))"
    )


def focused(driver: Any) -> str | None:
    return driver.execute_script("return document.activeElement.dataset.opens ?? null")


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_cells_open(every: int, visit: Open) -> None:
    driver = visit()
    cells = find_all(driver, "#grid .cell")
    places = [(row, column) for row in ROWS for column in COLUMNS]
    assert len(cells) == len(places)
    for cell, (row, column) in list(zip(cells, places, strict=True))[:: every + (every > 1)]:
        cell.click()
        assert opened(driver) == f"{row}/{column}"
        dialog = find(driver, "dialog[open]")
        assert find(dialog, "h2").text == f"{ROWS[row]} × {COLUMNS[column]}"
        assert f"{row}/{column}" in dialog.text
        assert len(find_all(dialog, ".parts math")) == 3
        assert f'icon.loss("{row}", "{column}")' in find(dialog, ".code").text
        if not find_all(dialog, "article"):
            assert "has no name" in dialog.text
            assert "It computes" in dialog.text
            assert "1.2345" in dialog.text
            assert "0.125" in dialog.text
        find(dialog, ".close").click()
        assert opened(driver) is None


def test_cell_details(visit: Open) -> None:
    driver = visit("#simclr")
    article = find(driver, "#simclr")
    assert find(article, "math").is_displayed()
    links = [link.get_attribute("href") for link in find_all(article, "a")]
    assert links == ["https://arxiv.org/abs/2002.05709", "https://doi.org/10.1000/182"]
    numbers = find(article, ".numbers").text
    assert "3.1×10⁻¹⁶" in numbers
    assert "≤ 10⁻⁹" in numbers
    assert 'icon.method("simclr")' in article.text


def test_keyboard(visit: Open) -> None:
    driver = visit()
    for _ in range(20):
        press(driver, TAB)
        if focused(driver):
            break
    assert focused(driver) == "gaussian/gaussian"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert driver.execute_script(outline) == "solid"
    press(driver, RIGHT, DOWN)
    assert focused(driver) == "gaussian-wide/student-t"
    press(driver, END)
    assert focused(driver) == "gaussian-wide/data-label"
    press(driver, RIGHT)
    assert focused(driver) == "gaussian-wide/data-label"
    press(driver, HOME, ENTER)
    assert opened(driver) == "gaussian-wide/gaussian"
    press(driver, ESCAPE)
    assert opened(driver) is None
    assert focused(driver) == "gaussian-wide/gaussian"
    assert len(find_all(driver, "#grid .cell[tabindex='0']")) == 1


def test_grid_semantics(visit: Open) -> None:
    driver = visit(width=420)  # the layout that gives up the display of a table must keep its roles
    assert len(find_all(driver, "[role=grid] [role=row]")) == 6
    assert len(find_all(driver, "th[scope=col][role=columnheader]")) == 10
    assert len(find_all(driver, "th[scope=row][role=rowheader]")) == 5
    assert len(find_all(driver, "[role=gridcell] > button[aria-haspopup=dialog]")) == 45
    label = find(driver, "[data-opens='gaussian/pairs']").get_attribute("aria-label")
    assert label == "Gaussian × Positive pairs: InfoNCE (2018, verified), SimCLR (2020, verified)"
    for dialog in find_all(driver, "dialog"):
        assert driver.execute_script(
            "return document.getElementById(arguments[0].getAttribute('aria-labelledby')).tagName", dialog
        )


def test_family_filter(visit: Open) -> None:
    driver = visit()
    button = find(driver, "[data-filter='unimodal-ssl']")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    bright = find_all(driver, ".cell:not(.dim) .entry:not(.dim)")
    assert {entry.get_attribute("data-family") for entry in bright} == {"unimodal-ssl"}
    assert len(bright) == 2
    assert find(driver, "#filtered").get_attribute("textContent") == "Unimodal SSL: 2 methods"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert find_all(driver, ".dim") == []


@pytest.mark.parametrize(
    ("place", "cell"), [("#simclr", "gaussian/pairs"), ("#gaussian/pairs", "gaussian/pairs"), ("#nowhere", None)]
)
def test_deep_links(visit: Open, place: str, cell: str | None) -> None:
    driver = visit(place)
    assert opened(driver) == cell
    if cell:
        press(driver, ESCAPE)
        assert opened(driver) is None
        assert focused(driver) == cell
        assert "#" not in driver.current_url


def test_link_opens_a_variant(visit: Open) -> None:
    driver = visit("#scan")
    assert opened(driver) is None
    assert [details.get_attribute("open") for details in find_all(driver, ".variants details")] == ["true"]
    assert driver.execute_script("return document.activeElement.id") == "scan"
    top, height = driver.execute_script(
        "return [document.getElementById('scan').getBoundingClientRect().top, innerHeight]"
    )
    assert 0 <= top < height
    visit()
    assert not find(driver, "#scan").is_displayed()
    driver.execute_script("document.querySelector('.methods a[href=\"#scan\"]').click()")
    assert opened(driver) is None
    assert find(driver, "#scan").is_displayed()


@pytest.mark.parametrize("width", [1400, 420])
def test_variants_are_a_list(visit: Open, width: int) -> None:
    driver = visit(width=width)
    summary = find(driver, ".variants summary")
    assert summary.text.split("\n") == ["SCAN", "2020", "clusters, an entropy beside it", "✓", "verified"]
    name, place = (find(summary, part).rect for part in ("strong", ".place"))
    assert (place["y"] > name["y"] + 10) == (width == 420)  # under the name where there is no room beside it
    bodies = find_all(driver, ".methods tbody")
    assert len(bodies) == 2
    assert find(bodies[1], "th[scope=rowgroup]").text == "Variants of the cells"
    assert find(bodies[1], "tr:nth-child(2)").text.split()[:3] == ["SCAN", "✓", "verified"]


@pytest.mark.parametrize("width", [1400, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_study(visit: Open, width: int, scheme: str) -> None:
    driver = visit(width=width, scheme=scheme)
    shown = find(driver, ".study")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert find(shown, "h3").text == "Width of the neighbourhood"
    assert [item.text for item in find_all(shown, ".findings li")] == study()["findings"]
    assert HOSTILE in find(shown, ".question").text
    assert find(shown, "tbody tr").text.startswith("ten 0.9123 – 0 10⁻⁴ 2×10⁻⁴")
    image = find(shown, "img")
    natural, drawn = driver.execute_script(
        "const image = arguments[0]; return image.decode().then(() => [image.naturalWidth, image.clientWidth])", image
    )
    assert natural == 1320
    assert drawn >= 860  # no smaller than can be read; its box scrolls
    assert image.get_attribute("alt") == "Accuracy by k."
    paper = driver.execute_script("return getComputedStyle(arguments[0]).backgroundColor", image)
    assert paper == "rgb(255, 255, 255)"
    for box in find_all(shown, ".scroll"):
        overflows = driver.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
        tall = "tall" in box.get_attribute("class")
        assert (box.get_attribute("tabindex") == "0") == (overflows or tall)
    assert find(shown, ".tall").size["height"] <= 400


def test_page_without_studies_has_none() -> None:
    table = make_table()
    table["studies"] = []
    assert 'class="study"' not in html.render(table)
    assert "Studies" not in markdown.render(table)


def test_back_closes(visit: Open) -> None:
    driver = visit()
    find(driver, "[data-opens='student-t/knn']").click()
    assert opened(driver) == "student-t/knn"
    driver.back()
    assert opened(driver) is None


@pytest.mark.parametrize("width", [1400, 1000, 420])
@pytest.mark.parametrize("place", ["", "#simclr", "#gaussian-wide/classes"])
def test_no_horizontal_overflow(visit: Open, width: int, place: str) -> None:
    driver = visit(place, width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    outside = """
      const clipped = [];
      for (const box of document.querySelectorAll(".cell, .entry, .name, dialog[open] .body"))
        if (box.scrollWidth > box.clientWidth + 1 && box.clientWidth) clipped.push(box.textContent);
      return clipped;"""
    assert driver.execute_script(outside) == []


def background(driver: Any) -> str:
    return driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")


def test_themes(visit: Open) -> None:
    driver = visit()
    light = background(driver)
    toggle = find(driver, "#theme")
    assert toggle.get_attribute("aria-pressed") == "false"
    toggle.click()
    dark = background(driver)
    assert toggle.get_attribute("aria-pressed") == "true"
    assert dark != light
    visit(scheme="dark")
    assert background(driver) == dark
    assert find(driver, "#theme").get_attribute("aria-pressed") == "true"
    find(driver, "#theme").click()
    assert background(driver) == light


def test_nothing_is_fetched(visit: Open) -> None:
    driver = visit()
    assert driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []


def test_failure_is_obvious(visit: Open) -> None:
    driver = visit()
    entry = find(driver, "[data-opens='clusters/graph'] .entry")
    colour = driver.execute_script("return getComputedStyle(arguments[0]).backgroundColor", entry)
    assert "✗" in entry.text
    assert "✓" not in entry.text
    assert colour == "rgb(179, 38, 30)"
    assert "not verified" in find(driver, "[data-opens='clusters/graph']").get_attribute("aria-label")
    assert "failed" in find(driver, ".counts > div").get_attribute("class")
    visit("#ncut")
    assert "not verified" in find(driver, "#ncut .state").text


def test_absent_peer_is_not_shown_as_passed(visit: Open) -> None:
    driver = visit("#simclr")
    agrees, absent = find_all(driver, "#simclr .peers li")
    assert "✓" in agrees.text
    assert "lightly agrees" in agrees.text
    assert "openTSNE not installed" in absent.text
    assert "✓" not in absent.text
    assert not find_all(absent, ".pass")


def test_copy_button(visit: Open) -> None:
    driver = visit("#simclr")
    button = find(driver, "#simclr .copy")
    button.click()
    assert opened(driver) == "gaussian/pairs"
    assert button.text in ("Copied", "Selected")


def test_reduced_motion(driver: Any, visit: Open) -> None:
    visit()
    feature = {"name": "prefers-reduced-motion", "value": "reduce"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    style = "return getComputedStyle(document.querySelector('.cell')).transitionDuration"
    assert driver.execute_script(style) == "0s"


def test_print_shows_the_grid(driver: Any, visit: Open) -> None:
    visit()
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert find(driver, "#grid").is_displayed()
    assert not find(driver, ".filters").is_displayed()
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
