"""The shape of table.json: what the verification writes and every view reads."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from typing_extensions import NotRequired


class Row(TypedDict):
    """A learned distribution q; ``formula`` and ``partition`` are LaTeX."""

    slug: str
    name: str
    formula: str
    partition: str
    partition_name: str
    description: str


class Column(TypedDict):
    """A supervisory distribution p; ``formula`` is LaTeX."""

    slug: str
    name: str
    formula: str
    description: str
    target: str


class Family(TypedDict):
    """A kind of method: the colour of its name's cell."""

    slug: str
    name: str


class Cell(TypedDict):
    """One coordinate: the methods that bear a name there, and what its loss gave when it was run."""

    row: str
    column: str
    methods: list[str]
    computes: bool
    value: float | None
    gradient_norm: float | None
    seconds: float | None
    error: str | None
    code: str


class Citation(TypedDict):
    """Where the method was published; ``doi`` and ``arxiv`` are bare identifiers, not links."""

    key: str
    authors: str
    title: str
    venue: str
    doi: str | None
    arxiv: str | None


class Check(TypedDict):
    """A measured number; it passes when it is within ``tolerance`` of ``expected`` (of zero, where absent)."""

    name: str
    seed: int | None
    measured: float | None
    expected: NotRequired[float | None]
    tolerance: float
    unit: str
    passed: bool
    note: str


class Peer(TypedDict):
    """A published package's own implementation, compared with the reference."""

    package: str
    status: Literal["agrees", "differs", "not installed"]
    measured: float | None
    tolerance: float | None


class Program(TypedDict):
    """What the authors of a method run: where it is, how its number follows from the loss, and what differs.

    ``repository`` and ``url`` are None where no program was found, ``factor`` is empty where the number does not
    follow, and ``checks`` compare a form of it that was derived anew.
    """

    repository: str | None
    path: str
    commit: str
    url: str | None
    call: str
    factor: str
    settings: str
    differs: str
    traps: list[str]
    checks: list[Check]


class Method(TypedDict):
    """A named loss. Of a variant, ``coordinate`` says the place in words."""

    slug: str
    name: str
    row: str
    column: str
    coordinate: str | None
    family: str
    status: Literal["published", "gap"]
    year: int | None
    citation: Citation | None
    relation: str
    formula: str
    reference: str
    code: str
    verified: bool
    unchecked: NotRequired[bool]  # left out of a partial run: neither verified nor failed
    checks: list[Check]
    peers: list[Peer]
    program: Program | None  # None for a gap


class Outside(TypedDict):
    """A system that has no coordinate, and why."""

    name: str
    reason: str


class Study(TypedDict):
    """A question, what was measured, and what was found; a cell of ``body`` is text, a number, or None (no value).

    ``figures`` are SVG texts, drawn for a white page; ``caption`` says how it was measured, in paragraphs with an empty
    line between them; ``source`` is the command that regenerates the study.
    """

    slug: str
    title: str
    question: str
    findings: list[str]
    head: list[str]
    body: list[list[str | float | None]]
    figures: list[str]
    caption: str
    source: str


class Gallery(TypedDict):
    """Every cell trained on the same data, as `experiments.gallery.page_data` gives it.

    A cell says where its points are and what training gave; a slider has frames of a cell at several values of a knob.
    ``labels`` is the base64 of n bytes, and ``places`` that of pairs of uint16; ``images`` are the pictures of all
    points in one PNG (base64), row by row.
    """

    dataset: str
    n: int
    classes: list[str]
    labels: str
    images: dict[str, Any] | None
    cells: list[dict[str, Any]]
    sliders: list[dict[str, Any]]


class Table(TypedDict):
    """Everything the verification found; a view leaves out a section that has nothing in it."""

    generated: str
    versions: dict[str, str]
    summary: str
    rows: list[Row]
    columns: list[Column]
    families: list[Family]
    cells: list[Cell]
    methods: list[Method]
    variants: list[Method]
    outside: list[Outside]
    studies: list[Study]
    gallery: Gallery | None
