"""`defocus-edge export`: the networks of a preset for other programs.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from defocus_edge.choices import ONNX_SUFFIX
from defocus_edge.cli.console import SOME_FILES_FAILED, describe_error, fail, silence_stderr


def check_onnx_name(path: Path) -> Path:
    """Refuse to write over a file that is no ONNX file."""
    if path.suffix.lower() != ONNX_SUFFIX:
        msg = f"must end in {ONNX_SUFFIX}. Got: {path}."
        raise typer.BadParameter(msg)
    return path


def export(
    preset: Annotated[
        str,
        typer.Argument(metavar="NAME|DIR", show_default=False, help="Weights: a name that info lists, or a folder."),
    ],
    onnx: Annotated[
        Path,
        typer.Option(
            "--onnx", metavar="FILE", readable=False, callback=check_onnx_name, help="File to write, NAME.onnx."
        ),
    ],
    patches: Annotated[
        bool,
        typer.Option(
            "--patches",
            help="With the edge networks: take a patch of 41 px for each edge point, not the whole picture.",
        ),
    ] = False,
) -> None:
    """Write the networks of a preset for onnxruntime and other programs.

    Writes an ONNX file, which says what goes in and what comes out. Needs pip install 'defocus-edge[onnx]'.
    """
    from defocus_edge.networks.onnx.export import check_export, export_onnx
    from defocus_edge.networks.preset_files import PresetError

    try:
        check_export(preset, onnx, patches=patches)
    except ImportError as error:
        fail(str(error), code=SOME_FILES_FAILED)
    except ValueError as error:
        fail(str(error))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    fault = ""
    with silence_stderr():  # the backend's greetings
        try:
            about = export_onnx(preset, onnx, patches=patches)
        except PresetError as error:
            fault = str(error)
        except OSError as error:
            fault = describe_error(error, onnx)
    if fault:
        fail(fault, code=SOME_FILES_FAILED)
    typer.echo(f"{preset}: {about['inputs']} -> {about['outputs']}, in {onnx}", err=True)
