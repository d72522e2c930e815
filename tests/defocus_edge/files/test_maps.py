"""maps.py: maps come back as they were, or are refused with a reason."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import read_map, write_map
from tests.defocus_edge.files.file_cases import write
from tests.defocus_edge.files.tiff_cases import list_tags, pack_tiff


@pytest.mark.parametrize("name", ["map.tif", "map.tiff", "map.npy", "map.exr", "MAP.TIF", "MAP.NPY", "MAP.EXR"])
def test_map_round_trip(tmp_path, blur_map, name):
    write_map(tmp_path / name, blur_map)
    result = read_map(str(tmp_path / name))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, blur_map)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_map_is_readable_by_others(tmp_path, blur_map):
    write_map(tmp_path / "map.tif", blur_map, description={"model": "café", "quantity": "confidence"})
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "map.tif"), cv2.IMREAD_UNCHANGED), blur_map)
    with Image.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(np.asarray(file), blur_map)
        text = file.tag_v2[270]
    assert json.loads(text) == {"quantity": "confidence", "unit": "px", "model": "café"}


def test_map_says_its_unit(tmp_path, blur_map):
    write_map(tmp_path / "map.tif", blur_map)
    with tifffile.TiffFile(tmp_path / "map.tif") as file:
        assert json.loads(file.pages[0].description) == {"quantity": "blur radius", "unit": "px"}


def test_same_map_same_bytes(tmp_path, blur_map):
    for suffix in (".tif", ".npy", ".exr"):
        write_map(tmp_path / f"a{suffix}", blur_map)
        write_map(tmp_path / f"b{suffix}", np.asfortranarray(blur_map.astype(np.float64)))
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("array", "error", "match"),
    [
        (np.ones((30, 30, 3)), ValueError, r"blur_map must have shape \(H, W\).*Got: \(30, 30, 3\)"),
        (np.ones((0, 5)), ValueError, "not empty"),
        (np.full((30, 30), np.nan), ValueError, "blur_map must be finite"),
        (np.ones((30, 30), bool), TypeError, r"Got: dtype bool\. Write a mask with write_picture"),
        (np.ones((30, 30), complex), TypeError, "Got: dtype complex128"),
    ],
)
def test_write_map_refuses(tmp_path, array, error, match):
    with pytest.raises(error, match=match):
        write_map(tmp_path / "map.tif", array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["map.png", "map", "map.npz"])
def test_map_suffix(tmp_path, blur_map, name):
    with pytest.raises(ValueError, match=r"path must end in one of \.tif, \.tiff, \.npy, \.exr\. Got: '.*map"):
        write_map(tmp_path / name, blur_map)
    with pytest.raises(ValueError, match="path must end in one of"):
        read_map(tmp_path / name)


def test_description_must_fit_into_json(tmp_path, blur_map):
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_map(tmp_path / "map.tif", blur_map, description={"map": object()})


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".exr"])
def test_read_map_refuses_broken_files(tmp_path, blur_map, suffix, capfd):
    path = tmp_path / f"map{suffix}"
    write_map(path, blur_map)
    data = path.read_bytes()
    for broken in (b"", b"text", data[:50], data[:-8]):
        write(path, broken)
        with pytest.raises(ImageReadError, match=r"Cannot read map '.*map.*Write it again"):
            read_map(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.ones((30, 30), np.uint8), r"Got: uint8.*A preview is no map"),
        (np.ones((30, 30), np.int16), r"Got: int16.*A preview is no map"),
        (np.ones((30, 30), np.complex64), r"Got: complex64.*A preview is no map"),
        (np.ones((4, 30, 3), np.float32), r"shape \(H, W\)|float32 in 3 channels"),
        (np.full((30, 30), np.inf, np.float32), "must be finite"),
        (np.full((30, 30), 1e300), "must be finite"),
    ],
)
def test_read_map_refuses_what_is_no_map(tmp_path, suffix, array, match):
    path = tmp_path / f"map{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    else:
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
    with pytest.raises(ImageReadError, match=match):
        read_map(path)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 7, 9, 10, 12, 14])
def test_read_map_refuses_integers_of_any_depth(tmp_path, bits):
    values = np.ones((30, 30), np.uint8 if bits <= 8 else np.uint16)
    tifffile.imwrite(tmp_path / "map.tif", values, bitspersample=bits, photometric="minisblack")
    with pytest.raises(ImageReadError, match=r"Got: uint.*A preview is no map"):
        read_map(tmp_path / "map.tif")


def test_read_map_refuses_24_bit_integers(tmp_path):
    (tmp_path / "map.tif").write_bytes(pack_tiff([bytes(30 * 90)], list_tags(30, 30, bits=[24], photometric=1)))
    with pytest.raises(ImageReadError, match=r"Got: uint32.*A preview is no map"):
        read_map(tmp_path / "map.tif")


RARE_MAPS = [
    {"compression": "lzw"},
    {"compression": "zstd", "predictor": 3},
    {"compression": "deflate", "predictor": 3, "tile": (16, 16)},
    {"compression": "lerc"},
]


@pytest.mark.parametrize("options", RARE_MAPS)
def test_rare_map_files_are_read_with_imagecodecs(tmp_path, blur_map, options, monkeypatch):
    tifffile.imwrite(tmp_path / "map.tif", blur_map, photometric="minisblack", **options)
    np.testing.assert_array_equal(read_map(tmp_path / "map.tif"), blur_map)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageReadError, match=r"compressed with.*pip install 'defocus-edge\[imagecodecs\]'"):
        read_map(tmp_path / "map.tif")


def test_24_bit_floats(tmp_path):
    """Two and a half: sign 0, 7 bits of exponent, 16 of fraction."""
    value = (64 << 16 | 1 << 14).to_bytes(3, "little")
    tags = list_tags(30, 30, bits=[24], photometric=1, sample_format=3)
    (tmp_path / "map.tif").write_bytes(pack_tiff([value * 900], tags))
    np.testing.assert_array_equal(read_map(tmp_path / "map.tif"), np.full((30, 30), 2.5, np.float32))


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".exr"])
def test_damaged_maps_are_maps_or_refused(tmp_path, blur_map, suffix, rng):
    write_map(tmp_path / f"map{suffix}", blur_map)
    whole = (tmp_path / f"map{suffix}").read_bytes()
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, min(300, len(data)), 3):
            data[place if suffix != ".tif" or rng.random() < 0.3 else -place - 1] = rng.integers(256)
        (tmp_path / f"map{suffix}").write_bytes(bytes(data))
        try:
            result = read_map(tmp_path / f"map{suffix}")
        except ImageReadError:
            continue
        assert result.dtype == np.float32
        assert result.ndim == 2


def test_header_that_is_no_python(tmp_path, blur_map):
    write_map(tmp_path / "map.npy", blur_map)
    data = (tmp_path / "map.npy").read_bytes()
    (tmp_path / "map.npy").write_bytes(data.replace(b"}", b"(", 1))
    with pytest.raises(ImageReadError, match="Cannot read map"):
        read_map(tmp_path / "map.npy")


def test_read_map_runs_no_code_of_a_file(tmp_path):
    np.save(tmp_path / "map.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(ImageReadError, match="Cannot read map"):
        read_map(tmp_path / "map.npy")


def test_read_map_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"map\.tif"):
        read_map(tmp_path / "map.tif")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        read_map(tmp_path / "folder.tif")
