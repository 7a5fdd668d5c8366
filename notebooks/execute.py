"""Make the notebooks of their scripts and execute them: ``python -m notebooks.execute [SCRIPT ...]`` from the root.

A notebook is what jupytext reads in a script, after two cells that all of them begin with.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SCRIPTS = sorted(FOLDER.glob("[0-9]*.py"))
REPOSITORY = "icon-loss/icon"  # on GitHub

LINKS = f"""\
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/%(name)s.ipynb)
[![Open in Binder](https://mybinder.org/badge_logo.svg)]\
(https://mybinder.org/v2/gh/{REPOSITORY}/main?urlpath=lab/tree/notebooks/%(name)s.ipynb)"""

INSTALL = f"""\
import importlib.util

if importlib.util.find_spec("icon") is None:  # on Colab, which does not have the package
    %pip install --quiet "icon-loss @ git+https://github.com/{REPOSITORY}\""""


def made_from(script: Path) -> NotebookNode:
    """The notebook of a script, without outputs."""
    notebook = jupytext.read(script, fmt="py:percent")
    links = nbformat.v4.new_markdown_cell(LINKS % {"name": script.stem})
    notebook.cells[:0] = [links, nbformat.v4.new_code_cell(INSTALL)]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # a random one would differ each time
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": python, "language_info": {"name": "python"}}
    return notebook


def execute(script: Path, timeout: float = 600) -> NotebookNode:
    """The notebook with the outputs of a new kernel, which runs in the root and so imports this checkout's package.

    Args:
        script: the file that the notebook is made from.
        timeout: seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = made_from(script)
    # Any other backend of matplotlib leaves no pictures; a second thread gains little on arrays this small, and on a
    # busy machine it costs much.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | {"OMP_NUM_THREADS": "1"}
    resources = {"metadata": {"path": str(FOLDER.parent)}}
    NotebookClient(notebook, timeout=timeout, record_timing=False, resources=resources).execute(env=environment)
    notebook.metadata.language_info = {"name": "python"}  # no versions of the interpreter that happened to run it
    return notebook


if __name__ == "__main__":
    parser = ArgumentParser("python -m notebooks.execute", description="Make notebooks of scripts and execute them.")
    parser.add_argument("scripts", metavar="SCRIPT", nargs="*", type=Path, help="A script; without any, all of them.")
    for given in parser.parse_args().scripts or SCRIPTS:
        nbformat.write(execute(given), given.with_suffix(".ipynb"))
        print(given.with_suffix(".ipynb").name)
