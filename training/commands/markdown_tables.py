"""Tables of Markdown pages that a command prints: found between markers, and written anew by running the command."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from defocus_edge.files.atomic import atomic_write

#: The lines around a table; the first one names the command.
_TABLE = re.compile(r"^<!-- table: (?P<command>[^\n]*) -->\n(?P<body>.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
#: The first words of each command.
PROGRAM = ("python", "-m", "training")


class TableError(ValueError):
    """A table cannot be written: its command is not one of `training`, failed, or printed no table."""


def run_command(command: str) -> str:
    """Run a command in the current folder and return what it prints.

    Parameters
    ----------
    command : str
        As one would type it; ``python`` is the interpreter that runs now.

    Returns
    -------
    str
        A Markdown table.

    Raises
    ------
    TableError
        If it is not a command of `training`, fails or prints no Markdown table.
    """
    words = shlex.split(command)
    if tuple(words[: len(PROGRAM)]) != PROGRAM:
        msg = f"The command of a table must begin with {' '.join(PROGRAM)}. Got: {command}."
        raise TableError(msg)
    # Its progress on standard error goes to the terminal.
    done = subprocess.run([sys.executable, *words[1:]], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        msg = f"{command} must end well. Got: exit code {done.returncode}."
        raise TableError(msg)
    if not done.stdout.startswith("|"):
        msg = f"{command} must print a table. Got: {done.stdout[:80]!r}."
        raise TableError(msg)
    return done.stdout


def rewrite_tables(
    pages: Sequence[Path],
    *,
    chosen: str = "",
    run: Callable[[str], str] = run_command,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Run the commands of the tables of some pages and put in what they print.

    Each page changes as a whole or not at all. Pages without a chosen table stay as they are.

    Parameters
    ----------
    pages : sequence of Path
        Markdown, with tables between ``<!-- table: COMMAND -->`` and ``<!-- end -->``.
    chosen : str
        Only tables whose command contains this text are written.
    run : callable
        Takes a command, returns the table.
    say : callable
        Called with each command before it runs.

    Returns
    -------
    int
        Number of tables that were written.

    Raises
    ------
    TableError
        If a command fails, or no page has a chosen table.
    OSError
        If a page cannot be read or written.
    """
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    count = 0
    for page, text in texts.items():
        tables = [table for table in _TABLE.finditer(text) if chosen in table["command"]]
        new_text = text
        for table in reversed(tables):  # from the end: the places before it stay as they were
            say(table["command"])
            body = run(table["command"]).rstrip("\n") + "\n"
            new_text = new_text[: table.start("body")] + body + new_text[table.end("body") :]
        if tables:
            with atomic_write(page) as part:
                part.write_text(new_text, encoding="utf-8")
        count += len(tables)
    if not count:
        names = ", ".join(map(str, pages))
        msg = f"{names} must hold a table whose command contains {chosen!r}. Got: none."
        raise TableError(msg)
    return count
