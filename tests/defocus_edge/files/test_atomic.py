"""atomic.py: nothing half-written goes out."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from defocus_edge.files.atomic import atomic_write
from defocus_edge.files.images import write_picture
from defocus_edge.files.maps import write_map
from tests.defocus_edge.files.file_cases import (
    write,
)


def test_temporary_file_is_a_neighbour_with_the_same_suffix(tmp_path):
    target = tmp_path / "map.tif"
    with atomic_write(str(target)) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".tif"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    """The order in which the system is asked: content, name, folder."""
    target, done = tmp_path / "map.tif", []
    flush, replace = os.fsync, Path.replace

    def note_flush(number):
        path = Path(f"/proc/self/fd/{number}").resolve() if Path("/proc/self/fd").is_dir() else None
        done.append(("flush", "folder" if path == tmp_path else "file", path == tmp_path or os.fstat(number).st_size))
        flush(number)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(Path, "replace", lambda path, other: done.append(("name",)) or replace(path, other))
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"four")
    assert done == [("flush", "file", 4), ("name",), ("flush", "folder", True)]
    assert target.read_bytes() == b"four"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_flushed_does_no_harm(tmp_path, monkeypatch, code):
    flush = os.fsync

    def refuse(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(code, "no")
        flush(number)

    monkeypatch.setattr(os, "fsync", refuse)
    with atomic_write(tmp_path / "map.tif") as temporary:
        temporary.write_bytes(b"four")
    assert (tmp_path / "map.tif").read_bytes() == b"four"


def test_a_disk_that_fails_at_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    target = write(tmp_path / "map.tif", b"old")

    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"), atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_old_file_and_no_other(tmp_path, error):
    target = write(tmp_path / "map.tif", b"old")

    def write_half():
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"half")
            raise error("half way")

    with pytest.raises(error, match="half way"):
        write_half()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".exr", ".png"])
def test_full_disk_leaves_the_old_file(tmp_path, blur_map, suffix, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = write(tmp_path / f"a{suffix}", b"old")
    monkeypatch.setattr(tifffile, "imwrite", fail)
    monkeypatch.setattr(np, "save", fail)
    monkeypatch.setattr(Path, "write_bytes", fail)
    save = write_picture if suffix == ".png" else write_map
    array = blur_map > 3 if suffix == ".png" else blur_map
    with pytest.raises(OSError, match="No space left"):
        save(target, array)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_failed_replace_leaves_the_old_file(tmp_path, monkeypatch):
    target = write(tmp_path / "a.png", b"old")

    def fail(*_):
        raise PermissionError(errno.EACCES, "target is locked")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PermissionError, match="target is locked"), atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_problems_name_the_folder(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"into the folder '.*missing'.*Create it first"):
        atomic_write(tmp_path / "missing" / "a.png").__enter__()
    write(tmp_path / "file", b"")
    with pytest.raises(NotADirectoryError, match=r"into the folder '.*file'.*Choose a folder"):
        atomic_write(tmp_path / "file" / "a.png").__enter__()
    with pytest.raises(IsADirectoryError, match="path must name a file to write"):
        atomic_write(tmp_path).__enter__()
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FileExistsError, match=r"path must name a file to write\. Got: the device '.*pipe"):
        atomic_write(tmp_path / "pipe.png").__enter__()

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermissionError, match=r"cannot write into the folder '.*Permission denied\. Choose"):
        atomic_write(tmp_path / "a.png").__enter__()


def test_symbolic_link_is_followed(tmp_path):
    target = write(tmp_path / "real.png", b"old")
    link = tmp_path / "link.png"
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_link_that_leads_to_itself_is_refused(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(link)
    with pytest.raises(OSError, match=r"Got: the link '.*link\.png', which leads to itself\. Remove it\."):
        atomic_write(link).__enter__()
    assert os.listdir(tmp_path) == [link.name]  # noqa: PTH208 - the plain name is what we compare


def test_written_file_has_ordinary_permissions(tmp_path, blur_map):
    write_map(tmp_path / "map.tif", blur_map)
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "map.tif").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_long_file_name(tmp_path):
    target = tmp_path / ("x" * 251 + ".png")
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert os.listdir(tmp_path) == [target.name]  # noqa: PTH208 - the plain name is what we compare


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_map_that_does_not_fit_on_the_disk_is_an_error_and_leaves_nothing(suffix, tmp_path):
    program = """
import resource, sys
import numpy as np
from defocus_edge import write_map
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    write_map(sys.argv[1], np.ones((40, 25), np.float32))
except OSError as error:
    print(error.strerror)
"""
    # 4000 bytes of values: what is over the limit is in the last buffer.
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / f"map{suffix}")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"
    assert list(tmp_path.iterdir()) == []
