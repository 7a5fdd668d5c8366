"""What `icon advise` does and writes: a page with the candidates side by side, and their numbers."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icon.cli.cluster_report import leading, planar
from icon.cli.fits import FILES, beside, read_for, say
from icon.cli.map_report import NAMED
from icon.cli.output import UNKNOWN, palette, staged, versions, write_table
from icon.estimators.advice import Advice, behind, read_budget, title
from icon.estimators.advice import advise as advise_on
from icon.labels import Labels

OURS = ("index.html", "advice.csv")


def advise(out: Path, table: dict[str, Any], quiet: bool, **settings: Any) -> None:
    """Print the ranking and the code of the best, and write the page into a folder; bad input writes nothing."""
    given = {name: settings.pop(name) for name in FILES}
    if out.suffix:
        raise ValueError(f"out: got {out}, expected a folder (without a suffix)")
    read_budget(settings["budget"])  # before a large file is read
    (read,), named = read_for(out, OURS, "csv", table, given)
    x, n = read.values, len(read.values)
    pairs, graph = beside(given, "pairs", n), beside(given, "graph", n)
    if not quiet:
        say(read, named)
    labels = None if named is None else named.codes
    advice = advise_on(x, labels, pairs=pairs, graph=graph, **settings)
    with staged(out) as stage:
        assert stage is not None
        write_table(advice.scores, stage, "advice.csv")
        (stage / "index.html").write_text(page(advice, x, named), encoding="utf-8")
    print(advice)


def page(advice: Advice, x: NDArray[Any], labels: Labels | None) -> str:
    """One HTML file without anything beside it."""
    rows = advice.samples[0]
    words = {
        "map": "The maps of the first sample",
        "clusters": "The clusters of the first sample, on one map of its features (t-SNE)",
    }.get(advice.goal, "The two leading principal directions of the embeddings of the first sample")
    own = np.full(len(rows), -1) if labels is None else labels.codes[rows]
    flat = planar(x[rows], 0) if advice.goal == "clusters" else None
    figures = []
    for place, record in enumerate(advice.table.to_dict("records"), 1):
        output = advice.outputs[record["name"]][0]
        picture = drawn(output, own) if flat is None else drawn(flat[1], output[flat[0]])
        caption = f"{place}. {escape(title(record))} <b>{record['score']:.3f}</b>"
        alt = escape(record["name"], quote=True)
        source = f"data:image/png;base64,{picture}"
        figures.append(f'<figure><img src="{source}" alt="{alt}"><figcaption>{caption}</figcaption></figure>')
    colours = "the colours are the clusters" if flat else "" if labels is None else legend(labels.names, own)
    template = Template((Path(__file__).parent / "advice.html").read_text(encoding="utf-8"))
    return template.substitute(
        goal="a map" if advice.goal == "map" else escape(advice.goal),
        best=escape(title(advice.table.iloc[0].to_dict())),
        criterion=escape(advice.criterion),
        notes="".join(f"<li>{escape(note)}</li>" for note in advice.notes),
        code=escape(advice.code),
        ranking=ranking(advice),
        words=words + (f"; {colours}" if colours else ""),
        figures="\n".join(figures),
        version=versions()["icon"],
    )


def legend(names: NDArray[Any], codes: NDArray[np.int64]) -> str:
    """That colours are labels, and the name of each, if they are few."""
    from matplotlib.colors import to_hex

    colours = palette(int(codes.max(initial=-1)) + 1)
    words = "the colours are the labels"
    if not 0 < len(colours) <= NAMED:
        return words
    entries = list(zip(names, colours, strict=False))  # the last classes may be missing among these points
    if (codes < 0).any():
        entries.append(("unknown", UNKNOWN))
    dots = (f'<span style="color:{to_hex(colour)}">●</span> {escape(str(name))}' for name, colour in entries)
    return f"{words}: {', '.join(dots)}"


def ranking(advice: Advice) -> str:
    """Rows of the table: score, difference to the best and its interval, as numbers and as a bar."""
    records = advice.table.to_dict("records")
    ends = [value for each in records for value in (each["difference"], each["low"], each["high"], 0.0)]
    low, high = (float(end(ends)) for end in (np.nanmin, np.nanmax))
    width = max(high - low, 1e-9)

    def place(value: float) -> float:
        return round(4 + 192 * (1 - (value - low) / width), 1)

    rows = []
    for each in records:
        is_best, known = each["name"] == advice.best, np.isfinite(each["low"])
        words = "the best" if is_best else "not clearly worse" if each["tied"] else "worse"
        words = "not known after one round" if not known and not is_best else words
        less = "" if is_best else behind(each)
        x1, x2 = (place(each[end]) if known else place(each["difference"]) for end in ("high", "low"))
        bar = (
            f'<svg width="200" height="14" role="img" aria-label="{less or "0"}">'
            f'<path class="zero" d="M{place(0)} 0V14"/><path class="range" d="M{x1} 7H{x2}"/>'
            f'<circle cx="{place(each["difference"])}" cy="7" r="3.5"/></svg>'
        )
        rows.append(
            f'<tr><th>{escape(title(each))}</th><td>{each["score"]:.3f}</td><td>{less}</td><td class="drawn">{bar}</td>'
            f'<td>{words}</td><td class="seconds">{each["seconds"]:.1f}</td></tr>'
        )
    return "\n".join(rows)


def drawn(z: NDArray[Any], codes: NDArray[Any]) -> str:
    """A picture of points ``[m, d]`` in their two leading directions, coloured by ``codes [m]``, -1 in grey; base64."""
    from matplotlib.figure import Figure

    z = leading(z) if z.shape[1] > 2 else np.pad(z, ((0, 0), (0, 2 - z.shape[1])))
    figure = Figure(figsize=(3, 3), dpi=130)
    panel = figure.add_axes((0, 0, 1, 1))
    known = [*palette(int(codes.max(initial=-1)) + 1)]
    colours = np.array([(0.25, 0.35, 0.6) if not known else UNKNOWN, *(colour[:3] for colour in known)])
    order = np.random.default_rng(0).permutation(len(z))  # no class lies on top of all others
    size = float(np.clip(4000 / len(z), 2, 20))
    panel.scatter(z[order, 0], z[order, 1], c=colours[codes[order] + 1], s=size, linewidths=0, alpha=0.85)
    panel.margins(0.04)
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_axis_off()
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return base64.b64encode(written.getvalue()).decode()
