"""What the table says in words and in LaTeX: the entries of texts.toml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from icon.methods.axes import COLUMNS, ROWS
from table.page.schema import Column, Row

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _joined(entry: Any) -> Any:
    """The entry with the lines of every text joined by spaces."""
    if isinstance(entry, dict):
        return {key: _joined(value) for key, value in entry.items()}
    return " ".join(entry.split())


TEXTS: dict[str, Any] = _joined(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))


def row(slug: str) -> Row:
    """The name and the texts of a row; general ones for a row that was registered from outside."""
    return cast("Row", {"slug": slug, "name": ROWS[slug].name, **TEXTS["rows"].get(slug, TEXTS["own"]["row"])})


def column(slug: str) -> Column:
    """The name and the texts of a column; general ones for a column that was registered from outside."""
    texts = TEXTS["columns"].get(slug, TEXTS["own"]["column"])
    return cast("Column", {"slug": slug, "name": COLUMNS[slug].name, **texts})


def when(row: str, column: str) -> str:
    """One sentence on when a cell is the one to use; empty where its row or column is a user's own."""
    rows, columns = TEXTS["when"]["rows"], TEXTS["when"]["columns"]
    return f"Use it when {columns[column]}, and you want {rows[row]}." if row in rows and column in columns else ""
