"""The notebooks are committed as they ran, and run from scratch to a picture."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.execute import NOTEBOOKS, execute

LARGEST = 400_000  # bytes of a notebook with its outputs

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def has_picture(cell: NotebookNode) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01_the_table", "02_debiased_clustering"]


@each_notebook
def test_it_is_committed_as_it_ran(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert has_picture(cells[-1])
    assert path.stat().st_size < LARGEST


@each_notebook
def test_it_imports_what_the_extra_installs(path: Path) -> None:
    cells = code_cells(nbformat.read(path, as_version=4))
    tree = ast.parse("\n".join(cell.source for cell in cells))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    packages = {name.split(".")[0] for name in imported}
    assert packages <= {"IPython", "icon", "matplotlib", "numpy", "pandas", "sklearn", "torch"}


@pytest.mark.slow
@each_notebook
def test_it_runs_from_scratch_to_a_picture(path: Path) -> None:
    cells = code_cells(execute(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert has_picture(cells[-1])
