"""index.html: one self-contained file with the grid and all that its cells open to; and a page for each study."""

from __future__ import annotations

from table.page.schema import Study, Table
from table.page.templating import fill
from table.page.view import Counts, Index


def render(table: Table) -> str:
    """The whole page as text; it needs no other file and no network, apart from the pages of the studies."""
    trained = {(cell["row"], cell["column"]): cell for cell in (table["gallery"] or {"cells": []})["cells"]}
    return fill("page.html", table=table, index=Index(table), counts=Counts(table), trained=trained)


def render_study(study: Study) -> str:
    """The page of one study, which stands in a folder beside index.html."""
    return fill("study.html", study=study)
