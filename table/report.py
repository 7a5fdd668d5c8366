"""A study from its report: the words of the report, and the table, the figures and the command that belong to it."""

from __future__ import annotations

import re

import pandas as pd

from table.page.schema import Study

#: Of a report: its title and question, the findings, theory where there is some (which is not shown), the protocol.
PARTS = r"# (.+?)\n\n(.+?)\n\n## Findings\n\n(.+?)\n\n(?:## Theory\n\n.+?\n\n)?## Protocol\n\n(.+?)\n\n## Numbers$"


def study(slug: str, text: str, table: pd.DataFrame, figures: list[str], source: str) -> Study:
    """The study that a report tells of.

    Raises:
        ValueError: the report lacks a part.
    """
    words = re.match(PARTS, text, re.DOTALL | re.MULTILINE)
    if words is None:
        raise ValueError("got other parts, expected a question, findings, protocol, numbers")
    title, question, findings, protocol = words.groups()
    return {
        "slug": slug,
        "title": title,
        "question": " ".join(question.split()),
        "findings": [" ".join(finding.split()) for finding in re.split(r"^\* ", findings, flags=re.MULTILINE)[1:]],
        "head": list(table.columns),
        "body": table.astype(object).where(table.notna(), None).to_numpy().tolist(),
        "figures": figures,
        "caption": "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\n|\n(?=\* )", protocol)),
        "source": source,
    }
