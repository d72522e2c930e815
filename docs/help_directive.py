"""The directive ``help``: what a command prints with ``--help``, so that the reference is never out of date."""

from __future__ import annotations

import importlib
import os

import typer
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from typer.testing import CliRunner

#: Each program and the module and name of its Typer application.
APPLICATIONS = {
    "defocus-edge": "defocus_edge.cli.app:app",
    "python -m synth": "synth.__main__:app",
    "python -m training": "training.__main__:app",
}
_COLUMNS = "88"


def read_help(command: str) -> str:
    """Help of a command, as plain text."""
    program = next(name for name in APPLICATIONS if command == name or command.startswith(f"{name} "))
    module, name = APPLICATIONS[program].split(":")
    app: typer.Typer = getattr(importlib.import_module(module), name)
    for part in (app, *(group.typer_instance for group in app.registered_groups)):
        part.rich_markup_mode = None  # no frames and colours
    os.environ["COLUMNS"] = _COLUMNS
    words = command.removeprefix(program).split()
    result = CliRunner().invoke(app, [*words, "--help"], prog_name=program)
    if result.exit_code:
        msg = f"{command} --help must end well. Got: exit code {result.exit_code}."
        raise ValueError(msg)
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


class Help(Directive):
    """``{help} COMMAND``: a literal block."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The block."""
        text = read_help(self.arguments[0])
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("help", Help)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
