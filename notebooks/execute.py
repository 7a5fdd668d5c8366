"""Execute the notebooks and write their outputs into them: ``python -m notebooks.execute [FILE ...]`` from the root."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path, timeout: float = 600) -> nbformat.NotebookNode:
    """The notebook with the outputs of a new kernel, which runs in the root and so imports this checkout's package.

    Args:
        path: the file, which is not changed.
        timeout: seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    # Any other backend of matplotlib leaves no pictures; a second thread gains little on arrays this small, and on a
    # busy machine it costs much.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | {"OMP_NUM_THREADS": "1"}
    resources = {"metadata": {"path": str(FOLDER.parent)}}
    NotebookClient(notebook, timeout=timeout, record_timing=False, resources=resources).execute(env=environment)
    notebook.metadata.language_info = {"name": "python"}  # no versions of the interpreter that happened to run it
    return notebook


if __name__ == "__main__":
    for given in map(Path, sys.argv[1:]) if sys.argv[1:] else NOTEBOOKS:
        nbformat.write(execute(given), given)
        print(given.name)
