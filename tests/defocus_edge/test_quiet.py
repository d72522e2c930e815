"""_quiet.py: what libraries print of damaged files is dropped, and nothing else is."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from defocus_edge._quiet import catch_complaints


def write_all():
    os.write(2, b"of others\nunknown file: Unexpected end of file\n<python_buffer>: (EXR_ERR) Damaged\nlast")
    sys.stdout.write("Warning: Exception raised reading pixel data for part 0 - Damaged\nof others\n")


def test_complaints_are_dropped_and_the_rest_comes_afterwards(capfd):
    with catch_complaints():
        write_all()
        assert capfd.readouterr() == ("", "")
    assert capfd.readouterr() == ("of others\n", "of others\nlast")


def test_also_after_an_exception(capfd):
    def fail():
        with catch_complaints():
            write_all()
            raise RuntimeError("damaged")

    with pytest.raises(RuntimeError, match="damaged"):
        fail()
    os.write(2, b"after")
    assert capfd.readouterr() == ("of others\n", "of others\nlastafter")


def test_a_closed_stderr_does_no_harm(capfd, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EBADF, f"Bad file descriptor {descriptor}")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)
        with catch_complaints():
            os.write(2, b"nobody holds this back")
    assert capfd.readouterr() == ("", "nobody holds this back")
