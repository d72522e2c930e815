"""Damaged headers and descriptions of maps give the documented error, in one line and in little memory."""

import tracemalloc

import numpy as np
import pytest

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import read_map, read_map_description, read_map_source, write_map

FIELDS = "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 30)}"


def write_npy(path, header, version=(1, 0), size=3600):
    """File of a header and zeros."""
    text = header.encode("latin1")
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    path.write_bytes(b"\x93NUMPY" + bytes(version) + length + text + bytes(size))
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", "-" * 9000),
        ("{", "(" * 20000),
        ("{", "{[1]: 1, "),
        ("30, 30", "9" * 5000),
        ("30, 30", "-30, 30"),
        ("30, 30", "3.5, 30"),
        ("30, 30", "30, 31"),
        ("30, 30", "100000, 100000"),
        ("30, 30", "10**9, 3"),
        ("30, 30", "1, " * 99),
        ("'<f4'", "'|O'"),
        ("'<f4'", "{'a': 1}"),
        ("'<f4'", "'a4'"),
        ("'<f4'", "'<f\\4'"),
        ("'<f4'", "[('a', '<f4', 3.5)]"),
        ("}", "("),
        ("}", "\0}"),
    ],
    ids=lambda text: text[:20],
)
def test_damaged_headers_are_refused_in_one_line(tmp_path, old, new):
    path = write_npy(tmp_path / "map.npy", FIELDS.replace(old, new), (2, 0))
    with pytest.raises(ImageReadError, match=r"map\.npy'") as caught:
        read_map(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("by_columns", [False, True])
def test_each_version_is_read_as_numpy_reads_it(tmp_path, rng, version, by_columns):
    values = rng.random((20, 30)).astype(">f8", order="F" if by_columns else "C")
    with (tmp_path / "map.npy").open("wb") as file:
        np.lib.format.write_array(file, values, version)
    found = read_map(tmp_path / "map.npy")
    np.testing.assert_array_equal(found, np.load(tmp_path / "map.npy").astype(np.float32))
    assert found.flags.writeable


def test_a_header_of_python_2_is_read(tmp_path):
    path = write_npy(tmp_path / "map.npy", FIELDS.replace("30, 30", "30L, 30L"))
    assert read_map(path).shape == (30, 30)


def test_an_unknown_version_is_refused(tmp_path):
    with pytest.raises(ImageReadError, match=r"Cannot read map"):
        read_map(write_npy(tmp_path / "map.npy", FIELDS, (9, 0)))


def test_a_shape_that_the_data_do_not_fill_takes_no_memory(tmp_path):
    path = write_npy(tmp_path / "map.npy", FIELDS.replace("30, 30", "20000, 10000"))
    tracemalloc.start()
    with pytest.raises(ImageReadError, match=r"3600 bytes for the shape \(20000, 10000\) of float32"):
        read_map(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("suffix", [".tif", ".exr"])
def test_descriptions_of_damaged_files_are_read_or_refused(tmp_path, rng, suffix):
    path = tmp_path / f"map{suffix}"
    write_map(path, np.ones((30, 30)), description={"source": "photo.jpg"})
    whole, refused = path.read_bytes(), 0
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, 400, 3):
            data[place if suffix == ".exr" or rng.random() < 0.5 else -place - 1] = rng.integers(256)
        path.write_bytes(data)
        assert isinstance(read_map_source(path), str | None)
        try:
            assert isinstance(read_map_description(path), str)
        except ImageReadError:
            refused += 1
    assert refused > 0


def test_a_file_without_pages_is_named(tmp_path):
    (tmp_path / "map.tif").write_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(ImageReadError, match=r"Cannot read map '.*map\.tif': empty, damaged or no map\. Got: "):
        read_map_description(tmp_path / "map.tif")
    with pytest.raises(FileNotFoundError, match=r"none\.tif"):
        read_map_description(tmp_path / "none.tif")
