"""What `defocus-edge export` does.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import os
from pathlib import Path

import typer

from defocus_edge.cli.console import SOME_FILES_FAILED, describe_error, fail, silence_stderr

_SUFFIX = ".onnx"  # `onnx_export.SUFFIX`, without loading the presets for help


def check_onnx_name(path: Path) -> Path:
    """Refuse to write over what is no ONNX file."""
    if path.suffix.lower() != _SUFFIX:
        msg = f"must end in {_SUFFIX}. Got: {path}."
        raise typer.BadParameter(msg)
    return path


def write_onnx(preset: str, path: Path, *, patches: bool) -> None:
    """Write the networks of a preset, and one line on what goes in and comes out.

    Parameters
    ----------
    preset : str
        Name or folder.
    path : Path
        The file to write.
    patches : bool
        Of the edge networks: patches in place of pictures.
    """
    from defocus_edge.networks.onnx.export import check_export, export_onnx
    from defocus_edge.networks.preset_files import PresetError

    try:
        check_export(preset, path, patches=patches)
    except ImportError as error:
        fail(str(error), code=SOME_FILES_FAILED)
    except ValueError as error:
        fail(str(error))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    fault = ""
    with silence_stderr():  # the backend's greetings
        try:
            about = export_onnx(preset, path, patches=patches)
        except PresetError as error:
            fault = str(error)
        except OSError as error:
            fault = describe_error(error, path)
    if fault:
        fail(fault, code=SOME_FILES_FAILED)
    typer.echo(f"{preset}: {about['inputs']} -> {about['outputs']}, in {path}", err=True)
