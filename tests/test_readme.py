"""The README's examples run as they stand, and its table is the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import icon

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 9


@pytest.mark.parametrize(
    "example",
    [pytest.param(e, marks=pytest.mark.slow) if "icon.Clustering(" in e else e for e in EXAMPLES],
    ids=[e.splitlines()[-1][:30] for e in EXAMPLES],
)
@pytest.mark.usefixtures("registry")
def test_example_runs(example: str) -> None:
    torch.manual_seed(0)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})


def test_its_table_is_the_table() -> None:
    body = README.split("| | gaussian |")[1].split("\n\n")[0].splitlines()[2:]
    shown = {row[0]: row[1:] for row in ([c.strip() for c in line.strip("|").split("|")] for line in body)}
    table = icon.table()
    for row in table.index:
        assert [cell.replace("*", "") for cell in shown[row]] == list(table.loc[row]), row
