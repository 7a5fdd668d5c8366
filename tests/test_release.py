"""What is released says one version and asks for the same packages everywhere, and users see its types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import icon
from notebooks.execute import REPOSITORY
from tests.release_check import NEWEST, OLDEST

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = {"pytorch": "torch", "matplotlib-base": "matplotlib"}  # names that conda has of its own

USER = """
from torch import Tensor, randn
from typing_extensions import assert_type
import icon

assert_type(icon.loss("gaussian", "pairs"), icon.Loss)
assert_type(icon.method("simclr"), icon.Loss)
assert_type(icon.loss("gaussian", "pairs")(randn(4, 2), [0, 0, 1, 1]), Tensor)
assert_type(icon.methods(), list[icon.Method])
assert_type(icon.Embedding(2), icon.Embedding)
assert_type(icon.Clustering(2), icon.Clustering)
assert_type(icon.q.Gaussian("dot"), icon.q.Gaussian)
assert_type(icon.sinkhorn(randn(4, 2)), Tensor)
"""


def pins(constraints: Path) -> dict[str, str]:
    """The version of each package in a file of constraints."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    given = [Requirement(line) for line in lines if line[0] != "#"]
    return {each.name: bound.version for each in given for bound in each.specifier}


def test_one_version() -> None:
    assert PROJECT["dynamic"] == ["version"]  # read from icon.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == icon.__version__
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] == icon.__version__


def test_the_conda_recipe_agrees_with_the_project() -> None:
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == icon.__version__
    assert recipe["package"]["name"] == PROJECT["name"]
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["build"]["python"]["entry_points"] == [f"{k} = {v}" for k, v in PROJECT["scripts"].items()]
    run = dict(line.split() for line in recipe["requirements"]["run"])
    assert run.pop("python") == PROJECT["requires-python"]
    given = {CONDA.get(name, name): bound for name, bound in run.items()}
    assert given == {r.name: str(r.specifier) for r in map(Requirement, PROJECT["dependencies"])}


def test_the_newest_dependencies_are_allowed() -> None:
    newest = pins(NEWEST)
    for given in map(Requirement, PROJECT["dependencies"]):
        if given.name in newest:
            assert given.specifier.contains(newest[given.name]), given.name


def test_the_oldest_dependencies_are_those_that_are_tried() -> None:
    oldest = pins(OLDEST)
    for given in map(Requirement, PROJECT["dependencies"]):
        (bound,) = given.specifier
        assert Version(oldest[given.name]) == Version(bound.version), given.name


@pytest.mark.slow
def test_users_see_the_types(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "user.py"]
    seen = os.environ | {"MYPYPATH": str(ROOT)}  # mypy does not follow an editable installation
    done = subprocess.run(command, cwd=tmp_path, env=seen, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_one_address_of_the_repository() -> None:
    address = f"https://github.com/{REPOSITORY}"
    assert PROJECT["urls"]["Repository"] == address
    assert f'repository-code: "{address}"' in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
