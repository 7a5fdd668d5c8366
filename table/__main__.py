"""``python -m table``: regenerate and verify the periodic table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import icon
from icon.methods.axes import COLUMNS, ROWS
from icon.methods.registry import find
from table import run
from table.page.terminal import print_table

Only = Annotated[Optional[list[str]], typer.Option(help="Verify these methods only (repeat the option).")]  # noqa: UP045
NoWitness = Annotated[bool, typer.Option("--no-witness", help="Leave out the comparison with other packages.")]
Out = Annotated[Path, typer.Option(help="Folder for table.csv, .json, .md, .svg, .png and index.html.")]


def main(only: Only = None, no_witness: NoWitness = False, out: Out = Path("out/table")) -> None:
    """Compute every cell on the digits, verify the methods against their references, print and write the table.

    Example: python -m table --only simclr --only tsne --out /tmp/table
    """
    console = Console()
    try:
        slugs = None if only is None else [find(name).slug for name in only]
        out.mkdir(parents=True, exist_ok=True)
        (out / "table.json").touch()
    except (ValueError, OSError) as error:
        Console(stderr=True).print(f"[red]error[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    steps = len(ROWS) * len(COLUMNS) + (len(icon.methods()) if slugs is None else len(set(slugs)))
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps)

        def tick(what: str) -> None:
            progress.update(task, advance=1, description=what)

        table = run.regenerate(slugs, witnesses=not no_witness, tick=tick)
    print_table(table, console)
    written = run.write(table, out)
    console.print(f"\nwritten to {out}: " + ", ".join(path.name for path in written), highlight=False, soft_wrap=True)
    failed = run.failures(table)
    for line in failed:
        console.print(f"[red]failed[/red] {line}", highlight=False, soft_wrap=True)
    console.print(table["summary"], style="bold red" if failed else "bold green", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    typer.run(main)
