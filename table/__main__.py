"""``python -m table``: regenerate and verify the periodic table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from threadpoolctl import threadpool_limits

import icon
from icon.cli import show
from icon.methods.axes import COLUMNS, ROWS
from icon.methods.registry import find
from table import run
from table.page.terminal import print_table

Only = Annotated[list[str] | None, typer.Option(help="Verify these methods only (repeat the option).")]
NoPeers = Annotated[bool, typer.Option("--no-peers", help="Leave out the comparison with other packages.")]
Load = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE", help="Import a module that registers methods of your own (repeat the option)."),
]
Mark = Annotated[
    list[str] | None,
    typer.Option(metavar="SLUG", help="Outline this method in the pictures (repeat the option)."),
]
Out = Annotated[Path, typer.Option(help="Folder for table.csv, .json, .md, .svg, .pdf, .png, index.html and studies.")]


def main(
    only: Only = None, no_peers: NoPeers = False, load: Load = None, mark: Mark = None, out: Out = Path("out/table")
) -> None:
    """Compute every cell on the digits, verify the methods against their references, then print and write the table.

    Methods that --load adds are shown and not verified, for their references are not here.

    Examples: python -m table --only simclr --only tsne --out figures

    python -m table --load my_methods --mark my-softmax
    """
    console = Console()
    try:
        before = {m.slug for m in icon.methods()}
        show.load_modules(load or [])
        own = {m.slug for m in icon.methods()} - before
        marked = [find(name, "mark").slug for name in mark or []]
        checked = {m.slug for m in icon.methods()} if only is None else {find(name, "only").slug for name in only}
        out.mkdir(parents=True, exist_ok=True)
        (out / "table.json").touch()
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    # One thread: the arrays are small, and on two cores threads that wait for each other take five times as long.
    with threadpool_limits(1), Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(ROWS) * len(COLUMNS) + len(checked - own))
        tick = partial(progress.update, task, advance=1)
        table = run.regenerate(checked - own, not no_peers, lambda what: tick(description=f"{what:32}"), only is None)
    print_table(table, console)
    written, failed = run.write(table, out, marked), run.failures(table)
    lines = [f"\nThe files are in {out}: " + ", ".join(path.name for path in written)]
    lines += [f"[red]failed[/red] {escape(line)}" for line in failed]
    lines += [f"[bold {'red' if failed else 'green'}]{table['summary']}[/]"]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
