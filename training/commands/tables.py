"""`python -m training tables`: write the tables of the README and of the documentation anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def write_tables(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Markdown pages with tables between markers.", show_default="README.md and all pages in docs"
        ),
    ] = None,
    only: Annotated[str, typer.Option(help="Only tables whose command contains this text.")] = "",
) -> None:
    """Run the command that each table of a Markdown page names, in the current folder, and put in what it prints."""
    from training.commands.markdown_tables import TableError, rewrite_tables

    pages = files or [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]
    try:
        rewrite_tables(pages, chosen=only, say=lambda command: typer.echo(command, err=True))
    except (OSError, TableError) as error:
        raise typer.BadParameter(str(error)) from error
