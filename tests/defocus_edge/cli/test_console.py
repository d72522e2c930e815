"""cli.console: stderr of libraries, bars and lines."""

from __future__ import annotations

import contextlib
import os
import sys

import pytest

from defocus_edge.cli import console as cli_console
from defocus_edge.files.atomic import ImageReadError


def test_silence_holds_for_libraries_in_c(capfd):
    with cli_console.silence_stderr():
        os.write(2, b"chatter")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_silence_is_broken_by_an_exception(capfd):
    def load():
        with cli_console.silence_stderr():
            os.write(2, b"what went wrong")
            raise ImportError

    with pytest.raises(ImportError):
        load()
    assert capfd.readouterr().err == "what went wrong"


def read_closed_terminal(reader):
    """All that was written to a terminal; a terminal hands it over in pieces, and ends with an error on Linux."""
    shown = b""
    with os.fdopen(reader, "rb", buffering=0) as screen_end, contextlib.suppress(OSError):
        while piece := screen_end.read(65536):
            shown += piece
    return shown


def test_bars_are_for_terminals(monkeypatch):
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with cli_console.Screen(2) as screen:
            screen.begin("Edge points")
            screen.count_points(1, 2)
            screen.say("a line with [red]brackets", style="red")
            screen.finish_file()
    shown = read_closed_terminal(reader)
    assert b"a line with [red]brackets" in shown
    assert b"Files" in shown


def test_error_lines_name_the_file_once(tmp_path):
    path = tmp_path / "photo.jpg"
    told = ImageReadError(f"Cannot read picture '{path}': bad.\nVery bad.")
    assert cli_console.describe_error(told, path) == f"Cannot read picture '{path}': bad. Very bad."
    assert cli_console.describe_error(PermissionError(13, "Denied", "map.tif"), path) == f"{path}: Denied: map.tif"
