"""_quiet.py: what libraries print of damaged files is dropped, and nothing else is."""

from __future__ import annotations

import errno
import os
import sys
import tempfile

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


def refuse_files(*_, **__):
    raise OSError(errno.ENOENT, "No usable temporary directory found")


def test_nothing_is_needed_of_the_folder_for_temporary_files(capfd, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse_files)
    with catch_complaints() as complaints:
        write_all()
    assert len(complaints) == (2 if hasattr(os, "memfd_create") else 0)
    assert "of others" in capfd.readouterr().err


def test_without_any_place_the_complaints_pass(capfd, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse_files)
    monkeypatch.setattr(os, "memfd_create", refuse_files, raising=False)
    with catch_complaints() as complaints:
        write_all()
    assert complaints == []
    assert "unknown file: Unexpected end of file" in capfd.readouterr().err


def test_a_closed_stderr_does_no_harm(capfd, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EBADF, f"Bad file descriptor {descriptor}")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)
        with catch_complaints():
            os.write(2, b"nobody holds this back")
    assert capfd.readouterr() == ("", "nobody holds this back")
