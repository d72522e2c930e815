"""Rewrite the tables of a Markdown file by running the commands that print them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from defocus_edge.files.atomic import atomic_write

#: A table between its markers. The first marker names the command, which must begin with `PROGRAM`.
_TABLE = re.compile(r"^<!-- table: (?P<command>[^\n]*) -->\n(?P<body>.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
PROGRAM = ("python", "-m", "training")


class TableError(ValueError):
    """A table cannot be written: its command is not one of `training`, failed, or printed no table."""


def run_command(command: str, folder: Path) -> str:
    """Run a command of `training` in a folder with the interpreter that runs now, and return what it prints.

    Raises `TableError` if it is no such command, fails or prints no Markdown table.
    """
    words = shlex.split(command)
    if tuple(words[: len(PROGRAM)]) != PROGRAM:
        msg = f"The command of a table must begin with {' '.join(PROGRAM)}. Got: {command}."
        raise TableError(msg)
    # Its progress goes to the terminal.
    done = subprocess.run([sys.executable, *words[1:]], cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        msg = f"{command} must end well. Got: exit code {done.returncode}."
        raise TableError(msg)
    if not done.stdout.startswith("|"):
        msg = f"{command} must print a table. Got: {done.stdout[:80]!r}."
        raise TableError(msg)
    return done.stdout


def rewrite_tables(
    path: Path,
    *,
    chosen: str = "",
    run: Callable[[str, Path], str] = run_command,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Run the commands of the tables of a file and put in what they print; the file changes as a whole or not at all.

    Parameters
    ----------
    path : Path
        Markdown, with tables between ``<!-- table: COMMAND -->`` and ``<!-- end -->``.
    chosen : str
        Only tables whose command holds this.
    run : callable
        Takes a command and the folder of the file, and gives the table.
    say : callable
        Called with each command before it runs.

    Returns
    -------
    int
        Number of tables that were written.

    Raises
    ------
    TableError
        If a command fails, or no table is chosen.
    """
    text = path.read_text(encoding="utf-8")
    tables = [table for table in _TABLE.finditer(text) if chosen in table["command"]]
    if not tables:
        msg = f"{path} must hold a table whose command holds {chosen!r}. Got: none."
        raise TableError(msg)
    for table in reversed(tables):  # from the end: places before it stay as they were
        say(table["command"])
        body = run(table["command"], path.resolve().parent).rstrip("\n") + "\n"
        text = text[: table.start("body")] + body + text[table.end("body") :]
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return len(tables)
