"""Install what is in a folder of distributions into empty environments and try it: ``python -m tests.release_check``.

The wheel is tried with the oldest and the newest dependencies, the sdist with the newest ones.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parent.parent
NEWEST, OLDEST = ROOT / "constraints.txt", ROOT / "constraints-oldest.txt"


def attempt(distribution: Path, constraints: Path) -> None:
    """Install a distribution into an empty environment, and run the smoke test there."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        for arguments in (
            ["-m", "pip", "install", "--quiet", "--constraint", str(constraints), str(distribution)],
            ["-m", "pip", "check"],
            ["-I", str(ROOT / "tests" / "smoke.py")],
        ):
            subprocess.run([python, *arguments], check=True, cwd=folder, env=clean)


def main(folder: Annotated[str, typer.Argument(help="Where the wheel and the sdist are.")] = "dist") -> None:
    """Try the wheel and the sdist of a folder in empty environments."""
    (wheel,), (sdist,) = Path(folder).resolve().glob("*.whl"), Path(folder).resolve().glob("*.tar.gz")
    for distribution, constraints in ((wheel, NEWEST), (sdist, NEWEST), (wheel, OLDEST)):
        print(f"{distribution.name} with {constraints.name}", flush=True)
        attempt(distribution, constraints)


if __name__ == "__main__":
    typer.run(main)
