"""`defocus-edge estimate`: what is written, and what the options change."""

from __future__ import annotations

import inspect
import json

import cv2
import numpy as np
import tifffile

from defocus_edge import __version__
from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS
from defocus_edge.cli import estimate as cli_estimate
from defocus_edge.cli.app import main
from defocus_edge.files.maps import read_map, read_map_description, read_map_source
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.propagation.settings import PropagationSettings
from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH, list_names, make_preset, write_photo


def test_defaults_are_those_of_the_library(capsys):
    """The help names numbers that it must not import."""
    library = inspect.signature(BlurEstimator).parameters
    command = inspect.signature(cli_estimate.estimate).parameters
    for name in ("read_out", "depth_penalty", "max_radius", "edge_step", "precision", "device"):
        assert command[name].default == library[name].default
    assert main(["estimate", "--help"]) == 0
    assert f"[default: {PropagationSettings().depth_penalty:g}]" in " ".join(capsys.readouterr().out.split())


def test_estimate_writes_beside_the_photo(run, photo, tmp_path):
    before = photo.read_bytes()
    code, out, err = run("estimate", photo)
    assert code == 0
    assert not out
    assert len(err) == 1  # one line for each file, and nothing of TensorFlow's
    assert err[0].startswith(f"{photo}: blur radius ")
    assert " on CPU -> " in err[0] or " on GPU -> " in err[0]
    assert list_names(tmp_path) == ["photo.png", "photo_blur.png", "photo_blur.tif"]
    assert photo.read_bytes() == before
    blur_map = read_map(tmp_path / "photo_blur.tif")
    assert blur_map.shape == (HEIGHT, WIDTH)
    assert MIN_RADIUS <= blur_map.min() <= blur_map.max() <= MAX_RADIUS


def test_map_says_where_it_comes_from(run, photo, preset, tmp_path):
    run("estimate", photo)
    with tifffile.TiffFile(tmp_path / "photo_blur.tif") as file:
        origin = json.loads(file.pages[0].description)
    assert origin == {
        "quantity": "blur radius",
        "unit": "px",
        "source": "photo.png",
        "software": f"defocus_edge {__version__}",
        "preset": str(preset),
        "bit_depth": 8,
        "read_out": "median",
        "depth_threshold": 0.5,
        "depth_penalty": 100.0,
        "propagation": "default",
        "max_radius": "auto",
        "edge_step": 1,
        "precision": "float32",
    }


def test_estimate_of_several_with_a_bad_one_as_json(run, photo, preset, tmp_path):
    other = write_photo(tmp_path / "other.jpg", top=200)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    results = tmp_path / "new" / "folder"
    wanted = ("--overlay", "--edges", "--npy", "--exr", "--scale-top", 4)
    code, out, err = run("estimate", photo, empty, other, "--out", results, *wanted, "--json")
    assert code == 1
    assert len(err) == 3
    endings = ("_blur.exr", "_blur.npy", "_blur.png", "_blur.tif", "_edges.png", "_overlay.png")
    assert list_names(results) == [name + ending for name in ("other", "photo") for ending in endings]
    records = json.loads(out)
    assert [record["file"] for record in records] == [str(photo), str(empty), str(other)]
    assert records[1] == {"file": str(empty), "error": err[1].removeprefix("Error: "), "warnings": []}
    first = records[0]
    assert first["error"] is None
    assert (first["height"], first["width"], first["preset"]) == (HEIGHT, WIDTH, str(preset))
    assert first["outputs"] == {
        "map": str(results / "photo_blur.tif"),
        "preview": str(results / "photo_blur.png"),
        "npy": str(results / "photo_blur.npy"),
        "exr": str(results / "photo_blur.exr"),
        "overlay": str(results / "photo_overlay.png"),
        "edges": str(results / "photo_edges.png"),
    }
    blur_map = np.load(results / "photo_blur.npy")
    for ending in (".tif", ".exr"):
        np.testing.assert_array_equal(blur_map, read_map(results / f"photo_blur{ending}"))
    assert read_map_source(results / "photo_blur.exr") == photo.name
    radius = first["radius_px"]
    expected = np.quantile(blur_map, (0, 0.5, 0.95, 1))
    np.testing.assert_allclose([radius[name] for name in ("min", "median", "p95", "max")], expected, atol=1e-4)
    assert first["edge_points"] > 0
    assert 0 <= first["depth_edge_share"] < 1
    assert 0 <= first["confidence_mean"] <= 1
    assert first["seconds"] > 0
    assert first["device"] in ("CPU", "GPU")


def test_options_reach_the_estimator(run, photo, tmp_path):
    code, _, _ = run("estimate", photo, "--read-out", "argmax", "--depth-penalty", 0)
    assert code == 0
    with tifffile.TiffFile(tmp_path / "photo_blur.tif") as file:
        origin = json.loads(file.pages[0].description)
    assert (origin["read_out"], origin["depth_penalty"]) == ("argmax", 0)


def test_options_of_range_and_speed_reach_the_estimator(run, photo, tmp_path):
    options = ("--max-radius", 6, "--edge-step", 2, "--precision", "bfloat16", "--device", "cpu", "--json")
    code, out, _ = run("estimate", photo, "--out", tmp_path / "all")
    assert code == 0
    code, out, _ = run("estimate", photo, *options)
    assert code == 0
    settings = json.loads(read_map_description(tmp_path / "photo_blur.tif"))
    assert (settings["max_radius"], settings["edge_step"], settings["precision"]) == (6.0, 2, "bfloat16")
    assert json.loads(out)[0]["device"] == "CPU"


def test_picture_with_depth_edges_only(capsys, photo, tmp_path):
    preset = make_preset(tmp_path / "preset", [0.0, 20.0])
    assert main(["estimate", str(photo), "--preset", str(preset), "--json"]) == 0
    out, err = capsys.readouterr()
    (record,) = json.loads(out)
    assert record["rests_on_depth_edges"]
    assert record["confidence_mean"] < 0.1
    (warning,) = record["warnings"]
    assert "edge points are depth edges" in warning
    assert err.splitlines()[0] == f"Warning: {warning}"


def test_depth_threshold_decides_what_is_a_depth_edge(capsys, photo, tmp_path):
    preset = make_preset(tmp_path / "preset", [0.0, 0.0])
    shares = []
    for threshold in ("0.01", "0.99"):
        options = ["--preset", str(preset), "--depth-threshold", threshold, "--json"]
        assert main(["estimate", str(photo), *options]) == 0
        shares.append(json.loads(capsys.readouterr().out)[0]["depth_edge_share"])
    assert shares == [1, 0]


def test_a_dump_is_taken_for_raw_on_demand_only(run, tmp_path):
    dump = tmp_path / "dump.raw"
    dump.write_bytes(bytes(64 * 80 * 2))
    for command in ("estimate", "mask", "deblur"):
        code, _, err = run(command, dump)
        assert code == 1
        assert "--raw" in err[0]
        code, _, err = run(command, dump, "--raw")
        assert code == 1
        assert "no raw file that LibRaw knows" in err[0]


def test_bit_depth_of_a_deep_photo(run, photo, tmp_path):
    for bits in (12, 16):
        deep = tmp_path / f"deep{bits}.png"
        cv2.imwrite(str(deep), cv2.imread(str(photo)).astype(np.uint16) << (bits - 8))
        code, out, err = run("estimate", deep, "--json")
        assert (code, json.loads(out)[0]["bit_depth"]) == (0, bits)
        assert err[0].startswith(f"{deep} of {bits} bits: blur radius ")
    maps = [read_map(tmp_path / f"deep{bits}_blur.tif") for bits in (12, 16)]
    np.testing.assert_allclose(*maps, atol=0.01)
    code, out, err = run("estimate", tmp_path / "deep12.png", "--bit-depth", 16, "--json")
    assert "uses 6.2% of its range" in json.loads(out)[0]["warnings"][0]
    code, _, err = run("estimate", tmp_path / "deep12.png", "--bit-depth", 10)
    assert (code, "must be at most 1023" in err[0]) == (1, True)
    assert run("estimate", tmp_path / "deep12.png", "--bit-depth", 17)[0] == 2
