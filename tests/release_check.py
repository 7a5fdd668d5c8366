"""Install what is in a folder of distributions into empty environments and try it: ``python -m tests.release_check``.

The wheel is tried with the oldest and the newest dependencies, the sdist with the newest ones; the newest are those of
``constraints.txt``, and the oldest what ``pyproject.toml`` allows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


def oldest(torch: str = "") -> list[str]:
    """The least versions that ``pyproject.toml`` allows, as constraints; another PyTorch where one is given."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    least = {}
    for given in map(Requirement, project["dependencies"]):
        (bound,) = given.specifier
        least[given.name] = f"{given.name}=={bound.version}"
    return list((least | ({"torch": f"torch=={torch}"} if torch else {})).values())


def attempt(distribution: Path, constraints: list[str]) -> None:
    """Install a distribution into an empty environment, and run the smoke test there."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        bounds = Path(folder) / "constraints.txt"
        bounds.write_text("\n".join(constraints) + "\n", encoding="utf-8")
        for arguments in (
            ["-m", "pip", "install", "--quiet", "--constraint", str(bounds), str(distribution)],
            ["-m", "pip", "check"],
            ["-I", str(ROOT / "tests" / "smoke.py")],
        ):
            subprocess.run([python, *arguments], check=True, cwd=folder, env=clean)


def main(
    folder: Annotated[str, typer.Argument(help="Where the wheel and the sdist are.")] = "dist",
    torch: Annotated[str, typer.Argument(help="The oldest PyTorch, where pyproject.toml's is not available.")] = "",
) -> None:
    """Try the wheel and the sdist of a folder in empty environments."""
    (wheel,), (sdist,) = Path(folder).resolve().glob("*.whl"), Path(folder).resolve().glob("*.tar.gz")
    newest = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for distribution, age, constraints in (
        (wheel, "newest", newest),
        (sdist, "newest", newest),
        (wheel, "oldest", oldest(torch)),
    ):
        print(f"{distribution.name} with the {age} dependencies", flush=True)
        attempt(distribution, constraints)


if __name__ == "__main__":
    typer.run(main)
