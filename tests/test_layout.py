"""Imports of the package go one way, also those within functions."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import icon

ROOT = Path(icon.__file__).parent


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in ROOT.rglob("*.py")}


def imported(node: ast.AST) -> Iterator[str]:
    """Modules of icon that a file imports when it runs: all but what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == "icon":
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                yield inner if inner in MODULES else str(child.module)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name.split(".")[0] == "icon")
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module"):
            yield from (name for arg in child.args if (name := str(getattr(arg, "value", ""))) in MODULES)
        yield from imported(child)


def test_no_import_cycle() -> None:
    """The top of the package is left out: it is what everything is imported through."""
    graph = {
        name: {other for other in imported(ast.parse(file.read_text(encoding="utf-8"))) if other not in (name, "icon")}
        for name, file in MODULES.items()
        if name != "icon"
    }
    assert len(tuple(TopologicalSorter(graph).static_order())) == len(MODULES) - 1


def test_nothing_below_the_top_imports_the_top() -> None:
    for name, file in MODULES.items():
        if name != "icon" and not name.startswith("icon.cli"):
            assert "icon" not in set(imported(ast.parse(file.read_text(encoding="utf-8")))), name


BESIDE = (
    "p",
    "q",
    "_checks",
    "_values",
    "_cached",
    "_lazy",
    "_scales",
    "distances",
    "neighbors",
)  # what p and q may know
ROOMS = ("core", "methods", "nn", "training", "estimators", "cli")


def test_rooms_know_only_those_below() -> None:
    for name, file in MODULES.items():
        room = name.split(".")[1] if "." in name else ""
        below = ROOMS[: ROOMS.index(room) + 1] if room in ROOMS else ()
        for other in imported(ast.parse(file.read_text(encoding="utf-8"))):
            if room in ("p", "q"):
                assert other.split(".")[1] in BESIDE, (name, other)
            elif below and other.count(".") and other.split(".")[1] in ROOMS:
                assert other.split(".")[1] in below, (name, other)


@pytest.mark.parametrize("what", ["import icon", "import icon.cli.main", "icon --help", "icon cluster --help"])
def test_nothing_heavy_is_imported_before_it_is_used(what: str) -> None:
    """Neither by the import nor by the help of the command."""
    code = what
    if what.startswith("icon"):
        code = f"import sys, icon.cli.main as m; sys.argv = {what.split()}\ntry: m.main()\nexcept SystemExit: pass"
    code += "\nimport sys; print(sorted({'numpy', 'pandas', 'scipy', 'sklearn', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["methods.clusters.dcd", "neighbors.nearest_neighbors", "divergence.resolve"])
def test_packages_are_there_after_the_import(place: str) -> None:
    code = f"import icon; icon.{place}; print(len(icon.methods()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(icon.methods())


@pytest.mark.slow
def test_methods_is_a_function_and_a_package() -> None:
    code = "import icon.methods.record, icon; print(len(icon.methods()), icon.methods.registry.find('simclr').slug)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(icon.methods())), "simclr"]
