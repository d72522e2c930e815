"""folders.py: files by name, leftovers of killed runs, and locks."""

import fcntl
import sys

import pytest

from defocus_edge.files.atomic import atomic_write
from defocus_edge.files.folders import InUseError, hold, index_by_stem, list_files, remove_leftovers


def make_files(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def list_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_visible_files_with_a_suffix_are_listed_in_order(tmp_path):
    make_files(tmp_path, "b.png", "a.JPG", "c.txt", "._b.png", "below/d.png")
    assert [path.name for path in list_files(tmp_path, (".png", ".jpg"))] == ["a.JPG", "b.png"]
    assert list_files(tmp_path / "missing", (".png",)) == []


def test_files_are_found_by_what_is_between_start_and_end(tmp_path):
    paths = [tmp_path / name for name in ("map_1_r.tif", "map_2_r.npy", "map_3.tif", "4_r.tif")]
    assert index_by_stem(paths, start="map_", end="_r") == {"1": paths[0], "2": paths[1]}


def test_of_two_files_with_one_stem_the_later_counts_or_they_are_refused(tmp_path):
    paths = [tmp_path / "a.jpg", tmp_path / "a.png"]
    assert index_by_stem(paths) == {"a": paths[1]}
    with pytest.raises(ValueError, match=r"Names must differ .* Got: '.*a.jpg' and"):
        index_by_stem(paths, repeated=ValueError)


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    with atomic_write(tmp_path / "a" / "map.tif") as temporary:
        name = temporary.name
    with atomic_write(tmp_path / "plain") as temporary:
        other = temporary.name
    make_files(tmp_path, f"a/{name}", other, ".defocus-edge-notes.tif", "a/.hidden")
    assert remove_leftovers(tmp_path) == 2
    assert list_names(tmp_path / "a") == [".hidden", "map.tif"]
    assert list_names(tmp_path) == [".defocus-edge-notes.tif", "a", "plain"]


def test_files_that_are_being_written_are_no_leftovers(tmp_path):
    """A run into OUT/sub goes on when another one cleans up OUT."""
    (tmp_path / "sub").mkdir()
    with atomic_write(tmp_path / "sub" / "map.tif") as temporary:
        temporary.write_bytes(b"half")
        make_files(tmp_path, ".defocus-edge-0123456789ab.tif")
        assert remove_leftovers(tmp_path) == 1
        temporary.write_bytes(b"whole")
    assert (tmp_path / "sub" / "map.tif").read_bytes() == b"whole"


@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_held_cannot_be_held_again_until_it_is_let_go(tmp_path, is_file):
    path = tmp_path / "file" if is_file else tmp_path
    if is_file:
        path.touch()
    with hold(path), pytest.raises(InUseError, match="is in use by another process"), hold(path):
        pass
    with hold(path):
        pass


def test_systems_without_locks_let_everybody_in(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fcntl", None)  # as on Windows
        with hold(tmp_path), hold(tmp_path):
            pass

    def refuse(*_):
        raise OSError("Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with hold(tmp_path), hold(tmp_path):
        pass
