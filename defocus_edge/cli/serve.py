"""`defocus-edge serve`: a page in the browser.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Annotated

import typer

from defocus_edge._extras import WEB
from defocus_edge.cli.console import fail, silence_stderr

#: Photographs above this are refused by the page: more than any camera gives but for large backs; 2.3 GB of memory.
PAGE_PIXELS = 50_000_000
#: Largest upload, MB.
PAGE_MEGABYTES = 100
PAGE_PORT = 7860


def serve(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. The default is for this computer alone; 0.0.0.0 is for the network, without a "
            "password.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Port to listen on.")] = PAGE_PORT,
    max_upload: Annotated[int, typer.Option(metavar="MB", min=1, help="Largest file that is taken.")] = PAGE_MEGABYTES,
    max_pixels: Annotated[int, typer.Option(metavar="N", min=1, help="Refuse larger pictures.")] = PAGE_PIXELS,
) -> None:
    """Show blur maps in the browser: drop a photograph, move the threshold, download.

    One photograph is measured at a time; others wait. Ctrl-C ends the server and deletes what was uploaded.
    """
    if not WEB.is_installed:
        fail(f"{WEB.advice}.")
    with silence_stderr():
        from defocus_edge.web import serving
    try:
        with serving.serve(host=host, port=port, max_pixels=max_pixels, max_megabytes=max_upload) as address:
            typer.echo(f"Open {address} in a browser. Ctrl-C ends.", err=True)
            with suppress(KeyboardInterrupt):  # how a server ends
                threading.Event().wait()
    except serving.PortError as error:
        fail(str(error))
