"""The command ``icon``: show the table and its methods, embed and cluster features."""

from __future__ import annotations

import json
import signal
import sys
import time
import warnings
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from icon._columns import Features as Read
from icon.estimators.diagnostics import diagnose
from icon.features import read_features, read_vector
from icon.labels import known_labels
from icon.methods import axes, registry
from icon.methods.program import Program
from icon.tables import TableOptions

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The periodic table of representation learning.")

Features = Annotated[
    str,
    typer.Argument(help="Features: .npy .npz .csv .tsv .txt .xlsx .parquet .safetensors, or - for CSV on stdin."),
]
Key = Annotated[Optional[str], typer.Option(help="Which array or column of the file.")]  # noqa: UP045
Sep = Annotated[Optional[str], typer.Option(help="Between the cells of a table: a character, tab or space.")]  # noqa: UP045
Decimal = Annotated[Optional[str], typer.Option(help="Mark of decimals of a table: . or ,")]  # noqa: UP045
Header = Annotated[Optional[bool], typer.Option(help="Whether the first line of a table holds names.")]  # noqa: UP045
Columns = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The features of a table: names or positions from 0, as in a,b,7 or 2:9 (9 is not in it)."),
]
Drop = Annotated[Optional[str], typer.Option(help="Columns that are no features, written as --columns.")]  # noqa: UP045
Id = Annotated[Optional[str], typer.Option("--id", help="A column that is no feature and goes into the output.")]  # noqa: UP045
Seed = Annotated[int, typer.Option(help="Seed: the same one gives the same result on the same machine.")]
Out = Annotated[Optional[Path], typer.Option(help="Where to write (.npy or .csv); standard output as CSV if absent.")]  # noqa: UP045


#: What the factor of a program is made of.
SYMBOLS = {
    "n": "anchors",
    "k": "neighbours",
    "C": "columns of the input",
    "τ": "the temperature",
    "CE": "the cross-entropy form",
    "L": "the loss",
}


class Style(str, Enum):
    """How `icon table` prints."""

    text = "text"
    csv = "csv"
    markdown = "markdown"
    json = "json"


class Form(str, Enum):
    """How `icon cluster` writes assignments into its folder."""

    csv = "csv"
    parquet = "parquet"
    npy = "npy"


@app.command("table", epilog="Example: icon table --style csv > table.csv")
def show_table(style: Annotated[Style, typer.Option(help="Form of the output.")] = Style.text) -> None:
    """Print the table with the names in its cells."""
    frame = registry.table()
    if style is Style.csv:
        sys.stdout.write(frame.to_csv())
    elif style is Style.json:
        sys.stdout.write(frame.to_json(orient="index", indent=1) + "\n")
    elif style is Style.markdown:
        lines = [
            ["q \\ p", *frame.columns],
            ["---"] * (1 + len(frame.columns)),
            *([row, *frame.loc[row]] for row in frame.index),
        ]
        sys.stdout.writelines("| " + " | ".join(line) + " |\n" for line in lines)
    else:
        sheet = Table(show_lines=True, padding=0)
        sheet.add_column("p \\ q", style="bold", min_width=11)
        for row in axes.ROWS.values():
            sheet.add_column(row.name, overflow="fold")
        for slug, column in axes.COLUMNS.items():  # nine columns do not fit a terminal: on its side
            sheet.add_row(column.name, *(frame.loc[row, slug].replace(" · ", "\n") for row in frame.index))
        Console().print(sheet)
        variants = [m.slug for m in registry.methods() if not m.in_table]
        Console().print("variants of the cells (icon show NAME): " + ", ".join(variants), highlight=False)


@app.command("show", epilog="Examples: icon show SIMCLR    icon show student-t gaussian")
def show(
    name: Annotated[str, typer.Argument(help="A method, or a row of the table.")],
    column: Annotated[Optional[str], typer.Argument(help="A column, where the first is a row.")] = None,  # noqa: UP045
) -> None:
    """Show a method, or a coordinate ROW COLUMN: what it is, how to make it, where it was published."""
    console = Console(soft_wrap=True, highlight=False)
    if column is not None:
        found = _or_exit(lambda: axes.loss(name.lower(), column.lower()))
        here = [m for m in registry.methods() if (m.row, m.column) == (found.row, found.column)]
        names = [m.name for m in here if m.in_table]
        console.print(f"[bold]{', '.join(names) or 'no name: it computes all the same'}[/bold]")
        console.print(f'loss = icon.loss("{found.row}", "{found.column}")')
        console.print(repr(found), markup=False)
        if variants := [m.slug for m in here if not m.in_table]:
            console.print("variants: " + ", ".join(variants), markup=False)
        return
    method = _or_exit(lambda: registry.find(name))
    console.print(f"[bold]{method.name}[/bold]" + (f" ({method.year})" if method.year else "  (a gap: unpublished)"))
    console.print(f"{method.coordinate or f'{method.row} x {method.column}'}, {method.family}", markup=False)
    console.print(f'loss = icon.method("{method.slug}")')
    console.print(repr(registry.method(method.slug)), markup=False)
    if method.hyper:
        console.print("hyper-parameters: " + ", ".join(f"{k}={v}" for k, v in method.hyper.items()), markup=False)
    console.print(f"verified: {method.relation}", markup=False)
    if (program := method.program) is not None:
        _show_program(console, program)
    if method.citation is not None:
        c = method.citation
        console.print(f"{c.authors} ({c.year}). {c.title}. {c.venue}." + (f" {c.url}" if c.url else ""), markup=False)


def _show_program(console: Console, program: Program) -> None:
    """What the authors run, and what one who comes from there gets wrong."""
    where = f"{program.call}, {program.url}" if program.url else "none found"
    console.print(f"authors' program: {where}", markup=False)
    if program.factor:
        meanings = ", ".join(f"{s}: {m}" for s, m in SYMBOLS.items() if s in program.factor.replace("/", " ").split())
        number = f"{program.factor} ({meanings})" if meanings else program.factor
        console.print(f"loss.published: {number}", markup=False)
    if program.settings:
        console.print("authors' settings: " + ", ".join(f"{k}={v}" for k, v in program.settings.items()), markup=False)
    if program.differs:
        console.print(f"what differs: {program.differs}", markup=False)
    for trap in program.traps:
        console.print(f"note: {trap}", markup=False)


@app.command("embed", epilog="Example: icon embed features.npy --out map.csv")
def embed(
    features: Features,
    out: Out = None,
    row: Annotated[str, typer.Option(help="Row of the table (learned q).")] = "student-t",
    column: Annotated[str, typer.Option(help="Column of the table (supervisory p).")] = "gaussian",
    components: Annotated[int, typer.Option("--components", "-d", help="Dimensions of the map.")] = 2,
    key: Key = None,
    sep: Sep = None,
    decimal: Decimal = None,
    header: Header = None,
    columns: Columns = None,
    drop: Drop = None,
    id_: Id = None,
    seed: Seed = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Embed features with a loss of the table; the default is t-SNE."""
    from icon.estimators.embedding import Embedding

    def run() -> pd.DataFrame:
        _check_output(out)
        options = _options(
            out is not None and out.suffix == ".npy",
            sep=sep,
            decimal=decimal,
            header=header,
            columns=columns,
            drop=drop,
            id=id_,
        )
        read = read_features(features, key, options)
        estimator = Embedding(components, row=row, column=column, random_state=seed, verbose=not quiet)
        z = pd.DataFrame(np.asarray(estimator.fit_transform(read.values)), columns=[f"z{i}" for i in range(components)])
        _say(read)
        return _with_ids(z, read)

    _write(_or_exit(run), out)


@app.command("cluster", epilog="Example: icon cluster features.npy -k 10 --labels y.npy --out found")
def cluster(
    features: Features,
    clusters: Annotated[int, typer.Option("--clusters", "-k", help="Number of clusters.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="A folder for the assignments, a report and a figure; or one file (.csv, .npy or .parquet) for the "
            "assignments alone; CSV on standard output if absent."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Form of the assignments in the folder.")] = Form.csv,
    knn: Annotated[int, typer.Option(help="Nearest neighbours.")] = 10,
    walks: Annotated[int, typer.Option(help="Average of walks of 1 to this many steps.")] = 3,
    debias: Annotated[float, typer.Option(help="Debiasing: share of the uniform distribution, 0 to 1.")] = 0.1,
    restarts: Annotated[int, typer.Option(help="Restarts; the one with the lowest loss is kept.")] = 3,
    labels: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="File of labels, to score with only; -1 or a missing entry is unknown."),
    ] = None,
    key: Key = None,
    sep: Sep = None,
    decimal: Decimal = None,
    header: Header = None,
    columns: Columns = None,
    drop: Drop = None,
    id_: Id = None,
    labels_key: Annotated[Optional[str], typer.Option(help="Which array or column of the file of labels.")] = None,  # noqa: UP045
    labels_header: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(help="Whether the first line of the file of labels is a name."),
    ] = None,
    seed: Seed = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Cluster features without labels: neighbours, walks and debiasing with the clusters row of the table."""
    from icon.cli import cluster_report as report
    from icon.estimators.clustering import Clustering

    table_settings = {
        "sep": sep, "decimal": decimal, "header": header, "columns": columns, "drop": drop, "id": id_,
    }  # fmt: skip
    settings = {
        "features": features, "key": key, "clusters": clusters, "knn": knn, "walks": walks, "debias": debias,
        "restarts": restarts, "labels": labels, "labels_key": labels_key, "labels_header": labels_header,
        "seed": seed, **table_settings,
    }  # fmt: skip

    def run() -> dict[str, float] | None:
        report.check_output(out)
        if form is Form.parquet or (out is not None and out.suffix == ".parquet"):
            report.check_parquet()
        read = read_features(
            features,
            key,
            _options(out is not None and ".npy" in (out.suffix, out.suffix or f".{form.value}"), **table_settings),
        )
        x = read.values
        y = None
        if labels is not None:
            how = TableOptions(sep=sep, header=labels_header)
            y = known_labels(read_vector(labels, labels_key, how, expected=len(x)), len(x))
        began = time.perf_counter()
        model = Clustering(
            clusters, n_neighbors=knn, walks=walks, debias=debias, n_init=restarts, random_state=seed, verbose=not quiet
        )
        with report.staged(out) as stage:
            phi = model.fit(x).predict_proba(x)
            seconds = time.perf_counter() - began
            whole = out is not None and not out.suffix
            table = _with_ids(report.assignments(model.labels_, phi, every=whole), read)
            _say(read, y)
            if stage is None:
                table.to_csv(sys.stdout, index=False)
            elif not whole:
                report.write_table(table, stage)
            found = diagnose(phi, model.restarts_, y)
            if stage is not None and whole:
                report.write(stage, form.value, x, model, phi, table, found, settings, seconds)
        return None if y is None else found.as_dict()

    scores = _or_exit(run)
    if scores is not None:
        shown = {name: round(scores[name], 4) for name in ("accuracy", "nmi", "ari", "calibration_error")}
        print(json.dumps(shown), file=sys.stderr)


def main() -> None:
    """Entry point of the command line: bad usage, too, is one line and status 2."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        status = app(standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message()
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message)
        else:
            print(f"error: {message.splitlines()[0]} (see --help)", file=sys.stderr)
        status = getattr(error, "exit_code", 2)
    sys.exit(status or 0)


def _terminated(number: int, frame: object) -> None:
    """As any other end: what was begun and is not whole is taken away, and the status is that of the signal."""
    sys.exit(128 + number)


def _or_exit(run: Callable[[], Any]) -> Any:
    """The result, or one line on standard error and exit status 2 where the input is bad."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            return run()
    except (ValueError, TypeError, MemoryError, ImportError, FloatingPointError) as error:
        print("error: " + str(error).splitlines()[0], file=sys.stderr)
        raise typer.Exit(2) from None


def _check_output(out: Path | None) -> None:
    """Refuse before any work what could not be written after it."""
    if out is None:
        return
    if out.suffix not in (".npy", ".csv"):
        raise ValueError(f"out: got {out}, expected a file ending in .npy or .csv")
    if not out.parent.is_dir():
        raise ValueError(f"out: got {out}, expected a folder that exists")


def _options(plain: bool, **given: Any) -> TableOptions:
    """What is known of the table; ``plain``: the output is an array, which holds no names."""
    if plain and given["id"] is not None:
        raise ValueError(f"id: got {given['id']} and an output .npy, expected one that has columns with names, as .csv")
    return TableOptions(**given)


def _say(read: Read, labels: NDArray[np.int64] | None = None) -> None:
    """What was understood, on standard error."""
    for note in read.notes:
        print(note if note.startswith("warning: ") else f"note: {note}", file=sys.stderr)
    n, d = read.values.shape
    header = "" if read.header is None else f", header: {'yes' if read.header else 'no'}"
    classes = "" if labels is None else f", labels: {labels.max() + 1:,} classes"
    print(f"{n:,} rows × {d:,} columns{header}{classes}", file=sys.stderr)


def _with_ids(table: pd.DataFrame, read: Read) -> pd.DataFrame:
    if read.ids is not None:
        table.insert(0, str(read.ids.name), read.ids.to_numpy(), allow_duplicates=True)
    return table


def _write(frame: pd.DataFrame, out: Path | None) -> None:
    if out is not None and out.suffix == ".npy":
        _or_exit(lambda: _save(lambda: np.save(out, frame.to_numpy()), out))
        return
    _or_exit(lambda: _save(lambda: frame.to_csv(sys.stdout if out is None else out, index=False), out))


def _save(write: Callable[[], Any], out: Path | None) -> None:
    try:
        write()
    except OSError as error:
        raise ValueError(f"out: got {out}, expected a file that can be written ({error.strerror})") from None
