"""The shapes in the signatures of icon hold: its own tests run again with every call checked."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "ICON_CHECK_SHAPES": "1"}, capture_output=True, text=True, check=False
    )


KINDS = ("Bool", "Float", "Int", "Integer", "Real", "Shaped")  # of jaxtyping
# What a compiler or a warning would see is the hook, and not icon.
FOLDERS = ("core", "estimators", "methods", "metrics", "neighbors", "nn", "p", "q", "training")


def test_every_shape_is_a_string() -> None:
    """A formatter takes the quotes of ``"n *d"`` away, which then is a product, and no shape."""
    for path in (ROOT / "icon").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in KINDS:
                _, shape = node.slice.elts  # type: ignore[attr-defined]
                assert isinstance(shape, ast.Constant), (path, ast.unparse(node))


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_shapes_in_signatures(folder: str) -> None:
    seen = "not the_warning and not compile and not export and not no_record"
    done = checked("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", seen, f"tests/{folder}")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_a_wrong_shape_is_found() -> None:
    script = "\n".join(
        [
            "import tests.conftest, torch, icon",
            "tile = torch.ones(2, 3)",
            "icon.divergence.TotalVariation()(tile, tile, torch.ones(2, 4))",
        ]
    )
    done = checked("-c", script)
    assert done.returncode != 0
    assert "log_q" in done.stderr
