"""Questions that every view asks of a table: what stands where, what holds, how to write a number."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

from table.page.schema import Check, Method, Peer, Table

VERDICTS = {True: "verified", False: "not verified", None: "not checked"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_verified(method: Method) -> bool:
    """Whether the method holds: no view may look better than the worst of its parts."""
    return (
        method["verified"]
        and bool(method["checks"])
        and all(check["passed"] for check in all_checks(method))
        and all(peer["status"] != "differs" for peer in method["peers"])
    )


def checked(methods: Iterable[Method]) -> list[Method]:
    """Those of the methods that a partial run did not leave out."""
    return [method for method in methods if not method.get("unchecked")]


def all_checks(method: Method) -> list[Check]:
    """The checks against the reference, then those against the authors' program."""
    program = method["program"]
    return [*method["checks"], *(program["checks"] if program else [])]


def program(method: Method) -> str:
    """The authors' program in a few words: its name, its number in terms of the loss, how closely that was met."""
    authors = method["program"]
    if authors is None:
        return "–"
    if not authors["repository"]:
        return f"none found; the paper's cost is {authors['factor']}" if authors["factor"] else "none found"
    closest = worst(authors["checks"])
    said = authors["factor"] or ("another loss, a part of which agrees" if closest else "another loss")
    measured = f" ({number(closest['measured'])})" if closest else ""
    return f"{authors['repository'].split('/')[-1]}: {said}{measured}"


def verdict(method: Method) -> bool | None:
    """Whether the method holds; None where a partial run did not check it."""
    return None if method.get("unchecked") else is_verified(method)


def error(check: Check) -> float:
    """The distance that is compared with the tolerance; infinite where nothing could be measured."""
    measured = check["measured"]
    if measured is None or math.isnan(measured):
        return math.inf
    return abs(measured - (check.get("expected") or 0.0))


def worst(checks: Iterable[Check]) -> Check | None:
    """The check that is nearest to failing; a failed one before any that passed."""

    def badness(check: Check) -> tuple[bool, float]:
        return not check["passed"], error(check) / check["tolerance"] if check["tolerance"] else error(check)

    return max(checks, key=badness, default=None)


def kind(check: Check) -> str:
    """What sort of evidence a check is: ``value``, ``gradient``, ``limit`` or ``minimiser`` (or another property)."""
    if check["unit"] in ("log-log slope", "error / (T log |S|)"):
        return "limit"
    if check["name"] in ("gradient", "directional derivative"):
        return "gradient"
    return "value" if check["unit"] == "relative error" else "minimiser"


def evidence(method: Method, sort: str) -> str:
    """The worst check of one kind in words, empty where there is none."""
    check = worst(check for check in method["checks"] if kind(check) == sort)
    if check is None:
        return ""
    measured = number(check["measured"])
    if check["unit"] == "log-log slope":
        return f"slope {measured}, expected {number(check.get('expected'))}"
    if sort == "limit":
        return f"{measured} of the bound T log |S|"
    return measured if sort != "minimiser" else f"{check['unit']}: {measured}"


def notes(method: Method) -> list[str]:
    """The notes of texts.toml that hold for a method, by name."""
    words = f"{method['relation']} {method['coordinate'] or ''}"
    held = {
        "reverse": "KL(q" in words,
        "limit": "limit" in words or method["row"] in ("gaussian-wide", "gaussian-narrow"),
        "term": re.search(r"regulariser|beside|\+ mean", words) is not None,
        "program": bool(method["program"] and method["program"]["differs"]),
    }
    return [note for note, holds in held.items() if holds]


def polyline(curve: list[float], width: int = 160, height: int = 36) -> str:
    """The points of a learning curve for SVG, the first value at the left and the largest at the top."""
    low, high = min(curve), max(curve)
    across, down = width / max(1, len(curve) - 1), height / ((high - low) or 1)
    return " ".join(f"{place * across:.1f},{(high - value) * down:.1f}" for place, value in enumerate(curve))


def questioned(text: str) -> tuple[str, str]:
    """The sentence of a text that asks (else the first one), and the others."""
    parts = re.split(r"(?<=[.?!]) (?=[A-Z])", text)
    asked = next((part for part in parts if part.endswith("?")), parts[0])
    return asked, " ".join(part for part in parts if part is not asked)


def number(value: float | None, digits: int = 2) -> str:
    """A measured number for people: 0.031, 12.5, 4.1×10⁻¹⁶."""
    if value is None or not math.isfinite(value):
        return "–" if value is None else str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits + 2}g}".replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    return power if float(mantissa) == 1 else f"{mantissa.removesuffix('.0')}×{power}".replace("-", "−")


def entry(value: str | float | None) -> str:
    """An entry of a study's table: text as it is, a number as numbers are written."""
    return value if isinstance(value, str) else number(value)


def unbroken(name: str) -> str:
    """A name whose limit, σ → ∞, is not to be broken over lines."""
    return name.replace(" → ", "\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}")


def tolerance(check: Check) -> str:
    """What the check had to meet, in words."""
    expected, allowed = check.get("expected"), number(check["tolerance"])
    return f"≤ {allowed}" if expected is None else f"{number(expected)} ± {allowed}"


def peer(item: Peer) -> str:
    """One peer in words; an absent package says so."""
    measured = f" ({number(item['measured'])})" if item["measured"] is not None else ""
    return f"{item['package']}: {item['status']}{measured}"


def provenance(table: Table) -> str:
    """When the table was made, and with which versions."""
    versions = ", ".join(f"{name} {version}" for name, version in table["versions"].items())
    return f"Generated {table['generated']} with {versions}."


class Index:
    """A table with its parts findable by slug."""

    def __init__(self, table: Table) -> None:
        self.rows = {row["slug"]: row for row in table["rows"]}
        self.columns = {column["slug"]: column for column in table["columns"]}
        self.cells = {(cell["row"], cell["column"]): cell for cell in table["cells"]}
        self.methods = {method["slug"]: method for method in table["methods"]}
        self.families = {family["slug"]: family["name"] for family in table["families"]}

    def methods_at(self, row: str, column: str) -> list[Method]:
        """The methods that bear a name at a coordinate; none where it has no name."""
        return [self.methods[slug] for slug in self.cells[row, column]["methods"]]

    def coordinate(self, row: str, column: str) -> str:
        """A coordinate in words."""
        return f"{self.rows[row]['name']} × {self.columns[column]['name']}"

    def place(self, method: Method) -> str:
        """The coordinate of a method in words, also of a variant."""
        return method["coordinate"] or self.coordinate(method["row"], method["column"])


class Counts:
    """The headline numbers; what a partial run did not check is not counted."""

    def __init__(self, table: Table) -> None:
        methods, variants = checked(table["methods"]), checked(table["variants"])
        self.methods, self.verified = len(methods), sum(map(is_verified, methods))
        self.variants, self.variants_verified = len(variants), sum(map(is_verified, variants))
        self.cells, self.computing = len(table["cells"]), sum(cell["computes"] for cell in table["cells"])
        #: By their status; those of variants are counted with the others.
        self.peers: Counter[str] = Counter(
            item["status"] for method in (*methods, *variants) for item in method["peers"]
        )
        #: Names of the methods whose program is another one.
        self.caveats = [m["name"] for m in (*methods, *variants) if m["program"] and m["program"]["differs"]]
        #: Whether everything holds, variants included.
        self.whole = (self.verified, self.computing, self.variants_verified) == (
            len(methods),
            self.cells,
            len(variants),
        )

    @property
    def parts(self) -> list[str]:
        """The counts of methods, cells and variants in words, of those that there are."""
        counts = (
            (self.verified, self.methods, "methods verified"),
            (self.computing, self.cells, "cells compute"),
            (self.variants_verified, self.variants, "variants verified"),
        )
        return [f"{good} of {every} {words}" for good, every, words in counts if every]

    @property
    def summary(self) -> str:
        """The counts in one line."""
        return ", ".join(self.parts)

    @property
    def sentence(self) -> str:
        """The summary and what other implementations say, for the terminal and Markdown."""
        said = {"agrees": ("agrees", "agree"), "differs": ("differs", "differ")}
        said |= {"not installed": ("is not installed", "are not installed")}
        counts = ((self.peers[status], words) for status, words in said.items())
        peers = ", ".join(f"{n} {words[n != 1]}" for n, words in counts if n)
        return self.summary + (f"; of the other implementations {peers}" if peers else "")
