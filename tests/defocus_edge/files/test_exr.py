"""_exr.py: maps as OpenEXR come back bit by bit and say what they are; what is no map is refused with a reason."""

from __future__ import annotations

import json
import sys

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from defocus_edge.cli.app import main
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import read_map, read_map_source, read_radius_map, write_map

HEIGHT, WIDTH = 40, 56


@pytest.fixture
def blur_map(rng):
    return rng.uniform(0.5, 6, (HEIGHT, WIDTH)).astype(np.float32)


def write_exr(path, channels, **header):
    OpenEXR.File(header, channels).write(str(path))
    return path


def box(left, top, right, bottom):
    return np.array([left, top], np.int32), np.array([right, bottom], np.int32)


# --- Files of ours ---------------------------------------------------------------------------------------------------


def test_others_read_one_lossless_channel_of_luminance(tmp_path, blur_map):
    write_map(tmp_path / "a.exr", blur_map, description={"source": "café.jpg"})
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        (name, channel), header = *file.channels().items(), file.header()
        assert (name, channel.pixels.dtype) == ("Y", np.float32)
        np.testing.assert_array_equal(channel.pixels, blur_map)
        assert header["compression"] == OpenEXR.ZIP_COMPRESSION
        assert json.loads(header["comments"]) == {"quantity": "blur radius", "unit": "px", "source": "café.jpg"}


def test_smooth_maps_get_smaller(tmp_path):
    ramp = np.linspace(0, 6, WIDTH, dtype=np.float32) * np.ones((HEIGHT, 1), np.float32)
    write_map(tmp_path / "a.exr", ramp)
    assert (tmp_path / "a.exr").stat().st_size < ramp.nbytes / 4
    np.testing.assert_array_equal(read_radius_map(tmp_path / "a.exr", ramp.shape), ramp)


def test_source_of_a_map(tmp_path, blur_map):
    write_map(tmp_path / "a.exr", blur_map, description={"source": "photo.jpg"})
    assert read_map_source(tmp_path / "a.exr") == "photo.jpg"
    assert read_map_source(write_exr(tmp_path / "b.exr", {"Y": blur_map})) is None


# --- Files of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Y", "Z", "radius", "depth.Z"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_only_channel_is_the_map(tmp_path, blur_map, name, dtype):
    path = write_exr(tmp_path / "a.exr", {name: blur_map.astype(dtype)}, compression=OpenEXR.PIZ_COMPRESSION)
    np.testing.assert_array_equal(read_map(path), blur_map.astype(dtype))


def test_of_several_channels_ours_is_the_map(tmp_path, blur_map):
    path = write_exr(tmp_path / "a.exr", {"A": np.ones_like(blur_map), "Y": blur_map})
    np.testing.assert_array_equal(read_map(path), blur_map)


@pytest.mark.parametrize(
    ("channels", "header", "complaint"),
    [
        ({"RGB": (HEIGHT, WIDTH, 3)}, {}, "the channels B, G, R; the map must be the only one, or be named Y"),
        ({"BY": (HEIGHT, WIDTH), "RY": (HEIGHT, WIDTH), "Y": (HEIGHT, WIDTH)}, {}, "the channels BY, RY, Y; the map"),
        ({"Y": (HEIGHT, WIDTH)}, {"displayWindow": box(0, 0, 99, 79)}, r"not fill the display window of \(80, 100\)"),
        (
            {"Y": (HEIGHT, WIDTH)},
            {"dataWindow": box(1, 0, WIDTH, HEIGHT - 1), "displayWindow": box(0, 0, WIDTH - 1, HEIGHT - 1)},
            r"values of \(40, 56\) that do not fill the display window of \(40, 56\)",
        ),
    ],
)
def test_what_is_no_map(tmp_path, channels, header, complaint):
    arrays = {name: np.ones(shape, np.float32) for name, shape in channels.items()}
    path = write_exr(tmp_path / "a.exr", arrays, **header)
    with pytest.raises(ImageReadError, match=rf"Cannot read map '.*a\.exr': .*{complaint}"):
        read_map(path)


def test_a_channel_of_fewer_pixels(tmp_path, blur_map):
    path = write_exr(tmp_path / "a.exr", {"Y": OpenEXR.Channel(blur_map, 2, 2)})
    with pytest.raises(ImageReadError, match=r"values of \(20, 28\) that do not fill the display window of \(40, 56\)"):
        read_map(path)


def test_several_parts(tmp_path, blur_map):
    parts = [OpenEXR.Part({"name": name}, {"Y": blur_map}) for name in ("left", "right")]
    OpenEXR.File(parts).write(str(tmp_path / "a.exr"))
    with pytest.raises(ImageReadError, match=r"a\.exr'.* 2 parts; the map must be the only one"):
        read_map(tmp_path / "a.exr")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.ones((HEIGHT, WIDTH), np.uint32), r"must hold floats\. Got: uint32"),
        (np.full((HEIGHT, WIDTH), np.nan, np.float32), "must be finite"),
    ],
)
def test_values_that_are_no_radii(tmp_path, values, complaint):
    with pytest.raises(ImageReadError, match=rf"a\.exr' {complaint}"):
        read_map(write_exr(tmp_path / "a.exr", {"Y": values}))


@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.6, 0.99])
def test_cut_files_are_refused_in_silence(tmp_path, blur_map, share, capfd):
    write_map(tmp_path / "a.exr", blur_map)
    data = (tmp_path / "a.exr").read_bytes()
    (tmp_path / "a.exr").write_bytes(data[: round(share * len(data))])
    with pytest.raises(ImageReadError, match=r"Cannot read map '.*a\.exr': empty, damaged or no map\."):
        read_map(tmp_path / "a.exr")
    assert capfd.readouterr() == ("", "")


# --- Command line and the extra --------------------------------------------------------------------------------------


def test_map_of_another_photo_is_told(tmp_path, texture, capsys):
    Image.fromarray(texture).save(tmp_path / "a.png")
    write_map(tmp_path / "map.exr", np.full(texture.shape[:2], 2.0), description={"source": "b.png"})
    assert main(["deblur", str(tmp_path / "a.png"), "--map", str(tmp_path / "map.exr")]) == 0
    assert "map.exr is the map of 'b.png', not of 'a.png'" in capsys.readouterr().err


def test_without_the_extra_one_line_says_what_to_install(tmp_path, blur_map, monkeypatch, capsys):
    write_map(tmp_path / "a.exr", blur_map)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    advice = r"EXR files need the package OpenEXR: pip install 'defocus-edge\[exr\]'\.$"
    with pytest.raises(ImportError, match=f"^{advice}"):
        write_map(tmp_path / "b.exr", blur_map)
    with pytest.raises(ImageReadError, match=rf"Cannot read map '.*a\.exr': {advice}"):
        read_map(tmp_path / "a.exr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.exr"]
    assert main(["estimate", "missing.jpg", "--exr"]) == 2
    assert "pip install 'defocus-edge[exr]'" in " ".join(capsys.readouterr().err.split())
