"""What the table says of a method: a record, and nothing that computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FAMILIES = {
    "dimensionality-reduction": "Dimensionality reduction",
    "cluster-learning": "Cluster learning",
    "unimodal-ssl": "Unimodal self-supervised learning",
    "multimodal-ssl": "Multimodal self-supervised learning",
    "supervised": "Supervised learning",
    "gap": "Gap (unpublished)",
}


@dataclass(frozen=True)
class Citation:
    """Where a method was published. ``key`` is its BibTeX key; ``doi`` or ``arxiv`` where there is one."""

    key: str
    authors: str
    year: int
    title: str
    venue: str
    doi: str | None = None
    arxiv: str | None = None

    @property
    def url(self) -> str | None:
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None

    def bibtex(self) -> str:
        fields = {
            "author": self.authors.replace(", ", " and "),
            "title": self.title,
            "year": self.year,
            "howpublished": self.venue,
            "doi": self.doi,
            "eprint": self.arxiv,
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value is not None)
        return f"@misc{{{self.key},\n{body}\n}}"


@dataclass(frozen=True)
class Method:
    """A named method: a coordinate of the table and the hyper-parameters that make it.

    Args:
        slug, name: for code and for people.
        row, column: the coordinate.
        family: key of `FAMILIES`; ``"gap"`` for a name that nobody published.
        relation: how the loss relates to the reference, in words.
        citation: None for a gap.
        hyper: hyper-parameters of the method and their defaults.
        coordinate: in words, where the method stands beyond the table (a variant of its cell, shown under the table);
            empty for a method of the table.
        translate: from the method's hyper-parameters to those of `icon.loss`, where the names differ.
    """

    slug: str
    name: str
    row: str
    column: str
    family: str
    relation: str
    citation: Citation | None = None
    hyper: Mapping[str, Any] = field(default_factory=dict)
    translate: Callable[..., dict[str, Any]] | None = None
    coordinate: str = ""

    @property
    def in_table(self) -> bool:
        """Whether the method has its name in a cell of the table."""
        return not self.coordinate

    @property
    def status(self) -> str:
        """``"published"`` or ``"gap"``."""
        return "gap" if self.citation is None else "published"

    @property
    def year(self) -> int | None:
        return None if self.citation is None else self.citation.year
