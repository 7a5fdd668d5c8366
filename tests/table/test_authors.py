"""The page for those who come from the authors' code is that of the records."""

from __future__ import annotations

import pytest

import icon
from table.authors import PATH, render


def test_the_page_is_fresh() -> None:
    assert PATH.read_text(encoding="utf-8") == render(), "run python -m table.authors"


def test_it_says_for_every_published_method_with_a_record_what_to_call() -> None:
    text = render()
    for method in icon.methods():
        if method.program is not None:
            assert f"## {method.name}\n" in text
            assert f'icon.method("{method.slug}"' in text


@pytest.mark.parametrize("name", ["SwAV", "PCL"])
def test_an_example_that_gives_a_number_is_that_of_the_program(name: str) -> None:
    """Where the call of the authors' program is another one than ours, the page shows theirs."""
    example = render().split(f"## {name}\n")[1].split("```")[1]
    assert {"SwAV": "0.05, 3, tolerance=None", "PCL": "centroids, clusters"}[name] in example
    assert "number = loss.published(" in example


def test_what_was_not_found_is_said_once() -> None:
    for section in render().split("\n## ")[1:]:
        assert section.lower().count("no program of the authors was found") <= 1
