"""The command ``icon``: show the table and its methods, embed and cluster features."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

import icon

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _print_version(asked: bool) -> None:
    if asked:
        print(icon.__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback()
def _top(version: Version = False) -> None:
    """The periodic table of representation learning."""


Features = Annotated[
    str,
    typer.Argument(
        metavar="FEATURES",
        help="Features: .npy .npz .csv .tsv .txt .xlsx .parquet .safetensors, or - for CSV on stdin.",
    ),
]
Several = Annotated[
    list[str],
    typer.Argument(
        metavar="FEATURES",
        help="Features, as for icon embed; several files are several feature spaces of the same points.",
    ),
]
Key = Annotated[str | None, typer.Option(help="Which array or column of the file.")]
Sep = Annotated[str | None, typer.Option(help="Separator of the cells of a table: a character, tab or space.")]
Decimal = Annotated[str | None, typer.Option(help="Decimal mark of a table: . or ,")]
Header = Annotated[bool | None, typer.Option(help="Whether the first line of a table holds names.")]
Columns = Annotated[
    str | None,
    typer.Option(help="The features of a table: names or positions from 0, as in a,b,7 or 2:9 (2 to 8)."),
]
Drop = Annotated[str | None, typer.Option(help="Columns that are not features, written as for --columns.")]
Id = Annotated[str | None, typer.Option("--id", help="A column that is not a feature and goes into the output.")]
Seed = Annotated[int, typer.Option(help="Seed: the same one gives the same result on the same machine.")]


# The choices of --style, --format and --for.
Style = Enum("Style", {"text": "text", "csv": "csv", "markdown": "markdown", "json": "json"}, type=str)
Form = Enum("Form", {"csv": "csv", "parquet": "parquet", "npy": "npy"}, type=str)
Goal = Enum(
    "Goal",
    {"map": "map", "clusters": "clusters", "retrieval": "retrieval", "classification": "classification"},
    type=str,
)

Load = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE", help="Import a module that registers parts or methods of your own (repeatable)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("table", epilog="Examples: icon table --style csv > table.csv    icon table --json")
def show_table(
    style: Annotated[Style, typer.Option(help="Form of the output.")] = Style.text,
    as_json: AsJson = False,
    load: Load = None,
) -> None:
    """Print the table with the names in its cells."""
    from icon.cli import show

    if as_json and style not in (Style.text, Style.json):
        raise typer.BadParameter(f"--json: got --style {style.value} as well, expected only one of them")
    _or_exit(lambda: show.load(load or []))
    show.table("json" if as_json else style.value)


@app.command("show", epilog="Examples: icon show SIMCLR    icon show student-t gaussian    icon show tsne --json")
def show_one(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A method, or a row of the table.")],
    column: Annotated[
        str | None, typer.Argument(metavar="COLUMN", help="A column, if the first argument is a row.")
    ] = None,
    as_json: AsJson = False,
    load: Load = None,
) -> None:
    """Show a method, or a coordinate ROW COLUMN: what it is, how to make it, and where it was published."""
    from icon.cli import show

    _or_exit(lambda: show.load(load or []))
    _or_exit(lambda: show.method(name, as_json) if column is None else show.cell(name, column, as_json))


@app.command("embed", epilog="Example: icon embed features.npy --labels y.npy --out map")
def embed(
    features: Features,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the coordinates, a picture, a page to look around in and a report; or one file (.csv, "
            ".npy or .parquet) for the coordinates alone; CSV on standard output if absent."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Form of the coordinates in the folder.")] = Form.csv,
    method: Annotated[str | None, typer.Option(help="A method of the table, instead of a row and a column.")] = None,
    row: Annotated[str, typer.Option(help="Row of the table (learned q).")] = "student-t",
    column: Annotated[str, typer.Option(help="Column of the table (supervisory p).")] = "gaussian",
    components: Annotated[int, typer.Option("--components", "-d", help="Dimensions of the map.")] = 2,
    perplexity: Annotated[float | None, typer.Option(help="Perplexity of the Gaussian column; 30 if absent.")] = None,
    neighbors: Annotated[int | None, typer.Option(help="Number of nearest neighbours that p has.")] = None,
    dof: Annotated[float | None, typer.Option(help="Degrees of freedom of the Student-t row.")] = None,
    iterations: Annotated[int, typer.Option(help="Number of steps.")] = 1000,
    landmarks: Annotated[
        int | None,
        typer.Option(
            help="Lay out this many points together, and place the others around them: for millions of points."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="File of labels: for the columns classes and data-label, and to colour the picture."),
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(help="File for the column graph: edges (the numbers of two points and a weight), or a matrix."),
    ] = None,
    pairs: Annotated[str | None, typer.Option(help="File for the column pairs: an id for each point.")] = None,
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
    """Embed features with a loss of the table; the default is t-SNE. Under torchrun, the ranks share each step."""
    from icon.cli import fits

    table = {"sep": sep, "decimal": decimal, "header": header, "columns": columns, "drop": drop, "id": id_}
    given = {"features": features, "key": key, "labels": labels, "graph": graph, "pairs": pairs}
    settings = {
        "n_components": components, "method": method, "row": row, "column": column, "perplexity": perplexity,
        "n_neighbors": neighbors, "dof": dof, "max_iter": iterations, "landmarks": landmarks, "random_state": seed,
    }  # fmt: skip
    _or_exit(lambda: fits.embed(out, form.value, table, given, settings, quiet))


def _number_or_auto(given: str) -> int | str:
    """A number of clusters, or the word that asks for one."""
    try:
        return given if given == "auto" else int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not a valid integer, nor 'auto'.") from None


def _clusters(what: str) -> Any:
    meaning = f"{what}; auto finds it in the features."
    return typer.Option("--clusters", "-k", parser=_number_or_auto, metavar="NUMBER|auto", help=meaning)


@app.command(
    "cluster",
    epilog="Examples: icon cluster features.npy -k 10 --labels y.npy --out found    icon cluster a.npy b.npy -k 10",
)
def cluster(
    features: Several,
    clusters: Annotated[Any, _clusters("Number of clusters")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the assignments, a report and a figure; or one file (.csv, .npy or .parquet) for the "
            "assignments alone; CSV on standard output if absent."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Form of the assignments in the folder.")] = Form.csv,
    knn: Annotated[
        int | None,
        typer.Option(help="Number of nearest neighbours; 10 if absent, or fewer where there are few points."),
    ] = None,
    walks: Annotated[int, typer.Option(help="Average over walks of 1 to this many steps.")] = 3,
    debias: Annotated[float, typer.Option(help="Debiasing: share of the uniform distribution, 0 to 1.")] = 0.1,
    balance: Annotated[
        float | None, typer.Option(help="How much equal sizes are worth, 0 to 1; chosen if absent.")
    ] = None,
    restarts: Annotated[
        int,
        typer.Option(
            help="Restarts; the lowest loss is kept (with a balance below 1, among those with the most clusters)."
        ),
    ] = 3,
    labels: Annotated[
        str | None, typer.Option(help="File of labels, used for scoring only; -1 or a missing entry means unknown.")
    ] = None,
    key: Key = None,
    sep: Sep = None,
    decimal: Decimal = None,
    header: Header = None,
    columns: Columns = None,
    drop: Drop = None,
    id_: Id = None,
    labels_key: Annotated[str | None, typer.Option(help="Which array or column of the file of labels.")] = None,
    labels_header: Annotated[
        bool | None, typer.Option(help="Whether the first line of the file of labels is a name.")
    ] = None,
    seed: Seed = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Cluster features without labels: neighbours, walks and debiasing with the clusters row of the table.

    Under torchrun (torchrun --nproc-per-node 2 -m icon cluster ...), the ranks share the points of each step.
    """
    from icon.cli import fits

    table = {"sep": sep, "decimal": decimal, "header": header, "columns": columns, "drop": drop, "id": id_}
    given = {
        "features": features, "key": key, "clusters": clusters, "knn": knn, "walks": walks, "debias": debias,
        "balance": balance, "restarts": restarts, "labels": labels, "labels_key": labels_key,
        "labels_header": labels_header, "seed": seed,
    }  # fmt: skip
    _or_exit(lambda: fits.cluster(out, form.value, table, given, quiet))


@app.command("advise", epilog="Example: icon advise features.npy --for clusters --budget 5m --out advice")
def advise(
    features: Features,
    out: Annotated[Path, typer.Option(help="A folder for the page (index.html) and the numbers (advice.csv).")] = Path(
        "advice"
    ),
    goal: Annotated[Goal, typer.Option("--for", help="What you want to make of the features.")] = Goal.map,
    budget: Annotated[str, typer.Option(help="How long it may take, for example 90s, 10m or 1h.")] = "10m",
    rounds: Annotated[int, typer.Option(help="Most samples that each loss is tried on.")] = 5,
    clusters: Annotated[Any, _clusters("Number of clusters, for clusters")] = "auto",
    labels: Annotated[
        str | None,
        typer.Option(
            help="File of labels: to judge by, to learn from, and to colour with; -1 or a missing entry means unknown."
        ),
    ] = None,
    pairs: Annotated[
        str | None, typer.Option(help="File with an id for each point; points with the same id belong together.")
    ] = None,
    graph: Annotated[
        str | None, typer.Option(help="File of edges (the numbers of two points and a weight), or of a matrix.")
    ] = None,
    key: Key = None,
    sep: Sep = None,
    decimal: Decimal = None,
    header: Header = None,
    columns: Columns = None,
    drop: Drop = None,
    id_: Annotated[str | None, typer.Option("--id", help="A column that is not a feature.")] = None,
    seed: Seed = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say what was read.")] = False,
) -> None:
    """Try the losses of the table that suit your data, rank them, and print the code of the best one."""
    from icon.cli import advise as command

    table = {"sep": sep, "decimal": decimal, "header": header, "columns": columns, "drop": drop, "id": id_}
    given = {"features": features, "key": key, "labels": labels, "graph": graph, "pairs": pairs}
    settings = {"goal": goal.value, "n_clusters": clusters, "budget": budget, "rounds": rounds, "random_state": seed}
    _or_exit(lambda: command.advise(out, table, given, settings, quiet))


def main() -> None:
    """Entry point of the command line: bad usage, too, is one line and status 2."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has the first one alone
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminated)
    try:
        status = app(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:  # of standard output: other files are seen to where they are read or written
        if error.filename is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to write would fail again at the end
        print(f"error: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        status = 2
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


def _is_first() -> bool:
    """Whether this is the first of the ranks that torchrun has started, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    if _is_first():
        print("warning: " + str(message).splitlines()[0], file=sys.stderr)


def _or_exit(run: Callable[[], Any]) -> Any:
    """The result, or one line on standard error and exit status 2 where the input is bad."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _warn
            return run()
    except (ValueError, TypeError, MemoryError, ImportError, FloatingPointError) as error:
        if _is_first() or not getattr(error, "is_known_to_all", False):
            print("error: " + str(error).splitlines()[0], file=sys.stderr)
        raise typer.Exit(2) from None
