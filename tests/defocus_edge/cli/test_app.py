"""cli.py: what a user types, what comes out, and one clear line for everything that goes wrong."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import sys
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from skimage.data import astronaut

from defocus_edge import __version__, pipeline
from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS
from defocus_edge.choices import READ_OUTS
from defocus_edge.cli import app as cli
from defocus_edge.cli import console as cli_console
from defocus_edge.cli import info as cli_info
from defocus_edge.cli import networks as cli_networks
from defocus_edge.cli import options as cli_options
from defocus_edge.cli.app import ReadOutChoice, main
from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.maps import read_map, read_map_description, read_map_source, write_map
from defocus_edge.networks import preset_files, presets
from defocus_edge.networks.edge import dense
from defocus_edge.thresholds import DEFAULT_ALPHA, DEFAULT_RADII

HEIGHT, WIDTH = 96, 120

# Keras on TensorFlow, with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def write_photo(path, *, top=0):
    """A part of a real picture, small enough for fast tests."""
    assert cv2.imwrite(str(path), astronaut()[top : top + 2 * HEIGHT : 2, 100 : 100 + 2 * WIDTH : 2, ::-1])
    return path


OUTPUTS_OF_MASK = [("mask", "png"), ("probability", "tif")]


def make_preset(folder, edge_bias):
    """Small networks with random weights, which take nearly all edges for those of one kind."""
    import keras

    from defocus_edge.networks.edge.networks import EdgeNetworksConfig, build_edge_networks

    keras.utils.set_random_seed(0)
    networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 8)))
    networks.joint.get_layer("edge_head_dense3").bias.assign(edge_bias)
    return presets.save_edge_preset(networks, folder, {"name": "small", "licence": "none"})


@pytest.fixture(scope="session")
def preset(tmp_path_factory):
    return make_preset(tmp_path_factory.mktemp("preset"), [20.0, 0.0])


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "photo.png")


@pytest.fixture
def blur_map(tmp_path):
    """A map from 1 px at the left to 5 px at the right."""
    path = tmp_path / "photo_blur.tif"
    write_map(path, np.tile(np.linspace(1, 5, WIDTH, dtype=np.float32), (HEIGHT, 1)))
    return path


@pytest.fixture
def run(capsys, preset):
    """Run the command line with the small preset: exit code, stdout, lines on stderr."""

    def run_command(command, *arguments):
        code = main([command, *map(str, arguments), "--preset", str(preset)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err.splitlines()

    return run_command


def list_names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def read_mask(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


# Help and options


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"defocus-edge {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["estimate", "--help"], ["mask", "-h"], ["info", "--help"]])
def test_help_goes_to_stdout(capsys, arguments):
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Usage: defocus-edge")
    assert not captured.err


def test_arguments_of_the_process_are_the_default(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["defocus-edge", "--version"])
    assert main() == 0
    assert __version__ in capsys.readouterr().out


def test_defaults_are_those_of_the_library(capsys):
    """They are written twice, as the command line must not import the library for its help."""
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.propagation.settings import PropagationSettings

    library = inspect.signature(BlurEstimator).parameters
    command = inspect.signature(cli.estimate).parameters
    assert [choice.value for choice in ReadOutChoice] == list(READ_OUTS)
    assert command["read_out"].default == library["read_out"].default
    assert command["depth_penalty"].default is library["depth_penalty"].default is None
    assert PropagationSettings().depth_penalty == 100
    assert "[default: 100]" in inspect.getsource(cli_options)
    main(["mask", "--help"])
    rule = f"[default: {DEFAULT_ALPHA}, but {DEFAULT_RADII[0]:g} to {DEFAULT_RADII[1]:g} px]"
    assert rule in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["estimate"], "Missing argument"),
        (["estimate", "x.png", "--colour"], "No such option"),
        (["develop"], "No such command"),
        (["estimate", "x.png", "--read-out", "mean"], "'mean' is not one of"),
        (["estimate", "x.png", "--depth-penalty", "-1"], "must be a finite number, 0 or more. Got: -1.0."),
        (["estimate", "x.png", "--depth-penalty", "nan"], "must be a finite number, 0 or more. Got: nan."),
        (["estimate", "x.png", "--scale-top", "0"], "must be a finite number greater than 0. Got: 0.0."),
        (["estimate", "x.png", "--max-radius", "0"], "must be auto or a finite number greater than 0. Got: 0."),
        (["estimate", "x.png", "--max-radius", "wide"], "must be auto or a finite number greater than 0. Got: wide."),
        (["batch", "x", "y", "--edge-step", "0"], "Invalid value for '--edge-step'"),
        (["estimate", "x.png", "--precision", "half"], "'half' is not one of"),
        (["estimate", "x.png", "--max-radius", "inf"], "must be auto or a finite number greater than 0. Got: inf."),
        (["estimate", "x.png", "--preset", "nope"], "preset must be one of"),
        (["mask"], "name a PHOTO, or a map with --from-map"),
        (["mask", "x.png", "--alpha", "0.3", "--radius", "2"], "give --alpha or --radius, not both. Got: 0.3 and 2.0"),
        (["mask", "x.png", "--alpha", "1.5"], "must be between 0 and 1. Got: 1.5."),
        (["mask", "x.png", "--alpha", "nan"], "must be between 0 and 1. Got: nan."),
        (["mask", "x.png", "--radius", "-1"], "must be a finite number, 0 or more. Got: -1.0."),
        (["mask", "x.png", "--preset", "nope"], "preset must be one of"),
        (["mask", "x.png", "y.png", "--from-map", "m.tif"], "--from-map goes with one PHOTO. Got: 2"),
        (["mask", "--from-map", "m.png"], "--from-map must end in one of .tif, .tiff, .npy, .exr. Got: m.png"),
    ],
)
def test_usage_errors(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert not captured.out


def test_preset_without_metadata_is_a_usage_error(capsys, photo, preset, tmp_path):
    shutil.copytree(preset, tmp_path / "preset")
    (tmp_path / "preset" / "metadata.json").unlink()
    assert main(["estimate", str(photo), "--preset", str(tmp_path / "preset")]) == 2
    assert "The preset has no metadata.json" in capsys.readouterr().err


# estimate


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
        "read_out": "median",
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
    assert records[1] == {"file": str(empty), "error": err[1].removeprefix("Error: ")}
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


def test_default_preset_is_used_when_none_is_named(capsys, monkeypatch, photo, preset, tmp_path):
    shutil.copytree(preset, tmp_path / "presets" / preset_files.DEFAULT_PRESET)
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path / "presets")
    assert main(["estimate", str(photo), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["preset"] == preset_files.DEFAULT_PRESET


# Bad pictures


def damage_jpeg(path):
    write_photo(path)
    path.write_bytes(path.read_bytes()[:-200])


def make_nothing(_):
    """For files that are not there."""


BAD_PICTURES = {
    "missing.png": (make_nothing, "there is no such file"),
    "folder": (lambda path: path.mkdir(), "is a folder. Pass its files one by one"),
    "zero.jpg": (lambda path: path.touch(), "the file is empty (0 bytes)"),
    "text.png": (lambda path: path.write_text("no picture"), "no picture, damaged or of unknown format"),
    "short.jpg": (damage_jpeg, "the file is cut short or damaged"),
    "one.png": (lambda path: cv2.imwrite(str(path), np.zeros((1, 1), np.uint8)), "at least 20 px on each side"),
    "ten.png": (lambda path: cv2.imwrite(str(path), np.zeros((10, 10), np.uint8)), "at least 20 px on each side"),
    "flat.png": (lambda path: cv2.imwrite(str(path), np.full((50, 60), 99, np.uint8)), "No edges found in the image"),
    "loop.png": (lambda path: path.symlink_to(path), "there is no such file"),
    f"{'long' * 80}.png": (make_nothing, "File name too long"),
}


@pytest.mark.parametrize("name", BAD_PICTURES, ids=lambda name: name[:9])
@pytest.mark.parametrize("command", ["estimate", "mask"])
def test_bad_pictures_get_one_line_each(run, tmp_path, command, name):
    make, message = BAD_PICTURES[name]
    path = tmp_path / name
    make(path)
    code, out, err = run(command, path, "--out", tmp_path / "out")
    assert code == 1
    assert not out
    assert len(err) == 1
    assert err[0].startswith("Error: ")
    assert name in err[0]
    assert message in err[0]
    assert not list_names(tmp_path / "out")


def test_picture_with_depth_edges_only(capsys, photo, tmp_path):
    preset = make_preset(tmp_path / "preset", [0.0, 20.0])
    assert main(["estimate", str(photo), "--preset", str(preset)]) == 1
    assert "are depth edges, where blur cannot be measured" in capsys.readouterr().err


def test_bad_paths_are_told_first_and_the_others_are_done(run, photo, tmp_path):
    code, _, err = run("mask", photo, tmp_path / "missing.png")
    assert code == 1
    assert "missing.png" in err[0]
    assert (tmp_path / "photo_mask.png").is_file()


def test_unreadable_file(run, monkeypatch, photo):
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.R_OK)
    code, _, err = run("estimate", photo)
    assert (code, err) == (1, [f"Error: {photo}: may not be read. Change its permissions."])


def test_too_little_memory_fails_one_picture(run, monkeypatch, photo):
    def refuse(_):
        raise MemoryError

    monkeypatch.setattr("defocus_edge.files.images.read_image", refuse)
    code, _, err = run("estimate", photo)
    assert (code, err) == (1, [f"Error: {photo}: not enough memory for this picture"])


def test_full_disk_fails_one_picture(run, monkeypatch, photo, tmp_path):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", refuse)
    code, _, err = run("estimate", photo)
    assert (code, err) == (1, [f"Error: {photo}: No space left on device"])
    assert list_names(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("error", [ValueError, RuntimeError, KeyError])
def test_programming_errors_keep_their_traceback(monkeypatch, blur_map, error):
    def stumble(*_, **__):
        raise error

    monkeypatch.setattr("defocus_edge.thresholds.threshold_blur_map", stumble)
    with pytest.raises(error):
        main(["mask", "--from-map", str(blur_map)])


# Folders and names of results


def test_file_as_out_is_a_usage_error(run, photo):
    code, _, err = run("estimate", photo, "--out", photo)
    assert (code, err) == (2, [f"Error: --out must be a folder that can be made. Got: {photo} (File exists)."])


def test_out_below_a_file_is_a_usage_error(run, photo):
    code, _, err = run("estimate", photo, "--out", photo / "below")
    assert code == 2
    assert "(Not a directory)" in err[0]


def test_unwritable_out_is_a_usage_error(run, monkeypatch, photo, tmp_path):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    code, _, err = run("estimate", photo, "--out", tmp_path)
    assert (code, err) == (2, [f"Error: --out must be a folder that can be written to. Got: {tmp_path}."])


def test_unwritable_folder_of_a_photo_fails_that_photo(run, monkeypatch, photo, tmp_path):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    code, _, err = run("estimate", photo)
    assert code == 1
    assert err == [f"Error: {photo}: the folder {tmp_path} cannot be written to. Choose another one with --out."]


def test_two_photos_for_one_result_are_a_usage_error(run, photo, tmp_path):
    twin = write_photo(tmp_path / "photo.jpg")
    code, _, err = run("estimate", photo, twin)
    assert code == 2
    assert f"{tmp_path / 'photo_blur.tif'} would be written for both {photo} and {twin}" in err[0]
    assert list_names(tmp_path) == ["photo.jpg", "photo.png"]


def test_same_names_of_different_folders_are_fine_without_out(run, photo, tmp_path):
    (tmp_path / "other").mkdir()
    twin = write_photo(tmp_path / "other" / "photo.png")
    assert run("estimate", photo, twin)[0] == 0
    assert run("estimate", photo, twin, "--out", tmp_path)[0] == 2


def test_no_input_is_overwritten(run, photo, tmp_path):
    other = write_photo(tmp_path / "photo_blur.png")
    code, _, err = run("estimate", photo, other)
    assert code == 2
    assert f"{other}, to be written for {photo}, is an input too. Choose another folder with --out." in err[0]


def test_no_input_is_overwritten_through_a_link(run, photo, tmp_path):
    (tmp_path / "photo_mask.png").symlink_to(photo)
    code, _, err = run("mask", photo)
    assert code == 2
    assert "is an input too" in err[0]


def test_existing_results_are_replaced(run, photo, tmp_path):
    (tmp_path / "photo_blur.tif").write_text("old")
    assert run("estimate", photo)[0] == 0
    assert read_map(tmp_path / "photo_blur.tif").shape == (HEIGHT, WIDTH)


# Presets


def test_damaged_preset_ends_the_run_with_one_line(capsys, photo, preset, tmp_path):
    damaged = shutil.copytree(preset, tmp_path / "preset")
    with (damaged / preset_files.WEIGHTS_FILE).open("ab") as file:
        file.write(b"x")
    other = write_photo(tmp_path / "other.png")
    assert main(["estimate", str(photo), str(other), "--preset", str(damaged)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "SHA-256 must be" in err[0]


# mask


def test_mask_of_a_photo(run, photo, preset, tmp_path):
    code, out, err = run("mask", photo, "--alpha", "0.5", "--json")
    assert code == 0
    assert len(err) == 1
    mask = read_mask(tmp_path / "photo_mask.png")
    assert mask.shape == (HEIGHT, WIDTH)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    (record,) = json.loads(out)
    assert record["outputs"] == {"mask": str(tmp_path / "photo_mask.png")}
    assert (record["alpha"], record["threshold_px"], record["preset"]) == (0.5, None, str(preset))
    assert record["blurred_share"] == pytest.approx((mask == 255).mean(), abs=1e-4)


@pytest.mark.parametrize("method", ["msdu", "defusion", "maganet"])
def test_mask_of_a_network(capsys, segmentation_presets, photo, tmp_path, method):
    options = ["--method", method, "--preset", str(segmentation_presets / method), "--json", "--probability"]
    assert main(["mask", str(photo), *options]) == 0
    mask, probability = read_mask(tmp_path / "photo_mask.png"), read_map(tmp_path / "photo_probability.tif")
    np.testing.assert_array_equal(mask == 255, probability > 0.4)
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["method"], record["threshold"]) == (method, 0.4)
    assert record["outputs"] == {kind: str(tmp_path / f"photo_{kind}.{end}") for kind, end in OUTPUTS_OF_MASK}
    assert main(["mask", str(photo), *options[:4], "--threshold", "0.9"]) == 0
    np.testing.assert_array_equal(read_mask(tmp_path / "photo_mask.png") == 255, probability > 0.9)


def test_mask_and_probability_of_the_map_agree(run, photo, tmp_path):
    assert run("mask", photo, "--radius", "3", "--probability")[0] == 0
    probability = read_map(tmp_path / "photo_probability.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "photo_mask.png") == 255, probability > 0.5)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--method", "msdu", "--alpha", "0.5"], "--method msdu does not go with --alpha."),
        (["--method", "msdu", "--read-out", "argmax"], "--method msdu does not go with --read-out."),
        (["--method", "maganet", "--from-map", "a.tif"], "--method maganet does not go with --from-map."),
        (["--threshold", "0.5"], "--threshold goes with --method msdu, defusion or maganet"),
        (["--method", "msdu", "--threshold", "1"], "must be above 0 and below 1. Got: 1.0."),
        (["--from-map", "a.tif", "--probability"], "--probability does not go with --from-map."),
        (["--method", "unet"], "unet"),
    ],
)
def test_options_of_a_method_that_do_not_fit(capsys, photo, options, complaint):
    assert main(["mask", str(photo), *options]) == 2
    assert complaint in " ".join(capsys.readouterr().err.replace("│", "").split())


def test_preset_of_another_method_ends_the_run_with_one_line(capsys, photo, preset):
    assert main(["mask", str(photo), "--method", "msdu", "--preset", str(preset)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "config.json must be of msdu. Got: 'edge'." in err[0]


@pytest.mark.parametrize(
    ("options", "share"), [([], 0.85), (["--alpha", "0.5"], 0.5), (["--radius", "4"], 0.25)], ids=str
)
@pytest.mark.parametrize("ending", [".tif", ".npy", ".exr"])
def test_mask_from_a_map_alone(capsys, blur_map, tmp_path, options, share, ending):
    """White is blurred, and the mask has the name of the photo that the map has its name from."""
    path = blur_map.with_suffix(ending)
    write_map(path, read_map(blur_map))
    assert main(["mask", "--from-map", str(path), "--json", *options]) == 0
    mask = read_mask(tmp_path / "photo_mask.png")
    assert (mask == 255).mean() == pytest.approx(share, abs=0.02)
    assert (mask[:, -1] == 255).all()
    (record,) = json.loads(capsys.readouterr().out)
    assert record["map"] == str(path)


def test_mask_from_a_map_and_its_photo(run, photo, blur_map, tmp_path):
    photo = photo.rename(tmp_path / "renamed.png")
    assert run("mask", photo, "--from-map", blur_map)[0] == 0
    assert (tmp_path / "renamed_mask.png").is_file()


def test_map_of_another_size(run, blur_map, tmp_path):
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.zeros((200, 100, 3), np.uint8))
    code, _, err = run("mask", path, "--from-map", blur_map)
    assert code == 1
    assert f"the map must have the size of the photo, (200, 100). Got: ({HEIGHT}, {WIDTH})" in err[0]


def test_damaged_and_missing_maps(run, photo, tmp_path):
    path = tmp_path / "bad.tif"
    path.write_text("no map")
    code, _, err = run("mask", photo, "--from-map", path)
    assert code == 1
    assert f"Cannot read map '{path}'" in err[0]
    code, _, err = run("mask", photo, "--from-map", tmp_path / "none.tif")
    assert code == 1
    assert "none.tif" in err[0]


# info


def test_info(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for name in ("defocus_edge", "python", "tensorflow", "keras", "opencv", "numpy", "numba", "scikit-image"):
        assert f"\n{name} " in f"\n{out}"
    assert "runs on the CPU only, no GPU is used (cpu:0)" in out or "runs on the GPU (gpu:0" in out


def test_info_as_json(capsys, monkeypatch, preset, tmp_path):
    for name in (preset_files.DEFAULT_PRESET, "damaged", "unreadable"):
        shutil.copytree(preset, tmp_path / name)
    (tmp_path / "damaged" / preset_files.WEIGHTS_FILE).write_bytes(b"x")
    (tmp_path / "unreadable" / preset_files.METADATA_FILE).write_text("{")
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path)
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["versions"]["defocus_edge"] == __version__
    assert info["versions"]["numpy"] == np.__version__
    assert {report["name"]: report["sha256_ok"] for report in info["presets"]} == {
        "damaged": False,
        preset_files.DEFAULT_PRESET: True,
        "unreadable": False,
    }
    assert any("The preset damaged cannot be used" in warning for warning in info["warnings"])
    assert any("The preset unreadable cannot be used" in warning for warning in info["warnings"])
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"preset {preset_files.DEFAULT_PRESET}: SHA-256 ok\n    licence: none" in out
    assert "preset damaged: SHA-256 NOT ok" in out


def test_info_without_the_default_preset(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(preset_files, "PRESETS_FOLDER", tmp_path)
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "presets       none" in out
    assert f"The default preset {preset_files.DEFAULT_PRESET} is not installed" in out


def test_info_on_two_opencv_wheels(capsys, monkeypatch):
    """The second wheel takes the contrib functions away and pip does not mind."""
    true_version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "4.10.0" if name == "opencv-python-headless" else true_version(name)
    )
    monkeypatch.delattr(cv2.ximgproc, "dtFilter")
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert "opencv-python-headless 4.10.0" in info["opencv_wheels"]
    assert info["opencv_contrib_works"] is False
    text = " ".join(info["warnings"])
    assert "2 OpenCV wheels overwrite each other. Repair: pip uninstall -y opencv-python " in text
    assert "cv2.ximgproc.dtFilter is missing" in text


def test_info_without_libraries(capsys, monkeypatch):
    def refuse():
        raise ImportError("no keras here")

    monkeypatch.setattr(cli_info, "find_devices", refuse)
    monkeypatch.setitem(sys.modules, "cv2", None)
    true_version = metadata.version

    def find_version(name):
        if name.startswith(("keras", "opencv")):
            raise metadata.PackageNotFoundError
        return true_version(name)

    monkeypatch.setattr(metadata, "version", find_version)
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "keras         not installed" in out
    assert "Warning: keras and its backend cannot be imported: no keras here" in out
    assert "cv2 cannot be imported" in out


def test_idle_gpu_is_told(run, monkeypatch, photo, capsys, tmp_path):
    (tmp_path / "driver").touch()
    monkeypatch.setattr(cli_info, "_NVIDIA_DEVICE", tmp_path / "driver")
    monkeypatch.setattr(cli_networks, "find_devices", lambda: ("tensorflow", ["cpu:0"]))
    monkeypatch.setattr(cli_info, "find_devices", lambda: ("tensorflow", ["cpu:0"]))
    message = "This computer has an NVIDIA GPU, but tensorflow runs on the CPU"
    code, _, err = run("estimate", photo)
    assert code == 0
    assert message in err[0]
    main(["info"])
    assert message in capsys.readouterr().out


def test_used_gpu_is_told(run, monkeypatch, photo, tmp_path):
    (tmp_path / "driver").touch()
    monkeypatch.setattr(cli_info, "_NVIDIA_DEVICE", tmp_path / "driver")
    monkeypatch.setattr(cli_networks, "find_devices", lambda: ("tensorflow", ["gpu:0"]))
    for module in (pipeline, dense):  # nothing could run on a GPU that is not there
        monkeypatch.setattr(module, "choose_device", lambda _: "gpu:0")
        monkeypatch.setattr(module, "use_device", lambda _: nullcontext())
    _, _, err = run("estimate", photo)
    assert len(err) == 1
    assert " on GPU -> " in err[0]


@pytest.mark.parametrize("command", ["estimate", "mask", "deblur"])
def test_a_gpu_that_is_not_there_ends_the_program(run, photo, command):
    code, _, err = run(command, photo, "--device", "gpu:99")
    assert code == 1
    assert len(err) == 1
    assert err[0].startswith("Error: device 'gpu:99' is not there: tensorflow sees ")


def test_options_of_range_and_speed_reach_the_estimator(run, photo, tmp_path):
    options = ("--max-radius", 6, "--edge-step", 2, "--precision", "bfloat16", "--device", "cpu", "--json")
    code, out, _ = run("estimate", photo, "--out", tmp_path / "all")
    assert code == 0
    code, out, _ = run("estimate", photo, *options)
    assert code == 0
    settings = json.loads(read_map_description(tmp_path / "photo_blur.tif"))
    assert (settings["max_radius"], settings["edge_step"], settings["precision"]) == (6.0, 2, "bfloat16")
    assert json.loads(out)[0]["device"] == "CPU"


# Interruptions and the terminal


def test_ctrl_c_while_writing_leaves_no_half_file(run, monkeypatch, photo, tmp_path):
    def interrupt(path, _):
        with path.open("wb") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    code, out, err = run("estimate", photo, "--json")
    assert (code, out, err) == (130, "", ["Interrupted. Every file that was written is complete."])
    assert list_names(tmp_path) == ["photo.png"]


def test_ctrl_c_before_a_command_runs(capsys, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupt)
    assert main([]) == 130
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_silence_holds_for_libraries_in_c(capfd):
    with cli_console.silence_stderr():
        os.write(2, b"chatter")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_silence_is_broken_by_an_exception(capfd):
    def load():
        with cli_console.silence_stderr():
            os.write(2, b"what went wrong")
            raise ImportError

    with pytest.raises(ImportError):
        load()
    assert capfd.readouterr().err == "what went wrong"


def test_bars_are_for_terminals(monkeypatch):
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(reader, "rb", buffering=0) as screen_end, os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with cli_console.Screen(2) as screen:
            screen.begin("Edge points")
            screen.count_points(1, 2)
            screen.say("a line with [red]brackets", style="red")
            screen.finish_file()
        shown = screen_end.read(65536)
    assert b"a line with [red]brackets" in shown
    assert b"Files" in shown


def test_error_lines_name_the_file_once(tmp_path):
    path = tmp_path / "photo.jpg"
    told = ImageReadError(f"Cannot read picture '{path}': bad.\nVery bad.")
    assert cli_console.describe_error(told, path) == f"Cannot read picture '{path}': bad. Very bad."
    assert cli_console.describe_error(PermissionError(13, "Denied", "map.tif"), path) == f"{path}: Denied: map.tif"
