"""The command ``icon``: show the table and its methods, embed and cluster features."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from argparse import Action, ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Callable, Mapping
from inspect import getdoc
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NoReturn

import icon

Add = Callable[..., Any]

TABLE = ("sep", "decimal", "header", "columns", "drop", "id")  # options that say how a table is read
FEATURES = "Features: .npy .npz .csv .tsv .txt .xlsx .parquet .safetensors, or - for CSV on stdin."


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see --help)\n")


class _Help(ArgumentDefaultsHelpFormatter):
    """With the defaults that there are, and values by the names of their options and not of our arguments."""

    def _get_default_metavar_for_optional(self, action: Action) -> str:
        return "NUMBER" if action.type in (int, float) else action.option_strings[0].strip("-").upper()

    def _get_help_string(self, action: Action) -> str | None:
        is_set = action.default is not None and action.default is not False  # 0 is a default
        return super()._get_help_string(action) if is_set else action.help


def parsers() -> tuple[ArgumentParser, Mapping[str, ArgumentParser]]:
    """The parser of the command, and those of its subcommands by name."""
    top = _Parser("icon", description="The periodic table of representation learning.")
    top.add_argument("--version", action="version", version=icon.__version__, help="Print the version.")
    commands, by_name = top.add_subparsers(metavar="COMMAND"), {}
    for add_options, run, usage in (
        (_table, "show:table", "[OPTIONS]"),
        (_show, "show:show", "NAME [COLUMN] [OPTIONS]"),
        (_embed, "fits:embed", "FEATURES [OPTIONS]"),
        (_cluster, "fits:cluster", "FEATURES [FEATURES ...] --clusters NUMBER [OPTIONS]"),
        (_advise, "advise:advise", "FEATURES [OPTIONS]"),
    ):
        name, meaning = add_options.__name__[1:], getdoc(add_options) or ""
        description, _, examples = meaning.partition("\n\n")
        by_name[name] = made = commands.add_parser(
            name, usage=f"icon {name} {usage}", help=description.partition(".")[0] + ".", description=description,
            epilog=examples, formatter_class=_Help, allow_abbrev=False,
        )  # fmt: skip
        made.set_defaults(run=f"icon.cli.{run}")
        add_options(made.add_argument)
    return top, by_name


def _table(add: Add) -> None:
    """Print the table with the names in its cells.

    Examples: icon table --style csv > table.csv, or icon table --json
    """
    add("--style", choices=("text", "csv", "markdown", "json"), default="text", help="Form of the output.")
    _add_json_and_load(add)


def _show(add: Add) -> None:
    """Show a method, or a coordinate ROW COLUMN: what it is, how to make it, and where it was published.

    Examples: icon show SIMCLR, or icon show student-t gaussian, or icon show tsne --json
    """
    add("name", metavar="NAME", help="A method, or a row of the table.")
    add("column", metavar="COLUMN", nargs="?", help="A column, if the first argument is a row.")
    _add_json_and_load(add)


def _add_json_and_load(add: Add) -> None:
    add("--json", dest="as_json", action="store_true", help="Print JSON, for programs.")
    add("--load", action="append", metavar="MODULE",
        help="Import a module that registers parts or methods of your own (repeatable).")  # fmt: skip


def _embed(add: Add) -> None:
    """Embed features with a loss of the table; the default is t-SNE. Under torchrun, the ranks share each step.

    Examples: icon embed features.npy --labels y.npy --out map
    """
    add("features", metavar="FEATURES", help=FEATURES)
    _add_out(add, "coordinates", "a picture, a page to look around in and a report")
    add("--method", help="A method of the table, instead of a row and a column.")
    add("--row", default="student-t", help="Row of the table (learned q).")
    add("--column", default="gaussian", help="Column of the table (supervisory p).")
    mappers, ways = ("lookup", "linear", "mlp"), "free points, a linear map of the features, or a small network"
    add("--mapper", choices=mappers, default="lookup", help=f"What is trained: {ways}.")
    add("--components", "-d", dest="n_components", type=int, default=2, help="Dimensions of the map.")
    add("--perplexity", type=float, help="Perplexity of the Gaussian column; 30 if absent.")
    add("--neighbors", dest="n_neighbors", type=int, help="Number of nearest neighbours that p has.")
    add("--dof", type=float, help="Degrees of freedom of the Student-t row.")
    add("--iterations", dest="max_iter", type=int, default=1000, help="Number of steps.")
    add("--landmarks", type=int, help="Lay out so many points, and place the others around them: for millions.")
    _add_labels(add, "for the columns classes and data-label, and to colour the picture")
    _add_graph_and_pairs(add)
    _add_reading(add, seed="random_state")


def _cluster(add: Add) -> None:
    """Cluster features without labels: neighbours, walks and debiasing with the clusters row of the table. Under
    torchrun (torchrun --nproc-per-node 2 -m icon cluster ...), the ranks share the points of each step.

    Examples: icon cluster features.npy -k 10 --labels y.npy --out found, or icon cluster a.npy b.npy -k 10
    """
    add("features", metavar="FEATURES", nargs="+",
        help="Features, as for icon embed; several files are several feature spaces of the same points.")  # fmt: skip
    _add_clusters(add, required=True)
    _add_out(add, "assignments", "a report and a figure")
    add("--knn", type=int, help="Number of nearest neighbours; 10 if absent, or fewer where there are few points.")
    add("--walks", type=int, default=3, help="Average over walks of 1 to this many steps.")
    add("--debias", type=float, default=0.1, help="Debiasing: share of the uniform distribution, 0 to 1.")
    add("--balance", type=float, help="How much equal sizes are worth, 0 to 1; chosen if absent.")
    kept = "the lowest loss is kept (with a balance below 1, among those with the most clusters)"
    add("--restarts", type=int, default=3, help=f"Restarts; {kept}.")
    _add_labels(add, "used for scoring only")
    _add_reading(add)


def _advise(add: Add) -> None:
    """Try the losses of the table that suit your data, rank them, and print the code of the best one.

    Examples: icon advise features.npy --for clusters --budget 5m --out advice
    """
    add("features", metavar="FEATURES", help=FEATURES)
    add("--out", type=Path, default="advice", help="A folder for the page (index.html) and the numbers (advice.csv).")
    goals = ("map", "clusters", "retrieval", "classification")
    add("--for", dest="goal", choices=goals, default="map", help="What you want to make of the features.")
    add("--budget", default="10m", help="How long it may take, for example 90s, 10m or 1h.")
    add("--rounds", type=int, default=5, help="Most samples that each loss is tried on.")
    _add_clusters(add, dest="n_clusters", default="auto")
    _add_labels(add, "to judge by, to learn from, and to colour with")
    _add_graph_and_pairs(add)
    _add_reading(add, seed="random_state")


def _add_out(add: Add, what: str, others: str) -> None:
    alone = f"one file (.csv, .npy or .parquet) for the {what} alone; CSV on standard output if absent"
    add("--out", type=Path, help=f"A folder for the {what}, {others}; or {alone}.")
    forms = ("csv", "parquet", "npy")
    add("--format", dest="form", choices=forms, default="csv", help=f"Form of the {what} in the folder.")


def _add_clusters(add: Add, **kind: Any) -> None:
    def number_or_auto(given: str) -> int | str:
        try:
            return given if given == "auto" else int(given)
        except ValueError:
            raise ArgumentTypeError(f"got {given!r}, expected a number or auto") from None

    meaning = "Number of clusters; auto finds it in the features."
    add("--clusters", "-k", type=number_or_auto, metavar="NUMBER|auto", help=meaning, **kind)


def _add_labels(add: Add, use: str) -> None:
    add("--labels", help=f"File of labels, {use}; -1 or a missing entry means unknown.")
    add("--labels-key", help="Which array or column of the file of labels.")
    add("--labels-header", action=BooleanOptionalAction, help="Whether the first line of the file of labels is a name.")


def _add_graph_and_pairs(add: Add) -> None:
    edges = "edges (the numbers of two points, and a weight) that lead from the first point to the second and not back"
    add("--graph", help=f"File of a graph: {edges}, or a matrix.")
    add("--graph-header", action=BooleanOptionalAction, help="Whether the first line of a graph's file holds names.")
    add("--pairs", help="File with an id for each point; points with the same id belong together.")


def _add_reading(add: Add, seed: str = "seed") -> None:
    """The options that say how features are read, and those that all who compute with them have."""
    add("--key", help="Which array or column of the file.")
    add("--sep", help="Separator of the cells of a table: a character, tab or space.")
    add("--decimal", help="Decimal mark of a table: . or ,")
    add("--header", action=BooleanOptionalAction, help="Whether the first line of a table holds names.")
    add("--columns", help="The features of a table: names or positions from 0, as in a,b,7 or 2:9 (2 to 8).")
    add("--drop", help="Columns that are not features, written as for --columns.")
    add("--id", help="A column that is no feature and goes into the output, if that has columns; as id if it has the "
                     "name of a result.")  # fmt: skip
    add("--seed", dest=seed, type=int, default=0, help="Seed: the same one gives the same result on the same machine.")
    add("--quiet", "-q", action="store_true", help="No progress bar, and no word on what will be done.")


#: Arguments that have another name as an option; where they are refused both are told.
_OPTIONS = {
    "n_components": "--components", "n_clusters": "--clusters", "n_neighbors": "--neighbors", "n_init": "--restarts",
    "max_iter": "--iterations", "random_state": "--seed", "adjacency": "--graph",
}  # fmt: skip


def main() -> None:
    """Entry point of the command line: bad usage and bad input are one line and status 2."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has the first one alone
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminated)
    try:
        top, commands = parsers()
        words = sys.argv[1:] or ["--help"]
        chosen = commands.get(words[0])
        given = vars(chosen.parse_intermixed_args(words[1:]) if chosen else top.parse_args(words))
        if "sep" in given:
            given["table"] = {name: given.pop(name) for name in TABLE}
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _warn
            resolve_name(given.pop("run"))(**given)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:  # of standard output: other files are seen to where they are read or written
        if error.filename is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to write would fail again at the end
        print(f"error: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except (ValueError, TypeError, MemoryError, ImportError, FloatingPointError) as error:
        if _is_first() or not getattr(error, "is_known_to_all", False):
            line = (str(error).splitlines() or [type(error).__name__])[0]
            option = _OPTIONS.get(line.partition(":")[0])
            option = "--knn" if option == "--neighbors" and words[0] == "cluster" else option
            print(f"error: {line}" + (f" ({option})" if option else ""), file=sys.stderr)
        sys.exit(2)


def _terminated(number: int, frame: object) -> None:
    """As any other end: what was begun and is not whole is taken away, and the status is that of the signal."""
    sys.exit(128 + number)


def _is_first() -> bool:
    """Whether this is the first of the ranks that torchrun has started, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    if _is_first():
        print("warning: " + str(message).splitlines()[0], file=sys.stderr)
