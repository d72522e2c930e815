"""The command line: photos in, blur maps, masks and sharper photos out.

Each command has its own module. Nothing but typer is imported before a command has checked its arguments, so that help
and a mistyped option answer at once.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from defocus_edge._version import __version__
from defocus_edge.cli.batch.command import batch
from defocus_edge.cli.console import INTERRUPTED, SOME_FILES_FAILED
from defocus_edge.cli.deblur import deblur
from defocus_edge.cli.estimate import estimate
from defocus_edge.cli.export import export
from defocus_edge.cli.info import info
from defocus_edge.cli.mask import mask
from defocus_edge.cli.rank.command import rank
from defocus_edge.cli.serve import serve
from defocus_edge.cli.streams import SIGNAL_BASE, open_closed_streams, stop_on_signals


def _show_version(wanted: bool) -> None:
    """Print the version and end the program."""
    if wanted:
        typer.echo(f"defocus-edge {__version__}")
        raise typer.Exit


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def describe(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """How blurred is each part of a photograph, as the radius of the blur disk in pixels.

    Exit codes: 0 all done, 1 some files failed (the others are done) or nobody reads the output, 2 wrong usage, 130
    interrupted, 129 and 143 ended by SIGHUP (the terminal closed) or SIGTERM.
    """


for _command in (estimate, mask, deblur, batch, rank, serve, export, info):
    app.command()(_command)


def main(argv: list[str] | None = None) -> int:
    """Run the command line with arguments (by default those of the process); return the exit code."""
    open_closed_streams()
    signals: list[int] = []
    try:
        with stop_on_signals(signals.append):
            app(args=argv, prog_name="defocus-edge")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else SOME_FILES_FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug is one line, too
        if "--debug" in (sys.argv if argv is None else argv):
            traceback.print_exc()
        typer.echo(f"Error: unexpected {type(error).__name__}: {error}", err=True)
        code = SOME_FILES_FAILED
    else:
        code = 0
    if code == INTERRUPTED:
        typer.echo("Interrupted. Every file that was written is complete.", err=True)
    return SIGNAL_BASE + signals[0] if signals else code
