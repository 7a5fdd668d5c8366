"""The notebooks are committed as they ran, and run from scratch to a picture."""

from __future__ import annotations

import ast
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.execute import FOLDER, REPOSITORY, SCRIPTS, execute, made_from

LARGEST = 400_000  # bytes of a notebook with its outputs
MOST_CELLS, MOST_WORDS = 12, 750  # of five minutes

NAMES = [
    "01_tour",
    "02_the_table",
    "03_maps",
    "04_debiased_clustering",
    "05_contrastive_training",
    "06_graph",
    "07_a_new_cell",
    "08_which_loss",
]

each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def contents(notebook: NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def has_picture(cell: NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def committed(script: Path) -> NotebookNode:
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def test_there_are_notebooks() -> None:
    assert [script.stem for script in SCRIPTS] == NAMES
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@each_script
def test_it_is_committed_as_it_ran(script: Path) -> None:
    notebook = committed(script)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert has_picture(cells[-1])
    assert script.with_suffix(".ipynb").stat().st_size < LARGEST


@each_script
def test_its_cells_are_those_of_the_script(script: Path) -> None:
    assert contents(committed(script)) == contents(made_from(script))
    written = jupytext.reads(script.read_text(encoding="utf-8"), fmt="py:percent")
    assert contents(committed(script))[2:] == contents(written)


@each_script
def test_it_is_short(script: Path) -> None:
    cells = jupytext.read(script, fmt="py:percent").cells
    assert len(cells) <= MOST_CELLS
    assert sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown") < MOST_WORDS


@each_script
def test_it_opens_on_colab_and_binder(script: Path) -> None:
    links, install, *_ = committed(script).cells
    assert f"colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/{script.stem}.ipynb" in links.source
    assert f"mybinder.org/v2/gh/{REPOSITORY}/main?urlpath=lab/tree/notebooks/{script.stem}.ipynb" in links.source
    assert "%pip install" in install.source
    assert not install.outputs  # the package was there


@each_script
def test_it_imports_what_the_package_needs(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    packages = {name.split(".")[0] for name in imported}
    assert packages <= {"IPython", "icon", "matplotlib", "networkx", "numpy", "pandas", "sklearn", "torch"}


@pytest.mark.slow
@each_script
def test_it_runs_from_scratch_to_a_picture(script: Path) -> None:
    cells = code_cells(execute(script))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert has_picture(cells[-1])
