"""maps.py: a map that does not go with the picture is refused, as an array and as a file."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from defocus_edge.arrays import LARGEST_RADIUS, check_radius_map
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import read_map_source, read_radius_map, write_map

MAP = np.ones((24, 30), dtype=np.float32)


def test_a_sound_map_is_not_copied():
    assert np.shares_memory(check_radius_map(MAP, (24, 30)), MAP)
    assert check_radius_map(np.full((24, 30), LARGEST_RADIUS), (24, 30)).dtype == np.float32


@pytest.mark.parametrize(
    ("blur_map", "complaint"),
    [
        (MAP.T, r"shape of the image, \(24, 30\)\. Got: \(30, 24\)\."),
        (-MAP, r"radii in px >= 0\. Got: minimum -1\."),
        (MAP * 255, r"at most 64 px\. Got: maximum 255\. Check its unit\."),
    ],
)
def test_maps_of_other_pictures_and_units_are_refused(tmp_path, blur_map, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_radius_map(blur_map, (24, 30))
    write_map(tmp_path / "a.npy", blur_map)
    with pytest.raises(ImageReadError, match=rf"Cannot use map '.*a\.npy': blur_map .*{complaint}"):
        read_radius_map(tmp_path / "a.npy", (24, 30))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="blur_map must be finite"):
        check_radius_map(MAP * np.float32(value), (24, 30))
    np.save(tmp_path / "a.npy", MAP * np.float32(value))
    with pytest.raises(ImageReadError, match=r"a\.npy' must be finite"):
        read_radius_map(tmp_path / "a.npy", (24, 30))


def test_a_file_comes_as_it_is(tmp_path):
    write_map(tmp_path / "a.tif", MAP * 2)
    np.testing.assert_array_equal(read_radius_map(tmp_path / "a.tif", (24, 30)), MAP * 2)


@pytest.mark.parametrize(
    "description",
    [
        None,
        "a map",
        '{"quantity": "blur radius"}',
        "[1]",
        "3",
        '{"source": [1]}',
        "[" * 100_000,
        '{"source": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: str(text)[:30],
)
def test_most_files_do_not_say_what_they_are_of(tmp_path, description):
    tifffile.imwrite(tmp_path / "a.tif", MAP, description=description, metadata=None)
    assert read_map_source(tmp_path / "a.tif") is None


def test_source_of_a_map(tmp_path):
    for name in ("a.tif", "a.npy"):
        write_map(tmp_path / name, MAP, description={"source": "photo.jpg"})
    assert read_map_source(tmp_path / "a.tif") == "photo.jpg"
    assert read_map_source(tmp_path / "a.npy") is None
