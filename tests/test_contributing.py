"""The examples of CONTRIBUTING.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXAMPLES = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.DOTALL
)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("example", EXAMPLES, ids=["a score", "a p", "a method"])
def test_example_runs(example: str) -> None:
    exec(compile(example, "CONTRIBUTING.md", "exec", dont_inherit=True), {"__name__": "contributing"})
