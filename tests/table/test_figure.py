"""The picture of the table: its text can be selected, it is the same twice, and a marked method is outlined."""

from __future__ import annotations

import re
import zlib
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer import Exit

from icon.methods import axes, registry
from table import run
from table.__main__ import main
from table.page import figure
from table.page.schema import Table
from tests.tables import FAMILIES, METHODS, make_table, method

OWN = """
import icon

@icon.register_row("own-row", "Own row")
class OwnRow(icon.q.Gaussian):
    pass

@icon.register_method("my-graph", "My Graph", cell=("gaussian-wide", "graph"), family="gap", relation="my own")
def my_graph():
    return icon.loss("gaussian-wide", "graph")
"""


@pytest.fixture(scope="module")
def table() -> Table:
    return make_table()


def pdf_text(path: Path) -> list[str]:
    """What a PDF draws as text, a string for each piece; a ligature is one character that is not read here."""
    found = []
    for stream in re.findall(rb"FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.DOTALL):
        try:
            drawn = zlib.decompress(stream)
        except zlib.error:
            continue
        for piece in re.findall(rb"\bBT\b(.*?)\bET\b", drawn, re.DOTALL):
            letters = b"".join(re.findall(rb"\(((?:\\.|[^\\)])*)\)", piece, re.DOTALL))
            found.append(letters.replace(b"\0", b"").decode("latin-1"))
    return found


def outlines(path: Path) -> int:
    """How many marks an SVG has."""
    shapes = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}path")
    return sum(f"stroke: {figure.INK}" in shape.get("style", "") for shape in shapes)


def bold(path: Path, words: str) -> bool:
    (found,) = re.findall(rf'<text style="([^"]*)"[^>]*>{words}</text>', path.read_text(encoding="utf-8"))
    return "bold" in found or "700" in found


@pytest.mark.slow
def test_text_stays_text(table: Table, tmp_path: Path) -> None:
    figure.draw(table, tmp_path)
    drawn = (tmp_path / "table.svg").read_text(encoding="utf-8")
    printed = pdf_text(tmp_path / "table.pdf")
    for word in ("SimCLR", "Positive pairs", "2020", *FAMILIES.values()):
        assert f">{word}</text>" in drawn  # text, not outlines
        assert word in printed
    assert ">Affinities</text>" in drawn  # a ligature in the PDF
    fonts = (tmp_path / "table.pdf").read_bytes()
    assert b"/FontFile2" in fonts  # embedded whole glyphs, which editors read
    assert b"/ToUnicode" in fonts
    assert b"/Type3" not in fonts
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_same_twice(table: Table, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        figure.draw(table, tmp_path / folder)
    for name in ("table.svg", "table.pdf", "table.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


@pytest.mark.slow
def test_a_marked_method_is_outlined_and_bold(table: Table, tmp_path: Path) -> None:
    figure.draw(table, tmp_path / "plain")
    figure.draw(table, tmp_path / "marked", {"simclr", "average-margin-supcon"})
    plain, marked = tmp_path / "plain" / "table.svg", tmp_path / "marked" / "table.svg"
    assert (outlines(plain), outlines(marked)) == (0, 2)
    assert (bold(plain, "Average"), bold(marked, "Average")) == (False, True)
    for name in ("table.pdf", "table.png"):
        assert (tmp_path / "plain" / name).read_bytes() != (tmp_path / "marked" / name).read_bytes()


@pytest.mark.slow
def test_a_marked_variant_is_drawn_in_its_cell(table: Table, tmp_path: Path) -> None:
    figure.draw(table, tmp_path / "plain")
    figure.draw(table, tmp_path / "marked", {"scan"})
    assert ">SCAN</text>" not in (tmp_path / "plain" / "table.svg").read_text(encoding="utf-8")
    assert ">SCAN</text>" in (tmp_path / "marked" / "table.svg").read_text(encoding="utf-8")


def test_nothing_is_cut(table: Table) -> None:
    drawn = figure._figure(table, {"scan", "simclr"})
    drawn.draw_without_rendering()
    page = drawn.bbox
    for text in drawn.axes[0].texts:
        box = text.get_window_extent()
        assert page.x0 <= box.x0, text
        assert box.x1 <= page.x1, text
        assert page.y0 <= box.y0, text
        assert box.y1 <= page.y1, text


@pytest.mark.parametrize("more", [
    pytest.param(["BYOL"], marks=pytest.mark.slow), pytest.param(["BYOL", "N-pair"], marks=pytest.mark.slow),
    ["BYOL", "Debiased Contrastive", "N-pair"],
])  # fmt: skip
def test_the_words_of_a_full_cell_stay_apart(table: Table, more: list[str]) -> None:
    own = [method(f"own-{k}", name, "gaussian/pairs", "supervised", 2020) for k, name in enumerate(more)]
    drawn = figure._figure({**table, "variants": own}, {variant["slug"] for variant in own})  # type: ignore[typeddict-item]
    drawn.draw_without_rendering()
    assert {word for name in more for word in name.split()} <= {text.get_text() for text in drawn.axes[0].texts}
    boxes = [text.get_window_extent().padded(-1) for text in drawn.axes[0].texts]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_wrapped_names_fit() -> None:
    for _, name, *_ in METHODS:
        lines = figure.wrap(name, 100, 13, bold=True)
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")
        assert all(figure.width(line, 13, bold=True) <= 100 for line in lines)


@pytest.mark.slow
def test_a_method_of_a_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "CELL_POINTS", 60)
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    (tmp_path / "own_methods_for_a_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(Exit) as stop:
            main(only=["simclr"], no_peers=True, load=["own_methods_for_a_test"], mark=["my-graph"], out=tmp_path)
    finally:
        axes.ROWS.pop("own-row", None)
    assert stop.value.exit_code == 0, capsys.readouterr().out
    drawn = tmp_path / "table.svg"
    assert bold(drawn, "My Graph")
    assert ">Own row</text>" in drawn.read_text(encoding="utf-8")
    assert "1 of 1 methods verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mark": ["simcrl"]}, "mark: got 'simcrl' (did you mean 'simclr'"),
        ({"load": ["no_such_module"]}, "load: got 'no_such_module', expected a module that can be imported"),
    ],
)
def test_bad_input(given: dict[str, list[str]], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as stop:
        main(**given, out=tmp_path / "out")  # type: ignore[arg-type]
    assert stop.value.exit_code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
