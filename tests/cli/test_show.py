"""`icon table` and `icon show` in a terminal, in a pipe, and as JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import icon
from tests.cli.run import invoke

ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
WORDS = {word for m in icon.methods() for word in (m.name if m.in_table else m.slug).split()}


def in_terminal(arguments: list[str], columns: int, **env: str) -> str:
    """What the command prints into a pseudo-terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8", **env}
    with subprocess.Popen([sys.executable, "-m", "icon", *arguments], stdout=theirs, env=environment) as running:
        os.close(theirs)
        found = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not read:
                break
            found += read
    os.close(ours)
    assert running.returncode == 0
    return found.decode("utf-8").replace("\r\n", "\n")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_fits_a_terminal_without_a_broken_word(columns: int) -> None:
    printed = in_terminal(["table"], columns)
    plain = ESCAPES.sub("", printed)
    assert "\x1b[32m" in printed  # the colour of a family
    assert max(map(len, plain.splitlines())) <= columns
    assert "…" not in plain
    assert set(re.split(r"[\s│,]+", plain)) >= WORDS
    assert len(re.findall("σ → (?:∞|0)", plain)) >= 2


@pytest.mark.slow
def test_no_colour_where_none_is_wanted() -> None:
    printed = in_terminal(["table"], 80, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*(3|9)\dm", printed)


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ("table", "SNE with Uniform Affinities"),
        ("show scan", ": Its neighbours are 20 others and the point itself, which `settings="),
        ("show gaussian pairs", 'loss = icon.loss("gaussian", "pairs")\nLoss(InfoNCE / SimCLR'),
    ],
)
def test_a_pipe_gets_whole_plain_lines(arguments: str, whole: str) -> None:
    done = invoke(arguments.split(), env={"COLUMNS": "40"})
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert whole in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_every_method_fits_a_terminal_without_a_broken_word(columns: int) -> None:
    for method in icon.methods():
        shown = invoke(["show", method.slug], env={"FORCE_COLOR": "1", "COLUMNS": str(columns)}).stdout
        plain = ESCAPES.sub("", shown)
        assert max(map(len, plain.splitlines())) <= columns, method.slug
        whole = invoke(["show", method.slug]).stdout
        if (program := method.program) is not None and program.url:  # a link stands for it in a terminal
            whole = whole.replace(program.url, f"{program.repository}, {program.path}")
        assert plain.split() == whole.split(), method.slug


@pytest.mark.slow
def test_a_terminal_links_what_is_longer_than_a_line() -> None:
    shown = in_terminal(["show", "simclr"], 80)
    program = next(m.program for m in icon.methods() if m.slug == "simclr")
    assert program is not None
    assert program.url is not None
    assert f";{program.url}\x1b\\" in shown
    assert program.url not in ESCAPES.sub("", shown)


def test_json_of_the_table() -> None:
    given = invoke(["table", "--json"]).stdout
    assert given == invoke(["table", "--style", "json"]).stdout
    assert json.loads(given) == icon.table().to_dict(orient="index")
    done = invoke(["table", "--json", "--style", "csv"])
    assert done.exit_code == 2


def refuse(constant: str) -> None:
    raise AssertionError(constant)


@pytest.mark.parametrize("method", icon.methods(), ids=lambda m: m.slug)
def test_json_of_a_method(method: icon.Method) -> None:
    found = json.loads(invoke(["show", method.slug, "--json"]).stdout, parse_constant=refuse)
    for name in ("slug", "name", "row", "column", "family", "status", "year", "relation"):
        assert found[name] == getattr(method, name)
    assert set(found["hyper"]) == set(method.hyper)
    space: dict[str, icon.Loss] = {}
    exec(f"import icon\n{found['code']}", space)
    assert repr(space["loss"]) == found["loss"]
    assert (found["citation"] or {}).get("url") == (None if method.citation is None else method.citation.url)
    assert (found["program"] or {}).get("url") == (None if method.program is None else method.program.url)


def test_json_of_a_coordinate() -> None:
    found = json.loads(invoke(["show", "gaussian", "pairs", "--json"]).stdout)
    assert (found["row"], found["column"]) == ("gaussian", "pairs")
    expected = [m.slug for m in icon.methods() if (m.row, m.column) == ("gaussian", "pairs")]
    assert [m["slug"] for m in found["methods"]] == expected
    assert found["loss"] == repr(icon.loss("gaussian", "pairs"))


def test_markdown_is_a_table() -> None:
    plain = invoke(["table", "--style", "markdown"], env={"FORCE_COLOR": "1", "COLUMNS": "40"}).stdout
    head, rule, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in plain.splitlines())
    frame = icon.table()
    assert head == ["q \\ p", *frame.columns]
    assert all(set(cell) == {"-"} for cell in rule)
    assert lines == [[row, *frame.loc[row]] for row in frame.index]


OWN = """
import icon

@icon.register_row("own-row", "Own Row")
class Own(icon.q.Radial):
    def radial(self, squared):
        return -squared

@icon.register_method("own-method", "Own Method", cell=("own-row", "pairs"), family="gap", relation="exact: by trust")
def own() -> icon.Loss:
    return icon.Loss(icon.p.Pairs(), Own())
"""


@pytest.mark.usefixtures("registry")
def test_parts_of_a_user_are_loaded_and_not_called_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_parts.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    shown = invoke(["show", "own-method", "--load", "my_own_parts"]).stdout
    assert "relation (not verified): exact: by trust" in shown
    assert "\nverified" not in shown
    assert 'icon.loss("own-row", "pairs")' in invoke(["show", "own-row", "pairs"]).stdout
    assert "Own Method" in invoke(["table", "--style", "csv", "--load", "my_own_parts"]).stdout
    assert "\nverified: " in invoke(["show", "simclr"]).stdout
    (tmp_path / "of_two_lines.py").write_text("raise ValueError('one\\ntwo')")
    (tmp_path / "of_no_line.py").write_text("raise ImportError")
    for name in ("no_such_module", "./my_own_parts.py", "", "of_two_lines", "of_no_line"):
        done = invoke(["show", "own-method", "--load", name])
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error: load: got {name!r}, expected a module that can be imported (")
        assert done.stderr.endswith(")\n")
    assert "(ImportError)" in done.stderr
    (tmp_path / "of_much_memory.py").write_text("raise MemoryError")
    assert invoke(["show", "own-method", "--load", "of_much_memory"]).stderr == "error: MemoryError\n"
