"""`python -m training tables`: write the tables of the README anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def write_tables(
    file: Annotated[Path, typer.Argument(help="Markdown with tables between markers.")] = Path("README.md"),
    only: Annotated[str, typer.Option(help="Only tables whose command holds this.")] = "",
) -> None:
    """Run the command that each table of a Markdown file names, and put in what it prints."""
    from training.commands.readme_tables import TableError, rewrite_tables

    try:
        rewrite_tables(file, chosen=only, say=lambda command: typer.echo(command, err=True))
    except (OSError, TableError) as error:
        raise typer.BadParameter(str(error)) from error
