"""What the table says of a method: a record, its citation, and the factory that builds its loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from icon.core.loss import Loss
from icon.methods.program import Program, programs

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
    """Where a method was published.

    Args:
        key: its BibTeX key.
        authors: their last names, separated by commas.
        year: of the publication.
        title: of the paper.
        venue: journal, conference or series.
        doi: where there is one.
        arxiv: the number of the preprint, where there is one.
    """

    key: str
    authors: str
    year: int
    title: str
    venue: str
    doi: str | None = None
    arxiv: str | None = None

    @property
    def url(self) -> str | None:
        """Where the paper is found: its DOI, or the preprint."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None

    def bibtex(self) -> str:
        """The entry, for a bibliography."""
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


@cache
def citations() -> dict[str, Citation]:
    """The entries of ``references.bib`` by key. One field per line is all of BibTeX that is read here."""
    by_key = {}
    text = (files("icon.methods") / "references.bib").read_text(encoding="utf-8")
    for key, body in re.findall(r"^@\w+\{(.+?),\n(.*?)^\}", text, flags=re.MULTILINE | re.DOTALL):
        entry = dict(re.findall(r"^ *(\w+) = \{(.*)\},?$", body, flags=re.MULTILINE))
        venue = next(entry[name] for name in ("journal", "booktitle", "howpublished") if name in entry)
        authors = entry["author"].replace(" and ", ", ")
        year, doi, arxiv = int(entry["year"]), entry.get("doi"), entry.get("eprint")
        by_key[key] = Citation(key, authors, year, entry["title"], venue, doi, arxiv)
    return by_key


@dataclass(frozen=True)
class Method:
    """A named method: a coordinate of the table, and what builds its loss.

    Args:
        slug: its name in code.
        name: its name for people.
        row: slug of its row.
        column: slug of its column.
        family: key of `FAMILIES`; ``"gap"`` for a name that nobody published.
        relation: how the loss relates to the reference, in words.
        citation: None for a gap.
        hyper: hyper-parameters of the method and their defaults.
        coordinate: in words, where a variant of its cell stands; empty for a method whose name is in the table.
        build: the factory; None builds ``icon.loss(row, column, **hyper)``.
        sets: hyper-parameters of p or q that those of the method set under another name.
    """

    slug: str
    name: str
    row: str
    column: str
    family: str
    relation: str
    citation: Citation | None = None
    hyper: Mapping[str, Any] = field(default_factory=dict)
    coordinate: str = ""
    build: Callable[..., Loss] | None = None
    sets: tuple[str, ...] = ()

    @property
    def program(self) -> Program | None:
        """The authors' own program, or what is known of it; None for a gap and for a method of your own."""
        return programs().get(self.slug)

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
        """Of the publication."""
        return None if self.citation is None else self.citation.year
