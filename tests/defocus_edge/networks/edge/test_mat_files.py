"""MATLAB files: what SciPy writes is read as SciPy reads it; everything else is refused, in bounded memory."""

import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from defocus_edge.networks.edge.mat_files import MatFileError, read_mat_array

# Where the type of the numbers stands in a file of one uncompressed array with four axes.
TYPE_OF_NUMBERS = 192
# Changes each file in a process of its own, so that a crash is a failure of one test.
DAMAGE = """
import sys
from pathlib import Path
import numpy as np
from defocus_edge.networks.edge.mat_files import MatFileError, read_mat_array
path, rng = Path(sys.argv[1]), np.random.default_rng(0)
whole = path.read_bytes()
changes = [{192 + at: byte for at, byte in enumerate(bytes.fromhex(text))} for text in sys.argv[2:]]
changes += [dict(rng.integers(0, [min(len(whole), 260), 256], (3, 2)).tolist()) for _ in range(1000)]
refused = 0
for change in changes:
    data = bytearray(whole)
    for at, byte in change.items():
        data[at] = byte
    path.write_bytes(data)
    try:
        read_mat_array(path, "weights", largest=3 * 3 * 3 * 64)
    except MatFileError:
        refused += 1
print(refused)
"""


def save(path, array, **options):
    savemat(path, {"weights": array}, **options)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 3, 2, 4), (5, 1), (1, 7), (1, 1), (2, 3, 1)])
def test_arrays_are_those_that_scipy_reads(tmp_path, rng, shape, dtype, compressed):
    path = save(tmp_path / "a.mat", rng.normal(size=shape).astype(dtype), do_compression=compressed)
    expected = loadmat(path)["weights"].astype(np.float32)
    found = read_mat_array(path, "weights", largest=expected.size)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_whole_numbers_in_few_bytes_are_read(tmp_path):
    """MATLAB stores a double array of small whole numbers as bytes, here two of them in the tag itself."""
    path = save(tmp_path / "a.mat", np.array([[3.0, 5.0]]))
    data = path.read_bytes()
    start = data.index(b"weights") + 8
    path.write_bytes(data[:start] + b"\x02\x00\x02\x00\x03\x05\x00\x00")
    np.testing.assert_array_equal(read_mat_array(path, "weights", largest=2), [[3, 5]])


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_files_are_refused_without_a_crash(tmp_path, compressed):
    path = save(tmp_path / "a.mat", np.zeros((3, 3, 3, 64), np.float32), do_compression=compressed)
    recipes = [] if compressed else ["0046", "ffff", "3200", "00000100"]
    child = [sys.executable, "-c", DAMAGE, str(path), *recipes]
    ended = subprocess.run(child, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) > 500


@pytest.mark.parametrize("change", [b"\x00\x46", b"\xff\xff", b"\x32\x00", b"\x00\x00\x01\x00"])
def test_wrong_type_of_numbers_is_refused(tmp_path, change):
    path = save(tmp_path / "a.mat", np.zeros((3, 3, 3, 64), np.float32))
    data = path.read_bytes()
    path.write_bytes(data[:TYPE_OF_NUMBERS] + change + data[TYPE_OF_NUMBERS + len(change) :])
    with pytest.raises(MatFileError, match=r"\d+ bytes of type \d+ for the shape \(3, 3, 3, 64\)"):
        read_mat_array(path, "weights", largest=3 * 3 * 3 * 64)


def test_each_cut_is_refused(tmp_path):
    path = save(tmp_path / "a.mat", np.ones((2, 2), np.float32))
    data = path.read_bytes()
    for kept in range(len(data)):
        path.write_bytes(data[:kept])
        with pytest.raises(MatFileError, match=r"\w"):
            read_mat_array(path, "weights", largest=4)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.array([[1, np.nan]], np.float32), "NaN or infinite"),
        (np.array([[1e300, 0.0]]), "NaN or infinite"),
        (np.array([[1, 2]], np.int32), "real floats"),
        (np.array([[1j, 2]]), "real floats"),
        (np.array(["text"]), "real floats"),
        (np.zeros((2, 2), np.float32), r"shape \(2, 2\), more than 2 numbers"),
        (np.zeros((0, 2), np.float32), r"the shape \(0, 2\)"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, complaint):
    with pytest.raises(MatFileError, match=complaint):
        read_mat_array(save(tmp_path / "a.mat", array), "weights", largest=2)


def test_version_7_3_is_named(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 512)
    with pytest.raises(MatFileError, match=r"version 7\.3, which is HDF5\. Save it with the option -v7"):
        read_mat_array(tmp_path / "a.mat", "weights", largest=4)


def test_a_compressed_array_is_not_inflated_beyond_the_bound(tmp_path):
    path = save(tmp_path / "a.mat", np.zeros((64, 1024, 256), np.float32), do_compression=True)
    tracemalloc.start()
    with pytest.raises(MatFileError, match="more than 1000 numbers"):
        read_mat_array(path, "weights", largest=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_broken_stream_is_refused(tmp_path):
    path = save(tmp_path / "a.mat", np.ones((2, 2), np.float32), do_compression=True)
    data = bytearray(path.read_bytes())
    data[136:138] = b"\x78\0"
    path.write_bytes(data)
    with pytest.raises(MatFileError, match="incorrect header check"):
        read_mat_array(path, "weights", largest=4)
    path.write_bytes(bytes(data[:136]) + zlib.compress(b"\x05"))
    with pytest.raises(MatFileError, match="cut short"):
        read_mat_array(path, "weights", largest=4)
