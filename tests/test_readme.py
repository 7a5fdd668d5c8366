"""The README's examples run as they stand, it is short, and what it links to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from notebooks.execute import REPOSITORY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(
    "example",
    [pytest.param(e, marks=pytest.mark.slow) if "icon.Clustering(" in e else e for e in EXAMPLES],
    ids=[e.splitlines()[-1][:30] for e in EXAMPLES],
)
@pytest.mark.usefixtures("registry")
def test_example_runs(example: str) -> None:
    torch.manual_seed(0)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_its_picture_shows_elsewhere_too() -> None:
    """A package index does not have the files of the repository, so that the address is absolute."""
    (picture,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert picture == f"https://raw.githubusercontent.com/{REPOSITORY}/main/docs/table.png"
    assert (ROOT / "docs" / "table.png").is_file()
