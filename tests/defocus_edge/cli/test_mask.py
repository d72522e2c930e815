"""`defocus-edge mask`: masks of photos and of maps."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from defocus_edge.cli.app import main
from defocus_edge.files.maps import read_map, write_map
from defocus_edge.thresholds import DEFAULT_ALPHA, DEFAULT_RADII
from tests.defocus_edge.cli.cli_cases import HEIGHT, WIDTH

OUTPUTS_OF_MASK = [("mask", "png"), ("probability", "tif")]


def read_mask(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_default_rule_is_that_of_the_library(capsys):
    """The help names numbers that it must not import."""
    assert main(["mask", "--help"]) == 0
    rule = f"[default: {DEFAULT_ALPHA}, but {DEFAULT_RADII[0]:g} to {DEFAULT_RADII[1]:g} px]"
    assert rule in " ".join(capsys.readouterr().out.split())


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


@pytest.mark.parametrize("method", ["msdu", "defusion", "maganet", "lite"])
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
        (["--method", "threshold", "--threshold", "0.5"], "--threshold goes with --method msdu, defusion, maganet or"),
        (["--radius", "2", "--threshold", "0.5"], "for the map give --alpha or --radius."),
        (["--from-map", "a.tif", "--threshold", "0.5"], "--threshold goes with --method"),
        (["--method", "msdu", "--threshold", "1"], "must be above 0 and below 1. Got: 1.0."),
        (["--from-map", "a.tif", "--probability"], "--probability does not go with --from-map."),
        (["--method", "unet"], "unet"),
    ],
)
def test_options_of_a_method_that_do_not_fit(capsys, photo, options, complaint):
    assert main(["mask", str(photo), *options]) == 2
    assert complaint in " ".join(capsys.readouterr().err.replace("│", "").split())


def test_a_preset_chooses_its_method(capsys, segmentation_presets, preset, photo):
    for folder, method in ((segmentation_presets / "maganet", "maganet"), (preset, "threshold")):
        assert main(["mask", str(photo), "--preset", str(folder), "--json"]) == 0
        (record,) = json.loads(capsys.readouterr().out)
        assert (record["method"], record["preset"]) == (method, str(folder))


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
