"""The page for those who come from the authors' code is that of the records."""

from __future__ import annotations

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
