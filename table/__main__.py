"""``python -m table``: regenerate and verify the periodic table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from threadpoolctl import threadpool_limits

import icon
from icon.methods.axes import COLUMNS, ROWS
from icon.methods.registry import find
from table import run
from table.page.terminal import print_table

Only = Annotated[Optional[list[str]], typer.Option(help="Verify these methods only (repeat the option).")]  # noqa: UP045
NoPeers = Annotated[bool, typer.Option("--no-peers", help="Leave out the comparison with other packages.")]
Out = Annotated[Path, typer.Option(help="Folder for table.csv, .json, .md, .svg, .png and index.html.")]


def main(only: Only = None, no_peers: NoPeers = False, out: Out = Path("out/table")) -> None:
    """Compute every cell on the digits, verify the methods against their references, then print and write the table.

    Example: python -m table --only simclr --only tsne --out /tmp/table
    """
    console = Console()
    try:
        slugs = None if only is None else [find(name).slug for name in only]
        out.mkdir(parents=True, exist_ok=True)
        (out / "table.json").touch()
    except (ValueError, OSError) as error:
        Console(stderr=True).print(f"[red]error[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    steps = len(ROWS) * len(COLUMNS) + (len(icon.methods()) if slugs is None else len(set(slugs)))
    # One thread: the arrays are small, and on two cores threads that wait for each other take five times as long.
    with threadpool_limits(1), Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=steps)
        tick = partial(progress.update, task, advance=1)
        table = run.regenerate(slugs, not no_peers, lambda what: tick(description=f"{what:32}"))
    print_table(table, console)
    written, failed = run.write(table, out), run.failures(table)
    lines = [f"\nThe files are in {out}: " + ", ".join(path.name for path in written)]
    lines += [f"[red]failed[/red] {escape(line)}" for line in failed]
    lines += [f"[bold {'red' if failed else 'green'}]{table['summary']}[/]"]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
