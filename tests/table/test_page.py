"""The page and its siblings as text, drawn from a small synthetic table."""

from __future__ import annotations

import copy
import io
import json
import math
import re
from base64 import b64decode, b64encode
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

import icon
from table import cells, run
from table.page import csv, html, markdown, palette, terminal
from table.page.mathml import mathml
from table.page.schema import Table
from table.page.templating import coded, paragraphs, thumbnail
from table.page.view import Counts, evidence, is_verified, kind, notes, number, program, questioned, worst
from table.studies import gallery
from table.texts import TEXTS, when
from tests.tables import COLUMNS, FAMILIES, HOSTILE, METHODS, ROWS, check, make_table, method, study


@pytest.fixture(scope="module")
def table() -> Table:
    return make_table()


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
        if tag not in ("meta", "link", "br", "img", "input", "mspace"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "mspace":
            assert self.open.pop() == tag


@pytest.mark.parametrize("page", [html.render(make_table()), html.render_study(study())], ids=["index", "study"])
def test_pages_are_self_contained(page: str) -> None:
    links = Links()
    links.feed(page)
    assert [load for load in links.loads if not load.startswith("data:")] == []
    shown = page.partition('<script type="application/json"')[0]  # what follows is text to the browser
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", shown)
    assert links.open == []
    assert len(links.ids) == len(set(links.ids))


def test_hostile_text_is_inert() -> None:
    table = make_table()
    assert table["gallery"] is not None
    table["gallery"]["cells"][0].update(seen=HOSTILE, curve=[1.0, float("nan")])
    page = html.render(table)
    assert "<b>&" not in page
    assert "<b>&" not in html.render_study(study())
    embedded = page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    cell = json.loads(embedded)["gallery"]["cells"][0]
    assert cell["seen"] == HOSTILE
    assert cell["curve"] == [1.0, None]  # NaN is no JSON


def test_page_without_a_gallery_or_studies() -> None:
    table = make_table()
    table.update(gallery=None, studies=[])
    page = html.render(table)
    assert "<canvas" not in page
    assert "studies/" not in page
    assert "Studies" not in markdown.render(table)


@pytest.mark.slow
def test_pages_are_written_beside_the_index(tmp_path: Path) -> None:
    written = run.write(make_table(), tmp_path)
    assert all(path.exists() for path in written)
    assert written[-1] == tmp_path / "studies"
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["scan.html"]
    assert json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["gallery"]["dataset"] == "digits"


def test_gallery_is_read_from_the_results(tmp_path: Path) -> None:
    assert gallery(tmp_path) is None
    published = gallery()
    assert published is not None
    assert {(cell["row"], cell["column"]) for cell in published["cells"]} == {(r, c) for r in ROWS for c in COLUMNS}


@pytest.mark.parametrize(
    "places", [[("student-t", "graph"), ("clusters", "data-label")],
               pytest.param([(r, c) for r in ROWS for c in COLUMNS], marks=pytest.mark.slow)],
)  # fmt: skip
def test_snippets_run_as_they_stand(places: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    for row, column in places:
        exec(compile(cells.snippet(row, column), f"{row}/{column}", "exec"), {})
        assert math.isfinite(float(capsys.readouterr().out))


def test_when_to_use_a_cell() -> None:
    for texts in (TEXTS, TEXTS["when"]):
        assert set(texts["rows"]) == set(ROWS)
        assert set(texts["columns"]) == set(COLUMNS)
    said = {when(row, column) for row in ROWS for column in COLUMNS}
    assert len(said) == 45


def test_evidence_has_a_kind_and_its_unit(table: Table) -> None:
    item: Any = method(*METHODS[0])
    item["checks"] = [
        check("KL = reference", 1e-16),
        check("KL = reference", 3e-16, seed=1),
        check("directional derivative", 2e-15),
        check("σ → ∞", -1.9989, expected=-2.0, tolerance=0.15, unit="log-log slope"),
        check("principal subspace", 1.5e-8, tolerance=1e-4, unit="largest principal angle (rad)"),
    ]
    assert [kind(found) for found in item["checks"]] == ["value", "value", "gradient", "limit", "minimiser"]
    assert evidence(item, "value") == "3×10⁻¹⁶"
    assert evidence(item, "gradient") == "2×10⁻¹⁵"
    assert evidence(item, "limit") == "slope −1.999, expected −2"
    assert evidence(item, "minimiser") == "largest principal angle (rad): 1.5×10⁻⁸"
    item["checks"] = [check("σ → 0", 0.8417, tolerance=1.0, unit="error / (T log |S|)")]
    assert evidence(item, "limit") == "0.8417 of the bound T log |S|"
    assert evidence(item, "value") == ""


@pytest.mark.parametrize(
    ("slug", "expected"),
    [("sne", []), ("kmeans", ["reverse", "limit"]), ("pca", ["limit"]), ("scan", ["term"]), ("pcl", ["term"])],
)
def test_footnotes(slug: str, expected: list[str]) -> None:
    found = next(found for found in icon.methods() if found.slug == slug)
    item: Any = {**method(*METHODS[0]), "relation": found.relation, "row": found.row, "coordinate": found.coordinate}
    assert notes(item) == expected
    differs = {**item, "program": {"differs": "It is larger."}}
    assert notes(differs) == [*expected, "program"]


def test_the_question_of_a_study() -> None:
    assert questioned("There are two. Which is it? See below.") == ("Which is it?", "There are two. See below.")
    assert questioned("Only this.") == ("Only this.", "")


@pytest.mark.parametrize(("theme", "page"), [("light", "#fbfbfd"), ("dark", "#171b21")])
def test_label_colours_are_seen(theme: str, page: str) -> None:
    assert len(set(palette.LABELS[theme])) == 10
    assert min(contrast(colour, page) for colour in palette.LABELS[theme]) >= 3


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
    counts = Counts(table)
    assert (counts.verified, counts.methods, counts.computing, counts.cells) == (7, 8, 45, 45)
    assert (counts.variants_verified, counts.variants, counts.whole) == (1, 1, False)
    assert counts.peers == {"agrees": 1, "not installed": 1}


def test_counts_leave_out_what_was_not_checked() -> None:
    table = make_table()
    unchecked: Any = {**method("dino", "DINO", "gaussian/data-label", "unimodal-ssl", 2021), "verified": False}
    unchecked.update(unchecked=True, checks=[], peers=[{"package": "lightly", "status": "differs"}])
    table["variants"].append(unchecked)
    counts = Counts(table)
    assert (counts.variants_verified, counts.variants, counts.peers["differs"]) == (1, 1, 0)
    assert " 1 of 1 variants verified;" in counts.sentence
    table["variants"] = [unchecked]
    assert "variants" not in Counts(table).sentence
    table["methods"] = []
    assert Counts(table).parts == ["45 of 45 cells compute"]


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
    assert program({**found, "program": {**about, "repository": None}}) == "none found; the paper's cost is 2 · CE"
    failed = {**about, "checks": [check("program", 1.0, passed=False)]}
    assert is_verified(found)
    assert not is_verified({**found, "program": failed})


def test_markdown_has_a_footnote_where_a_program_is_another_one(table: Table) -> None:
    view = markdown.render
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
    assert coded("`b < 1` and <b> `c`.") == "<code>b &lt; 1</code> and &lt;b&gt; <code>c</code>."
    assert coded("none") == "none"
    assert coded("**bold & b** and `2**3**4`") == "<strong>bold &amp; b</strong> and <code>2**3**4</code>"


@pytest.mark.parametrize(("size", "small"), [((600, 900), (240, 150)), ((900, 300), (240, 80))])
def test_thumbnails(size: tuple[int, int], small: tuple[int, int]) -> None:
    written = io.BytesIO()
    Image.new("RGB", size).save(written, "png")
    data = thumbnail(f'<svg><image href="data:image/png;base64,{b64encode(written.getvalue()).decode()}"/></svg>')
    with Image.open(io.BytesIO(b64decode(data.partition(",")[2]))) as picture:
        assert picture.size == small


def test_paragraphs_and_lists() -> None:
    text = "One `a`.\n\nTwo.\n\n* **b**: three\n\n* <four>\n\nFive."
    assert paragraphs(text).replace("\n", "") == (
        "<p>One <code>a</code>.</p><p>Two.</p><ul><li><strong>b</strong>: three</li><li>&lt;four&gt;</li></ul>"
        "<p>Five.</p>"
    )


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
